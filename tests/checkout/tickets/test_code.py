"""Codes of tickets: what stands in them, and that nobody else can make one."""

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from checkout.tickets import base45
from checkout.tickets.code import HEAD, LENGTH, Fault, key_id, read, verify, write
from checkout.tickets.ticket import is_ticket_id, number_of, prefix_range, read_number, ticket_id

KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
NAME = key_id(KEY.public_key().public_bytes_raw())
KEYS = {NAME.hex(): KEY.public_key()}
TICKET = ticket_id("O1", 7, 1)


def code(event: str = "evening", ticket: str = TICKET, seat: int = 7) -> str:
    """Write a code."""
    return write(NAME, event, ticket, seat, KEY.sign)


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        (b"AB", "BB8"),
        (b"Hello!!", "%69 VD92EX0"),
        (b"base-45", "UJCLQE7W581"),
        (b"ietf!", "QED8WEX0"),
        (b"", ""),
    ],
)
def test_base45_is_that_of_the_rfc(raw: bytes, text: str) -> None:
    """The examples of RFC 9285, sections 4.3 and 4.4."""
    assert base45.encode(raw) == text
    assert base45.decode(text) == raw


@pytest.mark.parametrize("text", ["A", "GGW", "ZZZ", ":::", "a", "BB8A", "Ä", "::"])
def test_what_is_not_base45_is_refused(text: str) -> None:
    """A lone character, a number that is too large, a letter that is none."""
    with pytest.raises(ValueError, match="not base45"):
        base45.decode(text)


def test_a_code_says_what_was_written_and_always_the_same() -> None:
    """Ed25519 signs without chance, so a code can be made anew from its ticket."""
    found = verify(code(), "evening", KEYS)

    assert not isinstance(found, Fault)
    assert (found.ticket, found.seat, found.key) == (TICKET, 7, NAME.hex())
    assert code() == code()
    assert len(code()) == LENGTH == 150
    # A QR code of version 6 with error correction M takes 154 of these characters.
    assert LENGTH <= 154


def test_no_octet_can_be_changed() -> None:
    """Each of the 97 octets, each in one bit: what comes out is refused, and never another ticket."""
    raw = base45.decode(code().removeprefix(HEAD))

    for at in range(len(raw)):
        spoilt = bytearray(raw)
        spoilt[at] ^= 1 << (at % 8)
        assert isinstance(verify(HEAD + base45.encode(bytes(spoilt)), "evening", KEYS), Fault), at


def test_without_the_signature_a_changed_seat_would_pass() -> None:
    """The mutant: who only reads a code lets in whoever has changed it."""
    raw = bytearray(base45.decode(code().removeprefix(HEAD)))
    raw[32] ^= 1
    spoilt = HEAD + base45.encode(bytes(raw))
    found = read(spoilt)

    assert not isinstance(found, Fault)
    assert found[0].seat == 6
    assert verify(spoilt, "evening", KEYS) is Fault.FORGED


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("", Fault.UNREADABLE),
        ("https://evil.example/", Fault.UNREADABLE),
        (HEAD, Fault.UNREADABLE),
        (code()[:-1], Fault.UNREADABLE),
        (code() + "0", Fault.UNREADABLE),
        (code().lower(), Fault.UNREADABLE),
        (HEAD + ":" * 146, Fault.UNREADABLE),
        (HEAD + base45.encode(b"\2" + base45.decode(code()[4:])[1:]), Fault.UNREADABLE),
        (code("another evening"), Fault.OTHER_EVENT),
    ],
)
def test_what_is_no_code_of_this_event_has_a_reason(text: str, fault: Fault) -> None:
    """Nothing raises, whatever stands in a QR code."""
    assert verify(text, "evening", KEYS) is fault


def test_a_key_that_is_not_trusted_is_no_key() -> None:
    """Another key's code is refused, also under our key's name."""
    other = Ed25519PrivateKey.from_private_bytes(bytes(32))
    other_name = key_id(other.public_key().public_bytes_raw())

    assert verify(write(other_name, "evening", TICKET, 7, other.sign), "evening", KEYS) is Fault.UNKNOWN_KEY
    assert verify(write(NAME, "evening", TICKET, 7, other.sign), "evening", KEYS) is Fault.FORGED


def test_a_million_tickets_have_a_million_ids() -> None:
    """Seed 115: 250,000 orders of four seats; the code has the whole id in it, so no two codes are the same."""
    ids = {ticket_id(f"O{order:016x}", seat, 1) for order in range(250_000) for seat in range(4)}

    assert len(ids) == 1_000_000


def test_a_number_is_what_people_read_to_each_other() -> None:
    """Ten characters that nobody mistakes; typed carelessly they are the same."""
    number = number_of(TICKET)
    low, high = prefix_range(number)

    assert len(number) == 11
    assert low <= TICKET < high
    assert read_number(f" {number.lower().replace('-', ' ')} ") == number
    assert read_number("oil01-01234") == "01101-01234"
    assert [read_number(text) for text in ("", "ABC", "UUUUU-UUUUU", "12345-6789", "12345-678901")] == [
        None
    ] * 5


@pytest.mark.parametrize("ticket", ["0" * 32, "f" * 32])
def test_the_first_and_the_last_number_have_their_range(ticket: str) -> None:
    """Where the range ends at the end of all ids."""
    low, high = prefix_range(number_of(ticket))

    assert low <= ticket < high


@pytest.mark.parametrize("text", ["", "0" * 31, "0" * 33, "G" * 32, "F" * 32])
def test_what_is_no_id_is_told(text: str) -> None:
    """Ids are written in small letters."""
    assert not is_ticket_id(text)
    assert is_ticket_id(TICKET)
