"""Tickets: what is signed comes back as it was, and the quick desk writes the very same papers."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kernel.errors import Refused
from kernel.signing import Signer, b64url
from waitroom.lanes import Lane
from waitroom.ticket import Desk, Ticket, read, write

SIGNER = Signer([("k1", b"t" * 32)], "ticket")


@given(
    number=st.integers(0, 2**40), raw=st.binary(min_size=16, max_size=16), lane=st.sampled_from(list(Lane))
)
def test_the_desk_writes_what_write_writes(number: int, raw: bytes, lane: Lane) -> None:
    """Same text, same leaf."""
    desk = Desk(SIGNER, "main", "00ff", 3, lane)
    plain = Ticket("main", "00ff", 3, number, b64url(raw), lane, 17)

    assert desk.write(number, raw, 17) == write(SIGNER, plain)
    assert desk.leaf(raw) == plain.leaf


@given(tag=st.binary(max_size=20), key=st.binary(max_size=20))
def test_a_ticket_comes_back_as_it_was(tag: bytes, key: bytes) -> None:
    """All inputs of the leaf are in the paper."""
    ticket = Ticket("main", "00ff", 3, 41, b64url(b"i" * 16), Lane.SUSPECT, 17, b64url(tag), b64url(key))

    back = read(SIGNER, write(SIGNER, ticket), "main")
    assert back == ticket
    assert back.leaf == ticket.leaf


@pytest.mark.parametrize("extensions", [0, 7])
@pytest.mark.parametrize("reasons", [(), ("declared-tool",), ("declared-agent", "device-busy")])
def test_why_a_place_began_in_its_lane_stays_with_it(reasons: tuple[str, ...], extensions: int) -> None:
    """With extensions and without; the quick desk writes the very same."""
    ticket = Ticket(
        "main", "00ff", 3, 41, b64url(b"i" * 16), Lane.SUSPECT, 17, extensions=extensions, reasons=reasons
    )
    desk = Desk(SIGNER, "main", "00ff", 3, Lane.SUSPECT)

    assert read(SIGNER, write(SIGNER, ticket), "main") == ticket
    if not extensions:
        assert desk.write(41, b"i" * 16, 17, reasons) == write(SIGNER, ticket)


@pytest.mark.parametrize("tail", ["|0", "|0|", "|0|A", "|0|a,", "|01|a", "|1|a|b", "|0|a b", "|", "|100"])
def test_a_tail_that_we_do_not_write_is_refused(tail: str) -> None:
    """Though it is signed: a ticket has one spelling."""
    plain = f"1|main|00ff|3|41|{b64url(b'i' * 16)}|suspect|17||"
    assert read(SIGNER, SIGNER.sign(plain.encode()), "main").reasons == ()

    with pytest.raises(Refused, match="ticket-invalid"):
        read(SIGNER, SIGNER.sign((plain + tail).encode()), "main")


def test_tickets_of_a_retiring_key_still_count() -> None:
    """After a rotation old papers are read, new ones carry the new key."""
    rotated = Signer([("k2", b"u" * 32), ("k1", b"t" * 32)], "ticket")
    ticket = Ticket("main", "00ff", 3, 41, b64url(b"i" * 16), Lane.STANDARD, 17)

    assert read(rotated, write(SIGNER, ticket), "main") == ticket
    assert write(rotated, ticket).startswith("k2.")
