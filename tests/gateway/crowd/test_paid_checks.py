"""The checks of what was paid: green before a till that keeps its word, red before each that does not."""

import asyncio
from collections import Counter
from collections.abc import Callable
from dataclasses import replace

import pytest

from gateway.crowd.crowd import Hooks, Result, run_crowd
from gateway.crowd.paying import Last, Manner
from gateway.crowd.plan import Errand, Plan, Script
from gateway.crowd.report import as_dict, table
from gateway.crowd.report_page import page
from gateway.crowd.seats.booked import Booked
from gateway.crowd.seats.cashier import ENDS
from gateway.crowd.seats.checks_paid import PAID_CHECKS
from gateway.crowd.seats.noted import Ending
from gateway.crowd.verdict import State
from tests.gateway.crowd.naive_shop import NaiveShop
from tests.gateway.crowd.naive_till import NaiveTill, TillFault
from tests.gateway.crowd.virtual import run_virtually

PLAN = Plan(
    fans=36,
    duration_s=20.0,
    linger_s=300.0,
    shape="constant",
    mix={Script.STEADY: 1.0},
    errands={Errand.RESERVE: 1.0},
    manners=dict.fromkeys(Manner, 1.0),
    settle_s=100.0,
    alone=True,
)

CAUGHT_BY = {
    TillFault.TWO_ORDERS: "order-once",
    TillFault.DEARER: "order-once",
    TillFault.KEY_TWICE: "order-once",
    TillFault.TAKES_BACK: "order-once",
    TillFault.CHARGES_TWICE: "charged-once",
    TillFault.CHARGES_MORE: "charged-once",
    TillFault.CHARGES_UNPAID: "charged-once",
    TillFault.CHARGES_NOBODY: "charged-once",
    TillFault.HOLDS_ON: "charged-once",
    TillFault.FORGETS_SEATS: "paid-is-owned",
    TillFault.KEEPS_SEATS: "paid-is-owned",
    TillFault.SELLS_TWICE: "paid-is-owned",
    TillFault.LEAVES_OPEN: "books-right",
    TillFault.OTHER_BOOKS: "books-right",
}
NAMES = [check.__name__.replace("_", "-") for check in PAID_CHECKS]


def crowd_before(
    make: Callable[[Callable[[], float]], NaiveShop], plan: Plan = PLAN, *, books: bool = True
) -> Result:
    """Send a crowd that pays to a naive shop in virtual time; its books are read at the end."""

    async def run() -> Result:
        now_s = asyncio.get_running_loop().time
        shop = make(now_s)
        reader = shop.reader() if books and isinstance(shop, NaiveTill) else None
        hooks = Hooks(asker=shop.at, seconds=now_s, wall_ms=lambda: now_s() * 1000, books=reader)
        return await run_crowd(plan, hooks)

    return run_virtually(run())


def paid_verdicts(result: Result) -> dict[str, tuple[State, tuple[str, ...]]]:
    """The verdicts of these checks."""
    return {one.name: (one.state, one.examples) for one in result.verdicts if one.name in NAMES}


def reds(result: Result) -> dict[str, tuple[str, ...]]:
    """The red checks with what they found."""
    return {one.name: one.examples for one in result.verdicts if one.state is State.RED}


def test_a_till_that_keeps_its_word_is_all_green() -> None:
    """Every check is green, every way to pay ends as it says, and what was left behind is over in the end."""
    result = crowd_before(NaiveTill)
    observed = result.observed

    assert reds(result) == {}
    assert paid_verdicts(result) == dict.fromkeys(NAMES, (State.GREEN, ()))
    assert result.matched == PLAN.fans
    endings = {
        file.manner: file.ending
        for file in observed.fans
        if file.manner is not None and file.ending in ENDS.values()
    }
    assert endings == dict(ENDS)
    assert observed.shop.booked is not None
    assert observed.shop.booked.waiting == frozenset()


@pytest.mark.parametrize(("fault", "name"), CAUGHT_BY.items(), ids=[fault.name for fault in CAUGHT_BY])
def test_a_till_that_breaks_its_word_is_caught(fault: TillFault, name: str) -> None:
    """The check that is meant for the fault is red, with an example."""
    result = crowd_before(lambda now_s: NaiveTill(now_s, till_fault=fault))

    assert result.verdict(name).state is State.RED
    assert result.verdict(name).examples
    assert result.matched == 0


