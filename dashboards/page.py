"""Page: what every page for operators has in common: templates, files, safe headers, forms, the ways between pages.

Not here: who may see a page (``entrance``, ``rights``), what stands on one.
"""

import hashlib
from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

from jinja2 import Environment, FileSystemLoader
from starlette.requests import Request
from starlette.responses import Response

from dashboards.rights import Person, Role
from dashboards.words import value_told
from kernel.asgi import read_body
from kernel.errors import Refused, Unavailable

HERE = Path(__file__).parent
BODY_MAX_BYTES = 16_384
FIELDS_MAX = 32

SAFE = {
    "cache-control": "no-store",
    "content-security-policy": (
        "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; "
        "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "referrer-policy": "same-origin",
    "x-content-type-options": "nosniff",
}
TYPES = {".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".svg": "image/svg+xml"}

WAYS: tuple[tuple[str, str, Role], ...] = (
    ("/", "Rooms", Role.VIEWER),
    ("/history", "History", Role.VIEWER),
    ("/compare", "Compare", Role.VIEWER),
    ("/journal", "Journal", Role.VIEWER),
    ("/targets", "Events out", Role.OWNER),
    ("/people", "People", Role.OWNER),
    ("/account", "Your account", Role.VIEWER),
)
"""The pages that every page leads to: address, words, the role that it takes."""

IN_ROOM = (("guests", "Guests"), ("bypass", "Bypass tokens"), ("codes", "Priority codes"))
"""The pages below a room's own: the last step of the address, words."""

IN_DOUBT = (
    "Whether it was made is not known: the answer was lost. If it was, nobody has seen its text: it stands in the "
    "list, where you take it away again or make it anew."
)
"""What an answer says that would have told something once."""

FOR_ALL = frozenset({"/", "/history", "/compare", "/journal", "/account"})
"""Pages that are for those, too, who are limited to some rooms."""


class Pages:
    """Renders templates and serves the files that they name."""

    def __init__(self, without: Collection[str] = (), waiting_page: str = "") -> None:
        """Read templates and static files once; `without` names pages that there are not, so that none leads there.

        `waiting_page` is the public address before a room's name; '' where none is known.
        """
        self._static = _static_files()
        self._environment = Environment(
            loader=FileSystemLoader(HERE / "pages"),
            autoescape=True,
            trim_blocks=True,
            lstrip_blocks=True,
            auto_reload=False,  # else every part of every page asks the disk whether it has changed
        )
        self._environment.globals["static"] = {
            f"{path.stem.rpartition('.')[0]}{path.suffix}": f"/static/{path}"
            for path in map(Path, self._static)
        }
        self._environment.globals["ways"] = lambda person: [
            way for way in ways(person) if way[0] not in without
        ]
        self._environment.globals["ways_in_room"] = lambda name: [
            (f"/rooms/{name}/{step}", words) for step, words in IN_ROOM if step not in without
        ]
        self._environment.globals |= {
            "rooms_told": rooms_told,
            "moment": moment,
            "value_told": value_told,
            "waiting_page": waiting_page,
        }

    def render(
        self, template: str, status: int = 200, headers: Mapping[str, str] | None = None, **context: Any
    ) -> Response:
        """Answer with a page that no browser keeps."""
        text = self.text(template, context)
        return Response(text, status, SAFE | dict(headers or {}), "text/html; charset=utf-8")

    def away(
        self,
        session: object,
        error: Refused | Unavailable,
        doubt: str = "",
        made: Sequence[tuple[str, str]] = (),
    ) -> Response:
        """Say that something is away. `doubt` is what may have been done all the same; then the page stays.

        `made` (what, and its text) is told this once although the rest of its page cannot be shown. The answer is then
        a success, or a proxy might put a page of its own in its place.
        """
        told = {"session": session, "told": error.public, "doubt": doubt, "made": made}
        return self.render("away.html", 200 if made else 503, {} if made else {"retry-after": "2"}, **told)

    def text(self, template: str, context: Mapping[str, Any]) -> str:
        """Render a template, or a part of a page."""
        return self._environment.get_template(template).render(context)

    def part(self, template: str, macro: str, *given: Any) -> str:
        """Render a macro of a template."""
        module = self._environment.get_template(template).module
        return str(getattr(module, macro)(*given)).strip()

    async def static(self, request: Request) -> Response:
        """GET /static/{name}: the name holds the content's hash, so it may be kept for ever."""
        found = self._static.get(request.path_params["name"])
        if found is None:
            raise Refused("file-unknown", "There is no such file.", 404)
        headers = SAFE | {"cache-control": "public, max-age=31536000, immutable"}
        return Response(found[1], headers=headers, media_type=found[0])


def ways(person: Person) -> list[tuple[str, str]]:
    """Return the pages that somebody may go to: address and words."""
    return [(path, words) for path, words, role in WAYS if path in FOR_ALL or person.may(role)]


def rooms_told(rooms: frozenset[str] | None) -> str:
    """Say which rooms somebody is limited to."""
    return "all rooms" if rooms is None else ", ".join(sorted(rooms)) or "no room"


def moment(at_ms: int) -> str:
    """Write a time for people."""
    return datetime.fromtimestamp(at_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M UTC")


async def read_form(request: Request) -> dict[str, str]:
    """Read a small form; of a field given twice the last counts. Raises ``Refused``."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/x-www-form-urlencoded":
        raise Refused("content-type-unknown", "This must be a form.", 415)
    body = await read_body(request.receive, BODY_MAX_BYTES)
    try:
        fields = parse_qs(
            body.decode("ascii"), keep_blank_values=True, max_num_fields=FIELDS_MAX, errors="strict"
        )
    except ValueError as error:
        raise Refused("form-invalid", "This form cannot be read.") from error
    return {name: values[-1] for name, values in fields.items()}


def one_line(text: str) -> str:
    """Make one printable line of what somebody typed."""
    return "".join(char if char.isprintable() else " " for char in text).strip()


def _static_files() -> dict[str, tuple[str, bytes]]:
    """Read all files below ``static``, other people's in folders of their own included. Names are unique."""
    files = {}
    for path in sorted((HERE / "static").rglob("*")):
        if path.suffix in TYPES:
            octets = path.read_bytes()
            digest = hashlib.sha256(octets).hexdigest()[:10]
            files[f"{path.stem}.{digest}{path.suffix}"] = (TYPES[path.suffix], octets)
    return files
