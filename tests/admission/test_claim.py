"""Claim: the rules, with their edges. That the store does the same: ``test_door_agrees``."""

from dataclasses import replace
from typing import Any

import pytest

from admission.claim import (
    LAPSE_MS,
    Admitted,
    Again,
    Bounds,
    LeafMismatch,
    Left,
    Next,
    Paused,
    RunOver,
    Settled,
    Stale,
    Used,
    Waiting,
    claim,
    cohort_of,
    leave,
    poll_ms,
    retry_after_ms,
    settle,
)
from admission.door import Door, LineNow, Place
from admission.limits import Limits
from admission.pace import COHORT_MS
from admission.sessions import FREE_MS
from tests.admission.doors import LIMITS, LINE, NOW_MS, leaf, place, sid

WIDE = replace(LIMITS, new_users_per_minute=6_000, total_active_users=1_000)
HOLD_MS = LIMITS.hold_ms
LEAVES = {number: leaf(number) for number in range(400)}
DOOR = Door(leaves=LEAVES)


def take(
    door: Door, number: int, now_ms: int = NOW_MS, *, limits: Limits = LIMITS, line: LineNow | None = LINE,
    twin: int = 0, **changes: Any,
) -> tuple[Door, Any]:  # fmt: skip
    """Claim a number's turn."""
    return claim(door, line, place(number, twin, **changes), sid(number, twin), limits, now_ms)


def crowd(door: Door, numbers: list[int], now_ms: int, limits: Limits, **changes: Any) -> Door:
    """Let several fans claim at once."""
    for number in numbers:
        door, _ = take(door, number, now_ms, limits=limits, **changes)
    return door


def who_is_in(door: Door) -> list[int]:
    """Name the numbers that were admitted."""
    return sorted(door.claimed)


def test_a_called_fan_comes_in_at_once_when_nobody_waits() -> None:
    """The place is held for the session and the leeway of clocks."""
    door, outcome = take(DOOR, 3)

    assert outcome == Admitted(NOW_MS, NOW_MS + HOLD_MS)
    assert door.claimed == {3}
    assert not door.next


@pytest.mark.parametrize(("serving", "outcome"), [(3, Waiting(0)), (0, Waiting(3)), (4, Admitted)])
def test_a_rank_is_called_when_serving_has_passed_it(serving: int, outcome: Any) -> None:
    """Rank 3 claims when serving is 4, not when it is 3."""
    line = replace(LINE, serving={"verified": 9, "standard": serving, "suspect": 0})

    _, found = take(DOOR, 3, line=line)

    assert found == outcome or type(found) is outcome


def test_a_lane_has_its_own_threshold() -> None:
    """Suspect is at 0 while standard is far ahead."""
    assert take(DOOR, 3, lane="suspect")[1] == Waiting(3)


def test_who_was_slowed_claims_in_the_lane_suspect_whatever_the_ticket_says() -> None:
    """An older ticket is worth no more than the one that came after it."""
    line = replace(LINE, slowed=frozenset({3}))

    assert take(DOOR, 3, line=line)[1] == Waiting(3)
    assert take(DOOR, 4, line=line)[1] == Admitted(NOW_MS, NOW_MS + HOLD_MS)
    door, _ = take(DOOR, 3, line=replace(line, serving={"verified": 9, "standard": 9, "suspect": 4}))
    assert door.stays[sid(3)].lane == "suspect"


@pytest.mark.parametrize("phase", ["idle", "gathering"])
def test_nobody_is_admitted_before_the_start(phase: str) -> None:
    """Whatever the thresholds say."""
    assert take(DOOR, 3, line=replace(LINE, phase=phase))[1] == Waiting(0)


def test_the_called_still_come_in_while_the_room_drains() -> None:
    """After the end nobody is called any more, but who was called may come."""
    assert isinstance(take(DOOR, 3, line=replace(LINE, phase="draining"))[1], Admitted)


