"""Asset: a static file of the shop, ready to be sent, under an address that changes with it.

Every file stands at ``/static/{version}/{name}``, and the version is a hash of all of them: ES modules name each other
by file (``./plan.js``), so a page never mixes two versions and every cache may keep what it has for ever. Served
scripts and style sheets come without their comments and indentation. ``words.{tag}.js`` is made of the
language's texts.

Not here: who asks, caching headers (``web``).
"""

import gzip
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from importlib.resources import files

from checkout.site.words import languages

_MEDIA_TYPES = {
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".svg": "image/svg+xml",
}
_BLOCK_COMMENT = re.compile(r"^[ \t]*/\*(?!!).*?\*/[ \t]*\n?", re.MULTILINE | re.DOTALL)
_LINE_COMMENT = re.compile(r"^[ \t]*//.*\n", re.MULTILINE)
_BLANKS = re.compile(r"\n\s*")

SEAT_MODULES = (
    "camera", "deals", "deltas", "gestures", "list", "live", "map", "naming", "painter", "palette", "panel", "plan",
    "say", "scenery", "visit", "wire", "words",
)  # fmt: skip
"""What `seats.js` imports, near and far: the page asks for all at once instead of one after the other."""


@dataclass(frozen=True, slots=True)
class Asset:
    """A static file; `gzip` is its body compressed."""

    name: str
    media_type: str
    body: bytes
    gzip: bytes


@cache
def assets() -> Mapping[str, Asset]:
    """Return the static files by name, the words of each language among them."""
    found: dict[str, Asset] = {}
    for file in sorted(files("checkout.site").joinpath("static").iterdir(), key=lambda file: file.name):
        suffix = file.name[file.name.rfind(".") :]
        if suffix not in _MEDIA_TYPES:
            continue
        text = file.read_text("utf-8")
        found[file.name] = _asset(file.name, _thinned(text) if suffix in {".js", ".css"} else text)
    for tag, catalogue in languages().items():
        text = json.dumps(catalogue.browser, ensure_ascii=False, separators=(",", ":"))
        found[f"words.{tag}.js"] = _asset(f"words.{tag}.js", f"export default {text};\n")
    return found


@cache
def version() -> str:
    """Return the hash of all assets, as it stands in their addresses."""
    every = sha256()
    for name, asset in assets().items():
        every.update(name.encode() + b"\0" + asset.body + b"\0")
    return every.hexdigest()[:12]


def address(name: str) -> str:
    """Return where an asset is. Raises KeyError for one that is none."""
    return f"/static/{version()}/{assets()[name].name}"


def _thinned(text: str) -> str:
    """Leave out whole-line comments and indentation; our files have no text over several lines."""
    bare = _LINE_COMMENT.sub("", _BLOCK_COMMENT.sub("", text))
    return _BLANKS.sub("\n", bare).strip() + "\n"


def _asset(name: str, text: str) -> Asset:
    body = text.encode()
    return Asset(name, _MEDIA_TYPES[name[name.rfind(".") :]], body, gzip.compress(body, 9, mtime=0))
