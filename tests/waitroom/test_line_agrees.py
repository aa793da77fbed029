"""The rules of the line and its Lua files are one thing: a machine plays both and compares.

The store is real. Times are drawn from edges, counts around the edges of `max_waiting` and of a chunk.
Below stand the mutants: each breaks one guard in Lua, and the machine must notice.
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

from kernel.clock import SET_BACK_MS
from kernel.lua import Script, load
from kernel.store import connect
from waitroom import lane_change
from waitroom import line as rules
from waitroom.lanes import Lane, Serving
from waitroom.line import Line
from waitroom.schedule import CHANGES, Phase
from waitroom.store import _LUA, LineStore

ROOM = "main"
RUN = "00000000000000aa"
START_MS = 1_800_000_000_000
LIMITS = st.sampled_from([None, 1, 7, 8, 9, 1000])
COUNTS = st.sampled_from([1, 2, 7, 8, 9, 40])
STEPS_MS = st.sampled_from([-1000, -SET_BACK_MS, -SET_BACK_MS - 1, -3_600_000, 0, 1, 499, 500, 501, 60_000])
RANKS = st.integers(0, 120)


SOME, BEGINNINGS = 5, 60
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
        self.line: Line | None = None
        self.batches = 0
        self.runs = 0
        self.leaves: dict[int, bytes] = {}
        self.reached: dict[int, Lane] = {}
        self.slowed: dict[int, lane_change.Slowed] = {}
        self.keyed: dict[str, tuple[str, int]] = {}

    def teardown(self) -> None:
        """Close the client in its own loop."""
        self.loop.run(self.client.aclose())
        self.loop.close()

    @initialize(
        phase=st.sampled_from([Phase.GATHERING, Phase.SERVING]), commitment=st.sampled_from(["", "c0"])
    )
    def begin(self, phase: Phase, commitment: str) -> None:
        """Open the first run."""
        self.loop.run(self.client.flushall())
        self.open(phase=phase, commitment=commitment, seen=True)

    @rule(step=STEPS_MS)
    def wait(self, step: int) -> None:
        """Let time pass, or jump back."""
        self.now_ms += step

    @rule(
        phase=st.sampled_from([Phase.GATHERING, Phase.SERVING]),
        commitment=st.sampled_from(["", "c1"]),
        seen=st.booleans(),
    )
    def open(self, phase: Phase, commitment: str, seen: bool) -> None:
        """Open a new run over the old one, or over one that is not there any more."""
        old = self.line.run if self.line else ""
        before = old if seen else "somebody-else"
        # A run has a name that no run had before, also after a line was taken away.
        self.runs += 1
        run = f"{int(RUN, 16) + self.runs:016x}"
        stale = self.store.keys(ROOM).of_run(self.line.issued) if self.line else []
        self.line, expected = rules.open_run(self.line, before, run, "always", phase, commitment, self.now_ms)
        answer = self.loop.run(
            self.store.open(ROOM, before, run, "always", phase, commitment, "test", stale, self.now_ms)
        )
        assert answer[0] == type(expected).__name__.lower()
        if answer[0] == "opened":
            self.leaves.clear()
            self.reached.clear()
            self.slowed.clear()

    @rule(count=COUNTS, limit=LIMITS, lane=st.sampled_from(list(Lane)), ours=st.booleans())
    def join(self, count: int, limit: int | None, lane: Lane, ours: bool) -> None:
        """Join in a batch; once more with the same id must answer the same."""
        assert self.line is not None
        run = self.line.run if ours else "other"
        self.batches += 1
        leaves = [self.batches.to_bytes(8, "big") + index.to_bytes(8, "big") for index in range(count)]
        self.line, expected = rules.join(self.line, run, count, lane, limit, self.now_ms)
        for _ in range(2):
            answer = self.loop.run(
                self.store.join(ROOM, run, lane, leaves, [], f"b{self.batches}", limit, self.now_ms)
            )
            match expected:
                case rules.Joined(numbers):
                    assert answer[0] == "joined"
                    assert answer[2:] == [*numbers, *[-1] * (count - len(numbers))]
                case rules.Closed(phase):
                    assert answer == ["closed", phase.encode()]
                case rules.Stale():
                    assert answer[0] == "stale"
        if isinstance(expected, rules.Joined):
            self.leaves.update(zip(expected.numbers, leaves, strict=False))

    @rule(count=st.integers(1, 4), limit=LIMITS)
    def join_with_keys(self, count: int, limit: int | None) -> None:
        """Join with visitors' own keys; a repeat in another batch gives the same numbers."""
        assert self.line is not None
        self.batches += 1
        leaves = [
            b"k" * 8 + self.batches.to_bytes(4, "big") + index.to_bytes(4, "big") for index in range(count)
        ]
        once = [f"key-{self.batches}-{index}" for index in range(count)]
        self.line, expected = rules.join(self.line, self.line.run, count, Lane.STANDARD, limit, self.now_ms)
        for _ in range(2):
            answer = self.loop.run(
                self.store.join(ROOM, self.line.run, Lane.STANDARD, leaves, once, "", limit, self.now_ms)
            )
            if isinstance(expected, rules.Joined):
                assert answer[2 : 2 + len(expected.numbers)] == list(expected.numbers)
        if isinstance(expected, rules.Joined):
            self.leaves.update(zip(expected.numbers, leaves, strict=False))
            self.keyed.update(
                zip(once, [(self.line.run, number) for number in expected.numbers], strict=False)
            )

    @rule(limit=LIMITS)
    def ask_again(self, limit: int | None) -> None:
        """Whoever joined under a key gets the same number again, also where nobody joins any more."""
        assert self.line is not None
        known = {key: number for key, (run, number) in self.keyed.items() if run == self.line.run}
        once = [*known][-4:]
        if once:
            answer = self.loop.run(
                self.store.join(ROOM, self.line.run, Lane.STANDARD, [bytes(16)] * len(once), once, "", limit)
            )
            assert answer[2:] == [known[key] for key in once]

    @rule(after=st.sampled_from(list(Phase)), before=st.sampled_from(list(Phase)))
    def turn(self, before: Phase, after: Phase) -> None:
        """Change the phase, sometimes from one that is not current."""
        assert self.line is not None
        before = self.line.phase if self.now_ms % 2 else before
        if after not in CHANGES[before]:
            return
        self.line, expected = rules.turn(self.line, self.line.run, before, after, self.now_ms)
        answer = self.loop.run(self.store.turn(ROOM, self.line.run, before, after, "test", self.now_ms))
        assert answer[0] == type(expected).__name__.lower()

    @rule(
        slot=st.integers(-1, 2), verified=RANKS, standard=RANKS, suspect=RANKS, plan=st.sampled_from([0, 60])
    )
    def call(self, slot: int, verified: int, standard: int, suspect: int, plan: int) -> None:
        """Advance the thresholds, also wrongly: too far, back, out of order, in an old slot."""
        assert self.line is not None
        slot += self.line.tick_slot
        serving = Serving(verified, standard, suspect)
        self.line, expected = rules.call(self.line, self.line.run, slot, serving, plan, self.now_ms)
        answer = self.loop.run(self.store.call(ROOM, self.line.run, slot, serving, plan, self.now_ms))
        if isinstance(expected, rules.Called):
            assert answer == ["called", *expected.serving]
        else:
            assert answer[0] == type(expected).__name__.lower()

    @rule(
        number=st.sampled_from([-1, 0, 1, 2]),
        before=st.sampled_from([Lane.SUSPECT, Lane.STANDARD]),
        after=st.sampled_from([Lane.STANDARD, Lane.VERIFIED]),
        ours=st.booleans(),
        last=st.booleans(),
    )
    def climb(self, number: int, before: Lane, after: Lane, ours: bool, last: bool) -> None:
        """Bring one of a few places into a better lane, often again, with an older ticket, or one that nobody has."""
        assert self.line is not None
        if before is after:
            self.passes(number, ours, last)
            return
        number = self.line.issued - number if last else number
        run, reached = self.line.run if ours else "other", self.reached.get(number)
        self.line, reached, expected = lane_change.climb(
            self.line, reached, run, number, before, after, self.now_ms, slowed=self.slowed.get(number)
        )
        if reached is not None:
            self.reached[number] = reached
            self.slowed.pop(number, None)
        answer = self.loop.run(self.store.climb(ROOM, run, number, before, after, "work", self.now_ms))
        if isinstance(expected, lane_change.Climbed):
            assert answer == ["climbed", expected.lane.encode(), expected.since_ms]
        else:
            assert answer == ["stale"]

    @rule(
        number=st.sampled_from([-1, 0, 1, 2]),
        before=st.sampled_from([Lane.STANDARD, Lane.STANDARD, Lane.VERIFIED]),
        rank=st.sampled_from([-1, 0, 1]),
        ours=st.booleans(),
        drawn=st.booleans(),
        last=st.booleans(),
    )
    def slow(self, number: int, before: Lane, rank: int, ours: bool, drawn: bool, last: bool) -> None:
        """Slow or ask one of a few places, at the edge of being called, often again, also one that has climbed."""
        assert self.line is not None
        number = self.line.issued - number if last else number
        rank += self.line.serving.of(before)
        way = "step-up" if self.batches % 2 else ""
        run, seed = self.line.run if ours else "other", self.line.seed if drawn else "11"
        self.line, slowed, expected = lane_change.slow(
            self.line, self.reached.get(number), self.slowed.get(number), run, seed, number, rank, before,
            "behaviour", self.now_ms, way=way,
        )  # fmt: skip
        if slowed is not None:
            self.slowed[number] = slowed
        answer = self.loop.run(
            self.store.slow(ROOM, run, seed, number, rank, before, "behaviour", self.now_ms, way=way)
        )
        match expected:
            case lane_change.Slowed(since_ms, _, asked):
                assert answer == ["asked" if asked else "slowed", since_ms]
            case lane_change.Again(lane_change.Slowed(since_ms, reasons, asked)):
                assert answer == ["again", since_ms, reasons.encode(), asked.encode()]
            case lane_change.Kept():
                assert answer == [expected.value]
            case rules.Stale():
                assert answer == ["stale"]

    def passes(self, number: int, ours: bool, last: bool) -> None:
        """Pass a check with one of a few places, asked or not, or with one that nobody has."""
        assert self.line is not None
        number = self.line.issued - number if last else number
        run = self.line.run if ours else "other"
        self.line, reached, asked, expected = lane_change.passes(
            self.line, self.reached.get(number), self.slowed.get(number), run, number, self.now_ms
        )
        answer = self.loop.run(self.store.passes(ROOM, run, number, "work", self.now_ms))
        assert answer[0] == type(expected).__name__.lower()
        if isinstance(expected, lane_change.Passed):
            assert (answer[1], reached, asked) == (expected.since_ms, Lane.STANDARD, None)
            self.reached[number] = Lane.STANDARD
            del self.slowed[number]

    @rule(
        joins=st.sampled_from([Lane.STANDARD, Lane.STANDARD, Lane.VERIFIED, Lane.SUSPECT]),
        says=st.sampled_from([Lane.STANDARD, Lane.STANDARD, Lane.VERIFIED]),
        ahead=st.sampled_from([0, 1]),
        acts=st.lists(st.sampled_from(["slow", "ask", "pass", "climb", "climb on"]), min_size=1, max_size=5),
    )
    def treat(self, joins: Lane, says: Lane, ahead: int, acts: list[str]) -> None:
        """Do one thing after the other to a place that waits in a new run; its ticket says what it likes."""
        self.open(phase=Phase.SERVING, commitment="", seen=True)
        self.join(3, None, joins, ours=True)
        for act in acts:
            match act:
                case "slow" | "ask":
                    # An odd batch makes `slow` ask.
                    self.batches += (self.batches % 2 == 1) is not (act == "ask")
                    self.slow(1, says, ahead, ours=True, drawn=True, last=False)
                case "pass":
                    self.passes(1, ours=True, last=False)
                case "climb":
                    self.climb(1, Lane.SUSPECT, Lane.STANDARD, ours=True, last=False)
                case _:
                    self.climb(1, Lane.STANDARD, Lane.VERIFIED, ours=True, last=False)
            self.the_store_says_what_the_rule_says()
            self.the_store_knows_who_is_slow()

    @rule()
    def freeze(self) -> None:
        """Close the draw."""
        assert self.line is not None
        self.line, expected = rules.freeze(self.line, self.line.run, self.now_ms)
        answer = self.loop.run(self.store.freeze(ROOM, self.line.run, "test", self.now_ms))
        if isinstance(expected, rules.Frozen):
            assert answer == ["frozen", expected.count]
        else:
            assert answer == ["stale"]

    @rule(root=st.sampled_from(["aa", "bb"]))
    def attest(self, root: str) -> None:
        """Publish a root."""
        assert self.line is not None
        self.line, expected = rules.attest(self.line, self.line.run, root, self.now_ms)
        answer = self.loop.run(self.store.attest(ROOM, self.line.run, root, self.now_ms))
        assert answer[0] == type(expected).__name__.lower()

    @rule(root=st.sampled_from(["aa", "bb"]), seed=st.sampled_from(["11", "22"]))
    def draw(self, root: str, seed: str) -> None:
        """Set the seed."""
        assert self.line is not None
        self.line, expected = rules.draw(self.line, self.line.run, root, seed, self.now_ms)
        answer = self.loop.run(self.store.draw(ROOM, self.line.run, root, seed, "{}", self.now_ms))
        assert answer[0] == type(expected).__name__.lower()

    @rule(more=st.sampled_from([-1, 0, 1, 5]), verified=RANKS, standard=RANKS, suspect=RANKS)
    def lift(self, more: int, verified: int, standard: int, suspect: int) -> None:
        """Raise the counter and the thresholds to what a witness proves."""
        assert self.line is not None
        issued, serving = max(0, self.line.issued + more), Serving(verified, standard, suspect)
        self.line, expected = rules.lift(self.line, self.line.run, issued, serving, self.now_ms)
        answer = self.loop.run(self.store.lift(ROOM, self.line.run, issued, serving, "test", self.now_ms))
        assert answer[0] == type(expected).__name__.lower()

    @rule(ours=st.booleans(), later=st.sampled_from([0, 1]))
    def clear(self, ours: bool, later: int) -> None:
        """Take the line away for one that is put back, unless it is that one's own or newer; then begin again."""
        assert self.line is not None
        run, epoch = self.line.run if ours else "ffffffffffffffff", self.line.epoch + later
        stale = self.store.keys(ROOM).of_run(self.line.issued)
        after, expected = rules.clear(self.line, run, epoch)
        answer = self.loop.run(self.store.clear(ROOM, run, epoch, stale, self.now_ms))
        assert answer[0] == type(expected).__name__.lower()
        if after is None:
            kept = [
                key
                for key in self.loop.run(self.client.keys("*"))
                if b"once" not in key and b"batch" not in key
            ]
            assert kept == [b"wr:{main}:journal"]
            self.line = None
            self.leaves.clear()
            self.reached.clear()
            self.slowed.clear()
            self.open(phase=Phase.SERVING, commitment="", seen=True)

    @invariant()
    def the_store_says_what_the_rule_says(self) -> None:
        """Every stored field equals the rule's."""
        if self.line is None:
            return
        snapshot = self.loop.run(self.store.snapshot(ROOM, whole_history=True))
        assert snapshot.line == self.line
        if snapshot.calls:
            assert snapshot.calls[-1].serving <= self.line.serving

    @invariant()
    def the_store_knows_who_is_slow(self) -> None:
        """Since when and why, and nobody who has climbed out again."""
        kept = self.loop.run(self.client.hgetall(self.store.keys(ROOM).slowed))
        told = {
            number: f"{one.way} {one.since_ms} {one.reasons}".lstrip() for number, one in self.slowed.items()
        }
        assert {int(number): text.decode() for number, text in kept.items()} == told

    @invariant()
    def thresholds_keep_their_order_and_never_pass_the_last_number(self) -> None:
        """Verified >= standard >= suspect, and nobody is called who has not joined."""
        if self.line is not None:
            serving = self.line.serving
            assert self.line.issued >= serving.verified >= serving.standard >= serving.suspect

    @invariant()
    def a_lane_never_holds_fewer_than_nobody(self) -> None:
        """Whoever climbs out of it, and by whatever ticket."""
        if self.line is not None:
            assert 0 <= self.line.joined_suspect <= self.line.issued

    @invariant()
    def every_number_has_the_leaf_of_its_join(self) -> None:
        """Leaves stand where their numbers say."""
        if self.line is not None and self.leaves:
            first, last = min(self.leaves), max(self.leaves)
            octets = self.loop.run(self.store.leaves(ROOM, first, last - first + 1))
            for number, leaf in self.leaves.items():
                assert octets[(number - first) * 16 : (number - first + 1) * 16] == leaf


