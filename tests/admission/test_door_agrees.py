"""The rules of the door and its Lua files are one thing: a machine plays both and compares.

The store is real. Waits are drawn from the edges of every duration, limits are small, and the bounds of one settling
are so small that they are reached. Below stand the mutants: each breaks one guard in Lua, and the machine must
notice.
"""

import asyncio
from dataclasses import replace
from typing import ClassVar

import pytest
from hypothesis import HealthCheck, seed, settings
from hypothesis import Phase as Step
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test
from redis.asyncio import Redis

from admission import claim as rules
from admission import guests, sessions
from admission.claim import LAPSE_MS, Bounds
from admission.door import Door, LineNow, Stay
from admission.guests import By
from admission.sessions import FREE_MS
from admission.store import _LUA, AdmissionStore
from kernel.clock import SET_BACK_MS
from kernel.errors import Unavailable
from kernel.lua import Script, load
from kernel.store import connect
from tests.admission.doors import (
    KEYS,
    LIMITS,
    LINE,
    NOW_MS,
    NUMBERS,
    ROOM,
    RUN,
    a_line,
    journal,
    place,
    read_door,
    sid,
    write_line,
)

HOLD_MS = LIMITS.hold_ms
EDGES = [edge + step for edge in (1000, FREE_MS, LAPSE_MS, HOLD_MS) for step in (-1, 0, 1)]
STEPS_MS = st.sampled_from([-5000, 0, 0, 1, -SET_BACK_MS, -SET_BACK_MS - 1, -3_600_000, *EDGES])
NUMBER = st.sampled_from(NUMBERS)
RATES = st.sampled_from([1, 59, 60, 61, 150, 60_000])
PLACES = st.sampled_from([1, 2, 3, 3, 100])
SHARES = st.sampled_from([0.0, 0.2, 0.5, 1.0])
LOST = frozenset(NUMBERS[4:7])
"""Numbers whose slots begin empty."""

ISSUED = NUMBERS[-1] + 1

VOID = frozenset(NUMBERS[5:7])
"""Those of them that lie in a void range."""

BEGUN = replace(LINE, issued=ISSUED)

SOME, BEGINNINGS = 5, 200
"""A mutant is played so many examples from so many beginnings before it counts as missed."""

BY = By("Ann", "a script of the shop")
SMALL = Bounds(lapses=1, sweeps=2, candidates=3)


