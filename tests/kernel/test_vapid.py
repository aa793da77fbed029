"""VAPID keys: one file for all processes; a new key for new subscriptions, the old ones for those that they have."""

import json
import stat
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from kernel.errors import Misconfigured
from kernel.vapid import VapidKeys, new_key, parse, written
from tests.kernel.push_service import from_b64

NOW_MS = 1_800_000_000_000


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Name a file that is not there yet."""
    return tmp_path / "push-keys.json"


def test_the_file_is_made_once_and_only_its_owner_reads_it(path: Path) -> None:
    """A second process takes the first one's key."""
    first, second = VapidKeys.open_keys(path, NOW_MS), VapidKeys.open_keys(path, NOW_MS + 1)

    assert first.newest == second.newest
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert first.newest.secret not in repr(first.newest)


def test_a_key_is_named_by_what_a_browser_subscribes_under(path: Path) -> None:
    """The name is a point of P-256 as base64url, without padding."""
    name = VapidKeys.open_keys(path, NOW_MS).newest.public

    octets = from_b64(name)

    assert len(octets) == 65
    assert "=" not in name
    ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), octets)


def test_after_a_rotation_the_old_key_still_signs_and_another_process_follows(path: Path) -> None:
    """New subscriptions are made under the new key, everywhere at once; `drop` ends the old one's."""
    one, other = VapidKeys.open_keys(path, NOW_MS), VapidKeys.open_keys(path, NOW_MS)
    old = one.newest.public

    made = one.rotate(NOW_MS).public

    assert other.newest.public == made != old
    assert other.of(old) is not None
    assert other.drop(old)
    assert one.of(old) is None
    assert not one.drop(old)


def test_the_last_key_is_not_dropped(path: Path) -> None:
    """Without a key nobody can subscribe."""
    keys = VapidKeys.open_keys(path, NOW_MS)

    with pytest.raises(Misconfigured):
        keys.drop(keys.newest.public)

    assert len(keys.keys) == 1


def _rows() -> list[dict[str, object]]:
    return list(json.loads(written([new_key(1)]))["keys"])


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{}",
        '{"keys": []}',
        '{"keys": [{"secret": "AA", "from_ms": 1}]}',
        '{"keys": [{"secret": "%s", "from_ms": 1}]}' % ("A" * 43),
        '{"keys": [{"secret": "=", "from_ms": 1}]}',
        '{"keys": [{"from_ms": 1}]}',
        '{"keys": [7]}',
        json.dumps({"keys": 2 * _rows()}),
        json.dumps({"keys": [{**_rows()[0], "from_ms": "soon"}]}),
    ],
)
def test_a_damaged_file_is_told_without_its_secrets(text: str) -> None:
    """Nothing that stands in the file is repeated."""
    with pytest.raises(Misconfigured) as told:
        parse(text)

    assert "secret" not in str(told.value)


def test_a_file_that_is_damaged_later_leaves_the_keys_in_use(path: Path) -> None:
    """Whoever has subscribed is still reached."""
    keys = VapidKeys.open_keys(path, NOW_MS)
    name = keys.newest.public

    path.write_text("{")

    assert keys.newest.public == name


def test_a_file_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    """A folder is no file."""
    with pytest.raises(Misconfigured, match=tmp_path.name):
        VapidKeys.open_keys(tmp_path, NOW_MS)
