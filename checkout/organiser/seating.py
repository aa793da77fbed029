"""Seating: how each seat of an event stands, for whoever looks at the whole hall.

The store's map says what is held; SQL has the last word on the rest. So the store is asked first, and where it has no
map, or is away, SQL's is told, in which nothing is held (``is_live`` says which). Which seats were put aside for an
allocation only SQL knows; of these some may be held or sold by now. It decides nothing. Not here: HTTP.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass

from checkout.catalogue.event import Known, seat_tiers
from checkout.catalogue.service import Catalogue
from checkout.halls.layout import Layout
from checkout.halls.seat_rows import SeatRows
from checkout.holds.answers import Seen
from checkout.holds.places import Place, Places
from kernel.errors import Unavailable


@dataclass(frozen=True, slots=True)
class Seating:
    """An event's hall. ``hall``: an octet a seat (``halls.seats``); ``allocated``: seats by allocation, in order."""

    known: Known
    layout: Layout
    hall: bytes
    is_live: bool
    allocated: Mapping[str, tuple[int, ...]]


class Seatings:
    """Looks at halls, for organisers."""

    def __init__(self, catalogue: Catalogue, places: Places) -> None:
        self._catalogue = catalogue
        self._places = places

    async def of(self, event: str) -> Seating:
        """Look at an event's hall. Raises ``Refused("event-unknown")``."""
        known = await self._catalogue.committed(event)
        layout = await self._catalogue.layout(known.event.layout_id)
        place = self._places.of(event)
        names = tuple(one.name for one in known.allocations)
        kept, allocated = await asyncio.to_thread(_read, place, event, names)
        shown = await _shown(place, event)
        if len(kept) != layout.seats:
            # A draft whose making broke off: publishing makes the seats, of these tiers.
            kept = seat_tiers([(one.first, one.count) for one in layout.sections], known.section_tiers)
        is_live = len(shown) == layout.seats
        return Seating(known, layout, shown if is_live else kept, is_live, allocated)


async def _shown(place: Place, event: str) -> bytes:
    """Ask the store; nothing where it is away or has no map."""
    try:
        seen = await place.holds.look(event)
    except Unavailable:
        return b""
    return seen.map if isinstance(seen, Seen) else b""


def _read(place: Place, event: str, names: tuple[str, ...]) -> tuple[bytes, dict[str, tuple[int, ...]]]:
    rows = SeatRows(place.database)
    return rows.octets(event), {name: tuple(rows.allocated(event, name)) for name in names}
