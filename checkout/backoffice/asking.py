"""Asking: a page asks the organiser's API, within the process, in the name of whoever looks at it.

The API hears the browser's own cookie, and, where something changes, the session's paper that the page's form has
brought (``entrance.check_paper`` has looked at it before). So the API decides as it does for anybody: who it is, what
the role may, whether a second factor is there; and it writes its own log. Not here: what is shown.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, urlencode

import orjson
from starlette.types import ASGIApp

from checkout.organiser.talking import PREFIX
from checkout.organiser.web import CODE
from checkout.people.staff_sessions import StaffSession
from checkout.staffroom.entrance import CSRF
from kernel.asgi import Message, Scope

_NAME = re.compile(r"\{(\w+)(:path)?\}")
_TAKEN = frozenset({b"cookie", b"host", b"user-agent", b"x-forwarded-for", b"forwarded"})
"""What the API is told of the browser."""


class NotDone(Exception):
    """The API has refused: status, code, its sentence, and what else it told."""

    def __init__(self, status: int, code: str, public: str, more: Mapping[str, Any] | None = None) -> None:
        self.status = status
        self.code = code
        self.public = public
        self.more = more or {}
        super().__init__(code)


@dataclass(frozen=True, slots=True)
class Told:
    """What the API has answered. ``plain``: its JSON, None where there is none."""

    status: int
    plain: Any
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def etag(self) -> str:
        """Give the version of what was told, '' where it has none."""
        return self.headers.get("etag", "")


@dataclass(frozen=True, slots=True)
class Wish:
    """What is asked. ``path`` as in ``organiser.rights``, its ``names`` beside it."""

    method: str
    path: str
    names: Mapping[str, str]
    query: Sequence[tuple[str, str]] = ()
    plain: object = None
    octets: bytes | None = None
    """A body that is no JSON, of the kind ``kind``."""
    kind: str = "application/json"
    key: str = ""
    code: str = ""
    version: str = ""
    """The ETag that is changed."""


class Asking:
    """Asks the API."""

    def __init__(self, api: ASGIApp) -> None:
        """`api` is the application behind ``/organiser/api``."""
        self._api = api

    async def ask(self, scope: Scope, session: StaffSession, wish: Wish) -> Told:
        """Ask in the name of whoever sent the page's request. Raises ``NotDone``."""
        path = PREFIX + _filled(wish.path, wish.names)
        given = wish.octets
        if given is None:
            given = b"" if wish.plain is None else orjson.dumps(wish.plain)
        own = {
            "type": "http", "asgi": scope.get("asgi", {"version": "3.0"}), "http_version": "1.1",
            "method": wish.method, "scheme": scope.get("scheme", "http"), "path": path,
            "raw_path": quote(path).encode(), "root_path": "",
            "query_string": urlencode(wish.query).encode(), "headers": _headers(scope, session, wish, given),
            "client": scope.get("client"), "server": scope.get("server"),
        }  # fmt: skip
        return await self._heard(own, given)

    async def _heard(self, scope: dict[str, Any], given: bytes) -> Told:
        start: dict[str, Any] = {}
        parts: list[bytes] = []

        async def receive() -> Message:
            return {"type": "http.request", "body": given, "more_body": False}

        async def send(message: Message) -> None:
            if message["type"] == "http.response.start":
                start.update(message)
            else:
                parts.append(message.get("body", b""))

        await self._api(scope, receive, send)
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in start["headers"]}
        octets, status = b"".join(parts), int(start["status"])
        is_json = "json" in headers.get("content-type", "") and octets
        plain = orjson.loads(octets) if is_json else None
        if status >= 400:
            raise not_done(status, plain if isinstance(plain, dict) else {})
        return Told(status, plain, headers)


def _filled(path: str, names: Mapping[str, str]) -> str:
    def name(found: re.Match[str]) -> str:
        text = names.get(found[1], "")
        # A name with a slash in it would be another address.
        if not text or ("/" in text and not found[2]):
            raise NotDone(404, "not-found", "There is nothing of this name.")
        return text

    return _NAME.sub(name, path)


def _headers(scope: Scope, session: StaffSession, wish: Wish, given: bytes) -> list[tuple[bytes, bytes]]:
    headers = [(name, value) for name, value in scope["headers"] if name in _TAKEN]
    own = {"sec-fetch-site": "same-origin", "accept": "application/json"}
    if wish.method != "GET":
        own |= {CSRF: session.csrf, "content-type": wish.kind, "content-length": str(len(given))}
    for name, text in (("idempotency-key", wish.key), (CODE, wish.code), ("if-match", wish.version)):
        if text:
            own[name] = text
    return headers + [(name.encode(), text.encode("utf-8", "replace")) for name, text in own.items()]


def not_done(status: int, plain: Mapping[str, Any]) -> NotDone:
    """Read a problem (RFC 9457)."""
    standard = {"type", "title", "status", "detail", "code"}
    more = {name: value for name, value in plain.items() if name not in standard}
    return NotDone(status, str(plain.get("code", "internal")), str(plain.get("detail", "")), more)
