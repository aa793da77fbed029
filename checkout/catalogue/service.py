"""Catalogue's use cases: what organisers change. SQL first, then this worker's memory, then the caller hears of it.

A change is in this worker's memory before the call returns (written through), and in the others' within a second
(``catalogue.reading``). Seats live in the event's shard: ``rows_of`` says where. Not here: HTTP, and the store of the
map: the caller marks seats there after the change here has been committed.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace

from checkout.catalogue.event import (
    Allocation,
    Amounts,
    Known,
    NewEvent,
    Organiser,
    Venue,
    changed,
    code_hash,
    merged,
    price_faults,
    read_event,
    seat_tiers,
    section_tiers_of,
)
from checkout.catalogue.reading import CHECK_MS, CatalogueReader
from checkout.catalogue.selling import State
from checkout.catalogue.store import CatalogueStore, Layouts
from checkout.faults import Faults
from checkout.halls.layout import Layout, check, document, layout_id
from checkout.halls.seat_rows import Busy, Done, SeatRows
from kernel.clock import Clock
from kernel.errors import Refused


class Catalogue(CatalogueReader):
    """One worker's catalogue, to look at and to change."""

    def __init__(
        self,
        store: CatalogueStore,
        rows_of: Callable[[str], SeatRows],
        clock: Clock,
        check_ms: int = CHECK_MS,
    ) -> None:
        super().__init__(store, clock, check_ms)
        self._rows_of = rows_of

    async def committed(self, event_id: str) -> Known:
        """Give all facts of an event as they are in SQL now, a draft's too. Raises ``Refused("event-unknown")``."""
        known = await asyncio.to_thread(self._store.event, event_id)
        if known is None:
            raise Refused("event-unknown", "There is no such event.", status=404)
        return known

    async def organisers(self) -> list[Organiser]:
        """Give all organisers by id."""
        return await asyncio.to_thread(self._store.organisers)

    async def venues(self) -> list[Venue]:
        """Give all venues by id."""
        return await asyncio.to_thread(self._store.venues)

    async def venue(self, venue_id: str) -> Venue:
        """Give a venue. Raises ``Refused("venue-unknown")``."""
        found = next((venue for venue in await self.venues() if venue.id == venue_id), None)
        if found is None:
            raise Refused("venue-unknown", "There is no such venue.", status=404)
        return found

    async def layouts(self, venue_id: str) -> list[Layouts]:
        """Give the layouts of a venue, without their documents. Raises ``Refused("venue-unknown")``."""
        house = await self.venue(venue_id)
        return await asyncio.to_thread(self._store.layouts, house.id)

    async def put_organiser(self, organiser: Organiser) -> None:
        """Keep an organiser."""
        await asyncio.to_thread(self._store.put_organiser, organiser, self._clock.now_ms())
        await self._renew(
            [event_id for event_id, own in self._events.items() if own.organiser.id == organiser.id]
        )

    async def put_venue(self, venue: Venue) -> None:
        """Keep a venue."""
        await asyncio.to_thread(self._store.put_venue, venue, self._clock.now_ms())
        await self._renew([event_id for event_id, own in self._events.items() if own.venue.id == venue.id])

    async def add_layout(self, venue_id: str, layout: Layout) -> str:
        """Keep a layout and give its id. Raises ``Refused("layout-invalid")``."""
        check(layout)
        text = document(layout)
        made = Layouts(layout_id(text), venue_id, layout.name, layout.seats, text)
        await asyncio.to_thread(self._store.add_layout, made)
        return made.id

    async def create_event(self, plain: object, tiers: bytes | None = None) -> Known:
        """Make an event and its seats; ``tiers`` gives each seat its tier, else its section does.

        It is a draft until its seats are there, so a crash in between leaves nothing that could be bought; publishing
        makes what is missing. Raises ``Refused("event-invalid")`` with all faults, ``Refused("event-exists")``.
        """
        new = read_event(plain)
        layout, new = await self._fitting(new, tiers)
        wanted = new.event.state
        draft = replace(new, event=replace(new.event, state=State.DRAFT))
        if not await asyncio.to_thread(self._store.add_event, draft, self._clock.now_ms()):
            raise Refused("event-exists", "There is an event of this id already.", status=409)
        octets = tiers if tiers is not None else seat_tiers(_spans(layout), new.section_tiers)
        await asyncio.to_thread(self._rows_of(new.event.id).make, new.event.id, octets)
        await self._renew([new.event.id])
        if wanted is State.DRAFT:
            return self._events[new.event.id]
        return await self.update_event(new.event.id, {"state": wanted.value})

    async def update_event(self, event_id: str, plain: object, changed_ms: int | None = None) -> Known:
        """Change what is said of an event; with ``changed_ms`` only if nobody else has since.

        Raises ``Refused("event-invalid")``, ``Refused("event-unknown")``, ``Refused("event-changed", status=412)``.
        """
        known = await self.committed(event_id)
        event = changed(known.event, plain)
        faults = Faults("event-invalid", "The event has faults; nothing was kept.")
        faults.add_all(price_faults(known.prices.amounts, set(known.tiers), event.currency))
        faults.add_all(await asyncio.to_thread(self._store.missing, event))
        faults.refuse()
        if event.state is not State.DRAFT:
            layout = await self.layout(event.layout_id)
            octets = seat_tiers(_spans(layout), known.section_tiers)
            await asyncio.to_thread(self._rows_of(event_id).make, event_id, octets)
        is_stale = changed_ms is not None and changed_ms != event.changed_ms
        if is_stale or not await asyncio.to_thread(self._store.update_event, event, self._clock.now_ms()):
            raise Refused("event-changed", "Somebody else has changed the event; read it again.", status=412)
        await self._renew([event_id])
        return self._events[event_id]

    async def set_prices(self, event_id: str, changes: Amounts) -> int:
        """Change prices and give their new version; open holds keep theirs. Raises ``Refused("prices-invalid")``."""
        known = await self.committed(event_id)
        amounts = merged(known.prices.amounts, changes)
        faults = Faults("prices-invalid", "The prices have faults; nothing was changed.")
        faults.add_all(price_faults(amounts, set(known.tiers), known.event.currency))
        faults.refuse()
        before = known.prices.version
        if not await asyncio.to_thread(
            self._store.add_prices, event_id, amounts, before, self._clock.now_ms()
        ):
            raise Refused(
                "event-changed", "Somebody else has changed the prices; read them again.", status=412
            )
        await self._renew([event_id])
        return before + 1

    async def retier(
        self, event_id: str, tier: int, seats: Sequence[int] = (), sections: Sequence[int] = ()
    ) -> Done:
        """Put seats and whole sections into a tier; the caller marks the seats given back in the store."""
        known, layout = await self._with_layout(event_id)
        if tier not in known.tiers:
            raise Refused("tier-unknown", "There is no such tier.", status=422)
        if any(not 0 <= section < len(layout.sections) for section in sections):
            raise Refused("seats-invalid", "There is no such section.", status=422)
        of_sections = [seat for section in sections for seat in _seats(layout, section)]
        wanted = _checked([*seats, *of_sections], layout)
        done = await asyncio.to_thread(self._rows_of(event_id).retier, event_id, wanted, tier)
        if sections:
            own = dict.fromkeys(sections, tier)
            await asyncio.to_thread(self._store.set_section_tiers, event_id, own, self._clock.now_ms())
            await self._renew([event_id])
        return done

    async def block(self, event_id: str, seats: Sequence[int], allocation: str | None = None) -> Done | Busy:
        """Take free seats out of the sale, or into an allocation; the caller marks them in the store."""
        known, layout = await self._with_layout(event_id)
        if allocation is not None and allocation not in {own.name for own in known.allocations}:
            raise Refused("allocation-unknown", "There is no such allocation.", status=422)
        wanted = _checked(seats, layout)
        return await asyncio.to_thread(self._rows_of(event_id).block, event_id, wanted, allocation)

    async def unblock(self, event_id: str, seats: Sequence[int]) -> Done | Busy:
        """Put blocked seats on sale; the caller marks them in the store."""
        _known, layout = await self._with_layout(event_id)
        return await asyncio.to_thread(self._rows_of(event_id).unblock, event_id, _checked(seats, layout))

    async def put_allocation(self, event_id: str, name: str, channel: str, code: str) -> None:
        """Keep an allocation, or its new code."""
        await self.committed(event_id)
        allocation = Allocation(name, channel, code_hash(event_id, code))
        await asyncio.to_thread(self._store.put_allocation, event_id, allocation, self._clock.now_ms())
        await self._renew([event_id])

    async def _with_layout(self, event_id: str) -> tuple[Known, Layout]:
        known = await self.committed(event_id)
        return known, await self.layout(known.event.layout_id)

    async def _fitting(self, new: NewEvent, tiers: bytes | None) -> tuple[Layout, NewEvent]:
        faults = Faults("event-invalid", "The event has faults; nothing was kept.")
        faults.add_all(await asyncio.to_thread(self._store.missing, new.event))
        faults.refuse()
        layout = await self.layout(new.event.layout_id)
        faults.add_all(
            f"section_tiers: there is no section {section}"
            for section in sorted(new.section_tiers)
            if section >= len(layout.sections)
        )
        if tiers is not None and (len(tiers) != layout.seats or not set(tiers) <= new.tiers.keys()):
            faults.add(f"tiers: they must be one of the tiers for each of the {layout.seats} seats")
        if (
            tiers is None
            and not new.section_tiers.keys() >= set(range(len(layout.sections)))
            and 0 not in new.tiers
        ):
            faults.add("section_tiers: a section without a tier would have tier 0, which there is not")
        faults.refuse()
        sections = section_tiers_of(_spans(layout), tiers) if tiers is not None else dict(new.section_tiers)
        return layout, NewEvent(new.event, new.tiers, new.amounts, sections, new.allocations)


def _spans(layout: Layout) -> list[tuple[int, int]]:
    return [(section.first, section.count) for section in layout.sections]


def _seats(layout: Layout, section: int) -> range:
    own = layout.sections[section]
    return range(own.first, own.first + own.count)


def _checked(seats: Sequence[int], layout: Layout) -> list[int]:
    wanted = sorted(set(seats))
    if not wanted or not 0 <= wanted[0] <= wanted[-1] < layout.seats:
        raise Refused("seats-invalid", "There must be seats, and all must be of this hall.", status=422)
    return wanted
