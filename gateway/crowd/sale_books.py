"""Sale books: what stands in the books of an installation on this machine: its checker's findings, and its ledger.

Read once the crowd is gone, as often as the crowd wants to know whether all is settled. The shop's own checker looks at
SQL and its log, at the store, at what fans were told (where nobody else bought) and at what the sandbox tells of its
payments. Not here: what is right (``checkout.audit``), what fans have to do with it (``seats.checks_paid``).
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

import sqlalchemy as sa

from checkout.audit.checking import check_sale, read_money
from checkout.audit.ledger import read_ledger
from checkout.audit.money import Theirs, waiting
from checkout.audit.records import Loss, Operation, Record
from checkout.database import ShopDatabase
from checkout.tables import ORDERS, RESERVATION_SEATS
from gateway.crowd.observed import Observed
from gateway.crowd.seats.booked import Booked, Payment
from gateway.crowd.seats.retold import blind, records
from gateway.shop_parts import events_and_addresses
from kernel.errors import Misconfigured, Unavailable

if TYPE_CHECKING:
    from gateway.settings import Settings

SETTLED = frozenset({"paid", "review", "confirmed"})
"""States of an order in which its seats are its buyer's."""


def books_of(
    settings: "Settings", sandbox: tuple[str, str] | None = None
) -> Callable[[Observed], Awaitable[Booked]]:
    """Make a reader. `sandbox`: its address and its secret key, where its ledger is to be asked."""

    def read(observed: Observed) -> Booked:
        try:
            return _read(settings, sandbox, observed)
        except (Misconfigured, Unavailable) as error:
            return Booked((f"the books cannot be read: {error}",))

    async def booked(observed: Observed) -> Booked:
        return await asyncio.to_thread(read, observed)

    return booked


def _read(settings: "Settings", sandbox: tuple[str, str] | None, observed: Observed) -> Booked:
    wanted = sorted({one.event for one in observed.shop.purchases})
    main_url, shards = events_and_addresses(settings, wanted)
    ledger = None if sandbox is None else read_ledger(*sandbox)
    now_ms = time.time_ns() // 1_000_000
    # What no fan explains may be somebody else's, and then it proves nothing.
    told = observed.alone and not blind(observed.shop)
    violations: list[str] = []
    looked_at: dict[str, int] = {}
    owned: dict[str, tuple[int, ...]] = {}
    early: dict[str, int] = {}
    reviewed: set[str] = set()
    for event, shard in shards.items():
        verdict = check_sale(
            shard.database_url,
            shard.store_url,
            event,
            _acts(observed, event) if told else (),
            catalogue_url=main_url,
            theirs=None if ledger is None else ledger.get(event, []),
            now_ms=now_ms,
        )
        violations += [f"{event}: {found.invariant}: {found.sentence}" for found in verdict.violations]
        for what, count in verdict.looked_at.items():
            looked_at[what] = looked_at.get(what, 0) + count
        own, waits, looked = _orders(shard.database_url, event, now_ms)
        owned |= own
        early |= waits
        reviewed |= looked
    return Booked(
        tuple(violations),
        looked_at,
        None if ledger is None else tuple(_payment(one) for event in wanted for one in ledger.get(event, ())),
        owned,
        frozenset(early),
        frozenset(reviewed),
        max(early.values(), default=0),
    )


def _acts(observed: Observed, event: str) -> list[Record]:
    """Return what was done; viewers of the map have left before the sale was at rest (``map-follows`` judges them)."""
    return [one for one in records(observed, event) if isinstance(one, Operation | Loss)]


def _orders(url: str, event: str, now_ms: int) -> tuple[dict[str, tuple[int, ...]], dict[str, int], set[str]]:
    """Return the seats of each order that has some, until when each may still be paid, and which are reviewed."""
    database = ShopDatabase(url)
    seats = (
        sa.select(ORDERS.c.id, RESERVATION_SEATS.c.seat)
        .join_from(ORDERS, RESERVATION_SEATS, RESERVATION_SEATS.c.reservation_id == ORDERS.c.reservation_id)
        .where(ORDERS.c.event_id == event, ORDERS.c.state.in_(SETTLED), RESERVATION_SEATS.c.active)
    )
    try:
        with database.listing() as connection:
            owned: dict[str, list[int]] = {}
            for order, seat in connection.execute(seats):
                owned.setdefault(order, []).append(seat)
            books = read_money(connection, event)
    finally:
        database.close()
    early = {order.id: order.until_ms for order in waiting(books, now_ms)}
    reviewed = {order.id for order in books.orders if order.state == "review"}
    return {order: tuple(sorted(own)) for order, own in owned.items()}, early, reviewed


def _payment(one: Theirs) -> Payment:
    return Payment(one.ref, one.order, one.net_minor, one.is_held)
