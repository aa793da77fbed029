"""The drain: what the store recorded reaches the journal, once, whatever breaks in between."""

import asyncio
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
from redis.asyncio import Redis

from kernel.clock import ManualClock
from kernel.errors import Unavailable
from waitroom import drain as drain_module
from waitroom.drain import Drain, Drained
from waitroom.journal import LEAF_BYTES, Kind, NewEntry
from waitroom.journal_store import JournalStore
from waitroom.lanes import Lane, Serving
from waitroom.line import CHUNK, Line
from waitroom.schedule import Phase
from waitroom.store import Keys, LineStore

ROOM = "main"
RUN = "0011223344556677"
KEYS = Keys(ROOM)
LEASE = f"wr:{{{ROOM}}}:drain"


@contextmanager
def _journal(url: str) -> Iterator[JournalStore]:
    with closing(JournalStore(url)) as journal:
        journal.open()
        yield journal


def _leaf(number: int) -> bytes:
    return (number + 1).to_bytes(LEAF_BYTES, "big")


async def _opened(store: Redis, joins: int = 0, run: str = RUN, seen: str = "") -> LineStore:
    """Open a run and let some join, by the real scripts."""
    line = LineStore(store)
    await line.open(ROOM, seen, run, "always", Phase.SERVING, "", "test")
    await _join(line, joins, run=run)
    return line


async def _join(line: LineStore, count: int, first: int = 0, run: str = RUN) -> None:
    if count:
        leaves = [_leaf(number) for number in range(first, first + count)]
        answer = await line.join(ROOM, run, Lane.STANDARD, leaves, [], f"{run}:{first}", None)
        assert answer[0] == "joined"


async def test_acts_and_leaves_reach_the_journal(store: Redis, clock: ManualClock, journal_url: str) -> None:
    """In the order in which they happened; the stream is empty afterwards."""
    with _journal(journal_url) as journal:
        line = await _opened(store, joins=3)
        await line.call(ROOM, RUN, 1, Serving(2, 2, 2), 60, now_ms=clock.now_ms())
        drained = await Drain(store, journal, clock).drain(ROOM, RUN)

        assert (drained.entries, drained.leaves, drained.more, drained.held) == (2, 3, False, False)
        entries = journal.entries()
        assert [entry.kind for entry in entries] == [Kind.OPENED, Kind.CALLED, Kind.LEAVES]
        assert {entry.run for entry in entries} == {RUN}
        assert entries[1].at_ms >= clock.now_ms()
        assert entries[1].body["standard"] == "2"
        assert journal.leaves(ROOM, RUN, 0, 9) == _leaf(0) + _leaf(1) + _leaf(2)
        assert journal.verify() is None
        assert await store.xlen(KEYS.journal) == 0


async def test_a_second_drain_finds_only_what_is_new(
    store: Redis, clock: ManualClock, journal_url: str
) -> None:
    """Leaves go on where the journal ends, also for a worker that has just started."""
    with _journal(journal_url) as journal:
        line = await _opened(store, joins=3)
        first = Drain(store, journal, clock)
        await first.drain(ROOM, RUN)
        assert await first.drain(ROOM, RUN) == Drained()
        await _join(line, 2, first=3)
        assert (await Drain(store, journal, clock).drain(ROOM, RUN)).leaves == 2
        await _join(line, 1, first=5)
        assert (await first.drain(ROOM, RUN)).leaves == 1

        assert journal.leaves(ROOM, RUN, 0, 6) == b"".join(_leaf(number) for number in range(6))
        assert journal.verify() is None


class _Crash(Exception):
    """The worker dies here."""


async def _crash(*_args: Any) -> None:
    raise _Crash


@pytest.mark.parametrize("same_worker", [True, False])
async def test_a_crash_after_the_commit_records_nothing_twice(
    store: Redis, clock: ManualClock, journal_url: str, monkeypatch: pytest.MonkeyPatch, same_worker: bool
) -> None:
    """The acts stay in the store; the next drain hands them in again and the journal knows them."""
    with _journal(journal_url) as journal:
        await _opened(store, joins=3)
        drain = Drain(store, journal, clock)
        with monkeypatch.context() as patched:
            patched.setattr(store, "xdel", _crash)
            with pytest.raises(_Crash):
                await drain.drain(ROOM, RUN)
        before = journal.entries()
        assert await store.xlen(KEYS.journal) == 1
        again = await (drain if same_worker else Drain(store, journal, clock)).drain(ROOM, RUN)

        assert (again.entries, again.leaves) == (0, 0)
        assert journal.entries() == before
        assert await store.xlen(KEYS.journal) == 0


