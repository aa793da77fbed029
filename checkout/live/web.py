"""Map web: the hall as it is now, and the stream of what changes in it. Decides nothing.

* ``GET /api/events/{event}/map``: one octet for each seat, ``Map-Detail: seats``; or, while too much is going on,
  ``{"detail":"sections","version":…,"sections":[[free,all],…]}`` with ``Map-Detail: sections``. ``Map-Version`` and the
  entity tag name the state (304). An answer older than a second says so: ``Map-Age-Ms``.
* ``GET /api/events/{event}/deltas``: server-sent events. ``Last-Event-ID``, else ``?after=``, says which version the
  viewer has; with neither the stream begins with what comes from now on. Messages are deltas (``id`` is the version
  after it), events are ``check`` (the mark of a version), ``reset`` (fetch the map anew) and ``counts`` (sections).

A stream is never packed: a proxy would hold back what waits for more. It ends without a fault when the worker goes, and
browsers come back after ``retry``, which is a little different for each, so that they do not all come at once.
"""

import asyncio
from itertools import count
from urllib.parse import parse_qs

from checkout.caching import is_known, takes_gzip
from checkout.halls import deltas
from checkout.halls.deltas import Version
from checkout.live.service import LiveMap, Viewer
from checkout.metrics import Metrics
from kernel.asgi import PUSH, Receive, Scope, Send, header, respond
from kernel.errors import Refused

OLD_MS = 1_000
RETRY_MS = range(1_000, 4_000, 37)
MOST_FIELDS = 16

_OCTETS = (b"content-type", b"application/octet-stream")
_JSON = (b"content-type", b"application/json")
_LIVING = (b"cache-control", b"private, no-cache")
"""Behind an admission: a shared cache would hand it to whoever has none. A browser asks again, by its tag."""

_VARY = (b"vary", b"accept-encoding")
_PACKED = (b"content-encoding", b"gzip")
_STREAM = (
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-store"),
    (b"x-accel-buffering", b"no"),
)


class MapWeb:
    """Handlers of the map. Each takes (scope, receive, send, event)."""

    def __init__(self, live_map: LiveMap, metrics: Metrics) -> None:
        self._live_map = live_map
        self._metrics = metrics
        self._number = count()
        self.routes = metrics.watched({("GET", "map"): self.map, ("GET", "deltas"): self.stream})

    async def map(self, scope: Scope, receive: Receive, send: Send, event: str) -> None:
        """Give the map."""
        del receive
        body, age_ms = await self._live_map.snapshot(event)
        etag, octets = body.etag, body.octets
        headers = [
            _JSON if body.packed is None else _OCTETS,
            _LIVING,
            (b"map-version", body.version.encode()),
            (b"map-detail", body.detail.encode()),
        ]
        if age_ms >= OLD_MS:
            headers.append((b"map-age-ms", b"%d" % age_ms))
        if body.packed is not None:
            headers.append(_VARY)
            if takes_gzip(scope):
                # Two forms of one thing are two things to a cache, and have two tags.
                etag, octets = etag[:-1] + b'-gzip"', body.packed
                headers.append(_PACKED)
        headers.append((b"etag", etag))
        if is_known(scope, etag):
            self._metrics.map_answers.count("unchanged")
            await respond(send, 304, [pair for pair in headers if pair is not _PACKED], b"")
            return
        self._metrics.map_answers.count(body.detail)
        self._live_map.written(len(octets))
        await respond(send, 200, headers, octets)

    async def stream(self, scope: Scope, receive: Receive, send: Send, event: str) -> None:
        """Tell what changes, until the viewer goes or the worker does."""
        viewer = await self._live_map.open(event, _after(scope))
        watch = asyncio.create_task(_watch(receive, viewer))
        try:
            await send({"type": "http.response.start", "status": 200, "headers": _STREAM, PUSH: viewer.push})
            retry_ms = RETRY_MS[next(self._number) % len(RETRY_MS)]
            octets = b"retry: %d\n\n" % retry_ms
            while octets:
                await send({"type": "http.response.body", "body": octets, "more_body": True})
                octets = await viewer.next()
            await send({"type": "http.response.body", "body": b"", "more_body": False})
        finally:
            watch.cancel()
            self._live_map.close(viewer)


async def _watch(receive: Receive, viewer: Viewer) -> None:
    """End a stream whose viewer has gone; writing to it would not tell."""
    while (await receive())["type"] != "http.disconnect":
        pass
    viewer.end()


def _after(scope: Scope) -> Version | None:
    """Read which version a viewer has; None where it says nothing."""
    text = (header(scope, b"last-event-id") or b"").decode("latin-1")
    try:
        if not text:
            fields = parse_qs(
                scope["query_string"].decode("ascii"), max_num_fields=MOST_FIELDS, errors="strict"
            )
            text = fields.get("after", [""])[0]
        return deltas.version(text) if text else None
    except ValueError as error:
        raise Refused(
            "version-malformed", "What this stream goes on after is not a version of a map."
        ) from error
