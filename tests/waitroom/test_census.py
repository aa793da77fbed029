"""The census: who is asked, what a round tells, and waits that hold although people have left unevenly."""

import json
import math
import random
from bisect import bisect_right
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from redis.asyncio import Redis

from kernel.lua import load
from tests.waitroom.test_line_agrees import ROOM, RUN, START_MS
from waitroom import census
from waitroom.census import ANSWERS_LEAST, KEPT, Census, counted, fullness, lasts_s, newest, one_in, sampled
from waitroom.estimate import MISSED, Learned, learn, speed_per_minute
from waitroom.lanes import Lane, Moved, Serving
from waitroom.line import Line, asked_of
from waitroom.schedule import Phase
from waitroom.store import _LUA, CALLS_KEPT, LineStore
from waitroom.wait import CAP_LEAST_S, CAP_MOST_S

VECTORS: dict[str, Any] = json.loads((Path(__file__).parent.parent / "vectors" / "census.json").read_text())
SPAN_MS = 300_000
MINUTE_MS = 60_000


# The rules ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("weight", [1, 2, 16, 256])
def test_the_sample_is_that_of_the_second_implementation(weight: int) -> None:
    """The page finds by itself whether it is meant, so both must agree to the bit."""
    chosen = [number for number in range(2000) if sampled(VECTORS["run"], number, weight)]

    assert chosen[:12] == VECTORS["sampled"][str(weight)]


@pytest.mark.parametrize("case", VECTORS["fullness"])
def test_how_full_a_stretch_is_follows_from_the_count(case: dict[str, Any]) -> None:
    """Rank by rank, the slow way, gives the same."""
    count = Census(0, 0, case["since"], case["width"], 0, tuple(case["live"]))

    assert fullness(count, case["serving"], case["rank"]) == pytest.approx(case["ratio"])


@pytest.mark.parametrize("case", VECTORS["lasts"])
def test_who_leaves_shortens_the_wait_of_those_behind(case: dict[str, Any]) -> None:
    """The closed form is the integral."""
    seconds = lasts_s(case["ranks"], case["per_minute"], case["leaving"])

    assert seconds == pytest.approx(case["seconds"], rel=1e-3, abs=0.02)


@given(issued=st.integers(0, 2**31))
def test_a_sample_is_never_larger_than_some_thousands(issued: int) -> None:
    """And never smaller than half of that, where so many wait; a smaller sample is a part of a larger one."""
    weight = one_in(issued)

    assert issued / weight <= census.SAMPLE_MOST
    assert weight == 1 or issued / weight > census.SAMPLE_MOST / 2
    assert weight & (weight - 1) == 0
    assert not sampled(RUN, issued, 2 * weight) or sampled(RUN, issued, weight)


@given(cap_s=st.floats(CAP_LEAST_S, CAP_MOST_S), at_ms=st.integers(START_MS, START_MS + 10**8))
def test_whoever_is_there_polls_within_a_round(cap_s: float, at_ms: int) -> None:
    """The longest pause is the cap and a fifth; rounds are told apart by the second in which they began."""
    span_ms = census.round_ms(cap_s)
    name = census.round_of(at_ms, cap_s)

    assert span_ms >= 1200 * cap_s
    assert name * 1000 <= at_ms < name * 1000 + span_ms


@given(
    live=st.lists(st.integers(1, 1000), min_size=1, max_size=8),
    since=st.integers(0, 1000),
    width=st.integers(1, 500),
    serving=st.integers(0, 3000),
    more=st.integers(0, 3000),
)
def test_a_count_stretches_no_wait_beyond_its_bounds(
    live: list[int], since: int, width: int, serving: int, more: int
) -> None:
    """Whatever was counted, a wait is at least a fifth and at most five times what it would be without."""
    count = Census(0, 0, since, width, 0, tuple(live))

    assert 0.2 <= fullness(count, serving, serving + more) <= 5
    assert fullness(count, serving, serving) == fullness(None, serving, serving + more) == 1


def test_an_even_line_counts_as_even_although_a_sample_scatters() -> None:
    """Differences that chance explains are taken out; those that it does not explain stay."""
    chance = random.Random(1)
    weight = one_in(20_000)
    chosen = [rank for rank in range(20_000) if sampled(RUN, rank, weight)]
    even = counted(1, [rank for rank in chosen if chance.random() < 0.8], [], weight, 0, (), SPAN_MS)
    gone = [rank for rank in chosen if chance.random() < (0.4 if rank < 10_000 else 0.9)]
    uneven = counted(1, gone, [], weight, 0, (), SPAN_MS)

    assert even is not None
    assert uneven is not None
    assert len(set(even.live)) == 1
    assert even.live[0] == pytest.approx(800, abs=30)
    assert fullness(uneven, 0, 20_000) == pytest.approx(0.65 / 0.4, rel=0.15)


def test_too_few_answers_are_no_count() -> None:
    """Below 64 a count would be noise; who has been called does not count."""
    ranks = range(100, 100 + ANSWERS_LEAST)

    assert counted(1, ranks, [], 1, 100, (), SPAN_MS) is not None
    assert counted(1, ranks, [], 1, 101, (), SPAN_MS) is None


