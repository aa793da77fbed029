"""The scripts: what each kind of fan does, before a room that keeps its promises."""

import asyncio
from collections import Counter
from dataclasses import replace
from itertools import pairwise

import pytest

from gateway.crowd.browser import Listening, Venue
from gateway.crowd.clock import WallClock
from gateway.crowd.crowd import Hooks, Result, Unreachable, run_crowd
from gateway.crowd.observed import EXPECTED, Outcome, Route
from gateway.crowd.plan import Drill, Limits, Plan, Script
from gateway.crowd.scripts import FORGERIES, STORIES, forge
from gateway.crowd.verdict import State
from gateway.crowd.watch import Watch
from gateway.crowd.wire import Answer
from tests.gateway.crowd.naive_room import NaiveRoom
from tests.gateway.crowd.virtual import run_virtually

PLAN = Plan(fans=24, duration_s=4.0, linger_s=90.0, shape="constant", away_s=2.0, patience_s=3.0)


def send(
    plan: Plan, room: NaiveRoom | None = None, drills: tuple[Drill, ...] = ()
) -> tuple[Result, NaiveRoom]:
    """Send a crowd in virtual time; give the room back as well."""

    async def run() -> tuple[Result, NaiveRoom]:
        now_s = asyncio.get_running_loop().time
        before = room or NaiveRoom(now_s)
        hooks = Hooks(drills=drills, asker=before.at, seconds=now_s, wall_ms=lambda: now_s() * 1000)
        return await run_crowd(plan, hooks), before

    return run_virtually(run())


@pytest.mark.parametrize("script", list(Script))
def test_every_script_ends_as_it_says(script: Script) -> None:
    """A crowd of one kind: every fan's outcome is one that its script expects."""
    result, _ = send(replace(PLAN, mix={script: 1.0}))

    assert {file.outcome for file in result.observed.fans} <= EXPECTED[script]
    assert result.matched == PLAN.fans


def test_every_script_has_a_story_and_an_expectation() -> None:
    """No kind of fan is forgotten."""
    assert set(STORIES) == set(EXPECTED) == set(Script)


def test_a_steady_fan_finishes_by_the_link_of_the_shop() -> None:
    """The session ends where the shop's own page says."""
    result, room = send(replace(PLAN, mix={Script.STEADY: 1.0}, finish_ratio=1.0))

    assert Counter(file.outcome for file in result.observed.fans) == {Outcome.FINISHED: PLAN.fans}
    assert len(set(room.finished)) == PLAN.fans


def test_late_fans_come_within_the_claim_window_and_after_it() -> None:
    """Half come in time, half are recalled; all get in."""
    result, _ = send(replace(PLAN, mix={Script.LATE: 1.0}))

    away = [
        file.admitted_s - file.called_s
        for file in result.observed.fans
        if file.admitted_s is not None and file.called_s is not None
    ]
    assert min(away) < 3.5
    assert max(away) > 30.0


def test_a_double_click_is_two_joins_and_one_number() -> None:
    """Both answers are compared."""
    result, room = send(replace(PLAN, mix={Script.DOUBLE_CLICK: 1.0}))

    assert len(result.observed.joins) == 2 * PLAN.fans
    assert room.line.issued == PLAN.fans


def test_two_tabs_claim_twice_and_get_one_session() -> None:
    """Two admissions in the records, one sid for each ticket."""
    result, room = send(replace(PLAN, mix={Script.TWO_TABS: 1.0}))

    assert len(result.observed.admissions) == 2 * PLAN.fans
    assert len(room.line.since_ms) == PLAN.fans


def test_fans_ask_as_often_as_they_are_told() -> None:
    """No poll sooner than four fifths of two seconds after the last one."""
    result, _ = send(replace(PLAN, mix={Script.STEADY: 1.0}, fans=1, view_ratio=0.0), None)
    seconds = sorted(result.observed.requests[Route.STATUS].elements())

    assert all(later - earlier >= 1 for earlier, later in pairwise(seconds))


def test_who_still_waits_at_the_end_is_sent_home_and_called_over_the_roll() -> None:
    """The place is kept, so nothing is red; but nobody counts as through."""

    async def run() -> Result:
        now_s = asyncio.get_running_loop().time
        room = NaiveRoom(now_s, per_minute=60)
        plan = replace(PLAN, mix={Script.STEADY: 1.0}, fans=60, linger_s=5.0)
        return await run_crowd(plan, Hooks(asker=room.at, seconds=now_s, wall_ms=lambda: now_s() * 1000))

    result = run_virtually(run())
    waiting = [file for file in result.observed.fans if file.outcome is Outcome.WAITING]

    assert result.is_green
    assert result.verdict("outcomes").state is State.GREEN
    assert result.observed.roll_called == result.observed.roll_answered == len(waiting) > 30
    assert result.matched < 30


