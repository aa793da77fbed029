"""Row 77: whatever a provider tells three times over, in every order, ends in the same state."""

import hashlib
import json
import re
import sqlite3
from collections.abc import Sequence
from copy import deepcopy
from dataclasses import replace
from itertools import count, permutations
from typing import Any

import pytest
import sqlalchemy as sa

from checkout.orders import notices as module
from checkout.orders import store
from checkout.orders.notices import Effect
from checkout.payments.port import Notice
from checkout.tables import ATTEMPTS, DISPUTES, MONEY, NOTICES, ORDERS, OUTBOX, REFUNDS, TICKETS
from tests.checkout.shuffling import every_order, some_orders
from tests.checkout.tills import Shop, faults, shop

SIGNED = {"signed": "yes"}
TOLD = ("taken", "refunded", "disputed")
ALL = 1_680
"""Orders of three messages that come three times each: 9! / (3! 3! 3!)."""

SAMPLE = 9
_OWN: Sequence[tuple[sa.Table, sa.Column[Any]]] = (
    (ORDERS, ORDERS.c.id), (ATTEMPTS, ATTEMPTS.c.order_id), (MONEY, MONEY.c.order_id),
    (REFUNDS, REFUNDS.c.order_id), (DISPUTES, DISPUTES.c.order_id), (TICKETS, TICKETS.c.order_id),
    (OUTBOX, OUTBOX.c.subject),
)  # fmt: skip
_VARIES = frozenset({"version", "seat", "reservation_id", "buyer"})
"""What an order of the same course has otherwise: its own seat, and how often a row was touched."""


def end_of(own: Shop, order: str, ref: str, *, whole: bool = False) -> str:
    """Hash how an order stands: state, money, refunds, disputes, tickets, messages, notices; its own names taken out.

    `whole`: of one order, so its names and versions count as well.
    """
    told: dict[str, Any] = {}
    with own.scene.database.reading() as connection:
        for table, column in _OWN:
            rows = [
                dict(row) for row in connection.execute(sa.select(table).where(column == order)).mappings()
            ]
            if not whole:
                rows = [{name: row[name] for name in row if name not in _VARIES} for row in rows]
            if table is TICKETS and not whole:
                rows = [{"state": row["state"]} for row in rows]
            told[table.name] = sorted(json.dumps(row, sort_keys=True, default=str) for row in rows)
        query = sa.select(NOTICES.c.id, NOTICES.c.state).where(NOTICES.c.ref == ref)
        told["notices"] = sorted(f"{row.id}={row.state}" for row in connection.execute(query))
    text = json.dumps(told, sort_keys=True)
    if not whole:
        text = re.sub(rf"\b{ref}\b", "REF", text.replace(order, "ORDER"))
    return hashlib.sha256(text.encode()).hexdigest()


async def _troubled(own: Shop, buyer: str = "ann", seat: int = 0) -> tuple[str, str]:
    """Have an order paid, and at the bank a part returned and all of the rest disputed; nobody has told us yet."""
    paid = await own.paid(buyer, seat)
    order, (attempt,) = await own.rows(paid)
    left = attempt.captured_minor - 100
    own.bank.set(attempt.ref, refunded_minor=100, disputed_minor=left)
    return order.id, attempt.ref


class Copies:
    """Saves and puts back a shop's whole database, in its own file, and its bank."""

    def __init__(self, own: Shop, url: str) -> None:
        """Know where it lies."""
        self._own = own
        self._path = url.removeprefix("sqlite:///")
        self._kept: list[sqlite3.Connection] = []

    def save(self) -> tuple[str, Any]:
        """Copy everything; two that are equal row by row are one state."""
        memory = sqlite3.connect(":memory:")
        file = sqlite3.connect(self._path)
        file.backup(memory)
        file.close()
        rows = "\n".join(sorted(memory.iterdump()))
        self._kept.append(memory)
        bank = (deepcopy(self._own.bank.payments), deepcopy(self._own.bank.refunds))
        return hashlib.sha256(f"{rows}{bank}".encode()).hexdigest(), (memory, bank)

    def load(self, saved: Any) -> None:
        """Put a copy back."""
        memory, (payments, refunds) = saved
        file = sqlite3.connect(self._path)
        memory.backup(file)
        file.close()
        self._own.bank.payments, self._own.bank.refunds = deepcopy(payments), deepcopy(refunds)

    def close(self) -> None:
        """Let go of all copies."""
        for memory in self._kept:
            memory.close()


