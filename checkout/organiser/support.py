"""Support: finds orders by whatever somebody can read out, and tells the story of one.

People act by what they see here, so it is read as things are now (``database.reading``), at one moment. What is found
has all that matters at a glance: seats, tickets, money, and what waits for somebody. Mail addresses are kept elsewhere,
sealed: ``Mails`` asks who keeps them. Not here: what a text may be (``clues``), words (``timeline``), HTTP
(``organiser.support_web``).
"""

import asyncio
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import sqlalchemy as sa
from sqlalchemy import Connection, RowMapping

from checkout.eventlog.store import at_one_moment, stream
from checkout.holds.places import Place, Places
from checkout.orders.order import Order
from checkout.orders.rows import find_order
from checkout.organiser.clues import Clues
from checkout.organiser.finding import SHOWN
from checkout.organiser.timeline import Timeline, timeline
from checkout.payments.port import DisputeState
from checkout.tables import ATTEMPTS, DISPUTES, ORDERS, REFUNDS, RESERVATION_SEATS, RESERVATIONS, TICKETS
from checkout.tickets.ticket import prefix_range

MOST = 50
"""Orders that are told; who has found more says more."""

Rows = Sequence[RowMapping]


class Mails(Protocol):
    """Who knows whose mail address it is."""

    async def find_by_mail(self, event: str, address: str) -> Sequence[str]:
        """Name the orders of an event whose buyer has this address."""


class NoMails:
    """Keeps no addresses."""

    async def find_by_mail(self, event: str, address: str) -> Sequence[str]:
        """Know of nobody."""
        del event, address
        return ()


@dataclass(frozen=True, slots=True)
class Found:
    """An order, and what belongs to it. ``by``: as what it was found."""

    order: RowMapping
    by: Sequence[str]
    lines: Rows
    tickets: Rows
    refunds: Mapping[str, tuple[int, int]]
    """By state: how many, and how much."""
    open_disputes: int


@dataclass(frozen=True, slots=True)
class Answers:
    """What was found, the newest first; ``is_all``: False when there is more than is told."""

    found: Sequence[Found]
    is_all: bool


class Support:
    """Finds orders, for people who help."""

    def __init__(self, places: Places, mails: Mails) -> None:
        self._places = places
        self._mails = mails

    async def find(self, event: str, clues: Clues) -> Answers:
        """Find an event's orders by clues."""
        named = await self._mails.find_by_mail(event, clues.mail) if clues.mail else ()
        return await asyncio.to_thread(_find, self._places.of(event), event, clues, named)

    async def timeline(self, event: str, order: str) -> Timeline | None:
        """Tell the story of an order; None when the event has no such order."""
        return await asyncio.to_thread(_timeline, self._places.of(event), event, order)


def _timeline(place: Place, event: str, name: str) -> Timeline | None:
    with place.database.reading() as connection, at_one_moment(connection).begin():
        order = find_order(connection, name)
        if order is None or order.event != event:
            return None
        entries = stream(connection, order.reservation)
        rows = {(what, str(name)): version for what, name, version in _versions(connection, order)}
    return timeline(entries, order, rows)


def _versions(connection: Connection, order: Order) -> Iterator[tuple[str, object, int]]:
    """Give the version of each row that is nothing but what the sale's log comes to."""
    yield "order", "", order.version
    sale = order.reservation
    for what, table, name in (
        ("sale", RESERVATIONS, sa.literal("")),
        ("attempts", ATTEMPTS, ATTEMPTS.c.number),
        ("refunds", REFUNDS, REFUNDS.c.key),
        ("tickets", TICKETS, TICKETS.c.id),
    ):
        own = table.c.id if table is RESERVATIONS else table.c.reservation_id
        for row in connection.execute(sa.select(name, table.c.version).where(own == sale)):
            yield what, row[0], row[1]


# -------------------------------------------------------------------------------------- finding


def _find(place: Place, event: str, clues: Clues, named: Sequence[str]) -> Answers:
    by: dict[str, set[str]] = defaultdict(set)
    with place.database.reading() as connection, at_one_moment(connection).begin():
        for way, query in _ways(event, clues, named):
            newest = query.order_by(ORDERS.c.created_ms.desc(), ORDERS.c.id.desc()).limit(MOST + 1)
            for order in connection.scalars(newest):
                by[order].add(way)
        orders = _orders(connection, event, by)
        beside = _Beside(connection, orders[:MOST])
    found = [beside.of(order, sorted(by[order["id"]])) for order in orders[:MOST]]
    return Answers(found, len(orders) <= MOST)


