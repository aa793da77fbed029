"""Selling: a reservation that is paid for is sold, and what was sold may come back.

Inside of the caller's transaction, because who sells has money to account for as well (``orders.store``). Rows of seats
are locked in the order of seats, as everybody does. The log hears of it in the same transaction. Not here: reserving
and lapsing (``sales.store``).
"""

from collections.abc import Sequence

import sqlalchemy as sa
from sqlalchemy import Connection

from checkout.eventlog.entries import Draft
from checkout.eventlog.store import append, heads
from checkout.halls.seats import Status
from checkout.sales.projection import turned
from checkout.sales.reservation import Ended, SaleState
from checkout.sales.store import end_within
from checkout.tables import RESERVATION_SEATS, RESERVATIONS, SEATS

_SELL = (
    sa.update(RESERVATIONS)
    .where(RESERVATIONS.c.id == sa.bindparam("sale"), RESERVATIONS.c.state == SaleState.ACTIVE.value)
    .values(state=SaleState.SOLD.value, version=RESERVATIONS.c.version + 1)
)
_PLACES = (
    sa.select(RESERVATION_SEATS.c.event_id, RESERVATION_SEATS.c.seat)
    .where(RESERVATION_SEATS.c.reservation_id == sa.bindparam("sale"), RESERVATION_SEATS.c.active)
    .order_by(RESERVATION_SEATS.c.seat)
)
_SELL_SEATS = (
    sa.update(SEATS)
    .where(
        SEATS.c.event_id == sa.bindparam("event"),
        SEATS.c.seat.in_(sa.bindparam("wanted", expanding=True)),
        SEATS.c.reservation_id == sa.bindparam("sale"),
        SEATS.c.status == Status.RESERVED.value,
    )
    .values(status=Status.SOLD.value, version=SEATS.c.version + 1)
)


def sell_within(connection: Connection, sale: str, at_ms: int, beside: Sequence[Draft] = ()) -> bool:
    """Sell the seats of an active reservation; False when it or a seat is not as it should be: then roll back.

    `beside`: what the caller has to tell of the same sale; it stands in the log behind the sale.
    """
    if connection.execute(_SELL, {"sale": sale}).rowcount != 1:
        return False
    places = connection.execute(_PLACES, {"sale": sale}).all()
    if not places:
        return False
    sold = {"sale": sale, "event": places[0].event_id, "wanted": [place.seat for place in places]}
    if connection.execute(_SELL_SEATS, sold).rowcount != len(places):
        return False
    told = turned(places[0].event_id, sale, SaleState.SOLD, at_ms)
    append(connection, [told, *beside], heads(connection, [sale]))
    return True


def release_within(connection: Connection, sale: str, state: SaleState, at_ms: int) -> Ended | None:
    """End an active reservation; None when it is not active."""
    return _end(connection, sale, SaleState.ACTIVE, state, at_ms)


def free_sold(connection: Connection, sale: str, at_ms: int) -> Ended | None:
    """Take back what was sold; None when it was not, or came back before."""
    return _end(connection, sale, SaleState.SOLD, SaleState.RETURNED, at_ms)


def _end(connection: Connection, sale: str, was: SaleState, to: SaleState, at_ms: int) -> Ended | None:
    own = sa.select(RESERVATIONS.c.id).where(RESERVATIONS.c.id == sale, RESERVATIONS.c.state == was.value)
    if connection.scalar(own.with_for_update()) is None:
        return None
    return end_within(connection, [sale], to, at_ms)[0]
