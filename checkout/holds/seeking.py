"""Seeking: finds the seats to ask the store for, where the buyer has not named them.

What a worker keeps ready for that: the index and the floors of each layout (for good), the last map of each event
(``LOOK_MS``, one read of the store for all who ask; who has lost twice waits for the next one), and which seats belong
to an allocation (``ALLOCATION_MS``, from SQL). So many of each at most; what was needed least lately goes first.

How old an allocation may be: a seat that was added to it is found a second later at most; one that was put on sale for
all is refused by the store at once, because it is blocked no more; only one that moves from one allocation to
another stays open to the old code for this second. Not here: the rule (``holds.best``), who may ask
(``holds.service``).
"""

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from checkout.catalogue.event import Event
from checkout.catalogue.reading import CatalogueReader
from checkout.halls.seat_rows import SeatRows
from checkout.halls.sections import Kind
from checkout.holds.answers import Few, Held, HoldOutcome, Missing, Seen, Taken, Wanted
from checkout.holds.best import Block, Index, Picture, Places, Together, as_free
from checkout.holds.choosing import ANYWHERE_AFTER, Choosing
from checkout.holds.places import Places as Shards
from checkout.metrics import Metrics
from checkout.once import Once
from kernel.clock import Clock

LOOK_MS = 100
ALLOCATION_MS = 1_000
MOST_LAYOUTS, MOST_EVENTS, MOST_ALLOCATIONS = 16, 128, 64

Look = Callable[[str, int], Awaitable[Seen | Missing]]
"""Gives an event's map; so many milliseconds old at most, 0 for one that is read at this moment."""


@dataclass(frozen=True, slots=True)
class Chosen:
    """Seats that one buyer is sent to; nobody else of this worker is."""

    wanted: Wanted
    choosing: Choosing
    picture: Picture

    def answered(self, answer: HoldOutcome | None) -> bool:
        """Hear what the store said, None if it could not be heard; tells whether another choice may do better."""
        self.choosing.back(self.wanted.seats, granted=isinstance(answer, Held))
        match answer:
            case Taken(taken):
                self.choosing.lost(self.picture, [seat for seat, _ in taken])
            case Few():
                for first, last, _ in self.wanted.ranges:
                    self.choosing.lost(self.picture, range(first, last + 1))
            case _:
                return False
        return True


class Seeking:
    """One worker's eyes."""

    def __init__(
        self,
        catalogue: CatalogueReader,
        places: Shards,
        clock: Clock,
        metrics: Metrics,
        look: Look | None = None,
    ) -> None:
        """`look` if somebody reads the maps anyway."""
        self._catalogue = catalogue
        self._places = places
        self._clock = clock
        self._metrics = metrics
        self._look = look or self._own_look
        self._maps = Once(self._read_map, clock, keep_ms=LOOK_MS, most=MOST_EVENTS)
        self._indexes = Once(self._make_index, clock, most=MOST_LAYOUTS)
        self._floors = Once(self._make_floors, clock, most=MOST_LAYOUTS)
        self._masks = Once(self._make_mask, clock, keep_ms=ALLOCATION_MS, most=MOST_ALLOCATIONS)
        self._choosing: OrderedDict[str, Choosing] = OrderedDict()

    async def mask(self, event: Event, allocation: str) -> bytes:
        """Tell for each seat whether an allocation has it: 255 or 0."""
        return await self._masks.get((event.id, event.layout_id, allocation))

    async def floors(self, event: Event) -> Sequence[tuple[int, int]]:
        """Name the places to stand: the first of each section, and the one after its last."""
        return await self._floors.get(event.layout_id)

    async def choose(
        self, event: Event, allocation: str, wish: Together, hold_id: bytes, attempt: int, *, stands: bool
    ) -> Chosen | Few | Missing | None:
        """Choose the best seats of those that all may have, or of an `allocation`; None where nothing fits.

        `stands`: only places of the wish's section, which is one to stand in; ``Few`` where not so many are left.
        """
        index = await self._indexes.get(event.layout_id)
        mask = await self.mask(event, allocation) if allocation else b""
        seen = await self._look(event.id, 0 if attempt >= ANYWHERE_AFTER else LOOK_MS)
        if isinstance(seen, Missing):
            return seen
        choosing = self._choosing_of(event.id, index)
        picture = choosing.picture(
            seen, allocation, lambda: as_free(seen.map, mask) if mask else seen.map, self._clock.now_ms()
        )
        found = picture.stand(wish) if stands else choosing.best(picture, wish, hold_id, attempt)
        match found:
            case Block(seats):
                choosing.sent(picture, seats)
                return Chosen(Wanted(seats), choosing, picture)
            case Places(first, last, count):
                return Chosen(Wanted(ranges=((first, last, count),)), choosing, picture)
            case None:
                return Few(picture.left(wish.section)) if stands and wish.section is not None else None

    def _choosing_of(self, event: str, index: Index) -> Choosing:
        choosing = self._choosing.get(event)
        if choosing is None:
            choosing = self._choosing[event] = Choosing(index)
            if len(self._choosing) > MOST_EVENTS:
                self._choosing.popitem(last=False)
        self._choosing.move_to_end(event)
        return choosing

    async def _own_look(self, event: str, within_ms: int) -> Seen | Missing:
        seen = await self._maps.get(event, within_ms)
        if isinstance(seen, Missing):
            # Nobody shall hear of the loss after it is mended.
            self._maps.forget(event)
        return seen

    async def _read_map(self, event: str) -> Seen | Missing:
        self._metrics.store_map_reads.count += 1
        return await self._places.of(event).holds.look(event)

    async def _make_index(self, layout: str) -> Index:
        return await asyncio.to_thread(Index, await self._catalogue.layout(layout))

    async def _make_floors(self, layout: str) -> Sequence[tuple[int, int]]:
        sections = (await self._catalogue.layout(layout)).sections
        return [(one.first, one.first + one.count) for one in sections if one.kind is Kind.STANDING]

    async def _make_mask(self, key: tuple[str, str, str]) -> bytes:
        event, layout, allocation = key
        rows = SeatRows(self._places.of(event).database)
        mask = bytearray((await self._catalogue.layout(layout)).seats)
        for seat in await asyncio.to_thread(rows.allocated, event, allocation):
            mask[seat] = 255
        return bytes(mask)
