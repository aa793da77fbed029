"""The key of models: made once, for its owner only, and told by its public half."""

import json
import stat
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from botguard import model_key
from botguard.model_key import ModelKey, key_id, make, public_keys, read
from kernel.errors import Misconfigured
from kernel.signing import b64url, from_b64url


def test_a_key_is_made_once_and_only_its_owner_may_read_it(tmp_path: Path) -> None:
    """Whoever asks again gets the same one; another file is another key."""
    path = tmp_path / "keys" / "model.json"
    key = make(path)

    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert make(path) == read(path) == key
    assert make(tmp_path / "other.json") != key
    assert list(path.parent.iterdir()) == [path]


def test_the_public_half_is_what_it_is_elsewhere() -> None:
    """RFC 8032, section 7.1, the first test: seed, public key and signature of nothing."""
    seed = bytes.fromhex("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60")
    key = ModelKey(b64url(seed))

    assert from_b64url(key.public).hex() == "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"
    assert (
        key.private.sign(b"")
        .hex()
        .startswith("e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555")
    )
    assert list(public_keys([key.public])) == [key.id] == [key_id(from_b64url(key.public))]
    assert len(key.id) == 16


def test_no_secret_is_shown(tmp_path: Path) -> None:
    """Neither by the key nor by a fault of its file."""
    path = tmp_path / "key"
    key = make(path)
    told = json.loads(path.read_text())
    path.write_text(json.dumps({**told, "public": "x"}))

    assert key.secret not in repr(key)
    with pytest.raises(Misconfigured) as caught:
        read(path)
    assert key.secret not in str(caught.value)


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o602, 0o660, 0o644, 0o666, 0o610])
def test_a_file_that_others_may_use_is_refused(tmp_path: Path, mode: int) -> None:
    """Read or write, the group or everybody; the sentence says what to do."""
    path = tmp_path / "key"
    make(path)
    path.chmod(mode)

    with pytest.raises(Misconfigured, match="chmod 600"):
        read(path)
    with pytest.raises(Misconfigured, match="chmod 600"):
        make(path)


def test_a_file_of_which_nobody_asks_who_may_read_it_would_be_noticed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The mutant: the mode is not looked at."""
    path = tmp_path / "key"
    key = make(path)
    path.chmod(0o644)
    monkeypatch.setattr(model_key, "OTHERS", 0)

    assert read(path) == key


@pytest.mark.parametrize(
    "text",
    [
        "", "{}", "[]", "7", "null", '{"secret": 7}', '{"secret": "short", "public": ""}', "[" * 4000,
        json.dumps({"secret": b64url(b"s" * 32)}),
        json.dumps({"secret": b64url(b"s" * 32), "public": b64url(b"s" * 32)}),
        json.dumps({"secret": b64url(b"s" * 31), "public": ""}),
    ],
)  # fmt: skip
def test_a_damaged_file_is_told(tmp_path: Path, text: str) -> None:
    """One sentence with its name."""
    path = tmp_path / "key"
    path.write_text(text)
    path.chmod(0o600)

    with pytest.raises(Misconfigured, match=f"{path} is damaged"):
        read(path)


def test_a_file_that_cannot_be_used_is_told(tmp_path: Path) -> None:
    """It is not there, it is a folder, or it cannot be made."""
    with pytest.raises(Misconfigured, match="cannot be read: No such file"):
        read(tmp_path / "none")
    with pytest.raises(Misconfigured, match="cannot be read"):
        read(tmp_path)
    (tmp_path / "file").write_text("")
    with pytest.raises(Misconfigured, match="cannot be made"):
        make(tmp_path / "file" / "key")


BAD_KEYS = [
    "",
    "x",
    "ü",
    b64url(b"k" * 31),
    b64url(b"k" * 33),
    b64url(b"k" * 32) + "=",
    " " + b64url(b"k" * 32),
]


def test_what_is_no_public_key_is_told_one_by_one() -> None:
    """All of them at once; a good one among them changes nothing."""
    good = b64url(Ed25519PrivateKey.generate().public_key().public_bytes_raw())
    with pytest.raises(Misconfigured) as caught:
        public_keys([good, *BAD_KEYS])

    assert len(caught.value.faults) == len(BAD_KEYS)
    assert all("is no public key of models" in fault for fault in caught.value.faults)
    assert public_keys([]) == {}
