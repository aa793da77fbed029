"""History in doubt: clocks that step, a recorder that dies, midnights and winter times, sales that are run again."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import pytest

from dashboards import recording
from dashboards.history import columns, side_by_side, totals, window
from dashboards.history_asking import asked
from dashboards.history_view import compared_table, table
from dashboards.recording import Recorder
from kernel.clock import ManualClock
from tests.dashboards.desk import FIGURES
from tests.dashboards.played import GATHER, book_in, sale
from waitroom import history_book
from waitroom.history_book import BELIEVED_LEAST, HistoryBook
from waitroom.minutes import MINUTE_MS, Minute
from waitroom.rooms import Room

MAIN = Room("main", "https://shop.example.com")
MINUTES = 8


@pytest.fixture
def book(tmp_path: Path) -> Iterator[HistoryBook]:
    """Give an empty book."""
    with book_in(tmp_path) as made:
        yield made


def recorder_of(book: HistoryBook, clock: ManualClock) -> Recorder:
    """Make a recorder."""
    return Recorder(book, lambda _: MAIN, clock)


def look(recorder: Recorder, clock: ManualClock, real_ms: int) -> None:
    """Look at a room into which somebody comes each second, by the real time."""
    admitted = real_ms // 1000
    recorder.hear("main", clock.now_ms(), {**FIGURES, "admitted": admitted, "waiting": 5, "run": "r"})


async def record(book: HistoryBook, began_ms: int, steps: dict[int, int]) -> list[Minute]:
    """Record some minutes, a look a second, with a clock that is wrong by `steps` from those seconds on."""
    clock = ManualClock(began_ms)
    recorder, off_ms = recorder_of(book, clock), 0
    for second in range(MINUTES * 60):
        off_ms = steps.get(second, off_ms)
        clock.set(began_ms + second * 1000 + off_ms)
        look(recorder, clock, second * 1000)
        if second % 60 == 1:
            await recorder.write()
    await recorder.write(all_of_them=True)
    first = began_ms // MINUTE_MS
    return book.minutes("main", first, first + MINUTES)


@pytest.mark.parametrize(
    "steps",
    [{70: 120_000, 80: 0}, {70: -120_000, 80: 0}, {200: -3_000}, {200: 3_000}, {130: -45_000, 140: 0}],
    ids=["ahead", "back", "a-little-back", "a-little-ahead", "back-within-a-minute"],
)
async def test_a_clock_that_stepped_for_a_while_is_corrected_by_who_looks_afterwards(
    tmp_path: Path, clock: ManualClock, steps: dict[int, int]
) -> None:
    """No sum is doubled or negative, and what is wrong is wrong by the step at most."""
    began_ms = clock.now_ms() // MINUTE_MS * MINUTE_MS
    (tmp_path / "right").mkdir()
    (tmp_path / "wrong").mkdir()
    with book_in(tmp_path / "right") as book:
        right = await record(book, began_ms, {})
    with book_in(tmp_path / "wrong") as book:
        wrong = await record(book, began_ms, steps)
    first = began_ms // MINUTE_MS
    found = [totals(rows, first, first + MINUTES).admitted or 0 for rows in (right, wrong)]

    assert found[0] == MINUTES * 60 - 1 - 59
    assert 0 <= found[1] - found[0] + 5 <= 10
    over = window(began_ms, began_ms + MINUTES * MINUTE_MS, 1)
    admitted = columns(wrong, over, ["admitted"])["admitted"]
    assert all(value is None or 0 <= int(value) <= 180 for value in admitted)


async def test_a_recorder_that_dies_loses_what_it_had_not_written_and_no_sum(
    book: HistoryBook, clock: ManualClock
) -> None:
    """Its minute is unknown unless somebody else looked at it; the counter behind it has everything."""
    began_ms = clock.now_ms() // MINUTE_MS * MINUTE_MS
    clock.set(began_ms)
    dies = recorder_of(book, clock)
    for second in range(150):
        clock.set(began_ms + second * 1000)
        look(dies, clock, second * 1000)
        if second == 121:
            await dies.write()  # the minutes 0 and 1; then it is killed in minute 2, which it had half seen
    follows = recorder_of(book, clock)
    for second in range(185, 300):
        clock.set(began_ms + second * 1000)
        look(follows, clock, second * 1000)
    await follows.write(all_of_them=True)

    first = began_ms // MINUTE_MS
    rows = book.minutes("main", first, first + 5)
    admitted = columns(rows, window(began_ms, began_ms + 5 * MINUTE_MS, 1), ["admitted", "waiting"])
    assert [row.minute - first for row in rows] == [0, 1, 3, 4]
    assert admitted["admitted"] == [None, 60, None, None, 60]
    assert admitted["waiting"] == [5, 5, None, 5, 5]
    assert totals(rows, first, first + 5).admitted == 299 - 59


async def test_whoever_looks_beside_one_that_dies_fills_its_minute(
    book: HistoryBook, clock: ManualClock
) -> None:
    """Two recorders: nothing doubles, and one of them is enough."""
    began_ms = clock.now_ms() // MINUTE_MS * MINUTE_MS
    clock.set(began_ms)
    both = recorder_of(book, clock), recorder_of(book, clock)
    for second in range(300):
        clock.set(began_ms + second * 1000)
        for each in both[: 2 if second < 150 else 1]:
            look(each, clock, second * 1000)
    for each in both[:1]:
        await each.write(all_of_them=True)

    first = began_ms // MINUTE_MS
    rows = book.minutes("main", first, first + 5)
    assert columns(rows, window(began_ms, began_ms + 5 * MINUTE_MS, 1), ["admitted"])["admitted"] == [
        None,
        *[60] * 4,
    ]


# -------------------------------------------------------------------------- a run's first minute


def look_at_run(recorder: Recorder, began_ms: int, at_ms: int, epoch: int = 1) -> None:
    """Look at a run which began at `began_ms`, into which four join a second and one is let in."""
    seconds = (at_ms - began_ms) // 1000
    recorder.hear("main", at_ms, {
        "waiting": 2 * seconds, "issued": 4 * seconds, "called_in_all": 2 * seconds, "admitted": seconds,
        "called": seconds, "run": "r", "opened_ms": began_ms, "epoch": epoch, "store_ms": at_ms,
    })  # fmt: skip


async def run_recorded(book: HistoryBook, clock: ManualClock) -> list[Minute]:
    """Record a run of always-open by two processes, of which one is started anew; the first look comes late."""
    began_ms = clock.now_ms() // MINUTE_MS * MINUTE_MS + 20_000
    one, other = recorder_of(book, clock), recorder_of(book, clock)
    for second in range(50, 240):
        clock.set(began_ms + second * 1000)
        look_at_run(one, began_ms, clock.now_ms())
        if second % 7 == 0:
            look_at_run(other, began_ms, clock.now_ms())
        if second == 130:
            await one.stop()
            one = recorder_of(book, clock)
    await other.stop()
    await one.stop()
    first = began_ms // MINUTE_MS
    return book.minutes("main", first, first + 9)


async def test_the_first_minute_of_an_open_room_is_in_its_sums(book: HistoryBook, clock: ManualClock) -> None:
    """All who joined and were let in since it began, once: what the journal has of the run."""
    rows = await run_recorded(book, clock)
    first = rows[0].minute - 1
    of = totals(rows, first, rows[-1].minute + 1)

    assert (of.joined, of.calls, of.admitted, of.no_shows) == (4 * 239, 2 * 239, 239, 0)
    laid = columns(rows, window((first + 1) * MINUTE_MS, (rows[-1].minute + 1) * MINUTE_MS, 1), ["joined"])
    wide = columns(rows, window(first * MINUTE_MS, (rows[-1].minute + 1) * MINUTE_MS, 60), ["joined"])
    assert [sum(int(value or 0) for value in found["joined"]) for found in (laid, wide)] == [
        4 * (239 - 99), 4 * 239,
    ]  # fmt: skip


# ------------------------------------------------------------------------------ a clock far ahead

YEAR_MS = 365 * 86_400_000
WEEKS = 14 * 24 * 60


async def wrong_clock(book: HistoryBook, clock: ManualClock, recorder: Recorder, store_ahead_ms: int) -> bool:
    """Record three minutes with a clock that is a year ahead, over a fortnight of rows; tell whether those stay."""
    now = clock.now_ms() // MINUTE_MS
    book.write([Minute("main", now - index, 0, waiting=1) for index in range(WEEKS, 0, -60)])
    there = len(book.minutes("main", 0, now))
    clock.advance(YEAR_MS)
    for _ in range(180):
        clock.advance(1_000)
        store_ms = clock.now_ms() - YEAR_MS + store_ahead_ms
        recorder.hear("main", clock.now_ms(), {"waiting": 1, "store_ms": store_ms})
        if clock.now_ms() % MINUTE_MS < 1_000:
            await recorder.write()
    await recorder.stop()
    return len(book.minutes("main", 0, now)) == there


async def test_a_process_whose_clock_is_far_ahead_writes_the_right_minutes_and_forgets_none(
    book: HistoryBook, clock: ManualClock
) -> None:
    """The store's clock counts; that the two are apart is told."""
    now = clock.now_ms() // MINUTE_MS
    recorder = Recorder(book, lambda _: MAIN, clock, kept_days=7)

    assert await wrong_clock(book, clock, recorder, 0)
    assert [row.minute - now for row in book.minutes("main", now, 2**40)] == [0, 1, 2, 3]
    assert (recorder.apart_ms, recorder.is_put_off) == (YEAR_MS, True)


