"""Theme: how one room looks: its colours, logo, picture and own words, as the operator wrote them down.

Colours stand by the name of what they are for, ``#rrggbb``, for the light scheme and, where they differ, the dark
one. A theme that people could not read is refused with the ratio that was measured: every pair of text and
ground that the style sheet puts together must reach 4.5 to 1 (WCAG 2.2, 1.4.3), also where the light of the door
falls on the page. A theme becomes a few custom properties in a style element, whose hash stands in the policy;
nothing of it is copied that was not read here.

Not here: the house's own look (``static/waitroom.css``), which keys texts have (``words``).
"""

import base64
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any
from urllib.parse import urlsplit

from kernel.errors import Misconfigured
from waitroom import field_readers as reads

CONTRAST_LEAST = 4.5
SHINE = 0.38
"""How strong the light of the door is at its brightest; the same number as ``--shine`` in the style sheet."""

LIGHT: Mapping[str, str] = {
    "paper": "#f6f4ee",
    "ink": "#1c1b18",
    "soft": "#5d594f",
    "rule": "#d8d3c5",
    "card": "#fffdf8",
    "accent": "#b8400e",
    "on_accent": "#fffaf3",
    "turn": "#ad3a0a",
    "on_turn": "#fffaf3",
    "glow": "#f3b07a",
    "light": "#ffd7a3",
    "leaf": "#b8400e",
}
DARK: Mapping[str, str] = {
    "paper": "#131519",
    "ink": "#f3efe6",
    "soft": "#aaa598",
    "rule": "#343841",
    "card": "#1b1e24",
    "accent": "#ff8f52",
    "on_accent": "#1a0f08",
    "turn": "#ad3a0a",
    "on_turn": "#fffaf3",
    "glow": "#7a3a16",
    "light": "#ffcf94",
    "leaf": "#b9501d",
}
_PAIRS = (
    ("ink", "paper"),
    ("soft", "paper"),
    ("accent", "paper"),
    ("ink", "card"),
    ("soft", "card"),
    ("on_accent", "accent"),
    ("on_turn", "turn"),
)
_LIT = ("ink", "soft")
_COLOUR = re.compile(r"#[0-9a-f]{6}")
_DATA = re.compile(r"data:image/(svg\+xml|png|jpeg|webp|gif);base64,[A-Za-z0-9+/]+={0,2}")
_ADDRESS = re.compile(r"https://[A-Za-z0-9.-]+(:[0-9]{1,5})?(/[A-Za-z0-9._~!$&*+,;=:@%/?-]*)?")
_DATA_CHARS = 16_384
_ADDRESS_CHARS = 500
_TEXT_CHARS = 400
_TEXTS_MOST = 60
_LANGUAGE = re.compile(r"[a-z]{2,3}(-[A-Za-z]{2,8})*")
_KEY = re.compile(r"[a-z0-9.-]{1,64}")


@dataclass(frozen=True, slots=True)
class Theme:
    """A room's look. Colours hold only what differs from the house's; `texts` are by language, then by key."""

    colours: Mapping[str, str] = field(default_factory=dict)
    dark: Mapping[str, str] = field(default_factory=dict)
    logo: str = ""
    picture: str = ""
    texts: Mapping[str, Mapping[str, str]] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Write the theme as its document; ``read_theme`` reads it back to the same theme."""
        plain = {
            "colours": dict(self.colours),
            "dark": dict(self.dark),
            "logo": self.logo,
            "picture": self.picture,
            "texts": {tag: dict(own) for tag, own in self.texts.items()},
        }
        return {name: value for name, value in plain.items() if value}

    @property
    def light_colours(self) -> dict[str, str]:
        """Return every colour of the light scheme."""
        return {**LIGHT, **_completed(self.colours)}

    @property
    def dark_colours(self) -> dict[str, str]:
        """Return every colour of the dark scheme; what it leaves out is the house's, not the light scheme's."""
        return {**DARK, **_completed(self.dark)}

    @property
    def css(self) -> str:
        """Return the style sheet that lays the theme over the house's look; empty for a theme without colours."""
        rules = []
        if self.colours:
            rules.append(f":root{{{_properties(_completed(self.colours))}}}")
        dark = {name: value for name, value in self.dark_colours.items() if self.colours or self.dark}
        if dark:
            body = _properties(dark)
            rules.append(f"@media (prefers-color-scheme:dark){{:root:not([data-theme=light]){{{body}}}}}")
            rules.append(f":root[data-theme=dark]{{{body}}}")
        if self.picture:
            rules.append(f':root{{--picture:url("{self.picture}")}}')
        return "".join(rules)

    @property
    def sources(self) -> tuple[str, ...]:
        """Return the hosts that the theme's pictures come from, as the policy names them."""
        hosts = {
            f"https://{urlsplit(url).netloc}" for url in (self.logo, self.picture) if url.startswith("https:")
        }
        return tuple(sorted(hosts))


