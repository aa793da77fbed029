"""Readers that resume while several write: nothing is missed and nothing comes twice, on both databases.

A cursor is safe only if no smaller ``seq`` is committed after a larger one. First that is shown by itself, with a
writer that stands still in the middle of its transaction; then under load, with processes. The mutants: writers that
do not take turns but have their numbers from a counter, as a sequence of the database gives them; and a reader that
looks what there is before it looks how far there is.
"""

import multiprocessing
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from itertools import count
from typing import Any

import pytest
import sqlalchemy as sa

from waitroom import journal_reader, journal_store, journal_writing
from waitroom.journal import Kind, NewEntry
from waitroom.journal_reader import JournalReader, Portion, Sought
from waitroom.journal_store import JournalStore
from waitroom.journal_tables import ENTRIES

ALL = Sought()
WRITERS, CALLS, AT_ONCE = 3, 12, 40
"""Processes, calls of each, entries of a call: a drain hands in as many in half a second of a busy sale."""


def entries(who: str, amount: int, since: int = 0) -> list[NewEntry]:
    """Make entries that are told apart."""
    return [
        NewEntry(1_000, "main", "r", Kind.ADMITTED, {"number": f"{who}-{since + n}"}) for n in range(amount)
    ]


@pytest.fixture
def journal(journal_url: str) -> Iterator[JournalStore]:
    """Give an open journal."""
    with closing(JournalStore(journal_url)) as made:
        made.open()
        yield made


def numbers(portion: Portion) -> list[str]:
    """Name what was told."""
    return [one.entry.body["number"] for one in portion.told]


@contextmanager
def standing_still(
    monkeypatch: pytest.MonkeyPatch, who: str
) -> Iterator[tuple[threading.Event, threading.Event]]:
    """Have the writer `who` stop after its entries are in the table, and before it commits."""
    inserted, go_on = threading.Event(), threading.Event()
    real = journal_writing.insert_many

    def insert(connection: Any, statement: Any, rows: Any) -> None:
        real(connection, statement, rows)
        if who in rows[0]["body"]:
            inserted.set()
            go_on.wait()

    with monkeypatch.context() as patch, ExitStack() as stack:
        stack.callback(go_on.set)
        patch.setattr(journal_writing, "insert_many", insert)
        yield inserted, go_on


def overtaken(
    journal_url: str,
    monkeypatch: pytest.MonkeyPatch,
    second: Callable[[JournalStore, threading.Thread], None],
) -> list[str]:
    """Have one writer stand still while another writes, and read before and after; return what was told."""
    told: list[str] = []
    with (
        closing(JournalStore(journal_url)) as one,
        closing(JournalStore(journal_url)) as other,
        closing(JournalReader(journal_url)) as reader,
        standing_still(monkeypatch, "slow") as (inserted, go_on),
    ):
        first = threading.Thread(target=one.append, args=(entries("slow", 1),))
        first.start()
        assert inserted.wait(60)
        later = threading.Thread(target=other.append, args=(entries("quick", 1),))
        later.start()
        second(other, later)
        portion = reader.after(0, ALL)
        told += numbers(portion)
        go_on.set()
        first.join()
        later.join()
        told += numbers(reader.after(portion.at, ALL))
    return told


