"""A clock that is set back by an hour stops nobody: the door and the pace go on from what it says now."""

from dataclasses import replace

import pytest
from redis.asyncio import Redis

from admission.claim import Admitted, settle
from admission.door import Entry
from admission.pace import DoorFacts, LineFacts, observe
from admission.tokens import Claims
from kernel.clock import SET_BACK_MS, later
from tests.admission.doors import LIMITS, LINE, NOW_MS, ROOM, RUN, a_line
from tests.admission.house import house
from tests.admission.test_claim import DOOR, take
from tests.admission.test_pace import Crowd
from tests.admission.test_service import granted

HOUR_MS = 3_600_000


def set_back(crowd: Crowd, by_ms: int) -> None:
    """Set the clock back under a crowd; whoever is on the way comes all the same."""
    crowd.now_ms -= by_ms
    crowd.coming = [(at_ms - by_ms, number) for at_ms, number in crowd.coming]
    crowd.called_ms = {number: at_ms - by_ms for number, at_ms in crowd.called_ms.items()}


def in_a_minute(crowd: Crowd) -> int:
    """Count admissions of the next minute."""
    before = crowd.door.admitted
    crowd.play(60)
    return crowd.door.admitted - before


def test_small_steps_back_are_held_and_large_ones_believed() -> None:
    """A stalled worker or a correction of seconds turns nothing back; a clock that was an hour ahead was wrong."""
    assert later(NOW_MS, NOW_MS - 1) == NOW_MS
    assert later(NOW_MS - SET_BACK_MS, NOW_MS) == NOW_MS
    assert later(NOW_MS - SET_BACK_MS - 1, NOW_MS) == NOW_MS - SET_BACK_MS - 1


@pytest.mark.parametrize("by_ms", [HOUR_MS, 86_400_000])
def test_the_rate_goes_on_after_the_clock_was_set_back(by_ms: int) -> None:
    """No more than the rate, and no less for long."""
    crowd = Crowd().play(120)
    usual = in_a_minute(crowd)
    set_back(crowd, by_ms)

    assert 0.85 * usual < in_a_minute(crowd) <= usual + 10
    assert 0.95 * usual < in_a_minute(crowd) <= usual + 10


def test_without_the_rule_the_line_would_stand_for_as_long(monkeypatch: pytest.MonkeyPatch) -> None:
    """The mutant: time that never goes back at all waits until the clock has caught up."""
    for module in ("admission.claim", "admission.pace"):
        monkeypatch.setattr(f"{module}.later", max)
    crowd = Crowd().play(120)
    set_back(crowd, HOUR_MS)
    crowd.play(10)

    assert in_a_minute(crowd) == 0


def test_who_stood_at_the_door_lapses_as_if_seen_now() -> None:
    """Nobody is granted in absence for an hour because they were last seen in what is now the future."""
    seen = NOW_MS + HOUR_MS
    door = replace(DOOR, last_ms=seen, paused_ms=seen, next={"gone": Entry(7, 7, "standard", False, seen)})
    full = replace(LIMITS, total_active_users=0)

    door, _ = settle(door, LINE, full, NOW_MS)
    assert (door.last_ms, door.paused_ms, door.next["gone"].seen_ms) == (NOW_MS, NOW_MS, NOW_MS)
    door, settled = settle(door, LINE, full, NOW_MS + 30_000)
    assert (settled.next, settled.granted) == (0, 0)


def test_places_are_held_as_long_as_their_tokens_are_good() -> None:
    """Tokens end by the clock, too: a place that is given up before them would let one in too many."""
    door, outcome = take(replace(DOOR, last_ms=NOW_MS + HOUR_MS), 3)
    assert isinstance(outcome, Admitted)

    door, settled = settle(door, LINE, LIMITS, NOW_MS)

    assert settled.live == 1
    assert door.last_ms == NOW_MS


def test_what_was_on_the_way_is_forgotten() -> None:
    """Calls of the future would count as people who are still to come, for an hour."""
    facts = LineFacts(RUN, 1, 1, "serving", 1_000, dict.fromkeys(("verified", "standard", "suspect"), 1))
    door = DoorFacts(live=0, next=0, recall=0, admitted=0)
    state = observe(
        None, replace(facts, serving=dict.fromkeys(facts.serving, 0)), door, LIMITS, NOW_MS + HOUR_MS
    )
    state = observe(state, facts, door, LIMITS, NOW_MS + HOUR_MS + 500)
    assert state.cohorts

    state = observe(state, facts, door, LIMITS, NOW_MS)

    assert state.cohorts == ()
    assert state.at_ms == NOW_MS


async def test_the_admitted_get_a_token_that_counts_now(store: Redis) -> None:
    """Theirs is from the future and refused; the same ticket claims the same session again, with a good one."""
    await a_line(store)
    own = house(store)
    first = own.admission.verify(ROOM, (await granted(own, 3, NOW_MS + HOUR_MS)).token, NOW_MS + HOUR_MS)

    again = await granted(own, 3, NOW_MS)
    claims = own.admission.verify(ROOM, again.token, NOW_MS)

    assert isinstance(first, Claims)
    assert isinstance(claims, Claims)
    assert again.again
    assert claims.sid == first.sid
    assert claims.admitted_ms <= NOW_MS + LIMITS.leeway_ms
    assert claims.expires_ms == first.expires_ms
