"""Rows of the failure matrix that no other story plays.

A sale that dies at any statement, a database that is cut off or put back to yesterday, a buyer whose admission is over.
Which row is played where stands in docs/failure-matrix.md.
"""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.engine import make_url

from checkout.database import ShopDatabase
from checkout.halls.seats import Status
from checkout.orders import driving, store
from checkout.orders.order import Attempt, Order
from checkout.orders.papers import OrderPaper
from checkout.payments.port import Unclear
from checkout.sales.selling import sell_within
from checkout.tables import (
    ATTEMPTS,
    EVENT_LOG,
    META,
    MONEY,
    NOTICES,
    ORDERS,
    RESERVATION_SEATS,
    RESERVATIONS,
    SEATS,
    WORK,
)
from kernel.errors import Unavailable
from tests.checkout.cutting import Cutter, schema
from tests.checkout.logs import tampering
from tests.checkout.orders.test_crashes import Dead, dying_at
from tests.checkout.reservations import EVENT
from tests.checkout.tills import Shop, faults, shop

SIGNED = {"signed": "yes"}
OF_A_SALE = (ORDERS, ATTEMPTS, WORK, MONEY, RESERVATIONS, RESERVATION_SEATS, SEATS, EVENT_LOG)
HOUR_MS = 3_600_000


def all_rows(database: ShopDatabase) -> list[list[Any]]:
    """Read every row that a sale may change."""
    with database.listing() as connection:
        return [sorted(map(tuple, connection.execute(sa.select(table))), key=repr) for table in OF_A_SALE]


class DyingSale:
    """Lets the process die within the transaction of a sale: at the n-th statement, or when all are sent."""

    def __init__(self, database: ShopDatabase, at: int) -> None:
        """`at` counts from 1; one more than there are statements is the moment before the commit."""
        self._database, self._at = database, at
        self._is_selling = False
        self.sent = 0
        self.before: list[list[Any]] = []

    @contextmanager
    def __call__(self) -> Iterator[None]:
        """Stand by as long as the block lasts; the first sale dies."""
        sell = store.sell

        def dying(*arguments: Any, **named: Any) -> Any:
            self._is_selling, self.sent = True, 0
            try:
                sold = sell(*arguments, **named)
            finally:
                self._is_selling = False
            self._pass()
            return sold

        engine = self._database._engine
        sa.event.listen(engine, "before_cursor_execute", self._sends)
        try:
            with pytest.MonkeyPatch.context() as patched:
                patched.setattr(driving, "sell", dying)
                yield
        finally:
            sa.event.remove(engine, "before_cursor_execute", self._sends)

    def _sends(self, *_arguments: object) -> None:
        if self._is_selling:
            self._pass()

    def _pass(self) -> None:
        self.sent += 1
        if self.sent == self._at:
            raise Dead(f"statement {self._at}")


async def resolved(own: Shop) -> OrderPaper:
    """Let a new process look at everything, and tell the order."""
    own.worker = own.new_worker()
    await own.settle(rounds=10, step_ms=90_000)
    await own.scene.reserving.lapse(own.scene.place)
    await own.reconcile()
    (order,) = await own.worker.ordering.mine(EVENT, "ann")
    return order


async def test_a_sale_that_dies_at_any_statement_is_whole_or_nothing(shop_url: str, store_url: str) -> None:
    """C3: order, seats, log and money change together. Then whoever comes next sells it, and takes the money once."""
    async with shop(shop_url, store_url) as own:
        order = await own.order("ann", 0, 1)
        counting = DyingSale(own.scene.database, at=10_000)
        with counting():
            await own.pay(order)
        statements = counting.sent
        assert statements > 6

        for at in range(1, statements + 1):
            buyer, seat = f"b{at}", 2 + at
            order = await own.order(buyer, seat)
            dying = DyingSale(own.scene.database, at)
            before: list[list[Any]] = []

            async def look(called: str, before: list[list[Any]] = before) -> None:
                # What is written between the bank's answer and the sale is the answer itself, in the sale.
                if called == "confirm":
                    before[:] = all_rows(own.scene.database)

            own.bank.after = look
            with dying(), suppress(Dead):
                await own.pay(order, buyer=buyer)
            own.bank.after = None
            assert all_rows(own.scene.database) == before, f"statement {at} of {statements}"

            own.worker = own.new_worker()
            await own.settle(rounds=2, step_ms=10_000)
            assert (await own.look(order))["state"] == "paid"
            assert own.bank.captures(order["order"]) == 1
        await own.reconcile()

        assert await faults(own) == []


