"""The rules of reminders and their Lua files are one thing; and each guard, taken out, is missed at once.

Times are drawn from the edges of a lease, of an address's rate, and of the time that a reminder is kept.
"""

import asyncio
from collections.abc import Callable
from typing import Any, ClassVar

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import Phase as Step
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from kernel.errors import Unavailable
from kernel.gcra import Rate
from kernel.lua import Script, load
from kernel.store import connect
from waitroom import reminder as rules
from waitroom.lanes import Lane, Serving
from waitroom.reminder import Book, Came, Reminder
from waitroom.reminder_store import _LUA, RUBBISH_MS, ReminderStore, stem_of

ROOM = "main"
START_MS = 1_800_000_000_000
LEASE_MS = 100
KEEP_MS = 1_000
RATE = Rate(50_000, 3)
LIVE_MOST = 2
STEPS_MS = st.sampled_from([0, 1, 49, 50, 51, LEASE_MS - 1, LEASE_MS, LEASE_MS + 1, KEEP_MS - 1, KEEP_MS])
NUMBERS = st.integers(0, 5)
RANKS = st.none() | st.integers(0, 5)
EPOCHS = st.sampled_from([1, 1, 1, 1, 2])
TAGS = st.sampled_from(["a", "b"])
BOUNDS = st.tuples(*[st.integers(0, 7)] * 3).map(lambda found: Serving(*sorted(found, reverse=True)))


class Machine(RuleBasedStateMachine):
    """Plays the same moves on the rules and on the store."""

    url = ""
    scripts: ClassVar[dict[str, Script]] = {}

    def __init__(self) -> None:
        """Begin with an empty store."""
        super().__init__()
        self.loop = asyncio.Runner()
        self.client = connect(self.url)
        self.store = ReminderStore(self.client, self.scripts)
        self.now_ms = START_MS
        self.book: Book | None = None
        self.leases: list[tuple[int, str]] = []

    def teardown(self) -> None:
        """Close the client in its own loop."""
        self.loop.run(self.client.aclose())
        self.loop.close()

    @initialize()
    def begin(self) -> None:
        """Empty the store, and open a book."""
        self.loop.run(self.client.flushall())
        self.prepare(1, "aa")

    @rule(epoch=EPOCHS, run=st.sampled_from(["aa", "aa", "bb"]))
    def prepare(self, epoch: int, run: str) -> None:
        """Ask for the book, often when it is there, sometimes for another line."""
        self.book, expected = rules.prepare(self.book, epoch, run, f"half{epoch}")
        answer = self.loop.run(self.store.prepare(ROOM, epoch, run, f"half{epoch}", self.now_ms))
        if isinstance(expected, rules.Prepared):
            assert answer == ["prepared", expected.half]
        else:
            assert answer == [_word(expected)]

    @rule(step=STEPS_MS)
    def wait(self, step: int) -> None:
        """Let time pass."""
        self.now_ms += step

    @rule(epoch=EPOCHS, number=NUMBERS, rank=RANKS, lane=st.sampled_from(Lane), tag=TAGS)
    def remind(self, epoch: int, number: int, rank: int | None, lane: Lane, tag: str) -> None:
        """Ask to be told, often for a place that has a reminder."""
        wish = Reminder(number, lane, rank, f"to-{tag}", tag, self.now_ms + KEEP_MS)
        self.book, expected = rules.remind(self.book, epoch, wish, LIVE_MOST, RATE, self.now_ms)
        answer = self.loop.run(self.store.remind(ROOM, epoch, wish, LIVE_MOST, RATE, self.now_ms))
        if isinstance(expected, rules.Slow):
            assert answer == ["slow", expected.wait_ms]
        else:
            assert answer == [_word(expected)]

    @rule(number=NUMBERS)
    def forget(self, number: int) -> None:
        """Take a reminder back, often one that is not there."""
        self.book, expected = rules.forget(self.book, number)
        answer = self.loop.run(self.store.forget(ROOM, number, self.now_ms))
        assert answer == ["forgotten", expected.count]

    @rule(epoch=EPOCHS, tag=st.sampled_from(["a", "b", "c", "c"]))
    def stop(self, epoch: int, tag: str) -> None:
        """Stop everything for an address; for one that nobody has, mostly."""
        self.book, expected = rules.stop(self.book, epoch, tag)
        answer = self.loop.run(self.store.stop(ROOM, epoch, tag, self.now_ms))
        if isinstance(expected, rules.Forgotten):
            assert answer == ["forgotten", expected.count]
        else:
            assert answer == ["stale"]

    @rule(epoch=EPOCHS, ranks=st.dictionaries(NUMBERS, st.integers(0, 5), max_size=4))
    def rank(self, epoch: int, ranks: dict[int, int]) -> None:
        """Give ranks, also to those who have one and to places without a reminder."""
        self.book, expected = rules.rank(self.book, epoch, ranks)
        answer = self.loop.run(self.store.rank(ROOM, epoch, ranks, self.now_ms))
        if isinstance(expected, rules.Ranked):
            assert answer == ["ranked", expected.count]
        else:
            assert answer == ["stale"]

    @rule(epoch=EPOCHS, serving=BOUNDS, near=BOUNDS, most=st.integers(1, 4), lease=st.sampled_from("xy"))
    def due(self, epoch: int, serving: Serving, near: Serving, most: int, lease: str) -> None:
        """Take what is to be sent."""
        self.book, expected = rules.due(self.book, epoch, serving, near, most, lease, LEASE_MS, self.now_ms)
        taken = self.store.due(ROOM, epoch, serving, near, most, lease, LEASE_MS, self.now_ms)
        assert self.loop.run(taken) == expected
        if isinstance(expected, rules.Taken):
            self.leases += [(one.number, lease) for one in expected.due]

    @rule(data=st.data(), came=st.sampled_from(Came), later=st.sampled_from([0, 1, 50]))
    def told(self, data: st.DataObject, came: Came, later: int) -> None:
        """Write down what came of a try, often too late or under another's lease."""
        number, lease = data.draw(
            st.sampled_from(self.leases) if self.leases else st.tuples(NUMBERS, st.just("x"))
        )
        self.note(number, data.draw(st.sampled_from([lease, lease, lease, "z"])), came, later)

    def note(self, number: int, lease: str, came: Came, later: int = 0) -> None:
        """Write down what came of one try."""
        self.book, expected = rules.told(self.book, number, lease, came, later, self.now_ms)
        answer = self.loop.run(self.store.told(ROOM, number, lease, came, later, self.now_ms))
        assert answer == [_word(expected)]

    @rule(below=st.sampled_from([1, 1, 1, 2, 3]), most=st.integers(1, 2))
    def wipe(self, below: int, most: int) -> None:
        """Wipe what is of an older line, a part at a time."""
        self.book, expected = rules.wipe(self.book, below, most)
        assert self.loop.run(self.store.wipe(ROOM, below, most, self.now_ms)) == [_word(expected)]

    @invariant()
    def the_store_says_what_the_rules_say(self) -> None:
        """The stored book equals the rules', and the indexes hold every reminder where it belongs, and no other."""
        found = self.loop.run(self.store.book(ROOM))
        assert found == (None if self.book is None else _bare(self.book))
        assert self.loop.run(_indexes(self.client)) == _expected(self.book)

    @invariant()
    def nothing_stays_for_ever(self) -> None:
        """Every key has a time to live: what is lost track of clears itself away."""
        for key, left_ms in self.loop.run(_lives(self.client)).items():
            assert 0 < left_ms <= RUBBISH_MS, key


