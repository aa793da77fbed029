"""Sale: a pinned hold that becomes a reservation, and what the database says to that.

A reservation is ``active`` until it is given back, lapses, or is paid for (``sold``); only an active one changes. It
has the id of its hold with an R in front, so that a repeat names the same. It is over from ``until_ms`` on, whether its
row says so already or not. Not here: the statements (``sales.store``), the hold (``holds``).
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

from checkout.halls.seats import Status, hold_id_of

LATE_MS = 10_000
"""A worker that is not through so long after it began to pin a hold writes nothing of it any more."""


class SaleState(StrEnum):
    """Where a reservation stands; only ``active`` changes."""

    ACTIVE = "active"
    RELEASED = "released"
    LAPSED = "lapsed"
    SOLD = "sold"
    RETURNED = "returned"
    """It was sold, and came back."""


class Line(NamedTuple):
    """A seat of a reservation, at the tier and the price of its hold."""

    seat: int
    tier: int
    price_minor: int


@dataclass(frozen=True, slots=True)
class Sale:
    """A pinned hold that is to become a reservation.

    ``back``: where the hold took its seats from. ``late_ms``: from then on nothing may be written any more
    (``LATE_MS``, or the end of the pin).
    """

    event: str
    buyer: str
    hold: str
    back: Status
    epoch: int
    fence: int
    price_version: int
    currency: str
    lines: tuple[Line, ...]
    until_ms: int
    late_ms: int
    max_per_buyer: int


@dataclass(frozen=True, slots=True)
class Reservation:
    """A row of reservations with its seats."""

    id: str
    event: str
    buyer: str
    hold: str
    state: SaleState
    epoch: int
    fence: int
    price_version: int
    currency: str
    total_minor: int
    created_ms: int
    until_ms: int
    version: int
    lines: tuple[Line, ...]

    def state_at(self, now_ms: int) -> SaleState:
        """Say how it stands: what is over has lapsed, whether the row says so already or not."""
        is_over = self.state is SaleState.ACTIVE and self.until_ms <= now_ms
        return SaleState.LAPSED if is_over else self.state


@dataclass(frozen=True, slots=True)
class Reserved:
    """The seats are the buyer's. ``again``: they were before."""

    reservation: Reservation
    again: bool = False


@dataclass(frozen=True, slots=True)
class Lost:
    """Nothing is reserved, because these seats are not to be had in SQL."""

    seats: tuple[tuple[int, Status], ...]


@dataclass(frozen=True, slots=True)
class Outdated:
    """Nothing is reserved: the hold is of another epoch than SQL's, or there was a newer one on its seats."""

    epoch: int


@dataclass(frozen=True, slots=True)
class Late:
    """Nothing is reserved, because too much time has gone by since the hold was pinned."""


@dataclass(frozen=True, slots=True)
class TooMany:
    """Nothing is reserved, because the buyer would have more than ``most`` seats."""

    has: int
    most: int


@dataclass(frozen=True, slots=True)
class Over:
    """The hold has been a reservation, and that is over."""

    reservation: Reservation


ReserveOutcome = Reserved | Lost | Outdated | Late | TooMany | Over


class Ended(NamedTuple):
    """A reservation that has just ended; its seats are free in SQL, and the store is to hear of it."""

    event: str
    reservation: str
    hold: str
    seats: tuple[int, ...]


def reservation_id(hold: str) -> str:
    """Name the reservation that comes of a hold; a repeat names the same."""
    return f"R{hold}"


def is_reservation_id(text: str) -> bool:
    """Tell whether this can be a reservation's id at all."""
    return text.startswith("R") and hold_id_of(text.removeprefix("R")) is not None
