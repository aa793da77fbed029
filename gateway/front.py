"""Front: finds the handler for an address below the prefix (``/.waitroom/`` by default).

    r/{room}             the page            r/{room}/{act}[/…]   join, status, ticket, claim, …
    static/{file}        its parts           jwks.json            public keys

A table look-up and no framework, because join and status pass here. Who answers what is told by the
domains themselves: each hands in its routes. Not here: health checks (``server``), the gate.
"""

from collections.abc import Awaitable, Callable, Mapping

from kernel.asgi import Receive, Scope, Send, respond
from kernel.errors import Refused
from kernel.problems import raw_problem

Handler = Callable[[Scope, Receive, Send, str], Awaitable[None]]
Routes = Mapping[tuple[str, str], Handler]

FOUND_KEPT = 1024
PATH_KEPT_CHARS = 200
"""Addresses that were taken apart once are remembered, so many and so long at most."""

NOSNIFF = (b"x-content-type-options", b"nosniff")


class Front:
    """Dispatches the waiting room's own addresses. An ASGI application."""

    def __init__(self, prefix: str, rooms: Routes, plain: Routes) -> None:
        """`rooms`: (method, act) below ``r/{room}/``; `plain`: (method, first segment) of the rest."""
        self._start = len(prefix) + 1
        self._rooms = dict(rooms)
        self._plain = dict(plain)
        self._found: dict[tuple[str, str], tuple[Handler, str]] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request; every failure becomes a problem response."""
        method, path = scope["method"], scope["path"]
        found = self._found.get((method, path))
        if found is None:
            found = self._find(method, path)
            if len(self._found) < FOUND_KEPT and len(path) < PATH_KEPT_CHARS:
                self._found[method, path] = found
        handler, name = found
        try:
            await handler(scope, receive, send, name)
        except Exception as reason:  # noqa: BLE001 - the one place where failures become answers
            status, headers, body = raw_problem(reason)
            if isinstance(reason, Refused) and "allow" in reason.extra:
                headers.append((b"allow", str(reason.extra["allow"]).encode()))
            await respond(send, status, [*headers, NOSNIFF], body)

    def _find(self, method: str, path: str) -> tuple[Handler, str]:
        """Take an address apart: the handler and the room's (or the file's) name."""
        parts = path[self._start :].split("/", 3)
        if parts[0] == "r" and len(parts) > 1:
            table, act, name = self._rooms, parts[2] if len(parts) > 2 else "", parts[1]
        else:
            table, act, name = self._plain, parts[0], "/".join(parts[1:])
        handler = table.get((method, act)) or (table.get(("GET", act)) if method == "HEAD" else None)
        return handler or _unknown(table, act), name


def _unknown(table: Routes, act: str) -> Handler:
    """Return a handler that says what is wrong with an address or a method."""
    methods = sorted(method for method, known in table if known == act)

    async def refuse(scope: Scope, receive: Receive, send: Send, name: str) -> None:
        del scope, receive, send, name
        if not methods:
            raise Refused("address-unknown", "There is nothing at this address.", status=404)
        allow = ", ".join(methods)
        raise Refused("method-not-allowed", f"This address answers {allow} only.", status=405, allow=allow)

    return refuse