def test_void_ranks_hold_nobody_who_could_answer() -> None:
    """A gap in the numbers is no stretch that everybody left."""
    ranks = [*range(500), *range(1500, 2000)]
    count = counted(1, ranks, [], 1, 0, ((500, 1500),), SPAN_MS)
    blind = counted(1, ranks, [], 1, 0, (), SPAN_MS)

    assert count is not None
    assert blind is not None
    assert set(count.live) == {1000}
    assert min(blind.live) < 500


def test_who_leaves_shows_in_the_panel() -> None:
    """The same pages are asked in each round, so a hundredth that goes in a minute is seen as that."""
    before = list(range(4000))
    here = [rank for rank in before if rank % 20]  # a twentieth has gone in five minutes
    count = counted(1, here, before, 1, 0, (), SPAN_MS)

    assert count is not None
    assert count.leaving == pytest.approx(-math.log(0.95) / 5 * 1_000_000, rel=0.01)
    assert counted(1, here, [], 1, 0, (), SPAN_MS)._replace(leaving=0) == count._replace(leaving=0)  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("line", "asks"),
    [
        (Line(RUN, shown_issued=10, shown_ms=START_MS), True),
        (Line(RUN, shown_issued=10, phase=Phase.GATHERING, shown_ms=START_MS), True),
        (Line(RUN, shown_issued=10, phase=Phase.GATHERING, commitment="c"), False),
        (Line(RUN, shown_issued=10, commitment="c", frozen=5, root="r", seed="s"), True),
        (Line(RUN, shown_issued=10, phase=Phase.DRAINING), False),
        (Line(RUN), False),
        (None, False),
    ],
)
def test_only_who_waits_by_rank_is_asked(line: Line | None, asks: bool) -> None:
    """Before a draw there is no rank to count by, and a line that drains tells no waits."""
    assert (asked_of(line) is not None) is asks


def test_a_count_is_read_as_it_was_written() -> None:
    """The store keeps a line of whole numbers."""
    count = Census(1_800_000_000, START_MS, 17, 40, 900, (1000, 1, 333))

    assert census.read(f"{count.round} {count.at_ms} {census.text_of(count)}") == count
    assert newest([count, count._replace(at_ms=START_MS + 2)], START_MS + 1) == count
    assert newest([count], START_MS - 1) is None


# The transition -----------------------------------------------------------------------------------------


@given(
    steps=st.lists(
        st.tuples(st.integers(1, 6), st.booleans(), st.sampled_from([-1000, 0, 1, 60_000])), max_size=8
    )
)
def test_rule_and_lua_agree_on_rounds(steps: list[tuple[int, bool, int]]) -> None:
    """Once a round, only for the line that is open, and never back; time does not go back either."""
    kept: tuple[Census, ...] = ()
    now_ms, last = START_MS, 0
    for name, ours, step in steps:
        now_ms += step
        before = kept
        count = Census(name, 0, 0, 1, 0, (1000,))
        kept, word = census.census(kept, RUN, RUN if ours else "other", count, KEPT, now_ms)
        assert (word is census.Kept.DONE) == (ours and name > last)
        last = kept[-1].round if kept else 0
        assert kept == before or kept[-1].at_ms == now_ms


@pytest.mark.parametrize(
    ("old", "new", "agrees"),
    [
        ("", "", True),
        ("tonumber(string.match(last, '^%d+')) >= round", "false", False),
        ("old[1] ~= run", "false", False),
        ("-keep, -1)", "-1, -1)", False),
    ],
    ids=["the script", "counts a round twice", "counts another run", "forgets the last hour"],
)
async def test_the_script_does_what_the_rule_does_and_the_mutants_do_not(
    store: Redis, old: str, new: str, agrees: bool
) -> None:
    """The same words and the same list after each of a series of counts, on a real server."""
    script = load(_LUA / "census.lua")
    here = LineStore(store, {"census": script.mutated(old, new) if old else script})
    await store.flushall()
    await here.open(ROOM, "", RUN, "always", Phase.SERVING, "", "test", [], START_MS)
    await here.join(ROOM, RUN, Lane.STANDARD, [bytes(16)], [], "b", None, START_MS)
    kept: tuple[Census, ...] = ()
    same = True
    for at, (name, run) in enumerate([(3, RUN), (3, RUN), (2, RUN), (4, "other"), (4, RUN), (9, RUN)]):
        count = Census(name, 0, 7, 5, 11, (1000, 400))
        kept, word = census.census(kept, RUN, run, count, KEPT, START_MS + at)
        answer = await here.census(ROOM, run, count, START_MS + at)
        same &= answer == [str(word)]
        same &= (await here.snapshot(ROOM, whole_history=True)).counts == kept
    await store.aclose()

    assert same is agrees


# Waits that hold ----------------------------------------------------------------------------------------


Shares = Callable[[float], float]


