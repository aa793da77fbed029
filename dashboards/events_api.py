"""Events API: the journal as a feed for programs: ``GET /api/events``, by portions or as a stream.

``after`` is the cursor, an event's ``seq``: whoever goes on after the last one that they saw misses nothing and gets
nothing twice, however long they were away; the journal keeps everything. With ``Accept: text/event-stream`` the same
address streams (server-sent events); there ``Last-Event-ID`` counts above ``after``, and now and then an ``id`` alone
moves the reader past what does not concern it. A stream ends after ten minutes, and within ``AGAIN_MS`` when its
token is worth less than it was; readers come back by themselves.

Whoever reads along with the same rights and filter at the same place is told the same octets: they are read and written
once for all of them. The journal never changes, so what was read once may be told again.

Who is limited to rooms gets the events of these; what is for owners (``events.OF_OWNERS``) only an owner of all rooms
gets. Not here: what an event is (``waitroom.events``).
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

import orjson
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from dashboards.bounds import Streams
from dashboards.operator_api import person_of
from dashboards.ports import Outgoing
from dashboards.rights import Person, Role, demand
from kernel.asgi import Receive, Scope, Send
from kernel.clock import Clock
from kernel.errors import Refused, Unavailable
from waitroom.events import OF_OWNERS, event_of
from waitroom.field_readers import NAME
from waitroom.journal import Kind
from waitroom.journal_reader import LIMIT_MOST, Sought

LIMIT = 100
PORTION = 200
SHARED_MOST = 32
"""So many portions are remembered for those who come to the same place a moment later."""

STREAMS_MOST = 100
LOOK_S = 0.5
QUIET_MS = 15_000
STREAM_MS = 600_000
AGAIN_MS = 5_000
"""So often a stream asks whether its token still counts as it did."""
ANSWER_S = 15.0
"""So long the journal may take to answer a stream."""
RETRY_MS = 2_000
SEQ_MOST = 1 << 53
STREAM = "text/event-stream"
ONCE = ("after", "limit")
MANY = ("room", "kind")


@dataclass(frozen=True, slots=True)
class Written:
    """A portion as a stream tells it; `at` and `more` as in a ``Portion``."""

    octets: bytes
    at: int
    more: bool


class EventsApi:
    """The feed."""

    def __init__(self, outgoing: Outgoing, clock: Clock, look_s: float = LOOK_S) -> None:
        """Read from the journal of `outgoing`."""
        self._reader = outgoing.reader
        self._is_over = outgoing.is_over
        self._clock = clock
        self._look_s = look_s
        self._streams = Streams(STREAMS_MOST, _full)
        self._looked_s = 0.0
        self._looking: asyncio.Task[int] | None = None
        self._shared: dict[tuple[int, Sought], asyncio.Task[Written]] = {}

    async def events(self, request: Request) -> Response:
        """GET /events."""
        person = person_of(request)
        sought = sought_of(request, person)
        streams = STREAM in request.headers.get("accept", "")
        after = await self._after(request, streams=streams)
        if streams:
            return self._stream(request, sought, after)
        limit = _whole(request, "limit", LIMIT, 1, LIMIT_MOST)
        portion = await asyncio.to_thread(self._reader.after, after, sought, limit)
        asked = [(name, value) for name, value in request.query_params.multi_items() if name != "after"]
        body = {
            "events": [event_of(told) for told in portion.told],
            "after": portion.at,
            "more": portion.more,
            "next": "/api/events?" + urlencode([("after", portion.at), *asked]),
        }
        return Response(orjson.dumps(body), 200, {"cache-control": "no-store"}, "application/json")

    async def _after(self, request: Request, *, streams: bool) -> int:
        if streams and (last := request.headers.get("last-event-id", "")):
            return _number("last-event-id", last, 0, SEQ_MOST)
        if request.query_params.get("after") == "now":
            return await asyncio.to_thread(self._reader.head)
        return _whole(request, "after", 0, 0, SEQ_MOST)

    def _stream(self, request: Request, sought: Sought, after: int) -> Response:
        headers = {"cache-control": "no-store", "x-accel-buffering": "no"}
        if request.method == "HEAD":
            with self._streams.one():
                return Response(None, 200, headers, f"{STREAM}; charset=utf-8")
        return Feed(self._told(request, sought, after), headers, self._streams)

    async def _told(self, request: Request, sought: Sought, at: int) -> AsyncIterator[bytes]:
        began_ms = said_ms = asked_ms = self._clock.now_ms()
        yield b"retry: %d\n\n" % RETRY_MS
        while not self._is_over() and self._clock.now_ms() - began_ms < STREAM_MS:
            if self._clock.now_ms() - asked_ms >= AGAIN_MS:
                if not await self._still(request):
                    return
                asked_ms = self._clock.now_ms()
            portion = await self._portion(at, sought)
            if portion is None:
                return
            at = portion.at
            if portion.octets:
                yield portion.octets
            elif self._clock.now_ms() - said_ms >= QUIET_MS:
                yield b"id: %d\n\n" % at
            else:
                if not portion.more:
                    await asyncio.sleep(self._look_s)
                continue
            said_ms = self._clock.now_ms()

    async def _still(self, request: Request) -> bool:
        """Tell whether the reader may go on; not where that cannot be told in time."""
        try:
            async with asyncio.timeout(ANSWER_S):
                return await still_is(request, person_of(request))
        except (Unavailable, TimeoutError):
            return False

    async def _portion(self, at: int, sought: Sought) -> Written | None:
        """Read on; None where the journal is away or hangs: the reader comes back, and goes on where it was."""
        key = _place(at, sought)
        try:
            async with asyncio.timeout(ANSWER_S):
                head = await self._head()
                if head <= at:
                    return Written(b"", at, more=False)
                if key not in self._shared:
                    # All read as far as the same head, so that they come to the same places.
                    reading = asyncio.to_thread(self._written, at, sought, head)
                    self._shared[key] = asyncio.create_task(reading, name="a portion of the journal")
                    while len(self._shared) > SHARED_MOST:
                        del self._shared[next(iter(self._shared))]
                return await asyncio.shield(self._shared[key])
        except Exception as error:
            self._shared.pop(key, None)
            if isinstance(error, Unavailable | TimeoutError):
                return None
            raise

    def _written(self, at: int, sought: Sought, head: int) -> Written:
        portion = self._reader.after(at, sought, PORTION, upto=head)
        octets = b"".join(_message(event_of(told)) for told in portion.told)
        return Written(octets, portion.at, portion.more)

    async def _head(self) -> int:
        """Return how far the journal goes, as of ``look_s`` ago at most: asked once for all who read along."""
        now_s = asyncio.get_running_loop().time()
        if self._looking is None or (self._looking.done() and now_s - self._looked_s >= self._look_s):
            self._looked_s = now_s
            self._looking = asyncio.create_task(
                asyncio.to_thread(self._reader.head), name="the journal's head"
            )
        # One reader who goes must not take the answer from the others.
        return await asyncio.shield(self._looking)


class Feed(StreamingResponse):
    """An answer that goes on; it takes a place among the streams."""

    def __init__(self, told: AsyncIterator[bytes], headers: dict[str, str], streams: Streams) -> None:
        """Answer with `told`, as one of `streams`."""
        super().__init__(told, 200, headers, f"{STREAM}; charset=utf-8")
        self._streams = streams

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, if there is a place. Raises ``Refused``."""
        with self._streams.one():
            await super().__call__(scope, receive, send)


