"""The circuit breaker, with a clock that stands still unless it is moved."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kernel.breaker import FIRST_MS, LONGEST_MS, MOST_FAILURES, Breaker, BreakerState
from kernel.clock import ManualClock


def opened(clock: ManualClock) -> Breaker:
    """Give a breaker that has just opened."""
    breaker = Breaker()
    for _ in range(MOST_FAILURES):
        number = breaker.ask(clock.now_ms())
        assert number is not None
        breaker.failed(number, clock.now_ms())
    assert breaker.state is BreakerState.OPEN
    return breaker


def test_it_opens_at_ten_failures_and_not_before() -> None:
    """Nine in a row leave it closed."""
    breaker = Breaker()
    for count in range(MOST_FAILURES):
        assert breaker.state is BreakerState.CLOSED, count
        number = breaker.ask(0)
        assert number is not None
        breaker.failed(number, 0)

    assert breaker.state is BreakerState.OPEN
    assert breaker.ask(0) is None


@given(history=st.lists(st.booleans(), max_size=60))
def test_ten_failures_in_a_row_open_it_whatever_was_before(history: list[bool]) -> None:
    """No history of a closed breaker keeps it closed through ten failures."""
    breaker = Breaker()
    for is_good in history:
        number = breaker.ask(0)
        if number is None:
            break
        breaker.answered(number) if is_good else breaker.failed(number, 0)

    failures = 0
    while (number := breaker.ask(0)) is not None:
        breaker.failed(number, 0)
        failures += 1

    assert failures <= MOST_FAILURES


@given(st.lists(st.booleans(), min_size=1, max_size=400))
def test_who_answers_more_often_than_not_is_never_left_alone(history: list[bool]) -> None:
    """Each failure is followed by an answer: it stays closed for ever."""
    breaker = Breaker()
    for is_failing in history:
        number = breaker.ask(0)
        assert number is not None
        if is_failing:
            breaker.failed(number, 0)
        breaker.answered(number)

    assert breaker.state is BreakerState.CLOSED


def test_when_its_time_is_over_one_caller_asks_and_all_others_wait(clock: ManualClock) -> None:
    """Half-open to the millisecond, for one."""
    breaker = opened(clock)
    clock.advance(FIRST_MS - 1)
    assert breaker.ask(clock.now_ms()) is None
    assert breaker.rest_ms(clock.now_ms()) == 1

    clock.advance(1)
    first = breaker.ask(clock.now_ms())
    assert first is not None
    assert breaker.state is BreakerState.HALF_OPEN
    assert [breaker.ask(clock.now_ms()) for _ in range(5)] == [None] * 5

    breaker.answered(first)
    assert breaker.state is BreakerState.CLOSED
    assert breaker.ask(clock.now_ms()) is not None


def test_each_failed_attempt_opens_it_for_twice_as_long_up_to_a_bound(clock: ManualClock) -> None:
    """2, 4, 8 … 60 seconds; after an answer it begins with 2 again."""
    breaker = opened(clock)
    waits = []
    for _ in range(8):
        waits.append(breaker.rest_ms(clock.now_ms()))
        clock.advance(waits[-1])
        number = breaker.ask(clock.now_ms())
        assert number is not None
        breaker.failed(number, clock.now_ms())

    assert waits == [2_000, 4_000, 8_000, 16_000, 32_000, LONGEST_MS, LONGEST_MS, LONGEST_MS]

    clock.advance(LONGEST_MS)
    number = breaker.ask(clock.now_ms())
    assert number is not None
    breaker.answered(number)
    for _ in range(MOST_FAILURES):
        number = breaker.ask(clock.now_ms())
        assert number is not None
        breaker.failed(number, clock.now_ms())
    assert breaker.rest_ms(clock.now_ms()) == FIRST_MS


def test_calls_that_began_before_it_opened_are_no_news(clock: ManualClock) -> None:
    """Neither their answers close it nor their failures keep it open."""
    breaker = Breaker()
    old = breaker.ask(clock.now_ms())
    assert old is not None
    for _ in range(MOST_FAILURES):
        breaker.failed(old, clock.now_ms())

    breaker.answered(old)
    assert breaker.state is BreakerState.OPEN

    clock.advance(FIRST_MS)
    probe = breaker.ask(clock.now_ms())
    assert probe is not None
    breaker.failed(old, clock.now_ms())
    assert breaker.state is BreakerState.HALF_OPEN
    breaker.answered(probe)
    assert breaker.state is BreakerState.CLOSED


def test_if_the_one_that_asks_goes_away_the_next_one_asks(clock: ManualClock) -> None:
    """A probe of which nothing is known blocks nobody."""
    breaker = opened(clock)
    clock.advance(FIRST_MS)
    probe = breaker.ask(clock.now_ms())
    assert probe is not None
    breaker.gave_up(probe)

    assert breaker.ask(clock.now_ms()) is not None


def test_nobody_waits_for_a_clock_that_was_set_back(clock: ManualClock) -> None:
    """An hour back, and the next caller tries."""
    breaker = opened(clock)
    clock.advance(-3_600_000)

    assert breaker.rest_ms(clock.now_ms()) == 0
    assert breaker.ask(clock.now_ms()) is not None


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["ask", "answered", "failed", "gave-up"]),
            st.sampled_from([0, 1, FIRST_MS - 1, FIRST_MS, LONGEST_MS, -5]),
        ),
        max_size=200,
    )
)
def test_at_most_one_call_is_out_while_it_is_half_open(steps: list[tuple[str, int]]) -> None:
    """Whatever happens in whatever order: half-open has one caller, and open ends."""
    clock = ManualClock(10**12)
    breaker = Breaker(most_failures=3)
    out: list[int] = []
    probes = 0
    for step, ms in steps:
        clock.advance(ms)
        was = breaker.state
        if step == "ask":
            number = breaker.ask(clock.now_ms())
            if number is not None:
                out.append(number)
                probes += breaker.state is BreakerState.HALF_OPEN
                assert was is not BreakerState.HALF_OPEN
        elif out:
            number = out.pop(0)
            if step == "answered":
                breaker.answered(number)
            elif step == "failed":
                breaker.failed(number, clock.now_ms())
            else:
                breaker.gave_up(number)
        assert 0 <= breaker.rest_ms(clock.now_ms()) <= LONGEST_MS
    clock.advance(LONGEST_MS)
    assert breaker.state is BreakerState.HALF_OPEN or breaker.ask(clock.now_ms()) is not None


@pytest.mark.parametrize(("most", "first_ms", "longest_ms"), [(0, 1, 1), (1, 0, 1), (1, 2, 1)])
def test_bounds_that_could_not_work_are_refused(most: int, first_ms: int, longest_ms: int) -> None:
    """No failures, no time, or the shortest above the longest."""
    with pytest.raises(ValueError, match="no breaker"):
        Breaker(most, first_ms, longest_ms)
