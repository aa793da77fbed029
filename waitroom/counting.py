"""Counting: the use cases of a census: hear who is still there, and count a round when it is over.

Any worker may count: the first one's count is kept, and all read that one. The answers of a round are a set of numbers
in the store, cleared away two rounds later; nothing else is known of who answered. Not here: the rule (``census``),
HTTP (``census_web``), what a count does to a wait (``wait``).
"""

import asyncio
from collections.abc import Iterable

from waitroom import census
from waitroom.census import Asked, Census
from waitroom.draw import Shuffle
from waitroom.line import Line, asked_of, is_void, rank_of
from waitroom.reading import Reading
from waitroom.store import LineStore
from waitroom.ticket import Ticket


class Counting:
    """Counts the rooms of one worker."""

    def __init__(self, store: LineStore) -> None:
        """Count in `store`."""
        self._store = store
        self._counted: dict[str, tuple[str, int]] = {}

    async def hear(self, reading: Reading, held: Ticket) -> bool:
        """Note that the page of a ticket is still there; tell whether it was asked at all."""
        line = reading.line
        asked = asked_of(line)
        if asked is None or line is None or held.run != line.run or not 0 <= held.number < line.issued:
            return False
        if not census.sampled(line.run, held.number, asked.one_in):
            return False
        await self._store.here(reading.base.name, line.run, asked.round, held.number, 3 * asked.span_ms)
        return True

    async def count(self, reading: Reading) -> None:
        """Count the round before, as soon as a new one has begun."""
        line, room = reading.line, reading.base.name
        asked = asked_of(line)
        if asked is None or line is None or self._counted.get(room) == (line.run, asked.round):
            return
        last = asked.round - asked.span_ms // 1000
        here, before = [
            await self._store.answered(room, line.run, name) for name in (last, last - asked.span_ms // 1000)
        ]
        if here:
            found = await asyncio.to_thread(_counted, line, reading.shuffle, asked, last, here, before)
            if found is not None:
                await self._store.census(room, line.run, found)
        self._counted[room] = line.run, asked.round


def _counted(
    line: Line, shuffle: Shuffle | None, asked: Asked, name: int, here: Iterable[int], before: Iterable[int]
) -> Census | None:
    """Turn numbers into ranks (a tenth of a second for a sample of a drawn line) and count them."""

    def ranks(numbers: Iterable[int]) -> set[int]:
        # Those who are in the present sample, which may be a part of the one that was asked.
        found = set()
        for number in numbers:
            if census.sampled(line.run, number, asked.one_in):
                drawn = shuffle is not None and number < shuffle.n and not is_void(line.void, number)
                rank = rank_of(line, number, shuffle.rank(number) if drawn and shuffle else None)
                if rank is not None:
                    found.add(rank)
        return found

    return census.counted(
        name,
        ranks(here),
        ranks(before),
        asked.one_in,
        line.serving.standard,
        line.axis_void,
        asked.span_ms,
    )
