"""Guests across the packages: a number's admission is found at every moment, and evictions outlive the store."""

from pathlib import Path
from typing import Any

import pytest
from redis.asyncio import Redis

from admission.guests import By
from admission.ports import LineKeys, Turn
from admission.store import AdmissionStore
from gateway import adapters
from gateway.adapters import AskedLine, JournalTurns, LettingGo, PacedLine
from kernel.clock import ManualClock
from kernel.errors import Refused
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
        turns = JournalTurns(here.waitroom, store, here.journal)
        let_go = LettingGo(Binding(here.waitroom, BindingStore(store)), turns, clock)
        await here.waitroom.refresh()

        with pytest.raises(Refused):
            await let_go(ROOM, 7, "Ann", "lost phone")
        assert await let_go(ROOM, 0, "Ann", "lost phone") == run
        (entry,) = here.journal.entries(ROOM, kinds=[Kind.OPERATOR])

    assert entry.body == {"act": "key-released", "what": "place 1", "who": "Ann", "why": "lost phone"}
    assert (entry.at_ms, entry.run) == (clock.now_ms(), run)


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