def test_every_fault_of_the_naive_till_has_its_check() -> None:
    """No fault is left without a check that names it, and no check without a fault."""
    assert set(CAUGHT_BY) == set(TillFault)
    assert set(CAUGHT_BY.values()) == set(NAMES)


def test_a_shop_that_takes_no_money_is_reserved_in_as_before() -> None:
    """One fan finds it out; nobody is counted as a buyer, and no check of payments is shown."""
    result = crowd_before(NaiveShop)
    observed = result.observed

    assert reds(result) == {}
    assert paid_verdicts(result) == {}
    assert observed.shop.purchases == []
    assert Counter(file.ending for file in observed.fans)[Ending.RESERVED] > PLAN.fans / 2


def test_fans_that_are_to_reserve_only_do_not_pay() -> None:
    """`--paying none`: the till is never asked."""
    result = crowd_before(NaiveTill, replace(PLAN, manners={}))

    assert reds(result) == {}
    assert result.observed.shop.takes_money is None
    assert paid_verdicts(result) == {}


def test_without_books_only_what_was_told_is_judged() -> None:
    """The rest is not judged, and the report says how to have it judged."""
    result = crowd_before(NaiveTill, books=False)

    assert {name: state for name, (state, _) in paid_verdicts(result).items()} == {
        "order-once": State.GREEN,
        "charged-once": State.NOT_JUDGED,
        "paid-is-owned": State.NOT_JUDGED,
        "books-right": State.NOT_JUDGED,
    }
    assert "--books" in result.verdict("charged-once").detail


def test_an_order_in_its_time_is_told_and_not_red() -> None:
    """Who closed the bank's page a moment ago may still pay: the crowd does not wait longer than it was told."""
    result = crowd_before(NaiveTill, replace(PLAN, settle_s=1.0))
    booked = result.observed.shop.booked

    assert reds(result) == {}
    assert booked is not None
    assert booked.waiting
    assert "may still be paid" in result.verdict("books-right").detail


def test_payments_that_a_person_looks_at_are_told_and_not_red() -> None:
    """Seats are sold and money is held: until somebody has decided, that is what was promised."""

    def careful(now_s: Callable[[], float]) -> NaiveTill:
        till = NaiveTill(now_s)
        till.reviews = True
        return till

    result = crowd_before(careful, replace(PLAN, manners={Manner.OK: 3.0, Manner.VANISHES: 1.0}))

    assert reds(result) == {}
    assert result.matched == PLAN.fans
    assert {file.ending for file in result.observed.fans} >= {Ending.REVIEWED, Ending.LEFT_UNPAID}
    assert "wait for a person" in result.verdict("books-right").detail


def test_books_that_cannot_be_read_are_red() -> None:
    """Nothing is taken for right that nobody has seen."""

    async def unread(_: object) -> Booked:
        return Booked(("the books cannot be read: gone",))

    async def run() -> Result:
        now_s = asyncio.get_running_loop().time
        shop = NaiveTill(now_s)
        hooks = Hooks(asker=shop.at, seconds=now_s, wall_ms=lambda: now_s() * 1000, books=unread)
        return await run_crowd(replace(PLAN, settle_s=3.0), hooks)

    result = run_virtually(run())

    assert result.verdict("books-right").state is State.RED
    assert result.verdict("charged-once").state is State.NOT_JUDGED


def test_the_report_tells_orders_money_and_ways_to_pay() -> None:
    """In the table, on the page and in JSON."""
    result = crowd_before(NaiveTill)
    paid = [one for one in result.observed.shop.purchases if one.last is Last.PAID]
    told = as_dict(result)["paid"]
    text = table(result, colour=False)

    assert told["paid"] == len(paid)
    assert told["money_minor"] == {"EUR": sum(one.total_minor for one in paid)}
    assert told["manners"]["changes_mind"] == {"free": 4}
    assert "Ways to pay" in text
    assert f"{told['seats_paid']:,} seats for {told['money_minor']['EUR'] / 100:,.2f} EUR" in text
    assert "<h2>Payments</h2>" in page(result)