def _word(outcome: object) -> str:
    return type(outcome).__name__.lower()


def _bare(book: Book) -> Book:
    return Book(book.epoch, book.run, book.half, book.reminders, book.stopped)


async def _indexes(client: Any) -> dict[str, dict[str, int]]:
    """Read the sorted sets and sets, without what is neither."""
    found: dict[str, dict[str, int]] = {}
    async for key in client.scan_iter(f"{stem_of(ROOM)}*"):
        name, kind = key.decode().removeprefix(stem_of(ROOM)), await client.type(key)
        if kind == b"zset":
            found[name] = {
                member.decode(): int(score)
                for member, score in await client.zrange(key, 0, -1, withscores=True)
            }
        elif kind == b"set" and name != "stopped":
            found[name] = dict.fromkeys((member.decode() for member in await client.smembers(key)), 0)
    return found


def _expected(book: Book | None) -> dict[str, dict[str, int]]:
    found: dict[str, dict[str, int]] = {}

    def put(name: str, number: int, score: int = 0) -> None:
        found.setdefault(name, {})[str(number)] = score

    for one in book.reminders.values() if book else ():
        put("until", one.number, one.until_ms)
        put(f"by:{one.tag}", one.number)
        if one.job is not None:
            put("trying", one.number, one.at_ms)
        elif one.rank is None:
            put("unranked", one.number)
        else:
            put(f"{'near' if one.is_near else 'idle'}:{one.lane}", one.number, one.rank)
    return found


async def _lives(client: Any) -> dict[str, int]:
    return {key.decode(): await client.pttl(key) async for key in client.scan_iter("*")}


def play(url: str, scripts: dict[str, Script], examples: int, *, shrink: bool = True) -> None:
    """Run the machine against `scripts`; a mutant need not be shrunk."""
    machine = type("Played", (Machine,), {"url": url, "scripts": scripts})
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=examples,
            stateful_step_count=30,
            deadline=None,
            database=None,
            report_multiple_bugs=False,
            phases=[Step.generate, Step.shrink] if shrink else [Step.generate],
            suppress_health_check=list(HealthCheck),
        ),
    )