def test_a_room_that_has_ended_admits_nobody_but_keeps_its_sessions() -> None:
    """A visit goes on after the end of the sale."""
    ended = replace(LINE, phase="ended")
    door, _ = take(DOOR, 3)

    assert take(door, 4, line=ended)[1] == RunOver()
    assert isinstance(take(door, 3, line=ended)[1], Again)


@pytest.mark.parametrize(
    ("after_ms", "outcome"),
    [(HOLD_MS - 1, Again(NOW_MS, NOW_MS + HOLD_MS)), (HOLD_MS, Used()), (HOLD_MS + 1, Used())],
)
def test_a_repeat_is_the_same_admission_until_its_end_and_then_used(after_ms: int, outcome: object) -> None:
    """Half-open: the session lives while now is before its end."""
    door, _ = take(DOOR, 3)

    assert take(door, 3, NOW_MS + after_ms)[1] == outcome


def test_a_lost_bit_makes_no_second_session() -> None:
    """The session's id follows from the ticket, so the live one is found."""
    door, _ = take(DOOR, 3)
    door = replace(door, claimed=frozenset())

    assert take(door, 3, NOW_MS + 1)[1] == Again(NOW_MS, NOW_MS + HOLD_MS)


def test_a_ticket_of_another_run_is_over() -> None:
    """Yesterday's paper is worth nothing today."""
    assert take(DOOR, 3, run="00000000000000bb")[1] == RunOver()


def test_while_the_line_is_lost_nobody_is_told_that_it_is_over() -> None:
    """A fan asks again until the room is back."""
    assert take(DOOR, 3, line=None) == (DOOR, Stale())


def test_a_rank_from_before_the_draw_is_not_believed() -> None:
    """A worker that has not seen the seed yet would place everybody by number."""
    assert take(DOOR, 3, line=replace(LINE, seed="5eed"))[1] == Stale()
    assert isinstance(take(DOOR, 3, line=replace(LINE, seed="5eed"), seed="5eed")[1], Admitted)


def test_a_number_belongs_to_one_ticket() -> None:
    """The twin of a number given twice is refused, before and after the owner's claim."""
    assert take(DOOR, 3, twin=1)[1] == LeafMismatch()
    door, _ = take(DOOR, 3)
    assert take(door, 3, twin=1)[1] == LeafMismatch()


@pytest.mark.parametrize(
    ("void", "epoch", "fills"), [(True, 1, True), (True, 2, False), (False, 1, False), (False, 2, False)]
)
def test_an_empty_slot_is_filled_only_from_before_a_loss_and_inside_a_void_range(
    void: bool, epoch: int, fills: bool
) -> None:
    """The line is in epoch 2."""
    door, outcome = take(Door(), 3, void=void, epoch=epoch)

    assert isinstance(outcome, Admitted) is fills
    assert (door.leaves.get(3) == leaf(3)) is fills
    assert isinstance(outcome, LeafMismatch) is not fills


def test_the_second_ticket_of_a_void_number_comes_too_late() -> None:
    """A slot is filled once."""
    door, _ = take(Door(), 3, void=True, epoch=1)

    assert take(door, 3, twin=1, void=True, epoch=1)[1] == LeafMismatch()


def test_places_are_a_hard_limit() -> None:
    """With three places the fourth stands at the door until one is free."""
    limits = replace(WIDE, total_active_users=3)
    door = crowd(DOOR, [0, 1, 2], NOW_MS, limits)

    door, outcome = take(door, 3, limits=limits)
    assert outcome == Next(0)
    assert take(door, 3, NOW_MS + HOLD_MS - 1, limits=limits)[1] == Next(0)
    assert isinstance(take(door, 3, NOW_MS + HOLD_MS, limits=limits)[1], Admitted)


