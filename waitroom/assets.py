"""Asset: a static file of the page, ready to be sent, with its hash in its address.

Caches may keep an asset for ever, because its address changes with its bytes. The script is ES modules that
name each other by file (``./rules.js``); served, those names carry the hash of all modules together, so that no
page ever mixes two versions. Served modules and style sheets come without their comments and indentation, which
are two fifths of them; that is all that is changed, and a licence (``/*!``) stays. ``words.{tag}.js`` is made
of the catalogue of that language.

Not here: who asks, caching headers (``shells``).
"""

import gzip
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from importlib.resources import files

from waitroom.words import languages

ENTRY = "waitroom.js"
SETTLE = "settle.js"
LAZY = frozenset(
    {
        "ahead.js", "asking.js", "bind.js", "canned.js", "carry.js", "check.js", "code.js", "notice.js", "preview.js",
        "qr.js", "receipt.js", "remind.js", "rhythm.js", "settle.js", "solve.js", "worker.js",
    }
)  # fmt: skip
"""What a visit does not need to wait: loaded when a dialog opens or a receipt is fetched, for who wants notifications,
on a preview or check page, in a room that binds places to browsers or asks who comes; `settle.js` and `rhythm.js` after
all else, where the room looks at rhythms, `ahead.js` with a check before the turn, `canned.js` for a canned message
or an evicted place, `code.js` on the page of a priority code."""

_MEDIA_TYPES = {
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".json": "application/json",
    ".svg": "image/svg+xml",
    ".txt": "text/plain; charset=utf-8",
}
_IMPORT = re.compile(r'(\bfrom |\bimport\()"\./([a-z]+\.js)"')
_BLOCK_COMMENT = re.compile(r"^[ \t]*/\*(?!!).*?\*/[ \t]*\n?", re.MULTILINE | re.DOTALL)
_LINE_COMMENT = re.compile(r"^[ \t]*//.*\n", re.MULTILINE)
_BLANKS = re.compile(r"\n\s*")


@dataclass(frozen=True, slots=True)
class Asset:
    """A static file. `tag` changes with its bytes and stands in its address."""

    name: str
    media_type: str
    body: bytes
    gzip: bytes
    tag: str


@cache
def assets() -> Mapping[str, Asset]:
    """Return the static files by name, the words of each language among them."""
    texts: dict[str, str] = {}
    found: dict[str, Asset] = {}
    for file in sorted(files("waitroom").joinpath("static").iterdir(), key=lambda file: file.name):
        suffix = file.name[file.name.rfind(".") :]
        if suffix == ".js":
            texts[file.name] = thinned(file.read_text("utf-8"))
        elif suffix in _MEDIA_TYPES:
            text = file.read_text("utf-8")
            found[file.name] = _asset(file.name, _styles(text) if suffix == ".css" else text)
    tag = _tag("".join(texts.values()).encode())
    for name, text in texts.items():
        found[name] = _asset(name, _IMPORT.sub(rf'\1"./\2?v={tag}"', text), tag)
    for language, catalogue in languages().items():
        text, canned = _json(catalogue.browser), _json(catalogue.canned)
        # One tag for both: the page makes the address of the one from that of the other.
        both = _tag(f"{text}{canned}".encode())
        found[words_name(language)] = _asset(words_name(language), f"export default {text};\n", both)
        found[canned_name(language)] = _asset(canned_name(language), canned, both)
    return found


def words_name(language: str) -> str:
    """Return the name of the module that holds a language's texts."""
    return f"words.{language}.js"


def canned_name(language: str) -> str:
    """Return the name of the file with what operators say most often; loaded when something of it is said."""
    return f"canned.{language}.json"


def modules() -> list[str]:
    """Return the modules that every visit needs, besides the entry and the words."""
    return [
        name
        for name in assets()
        if name.endswith(".js")
        and name not in LAZY
        and name != ENTRY
        and (name == "words.js" or not name.startswith("words."))
    ]


def asset_url(prefix: str, name: str) -> str:
    """Return the address of a static file; it changes with the file."""
    return f"{prefix}static/{name}?v={assets()[name].tag}"


def squeezed(body: bytes) -> bytes:
    """Compress bytes that are kept, hence as small as it gets; the same bytes in every worker."""
    return gzip.compress(body, 9, mtime=0)


def thinned(text: str) -> str:
    """Leave out whole-line comments and indentation of a script; our modules have no text over several lines."""
    text = _LINE_COMMENT.sub("", _BLOCK_COMMENT.sub("", text))
    return _BLANKS.sub("\n", text).strip() + "\n"


def _json(texts: Mapping[str, object]) -> str:
    return json.dumps(texts, ensure_ascii=False, separators=(",", ":"))


def _styles(text: str) -> str:
    return _BLANKS.sub("\n", re.sub(r"/\*.*?\*/", "", text, flags=re.DOTALL)).strip() + "\n"


def _asset(name: str, text: str, tag: str = "") -> Asset:
    body = text.encode()
    media_type = _MEDIA_TYPES[name[name.rfind(".") :]]
    return Asset(name, media_type, body, squeezed(body), tag or _tag(body))


def _tag(body: bytes) -> str:
    return sha256(body).hexdigest()[:12]
