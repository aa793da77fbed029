"""Each check ships with its mutant: a room that breaks the promise must be caught, by the check that is meant to."""

import asyncio
from dataclasses import replace

import pytest

from gateway.crowd.checks_answers import no_failures
from gateway.crowd.crowd import Hooks, Result, run_crowd
from gateway.crowd.observed import Failed, Outage, Route
from gateway.crowd.plan import Drill, Limits, Plan
from gateway.crowd.verdict import State
from tests.gateway.crowd.naive_room import Fault, NaiveRoom
from tests.gateway.crowd.virtual import run_virtually

PLAN = Plan(
    fans=120,
    duration_s=15.0,
    linger_s=120.0,
    view_ratio=0.3,
    away_s=3.0,
    patience_s=4.0,
    limits=Limits(admissions_per_minute=240, active_users=30),
)

TIGHT = replace(PLAN, limits=Limits(admissions_per_minute=240, active_users=6))

NO_DRAW = "draw-kept"
"""The one check that a first-come line gives nothing to; its mutants are in ``test_sale_checks``."""

CAUGHT_BY = {
    Fault.OVERTAKE: "nobody-overtaken",
    Fault.TWICE_GIVEN: "numbers-unique",
    Fault.FORGETS_KEY: "numbers-unique",
    Fault.FAVOURS: "called-in-order",
    Fault.VIEW_LIES: "called-in-order",
    Fault.LOSES_PLACE: "no-place-lost",
    Fault.WORSENS: "no-place-lost",
    Fault.TAKES_BACK: "no-place-lost",
    Fault.NEW_SID: "admitted-once",
    Fault.SHARED_SID: "admitted-once",
    Fault.NO_BUCKET: "rate-exact",
    Fault.NO_CAP: "sessions-exact",
    Fault.OPEN_DOOR: "door-shut",
    Fault.BELIEVES: "door-shut",
    Fault.LEFT_MAY_CLAIM: "door-shut",
    Fault.UNSIGNED_TOKEN: "outcomes",
    Fault.SHOP_SHUT: "outcomes",
    Fault.FAILS: "no-failures",
    Fault.RUDE: "later-says-when",
    Fault.FORGED_DOCUMENT: "documents-agree",
    Fault.TWO_FACED: "documents-agree",
    Fault.EARLY_BIRDS: "nobody-early",
}


def crowd_before(plan: Plan, *, fault: Fault | None = None, loses_at_s: float | None = None) -> Result:
    """Send a crowd to a naive room in virtual time."""

    async def run() -> Result:
        now_s = asyncio.get_running_loop().time
        limits = plan.limits
        room = NaiveRoom(
            now_s,
            per_minute=int(limits.admissions_per_minute or 240),
            cap=limits.active_users or 10_000,
            fault=fault,
        )
        drills = []
        if loses_at_s is not None:
            drills = [Drill(loses_at_s, "flush", room.lose_store, loses_store=True, grace_s=5.0)]
        hooks = Hooks(drills=drills, asker=room.at, seconds=now_s, wall_ms=lambda: now_s() * 1000)
        return await run_crowd(plan, hooks)

    return run_virtually(run())


def test_a_room_that_keeps_its_promises_is_all_green() -> None:
    """Without a fault every check is green and every fan's day goes as its script says."""
    result = crowd_before(PLAN)

    assert {verdict.name: (verdict.state, verdict.examples) for verdict in result.verdicts} == {
        verdict.name: (State.NOT_JUDGED if verdict.name == NO_DRAW else State.GREEN, ())
        for verdict in result.verdicts
    }
    assert result.matched == PLAN.fans


def test_a_room_that_puts_its_line_back_after_a_loss_is_all_green() -> None:
    """A store lost and put back in the middle costs nobody the place, and its 503s are counted apart."""
    result = crowd_before(PLAN, loses_at_s=8.0)

    assert [verdict.name for verdict in result.verdicts if verdict.state is not State.GREEN] == [NO_DRAW]
    assert result.places_lost == 0
    assert "flush" in result.verdict("no-failures").detail


@pytest.mark.parametrize(("fault", "name"), CAUGHT_BY.items(), ids=[fault.name for fault in CAUGHT_BY])
def test_a_broken_promise_is_caught(fault: Fault, name: str) -> None:
    """The check that is meant for the fault is red, with an example."""
    result = crowd_before(TIGHT if fault is Fault.NO_CAP else PLAN, fault=fault)

    assert result.verdict(name).state is State.RED
    assert result.verdict(name).examples
    assert result.matched == 0


def test_a_tight_cap_that_is_kept_is_green() -> None:
    """The crowd that shows a broken cap is green before a room that keeps it, however long the line gets."""
    result = crowd_before(TIGHT)

    assert [verdict.name for verdict in result.verdicts if verdict.state is State.RED] == []


def test_a_line_that_is_replaced_after_a_loss_is_caught() -> None:
    """Another run in the line's place is a lost place for everybody who waited."""
    result = crowd_before(PLAN, fault=Fault.NEW_LINE, loses_at_s=8.0)

    assert result.verdict("no-place-lost").state is State.RED
    assert result.places_lost > 0


def test_failures_are_not_excused_outside_of_a_drill() -> None:
    """The same loss without an announcement makes the failed requests unexpected."""
    plan = replace(PLAN, seed=2)

    async def run() -> Result:
        now_s = asyncio.get_running_loop().time
        room = NaiveRoom(now_s)
        asyncio.get_running_loop().call_later(8.0, setattr, room, "down_until_s", now_s() + 11)
        return await run_crowd(plan, Hooks(asker=room.at, seconds=now_s, wall_ms=lambda: now_s() * 1000))

    result = run_virtually(run())

    assert result.verdict("no-failures").state is State.RED
    assert result.verdict("no-place-lost").state is State.GREEN


def test_every_fault_of_the_naive_room_has_its_check() -> None:
    """No fault is left without a check that names it."""
    assert CAUGHT_BY.keys() | {Fault.NEW_LINE} == set(Fault)


@pytest.mark.parametrize(
    ("harms_origin", "at_s", "expected"), [(True, 9.0, True), (False, 9.0, False), (True, 99.0, False)]
)
def test_a_502_is_excused_only_while_the_site_behind_is_harmed(
    harms_origin: bool, at_s: float, expected: bool
) -> None:
    """A site that is killed cannot end its answer; the gate says so, and must not say so at any other time."""
    observed = crowd_before(PLAN).observed
    observed.outages[:] = [Outage("killed", 8.0, 12.0, loses_store=False, harms_origin=harms_origin)]
    observed.failures[:] = [Failed(1, Route.PAGE, "502", retry_told=False, since_s=at_s, until_s=at_s)]

    assert (no_failures(observed).state is State.GREEN) is expected
