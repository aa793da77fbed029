"""View: the HTML that a fan's browser gets, made from given values, in the fan's language.

The **shell** is the same bytes for everybody who speaks the language, but for the target, so that a cache may hold
it (``static/`` does the rest); the **ticket** is a fan's own view without JavaScript; the **notice** is one sentence
where there is nothing else to show; **how** tells how the line works; the **previews** list every state. No page
carries inline script or style but a room's theme, whose hash the policy names. An operator's own page
(`custom_page_html`) is Mustache around our parts (``own_page``).

Not here: who may see what, status codes, headers other than the policy (``web``), what a room's settings
say in words (``telling``).
"""

import json
import re
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any
from urllib.parse import urlencode

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from waitroom import own_page
from waitroom.assets import ENTRY, SETTLE, asset_url, assets, modules, words_name
from waitroom.theme import PLAIN, Theme, fitting_texts, style_hash, text_faults
from waitroom.wait import Interval
from waitroom.words import Catalogue, languages

__all__ = [
    "STATES", "Action", "Shell", "TicketView", "asset_url", "assets", "content_security_policy",
    "custom_page_faults", "how_page", "notice_page", "previews_page", "render", "shell", "speaking",
    "theme_faults", "ticket_page",
]  # fmt: skip

TARGET = "@@target@@"
"""Stands in the shell where the target goes; no room name or text of ours contains it."""

STATES = (
    "loading", "joining", "before", "gathering", "drawing", "drawn", "lined", "waiting", "almost", "called", "next",
    "admitted", "open", "recall", "paused", "full", "busy", "soldout", "moved", "ended", "closing", "used", "left",
    "carried", "offline", "away", "cookies", "refused",
)  # fmt: skip
"""Everything that the page can show; the words of `data-state`."""

PLAIN_STATES = (
    "before", "gathering", "drawing", "drawn", "lined", "waiting", "almost", "called", "recall", "admitted", "paused",
    "full", "busy", "soldout", "moved", "ended", "used", "left", "away", "refused",
)  # fmt: skip
"""Those that there are without JavaScript, too."""

_OVER = frozenset({"left", "used", "ended", "admitted", "moved"})
_ESTIMATED = frozenset({"drawn", "lined", "waiting", "almost"})
_MANUAL_REFRESH_MOST_S = 60
_CALLED_REFRESH_S = 30
_ALMOST_S = 120
_GZIP_HEAD = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x02\xff"
_STORED_MOST = 65_535


@dataclass(frozen=True, slots=True)
class TicketView:
    """What the ticket page shows. Fields as in the personal JSON; `drawn_of` is N of a finished draw."""

    phase: str
    standing: str
    number: int
    rank: int | None
    ahead: int | None
    wait: Interval | None
    poll_ms: int
    paused: bool = False
    message: str = ""
    starts_in_s: float | None = None
    frozen: bool = False
    drawn_of: int | None = None
    held: float | None = None
    of: int = 0
    stock_state: str | None = None
    stock_left: int | None = None
    moved_to: str | None = None
    lane: str = "standard"
    left_s: float | None = None
    extensions_left: int = 0
    bound: bool = False
    """The place is bound to the browser's key, which only scripts can show."""
    asks: str = ""
    """Who is asked for a check: suspects, everybody, or '' for nobody."""


@dataclass(frozen=True, slots=True)
class Action:
    """The one button of a notice."""

    label: str
    url: str
    method: str = "get"
    target: str = ""


@dataclass(frozen=True, slots=True)
class Look:
    """How a room's pages look and speak."""

    name: str
    words: Catalogue
    theme: Theme = PLAIN
    reminds: bool = False
    """Fans are asked whether they want to be told."""
    binds: bool = False
    """Places are bound to the browser's key."""


