"""The sale in metrics: tickets, conversion and abandonment are what SQL says, whatever way holds and orders end."""

from collections.abc import Iterable

import pytest
import sqlalchemy as sa

from checkout.holds.journal import JournalRows, Note
from checkout.metrics import STEPS, Metrics
from checkout.tables import TICKETS
from kernel.errors import Unavailable
from tests.checkout.order_desks import OrderDesk, order_desk
from tests.checkout.organiser.test_sales import asked
from tests.checkout.sale_courses import Doubtful, run
from tests.checkout.tills import shop


def told(metrics: Metrics) -> dict[str, int]:
    """Return what was counted."""
    return {**{step: metrics.funnel.of(step) for step in STEPS}, "tickets": metrics.tickets.count}


async def in_sql(desk: OrderDesk) -> dict[str, int]:
    """Return what SQL says: the organiser's report of the whole sale, which is equal to the log, and the tickets."""
    total = (await asked(desk)).json()["total"]
    with desk.shop.scene.database.reading() as connection:
        tickets = connection.scalar(sa.select(sa.func.count()).select_from(TICKETS)) or 0
    return {
        "held": total["holds"],
        "reserved": total["reserved"],
        "ordered": total["opened"],
        "paid": total["paid"],
        "abandoned": sum(sum(ends.values()) for ends in total["abandoned"].values()),
        "tickets": tickets,
    }


async def test_the_metrics_of_a_sale_are_what_sql_says(shop_url: str, store_url: str) -> None:
    """Every way to end: paid, given up, out of time, declined, refused, given back; all equal, not only within 1 %."""
    async with order_desk(shop_url, store_url, judge=Doubtful()) as desk:
        await run(desk)
        counted, wanted = told(desk.shop.scene.metrics), await in_sql(desk)

    assert counted == wanted
    assert wanted == {"held": 10, "reserved": 8, "ordered": 7, "paid": 3, "abandoned": 7, "tickets": 6}


async def test_a_count_that_takes_the_end_of_a_reserved_hold_for_a_second_one_is_found(
    shop_url: str, store_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The mutant: a hold that is over in the store is counted, although its reservation's end is counted, too."""

    def every_one(_rows: JournalRows, notes: Iterable[Note]) -> int:
        return sum(b" expired " in note.fields[b"n"] or b" released " in note.fields[b"n"] for note in notes)

    monkeypatch.setattr(JournalRows, "_never_reserved", every_one)
    async with order_desk(shop_url, store_url, judge=Doubtful()) as desk:
        await run(desk)

        assert told(desk.shop.scene.metrics) != await in_sql(desk)


async def test_notes_that_come_twice_are_counted_when_they_were_written(
    shop_url: str, store_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While SQL is away nothing is counted; once it is back, each hold once."""
    async with order_desk(shop_url, store_url) as desk:
        scene = desk.shop.scene
        await scene.hold("ann", 1)
        with monkeypatch.context() as away:
            away.setattr(JournalRows, "put", _away)
            with pytest.raises(Unavailable):
                await scene.drain()
            before = scene.metrics.funnel.of("held")
        await scene.drain()
        await scene.drain()

        assert (before, scene.metrics.funnel.of("held")) == (0, 1)


def _away(_rows: JournalRows, _notes: Iterable[Note]) -> int:
    raise Unavailable("shop-away", "SQL is away.")


async def test_a_try_to_pay_that_nobody_could_answer_is_counted_apart(
    shop_url: str, store_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Paid and declined are answers; a database that is away is none, and a repeat counts again."""
    async with shop(shop_url, store_url) as own:
        order, declined = await own.order("ann", 1), await own.order("bob", 2)
        await own.pay(declined, "no-funds", buyer="bob")
        with monkeypatch.context() as broken:
            broken.setattr(own.worker.ordering, "_begin", _never_begins)
            with pytest.raises(Unavailable):
                await own.pay(order)
        await own.pay(order)
        payments = own.scene.metrics.payments

        assert (payments.of("answered"), payments.of("away")) == (2, 1)


async def _never_begins(*_words: object, review: bool) -> None:
    del review
    raise Unavailable("shop-away", "SQL is away.")
