"""Pace: how many to call next.

Calling only opens the door's queue; the door itself keeps the limits (``claim``). So the pace may guess, and it
guesses two things: how many of the called come (``show_ratio``, from matured cohorts), and who is still on
the way. It calls as many as the free budget will meet:

* **stock**: those at the door and those on the way should together meet the tokens at hand and those of the next
  twelve seconds. Who does not come fades from the way and is replaced; so a wrong guess costs seconds, and a rate of 1
  a minute is kept over hours;
* **credit** makes it smooth: it grows a quarter faster than the rate (and in a slow room fast enough to replace one
  who does not come within ten seconds), in expected arrivals, up to one second's worth; a call costs the show
  ratio. An idle room calls a newcomer at once, nothing more is banked;
* **headroom**: nor do they ever exceed the free places, or three minutes of admissions;
* **lanes** share what there is by stride scheduling: the lane with the smallest ``pass`` moves, and its pass
  grows by what it got divided by its weight. Empty lanes are skipped. What an empty verified lane would have got
  goes to standard, and the other way round, never to suspect as long as anybody waits above it; suspect never weighs
  less than its floor, and a lane never overtakes the one above it. Ranks in void ranges cost nothing.

What was called is not remembered but *observed*: the difference between the thresholds then and now. Hence
any worker may run any tick, and a lost or doubled call corrects itself. Floats are fine here: the exact limits are
the door's.

Show ratio: claims that came, over calls weighted by the share ``F(age)`` of claims that come within their age, so
that a fresh surge of calls does not look like no-shows. The prior is 0.75 with the weight of 20 calls: the upper
end of what is known of on-sales (0.4 to 0.75), because the page claims by itself; too high costs a few idle tokens
in the first minute, too low a crowd at the door. Bounded to 0.1..1. Not here: the origin's health, which
will lower the rate (a later input), and the commit (``service``).
"""

import math
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace

from admission.limits import LANES, Limits
from kernel.clock import later

Ranges = tuple[tuple[int, int], ...]

COHORT_MS = 10_000
COHORTS = 60
PRIOR_RATIO = 0.75
PRIOR_CALLS = 20.0
RATIO_LEAST, RATIO_MOST = 0.1, 1.0
COMES_WITHIN_MS = 10_000.0
HALF_LIFE_MS = 180_000.0
OUTSTANDING_S = 180.0
DOOR_WANTED_S = 2.0
EAGERNESS = 1.25
CREDIT_LEAST_PER_S = 0.1
SUSPECT_FLOOR = 0.01
"""The least that a room may give the lane suspect; what comes from elsewhere gets no less."""
WEIGHT_LEAST = 0.001
STEPS_AT_ONCE = 256
LONGEST_STEP_MS = 2_000
LIFT_BURSTS = 4
PLAN_CHANGE_RATIO = 0.05
SPEED_HALF_LIFE_MS = 30_000.0


@dataclass(frozen=True, slots=True)
class LineFacts:
    """The line as the pace sees it. ``void`` are empty ranges of the *rank* axis; ``density`` is each lane's share."""

    run: str
    epoch: int
    version: int
    phase: str
    issued: int
    serving: Mapping[str, int]
    density: Mapping[str, float] = field(default_factory=lambda: {"standard": 1.0})
    void: Ranges = ()


