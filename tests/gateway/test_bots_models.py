"""``waitroom bots keys``, ``sign``, ``check`` and ``train --sign-with``: a model of one's own, at the command line."""

import json
import stat
from hashlib import sha256
from pathlib import Path
from types import SimpleNamespace

import pytest

from botguard.model import DEFAULT_SHA256
from botguard.model_key import ModelKey, make, public_keys
from botguard.signed_model import MOST_BYTES, read, sign
from botguard.training import making
from gateway.cli import main
from tests.botguard.models import KEY, OTHER, own

Told = tuple[int, list[str], str]


@pytest.fixture(autouse=True)
def nothing_is_set(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have no settings from outside."""
    for name in ("WAITROOM_BOT_MODEL", "WAITROOM_BOT_MODEL_KEYS"):
        monkeypatch.delenv(name, raising=False)


def told(capsys: pytest.CaptureFixture[str], *words: object) -> Told:
    """Run the command; returns its status, its lines, and what it says of faults."""
    status = main(["bots", *map(str, words)])
    seen = capsys.readouterr()
    return status, seen.out.splitlines(), seen.err


def test_from_a_key_to_a_model_that_a_gate_takes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The way of docs/bots.md: a key, a signature, a check by what is public of the key; no line has the secret."""
    key_file, plain = tmp_path / "key.json", tmp_path / "rhythm.json"
    plain.write_bytes(own())
    made = told(capsys, "keys", key_file)
    again = told(capsys, "keys", key_file)
    signed = told(capsys, "sign", plain, "--with", key_file)
    name, _, public = made[1][1].partition("=")
    monkeypatch.setenv(name, public)
    monkeypatch.setenv("WAITROOM_BOT_MODEL", str(tmp_path / "rhythm.signed"))
    checked = told(capsys, "check")
    secret = json.loads(key_file.read_text())["secret"]

    assert (made[0], signed[0], checked[0]) == (0, 0, 0)
    assert made == again
    assert stat.S_IMODE(key_file.stat().st_mode) == 0o600
    octets = (tmp_path / "rhythm.signed").read_bytes()
    assert read(octets, public_keys([public])).shift == 9.0
    digest = sha256(octets).hexdigest()
    assert signed[1] == [
        f"{tmp_path / 'rhythm.signed'}: signed by the key {ModelKey(secret).id}; sha256 {digest}"
    ]
    assert checked[1][0] == signed[1][0]
    assert any(line.startswith("data DELBOT circles (MIT): sha256 ") for line in checked[1])
    assert secret not in repr((made, signed, checked))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["key.json", "rhythm.json", "rhythm.signed"]


def test_check_says_what_a_gate_would_say(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """No for a model by another key or by nobody, with the sentence; nothing set is the package's own."""
    signed, plain = tmp_path / "signed", tmp_path / "plain"
    signed.write_bytes(sign(own(), KEY))
    plain.write_bytes(own())

    assert told(capsys, "check", signed, "--key", KEY.public)[0] == 0
    other = told(capsys, "check", signed, "--key", OTHER.public)
    assert (other[0], other[1]) == (1, [
        f"{signed}: The model is signed by the key {KEY.id}, which is not among those that are set: {OTHER.id}."
    ])  # fmt: skip
    unsigned = told(capsys, "check", plain, "--key", KEY.public)
    assert unsigned[0] == 1
    assert "is not signed" in unsigned[1][0]
    assert told(capsys, "check") == (
        0, [f"no model is set: the one that comes with the package counts, sha256 {DEFAULT_SHA256}"], "",
    )  # fmt: skip


def test_what_cannot_be_signed_or_read_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit status 2 and one sentence each, and nothing is written."""
    key, plain, later = tmp_path / "key", tmp_path / "plain.json", tmp_path / "later.json"
    make(key)
    plain.write_bytes(own())
    later.write_bytes(own(features=2))
    bad: list[tuple[list[object], str]] = [
        (["sign", plain, "--with", tmp_path / "none"], "cannot be read"),
        (["sign", plain, "--with", plain], "chmod 600"),
        (["sign", tmp_path / "none", "--with", key], "cannot be read"),
        (["sign", later, "--with", key], "looks at other features"),
        (["sign", plain, "--with", key, "--to", plain / "below"], "cannot be written"),
        (["check", tmp_path / "none", "--key", KEY.public], "cannot be read"),
        (["check", plain, "--key", "x"], "is no public key"),
        (["keys", plain / "below"], "cannot be made"),
        (["train", "--sign-with", tmp_path / "none", "--delbot", "nowhere.tgz"], "cannot be read"),
    ]
    for words, says in bad:
        status, lines, fault = told(capsys, *words)
        assert (status, lines) == (2, [])
        assert says in fault
    assert sorted(path.name for path in tmp_path.iterdir()) == ["key", "later.json", "plain.json"]


def test_a_check_has_the_gates_bound_on_size(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What a gate would not read to its end is none."""
    large = tmp_path / "large"
    large.write_bytes(b"\n" * (MOST_BYTES + 1))

    assert told(capsys, "check", large, "--key", KEY.public)[0] == 1


@pytest.mark.parametrize("is_signed", [False, True])
def test_a_model_is_signed_when_it_was_trained(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, is_signed: bool
) -> None:
    """With a key the file is the signed one, else the plain one, as ever."""
    raw, judged = own(), SimpleNamespace(figures=SimpleNamespace(table={}))
    monkeypatch.setattr(making, "evaluate", lambda *_: judged)
    monkeypatch.setattr(making, "save_report", lambda *_: None)
    monkeypatch.setattr(making, "train", lambda *_: raw)
    key = make(tmp_path / "key")
    path = tmp_path / "report" / "rhythm.json"

    status, lines, _ = told(
        capsys, "train", "--model", path, *(["--sign-with", tmp_path / "key"] if is_signed else [])
    )

    assert status == 0
    if is_signed:
        assert read(path.read_bytes(), public_keys([key.public])).shift == 9.0
        assert f"signed by the key {key.id}" in lines[-1]
    else:
        assert path.read_bytes() == raw
        assert lines[-1] == f"{path}: sha256 {sha256(raw).hexdigest()}"
