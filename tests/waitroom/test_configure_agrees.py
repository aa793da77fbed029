"""The rule ``configure`` and its Lua file are one thing: a machine plays both and compares.

The store is real; expected versions are drawn around the current one. Below stand the mutants: each takes a
guard out of the Lua, and the machine must notice.
"""

import asyncio
import json

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import Phase as Step
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test
from redis.asyncio import Redis

from kernel.lua import Script, load
from kernel.store import connect
from waitroom.configure_store import _LUA, CHANGES_KEPT, ConfigureStore, head_of
from waitroom.revision import Act, Kept, Outcome, Word, configure

ROOM = "main"
NOW_MS = 1_800_000_000_000
OFFSETS = st.sampled_from([-1, 0, 0, 1])
BASES = st.sampled_from(["live", "version", "none"])


class Machine(RuleBasedStateMachine):
    """Plays the same moves on the rule and on the store."""

    url = ""
    script: Script | None = None

    def __init__(self) -> None:
        """Connect."""
        super().__init__()
        self.loop = asyncio.Runner()
        self.client = connect(self.url)
        self.store = ConfigureStore(self.client, self.script)
        self.kept: Kept | None = None
        self.accepted = 0
        self.moves = 0

    def teardown(self) -> None:
        """Close the client in its own loop."""
        self.loop.run(self.client.aclose())
        self.loop.close()

    @initialize()
    def begin(self) -> None:
        """Begin with an empty store."""
        self.loop.run(self.client.flushall())

    @rule(act=st.sampled_from(Act), base=BASES, offset=OFFSETS)
    def move(self, act: Act, base: str, offset: int) -> None:
        """Put, remove or restore, naming a version around the current one."""
        kept = self.kept or Kept(0)
        expected = {"live": kept.live, "version": kept.version, "none": 0}[base] + offset
        if expected < 0:
            return
        self.moves += 1
        body = json.dumps({"move": self.moves})
        self.kept, wanted = configure(self.kept, act, expected)
        told = self.loop.run(
            self.store.configure(
                ROOM, act, expected, body, "ann", "why", '{"who":"ann"}', NOW_MS + self.moves
            )
        )
        assert told == wanted
        if told.word in {Word.CONFIGURED, Word.REMOVED}:
            self.accepted += 1
        if told.word in {Word.CONFIGURED, Word.REMOVED, Word.RESTORED}:
            assert json.loads(self.loop.run(self.store.text(ROOM)))["move"] == self.moves

    @invariant()
    def the_store_holds_what_the_rule_says(self) -> None:
        """The version stands at the head of the text and in it; each accepted change is journaled once."""
        text = self.loop.run(self.store.text(ROOM))
        assert head_of(text) == self.kept
        if self.kept is not None:
            kept = json.loads(text)
            assert (kept["version"], kept.get("_removed", False)) == (self.kept.version, self.kept.removed)
        assert self.loop.run(self.client.xlen(f"wr:{{{ROOM}}}:journal")) == self.accepted
        changes = self.loop.run(self.store.changes(ROOM, 500))
        assert len(changes) == min(self.accepted, CHANGES_KEPT)


def play(url: str, script: Script | None = None, *, examples: int = 60) -> None:
    """Let the machine play."""
    Machine.url, Machine.script = url, script
    few = settings(
        max_examples=examples,
        stateful_step_count=25,
        deadline=None,
        phases=[Step.generate],
        suppress_health_check=list(HealthCheck),
    )
    run_state_machine_as_test(Machine, settings=few)


def test_rule_and_script_agree(store_url: str) -> None:
    """Whatever is tried in whatever order, both give the same answer and the same state."""
    play(store_url)


@pytest.mark.parametrize(
    ("guard", "without"),
    [
        ("live ~= expected", "false"),
        ("live == 0 and (act == 'remove' or expected ~= 0)", "live == 0 and expected ~= 0"),
        ("live == 0 and (act == 'remove' or expected ~= 0)", "live == 0 and act == 'remove'"),
        ("version >= expected", "version > expected"),
        ("  live = 0\n", "  version = 0\n  live = 0\n"),
        ("begin .. '\"_removed\":true,'", "begin"),
    ],
)
def test_the_machine_notices_a_guard_taken_out(store_url: str, guard: str, without: str) -> None:
    """The mutants: without the comparison, the mark of a removed room, or the count that goes on."""
    mutant = load(_LUA / "configure.lua").mutated(guard, without)

    with pytest.raises((AssertionError, KeyError)):
        play(store_url, mutant)


async def test_the_journal_says_who_why_and_what_it_is_now(store: Redis) -> None:
    """One flat entry for each accepted change, texts only, the whole settings in it."""
    kept = ConfigureStore(store)
    await kept.configure(ROOM, Act.PUT, 0, '{"name":"main"}', "ann", "the start", '{"who":"ann"}', NOW_MS)

    (_, entry), *rest = await store.xrange(f"wr:{{{ROOM}}}:journal")

    assert rest == []
    assert entry == {
        b"kind": b"configured",
        b"at_ms": str(NOW_MS).encode(),
        b"version": b"1",
        b"who": b"ann",
        b"why": b"the start",
        b"config": b'{"version":1,"name":"main"}',
    }
    assert await kept.changes(ROOM, 5) == [{"version": 1, "at_ms": NOW_MS, "who": "ann"}]


async def test_only_the_last_changes_are_kept_at_hand(store: Redis) -> None:
    """The list beside the settings is bounded; the journal has them all."""
    kept = ConfigureStore(store)
    for version in range(CHANGES_KEPT + 3):
        outcome = await kept.configure(ROOM, Act.PUT, version, '{"a":1}', "ann", "", '{"who":"ann"}')
        assert outcome == Outcome(Word.CONFIGURED, version + 1)

    changes = await kept.changes(ROOM, 1000)

    assert [change["version"] for change in changes] == list(range(CHANGES_KEPT + 3, 3, -1))
