"""Guests across the packages: a number's admission is found at every moment, and evictions outlive the store."""

from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from redis.asyncio import Redis
from redis.asyncio.client import Pipeline

from admission.guests import By
from admission.ports import LineKeys, Turn
from admission.store import AdmissionStore
from gateway import adapters
from gateway.adapters import AskedLine, JournalTurns, PacedLine
from kernel.clock import ManualClock
from kernel.errors import Refused, Unavailable
from tests.waitroom.house import ROOM, House, house, worker
from waitroom.binding import Binding
from waitroom.binding_store import BindingStore
from waitroom.journal import Kind
from waitroom.restoring import Restorer

BY = By("Ann", "a script of the shop")
SID = "S" * 22


async def _opened(here: House, joins: int) -> tuple[str, LineKeys]:
    reading = await here.set_up()
    for _ in range(joins):
        await here.join()
    assert reading.line is not None
    keys = here.waitroom.store.keys(ROOM)
    return reading.line.run, LineKeys(keys.line, keys.journal)


async def _admitted(here: House, keys: LineKeys, run: str, number: int, sid: str) -> None:
    """Record an admission as the claim does."""
    at_ms = here.clock.now_ms()
    await here.store.xadd(
        keys.journal,
        {
            "kind": "admitted", "at_ms": at_ms, "run": run, "epoch": 1, "number": number, "rank": number,
            "lane": "standard", "sid": sid, "until_ms": at_ms + 900_000,
        },
    )  # fmt: skip


async def test_a_turn_is_found_in_the_stream_and_in_the_journal(
    store: Redis, clock: ManualClock, tmp_path: Path
) -> None:
    """Before and after the drain; number 1 is not number 11, and another run's is nobody's."""
    async with house(store, clock, tmp_path) as here:
        run, keys = await _opened(here, 12)
        turns = JournalTurns(here.waitroom, store, here.journal)
        await _admitted(here, keys, run, 11, SID)
        await _admitted(here, keys, "f" * 16, 2, "x" * 22)

        before = [await turns.turn_of(ROOM, run, number) for number in (11, 1, 2)]
        await here.drained()
        after = [await turns.turn_of(ROOM, run, number) for number in (11, 1, 2)]
        other = await turns.turn_of("side", run, 11)

    found = Turn(SID, clock.now_ms(), "standard")
    assert before == after == [found, None, None]
    assert other is None