@pytest.fixture
def sqlite_url(shop_urls: tuple[str, ...]) -> str:
    """Give a database whose file can be copied."""
    return shop_urls[0]


async def _walked(own: Shop, url: str) -> tuple[int, int, frozenset[str]]:
    """Deliver three notices thrice in every order; returns orders, deliveries and ends."""
    order, ref = await _troubled(own)
    copies = Copies(own, url)

    async def deliver(name: str) -> None:
        await own.worker.notices.hear("bank", f"{name}:{ref}".encode(), SIGNED)

    walked = await every_order(
        TOLD, 3, deliver, copies.save, copies.load, lambda: end_of(own, order, ref, whole=True)
    )
    copies.close()
    return walked.orders, walked.deliveries, walked.ends


@pytest.mark.parametrize("shop_urls", ["sqlite"], indirect=True)
async def test_three_notices_thrice_end_the_same_in_all_1680_orders(sqlite_url: str, store_url: str) -> None:
    """Every row of the order, hash by hash; each notice written down once; and the books are right."""
    async with shop(sqlite_url, store_url) as own:
        orders, deliveries, ends = await _walked(own, sqlite_url)
        wrong = await faults(own)

    assert orders == ALL
    assert len(ends) == 1
    assert deliveries < 1_000
    assert wrong == []


@pytest.mark.parametrize("shop_urls", ["sqlite"], indirect=True)
async def test_who_remembers_no_notice_ends_otherwise(
    sqlite_url: str, store_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Mutant: a notice counts each time, under a name of its own."""
    numbers, write = count(), store.note

    def note(connection: sa.Connection, provider: str, notice: Notice, *rest: Any) -> None:
        write(connection, provider, replace(notice, id=f"{notice.id}-{next(numbers)}"), *rest)

    monkeypatch.setattr(store, "note", note)
    monkeypatch.setattr(module, "is_known", lambda *_, **__: False)
    async with shop(sqlite_url, store_url) as own:
        order, ref = await _troubled(own)
        ends = set()
        for _ in range(3):
            await own.worker.notices.hear("bank", f"taken:{ref}".encode(), SIGNED)
            ends.add(end_of(own, order, ref, whole=True))

    assert len(ends) == 3


async def test_a_sample_of_orders_ends_the_same_on_either_database(shop_url: str, store_url: str) -> None:
    """Drawn by a seed, each with an order of its own; two workers hear in turn."""
    async with shop(shop_url, store_url) as own:
        workers, ends = (own.worker, own.new_worker()), set()
        for number, told in enumerate(some_orders(TOLD, 3, SAMPLE)):
            order, ref = await _troubled(own, f"b{number}", number)
            effects = [
                effect
                for at, name in enumerate(told)
                for effect in await workers[at % 2].notices.hear(
                    "bank", f"{ref}-{name}:{ref}".encode(), SIGNED
                )
            ]
            assert effects.count(Effect.KNOWN) >= 6
            ends.add(end_of(own, order, ref))
        wrong = await faults(own)

    assert len(ends) == 1
    assert wrong == []


async def test_two_notices_thrice_pay_an_order_once_in_all_20_orders(shop_url: str, store_url: str) -> None:
    """Authorised at the bank's page, and told of it: whatever comes first, it is sold, taken and ticketed once."""
    orders = sorted(set(permutations(("a",) * 3 + ("b",) * 3)))
    async with shop(shop_url, store_url) as own:
        ends = set()
        for number, told in enumerate(orders):
            buyer = f"b{number}"
            open_order = await own.order(buyer, number)
            await own.pay(open_order, "asks", buyer=buyer)
            _, (attempt,) = await own.rows(open_order)
            own.bank.authorise(attempt.ref)
            for name in told:
                body = f"{attempt.ref}-{name}:{attempt.ref}".encode()
                await own.worker.notices.hear("bank", body, SIGNED)
            assert own.bank.captures(open_order["order"]) == 1
            ends.add(end_of(own, open_order["order"], attempt.ref))
        wrong = await faults(own)

    assert len(orders) == 20
    assert len(ends) == 1
    assert wrong == []
