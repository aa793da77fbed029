"""Check: one program looks at a whole sale, in SQL, in the store and in what clients saw.

It reads and never writes: SQL through a connection that cannot, the store by one transaction of reads. The log of the
event's sales is looked at as well, and whether its tables are what that comes to (I6). Where the sale
is still under way (`settled` is False) what SQL and the store say of each other is left out: a hold that is being
reserved is in the store first, and one that is over is in SQL later. Not here: what is right (``audit.invariants``).
"""

import asyncio
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from checkout.audit import invariants
from checkout.audit.invariants import Books, KeptHold, Reservation, Seat, Stock, Violation
from checkout.audit.money import MoneyBooks, PaidOrder, Theirs, Try, money_is_right
from checkout.audit.records import Record
from checkout.audit.tickets import KeptTicket, TicketBooks, entitled
from checkout.database import ShopDatabase
from checkout.eventlog.projecting import Kinds
from checkout.eventlog.store import at_one_moment
from checkout.eventlog.verifying import verify_event
from checkout.halls.seats import Status
from checkout.holds.answers import HoldRecord, places_of
from checkout.holds.store import Keys
from checkout.orders.projection import ORDERS_LOG
from checkout.sales.projection import SALES
from checkout.sales.replaying import compare
from checkout.tables import (
    ATTEMPTS,
    EVENTS,
    HOLD_JOURNAL,
    MONEY,
    ORDERS,
    REFUNDS,
    RESERVATION_SEATS,
    RESERVATIONS,
    REVIEWS,
    SEATS,
    TICKETS,
    WORK,
)
from checkout.tickets.projection import TICKETS_LOG
from kernel.errors import Misconfigured
from kernel.store import Store, connect, translated

TIMEOUT_S = 30.0

KINDS = Kinds(SALES, ORDERS_LOG, TICKETS_LOG)
"""Whoever writes into the log: each projection of it, in one place."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What was looked at, and everything that is not true."""

    event: str
    looked_at: Mapping[str, int]
    violations: tuple[Violation, ...]

    @property
    def is_right(self) -> bool:
        """True when nothing was found."""
        return not self.violations

    def lines(self) -> Iterable[str]:
        """Tell it to people: what was looked at, then a line for each finding."""
        told = ", ".join(f"{count:,} {what}" for what, count in self.looked_at.items())
        yield f"{self.event}: {told}"
        yield from (f"{found.invariant}: {found.sentence}" for found in self.violations)
        yield "every invariant holds" if self.is_right else f"{len(self.violations)} violations"


def check_sale(
    sql_url: str,
    store_url: str,
    event: str,
    records: Iterable[Record] = (),
    *,
    catalogue_url: str = "",
    settled: bool = True,
    theirs: Sequence[Theirs] | None = None,
    now_ms: int | None = None,
) -> Verdict:
    """Check an event: `sql_url` is its shard's database, `catalogue_url` the main one if that is another.

    `theirs`: the provider's books of this event (``audit.ledger``). An order that may still be paid at `now_ms` may be
    open.

    Raises ``Misconfigured`` when there is no such event, ``Unavailable`` when something cannot be reached.
    """
    most, books = read_books(sql_url, event, catalogue_url or sql_url)
    stock = asyncio.run(_stock(store_url, event))
    verdict = judged(event, list(records), books, stock, most, settled=settled)
    entries, found = read_log(sql_url, event)
    money, tickets = _money(sql_url, event)
    found += money_is_right(money, theirs, settled=settled, now_ms=now_ms)
    found += entitled(tickets, settled=settled)
    looked_at = {
        **verdict.looked_at,
        "entries of the log": entries,
        "orders": len(money.orders),
        "tickets": len(tickets.tickets),
    }
    if theirs is not None:
        looked_at["payments at the provider"] = len(theirs)
    return Verdict(event, looked_at, (*verdict.violations, *found))


