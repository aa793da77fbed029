"""Reserving: a hold becomes a durable reservation, when its buyer goes to pay; and how that ends.

1. **Pin**: the store keeps the seats while SQL decides, for the hold's time and ``grace_s`` more, but no longer than
   one hold and the grace from now.
2. **Reserve** in SQL, all seats or none, at the prices and in the currency of the hold, until the same moment.
3. **Answer.** The store is not asked again: pinned is what a reservation looks like there.

Where SQL says no, its word is the last. Seats that others have: the hold is over (``seats-lost``). A hold of another
epoch, or one that slept: it is pinned anew, in the map that counts now, or is over. Where SQL does not answer, nothing
is undone, because the commit may have been done: the hold stays pinned, a repeat finds out, and if nobody repeats the
reconciler does.

A hold that has expired cannot be reserved, even if nobody else has taken its seats meanwhile: the answer is 410, and
whoever still wants the seats holds them again, like everybody. That is one rule instead of a second way to get seats.

**Ends** are said in SQL first and then in the store: given back by the buyer, or lapsed (the reaper, each second). If
the store is away it hears of it later: the pinned hold has the same end, and the reconciler compares. It also
resolves what a crash left: pinned holds that no row came of, and rows whose hold the store has lost.

Not here: the statements (``sales.store``), payment, HTTP (``sales.web``).
"""

import asyncio
import logging
from collections.abc import Awaitable
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol, TypedDict

from checkout.catalogue.event import Known, Prices
from checkout.catalogue.reading import CatalogueReader
from checkout.catalogue.selling import Sale as Standing
from checkout.catalogue.selling import Standing as Stands
from checkout.catalogue.selling import sale
from checkout.halls.seats import hold_id_of
from checkout.halls.sections import Layout, names
from checkout.holds.answers import (
    UNKNOWN_TEXT,
    Gone,
    HoldRecord,
    HoldState,
    Limit,
    NotYours,
    Pinned,
)
from checkout.holds.papers import Line as PaperLine
from checkout.holds.places import Place, Places
from checkout.holds.store import To
from checkout.metrics import Metrics
from checkout.sales.desk import Desk
from checkout.sales.reservation import (
    LATE_MS,
    Ended,
    Late,
    Line,
    Lost,
    Outdated,
    Over,
    Reservation,
    Reserved,
    Sale,
    SaleState,
    TooMany,
    is_reservation_id,
    reservation_id,
)
from checkout.sales.store import LAPSE_MOST
from kernel.clock import Clock
from kernel.errors import Unavailable
from kernel.tasks import is_ending

log = logging.getLogger(__name__)

ATTEMPTS = 3


class Rebuild(Protocol):
    """Puts an event's map back (``Rebuilder.rebuild``)."""

    def __call__(self, event: str, older_than: int | None = None, /) -> Awaitable[object]:
        """Make sure that the store has the newest map."""


class ReservationPaper(TypedDict):
    """A reservation as its buyer sees it."""

    reservation: str
    event: str
    seats: list[PaperLine]
    currency: str
    total_minor: int
    state: str
    until_ms: int
    now_ms: int


@dataclass(frozen=True, slots=True)
class Told:
    """The reservation, as it stands now. ``is_new``: this request made it."""

    paper: ReservationPaper
    is_new: bool


ReserveOutcome = Told | Lost | Limit | Gone | NotYours | Standing


class GivenBack(StrEnum):
    """What came of giving a reservation back."""

    DONE = "done"
    """It is over, by this request or before."""
    SOLD = "sold"
    UNKNOWN = "unknown"


_ENDED = {
    SaleState.RELEASED: HoldState.RELEASED,
    SaleState.LAPSED: HoldState.EXPIRED,
    SaleState.RETURNED: HoldState.RELEASED,
}


