"""The stated hit rate is the true one, wherever the line goes on as it went.

A line is played for an hour, told as the page tells it, and every wait told is compared with how long it then took.
"""

import math
import random
from bisect import bisect_right
from collections.abc import Callable
from typing import NamedTuple

import pytest

from waitroom import estimate, reading, store
from waitroom.estimate import Learned, learn, mark_ms, speed_per_minute
from waitroom.lanes import Moved, Serving

START_MS = 1_800_000_000_000
TICK_MS = 500
LOOKED_MS = 30_000
AHEAD_S = (60, 100, 170, 300)
MINUTE_MS = 60_000

Rate = Callable[[float], float]
"""Ranks a minute, by minutes since the start."""


class Told(NamedTuple):
    """One wait that was told, what the page said of its kind, and whether it held."""

    minute: float
    stated: float
    held: bool


def played(rate: Rate, minutes: int, seed: int, scatter: float) -> list[Moved]:
    """Move a line; every five seconds its speed is drawn anew around the rate, as claims and no-shows make it."""
    chance = random.Random(seed)
    calls, position, factor = [], 0.0, 1.0
    for tick in range(minutes * MINUTE_MS // TICK_MS):
        if tick % 10 == 0:
            factor = max(0.05, chance.gauss(1, scatter))
        position += rate(tick * TICK_MS / MINUTE_MS) * factor * TICK_MS / MINUTE_MS
        level = math.floor(position)
        if not calls or level > calls[-1].serving.standard:
            calls.append(Moved(START_MS + tick * TICK_MS, Serving(level, level, 0)))
    return calls


def judged(calls: list[Moved], learning: Callable[[list[Moved]], Learned | None] = learn) -> list[Told]:
    """Tell waits all along, as a page would from the calls kept at that moment, and look how they turned out."""
    at_ms = [record.at_ms for record in calls]
    level = [record.serving.standard for record in calls]
    told = []
    for now_ms in range(at_ms[0], at_ms[-1], LOOKED_MS):
        so_far = bisect_right(at_ms, now_ms)
        kept = calls[max(0, so_far - store.CALLS_KEPT) : so_far]
        learned, speed = learning(kept), speed_per_minute(kept, now_ms).standard
        if learned is None or speed == 0:
            continue
        for wait_s in AHEAD_S:
            rank = level[bisect_right(at_ms, now_ms + wait_s * 1000) - 1]
            called = bisect_right(level, rank)
            if rank > level[so_far - 1] and called < len(at_ms):
                point_ms = (rank - level[so_far - 1]) * MINUTE_MS / speed
                true_ms = at_ms[called] - now_ms
                held = learned.low * point_ms <= true_ms <= learned.high * point_ms
                told.append(Told((now_ms - at_ms[0]) / MINUTE_MS, learned.held, held))
    return told


def rates(told: list[Told]) -> tuple[float, float]:
    """Return the stated and the true hit rate."""
    assert len(told) >= 50
    return sum(one.stated for one in told) / len(told), sum(one.held for one in told) / len(told)


def no_shows(minute: float) -> float:
    """A third does not come, then a fifth, and so on: the pace makes up for it a little late."""
    return 300 / (0.72 + 0.12 * math.sin(minute / 3))


ROOMS: dict[str, tuple[Rate, int, float]] = {
    "steady": (lambda _: 300, 60, 0.3),
    "even": (lambda _: 300, 60, 0.0),
    "slow": (lambda _: 20, 120, 0.5),
    "no-shows": (no_shows, 60, 0.3),
    "rate changed": (lambda minute: 300 if minute < 25 else 120, 90, 0.3),
    "pause": (lambda minute: 0 if 25 <= minute < 28 else 300, 80, 0.3),
    "ramp": (lambda minute: 60 + 8 * minute, 60, 0.3),
}


@pytest.mark.parametrize("name", ROOMS)
def test_the_stated_hit_rate_is_the_true_one(name: str) -> None:
    """Over a whole sale, whatever happens in it, the two agree within six points of a hundred."""
    rate, minutes, scatter = ROOMS[name]

    told = [one for seed in range(3) for one in judged(played(rate, minutes, seed, scatter))]

    stated, true = rates(told)
    assert abs(stated - true) < 0.06
    assert true > 0.75


def test_around_a_turn_the_stated_rate_is_that_of_the_hour_before() -> None:
    """Nobody can know: waits told around the moment when the rate is cut hold less often than the page says.

    Then it learns, and the two agree again.
    """
    told = [one for seed in range(3) for one in judged(played(*ROOMS["rate changed"][:2], seed, 0.3))]
    around = [one for one in told if 21 <= one.minute < 26]
    later = [one for one in told if one.minute >= 50]

    stated, true = rates(around)
    assert stated - true > 0.1
    stated, true = rates(later)
    assert abs(stated - true) < 0.06


def test_a_rate_that_is_stated_without_looking_is_wrong() -> None:
    """The mutant: nine in ten, because that is what the factors were made for."""

    def unjudged(calls: list[Moved]) -> Learned | None:
        learned = learn(calls)
        return learned and Learned(0.9 * learned.low + 0.1, 0.9 * learned.high + 0.1, 1 - estimate.MISSED, 1)

    told = [one for seed in range(3) for one in judged(played(*ROOMS["pause"][:2], seed, 0.3), unjudged)]

    stated, true = rates(told)
    assert stated - true > 0.06


def test_an_even_line_gets_narrow_factors_and_an_uneven_one_wide_ones() -> None:
    """Never narrower than a twentieth either way; wider, the more the speed scatters."""
    even = learn(played(lambda _: 300, 30, 1, 0.0))
    some = learn(played(lambda _: 300, 30, 1, 0.3))
    much = learn(played(lambda _: 300, 30, 1, 1.0))

    assert even is not None
    assert some is not None
    assert much is not None
    assert (even.low, even.high, even.held) == (0.95, 1.05, 1.0)
    assert even.high <= some.high < much.high <= estimate.WIDEST[1]
    assert even.low >= some.low > much.low >= estimate.WIDEST[0]


@pytest.mark.parametrize(
    "calls",
    [
        pytest.param([], id="nothing"),
        pytest.param([Moved(START_MS, Serving(9, 9, 9))], id="one call"),
        pytest.param(played(lambda _: 300, 2, 1, 0.1), id="two minutes"),
        pytest.param(played(lambda _: 1, 60, 1, 0.1), id="sixty people"),
        pytest.param(
            [Moved(START_MS + index * 1000, Serving(index, 0, 0)) for index in range(900)],
            id="nobody in the standard lane",
        ),
        pytest.param(
            [Moved(START_MS + hours * 3_600_000, Serving(hours, hours, 0)) for hours in range(99)], id="gaps"
        ),
    ],
)
def test_with_too_little_to_learn_from_nothing_is_learned(calls: list[Moved]) -> None:
    """Then the fixed factors hold, and no rate is stated."""
    assert learn(calls) is None


def test_a_long_stop_makes_no_figure_that_cannot_be_told() -> None:
    """Nobody ahead and yet a long wait: a miss, never a division by nothing."""
    calls = played(lambda minute: 30 if minute < 40 or minute >= 50 else 0, 90, 1, 0.2)
    learned = learn(calls)

    assert learned is not None
    assert estimate.WIDEST[0] <= learned.low < learned.high <= estimate.WIDEST[1]
    assert 0 <= learned.held <= 1


def test_workers_that_hold_more_or_less_of_the_history_learn_the_same() -> None:
    """Who has just started read 4,096 calls; who looked at the start of these ten seconds has older ones instead."""
    calls = played(lambda _: 1200, 90, 1, 0.3)
    assert len(calls) > 2 * store.CALLS_KEPT
    stop = (
        next(at for at in range(len(calls) - 1, 0, -1) if mark_ms(calls[:at]) < mark_ms(calls[: at + 1])) + 1
    )
    early, late = calls[:stop], calls
    assert mark_ms(early) == mark_ms(late)

    assert learn(early[-store.CALLS_KEPT :]) == learn(late[-store.CALLS_KEPT :]) is not None


def test_without_the_mark_they_would_not() -> None:
    """The mutant: whoever learns from all that it holds signs other bytes than its neighbour."""
    calls = played(lambda _: 1200, 90, 1, 0.3)
    ratios = [
        estimate._ratios([one.at_ms for one in held], [one.serving.standard for one in held])
        for held in (calls[-store.CALLS_KEPT :], calls[-store.CALLS_KEPT - 20 : -20])
    ]

    assert ratios[0] != ratios[1]


def test_the_calls_looked_at_are_held_by_every_worker() -> None:
    """A step of ten seconds, four calls a second, still leaves them among those that the store keeps."""
    assert estimate.USED_MOST + estimate.STEP_MS // 250 <= store.CALLS_KEPT == reading.CALLS_KEPT
