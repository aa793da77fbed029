"""``waitroom codes``: made once, kept nowhere, revoked one by one or together, and written to the journal."""

from contextlib import closing
from pathlib import Path

import pytest

from admission.keyring import KeyRing
from gateway.cli import main
from gateway.deriving import secret_for
from waitroom import codes
from waitroom.identity_book import IdentityBook
from waitroom.journal import Kind, NewEntry
from waitroom.journal_store import JournalStore


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give the data folder of an installation with one room."""
    monkeypatch.setenv("WAITROOM_STORE_URL", "redis://127.0.0.1:1/0")
    KeyRing.open(tmp_path / "keyring.json", 1)
    with closing(journal_of(tmp_path)) as journal:
        journal.open()
        body = {"version": "1", "config": "{}"}
        journal.append([NewEntry(1, "main", "", Kind.CONFIGURED, body)])
    return tmp_path


def journal_of(folder: Path) -> JournalStore:
    """Open an installation's journal."""
    return JournalStore(f"sqlite:///{folder / 'journal.db'}")


def run(folder: Path, capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, list[str], str]:
    """Run the command; return its status, its lines and what it said beside."""
    status = main(["codes", *words, "--data", str(folder)])
    told = capsys.readouterr()
    return status, told.out.splitlines(), told.err


def test_codes_are_made_listed_and_revoked(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Each counts until it, or its batch, is revoked; a second time the answer is no."""
    secret = secret_for(KeyRing.open(folder / "keyring.json", 1).active("sid").octets, "identity")
    made = run(folder, capsys, "make", "main", "--count", "3", "--lane", "verified", "--label", "club")
    listed = run(folder, capsys, "list", "main")
    one = run(folder, capsys, "revoke", made[1][0].lower())
    again = run(folder, capsys, "revoke", made[1][0])
    with closing(IdentityBook(f"sqlite:///{folder / 'journal.db'}")) as book:
        (batch,) = book.batches("main")
    count = [codes.is_good(read, batch, secret, "main", 5) for text in made[1] if (read := codes.read(text))]
    whole = run(folder, capsys, "revoke", "0")
    with closing(journal_of(folder)) as journal:
        acts = [entry.body for entry in journal.entries("main", kinds=[Kind.OPERATOR])]

    assert (made[0], len(set(made[1])), "batch 0: 3 codes" in made[2]) == (0, 3, True)
    assert len(listed[1]) == 1
    assert {"3 codes", "verified", "club"} <= {part.strip() for part in listed[1][0].split("  ")}
    assert (one[0], again[0], whole[0]) == (0, 1, 0)
    assert count == [False, True, True]
    assert [act["act"] for act in acts] == ["codes-made", "codes-revoked", "codes-revoked"]
    assert [act.get("which") for act in acts] == [None, "0", "all"]
    assert not any(
        code.encode() in path.read_bytes() for code in made[1] for path in folder.glob("journal.db*")
    )


@pytest.mark.parametrize(
    ("words", "status"),
    [
        (("make", "nowhere"), 2),
        (("make", "main", "--count", "0"), 2),
        (("make", "main", "--count", "1048577"), 2),
        (("make", "main", "--until", "tomorrow"), 2),
        (("revoke", "7"), 1),
        (("revoke", "0000-0000-0000-0000"), 1),
        (("revoke", "x"), 1),
        (("revoke", "\u0661"), 1),
    ],
)
def test_what_is_wrong_is_told(
    folder: Path, capsys: pytest.CaptureFixture[str], words: tuple[str, ...], status: int
) -> None:
    """In a sentence, with a status for scripts."""
    told = run(folder, capsys, *words)

    assert told[0] == status
    assert told[2]
    assert not told[1]


def test_an_installation_that_is_not_there_gets_no_key_ring(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Codes of a key ring that no gate has would count nowhere."""
    monkeypatch.setenv("WAITROOM_STORE_URL", "redis://127.0.0.1:1/0")
    told = run(tmp_path, capsys, "make", "main")

    assert told[0] == 2
    assert not list(tmp_path.iterdir())
