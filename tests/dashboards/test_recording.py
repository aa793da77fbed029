"""What the sampler sees becomes a row a minute: a clock that a test turns, holes, two processes, a database away."""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from redis.asyncio import Redis

from dashboards import recording
from dashboards.history import columns, totals, window
from dashboards.recording import DAY_MINUTES, LATE_MS, Recorder
from dashboards.sampling import Sampler
from kernel.clock import ManualClock
from kernel.errors import Unavailable
from tests.dashboards.desk import FIGURES
from tests.dashboards.following import Glances, sampler_of
from tests.dashboards.played import book_in
from waitroom.history_book import BELIEVED_LEAST, HistoryBook
from waitroom.minutes import Minute
from waitroom.rooms import Room, Sale

MAIN = Room("main", "https://shop.example.com", version=4)


@pytest.fixture
def book(tmp_path: Path) -> Iterator[HistoryBook]:
    """Give an empty book."""
    with book_in(tmp_path) as made:
        yield made


def recorder_of(book: HistoryBook, clock: ManualClock, room: Room | None = MAIN, **more: int) -> Recorder:
    """Make a recorder of one room."""
    return Recorder(book, lambda _: room, clock, **more)


def all_of(book: HistoryBook, clock: ManualClock, room: str = "main") -> list[Minute]:
    """Return the last two hours."""
    now = clock.now_ms() // 60_000
    return book.minutes(room, now - 120, now + 1)


async def test_looks_of_a_minute_are_one_row(book: HistoryBook, clock: ManualClock) -> None:
    """The last of each number, the most that waited; written when the minute is over, and only then."""
    now_ms = clock.now_ms()
    sale = Sale("spring", now_ms - 1000, now_ms + 600_000)
    recorder = recorder_of(book, clock, replace(MAIN, sales=(sale,), stock_left=77))
    for waiting in (10, 30, 20):
        recorder.hear("main", clock.now_ms(), {**FIGURES, "waiting": waiting, "rate": 200, "run": "r"})
        clock.advance(1_000)

    await recorder.write()
    assert all_of(book, clock) == []
    clock.advance(60_000)
    await recorder.write()

    [row] = all_of(book, clock)
    assert row == Minute(
        "main", now_ms // 60_000, now_ms + 2_000, 3, 4, "serving", None, "r", "spring", waiting=20, waiting_most=30,
        called=14, active_sessions=371, rate=200, stock_left=77,
    )  # fmt: skip
    assert recorder.pending == 0


async def a_day_with_a_hole(book: HistoryBook, clock: ManualClock) -> None:
    """Five looks, ten minutes in which the store was away, five looks; nine are let in a minute, also meanwhile."""
    recorder = recorder_of(book, clock)
    for minute in range(20):
        figures = {**FIGURES, "admitted": 9 * minute, "issued": 10 * minute, "run": "r"}
        if 5 <= minute < 15:
            figures["store_age_ms"] = 60_000
        recorder.hear("main", clock.now_ms(), figures)
        clock.advance(60_000)
        await recorder.write()


async def test_a_hole_stays_a_hole_and_the_sum_is_whole(book: HistoryBook, clock: ManualClock) -> None:
    """No rows for the minutes that nobody saw; nobody who was let in is lost."""
    first = clock.now_ms() // 60_000
    await a_day_with_a_hole(book, clock)

    kept = all_of(book, clock)
    assert [each.minute - first for each in kept] == [*range(5), *range(15, 20)]
    laid = columns(kept, window(first * 60_000, clock.now_ms(), 1), ["admitted", "waiting"])
    assert laid["admitted"] == [None, 9, 9, 9, 9, *[None] * 11, 9, 9, 9, 9]
    assert laid["waiting"][5:15] == [None] * 10
    assert totals(kept, first, first + 20).admitted == 9 * 19


