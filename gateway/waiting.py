"""Waiting: what somebody is told who does not get through now, each kind of client in its own way.

* A navigation gets the room's page **in place**: the address in the bar stays the one the person wanted.
* A form that is sent without a session leads to the room by a redirect; its body is lost in any case,
  and a redirect spares the person the browser's question whether to send it again.
* A JSON client gets a body with the addresses, under the room's own status code.
* Everything else gets 429 with Retry-After as a problem document; a websocket the same, in its handshake.

Nothing of this may be cached. Not here: who waits (``gateway.decision``).
"""

from collections.abc import Sequence
from typing import assert_never
from urllib.parse import quote

import orjson
from starlette.types import Scope, Send

from gateway.decision import Kind, Reject, RoomRoute, Wait
from gateway.headers import Header, values
from gateway.ports import Pages
from gateway.proxy import OriginFailed
from gateway.websocket import refuse
from kernel.asgi import respond
from kernel.errors import Refused
from kernel.problems import raw_problem

Said = tuple[int, Sequence[Header], bytes]

NO_STORE = (b"cache-control", b"private, no-store")
FAILED_RETRY_S = 5

FAILED_PAGE = """<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width,initial-scale=1">
<title>Just a moment</title>
<style>
:root{color-scheme:light dark}
body{font:17px/1.5 system-ui,sans-serif;max-width:32rem;margin:20vh auto 0;padding:0 1.5rem}
p{color:#777}
</style>
<h1>Just a moment</h1>
<p>{public} You have not lost your turn. Please try again in a few seconds.</p>
<p><a href="">Try again</a></p>
</html>
"""


async def say(scope: Scope, send: Send, said: Said) -> None:
    """Send a whole answer, to a request or to a websocket's handshake."""
    status, headers, body = said
    if scope["type"] == "websocket":
        await refuse(scope, send, status, list(headers), body)
    else:
        await respond(send, status, headers, body)


def waiting(scope: Scope, room: RoomRoute, verdict: Wait | Reject, prefix: str, pages: Pages) -> Said:
    """Give the answer for somebody who waits."""
    match verdict.kind:
        case Kind.PAGE:
            liked, coded = (
                values(scope["headers"], name) for name in (b"accept-language", b"accept-encoding")
            )
            status, headers, body = pages.shell(room.name, wanted(scope), b",".join(liked), b",".join(coded))
            kept = [pair for pair in headers if pair[0] not in {b"cache-control", b"content-length"}]
            # The page comes back by itself; whoever reads only the status code is told when.
            later = [(b"retry-after", b"%d" % room.retry_after_s)] if status != 200 else []
            return status, [*kept, *later, NO_STORE], body
        case Kind.FORM:
            page = f"{prefix}/r/{room.name}?target={quote(room.path, safe='/')}"
            return 303, [(b"location", page.encode()), NO_STORE], b""
        case Kind.JSON:
            retry = (b"retry-after", b"%d" % room.retry_after_s)
            body = orjson.dumps(members(room, verdict, prefix, pages))
            return room.status_code, [(b"content-type", b"application/json"), NO_STORE, retry], body
        case Kind.OTHER | Kind.WEBSOCKET:
            refused = Refused(
                "room-rejects" if isinstance(verdict, Reject) else "waiting",
                "This site lets people in one by one. Please wait for your turn.",
                status=429,
                retry_after_s=room.retry_after_s,
                **members(room, verdict, prefix, pages),
            )
            return raw_problem(refused)
        case _:
            assert_never(verdict.kind)


def members(room: RoomRoute, verdict: Wait | Reject, prefix: str, pages: Pages) -> dict[str, object]:
    """Give what a client that reads JSON can go on with."""
    address = f"{prefix}/r/{room.name}"
    return {
        "waiting": True,
        "room": room.name,
        "reason": verdict.reason if isinstance(verdict, Wait) else "",
        "page": address,
        "join": f"{address}/join",
        "status_document": f"{address}/status",
        **pages.waiting_json(room.name),
    }


def failed(kind: Kind, error: OriginFailed) -> Said:
    """Give the answer for somebody who got through to an origin that did not answer."""
    if kind in {Kind.PAGE, Kind.FORM}:
        retry = (b"retry-after", b"%d" % FAILED_RETRY_S)
        page = FAILED_PAGE.replace("{public}", error.public).encode()
        return error.status, [(b"content-type", b"text/html; charset=utf-8"), NO_STORE, retry], page
    return raw_problem(Refused(error.code, error.public, status=error.status, retry_after_s=FAILED_RETRY_S))


def wanted(scope: Scope) -> str:
    """Give the path and query that the client wanted, as it wrote them."""
    raw: bytes = scope.get("raw_path") or b"/"
    query: bytes = scope["query_string"]
    return (raw + b"?" + query if query else raw).decode("latin-1")