class Shell:
    """The waiting page of one room in one language, rendered and compressed once."""

    __slots__ = ("_parts", "_squeezed")

    def __init__(self, text: str) -> None:
        """Cut the page where the target goes, and compress each part for itself."""
        self._parts = [part.encode() for part in text.split(TARGET)]
        self._squeezed = [_deflated(part) for part in self._parts]

    def page(self, target: str = "") -> bytes:
        """Return the page for one target; without one the page finds it in its own address."""
        return str(escape(target)).encode().join(self._parts)

    def gzip(self, target: str = "") -> bytes:
        """Return the same page compressed: the ready parts, with the target between them as it is."""
        body = self.page(target)
        plain = str(escape(target)).encode()
        if len(plain) > _STORED_MOST:
            return zlib.compress(body, wbits=31)
        size = len(plain)
        between = b"\x00" + size.to_bytes(2, "little") + (size ^ 0xFFFF).to_bytes(2, "little") + plain
        # A last, empty, stored block ends the stream.
        stream = between.join(self._squeezed) + b"\x01\x00\x00\xff\xff"
        tail = zlib.crc32(body).to_bytes(4, "little") + (len(body) & 0xFFFFFFFF).to_bytes(4, "little")
        return _GZIP_HEAD + stream + tail


def content_security_policy(
    frame_ancestors: str = "'self'", *, custom: bool = False, theme: Theme = PLAIN, also: Sequence[str] = ()
) -> str:
    """Return the policy of our pages; an operator's own page may also carry styles and pictures.

    `also` are the sources of a provider's check; they stand on the page of that check and on no other.
    """
    others = "".join(f" {source}" for source in also)
    styles = f" {style_hash(theme.css)}" if theme.css else ""
    return "; ".join(
        (
            "default-src 'none'",
            f"script-src 'self'{others}",
            *((f"frame-src{others}",) if also else ()),
            "style-src 'self' 'unsafe-inline'" if custom else f"style-src 'self'{styles}{others}",
            "img-src 'self' data: https:" if custom else " ".join(("img-src 'self' data:", *theme.sources)),
            *(("font-src 'self' https:",) if custom else ()),
            f"connect-src 'self'{others}",
            "form-action 'self'",
            "base-uri 'none'",
            f"frame-ancestors {frame_ancestors}",
        )
    )


def shell(
    room: str,
    prefix: str,
    look: Look,
    custom_page_html: str = "",
    variables: Mapping[str, object] | None = None,
    preview: str = "",
    asks: str = "",
    *,
    settles: bool = False,
    who: bool = False,
    said: str = "",
) -> Shell:
    """Render the waiting page of a room, or the operator's own page around our parts.

    `asks` says who is asked for a check, "" for nobody; `settles`: the page tells how it was handled; `who`: the
    room asks everybody who they are; `said` is the message of a preview. A page that `custom_page_faults` would have
    refused may raise anything here.
    """
    own = look.words.of_bound(look.binds) | fitting_texts(look.theme, look.words.tag, _keys(look.words.tag))
    needed = [*modules(), *(("preview.js",) if preview else ())]
    values = _values(prefix, look) | {
        "room": room,
        "prefix": prefix,
        "reminds": look.reminds,
        "target": TARGET,
        "preview": preview,
        "said": said,
        "asks": asks,
        "settle": asset_url(prefix, SETTLE) if settles else "",
        "who": asset_url(prefix, "asking.js") if who else "",
        "script": asset_url(prefix, ENTRY),
        "bind": asset_url(prefix, "bind.js") if look.binds and not preview else "",
        "words": asset_url(prefix, words_name(look.words.tag)),
        "modules": [asset_url(prefix, name) for name in (*needed, words_name(look.words.tag))],
        "texts": json.dumps(own, ensure_ascii=False) if own else "",
    }
    template = _environment().get_template("shell.html")
    if not custom_page_html:
        return Shell(template.render(values))
    parts = {part: "".join(template.blocks[part](template.new_context(values))) for part in own_page.PARTS}
    links = f'<link rel="stylesheet" href="{values["stylesheet"]}">'
    parts["head"] = links + (f"<style>{look.theme.css}</style>" if look.theme.css else "") + parts["head"]
    parts["attributes"] = f'lang="{look.words.tag}" dir="{look.words.direction}"{parts["attributes"]}'
    return Shell(own_page.rendered(custom_page_html, parts, {"name": look.name, **(variables or {})}))


def custom_page_faults(custom_page_html: str) -> list[str]:
    """Name everything that keeps a custom page from working; an empty list is a good page."""
    return own_page.faults(custom_page_html)