async def test_a_hole_that_is_filled_is_noticed(
    book: HistoryBook, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The mutant: a look without figures becomes a row with zeros."""
    real = recording.seen

    def zeros(room: str, at_ms: int, figures: object, **more: object) -> Minute:
        found = real(room, at_ms, figures, **more)  # type: ignore[arg-type]
        return found or Minute(room, at_ms // 60_000, at_ms, waiting=0, admitted=0)

    monkeypatch.setattr(recording, "seen", zeros)
    await a_day_with_a_hole(book, clock)

    assert len(all_of(book, clock)) == 20


async def two_processes(book: HistoryBook, clock: ManualClock, write: Callable[..., None]) -> list[Minute]:
    """Let two recorders hear the same four minutes; the second ends in the middle of the last one."""
    recorders = [recorder_of(book, clock), recorder_of(book, clock)]
    for second in range(0, 240, 10):
        for number, recorder in enumerate(recorders):
            if not (number and second >= 200):
                recorder.hear(
                    "main", clock.now_ms(), {**FIGURES, "admitted": second, "waiting": 500 - second}
                )
        clock.advance(10_000)
    for recorder in reversed(recorders):
        recorder._book = Through(book, write)  # type: ignore[assignment]
        await recorder.stop()
    return all_of(book, clock)


class Through:
    """A book whose writing is another."""

    def __init__(self, book: HistoryBook, write: Callable[..., None]) -> None:
        """Write by `write`."""
        self._book = book
        self.write = lambda rows: write(book, rows)
        self.forget = book.forget


async def test_two_processes_do_not_double(book: HistoryBook, clock: ManualClock) -> None:
    """One row a minute; the one who heard more completes it, whoever writes first."""
    kept = await two_processes(book, clock, HistoryBook.write)

    assert [(each.looks, each.admitted, each.waiting_most) for each in kept] == [
        (6, 50, 500), (6, 110, 440), (6, 170, 380), (6, 230, 320),
    ]  # fmt: skip


async def test_a_second_process_that_writes_rows_of_its_own_is_noticed(
    book: HistoryBook, clock: ManualClock
) -> None:
    """The mutant: what the first wrote is doubled by the second."""

    def doubling(kept: HistoryBook, rows: Sequence[Minute]) -> None:
        there = {each.minute: each for each in kept.minutes("main", 0, 2**40)}
        kept.write(
            [
                replace(row, looks=row.looks + there[row.minute].looks) if row.minute in there else row
                for row in rows
            ]
        )

    kept = await two_processes(book, clock, doubling)

    assert [each.looks for each in kept] != [6, 6, 6, 6]


async def test_a_database_that_is_away_is_waited_for(
    book: HistoryBook, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rows wait here, the newest that fit; a look that comes meanwhile is not lost."""
    monkeypatch.setattr(recording, "PENDING_MOST", 3)
    recorder = recorder_of(book, clock)

    def away(rows: Sequence[Minute]) -> None:
        assert rows
        raise Unavailable("journal-away", "away")

    with monkeypatch.context() as outage:
        outage.setattr(book, "write", away)
        for _ in range(5):
            recorder.hear("main", clock.now_ms(), FIGURES)
            clock.advance(60_000)
            with pytest.raises(Unavailable):
                await recorder.write()
        assert recorder.pending == 3
    recorder.hear("main", clock.now_ms() - 1, FIGURES)
    await recorder.write()

    assert recorder.pending == 0
    now = clock.now_ms() // 60_000
    assert [each.minute - now for each in all_of(book, clock)] == [-3, -2, -1]
    assert all_of(book, clock)[-1].looks == 2


async def test_a_look_that_comes_while_its_row_is_written_is_kept(
    book: HistoryBook, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is written with the next round."""
    recorder = recorder_of(book, clock)
    recorder.hear("main", at_ms := clock.now_ms(), {"waiting": 1})
    clock.advance(60_000)
    write = book.write

    def slowly(rows: Sequence[Minute]) -> None:
        write(rows)
        recorder.hear("main", at_ms + 30_000, {"waiting": 9})

    with monkeypatch.context() as slow:
        slow.setattr(book, "write", slowly)
        await recorder.write()
    assert recorder.pending == 1
    await recorder.write()
    assert [(each.waiting, each.looks) for each in all_of(book, clock)] == [(9, 2)]


async def test_what_is_old_is_forgotten(book: HistoryBook, clock: ManualClock) -> None:
    """After as many days as are set; a room that is gone, too."""
    now = clock.now_ms() // 60_000
    old = [Minute("gone", now - 2 * DAY_MINUTES - index, 0) for index in (-1, 0, 1)]
    book.write([*old, *(Minute("main", now - index, 0) for index in range(BELIEVED_LEAST))])
    recorder = recorder_of(book, clock, kept_days=2)
    await recorder.write()
    assert len(book.minutes("gone", 0, now)) == 3, "nobody has looked, so nobody knows what time it is"

    recorder.hear("main", clock.now_ms(), FIGURES)
    await recorder.write()

    assert book.minutes("gone", 0, now) == [old[1], old[0]]


async def test_it_writes_by_itself_and_what_is_left_at_the_end(
    book: HistoryBook, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A loop wakes a little after each minute; a database that is away ends neither it nor the process."""
    written, rests = asyncio.Event(), []
    real_sleep, tries = asyncio.sleep, 0

    async def sleep(seconds: float) -> None:
        rests.append(seconds)
        clock.advance(round(seconds * 1000))
        await real_sleep(0)

    write = Recorder.write

    async def counted(self: Recorder, **more: bool) -> None:
        nonlocal tries
        tries += 1
        if tries == 1:
            raise Unavailable("journal-away", "away")
        if tries == 2:
            raise ValueError("a fault of ours")
        await write(self, **more)
        written.set()

    monkeypatch.setattr(Recorder, "write", counted)
    recorder = recorder_of(book, clock)
    recorder.hear("main", clock.now_ms() // 60_000 * 60_000, FIGURES)
    with monkeypatch.context() as quick:
        quick.setattr(asyncio, "sleep", sleep)
        recorder.start()
        async with asyncio.timeout(30):
            await written.wait()
    assert rests[0] == (60_000 - 1_800_000_000_000 % 60_000 + LATE_MS) / 1000
    recorder.hear("main", clock.now_ms(), FIGURES)
    await recorder.stop()

    assert recorder.pending == 0
    assert len(all_of(book, clock)) == 2


async def test_the_sampler_tells_it_all_rooms(book: HistoryBook, store: Redis, clock: ManualClock) -> None:
    """With limits, settings and all; while the store is away nothing is heard."""
    glances = Glances("alpha", "beta")
    sampler: Sampler = sampler_of(glances, store, clock)
    recorder = Recorder(book, lambda name: sampler.rooms()[name].room, clock)
    sampler.on_sample(recorder.hear)

    await sampler.look()
    glances.away = True
    clock.advance(60_000)
    await sampler.look()
    clock.advance(60_000)
    await recorder.stop()

    for name in ("alpha", "beta"):
        [row] = all_of(book, clock, name)
        assert (row.waiting, row.cap, row.rate, row.version, row.sale) == (1200, 500, 200, 1, "")


async def test_a_room_that_nobody_knows_is_kept_without_its_settings(
    book: HistoryBook, clock: ManualClock
) -> None:
    """It went in the same moment."""
    recorder = recorder_of(book, clock, None)
    recorder.hear("main", clock.now_ms(), FIGURES)
    await recorder.stop()

    [row] = all_of(book, clock)
    assert (row.waiting, row.version, row.sale) == (1200, None, None)