PLAIN = Theme()


def style_hash(css: str) -> str:
    """Return the source expression by which a policy allows one style element."""
    return f"'sha256-{base64.b64encode(sha256(css.encode()).digest()).decode()}'"


def read_theme(given: object, keys: Mapping[str, Iterable[str]] | None = None) -> Theme:
    """Read a room's theme. `keys` are the known text keys with their parameters; without it texts go unchecked.

    Raises Misconfigured with every fault, each a sentence that begins with the field's name.
    """
    if not isinstance(given, Mapping):
        raise Misconfigured([f"theme must be a table, not {reads.shown(given)}"])
    faults = [
        f"theme.{name} is unknown; there are colours, dark, logo, picture, texts"
        for name in given
        if name not in {"colours", "dark", "logo", "picture", "texts"}
    ]
    theme = Theme(
        colours=_colours(given.get("colours", {}), "colours", faults),
        dark=_colours(given.get("dark", {}), "dark", faults),
        logo=_image(given.get("logo", ""), "logo", faults),
        picture=_image(given.get("picture", ""), "picture", faults),
        texts=_texts(given.get("texts", {}), keys, faults),
    )
    for scheme, colours in (("colours", theme.light_colours), ("dark", theme.dark_colours)):
        faults.extend(f"theme.{scheme}: {fault}" for fault in pale(colours))
    if faults:
        raise Misconfigured(faults)
    return theme


def fitting_texts(theme: Theme, tag: str, keys: Mapping[str, Iterable[str]]) -> dict[str, str]:
    """Return a room's own texts in one language, as far as they fit the page's: known keys, known parameters."""
    own = theme.texts.get(tag, {})
    return {key: text for key, text in own.items() if key in keys and _parameters(text) <= set(keys[key])}


def text_faults(theme: Theme, keys: Mapping[str, Mapping[str, Iterable[str]]]) -> list[str]:
    """Name every own text that would not be shown; `keys` are the known keys and their parameters by language."""
    found = []
    for tag, own in theme.texts.items():
        if tag not in keys:
            found.append(f"theme.texts.{tag} is no language of the page; there are {', '.join(keys)}")
            continue
        fitting = fitting_texts(theme, tag, keys[tag])
        found.extend(
            f"theme.texts.{tag}.{key} is no text of the page, or has a parameter that this text does not get"
            for key in own
            if key not in fitting
        )
    return found


def pale(colours: Mapping[str, str]) -> list[str]:
    """Name every pair of text and ground that cannot be read, with its ratio."""
    found = []
    lit = mixed(colours["glow"], colours["paper"], SHINE)
    pairs = [(text, ground, colours[text], colours[ground]) for text, ground in _PAIRS]
    pairs += [(text, "paper in the light of the door (glow)", colours[text], lit) for text in _LIT]
    for text, ground, one, other in pairs:
        ratio = contrast(one, other)
        if ratio < CONTRAST_LEAST:
            told = int(ratio * 100) / 100  # never rounded up to what it fails to reach
            found.append(
                f"{text} {one} on {ground} {other} has a contrast of {told:.2f}, and needs {CONTRAST_LEAST}"
            )
    return found