def theme_faults(theme: Theme) -> list[str]:
    """Name every own text of a theme that no page would show; an empty list is a good theme."""
    return text_faults(theme, {tag: _keys(tag) for tag in languages()})


def speaking(words: Catalogue, theme: Theme) -> Catalogue:
    """Return a catalogue with a room's own texts laid over it, as far as they fit."""
    own = fitting_texts(theme, words.tag, _keys(words.tag))
    return Catalogue(words.tag, {**words.raw, **own}) if own else words


def ticket_page(
    room: str,
    prefix: str,
    look: Look,
    target: str,
    place: TicketView,
    *,
    still: bool = False,
    preview: str = "",
) -> bytes:
    """Render a fan's place without JavaScript; `still` leaves the reload to the fan's hand.

    `preview` is a state to show whatever the place is; its buttons do nothing.
    """
    words = look.words
    state = preview or ticket_state(place)
    base = f"{prefix}r/{room}"
    over = state in _OVER
    refresh_s = None
    if not still and not over:
        refresh_s = max(2, min(round(place.poll_ms / 1000), _MANUAL_REFRESH_MOST_S))
        if state in {"called", "recall"}:
            refresh_s = max(refresh_s, _CALLED_REFRESH_S)
    return render(
        "ticket.html",
        prefix,
        look,
        base=base,
        target=target,
        state=state,
        preview=bool(preview),
        over=over,
        view=place,
        detail=_detail(state, place, words),
        left=words.text("turn.left", clock=words.span(place.left_s))
        if place.left_s and state == "called"
        else "",
        facts=[] if over else _facts(place, words),
        notes=[] if over else _notes(place, words, estimated=state in _ESTIMATED),
        onward=target if state == "admitted" else place.moved_to if state == "moved" else "",
        refresh_s=refresh_s,
        prove=f"{base}/challenge?{urlencode({'target': target, 'lang': words.tag})}"
        if place.lane == "suspect" and place.asks and not over
        else "",
        remind=f"{base}/remind?{urlencode({'target': target, 'lang': words.tag})}" if look.reminds else "",
        again=f"{base}/ticket?{urlencode({'target': target, 'lang': words.tag})}",
        still=f"{base}/ticket?{urlencode({'target': target, 'still': 1, 'lang': words.tag})}",
    )


def notice_page(
    prefix: str,
    look: Look,
    *,
    stage: str,
    headline: str,
    detail: str,
    state: str = "refused",
    action: Action | None = None,
    refresh_s: int | None = None,
    again: str = "",
) -> bytes:
    """Render one sentence for people. With `refresh_s` the page goes to `again` by itself."""
    return render(
        "notice.html",
        prefix,
        look,
        stage=stage,
        headline=headline,
        detail=detail,
        state=state,
        action=action,
        refresh_s=refresh_s,
        again=again,
    )


def how_page(room: str, prefix: str, look: Look, sections: Sequence[tuple[str, Sequence[str]]]) -> bytes:
    """Render how the line works: titles, each with its sentences (``telling``)."""
    return render("how.html", prefix, look, base=f"{prefix}r/{room}", sections=sections)


def previews_page(room: str, prefix: str, look: Look, tongues: Sequence[tuple[str, str]]) -> bytes:
    """Render the list of all states in all languages, for the operator."""
    base = f"{prefix}r/{room}"
    return render(
        "previews.html", prefix, look, base=base, states=STATES, plain=PLAIN_STATES, tongues=tongues
    )


def ticket_state(place: TicketView) -> str:
    """Name what the ticket view shows; the same words as `data-state` in the shell."""
    if place.moved_to is not None:
        return "moved"
    if place.phase == "ended":
        return "ended"
    if place.standing in {"left", "admitted"}:
        return place.standing
    if place.phase == "idle":
        return "before"
    if place.stock_state == "soldout":
        return "soldout"
    if place.paused:
        return "paused"
    if place.standing in {"called", "recall"}:
        return place.standing
    if place.rank is None:
        return "drawing" if place.frozen else "gathering"
    if place.phase == "gathering":
        return "drawn" if place.drawn_of is not None else "lined"
    near = place.ahead == 0 if place.wait is None else sum(place.wait) / 2 <= _ALMOST_S
    return "almost" if near else "waiting"


