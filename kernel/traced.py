"""Traced: every request is in a trace, as an ASGI application around another.

What comes in ``traceparent`` is gone on with where one of our own proxies sent it; from anybody else it would let a
stranger choose our ids and what we record. Such a request begins a trace of its own, linked with the one it named.

Where nothing is recorded this sets one variable and hands on, without a frame of its own: every request passes here.
Where it is, a request is a span by OpenTelemetry's conventions for HTTP servers. An address stands in it as a template:
words that we know, ``*`` for everything else, so nothing that a person typed or was sent is ever in a span.
"""

import re
from collections.abc import Awaitable, Mapping, Sequence

from starlette.types import ASGIApp

from kernel import tracing
from kernel.asgi import Message, Network, Receive, Scope, Send, trusts
from kernel.tracing import PARENT, STATE, Attribute, Trace, Unnamed

_WORDS = """
account admission adyen alarm api availability backoffice callback carry census challenge check claim code
collect confirm contact deltas detail door draw event events extend free gift hall holds hooks identity
join jwks.json layout leave leaves lines listing login logout map mine notice office open operator order
orders organiser page pay personal places r receipt refund refunds release remind rename reservations
reserve return review rhythm rooms sale sales scan seats session sessions settings staff static status
stock stream stripe swap ticket tickets timeline transfer verify waitlist work
"""
WORDS = frozenset(_WORDS.split())
"""Segments of addresses that are told as they are."""

ROOM = re.compile(r"/r/([a-z][a-z0-9-]{0,62})(?:/|$)")
SERVER_FAULT = 500
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


def route_of(path: str, below: str = "") -> str:
    """Write an address as a template; what stands `below` a prefix keeps that prefix.

    >>> route_of("/events/E1/orders/O77/pay")
    '/events/*/orders/*/pay'
    """
    start = below if below and path.startswith(f"{below}/") else ""
    parts = path[len(start) :].split("/")[1:9]
    return start + "".join(f"/{part if part in WORDS or not part else '*'}" for part in parts)


class Traced:
    """Puts every request into a trace."""

    def __init__(self, app: ASGIApp, trusted: Sequence[Network], prefix: str = "") -> None:
        """`trusted`: the networks of our own proxies; `prefix`: where the waiting room answers."""
        self._app = app
        self._trusted = trusted
        self._prefix = prefix

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        """Begin a trace or go on with one, and hand on."""
        if tracing.is_recording():
            return self._recorded(scope, receive, send)
        told_so = told(scope) if self._trusted or not scope.get("client") else None
        is_ours = told_so is not None and trusts(scope, self._trusted)
        tracing.enter(told_so if is_ours else Unnamed())
        return self._app(scope, receive, send)

    async def _recorded(self, scope: Scope, receive: Receive, send: Send) -> None:
        path: str = scope["path"]
        method = scope.get("method", "GET")
        came = told(scope)
        links: list[Trace] = []
        is_root = came is None or not trusts(scope, self._trusted)
        asks = path if method not in {"GET", "HEAD", "OPTIONS"} else ""
        if came is None or is_root:
            parent = tracing.root(asks)
            links += [] if came is None else [came]
        else:
            parent = came if came.sampled else came._replace(sampled=tracing.begins(asks))
        if not parent.sampled:
            token = tracing.enter(parent)
            try:
                await self._app(scope, receive, send)
            finally:
                tracing.leave(token)
            return
        route = route_of(path, self._prefix)
        verb = method if method in METHODS else "_OTHER"
        own, span = tracing.begun(f"{verb} {route}", tracing.SERVER, parent, links, is_root=is_root)
        span.attributes.update(_about(scope, verb, route, path))
        status = 0

        async def noted(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        with tracing.Step(own, span):
            await self._app(scope, receive, noted)
            if status:
                span.set("http.response.status_code", status)
            if status >= SERVER_FAULT:
                span.fail(str(status))


def told(scope: Scope) -> Trace | None:
    """Read what a request says about its trace; None where it says nothing, or says it twice, or wrongly."""
    parents: list[bytes] = []
    states: list[bytes] = []
    for name, value in scope["headers"]:
        if name == PARENT:
            parents.append(value)
        elif name == STATE:
            states.append(value)
    if len(parents) != 1:
        return None
    return tracing.parse(parents[0].decode("latin-1"), b",".join(states).decode("latin-1"))


def _about(scope: Scope, verb: str, route: str, path: str) -> Mapping[str, Attribute]:
    attributes: dict[str, Attribute] = {
        "http.request.method": verb,
        "http.route": route,
        "url.scheme": str(scope.get("scheme", "http")),
        "network.protocol.version": str(scope.get("http_version", "1.1")),
    }
    if found := ROOM.search(path):
        attributes["waitroom.room"] = found[1]
    return attributes