class Machine(RuleBasedStateMachine):
    """Plays the same moves on the rules and on the store."""

    url = ""
    scripts: ClassVar[dict[str, Script]] = {}

    def __init__(self) -> None:
        """Begin with an empty store."""
        super().__init__()
        self.loop = asyncio.Runner()
        self.client = connect(self.url)
        self.store = AdmissionStore(self.client, self.scripts)
        self.now_ms = NOW_MS
        self.line: LineNow | None = BEGUN
        self.kept: LineNow = BEGUN
        self.limits = LIMITS
        self.door = Door()

    def teardown(self) -> None:
        """Look at the journal, then close the client in its own loop."""
        try:
            self.no_number_is_admitted_twice()
        finally:
            self.close()

    def close(self) -> None:
        """Close the client in its own loop."""
        self.loop.run(self.client.aclose())
        self.loop.close()

    @initialize()
    def begin(self) -> None:
        """Open a line with some numbers; three of them have lost their leaves."""
        self.loop.run(self.client.flushall())
        self.door = self.loop.run(a_line(self.client, BEGUN, tuple(n for n in NUMBERS if n not in LOST)))

    @rule(step=STEPS_MS)
    def wait(self, step: int) -> None:
        """Let time pass, or jump back."""
        self.now_ms += step

    @rule(
        rate=RATES,
        most=PLACES,
        paused=st.sampled_from([False, False, False, True]),
        share=SHARES,
        renewal=st.booleans(),
        longest=st.sampled_from([HOLD_MS, 86_400_000]),
    )
    def steer(self, rate: int, most: int, paused: bool, share: float, renewal: bool, longest: int) -> None:
        """Change the limits."""
        self.limits = replace(
            self.limits, new_users_per_minute=rate, total_active_users=most, paused=paused,
            recall_share=share, renewal=renewal, max_session_ms=longest,
        )  # fmt: skip

    @rule(
        phase=st.sampled_from([*["serving"] * 6, "draining", "gathering", "ended", "idle"]),
        serving=st.sampled_from([0, 3, 36, 1000, 1000, 1000]),
        seed=st.sampled_from([*[""] * 7, "5eed"]),
        epoch=st.sampled_from([2, 3]),
        run=st.sampled_from([*[RUN] * 7, "00000000000000bb"]),
    )
    def move_line(self, phase: str, serving: int, seed: str, epoch: int, run: str) -> None:
        """Change what the line says; in the later epoch some have been slowed, and some asked."""
        thresholds = {"verified": 1000, "standard": serving, "suspect": 0}
        later = epoch - 2
        asked = dict(zip(NUMBERS[2 : 2 + 2 * later], ["prove", "step-up"], strict=False))
        self.kept = LineNow(
            run, epoch, phase, thresholds, seed, ISSUED, frozenset(NUMBERS[: 2 * later]), asked
        )
        if self.line is not None:
            self.line = self.kept
        self.loop.run(write_line(self.client, self.line))

    @rule(lost=st.sampled_from([*[False] * 7, True]))
    def lose_line(self, lost: bool) -> None:
        """Lose the line, or get it back."""
        self.line = None if lost else self.kept
        self.loop.run(write_line(self.client, self.line))

    @rule(
        number=NUMBER,
        twin=st.sampled_from([0, 0, 0, 1]),
        recall=st.sampled_from([False, False, True]),
        called_ms=st.sampled_from([None, NOW_MS, NOW_MS - 599_999, NOW_MS - 600_000]),
        epoch=st.sampled_from([1, 2]),
        seed=st.sampled_from(["", "", "", "5eed"]),
        lane=st.sampled_from(["standard", "standard", "standard", "verified", "suspect"]),
    )
    def claim(
        self, number: int, twin: int, recall: bool, called_ms: int | None, epoch: int, seed: str, lane: str
    ) -> None:
        """Claim, also with a twin's ticket, an old rank, or in a lane that is not called."""
        own = place(
            number, twin, recall=recall, called_ms=called_ms, epoch=epoch, seed=seed, lane=lane,
            void=number in VOID, checks=epoch == 2,
        )  # fmt: skip
        before = self.door.live(max(self.now_ms, self.door.last_ms))
        self.door, expected = rules.claim(
            self.door, self.line, own, sid(number, twin), self.limits, self.now_ms
        )
        answer = self.loop.run(
            self.store.claim(own, sid(number, twin), self.limits, self.now_ms, self.now_ms)
        )
        assert answer == expected
        if isinstance(expected, rules.Admitted):
            assert before < self.limits.total_active_users
            assert not self.limits.paused

    @rule(
        rate=RATES,
        most=PLACES,
        paused=st.sampled_from([False, False, True]),
        share=SHARES,
        fans=st.lists(
            st.tuples(NUMBER, st.booleans()), min_size=2, max_size=10, unique_by=lambda fan: fan[0]
        ),
        step=st.sampled_from([-5000, 1000, FREE_MS, LAPSE_MS - 1, LAPSE_MS, HOLD_MS - 1, HOLD_MS]),
        again=st.booleans(),
        act=st.sampled_from(
            ["settle", "end", "leave", "renew", "evict", "evict and reinstate", "evict late"]
        ),
    )
    def crowd(
        self,
        rate: int,
        most: int,
        paused: bool,
        share: float,
        fans: list[tuple[int, bool]],
        step: int,
        again: bool,
        act: str,
    ) -> None:
        """Let several fans claim at an open room, time pass to an edge, and something happen to the first."""
        self.move_line("serving", 1000, "", 2, RUN)
        self.lose_line(lost=False)
        self.steer(rate, most, paused, share, renewal=True, longest=HOLD_MS)
        self._claim_all(fans)
        self.now_ms += step
        if again:
            self._claim_all(fans)
        number = fans[0][0]
        match act:
            case "end":
                self.end(number, sessions.Why.FINISHED)
            case "leave":
                self.leave(number, 0, 1)
            case "renew":
                self.renew(number, HOLD_MS - 1, RUN)
            case "evict":
                self.evict(number, known=True, run=RUN)
            case "evict late":
                self.evict(number, known=False, run=RUN)
                self.evict(number, known=True, run=RUN)
                self.reinstate(number, run=RUN)
            case "evict and reinstate":
                self.evict(number, known=True, run=RUN)
                self.reinstate(number, run=RUN)
                self.claim(number, 0, False, NOW_MS, 1 if number in LOST else 2, "", "standard")
        if paused:
            self.settle()
            self.steer(rate, most, paused=False, share=share, renewal=True, longest=HOLD_MS)
        self.settle()

    def _claim_all(self, fans: list[tuple[int, bool]]) -> None:
        for number, recall in fans:
            self.claim(number, 0, recall, NOW_MS, 1 if number in LOST else 2, "", "standard")

    @rule()
    def settle(self) -> None:
        """Let the tick come."""
        self.door, expected = rules.settle(self.door, self.line, self.limits, self.now_ms, SMALL)
        answer = self.loop.run(
            self.store.settle(ROOM, KEYS, NUMBERS[-1] + 1, self.limits, self.now_ms, SMALL)
        )
        assert answer.settled == expected
        assert (answer.admitted, answer.tat_us) == (self.door.admitted, self.door.tat_us)
        assert answer.now_ms == self.door.last_ms

    @rule(number=NUMBER, twin=st.sampled_from([0, 0, 1]), epoch=st.sampled_from([1, 2]))
    def leave(self, number: int, twin: int, epoch: int) -> None:
        """Give a place up."""
        own = place(number, twin, epoch=epoch, void=number in VOID)
        self.door, expected = rules.leave(self.door, self.line, own, sid(number, twin), self.now_ms)
        assert self.loop.run(self.store.leave(own, sid(number, twin), self.now_ms)) == expected

    @rule(number=NUMBER, why=st.sampled_from(list(sessions.Why)))
    def end(self, number: int, why: sessions.Why) -> None:
        """End a session, or one that is not there."""
        self.door, expected = sessions.end(self.door, sid(number), self.limits, self.now_ms)
        answer = self.loop.run(self.store.end(ROOM, KEYS, sid(number), why, self.limits, self.now_ms))
        assert answer == expected

    @rule(
        number=NUMBER, age=st.sampled_from([None, 0, HOLD_MS - 1, HOLD_MS]), run=st.sampled_from([RUN, "0b"])
    )
    def renew(self, number: int, age: int | None, run: str) -> None:
        """Renew a session, with or without its token, which may be old."""
        token = None
        if age is not None:
            since_ms = self.now_ms - age
            token = (Stay(since_ms, run, "standard"), since_ms + HOLD_MS)
        line_run = self.line.run if self.line else None
        self.door, expected = sessions.renew(
            self.door, line_run, sid(number), token, self.limits, self.now_ms
        )
        answer = self.loop.run(self.store.renew(ROOM, KEYS, sid(number), token, self.limits, self.now_ms))
        assert answer == expected

    @rule(
        number=st.sampled_from([*NUMBERS, ISSUED]), known=st.booleans(), run=st.sampled_from([RUN, RUN, "0b"])
    )
    def evict(self, number: int, known: bool, run: str) -> None:
        """Keep a number from its turn; its session may not be known."""
        name = sid(number) if known else ""
        self.door, expected = guests.evict(self.door, self.line, run, number, name, self.now_ms)
        answer = self.loop.run(self.store.evict(ROOM, KEYS, run, number, name, BY, self.now_ms))
        assert answer == expected

    @rule(number=st.sampled_from([*NUMBERS, ISSUED]), run=st.sampled_from([RUN, RUN, "0b"]))
    def reinstate(self, number: int, run: str) -> None:
        """Give a number its place back."""
        self.door, expected = guests.reinstate(self.door, self.line, run, number, self.now_ms)
        assert self.loop.run(self.store.reinstate(ROOM, KEYS, run, number, BY, self.now_ms)) == expected

    @invariant()
    def the_store_says_what_the_rules_say(self) -> None:
        """Every stored field equals the rules'."""
        assert self.loop.run(read_door(self.client, self.store.keys(ROOM))) == self.door

    def no_number_is_admitted_twice(self) -> None:
        """The journal has one admission for a number, and as many as were counted."""
        acts = [act for act in self.loop.run(journal(self.client)) if act["kind"] == "admitted"]
        assert len(acts) == self.door.admitted
        assert len({act["number"] for act in acts}) == len(acts)

    @invariant()
    def whoever_stands_at_the_door_has_not_been_admitted(self) -> None:
        """An entry and a session exclude each other."""
        now_ms = max(self.now_ms, self.door.last_ms)
        assert not [name for name in self.door.next if self.door.lives(name, now_ms)]


