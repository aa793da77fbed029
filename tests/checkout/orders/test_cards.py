"""One card pays for so many seats of an event, whoever has it: exactly, also when two workers sell at once (row 86)."""

import asyncio
import contextlib
import threading
from typing import Any

import pytest
from sqlalchemy import Connection

from checkout.halls.seats import Status
from checkout.orders import cards, store
from checkout.orders.order import Attempt
from checkout.orders.review import Cautions
from tests.checkout.reservations import EVENT
from tests.checkout.tills import Shop, faults, shop

THREE = Cautions(seats_per_card=3)


async def orders_at_once(own: Shop) -> list[Any]:
    """Have two buyers pay for two seats each with the same card, at two workers, at the same moment."""
    workers = (own.worker, own.new_worker())
    orders = [await own.order(buyer, 2 * at, 2 * at + 1) for at, buyer in enumerate(("ann", "bob"))]
    await asyncio.gather(
        *(
            own.pay(order, buyer=buyer, worker=worker)
            for order, buyer, worker in zip(orders, ("ann", "bob"), workers, strict=True)
        )
    )
    return [await own.look(order) for order in orders]


async def test_a_card_pays_for_so_many_seats_and_no_more(shop_url: str, store_url: str) -> None:
    """Across accounts: the next is declined in words of its own, its money let go, its seats still reserved."""
    async with shop(shop_url, store_url, cautions=THREE) as own:
        await own.paid("ann", 0, 1)
        await own.paid("bob", 2)
        third = await own.order("cy", 3)
        declined = await own.pay(third, buyer="cy")
        seats = own.scene.sql_seats(3)
        wrong = await faults(own, settled=False)

    assert (declined["phase"], declined["decline"]) == ("declined", "card-full")
    assert own.bank.open_refs == []
    assert own.bank.net_minor(third["order"]) == 0
    assert seats == [Status.RESERVED]
    assert wrong == []


async def test_seats_that_went_back_count_no_more(shop_url: str, store_url: str) -> None:
    """After a refund the card pays again."""
    async with shop(shop_url, store_url, cautions=THREE) as own:
        order = await own.paid("ann", 0, 1)
        await own.worker.caring.refund(EVENT, order["order"], None, "r1", by="ida")
        again = await own.paid("bob", 0, 1, 2)

    assert again["state"] == "paid"


async def test_two_orders_with_one_card_at_once_do_not_pass_the_limit(shop_url: str, store_url: str) -> None:
    """One is paid, the other one declined; ten times."""
    for _ in range(10):
        async with shop(shop_url, store_url, cautions=THREE) as own:
            told = await orders_at_once(own)
            wrong = await faults(own, settled=False)

        assert sorted(one["phase"] for one in told) == ["declined", "paid"]
        assert wrong == []


@pytest.mark.parametrize("shop_url", [pytest.param("postgresql", marks=pytest.mark.postgres)], indirect=True)
async def test_without_a_turn_both_are_sold(
    shop_url: str, store_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The mutant: both are counted before either is sold. Where the turn is taken, the second cannot be by then."""
    counted = {}
    count = cards.seats_of_card
    for is_on in (False, True):
        both = threading.Barrier(2)

        def slow(connection: Connection, event: str, card: str, both: threading.Barrier = both) -> int:
            found = count(connection, event, card)
            with contextlib.suppress(threading.BrokenBarrierError):
                both.wait(2)
            return found

        with monkeypatch.context() as patch:
            patch.setattr(cards, "seats_of_card", slow)
            if not is_on:
                patch.setattr(cards, "take_turn", lambda _connection, _lock: None)
            async with shop(shop_url, store_url, cautions=THREE) as own:
                counted[is_on] = sorted(one["phase"] for one in await orders_at_once(own))

    assert counted == {False: ["paid", "paid"], True: ["declined", "paid"]}


async def test_a_count_from_before_the_sale_would_pass_the_limit(
    shop_url: str, store_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The mutant on either database: the limit is looked up when the bank has agreed, and not where it is sold."""
    early: dict[str, int] = {}
    sold = asyncio.Barrier(2)

    async def both_agreed(called: str) -> None:
        if called == "confirm":
            await sold.wait()

    def stale(_connection: Connection, attempt: Attempt, most: int) -> None:
        if early.setdefault(attempt.order, 0) + 2 > most:
            raise cards.CardFull

    monkeypatch.setattr(store, "within_card", stale)
    async with shop(shop_url, store_url, cautions=THREE) as own:
        own.bank.after = both_agreed
        told = await orders_at_once(own)

    assert [one["phase"] for one in told] == ["paid", "paid"]