async def test_a_clock_of_both_that_leaps_ahead_lets_no_minute_go(
    book: HistoryBook, clock: ManualClock
) -> None:
    """Nobody can tell it from a year in which nothing ran; after half a day of minutes it is believed."""
    recorder = Recorder(book, lambda _: MAIN, clock, kept_days=7)

    assert await wrong_clock(book, clock, recorder, YEAR_MS)
    assert (recorder.apart_ms, recorder.is_put_off) == (0, True)
    now = clock.now_ms() // MINUTE_MS
    book.write([Minute("main", now - index, 0, waiting=1) for index in range(BELIEVED_LEAST)])
    recorder.hear("main", clock.now_ms(), {"waiting": 1})
    await recorder.write()
    assert not recorder.is_put_off
    assert book.minutes("main", 0, now - YEAR_MS // MINUTE_MS)[0].minute > now - YEAR_MS // MINUTE_MS - WEEKS


@pytest.mark.parametrize(
    ("apart_ms", "ahead_ms", "stays"),
    [(recording.APART_MS, 0, True), (2 * YEAR_MS, 0, False), (recording.APART_MS, YEAR_MS, False)],
    ids=["the-other-guard", "apart", "leapt"],
)
async def test_a_clock_that_is_believed_at_once_is_noticed(
    book: HistoryBook,
    clock: ManualClock,
    monkeypatch: pytest.MonkeyPatch,
    apart_ms: int,
    ahead_ms: int,
    *,
    stays: bool,
) -> None:
    """The mutants: a minute is enough to be believed; and clocks that are apart do not matter."""
    monkeypatch.setattr(history_book, "BELIEVED_LEAST", 1)
    monkeypatch.setattr(recording, "APART_MS", apart_ms)
    recorder = Recorder(book, lambda _: MAIN, clock, kept_days=7)

    assert await wrong_clock(book, clock, recorder, ahead_ms) is stays


async def test_a_row_by_the_clock_of_the_process_is_noticed(
    book: HistoryBook, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The mutant: what the store says of the time is not heard."""
    now, hear = clock.now_ms() // MINUTE_MS, Recorder.hear
    monkeypatch.setattr(
        Recorder,
        "hear",
        lambda self, name, at_ms, figures: hear(self, name, at_ms, {"waiting": figures["waiting"]}),
    )
    await wrong_clock(book, clock, Recorder(book, lambda _: MAIN, clock, kept_days=7), 0)

    assert book.minutes("main", now + WEEKS, 2**40)


# ------------------------------------------------------------------------- days and their lengths


def test_a_day_of_25_hours_has_25_hours() -> None:
    """The change to winter time: times are UTC inside, and with an offset outside they are what they say."""
    since, until = "2027-10-31T00:00:00+02:00", "2027-11-01T00:00:00+01:00"
    what = asked({"from": since, "to": until, "every": "1h"}, [], 0)
    assert len(what.over) == 25
    assert what.over.starts_ms()[0] == datetime.fromisoformat(since).timestamp() * 1000
    twice = [
        asked({"from": f"2027-10-31T02:30:00{at}", "to": until}, [], 0).over for at in ("+02:00", "+01:00")
    ]
    assert twice[1].since - twice[0].since == 60

    rows = sale("main", "winter", what.over.since + GATHER, 25 * 60 - GATHER, 6_000)
    laid = columns(rows, what.over, ["admitted", "joined"])
    assert sum(int(value or 0) for value in laid["admitted"][1:]) == (rows[-1].admitted or 0) - (
        rows[59].admitted or 0
    )


def test_a_sale_over_midnight_tells_the_days() -> None:
    """Within one day the hour is enough."""
    midnight = datetime.fromisoformat("2027-03-02T00:00:00Z")
    start = int(midnight.timestamp()) // 60 - 2
    rows = sale("main", "night", start, 4, 60)
    over = window(start * MINUTE_MS, (start + 4) * MINUTE_MS, 1)
    names = (
        "phase", "waiting", "joined", "admitted", "rate", "active_sessions", "cap", "wait_low_s", "wait_high_s",
        "no_shows_ratio", "stock_left", "refused", "shed",
    )  # fmt: skip
    told = [row[0] for row in table(columns(rows, over, names), over.starts_ms()).rows]
    assert told == ["2027-03-01 23:58", "2027-03-01 23:59", "2027-03-02 00:00", "2027-03-02 00:01"]
    short = window(start * MINUTE_MS, (start + 1) * MINUTE_MS, 1)
    assert [row[0] for row in table(columns(rows, short, names), short.starts_ms()).rows] == ["23:58"]


# ------------------------------------------------------------------------------- side by side


def test_the_shorter_sale_has_dashes_where_it_was_not_on() -> None:
    """Not 0: nobody came to a sale that was over, and nobody was counted."""
    names = ("waiting", "admitted", "active_sessions", "wait_high_s", "refused", "shed")
    long, short = sale("main", "long", 30_000_000, 90, 900), sale("side", "short", 29_000_000, 30, 300)
    mine, theirs = side_by_side(long, short, 1, names)
    shown = compared_table(mine["t"], mine, theirs)

    assert len(shown.rows) == 100
    assert shown.rows[GATHER][0] == "0 min"
    last = dict(zip(shown.head, shown.rows[-1], strict=True))
    assert {value for head, value in last.items() if head.startswith("B ")} == {"–"}
    assert "–" not in {last["A waiting"], last["A let in"], last["A refused"], last["A shed"]}


def test_a_sale_that_is_run_again_counts_both_runs() -> None:
    """The line's counters begin anew, the door's go on; what was between is unknown and not 0."""
    one = sale("main", "spring", 30_000_000, 30, 300)
    again = [
        replace(
            each, run="run-2", admitted=(each.admitted or 0) + (one[-1].admitted or 0), stock_left=None,
            refused=(each.refused or 0) + (one[-1].refused or 0), shed=(each.shed or 0) + (one[-1].shed or 0),
        )
        for each in sale("main", "spring", 30_000_100, 30, 300)
    ]  # fmt: skip
    rows = [*one, *again]
    of = totals(rows, one[0].minute, again[-1].minute + 1)

    assert of.joined == (one[-1].issued or 0) + (again[-1].issued or 0)
    assert of.admitted == again[-1].admitted
    assert of.refused == again[-1].refused
    gap = window(one[-1].minute * MINUTE_MS, (again[0].minute + 1) * MINUTE_MS, 1)
    laid = columns(rows, gap, ["admitted", "joined", "waiting"])
    assert set(laid["waiting"][1:-1]) == {None}
    assert laid["joined"][-1] is None
