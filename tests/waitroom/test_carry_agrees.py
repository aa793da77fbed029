"""The rules of a carried place and their Lua files are one thing; and each guard, taken out, is missed at once.

Times are drawn from the edges of the five minutes that a code lasts.
"""

import asyncio
from typing import ClassVar

import pytest
from hypothesis import HealthCheck, seed, settings
from hypothesis import Phase as Step
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test
from redis.asyncio import Redis

from kernel.lua import Script, load
from kernel.store import connect
from waitroom import carry as rules
from waitroom.carry import KEEP_MS, Parcel
from waitroom.schedule import Phase
from waitroom.store import _LUA, CARRY_SLACK_MS, LineStore

ROOM = "main"
RUNS = ("00000000000000aa", "00000000000000bb")
START_MS = 1_800_000_000_000
NAMES = st.sampled_from(["11" * 16, "22" * 16])
STEPS_MS = st.sampled_from([0, 1, KEEP_MS - 1, KEEP_MS, KEEP_MS + 1])


SOME, BEGINNINGS = 5, 80
"""A mutant is played so many examples from so many beginnings before it counts as missed."""


class Machine(RuleBasedStateMachine):
    """Plays the same moves on the rule and on the store."""

    url = ""
    scripts: ClassVar[dict[str, Script]] = {}

    def __init__(self) -> None:
        """Begin with an empty store."""
        super().__init__()
        self.loop = asyncio.Runner()
        self.client = connect(self.url)
        self.store = LineStore(self.client, self.scripts)
        self.now_ms = START_MS
        self.run = ""
        self.parcels: dict[str, Parcel] = {}

    def teardown(self) -> None:
        """Close the client in its own loop."""
        self.loop.run(self.client.aclose())
        self.loop.close()

    @initialize()
    def begin(self) -> None:
        """Open a line."""
        self.loop.run(self.client.flushall())
        self.turn()

    @rule()
    def turn(self) -> None:
        """Begin another run: what is on its way for the old one is worth nothing."""
        before, self.run = self.run, RUNS[0] if self.run != RUNS[0] else RUNS[1]
        opened = self.store.open(ROOM, before, self.run, "always", Phase.SERVING, "", "test", [], self.now_ms)
        assert self.loop.run(opened)[0] == "opened"

    @rule(step=STEPS_MS)
    def wait(self, step: int) -> None:
        """Let time pass."""
        self.now_ms += step

    @rule(name=NAMES, run=st.sampled_from(RUNS), contents=st.sampled_from([b"one", b"\x00\xff two"]))
    def carry(self, name: str, run: str, contents: bytes) -> None:
        """Send a place, sometimes of another run, sometimes under a name that is in use."""
        known = self.parcels.get(name)
        parcel, expected = rules.carry(known, self.run, run, contents, KEEP_MS, self.now_ms)
        if parcel is not None:
            self.parcels[name] = parcel
        answer = self.loop.run(self.store.carry(ROOM, run, name, contents, self.now_ms))
        if isinstance(expected, rules.Kept):
            assert answer == ["kept", expected.until_ms]
        else:
            assert answer == ["stale"]

    @rule(name=NAMES, taker=st.sampled_from(["", "me", "you"]))
    def take(self, name: str, taker: str) -> None:
        """Take a place, often one that is not there, is too old, or is taken."""
        parcel, expected = rules.take(self.parcels.get(name), self.run, taker, KEEP_MS, self.now_ms)
        if parcel is not None:
            self.parcels[name] = parcel
        answer = self.loop.run(self.store.take(ROOM, name, taker, self.now_ms))
        if isinstance(expected, rules.Handed):
            assert answer == ["handed", expected.sealed]
        else:
            assert answer == [type(expected).__name__.lower()]

    @invariant()
    def the_store_says_what_the_rule_says(self) -> None:
        """Every stored parcel equals the rule's, and none stays for ever."""
        for name, parcel in self.parcels.items():
            assert self.loop.run(self.store.parcel(ROOM, name))[0] == parcel
            left_ms = self.loop.run(self.client.pttl(self.store.keys(ROOM).carry + name))
            assert 0 < left_ms <= KEEP_MS + CARRY_SLACK_MS


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
        except AssertionError:
            return True
    return False