@dataclass(frozen=True, slots=True)
class DoorFacts:
    """The door as the pace sees it. `tokens` of the rate are at hand, the part of the next one counted."""

    live: int
    next: int
    recall: int
    admitted: int
    tokens: float = 1.0
    came: Mapping[int, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Cohort:
    """So many people were called in this time slot of ``COHORT_MS``."""

    slot: int
    called: float


@dataclass(frozen=True, slots=True)
class PaceState:
    """What one tick hands to the next: all observed, nothing that a tick had wished for."""

    run: str
    epoch: int
    at_ms: int
    serving: Mapping[str, int]
    credit: float
    passes: Mapping[str, float]
    cohorts: tuple[Cohort, ...] = ()
    admitted: int = 0
    admitted_per_s: float = 0.0
    plan_per_minute: int = 0


@dataclass(frozen=True, slots=True)
class Decision:
    """Where the thresholds should stand, and how many people a minute the plan is to call."""

    serving: Mapping[str, int]
    plan_per_minute: int
    show_ratio: float


def decide(
    state: PaceState | None, facts: LineFacts, door: DoorFacts, limits: Limits, now_ms: int
) -> tuple[PaceState, Decision]:
    """Observe what happened since the last tick and decide how far to call."""
    state = observe(state, facts, door, limits, now_ms)
    ratio = show_ratio(state.cohorts, door.came, now_ms)
    serving = dict(facts.serving)
    if facts.phase == "serving" and not limits.paused:
        coming = on_the_way(state.cohorts, door.came, ratio, now_ms) + door.next
        budget = min(state.credit, stock(door, limits) - coming, headroom(door, limits) - coming) / ratio
        serving = advance(facts, state.passes, limits.lane_shares, budget)
    state = replace(state, plan_per_minute=plan(state, door, limits, ratio))
    return state, Decision(serving, state.plan_per_minute, ratio)


def observe(
    state: PaceState | None, facts: LineFacts, door: DoorFacts, limits: Limits, now_ms: int
) -> PaceState:
    """Take in the calls and admissions since the last tick, and let the credit grow by the time passed."""
    rate_per_s = limits.new_users_per_minute / 60
    burst = max(1.0, rate_per_s)
    serving = {lane: facts.serving[lane] for lane in LANES}
    is_set_back = state is not None and later(now_ms, state.at_ms) < state.at_ms
    if state is None or is_set_back or (state.run, state.epoch) != (facts.run, facts.epoch):
        return PaceState(
            facts.run, facts.epoch, now_ms, serving, burst, dict.fromkeys(LANES, 0.0), (), door.admitted
        )
    now_ms = max(now_ms, state.at_ms)
    span_s = min(now_ms - state.at_ms, LONGEST_STEP_MS) / 1000
    ratio = show_ratio(state.cohorts, door.came, now_ms)
    called = {
        lane: people(facts.void, state.serving[lane], serving[lane]) * facts.density.get(lane, 0.0)
        for lane in LANES
    }
    everybody = sum(called.values())
    if everybody > LIFT_BURSTS * burst / ratio:
        # No tick calls so many: a witness lifted the thresholds after a loss. Those people came long ago.
        called, everybody = dict.fromkeys(LANES, 0.0), 0.0
    grown = 0.0 if limits.paused else span_s * max(EAGERNESS * rate_per_s, CREDIT_LEAST_PER_S)
    elapsed_s = max(1, now_ms - state.at_ms) / 1000
    fade = 0.5 ** (elapsed_s * 1000 / SPEED_HALF_LIFE_MS)
    speed = max(0, door.admitted - state.admitted) / elapsed_s
    return replace(
        state,
        at_ms=now_ms,
        serving=serving,
        credit=min(burst, max(-burst, state.credit - everybody * ratio) + grown),
        passes=passed(state.passes, called, limits.lane_shares, waiting(facts, serving)),
        cohorts=grouped(state.cohorts, everybody, state.at_ms, now_ms),
        admitted=door.admitted,
        admitted_per_s=fade * state.admitted_per_s + (1 - fade) * speed,
    )


def show_ratio(cohorts: Iterable[Cohort], came: Mapping[int, int], now_ms: int) -> float:
    """Estimate which part of the called come."""
    came_weighted, called_weighted = PRIOR_RATIO * PRIOR_CALLS, PRIOR_CALLS
    for cohort in cohorts:
        age_ms = _age_ms(cohort, now_ms)
        weight = 0.5 ** (age_ms / HALF_LIFE_MS)
        came_weighted += weight * min(came.get(cohort.slot, 0), cohort.called)
        called_weighted += weight * cohort.called * come_within(age_ms)
    return min(RATIO_MOST, max(RATIO_LEAST, came_weighted / called_weighted))


def come_within(age_ms: float) -> float:
    """Return the share of those who come at all that comes within this time of the call."""
    return 1 - math.exp(-max(0.0, age_ms) / COMES_WITHIN_MS)


def on_the_way(cohorts: Iterable[Cohort], came: Mapping[int, int], ratio: float, now_ms: int) -> float:
    """Expect how many of the called are still to come."""
    expected = 0.0
    for cohort in cohorts:
        still = 1 - come_within(_age_ms(cohort, now_ms))
        chance = ratio * still / max(1e-9, 1 - ratio * (1 - still))
        expected += max(0.0, cohort.called - came.get(cohort.slot, 0)) * chance
    return expected


def stock(door: DoorFacts, limits: Limits) -> float:
    """Return how many should be at the door or on the way: enough to meet every token, and few to keep waiting.

    While late-comers stand at the door they take their share of the tokens.
    """
    rate_per_s = limits.new_users_per_minute / 60
    share = 1 - limits.recall_share if door.recall else 1.0
    return share * (door.tokens + rate_per_s * (COMES_WITHIN_MS / 1000 + DOOR_WANTED_S))


def headroom(door: DoorFacts, limits: Limits) -> float:
    """Return how many the free places bear, and three minutes of admissions.

    While late-comers stand at the door they take every free place, so a few of the newly called are kept
    there as well: the door shares between the two classes only when both are present.
    """
    rate_per_s = limits.new_users_per_minute / 60
    free: float = limits.total_active_users - door.live
    if door.recall:
        free = max(free, 1.0, rate_per_s * DOOR_WANTED_S)
    return min(free, max(1.0, rate_per_s * OUTSTANDING_S))


def weights(shares: Mapping[str, float], there: Collection[str] = LANES) -> dict[str, float]:
    """Return each lane's weight; suspect keeps a floor, and nobody weighs nothing.

    Of verified and standard the one in which somebody waits (`there`) stands in for the other.
    """
    out = {lane: max(WEIGHT_LEAST, shares.get(lane, 0.0)) for lane in LANES}
    rest = out["verified"] + out["standard"]
    out["suspect"] = max(out["suspect"], SUSPECT_FLOOR * rest / (1 - SUSPECT_FLOOR))
    if ("verified" in there) != ("standard" in there):
        out["verified" if "verified" in there else "standard"] = rest
    return out


def waiting(facts: LineFacts, serving: Mapping[str, int]) -> list[str]:
    """List the lanes in which somebody can be called."""
    return [lane for lane in LANES if _ahead(facts, serving, lane)]


def passed(
    passes: Mapping[str, float], called: Mapping[str, float], shares: Mapping[str, float], able: list[str]
) -> dict[str, float]:
    """Move the passes of the lanes that were called; they count from the smallest of those that wait.

    A lane without anybody is kept where the others are, or it would catch up for the time it was empty.
    """
    weight = weights(shares, {*able, *(lane for lane in LANES if called[lane] > 0)})
    moved = {lane: passes.get(lane, 0.0) + called[lane] / weight[lane] for lane in LANES}
    least = min((moved[lane] for lane in able), default=0.0)
    return {lane: moved[lane] - least if lane in able else 0.0 for lane in LANES}


def advance(
    facts: LineFacts, passes: Mapping[str, float], shares: Mapping[str, float], budget: float
) -> dict[str, int]:
    """Move the thresholds by about `budget` people, at most that many where densities are right.

    An empty lane follows the one below it; nobody is in it, so that costs nothing.
    """
    serving = {lane: facts.serving[lane] for lane in LANES}
    own = {lane: facts.density.get(lane, 0.0) for lane in LANES}
    position = dict(passes)
    quantum = max(1.0, budget / STEPS_AT_ONCE)
    left = 2 * STEPS_AT_ONCE
    while left and (there := waiting(facts, serving)):
        able = [lane for lane in there if _step(budget, quantum, own[lane])]
        if not able:
            break
        left -= 1
        lane = min(able, key=lambda name: (position[name], LANES.index(name)))
        ranks = min(_step(budget, quantum, own[lane]), _ahead(facts, serving, lane))
        serving[lane] = skip(facts.void, serving[lane], ranks)
        budget -= ranks * own[lane]
        position[lane] += ranks * own[lane] / weights(shares, there)[lane]
    serving["standard"] = max(serving["standard"], serving["suspect"])
    serving["verified"] = max(serving["verified"], serving["standard"])
    return {lane: min(facts.issued, _out_of_void(facts.void, serving[lane])) for lane in LANES}


def people(void: Ranges, start: int, stop: int) -> int:
    """Count the ranks in [start, stop) that somebody can hold."""
    covered = sum(max(0, min(stop, to) - max(start, since)) for since, to in void)
    return max(0, stop - start - covered)


def skip(void: Ranges, start: int, ranks: int) -> int:
    """Return the threshold that calls so many more ranks from `start`, void ones not counted."""
    at = start
    for since, to in sorted(void):
        if to <= at:
            continue
        if at + ranks <= since:
            break
        ranks -= max(0, since - at)
        at = to
    return at + ranks


def grouped(cohorts: tuple[Cohort, ...], called: float, at_ms: int, now_ms: int) -> tuple[Cohort, ...]:
    """Add calls of a moment to its time slot, and forget slots that no claim counts for any more."""
    slot, oldest = at_ms // COHORT_MS, now_ms // COHORT_MS - COHORTS
    kept = {cohort.slot: cohort.called for cohort in cohorts if cohort.slot > oldest}
    if called > 0:
        kept[slot] = kept.get(slot, 0.0) + called
    return tuple(Cohort(number, kept[number]) for number in sorted(kept)[-COHORTS:])


def plan(state: PaceState, door: DoorFacts, limits: Limits, ratio: float) -> int:
    """Return how many people a minute are going to be called; small changes are not worth telling.

    With places to spare it is the rate; without, it is as fast as places have become free lately.
    """
    per_minute: float = limits.new_users_per_minute
    if limits.paused:
        per_minute = 0.0
    elif door.live >= limits.total_active_users:
        per_minute = min(per_minute, max(1.0, state.admitted_per_s * 60))
    wanted = round(per_minute / ratio)
    is_news = abs(wanted - state.plan_per_minute) > PLAN_CHANGE_RATIO * state.plan_per_minute
    return wanted if is_news else state.plan_per_minute


def _ahead(facts: LineFacts, serving: Mapping[str, int], lane: str) -> int:
    """Count the ranks that a lane can still move: up to the lane above, if anybody is in that."""
    if facts.density.get(lane, 0.0) <= 0:
        return 0
    limit = facts.issued
    for above in LANES[: LANES.index(lane)]:
        if facts.density.get(above, 0.0) > 0:
            limit = min(limit, serving[above])
    return people(facts.void, serving[lane], limit)


def _step(budget: float, quantum: float, density: float) -> int:
    """Return how many ranks one step takes: a quantum of people, as far as the budget goes."""
    return max(0, math.floor(min(budget, quantum) / density + 1e-9))


def _out_of_void(void: Ranges, rank: int) -> int:
    return next((to for since, to in void if since <= rank < to), rank)


def _age_ms(cohort: Cohort, now_ms: int) -> float:
    return max(0.0, now_ms - (cohort.slot + 0.5) * COHORT_MS)