def walk(url: str, scripts: dict[str, Script]) -> None:
    """Go the ways that chance finds too seldom, from the first wish to the wiped book."""
    machine = type("Walked", (Machine,), {"url": url, "scripts": scripts})()
    low, high = Serving(0, 0, 0), Serving(7, 7, 7)
    two, standard = Serving(2, 2, 2), Lane.STANDARD
    steps: list[Callable[[], None]] = [
        machine.begin,
        # Both messages, one after the other; what was told is not told again.
        lambda: machine.remind(1, 0, 2, standard, "a"),
        lambda: machine.note(0, "", Came.OVER),
        lambda: machine.due(1, low, two, 4, "x"),
        lambda: machine.due(1, low, high, 4, "x"),
        lambda: machine.note(0, "z", Came.TOLD),
        lambda: machine.note(0, "x", Came.TOLD),
        lambda: machine.note(0, "x", Came.TOLD),
        lambda: machine.due(1, low, high, 4, "x"),
        lambda: machine.due(1, two, high, 4, "x"),
        lambda: machine.due(1, high, high, 4, "y"),
        lambda: machine.due(1, high, high, 4, "y"),
        lambda: machine.note(0, "y", Came.TOLD),
        # Tried again, with its tries counted; overtaken by the call; refused for good.
        lambda: machine.wait(KEEP_MS - 1),
        lambda: machine.remind(1, 1, 3, standard, "a"),
        lambda: machine.due(1, low, high, 4, "x"),
        lambda: machine.note(1, "x", Came.LATER, 50),
        lambda: machine.note(1, "x", Came.TOLD),
        lambda: machine.due(1, low, high, 4, "x"),
        lambda: machine.wait(50),
        lambda: machine.due(1, low, high, 4, "x"),
        lambda: machine.wait(LEASE_MS),
        lambda: machine.due(1, high, high, 4, "y"),
        lambda: machine.wait(LEASE_MS - 1),
        lambda: machine.due(1, high, high, 4, "x"),
        lambda: machine.wait(1),
        lambda: machine.due(1, high, high, 4, "x"),
        lambda: machine.note(1, "x", Came.OVER),
        lambda: machine.remind(1, 1, 3, standard, "a"),
        lambda: machine.due(1, low, high, 1, "x"),
        lambda: machine.note(1, "x", Came.OVER),
        # The draw; a rank is given once, and to nobody else.
        lambda: machine.wait(KEEP_MS),
        lambda: machine.remind(1, 2, None, Lane.SUSPECT, "b"),
        lambda: machine.due(1, high, high, 4, "x"),
        lambda: machine.rank(2, {2: 1}),
        lambda: machine.rank(1, {2: 4, 3: 1}),
        lambda: machine.rank(1, {2: 1}),
        lambda: machine.remind(2, 3, 1, standard, "b"),
        lambda: machine.remind(1, 3, 1, Lane.VERIFIED, "b"),
        lambda: machine.remind(1, 3, 1, standard, "b"),
        lambda: machine.wait(50),
        lambda: machine.remind(1, 4, 1, standard, "b"),
        lambda: machine.due(2, high, high, 4, "x"),
        lambda: machine.due(1, high, high, 1, "x"),
        lambda: machine.due(1, high, high, 4, "y"),
        # An address is asked for too often; too many at once; stopped for good.
        lambda: machine.wait(KEEP_MS),
        *[lambda: machine.remind(1, 5, 1, standard, "a")] * 4,
        lambda: machine.wait(49),
        lambda: machine.remind(1, 5, 1, standard, "a"),
        lambda: machine.wait(1),
        lambda: machine.remind(1, 5, None, standard, "a"),
        lambda: machine.forget(5),
        lambda: machine.stop(2, "b"),
        lambda: machine.stop(1, "b"),
        lambda: machine.wait(KEEP_MS),
        lambda: machine.remind(1, 2, 2, standard, "b"),
        # A reminder that is too old; the end of a line, a part at a time; a new one.
        lambda: machine.remind(1, 0, 0, standard, "a"),
        lambda: machine.wait(KEEP_MS),
        lambda: machine.due(1, high, high, 4, "x"),
        lambda: machine.remind(1, 0, 0, standard, "a"),
        lambda: machine.remind(1, 1, 0, standard, "a"),
        lambda: machine.prepare(2, "bb"),
        lambda: machine.prepare(1, "bb"),
        lambda: machine.wipe(1, 1),
        lambda: machine.wipe(2, 1),
        lambda: machine.prepare(1, "aa"),
        lambda: machine.remind(1, 3, 0, standard, "c"),
        lambda: machine.wipe(2, 1),
        lambda: machine.prepare(2, "bb"),
        lambda: machine.prepare(1, "aa"),
    ]  # fmt: skip
    try:
        for step in steps:
            step()
            machine.the_store_says_what_the_rules_say()
            machine.nothing_stays_for_ever()
    finally:
        machine.teardown()