def test_who_writes_second_waits_for_who_writes_first(
    journal: JournalStore, journal_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So a reader sees neither, or the first, or both; it may read at any moment."""
    del journal
    assert overtaken(journal_url, monkeypatch, lambda _store, _thread: None) == ["slow-0", "quick-0"]


@pytest.mark.postgres
def test_the_table_stands_behind_the_turns(postgres_journal: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever does not take turns has the number that the first has, waits for it, is refused and tries again."""
    with closing(JournalStore(postgres_journal)) as store:
        store.open()
    monkeypatch.setattr(journal_store, "take_turn", lambda _connection, _lock: None)

    assert overtaken(postgres_journal, monkeypatch, lambda _store, _thread: None) == ["slow-0", "quick-0"]


@pytest.mark.postgres
def test_numbers_of_a_sequence_would_lose_an_entry(
    postgres_journal: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The mutant: no turns, no trigger, and numbers that are drawn before the commit: the first is never told."""
    with closing(JournalStore(postgres_journal)) as store:
        store.open()
        with store._engine.begin() as connection:
            connection.execute(sa.text("DROP TRIGGER journal_entries_continues ON journal_entries"))
    drawn = count(0)
    monkeypatch.setattr(journal_store, "take_turn", lambda _connection, _lock: None)
    monkeypatch.setattr(journal_writing, "end_of", lambda _connection: (next(drawn), b"\0" * 32))

    told = overtaken(postgres_journal, monkeypatch, lambda _store, thread: thread.join())

    assert told == ["quick-0"]


@pytest.fixture
def postgres_journal(request: pytest.FixtureRequest) -> Iterator[str]:
    """Give an empty database on PostgreSQL."""
    from sqlalchemy.engine import make_url

    server: str = request.getfixturevalue("postgres_url")
    engine = sa.create_engine(make_url(server).set(drivername="postgresql+psycopg"))
    name = "journal_overtaken"
    with engine.begin() as connection:
        connection.execute(sa.text(f"CREATE SCHEMA {name}"))
    address = make_url(server).update_query_dict({"options": f"-csearch_path={name}"})
    yield address.render_as_string(hide_password=False)
    with engine.begin() as connection:
        connection.execute(sa.text(f"DROP SCHEMA {name} CASCADE"))
    engine.dispose()


# --------------------------------------------------------------------------- between two looks


def in_between(
    journal: JournalStore, url: str, monkeypatch: pytest.MonkeyPatch, look: str, kinds: Sought
) -> list[int]:
    """Read on while, after a `look` of a read, somebody writes; return the cursors' entries."""
    real = getattr(journal_reader, look)
    found: list[int] = []
    with closing(JournalReader(url)) as reader:
        at = 0
        for n in range(4):

            def looked(*given: Any, n: int = n) -> Any:
                result = real(*given)
                journal.append(entries(f"w{n}", 3))
                return result

            with monkeypatch.context() as patch:
                patch.setattr(journal_reader, look, looked)
                portion = reader.after(at, kinds)
            found += [one.entry.seq for one in portion.told]
            at = portion.at
        while (portion := reader.after(at, kinds)).told or portion.more:
            found += [one.entry.seq for one in portion.told]
            at = portion.at
    return found


@pytest.mark.parametrize("look", ["_head", "_found"])
def test_what_is_written_in_the_middle_of_a_read_is_told_by_the_next(
    journal: JournalStore, journal_url: str, monkeypatch: pytest.MonkeyPatch, look: str
) -> None:
    """After each of its two looks."""
    journal.append(entries("before", 5))
    found = in_between(journal, journal_url, monkeypatch, look, ALL)
    assert found == list(range(1, journal.end() + 1))


def test_a_reader_that_looks_what_there_is_first_misses_some(
    journal: JournalStore, journal_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The mutant: how far there is, asked last, is further than what was read."""

    class Backwards(JournalReader):
        def after(self, seq: int, sought: Sought, limit: int = 100) -> Portion:
            with self._engine.connect() as connection:
                query = journal_reader._query(seq, 1 << 53, sought).order_by(ENTRIES.c.seq)
                found = journal_reader._found(connection, query, limit)
            with self._engine.connect() as connection:
                at = found[-1].seq if len(found) == limit else journal_reader._head(connection)
                return Portion(journal_reader._told(connection, found), at, more=False)

    journal.append(entries("before", 5))
    monkeypatch.setitem(globals(), "JournalReader", Backwards)
    found = in_between(journal, journal_url, monkeypatch, "_found", ALL)
    assert found != list(range(1, journal.end() + 1))


# ----------------------------------------------------------------------------------- under load


def write(url: str, who: int) -> None:
    """Write as a process of its own, as fast as it can."""
    with closing(JournalStore(url)) as journal:
        for n in range(CALLS):
            journal.append(entries(str(who), AT_ONCE, n * AT_ONCE))


def test_a_reader_that_resumes_while_processes_write_misses_nothing_and_doubles_nothing(
    journal: JournalStore, journal_url: str
) -> None:
    """A new reader for each portion, as whoever lost the line; portions of odd sizes, until all is told."""
    del journal
    context = multiprocessing.get_context("spawn")
    writers = [context.Process(target=write, args=(journal_url, who)) for who in range(WRITERS)]
    for writer in writers:
        writer.start()
    seqs: list[int] = []
    told: list[str] = []
    at, over = 0, False
    try:
        while True:
            over = all(not writer.is_alive() for writer in writers)
            with closing(JournalReader(journal_url)) as reader:
                portion = reader.after(at, ALL, 37)
            seqs += [one.entry.seq for one in portion.told]
            told += numbers(portion)
            at = portion.at
            if over and not portion.told:
                break
    finally:
        for writer in writers:
            writer.join()
    assert [writer.exitcode for writer in writers] == [0] * WRITERS
    assert seqs == list(range(1, WRITERS * CALLS * AT_ONCE + 1))
    for who in range(WRITERS):
        own = [name for name in told if name.startswith(f"{who}-")]
        assert own == [f"{who}-{n}" for n in range(CALLS * AT_ONCE)]
