"""Keys that sign tickets: rotation, dropping, and a file that several processes share."""

import json
from pathlib import Path

import pytest

from checkout.tickets.code import Fault, verify
from checkout.tickets.keys import SETTLE_MS, TicketKeys, new_key, parse, write_text
from checkout.tickets.ticket import Ticket, ticket_id
from kernel.errors import Misconfigured

NOW_MS = 1_800_000_000_000


def ticket(created_ms: int = NOW_MS) -> Ticket:
    """Make a ticket of a time."""
    return Ticket(ticket_id("O1", 3, 1), "evening", "O1", "R1", 3, 1, created_ms)


def test_two_processes_have_the_same_keys(tmp_path: Path) -> None:
    """The file is made once, readable by its owner only; the code is the same whoever writes it."""
    path = tmp_path / "ticket-keys.json"
    first, second = (TicketKeys.open(path, NOW_MS) for _ in range(2))

    assert first.code(ticket()) == second.code(ticket())
    assert path.stat().st_mode & 0o777 == 0o600


def test_after_a_rotation_old_and_new_tickets_are_read(tmp_path: Path) -> None:
    """T3: what was signed before stays as it is; a new key counts a minute later, when everybody has read it."""
    path = tmp_path / "ticket-keys.json"
    keys, other = (TicketKeys.open(path, NOW_MS) for _ in range(2))
    before = keys.code(ticket())
    made = keys.rotate(NOW_MS)
    other.refresh()
    soon, later = ticket(NOW_MS + SETTLE_MS - 1), ticket(NOW_MS + SETTLE_MS)

    assert keys.code(ticket()) == other.code(ticket()) == before
    assert keys.signing(soon.created_ms).id != made.id
    assert keys.signing(later.created_ms).id == other.signing(later.created_ms).id == made.id
    for code in (before, other.code(later)):
        assert not isinstance(verify(code, "evening", keys.public), Fault)
    assert {row["id"] for row in keys.public_keys()} == set(keys.public)


def test_a_dropped_key_is_not_trusted_and_its_tickets_have_other_codes(tmp_path: Path) -> None:
    """Somebody has the key: scanners refuse its codes, and who shows the ticket again gets one that counts."""
    keys = TicketKeys.open(tmp_path / "ticket-keys.json", NOW_MS)
    leaked, old = keys.signing(NOW_MS).id, keys.code(ticket())
    keys.rotate(NOW_MS)
    trusted_before = verify(old, "evening", keys.public)

    assert keys.drop(leaked)
    assert not isinstance(trusted_before, Fault)
    assert verify(old, "evening", keys.public) is Fault.UNKNOWN_KEY
    assert not isinstance(verify(keys.code(ticket()), "evening", keys.public), Fault)
    assert not keys.drop(leaked)
    assert not keys.drop("00000000")


def test_the_last_key_cannot_be_dropped(tmp_path: Path) -> None:
    """Without a key nobody could be let in."""
    path = tmp_path / "ticket-keys.json"
    keys = TicketKeys.open(path, NOW_MS)
    text = path.read_text()

    with pytest.raises(Misconfigured):
        keys.drop(keys.signing(NOW_MS).id)
    assert path.read_text() == text


def test_a_damaged_file_leaves_the_keys_in_memory(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """And says so, without telling what stood in it."""
    path = tmp_path / "ticket-keys.json"
    keys = TicketKeys.open(path, NOW_MS)
    before = keys.code(ticket())
    secret = json.loads(path.read_text())["keys"][0]["secret"]
    path.write_text("{" + secret)
    keys.refresh()

    assert keys.code(ticket()) == before
    assert "cannot be read" in caplog.text
    assert secret not in caplog.text + repr(keys.keys)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        '{"keys": []}',
        '{"keys": [{"secret": "AA", "from_ms": 0, "dropped": false}]}',
        '{"keys": [{"secret": 7, "from_ms": "x", "dropped": false}]}',
        write_text([new_key(0)] * 2),
    ],
    ids=["empty", "list", "none", "no-key", "short", "wrong", "twice"],
)
def test_what_is_no_file_of_keys_is_refused_at_the_start(text: str, tmp_path: Path) -> None:
    """A shop does not start without keys that it can sign with."""
    path = tmp_path / "ticket-keys.json"
    path.write_text(text)

    with pytest.raises(Misconfigured):
        TicketKeys.open(path, NOW_MS)


def test_the_oldest_key_signs_what_is_older_than_all() -> None:
    """Tickets of a time before the first key that is left."""
    keys = TicketKeys(parse(write_text([new_key(1_000), new_key(2_000)])))

    assert keys.signing(0).from_ms == keys.signing(1_999).from_ms == 1_000
    assert keys.signing(2_000).from_ms == 2_000