class Played:
    """A line of 20,000 whose people left unevenly; as many as are let in are called, whoever is gone costs nothing."""

    people = 20_000
    per_minute = 300

    def __init__(self, there: Shares, leaving: float, seed: int) -> None:
        """`there` is the share that is there at the start by place, `leaving` the part that goes in a minute."""
        chance = random.Random(seed)
        self.gone_min = [
            (chance.expovariate(leaving) if leaving else math.inf)
            if chance.random() < there(rank / self.people)
            else -1.0
            for rank in range(self.people)
        ]
        self.calls: list[Moved] = []
        self.called_ms: list[int] = []
        credit, minute, factor = 0.0, 0.0, 1.0
        while len(self.called_ms) < self.people:
            if round(minute * 240) % 20 == 0:
                factor = max(0.05, chance.gauss(1, 0.2))
            minute += 1 / 240
            credit += self.per_minute / 240 * factor
            while credit >= 1 and len(self.called_ms) < self.people:
                credit -= self.gone_min[len(self.called_ms)] > minute
                self.called_ms.append(START_MS + round(minute * MINUTE_MS))
            if not self.calls or len(self.called_ms) > self.calls[-1].serving.standard:
                level = len(self.called_ms)
                self.calls.append(Moved(START_MS + round(minute * MINUTE_MS), Serving(level, level, level)))
        self.counts = self._counted()

    def _counted(self) -> list[Census]:
        """Count every five minutes; a page answers somewhere in the round, half of it before its end on average."""
        weight = one_in(self.people)
        chosen = [rank for rank in range(self.people) if sampled(RUN, rank, weight)]
        found, before = [], list[int]()
        for end_ms in range(START_MS + SPAN_MS, self.calls[-1].at_ms, SPAN_MS):
            asked_min = (end_ms - START_MS - SPAN_MS / 2) / MINUTE_MS
            here = [rank for rank in chosen if self.gone_min[rank] > asked_min]
            serving = self.calls[
                bisect_right(self.calls, end_ms, key=lambda one: one.at_ms) - 1
            ].serving.standard
            count = counted(end_ms // 1000, here, before, weight, serving, (), SPAN_MS)
            if count is not None:
                found.append(count._replace(at_ms=end_ms))
            before = here
        return found

    def told(self, counts: list[Census]) -> list[tuple[float, Learned | None]]:
        """Tell waits all along; return each true wait by the told one, with what had been learned."""
        at_ms = [one.at_ms for one in self.calls]
        found = []
        for now_ms in range(START_MS + SPAN_MS + 30_000, self.calls[-1].at_ms, 45_000):
            stop = bisect_right(at_ms, now_ms)
            kept = self.calls[max(0, stop - CALLS_KEPT) : stop]
            learned = learn(kept, counts)
            speed, level = speed_per_minute(kept, now_ms).standard, kept[-1].serving.standard
            count = newest(counts, now_ms)
            for rank in range(level + 300, self.people, 1700):
                ranks = (rank - level) * fullness(count, level, rank)
                told_s = lasts_s(ranks, speed, count.leaving if count else 0)
                found.append(((self.called_ms[rank] - now_ms) / 1000 / told_s, learned))
        return found


LINES: dict[str, tuple[Shares, float]] = {
    "the early ones have gone": (lambda place: 0.4 if place < 0.5 else 0.9, 0.0),
    "the late ones have gone": (lambda place: 0.9 if place < 0.5 else 0.4, 0.0),
    "they go while they wait": (lambda _: 0.9, 0.02),
}


def _off(ratios: list[float]) -> float:
    """Return the factor by which one wait in ten was off, or more."""
    return math.exp(sorted(abs(math.log(ratio)) for ratio in ratios)[len(ratios) * 9 // 10])


@pytest.mark.parametrize(("name", "rest"), [*zip(LINES, (0.6, 0.6, 0.85), strict=True)])
def test_with_a_census_waits_are_less_far_off(name: str, rest: float) -> None:
    """One wait in ten was off by 1.7 to 1.9 where people left unevenly: a census takes most of that away."""
    played = Played(*LINES[name], seed=3)

    without = _off([ratio for ratio, _ in played.told([])])
    counted_in = _off([ratio for ratio, _ in played.told(played.counts)])

    assert len(played.counts) >= 5
    assert counted_in < 1 + rest * (without - 1), (without, counted_in)


def test_where_nobody_has_left_a_census_does_no_harm() -> None:
    """A sample scatters; waits must not scatter with it."""
    played = Played(lambda _: 0.8, 0.0, seed=3)

    assert _off([ratio for ratio, _ in played.told(played.counts)]) < 1.05 * _off(
        [r for r, _ in played.told([])]
    )


@pytest.mark.parametrize("name", LINES)
def test_the_stated_hit_rate_is_that_of_waits_told_by_the_census(name: str) -> None:
    """What is learned is learned of the waits as they were told, so what the page states of them is true."""
    stated, held = [], []
    for seed in range(2):
        played = Played(*LINES[name], seed=seed)
        for ratio, learned in played.told(played.counts):
            if learned is not None:
                stated.append(learned.held)
                held.append(learned.low <= ratio <= learned.high)

    assert len(held) > 100
    assert sum(held) / len(held) > sum(stated) / len(stated) - 0.12
    assert sum(stated) / len(stated) > 1 - MISSED - 0.15
