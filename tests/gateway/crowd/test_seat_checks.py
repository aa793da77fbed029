"""The checks of seats: green before a shop that keeps its word, red before each that does not."""

import asyncio
from collections import Counter
from collections.abc import Callable

import pytest

from checkout.audit.records import Act
from gateway.crowd.crowd import Hooks, Result, run_crowd
from gateway.crowd.observed import Outage
from gateway.crowd.plan import Plan, Script
from gateway.crowd.seats.checks import SEAT_CHECKS
from gateway.crowd.seats.checks_told import ends_kept, prices_right
from gateway.crowd.verdict import State
from tests.gateway.crowd.naive_hall import ShopFault
from tests.gateway.crowd.naive_shop import NaiveShop
from tests.gateway.crowd.virtual import run_virtually

PLAN = Plan(
    fans=140,
    duration_s=40.0,
    linger_s=300.0,
    shape="constant",
    mix={Script.STEADY: 0.9, Script.BAD: 0.1},
    follow_s=15.0,
    alone=True,
)

CAUGHT_BY = {
    ShopFault.NO_LOCK: "seat-once",
    ShopFault.FORGETS_PAID: "seat-once",
    ShopFault.GHOST: "seat-once",
    ShopFault.PARTIAL: "all-or-nothing",
    ShopFault.LEAVES_BEHIND: "all-or-nothing",
    ShopFault.FORGETS_HOLD: "ends-kept",
    ShopFault.NO_LIMIT: "limit-kept",
    ShopFault.MEAN: "limit-kept",
    ShopFault.FORGETS_KEY: "one-key-one-hold",
    ShopFault.ANY_BODY: "one-key-one-hold",
    ShopFault.SILENT: "refusal-tells",
    ShopFault.NAMES_OTHERS: "refusal-tells",
    ShopFault.NAMES_ONE: "refusal-tells",
    ShopFault.NEVER_ENDS: "ends-kept",
    ShopFault.ENDS_EARLY: "ends-kept",
    ShopFault.SHORT: "ends-kept",
    ShopFault.EXTENDS_AGAIN: "ends-kept",
    ShopFault.KEEPS_LISTING: "ends-kept",
    ShopFault.LOSES_CHANGE: "map-follows",
    ShopFault.WRONG_CHANGE: "map-follows",
    ShopFault.TWO_MAPS: "map-follows",
    ShopFault.DEAR: "prices-right",
    ShopFault.WRONG_SUM: "prices-right",
    ShopFault.DEARER_LATER: "prices-right",
    ShopFault.WRONG_NAME: "prices-right",
    ShopFault.UNGUARDED: "admission-needed",
}


def crowd_before(make: Callable[[Callable[[], float]], NaiveShop], plan: Plan = PLAN) -> Result:
    """Send a crowd to a naive shop in virtual time."""

    async def run() -> Result:
        now_s = asyncio.get_running_loop().time
        shop = make(now_s)
        return await run_crowd(plan, Hooks(asker=shop.at, seconds=now_s, wall_ms=lambda: now_s() * 1000))

    return run_virtually(run())


def seat_verdicts(result: Result) -> dict[str, tuple[State, tuple[str, ...]]]:
    """The verdicts of the seat checks."""
    names = [check.__name__.replace("_", "-") for check in SEAT_CHECKS]
    return {
        verdict.name: (verdict.state, verdict.examples)
        for verdict in result.verdicts
        if verdict.name in names
    }


def test_a_shop_that_keeps_its_word_is_all_green() -> None:
    """Every check is green, every errand ends as it says, and all kinds of things were done."""
    result = crowd_before(NaiveShop)

    assert seat_verdicts(result) == {
        check.__name__.replace("_", "-"): (State.GREEN, ()) for check in SEAT_CHECKS
    }
    assert result.matched == PLAN.fans
    endings = Counter(file.ending for file in result.observed.fans if file.ending)
    assert {"reserved", "gave-back", "cancelled", "ended", "refused", "followed"} <= set(endings)
    assert any(one.code == "seats-taken" for one in result.observed.shop.tried)


@pytest.mark.parametrize(("fault", "name"), CAUGHT_BY.items(), ids=[fault.name for fault in CAUGHT_BY])
def test_a_shop_that_breaks_its_word_is_caught(fault: ShopFault, name: str) -> None:
    """The check that is meant for the fault is red, with an example."""
    result = crowd_before(lambda now_s: NaiveShop(now_s, shop_fault=fault))

    assert result.verdict(name).state is State.RED
    assert result.verdict(name).examples
    assert result.matched == 0


def test_every_fault_of_the_naive_shop_has_its_check() -> None:
    """No fault is left without a check that names it, and no check without a fault."""
    assert set(CAUGHT_BY) == set(ShopFault)
    assert set(CAUGHT_BY.values()) == {check.__name__.replace("_", "-") for check in SEAT_CHECKS}


def test_a_hold_that_was_lost_while_somebody_asked_was_lost() -> None:
    """The question was asked before the store was wiped and answered after it; a loss after the answer is no reason."""
    observed = crowd_before(NaiveShop).observed
    ends_us = {
        one.paper.id: one.paper.until_ms * 1000 for one in observed.shop.tried if one.paper is not None
    }
    over = next(one for one in observed.shop.acted if one.state == "expired")
    told_us = ends_us[over.hold] - 3_000_000
    observed.shop.acted[:] = [over._replace(asked_us=told_us - 2_000_000, answered_us=told_us)]
    observed.shop.mines.clear()

    def state(lost_us: int) -> State:
        lost_s = (lost_us / 1000 - observed.wall_ms) / 1000
        observed.outages[:] = [Outage("wiped", lost_s, lost_s + 9, loses_store=True)]
        return ends_kept(observed).state

    assert state(told_us - 1_000_000) is State.GREEN
    assert state(told_us + 1_000_000) is State.RED


def test_a_key_that_is_repeated_after_a_loss_may_get_other_seats() -> None:
    """The hold is a new one under the old id, and what is reserved is what was told last; of no paper it is a fault."""
    observed = crowd_before(NaiveShop).observed
    shop = observed.shop
    done = next(one for one in shop.acted if one.act is Act.RESERVE and one.paper is not None)
    told = next(one for one in shop.tried if one.paper is not None and one.paper.id == done.hold)
    other = next(
        one
        for one in shop.tried
        if one.paper is not None and one.paper.lines != told.paper.lines  # type: ignore[union-attr]
    )
    lost = told._replace(paper=other.paper._replace(id=done.hold))  # type: ignore[union-attr]

    shop.tried.insert(0, lost)
    assert prices_right(observed).state is State.GREEN
    shop.tried[:] = [
        one for one in shop.tried if one is lost or one.paper is None or one.paper.id != done.hold
    ]
    assert prices_right(observed).state is State.RED
