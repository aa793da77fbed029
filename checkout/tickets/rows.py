"""Ticket rows: tickets as the database has them. Every function works inside of the caller's transaction.

A change names the version that it was decided on; of two who name the same the slower one raises ``Stale``. That a
seat has one ticket that counts, and a line one for each issue, is law in the database (``ticket_tables``). Not here:
what belongs into one transaction (``tickets.issuing``).
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy import Connection

from checkout.tables import ATTEMPTS, ORDERS, RESERVATION_SEATS, RESERVATIONS, TICKETS
from checkout.tickets.projection import ticket_row
from checkout.tickets.ticket import Ticket, TicketState, Why, prefix_range

_T = TICKETS.c
_NEW = sa.insert(TICKETS)
_CHANGED = ("holder", "state", "why", "used_ms", "changed_ms", "version")
_CHANGE = (
    sa.update(TICKETS)
    .where(_T.id == sa.bindparam("own"), _T.version == sa.bindparam("was"))
    .values({name: sa.bindparam(f"to_{name}") for name in _CHANGED})
)
_SEATS = (
    sa.select(RESERVATION_SEATS.c.seat)
    .where(RESERVATION_SEATS.c.reservation_id == sa.bindparam("sale"), RESERVATION_SEATS.c.active)
    .order_by(RESERVATION_SEATS.c.seat)
)
_OF_ORDER = sa.select(TICKETS).where(_T.order_id == sa.bindparam("order_")).order_by(_T.seat, _T.issue)
_ONE = sa.select(TICKETS).where(_T.event_id == sa.bindparam("event_"), _T.id == sa.bindparam("own"))
_NUMBERED = (
    sa.select(TICKETS)
    .where(
        _T.event_id == sa.bindparam("event_"),
        _T.id >= sa.bindparam("low"),
        _T.id < sa.bindparam("high"),
    )
    .order_by(_T.id)
)
_BLOCKED = (
    sa.select(ORDERS.c.id)
    .join(ATTEMPTS, sa.and_(ATTEMPTS.c.order_id == ORDERS.c.id, ATTEMPTS.c.number == ORDERS.c.paid_by))
    .where(ORDERS.c.id.in_(sa.bindparam("orders", expanding=True)), ATTEMPTS.c.disputed_minor > 0)
)
_LINES = (
    sa.select(
        RESERVATION_SEATS.c.reservation_id,
        RESERVATION_SEATS.c.seat,
        RESERVATION_SEATS.c.tier,
        RESERVATION_SEATS.c.price_minor,
        RESERVATIONS.c.currency,
    )
    .join_from(RESERVATION_SEATS, RESERVATIONS, RESERVATIONS.c.id == RESERVATION_SEATS.c.reservation_id)
    .where(RESERVATIONS.c.id.in_(sa.bindparam("sales", expanding=True)))
)
_BUYER = sa.select(ORDERS.c.buyer).where(
    ORDERS.c.event_id == sa.bindparam("event_"), ORDERS.c.id == sa.bindparam("order_")
)
# A paid order without a ticket of any kind: it is older than tickets are, or was put back by hand.
_WITHOUT = (
    sa.select(ORDERS.c.event_id, ORDERS.c.id, ORDERS.c.reservation_id)
    .where(ORDERS.c.state == "paid", ~sa.exists().where(_T.order_id == ORDERS.c.id))
    .order_by(ORDERS.c.id)
)


class Line(NamedTuple):
    """What a seat was sold for."""

    tier: int
    price_minor: int
    currency: str


class Stale(Exception):
    """Somebody else was faster; look again."""


def read_ticket(row: Any) -> Ticket:
    """Read a row of tickets."""
    return Ticket(
        id=row.id,
        event=row.event_id,
        order=row.order_id,
        reservation=row.reservation_id,
        seat=row.seat,
        issue=row.issue,
        created_ms=row.created_ms,
        holder=row.holder,
        state=TicketState(row.state),
        why=Why(row.why),
        used_ms=row.used_ms,
        changed_ms=row.changed_ms,
        version=row.version,
    )


def add_tickets(connection: Connection, tickets: Sequence[Ticket]) -> None:
    """Write new tickets."""
    rows = [ticket_row(ticket) for ticket in tickets]
    connection.execute(_NEW, rows[0] if len(rows) == 1 else rows)


def change_ticket(connection: Connection, was: Ticket, now: Ticket) -> None:
    """Write what a ticket is now. Raises ``Stale``."""
    row = ticket_row(now)
    bound = {"own": was.id, "was": was.version} | {f"to_{name}": row[name] for name in _CHANGED}
    if connection.execute(_CHANGE, bound).rowcount != 1:
        raise Stale


def seats_of(connection: Connection, reservation: str) -> list[int]:
    """Return the seats that a sale has."""
    return list(connection.scalars(_SEATS, {"sale": reservation}))


def tickets_of(connection: Connection, order: str) -> list[Ticket]:
    """Return all tickets of an order, by seat and issue."""
    return [read_ticket(row) for row in connection.execute(_OF_ORDER, {"order_": order})]


def find_ticket(connection: Connection, event: str, id_: str) -> Ticket | None:
    """Return a ticket."""
    row = connection.execute(_ONE, {"event_": event, "own": id_}).one_or_none()
    return None if row is None else read_ticket(row)


def numbered(connection: Connection, event: str, number: str) -> list[Ticket]:
    """Return the tickets of a number: one, but for chance."""
    low, high = prefix_range(number)
    found = connection.execute(_NUMBERED, {"event_": event, "low": low, "high": high})
    return [read_ticket(row) for row in found]


def blocked(connection: Connection, orders: Sequence[str]) -> frozenset[str]:
    """Tell which of these orders have a payment that its buyer's bank disputes or has taken back."""
    return frozenset(connection.scalars(_BLOCKED, {"orders": list(orders)})) if orders else frozenset()


def lines_of(connection: Connection, reservations: Sequence[str]) -> dict[tuple[str, int], Line]:
    """Tell what the seats of sales were sold for, by reservation and seat."""
    if not reservations:
        return {}
    found = connection.execute(_LINES, {"sales": list(reservations)})
    return {(sale, seat): Line(tier, price, currency) for sale, seat, tier, price, currency in found}


def buyer_of(connection: Connection, event: str, order: str) -> str | None:
    """Tell whose order this is; None when there is none."""
    buyer: str | None = connection.scalar(_BUYER, {"event_": event, "order_": order})
    return buyer


def without_tickets(connection: Connection, most: int) -> list[tuple[str, str, str]]:
    """Name paid orders that have no ticket, as (event, order, reservation)."""
    found = connection.execute(_WITHOUT.limit(most))
    return [(row.event_id, row.id, row.reservation_id) for row in found]
