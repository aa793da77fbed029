"""Targets in trouble: receivers that are busy, endless or huge, owners who act meanwhile, clocks that jump."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from dataclasses import replace
from email.utils import formatdate
from typing import Any

import pytest
import sqlalchemy as sa

from kernel.backoff import LONGEST_MS, again_ms, asked_s
from kernel.clock import ManualClock
from kernel.sending import Outcome
from kernel.webhook import LATER_MOST_S, Hooks
from tests.dashboards.outgoing import Parts, entry, parts
from tests.waitroom.receivers import Receiver, receiving
from waitroom import journal_reader, target_round, target_store
from waitroom.configure import Actor
from waitroom.journal import Kind
from waitroom.journal_reader import JournalReader, Portion, Sought
from waitroom.journal_tables import ENTRIES
from waitroom.target_desk import Act
from waitroom.target_round import LEASE_MS, TargetRound
from waitroom.target_store import TARGETS, WAIT_MOST_MS

ANN = Actor("Ann", "try")
DAY_MS = 86_400_000


@pytest.fixture
def lite(tmp_path: Any) -> str:
    """Give the address of an empty SQLite journal."""
    return f"sqlite:///{tmp_path}/journal.db"


@asynccontextmanager
async def hooked(made: Parts, events: int = 2) -> AsyncIterator[Receiver]:
    """Have a receiver told of some events from the beginning."""
    made.journal.append(
        [entry(Kind.PHASE, made.clock.now_ms(), phase="serving", n=str(n)) for n in range(events)]
    )
    async with receiving() as receiver:
        given = {"name": "shop", "way": "webhook", "address": f"{receiver.url}/hook", "after": 0}
        await made.desk.make(given, ANN)
        yield receiver
        await made.ways.close()


async def told(made: Parts, rounds: TargetRound | None = None) -> None:
    """Look once, and wait until nothing is being told."""
    which = rounds or made.round
    await which.look()
    await which.told()


def other_round(made: Parts) -> TargetRound:
    """Give another operator's process."""
    return TargetRound(made.store, made.reader, made.ways, made.clock, made.metrics, chance=lambda: 0.0)


