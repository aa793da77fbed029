"""Admitting: what a scan comes to, by rule and at its edges; and codes, against vectors of a second implementation."""

import json
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from hypothesis import given
from hypothesis import strategies as st

from checkout.tickets import base45
from checkout.tickets.admitting import (
    AGAIN_MS,
    OF_FAULT,
    SCAN_ID,
    UNDECIDED,
    Admission,
    Outcome,
    Scan,
    decide,
    is_conflict,
    shown_ms,
)
from checkout.tickets.code import Facts, Fault, verify
from checkout.tickets.keys import TicketKeys, parse
from checkout.tickets.scan_list import NOBODY, ROW_BYTES, Listed, pack
from checkout.tickets.scanning import read_token, written
from checkout.tickets.ticket import Ticket, TicketState, Why, number_of, ticket_id
from kernel.signing import from_b64url

ROOT = Path(__file__).resolve().parents[3]
VECTORS: dict[str, Any] = json.loads((ROOT / "tests/vectors/tickets.json").read_text("utf-8"))
DEVICE = "0123456789abcdef"
AT_MS = 1_000_000
ADMISSION = Admission("s1", "Gate A", f"{DEVICE}-1", AT_MS, AT_MS + 5)


def scan(at_ms: int = AT_MS, told: str = UNDECIDED, device: str = DEVICE) -> Scan:
    """Make a scan."""
    return Scan(f"{device}-2", at_ms, told, code="x")


def ticket(state: TicketState = TicketState.VALID, why: Why = Why.NONE) -> Ticket:
    """Make a ticket."""
    return Ticket(ticket_id("O1", 0, 1), "summer", "O1", "R1", 0, 1, 0, state=state, why=why, used_ms=AT_MS)


# --------------------------------------------------------------------------------------- codes


def trusted() -> dict[str, Ed25519PublicKey]:
    """Give the keys that are not dropped."""
    return {
        row["id"]: Ed25519PublicKey.from_public_bytes(from_b64url(row["key"]))
        for row in VECTORS["keys"]
        if not row["dropped"]
    }


@pytest.mark.parametrize("row", VECTORS["good"], ids=lambda row: row["number"])
def test_codes_of_the_second_implementation_are_ours(row: dict[str, Any]) -> None:
    """The same id, number and code, to the last character; it says what it was made of."""
    keys = TicketKeys(
        parse(json.dumps({"keys": [{**key, "from_ms": at} for at, key in enumerate(VECTORS["keys"])]}))
    )
    key = next(one for one in keys.keys if one.id == row["key"])
    own = ticket_id(row["order"], row["seat"], row["issue"])
    made = Ticket(own, row["event"], row["order"], "R", row["seat"], row["issue"], key.from_ms)

    assert (own, number_of(own), keys.code(made)) == (row["ticket"], row["number"], row["code"])
    assert verify(row["code"], row["event"], trusted()) == Facts(row["key"], VECTORS["tag"], own, row["seat"])


@pytest.mark.parametrize("row", VECTORS["bad"], ids=lambda row: row["what"])
def test_what_is_not_signed_for_this_is_refused(row: dict[str, Any]) -> None:
    """Forged, altered, of another event, of a dropped key, or not readable: each for its own reason."""
    assert verify(row["code"], VECTORS["event"], trusted()) == row["fault"]
    assert OF_FAULT[Fault(row["fault"])] is not Outcome.ADMITTED


def test_base45_is_that_of_its_rfc() -> None:
    """RFC 9285's own examples."""
    for row in VECTORS["base45"]:
        assert base45.encode(bytes.fromhex(row["raw"])) == row["text"]
        assert base45.decode(row["text"]).hex() == row["raw"]


def test_the_browser_reads_the_same_vectors() -> None:
    """`node --test` over the scanner's own module."""
    node = shutil.which("node")
    assert node is not None, "node is missing: make setup"
    files = sorted(str(file) for file in (Path(__file__).parent / "js").glob("*.test.mjs"))

    ran = subprocess.run([node, "--test", *files], capture_output=True, text=True, timeout=60, check=False)

    assert ran.returncode == 0, ran.stdout + ran.stderr


# --------------------------------------------------------------------------------------- rules


