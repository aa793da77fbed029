"""The references: what the same stack does when it has nothing to decide.

Three tiny servers that run under the same uvicorn settings as ours: a bare Starlette "hello", a raw-ASGI
answer of as many bytes as ours, and the join that everybody writes first, one INCR for each request.
"""

import os
import secrets

from redis.asyncio import Redis
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse
from starlette.routing import Route
from starlette.types import Receive, Scope, Send


async def _hello(_request: Request) -> PlainTextResponse:
    return PlainTextResponse("hello")


starlette_hello = Starlette(routes=[Route("/", _hello)])

_BODY = b"x" * int(os.environ.get("BENCH_BODY_BYTES", "5"))
_START = {
    "type": "http.response.start",
    "status": 200,
    "headers": [(b"content-type", b"application/json"), (b"content-length", str(len(_BODY)).encode())],
}
_REST = {"type": "http.response.body", "body": _BODY}


async def raw_hello(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer every request with the same bytes."""
    if scope["type"] == "lifespan":
        await _lifespan(receive, send)
        return
    await send(_START)
    await send(_REST)


async def _lifespan(receive: Receive, send: Send) -> None:
    while True:
        message = await receive()
        if message["type"] == "lifespan.startup":
            await send({"type": "lifespan.startup.complete"})
        else:
            await send({"type": "lifespan.shutdown.complete"})
            return


_stores: list[Redis] = []


def use_store(client: Redis) -> None:
    """Count the naive joins in this store."""
    _stores[:] = [client]


async def _naive_join(request: Request) -> JSONResponse:
    if not _stores:
        use_store(Redis.from_url(os.environ["BENCH_STORE_URL"]))
    await request.body()
    number = await _stores[0].incr("number")
    return JSONResponse({"number": number - 1, "ticket": secrets.token_urlsafe(16)})


naive_join = Starlette(routes=[Route("/.waitroom/r/bench/join", _naive_join, methods=["POST"])])
