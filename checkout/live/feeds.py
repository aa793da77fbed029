"""Feed: what a worker has of one event's hall: a copy that is read on while anybody looks, and ready answers from it.

The store is read at most once in ``FRESH_MS``, however many ask, and one reading at a time for who must know better
(a buyer who lost the seats that were chosen); whoever comes in the meantime waits for the same
reading. What is read is the stream of deltas after the last one known. Only where the copy cannot go on from there
(the first time, after a loss, after ``READ_MOST`` deltas) the whole map is read.

* **Store away**: the last map stays good for ``STALE_MS``; its age is told.
* **Map missing**: the hall is rebuilt once, by whoever was handed in as `rebuild`. The old copy is thrown away at once,
  because it is of a hall that is no more.

Answers are made when somebody asks, once for each version. Not here: streams and how many look (``live.service``), what
a viewer is told (``live.following``).
"""

import asyncio
import logging
import zlib
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

import orjson

from checkout.halls import deltas
from checkout.halls.deltas import Version
from checkout.holds.answers import Missing
from checkout.holds.places import Places
from checkout.holds.store import HoldStore
from checkout.live.following import Bookmark, Follower, Stretch, free_by_section, message
from checkout.metrics import Metrics
from kernel.clock import Clock
from kernel.errors import Unavailable

log = logging.getLogger(__name__)

FRESH_MS = 100
TICK_MS = 200
READ_MOST = 2_000
"""Deltas that one reading takes; where more have come, the whole map is the cheaper reading."""

STALE_MS = 5_000
AGAIN_MS = 500
"""So long the store is left alone after it did not answer."""

PATIENCE_S = 0.5
"""So long a reader waits while there is something older to show; four times as long where there is not."""

CHECK_MS = 10_000
CHECK_IDLE_MS = 30_000
"""Pages ask for the map when they have heard nothing for a minute."""

CHECK_BURST, CHECK_SOON_MS = 200, 1_000
"""After so many deltas the mark is told as soon as it is quiet."""

KEEP_ALIVE_MS = 15_000
COUNTS_MS = 2_000
COUNTS_IDLE_MS = 8_000
"""Pages ask for the map when they have heard no counts for ten seconds."""

GZIP_LEVEL = 4
"""Measured on 60,000 seats, 55 % of them held or sold: level 3 14.1 kB, 4 13.2 kB in 1.5 ms, 6 12.7 kB in 6 ms."""

_GZIP = 31

Rebuild = Callable[[str], Awaitable[object]]
"""Puts an event's map back into a store that lost it."""


@dataclass(frozen=True, slots=True)
class MapBody:
    """A ready answer: all seats as octets (and packed with gzip), or the sections as JSON."""

    detail: str
    version: str
    etag: bytes
    octets: bytes
    packed: bytes | None = None


