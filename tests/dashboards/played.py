"""Played: a sale whose every minute is known, and a book that has it."""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from waitroom.history_book import HistoryBook
from waitroom.journal_store import JournalStore
from waitroom.minutes import MINUTE_MS, Minute

CAP, RATE = 400, 120
GATHER = 10


@contextmanager
def book_in(folder: Path) -> Iterator[HistoryBook]:
    """Give an empty book in a folder."""
    url = f"sqlite:///{folder}/journal.db"
    with closing(JournalStore(url)) as journal:
        journal.open()
    with closing(HistoryBook(url)) as book:
        yield book


def sale(room: str, name: str, start: int, minutes: int, crowd: int, rate: int = RATE) -> list[Minute]:
    """Play a sale that begins to serve at the minute `start`.

    `crowd` gather in ten minutes, as many again join in the first hour; `rate` are called a minute, nine in ten come.
    Three joins a minute are refused, one is shed.
    """
    joined = called = admitted = 0
    rows = []
    for minute in range(start - GATHER, start + minutes):
        since = minute - start
        if since < 0:
            joined += crowd // GATHER
        elif since < 60:
            joined += crowd // 60
        if since >= 0:
            now = min(rate, joined - called)
            called += now
            admitted += now * 9 // 10
        waiting = joined - called
        rows.append(
            Minute(
                room, minute, minute * MINUTE_MS + 59_000, 60, version=3,
                phase="gathering" if since < 0 else "serving", opening=name, run=f"run-{name}", sale=name,
                waiting=waiting, waiting_most=waiting, called=0, active_sessions=min(CAP, admitted), cap=CAP, rate=rate,
                plan_per_minute=rate, wait_low_s=None if since < 0 else waiting * 50 // rate,
                wait_high_s=None if since < 0 else waiting * 75 // rate, issued=joined, called_in_all=called,
                admitted=admitted, lane_verified=0, lane_standard=joined, lane_suspect=0, slowed=0,
                stock_left=20_000 - admitted, show_ratio=0.9, refused=3 * (since + GATHER), shed=since + GATHER,
            )
        )  # fmt: skip
    return rows