def _ways(event: str, clues: Clues, named: Sequence[str]) -> Iterator[tuple[str, sa.Select[Any]]]:
    """Give a query of orders for each thing that the clues may be."""
    orders = sa.select(ORDERS.c.id).where(ORDERS.c.event_id == event)
    if clues.order:
        yield "order", orders.where(ORDERS.c.id == clues.order)
    if clues.reservation:
        yield "reservation", orders.where(ORDERS.c.reservation_id == clues.reservation)
    own = sa.select(TICKETS.c.order_id).where(TICKETS.c.event_id == event)
    if clues.ticket:
        yield "ticket", orders.where(ORDERS.c.id.in_(own.where(TICKETS.c.id == clues.ticket)))
    if clues.number:
        low, high = prefix_range(clues.number)
        yield "ticket", orders.where(ORDERS.c.id.in_(own.where(TICKETS.c.id >= low, TICKETS.c.id < high)))
    if clues.payment:
        tries = sa.select(ATTEMPTS.c.order_id).where(
            ATTEMPTS.c.event_id == event, ATTEMPTS.c.ref == clues.payment
        )
        yield "payment", orders.where(ORDERS.c.id.in_(tries))
    if clues.last4:
        card = sa.func.lower(ATTEMPTS.c.card)
        is_this = card == f"{clues.brand} {clues.last4}" if clues.brand else card.like(f"% {clues.last4}")
        yield "card", orders.where(sa.exists().where(ATTEMPTS.c.order_id == ORDERS.c.id, is_this))
    if clues.seats:
        lines = sa.select(RESERVATION_SEATS.c.reservation_id).where(
            RESERVATION_SEATS.c.event_id == event, RESERVATION_SEATS.c.seat.in_(clues.seats)
        )
        yield "seat", orders.where(ORDERS.c.reservation_id.in_(lines))
    if named:
        yield "mail", orders.where(ORDERS.c.id.in_(list(named)[: MOST + 1]))


_LISTED = sa.select(
    ORDERS,
    *(ATTEMPTS.c[name] for name in ("provider", "ref", "card", "decline", "captured_minor")),
    ATTEMPTS.c.refunded_minor,
    ATTEMPTS.c.disputed_minor,
).join_from(
    ORDERS, ATTEMPTS, (ATTEMPTS.c.order_id == ORDERS.c.id) & (ATTEMPTS.c.number == SHOWN), isouter=True
)


def _orders(connection: Connection, event: str, names: Iterable[str]) -> Rows:
    query = _LISTED.where(ORDERS.c.event_id == event, ORDERS.c.id.in_(list(names)))
    newest = query.order_by(ORDERS.c.created_ms.desc(), ORDERS.c.id.desc()).limit(MOST + 1)
    return connection.execute(newest).mappings().all()


class _Beside:
    """What belongs to some orders, read at once."""

    def __init__(self, connection: Connection, orders: Rows) -> None:
        ids = [order["id"] for order in orders]
        sales = [order["reservation_id"] for order in orders]
        lines = sa.select(RESERVATION_SEATS).where(RESERVATION_SEATS.c.reservation_id.in_(sales))
        tickets = sa.select(TICKETS).where(TICKETS.c.reservation_id.in_(sales))
        self._lines = _by(connection, lines.order_by(RESERVATION_SEATS.c.seat), "reservation_id")
        self._tickets = _by(connection, tickets.order_by(TICKETS.c.seat, TICKETS.c.issue), "order_id")
        sums = (sa.func.count().label("count"), sa.func.sum(REFUNDS.c.amount_minor).label("sum"))
        refunds = sa.select(REFUNDS.c.order_id, REFUNDS.c.state, *sums).where(REFUNDS.c.order_id.in_(ids))
        self._refunds = _by(connection, refunds.group_by(REFUNDS.c.order_id, REFUNDS.c.state), "order_id")
        disputes = sa.select(DISPUTES.c.order_id).where(
            DISPUTES.c.order_id.in_(ids), DISPUTES.c.state == DisputeState.OPEN.value
        )
        self._disputes = _by(connection, disputes, "order_id")

    def of(self, order: RowMapping, by: Sequence[str]) -> Found:
        """Put one order together."""
        refunds = {row["state"]: (int(row["count"]), int(row["sum"])) for row in self._refunds[order["id"]]}
        return Found(
            order,
            by,
            self._lines[order["reservation_id"]],
            self._tickets[order["id"]],
            refunds,
            len(self._disputes[order["id"]]),
        )


def _by(connection: Connection, query: sa.Select[Any], name: str) -> Mapping[str, list[RowMapping]]:
    made: dict[str, list[RowMapping]] = defaultdict(list)
    for row in connection.execute(query).mappings():
        made[row[name]].append(row)
    return made
