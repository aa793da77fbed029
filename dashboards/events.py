"""Events: what changed in the rooms, told to every open console over one stream each.

* ``GET /events?room=NAME`` (without a room: all that one sees): server-sent events. Each round of the sampler is one
  event ``now``: ``{"title": …, "parts": {name: html}, "point": {…}, "order": […]}`` with the parts of the page that
  changed, the newest numbers for the plots, and for the overview all parts in their order. ``id`` is
  ``channel.sequence``; a browser that comes back with ``Last-Event-ID`` gets what changed since, or everything where
  that is not known any more. ``gone``: the room is no more. ``still``: a round hangs, what was told last is old;
  it keeps the connection open, too.
* ``GET /series?room=NAME``: the last half hour for the plots, thinned to four seconds.

A **channel** is one room for one set of rights. It renders once a round for all its consoles, whatever their number,
and knows nobody's name or papers. A stream asks at each event whether its session still holds and still has the same
rights, and ends otherwise; it also ends when the process does, and browsers come back to whoever serves then.

Not here: what is shown (``board``), when there is something new (``sampling``).
"""

import asyncio
import re
import secrets
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager

import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from dashboards.access import Session
from dashboards.board import Board
from dashboards.bounds import Streams
from dashboards.entrance import Entrance
from dashboards.operator_api import resource
from dashboards.page import SAFE
from dashboards.rights import Person
from dashboards.sampling import Sampler
from kernel.asgi import Receive, Scope, Send
from kernel.errors import Refused, Unavailable
from kernel.tasks import is_ending

STREAMS_MOST = 640
TOLD_A_ROUND = 64
"""Streams that are told in one round. With more of them each waits for its turn, ten seconds at most: so their cost
does not grow with their number (ADR 0037)."""

RETRY_MS = 2_000
SERIES_STEP_MS = 4_000
IDLE_CHANNELS_MOST = 64
"""Channels that nobody follows at the moment, kept for those who come back."""

BEAT = b"event: still\ndata:\n\n"
GONE = b"event: gone\ndata:\n\n"
_ID = re.compile(r"([0-9a-f]{8})\.(\d{1,15})")

_HEADERS = {"content-type": "text/event-stream; charset=utf-8", "x-accel-buffering": "no", **SAFE}
"""nginx would hold back what does not fill its buffer."""
_RAW = [(name.encode(), text.encode()) for name, text in _HEADERS.items()]


class Channel:
    """One room, or the overview, for one set of rights."""

    def __init__(self, board: Board, person: Person, name: str) -> None:
        """Tell about the room `name` what `person` sees; '' is the overview."""
        self._board = board
        self._person = person
        self._name = name
        self._boot = secrets.token_hex(4)
        self._round = -1
        self._lock = asyncio.Lock()
        self._title = ""
        self._parts: dict[str, tuple[int, str]] = {}
        """Part by the sequence of its last change, in the order of the page."""

        self._messages: dict[int, bytes] = {}
        self.sequence = 0
        self.followers = 0

    def since(self, last_id: str) -> int:
        """Return the sequence that a browser knows; 0 where it knows nothing of this channel."""
        found = _ID.fullmatch(last_id)
        if found is None or found[1] != self._boot or int(found[2]) > self.sequence:
            return 0
        return int(found[2])

    async def message(self, since: int) -> bytes | None:
        """Return the event for whoever knows all up to `since`; None where the room is gone."""
        async with self._lock:
            if self._is_there() and self._round != self._board.sampler.number:
                await self._render()
        if not self._is_there():
            return None
        octets = self._messages.get(since)
        if octets is None:
            octets = self._messages[since] = self._write(since)
        return octets

    def _is_there(self) -> bool:
        return not self._name or self._name in self._board.names(self._person)

    async def _render(self) -> None:
        number = self._board.sampler.number
        self._title, parts = await self._board.parts(self._person, self._name)
        self.sequence += 1
        self._round, self._messages = number, {}
        before, self._parts = self._parts, {}
        for name, html in parts.items():
            known = before.get(name)
            self._parts[name] = known if known is not None and known[1] == html else (self.sequence, html)

    def _write(self, since: int) -> bytes:
        said = {
            "title": self._title,
            "parts": {name: html for name, (changed, html) in self._parts.items() if changed > since},
            "point": self._board.point(self._name) if self._name else None,
            "order": None if self._name else list(self._parts),
        }
        return b"id: %s.%d\nevent: now\ndata: %s\n\n" % (
            self._boot.encode(),
            self.sequence,
            orjson.dumps(said),
        )


class Channels:
    """The channels that somebody follows, or did a short while ago."""

    def __init__(self, board: Board) -> None:
        """Make them from `board`."""
        self._board = board
        self._open: dict[tuple[object, ...], Channel] = {}

    def of(self, person: Person, name: str) -> Channel:
        """Return the channel of a room for everybody with the rights of `person`."""
        key = (name, person.role, person.rooms)
        channel = self._open.pop(key, None) or Channel(self._board, person, name)
        self._open[key] = channel
        idle = [each for each, one in self._open.items() if not one.followers and one is not channel]
        for each in idle[: max(0, len(idle) - IDLE_CHANNELS_MOST)]:
            del self._open[each]
        return channel


