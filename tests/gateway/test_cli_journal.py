"""`waitroom check journal`: whole or not, where and how, with a status for scripts."""

import json
import sqlite3
import time
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import pytest

from admission.keyring import KeyRing
from gateway.cli import main
from kernel.signing import b64url
from waitroom import journal, journal_store
from waitroom.journal import LEAF_BYTES, Entry, Kind, Leaves, NewEntry, chain, leaves_entry
from waitroom.journal_store import JournalStore

NOW_MS = time.time_ns() // 1_000_000
RUN = "0011223344556677"
ENTRIES = 6


def called(at_ms: int) -> NewEntry:
    """Return an act."""
    return NewEntry(at_ms, "main", RUN, Kind.CALLED, {"standard": str(at_ms)})


@pytest.fixture
def ring(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> KeyRing:
    """Give an installation: its key ring, and a journal of five acts and three leaves with a signed head."""
    monkeypatch.setenv("WAITROOM_DATA", str(tmp_path))
    ring = KeyRing.open(tmp_path / "keyring.json", NOW_MS)

    def sign(message: bytes) -> str:
        kid, signature = ring.documents().sign(message)
        return f"{kid}.{b64url(signature)}"

    with closing(JournalStore(f"sqlite:///{tmp_path / 'journal.db'}", sign)) as kept:
        kept.open()
        kept.append([called(at) for at in range(1, 6)], [Leaves("main", RUN, 0, b"L" * 3 * LEAF_BYTES, 5)])
        kept.seal(6)
    return ring


def tamper(folder: Path, *statements: str, forged: Sequence[Entry] = ()) -> None:
    """Change the database as its owner can: the triggers go first."""
    with closing(sqlite3.connect(folder / "journal.db")) as database:
        for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            database.execute(f"DROP TRIGGER {name}")
        for statement in statements:
            database.execute(statement)
        database.executemany(
            "UPDATE journal_entries SET prev = ?, hash = ? WHERE seq = ?",
            [(entry.prev, entry.hash, entry.seq) for entry in forged],
        )
        database.commit()


def test_a_whole_journal_is_told_with_its_size_and_its_end(
    ring: KeyRing, capsys: pytest.CaptureFixture[str]
) -> None:
    """Status 0; the end that is printed is what `--head` takes later."""
    assert main(["check", "journal"]) == 0
    first, second = capsys.readouterr().out.splitlines()

    assert first == f"whole: {ENTRIES} entries, 3 leaves, 1 signed head"
    assert main(["check", "journal", "--head", second.split()[1]]) == 0


@pytest.mark.parametrize(
    ("statement", "told"),
    [
        (
            'UPDATE journal_entries SET body = \'{"standard":"9"}\' WHERE seq = 2',
            "2: the entry is not what its hash",
        ),
        ("DELETE FROM journal_entries WHERE seq = 3", "3: the entry is missing; the next one is 4"),
        ("UPDATE journal_entries SET prev = zeroblob(32) WHERE seq = 4", "4: the entry does not follow"),
        ("UPDATE journal_leaves SET leaves = zeroblob(48)", "6: the leaves are not what the entry says"),
        ("UPDATE journal_heads SET signature = ''", "6: the head is signed by none of our keys"),
        ("UPDATE journal_heads SET signature = 'foreign.AAAA'", "6: the head is signed by none of our keys"),
        ("DELETE FROM journal_entries WHERE seq > 4", "5: the end is missing: a head was kept of 6"),
    ],
)
def test_whatever_was_changed_is_told_by_its_entry(
    ring: KeyRing, tmp_path: Path, capsys: pytest.CaptureFixture[str], statement: str, told: str
) -> None:
    """Status 1, the first broken entry and how it is broken."""
    tamper(tmp_path, statement)

    assert main(["check", "journal"]) == 1

    assert capsys.readouterr().out.startswith(f"broken at entry {told}")


def test_a_chain_that_was_made_anew_is_told_by_its_head_alone(
    ring: KeyRing, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Who hashes everything again after a change lacks the key; who drops the heads meets an end kept elsewhere."""
    main(["check", "journal"])
    kept = capsys.readouterr().out.splitlines()[1].split()[1]
    with closing(JournalStore(f"sqlite:///{tmp_path / 'journal.db'}")) as store:
        entries = store.entries()
    first = NewEntry(1, "main", RUN, Kind.CALLED, {"standard": "999"})
    forged = chain(
        [first, *(NewEntry(e.at_ms, e.room, e.run, e.kind, e.body, e.source) for e in entries[1:])],
        0,
        entries[0].prev,
    )
    tamper(
        tmp_path,
        'UPDATE journal_entries SET body = \'{"standard":"999"}\' WHERE seq = 1',
        forged=forged,
    )

    assert main(["check", "journal"]) == 1
    assert capsys.readouterr().out.startswith(
        "broken at entry 6: the entry is not the one that a head was kept of"
    )
    tamper(tmp_path, "DELETE FROM journal_heads")
    assert main(["check", "journal"]) == 0
    assert main(["check", "journal", "--head", kept]) == 1


def test_a_check_that_believes_every_hash_lets_a_change_pass(
    ring: KeyRing, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The mutant: an entry's hash taken as it stands, a changed row is called whole."""
    tamper(tmp_path, 'UPDATE journal_entries SET body = \'{"standard":"9"}\' WHERE seq = 2')
    assert main(["check", "journal"]) == 1

    monkeypatch.setattr(journal, "entry_hash", lambda entry, _seq, _prev: entry.hash)

    assert main(["check", "journal"]) == 0


def test_a_check_that_does_not_look_at_the_leaves_lets_theirs_pass(
    ring: KeyRing, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The mutant: with the leaves taken as the entry says, changed leaves are called whole."""
    tamper(tmp_path, "UPDATE journal_leaves SET leaves = zeroblob(48)")
    assert main(["check", "journal"]) == 1

    said = leaves_entry(Leaves("main", RUN, 0, b"L" * 3 * LEAF_BYTES, 5))
    monkeypatch.setattr(journal_store, "leaves_entry", lambda _: said)

    assert main(["check", "journal"]) == 0


def test_keys_that_are_published_do_as_well_and_foreign_ones_do_not(
    ring: KeyRing, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """An auditor has a copy of the database and the JWKS."""
    ours, foreign = tmp_path / "ours.json", tmp_path / "foreign.json"
    ours.write_text(json.dumps(ring.jwks()))
    foreign.write_text(json.dumps(KeyRing.fresh(NOW_MS).jwks()))
    url = f"sqlite:///{tmp_path / 'journal.db'}"

    assert main(["check", "journal", "--url", url, "--jwks", str(ours)]) == 0
    assert main(["check", "journal", "--url", url, "--jwks", str(foreign)]) == 1


def test_where_there_is_no_journal_it_says_so_and_makes_none(
    ring: KeyRing, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Status 2: a wrong address must not look like a sound journal, nor leave a file behind."""
    empty = tmp_path / "empty.db"
    empty.write_bytes(b"")

    assert main(["check", "journal", "--url", f"sqlite:///{tmp_path / 'nothing.db'}"]) == 2
    assert main(["check", "journal", "--url", f"sqlite:///{empty}"]) == 2
    assert main(["check", "journal", "--head", "6-abc"]) == 2

    told = capsys.readouterr().err.splitlines()
    assert [row.split(".")[0] for row in told[:2]] == ["waitroom: There is no journal at this address"] * 2
    assert not (tmp_path / "nothing.db").exists()


def test_checking_changes_nothing(ring: KeyRing, tmp_path: Path) -> None:
    """It may be run beside a running installation: it neither writes nor brings tables up to date."""
    with closing(sqlite3.connect(tmp_path / "journal.db")) as database:
        before = list(database.iterdump())

        assert main(["check", "journal"]) == 0

        assert list(database.iterdump()) == before
