"""Talking: what all of the organiser's addresses share: how one is made, read, answered, and told in the log.

A long table is sent while it is read. Its first piece is there before the answer begins, so what cannot be read at all
is a problem like any other; what fails later cuts the answer off, and who saves it hears that it is not whole.

Not here: what is answered (``organiser.web``, ``organiser.orders_web``), who may come in (``organiser.web``).
"""

import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Any

import orjson
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from checkout.requests import read_object

log = logging.getLogger(__name__)

PREFIX = "/organiser/api"
DOCUMENT_MOST_BYTES = 2 * 1024 * 1024
"""A document of 100,000 seats by their numbers has 700 kB."""

WHO = "checkout.organiser"
"""Where the name of the token stands in the request's scope."""

NO_STORE = {"cache-control": "no-store", "x-content-type-options": "nosniff"}
Endpoint = Callable[[Request], Awaitable[Response]]


def resource(path: str, **endpoints: Endpoint) -> Route:
    """Make one route of all methods of a path, so that 405 names all of them."""

    async def endpoint(request: Request) -> Response:
        asked = "GET" if request.method == "HEAD" else request.method
        return await endpoints[asked](request)

    return Route(path, endpoint, methods=list(endpoints))


def event_of(request: Request) -> str:
    """Name the event that an address is about."""
    return str(request.path_params["event"])


def who(request: Request) -> str:
    """Name who asks."""
    return str(request.scope[WHO])


def told(request: Request, act: str, **fields: object) -> None:
    """Tell an act in the log, with who did it."""
    log.info("an organiser's act", extra={"who": who(request), "act": act, **fields})


async def document(request: Request) -> dict[str, Any]:
    """Take a JSON object in. Raises ``Refused``."""
    _, plain = await read_object(request.scope, request.receive, DOCUMENT_MOST_BYTES)
    return plain


def answer(plain: object, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """Answer with JSON that nobody keeps."""
    return Response(orjson.dumps(plain), status, {**NO_STORE, **(headers or {})}, "application/json")


def table(octets: bytes, name: str) -> Response:
    """Answer with a CSV file."""
    return Response(octets, headers=_saved_as(name), media_type="text/csv")


async def long_table(pieces: AsyncIterator[bytes], name: str) -> Response:
    """Answer with a CSV file that is sent as it comes. Raises what the first piece raises."""
    first = await anext(pieces, b"")

    async def all_of_it() -> AsyncIterator[bytes]:
        yield first
        async for piece in pieces:
            yield piece

    return StreamingResponse(all_of_it(), headers=_saved_as(name), media_type="text/csv")


def _saved_as(name: str) -> Mapping[str, str]:
    return {**NO_STORE, "content-disposition": f'attachment; filename="{name}"'}
