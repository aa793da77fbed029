"""GCRA: any window W admits at most rate times W plus burst, whatever the order of questions."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kernel import gcra
from kernel.gcra import Rate, per_minute

NOW_US = 1_800_000_000_000_000
RATES = st.sampled_from([1, 2, 7, 59, 60, 61, 90, 119, 120, 300, 6_000, 70_001, 60_000_000, 2_147_483_647])


@pytest.mark.parametrize(
    ("rate_per_minute", "interval_us", "burst"),
    [
        (1, 60_000_000, 1),
        (59, 1_016_950, 1),
        (60, 1_000_000, 1),
        (61, 983_607, 1),
        (119, 504_202, 1),
        (120, 500_000, 2),
        (300, 200_000, 5),
        (7, 8_571_429, 1),
        (60_000_000, 1, 1_000_000),
    ],
)
def test_the_interval_is_rounded_up_and_the_burst_is_one_second(
    rate_per_minute: int, interval_us: int, burst: int
) -> None:
    """Never in the bucket's favour; at least one act at once."""
    assert per_minute(rate_per_minute) == Rate(interval_us, burst)


def test_a_rate_below_one_is_refused() -> None:
    """Zero per minute is a pause, not a rate."""
    with pytest.raises(ValueError, match="at least 1"):
        per_minute(0)


@pytest.mark.parametrize(
    ("ahead_us", "conforms", "left", "wait_us"),
    [
        (-1, True, 2, 0),
        (0, True, 2, 0),
        (1, True, 1, 0),
        (499_999, True, 1, 0),
        (500_000, True, 1, 0),
        (500_001, False, 0, 1),
        (999_999, False, 0, 499_999),
        (1_000_000, False, 0, 500_000),
    ],
)
def test_an_act_conforms_up_to_the_edge_of_the_burst(
    ahead_us: int, conforms: bool, left: int, wait_us: int
) -> None:
    """At 120 a minute: two at once, and the next to the microsecond."""
    rate, tat_us = per_minute(120), NOW_US + ahead_us

    assert gcra.conforms(tat_us, rate, NOW_US) is conforms
    assert gcra.available(tat_us, rate, NOW_US) == left
    assert gcra.next_us(tat_us, rate, NOW_US) - NOW_US == wait_us


def test_a_slow_rate_leaves_no_debt_behind_when_it_is_raised() -> None:
    """From 1 to 600 a minute: the next comes after a tenth of a second, not after a minute."""
    tat_us = gcra.spent(0, per_minute(1), NOW_US)
    fast = per_minute(600)

    assert gcra.next_us(tat_us, fast, NOW_US) == NOW_US + fast.interval_us


def most_in_a_window(times_us: list[int], rate: Rate) -> int:
    """Return by how much any window holds more than W // interval + burst; 0 or less keeps the promise."""
    worst = -rate.burst
    for first, start_us in enumerate(times_us):
        for last in range(first, len(times_us)):
            count = last - first + 1
            worst = max(worst, count - (times_us[last] - start_us) // rate.interval_us - rate.burst)
    return worst


@given(RATES, st.lists(st.integers(-2, 5), min_size=1, max_size=60), st.data())
def test_no_window_holds_more_than_its_rate_and_one_burst(
    rate_per_minute: int, steps: list[int], data: st.DataObject
) -> None:
    """Played greedily, with waits from the edges of the interval and a clock that may stall."""
    rate, now_us, tat_us, passed = per_minute(rate_per_minute), NOW_US, 0, []
    for step in steps:
        now_us += max(0, step * rate.interval_us // 2 + data.draw(st.sampled_from([-1, 0, 1])))
        for _ in range(min(40, rate.burst + 2)):
            if gcra.conforms(tat_us, rate, now_us):
                assert gcra.available(tat_us, rate, now_us) >= 1
                tat_us = gcra.spent(tat_us, rate, now_us)
                passed.append(now_us)
            else:
                assert gcra.available(tat_us, rate, now_us) == 0

    assert most_in_a_window(passed, rate) <= 0


@pytest.mark.parametrize("surplus_us", [1, 500_000])
def test_a_bucket_that_is_off_by_one_breaks_the_promise(surplus_us: int) -> None:
    """The mutant: one burst more than said is seen by the same check."""
    rate, tat_us, passed = per_minute(120), 0, []
    for _ in range(5):
        if gcra.next_us(tat_us, rate, NOW_US) <= NOW_US + surplus_us - 1 + rate.interval_us // 2:
            tat_us = gcra.spent(tat_us, rate, NOW_US)
            passed.append(NOW_US)

    if surplus_us > 1:
        assert most_in_a_window(passed, rate) > 0
    else:
        assert most_in_a_window(passed, rate) <= 0