def play(url: str, scripts: dict[str, Script], examples: int, beginning: int | None = None) -> None:
    """Run the machine against `scripts`; with a `beginning` always the same moves, and no shrinking."""
    machine = type("Played", (Machine,), {"url": url, "scripts": scripts})
    run_state_machine_as_test(
        machine if beginning is None else seed(beginning)(machine),
        settings=settings(
            max_examples=examples,
            stateful_step_count=25,
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
    """Whatever is done in whatever order, both say the same words and hold the same state."""
    play(store_url, {}, 40)


@pytest.mark.parametrize(
    ("name", "old", "new", "beginning"),
    [
        pytest.param(
            "join", "max_waiting - waiting)", "max_waiting - waiting + 1)", 0, id="one joins a full room"
        ),
        pytest.param(
            "join", "if number == issued then", "if true then", 0, id="an answer given again costs a number"
        ),
        pytest.param(
            "join", "answer[2 + i] = number", "answer[2 + i] = issued", 0, id="numbers are off by one"
        ),
        pytest.param(
            "join", "(at - chunk * CHUNK) * LEAF", "(at - chunk * CHUNK) * 15", 1, id="leaves overlap"
        ),
        pytest.param(
            "call", "math.min(value, issued)", "value", 1, id="turns are banked past the last number"
        ),
        pytest.param(
            "call", "if slot <= tonumber(old[3])", "if slot < tonumber(old[3])", 1, id="a slot counts twice"
        ),
        pytest.param("freeze", "if old[3] ~= '-1' then", "if false then", 1, id="a draw is frozen twice"),
        pytest.param("turn", "or old[2] ~= before", "", 0, id="a phase is changed by the slower worker"),
        pytest.param(
            "lift", "local top = math.max(issued, have)", "local top = issued", 4, id="the counter goes back"
        ),
        pytest.param("clear", "or old[1] == run", "", 1, id="a line is taken away for itself"),
        pytest.param(
            "clear", "tonumber(old[2]) >= epoch", "false", 2, id="a newer line is taken away for an older"
        ),
        pytest.param("climb", "old[1] ~= run or ", "", 1, id="a place of another run climbs"),
        pytest.param("climb", "or number >= tonumber(old[2])", "", 0, id="a number that nobody has climbs"),
        pytest.param("climb", "and tonumber(old[4] or 0) > 0", "", 2, id="a lane holds fewer than nobody"),
        pytest.param(
            "climb", "math.max(now_ms, tonumber(old[3]))", "now_ms", 0, id="time turns back for a climb"
        ),
        pytest.param(
            "climb",
            "redis.call('HDEL', slowed, number)",
            "local _ = number",
            1,
            id="who climbs is slow",
        ),
        pytest.param(
            "climb", "known and string.match(known, '^%d')", "known", 3, id="the asked count as suspect"
        ),
        pytest.param("pass", "old[1] ~= run or ", "", 1, id="a place of another run passes"),
        pytest.param("pass", "or number >= tonumber(old[2])", "or false", 4, id="who has no place passes"),
        pytest.param(
            "pass", "or not string.match(known, '^%l')", "", 7, id="who is slowed stays suspect and is free"
        ),
        pytest.param(
            "pass", "redis.call('HDEL', slowed, number)", "local _ = 0", 7, id="passing clears nothing"
        ),
        pytest.param("pass", "in_standard, number, 1)", "in_standard, number, 0)", 15, id="asked twice"),
        pytest.param("slow", "if way ~= '' then", "if false then", 0, id="who is asked is slowed"),
        pytest.param("slow", "old[1] ~= run or ", "", 4, id="a place of another run is slowed"),
        pytest.param("slow", "(old[6] or '') ~= seed or ", "", 2, id="a rank from before the draw is slowed"),
        pytest.param("slow", "or number >= tonumber(old[2])", "", 0, id="a number that nobody has is slowed"),
        pytest.param("slow", "if known then", "if false then", 1, id="a place is slowed twice"),
        pytest.param(
            "slow", "if rank < tonumber(old[7] or 0) then", "if false then", 8, id="the called get worse"
        ),
        pytest.param("slow", "rank < tonumber", "rank <= tonumber", 1, id="who is next counts as called"),
        pytest.param(
            "slow",
            "in_standard, number) == 1",
            "in_standard, number) == 2",
            2,
            id="who has climbed is thrown back",
        ),
        pytest.param("slow", "and tonumber(old[8] or 0) > 0", "", 17, id="verified holds fewer than nobody"),
        pytest.param(
            "slow", "if tonumber(old[4] or 0) < tonumber(old[2]) then", "if true then", 3, id="more than all"
        ),
        pytest.param(
            "slow", "math.max(now_ms, tonumber(old[3]))", "now_ms", 0, id="time turns back for the slowed"
        ),
        pytest.param("open", "if current ~= seen then", "if false then", 1, id="two workers open two runs"),
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
    for beginning in range(18):
        play(store_url, {}, SOME, beginning)


def test_ranks_are_numbers_until_a_draw_and_void_holders_head_the_late() -> None:
    """Undrawn: the number. Drawn: P(number), late arrivals their number, a void slot N."""
    plain = Line(run=RUN, issued=10)
    drawn = replace(plain, frozen=8, root="aa", seed="11", commitment="cc", void=((3, 5),))

    assert rules.rank_of(plain, 7, None) == 7
    assert rules.rank_of(replace(plain, commitment="cc"), 7, None) is None
    assert rules.rank_of(replace(drawn, seed=""), 2, None) is None
    assert rules.rank_of(drawn, 2, 6) == 6
    assert rules.rank_of(drawn, 3, 1) == 8
    assert rules.rank_of(drawn, 9, None) == 9


def test_below_the_freeze_void_numbers_are_no_gap_on_the_axis() -> None:
    """Ranks below N are drawn, so only what is void above N shortens anybody's wait."""
    drawn = Line(
        run=RUN, issued=20, frozen=8, seed="11", root="aa", void=((3, 12),), serving=Serving(8, 8, 8)
    )

    assert drawn.axis_void == ((8, 12),)
    assert drawn.waiting == 8


async def test_the_order_of_the_lanes_is_kept_twice_and_missed_without_both(store: Redis) -> None:
    """Before the clamps and after the jumps over void ranges; the mutant has neither."""
    script = load(_LUA / "call.lua")
    mutant = script.mutated("standard = math.max(standard, suspect)", "")
    mutant = mutant.mutated("want[2] = math.max(want[2], want[3])", "")
    called = []
    for number, one in enumerate((script, mutant)):
        await store.flushall()
        here = LineStore(store, {"call": one})
        await here.open(ROOM, "", RUN, "always", Phase.SERVING, "", "test", [], START_MS)
        await here.join(ROOM, RUN, Lane.STANDARD, [bytes(16)] * 10, [], f"b{number}", None, START_MS)
        called.append(await here.call(ROOM, RUN, 1, Serving(0, 0, 5), 0, START_MS))
    await store.aclose()

    assert called == [["called", 5, 5, 5], ["called", 0, 0, 5]]


async def test_an_answer_that_got_lost_is_kept_when_the_room_closes_and_not_by_the_mutant(
    store: Redis,
) -> None:
    """Both joined a moment before the end; the one whose answer got lost asks again under the same key."""
    script = load(_LUA / "join.lua")
    answers = []
    for one in (script, script.mutated("for i = 1, keyed do", "for i = 1, 0 do")):
        await store.flushall()
        here = LineStore(store, {"join": one})
        await here.open(ROOM, "", RUN, "always", Phase.SERVING, "", "test", [], START_MS)
        await here.join(ROOM, RUN, Lane.STANDARD, [bytes(16)] * 2, ["a", "b"], "", None, START_MS)
        await here.turn(ROOM, RUN, Phase.SERVING, Phase.DRAINING, "test", START_MS)
        answers.append(
            await here.join(ROOM, RUN, Lane.STANDARD, [bytes(16)] * 3, ["b", "c"], "x", None, START_MS)
        )
    await store.aclose()

    assert answers == [["closed", b"draining", 1, -1], ["closed", b"draining"]]


async def test_a_draw_over_another_root_is_stale_and_not_for_the_mutant(store: Redis) -> None:
    """A seed belongs to the root that was published, to no other."""
    script = load(_LUA / "draw.lua")
    words = []
    for one in (script, script.mutated("or old[2] ~= root", "")):
        await store.flushall()
        here = LineStore(store, {"draw": one})
        await here.open(ROOM, "", RUN, "sale", Phase.GATHERING, "cc", "test", [], START_MS)
        await here.freeze(ROOM, RUN, "test", START_MS)
        await here.attest(ROOM, RUN, "aa", START_MS)
        words.append((await here.draw(ROOM, RUN, "bb", "11", "{}", START_MS))[0])
    await store.aclose()

    assert words == ["stale", "done"]
