"""Exact limits: one pass finds what trying every window finds."""

from itertools import combinations_with_replacement

from hypothesis import given
from hypothesis import strategies as st

from gateway.crowd.limits import fullest_window, most_at_once, segments

MOMENTS = st.lists(st.integers(0, 40), max_size=30).map(sorted)


@given(moments=MOMENTS, unit=st.sampled_from([1, 10]), rate=st.sampled_from([0.05, 0.5, 1.0, 3.0]))
def test_the_fullest_window_is_the_fullest_of_all(moments: list[int], unit: int, rate: float) -> None:
    """Every window from one moment to another, tried one by one, is at most as full."""
    moments = [moment // unit * unit for moment in moments]
    windows = [
        (sum(low <= moment < high + unit for moment in moments), high + unit - low)
        for low, high in combinations_with_replacement(sorted(set(moments)), 2)
    ]

    excess, count, length = fullest_window(moments, unit, rate)

    assert abs(excess - max([count - rate * length for count, length in windows] + [0.0])) < 1e-9
    assert (count, length) in [*windows, (0, 0)]


@given(
    gaps=st.lists(st.integers(0, 3000), min_size=1, max_size=60),
    interval_ms=st.sampled_from([50, 333, 1000]),
    burst=st.integers(1, 5),
    unit=st.sampled_from([1, 1000]),
)
def test_no_bucket_that_keeps_its_rate_is_ever_accused(
    gaps: list[int], interval_ms: int, burst: int, unit: int
) -> None:
    """Whatever arrives, what a GCRA lets through passes the check, in milliseconds and in whole seconds."""
    now_ms, full_at_ms, admitted = 0, 0, []
    for gap in gaps:
        now_ms += gap
        for _ in range(3):
            if full_at_ms - now_ms <= interval_ms * (burst - 1):
                full_at_ms = max(full_at_ms, now_ms) + interval_ms
                admitted.append(now_ms // unit * unit)

    excess, _, _ = fullest_window(admitted, unit, 1 / interval_ms)

    assert excess <= burst + 1e-9


def test_one_too_many_in_a_second_is_seen() -> None:
    """Ten a second with a burst of ten: twenty in one whole second may be, twenty-one may not."""
    assert fullest_window([5000] * 20, 1000, 0.01)[0] <= 10
    assert fullest_window([5000] * 21, 1000, 0.01)[0] > 10


def test_losses_cut_the_moments_into_parts() -> None:
    """The whole carries the number of losses; what lies in a loss belongs to no part."""
    parts = segments([0, 1000, 5000, 5500, 9000], [(4000, 6000)])

    assert parts == [([0, 1000, 5000, 5500, 9000], 1), ([0, 1000], 0), ([9000], 0)]


@given(stays=st.lists(st.tuples(st.integers(0, 20), st.integers(0, 20)), max_size=25))
def test_the_most_at_once_is_the_most_at_any_moment(stays: list[tuple[int, int]]) -> None:
    """A stay is half-open: who leaves at 5 and who comes at 5 never meet."""
    peak, at = most_at_once(stays)

    counts = [sum(since <= moment < until for since, until in stays) for moment in range(21)]
    assert peak == max(counts)
    assert peak == 0 or counts[int(at)] == peak
