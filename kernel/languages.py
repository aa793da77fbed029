"""Languages: texts by key in several languages, with plurals and numbers, and the one that a visitor likes.

One flat file for each language, ``languages/{tag}.json`` in a package: key to text, or to one text for each plural
category that CLDR has for the language, chosen by the parameter ``n``. Parameters stand as ``{name}``; a text
holds no markup. Adding a language is adding a file: it must have the keys, the parameters and the plural kinds of
English (`faults`), or the process does not start.

Digits are Western (0 to 9) in every language, as Babel's default says.

Sources: CLDR through Babel; RFC 9110, 12.5.4 and RFC 4647, 3.4 (lookup). Not here: any text, and what a package says
beside numbers (spans, money, moments).
"""

import json
import re
from collections.abc import Container, Iterable, Mapping
from importlib.resources.abc import Traversable
from string import Formatter
from typing import Any

from babel import Locale
from babel.numbers import format_decimal

from kernel.errors import Misconfigured

SOURCE = "en"
"""The language whose file says which keys, parameters and plurals there are."""

Text = str | Mapping[str, str]

_ACCEPT_MOST_CHARS = 1000
_TAG_MOST_CHARS = 100
_RANGE = re.compile(
    r"\s*(\*|[A-Za-z]{1,8}(?:[-_][A-Za-z0-9]{1,8})*)\s*"
    r"(?:;\s*[qQ]=(0(?:\.\d{0,3})?|1(?:\.0{0,3})?)\s*)?"
)


class Texts:
    """All texts in one language."""

    __slots__ = ("_locale", "raw", "tag")

    def __init__(self, tag: str, raw: Mapping[str, Text], locale: str = "") -> None:
        """Take texts that have no `faults`; `locale`: the flavour whose numbers are written, else `tag` itself."""
        self.tag = tag
        self.raw = raw
        self._locale = Locale.parse(locale or tag, sep="-")

    @property
    def name(self) -> str:
        """What the language calls itself."""
        return self.text("language.name")

    @property
    def direction(self) -> str:
        """Return `ltr` or `rtl`, as for the attribute `dir`."""
        return self.text("language.direction")

    def text(self, key: str, **values: str | float) -> str:
        """Return a text with its parameters filled in; numbers are written as the language does.

        Raises KeyError for a key that no language has, or a parameter that was not given.
        """
        shown = {
            name: value if isinstance(value, str) else self.number(value) for name, value in values.items()
        }
        return self.form(key, values.get("n")).format_map(shown)

    def form(self, key: str, n: str | float | None) -> str:
        """Return a text with its parameters still open, in the plural for `n`. Raises KeyError."""
        text = self.raw[key]
        if isinstance(text, str):
            return text
        if not isinstance(n, int | float):
            raise KeyError("n")
        return text[self._locale.plural_form(n)]

    def number(self, n: float) -> str:
        """Write a number with the language's separators and Western digits."""
        return format_decimal(n, locale=self._locale)


def read_languages(folder: Traversable) -> dict[str, dict[str, Text]]:
    """Read the files of a folder, in the order of their tags. Raises Misconfigured with every fault of every file."""
    found: dict[str, dict[str, Text]] = {}
    for file in sorted(folder.iterdir(), key=lambda file: file.name):
        if file.name.endswith(".json"):
            found[file.name.removesuffix(".json")] = json.loads(file.read_text("utf-8"))
    wrong = [fault for tag, raw in found.items() for fault in faults(tag, raw, found[SOURCE])]
    if wrong:
        raise Misconfigured(wrong)
    return found


def negotiate(known: Container[str], accept_language: str, wanted: str = "", default: str = SOURCE) -> str:
    """Return the tag of the language to speak: what was asked for by name, what the browser likes, the default.

    `de-AT` is answered with `de`; `*` means the default. Nothing in a header is an error: what cannot be
    read is skipped, and of a very long header only the beginning counts.
    """
    named = _lookup(wanted, known)
    if named:
        return named
    fallback = _lookup(default, known) or SOURCE
    ranges = list(_ranges(accept_language))
    never = {tag.lower() for tag, quality in ranges if quality == 0}
    for tag, quality in sorted(ranges, key=lambda item: -item[1]):
        found = fallback if tag == "*" else _lookup(tag, known)
        if quality > 0 and found and found not in never:
            return found
    return fallback


def region(accept_language: str) -> str:
    """Return the region that a browser's languages name first: `CH` of `de-CH, en;q=0.8`; empty where none does."""
    for tag, quality in sorted(_ranges(accept_language), key=lambda item: -item[1]):
        for part in tag.replace("_", "-").split("-")[1:]:
            if quality > 0 and len(part) == 2 and part.isalpha():
                return part.upper()
            if len(part) == 1:
                # What follows a single letter is an extension, not a region.
                break
    return ""


def faults(tag: str, raw: Mapping[str, Any], source: Mapping[str, Any]) -> list[str]:
    """Name everything that keeps a language's file from saying what `source` says; empty is a good file."""
    plural = Locale.parse(tag).plural_form
    categories = plural.tags | {"other"}
    met = [plural(n) for n in range(200)]
    single = {category for category in categories if met.count(category) == 1}
    found = [f"{tag}: {key} is missing" for key in source if key not in raw]
    for key, text in raw.items():
        if key not in source:
            found.append(f"{tag}: {key} is unknown")
            continue
        like = source[key]
        if isinstance(text, str) != isinstance(like, str):
            kind = "one text" if isinstance(text, str) else "plural"
            found.append(f"{tag}: {key} is {kind}, other than {SOURCE}")
            continue
        forms = {"": text} if isinstance(text, str) else text
        if isinstance(text, Mapping) and text.keys() != categories:
            found.append(f"{tag}: {key} has the plurals {_list(text)}, not {_list(categories)}")
        wants = _parameters(like if isinstance(like, str) else like["other"])
        for category, form in forms.items():
            # "One person": a form that is met by a single number may leave that number out.
            has = _parameters(form) | ({"n"} & wants if category in single else set())
            if has != wants:
                found.append(f"{tag}: {key} has the parameters {_list(has)}, not {_list(wants)}")
            if not form.strip():
                found.append(f"{tag}: {key} is empty")
    return found


def _parameters(text: str) -> set[str]:
    return {name for _, name, _, _ in Formatter().parse(text) if name is not None}


def _list(words: Iterable[str]) -> str:
    return ", ".join(sorted(words)) or "none"


def _ranges(accept_language: str) -> Iterable[tuple[str, float]]:
    """Yield language ranges and their quality as far as they can be read."""
    head = accept_language[:_ACCEPT_MOST_CHARS]
    if len(accept_language) > _ACCEPT_MOST_CHARS:
        head = head.rpartition(",")[0]
    for item in head.split(","):
        match = _RANGE.fullmatch(item)
        if match:
            yield match[1], float(match[2] or 1)


def _lookup(tag: str, known: Container[str]) -> str:
    """Return the known language of a tag, cutting subtags from its end (RFC 4647, lookup); empty for none."""
    parts = tag[:_TAG_MOST_CHARS].lower().replace("_", "-").split("-")
    while parts:
        if "-".join(parts) in known:
            return "-".join(parts)
        parts.pop()
    return ""
