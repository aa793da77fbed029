"""Exporting: an event's seats, orders and refunds as tables, a few thousand rows at a time.

Each piece is a statement of its own, by a key that no row ever changes, from the engine that may lag. So no connection
waits for a slow reader, nothing but a piece is in memory, and each row is told once, as it was when its piece was read.
The columns are a promise: more may come at the end, none goes away or changes its place.

Amounts of an order are those of all its tries together: a payment that came twice shows here. Not here: how a cell is
written (``sheets``), lists of a page (``finding``, ``queues``).
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy import RowMapping

from checkout.catalogue.event import Known
from checkout.halls.layout import Layout, names
from checkout.halls.seats import Status
from checkout.holds.places import Place, Places
from checkout.organiser.finding import SHOWN, asked
from checkout.organiser.pages import Wish
from checkout.organiser.sheets import Cell, amount, moment, piece
from checkout.tables import ATTEMPTS, ORDERS, REFUNDS, RESERVATION_SEATS, RESERVATIONS, SEATS, TICKETS
from checkout.ticket_tables import COUNTS
from checkout.tickets.ticket import number_of

AT_ONCE = 2_000
"""Rows of a piece: some 300 kB."""

SEAT_COLUMNS = (
    "seat", "section", "row", "number", "tier", "tier_name", "status", "allocation", "reservation",
    "order", "order_state", "currency", "price_minor", "price", "ticket", "ticket_number", "ticket_state",
)  # fmt: skip
ORDER_COLUMNS = (
    "order", "reservation", "state", "buyer", "seats", "currency", "total_minor", "total", "captured_minor", "captured",
    "refunded_minor", "refunded", "disputed_minor", "disputed", "attempts", "provider", "payment", "card",
    "created_ms", "created", "until_ms",
)  # fmt: skip
REFUND_COLUMNS = (
    "refund", "order", "attempt", "state", "currency", "amount_minor", "amount", "reason", "by", "provider", "ref",
    "created_ms", "created",
)  # fmt: skip

Query = sa.Select[Any]
Key = tuple[sa.ColumnElement[Any], ...]

_TRIES = ATTEMPTS.alias("tries")
_LINES = RESERVATION_SEATS.alias("lines")
_COUNT = sa.select(sa.func.count()).where(_LINES.c.reservation_id == ORDERS.c.reservation_id)


def _sum(column: str) -> sa.Label[int]:
    """Add a sum of all tries of an order up."""
    own = sa.select(sa.func.coalesce(sa.func.sum(_TRIES.c[column]), 0))
    # A payment that nobody asked for may be in another currency.
    own = own.where(_TRIES.c.order_id == ORDERS.c.id, _TRIES.c.currency == ORDERS.c.currency)
    return own.scalar_subquery().label(f"all_{column}")


_SEATS = (
    sa.select(
        SEATS.c.seat, SEATS.c.tier, SEATS.c.status, SEATS.c.allocation, SEATS.c.reservation_id,
        RESERVATION_SEATS.c.price_minor, RESERVATIONS.c.currency,
        ORDERS.c.id.label("order_id"), ORDERS.c.state.label("order_state"),
        TICKETS.c.id.label("ticket"), TICKETS.c.state.label("ticket_state"), ATTEMPTS.c.disputed_minor,
    )
    .join_from(SEATS, RESERVATIONS, RESERVATIONS.c.id == SEATS.c.reservation_id, isouter=True)
    .join(
        RESERVATION_SEATS,
        (RESERVATION_SEATS.c.reservation_id == SEATS.c.reservation_id) & (RESERVATION_SEATS.c.seat == SEATS.c.seat),
        isouter=True,
    )
    .join(ORDERS, ORDERS.c.reservation_id == SEATS.c.reservation_id, isouter=True)
    .join(ATTEMPTS, (ATTEMPTS.c.order_id == ORDERS.c.id) & (ATTEMPTS.c.number == ORDERS.c.paid_by), isouter=True)
    .join(
        TICKETS,
        (TICKETS.c.event_id == SEATS.c.event_id) & (TICKETS.c.seat == SEATS.c.seat) & sa.text(f"tickets.{COUNTS}"),
        isouter=True,
    )
)  # fmt: skip
_ORDERS = sa.select(
    ORDERS, ATTEMPTS.c.provider, ATTEMPTS.c.ref, ATTEMPTS.c.card,
    *(_sum(name) for name in ("captured_minor", "refunded_minor", "disputed_minor")),
    _COUNT.scalar_subquery().label("seats"),
).join_from(
    ORDERS, ATTEMPTS, (ATTEMPTS.c.order_id == ORDERS.c.id) & (ATTEMPTS.c.number == SHOWN), isouter=True
)  # fmt: skip
_REFUNDS = sa.select(REFUNDS, ATTEMPTS.c.provider).join_from(
    REFUNDS,
    ATTEMPTS,
    (ATTEMPTS.c.order_id == REFUNDS.c.order_id) & (ATTEMPTS.c.number == REFUNDS.c.attempt),
    isouter=True,
)


class Exporting:
    """Writes tables, for organisers."""

    def __init__(self, places: Places) -> None:
        self._places = places

    def seats(self, known: Known, layout: Layout) -> AsyncIterator[bytes]:
        """Write a line for each seat, in the order of seats: whose it is, for how much, and its ticket."""
        event = known.event.id
        query = _SEATS.where(SEATS.c.event_id == event)

        def line(row: RowMapping) -> Sequence[Cell]:
            return _seat_line(row, known, layout)

        return self._pieces(event, query, (SEATS.c.seat,), ("seat",), SEAT_COLUMNS, line)

    def orders(self, event: str, wish: Wish) -> AsyncIterator[bytes]:
        """Write a line for each order that is asked for, the oldest first."""
        query = asked(_ORDERS.where(ORDERS.c.event_id == event), wish)
        key = (ORDERS.c.created_ms, ORDERS.c.id)
        return self._pieces(event, query, key, ("created_ms", "id"), ORDER_COLUMNS, _order_line)

    def refunds(self, event: str, wish: Wish) -> AsyncIterator[bytes]:
        """Write a line for each refund that is asked for, the oldest first."""
        query = _REFUNDS.where(REFUNDS.c.event_id == event)
        if "state" in wish.words:
            query = query.where(REFUNDS.c.state == wish.words["state"])
        named = ("created_ms", "order_id", "key")
        key = tuple(REFUNDS.c[name] for name in named)
        return self._pieces(event, query, key, named, REFUND_COLUMNS, _refund_line)

    async def _pieces(
        self,
        event: str,
        query: Query,
        key: Key,
        named: Sequence[str],
        columns: Sequence[str],
        line: Callable[[RowMapping], Sequence[Cell]],
    ) -> AsyncIterator[bytes]:
        """Read on behind the last row until there is none; `named`: what the parts of the key are called in a row."""
        place, after = self._places.of(event), None
        header: list[Sequence[Cell]] = [columns]
        while True:
            octets, count, after = await asyncio.to_thread(
                _piece, place, query, key, named, after, header, line
            )
            yield octets
            if count < AT_ONCE:
                return
            header = []


def _piece(
    place: Place,
    query: Query,
    key: Key,
    named: Sequence[str],
    after: tuple[Any, ...] | None,
    header: Sequence[Sequence[Cell]],
    line: Callable[[RowMapping], Sequence[Cell]],
) -> tuple[bytes, int, tuple[Any, ...] | None]:
    if after is not None:
        query = query.where(sa.tuple_(*key) > sa.tuple_(*after))
    with place.database.listing() as connection:
        rows = connection.execute(query.order_by(*key).limit(AT_ONCE)).mappings().all()
    last = tuple(rows[-1][name] for name in named) if rows else None
    return piece([*header, *map(line, rows)]), len(rows), last


# -------------------------------------------------------------------------------------- lines


def _seat_line(row: RowMapping, known: Known, layout: Layout) -> Sequence[Cell]:
    currency, price, ticket = row["currency"], row["price_minor"], row["ticket"]
    is_priced = currency is not None and price is not None
    is_blocked = ticket is not None and (row["disputed_minor"] or 0) > 0
    return (
        row["seat"], *names(layout, row["seat"]), row["tier"], known.tiers.get(row["tier"], ""),
        Status(row["status"]).name.lower(), row["allocation"], row["reservation_id"],
        row["order_id"], row["order_state"], currency, *(amount(price, currency) if is_priced else (None, None)),
        ticket, number_of(ticket) if ticket else None, "blocked" if is_blocked else row["ticket_state"],
    )  # fmt: skip


def _order_line(row: RowMapping) -> Sequence[Cell]:
    currency = row["currency"]
    sums = (row[f"all_{name}"] for name in ("captured_minor", "refunded_minor", "disputed_minor"))
    return (
        row["id"], row["reservation_id"], row["state"], row["buyer"], row["seats"], currency,
        *amount(row["amount_minor"], currency), *(cell for one in sums for cell in amount(int(one), currency)),
        row["attempt"], row["provider"], row["ref"], row["card"],
        row["created_ms"], moment(row["created_ms"]), row["until_ms"],
    )  # fmt: skip


def _refund_line(row: RowMapping) -> Sequence[Cell]:
    currency = row["currency"]
    return (
        row["key"], row["order_id"], row["attempt"], row["state"], currency, *amount(row["amount_minor"], currency),
        row["reason"], row["by"], row["provider"], row["ref"], row["created_ms"], moment(row["created_ms"]),
    )  # fmt: skip
