"""The journal's admissions by number: which is found, and that an index leads there and not a scan."""

from contextlib import closing
from typing import Any

import pytest
import sqlalchemy as sa

from kernel.database import address, engine
from waitroom import journal_store
from waitroom.journal import Kind, NewEntry
from waitroom.journal_store import JournalStore

RUN, BEFORE = "0011223344556677", "ffffffffffffffff"


def admitted(number: int, sid: str, room: str = "main", run: str = RUN) -> NewEntry:
    """Make the entry of an admission."""
    return NewEntry(1_000, room, run, Kind.ADMITTED, {"number": str(number), "sid": sid})


@pytest.fixture
def entries() -> list[NewEntry]:
    """Give admissions that are easily mistaken for one another."""
    liar = {"why": '"number":"7"', "sid": "x"}
    return [
        admitted(7, "first"),
        admitted(70, "seventy"),
        admitted(17, "seventeen"),
        admitted(7, "other", room="late"),
        admitted(7, "before", run=BEFORE),
        NewEntry(1_000, "main", RUN, Kind.ENDED, {"number": "7", "sid": "ended"}),
        NewEntry(1_000, "main", RUN, Kind.ADMITTED, liar),
        admitted(0, "nought"),
        admitted(1 << 39, "far"),
    ]


@pytest.mark.parametrize(
    ("number", "sid"),
    [(7, "first"), (70, "seventy"), (0, "nought"), (1 << 39, "far"), (1, None), (1 << 40, None)],
)
def test_an_admission_is_found_by_its_number(
    journal_url: str, entries: list[NewEntry], number: int, sid: str | None
) -> None:
    """Of this room and run, and of no other kind; what has no number is nobody's."""
    with closing(JournalStore(journal_url)) as journal:
        journal.open()
        journal.append(entries)
        found = journal.admission_of("main", RUN, number)

    assert (found and found.body["sid"]) == sid


def test_of_two_admissions_of_a_number_the_last_is_found(journal_url: str) -> None:
    """A visit that began anew."""
    with closing(JournalStore(journal_url)) as journal:
        journal.open()
        journal.append([admitted(7, "first"), admitted(7, "last"), admitted(8, "other")])
        found = journal.admission_of("main", RUN, 7)

    assert found is not None
    assert found.body["sid"] == "last"


def plan_of(journal_url: str) -> str:
    """Tell how the database looks for an admission; PostgreSQL is kept from reading the whole of a small table."""
    with closing(JournalStore(journal_url)) as journal:
        journal.open()
        journal.append([admitted(7, "first")])
        asked: list[tuple[str, Any]] = []
        made = journal._engine
        sa.event.listen(made, "before_cursor_execute", lambda *given: asked.append((given[2], given[3])))
        journal.admission_of("main", RUN, 7)
    statement, given = asked[-1]
    looking = engine(address(journal_url, "journal"), "journal")
    try:
        with looking.connect() as connection:
            if connection.dialect.name == "sqlite":
                rows = connection.exec_driver_sql("EXPLAIN QUERY PLAN " + statement, given)
            else:
                connection.exec_driver_sql("SET enable_seqscan = off")
                rows = connection.exec_driver_sql("EXPLAIN " + statement, given)
            return "\n".join(str(tuple(row)) for row in rows)
    finally:
        looking.dispose()


def test_an_index_leads_to_an_admission(journal_url: str) -> None:
    """However many there are: no row of another number is read."""
    assert "journal_entries_number" in plan_of(journal_url)


def test_a_query_that_misses_the_index_is_noticed(journal_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The mutant: it says the same in other words."""
    monkeypatch.setattr(journal_store, "ADMITTED", "kind || '' = 'admitted'")

    assert "journal_entries_number" not in plan_of(journal_url)
