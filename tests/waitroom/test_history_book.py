"""The minutes of all rooms on both databases: one row whoever writes, forgotten in steps, acts of operators beside."""

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
import sqlalchemy as sa

from kernel.errors import Unavailable
from waitroom import history_book
from waitroom.history_book import MINUTES, HistoryBook, Recorded
from waitroom.journal import Kind, NewEntry
from waitroom.journal_store import JournalStore
from waitroom.migrations import VERSION_TABLE
from waitroom.minutes import COLUMNS, RATIOS, Minute
from waitroom.rooms import parse, to_dict

pytestmark = pytest.mark.usefixtures("real_migrations")

FIRST = 30_000_000


@pytest.fixture
def book(journal_url: str) -> Iterator[HistoryBook]:
    """Give an empty book."""
    with closing(JournalStore(journal_url)) as journal:
        journal.open()
    with closing(HistoryBook(journal_url)) as made:
        yield made


def row(minute: int = FIRST, room: str = "main", looks: int = 60, **more: object) -> Minute:
    """Make a row."""
    return replace(Minute(room, minute, minute * 60_000 + 59_000, looks), **more)  # type: ignore[arg-type]


def test_a_row_is_read_as_it_was_written(book: HistoryBook) -> None:
    """All columns, unknown ones as unknown."""
    whole = row(
        version=1, phase="serving", opening="o", run="r", sale="s", show_ratio=0.25, origin_failure_ratio=0.5,
        **{name: 2**40 + index for index, name in enumerate(COLUMNS[9:]) if name not in RATIOS},
    )  # fmt: skip
    bare = row(FIRST + 2)

    book.write([whole, bare, row(room="other")])
    book.write([])

    assert book.minutes("main", FIRST, FIRST + 3) == [whole, bare]
    assert book.minutes("main", FIRST + 1, FIRST + 2) == []
    assert (book.rooms(), book.last("main"), book.last("none")) == (["main", "other"], FIRST + 2, None)


def both_write(book: HistoryBook, other: HistoryBook) -> list[Minute]:
    """Let two processes keep the same three minutes at once; the second began in the middle of the first minute."""
    ours = [row(FIRST + index, waiting=9, waiting_most=20, admitted=10 * index) for index in range(3)]
    theirs = [replace(ours[0], looks=25, waiting=None, waiting_most=9), *ours[1:]]
    with ThreadPoolExecutor(2) as pool:
        for done in [pool.submit(book.write, ours), pool.submit(other.write, theirs)]:
            done.result()
    return book.minutes("main", FIRST, FIRST + 3)


def test_two_processes_do_not_double(book: HistoryBook, journal_url: str) -> None:
    """One row a minute, and it is the whole one, whoever was first."""
    with closing(HistoryBook(journal_url)) as other:
        kept = both_write(book, other)

    assert [each.minute for each in kept] == [FIRST, FIRST + 1, FIRST + 2]
    assert [(each.looks, each.waiting, each.waiting_most, each.admitted) for each in kept] == [
        (60, 9, 20, 0), (60, 9, 20, 10), (60, 9, 20, 20),
    ]  # fmt: skip