def test_free_budget_goes_to_the_lowest_rank_not_to_the_luckiest_retry() -> None:
    """Rank 1 waits; rank 9 asks at the very moment a token is there, and does not get it."""
    door = crowd(DOOR, [0, 1, 9], NOW_MS, LIMITS)
    assert who_is_in(door) == [0]

    door, outcome = take(door, 9, NOW_MS + 1_000)
    assert outcome == Next(1)
    door, outcome = take(door, 1, NOW_MS + 1_000)
    assert isinstance(outcome, Admitted)


def test_a_rate_that_is_raised_is_in_force_with_the_next_settling() -> None:
    """From 1 to 600 a minute: the next comes in a tenth of a second later, and not when the old minute is over."""
    slow, fast = replace(WIDE, new_users_per_minute=1), replace(WIDE, new_users_per_minute=600)
    door, _ = take(DOOR, 1, limits=slow)
    door, _ = take(door, 2, limits=slow)

    door, settled = settle(door, LINE, fast, NOW_MS)
    assert settled.granted == 0
    door, settled = settle(door, LINE, fast, NOW_MS + 100)
    assert settled.granted == 1
    admitted = [
        isinstance(take(door, 3, NOW_MS + after_ms, limits=fast)[1], Admitted) for after_ms in (199, 200)
    ]
    assert admitted == [False, True]


def test_settling_serves_by_rank_and_tells_at_the_next_retry() -> None:
    """The granted one hears ``again``."""
    door = crowd(DOOR, [0, 9, 5, 7], NOW_MS, LIMITS)

    door, settled = settle(door, LINE, LIMITS, NOW_MS + 1_000)
    assert settled == Settled(granted=1, next=2, recall=0, live=2, more=False)
    assert who_is_in(door) == [0, 5]
    assert take(door, 5, NOW_MS + 1_500)[1] == Again(NOW_MS + 1_000, NOW_MS + 1_000 + HOLD_MS)


@pytest.mark.parametrize(
    ("after_ms", "stays"), [(LAPSE_MS - 1, True), (LAPSE_MS, False), (LAPSE_MS + 1, False)]
)
def test_who_does_not_ask_again_stands_no_longer_at_the_door(after_ms: int, stays: bool) -> None:
    """Alive for thirty seconds after the last retry, half-open."""
    limits = replace(LIMITS, total_active_users=1)
    door = crowd(DOOR, [0, 1], NOW_MS, limits)

    door, settled = settle(door, LINE, limits, NOW_MS + after_ms)

    assert settled.next == int(stays)


def test_a_retry_renews_the_stand_and_lapsing_costs_no_right() -> None:
    """Somebody who comes back later is called all the same."""
    limits = replace(LIMITS, total_active_users=1)
    door = crowd(DOOR, [0, 1], NOW_MS, limits)
    door = crowd(door, [1], NOW_MS + LAPSE_MS - 1, limits)

    door, settled = settle(door, LINE, limits, NOW_MS + LAPSE_MS)
    assert settled.next == 1
    door, settled = settle(door, LINE, limits, NOW_MS + 2 * LAPSE_MS)
    assert settled.next == 0
    assert isinstance(take(door, 1, NOW_MS + HOLD_MS, limits=limits)[1], Admitted)


def test_a_lapsed_fan_is_never_granted_in_absence() -> None:
    """Even if the sweep's bound left the entry there."""
    limits = replace(LIMITS, total_active_users=1)
    door = crowd(DOOR, [0, 1, 2, 3], NOW_MS, limits)
    door = crowd(door, [3], NOW_MS + HOLD_MS - 5_000, limits)

    door, settled = settle(door, LINE, limits, NOW_MS + HOLD_MS, Bounds(lapses=1, candidates=9))

    assert settled.granted == 1
    assert who_is_in(door) == [0, 3]