class Followers:
    """Whose sessions follow. Whether each still holds, and with which rights, is asked once a round for all."""

    def __init__(self, entrance: Entrance, sampler: Sampler) -> None:
        """Ask `entrance`, once for each round of `sampler`."""
        self._entrance = entrance
        self._sampler = sampler
        self._streams: Counter[Session] = Counter()
        self._latest = 0
        self._asked: frozenset[Session] = frozenset()
        self._of = -1
        self._answer: asyncio.Task[dict[str, Session]] | None = None

    @contextmanager
    def follows(self, session: Session) -> Iterator[int]:
        """Be one stream of a session; gives its number, by which it takes turns with the others."""
        self._streams[session] += 1
        self._latest += 1
        try:
            yield self._latest
        finally:
            self._streams[session] -= 1
            self._streams += Counter()  # drops who follows no more

    def rounds(self, stream: int, number: int) -> int:
        """Tell how many rounds after round `number` a stream has its turn: 1 while there are few."""
        turns = max(1, -(-self._streams.total() // TOLD_A_ROUND))
        return (stream - number - 1) % turns + 1

    async def person(self, session: Session) -> Person | None:
        """Return who follows, as they may act now; None where the session is over, or nobody can tell."""
        number = self._sampler.number
        if self._answer is None or self._of != number or session not in self._asked:
            self._of, self._asked = number, frozenset(self._streams)
            self._answer = asyncio.create_task(self._entrance.standing(self._asked), name="who follows")
        # One stream that is cut off must not take the answer from the others.
        found = (await asyncio.shield(self._answer)).get(session.sid)
        return None if found is None else found.person


class Events:
    """The two addresses."""

    def __init__(self, entrance: Entrance, board: Board, *, most: int = STREAMS_MOST) -> None:
        """Serve whoever came through `entrance`; at most `most` streams at a time."""
        self._entrance = entrance
        self._board = board
        self._channels = Channels(board)
        self._streams = Streams(most, _full)
        self._followers = Followers(entrance, board.sampler)

    def routes(self) -> list[Route]:
        """Return the addresses."""
        return [resource("/events", GET=self.events), resource("/series", GET=self.series)]

    async def events(self, request: Request) -> Response:
        """GET /events: follow a room, or all."""
        session, name = self._session(request)
        if session is None:
            return Response(status_code=401, headers=SAFE)
        sampler = self._board.sampler
        await sampler.fresh()
        self._demand(session, name)
        if sampler.ending:
            raise _full()
        if request.method == "HEAD":
            with self._streams.one():
                return Response(headers=dict(_HEADERS))
        channel = self._channels.of(session.person, name)
        since = channel.since(request.headers.get("last-event-id", ""))

        async def tell(send: Callable[[bytes], Awaitable[None]]) -> None:
            await self._tell(channel, since, session, send)

        return Stream(tell, self._streams)

    async def _tell(
        self,
        channel: Channel,
        since: int,
        session: Session,
        send: Callable[[bytes], Awaitable[None]],
    ) -> None:
        """Tell what is new until the session ends, the room is gone, or the process goes."""
        sampler, followers, person = self._board.sampler, self._followers, session.person
        channel.followers += 1
        try:
            with sampler.followed(), followers.follows(session) as stream:
                await send(b"retry: %d\n\n" % RETRY_MS)
                while not is_ending() and not sampler.ending and await followers.person(session) == person:
                    number = sampler.number
                    octets = await channel.message(since)
                    if octets is None:
                        await send(GONE)
                        return
                    since = channel.sequence
                    await send(octets)
                    rounds = followers.rounds(stream, number)
                    while not await sampler.next(number, rounds):
                        await send(BEAT)
        finally:
            channel.followers -= 1

    async def series(self, request: Request) -> Response:
        """GET /series: the last half hour of a room."""
        session, name = self._session(request)
        if session is None:
            return Response(status_code=401, headers=SAFE)
        await self._board.sampler.fresh()
        self._demand(session, name)
        found = self._board.sampler.rooms().get(name)
        if found is None:
            raise Refused("room-unknown", "There is no such room.", 404)
        return Response(orjson.dumps(found.track.series(SERIES_STEP_MS)), 200, SAFE, "application/json")

    def _session(self, request: Request) -> tuple[Session | None, str]:
        names = request.query_params.getlist("room")
        return self._entrance.session(request), names[0] if len(names) == 1 else ("" if not names else "\0")

    def _demand(self, session: Session, name: str) -> None:
        """Refuse a room that is not there; one that is not theirs to see is not there for them."""
        if name and name not in self._board.names(session.person):
            raise Refused("room-unknown", "There is no such room.", 404)


class Stream(Response):
    """An answer that goes on until `tell` ends or the browser goes."""

    def __init__(
        self, tell: Callable[[Callable[[bytes], Awaitable[None]]], Awaitable[None]], streams: Streams
    ) -> None:
        """Have `tell` write, as one of `streams`."""
        super().__init__()
        self._tell = tell
        self._streams = streams

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, if there is a place. Raises ``Unavailable``."""
        del scope
        with self._streams.one():
            await self._answer(receive, send)

    async def _answer(self, receive: Receive, send: Send) -> None:
        """Begin, tell, end; writing to a browser that has gone would not say so, hence the watch."""

        async def write(octets: bytes) -> None:
            await send({"type": "http.response.body", "body": octets, "more_body": True})

        await send({"type": "http.response.start", "status": 200, "headers": _RAW})
        telling = asyncio.ensure_future(self._tell(write))
        watch = asyncio.ensure_future(_gone(receive))
        try:
            await asyncio.wait((telling, watch), return_when=asyncio.FIRST_COMPLETED)
            if telling.done():
                telling.result()
                await send({"type": "http.response.body", "body": b"", "more_body": False})
        finally:
            telling.cancel()
            watch.cancel()
            await asyncio.gather(telling, watch, return_exceptions=True)


def _full() -> Unavailable:
    return Unavailable("streams-many", "Too many consoles are open. This page asks by itself instead.")


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
