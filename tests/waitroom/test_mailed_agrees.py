"""The rules of a mailed number and their Lua files are one thing; and each guard, taken out, is missed at once.

Times are drawn from the edges of the ten minutes that a number lasts, and of the bucket of an address.
"""

import asyncio
from typing import ClassVar

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import Phase as Step
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from kernel.lua import Script, load
from kernel.store import connect
from waitroom import mailed as rules
from waitroom.mailed import ADDRESS_RATE, KEEP_MS, TRIES_MOST, Pending
from waitroom.mailed_store import _LUA, SLACK_MS, MailedStore, bucket_key, pending_key

ROOM = "main"
START_MS = 1_800_000_000_000
EVERY_MS = ADDRESS_RATE.interval_us // 1000
STEPS_MS = st.sampled_from([0, 1, EVERY_MS - 1, EVERY_MS, EVERY_MS + 1, KEEP_MS - 1, KEEP_MS, KEEP_MS + 1])
NAMES, TAGS, RUNS = (
    st.sampled_from(["n1", "n2"]),
    st.sampled_from(["t1", "t2"]),
    st.sampled_from(["r1", "r2"]),
)
DIGESTS = st.sampled_from(["d1", "d2", "d2", "d2"])


class Machine(RuleBasedStateMachine):
    """Plays the same moves on the rule and on the store."""

    url = ""
    scripts: ClassVar[dict[str, Script]] = {}

    def __init__(self) -> None:
        """Begin with an empty store."""
        super().__init__()
        self.loop = asyncio.Runner()
        self.client = connect(self.url)
        self.store = MailedStore(self.client, self.scripts)
        self.now_ms = START_MS
        self.pending: dict[str, Pending] = {}
        self.tats: dict[str, int] = {}

    def teardown(self) -> None:
        """Close the client in its own loop."""
        self.loop.run(self.client.aclose())
        self.loop.close()

    @initialize()
    def begin(self) -> None:
        """Empty the store."""
        self.loop.run(self.client.flushall())

    @rule(step=STEPS_MS)
    def wait(self, step: int) -> None:
        """Let time pass."""
        self.now_ms += step

    @rule(name=NAMES, tag=TAGS, run=RUNS)
    def mailed(self, name: str, tag: str, run: str) -> None:
        """Ask for a number."""
        self.tats[tag], pending, expected = rules.mailed(self.tats.get(tag, 0), run, tag, "d1", self.now_ms)
        if pending is not None:
            self.pending[name] = pending
        assert self.loop.run(self.store.mailed(ROOM, name, run, tag, "d1", now_ms=self.now_ms)) == expected

    @rule(name=NAMES, run=RUNS, digest=DIGESTS, times=st.sampled_from([1, TRIES_MOST + 1]))
    def guess(self, name: str, run: str, digest: str, times: int) -> None:
        """Type a number, mostly a wrong one, sometimes of another run or of a page that never asked; or very often."""
        for _ in range(times):
            self.one_guess(name, run, digest)

    def one_guess(self, name: str, run: str, digest: str) -> None:
        """Type a number once."""
        pending, expected = rules.guess(self.pending.get(name), run, digest, self.now_ms)
        if pending is not None:
            self.pending[name] = pending
        assert self.loop.run(self.store.guess(ROOM, name, run, digest, self.now_ms)) == expected

    @invariant()
    def the_store_says_what_the_rule_says(self) -> None:
        """Every number equals the rule's, and nothing stays for ever."""
        for name, pending in self.pending.items():
            assert self.loop.run(self.store.pending(ROOM, name)) == pending
            assert 0 < self.loop.run(self.client.pttl(pending_key(ROOM, name))) <= KEEP_MS + SLACK_MS
        for tag in self.tats:
            most_ms = EVERY_MS * ADDRESS_RATE.burst + SLACK_MS
            assert 0 < self.loop.run(self.client.pttl(bucket_key(ROOM, tag))) <= most_ms


def play(url: str, scripts: dict[str, Script], examples: int, *, shrink: bool = True) -> None:
    """Run the machine against `scripts`; a mutant need not be shrunk."""
    machine = type("Played", (Machine,), {"url": url, "scripts": scripts})
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=examples,
            stateful_step_count=25,
            deadline=None,
            database=None,
            report_multiple_bugs=False,
            phases=[Step.generate, Step.shrink] if shrink else [Step.generate],
            suppress_health_check=list(HealthCheck),
        ),
    )


def test_rule_and_lua_agree(store_url: str) -> None:
    """Whatever is done in whatever order, both say the same words and hold the same numbers."""
    play(store_url, {}, 60)


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        pytest.param("guess", "old[1] ~= run", "not old[1]", id="a number of another run"),
        pytest.param("guess", "now_ms >= tonumber(old[4])", "false", id="a number lasts for ever"),
        pytest.param("guess", "now_ms >= tonumber(old[4])", "now_ms > tonumber(old[4])", id="lasts too long"),
        pytest.param("guess", "tonumber(old[5]) >= most", "false", id="as many tries as one likes"),
        pytest.param("guess", "tonumber(old[5]) >= most", "tonumber(old[5]) > most", id="one try too many"),
        pytest.param("guess", "'wrong', 1)", "'wrong', 0)", id="tries are not counted"),
        pytest.param("mailed", "if at_us > now_us then", "if false then", id="a stranger is flooded"),
        pytest.param("mailed", "+ interval_us\nredis", "\nredis", id="mails are not counted"),
        pytest.param("mailed", "now_ms + keep_ms\nredis", "now_ms + keep_ms + 1\nredis", id="too late"),
    ],
)
def test_the_machine_catches_the_mutant(store_url: str, name: str, old: str, new: str) -> None:
    """Each guard, taken out of the Lua file, is missed at once."""
    mutant = load(_LUA / f"{name}.lua").mutated(old, new)

    with pytest.raises(AssertionError):
        play(store_url, {name: mutant}, 400, shrink=False)


def test_a_guesser_has_few_tries_an_hour() -> None:
    """Whoever asks for numbers as fast as they may, and uses up the tries of each, has at most 75 in an hour."""
    tat_us = tries = 0
    for now_ms in range(START_MS, START_MS + 3_600_000, 1000):
        tat_us, pending, _ = rules.mailed(tat_us, "r", "t", "right", now_ms)
        while pending is not None and isinstance(rules.guess(pending, "r", "wrong", now_ms)[1], rules.Wrong):
            pending, _ = rules.guess(pending, "r", "wrong", now_ms)
            tries += 1

    assert tries <= 15 * TRIES_MOST
    assert tries / 10**rules.DIGITS < 1e-4
