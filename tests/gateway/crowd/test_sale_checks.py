"""The checks of a dated sale: green before one that keeps its word, red before each that does not."""

import asyncio
from array import array
from dataclasses import replace

import pytest

from gateway.crowd.crowd import Hooks, Result, run_crowd
from gateway.crowd.observed import Outcome
from gateway.crowd.plan import Limits, Plan, Script
from gateway.crowd.verdict import State
from tests.gateway.crowd.naive_room import Fault, NaiveRoom
from tests.gateway.crowd.naive_sale import NaiveSale, SaleFault
from tests.gateway.crowd.virtual import run_virtually
from waitroom import draw

PLAN = Plan(
    fans=160,
    duration_s=20.0,
    linger_s=160.0,
    shape="constant",
    view_ratio=0.5,
    away_s=3.0,
    patience_s=4.0,
    limits=Limits(admissions_per_minute=240, active_users=100),
)

CAUGHT_BY = {
    SaleFault.OPENS_EARLY: "nobody-early",
    SaleFault.SWAPS_SECRET: "draw-kept",
    SaleFault.SWAPS_SEED: "draw-kept",
    SaleFault.STUFFS: "draw-kept",
    SaleFault.REARRANGES: "draw-kept",
    SaleFault.FOREIGN_LEAF: "draw-kept",
}


def sale(fault: SaleFault | None = None, *, plan: Plan = PLAN, starts_s: float = 16.0) -> Result:
    """Send a crowd to a naive sale in virtual time: four fifths gather, the rest come late."""

    async def run() -> Result:
        now_s = asyncio.get_running_loop().time
        room = NaiveSale(now_s, per_minute=240, starts_s=now_s() + starts_s, sale_fault=fault)
        return await run_crowd(plan, Hooks(asker=room.at, seconds=now_s, wall_ms=lambda: now_s() * 1000))

    return run_virtually(run())


def test_a_sale_that_keeps_its_word_is_all_green() -> None:
    """Everybody who gathered is drawn, is called as drawn and gets in; the late ones after them."""
    result = sale()

    assert {verdict.name: (verdict.state, verdict.examples) for verdict in result.verdicts} == {
        verdict.name: (State.GREEN, ()) for verdict in result.verdicts
    }
    assert result.matched == PLAN.fans
    assert "drawn at level B" in result.verdict("draw-kept").detail
    assert result.observed.receipts


@pytest.mark.parametrize(("fault", "name"), CAUGHT_BY.items(), ids=[fault.name for fault in CAUGHT_BY])
def test_a_sale_that_breaks_its_word_is_caught(fault: SaleFault, name: str) -> None:
    """The check that is meant for the fault is red, with an example."""
    result = sale(fault)

    assert result.verdict(name).state is State.RED
    assert result.verdict(name).examples
    assert result.matched == 0


def test_every_fault_of_the_naive_sale_has_its_check() -> None:
    """No fault is left without a check that names it."""
    assert set(CAUGHT_BY) == set(SaleFault)


def test_a_draw_that_keeps_the_arrival_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    """Mutant: the published rule itself is no draw but the order of arrival; all agree on it, and it is red."""
    monkeypatch.setattr(draw.Shuffle, "rank", lambda _, number: number)
    monkeypatch.setattr(draw.Shuffle, "ranks", lambda self: array("q", range(self.n)))

    verdict = sale().verdict("draw-kept")

    assert verdict.state is State.RED
    assert any("follow from the arrival" in example for example in verdict.examples)


def test_who_presses_before_the_start_waits_like_everybody() -> None:
    """Eager fans claim while people still gather: they are told to wait, and get in when they are called."""
    result = sale(plan=replace(PLAN, mix={Script.EAGER: 1.0}, fans=40))

    assert result.is_green
    assert {file.outcome for file in result.observed.fans} <= {Outcome.FINISHED, Outcome.STAYED}
    assert sum(count for (_, status), count in result.observed.refusals.items() if status == 202) > 40


def test_a_room_that_lets_the_eager_in_is_caught() -> None:
    """Mutant: a claim is taken though its rank was not called; the documents prove it."""

    async def run() -> Result:
        now_s = asyncio.get_running_loop().time
        room = NaiveRoom(now_s, per_minute=120, fault=Fault.EARLY_BIRDS)
        plan = Plan(fans=60, duration_s=2.0, linger_s=90.0, mix={Script.EAGER: 1.0})
        return await run_crowd(plan, Hooks(asker=room.at, seconds=now_s, wall_ms=lambda: now_s() * 1000))

    verdict = run_virtually(run()).verdict("nobody-early")

    assert verdict.state is State.RED
    assert any("before rank" in example for example in verdict.examples)


def test_a_line_without_a_draw_is_not_judged_by_one() -> None:
    """First come, first served has no draw to check, and says so."""

    async def run() -> Result:
        now_s = asyncio.get_running_loop().time
        room = NaiveRoom(now_s)
        plan = Plan(fans=10, duration_s=2.0, linger_s=60.0)
        return await run_crowd(plan, Hooks(asker=room.at, seconds=now_s, wall_ms=lambda: now_s() * 1000))

    assert run_virtually(run()).verdict("draw-kept").state is State.NOT_JUDGED