@cache
def _keys(tag: str) -> Mapping[str, frozenset[str]]:
    """Return the text keys of a language and the parameters that each text gets."""

    def parameters(text: str | Mapping[str, str]) -> frozenset[str]:
        return frozenset(re.findall(r"\{(\w+)\}", text if isinstance(text, str) else text["other"]))

    return {key: parameters(text) for key, text in languages()[tag].raw.items()}


def _detail(state: str, place: TicketView, words: Catalogue) -> str:
    key = f"state.{state}.detail"
    starts = Interval(place.starts_in_s, place.starts_in_s) if place.starts_in_s else None
    match state:
        case "drawn" | "lined" | "waiting" | "almost":
            return (
                words.text(key, wait=words.wait(place.wait)) if place.wait else words.text(f"{key}-unknown")
            )
        case "before":
            return (
                words.text("plain.opens-in", wait=words.wait(starts))
                if starts
                else words.text("plain.opens-later")
            )
        case "gathering" if starts:
            return f"{words.text(key)} {words.text('plain.starts-in', wait=words.wait(starts))}"
        case "called":
            return words.text("plain.called.detail")
        case "left":
            return words.text("plain.end-of-line")
        case "soldout":
            return words.text(f"{key}-returns")
        case "moved" if place.moved_to:
            return words.text(f"{key}-link")
        case _:
            return words.text(key)


def _facts(place: TicketView, words: Catalogue) -> list[tuple[str, str]]:
    facts = [(words.text("facts.arrived"), words.text("facts.arrived-value", n=place.number + 1))]
    if place.drawn_of is not None and place.rank is not None and place.number < place.drawn_of:
        drawn = words.text("facts.drawn-value", n=place.rank + 1, all=place.drawn_of)
        facts.insert(0, (words.text("facts.drawn"), drawn))
    if place.lane == "verified":
        facts.append((words.text("facts.lane"), words.text("lane.verified")))
    return facts


def _notes(place: TicketView, words: Catalogue, *, estimated: bool) -> list[str]:
    notes = []
    if estimated and place.wait is not None and place.held is not None and place.of:
        notes.append(words.text("held.text", percent=words.percent(place.held)))
    if place.stock_left is not None:
        notes.append(words.text("stock.left", n=place.stock_left))
    elif place.stock_state == "last":
        notes.append(words.text("stock.last"))
    if place.lane == "suspect":
        notes.append(words.text("lane.why-all" if place.asks == "everybody" else "lane.why-suspect"))
        if place.asks:
            notes.append(words.text("lane.way-out"))
    return notes


def _deflated(part: bytes) -> bytes:
    """Compress a part so that others can follow it: it ends on a whole byte and looks back at nothing else."""
    stream = zlib.compressobj(9, zlib.DEFLATED, -15)
    return stream.compress(part) + stream.flush(zlib.Z_FULL_FLUSH)


def _values(prefix: str, look: Look) -> dict[str, Any]:
    return {
        "t": look.words.text,
        "number": look.words.number,
        "name": look.name,
        "lang": look.words.tag,
        "dir": look.words.direction,
        "paper": look.theme.light_colours["paper"],
        "paper_dark": look.theme.dark_colours["paper"],
        "logo": look.theme.logo,
        "picture": look.theme.picture,
        # Made of colours and addresses that were read one by one; nothing in it can end the element.
        "theme_css": Markup(look.theme.css),  # noqa: S704
        "stylesheet": asset_url(prefix, "waitroom.css"),
        "icon": asset_url(prefix, "waitroom.svg"),
        "icon_turn": asset_url(prefix, "turn.svg"),
    }


def render(page: str, prefix: str, look: Look, **values: Any) -> bytes:
    """Fill in a template of ``pages/``."""
    return _environment().get_template(page).render(_values(prefix, look) | values).encode()


@cache
def _environment() -> Environment:
    return Environment(
        loader=PackageLoader("waitroom", "pages"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