def test_one_settling_is_bounded_and_asks_for_another() -> None:
    """At most so many at once; ``more`` says that something is left."""
    door = crowd(DOOR, list(range(300)), NOW_MS, replace(WIDE, total_active_users=1))

    door, settled = settle(door, LINE, replace(WIDE, new_users_per_minute=60_000), NOW_MS + 5_000)
    assert (settled.granted, settled.more) == (128, True)
    door, settled = settle(door, LINE, WIDE, NOW_MS + LAPSE_MS)
    assert (settled.granted, settled.next, settled.more) == (0, 0, True)


def test_a_paused_room_admits_nobody_and_nobody_loses_the_turn() -> None:
    """An hour later the fans still stand at the door, in their order."""
    limits, hour_ms = replace(LIMITS, paused=True), 3_600_000
    door = crowd(DOOR, [5], NOW_MS, LIMITS)
    door, outcome = take(door, 3, limits=limits)
    assert outcome == Paused(0)
    assert take(door, 4, limits=limits)[1] == Paused(1)

    for at_ms in range(NOW_MS, NOW_MS + hour_ms, 5_000):
        door, settled = settle(door, LINE, limits, at_ms)
        assert settled.granted == 0
    assert settled.next == 1
    door, settled = settle(door, LINE, LIMITS, NOW_MS + hour_ms)
    assert settled.granted == 1
    assert who_is_in(door) == [3, 5]


def test_a_pause_ends_no_session() -> None:
    """Who is in stays in."""
    door, _ = take(DOOR, 3)

    assert isinstance(take(door, 3, limits=replace(LIMITS, paused=True))[1], Again)


@pytest.mark.parametrize("scarce", ["rate", "places"])
@pytest.mark.parametrize(("share", "late_in"), [(0.2, 4), (0.5, 10), (0.0, 0), (1.0, 20)])
def test_late_comers_get_their_share_whichever_limit_is_scarce(
    scarce: str, share: float, late_in: int
) -> None:
    """Of twenty grants while both classes wait; their lower ranks do not help them."""
    limits = (
        replace(LIMITS, total_active_users=1_000)
        if scarce == "rate"
        else replace(WIDE, total_active_users=1, session_ms=1_000, leeway_ms=0)
    )
    limits = replace(limits, recall_share=share)
    late, called = list(range(1, 30)), list(range(40, 70))
    now_ms = NOW_MS
    door = crowd(DOOR, [0], now_ms, limits)

    for _ in range(20):
        door = crowd(door, late, now_ms, limits, recall=True)
        door = crowd(door, called, now_ms, limits)
        now_ms += 1_000
        door, settled = settle(door, LINE, limits, now_ms)
        assert settled.granted == 1
        late = [number for number in late if number not in door.claimed]
        called = [number for number in called if number not in door.claimed]

    assert sum(number < 40 for number in who_is_in(door)) == late_in + 1


def test_late_comers_get_everything_while_nobody_else_waits() -> None:
    """No budget is left idle for the sake of a share."""
    limits = replace(WIDE, recall_share=0.2)
    door = crowd(DOOR, [1, 2, 3, 4], NOW_MS, limits, recall=True)

    assert who_is_in(door) == [1, 2, 3, 4]


def test_the_first_attempt_decides_the_class() -> None:
    """Who was in time and waits at the door does not become a late-comer there."""
    limits = replace(LIMITS, total_active_users=1)
    door = crowd(DOOR, [0, 1], NOW_MS, limits)

    door = crowd(door, [1], NOW_MS + 1_000, limits, recall=True)

    assert not door.next[sid(1)].recall


def test_time_does_not_go_back() -> None:
    """A clock set back by a minute neither revives a session nor makes tokens."""
    door = crowd(DOOR, [0], NOW_MS, LIMITS)
    door, _ = settle(door, LINE, LIMITS, NOW_MS + HOLD_MS)

    assert take(door, 0, NOW_MS)[1] == Used()
    assert door.last_ms == NOW_MS + HOLD_MS


