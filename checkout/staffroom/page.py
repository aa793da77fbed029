"""Page: the staff room's one page as text, in English and German, and its files. Pure of HTTP, store and clock.

A file stands at ``/staff/static/{version}/{name}``; the version is a hash of all of them, so every cache may keep what
it has for ever. Not here: who sees it (``room``).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from hashlib import sha256
from importlib.resources import files

import segno
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from checkout.people.staff_keys import StaffKey
from checkout.people.staff_sessions import Entry, StaffSession
from kernel.languages import Texts, read_languages

BASE = "/staff/static/"
TYPES = {".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8"}
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
PERMISSIONS = (
    "publickey-credentials-get=(self), publickey-credentials-create=(self), camera=(), microphone=()"
)


@dataclass(frozen=True, slots=True)
class NewDevice:
    """A device that is being made: its secret as text, what it is read from, until when, and our own paper."""

    secret: str
    address: str
    until_ms: int
    paper: str


@dataclass(frozen=True, slots=True)
class Shown:
    """What the page shows of somebody."""

    session: StaffSession | None = None
    keys: Sequence[StaffKey] = ()
    has_device: bool = False
    recovery: int = 0
    entries: Sequence[Entry] = ()
    fault: str = ""
    """A key of the words, '' for none."""
    codes: Sequence[str] = ()
    """Recovery codes, told once."""
    device: NewDevice | None = None
    is_demo: bool = False
    """Whoever comes may choose who they are."""


class StaffPage:
    """The page."""

    def __init__(self) -> None:
        environment = Environment(
            loader=PackageLoader("checkout.staffroom", "pages"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        environment.globals |= {"asset": address, "moment": moment, "qr": qr}
        self._template = environment.get_template("staff.html")

    def text(self, tag: str, shown: Shown) -> str:
        """Write it."""
        words = texts()[tag]
        return self._template.render(words=words, t=words.text, own=shown, told=words.raw)


@cache
def texts() -> Mapping[str, Texts]:
    """Return the words in each language."""
    found = read_languages(files("checkout.staffroom").joinpath("languages"))
    return {tag: Texts(tag, raw) for tag, raw in found.items()}


@cache
def assets() -> Mapping[str, str]:
    """Return the page's files by name."""
    folder = files("checkout.staffroom").joinpath("static")
    return {
        file.name: file.read_text("utf-8")
        for file in sorted(folder.iterdir(), key=lambda file: file.name)
        if file.name.endswith(tuple(TYPES))
    }


@cache
def version() -> str:
    """Return the hash of all files, as it stands in their addresses."""
    every = sha256()
    for name, text in assets().items():
        every.update(name.encode() + b"\0" + text.encode() + b"\0")
    return every.hexdigest()[:12]


def address(name: str) -> str:
    """Return where a file is. Raises ``KeyError`` for one that is none."""
    if name not in assets():
        raise KeyError(name)
    return f"{BASE}{version()}/{name}"


def moment(ms: int) -> str:
    """Write a time for people who may be anywhere."""
    return datetime.fromtimestamp(ms / 1000, UTC).strftime("%Y-%m-%d %H:%M UTC")


def qr(text: str) -> Markup:
    """Draw what a device reads; dark on white in either scheme, because devices read no other."""
    return Markup(segno.make_qr(text, error="m").svg_inline(omitsize=True, border=4, light="#fff"))  # noqa: S704