# ------------------------------------------------------------------------------- busy receivers


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize("as_date", [False, True])
async def test_a_busy_receiver_is_left_alone_for_as_long_as_it_asks(
    lite: str, clock: ManualClock, status: int, as_date: bool
) -> None:
    """Seconds or a date; what is behind waits, too, and nobody asks a millisecond earlier."""
    with parts(lite, clock) as made:
        async with hooked(made) as receiver:
            began_ms = clock.now_ms()
            receiver.statuses = [status]
            receiver.more = {
                "retry-after": formatdate(began_ms // 1000 + 120, usegmt=True) if as_date else "120"
            }
            await told(made)
            target = await made.desk.get("shop")
            asked_ms = target.next_ms - began_ms
            assert 119_000 <= asked_ms <= 121_000  # a date has no milliseconds
            assert (target.tries, target.why, target.cursor) == (1, str(status), 0)
            clock.set(target.next_ms - 1)
            await told(made)
            assert len(receiver.heard) == 1
            clock.advance(1)
            await told(made)
        assert receiver.ids == ["shop.1", "shop.1", "shop.2", "shop.3"]


@pytest.mark.parametrize(
    ("status", "header", "later_s"),
    [
        (429, "999999999", LATER_MOST_S),
        (429, "Fri, 31 Dec 9999 23:59:59 GMT", LATER_MOST_S),
        (503, "0", 0),
        (503, "-5", 0),
        (503, "soon", 0),
        (503, "Thu, 01 Jan 1970 00:00:00 GMT", 0),
        (500, "120", 0),
        (404, "120", 0),
        (307, "120", 0),
    ],
)
async def test_what_a_receiver_asks_for_is_bounded(status: int, header: str, later_s: int) -> None:
    """An hour at most, and only of those who say that they are busy."""
    async with receiving() as receiver:
        receiver.statuses, receiver.more = [status], {"retry-after": header}
        hooks = Hooks(10)
        result = await hooks.post(f"{receiver.url}/hook", b"{}", {}, 1_800_000_000_000)
        await hooks.close()
    assert (result.outcome, result.later_s) == (Outcome.LATER, later_s)


async def test_a_receiver_that_asks_for_less_does_not_shorten_the_wait(lite: str, clock: ManualClock) -> None:
    """The waits still double, so that sixteen tries are hours and not seconds."""
    with parts(lite, clock) as made:
        async with hooked(made) as receiver:
            receiver.statuses, receiver.more = [429], {"retry-after": "1"}
            await told(made)
            assert (await made.desk.get("shop")).next_ms == again_ms(1, 0.0, clock.now_ms())


@pytest.mark.parametrize(
    "text", ["", " ", "1e3", "\u00b2", "Mon, 99 Foo 2027 25:61:00 GMT", "1" * 10, "x" * 5000]
)
def test_what_is_neither_seconds_nor_a_date_says_nothing(text: str) -> None:
    """No fault of theirs is one of ours."""
    assert asked_s(text, 0, 60) is None


# ---------------------------------------------------------------------------- strange receivers


@pytest.mark.parametrize(("status", "outcome"), [(200, Outcome.SENT), (500, Outcome.LATER)])
async def test_an_answer_without_an_end_is_taken_by_its_status(status: int, outcome: Outcome) -> None:
    """Nothing of its body is read; the connection is closed, so whoever writes it notices."""
    async with receiving() as receiver:
        receiver.statuses, receiver.body = [status], b"x" * 65_536
        hooks = Hooks(10)
        result = await hooks.post(f"{receiver.url}/hook", b"{}", {}, 0)
        await hooks.close()
        assert result.outcome is outcome
    # Leaving the block has waited for the receiver's end: it does not write for ever.
    assert receiver.sent < 64 << 20


async def test_headers_that_are_huge_are_no_answer() -> None:
    """A line of a megabyte is refused by the client."""
    async with receiving() as receiver:
        receiver.more = {"x-huge": "x" * 1_000_000}
        hooks = Hooks(10)
        result = await hooks.post(f"{receiver.url}/hook", b"{}", {}, 0)
        await hooks.close()
    assert result.outcome is Outcome.AWAY


# --------------------------------------------------------------------------- owners in between


@pytest.mark.parametrize("act", ["remove", "pause", "replay", "again"])
async def test_what_an_owner_does_while_it_is_being_told_stands(
    lite: str, clock: ManualClock, act: str
) -> None:
    """The teller writes nothing over it; after a pause the same event comes again, under the same name."""
    with parts(lite, clock) as made:
        async with hooked(made, 3) as receiver:
            receiver.statuses = [204, 0]
            await made.round.look()
            while len(receiver.heard) < 2:
                receiver.asked.clear()
                await receiver.asked.wait()
            if act in {"remove", "again"}:
                await made.desk.remove("shop", ANN)
            if act == "again":
                given = {"name": "shop", "way": "webhook", "address": f"{receiver.url}/hook", "after": 2}
                await made.desk.make(given, ANN)
            if act == "pause":
                await made.desk.act("shop", Act.PAUSE, {}, ANN)
            if act == "replay":
                await made.desk.act("shop", Act.REPLAY, {"from": 1}, ANN)
            receiver.over.set()
            await made.round.told()
            assert receiver.ids == ["shop.1", "shop.2"]
            if act == "remove":
                assert await made.desk.all() == []
                assert made.store.deliveries("shop") == []
                return
            target = await made.desk.get("shop")
            assert target.cursor == {"pause": 1, "replay": 0, "again": 2}[act]
            await told(made)
            if act == "pause":
                assert len(receiver.heard) == 2
                await made.desk.act("shop", Act.RESUME, {}, ANN)
                await told(made)
        first = {"pause": "shop.2", "replay": "shop.1", "again": "shop.3"}[act]
        assert receiver.ids[2] == first
        seqs = [int(one.rpartition(".")[2]) for one in receiver.ids[2:]]
        assert seqs == list(range(seqs[0], seqs[-1] + 1))


# ------------------------------------------------------------------------------ clocks that jump


async def test_a_clock_that_jumps_ahead_takes_a_lease_and_loses_nothing(
    lite: str, clock: ManualClock
) -> None:
    """Both tell the same event under the same name; who lost the lease moves nothing."""
    with parts(lite, clock) as made:
        async with hooked(made) as receiver:
            receiver.statuses = [0]
            await made.round.look()
            await receiver.asked.wait()
            clock.advance(LEASE_MS)
            await told(made, other_round(made))
            assert (await made.desk.get("shop")).cursor == 3
            receiver.over.set()
            await made.round.told()
            assert (await made.desk.get("shop")).cursor == 3
        assert receiver.ids == ["shop.1", "shop.1", "shop.2", "shop.3"]


async def stranded(made: Parts, clock: ManualClock) -> list[str]:
    """Have a process whose clock is a day ahead fail and die with its lease; say what the next one tells."""
    async with hooked(made) as receiver:
        ahead_ms = clock.now_ms() + DAY_MS
        target = made.store.lease("shop", "dead", ahead_ms + LEASE_MS, ahead_ms)
        assert target is not None
        made.store.move(
            replace(target, tries=1, next_ms=ahead_ms + 20_000), "dead", ahead_ms + LEASE_MS, None
        )
        await told(made, other_round(made))
        return receiver.ids


async def test_a_lease_and_a_wait_of_a_clock_that_was_wrong_do_not_stop_a_target(
    lite: str, clock: ManualClock
) -> None:
    """Nobody waits a day because a clock was a day ahead for a second."""
    with parts(lite, clock) as made:
        assert await stranded(made, clock) == ["shop.1", "shop.2", "shop.3"]


async def test_whoever_believes_every_clock_is_stopped_by_it(
    lite: str, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The mutant of the test above."""
    monkeypatch.setattr(target_round, "waits_until", lambda next_ms, now_ms: next_ms > now_ms)
    monkeypatch.setattr(target_store, "WAIT_MOST_MS", 1 << 50)
    with parts(lite, clock) as made:
        assert await stranded(made, clock) == []


async def test_the_longest_wait_and_a_clock_a_little_ahead_are_believed(
    lite: str, clock: ManualClock
) -> None:
    """An hour is waited for, and a lease of somebody whose clock is half a minute ahead is theirs."""
    with parts(lite, clock) as made:
        async with hooked(made) as receiver:
            now_ms = clock.now_ms()
            for lease_ms, next_ms in (
                (now_ms + LEASE_MS + LEASE_MS // 2, 0),
                (0, now_ms + LONGEST_MS),
                (0, now_ms + WAIT_MOST_MS),
            ):
                with made.store._engine.begin() as connection:
                    connection.execute(
                        sa.update(TARGETS).values(holder="other", lease_ms=lease_ms, next_ms=next_ms)
                    )
                await told(made)
                assert receiver.heard == []


# ------------------------------------------------------------------------------- faults of ours


async def test_a_fault_in_a_look_does_not_end_all_looks(
    lite: str, clock: ManualClock, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """It is logged, and the next look tells."""
    monkeypatch.setattr(target_round, "LOOK_S", 0.001)
    with parts(lite, clock) as made:
        async with hooked(made) as receiver:
            real, calls = made.store.all, 0

            def broken() -> Any:
                nonlocal calls
                calls += 1
                if calls == 1:
                    raise KeyError("state")
                return real()

            monkeypatch.setattr(made.store, "all", broken)
            made.round.start()
            await receiver.asked.wait()
            await made.round.stop()
    assert "targets could not be looked at" in caplog.text


# -------------------------------------------------------------------------- while others write


class LooksFirst(JournalReader):
    """The mutant: it looks what there is, and then how far there is."""

    def after(self, seq: int, sought: Sought, limit: int = 100) -> Portion:
        """Read on, the wrong way round."""
        with self._engine.connect() as connection:
            query = journal_reader._query(seq, 1 << 53, sought).order_by(ENTRIES.c.seq)
            found = journal_reader._found(connection, query, limit)
        at = found[-1].seq if len(found) == limit else self.head()
        with self._engine.connect() as connection:
            return Portion(journal_reader._told(connection, found), at, more=False)


@pytest.mark.parametrize(
    ("reader", "look"), [(JournalReader, "_head"), (JournalReader, "_found"), (LooksFirst, "_found")]
)
async def test_a_target_hears_what_is_written_in_the_middle_of_a_read(
    lite: str, clock: ManualClock, monkeypatch: pytest.MonkeyPatch, reader: type[JournalReader], look: str
) -> None:
    """After each look of a read that finds nothing somebody writes; each event is told, in order. The mutant misses."""
    with parts(lite, clock) as made, closing(reader(lite)) as read:
        rounds = TargetRound(made.store, read, made.ways, clock, made.metrics, chance=lambda: 0.0)
        async with hooked(made) as receiver:
            real, left = getattr(journal_reader, look), 12

            def looked(*given: Any) -> Any:
                nonlocal left
                result = real(*given)
                if left and (look == "_head" or not result):
                    left -= 1
                    made.journal.append([entry(Kind.PHASE, clock.now_ms(), phase="serving", n=f"w{left}")])
                return result

            monkeypatch.setattr(journal_reader, look, looked)
            while left:
                # Of no concern to the target: so a read finds nothing, and goes on to where it has looked.
                made.journal.append([entry(Kind.ADMITTED, number="1")])
                await told(made, rounds)
            monkeypatch.undo()
            await told(made, rounds)
        wanted = [f"shop.{one.seq}" for one in made.journal.entries() if one.kind is not Kind.ADMITTED]
        assert (receiver.ids == wanted) is (reader is JournalReader)