def play(url: str, scripts: dict[str, Script], examples: int, beginning: int | None = None) -> None:
    """Run the machine against `scripts`; with a `beginning` always the same moves, and no shrinking."""
    machine = type("Played", (Machine,), {"url": url, "scripts": scripts})
    run_state_machine_as_test(
        machine if beginning is None else seed(beginning)(machine),
        settings=settings(
            max_examples=examples,
            stateful_step_count=20,
            deadline=None,
            database=None,
            report_multiple_bugs=False,
            phases=[Step.generate, Step.shrink] if beginning is None else [Step.generate],
            suppress_health_check=list(HealthCheck),
        ),
    )


def is_caught(url: str, scripts: dict[str, Script], beginning: int) -> bool:
    """Tell whether the machine notices, playing a little from one beginning after another."""
    for again in (beginning, *range(BEGINNINGS)):
        try:
            play(url, scripts, SOME, again)
        except (AssertionError, Unavailable):
            return True
    return False


def test_rule_and_lua_agree(store_url: str) -> None:
    """Whatever is done in whatever order, both say the same words and hold the same state."""
    play(store_url, {}, 60)


@pytest.mark.parametrize(
    ("name", "old", "new", "beginning"),
    [
        pytest.param(
            "claim", "'+inf') < total_active_users", "'+inf') <= total_active_users", 6, id="one too many"
        ),
        pytest.param(
            "claim", "interval_us * (burst - 1) <= now_us", "interval_us * burst <= now_us", 0, id="burst + 1"
        ),
        pytest.param(
            "claim",
            "math.max(now_us, tat_us) + interval_us",
            "math.max(now_us, tat_us)",
            0,
            id="tokens cost nothing",
        ),
        pytest.param(
            "claim", "redis.call('ZRANGE', turn, 0, 0)[1] ~= sid", "false", 3, id="by luck, not by rank"
        ),
        pytest.param("claim", "if waits >= 0 or", "if waits > 0 or", 0, id="one rank too early"),
        pytest.param(
            "claim", "if held_ms > now then", "if held_ms >= now then", 11, id="a session lives 1 ms too long"
        ),
        pytest.param(
            "claim", "redis.call('ZSCORE', ended, sid) or 0) > now", "0) > now", 0, id="the ended come back"
        ),
        pytest.param("claim", "redis.call('SETBIT', claimed, bit, 1)", "", 0, id="a number counts twice"),
        pytest.param("claim", "if stored ~= leaf then", "if false then", 0, id="any ticket owns any number"),
        pytest.param("claim", "void ~= '1' or ", "", 3, id="empty slots are filled outside void ranges"),
        pytest.param(
            "claim", "epoch >= tonumber(known[2])", "false", 9, id="tickets of today fill lost slots"
        ),
        pytest.param("claim", "(known[5] or '') ~= seed", "false", 0, id="a rank from before the draw"),
        pytest.param("claim", "paused ~= '1' and tat_us", "tat_us", 1, id="a paused room admits"),
        pytest.param("claim", "math.max(now_ms, tonumber(state[1] or 0))", "now_ms", 3, id="time goes back"),
        pytest.param(
            "claim", "if due >= 1000 then", "if due > 1000 then", 10, id="recall waits one grant too long"
        ),
        pytest.param(
            "claim",
            "class, is_new = recall, false",
            "class, is_new = next, false",
            1,
            id="late-comers change class",
        ),
        pytest.param(
            "settle",
            "now >= math.max(seen_ms, paused_ms)",
            "now > math.max(seen_ms, paused_ms)",
            0,
            id="lapse",
        ),
        pytest.param(
            "settle", "if now >= paused_ms + lapse_ms then", "if true then", 3, id="a pause costs the turn"
        ),
        pytest.param(
            "settle", "live < total_active_users", "live <= total_active_users", 4, id="settles one too many"
        ),
        pytest.param("settle", "(burst - 1) > now_us", "burst > now_us", 3, id="settles a burst too large"),
        pytest.param(
            "settle", "if due_after >= 1000 then", "if due_after > 1000 then", 7, id="recall waits longer"
        ),
        pytest.param("settle", "and paused ~= '1'", "", 1, id="a paused room settles"),
        pytest.param(
            "settle", "last_ms - now_ms > set_back_ms and now_ms or ", "", 11, id="waits for a clock set back"
        ),
        pytest.param(
            "settle",
            "math.min(tonumber(state[2] or 0), now_us + interval_us * burst)",
            "tonumber(state[2] or 0)",
            3,
            id="a slow rate's debt stays",
        ),
        pytest.param("settle", "      live = live + 1\n", "", 1, id="grants are not counted as live"),
        pytest.param(
            "settle", "sessions, '-inf', text_now", "sessions, '-inf', '(' .. text_now", 6, id="sweeps late"
        ),
        pytest.param(
            "leave",
            "redis.call('SETBIT', claimed, number % CHUNK, 1) == 0",
            "true",
            1,
            id="leaving is forgot",
        ),
        pytest.param(
            "leave", "redis.call('ZADD', ended, held_ms, sid)", "", 1, id="gates do not learn who left"
        ),
        pytest.param("leave", "if stored ~= leaf then", "if false then", 0, id="a twin gives my place up"),
        pytest.param("end", "math.min(until_ms, now + free_ms)", "now", 3, id="free before the gates know"),
        pytest.param("end", "redis.call('ZREM', next, sid)", "", 7, id="an ended sid waits at the door"),
        pytest.param(
            "renew", "redis.call('ZSCORE', ended, sid) or 0) > now", "0) > now", 5, id="the ended renew"
        ),
        pytest.param(
            "renew",
            "math.min(now + hold_ms, since_ms + longest_ms)",
            "now + hold_ms",
            3,
            id="no longest stay",
        ),
        pytest.param(
            "renew", "if renewal == '1' then", "if true then", 48, id="renewal cannot be switched off"
        ),
        pytest.param(
            "renew", "if token_until_ms <= now then", "if false then", 1, id="old tokens bring sessions back"
        ),
        pytest.param("renew", "known[1] and run ~= known[1]", "false", 1, id="yesterday's sessions renew"),
        pytest.param(
            "claim", "redis.call('HEXISTS', evicted, number) == 1", "false", 0, id="the evicted claim"
        ),
        pytest.param(
            "settle", " or redis.call('HEXISTS', evicted, number) == 1", "", 1, id="the evicted are served"
        ),
        pytest.param("evict", "tonumber(number) >=", "tonumber(number) >", 1, id="evicts beyond the end"),
        pytest.param("evict", "known[1] ~= run or", "", 1, id="evicts in another run"),
        pytest.param("evict", "math.min(held_ms, now + free_ms)", "now", 4, id="freed before gates know"),
        pytest.param(
            "evict", "redis.call('ZADD', ended, held_ms, sid)", "", 4, id="gates do not learn who was evicted"
        ),
        pytest.param("evict", "if held_ms > now then", "if held_ms >= now then", 17, id="ends what is over"),
        pytest.param("evict", "<= now then", "< 0 then", 4, id="ends twice what is ended"),
        pytest.param("evict", "if before and until_ms == 0", "if before", 6, id="a late session lives on"),
        pytest.param("reinstate", "redis.call('HDEL', evicted, number)", "", 0, id="never gives back"),
        pytest.param("reinstate", "redis.call('ZREM', ended, sid)", "", 4, id="comes back and is refused"),
        pytest.param("reinstate", "known[1] ~= run or", "", 0, id="gives back in another run"),
    ],
)
def test_the_machine_catches_the_mutant(
    store_url: str, name: str, old: str, new: str, beginning: int
) -> None:
    """Each guard, taken out of the Lua file, is missed. `beginning` is where that shows soonest, no more."""
    mutant = load(_LUA / f"{name}.lua").mutated(old, new)

    assert is_caught(store_url, {name: mutant}, beginning)


