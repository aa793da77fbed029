"""The journal in SQL: all or nothing, once only, growing only. Every test runs on SQLite and PostgreSQL."""

import hashlib
import hmac
import multiprocessing
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic.util.exc import CommandError
from sqlalchemy.exc import DBAPIError

from kernel import database
from kernel.database import Busy, address, engine, into_wal_mode
from kernel.errors import Misconfigured, Unavailable
from tests.sharing import REAL_SETTINGS
from waitroom import journal_store, journal_writing
from waitroom.journal import LEAF_BYTES, Kind, Leaves, NewEntry
from waitroom.journal_store import JournalStore, check
from waitroom.migrations import VERSION_TABLE

RUN = "0011223344556677"
KEY = b"k" * 32


def _sign(message: bytes) -> str:
    return hmac.new(KEY, message, hashlib.sha256).hexdigest()


def _is_ours(message: bytes, signature: str) -> bool:
    return hmac.compare_digest(_sign(message), signature)


@contextmanager
def _opened(url: str, sign_head: Callable[[bytes], str] | None = None) -> Iterator[JournalStore]:
    with closing(JournalStore(url, sign_head)) as journal:
        journal.open()
        yield journal


def _new(at_ms: int, source: str = "", kind: Kind = Kind.CALLED, **body: str) -> NewEntry:
    return NewEntry(at_ms, "main", RUN, kind, body, source)


def _leaves(start: int, count: int, at_ms: int = 1000) -> Leaves:
    octets = b"".join((number + 1).to_bytes(LEAF_BYTES, "big") for number in range(start, start + count))
    return Leaves("main", RUN, start, octets, at_ms)


@contextmanager
def _raw(url: str) -> Iterator[sa.Connection]:
    """Give a connection past the journal's own code, as a careless hand would have it."""
    made = engine(address(url, "journal"), "journal")
    with made.connect() as connection:
        yield connection
    made.dispose()


def _without_triggers(url: str, table: str, statement: str) -> None:
    """Change a table as the owner of the database can; ``{zeros}`` stands for 80 zero bytes."""
    with _raw(url) as connection, connection.begin():
        zeros = "zeroblob(80)" if connection.dialect.name == "sqlite" else "decode(repeat('00', 80), 'hex')"
        statement = statement.replace("{zeros}", zeros)
        if connection.dialect.name == "sqlite":
            names = connection.scalars(
                sa.text("SELECT name FROM sqlite_master WHERE type = 'trigger' AND tbl_name = :table"),
                {"table": table},
            ).all()
            for name in names:
                connection.execute(sa.text(f"DROP TRIGGER {name}"))
        else:
            connection.execute(sa.text(f"ALTER TABLE {table} DISABLE TRIGGER USER"))
        connection.execute(sa.text(statement))


def test_entries_come_back_as_they_were_given(journal_url: str) -> None:
    """Order, texts and places are kept, odd characters included."""
    odd = {"a": "é\0\n\"'\\", "": "☃"}
    with _opened(journal_url) as journal:
        appended = journal.append([_new(5, "one", **odd), _new(6)])
        journal.append([_new(4, "late")])
        entries = journal.entries()

    assert appended.entries == tuple(entries[:2])
    assert [entry.seq for entry in entries] == [1, 2, 3]
    assert [entry.at_ms for entry in entries] == [5, 6, 4]
    assert entries[0].body == odd
    assert [entry.source for entry in entries] == ["one", "", "late"]


def test_entries_can_be_asked_for_by_room_kind_and_place(journal_url: str) -> None:
    """A reader goes on after the last one that it has seen."""
    with _opened(journal_url) as journal:
        journal.append([_new(1), replace(_new(2), room="side"), _new(3, kind=Kind.OPERATOR), _new(4)])

        assert [entry.at_ms for entry in journal.entries(room="main")] == [1, 3, 4]
        assert [entry.at_ms for entry in journal.entries(after_seq=2)] == [3, 4]
        assert [entry.at_ms for entry in journal.entries(kinds=[Kind.OPERATOR])] == [3]
        assert [entry.at_ms for entry in journal.entries(limit=2)] == [1, 2]


