"""Live map: how thousands look at a hall at once, for one reader of the store.

A thousand maps a second cost the store ten small reads a second, ten thousand streams cost it five (``live.feeds``).
Every ``TICK_MS`` what came is put into one message, encoded once, and the viewers are woken in groups, so that a
request for seats waits for one group and not for all of them.

A *viewer* is a bookmark, a future and the server's own write buffer: some 13 kB with its tasks and its connection, and
one that does not read at most 64 kB (the server's high water) and one message (32 kB) more. There is no queue for
it; when it reads again it gets all that it missed in one message, or is told to fetch the map (``live.following``).

Under too much load (``live.crowding``, judged in each step from what was measured) halls are told by sections: maps as
JSON, streams as counts every two seconds. Back again, ``RESETS_PER_TICK`` viewers at a time are told to fetch the map.

`step` is one round of it all; `run` does it for ever. Not here: HTTP (``live.web``), reading the store
(``live.feeds``).
"""

import asyncio
import logging
from collections.abc import Callable, Iterable, Sequence
from typing import Protocol

from checkout.catalogue.event import Known
from checkout.halls.deltas import Version
from checkout.halls.layout import Layout
from checkout.holds.answers import Missing, Seen
from checkout.holds.places import Places
from checkout.live.crowding import Bounds, Crowding, Load, judge
from checkout.live.feeds import TICK_MS, Feed, MapBody, Rebuild
from checkout.live.following import Bookmark, Stretch
from checkout.metrics import Metrics
from kernel.asgi import Push
from kernel.clock import Clock
from kernel.errors import Unavailable
from kernel.tasks import is_ending

log = logging.getLogger(__name__)

RESETS_PER_TICK = 100
"""Viewers told in one tick to fetch the map: what the map can bear, whatever the crowd."""

GROUP = 20
"""Viewers woken at once: a millisecond of the loop."""

MOST_VIEWERS = 10_000
FORGET_MS = 60_000
"""So long a hall that nobody looks at stays in memory."""

MEASURE_MS = 1_000


class Halls(Protocol):
    """What events there are, and in which halls (``catalogue.reading``)."""

    async def known(self, event_id: str) -> Known:
        """Return the facts of an event. Raises ``Refused("event-unknown")``."""

    async def layout(self, layout: str) -> Layout:
        """Return a layout."""


class Viewer:
    """One open stream."""

    __slots__ = ("_first", "_is_over", "_map", "_woken", "bookmark", "push", "watched")

    def __init__(self, live_map: "LiveMap", watched: "Watched") -> None:
        self.watched = watched
        self.push = Push()
        self.bookmark = Bookmark()
        self._map = live_map
        self._first = b""
        self._is_over = False
        self._woken: asyncio.Future[None] | None = None

    def begin_with(self, octets: bytes) -> None:
        """Have this told before anything else."""
        self._first = octets

    async def next(self) -> bytes:
        """Wait for what is to be written next; nothing at the end."""
        while not self._is_over:
            octets, self._first = self._first or self.watched.follower.pull(self.bookmark), b""
            if octets:
                self._map.written(len(octets))
                return octets
            self._woken = asyncio.get_running_loop().create_future()
            self.watched.waiting[self] = None
            await self._woken
        return b""

    def tell(self) -> None:
        """Write what is new where the connection takes it at once; else have it look again."""
        write = self.push.write
        if write is None:
            self.wake()
            return
        octets = self.watched.follower.pull(self.bookmark)
        if not octets:
            return
        if write(octets):
            self._map.written(len(octets))
        else:
            self._first = octets
            self.wake()

    def wake(self) -> None:
        """Have it look again."""
        self.watched.waiting.pop(self, None)
        if self._woken is not None and not self._woken.done():
            self._woken.set_result(None)

    def end(self) -> None:
        """Say that the stream is over: the fan has gone, or the worker goes."""
        self._is_over = True
        self.wake()


class Watched(Feed):
    """A feed with its viewers."""

    def __init__(
        self, known: Known, places: Places, rebuild: Rebuild, clock: Clock, metrics: Metrics
    ) -> None:
        super().__init__(known.event.id, places, rebuild, clock, metrics)
        self.layout_id = known.event.layout_id
        self.ticking: asyncio.Task[None] | None = None
        self.ticked_ms = 0
        self.viewers: set[Viewer] = set()
        self.waiting: dict[Viewer, None] = {}
        """Viewers that have been told everything."""
        self.ahead: dict[Viewer, int] = {}
        """Viewers that know a version which is not here yet, and since when."""


