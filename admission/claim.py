"""Claim: a called fan takes the turn. It counts once; a repeat gives the same admission again.

*Called* is a right, not yet an entrance: after a long no-show ten times the minute's budget may be called and
come at once. So a claim passes two hard limits, the rate (``gcra``) and ``total_active_users``. Who is
over them stands in ``next`` and keeps the place there by rank: **free budget goes to the lowest rank, not to
the luckiest retry**. A claim is let in by itself only if it is at the head; the others are served by
``settle``, which runs with every tick, and hear it at their next retry as ``again``.

Those who come after the claim window (``recall``) wait in a class of their own. While both classes wait, recall
gets its share of the grants, counted in thousandths; while only one waits, it gets all. So no flood of
late-comers starves those newly called, be it the rate or the number of places that is scarce, and no
budget is left idle. (A second rate limit for recall would do neither: with places scarce it lets late-comers
take every one that becomes free, with nobody else there it wastes the rest of the rate.)

Each function is one transition; the file of the same name in ``lua/`` does the same in the store with the
same words. ``tests/admission/test_door_agrees.py`` proves that they agree. Loops are bounded. Not here:
how many to call (``pace``), the token (``tokens``).
"""

from dataclasses import dataclass, replace

from admission.door import EMPTY_LEAF, Door, Entry, LineNow, Place, Stay, settled_leaf
from admission.limits import Limits
from admission.pace import COHORT_MS, COHORTS
from admission.sessions import FREE_MS
from kernel import gcra
from kernel.clock import later

LAPSE_MS = 30_000
"""Who does not ask again within this time stands no longer at the door; the right to claim stays."""

OPEN_PHASES = frozenset({"serving", "draining"})


@dataclass(frozen=True, slots=True)
class Bounds:
    """How much one settling does at most, so that the store is never held up; ``more`` asks for another."""

    lapses: int = 64
    sweeps: int = 256
    candidates: int = 128


BOUNDS = Bounds()


@dataclass(frozen=True, slots=True)
class Admitted:
    """The turn is taken: the place is held until `until_ms`."""

    since_ms: int
    until_ms: int


@dataclass(frozen=True, slots=True)
class Again:
    """The turn was taken before, and this is the same admission."""

    since_ms: int
    until_ms: int


@dataclass(frozen=True, slots=True)
class Next:
    """Called, but over the budget: so many of the same class are served first."""

    ahead: int


@dataclass(frozen=True, slots=True)
class Waiting:
    """Not called yet; so many ranks are."""

    ahead: int


@dataclass(frozen=True, slots=True)
class Paused:
    """Nobody is let in for now, and nobody loses the turn."""

    ahead: int


@dataclass(frozen=True, slots=True)
class Check:
    """Called, and asked for a check that is still to be passed: ``prove`` or ``step-up``. The place is kept."""

    way: str


@dataclass(frozen=True, slots=True)
class Used:
    """The turn was taken and its session is over, or the fan had left."""


@dataclass(frozen=True, slots=True)
class Evicted:
    """An operator keeps this place from its turn, until it is given back (``guests``)."""


@dataclass(frozen=True, slots=True)
class LeafMismatch:
    """The number belongs to another ticket."""


@dataclass(frozen=True, slots=True)
class RunOver:
    """The ticket's run is over."""


@dataclass(frozen=True, slots=True)
class Stale:
    """The line is lost for the moment, or the rank was computed before the draw: ask again soon."""


@dataclass(frozen=True, slots=True)
class Left:
    """The place is given up for good."""


@dataclass(frozen=True, slots=True)
class Settled:
    """What one settling did, and the door after it. `more`: a bound was reached, settle again."""

    granted: int
    next: int
    recall: int
    live: int
    more: bool


ClaimOutcome = (
    Admitted | Again | Next | Waiting | Paused | Check | Evicted | Used | LeafMismatch | RunOver | Stale
)
LeaveOutcome = Left | LeafMismatch | RunOver | Stale


def cohort_of(place: Place, now_ms: int) -> int | None:
    """Return the time slot of the call that this attempt answers; None if it is unknown or too old."""
    if place.called_ms is None or place.recall or now_ms >= place.called_ms + COHORT_MS * COHORTS:
        return None
    return place.called_ms // COHORT_MS