def test_an_act_is_recorded_once(journal_url: str) -> None:
    """A source that is there already is left out: from an earlier call, or earlier in the same call."""
    with _opened(journal_url) as journal:
        journal.append([_new(1, "a"), _new(2, "b")])
        again = journal.append([_new(2, "b"), _new(3, "c"), _new(3, "c"), _new(1, "a")])

        assert [entry.source for entry in again.entries] == ["c"]
        assert [entry.source for entry in journal.entries()] == ["a", "b", "c"]
        assert journal.append([_new(1, "a")]).entries == ()
        assert journal.verify() is None


def test_leaves_are_kept_in_rows_and_read_back_from_anywhere(journal_url: str) -> None:
    """Partial rows are continued by the next ones; what is not kept is not returned."""
    with _opened(journal_url) as journal:
        for start, count in ((0, 10), (10, 2000), (2010, 90)):
            journal.append([], [_leaves(start, count)])

        assert journal.leaf_extent("main", RUN) == 2100
        assert journal.leaves("main", RUN, 0, 2100) == _leaves(0, 2100).octets
        assert journal.leaves("main", RUN, 1020, 8) == _leaves(1020, 8).octets
        assert journal.leaves("main", RUN, 2099, 10) == _leaves(2099, 1).octets
        assert journal.leaves("main", RUN, 2100, 10) == b""
        assert journal.leaf_extent("main", "other") == 0


def test_leaves_that_two_drainers_hand_in_are_kept_once(journal_url: str) -> None:
    """Overlap is cut off; the entry binds exactly what was added."""
    with _opened(journal_url) as journal:
        first = journal.append([], [_leaves(0, 100)])
        second = journal.append([], [_leaves(50, 100)])
        third = journal.append([], [_leaves(0, 120)])
        fourth = journal.append([], [_leaves(140, 20), _leaves(150, 40)])

        assert [each.leaves for each in (first, second, third, fourth)] == [100, 50, 0, 40]
        assert [entry.body["start"] for entry in journal.entries()] == ["0", "100", "150", "160"]
        assert journal.leaves("main", RUN, 0, 200) == _leaves(0, 190).octets
        assert journal.verify() is None


def test_leaves_never_leave_a_hole(journal_url: str) -> None:
    """A piece that does not continue is refused, and nothing of the call is kept."""
    with _opened(journal_url) as journal:
        with pytest.raises(ValueError, match="hole"):
            journal.append([_new(1)], [_leaves(5, 5)])

        assert journal.entries() == []


def test_entries_and_leaves_are_kept_together_or_not_at_all(journal_url: str) -> None:
    """A failure in the middle of a call leaves nothing behind."""

    def fail(_message: bytes) -> str:
        raise RuntimeError("no key today")

    with _opened(journal_url, fail) as journal:
        with pytest.raises(RuntimeError):
            journal.append([_new(1)], [_leaves(0, 5)])

        assert journal.entries() == []
        assert journal.leaf_extent("main", RUN) == 0


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE journal_entries SET body = '{}' WHERE seq = 1",
        "DELETE FROM journal_entries WHERE seq = 3",
        "UPDATE journal_leaves SET count = count",
        "DELETE FROM journal_leaves",
        "UPDATE journal_heads SET signature = ''",
        "DELETE FROM journal_heads",
        # Not the next one, not after the last one, and a row too large.
        "INSERT INTO journal_entries SELECT seq + 7, at_ms, room, run, kind, body, NULL, prev, hash "
        "FROM journal_entries WHERE seq = 1",
        "INSERT INTO journal_entries SELECT 4, at_ms, room, run, kind, body, NULL, prev, hash "
        "FROM journal_entries WHERE seq = 1",
        "INSERT INTO journal_leaves SELECT room, run, 9, count, leaves FROM journal_leaves",
        "INSERT INTO journal_leaves SELECT room, 'b', 0, 7, leaves FROM journal_leaves",
        "INSERT INTO journal_heads SELECT seq - 1, at_ms, hash, signature FROM journal_heads",
    ],
)
def test_the_tables_only_grow(journal_url: str, statement: str) -> None:
    """UPDATE and DELETE are refused by the database itself, and so is an INSERT that does not continue."""
    with _opened(journal_url, _sign) as journal:
        journal.append([_new(1), _new(2)], [_leaves(0, 5)])
        before = journal.entries()
        with _raw(journal_url) as connection, pytest.raises(DBAPIError, match="append-only"):
            connection.execute(sa.text(statement))

        assert journal.entries() == before
        assert journal.verify(is_ours=_is_ours) is None


