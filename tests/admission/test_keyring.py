"""Key ring: made once, read by all, rotated without a gap, and never in anybody else's sight."""

import json
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from admission import es256, tokens
from admission.keyring import PUBLIC_USES, RETIRING, USES, KeyRing, new_key, parse, write_text
from kernel.errors import Misconfigured
from kernel.signing import BadSignature, from_b64url

NOW_MS = 1_800_000_000_000
DAY_MS = 86_400_000


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Name a file that is not there yet, in a folder that is not there yet."""
    return tmp_path / "data" / "keyring.json"


def test_a_ring_is_made_when_there_is_none_and_found_again(path: Path) -> None:
    """One active key for each use; only its owner may read it; nothing else is left in the folder."""
    ring = KeyRing.open(path, NOW_MS)

    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert sorted(key.use for key in ring.keys) == sorted(USES)
    assert KeyRing.open(path, NOW_MS + DAY_MS).keys == ring.keys
    assert [file.name for file in path.parent.iterdir()] == ["keyring.json"]


OPEN = """
import sys; from pathlib import Path; from admission.keyring import KeyRing
print(flush=True); input()
print(" ".join(key.kid for key in KeyRing.open(Path(sys.argv[1]), 0).keys))
"""
ROTATE = """
import sys; from pathlib import Path; from admission.keyring import KeyRing
ring = KeyRing.open(Path(sys.argv[1]), 0)
print(flush=True); input()
for step in range(5): ring.rotate("ticket", step)
"""


def at_once(program: str, path: Path, count: int) -> list[str]:
    """Run a program in several processes that all wait for the same moment; return what they say."""
    crowd = [
        subprocess.Popen(
            [sys.executable, "-c", program, str(path)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(count)
    ]
    for process in crowd:
        assert process.stdout is not None
        process.stdout.readline()
    for process in crowd:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    said = [process.communicate(timeout=60)[0] for process in crowd]
    assert [process.returncode for process in crowd] == [0] * count
    return said


def test_of_many_processes_that_start_at_once_one_makes_the_ring(path: Path) -> None:
    """All of them use the same keys."""
    said = at_once(OPEN, path, 6)

    assert len(set(said)) == 1
    assert [file.name for file in path.parent.iterdir()] == ["keyring.json"]


def test_rotations_at_the_same_time_lose_no_key(path: Path) -> None:
    """Each change is made to what the one before left."""
    KeyRing.open(path, NOW_MS)

    at_once(ROTATE, path, 4)

    assert len(KeyRing.open(path, NOW_MS).secrets("ticket")) == 1 + 4 * 5


def test_a_rotation_is_in_force_in_another_worker_with_its_next_tick(path: Path) -> None:
    """The new key signs there; what the old one signed still counts."""
    here, there = KeyRing.open(path, NOW_MS), KeyRing.open(path, NOW_MS)
    signer, before = there.signer("ticket"), there.generation
    paper = signer.sign(b"paper")

    made = here.rotate("ticket", NOW_MS)

    assert there.refresh()
    assert not there.refresh()
    assert there.generation == before + 1
    assert there.active("ticket") == made
    assert signer.sign(b"paper").startswith(made.kid + ".")
    assert signer.open(paper) == b"paper"


def test_pruning_drops_what_retired_long_ago(path: Path) -> None:
    """Never an active key, and not one that retired just now."""
    ring = KeyRing.open(path, NOW_MS)
    old = ring.active("ticket")
    paper = ring.signer("ticket").sign(b"paper")
    ring.rotate("ticket", NOW_MS)

    assert ring.prune(NOW_MS) == []
    assert ring.prune(NOW_MS + 1) == [old.kid]
    assert len(ring.keys) == len(USES)
    with pytest.raises(BadSignature, match="unknown-key"):
        ring.signer("ticket").open(paper)


def test_a_sessions_id_outlives_every_rotation(path: Path) -> None:
    """The secret behind it is not rotated; an unknown use neither."""
    ring = KeyRing.open(path, NOW_MS)

    for use in ("sid", "tickets"):
        with pytest.raises(Misconfigured, match="not rotated"):
            ring.rotate(use, NOW_MS)


def test_the_public_half_is_published_and_nothing_else() -> None:
    """kid, alg, use, purpose and the point; tokens check out with it."""
    ring = KeyRing.fresh(NOW_MS)
    ring.rotate("admission", NOW_MS)
    jwks = ring.jwks()

    assert [key["purpose"] for key in jwks["keys"]] == ["admission", "admission", "status", "receipt"]
    assert jwks["keys"][0]["kid"] == ring.active("admission").kid
    for key in jwks["keys"]:
        assert set(key) == {"kty", "crv", "x", "y", "kid", "alg", "use", "purpose"}
    secrets = {key.secret for key in ring.keys}
    assert not any(secret in json.dumps(jwks) for secret in secrets)


def test_documents_and_receipts_are_signed_with_keys_of_their_own() -> None:
    """A status document's signature repeats byte for byte; a receipt is no admission."""
    ring = KeyRing.fresh(NOW_MS)
    documents = ring.documents()
    kid, signature = documents.sign(b"text")

    assert (kid, signature) == documents.sign(b"text")
    assert kid == documents.kid == ring.active("status").kid
    assert documents.verify(kid, b"text", signature)
    assert not documents.verify(kid, b"other", signature)
    assert not documents.verify(ring.active("receipt").kid, b"text", signature)
    receipt = ring.receipt({"room": "main", "number": 5})
    assert tokens.read(receipt, ring.public("receipt")) is tokens.Reason.WRONG_TYPE
    signed, _, tail = receipt.rpartition(".")
    assert es256.verify_raw(ring.active("receipt").public, signed.encode(), from_b64url(tail))