class Feed:
    """One event's hall in one worker."""

    def __init__(self, event: str, places: Places, rebuild: Rebuild, clock: Clock, metrics: Metrics) -> None:
        self.event = event
        self.follower = Follower()
        self.asked_ms = clock.now_ms()
        """When somebody looked last."""
        self.read_ms: int | None = None
        """When the last reading that succeeded began."""
        self.away: Unavailable | None = None
        """Why the last reading did not succeed."""
        self.is_missing = False
        self._places = places
        self._rebuild = rebuild
        self._clock = clock
        self._metrics = metrics
        self._reading: asyncio.Task[None] | None = None
        self._failed_ms: int | None = None
        self._told_ms = self.asked_ms
        self._checked_ms = self.asked_ms
        self._caught_up_ms = 0
        self._counted_ms = 0
        self._sections: list[Stretch] = []
        self._told_sections: list[Stretch] = []
        self._body: MapBody | None = None

    # ------------------------------------------------------------------------------- reading

    async def fresh(self, within_ms: int | None = None) -> None:
        """See to it that the copy is ``FRESH_MS`` old at most, or so old (0: read at this moment), if that can be."""
        now_ms = self.asked_ms = self._clock.now_ms()
        if _is_within(self.read_ms, now_ms, FRESH_MS if within_ms is None else within_ms):
            return
        if self._reading is None or self._reading.done():
            if _is_within(self._failed_ms, now_ms, AGAIN_MS):
                return
            self._reading = asyncio.create_task(self._read(now_ms))
        # Waited for and not awaited: whoever goes away must not take the answer from the others.
        patience_s = PATIENCE_S if _is_within(self.read_ms, now_ms, STALE_MS) else 4 * PATIENCE_S
        done, _ = await asyncio.wait([self._reading], timeout=patience_s)
        for reading in done:
            reading.result()

    def age_ms(self) -> int:
        """Return how old the copy is. Raises ``Unavailable`` when it is not to be shown any more."""
        now_ms = self._clock.now_ms()
        if self.is_missing:
            raise Unavailable(
                "map-rebuilding", "The seat map is being put together again. Please try again in a moment.", 1
            )
        if (
            self.follower.copy is None
            or self.read_ms is None
            or not _is_within(self.read_ms, now_ms, STALE_MS)
        ):
            raise self.away or Unavailable("store-away", "The seat map cannot be reached. Please try again.")
        return now_ms - self.read_ms

    async def stop(self) -> None:
        """Read no more."""
        if self._reading is not None:
            self._reading.cancel()
            await asyncio.wait([self._reading])

    async def _read(self, now_ms: int) -> None:
        try:
            holds = self._places.of(self.event).holds
            if not await self._read_on(holds):
                await self._read_whole(holds)
        except Unavailable as reason:
            if self.away is None:
                log.warning("a map cannot be read", extra={"event": self.event, "code": reason.code})
            self.away, self._failed_ms = reason, self._clock.now_ms()
        except Exception:
            self._failed_ms = self._clock.now_ms()
            raise
        else:
            self.read_ms, self.away, self._failed_ms = now_ms, None, None

    async def _read_on(self, holds: HoldStore) -> bool:
        copy = self.follower.copy
        if copy is None:
            return False
        self._metrics.store_delta_reads.count += 1
        entries = await holds.deltas(self.event, copy.version.delta, READ_MOST)
        return entries is not None and len(entries) < READ_MOST and self.follower.take(entries)

    async def _read_whole(self, holds: HoldStore) -> None:
        self._metrics.store_map_reads.count += 1
        seen = await holds.look(self.event)
        if isinstance(seen, Missing):
            self.is_missing = True
            self.follower.lose()
            await self._rebuild(self.event)
            self._metrics.store_map_reads.count += 1
            seen = await holds.look(self.event)
            if isinstance(seen, Missing):
                raise Unavailable("map-rebuilding", "The seat map is being put together again.", 1)
        self.follower.begin(seen)
        self.is_missing = False

    # ------------------------------------------------------------------------------- answers

    def seats_body(self) -> MapBody:
        """Give all seats. Only while there is a copy."""
        seen, body = self.follower.seen, self._body
        if body is None or body.detail != "seats" or body.version != seen.version:
            packed = zlib.compress(seen.map, GZIP_LEVEL, _GZIP)
            etag = f'"{seen.version}"'.encode()
            body = self._body = MapBody("seats", seen.version, etag, seen.map, packed)
        return body

    def sections_body(self, sections: Sequence[Stretch], now_ms: int) -> MapBody:
        """Give what is free in each section, counted at most every ``COUNTS_MS``. Only while there is a copy."""
        body = self._body
        if body is None or body.detail != "sections" or not _is_within(self._counted_ms, now_ms, COUNTS_MS):
            seen = self.follower.seen
            self._sections = free_by_section(seen.map, sections)
            self._counted_ms = now_ms
            told = {"detail": "sections", "version": seen.version, "sections": self._sections}
            etag = f'"{seen.version}-sections"'.encode()
            body = self._body = MapBody("sections", seen.version, etag, orjson.dumps(told))
        return body

    # --------------------------------------------------------------------------------- telling

    def tell_seats(self, now_ms: int) -> str:
        """Put what is new into a message, at most once a tick; returns what kind of telling that was, or nothing."""
        follower = self.follower
        follower.tell_seats()
        if _is_within(self._told_ms, now_ms, TICK_MS):
            return ""
        told = follower.tell(check_after=self._check_after(now_ms))
        if told is not None:
            if not follower.since_check:
                self._checked_ms = now_ms
            kind = "delta" if told.text else "check"
        elif _is_within(self._told_ms, now_ms, KEEP_ALIVE_MS):
            return ""
        else:
            follower.keep_alive()
            kind = "keep-alive"
        self._told_ms = now_ms
        return kind

    def tell_sections(self, sections: Sequence[Stretch], now_ms: int) -> str:
        """Tell what is free in each section, if that has changed or was long ago."""
        self.sections_body(sections, now_ms)
        has_changed = self._sections != self._told_sections
        span_ms = COUNTS_MS if has_changed else COUNTS_IDLE_MS
        if self.follower.counts and _is_within(self._told_ms, now_ms, span_ms):
            return ""
        self.follower.count(self._sections)
        self._told_sections, self._told_ms = self._sections, now_ms
        return "counts"

    async def catch_up(self, bookmark: Bookmark, at: Version) -> bytes:
        """Place a viewer whom the row of messages does not reach: give what it missed out of the store's own stream.

        Nothing where that has a hole, too, or was asked a moment ago: the viewer then waits for its ``reset``, which
        costs the store nothing.
        """
        copy, now_ms = self.follower.copy, self._clock.now_ms()
        if copy is None or at.epoch != copy.version.epoch or _is_within(self._caught_up_ms, now_ms, FRESH_MS):
            return b""
        self._caught_up_ms = now_ms
        self._metrics.store_delta_reads.count += 1
        try:
            entries = await self._places.of(self.event).holds.deltas(self.event, at.delta, READ_MOST)
        except Unavailable:
            return b""
        texts = [text for _, text in entries or ()]
        # The copy may have been replaced while the store was asked.
        if not entries or deltas.RESET in texts or self.follower.copy is not copy:
            return b""
        now = deltas.version(f"{at.epoch}:{entries[-1][0]}")
        return (
            message(now, deltas.coalesce(texts, len(copy.octets)))
            if self.follower.place(bookmark, now)
            else b""
        )

    def _check_after(self, now_ms: int) -> int | None:
        """Say how many deltas without a mark are too many just now."""
        if not _is_within(self._checked_ms, now_ms, CHECK_IDLE_MS):
            return -1
        if not _is_within(self._checked_ms, now_ms, CHECK_MS):
            return 0
        is_quiet = not self.follower.has_news and not _is_within(self._checked_ms, now_ms, CHECK_SOON_MS)
        return CHECK_BURST if is_quiet else None


def _is_within(since_ms: int | None, now_ms: int, span_ms: int) -> bool:
    """True until a span after a moment; a clock that was put back makes nothing fresh for ever."""
    return since_ms is not None and 0 <= now_ms - since_ms < span_ms
