"""One identity is one place: the rule and its Lua file are one thing, and each guard, taken out, is missed at once."""

import asyncio
from typing import ClassVar

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import Phase as Step
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test
from redis.asyncio import Redis

from kernel.lua import Script, load
from kernel.store import connect
from waitroom import enlist as rules
from waitroom import lane_change
from waitroom import line as lines
from waitroom.enlist import Enlisted, Full
from waitroom.lanes import Lane, Serving
from waitroom.line import Closed, Line, Stale
from waitroom.schedule import CHANGES, Phase
from waitroom.store import _LUA, LineStore

ROOM = "main"
START_MS = 1_800_000_000_000
TAGS = st.sampled_from(["a" * 22, "b" * 22, "c" * 22, "d" * 22])


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
        self.line: Line | None = None
        self.places: dict[str, Enlisted] = {}
        self.leaves: dict[int, bytes] = {}
        self.reached: dict[int, Lane] = {}

    def teardown(self) -> None:
        """Close the client in its own loop."""
        self.loop.run(self.client.aclose())
        self.loop.close()

    @initialize(phase=st.sampled_from([Phase.GATHERING, Phase.SERVING]))
    def begin(self, phase: Phase) -> None:
        """Open the first run."""
        self.loop.run(self.client.flushall())
        self.open(phase)

    @rule(phase=st.sampled_from([Phase.GATHERING, Phase.SERVING]))
    def open(self, phase: Phase) -> None:
        """Begin another run: nobody of the old one has a place in it."""
        old = self.line.run if self.line else ""
        run = f"{int(old or 'aa', 16) + 1:016x}"
        stale = self.store.keys(ROOM).of_run(self.line.issued) if self.line else []
        self.line, _ = lines.open_run(self.line, old, run, "always", phase, "", self.now_ms)
        opened = self.store.open(ROOM, old, run, "always", phase, "", "test", stale, self.now_ms)
        assert self.loop.run(opened)[0] == "opened"
        self.places.clear()
        self.leaves.clear()
        self.reached.clear()

    @rule(step=st.sampled_from([-1000, 0, 1, 1000]))
    def wait(self, step: int) -> None:
        """Let time pass, or jump back."""
        self.now_ms += step

    @rule(
        tag=TAGS, limit=st.sampled_from([None, 0, 1, 2]), lane=st.sampled_from(list(Lane)), ours=st.booleans()
    )
    def enlist(self, tag: str, limit: int | None, lane: Lane, *, ours: bool) -> None:
        """Come with an identity, often again, in another lane, in a run that is over, or where it is full."""
        assert self.line is not None
        run, known = self.line.run if ours else "other", self.places.get(tag)
        reached = self.reached.get(known.number) if known else None
        leaf = len(self.leaves).to_bytes(16, "big")
        before = self.line.issued
        self.line, expected = rules.enlist(self.line, known, reached, run, lane, limit, self.now_ms)
        answer = self.loop.run(self.store.enlist(ROOM, run, tag, leaf, lane, limit, self.now_ms))
        match expected:
            case Enlisted(number, epoch, its_lane, since_ms):
                assert answer == ["enlisted", number, epoch, its_lane.encode(), since_ms]
                self.places.setdefault(tag, expected)
                if self.line.issued > before:
                    self.leaves[number] = leaf
            case Full():
                assert answer == ["full"]
            case Closed(phase):
                assert answer == ["closed", phase.encode()]
            case Stale():
                assert answer[0] == "stale"

    @rule(tag=TAGS, after=st.sampled_from([Lane.STANDARD, Lane.VERIFIED]))
    def climb(self, tag: str, after: Lane) -> None:
        """Bring a place into a better lane; whoever comes again has it there."""
        assert self.line is not None
        if tag not in self.places:
            self.enlist(tag, None, Lane.SUSPECT, ours=True)
        known = self.places.get(tag)
        if known is None or after is known.lane or known.lane is Lane.VERIFIED:
            return
        self.line, reached, _ = lane_change.climb(
            self.line,
            self.reached.get(known.number),
            self.line.run,
            known.number,
            known.lane,
            after,
            self.now_ms,
        )
        if reached is not None:
            self.reached[known.number] = reached
        climbing = self.store.climb(ROOM, self.line.run, known.number, known.lane, after, "work", self.now_ms)
        self.loop.run(climbing)
        self.enlist(tag, None, Lane.SUSPECT, ours=True)

    @rule(serving=st.integers(0, 4))
    def call(self, serving: int) -> None:
        """Call some, so that there is room again."""
        assert self.line is not None
        slot, bound = self.line.tick_slot + 1, Serving(serving, serving, serving)
        self.line, _ = lines.call(self.line, self.line.run, slot, bound, 60, self.now_ms)
        self.loop.run(self.store.call(ROOM, self.line.run, slot, bound, 60, self.now_ms))

    @rule(after=st.sampled_from(list(Phase)))
    def turn(self, after: Phase) -> None:
        """Change the phase."""
        assert self.line is not None
        before = self.line.phase
        if after in CHANGES[before]:
            self.line, _ = lines.turn(self.line, self.line.run, before, after, self.now_ms)
            self.loop.run(self.store.turn(ROOM, self.line.run, before, after, "test", self.now_ms))

    @invariant()
    def the_store_says_what_the_rule_says(self) -> None:
        """The line equals the rule's, every tag has its place, every place its leaf."""
        if self.line is None:
            return
        seen = self.loop.run(self.store.snapshot(ROOM, whole_history=True)).line
        assert seen == self.line
        kept = self.loop.run(self.client.hgetall(self.store.keys(ROOM).tags))  # type: ignore[arg-type]
        assert {tag.decode(): rules.read(text.decode()) for tag, text in kept.items()} == self.places
        octets = self.loop.run(self.store.leaves(ROOM, 0, self.line.issued))
        assert octets == b"".join(self.leaves[number] for number in range(self.line.issued))


