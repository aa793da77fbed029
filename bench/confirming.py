"""Confirming: how many orders a second SQL sells, each with its attempt, its reservation, its seats and its log.

What is timed is the shop's own transaction (``orders.store.sell``) as its workers run it (``Grouping``), so many at
once, for orders that have been reserved, ordered, tried and authorised by the shop's own code before; that is not
timed. The reference is the least that a database could be asked for an order: one row written under its version, in a
transaction of its own, by as many threads. A run counts only if every order, seat and entry of the log is there
afterwards.
"""

import asyncio
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial

import sqlalchemy as sa
from sqlalchemy import Connection

from bench.figure import Figure, failed, median_ratio, say
from bench.harness import Bench
from checkout.database import ShopDatabase
from checkout.grouping import Grouping
from checkout.halls.seats import Status, hold_id_text
from checkout.orders.order import Attempt, AttemptState, Order, OrderState
from checkout.orders.projection import SOLD
from checkout.orders.rule import Happening
from checkout.orders.store import NoAttempt, new_attempt, open_order, sell, write_attempt
from checkout.sales.reservation import Line, Reserved, Sale
from checkout.sales.store import SalesStore
from checkout.tables import EVENT_LOG, ORDERS, SEATS
from kernel.clock import ManualClock

ORDERS_EACH = 3_000
"""Orders of one round."""

AT_ONCE = 32
SEATS_EACH = 4
TOGETHER = 250
"""Orders that are made ready in one transaction."""

NOW_MS = 1_800_000_000_000
UNTIL_MS = NOW_MS + 600_000
EVENT = "confirm"

Ready = tuple[Order, Attempt, Attempt]
"""An order, its attempt as it is written, and as it is known."""


@dataclass(frozen=True, slots=True)
class Round:
    """What one round came to; rates a second, times in ms."""

    ours: float
    reference: float
    p99_ms: float