def _full() -> Refused:
    return Refused("feed-full", "As many read along as can.", 503, 10)


def _place(at: int, sought: Sought) -> tuple[int, Sought]:
    """Name what readers share: where they are, and all that they may see and ask for."""
    return at, sought


async def still_is(request: Request, person: Person) -> bool:
    """Tell whether who asked may still do the same, for an answer that goes on. Raises ``Unavailable``."""
    ask: Callable[[], Awaitable[Person | None]] = request.scope["waitroom.again"]
    return await ask() == person


def sought_of(request: Request, person: Person) -> Sought:
    """Read what is asked for, within what `person` may see. Raises ``Refused``."""
    query = request.query_params
    for name in query:
        if name not in (*ONCE, *MANY):
            raise Refused("events-malformed", f"There is no parameter {name[:40]!r}.")
        if name in ONCE and len(query.getlist(name)) > 1:
            raise Refused("events-malformed", f"{name} is given more than once.")
    rooms, kinds = query.getlist("room"), query.getlist("kind")
    if not all(NAME.fullmatch(room) for room in rooms):
        raise Refused("events-malformed", "room is not the name of a room.")
    if not all(kind in list(Kind) for kind in kinds):
        raise Refused("events-malformed", f"kind is none of {', '.join(Kind)}.")
    for room in rooms:
        demand(person, Role.VIEWER, room)
    wanted = frozenset(map(Kind, kinds))
    if wanted & OF_OWNERS:
        demand(person, Role.OWNER)
    return Sought(frozenset(rooms) or person.rooms, wanted or kinds_of(person))


def kinds_of(person: Person) -> frozenset[Kind]:
    """Return the kinds that `person` may see; none stands for all."""
    return frozenset() if person.may(Role.OWNER) else frozenset(Kind) - OF_OWNERS


def _whole(request: Request, name: str, usual: int, least: int, most: int) -> int:
    text = request.query_params.get(name)
    return usual if text is None else _number(name, text, least, most)


def _number(name: str, text: str, least: int, most: int) -> int:
    if not (text.isascii() and text.isdecimal() and len(text) < 18 and least <= int(text) <= most):
        raise Refused("events-malformed", f"{name} must be a whole number from {least} to {most}.")
    return int(text)


def _message(event: dict[str, Any]) -> bytes:
    return b"id: %d\nevent: %s\ndata: %s\n\n" % (
        event["seq"],
        str(event["kind"]).encode(),
        orjson.dumps(event),
    )