def test_rows_cannot_be_replaced_or_truncated(journal_url: str) -> None:
    """The ways around DELETE are closed too: SQLite's OR REPLACE, PostgreSQL's TRUNCATE."""
    with _opened(journal_url) as journal:
        journal.append([_new(1)])
        with _raw(journal_url) as connection, pytest.raises(DBAPIError, match="append-only"):
            connection.execute(
                sa.text("INSERT OR REPLACE INTO journal_entries SELECT * FROM journal_entries")
                if connection.dialect.name == "sqlite"
                else sa.text("TRUNCATE journal_entries")
            )

        assert len(journal.entries()) == 1


@pytest.mark.parametrize(
    ("statement", "broken"),
    [
        ("""UPDATE journal_entries SET body = '{"standard":"9"}' WHERE seq = 2""", 2),
        ("UPDATE journal_entries SET body = '{' WHERE seq = 2", 2),
        ("UPDATE journal_entries SET body = '[]' WHERE seq = 2", 2),
        ("UPDATE journal_entries SET kind = 'forged' WHERE seq = 3", 3),
        ("DELETE FROM journal_entries WHERE seq = 2", 2),
        ("DELETE FROM journal_entries WHERE seq > 3", 4),
        ("UPDATE journal_entries SET hash = {zeros}, prev = {zeros} WHERE seq = 5", 5),
        ("UPDATE journal_leaves SET leaves = {zeros}", 5),
        ("DELETE FROM journal_leaves", 5),
        ("UPDATE journal_heads SET signature = 'ab' WHERE seq = 5", 5),
    ],
)
def test_what_the_owner_of_the_database_changes_is_found(
    journal_url: str, statement: str, broken: int
) -> None:
    """Triggers stop mistakes; the chain, the digests and the signed heads tell on everybody else."""
    with _opened(journal_url, _sign) as journal:
        journal.append([_new(at, standard=str(at)) for at in range(1, 5)], [_leaves(0, 5)])
        assert journal.verify(is_ours=_is_ours) is None
        table = statement.split()[2 if statement.startswith("DELETE") else 1]
        _without_triggers(journal_url, table, statement)

        assert journal.verify(is_ours=_is_ours) == broken


def test_a_cut_end_is_found_by_a_head_that_was_kept_elsewhere(journal_url: str) -> None:
    """Whoever cuts entries and heads leaves a sound chain; a head in another place still tells."""
    with _opened(journal_url, _sign) as journal:
        journal.append([_new(at) for at in range(1, 5)])
        [kept] = journal.heads()
        _without_triggers(journal_url, "journal_entries", "DELETE FROM journal_entries WHERE seq > 2")
        _without_triggers(journal_url, "journal_heads", "DELETE FROM journal_heads")

        assert journal.verify(is_ours=_is_ours) is None
        assert journal.verify([kept], _is_ours) == 3