def test_a_secret_never_shows() -> None:
    """Neither in a key's own words nor in a fault."""
    key = new_key("ticket", NOW_MS)

    assert key.secret not in repr(key)
    assert key.secret not in str([key])


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        (lambda rows: rows[:-1], "no active key for sid"),
        (lambda rows: [*rows, {**rows[0], "kid": "x"}], "2 active keys for admission"),
        (lambda rows: [*rows, {**rows[0], "state": RETIRING}], "same id"),
        (lambda rows: [{**rows[0], "use": "adm"}, *rows[1:]], "unknown use or state"),
        (lambda rows: [{**rows[0], "state": "sleeping"}, *rows[1:]], "unknown use or state"),
        (
            lambda rows: [{**rows[0], "secret": "AAAA"}, *rows[1:-1], {**rows[-1], "secret": "AAAA"}],
            "is damaged",
        ),
        (lambda rows: [{"kid": rows[0]["kid"]}], "cannot be read"),
    ],
)
def test_a_damaged_ring_stops_the_start_with_every_fault(path: Path, change: object, fault: str) -> None:
    """And without telling a secret."""
    document = json.loads(write_text([new_key(use, NOW_MS) for use in USES]))
    document["keys"] = change(document["keys"])  # type: ignore[operator]
    path.parent.mkdir()
    path.write_text(json.dumps(document))

    with pytest.raises(Misconfigured, match=fault) as raised:
        KeyRing.open(path, NOW_MS)

    for row in document["keys"]:
        assert row.get("secret", "-") == "AAAA" or row.get("secret", "-----") not in str(raised.value)


@pytest.mark.parametrize("text", ["", "[]", "{", '{"keys": 5}', '{"keys": [5]}', "\x00"])
def test_what_is_no_ring_at_all_is_refused(text: str) -> None:
    """One sentence."""
    with pytest.raises(Misconfigured, match="cannot be read"):
        parse(text)


def test_a_file_damaged_later_leaves_the_keys_in_use(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """The worker goes on, and says so; a mended file is taken over."""
    ring = KeyRing.open(path, NOW_MS)
    text, keys = path.read_text(), ring.keys

    path.write_text("{")
    assert not ring.refresh()
    assert ring.keys == keys
    assert "cannot be read" in caplog.text
    path.write_text(text)
    ring.refresh()
    assert ring.keys == keys


def test_a_folder_that_cannot_be_written_is_one_sentence(tmp_path: Path) -> None:
    """The path is a file's child."""
    (tmp_path / "file").write_text("")

    with pytest.raises(Misconfigured, match="cannot be used"):
        KeyRing.open(tmp_path / "file" / "keyring.json", NOW_MS)


def test_keys_may_come_as_text_from_the_platform(path: Path) -> None:
    """A secret store hands them in; such a ring never changes by itself."""
    ring = KeyRing.open(path, NOW_MS)

    given = KeyRing.from_text(path.read_text())

    assert given.keys == ring.keys
    assert not given.refresh()
    assert set(given.public("status")) == {given.active("status").kid}
    assert set(PUBLIC_USES) < set(USES)


def test_a_rotation_that_cannot_be_written_changes_nothing(path: Path) -> None:
    """The file is gone, say; the keys in memory stay."""
    ring = KeyRing.open(path, NOW_MS)
    keys = ring.keys
    path.unlink()

    with pytest.raises(Misconfigured, match="cannot be changed"):
        ring.rotate("ticket", NOW_MS)

    assert ring.keys == keys
