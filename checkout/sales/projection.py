"""Sales projection: what is written into the log of a sale, and what its entries come to: the reservation's rows.

Written and read in one file, so that both are of one mind. The stream of a sale has the reservation's id. Its kinds::

    reserved   buyer hold epoch fence price_version currency total_minor until_ms, lines of (seat, tier, price_minor)
    released   nothing: the buyer gave it back
    lapsed     nothing: its time was over
    sold       nothing: it is paid for
    returned   nothing: it was sold and came back

The time of an entry is the time of the change. An end that is dated by a guess (the sale is older than the log) says
``"before_log": true``. Whoever pays adds kinds of its own to the same streams, and a projection that reads them. Pure.
Not here: the statements (``sales.store``), comparing (``sales.replaying``).
"""

from dataclasses import replace
from typing import NamedTuple

from checkout.eventlog.entries import Body, Draft, Entry
from checkout.eventlog.projecting import Projected, Projection, Row, Rows, Step
from checkout.halls.seats import Status
from checkout.sales.reservation import Line, Reservation, SaleState
from checkout.tables import RESERVATION_SEATS, RESERVATIONS

RESERVED = "reserved"
"""The first kind of a stream; the others are called as the state that they lead to."""

NAME = "sales"
_NONE: frozenset[int] = frozenset()


class Standing(NamedTuple):
    """A reservation as it was made, how it stands, and which of its seats it still has."""

    made: Reservation
    state: SaleState
    version: int
    active: frozenset[int]

    @property
    def reservation(self) -> Reservation:
        """Return it as it stands."""
        return replace(self.made, state=self.state, version=self.version)

    @property
    def seat_status(self) -> Status:
        """Say how its seats stand in SQL."""
        return Status.SOLD if self.state is SaleState.SOLD else Status.RESERVED


# ------------------------------------------------------------------------------- writing


def reserved(reservation: Reservation) -> Draft:
    """Say that a reservation was made."""
    body = {
        "buyer": reservation.buyer, "hold": reservation.hold, "epoch": reservation.epoch,
        "fence": reservation.fence, "price_version": reservation.price_version,
        "currency": reservation.currency, "total_minor": reservation.total_minor,
        "until_ms": reservation.until_ms, "lines": [tuple(line) for line in sorted(reservation.lines)],
    }  # fmt: skip
    return Draft(reservation.event, reservation.id, RESERVED, body, reservation.created_ms)


def turned(event: str, reservation: str, state: SaleState, at_ms: int) -> Draft:
    """Say that a reservation is in another state from now on."""
    return Draft(event, reservation, state.value, {}, at_ms)


# ------------------------------------------------------------------------------- reading


def _reserved(was: Standing | None, entry: Entry, body: Body) -> Standing:
    if was is not None:
        raise ValueError("there is a reservation already")
    lines = tuple([Line(*line) for line in body["lines"]])
    reservation = Reservation(
        id=entry.stream,
        event=entry.event,
        buyer=body["buyer"],
        hold=body["hold"],
        state=SaleState.ACTIVE,
        epoch=body["epoch"],
        fence=body["fence"],
        price_version=body["price_version"],
        currency=body["currency"],
        total_minor=body["total_minor"],
        created_ms=entry.at_ms,
        until_ms=body["until_ms"],
        version=1,
        lines=lines,
    )
    return Standing(reservation, SaleState.ACTIVE, 1, frozenset([line.seat for line in lines]))


def _turn(was: SaleState, to: SaleState) -> Step:
    """Make the step from one state to another; only what is sold still has its seats."""

    def step(before: Standing | None, _entry: Entry, _body: Body) -> Standing:
        if before is None or before.state is not was:
            raise ValueError(f"the reservation is not {was}")
        return Standing(before.made, to, before.version + 1, before.active if to is SaleState.SOLD else _NONE)

    return step


def row_of(reservation: Reservation) -> Row:
    """Write the row of ``reservations``."""
    return {
        "id": reservation.id,
        "event_id": reservation.event,
        "buyer": reservation.buyer,
        "hold_id": reservation.hold,
        "state": reservation.state.value,
        "epoch": reservation.epoch,
        "fence": reservation.fence,
        "price_version": reservation.price_version,
        "currency": reservation.currency,
        "total_minor": reservation.total_minor,
        "created_ms": reservation.created_ms,
        "until_ms": reservation.until_ms,
        "version": reservation.version,
    }


def rows_of(standing: Standing) -> Rows:
    """Write all rows."""
    reservation = standing.reservation
    own = {"reservation_id": reservation.id, "event_id": reservation.event}
    return {
        RESERVATIONS.name: [row_of(reservation)],
        RESERVATION_SEATS.name: [
            own | line._asdict() | {"active": line.seat in standing.active} for line in reservation.lines
        ],
    }


SALES = Projection(
    NAME,
    {
        RESERVED: _reserved,
        **{
            to.value: _turn(was, to)
            for was, to in (
                (SaleState.ACTIVE, SaleState.RELEASED),
                (SaleState.ACTIVE, SaleState.LAPSED),
                (SaleState.ACTIVE, SaleState.SOLD),
                (SaleState.SOLD, SaleState.RETURNED),
            )
        },
    },
    (Projected(RESERVATIONS, "id"), Projected(RESERVATION_SEATS, "reservation_id")),
    rows_of,
)