def judged(
    event: str, records: list[Record], books: Books, stock: Stock | None, most: int, *, settled: bool
) -> Verdict:
    """Put all invariants to what was read; without a map in the store only SQL and the records are looked at."""
    capacity = len(books.seats)
    found = invariants.sold_once(books)
    found += invariants.held_once(records, books)
    found += invariants.adds_up(records, stock, capacity)
    found += invariants.within_limits(records, books, stock, most)
    found += invariants.followed(records, stock if settled else None)
    if stock is not None:
        found += invariants.owners_agree(stock)
        if settled:
            found += invariants.store_agrees(books, stock)
            found += invariants.sums_agree(books, stock)
    elif settled:
        found.append(Violation("I8", "the store has no map of the event"))
    looked_at = {
        "seats": capacity,
        "reservations": len(books.reservations),
        "holds in the store": 0 if stock is None else len(stock.holds),
        "records": len(records),
    }
    return Verdict(event, looked_at, tuple(found))


# --------------------------------------------------------------------------------- reading


def read_books(sql_url: str, event: str, catalogue_url: str) -> tuple[int, Books]:
    """Read an event's rows as of one moment; the limit comes first."""
    database, catalogue = ShopDatabase(sql_url), ShopDatabase(catalogue_url)
    try:
        with catalogue.listing() as connection:
            most = connection.scalar(sa.select(EVENTS.c.max_per_buyer).where(EVENTS.c.id == event))
        if most is None:
            raise Misconfigured([f"The shop has no event {event}."])
        with database.listing() as connection:
            return most, _books(at_one_moment(connection), event, most)
    finally:
        database.close()
        catalogue.close()


def read_log(sql_url: str, event: str) -> tuple[int, list[Violation]]:
    """I6: the event's log is chained, and its tables are what it comes to. The number of entries comes first."""
    database = ShopDatabase(sql_url)
    try:
        with database.listing() as connection:
            checked = verify_event(at_one_moment(connection), event)
            found = [*checked.faults, *compare(connection, KINDS, event)]
            return checked.entries, [Violation("I6", f"{where}: {what}") for where, what in found]
    finally:
        database.close()


def _books(connection: Connection, event: str, most: int) -> Books:
    active: dict[str, list[int]] = defaultdict(list)
    sums: dict[str, int] = defaultdict(int)
    columns = RESERVATION_SEATS.c
    places = sa.select(columns.reservation_id, columns.seat, columns.price_minor, columns.active)
    for sale, seat, price_minor, is_active in connection.execute(places.where(columns.event_id == event)):
        sums[sale] += price_minor
        if is_active:
            active[sale].append(seat)
    seats = sa.select(SEATS.c.seat, SEATS.c.status, SEATS.c.reservation_id)
    seats = seats.where(SEATS.c.event_id == event).order_by(SEATS.c.seat)
    sales = sa.select(RESERVATIONS).where(RESERVATIONS.c.event_id == event).order_by(RESERVATIONS.c.id)
    holds = sa.select(HOLD_JOURNAL.c.hold_id, HOLD_JOURNAL.c.seats).where(HOLD_JOURNAL.c.event_id == event)
    return Books(
        max_per_buyer=most,
        seats=tuple(Seat(*row) for row in connection.execute(seats)),
        reservations=tuple(
            Reservation(
                id=row.id,
                buyer=row.buyer,
                hold=row.hold_id,
                state=row.state,
                total_minor=row.total_minor,
                seats=tuple(sorted(active[row.id])),
                sum_minor=sums[row.id],
            )
            for row in connection.execute(sales)
        ),
        holds={hold: tuple(seat for seat, _ in places_of(text)) for hold, text in connection.execute(holds)},
    )


def _money(sql_url: str, event: str) -> tuple[MoneyBooks, TicketBooks]:
    database = ShopDatabase(sql_url)
    try:
        with database.listing() as connection:
            at_one_moment(connection)
            return read_money(connection, event), read_tickets(connection, event)
    finally:
        database.close()


def read_tickets(connection: Connection, event: str) -> TicketBooks:
    """Read what SQL says of an event's tickets."""
    lines = (
        sa.select(ORDERS.c.id, RESERVATION_SEATS.c.seat)
        .join_from(ORDERS, RESERVATION_SEATS, RESERVATION_SEATS.c.reservation_id == ORDERS.c.reservation_id)
        .where(ORDERS.c.event_id == event, ORDERS.c.state == "paid", RESERVATION_SEATS.c.active)
    )
    paid: dict[str, set[int]] = defaultdict(set)
    for order, seat in connection.execute(lines):
        paid[order].add(seat)
    tickets = sa.select(
        TICKETS.c.id, TICKETS.c.order_id, TICKETS.c.seat, TICKETS.c.issue, TICKETS.c.state, TICKETS.c.why
    )
    tickets = tickets.where(TICKETS.c.event_id == event).order_by(TICKETS.c.id)
    return TicketBooks(
        {order: frozenset(seats) for order, seats in paid.items()},
        [KeptTicket(*row) for row in connection.execute(tickets)],
    )