def luminance(colour: str) -> float:
    """Return the relative luminance of #rrggbb (WCAG 2.2)."""
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    """Return the contrast ratio of two colours, 1 to 21."""
    high, low = sorted((luminance(one), luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def mixed(one: str, other: str, share: float) -> str:
    """Return `one` laid over `other` with this share."""
    pairs = [(int(one[at : at + 2], 16), int(other[at : at + 2], 16)) for at in (1, 3, 5)]
    return "#" + "".join(f"{round(a * share + b * (1 - share)):02x}" for a, b in pairs)


def _completed(colours: Mapping[str, str]) -> dict[str, str]:
    """Let the turn and the door's leaf follow the accent where only that is given."""
    follow = {"turn": "accent", "on_turn": "on_accent", "leaf": "accent"}
    more = {
        name: colours[source] for name, source in follow.items() if name not in colours and source in colours
    }
    return {**colours, **more}


def _properties(colours: Mapping[str, str]) -> str:
    return ";".join(f"--{name.replace('_', '-')}:{value}" for name, value in colours.items())


def _colours(given: object, where: str, faults: list[str]) -> dict[str, str]:
    if not isinstance(given, Mapping):
        faults.append(f"theme.{where} must be a table of colours, not {reads.shown(given)}")
        return {}
    found = {}
    for name, value in given.items():
        if name not in LIGHT:
            faults.append(f"theme.{where}.{name} is unknown; there are {', '.join(LIGHT)}")
        elif not isinstance(value, str) or not _COLOUR.fullmatch(value.lower()):
            faults.append(f"theme.{where}.{name} must be a colour such as #1c1b18, not {reads.shown(value)}")
        else:
            found[name] = value.lower()
    return found


def _image(given: object, where: str, faults: list[str]) -> str:
    if given == "":
        return ""
    if isinstance(given, str):
        if _DATA.fullmatch(given) and len(given) <= _DATA_CHARS:
            return given
        if _ADDRESS.fullmatch(given) and len(given) <= _ADDRESS_CHARS:
            return given
    faults.append(
        f"theme.{where} must be an https address of a picture or data:image/…;base64, of at most "
        f"{_DATA_CHARS} characters, not {reads.shown(given)}"
    )
    return ""


def _texts(
    given: object, keys: Mapping[str, Iterable[str]] | None, faults: list[str]
) -> dict[str, dict[str, str]]:
    if not isinstance(given, Mapping):
        faults.append(f"theme.texts must be a table by language, not {reads.shown(given)}")
        return {}
    found: dict[str, dict[str, str]] = {}
    for tag, own in given.items():
        if not isinstance(tag, str) or not _LANGUAGE.fullmatch(tag) or not isinstance(own, Mapping):
            faults.append(f"theme.texts.{tag} must be a table of texts by a language such as en")
            continue
        if len(own) > _TEXTS_MOST:
            faults.append(f"theme.texts.{tag} must have at most {_TEXTS_MOST} texts, not {len(own)}")
            continue
        found[tag] = {}
        for key, text in own.items():
            here = f"theme.texts.{tag}.{key}"
            if not _KEY.fullmatch(key) or (keys is not None and key not in keys):
                faults.append(f"{here} is no text of the page")
            elif not isinstance(text, str) or not 0 < len(text.strip()) <= _TEXT_CHARS:
                faults.append(
                    f"{here} must be a text of at most {_TEXT_CHARS} characters, not {reads.shown(text)}"
                )
            elif set("{}") & set(re.sub(r"\{\w+\}", "", text)):
                faults.append(f"{here} has a brace that belongs to no parameter")
            elif keys is not None and (more := _parameters(text) - set(keys[key])):
                faults.append(
                    f"{here} has a parameter that this text does not get: {', '.join(sorted(more))}"
                )
            else:
                found[tag][key] = text
    return found


def _parameters(text: str) -> set[str]:
    return set(re.findall(r"\{(\w+)\}", text))
