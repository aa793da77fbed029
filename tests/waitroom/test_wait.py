"""The wait: intervals that hold, polls that a server can bear."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from waitroom.wait import MEASURED, next_poll_ms, poll_cap_s, poll_floor_s, wait_interval

CASES = json.loads((Path(__file__).parent.parent / "vectors" / "wait.json").read_text())


@pytest.mark.parametrize("case", CASES["intervals"])
def test_the_interval_follows_from_speed_and_plan(case: dict[str, Any]) -> None:
    """Measured speed rules, the plan widens on its side, nothing known is None."""
    wait = wait_interval(
        case["ahead"],
        case["speed"],
        case["plan"],
        factors=tuple(case.get("factors", MEASURED)),
        paused=case.get("paused", False),
        delay_s=case.get("delay_s", 0.0),
    )

    if case["low_s"] is None:
        assert wait is None
    else:
        assert wait == pytest.approx((case["low_s"], case["high_s"]))


@pytest.mark.parametrize("case", CASES["polls"])
def test_the_next_poll_is_a_twentieth_of_the_wait(case: dict[str, Any]) -> None:
    """Between the floor and the cap, spread by a fifth."""
    more = {"floor_s": case["floor_s"]} if "floor_s" in case else {}

    assert next_poll_ms(case["eta_s"], case["cap_s"], case["u"], **more) == case["ms"]


def test_caps_and_floors_grow_with_the_crowd() -> None:
    """A second for each thousand waiting; five thousand polls a second before the start."""
    for waiting, cap_s in CASES["caps"]:
        assert poll_cap_s(waiting) == pytest.approx(cap_s)
    for crowd, floor_s in CASES["floors"]:
        assert poll_floor_s(crowd) == pytest.approx(floor_s)


@given(
    ahead=st.integers(0, 10**7),
    speed=st.floats(0, 10**6),
    plan=st.floats(0, 10**6),
    delay_s=st.floats(0, 10**6),
)
def test_an_interval_is_never_upside_down(ahead: int, speed: float, plan: float, delay_s: float) -> None:
    """Low <= high, and both at least the delay."""
    wait = wait_interval(ahead, speed, plan, delay_s=delay_s)

    if wait is not None:
        assert delay_s <= wait.low_s <= wait.high_s


def test_the_total_poll_rate_hardly_depends_on_how_many_wait() -> None:
    """At 300 calls a minute, a hundred times as many people cost less than four times the polls."""

    def polls_per_s(waiting: int) -> float:
        step = max(1, waiting // 2000)
        pauses = (next_poll_ms(ahead / 5, poll_cap_s(waiting), 0.5) for ahead in range(0, waiting, step))
        return sum(step * 1000 / pause for pause in pauses)

    assert polls_per_s(10_000) < 600
    assert polls_per_s(1_000_000) < 4 * polls_per_s(10_000)


def test_without_the_distance_rule_the_crowd_would_be_a_flood() -> None:
    """Mutant: everybody at the least pause, as fixed-interval pages do, is a thousand times more."""
    assert 1_000_000 * 1000 / next_poll_ms(0, poll_cap_s(1_000_000), 0.5) == 500_000