@pytest.mark.parametrize(
    ("found", "is_blocked", "outcome"),
    [
        (None, False, Outcome.UNKNOWN),
        (ticket(), False, Outcome.ADMITTED),
        (ticket(), True, Outcome.BLOCKED),
        (ticket(TicketState.REVOKED, Why.RETURNED), False, Outcome.REVOKED),
        (ticket(TicketState.REVOKED, Why.TRANSFERRED), True, Outcome.REVOKED),
        (ticket(TicketState.USED), False, Outcome.USED),
        (ticket(TicketState.USED), True, Outcome.USED),
    ],
)
def test_a_ticket_is_worth_what_it_is(found: Ticket | None, is_blocked: bool, outcome: Outcome) -> None:
    """Each state, blocked and not."""
    assert decide(found, None, "s2", scan(), is_blocked=is_blocked) is outcome


@pytest.mark.parametrize(
    ("own", "scanner", "outcome"),
    [
        (scan(AT_MS), "s1", Outcome.AGAIN),
        (scan(AT_MS + AGAIN_MS - 1), "s1", Outcome.AGAIN),
        (scan(AT_MS + AGAIN_MS), "s1", Outcome.USED),
        (scan(AT_MS - AGAIN_MS + 1), "s1", Outcome.AGAIN),
        (scan(AT_MS - AGAIN_MS), "s1", Outcome.USED),
        (scan(AT_MS), "s2", Outcome.USED),
        (scan(AT_MS, device="fedcba9876543210"), "s1", Outcome.USED),
    ],
)
def test_only_the_same_device_sees_the_same_person_for_a_moment(
    own: Scan, scanner: str, outcome: Outcome
) -> None:
    """Another gate, or a second phone with the same link, sees somebody with a copy; so does the same one later."""
    found = ticket(TicketState.USED)

    assert decide(found, ADMISSION, scanner, own, is_blocked=False) is outcome


@given(st.sampled_from([UNDECIDED, *Outcome]))
def test_who_was_sent_away_was_not_let_in(told: str) -> None:
    """A scan whose gate has said anything but "come in" never uses a ticket up."""
    outcome = decide(ticket(), None, "s1", scan(told=told), is_blocked=False)

    assert (outcome is Outcome.ADMITTED) == (told in {UNDECIDED, Outcome.ADMITTED})


@given(st.sampled_from([UNDECIDED, *Outcome]), st.sampled_from(Outcome))
def test_a_conflict_is_whoever_was_let_in_and_should_not_have_been(told: str, outcome: Outcome) -> None:
    """Even "again": two people may have come, and a gate that was offline says that it let both in."""
    assert is_conflict(told, outcome) == (told == "admitted" and outcome != "admitted")


def test_a_clock_that_says_what_cannot_be_is_not_shown() -> None:
    """From the future, or from before there were clocks: then it is when we heard of it."""
    assert [shown_ms(at_ms, 100) for at_ms in (0, 1, 99, 100, 101)] == [100, 1, 99, 100, 100]


@pytest.mark.parametrize(
    "id_", ["", "0123456789abcdef", "0123456789ABCDEF-1", "0123456789abcdef-", "0123456789abcdef-1\n", "x-1"]
)
def test_a_scan_s_name_has_one_form(id_: str) -> None:
    """The device, a hyphen, a number."""
    assert SCAN_ID.fullmatch(id_) is None
    assert SCAN_ID.fullmatch(f"{DEVICE}-1")


# ------------------------------------------------------------------------------ list and token


def test_rows_are_written_as_the_browser_reads_them() -> None:
    """The bytes that ``ticket.test.mjs`` reads: id, version, seat, worth, when, gate."""
    own = "0102030405060708" + "00" * 8
    listed = Listed(own, 2, 65_543, TicketState.USED, Why.NONE, 60_000, "03" + "ab" * 7)

    assert pack([listed]) == "AQIDBAUGBwgAAgEABwEAAAA8Aw=="
    assert pack([replace(listed, gate="")]) == "AQIDBAUGBwgAAgEABwEAAAA8/w=="
    assert (ROW_BYTES, NOBODY) == (19, 255)


def test_a_token_is_read_as_people_type_it() -> None:
    """With or without hyphens, small, with letters that look like digits; nothing else is one."""
    plain = "K7QM4T2P9XAB01CDE23FGH45J"

    assert read_token(written(plain)) == plain == read_token(" k7qm4 t2p9x abOlc de23f gh45j ")
    assert [read_token(text) for text in ("", plain[:-1], plain + "0", "U" * 25, "0" * 101)] == [None] * 5