def play(url: str, scripts: dict[str, Script], examples: int, *, shrink: bool = True) -> None:
    """Run the machine against `scripts`; a mutant need not be shrunk."""
    machine = type("Played", (Machine,), {"url": url, "scripts": scripts})
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=examples,
            stateful_step_count=20,
            deadline=None,
            database=None,
            report_multiple_bugs=False,
            phases=[Step.generate, Step.shrink] if shrink else [Step.generate],
            suppress_health_check=list(HealthCheck),
        ),
    )


def test_rule_and_lua_agree(store_url: str) -> None:
    """Whatever is done in whatever order, both give the same places."""
    play(store_url, {}, 60)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        pytest.param("if known then", "if false then", id="one identity has two places"),
        pytest.param("if old[1] ~= run then", "if false then", id="an identity of another run"),
        pytest.param("if waiting >= max_waiting then", "if false then", id="a full room takes more"),
        pytest.param("waiting >= max_waiting", "waiting > max_waiting", id="a full room takes one more"),
        pytest.param(
            "if old[2] ~= 'gathering' and old[2] ~= 'serving' then", "if false then", id="joins after the end"
        ),
        pytest.param(
            "if redis.call('GETBIT', in_verified, number) == 1 then",
            "if false then",
            id="the lane is forgotten",
        ),
        pytest.param(
            "and redis.call('GETBIT', in_standard, number) == 1", "and false", id="a climb is forgotten"
        ),
        pytest.param("if lane ~= 'standard' then", "if false then", id="lanes are not counted"),
    ],
)
def test_the_machine_catches_the_mutant(store_url: str, old: str, new: str) -> None:
    """Each guard, taken out of the Lua file, is missed at once."""
    mutant = load(_LUA / "enlist.lua").mutated(old, new)

    with pytest.raises(AssertionError):
        play(store_url, {"enlist": mutant}, 400, shrink=False)


async def test_of_many_workers_at_once_all_get_the_same_place(store: Redis) -> None:
    """Fifty devices of one identity: one number is given, and all hear it."""
    here = LineStore(store)
    await here.open(ROOM, "", "00000000000000aa", "always", Phase.SERVING, "", "test", [], START_MS)

    answers = await asyncio.gather(
        *(
            here.enlist(ROOM, "00000000000000aa", "a" * 22, bytes(16), Lane.STANDARD, None, START_MS + index)
            for index in range(50)
        )
    )
    line = (await here.snapshot(ROOM, whole_history=False)).line
    await store.aclose()

    assert {answer[1] for answer in answers} == {0}
    assert len({tuple(answer) for answer in answers}) == 1
    assert line is not None
    assert line.issued == 1
