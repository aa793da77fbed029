"""Catalogue web: what there is to see, as JSON and as the drawing of a hall. Decides nothing.

``GET /api/events?q&city&from_ms&until_ms&after&limit`` lists, ``GET /api/events/{event}`` tells one, both from ready
bytes with an entity tag (304). ``GET /layouts/{layout}.json`` never changes, because its address is its content's
hash: every cache may keep it for a year, and gets it packed. How many seats are free is not here: the map says so.
"""

from urllib.parse import parse_qsl

from checkout.caching import is_known, takes_gzip
from checkout.catalogue.reading import Body, CatalogueReader
from checkout.catalogue.searching import read_query
from kernel.asgi import Receive, Scope, Send, respond
from kernel.errors import Refused

_JSON = (b"content-type", b"application/json")
_LIVING = (b"cache-control", b"private, no-cache")
"""Behind an admission: a shared cache would hand it to whoever has none. A browser asks again, by its tag."""

_FOR_EVER = (b"cache-control", b"public, max-age=31536000, immutable")
_MOST_FIELDS = 32


class CatalogueWeb:
    """Handlers of the catalogue."""

    def __init__(self, catalogue: CatalogueReader) -> None:
        self._catalogue = catalogue

    async def listing(self, scope: Scope, receive: Receive, send: Send) -> None:
        """List events."""
        del receive
        try:
            fields = parse_qsl(
                scope["query_string"].decode("ascii"),
                keep_blank_values=True,
                max_num_fields=_MOST_FIELDS,
                errors="strict",
            )
        except ValueError as error:
            raise Refused("query-invalid", "The address's parameters cannot be read.") from error
        if len(fields) != len(dict(fields)):
            raise Refused("query-invalid", "A parameter stands there twice.")
        await _tell(scope, send, await self._catalogue.listing_json(read_query(dict(fields))), _LIVING)

    async def detail(self, scope: Scope, receive: Receive, send: Send, event: str) -> None:
        """Tell all facts of an event."""
        del receive
        await _tell(scope, send, await self._catalogue.detail_json(event), _LIVING)

    async def layout(self, scope: Scope, receive: Receive, send: Send, name: str) -> None:
        """Give a layout."""
        del receive
        layout, dot, suffix = name.partition(".")
        if (dot, suffix) != (".", "json"):
            raise Refused("layout-unknown", "There is no such layout.", status=404)
        await _tell(scope, send, await self._catalogue.layout_json(layout), _FOR_EVER)


async def _tell(scope: Scope, send: Send, body: Body, kept: tuple[bytes, bytes]) -> None:
    etag, octets = body.etag.encode(), body.octets
    headers = [_JSON, kept]
    if body.packed is not None:
        headers.append((b"vary", b"accept-encoding"))
        if takes_gzip(scope):
            # Two forms of one thing are two things to a cache, and have two tags.
            etag, octets = etag[:-1] + b'-gzip"', body.packed
            headers.append((b"content-encoding", b"gzip"))
    headers.append((b"etag", etag))
    if is_known(scope, etag):
        await respond(send, 304, [pair for pair in headers if pair[0] != b"content-encoding"], b"")
    else:
        await respond(send, 200, headers, octets)