def test_rules_and_lua_agree_on_the_long_ways(store_url: str) -> None:
    """What chance finds too seldom."""
    walk(store_url, {})


def test_rules_and_lua_agree(store_url: str) -> None:
    """Whatever is done in whatever order, both say the same words and hold the same reminders."""
    play(store_url, {}, 50)


OTHER_EPOCH = "tonumber(redis.call('HGET', stem .. 'head', 'epoch') or -1) ~= epoch"


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        pytest.param("prepare", "tonumber(head[1]) < epoch", "false", id="an old book is taken for none"),
        pytest.param("prepare", " or head[3] == ''", "", id="a destroyed key is handed out"),
        pytest.param("prepare", " or head[2] ~= run", "", id="a book of another run"),
        pytest.param("remind", "tonumber(head[1] or -1) ~= epoch", "false", id="a reminder of another line"),
        pytest.param("remind", " or head[2] == ''", "", id="a reminder without a key"),
        pytest.param("remind", "tag) == 1 then", "tag) == 2 then", id="who said stop is told"),
        pytest.param("remind", ">= most", "> most", id="one reminder too many for an address"),
        pytest.param("remind", "- redis.call('SISMEMBER', by, number)", "", id="a change counts as one more"),
        pytest.param("remind", "at_us > now_us", "false", id="an address is asked for without end"),
        pytest.param("remind", "now_us + interval_us * burst", "now_us", id="a debt is forgiven"),
        pytest.param("remind", "\ndrop(number)\n", "\n", id="the reminder before it stays about"),
        pytest.param("forget", "{'forgotten', drop(number)}", "{'forgotten', 0}", id="what was taken back stays"),
        pytest.param("stop", OTHER_EPOCH, "false", id="a stop of another line"),
        pytest.param("stop", "count = count + drop(number)", "count = count", id="who said stop stays"),
        pytest.param("stop", "redis.call('SADD', stem .. 'stopped', tag)", "", id="a stop is forgotten"),
        pytest.param("rank", OTHER_EPOCH, "false", id="ranks of another line"),
        pytest.param("rank", "number) == 1 then", "number) >= 0 then", id="a rank is given twice"),
        pytest.param("due", OTHER_EPOCH, "false", id="messages of another line"),
        pytest.param("due", "-- who is too old\n", "do return {'stale'} end\n", id="nothing is ever due"),
        pytest.param("due", "  drop(number)\nend\n\nlocal left", "end\n\nlocal left", id="a reminder lasts for ever"),
        pytest.param("due", "at_ms, 'lease', lease)", "at_ms, 'lease', '')", id="a lease without a name"),
        pytest.param("due", "was[1], number)\n  redis.call('ZADD'", "was[1], 9)\n  redis.call('ZADD'", id="told twice"),
        pytest.param("due", "'(' .. bound", "bound", id="one who is not called is told"),
        pytest.param("due", "left = left - 1", "", id="more than may be taken"),
        pytest.param("due", "if was[3] == 'near' and", "if false and", id="near is told to who is called"),
        pytest.param("due", "take(number, was[3], tonumber(was[4]))", "take(number, was[3], 0)", id="tries are lost"),
        pytest.param("told", " or was[2] ~= lease", "", id="another's lease counts"),
        pytest.param("told", "was[1] == ''", "false", id="what is not under way is written down"),
        pytest.param("told", "and was[1] == 'near'", "", id="a told turn stays"),
        pytest.param("told", "came == 'told' and ", "", id="a refused address stays"),
        pytest.param("told", "now_ms + wait_ms, 'lease', ''", "now_ms + wait_ms", id="a lease given back counts"),
        pytest.param("wipe", "tonumber(epoch) >= below", "false", id="the line that runs is wiped"),
        pytest.param("wipe", "redis.call('HSET', stem .. 'head', 'half', '')", "", id="the key outlives its line"),
        pytest.param("wipe", "if redis.call('ZCARD', stem .. 'until') > 0 then", "if false then", id="a part stays"),
    ],
)  # fmt: skip
def test_the_walk_catches_the_mutant(store_url: str, name: str, old: str, new: str) -> None:
    """Each guard, taken out of the Lua file, is missed at once."""
    mutant = load(_LUA / f"{name}.lua").mutated(old, new)

    with pytest.raises((AssertionError, Unavailable)):
        walk(store_url, {name: mutant})