def test_a_crowd_that_is_sent_home_early_lets_nobody_else_set_off() -> None:
    """Ctrl-C: who has not come yet stays outside."""

    async def run() -> Result:
        loop = asyncio.get_running_loop()
        room = NaiveRoom(loop.time)
        hooks = Hooks(
            asker=room.at,
            seconds=loop.time,
            wall_ms=lambda: loop.time() * 1000,
            closing=lambda close: loop.call_later(2.0, close) and None,
        )
        return await run_crowd(replace(PLAN, fans=100), hooks)

    result = run_virtually(run())

    outcomes = Counter(file.outcome for file in result.observed.fans)
    assert 35 < outcomes[Outcome.OUTSIDE] < 65
    assert result.is_green
    assert result.observed.ended_s < 5


def test_a_drill_takes_place_even_when_everybody_is_through() -> None:
    """What was planned is done before the roll is called."""
    done: list[str] = []

    async def act() -> None:
        done.append("harm")

    result, _ = send(replace(PLAN, fans=2, mix={Script.GHOST: 1.0}), None, (Drill(60.0, "late harm", act),))

    assert done == ["harm"]
    assert result.observed.roll_called == 2
    assert result.observed.outages[0].until_s == pytest.approx(70.0, abs=0.1)


def test_a_drill_starts_when_it_is_ready() -> None:
    """What is waited for comes before the harm: nothing of that time counts as lost or as harmed."""
    done: list[str] = []

    async def ready() -> None:
        await asyncio.sleep(5)
        done.append("ready")

    async def act() -> None:
        done.append("harm")

    drill = Drill(60.0, "late harm", act, ready=ready)
    result, _ = send(replace(PLAN, fans=2, mix={Script.GHOST: 1.0}), None, (drill,))

    assert done == ["ready", "harm"]
    assert result.observed.outages[0].since_s == pytest.approx(65.0, abs=0.1)


class Canned:
    """Whoever answers at the address: gives the answers one by one, then 503."""

    def __init__(self, *answers: Answer) -> None:
        self.asked: list[tuple[bytes, bytes]] = []
        self._answers = list(answers)

    async def ask(self, method: bytes, path: bytes, headers: bytes = b"", body: bytes = b"") -> Answer:
        """Give the next answer."""
        del body
        self.asked.append((method + b" " + path, headers))
        return self._answers.pop(0) if self._answers else Answer(503, b"{}")

    async def ask_and_hang_up(
        self, method: bytes, path: bytes, headers: bytes = b"", body: bytes = b""
    ) -> None:
        """Nobody does that here."""
        raise AssertionError((method, path, headers, body))

    async def stream(self, path: bytes, headers: bytes = b"") -> Listening:
        """Nobody does that here either."""
        raise AssertionError((path, headers))


@pytest.mark.parametrize(
    ("status", "body", "sentence"),
    [
        (404, b"", "no room 'main'"),
        (200, b"<html>", "no waiting room: not a key set"),
        (503, b"{}", "is ready: 503"),
    ],
)
def test_a_room_that_is_not_there_is_told_before_anybody_sets_off(
    status: int, body: bytes, sentence: str
) -> None:
    """A wrong name, something else at the address, or a room that is not ready."""
    other = Canned(Answer(status, body), Answer(status, body))

    with pytest.raises(Unreachable, match=sentence):
        run_virtually(run_crowd(PLAN, Hooks(asker=lambda _: other)))


def test_no_forgery_is_the_ticket() -> None:
    """Each kind differs from the genuine paper and from the others."""
    ticket = "k1.YWJjZGVm.bWFjbWFj"
    forged = [forge(ticket, how) for how in FORGERIES]

    assert len({ticket.encode(), *forged}) == len(FORGERIES) + 1


def test_the_operators_port_tells_the_limits_and_the_number_of_sessions() -> None:
    """By the operator's token; what it does not tell is not known."""
    result, _ = send(replace(PLAN, fans=1))
    operator = Canned(Answer(200, b'{"new_users_per_minute": 120, "total_active_users": 60}'))

    async def run() -> list[Limits]:
        venue = Venue(PLAN, operator, lambda: 0.0, WallClock(lambda: 0.0, lambda: 0.0))
        watch = Watch(operator, replace(PLAN, operator_token="t" * 20), venue)  # type: ignore[arg-type]
        return [await watch.limits(), await watch.limits()]

    assert run_virtually(run()) == [Limits(120.0, 60), Limits(None, None)]
    assert operator.asked[0][0] == b"GET /api/rooms/main"
    assert b"authorization: Bearer " + b"t" * 20 in operator.asked[0][1]
    assert result.verdict("rate-exact").state is State.NOT_JUDGED


def test_a_session_that_runs_out_in_the_shop_has_ended_by_itself() -> None:
    """Who looks around for longer than the session lasts finds the room again, and that is as it should be."""

    async def run() -> Result:
        now_s = asyncio.get_running_loop().time
        room = NaiveRoom(now_s, session_s=2, strict_times=True)
        plan = replace(PLAN, mix={Script.STEADY: 1.0}, think_s=6.0, finish_ratio=1.0)
        return await run_crowd(plan, Hooks(asker=room.at, seconds=now_s, wall_ms=lambda: now_s() * 1000))

    result = run_virtually(run())

    assert result.is_green
    assert {file.outcome for file in result.observed.fans} == {Outcome.FINISHED, Outcome.STAYED}