class Reserving:
    """Use cases of reservations, for one worker."""

    def __init__(
        self, catalogue: CatalogueReader, places: Places, rebuild: Rebuild, clock: Clock, metrics: Metrics
    ) -> None:
        self._catalogue = catalogue
        self._places = places
        self._rebuild = rebuild
        self._clock = clock
        self._metrics = metrics
        self._desks: dict[str, Desk] = {}

    # ------------------------------------------------------------------------------ use cases

    async def reserve(self, event: str, buyer: str, hold: str) -> ReserveOutcome:
        """Turn a buyer's hold into a reservation; a repeat gives the same.

        Raises ``Refused("event-unknown")``; ``Unavailable`` when it is not known what came of it.
        """
        known = await self._catalogue.known(event)
        outcome = await self._reserve(known, buyer, hold)
        match outcome:
            case Told(_, is_new):
                word = "reserved" if is_new else "again"
            case Lost():
                word = "lost"
            case Limit():
                word = "limit"
            case Gone():
                word = "gone"
            case NotYours():
                word = "not-yours"
            case Standing():
                word = "not-on-sale"
        self._metrics.reservations.count(word)
        if word == "reserved":
            self._metrics.funnel.count("reserved")
        return outcome

    async def find(self, event: str, buyer: str, reservation: str) -> ReservationPaper | None:
        """Return a buyer's reservation; None when there is none."""
        known = await self._catalogue.known(event)
        if not is_reservation_id(reservation):
            return None
        layout = await self._catalogue.layout(known.event.layout_id)
        desk = await self._tuned(self._places.of(event))
        found = await asyncio.to_thread(desk.sales.find, event, buyer, reservation)
        return None if found is None else _paper(found, layout, desk.clock.now_ms())

    async def give_back(self, event: str, buyer: str, reservation: str) -> GivenBack:
        """End a buyer's reservation; what is over stays so."""
        await self._catalogue.known(event)
        if not is_reservation_id(reservation):
            return GivenBack.UNKNOWN
        place = self._places.of(event)
        found = await asyncio.to_thread(self._desk(place).sales.give_back, event, buyer, reservation)
        if found is None:
            return GivenBack.UNKNOWN
        before, ended = found
        if ended is not None:
            self._metrics.reservation_ends.count("released")
            self._metrics.funnel.count("abandoned")
            await self._free(place, ended)
        return GivenBack.SOLD if before.state is SaleState.SOLD else GivenBack.DONE

    # ----------------------------------------------------------------------------- background

    async def reap(self, every_s: float = 1.0) -> None:
        """End the reservations whose time is over, for ever."""
        while not is_ending():
            for place in self._places.all():
                try:
                    await self.lapse(place)
                except Unavailable as error:
                    self._metrics.background_failures.count("reap")
                    log.warning(
                        "reservations could not be ended", extra={"place": place.name, "code": error.code}
                    )
            await asyncio.sleep(every_s)

    async def lapse(self, place: Place) -> int:
        """End what is due at a place; return how many reservations."""
        desk = self._desk(place)
        await self._tune(desk)
        count = 0
        while await asyncio.to_thread(desk.sales.due, 1):
            ended = await asyncio.to_thread(desk.sales.lapse)
            count += len(ended)
            self._metrics.reservation_ends.count("lapsed", len(ended))
            self._metrics.funnel.count("abandoned", len(ended))
            for one in ended:
                await self._free(place, one)
            if len(ended) < LAPSE_MOST:
                break
        return count

    # ------------------------------------------------------------------------------ reserving

    async def _reserve(self, known: Known, buyer: str, hold: str) -> ReserveOutcome:
        event, id_ = known.event, hold_id_of(hold)
        if id_ is None:
            return NotYours()
        standing = sale(event.window, self._clock.now_ms())
        if standing.standing is Stands.CANCELLED:
            return standing
        # What may fail is read before anything is done.
        layout = await self._catalogue.layout(event.layout_id)
        place = self._places.of(event.id)
        wish = _Wish(known, layout, await self._tuned(place), buyer, hold, id_)
        for _ in range(ATTEMPTS):
            outcome = await self._attempt(wish)
            if outcome is not None:
                return outcome
        raise Unavailable(
            "map-rebuilding", "The seats of this event are being put back. Please try again in a moment.", 1
        )

    async def _attempt(self, wish: "_Wish") -> ReserveOutcome | None:
        """Pin and reserve; None where it is worth another try."""
        pinned = await self._pin(wish)
        match pinned:
            case NotYours():
                return pinned
            case Gone():
                return await self._before(wish, pinned)
        outcome = await wish.desk.reserve(_sale(wish, pinned))
        match outcome:
            case Reserved(reservation, again):
                if pinned.pin.again and not again and not await self._is_pinned_still(wish):
                    return Gone(HoldState.EXPIRED)
                return Told(wish.paper(reservation), is_new=not again)
            case Late():
                return None
            case Outdated(epoch):
                await self._renew(wish, epoch, pinned.pin.epoch)
                return None
            case Lost():
                await self._settle(wish.place, wish.event, wish.id, "back")
                return outcome
            case TooMany(has, most):
                await self._settle(wish.place, wish.event, wish.id, "held")
                return Limit(has, most)
            case Over(reservation):
                await self._settle(wish.place, wish.event, wish.id, "back")
                return Gone(_ENDED.get(reservation.state, HoldState.EXPIRED))

    async def _is_pinned_still(self, wish: "_Wish") -> bool:
        """Ask about a hold that was pinned before us: as abandoned it may have gone back, and even be over.

        Then somebody else may have its seats in the store, and the reservation is taken back.
        """
        if isinstance(await self._pin(wish), _PinnedHold):
            return True
        await asyncio.to_thread(wish.desk.sales.give_back, wish.event, wish.buyer, reservation_id(wish.hold))
        return False

    async def _before(self, wish: "_Wish", gone: Gone) -> ReserveOutcome | None:
        """Say of a hold that the store does not have what it has become; the store may have lost its map."""
        before = await asyncio.to_thread(wish.desk.sales.of_hold, wish.event, wish.hold)
        if before is not None and before.buyer == wish.buyer:
            state = before.state_at(wish.desk.clock.now_ms())
            if state in {SaleState.ACTIVE, SaleState.SOLD}:
                return Told(wish.paper(before), is_new=False)
            return Gone(_ENDED[state])
        if gone.state is HoldState.UNKNOWN and await wish.place.holds.counts(wish.event) is None:
            await self._rebuild(wish.event)
            return None
        return gone

    async def _renew(self, wish: "_Wish", epoch: int, pinned_in: int) -> None:
        """Make sure that the store has a map in which the hold can be pinned anew."""
        if epoch != pinned_in:
            await self._rebuild(wish.event)
            return
        wish.fenced += 1
        if wish.fenced > 1:
            # It lives in the store, and yet SQL has had a newer one on its seats: the store was set back.
            await self._rebuild(wish.event, epoch + 1)

    async def _pin(self, wish: "_Wish") -> "_PinnedHold | Gone | NotYours":
        """Pin a hold, once all is known of it that its reservation needs."""
        event, holds = wish.known.event, wish.place.holds
        record = await holds.record(event.id, wish.id)
        if record is None:
            return Gone(HoldState.UNKNOWN)
        if record.buyer != wish.buyer:
            return NotYours()
        prices = await self._catalogue.prices(event.id, record.price_version)
        currency = event.currency if record.currency == UNKNOWN_TEXT else record.currency
        lines = _lines(record, prices, currency)
        began_ms = wish.desk.clock.now_ms()
        grace_ms = event.grace_s * 1000
        outcome = await holds.pin(event.id, wish.id, wish.buyer, grace_ms, event.hold_s * 1000 + grace_ms)
        if isinstance(outcome, Pinned):
            return _PinnedHold(outcome, record, currency, lines, min(began_ms + LATE_MS, outcome.until_ms))
        return outcome

    # ---------------------------------------------------------------------------------- store

    async def _free(self, place: Place, ended: Ended) -> None:
        id_ = hold_id_of(ended.hold)
        if id_ is not None:
            await self._settle(place, ended.event, id_, "back")

    async def _settle(self, place: Place, event: str, id_: bytes, to: To) -> None:
        """Tell the store what SQL has decided. Without it the decision stands; the reconciler tells it later."""
        try:
            await place.holds.settle(event, id_, to)
        except Unavailable as error:
            log.warning(
                "the store has not heard of a reservation", extra={"event": event, "code": error.code}
            )

    async def _tuned(self, place: Place) -> Desk:
        desk = self._desk(place)
        if not desk.clock.is_set:
            await self._tune(desk)
        return desk

    async def _tune(self, desk: Desk) -> None:
        """Learn the store's time; what was learnt before goes on while the store is away."""
        try:
            await desk.tune()
        except Unavailable as error:
            log.warning(
                "the store does not tell its time", extra={"place": desk.place.name, "code": error.code}
            )

    def _desk(self, place: Place) -> Desk:
        desk = self._desks.get(place.name)
        if desk is None:
            desk = self._desks[place.name] = Desk(place, self._clock)
        return desk