def claim(
    door: Door, line: LineNow | None, place: Place, sid: str, limits: Limits, now_ms: int
) -> tuple[Door, ClaimOutcome]:
    """Let a called fan in, or keep the fan at the door by rank."""
    cohort, now_ms = cohort_of(place, now_ms), max(now_ms, door.last_ms)
    if line is None:
        return door, Stale()
    if line.run != place.run:
        return door, RunOver()
    if place.number in door.evicted:
        return door, Evicted()
    if door.has_ended(sid, now_ms):
        return door, Used()
    if door.lives(sid, now_ms):
        until_ms = door.sessions[sid]
        stay = door.stays.get(sid)
        return door, Again(stay.since_ms if stay else until_ms - limits.hold_ms, until_ms)
    if place.number in door.claimed:
        is_own = door.leaves.get(place.number, EMPTY_LEAF) in {EMPTY_LEAF, place.leaf}
        return door, Used() if is_own else LeafMismatch()
    place = replace(place, lane=line.lane_of(place))
    if (not_yet := _not_yet(line, place)) is not None:
        return door, not_yet
    own = settled_leaf(door, line, place)
    if own is None:
        return door, LeafMismatch()

    door = _entered(replace(own, last_ms=now_ms), place, sid, cohort, now_ms)
    if limits.paused:
        return replace(door, paused_ms=now_ms), Paused(_ahead(door, sid))
    turn, due = whose_turn(door, limits)
    if door.waiting(recall=turn)[0] == sid and _has_budget(door, limits, now_ms):
        return _admitted(replace(door, recall_due=due), line, sid, limits, now_ms)
    return door, Next(_ahead(door, sid))


def settle(
    door: Door, line: LineNow | None, limits: Limits, now_ms: int, bounds: Bounds = BOUNDS
) -> tuple[Door, Settled]:
    """Give what budget there is to the lowest ranks at the door, and forget what is over.

    Here alone the door believes a clock that was set back; all else goes by the time of the last settling. Here, too, a
    debt is written off that the rate in force cannot make: judged anew each time it would never grow less.
    """
    now_ms = later(now_ms, door.last_ms)
    ahead = sorted((e.seen_ms, sid) for sid, e in door.next.items() if e.seen_ms > now_ms)[: bounds.lapses]
    seen_now = {sid: replace(door.next[sid], seen_ms=now_ms) for _, sid in ahead}
    paused_ms = now_ms if limits.paused else min(door.paused_ms, now_ms)
    tat_us = gcra.clamped(door.tat_us, gcra.per_minute(limits.new_users_per_minute), now_ms * 1000)
    door = replace(door, last_ms=now_ms, paused_ms=paused_ms, tat_us=tat_us, next={**door.next, **seen_now})
    door, swept = _swept(door, bounds.sweeps, now_ms)
    lapsed = sorted((e.seen_ms, sid) for sid, e in door.next.items() if _is_lapsed(door, e, now_ms))
    for _, sid in lapsed[: bounds.lapses]:
        door = door.without_entry(sid)

    granted = looked_at = 0
    if line is not None and line.phase in OPEN_PHASES and not limits.paused:
        while door.next and looked_at < bounds.candidates and _has_budget(door, limits, now_ms):
            looked_at += 1
            turn, due = whose_turn(door, limits)
            sid = door.waiting(recall=turn)[0]
            entry = door.next[sid]
            if (
                _is_lapsed(door, entry, now_ms)
                or entry.number in door.claimed
                or entry.number in door.evicted
            ):
                door = door.without_entry(sid)
                continue
            door, _ = _admitted(replace(door, recall_due=due), line, sid, limits, now_ms)
            granted += 1
    return door, Settled(
        granted=granted,
        next=len(door.waiting(recall=False)),
        recall=len(door.waiting(recall=True)),
        live=door.live(now_ms),
        more=swept or len(lapsed) >= bounds.lapses or looked_at >= bounds.candidates,
    )


def leave(door: Door, line: LineNow | None, place: Place, sid: str, now_ms: int) -> tuple[Door, LeaveOutcome]:
    """Give a place up: the number is never admitted again, and its session, if any, ends."""
    now_ms = max(now_ms, door.last_ms)
    if line is None:
        return door, Stale()
    if line.run != place.run:
        return door, RunOver()
    own = settled_leaf(door, line, place)
    if own is None:
        return door, LeafMismatch()
    door = replace(own.without_entry(sid), last_ms=now_ms)
    if place.number not in door.claimed:
        door = replace(door, left=door.left + 1, claimed=door.claimed | {place.number})
    if door.lives(sid, now_ms) and not door.has_ended(sid, now_ms):
        until_ms = door.sessions[sid]
        door = replace(
            door,
            sessions={**door.sessions, sid: min(until_ms, now_ms + FREE_MS)},
            ended={**door.ended, sid: until_ms},
            ended_version=door.ended_version + 1,
        )
    elif door.has_ended(sid, now_ms):
        door = door.for_good(sid)
    return door, Left()