async def test_a_turn_is_found_in_a_stream_that_is_read_by_portions(
    store: Redis, clock: ManualClock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Wherever it stands, and of two the last; no answer of the store is longer than a portion."""
    monkeypatch.setattr(adapters, "STREAMED_AT_ONCE", 2)
    read, portions = store.xrevrange, list[int]()

    async def xrevrange(*given: Any, **more: Any) -> Any:
        found = await read(*given, **more)
        portions.append(len(found))
        return found

    async with house(store, clock, tmp_path) as here:
        run, keys = await _opened(here, 9)
        turns = JournalTurns(here.waitroom, store, here.journal)
        await _admitted(here, keys, run, 0, "x" * 22)
        for number in range(9):
            await _admitted(here, keys, run, number, f"{number:022d}")
        monkeypatch.setattr(store, "xrevrange", xrevrange)
        found = [await turns.turn_of(ROOM, run, number) for number in range(10)]

    assert [turn and turn.sid for turn in found] == [*(f"{number:022d}" for number in range(9)), None]
    assert max(portions) == 2


async def test_a_number_that_was_just_given_is_known_to_operators(
    store: Redis, clock: ManualClock, tmp_path: Path
) -> None:
    """Their process reads the room when it is asked; what it remembers (the mutant) is a beat old."""
    async with house(store, clock, tmp_path) as here:
        desk = worker(store, here.journal, clock)
        await _opened(here, 1)
        await desk.waitroom.refresh()
        await here.join()
        remembered = await PacedLine(desk.waitroom).facts(ROOM)
        asked = await AskedLine(desk.waitroom).facts(ROOM)

    assert remembered is not None
    assert asked is not None
    assert (remembered.issued, asked.issued) == (1, 2)


async def test_an_operators_act_stands_in_the_journal_at_once(
    store: Redis, clock: ManualClock, tmp_path: Path
) -> None:
    """In the chain, with who, when and why."""
    async with house(store, clock, tmp_path) as here:
        run, _ = await _opened(here, 1)
        act = {"act": "session-revoked", "number": "0", "who": "Ann", "why": "asked"}
        await JournalTurns(here.waitroom, store, here.journal).note(ROOM, run, act, clock.now_ms())
        (entry,) = here.journal.entries(ROOM, kinds=[Kind.OPERATOR])
        fault = here.journal.verify()

    assert (entry.body, entry.at_ms, entry.run, fault) == (act, clock.now_ms(), run, None)


async def test_a_key_that_is_let_go_stands_in_the_journal(
    store: Redis, clock: ManualClock, tmp_path: Path
) -> None:
    """Once, with who, when and why; what is refused leaves nothing."""
    async with house(store, clock, tmp_path) as here:
        run, _ = await _opened(here, 1)
        binding = Binding(here.waitroom, BindingStore(store))
        await here.waitroom.refresh()

        with pytest.raises(Refused):
            await binding.let_go(ROOM, 7, "Ann", "lost phone")
        assert await binding.let_go(ROOM, 0, "Ann", "lost phone") == run
        await here.drained()
        (entry,) = here.journal.entries(ROOM, kinds=[Kind.OPERATOR])

    assert entry.body == {"act": "key-released", "what": "place 1", "who": "Ann", "why": "lost phone"}
    assert (entry.at_ms, entry.run) == (clock.now_ms(), run)


class _Dying(BindingStore):
    """A store whose process dies after so many trips."""

    trips = 0

    async def _put(self, *given: Any) -> None:
        if self.trips == 0:
            raise Unavailable("store-away", "The process is gone.")
        self.trips -= 1
        await super()._put(*given)


class _TwoSteps(_Dying):
    """The mutant: the key first, then the record."""

    async def release(
        self, room: str, run: str, number: int, stream: str, act: Mapping[str, str], now_ms: int
    ) -> None:
        await self._put(room, run, number, "", {})
        await super().release(room, run, number, stream, act, now_ms)


@pytest.mark.parametrize(("kind", "is_torn"), [(_Dying, False), (_TwoSteps, True)])
async def test_no_key_is_let_go_without_a_record(
    store: Redis, clock: ManualClock, tmp_path: Path, kind: type[_Dying], is_torn: bool
) -> None:
    """Whenever the process dies: both are there, or neither. The store takes them as one."""
    async with house(store, clock, tmp_path) as here:
        run, keys = await _opened(here, 3)
        await here.waitroom.refresh()
        torn = list[int]()
        for trips in range(3):
            dying = kind(store)
            dying.trips, before = trips, await store.xlen(keys.journal)
            with suppress(Unavailable):
                await Binding(here.waitroom, dying).let_go(ROOM, trips, "Ann", "lost phone")
            is_let_go = await dying.moved(ROOM, run, trips) == ""
            if is_let_go != (await store.xlen(keys.journal) > before):
                torn.append(trips)

    assert torn == ([1] if is_torn else [])


async def test_the_store_takes_a_letting_go_and_its_record_in_one_transaction(
    store: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server that stops in between has done neither; outside of one it may have done either."""
    sent, execute = list[tuple[bool, list[str]]](), Pipeline.execute

    async def seen(self: Pipeline, *given: Any) -> Any:
        sent.append((self.is_transaction, [args[0] for args, _ in self.command_stack]))
        return await execute(self, *given)

    monkeypatch.setattr(Pipeline, "execute", seen)
    await BindingStore(store).release(ROOM, "00", 1, f"wr:{{{ROOM}}}:journal", {"act": "key-released"}, 5)
    await store.aclose()

    assert sent == [(True, ["XADD", "HSET", "PEXPIRE"])]


async def test_evictions_come_back_after_the_store_was_wiped(
    store: Redis, clock: ManualClock, tmp_path: Path
) -> None:
    """The journal is their source: who was given back is not evicted again, whose visit ended stays out."""
    doors = AdmissionStore(store)
    async with house(store, clock, tmp_path) as here:
        here.restorer = Restorer(here.waitroom, here.journal, here.configurations, doors, clock)
        run, keys = await _opened(here, 6)
        until_ms = clock.now_ms() + 900_000
        await store.zadd(doors.keys(ROOM).sessions, {SID: until_ms, "R" * 22: until_ms})
        now_ms = clock.now_ms()
        await doors.evict(ROOM, keys, run, 3, SID, BY, now_ms)
        await doors.evict(ROOM, keys, run, 4, "R" * 22, BY, now_ms)
        await doors.reinstate(ROOM, keys, run, 4, BY, now_ms)
        await doors.evict(ROOM, keys, run, 5, "", BY, now_ms)
        await here.drained()
        before = await store.hgetall(doors.keys(ROOM).evicted)
        withheld = await store.hgetall(doors.keys(ROOM).withheld)
        assert withheld == {SID.encode(): b"3"}
        await store.flushall()

        for _ in range(3):
            await here.beat()

        assert await store.hgetall(doors.keys(ROOM).evicted) == before
        assert await store.hgetall(doors.keys(ROOM).withheld) == withheld
        assert await doors.evicted(ROOM) == [3, 5]
        assert await doors.live_sids(ROOM, now_ms) == ["R" * 22]
        assert await doors.guest(ROOM, 3, SID, now_ms) == (0, True)
        kinds = [entry.kind for entry in here.journal.entries(ROOM, kinds=[Kind.EVICTED, Kind.REINSTATED])]
        assert kinds == [Kind.EVICTED, Kind.EVICTED, Kind.REINSTATED, Kind.EVICTED]
