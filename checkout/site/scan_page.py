"""Scan page: what a door-keeper's phone shows, and everything that it needs to go on without a network.

    GET  /scan/{event}                          the page: the same for every event, it learns the rest by its token
    GET  /scan/{event}/app.webmanifest          to keep it on a phone's first screen
    GET  /scan/sw.js                            the service worker: page and files, once loaded, without a network
    GET  /scan/static/{version}/{name}          files; the version is a hash of all of them

The page may use the camera, which no other page of the shop may (``Permissions-Policy``); nothing comes from another
site. ``qr/`` is a decoder of somebody else's, unchanged, with its licence beside it. Not here: what a scanner asks
(``tickets.scan_web``).
"""

import gzip
import json
from collections.abc import Mapping, Sequence
from functools import cache, lru_cache
from hashlib import sha256
from importlib.resources import files
from importlib.resources.abc import Traversable
from urllib.parse import parse_qs

from jinja2 import Environment, PackageLoader, StrictUndefined

from checkout.caching import takes_gzip
from checkout.catalogue.event import SLUG
from checkout.site.assets import assets
from checkout.site.words import Catalogue, languages, negotiate
from kernel.asgi import Receive, Scope, Send, header, respond
from kernel.errors import Refused

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "manifest-src 'self'; worker-src 'self'; form-action 'none'; base-uri 'none'; frame-ancestors 'none'"
)
PERMISSIONS = "camera=(self), microphone=(), geolocation=(), display-capture=()"
SHARED = ("words.js",)
"""Files of the shop's other pages that this one uses too."""

WORDS = ("scan.", "seat.place", "language.direction")
"""Texts that the page's script shows."""

_BASE = "/scan/static/"
_TYPES = {
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".svg": "image/svg+xml",
}
_WORKER = "sw.js"
_PAPER = "#0d1117"
_COMMON = [(b"x-content-type-options", b"nosniff"), (b"referrer-policy", b"no-referrer")]
_FOR_EVER = (b"cache-control", b"public, max-age=31536000, immutable")


class ScanPages:
    """The page and its files, as an ASGI application."""

    def __init__(self) -> None:
        environment = Environment(
            loader=PackageLoader("checkout.site", "pages"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        environment.globals["asset"] = address
        self._template = environment.get_template("scan.html")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request. Raises ``Refused``."""
        del receive
        match scope["path"].removeprefix("/scan/").split("/"):
            case [name] if name == _WORKER:
                kind, text, more = _TYPES[".js"], worker(), [(b"cache-control", b"no-cache")]
            case ["static", made, *parts] if made == version() and "/".join(parts) in scan_files():
                name = "/".join(parts)
                kind, text, more = _TYPES[name[name.rfind(".") :]], scan_files()[name], [_FOR_EVER]
            case [event, "app.webmanifest"] if SLUG.fullmatch(event):
                kind, text = "application/manifest+json", manifest(event, _tongue(scope))
                more = [(b"cache-control", b"no-cache"), (b"vary", b"accept-language")]
            case [event] if SLUG.fullmatch(event):
                kind, text = "text/html; charset=utf-8", self.page(event, _tongue(scope))
                more = [
                    (b"cache-control", b"no-cache"),
                    (b"vary", b"accept-language"),
                    (b"content-security-policy", POLICY.encode()),
                    (b"permissions-policy", PERMISSIONS.encode()),
                    (b"cross-origin-opener-policy", b"same-origin"),
                ]
            case _:
                raise Refused("address-unknown", "There is nothing at this address.", status=404)
        if scope["method"] not in {"GET", "HEAD"}:
            raise Refused("method-not-allowed", "This address answers GET only.", status=405, allow="GET")
        octets = text.encode()
        headers = [(b"content-type", kind.encode()), *_COMMON, *more]
        if takes_gzip(scope) and len(octets) > 1_000:
            octets = packed(text)
            headers += [(b"content-encoding", b"gzip")]
        await respond(send, 200, headers, octets)

    def page(self, event: str, words: Catalogue) -> str:
        """Write the page."""
        plain = {key: text for key, text in words.raw.items() if key.startswith(WORDS)}
        texts = json.dumps(plain, ensure_ascii=False, separators=(",", ":"))
        return self._template.render(event=event, words=words, t=words.text, texts=texts)


def _tongue(scope: Scope) -> Catalogue:
    accepted = (header(scope, b"accept-language") or b"").decode("latin-1")
    wanted = parse_qs(scope.get("query_string", b"").decode("latin-1")).get("lang", [""])[0]
    return languages()[negotiate(accepted, wanted)]


@cache
def scan_files() -> Mapping[str, str]:
    """Return the page's files by name, those of the decoder below ``qr/``."""
    folder = files("checkout.site").joinpath("static", "scan")
    found = {name: assets()[name].body.decode() for name in SHARED}
    for file in _below(folder):
        if file.name != _WORKER and file.name.endswith(tuple(_TYPES)):
            found[file.name] = file.read_text("utf-8")
    for file in _below(folder.joinpath("qr")):
        if file.name.endswith(".js"):
            found[f"qr/{file.name}"] = file.read_text("utf-8")
    return found


def _below(folder: Traversable) -> Sequence[Traversable]:
    return sorted((file for file in folder.iterdir() if file.is_file()), key=lambda file: file.name)


@cache
def version() -> str:
    """Return the hash of all files, as it stands in their addresses; the worker's and the page's own text count."""
    every = sha256()
    own = files("checkout.site")
    extra = {
        _WORKER: own.joinpath("static", "scan", _WORKER).read_text("utf-8"),
        "scan.html": own.joinpath("pages", "scan.html").read_text("utf-8"),
        "words": json.dumps([[tag, dict(words.raw)] for tag, words in sorted(languages().items())]),
    }
    for name, text in {**scan_files(), **extra}.items():
        every.update(name.encode() + b"\0" + text.encode() + b"\0")
    return every.hexdigest()[:12]


def address(name: str) -> str:
    """Return where a file is. Raises ``KeyError`` for one that is none."""
    if name not in scan_files():
        raise KeyError(name)
    return f"{_BASE}{version()}/{name}"


@cache
def worker() -> str:
    """Write the service worker: ours, with what it is to keep."""
    kept = [address(name) for name in scan_files()]
    text = files("checkout.site").joinpath("static", "scan", _WORKER).read_text("utf-8")
    return f"const VERSION = {json.dumps(version())};\nconst FILES = {json.dumps(kept)};\n{text}"


def manifest(event: str, words: Catalogue) -> str:
    """Write the manifest of an event's scanner."""
    plain = {
        "name": words.text("scan.title"),
        "short_name": words.text("scan.title"),
        "lang": words.tag,
        "dir": words.text("language.direction"),
        "start_url": f"/scan/{event}",
        "scope": "/scan/",
        "display": "standalone",
        "background_color": _PAPER,
        "theme_color": _PAPER,
        "icons": [{"src": address("scan.svg"), "type": "image/svg+xml", "sizes": "any"}],
    }
    return json.dumps(plain, ensure_ascii=False)


@lru_cache(maxsize=64)
def packed(text: str) -> bytes:
    """Pack a text that is sent again and again."""
    return gzip.compress(text.encode(), 9, mtime=0)
