"""Web: the shop as a site: finds who answers an address. An ASGI application that knows nothing of a waiting room.

    /api/events/{event}/…     holds, reservations, map, deltas, waitlist: table look-ups, no framework (hot)
    /api/events[/{event}]     the catalogue          /layouts/{layout}.json    halls
    /static/{version}/{name}  files                  /health                   that it is there
    everything else           pages

It is what any site behind Waitroom is. Who the buyer is, is handed in (``buyer_of``); the guard that checks admissions
is put around it from outside. A failure of the API becomes a problem document here (RFC 9457); a page says it in words
(``site.pages_web``). A process that has some roles only answers the addresses of others as ones that are not there.

Not here: the organiser's addresses, which fans do not reach (``organiser.web``).
"""

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from typing import Any

from starlette.routing import Route, Router
from starlette.types import ASGIApp

from checkout.caching import is_known, takes_gzip
from checkout.site.assets import assets, version
from checkout.site.roles import EVERY, Role, answers
from kernel.asgi import Receive, Scope, Send, respond
from kernel.errors import Refused
from kernel.problems import raw_problem

Handler = Callable[..., Awaitable[None]]
Routes = Mapping[tuple[str, str], Handler]
"""(method, what follows ``/api/events/{event}/``) to a handler; ``holds/{hold}`` has one segment that is any."""

ENDLESS = frozenset(("deltas",))
"""Streams: asking for their head only would open one."""

NOSNIFF = (b"x-content-type-options", b"nosniff")
_FOR_EVER = (b"cache-control", b"public, max-age=31536000, immutable")
HEALTH = "/health"
_ANY = "*"
_EVENTS = "/api/events"


class Shop:
    """Dispatches the shop's addresses."""

    def __init__(
        self,
        routes: Routes,
        plain: Routes,
        pages: ASGIApp,
        waitlist: Sequence[Route],
        roles: Collection[Role] = EVERY,
    ) -> None:
        """`routes`: below an event; `plain`: ``listing``, ``detail``, ``layout``; `waitlist`: its own addresses."""
        self._routes = {(method, shape(act)): handler for (method, act), handler in routes.items()}
        self._plain = dict(plain)
        self._pages = pages
        self._waitlist = Router(waitlist, redirect_slashes=False)
        self._roles = frozenset(roles)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            if scope["type"] == "websocket":
                await send({"type": "websocket.close", "code": 1000})
            return
        path: str = scope["path"]
        try:
            await self._answer(scope, receive, send, path)
        except Exception as reason:  # noqa: BLE001 - the one place where failures become answers
            status, headers, body = raw_problem(reason)
            if isinstance(reason, Refused) and "allow" in reason.extra:
                headers.append((b"allow", str(reason.extra["allow"]).encode()))
            await respond(send, status, [*headers, NOSNIFF], body)

    async def _answer(self, scope: Scope, receive: Receive, send: Send, path: str) -> None:
        if self._roles != EVERY and not answers(self._roles, path):
            raise refusal(())
        if path.startswith(_EVENTS):
            await self._below_event(scope, receive, send, path)
        elif path.startswith(("/api/", "/layouts/", "/static/")) or path in {"/api", HEALTH}:
            await self._beside(scope, receive, send, path)
        else:
            await self._pages(scope, receive, send)

    async def _below_event(self, scope: Scope, receive: Receive, send: Send, path: str) -> None:
        parts = path.split("/")
        if len(parts) < 5:
            await self._beside(scope, receive, send, path)
            return
        method, rest = scope["method"], parts[4:]
        if rest == ["waitlist"]:
            # With an application the router raises what it does not answer, and the failure is answered above.
            await self._waitlist({**scope, "app": self}, receive, send)
            return
        act = "/".join(rest)
        handler = self._find(method, act)
        if handler is not None:
            await handler(scope, receive, send, parts[3])
            return
        if len(rest) > 1 and rest[1]:
            act = "/".join((rest[0], _ANY, *rest[2:]))
            handler = self._find(method, act)
            if handler is not None:
                await handler(scope, receive, send, parts[3], rest[1])
                return
        raise self._refusal(("/".join(rest), act))

    def _find(self, method: str, act: str) -> Handler | None:
        handler = self._routes.get((method, act))
        if handler is None and method == "HEAD" and act not in ENDLESS:
            handler = self._routes.get(("GET", act))
        return handler

    def _refusal(self, acts: Collection[str]) -> Refused:
        return refusal({method for method, act in self._routes if act in acts})

    async def _beside(self, scope: Scope, receive: Receive, send: Send, path: str) -> None:
        parts = path.split("/")[1:]
        match parts:
            case ["api", "events"]:
                handler, names = self._plain[("GET", "listing")], parts[2:]
            case ["api", "events", event] if event:
                handler, names = self._plain[("GET", "detail")], [event]
            case ["layouts", name] if name:
                handler, names = self._plain[("GET", "layout")], [name]
            case ["static", made, name]:
                handler, names = static, [made, name]
            case ["health"]:
                handler, names = health, []
            case _:
                raise refusal(())
        if scope["method"] not in {"GET", "HEAD"}:
            raise refusal({"GET"})
        await handler(scope, receive, send, *names)


def shape(act: str) -> str:
    """Write an address with its names taken out: ``holds/{hold}/extend`` is ``holds/*/extend``."""
    return "/".join(_ANY if part.startswith(("{", _ANY)) else part for part in act.split("/"))


def refusal(methods: Collection[str]) -> Refused:
    """Say what is wrong with an address or a method."""
    if not methods:
        return Refused("address-unknown", "There is nothing at this address.", status=404)
    allow = ", ".join(sorted(methods))
    return Refused("method-not-allowed", f"This address answers {allow} only.", status=405, allow=allow)


async def static(scope: Scope, receive: Receive, send: Send, made: str, name: str) -> None:
    """Send a file; its address changes with it, so every cache may keep it."""
    del receive
    asset = assets().get(name)
    if asset is None or made != version():
        raise Refused("address-unknown", "There is nothing at this address.", status=404)
    etag, body = f'"{made}"'.encode(), asset.body
    headers: list[tuple[bytes, bytes]] = [
        (b"content-type", asset.media_type.encode()), _FOR_EVER, (b"vary", b"accept-encoding"), NOSNIFF,
    ]  # fmt: skip
    is_packed = takes_gzip(scope)
    if is_packed:
        etag, body = f'"{made}-gzip"'.encode(), asset.gzip
    headers.append((b"etag", etag))
    if is_known(scope, etag):
        await respond(send, 304, headers, b"")
        return
    if is_packed:
        headers.append((b"content-encoding", b"gzip"))
    await respond(send, 200, headers, body)


async def health(scope: Scope, receive: Receive, send: Send) -> None:
    """Tell that the shop is there."""
    del scope, receive
    headers = [(b"content-type", b"text/plain; charset=utf-8"), (b"cache-control", b"no-store")]
    await respond(send, 200, headers, b"ok\n")


def routes_of(*parts: Any) -> Routes:
    """Put the tables of several parts together. Raises ``ValueError`` for an address that two answer."""
    found: dict[tuple[str, str], Handler] = {}
    for part in parts:
        for key, handler in part.routes.items():
            if key in found:
                raise ValueError(f"two answer {key[0]} {key[1]}")
            found[key] = handler
    return found