def read_money(connection: Connection, event: str) -> MoneyBooks:
    """Read what SQL says of an event's money."""
    orders = (
        sa.select(ORDERS, RESERVATIONS.c.state.label("reservation_state"), REVIEWS.c.lapses_ms)
        .join_from(ORDERS, RESERVATIONS, RESERVATIONS.c.id == ORDERS.c.reservation_id, isouter=True)
        .join(REVIEWS, REVIEWS.c.order_id == ORDERS.c.id, isouter=True)
        .where(ORDERS.c.event_id == event)
        .order_by(ORDERS.c.id)
    )
    mine = (WORK.c.order_id == ATTEMPTS.c.order_id) & (WORK.c.kind == "attempt")
    mine &= WORK.c.name == sa.cast(ATTEMPTS.c.number, sa.Text)
    tries = sa.select(ATTEMPTS, WORK.c.due_ms).join_from(ATTEMPTS, WORK, mine, isouter=True)
    tries = tries.where(ATTEMPTS.c.event_id == event)
    moved = sa.select(MONEY.c.provider, MONEY.c.ref, MONEY.c.amount_minor).where(MONEY.c.event_id == event)
    wanted = sa.select(REFUNDS.c.order_id).where(REFUNDS.c.event_id == event, REFUNDS.c.state == "wanted")
    return MoneyBooks(
        orders=tuple(
            PaidOrder(
                row.id,
                row.state,
                row.amount_minor,
                row.currency,
                row.paid_by,
                row.reservation_state,
                row.until_ms,
                row.lapses_ms,
            )
            for row in connection.execute(orders)
        ),
        tries=tuple(
            Try(
                order=row.order_id,
                number=row.number,
                provider=row.provider,
                ref=row.ref,
                captured_minor=row.captured_minor,
                refunded_minor=row.refunded_minor,
                disputed_minor=row.disputed_minor,
                is_open=row.due_ms is not None,
            )
            for row in connection.execute(tries.order_by(ATTEMPTS.c.order_id, ATTEMPTS.c.number))
        ),
        moved=tuple((row.provider, row.ref, row.amount_minor) for row in connection.execute(moved)),
        refunds_wanted=tuple(connection.scalars(wanted)),
    )


async def _stock(store_url: str, event: str) -> Stock | None:
    client = connect(store_url, timeout_s=TIMEOUT_S, max_connections=2)
    try:
        return await read_stock(client, event)
    finally:
        await client.aclose()


async def read_stock(client: Store, event: str) -> Stock | None:
    """Read all that the store keeps of an event, at one moment; None when there is no map."""
    keys = Keys(event)
    pipe = client.pipeline(transaction=True)
    pipe.get(keys.map)
    pipe.get(keys.owner)
    pipe.hgetall(keys.head)
    pipe.hgetall(keys.holds)
    pipe.zrange(keys.expiry, 0, -1)
    pipe.hgetall(keys.buyers)
    pipe.xrevrange(keys.deltas, count=1)
    with translated():
        hall, owner, head, holds, ends, buyers, last = await pipe.execute()
    if hall is None or not head:
        return None
    return Stock(
        version=f"{_int(head, b'epoch')}:{last[0][0].decode() if last else '0-0'}",
        map=hall,
        owner=owner or b"",
        counts=tuple(_int(head, b"count:%d" % status) for status in Status),
        capacity=_int(head, b"seats"),
        holds={id_: _kept(text) for id_, text in holds.items()},
        due=frozenset(ends),
        buyers={buyer.decode(): int(value.split(b" ")[0]) for buyer, value in buyers.items()},
    )


def _kept(text: bytes) -> KeptHold:
    record = HoldRecord.of(text)
    return KeptHold(record.buyer, record.is_live, tuple(seat for seat, _ in record.seats))


def _int(head: Mapping[bytes, Any], name: bytes) -> int:
    return int(head.get(name, -1))
