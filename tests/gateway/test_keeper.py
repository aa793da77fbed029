"""A beat: what one room needs and cannot have costs no other room its turn."""

import asyncio
from typing import Any

import pytest

from gateway.keeper import REST_MS, Keeper
from kernel.clock import ManualClock, SystemClock
from kernel.errors import Unavailable


class Rooms:
    """Rooms, restorer and pace of a worker; rooms in `stuck` need a journal that is away."""

    def __init__(self, *rooms: str) -> None:
        """Note who was tried, and who had a turn."""
        self.readings = dict.fromkeys(rooms)
        self.stuck: set[str] = set()
        self.tried: list[str] = []
        self.paced: list[str] = []

    async def refresh(self) -> None:
        """Begin a round."""
        self.tried, self.paced = [], []

    async def mend(self, room: str) -> bool:
        """Ask the journal, or find nothing to do."""
        self.tried.append(room)
        if room in self.stuck:
            raise Unavailable("journal-away", "The journal cannot be reached.")
        return True

    async def keep(self, room: str) -> None:
        """Do what the schedule asks."""

    async def pace(self, room: str) -> None:
        """Let the door call the next."""
        self.paced.append(room)

    def observe(self) -> None:
        """Set the gauges."""


def _unsealed(now_ms: int, rest_ms: int) -> None:
    """Sign nothing."""


def keeper_of(rooms: Any) -> Keeper:
    """Make the heartbeat of these rooms."""
    return Keeper(rooms, rooms, rooms, rooms.pace, dict, _unsealed, SystemClock())


async def beat(worker: Keeper) -> str:
    """Beat once and return what was away."""
    try:
        await worker.beat()
    except Unavailable as reason:
        return reason.code
    return ""


async def test_rooms_after_one_that_waits_for_the_journal_have_their_turn() -> None:
    """The door of "b" and "d" goes on; a round that was not whole does not make the worker ready."""
    rooms = Rooms("a", "b", "c", "d")
    rooms.stuck = {"a", "c"}
    worker = keeper_of(rooms)

    assert await beat(worker) == "journal-away"
    assert (rooms.paced, worker.ready) == (["b", "d"], False)


async def test_a_round_waits_for_one_that_failed_before_and_not_for_all_of_them() -> None:
    """Each try may last as long as a connection takes to fail: the next round tries one of them, last."""
    rooms = Rooms("a", "b", "c", "d")
    rooms.stuck = {"a", "c"}
    worker = keeper_of(rooms)
    await beat(worker)

    assert await beat(worker) == "journal-away"
    assert rooms.tried == ["b", "d", "a"]

    rooms.stuck = {"c"}
    assert await beat(worker) == "journal-away"
    assert rooms.paced == ["b", "d", "a"]

    rooms.stuck = set()
    assert await beat(worker) == ""
    assert (rooms.paced, worker.ready) == (["a", "b", "d", "c"], True)


async def test_what_is_no_absence_is_not_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    """A fault of ours ends the round at once and is told with its traceback by the loop."""
    rooms = Rooms("a", "b")
    worker = keeper_of(rooms)

    async def broken(room: str) -> bool:
        raise KeyError(room)

    monkeypatch.setattr(rooms, "mend", broken)
    with pytest.raises(KeyError):
        await worker.beat()


@pytest.mark.parametrize("late", [False, True])
async def test_the_age_of_what_is_known_is_told_while_the_store_is_away(
    late: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An alert stands on it. The mutant that looks only after a reading tells nothing."""
    rooms, told = Rooms("a"), []

    async def away() -> None:
        raise Unavailable("store-away", "The store cannot be reached.")

    monkeypatch.setattr(rooms, "refresh", away)
    worker = Keeper(rooms, rooms, rooms, rooms.pace, dict, _unsealed, SystemClock(), told.append)  # type: ignore[arg-type]
    if late:
        monkeypatch.setattr(worker, "beat", lambda: _observed_late(worker))

    assert await beat(worker) == "store-away"
    assert bool(told) is not late


async def _observed_late(worker: Keeper) -> None:
    """Beat as it was: the store first, and then the gauges."""
    await worker._waitroom.refresh()
    worker._observe()


class Journal(Rooms):
    """No rooms, so nothing to drain; remembers when an end was to be signed, and how long it had to rest."""

    def __init__(self) -> None:
        """Note nothing yet."""
        super().__init__()
        self.asked: list[tuple[int, int]] = []

    def seal(self, now_ms: int, rest_ms: int) -> None:
        """Be asked."""
        self.asked.append((now_ms, rest_ms))


async def test_the_end_of_a_journal_at_rest_is_signed_while_the_worker_goes_on() -> None:
    """Now and then, also where a clock was set back; at the end of the worker without a rest."""
    journal, clock = Journal(), ManualClock(1_000)
    worker = Keeper(journal, journal, journal, journal.pace, dict, journal.seal, clock)  # type: ignore[arg-type]
    for now_ms in (1_000, 1_000 + REST_MS - 1, 1_000 + REST_MS, 1_001 + REST_MS, 500):
        clock.set(now_ms)
        await worker.carry()
    await worker.stop()

    assert journal.asked == [(1_000 + REST_MS, REST_MS), (500, REST_MS), (500, 0)]


async def test_a_worker_drains_and_signs_by_its_own_loop() -> None:
    """What no loop calls is done by nobody."""
    journal = Journal()
    worker = Keeper(journal, journal, journal, journal.pace, dict, journal.seal, SystemClock())  # type: ignore[arg-type]
    carried = asyncio.Event()

    async def carry() -> None:
        carried.set()

    worker.carry = carry  # type: ignore[method-assign]
    await worker.start()
    await carried.wait()
    await worker.stop()