def test_rule_and_lua_agree(store_url: str) -> None:
    """Whatever is done in whatever order, both say the same words and hold the same parcels."""
    play(store_url, {}, 60)


@pytest.mark.parametrize(
    ("name", "old", "new", "beginning"),
    [
        pytest.param("take", "if old[4] == '1' then", "if false then", 5, id="two devices take one place"),
        pytest.param("take", "taker == old[5]", "true", 5, id="whoever names itself takes it again"),
        pytest.param("take", "taker ~= '' and ", "", 3, id="nobody is somebody"),
        pytest.param("take", "now_ms >= tonumber(old[3])", "false", 8, id="a code lasts for ever"),
        pytest.param(
            "take", "now_ms >= tonumber(old[3])", "now_ms > tonumber(old[3])", 37, id="a code lasts too long"
        ),
        pytest.param(
            "take", "old[1] ~= redis.call('HGET', line, 'run')", "false", 4, id="a place of another run"
        ),
        pytest.param(
            "carry", "redis.call('HGET', line, 'run') ~= run", "false", 0, id="a ticket of another run"
        ),
        pytest.param("carry", "if old[1] then", "if false then", 0, id="a second place under one code"),
        pytest.param("carry", "and old[2] == contents", "", 0, id="another place is told as kept"),
        pytest.param(
            "carry", "and now_ms < tonumber(old[3])", "", 12, id="a code that is over is told as good"
        ),
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
    for beginning in range(38):
        play(store_url, {}, SOME, beginning)


async def test_of_many_takers_at_once_one_gets_the_place(store: Redis) -> None:
    """The script runs in one piece: one hand over, forty-nine times "taken"."""
    here = LineStore(store)
    await here.open(ROOM, "", RUNS[0], "always", Phase.SERVING, "", "test", [], START_MS)
    await here.carry(ROOM, RUNS[0], "aa", b"place", START_MS)

    answers = await asyncio.gather(*(here.take(ROOM, "aa", f"t{index}", START_MS) for index in range(50)))
    await store.aclose()

    assert sorted(answer[0] for answer in answers) == ["handed", *["taken"] * 49]


def test_a_seal_opens_with_its_code_only_and_the_name_tells_no_code() -> None:
    """The store sees a name and a sealed text; neither is the code, and another code opens nothing."""
    code, other, text = b"c" * 16, b"d" * 16, b"k1.eyJhIjoxfQ.c2ln" * 20

    assert rules.sealed(code, rules.sealed(code, text)) == text
    assert rules.sealed(other, rules.sealed(code, text)) != text
    assert rules.sealed(code, text)[:16] != text[:16]
    assert rules.name_of(code) != rules.name_of(other)
    assert code.hex() not in rules.name_of(code)


def test_the_old_device_hears_of_a_take_for_as_long_as_a_code_lasts() -> None:
    """Open until five minutes are over, or taken, and then for five minutes more."""
    open_parcel, _ = rules.carry(None, "r", "r", b"x", KEEP_MS, 0)
    taken, _ = rules.take(open_parcel, "r", "", KEEP_MS, KEEP_MS - 1)

    assert rules.carried(None, 0) is rules.Carried.GONE
    assert rules.carried(open_parcel, KEEP_MS - 1) is rules.Carried.OPEN
    assert rules.carried(open_parcel, KEEP_MS) is rules.Carried.GONE
    assert rules.carried(taken, 2 * KEEP_MS - 2) is rules.Carried.TAKEN
    assert rules.carried(taken, 2 * KEEP_MS - 1) is rules.Carried.GONE
