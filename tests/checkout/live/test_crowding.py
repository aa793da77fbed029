"""Crowding: seats become sections when it is too much for a while, and seats again when it has been easy for long."""

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from checkout.live.crowding import (
    EASY_RATIO,
    ENTER_MS,
    RELAPSE_MS,
    STAY_MOST_MS,
    STAY_MS,
    Bounds,
    Crowding,
    Load,
    judge,
)

NOW_MS = 1_800_000_000_000
BOUNDS = Bounds(lag_ms=40, viewers=4_000, bytes_per_s=20_000_000)
CROWDED = Crowding(is_crowded=True)


@pytest.mark.parametrize(
    ("load", "pressure"),
    [
        (Load(0, 0, 0), 0),
        (Load(40, 0, 0), 1),
        (Load(20, 4_000, 0), 1),
        (Load(20, 2_000, 30_000_000), 1.5),
    ],
)
def test_pressure_is_the_largest_share(load: Load, pressure: float) -> None:
    """One bound that is used up is enough."""
    assert load.pressure(BOUNDS) == pressure


@pytest.mark.parametrize(
    ("after_ms", "crowded"), [(ENTER_MS - 1, False), (ENTER_MS, True), (ENTER_MS + 1, True)]
)
def test_too_much_for_a_while_is_crowded(after_ms: int, crowded: bool) -> None:
    """One second without a break, and not a millisecond less."""
    begun = judge(Crowding(), 1, NOW_MS)
    assert not begun.is_crowded
    assert judge(begun, 1, NOW_MS + after_ms).is_crowded is crowded


def test_a_break_begins_the_wait_anew() -> None:
    """Too much, a breath, too much: the second counts from the last."""
    now = judge(Crowding(), 2, NOW_MS)
    now = judge(now, 0.99, NOW_MS + 900)
    now = judge(now, 2, NOW_MS + 1_000)
    assert not judge(now, 2, NOW_MS + 1_999).is_crowded
    assert judge(now, 2, NOW_MS + 2_000).is_crowded


@pytest.mark.parametrize(("after_ms", "crowded"), [(STAY_MS - 1, True), (STAY_MS, False)])
def test_easy_for_long_is_seats_again(after_ms: int, crowded: bool) -> None:
    """Between easy and too much nothing changes: that is what keeps it from swinging."""
    easy = EASY_RATIO - 0.01
    begun = judge(CROWDED, easy, NOW_MS)
    assert judge(begun, easy, NOW_MS + after_ms).is_crowded is crowded
    assert judge(CROWDED, EASY_RATIO, NOW_MS + 10 * STAY_MS) == CROWDED
    assert judge(begun, EASY_RATIO, NOW_MS + 1) == CROWDED


@pytest.mark.parametrize(
    ("away_ms", "stay_ms"), [(RELAPSE_MS - 1, 2 * STAY_MS), (RELAPSE_MS, STAY_MS), (RELAPSE_MS + 1, STAY_MS)]
)
def test_who_has_to_give_in_again_soon_stays_longer(away_ms: int, stay_ms: int) -> None:
    """Going back costs a map for each viewer; what did not hold is not tried again at once."""
    left = Crowding(left_ms=NOW_MS)
    begun = judge(left, 1, NOW_MS + away_ms - ENTER_MS)
    assert judge(begun, 1, NOW_MS + away_ms).stay_ms == stay_ms


def test_the_stay_is_bounded() -> None:
    """Sixteen times, and no longer."""
    now, at_ms = Crowding(), NOW_MS
    for _ in range(8):
        for pressure, for_ms in ((1.0, ENTER_MS), (0.0, STAY_MOST_MS)):
            now = judge(now, pressure, at_ms)
            at_ms += for_ms
            now = judge(now, pressure, at_ms)
    assert now.stay_ms == STAY_MOST_MS
    assert not now.is_crowded


@given(st.lists(st.tuples(st.floats(0, 3), st.integers(-5_000, 20_000)), max_size=60))
def test_it_never_turns_without_its_time(steps: list[tuple[float, int]]) -> None:
    """Also with a clock that jumps: whoever turns has seen the load for the whole span before."""
    now, at_ms, since_ms = Crowding(), NOW_MS, NOW_MS
    for pressure, later_ms in steps:
        at_ms += later_ms
        before = now
        would_turn = pressure < EASY_RATIO if before.is_crowded else pressure >= 1
        if not would_turn or before.turning_ms is None or at_ms < since_ms:
            since_ms = at_ms
        now = judge(before, pressure, at_ms)
        if now.is_crowded is not before.is_crowded:
            assert at_ms - since_ms >= (before.stay_ms if before.is_crowded else ENTER_MS)
            assert now.turning_ms is None


def test_the_test_above_notices_a_rule_without_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """Mutant: turns at the first measurement."""
    own = judge
    monkeypatch.setitem(
        globals(), "judge", lambda was, pressure, at_ms: own(replace(was, turning_ms=0), pressure, at_ms)
    )
    with pytest.raises(AssertionError):
        test_it_never_turns_without_its_time()


def test_the_bounds_are_those_of_the_page() -> None:
    """docs/seat-map.md tells operators the numbers that are in force."""
    page = " ".join((Path(__file__).parents[3] / "docs" / "seat-map.md").read_text(encoding="utf-8").split())
    bounds = Bounds()
    for told in (
        f"mean lateness of the event loop | {bounds.lag_ms} ms",
        f"open streams | {bounds.viewers:,} |",
        f"bytes of maps and streams | {bounds.bytes_per_s:,} a second",
        f"Pressure of 1 or more for {ENTER_MS:,} ms: sections. Below {EASY_RATIO} for {STAY_MS:,} ms: seats again.",
        f"within {RELAPSE_MS:,} ms stays twice as long, up to {STAY_MOST_MS:,} ms.",
    ):
        assert told in page