async def test_without_names_a_crash_records_twice(
    store: Redis, clock: ManualClock, journal_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The mutant: it is the names of the acts that keep the journal from doubling them."""
    monkeypatch.setattr(drain_module, "source_of", lambda *_args: "")
    with _journal(journal_url) as journal:
        await _opened(store)
        with monkeypatch.context() as patched:
            patched.setattr(store, "xdel", _crash)
            with pytest.raises(_Crash):
                await Drain(store, journal, clock).drain(ROOM, RUN)
        await Drain(store, journal, clock).drain(ROOM, RUN)

        assert [entry.kind for entry in journal.entries()] == [Kind.OPENED, Kind.OPENED]


async def test_a_crash_before_the_commit_loses_nothing(
    store: Redis, clock: ManualClock, journal_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is taken out of the store that the journal does not have."""
    with _journal(journal_url) as journal:
        await _opened(store, joins=3)
        with monkeypatch.context() as patched:

            def away(*_args: Any) -> None:
                raise Unavailable("journal-away", "later")

            patched.setattr(journal, "append", away)
            with pytest.raises(Unavailable):
                await Drain(store, journal, clock).drain(ROOM, RUN)
        assert await store.xlen(KEYS.journal) == 1
        drained = await Drain(store, journal, clock).drain(ROOM, RUN)

        assert (drained.entries, drained.leaves) == (1, 3)


async def test_workers_that_drain_at_once_record_everything_once(
    store: Redis, clock: ManualClock, journal_url: str
) -> None:
    """Nothing rests on the lease: five without it, while people join and are called."""
    with _journal(journal_url) as journal:
        line = await _opened(store)
        drains = [Drain(store, journal, clock) for _ in range(5)]
        for turn in range(8):
            await line.call(ROOM, RUN, turn + 1, Serving(turn, turn, turn), 60)
            await asyncio.gather(
                _join(line, 7, first=turn * 7), *(each.drain(ROOM, RUN, lease=False) for each in drains)
            )
        await drains[0].drain(ROOM, RUN, lease=False)

        entries = journal.entries()
        assert [entry.body["standard"] for entry in entries if entry.kind is Kind.CALLED] == [
            str(turn) for turn in range(1, 8)
        ]
        assert journal.leaves(ROOM, RUN, 0, 100) == b"".join(_leaf(number) for number in range(56))
        assert journal.verify() is None


async def test_one_worker_at_a_time_has_the_lease(store: Redis, clock: ManualClock, journal_url: str) -> None:
    """The others are told so and spare themselves the work; the lease ends with the drain, or by itself."""
    with _journal(journal_url) as journal:
        await _opened(store)
        await store.set(LEASE, b"somebody else", px=drain_module.LEASE_MS)
        drain = Drain(store, journal, clock)

        assert await drain.drain(ROOM, RUN) == Drained(held=True)
        assert await store.get(LEASE) == b"somebody else"
        assert (await drain.drain(ROOM, RUN, lease=False)).entries == 1
        await store.delete(LEASE)
        await drain.drain(ROOM, RUN)
        assert not await store.exists(LEASE)


async def test_a_lease_is_given_back_by_its_holder_only(
    store: Redis, clock: ManualClock, journal_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A drain that took longer than its lease must not end that of the next worker."""
    with _journal(journal_url) as journal:
        await _opened(store)
        drain = Drain(store, journal, clock)
        inner = drain._drain

        async def slow(room: str, run: str) -> Drained:
            assert 0 < await store.pttl(LEASE) <= drain_module.LEASE_MS
            await store.set(LEASE, b"the next")
            return await inner(room, run)

        monkeypatch.setattr(drain, "_drain", slow)
        await drain.drain(ROOM, RUN)

        assert await store.get(LEASE) == b"the next"


async def test_what_was_committed_survives_the_loss_of_the_store(
    store: Redis, clock: ManualClock, journal_url: str
) -> None:
    """A wipe takes what was not drained yet, and nothing else."""
    with _journal(journal_url) as journal:
        line = await _opened(store, joins=3)
        drain = Drain(store, journal, clock)
        await drain.drain(ROOM, RUN)
        await _join(line, 2, first=3)
        await store.flushall()
        assert await drain.drain(ROOM, RUN) == Drained()
        restored = Line(RUN, epoch=2, issued=3000, void=((3, 3000),), serving=Serving())
        await line.restore(ROOM, 0, restored, "a test")
        drained = await drain.drain(ROOM, RUN)

        assert (drained.entries, drained.leaves) == (1, 2997)
        octets = journal.leaves(ROOM, RUN, 0, 3000)
        assert octets == _leaf(0) + _leaf(1) + _leaf(2) + bytes(2997 * LEAF_BYTES)
        state = journal.state(ROOM)
        assert state is not None
        assert (state.epoch, state.issued, state.extent, state.joins_per_s) == (2, 3000, 3000, 3)


async def test_a_store_behind_the_journal_has_fallen_back(
    store: Redis, clock: ManualClock, journal_url: str
) -> None:
    """It was rolled back to an older file; its leaves are not taken, and the caller is told."""
    with _journal(journal_url) as journal:
        await _opened(store, joins=3)
        await Drain(store, journal, clock).drain(ROOM, RUN)
        await store.hset(KEYS.line, "issued", 2)
        drained = await Drain(store, journal, clock).drain(ROOM, RUN)

        assert drained == Drained(fell_back=True)
        assert journal.leaf_extent(ROOM, RUN) == 3


async def test_another_act_under_an_old_id_is_another_act(
    store: Redis, clock: ManualClock, journal_url: str
) -> None:
    """A wiped store whose clock went back gives an id again; the journal keeps both acts."""
    with _journal(journal_url) as journal:
        drain = Drain(store, journal, clock)
        for sid in ("first", "second"):
            await store.delete(KEYS.journal)
            await store.xadd(KEYS.journal, {"kind": "ended", "run": RUN, "sid": sid}, id="5-1")
            await drain.drain(ROOM, RUN)

        assert [entry.body["sid"] for entry in journal.entries()] == ["first", "second"]


async def test_only_acts_that_were_read_are_taken_out(
    store: Redis, clock: ManualClock, journal_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a wipe a smaller id may appear before we clean up; trimming by id would lose it unread."""
    with _journal(journal_url) as journal:
        await store.xadd(KEYS.journal, {"kind": "operator", "what": "before"}, id="9-0")
        inner = journal.append
        loop = asyncio.get_running_loop()

        async def wipe() -> None:
            await store.flushall()
            await store.xadd(KEYS.journal, {"kind": "operator", "what": "after"}, id="5-0")

        def append(*args: Any) -> Any:
            asyncio.run_coroutine_threadsafe(wipe(), loop).result(10)
            return inner(*args)

        with monkeypatch.context() as patched:
            patched.setattr(journal, "append", append)
            await Drain(store, journal, clock).drain(ROOM, RUN)
        assert await store.xlen(KEYS.journal) == 1
        await Drain(store, journal, clock).drain(ROOM, RUN)

        assert [entry.body["what"] for entry in journal.entries()] == ["before", "after"]


async def test_trimming_by_id_would_lose_an_act(store: Redis) -> None:
    """The mutant of the rule above: MINID takes the smaller id out, read or not."""
    await store.xadd(KEYS.journal, {"kind": "operator", "what": "after"}, id="5-0")
    await store.xtrim(KEYS.journal, minid="9-1", approximate=False)

    assert await store.xlen(KEYS.journal) == 0


async def test_a_call_is_bounded_and_asks_for_another(
    store: Redis, clock: ManualClock, journal_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So that a long absence of the journal is caught up in portions."""
    monkeypatch.setattr(drain_module, "ENTRIES_AT_ONCE", 3)
    monkeypatch.setattr(drain_module, "LEAVES_AT_ONCE", 4)
    with _journal(journal_url) as journal:
        await _opened(store, joins=10)
        for at in range(4):
            await store.xadd(KEYS.journal, {"kind": "operator", "what": str(at)})
        drain = Drain(store, journal, clock)
        portions = [await drain.drain(ROOM, RUN) for _ in range(4)]

        assert [(each.entries, each.leaves, each.more) for each in portions] == [
            (3, 4, True),
            (2, 4, True),
            (0, 2, False),
            (0, 0, False),
        ]
        assert journal.leaves(ROOM, RUN, 0, 20) == b"".join(_leaf(number) for number in range(10))


async def test_leaves_are_read_across_chunks(store: Redis, clock: ManualClock, journal_url: str) -> None:
    """A missing chunk lies in a void range; its slots are kept as zero bytes."""
    with _journal(journal_url) as journal:
        await _opened(store)
        await store.hset(KEYS.line, "issued", 2 * CHUNK + 2)
        await store.setrange(KEYS.chunk(0), CHUNK * LEAF_BYTES - 1, "\0")
        await store.setrange(KEYS.chunk(0), (CHUNK - 1) * LEAF_BYTES, _leaf(CHUNK - 1))  # type: ignore[arg-type]
        await store.setrange(KEYS.chunk(2 * CHUNK), LEAF_BYTES, _leaf(2 * CHUNK + 1))  # type: ignore[arg-type]
        drain = Drain(store, journal, clock)
        while (await drain.drain(ROOM, RUN)).more:
            pass

        assert journal.leaf_extent(ROOM, RUN) == 2 * CHUNK + 2
        assert journal.leaves(ROOM, RUN, CHUNK - 1, 2) == _leaf(CHUNK - 1) + bytes(LEAF_BYTES)
        assert journal.leaves(ROOM, RUN, 2 * CHUNK, 2) == bytes(LEAF_BYTES) + _leaf(2 * CHUNK + 1)
        assert journal.verify() is None


async def test_leaves_of_a_run_that_ends_meanwhile_are_left_alone(
    store: Redis, clock: ManualClock, journal_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Counter and leaves are read one after the other; a new run in between shows in the second look."""
    other = "ffffffffffffffff"
    with _journal(journal_url) as journal:
        await _opened(store, joins=5)
        drain = Drain(store, journal, clock)
        inner = store.hmget

        async def then_opened(*args: Any) -> Any:
            monkeypatch.undo()
            answer = await inner(*args)
            await store.delete(KEYS.chunk(0))
            await _opened(store, joins=9, run=other, seen=RUN)
            return answer

        monkeypatch.setattr(store, "hmget", then_opened)
        drained = await drain.drain(ROOM, RUN)

        assert (drained.leaves, drained.more) == (0, True)
        assert journal.leaf_extent(ROOM, RUN) == 0
        assert (await drain.drain(ROOM, RUN)).leaves == 0
        assert (await drain.drain(ROOM, other)).leaves == 9


async def test_an_act_without_a_run_is_the_same_for_every_drainer(
    store: Redis, clock: ManualClock, journal_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Settings belong to no run; a worker that knows of no line yet must not make another act of them."""
    with _journal(journal_url) as journal:
        await store.xadd(KEYS.journal, {"kind": "configured", "version": "1", "config": "{}"})
        for run in ("", RUN):
            with monkeypatch.context() as patched:
                patched.setattr(store, "xdel", _crash)
                with pytest.raises(_Crash):
                    await Drain(store, journal, clock).drain(ROOM, run)

        [entry] = journal.entries()
        assert (entry.kind, entry.run) == (Kind.CONFIGURED, "")
        assert journal.latest_configs() == {ROOM: (1, "{}")}


async def test_what_cannot_be_understood_is_kept(store: Redis, clock: ManualClock, journal_url: str) -> None:
    """An unknown kind, bytes that are no text: neither stops the drain nor is lost."""
    with _journal(journal_url) as journal:
        await store.xadd(KEYS.journal, {"kind": "teleported", "to": b"\xff\x00", "at_ms": "soon"}, id="77-0")
        await store.xadd(KEYS.journal, {"what": "no kind"}, id="78-0")
        await Drain(store, journal, clock).drain(ROOM, RUN)

        first, second = journal.entries()
        assert (first.kind, first.at_ms) == (Kind.OTHER, 77)
        assert first.body == {"kind": "teleported", "to": "\\xff\0"}
        assert (second.kind, second.at_ms, second.body["what"]) == (Kind.OTHER, 78, "no kind")


async def test_the_lag_is_the_age_of_the_oldest_act(
    store: Redis, clock: ManualClock, journal_url: str
) -> None:
    """Never negative, though clocks differ."""
    with _journal(journal_url) as journal:
        drain = Drain(store, journal, clock)
        for age_ms, at in ((400, 1), (900, 2), (-50, 3)):
            await store.xadd(
                KEYS.journal, {"kind": "operator", "at_ms": clock.now_ms() - age_ms}, id=f"{at}-0"
            )
        assert (await drain.drain(ROOM, RUN)).lag_ms == 900
        await store.xadd(KEYS.journal, {"kind": "operator", "at_ms": clock.now_ms() + 50}, id="4-0")
        assert (await drain.drain(ROOM, RUN)).lag_ms == 0


async def test_a_journal_that_was_put_back_from_a_copy_is_caught_up(
    store: Redis, clock: ManualClock, tmp_path: Path
) -> None:
    """It then has fewer leaves than the worker remembers; the next call looks again."""
    with _journal(f"sqlite:///{tmp_path}/a.db") as journal, _journal(f"sqlite:///{tmp_path}/b.db") as copy:
        line = await _opened(store, joins=3)
        drain = Drain(store, journal, clock)
        await drain.drain(ROOM, RUN)
        drain._journal = copy
        await _join(line, 2, first=3)
        with pytest.raises(ValueError, match="hole"):
            await drain.drain(ROOM, RUN)

        assert (await drain.drain(ROOM, RUN)).leaves == 5


async def test_an_entry_that_the_journal_has_from_elsewhere_is_not_doubled(
    store: Redis, clock: ManualClock, journal_url: str
) -> None:
    """Entries without a name are never taken for one another."""
    with _journal(journal_url) as journal:
        journal.append([NewEntry(1, ROOM, RUN, Kind.OPERATOR, {"what": "x"})])
        await store.xadd(KEYS.journal, {"kind": "operator", "run": RUN, "at_ms": "1", "what": "x"})
        await Drain(store, journal, clock).drain(ROOM, RUN)

        assert len(journal.entries()) == 2