async def test_a_sale_in_two_transactions_is_noticed(
    tmp_path: Path, store_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Mutant: the seats are sold in a commit of their own; who dies before the order's has sold to nobody."""
    async with shop(f"sqlite:///{tmp_path}/shop.db", store_url) as own:
        order = await own.order("ann", 0, 1)

        def in_two(
            connection: sa.Connection, order: Order, was: Attempt, *rest: Any
        ) -> tuple[Order, Attempt]:
            assert sell_within(connection, order.reservation, next(one for one in rest if type(one) is int))
            return order, was

        monkeypatch.setattr(driving, "sell", in_two)
        with dying_at("sell.after"), suppress(Dead):
            await own.pay(order)
        wrong = await faults(own)

    assert any(one.startswith("I3") for one in wrong)


@pytest.mark.parametrize("is_sent", [True, False])
@pytest.mark.postgres
async def test_a_sale_whose_commit_is_cut_off_is_read_again(
    is_sent: bool, postgres_url: str, store_url: str
) -> None:
    """R2, C3: nobody knows whether COMMIT was heard; the order is paid once, whichever it was."""
    with Cutter(postgres_url) as cutter, schema(postgres_url) as name:
        direct = make_url(postgres_url).update_query_dict({"options": f"-csearch_path={name}"})
        through = cutter.url(direct).render_as_string(hide_password=False)
        async with shop(through, store_url) as own:
            order = await own.order()

            async def cut(called: str) -> None:
                if called == "confirm":
                    cutter.cut(b"COMMIT", is_sent=is_sent)

            own.bank.after = cut
            with suppress(Unavailable):
                await own.pay(order)
            own.bank.after = None
            paper = await resolved(own)
            wrong = await faults(own)

    assert cutter.has_cut
    assert paper["state"] == "paid"
    assert own.bank.captures(paper["order"]) == 1
    assert wrong == []


async def test_overlapping_payments_at_many_workers_end(shop_url: str, store_url: str) -> None:
    """R3: sixteen orders are sold at sixteen workers at once, and nobody waits for ever; each is paid once."""
    async with shop(shop_url, store_url, max_per_buyer=2) as own:
        orders = [await own.order(f"b{number}", 2 * number, 2 * number + 1) for number in range(16)]
        workers = [own.new_worker() for _ in orders]
        async with asyncio.timeout(60):
            await asyncio.gather(
                *(
                    own.pay(order, buyer=f"b{number}", worker=worker)
                    for number, (order, worker) in enumerate(zip(orders, workers, strict=True))
                )
            )
        await own.settle(rounds=4)
        await own.reconcile()
        states = {(await own.look(order))["state"] for order in orders}
        wrong = await faults(own)

    assert states == {"paid"}
    assert wrong == []


@pytest.mark.parametrize("by", ["notice", "look"])
async def test_a_buyer_whose_admission_has_ended_has_paid(by: str, shop_url: str, store_url: str) -> None:
    """S1: the payment may finish without one more request of the buyer: by a notice, or by the look at what stands."""
    async with shop(shop_url, store_url) as own:
        order = await own.order()
        await own.pay(order, "asks")
        own.bank.authorise("pay-1")
        # From here on nothing is asked in the buyer's name.
        later = own.new_worker()
        if by == "notice":
            await later.notices.hear("bank", b"n1:pay-1", SIGNED)
        else:
            await own.settle(rounds=2, worker=later)
        paper = await own.look(order)
        await own.reconcile()
        wrong, seats = await faults(own), own.scene.sql_seats(0, 1)

    assert paper["state"] == "paid"
    assert seats == [Status.SOLD] * 2
    assert wrong == []


@pytest.mark.parametrize("later_ms", [61 * 60_000, 3 * 24 * HOUR_MS])
async def test_a_notice_is_known_however_late_it_is_repeated(
    later_ms: int, shop_url: str, store_url: str
) -> None:
    """P12: after an hour, when a cache would have forgotten, and after three days; it changes no row."""
    async with shop(shop_url, store_url) as own:
        order = await own.order()
        await own.pay(order, "asks")
        own.bank.authorise("pay-1")
        await own.worker.notices.hear("bank", b"n1:pay-1", SIGNED)
        before = all_rows(own.scene.database)
        own.scene.clock.advance(later_ms)
        await own.new_worker().notices.hear("bank", b"n1:pay-1", SIGNED)
        after = all_rows(own.scene.database)
        with own.scene.database.listing() as connection:
            kept = connection.scalar(sa.select(sa.func.count()).select_from(NOTICES))

    assert after == before
    assert kept == 1


async def test_a_failure_that_the_provider_keeps_under_the_key_is_settled_by_looking(
    shop_url: str, store_url: str
) -> None:
    """P5: confirm has worked, and its 500 is kept under its key: there is no second key before it was looked at."""
    async with shop(shop_url, store_url) as own:
        order = await own.order()
        asked: list[str] = []

        async def fails(called: str) -> None:
            if called == "confirm":
                asked.append(own.bank.calls[-1][1])
                raise Unclear("500, kept under the key")

        own.bank.after = fails
        await own.pay(order)
        await own.settle(rounds=4)
        paper = await own.look(order)
        await own.reconcile()
        wrong = await faults(own)

    assert len(set(asked)) == 1
    assert paper["state"] == "paid"
    assert wrong == []


class Backup:
    """All rows of the database as they were at one moment, to be put back later."""

    def __init__(self, database: ShopDatabase) -> None:
        """Take it."""
        self._database = database
        with database.listing() as connection:
            self._rows = {
                table: [dict(row._mapping) for row in connection.execute(sa.select(table))]
                for table in META.sorted_tables
            }

    def put_back(self) -> None:
        """Put it back: whatever came after is forgotten."""
        with tampering(self._database) as connection:
            for table, rows in self._rows.items():
                connection.execute(sa.delete(table))
                if rows:
                    connection.execute(sa.insert(table), rows)


async def test_a_database_put_back_to_yesterday_finds_its_payments(shop_url: str, store_url: str) -> None:
    """C7: what was paid before stays; what was paid after is paid again if the order is known, else goes back."""
    async with shop(shop_url, store_url) as own:
        before = await own.paid("ann", 0, 1)
        known = await own.order("bob", 2, 3)
        backup = Backup(own.scene.database)
        await own.pay(known, buyer="bob")
        forgotten = await own.paid("cy", 4, 5)
        backup.put_back()
        own.scene.clock.advance(61_000)
        own.worker = own.new_worker()
        await own.worker.recovering.look_for_strays()
        await own.settle(rounds=3, step_ms=10_000)
        again = await own.worker.recovering.look_for_strays()
        await own.reconcile()
        states = [(await own.look(order))["state"] for order in (before, known)]
        wrong, seats = await faults(own), own.scene.sql_seats(2, 3, 4, 5)

    assert states == ["paid", "paid"]
    assert again == 0
    assert own.bank.net_minor(forgotten["order"]) == 0
    assert seats == [Status.SOLD] * 2 + [Status.FREE] * 2
    assert wrong == []


async def test_a_seat_that_was_sold_again_since_the_backup_is_its_new_buyers(
    shop_url: str, store_url: str
) -> None:
    """C7: the forgotten order's seats are somebody else's by now; its money goes back, and theirs stays."""
    async with shop(shop_url, store_url) as own:
        known = await own.order("bob", 2, 3)
        backup = Backup(own.scene.database)
        await own.pay(known, buyer="bob")
        backup.put_back()
        own.scene.clock.set(known["until_ms"])
        own.worker = own.new_worker()
        await own.settle(rounds=1, step_ms=1_000)
        await own.scene.reserving.lapse(own.scene.place)
        await own.reconcile()
        await own.paid("cy", 2, 3)
        await own.worker.recovering.look_for_strays()
        await own.settle(rounds=4)
        await own.reconcile()
        state = (await own.look(known))["state"]
        wrong, seats = await faults(own), own.scene.sql_seats(2, 3)

    assert state == "lapsed"
    assert own.bank.net_minor(known["order"]) == 0
    assert seats == [Status.SOLD] * 2
    assert wrong == []


async def test_a_till_that_looks_for_no_strays_is_noticed(tmp_path: Path, store_url: str) -> None:
    """Mutant: nobody asks the provider what it has after the database was put back."""
    async with shop(f"sqlite:///{tmp_path}/shop.db", store_url) as own:
        await own.paid("ann", 0, 1)
        backup = Backup(own.scene.database)
        await own.paid("cy", 4, 5)
        backup.put_back()
        await own.settle(rounds=4)
        await own.reconcile()

        wrong = await faults(own)

    assert any("we do not know payment" in one for one in wrong)