class LiveMap:
    """One worker's maps."""

    def __init__(
        self,
        catalogue: Halls,
        places: Places,
        rebuild: Rebuild,
        clock: Clock,
        metrics: Metrics,
        load: Callable[[], float],
        bounds: Bounds | None = None,
        most_viewers: int = MOST_VIEWERS,
    ) -> None:
        """`load` tells how late the event loop is, in milliseconds (``LoopLag``)."""
        self._catalogue = catalogue
        self._places = places
        self._rebuild = rebuild
        self._clock = clock
        self._metrics = metrics
        self._load = load
        self._bounds = bounds or Bounds()
        self._most_viewers = most_viewers
        self._feeds: dict[str, Watched] = {}
        self._crowding = Crowding()
        self._viewers = 0
        self._bytes = 0
        self._bytes_per_s = 0.0
        self._measured_ms = clock.now_ms()
        self._is_ending = False
        self._running: asyncio.Task[None] | None = None

    # ----------------------------------------------------------------------------- questions

    @property
    def is_crowded(self) -> bool:
        """True while only sections are told."""
        return self._crowding.is_crowded

    @property
    def is_full(self) -> bool:
        """True while nobody more may open a stream."""
        return self._viewers >= self._most_viewers

    async def snapshot(self, event: str) -> tuple[MapBody, int]:
        """Give the map in ready bytes, and its age in milliseconds.

        Raises ``Refused("event-unknown")``, ``Unavailable``: ``map-rebuilding``, ``store-away``.
        """
        feed = await self._fresh(event)
        age_ms = feed.age_ms()
        if not self.is_crowded:
            return feed.seats_body(), age_ms
        sections = await self._sections(feed)
        # The layout may have had to be read; what was here before need not be any more.
        age_ms = feed.age_ms()
        return feed.sections_body(sections, self._clock.now_ms()), age_ms

    async def look(self, event: str, within_ms: int | None = None) -> Seen | Missing:
        """Give the whole hall, so old at most; 0: as it is read at this moment.

        Raises ``Refused("event-unknown")``, ``Unavailable("store-away")``.
        """
        feed = await self._fresh(event, within_ms)
        if feed.is_missing:
            return Missing()
        feed.age_ms()
        if feed.away is not None:
            raise feed.away
        return feed.follower.seen

    # ------------------------------------------------------------------------------- streams

    async def open(self, event: str, after: Version | None) -> Viewer:
        """Begin a stream for whoever has the version `after`; None: for what comes from now on.

        Raises as `snapshot`, and ``Unavailable("streams-full")``. Whoever opens closes.
        """
        self._have_room()
        feed = await self._fresh(event)
        feed.age_ms()
        if self.is_crowded:
            await self._tell(feed, self._clock.now_ms())
        viewer = Viewer(self, feed)
        if not feed.follower.place(viewer.bookmark, after) and after is not None:
            viewer.begin_with(await feed.catch_up(viewer.bookmark, after))
        # The store may have been asked, and much may have happened meanwhile.
        self._have_room()
        ahead, copy = viewer.bookmark.ahead, feed.follower.copy
        if ahead is not None and copy is not None and ahead > copy.version:
            feed.ahead[viewer] = self._clock.now_ms()
        feed.viewers.add(viewer)
        self._viewers += 1
        self._metrics.streams.inc()
        return viewer

    def close(self, viewer: Viewer) -> None:
        """End a stream."""
        viewer.end()
        feed = viewer.watched
        if viewer in feed.viewers:
            feed.viewers.remove(viewer)
            feed.ahead.pop(viewer, None)
            self._viewers -= 1
            self._metrics.streams.dec()

    def _have_room(self) -> None:
        if self._is_ending or self.is_full:
            raise Unavailable(
                "streams-full", "Too many people watch just now. The map can still be looked at.", 10
            )

    def written(self, count: int) -> None:
        """Note that so many bytes of a map or a stream go out."""
        self._bytes += count

    # ---------------------------------------------------------------------------- background

    def start(self) -> None:
        """Begin to step."""
        self._running = asyncio.create_task(self.run(), name="live-map")

    def end(self) -> None:
        """End all streams, and let none begin: pages come back by themselves, to another worker."""
        self._is_ending = True
        for feed in self._feeds.values():
            for viewer in list(feed.viewers):
                viewer.end()

    async def stop(self) -> None:
        """End all streams and everything in the background."""
        self.end()
        ticks = [feed.ticking for feed in self._feeds.values() if feed.ticking is not None]
        tasks = [*ticks, *([self._running] if self._running is not None else [])]
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)
        for feed in self._feeds.values():
            await feed.stop()

    async def run(self) -> None:
        """Step for ever. A millisecond is added, so that in whole milliseconds no tick is too early."""
        loop = asyncio.get_running_loop()
        while not is_ending():
            next_s = loop.time() + (TICK_MS + 1) / 1000
            await self.step()
            await asyncio.sleep(max(0.0, next_s - loop.time()))

    async def step(self) -> None:
        """Judge the load, tell every viewer what is new, and forget halls that nobody looks at."""
        now_ms = self._clock.now_ms()
        self._measure(now_ms)
        for feed in list(self._feeds.values()):
            if feed.viewers:
                if feed.ticking is None or feed.ticking.done():
                    self._begin_tick(feed, now_ms)
            elif not 0 <= now_ms - feed.asked_ms < FORGET_MS:
                del self._feeds[feed.event]
        ticks = [feed.ticking for feed in self._feeds.values() if feed.ticking is not None]
        if ticks:
            # A store that does not answer holds up its own events and no others.
            await asyncio.wait(ticks, timeout=TICK_MS / 1000)

    def _begin_tick(self, feed: Watched, now_ms: int) -> None:
        feed.ticked_ms = now_ms
        feed.ticking = asyncio.create_task(self._tick(feed, now_ms))
        feed.ticking.add_done_callback(lambda tick: self._ticked(feed, tick))

    def _ticked(self, feed: Watched, tick: asyncio.Task[None]) -> None:
        """Go on at once where telling everybody took longer than a tick: the step in between has passed it over."""
        if tick.cancelled():
            return
        if (error := tick.exception()) is not None:
            self._metrics.background_failures.count("live-map")
            log.error("viewers could not be told", exc_info=error)
            return
        now_ms = self._clock.now_ms()
        if feed.viewers and now_ms - feed.ticked_ms >= TICK_MS:
            self._begin_tick(feed, now_ms)

    def _measure(self, now_ms: int) -> None:
        since_ms = now_ms - self._measured_ms
        if not 0 <= since_ms < MEASURE_MS:
            self._bytes_per_s = self._bytes * 1000 / since_ms if since_ms > 0 else 0.0
            self._bytes, self._measured_ms = 0, now_ms
        load = Load(self._load(), self._viewers, self._bytes_per_s)
        was_crowded = self.is_crowded
        self._crowding = judge(self._crowding, load.pressure(self._bounds), now_ms)
        self._metrics.loop_lag.set(load.lag_ms / 1000)
        if was_crowded is not self.is_crowded:
            self._metrics.map_crowded.set(self.is_crowded)
            log.warning(
                "maps are told by sections" if self.is_crowded else "maps are told by seats",
                extra={
                    "lag_ms": round(load.lag_ms),
                    "viewers": load.viewers,
                    "bytes_per_s": round(load.bytes_per_s),
                },
            )

    async def _tick(self, feed: Watched, now_ms: int) -> None:
        await feed.fresh()
        if feed.follower.copy is None:
            return
        kind = await self._tell(feed, now_ms)
        _await_the_store(feed)
        feed.follower.resets_left = RESETS_PER_TICK
        if kind:
            self._metrics.stream_messages.count(kind, len(feed.viewers))
            await _wake(feed.waiting)
        else:
            lost = [viewer for viewer in feed.waiting if feed.follower.is_lost(viewer.bookmark)]
            await _wake(lost[:RESETS_PER_TICK])

    async def _tell(self, feed: Watched, now_ms: int) -> str:
        """Have all that is new told, as the load allows; returns what kind of telling that was, or nothing."""
        if not self.is_crowded:
            return feed.tell_seats(now_ms)
        sections = await self._sections(feed)
        return feed.tell_sections(sections, now_ms) if feed.follower.copy is not None else ""

    async def _fresh(self, event: str, within_ms: int | None = None) -> Watched:
        known = await self._catalogue.known(event)
        feed = self._feeds.get(event)
        if feed is None:
            feed = Watched(known, self._places, self._rebuild, self._clock, self._metrics)
            self._feeds[event] = feed
        await feed.fresh(within_ms)
        return feed

    async def _sections(self, feed: Watched) -> Sequence[Stretch]:
        layout = await self._catalogue.layout(feed.layout_id)
        return [(section.first, section.count) for section in layout.sections]


def _await_the_store(feed: Watched) -> None:
    """Let go of those that were ahead of this worker, and of those that are ahead of the store itself."""
    copy = feed.follower.copy
    for viewer, since_ms in list(feed.ahead.items()):
        ahead = viewer.bookmark.ahead
        if ahead is None or copy is None or copy.version >= ahead:
            del feed.ahead[viewer]
        elif feed.read_ms is not None and feed.read_ms > since_ms:
            # Their version is one of a hall that was lost.
            del feed.ahead[viewer]
            viewer.bookmark.run = -1


async def _wake(viewers: Iterable[Viewer]) -> None:
    """Tell viewers, a group at a time, and let others have their turn in between."""
    all_of_them = list(viewers)
    for first in range(0, len(all_of_them), GROUP):
        for viewer in all_of_them[first : first + GROUP]:
            # One that has gone meanwhile, or that was woken, looks by itself.
            if viewer in viewer.watched.waiting:
                viewer.tell()
        await asyncio.sleep(0)