def test_leaving_gives_the_number_up_for_good() -> None:
    """Waiting, called or inside: it is never admitted again, and a second leaving changes nothing."""
    door, outcome = leave(DOOR, LINE, place(7), sid(7), NOW_MS)
    assert outcome == Left()
    assert take(door, 7)[1] == Used()
    again, outcome = leave(door, LINE, place(7), sid(7), NOW_MS + 1)
    assert outcome == Left()
    assert again.left == door.left == 1


@pytest.mark.parametrize(
    ("after_ms", "is_free"), [(FREE_MS - 1, False), (FREE_MS, True), (FREE_MS + 1, True)]
)
def test_the_place_of_one_who_leaves_is_free_when_the_gates_know(after_ms: int, is_free: bool) -> None:
    """Two seconds later, half-open; the session's token is refused until its end."""
    limits = replace(WIDE, total_active_users=1)
    door = crowd(DOOR, [0], NOW_MS, limits)

    door, _ = leave(door, LINE, place(0), sid(0), NOW_MS)

    assert take(door, 0, limits=limits)[1] == Used()
    assert door.ended[sid(0)] == NOW_MS + HOLD_MS
    assert isinstance(take(door, 1, NOW_MS + after_ms, limits=limits)[1], Admitted) is is_free


def test_only_the_owner_of_a_number_leaves_with_it() -> None:
    """A twin, another run, or a lost line leave nothing."""
    assert leave(DOOR, LINE, place(7, 1), sid(7, 1), NOW_MS) == (DOOR, LeafMismatch())
    assert leave(DOOR, LINE, place(7, run="0b"), sid(7), NOW_MS) == (DOOR, RunOver())
    assert leave(DOOR, None, place(7), sid(7), NOW_MS) == (DOOR, Stale())


def test_who_leaves_the_door_makes_room_there() -> None:
    """An entry goes with its owner."""
    limits = replace(LIMITS, total_active_users=1)
    door = crowd(DOOR, [0, 1, 2], NOW_MS, limits)

    door, _ = leave(door, LINE, place(1), sid(1), NOW_MS)

    assert take(door, 2, limits=limits)[1] == Next(0)


@pytest.mark.parametrize(
    ("called_ms", "recall", "cohort"),
    [
        (NOW_MS, False, NOW_MS // COHORT_MS),
        (NOW_MS - 599_999, False, (NOW_MS - 599_999) // COHORT_MS),
        (NOW_MS - 600_000, False, None),
        (NOW_MS, True, None),
        (None, False, None),
    ],
)
def test_an_attempt_counts_for_the_cohort_of_its_call(
    called_ms: int | None, recall: bool, cohort: int | None
) -> None:
    """Not when it is too old, came late, or the call is not known any more."""
    own: Place = place(3, called_ms=called_ms, recall=recall)

    assert cohort_of(own, NOW_MS) == cohort
    door, _ = claim(DOOR, LINE, own, sid(3), LIMITS, NOW_MS)
    assert door.came == ({} if cohort is None else {cohort: 1})


@pytest.mark.parametrize(
    ("ahead", "rate", "expected_ms"),
    [(0, 60, 1_000), (0, 6_000, 1_000), (4, 60, 5_000), (50, 60, 10_000), (0, 1, 10_000)],
)
def test_who_stands_at_the_door_is_asked_back_in_time(ahead: int, rate: int, expected_ms: int) -> None:
    """When the turn is due, and thrice before the entry lapses."""
    assert retry_after_ms(ahead, replace(LIMITS, new_users_per_minute=rate)) == expected_ms


@pytest.mark.parametrize(
    ("ahead", "expected_ms"), [(0, 2_000), (60, 3_000), (1_200, 60_000), (10**9, 60_000)]
)
def test_who_is_not_called_is_asked_back_by_distance(ahead: int, expected_ms: int) -> None:
    """A twentieth of the wait at 60 a minute, 2 to 60 seconds."""
    assert poll_ms(ahead, LIMITS) == expected_ms
