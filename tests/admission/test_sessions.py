"""Session: ending, renewing, and coming back after a loss, with the edges of time."""

from dataclasses import replace

import pytest

from admission.door import Door, Entry, Stay
from admission.limits import Limits
from admission.sessions import (
    FREE_MS,
    Already,
    EarlierRun,
    Ended,
    Kept,
    Over,
    Renewed,
    Unknown,
    end,
    renew,
)
from tests.admission.doors import LIMITS, NOW_MS, RUN

SID = "sid"
HOLD_MS = LIMITS.hold_ms
STAY = Stay(NOW_MS, RUN, "standard")
LIVE = Door(sessions={SID: NOW_MS + HOLD_MS}, stays={SID: STAY})
MINUTE_MS = 60_000


def test_an_ended_session_is_refused_to_its_end_and_its_place_is_free_soon() -> None:
    """The gates learn of it within two seconds."""
    door, outcome = end(LIVE, SID, LIMITS, NOW_MS + 1_000)

    assert outcome == Ended(NOW_MS + HOLD_MS)
    assert door.sessions[SID] == NOW_MS + 1_000 + FREE_MS
    assert door.has_ended(SID, NOW_MS + HOLD_MS - 1)
    assert not door.has_ended(SID, NOW_MS + HOLD_MS)
    assert door.ended_version == 1


def test_ending_twice_is_ending_once() -> None:
    """The second is told so, and nothing changes."""
    door, _ = end(LIVE, SID, LIMITS, NOW_MS)

    assert end(door, SID, LIMITS, NOW_MS + 1) == (door, Already(NOW_MS + HOLD_MS))


def test_a_session_that_is_nearly_over_is_not_made_longer_by_ending_it() -> None:
    """The place is free at its own end at the latest."""
    door, _ = end(LIVE, SID, LIMITS, NOW_MS + HOLD_MS - 1)

    assert door.sessions[SID] == NOW_MS + HOLD_MS


def test_a_session_that_the_store_lost_can_be_ended() -> None:
    """Its token may be about for a full session."""
    door, outcome = end(Door(), SID, LIMITS, NOW_MS)

    assert outcome == Ended(NOW_MS + HOLD_MS)
    assert door.live(NOW_MS) == 0


def test_who_is_ended_at_the_door_does_not_stay_there() -> None:
    """An entry goes with its sid."""
    door = Door(next={SID: Entry(1, 1, "standard", recall=False, seen_ms=NOW_MS)})

    assert not end(door, SID, LIMITS, NOW_MS)[0].next


def test_renewing_gives_the_full_time_again() -> None:
    """From now on; the stay's beginning does not move."""
    door, outcome = renew(LIVE, RUN, SID, None, LIMITS, NOW_MS + 20_000)

    assert outcome == Renewed(NOW_MS + 20_000 + HOLD_MS, STAY)
    assert door.sessions[SID] == NOW_MS + 20_000 + HOLD_MS


@pytest.mark.parametrize(
    ("limits", "reason"),
    [
        (replace(LIMITS, renewal=False), "renewal is switched off"),
        (replace(LIMITS, max_session_ms=LIMITS.session_ms), "the longest stay is reached"),
        (replace(LIMITS, session_ms=1_000), "the new time ends earlier"),
    ],
)
def test_a_session_without_more_time_keeps_its_end(limits: Limits, reason: str) -> None:
    """Nothing is ever made shorter."""
    door, outcome = renew(LIVE, RUN, SID, None, limits, NOW_MS + 20_000)

    assert (door, outcome) == (LIVE, Kept(NOW_MS + HOLD_MS, STAY)), reason


def test_the_longest_stay_is_reached_to_the_millisecond() -> None:
    """The last renewal gives what is left."""
    limits = replace(LIMITS, max_session_ms=MINUTE_MS)

    _, outcome = renew(LIVE, RUN, SID, None, limits, NOW_MS + 39_999)

    assert outcome == Renewed(NOW_MS + MINUTE_MS + limits.leeway_ms, STAY)


def test_an_ended_session_does_not_come_back() -> None:
    """Also with a token that is valid by itself."""
    door, _ = end(LIVE, SID, LIMITS, NOW_MS)

    assert renew(door, RUN, SID, (STAY, NOW_MS + HOLD_MS), LIMITS, NOW_MS + 1) == (door, Over())


@pytest.mark.parametrize(("after_ms", "lives"), [(HOLD_MS - 1, True), (HOLD_MS, False), (HOLD_MS + 1, False)])
def test_a_session_is_renewed_until_its_end(after_ms: int, lives: bool) -> None:
    """Half-open, as everywhere."""
    _, outcome = renew(LIVE, RUN, SID, None, LIMITS, NOW_MS + after_ms)

    assert isinstance(outcome, Renewed if lives else Unknown)


@pytest.mark.parametrize(("after_ms", "comes_back"), [(HOLD_MS - 1, True), (HOLD_MS, False)])
def test_a_session_that_the_store_lost_comes_back_with_its_token(after_ms: int, comes_back: bool) -> None:
    """It takes a place again, so the count is honest; without a token there is nothing to believe."""
    token = (STAY, NOW_MS + HOLD_MS)

    door, outcome = renew(Door(), None, SID, token, LIMITS, NOW_MS + after_ms)

    assert isinstance(outcome, Renewed if comes_back else Unknown)
    assert door.live(NOW_MS + after_ms) == int(comes_back)
    assert renew(Door(), RUN, SID, None, LIMITS, NOW_MS)[1] == Unknown()


def test_a_session_comes_back_even_where_nothing_is_renewed() -> None:
    """To its own end."""
    limits = replace(LIMITS, renewal=False)

    door, outcome = renew(Door(), RUN, SID, (STAY, NOW_MS + HOLD_MS), limits, NOW_MS + 5)

    assert outcome == Kept(NOW_MS + HOLD_MS, STAY)
    assert door.sessions == {SID: NOW_MS + HOLD_MS}


def test_who_comes_back_with_a_token_does_not_wait_at_the_door_as_well() -> None:
    """One fan, one of both."""
    door = Door(next={SID: Entry(1, 1, "standard", recall=False, seen_ms=NOW_MS)})

    door, _ = renew(door, RUN, SID, (STAY, NOW_MS + HOLD_MS), LIMITS, NOW_MS)

    assert not door.next
    assert door.live(NOW_MS) == 1


def test_a_session_of_an_earlier_run_lasts_to_its_end_and_no_longer() -> None:
    """A new opening of the room has its own fans; without a line nobody can tell, so the token is believed."""
    assert renew(LIVE, "0b", SID, None, LIMITS, NOW_MS) == (LIVE, EarlierRun())
    assert isinstance(renew(LIVE, None, SID, None, LIMITS, NOW_MS + 1)[1], Renewed)
