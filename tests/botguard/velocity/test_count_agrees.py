"""The script, its Python twin and a list of all acts say the same: exact counts, on a real store."""

from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule
from redis.asyncio import Redis

from botguard.velocity.store import LUA, VelocityStore, key
from botguard.velocity.windows import Count, Plan, Record, Row, count
from kernel.clock import SET_BACK_MS
from kernel.gcra import Rate
from kernel.lua import Script, load

NOW_MS = 1_800_000_000_000
SLOT_MS = 60_000
SLOTS = 3
ROOM = "main"
FAST = Plan(Rate(1_000_000, 3), SLOT_MS, SLOTS)
SLOW = Plan(Rate(20_000_000, 1), SLOT_MS * 2, SLOTS)

WAITS_MS = st.sampled_from(
    (
        0, 1, 999, 1_000, 1_001, 19_999, 20_000, SLOT_MS - 1, SLOT_MS, SLOT_MS + 1, SLOTS * SLOT_MS - 1,
        SLOTS * SLOT_MS, SLOTS * SLOT_MS + 1, -1, -1_000, -SET_BACK_MS, -SET_BACK_MS - SLOT_MS,
    )
)  # fmt: skip
ROWS = st.lists(st.tuples(st.sampled_from("abc"), st.booleans()), min_size=1, max_size=4)
STEPS = st.lists(st.tuples(WAITS_MS, ROWS), max_size=20)


def plan_of(subject: str) -> Plan:
    """Give each subject a plan of its own."""
    return SLOW if subject == "c" else FAST


@dataclass
class Diary:
    """The reference: every act that ever was, counted by looking at all of them."""

    acts: dict[str, list[int]] = field(default_factory=dict)
    allowed: dict[str, list[int]] = field(default_factory=dict)

    def play(self, row: Row, now_ms: int) -> int:
        """Note an act; return how many are in the window."""
        mine = self.acts.setdefault(row.subject, [])
        if row.acts:
            mine.append(now_ms)
        running, slots = now_ms // row.plan.slot_ms, row.plan.slots
        return sum(running - slots < at // row.plan.slot_ms <= running for at in mine)

    def allow(self, row: Row, now_ms: int) -> None:
        """Note an act that the rate allowed: in any window of W there are at most W / interval + burst."""
        rate = row.plan.rate
        mine = self.allowed.setdefault(row.subject, [])
        mine.append(now_ms)
        for first, since in enumerate(mine):
            most = (now_ms - since) * 1_000 // rate.interval_us + rate.burst
            assert len(mine) - first <= most


async def agree(
    store: Redis, steps: list[tuple[int, list[tuple[str, bool]]]], script: Script | None = None
) -> None:
    """Play steps on the store and on the twin, and compare every answer and every field."""
    await store.flushall()
    counters = VelocityStore(store, None if script is None else {"count": script})
    kept: dict[str, Record] = {}
    now_ms = NOW_MS
    for wait_ms, asked in steps:
        now_ms += wait_ms
        rows = [Row(subject, plan_of(subject), acts) for subject, acts in asked]
        told = await counters.count(ROOM, rows, now_ms)
        for row, got in zip(rows, told, strict=True):
            kept[row.subject], expected = count(
                kept.get(row.subject, Record()), row.plan, now_ms, acts=row.acts
            )
            assert got == expected
        for row in rows:
            held = {
                name.decode(): int(number)
                for name, number in (await store.hgetall(key(ROOM, row.subject))).items()
            }
            record = kept[row.subject]
            assert held.pop("t", 0) == record.tat_us
            assert {int(slot): number for slot, number in held.items()} == record.slots
            left_ms = await store.pttl(key(ROOM, row.subject))
            assert left_ms == -2 if not record.slots else 0 < left_ms <= row.plan.kept_ms
            assert len(held) <= row.plan.slots + SET_BACK_MS // row.plan.slot_ms + 1


@given(STEPS)
async def test_the_script_and_its_twin_agree(
    store: Redis, steps: list[tuple[int, list[tuple[str, bool]]]]
) -> None:
    """Whoever acts or looks, at and around the edges, twice in one call, with a clock that jumps back."""
    await agree(store, steps)


STORY: list[tuple[int, list[tuple[str, bool]]]] = [
    (0, [("a", True), ("a", True), ("a", True), ("a", True)]),
    (0, [("a", False), ("c", True)]),
    (1, [("c", True)]),
    (999, [("a", True)]),
    (SLOT_MS, [("a", True)]),
    (SLOT_MS, [("a", True), ("b", True)]),
    (SLOT_MS, [("a", True)]),
    (-SLOT_MS * 2, [("a", True)]),
    (SLOT_MS * 5, [("a", True), ("a", False)]),
]


async def test_the_story_agrees(store: Redis) -> None:
    """The same for every mutant below."""
    await agree(store, STORY)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("running - slots < slot", "running - slots <= slot"),
        ("slot <= last", "true"),
        ("if wait_ms == 0 then", "if true then"),
        ("total = total + 1\n", "total = total + 0\n"),
        ("math.max(now_us, tat_us) + interval_us", "tat_us + interval_us"),
        ("redis.call('PEXPIRE', subject, kept_ms)", ""),
        ("interval_us * (burst - 1)", "interval_us * burst"),
        ("acts = ARGV[row + 4], ARGV[row + 5] == '1'", "acts = ARGV[row + 4], true"),
        ("redis.call('HDEL', subject, unpack(gone))", ""),
    ],
)
async def test_a_mutant_of_the_script_is_found(store: Redis, old: str, new: str) -> None:
    """Each guard, taken out, makes the story disagree."""
    mutant = load(LUA / "count.lua").mutated(old, new)

    with pytest.raises(AssertionError):
        await agree(store, STORY, mutant)


class Reference(RuleBasedStateMachine):
    """The twin against a diary of all acts, while the clock only goes forward."""

    def __init__(self) -> None:
        super().__init__()
        self.now_ms = NOW_MS
        self.kept: dict[str, Record] = {}
        self.diary = Diary()

    @rule(wait_ms=WAITS_MS.filter(lambda ms: ms >= 0))
    def wait(self, wait_ms: int) -> None:
        """Let time pass."""
        self.now_ms += wait_ms

    @rule(subject=st.sampled_from("abc"), acts=st.booleans(), times=st.integers(1, 5))
    def act(self, subject: str, acts: bool, times: int) -> None:
        """Act or look, some times at once."""
        for _ in range(times):
            row = Row(subject, plan_of(subject), acts)
            self.kept[subject], got = count(
                self.kept.get(subject, Record()), row.plan, self.now_ms, acts=acts
            )
            assert got.acts == self.diary.play(row, self.now_ms)
            if acts and not got.wait_ms:
                self.diary.allow(row, self.now_ms)
            if acts and got.wait_ms:
                _, later = count(self.kept[subject], row.plan, self.now_ms + got.wait_ms, acts=True)
                assert later.wait_ms == 0


TestReference = Reference.TestCase
TestReference.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)


def test_a_count_that_forgets_would_be_noticed() -> None:
    """The mutant: a record that keeps one slot less counts too few."""
    short = Plan(FAST.rate, SLOT_MS, SLOTS - 1)
    diary, record, got = Diary(), Record(), Count(0, 0)
    for step in range(SLOTS):
        now_ms = NOW_MS + step * SLOT_MS
        record, got = count(record, short, now_ms, acts=True)
        expected = diary.play(Row("a", FAST), now_ms)

    assert (got.acts, expected) == (SLOTS - 1, SLOTS)
