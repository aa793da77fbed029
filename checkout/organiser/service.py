"""Organising: an organiser's acts on the seats of an event: in SQL first, which has the last word, then in the store.

Between the two the process may die, or the store be away. Then SQL is right and the map behind: a seat that is blocked
in SQL only can still be held, but not reserved; one that is on sale in SQL only is not offered. The reconciler
(``sales.reconciling``) finds such seats within seconds and marks them; whether an event is cancelled the catalogue
says, whatever the hall does. The answer tells which it was (``On``), and the act is never repeated for it.

A hold is the store's, so SQL does not know of it when it blocks a seat. The store does, and refuses; then the block
is taken back in SQL, and the answer names the seats. The other way round nothing is taken back: seats that somebody
holds with an allocation's code, and are to be on sale for all, are free when that hold has ended.

Not here: SQL (``catalogue.service``), HTTP (``organiser.web``).
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from checkout.catalogue.event import Known
from checkout.catalogue.selling import State
from checkout.catalogue.service import Catalogue
from checkout.halls.seat_rows import Busy
from checkout.holds.answers import Busy as StoreBusy
from checkout.holds.answers import Marked, Missing
from checkout.holds.places import Places
from checkout.holds.store import MARK_MOST, Act, HoldStore
from kernel.errors import Refused, Unavailable

log = logging.getLogger(__name__)


class On(StrEnum):
    """What the store made of an act that SQL has."""

    MARKED = "marked"
    LATER = "later"
    """It was away, or some of the seats are held: they follow by themselves."""
    NO_MAP = "no-map"
    """There is no map yet; it will be made of what SQL says."""


@dataclass(frozen=True, slots=True)
class Applied:
    """So many seats have changed in SQL, and what the store made of it."""

    seats: int
    on: On


class Organising:
    """Use cases of organisers that reach the store, for one process."""

    def __init__(self, catalogue: Catalogue, places: Places) -> None:
        self._catalogue = catalogue
        self._places = places

    async def create(self, plain: object, tiers: bytes | None) -> tuple[Known, On]:
        """Make an event, see ``Catalogue.create_event``."""
        known = await self._catalogue.create_event(plain, tiers)
        return known, await self._opened(known)

    async def update(self, event: str, plain: object, version: int | None = None) -> tuple[Known, On]:
        """Change what is said of an event, and whether its hall is open; see ``Catalogue.update_event``."""
        known = await self._catalogue.update_event(event, plain, version)
        return known, await self._opened(known)

    async def retier(self, event: str, tier: int, seats: Sequence[int], sections: Sequence[int]) -> Applied:
        """Put seats and whole sections into a tier; who holds one pays what it was held at."""
        holds = self._places.of(event).holds
        done = (await self._catalogue.retier(event, tier, seats, sections)).seats
        try:
            outcome = await holds.retier(event, tier, done)
        except Unavailable as error:
            return Applied(len(done), _later(event, error))
        return Applied(len(done), On.NO_MAP if isinstance(outcome, Missing) else On.MARKED)

    async def block(self, event: str, seats: Sequence[int], allocation: str | None) -> Applied:
        """Take free seats out of the sale, all or none. Raises ``Refused("seats-busy")`` with those in the way."""
        holds = self._places.of(event).holds
        done = await self._catalogue.block(event, seats, allocation)
        if isinstance(done, Busy):
            raise _busy(done.seats)
        try:
            marked = await _marked(holds, event, "block", done.seats)
        except Unavailable as error:
            return Applied(len(done.seats), _later(event, error))
        match marked:
            case StoreBusy(held):
                # SQL had them free, so they were nobody's: to free them again is to undo it exactly.
                await self._catalogue.unblock(event, done.seats)
                raise _busy(held)
            case Marked():
                return Applied(len(done.seats), On.MARKED)
            case Missing():
                return Applied(len(done.seats), On.NO_MAP)

    async def unblock(self, event: str, seats: Sequence[int]) -> Applied:
        """Put blocked seats on sale, all or none. Raises ``Refused("seats-busy")`` with those in the way."""
        holds = self._places.of(event).holds
        done = await self._catalogue.unblock(event, seats)
        if isinstance(done, Busy):
            raise _busy(done.seats)
        left, held = set(done.seats), False
        try:
            while left:
                match await _marked(holds, event, "unblock", sorted(left)):
                    case StoreBusy(seats=busy):
                        left -= set(busy)
                        held = True
                    case Marked():
                        break
                    case Missing():
                        return Applied(len(done.seats), On.NO_MAP)
        except Unavailable as error:
            return Applied(len(done.seats), _later(event, error))
        return Applied(len(done.seats), On.LATER if held else On.MARKED)

    async def _opened(self, known: Known) -> On:
        """Close the hall of an event that nothing is sold of, open that of one that is published."""
        event = known.event.id
        try:
            is_there = await self._places.of(event).holds.sale(
                event, is_open=known.event.state is State.PUBLISHED
            )
        except Unavailable as error:
            return _later(event, error)
        return On.MARKED if is_there else On.NO_MAP


async def _marked(
    holds: HoldStore, event: str, act: Act, seats: Sequence[int]
) -> Marked | StoreBusy | Missing:
    """Mark seats in pieces that do not keep the store from others; all or none."""
    other: Act = "unblock" if act == "block" else "block"
    done: list[int] = []
    for begin in range(0, len(seats), MARK_MOST):
        piece = seats[begin : begin + MARK_MOST]
        outcome = await holds.mark(event, act, piece)
        if not isinstance(outcome, Marked):
            if done:
                await holds.mark(event, other, done)
            return outcome
        done += piece
    return Marked(len(done))


def _busy(seats: Sequence[int]) -> Refused:
    return Refused("seats-busy", "Nothing has changed, because of these seats.", 409, seats=list(seats))


def _later(event: str, error: Unavailable) -> On:
    log.warning(
        "the store does not know of an organiser's act yet", extra={"event": event, "code": error.code}
    )
    return On.LATER