def confirms(bench: Bench, name: str, url: str, least: float, **conditions: object) -> Figure:
    """Measure round after round in the empty database at `url`; `least` are the confirms a second that are wanted."""
    database = ShopDatabase(url)
    database.open()
    try:
        rounds, error = [], None
        for number in range(bench.rounds):
            ready = _ready(database, number)
            rounds.append(_round(database, ready))
            say(
                f"round {number + 1} of {bench.rounds}: {rounds[-1].ours:.0f}/s, {rounds[-1].reference:.0f}/s"
            )
            error = _missing(database, (number + 1) * ORDERS_EACH)
            if error is not None:
                break
    finally:
        database.close()
    ours = sorted(one.ours for one in rounds)
    figure = Figure(
        name,
        ours[len(ours) // 2],
        "confirms/s",
        "one row written under its version, in a transaction of its own",
        ratio=median_ratio([one.ours for one in rounds], [one.reference for one in rounds]),
        beside={"p99_ms": sorted(one.p99_ms for one in rounds)[len(rounds) // 2]},
        target=f">= {least:.0f} confirms/s",
        met=ours[len(ours) // 2] >= least,
        conditions=bench.conditions(
            load=f"{AT_ONCE} at once, {ORDERS_EACH} orders a round", seats_each=SEATS_EACH, **conditions
        ),
        details={"slowest_round": round(ours[0], 1), "fastest_round": round(ours[-1], 1)},
    )
    return figure if error is None else failed(figure, error)


def _ready(database: ShopDatabase, number: int) -> list[Ready]:
    """Bring orders to where their money is authorised."""
    sales = SalesStore(database, ManualClock(NOW_MS))
    first = number * ORDERS_EACH
    ready: list[Ready] = []
    for start in range(first, first + ORDERS_EACH, TOGETHER):
        numbers = range(start, min(start + TOGETHER, first + ORDERS_EACH))
        with database.writing() as connection:
            connection.execute(sa.insert(SEATS), [_seat_row(seat) for at in numbers for seat in _seats(at)])
        told = sales.reserve_all([_sale(at) for at in numbers])
        with database.writing() as connection:
            ready += [_authorised(connection, one) for one in told]
    return ready


def _authorised(connection: Connection, told: object) -> Ready:
    if not isinstance(told, Reserved):
        raise ValueError(f"a hold was not reserved: {told}")  # noqa: TRY004 (what came out, not its type)
    order, _ = open_order(connection, told.reservation, NOW_MS)
    begun = new_attempt(connection, order.id, "bench", "card", NOW_MS, UNTIL_MS)
    if isinstance(begun, NoAttempt):
        raise ValueError(f"an order cannot be tried: {begun}")  # noqa: TRY004 (as above)
    order, attempt = begun
    asked = replace(attempt, state=AttemptState.ASKED, ref=f"pay-{order.id}", asked=1)
    was = write_attempt(connection, attempt, asked, NOW_MS)
    return order, was, replace(was, state=AttemptState.AUTHORISED, card="visa 4242", fingerprint="fp")


def _round(database: ShopDatabase, ready: Sequence[Ready]) -> Round:
    reference = _bare(database, [one[0] for one in ready[: len(ready) // 2]])
    took = asyncio.run(_sell_all(Grouping(database), ready))
    return Round(
        ours=len(ready) / took[0],
        reference=reference,
        p99_ms=sorted(took[1])[int(len(took[1]) * 0.99)] * 1000,
    )


async def _sell_all(group: Grouping, ready: Sequence[Ready]) -> tuple[float, list[float]]:
    """Sell all of them, so many at once; returns the seconds in all and of each."""
    left, each = iter(ready), []

    async def one() -> None:
        for order, was, now in left:
            began = time.perf_counter()
            await group.write(partial(_sell, order=order, was=was, now=now))
            each.append(time.perf_counter() - began)

    began = time.perf_counter()
    await asyncio.gather(*(one() for _ in range(AT_ONCE)))
    return time.perf_counter() - began, each


def _sell(connection: Connection, order: Order, was: Attempt, now: Attempt) -> None:
    sell(connection, order, was, now, Happening.SOLD, NOW_MS)


def _bare(database: ShopDatabase, orders: Sequence[Order]) -> float:
    """Write one row under its version, as it is, in a transaction of its own; returns how many a second."""
    own = (ORDERS.c.id == sa.bindparam("id_")) & (ORDERS.c.version == sa.bindparam("was"))
    write = sa.update(ORDERS).where(own).values(buyer=ORDERS.c.buyer)

    def one(order: Order) -> int:
        with database.writing() as connection:
            return connection.execute(write, {"id_": order.id, "was": order.version}).rowcount

    began = time.perf_counter()
    with ThreadPoolExecutor(AT_ONCE) as pool:
        written = sum(pool.map(one, orders))
    took = time.perf_counter() - began
    if written != len(orders):
        raise ValueError(f"{written} rows were written, not {len(orders)}")
    return len(orders) / took


def _missing(database: ShopDatabase, orders: int) -> str | None:
    """Say what is not there of so many orders that were sold."""
    wanted = {"orders": orders, "seats": orders * SEATS_EACH, "entries": orders}
    sold_orders = sa.select(sa.func.count()).where(ORDERS.c.state == OrderState.CONFIRMED.value)
    sold_seats = sa.select(sa.func.count()).where(SEATS.c.status == Status.SOLD.value)
    told = sa.select(sa.func.count()).where(EVENT_LOG.c.kind == SOLD)
    with database.reading() as connection:
        found = {
            "orders": connection.scalar(sold_orders),
            "seats": connection.scalar(sold_seats),
            "entries": connection.scalar(told),
        }
    return None if found == wanted else f"{found} are there, not {wanted}"


def _seats(number: int) -> range:
    return range(number * SEATS_EACH, (number + 1) * SEATS_EACH)


def _seat_row(seat: int) -> dict[str, object]:
    return {
        "event_id": EVENT, "seat": seat, "status": Status.FREE.value, "tier": 0, "allocation": "",
        "version": 0, "epoch": 0, "fence": 0, "reservation_id": "",
    }  # fmt: skip


def _sale(number: int) -> Sale:
    return Sale(
        event=EVENT,
        buyer=f"fan{number:019d}",
        hold=hold_id_text(number.to_bytes(8, "big")),
        back=Status.FREE,
        epoch=0,
        fence=number + 1,
        price_version=1,
        currency="EUR",
        lines=tuple(Line(seat, 0, 4200) for seat in _seats(number)),
        until_ms=UNTIL_MS,
        late_ms=UNTIL_MS,
        max_per_buyer=SEATS_EACH,
    )
