"""Counting: how many seats of an event are free, for pages that many people look at.

A count is at most a second old, and made once however many look (``once``), so the store is asked once a second and
worker for an event. While the store is away, the event is being moved, or its map is being put back, nobody knows: the
answer is None, and the pages say nothing rather than something wrong.

Not here: the counts of sections and the map itself (``live.service``), what a line is told (``stock.watch``).
"""

import asyncio
from collections.abc import Iterable, Mapping

from checkout.holds.places import Places
from checkout.once import Once
from kernel.clock import Clock
from kernel.errors import Unavailable

FRESH_MS = 1_000
MOST_KEPT = 2_048

Counts = tuple[int, ...]
"""Seats of each status, in the order of ``Status``."""


class Counting:
    """One worker's counts."""

    def __init__(self, places: Places, clock: Clock, fresh_ms: int = FRESH_MS) -> None:
        self._places = places
        self._counts: Once[str, Counts | None] = Once(self._count, clock, keep_ms=fresh_ms, most=MOST_KEPT)

    async def of(self, events: Iterable[str]) -> Mapping[str, Counts | None]:
        """Count events."""
        wanted = list(dict.fromkeys(events))
        found = await asyncio.gather(*(self._counts.get(event) for event in wanted))
        return dict(zip(wanted, found, strict=True))

    async def _count(self, event: str) -> Counts | None:
        try:
            return await self._places.of(event).holds.counts(event)
        except Unavailable:
            return None