def whose_turn(door: Door, limits: Limits) -> tuple[bool, int]:
    """Tell whether the next grant is recall's, and what is due to recall after it."""
    has_recall, has_called = bool(door.waiting(recall=True)), bool(door.waiting(recall=False))
    if not (has_recall and has_called):
        return has_recall, door.recall_due
    due = door.recall_due + limits.recall_permille
    return (True, due - 1000) if due >= 1000 else (False, due)


def retry_after_ms(ahead: int, limits: Limits) -> int:
    """Say when to ask again: about when the turn comes, and at least thrice before the entry lapses."""
    expected_ms = (ahead + 1) * 60_000 // limits.new_users_per_minute
    return min(max(1_000, expected_ms), LAPSE_MS // 3)


def poll_ms(ahead: int, limits: Limits) -> int:
    """Say when to ask again while not called: a twentieth of the wait, 2 to 60 s."""
    return min(max(2_000, ahead * 3_000 // limits.new_users_per_minute), 60_000)


def _not_yet(line: LineNow, place: Place) -> RunOver | Stale | Waiting | Check | None:
    """Tell what keeps a place from its turn as the line stands; None for one that is called and free."""
    if line.phase == "ended":
        return RunOver()
    if line.seed != place.seed:
        return Stale()
    ahead = place.rank - line.serving[place.lane]
    if line.phase not in OPEN_PHASES or ahead >= 0:
        return Waiting(max(0, ahead))
    if place.checks and (way := line.asked.get(place.number)):
        return Check(way)
    return None


def _entered(door: Door, place: Place, sid: str, cohort: int | None, now_ms: int) -> Door:
    """Put a fan at the door, or see that the fan is still there; the first attempt decides the class."""
    entry = door.next.get(sid)
    if entry is not None:
        return replace(door, next={**door.next, sid: replace(entry, seen_ms=now_ms)})
    came = door.came if cohort is None else {**door.came, cohort: door.came.get(cohort, 0) + 1}
    entry = Entry(place.number, place.rank, place.lane, place.recall, now_ms)
    return replace(door, next={**door.next, sid: entry}, came=came)


def _admitted(door: Door, line: LineNow, sid: str, limits: Limits, now_ms: int) -> tuple[Door, Admitted]:
    entry, until_ms = door.next[sid], now_ms + limits.hold_ms
    door = replace(
        door.without_entry(sid),
        tat_us=gcra.spent(door.tat_us, gcra.per_minute(limits.new_users_per_minute), now_ms * 1000),
        claimed=door.claimed | {entry.number},
        admitted=door.admitted + 1,
        sessions={**door.sessions, sid: until_ms},
        stays={**door.stays, sid: Stay(now_ms, line.run, entry.lane)},
    )
    return door, Admitted(now_ms, until_ms)


def _has_budget(door: Door, limits: Limits, now_ms: int) -> bool:
    rate = gcra.per_minute(limits.new_users_per_minute)
    return gcra.conforms(door.tat_us, rate, now_ms * 1000) and door.live(now_ms) < limits.total_active_users


def _is_lapsed(door: Door, entry: Entry, now_ms: int) -> bool:
    return now_ms >= max(entry.seen_ms, door.paused_ms) + LAPSE_MS


def _ahead(door: Door, sid: str) -> int:
    return door.waiting(recall=door.next[sid].recall).index(sid)


def _swept(door: Door, most: int, now_ms: int) -> tuple[Door, bool]:
    """Forget sessions and ends whose time is over, the oldest first."""
    over = sorted((until, sid) for sid, until in door.sessions.items() if until <= now_ms)[:most]
    past = sorted((until, sid) for sid, until in door.ended.items() if until <= now_ms)[:most]
    gone, unended = {sid for _, sid in over}, {sid for _, sid in past}
    door = replace(
        door,
        sessions={sid: until for sid, until in door.sessions.items() if sid not in gone},
        stays={sid: stay for sid, stay in door.stays.items() if sid not in gone},
        ended={sid: until for sid, until in door.ended.items() if sid not in unended},
    )
    return door, len(over) == most or len(past) == most
