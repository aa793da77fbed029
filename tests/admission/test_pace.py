"""Pace: how many are called, with a crowd of which some never come.

The crowd here is played on the very rules of the door, by a clock that ticks twice a second.
"""

import heapq
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from admission import pace
from admission.claim import Admitted, Next, claim, retry_after_ms, settle
from admission.door import Door, LineNow, Place
from admission.limits import LANES, Limits
from admission.pace import (
    Cohort,
    DoorFacts,
    LineFacts,
    PaceState,
    decide,
    headroom,
    on_the_way,
    people,
    show_ratio,
    skip,
    stock,
    weights,
)
from kernel import gcra
from tests.admission.doors import LIMITS, NOW_MS, RUN, place

TICK_MS = 500
OPEN = replace(LIMITS, new_users_per_minute=300, total_active_users=1_000_000)
IDLE = DoorFacts(live=0, next=0, recall=0, admitted=0, tokens=5.0)
START = dict.fromkeys(LANES, 0)


class SameLeaf(dict[int, bytes]):
    """Every number has the leaf of its ticket."""

    def get(self, key: int, default: object = None) -> bytes:  # type: ignore[override]
        """Return the one leaf there is."""
        del key, default
        return b"leaf" * 4


@dataclass
class Crowd:
    """A room with a line of `issued`, of whom a part comes when called."""

    limits: Limits = OPEN
    issued: int = 10_000
    comes: float = 1.0
    delay_ms: Callable[[random.Random], float] = lambda chance: 500 + chance.expovariate(1 / 4_000)
    seed: int = 1
    now_ms: int = NOW_MS
    serving: Mapping[str, int] = field(default_factory=lambda: dict(START))
    door: Door = field(default_factory=lambda: Door(leaves=SameLeaf()))
    state: PaceState | None = None
    coming: list[tuple[int, int]] = field(default_factory=list)
    called_ms: dict[int, int] = field(default_factory=dict)
    admitted_ms: list[int] = field(default_factory=list)
    at_the_door: list[int] = field(default_factory=list)
    steps: list[int] = field(default_factory=list)
    phase: str = "serving"

    def __post_init__(self) -> None:
        """Seed the crowd's chance."""
        self.chance = random.Random(self.seed)

    def play(self, seconds: int) -> "Crowd":
        """Let time pass."""
        for _ in range(seconds * 1000 // TICK_MS):
            self.tick()
        return self

    def tick(self) -> None:
        """Half a second: claims, the settling, and the next calls."""
        self.now_ms += TICK_MS
        line = LineNow(RUN, 1, self.phase, self.serving)
        while self.coming and self.coming[0][0] <= self.now_ms:
            at_ms, number = heapq.heappop(self.coming)
            self._claim(line, number, at_ms)
        self.door, settled = settle(self.door, line, self.limits, self.now_ms)
        self.at_the_door.append(settled.next)
        rate = gcra.per_minute(self.limits.new_users_per_minute)
        facts = LineFacts(RUN, 1, 1, self.phase, self.issued, self.serving)
        door = DoorFacts(
            settled.live, settled.next, settled.recall, self.door.admitted,
            gcra.at_hand(self.door.tat_us, rate, self.now_ms * 1000), self.door.came,
        )  # fmt: skip
        self.state, decision = decide(self.state, facts, door, self.limits, self.now_ms)
        for number in range(self.serving["standard"], decision.serving["standard"]):
            self.called_ms[number] = self.now_ms
            if self.chance.random() < self.comes:
                heapq.heappush(self.coming, (self.now_ms + int(self.delay_ms(self.chance)), number))
        self.steps.append(decision.serving["standard"] - self.serving["standard"])
        self.serving = decision.serving

    def _claim(self, line: LineNow, number: int, at_ms: int) -> None:
        own: Place = place(0, rank=number, leaf=b"leaf" * 4, called_ms=self.called_ms[number])
        own = replace(own, number=number)
        self.door, outcome = claim(self.door, line, own, str(number), self.limits, at_ms)
        if isinstance(outcome, Next):
            heapq.heappush(self.coming, (at_ms + retry_after_ms(outcome.ahead, self.limits), number))
        elif isinstance(outcome, Admitted):
            self.admitted_ms.append(at_ms)


def decided(door: DoorFacts = IDLE, limits: Limits = OPEN, **changes: Any) -> Mapping[str, int]:
    """Decide once, from a fresh state."""
    facts = replace(LineFacts(RUN, 1, 1, "serving", 1_000, START), **changes)
    return decide(None, facts, door, limits, NOW_MS)[1].serving


def test_a_newcomer_in_an_idle_room_is_called_with_the_next_tick() -> None:
    """Nobody waits while the limits are free, however slow the rate."""
    slow = replace(OPEN, new_users_per_minute=1)
    crowd = Crowd(slow, issued=0).play(60)

    crowd.issued = 1
    crowd.tick()

    assert crowd.serving["standard"] == 1


def test_nobody_is_called_past_the_last_number() -> None:
    """Turns are not banked for those who join later."""
    crowd = Crowd(issued=3).play(60)
    assert crowd.serving["standard"] == 3

    crowd.issued = 1_000
    crowd.tick()

    assert crowd.serving["standard"] - 3 <= 5 / 0.5


@pytest.mark.parametrize("comes", [1.0, 0.7, 0.5, 0.15])
def test_the_rate_is_used_whatever_part_of_the_called_comes(comes: float) -> None:
    """After a minute of learning, 97 % of the rate and never more."""
    crowd = Crowd(issued=100_000, comes=comes).play(360)

    assert crowd.door.admitted >= 0.97 * 300 * 5 + 150
    assert crowd.door.admitted <= 300 * 6 + 5
    assert max(crowd.at_the_door) <= 300 / 60 * 12


def test_a_slow_rate_is_kept_over_hours() -> None:
    """One a minute, and half of the called never come."""
    crowd = Crowd(replace(OPEN, new_users_per_minute=1), issued=10_000, comes=0.5).play(3_600)

    assert 57 <= crowd.door.admitted <= 61


def test_calls_are_smooth() -> None:
    """No tick calls more than one second's worth of arrivals, and after the start none stands out."""
    crowd = Crowd(issued=100_000, comes=0.5).play(300)

    assert max(crowd.steps) <= 300 / 60 / 0.5 + 1
    late = crowd.steps[240:]
    assert max(late) <= 3 * sum(late) / len(late)


def test_free_places_bound_those_on_the_way() -> None:
    """Fifty places: those called and expected never exceed the free ones by much, and places do not idle."""
    limits = replace(OPEN, total_active_users=50, session_ms=60_000)
    crowd = Crowd(limits, issued=100_000, comes=0.7).play(360)

    assert max(crowd.at_the_door) <= 12
    waves = 360_000 // limits.hold_ms
    assert crowd.door.admitted >= 0.9 * 50 * waves


def test_a_paused_room_calls_nobody_and_does_not_catch_up() -> None:
    """A pause banks no turns."""
    crowd = Crowd(issued=100_000).play(60)
    before, crowd.limits = crowd.serving["standard"], replace(OPEN, paused=True)

    crowd.play(600)
    assert crowd.serving["standard"] == before
    assert crowd.state is not None
    assert crowd.state.plan_per_minute == 0
    crowd.limits = OPEN
    crowd.tick()
    assert crowd.serving["standard"] - before <= 5 + 60


@pytest.mark.parametrize("phase", ["gathering", "draining", "idle", "ended"])
def test_only_a_serving_room_calls(phase: str) -> None:
    """Before the start and after the end the thresholds stand."""
    assert decided(phase=phase) == START


def test_two_workers_that_tick_at_once_do_not_call_twice() -> None:
    """The second sees what the first has called, in the line itself, and its credit pays for it."""
    facts = LineFacts(RUN, 1, 1, "serving", 1_000, START)
    first, decision = decide(None, facts, IDLE, OPEN, NOW_MS)
    moved = replace(facts, serving=decision.serving)

    _, again = decide(first, moved, IDLE, OPEN, NOW_MS + 1)

    assert decision.serving["standard"] == 6
    assert again.serving["standard"] - 6 <= 1


def test_a_lost_call_is_made_again() -> None:
    """What was decided and not committed costs nothing."""
    facts = LineFacts(RUN, 1, 1, "serving", 1_000, START)
    first, decision = decide(None, facts, IDLE, OPEN, NOW_MS)

    _, again = decide(first, facts, IDLE, OPEN, NOW_MS + TICK_MS)

    assert again.serving == decision.serving


def test_thresholds_lifted_after_a_loss_are_no_calls() -> None:
    """Those people came long ago; the pace neither pays for them nor counts them as no-shows."""
    facts = LineFacts(RUN, 1, 1, "serving", 100_000, START)
    state, _ = decide(None, facts, IDLE, OPEN, NOW_MS)

    state, decision = decide(
        state, replace(facts, serving=dict.fromkeys(LANES, 50_000)), IDLE, OPEN, NOW_MS + TICK_MS
    )

    assert not state.cohorts
    assert decision.show_ratio == pace.PRIOR_RATIO
    assert decision.serving["standard"] > 50_000


def test_a_new_run_or_epoch_begins_anew() -> None:
    """Nothing of the old line counts."""
    state = PaceState(
        RUN, 1, NOW_MS, dict.fromkeys(LANES, 900), -5.0, dict.fromkeys(LANES, 0.0), (Cohort(1, 5),)
    )

    for change in ({"run": "0b"}, {"epoch": 2}):
        facts = replace(LineFacts(RUN, 1, 1, "serving", 10, START), **change)  # type: ignore[arg-type]
        fresh, decision = decide(state, facts, IDLE, OPEN, NOW_MS + 1)
        assert not fresh.cohorts
        assert decision.serving["standard"] > 0


def test_a_show_ratio_begins_at_the_prior_and_follows_the_crowd() -> None:
    """Fresh calls do not look like no-shows, old ones do; it stays within its bounds."""
    slot = NOW_MS // pace.COHORT_MS
    assert show_ratio((), {}, NOW_MS) == 0.75
    assert show_ratio((Cohort(slot, 1_000),), {}, slot * pace.COHORT_MS) == 0.75
    assert show_ratio((Cohort(slot - 6, 1_000),), {}, NOW_MS) == 0.1
    assert show_ratio((Cohort(slot - 6, 1_000),), {slot - 6: 500}, NOW_MS) == pytest.approx(0.5, abs=0.02)
    assert show_ratio((Cohort(slot - 6, 10),), {slot - 6: 5_000}, NOW_MS) <= 1.0


def test_those_on_the_way_fade() -> None:
    """Three quarters of ten at the call, next to none after a minute; those who came are not expected again."""
    slot = NOW_MS // pace.COHORT_MS
    middle_ms = slot * pace.COHORT_MS + pace.COHORT_MS // 2
    called = (Cohort(slot, 10.0),)

    assert on_the_way(called, {}, 0.75, middle_ms) == pytest.approx(7.5)
    assert on_the_way(called, {slot: 10}, 0.75, middle_ms) == 0
    assert on_the_way(called, {}, 0.75, middle_ms + 60_000) < 0.1


def test_late_comers_do_not_keep_the_newly_called_away() -> None:
    """They take every free place; a few of the newly called are kept at the door, so that the shares hold."""
    full = DoorFacts(live=50, next=0, recall=500, admitted=0, tokens=5.0)
    limits = replace(OPEN, total_active_users=50)

    assert headroom(full, limits) == 10
    assert headroom(replace(full, recall=0), limits) == 0
    assert decided(full, limits)["standard"] > 0
    assert decided(replace(full, recall=0), limits)["standard"] == 0
    assert stock(full, limits) == pytest.approx(0.8 * stock(replace(full, recall=0), limits))


def test_outstanding_calls_are_bounded_by_three_minutes() -> None:
    """Even with all places free."""
    assert headroom(IDLE, OPEN) == 3 * 300
    assert headroom(IDLE, replace(OPEN, new_users_per_minute=1)) == 3


def test_void_ranges_are_jumped_over_and_cost_nothing() -> None:
    """Six people are called, wherever the gaps are."""
    assert decided(void=((0, 100),))["standard"] == 106
    assert decided(void=((3, 500),))["standard"] == 503
    assert decided(void=((6, 500),))["standard"] == 500
    assert decided(void=((2, 4), (5, 900)))["standard"] == 903
    assert decided(void=((3, 1_000),))["standard"] == 1_000


@given(
    st.lists(st.tuples(st.integers(0, 60), st.integers(1, 9)), max_size=5),
    st.integers(0, 60),
    st.integers(0, 40),
)
def test_skipping_calls_exactly_so_many_people(gaps: list[tuple[int, int]], start: int, ranks: int) -> None:
    """Whatever the void ranges."""
    void: list[tuple[int, int]] = []
    for since, length in sorted(gaps):
        begin = max(since, void[-1][1] + 1 if void else 0)
        void.append((begin, begin + length))

    stop = skip(tuple(void), start, ranks)

    assert people(tuple(void), start, stop) == ranks


def test_lanes_share_by_weight_and_keep_their_order() -> None:
    """0.6, 0.35 and 0.05 of those called, while all three wait."""
    facts = LineFacts(
        RUN, 1, 1, "serving", 1_000_000, START, density={"verified": 0.3, "standard": 0.4, "suspect": 0.3}
    )
    state, serving = None, dict(START)
    for tick in range(1_200):
        door = replace(IDLE, admitted=tick * 2, came={})
        state, decision = decide(state, replace(facts, serving=serving), door, OPEN, NOW_MS + tick * TICK_MS)
        assert decision.serving["verified"] >= decision.serving["standard"] >= decision.serving["suspect"]
        assert all(decision.serving[lane] >= serving[lane] for lane in LANES)
        serving = dict(decision.serving)

    called = {lane: serving[lane] * facts.density[lane] for lane in LANES}
    everybody = sum(called.values())
    assert called["verified"] / everybody == pytest.approx(0.6, abs=0.02)
    assert called["standard"] / everybody == pytest.approx(0.35, abs=0.02)
    assert called["suspect"] / everybody == pytest.approx(0.05, abs=0.01)


def test_a_suspect_lane_always_moves() -> None:
    """A wrongly suspected human is not shut out by a share of zero: one in a hundred calls is the floor."""
    limits = replace(OPEN, lane_shares={"verified": 0.6, "standard": 0.4, "suspect": 0.0})
    density = {"verified": 0.4, "standard": 0.4, "suspect": 0.2}
    facts = LineFacts(RUN, 1, 1, "serving", 1_000_000, START, density=density)
    state, serving = None, dict(START)
    for tick in range(1_200):
        state, decision = decide(
            state, replace(facts, serving=serving), IDLE, limits, NOW_MS + tick * TICK_MS
        )
        serving = dict(decision.serving)

    called = {lane: serving[lane] * density[lane] for lane in LANES}
    assert called["suspect"] / sum(called.values()) == pytest.approx(0.01, abs=0.002)


def suspects_share(density: dict[str, float]) -> float:
    """Call for four minutes, and return the share of the calls that the lane suspect got."""
    facts = LineFacts(RUN, 1, 1, "serving", 1_000_000, START, density=density)
    state, serving = None, dict(START)
    for tick in range(1_200):
        state, decision = decide(state, replace(facts, serving=serving), IDLE, OPEN, NOW_MS + tick * TICK_MS)
        serving = dict(decision.serving)
    called = {lane: serving[lane] * density.get(lane, 0.0) for lane in LANES}
    return called["suspect"] / sum(called.values())


@pytest.mark.parametrize("better", ["verified", "standard"])
def test_what_an_empty_lane_leaves_goes_to_the_other_good_one(
    better: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Suspect has its floor and no more, whoever is missing above it. The mutant shares by weight among those there."""
    density = {better: 0.5, "suspect": 0.5}
    fair = suspects_share(density)
    monkeypatch.setattr("admission.pace.weights", lambda shares, _there=(): weights(shares))

    assert fair == pytest.approx(0.05, abs=0.005)
    assert suspects_share(density) > 0.07


def test_a_lane_suspect_alone_gets_everything() -> None:
    """The floor is one against people who wait, not against nobody."""
    assert suspects_share({"suspect": 1.0}) == 1.0


def test_an_empty_lane_is_skipped_and_does_not_catch_up_later() -> None:
    """Verified visitors who appear after an hour get their share from then on, not an hour's worth."""
    everybody_standard = {"standard": 1.0}
    mixed = {"verified": 0.5, "standard": 0.5}
    facts = LineFacts(RUN, 1, 1, "serving", 1_000_000, START, density=everybody_standard)
    state, serving = None, dict(START)
    for tick in range(2_400):
        density = everybody_standard if tick < 1_200 else mixed
        state, decision = decide(
            state, replace(facts, serving=serving, density=density), IDLE, OPEN, NOW_MS + tick * TICK_MS
        )
        if tick == 1_200:
            before = serving
        serving = dict(decision.serving)

    gained = {lane: serving[lane] - before[lane] for lane in LANES}
    assert before["verified"] == before["standard"]
    assert gained["verified"] / gained["standard"] == pytest.approx(0.6 / 0.35, rel=0.05)


def test_a_rare_lane_advances_though_each_share_is_a_fraction_of_a_person() -> None:
    """At one a minute, with one suspect in a hundred: nobody's share is rounded away."""
    limits = replace(OPEN, new_users_per_minute=6)
    facts = LineFacts(RUN, 1, 1, "serving", 100_000, START, density={"standard": 0.99, "suspect": 0.01})
    state, serving = None, dict(START)
    for tick in range(7_200):
        state, decision = decide(
            state, replace(facts, serving=serving), IDLE, limits, NOW_MS + tick * TICK_MS
        )
        serving = dict(decision.serving)

    assert 0 < serving["suspect"] <= serving["standard"]
    assert serving["standard"] > 300


def test_the_plan_tells_places_a_minute_and_changes_rarely() -> None:
    """The rate over the show ratio; as fast as places become free when there are none; nothing in a pause."""
    crowd = Crowd(issued=100_000, comes=0.5).play(300)
    assert crowd.state is not None
    assert crowd.state.plan_per_minute == pytest.approx(600, rel=0.1)

    tight = Crowd(replace(OPEN, total_active_users=50, session_ms=60_000), issued=100_000).play(600)
    assert tight.state is not None
    assert tight.state.plan_per_minute <= 300 / 0.7
    plans = set()
    for _ in range(120):
        crowd.tick()
        plans.add(crowd.state.plan_per_minute)
    assert len(plans) <= 3


def test_a_pace_that_believes_in_its_calls_would_idle() -> None:
    """The mutant: without the fading of those who do not come, half of the rate is never used."""
    crowd = Crowd(issued=100_000, comes=0.5)
    patched = pytest.MonkeyPatch()
    with patched.context() as patch:
        patch.setattr(pace, "come_within", lambda _age_ms: 0.0)
        crowd.play(360)

    assert crowd.door.admitted < 0.9 * 300 * 6