@dataclass(slots=True)
class _Wish:
    """A hold that its buyer wants to have reserved; ``fenced``: how often SQL has known a newer one."""

    known: Known
    layout: Layout
    desk: Desk
    buyer: str
    hold: str
    id: bytes
    fenced: int = 0

    @property
    def place(self) -> Place:
        """Say where the event is."""
        return self.desk.place

    @property
    def event(self) -> str:
        """Name the event."""
        return self.known.event.id

    def paper(self, reservation: Reservation) -> ReservationPaper:
        """Write the reservation's paper."""
        return _paper(reservation, self.layout, self.desk.clock.now_ms())


@dataclass(frozen=True, slots=True)
class _PinnedHold:
    """A pinned hold with its prices; ``late_ms``: from then on it may not be reserved by us."""

    pin: Pinned
    record: HoldRecord
    currency: str
    lines: tuple[Line, ...]
    late_ms: int


def _sale(wish: _Wish, pinned: _PinnedHold) -> Sale:
    return Sale(
        event=wish.event,
        buyer=wish.buyer,
        hold=wish.hold,
        back=pinned.record.back,
        epoch=pinned.pin.epoch,
        fence=pinned.pin.fence,
        price_version=pinned.pin.price_version,
        currency=pinned.currency,
        lines=pinned.lines,
        until_ms=pinned.pin.until_ms,
        late_ms=pinned.late_ms,
        max_per_buyer=wish.known.event.max_per_buyer,
    )


def _lines(record: HoldRecord, prices: Prices, currency: str) -> tuple[Line, ...]:
    return tuple(Line(seat, tier, prices.amount_minor(tier, currency)) for seat, tier in record.seats)


def _paper(reservation: Reservation, layout: Layout, now_ms: int) -> ReservationPaper:
    return {
        "reservation": reservation.id,
        "event": reservation.event,
        "seats": [_told(line, layout) for line in reservation.lines],
        "currency": reservation.currency,
        "total_minor": reservation.total_minor,
        "state": reservation.state_at(now_ms).value,
        "until_ms": reservation.until_ms,
        "now_ms": now_ms,
    }


def _told(line: Line, layout: Layout) -> PaperLine:
    section, row, number = names(layout, line.seat)
    return {
        "seat": line.seat,
        "section": section,
        "row": row,
        "number": number,
        "tier": line.tier,
        "price_minor": line.price_minor,
    }