def test_the_scripts_as_they_are_pass_what_catches_the_mutants(store_url: str) -> None:
    """The same moves find nothing in the shipped files, so it is the mutants that they find."""
    for beginning in (*range(12), 17, 48):
        play(store_url, {}, SOME, beginning)


async def test_an_older_ticket_of_who_was_slowed_is_no_faster_and_is_for_the_mutant(store: Redis) -> None:
    """The store knows the lane; the ticket from before still says standard."""
    script, outcomes = load(_LUA / "claim.lua"), []
    for one in (script, script.mutated("if held_back and not way then", "if false then")):
        await store.flushall()
        await a_line(store, replace(LINE, slowed=frozenset({3})))
        here = AdmissionStore(store, {"claim": one})
        outcomes.append(await here.claim(place(3), sid(3), LIMITS, NOW_MS, NOW_MS))
    await store.aclose()

    assert outcomes == [rules.Waiting(3), rules.Admitted(NOW_MS, NOW_MS + HOLD_MS)]


async def test_who_was_asked_claims_after_the_check_and_the_mutant_does_not_wait(store: Redis) -> None:
    """Called and asked: the check is first, where the room still asks for one; nothing at the door changes by it."""
    script, outcomes = load(_LUA / "claim.lua"), []
    line = replace(LINE, asked={3: "step-up"})
    for one, checks, now in [
        (script, True, line),
        (script.mutated("if way and checks == '1' then", "if false then"), True, line),
        (script, False, line),
        (script, True, LINE),
        (script, True, replace(line, serving={"verified": 3, "standard": 3, "suspect": 0})),
    ]:
        await store.flushall()
        await a_line(store, now)
        here, own = AdmissionStore(store, {"claim": one}), place(3, checks=checks)
        outcomes.append(await here.claim(own, sid(3), LIMITS, NOW_MS, NOW_MS))
        assert rules.claim(Door(leaves={3: own.leaf}), now, own, sid(3), LIMITS, NOW_MS)[1] == (
            outcomes[-1] if one is script else rules.Check("step-up")
        )
    await store.aclose()

    let_in = rules.Admitted(NOW_MS, NOW_MS + HOLD_MS)
    assert outcomes == [rules.Check("step-up"), let_in, let_in, let_in, rules.Waiting(0)]
