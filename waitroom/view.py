"""View: the HTML that a fan's browser gets, made from given values.

Three pages: the **shell**, the same bytes for everybody but for the target, so that a cache may hold it
(``static/waitroom.js`` does the rest); the **ticket**, a fan's own view without JavaScript; the
**notice**, one sentence where there is nothing else to show. No page carries inline script or style, so
the strict policy below holds. An operator's own page (`custom_page_html`) is a Jinja2 template in a
sandbox that puts our parts where it wants them.

Not here: who may see what, status codes, headers other than the policy (``web``).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from importlib.resources import files
from typing import Any
from urllib.parse import urlencode

from jinja2 import DictLoader, Environment, PackageLoader, StrictUndefined
from jinja2.sandbox import SandboxedEnvironment
from markupsafe import Markup, escape

from waitroom.wait import Interval, words

TARGET = "@@target@@"
"""Stands in the shell where the target goes; no room name or text of ours contains it."""

CUSTOM_PARTS = ("attributes", "head", "main", "footer")
_MEDIA_TYPES = {
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".svg": "image/svg+xml",
}
_MANUAL_REFRESH_MOST_S = 60
_CALLED_REFRESH_S = 30


@dataclass(frozen=True, slots=True)
class Asset:
    """A static file, ready to be sent. `tag` changes with its bytes and stands in its address."""

    name: str
    media_type: str
    body: bytes
    tag: str


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


@dataclass(frozen=True, slots=True)
class Action:
    """The one button of a notice."""

    label: str
    url: str
    method: str = "get"
    target: str = ""


class Shell:
    """The waiting page of one room, rendered once."""

    __slots__ = ("_parts",)

    def __init__(self, text: str) -> None:
        """Cut the page where the target goes."""
        self._parts = [part.encode() for part in text.split(TARGET)]

    def page(self, target: str = "") -> bytes:
        """Return the page for one target; without one the page finds it in its own address."""
        return str(escape(target)).encode().join(self._parts)


@cache
def assets() -> Mapping[str, Asset]:
    """Return the static files by name."""
    found = {}
    for file in files("waitroom").joinpath("static").iterdir():
        suffix = file.name[file.name.rfind(".") :]
        if suffix in _MEDIA_TYPES:
            body = file.read_bytes()
            found[file.name] = Asset(file.name, _MEDIA_TYPES[suffix], body, sha256(body).hexdigest()[:12])
    return found


def asset_url(prefix: str, name: str) -> str:
    """Return the address of a static file; it changes with the file, so caches may keep it for ever."""
    return f"{prefix}static/{name}?v={assets()[name].tag}"


def content_security_policy(frame_ancestors: str = "'self'", *, custom: bool = False) -> str:
    """Return the policy of our pages; an operator's own page may also carry styles and pictures."""
    return "; ".join(
        (
            "default-src 'none'",
            "script-src 'self'",
            "style-src 'self' 'unsafe-inline'" if custom else "style-src 'self'",
            "img-src 'self' data: https:" if custom else "img-src 'self' data:",
            *(("font-src 'self' https:",) if custom else ()),
            "connect-src 'self'",
            "form-action 'self'",
            "base-uri 'none'",
            f"frame-ancestors {frame_ancestors}",
        )
    )


def shell(room: str, prefix: str, name: str, custom_page_html: str = "") -> Shell:
    """Render the waiting page of a room, or the operator's own page around our parts.

    A custom page that `custom_page_faults` would have refused may raise anything here.
    """
    values = {"room": room, "prefix": prefix, "name": name, "target": TARGET} | _links(prefix)
    template = _environment().get_template("shell.html")
    if not custom_page_html:
        return Shell(template.render(values))
    blocks = {part: "".join(template.blocks[part](template.new_context(values))) for part in CUSTOM_PARTS}
    parts = {part: Markup(text) for part, text in blocks.items()}  # noqa: S704 - ours, escaped already
    return Shell(_sandbox().from_string(custom_page_html).render(values | parts))


def custom_page_faults(custom_page_html: str) -> list[str]:
    """Name everything that keeps a custom page from working; an empty list is a good page."""
    try:
        text = shell("room", "/", "Room", custom_page_html).page().decode()
    except Exception as fault:  # noqa: BLE001 - somebody's template may raise anything
        return [f"the page is no template: {fault}"]
    need = {
        "attributes": 'data-room="room"',
        "head": "/static/waitroom.js",
        "main": 'id="headline"',
        "footer": 'id="leave"',
    }
    return [f"the page must contain {{{{ {part} }}}}" for part, sign in need.items() if sign not in text]


def ticket_page(
    room: str, prefix: str, name: str, target: str, place: TicketView, *, still: bool = False
) -> bytes:
    """Render a fan's place without JavaScript; `still` leaves the reload to the fan's hand."""
    state = _state(place)
    base = f"{prefix}r/{room}"
    refresh_s = None
    if not still and state not in {"left", "ended", "admitted"}:
        refresh_s = max(2, min(round(place.poll_ms / 1000), _MANUAL_REFRESH_MOST_S))
        if state == "called":
            refresh_s = max(refresh_s, _CALLED_REFRESH_S)
    facts = [("You came as", _nth(place.number + 1))]
    if place.drawn_of is not None and place.rank is not None and place.number < place.drawn_of:
        facts.insert(0, ("Drawn place", f"{_nth(place.rank + 1)} of {place.drawn_of:,}"))
    return _render(
        "ticket.html",
        prefix,
        name=name,
        base=base,
        target=target,
        state=state,
        view=place,
        facts=[] if state in {"ended", "left"} else facts,
        wait=words(place.wait) if place.wait else "",
        starts_in=words(Interval(place.starts_in_s, place.starts_in_s)) if place.starts_in_s else "",
        refresh_s=refresh_s,
        again=f"{base}/ticket?{urlencode({'target': target})}",
        still=f"{base}/ticket?{urlencode({'target': target, 'still': 1})}",
    )


def notice_page(
    prefix: str,
    name: str,
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
    return _render(
        "notice.html",
        prefix,
        name=name,
        stage=stage,
        headline=headline,
        detail=detail,
        state=state,
        action=action,
        refresh_s=refresh_s,
        again=again,
    )


def _state(place: TicketView) -> str:
    """Name what the ticket view shows; the same words as `data-state` in the shell."""
    if place.phase == "ended":
        return "ended"
    if place.standing in {"left", "admitted"}:
        return place.standing
    if place.phase == "idle":
        return "before"
    if place.paused:
        return "paused"
    if place.standing in {"called", "recall"}:
        return "called"
    if place.rank is None:
        return "drawing" if place.frozen else "gathering"
    if place.phase == "gathering":
        return "drawn" if place.drawn_of is not None else "lined"
    return "waiting"


def _nth(count: int) -> str:
    last = count % 100
    ending = "th" if 11 <= last <= 13 else {1: "st", 2: "nd", 3: "rd"}.get(last % 10, "th")
    return f"{count:,}{ending}"


def _links(prefix: str) -> dict[str, str]:
    return {
        "stylesheet": asset_url(prefix, "waitroom.css"),
        "script": asset_url(prefix, "waitroom.js"),
        "icon": asset_url(prefix, "waitroom.svg"),
    }


def _render(page: str, prefix: str, **values: Any) -> bytes:
    return _environment().get_template(page).render(_links(prefix) | values).encode()


@cache
def _environment() -> Environment:
    return Environment(
        loader=PackageLoader("waitroom", "pages"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


@cache
def _sandbox() -> Environment:
    return SandboxedEnvironment(loader=DictLoader({}), autoescape=True, undefined=StrictUndefined)