def test_heads_are_signed_now_and_then_and_at_the_end(
    journal_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first call, then every so many entries or every minute, and whenever it is asked for."""
    monkeypatch.setattr(journal_store, "HEAD_EVERY", 3)
    with _opened(journal_url, _sign) as journal:
        assert journal.seal(100_000) is None
        journal.append([_new(100_000)])
        journal.append([_new(100_001)])
        journal.append([_new(100_002), _new(100_003)])
        journal.append([_new(159_999)])
        journal.append([_new(160_003)])
        journal.append([_new(160_004)])
        sealed = journal.seal(160_005)

        assert [(head.seq, head.at_ms) for head in journal.heads()] == [
            (1, 100_000),
            (4, 100_003),
            (6, 160_003),
            (7, 160_005),
        ]
        assert sealed == journal.heads()[-1]
        assert journal.seal(160_006) is None
        assert journal.verify(is_ours=_is_ours) is None


def test_the_end_is_signed_once_the_journal_is_at_rest(
    journal_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not while entries come; by one of all who look, whoever wrote them; a time that is to come is no rest."""
    with _opened(journal_url, _sign) as journal, _opened(journal_url, _sign) as other:
        journal.append([_new(100_000), _new(100_001)])
        journal.append([_new(100_002)])
        assert [head.seq for head in journal.heads()] == [2], (
            "what came since is signed by the next append only"
        )
        assert journal.seal(100_002 + 9_999, 10_000) is None
        with ThreadPoolExecutor(4) as pool:
            sealed = [*pool.map(lambda one: one.seal(100_002 + 10_000, 10_000), [journal, other] * 4)]
        assert [head.seq for head in sealed if head] == [3]
        with monkeypatch.context() as patch:
            patch.setattr(JournalStore, "_writing", None)
            assert journal.seal(200_000, 10_000) is None, "nothing to do takes nobody's turn at writing"
        with journal._writing() as connection:
            journal_writing.put(connection, [_new(900_000)])
        assert journal.seal(200_001, 10_000) is not None

        assert [(head.seq, head.at_ms) for head in journal.heads()] == [
            (2, 100_001),
            (3, 110_002),
            (4, 200_001),
        ]
        assert journal.verify(is_ours=_is_ours) is None


def test_without_a_key_no_head_is_signed(journal_url: str) -> None:
    """Signing is optional; the chain is there all the same."""
    with _opened(journal_url) as journal:
        journal.append([_new(1)])

        assert journal.seal(2) is None
        assert journal.heads() == []


def test_the_newest_configuration_of_each_room_is_found(journal_url: str) -> None:
    """A removed room has none, until it is configured anew."""

    def configured(room: str, version: int) -> NewEntry:
        body = {"version": str(version), "config": f'{{"version":{version}}}'}
        return NewEntry(version, room, "", Kind.CONFIGURED, body, f"config:{room}:{version}")

    with _opened(journal_url) as journal:
        journal.append([configured("a", 1), configured("b", 1), configured("c", 1), configured("a", 2)])
        journal.append([replace(configured("b", 2), kind=Kind.REMOVED, body={"version": "2"}, source="x")])
        journal.append([replace(configured("c", 2), kind=Kind.REMOVED, body={"version": "2"}, source="y")])
        journal.append([configured("c", 3)])

        assert journal.latest_configs() == {"a": (2, '{"version":2}'), "c": (3, '{"version":3}')}


def test_the_state_of_a_room_is_that_of_its_last_run(journal_url: str) -> None:
    """Entries before the last opening, of other runs and of other rooms do not count."""

    def entry(run: str, kind: Kind, room: str = "main", **body: str) -> NewEntry:
        return NewEntry(1000, room, run, kind, body)

    with _opened(journal_url) as journal:
        assert journal.state("main") is None
        journal.append(
            [
                entry("old", Kind.OPENED, epoch="1", phase="serving", opening="always"),
                entry("old", Kind.CALLED, epoch="1", verified="9", standard="9", suspect="9"),
                entry(RUN, Kind.OPENED, epoch="2", phase="serving", opening="always"),
                entry("old", Kind.ADMITTED, epoch="1", number="3", sid="x", until_ms="9000"),
                entry(RUN, Kind.CALLED, "side", epoch="2", verified="8", standard="8", suspect="8"),
                entry(RUN, Kind.CALLED, epoch="2", verified="5", standard="4", suspect="3"),
            ],
            [_leaves(0, 7)],
        )
        state = journal.state("main")

    assert state is not None
    assert (state.run, state.epoch, state.extent) == (RUN, 2, 7)
    assert tuple(state.serving) == (5, 4, 3)
    assert state.claimed == frozenset()
    assert state.joins_per_s == 7


def test_a_run_whose_opening_was_lost_is_known_by_its_restoration(journal_url: str) -> None:
    """A store that was lost before the first drain leaves no `opened`; a worker's memory left `restored`."""
    with _opened(journal_url) as journal:
        body = {"epoch": "2", "phase": "gathering", "opening": "sale", "issued": "1500", "void": "[[0,1500]]"}
        journal.append([NewEntry(1000, "main", RUN, Kind.RESTORED, body)], [_leaves(0, 3)])
        state = journal.state("main")

    assert state is not None
    assert (state.run, state.epoch, state.issued, state.extent) == (RUN, 2, 1500, 3)
    assert state.void == ((0, 1500),)


def test_an_entry_that_cannot_be_read_is_told_in_the_log(
    journal_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    """The state is there all the same."""
    with _opened(journal_url) as journal:
        journal.append([_new(1, kind=Kind.OPENED, epoch="1"), _new(2, kind=Kind.ADMITTED, number="one")])
        state = journal.state("main")

    assert state is not None
    assert state.unreadable == (2,)
    assert caplog.messages == ["entries were passed over"]


def _append_many(url: str, name: str, barrier: "threading.Barrier | None" = None) -> None:
    with _opened(url) as journal:
        for at in range(25):
            journal.append([_new(at, f"{name}:{at}"), _new(at, f"shared:{at}")], [_leaves(at * 10, 10)])


def test_threads_and_processes_write_one_chain(journal_url: str) -> None:
    """Four processes, one of them with four threads, open and write at once: no double, no hole, no fork."""
    spawn = multiprocessing.get_context("spawn")
    children = [spawn.Process(target=_append_many, args=(journal_url, f"process{n}")) for n in range(3)]
    for child in children:
        child.start()
    threads = [threading.Thread(target=_append_many, args=(journal_url, f"thread{n}")) for n in range(4)]
    for thread in threads:
        thread.start()
    for worker in (*threads, *children):
        worker.join()

    assert [child.exitcode for child in children] == [0, 0, 0]
    with _opened(journal_url) as journal:
        entries = journal.entries(limit=10_000)
        assert len([entry for entry in entries if entry.kind is Kind.CALLED]) == 7 * 25 + 25
        assert journal.leaves("main", RUN, 0, 300) == _leaves(0, 250).octets
        assert journal.verify() is None


def test_threads_share_one_journal(journal_url: str) -> None:
    """One store object serves the threads of ``asyncio.to_thread``."""
    with _opened(journal_url) as journal:

        def write(name: int) -> None:
            for at in range(25):
                journal.append([_new(at, f"{name}:{at}")])

        threads = [threading.Thread(target=write, args=(name,)) for name in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

        assert len(journal.entries()) == 100
        assert journal.verify() is None


def test_a_writer_that_takes_no_turn_breaks_nothing(
    journal_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The mutant without turns: another entry comes in between, and the database refuses the fork.

    PostgreSQL lets us try again on the new end; SQLite has us begin anew, which the caller must do.
    """
    monkeypatch.setattr(journal_store, "take_turn", lambda _connection, _lock: None)
    monkeypatch.setattr(journal_store, "begin_writing", lambda _connection: None)
    real, meanwhile = journal_writing.end_of, [True]

    def slow(connection: sa.Connection) -> tuple[int, bytes]:
        end = real(connection)
        if meanwhile:
            meanwhile.clear()
            with _opened(journal_url) as other:
                other.append([_new(7)])
        return end

    monkeypatch.setattr(journal_writing, "end_of", slow)
    with _opened(journal_url) as journal:
        if journal_url.startswith("sqlite"):
            with pytest.raises(Unavailable):
                journal.append([_new(1)])
        journal.append([_new(1)])

        assert [entry.at_ms for entry in journal.entries()] == [7, 1]
        assert journal.verify() is None


def test_a_chain_that_cannot_be_continued_is_unavailable(
    journal_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A writer gives up after some tries instead of trying for ever."""
    with _opened(journal_url) as journal:
        journal.append([_new(1)])
        monkeypatch.setattr(journal_writing, "end_of", lambda _connection: (0, bytes(32)))
        with pytest.raises(Unavailable):
            journal.append([_new(2)])

        assert len(journal.entries()) == 1


def test_nothing_to_add_touches_nothing(journal_url: str) -> None:
    """Not even a transaction is begun."""
    with closing(JournalStore(journal_url)) as journal:
        assert journal.append([]).entries == ()


def test_opening_again_changes_nothing(journal_url: str) -> None:
    """A start finds the work done."""
    with _opened(journal_url) as journal:
        journal.append([_new(1)])
    with _opened(journal_url) as journal:
        assert len(journal.entries()) == 1


def test_a_journal_of_a_newer_version_is_refused(journal_url: str) -> None:
    """We cannot know what a later version keeps in it."""
    with _opened(journal_url):
        pass
    with _raw(journal_url) as connection, connection.begin():
        connection.execute(sa.text(f"UPDATE {VERSION_TABLE} SET version_num = '9999'"))  # noqa: S608

    with (
        closing(JournalStore(journal_url)) as journal,
        pytest.raises(Misconfigured, match="newer version of Waitroom"),
    ):
        journal.open()


def test_a_reachable_journal_passes_the_check(journal_url: str) -> None:
    """The check touches nothing: the database stays empty."""
    check(journal_url)
    with _raw(journal_url) as connection:
        assert sa.inspect(connection).get_table_names() == []


def test_a_journal_that_cannot_be_migrated_is_told_in_one_sentence(
    journal_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not a stack of Alembic's calls."""

    def fail(_connection: sa.Connection) -> None:
        raise CommandError("two heads")

    monkeypatch.setattr(journal_store, "upgrade", fail)

    with closing(JournalStore(journal_url)) as journal, pytest.raises(Misconfigured, match="two heads"):
        journal.open()


def test_processes_that_open_a_new_file_at_once_wait_for_one_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SQLite refuses the change to WAL at once while another reads; we ask again, and not for ever."""
    url = f"sqlite:///{tmp_path}/journal.db"
    with _raw(url) as reader, _raw(url) as opener:
        reader.execute(sa.text("CREATE TABLE anything (x)"))
        reader.commit()
        reader.execute(sa.text("SELECT 1 FROM anything")).all()
        with monkeypatch.context() as patched:
            patched.setattr(database, "WAIT_S", 0)
            with pytest.raises(Busy):
                into_wal_mode(opener.engine)
        monkeypatch.setattr(database.time, "sleep", lambda _wait_s: reader.rollback())
        into_wal_mode(opener.engine)

    with _raw(url) as connection:
        connection.execute(sa.text("SELECT 1 FROM anything")).all()
        assert connection.scalar(sa.text("PRAGMA journal_mode")) == "wal"


def test_a_server_that_is_away_is_unavailable(tmp_path: Path) -> None:
    """The caller may try again; nothing internal is told to people."""
    url = f"postgresql://postgres@/postgres?host={tmp_path}"
    with pytest.raises(Unavailable):
        check(url)
    with closing(JournalStore(url)) as journal, pytest.raises(Unavailable) as caught:
        journal.open()

    assert caught.value.code == "journal-away"
    assert str(tmp_path) not in caught.value.public


def test_a_text_in_place_of_octets_is_found(tmp_path: Path) -> None:
    """SQLite lets any column hold any type; the check must name the entry and not fall over it."""
    url = f"sqlite:///{tmp_path}/journal.db"
    with _opened(url) as journal:
        journal.append([_new(1)], [_leaves(0, 5)])
        _without_triggers(url, "journal_leaves", "UPDATE journal_leaves SET leaves = 'é'")
        assert journal.verify() == 2
        _without_triggers(url, "journal_entries", "UPDATE journal_entries SET hash = 'é' WHERE seq = 1")
        assert journal.verify() == 1


def test_sqlite_commits_are_on_the_disk_before_we_say_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """WAL with synchronous=FULL (2): the drain deletes in the store what we said is kept."""
    monkeypatch.setattr(database, "_sqlite_settings", REAL_SETTINGS)
    url = f"sqlite:///{tmp_path}/journal.db"
    with _opened(url), _raw(url) as connection:
        assert connection.scalar(sa.text("PRAGMA journal_mode")) == "wal"
        assert connection.scalar(sa.text("PRAGMA synchronous")) == 2