def test_a_second_writer_that_adds_up_is_noticed(
    book: HistoryBook, journal_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The mutant: rows of two processes are added instead of completed."""
    monkeypatch.setattr(
        history_book, "merged", lambda kept, fresh: replace(fresh, looks=kept.looks + fresh.looks)
    )
    with closing(HistoryBook(journal_url)) as other:
        assert [each.looks for each in both_write(book, other)] != [60, 60, 60]


def test_a_second_writer_that_does_not_look_is_refused(
    book: HistoryBook, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The mutant: nobody looks what is there; the table's own key then lets no second row in."""
    book.write([row()])
    monkeypatch.setattr(history_book, "_those", lambda *_: iter(()))

    with pytest.raises(Unavailable):
        book.write([row()])
    assert len(book.minutes("main", FIRST, FIRST + 1)) == 1


def test_many_rows_are_written_at_once(book: HistoryBook) -> None:
    """A backlog of hours, twice: more than one statement may name."""
    backlog = [row(FIRST + index, room) for index in range(400) for room in ("a", "b")]

    book.write(backlog)
    book.write(backlog)

    assert book.minutes("a", FIRST, FIRST + 400) == [each for each in backlog if each.room == "a"]


def test_old_rows_are_forgotten_in_small_steps(book: HistoryBook) -> None:
    """The oldest first, of each room; the edge stays, and a hole costs a step and no more."""
    book.write([row(FIRST + index, room) for index in (*range(7), 100) for room in ("a", "b")])

    assert book.purge(FIRST + 6, step=4) == 8
    assert [each.minute for each in book.minutes("a", FIRST, FIRST + 9)] == [FIRST + 4, FIRST + 5, FIRST + 6]
    assert book.purge(FIRST + 6, step=4) == 4
    assert book.purge(FIRST + 6, step=4) == 0
    assert [each.minute for each in book.minutes("b", FIRST, FIRST + 200)] == [FIRST + 6, FIRST + 100]


def test_sales_are_listed_with_their_first_and_last_minute(book: HistoryBook) -> None:
    """The newest first; a time without a sale is none."""
    book.write(
        [row(FIRST + index, sale=sale) for index, sale in enumerate(["", "old", "old", "", "new", None])]
        + [row(FIRST, "other", sale="theirs")]
    )

    assert book.sales("main") == [
        Recorded("main", "new", FIRST + 4, FIRST + 4), Recorded("main", "old", FIRST + 1, FIRST + 2),
    ]  # fmt: skip


def configured(at_ms: int, version: int, **settings: object) -> NewEntry:
    """Make the entry of a change."""
    room = parse({"name": "main", "origin": "https://shop.example.com", **settings})
    body = {"version": str(version), "who": f"who {version}", "why": f"why {version}"}
    return NewEntry(
        at_ms,
        "main",
        "",
        Kind.CONFIGURED,
        body | {"config": json.dumps({"version": version, **to_dict(room)})},
    )


def test_acts_are_the_differences_of_settings_with_who_and_why(book: HistoryBook, journal_url: str) -> None:
    """Compared with what was before the stretch; what a shop says is left, and other rooms, are passed over."""
    with closing(JournalStore(journal_url)) as journal:
        journal.append(
            [
                configured(100, 1),
                configured(200, 2, paused=True),
                configured(250, 3, paused=True, stock_left=5),
                NewEntry(260, "other", "", Kind.OPERATOR, {"who": "x"}),
                NewEntry(270, "main", "", Kind.OPERATOR, {"who": "line", "act": "made"}),
                NewEntry(280, "main", "", Kind.CONFIGURED, {"version": "4", "config": "{"}),
                configured(290, 5),
                NewEntry(
                    299, "main", "", Kind.REMOVED, {"version": "6", "who": "Ann", "why": "", "config": "{}"}
                ),
                configured(300, 7),
            ]
        )

    acts = book.acts("main", 200, 300)

    assert [(act.at_ms, act.who, act.why, act.version) for act in acts] == [
        (200, "who 2", "why 2", 2), (270, "line", "", None), (280, "", "", 4), (290, "who 5", "why 5", 5),
        (299, "Ann", "", 6),
    ]  # fmt: skip
    assert acts[0].what == [["paused", "false", "true"]]
    assert acts[1].what == [["act", "", "made"]]
    assert acts[4].what == [["room", "there", "–"]]
    assert book.acts("main", 300, 400)[0].what == [["room", "–", "there"]]
    assert [act.version for act in book.acts("main", 0, 500, most=2)] == [6, 7]
    assert book.acts("main", 301, 400) == []


def test_a_database_without_the_table_is_unavailable(tmp_path: Path) -> None:
    """Whatever it refuses becomes our own word."""
    with closing(HistoryBook(f"sqlite:///{tmp_path}/empty.db")) as book:
        for ask in (
            lambda: book.write([row()]),
            book.rooms,
            lambda: book.purge(1),
            lambda: book.acts("main", 0, 1),
        ):
            with pytest.raises(Unavailable):
                ask()


def test_the_table_has_a_column_for_each_field_of_a_minute(book: HistoryBook, journal_url: str) -> None:
    """The migration and the code name the same."""
    engine = sa.create_engine(book._engine.url)
    try:
        found = {column["name"] for column in sa.inspect(engine).get_columns(MINUTES.name)}
        assert sa.inspect(engine).has_table(VERSION_TABLE)
    finally:
        engine.dispose()
    assert found == set(COLUMNS)
    assert journal_url.startswith(engine.url.drivername.partition("+")[0])


def test_minutes_from_before_joins_turned_away_were_counted_are_kept(journal_url: str) -> None:
    """What they do not say is unknown, and never 0."""
    with closing(JournalStore(journal_url)) as journal, closing(HistoryBook(journal_url)) as book:
        journal.open()
        book.write([row(waiting=7)])
        with book._engine.begin() as connection:
            for name in ("refused", "shed", "opened_ms", "epoch"):
                connection.execute(sa.text(f"ALTER TABLE {MINUTES.name} DROP COLUMN {name}"))
            connection.execute(sa.text("DROP TABLE operator_waits"))
            version = sa.table(VERSION_TABLE, sa.column("version_num"))
            connection.execute(sa.update(version).values(version_num="0006"))
        journal.open()

        (kept,) = book.minutes("main", FIRST, FIRST + 1)
        assert (kept.waiting, kept.refused, kept.shed) == (7, None, None)
        book.write([row(refused=4, shed=0)])
        (kept,) = book.minutes("main", FIRST, FIRST + 1)
        assert (kept.waiting, kept.refused, kept.shed) == (7, 4, 0)
