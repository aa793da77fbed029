"""Ticket: the right to one seat, as paper: who has it, whether it counts, whether it was used.

A ticket belongs to a line of an order: one seat. There is one that counts at most; what makes another of it (a
transfer, a re-issue) revokes the one before and counts ``issue`` up. Its id follows from order, seat and issue, so
whoever makes a ticket twice has made one. It is not to be guessed without the order's id, and is no secret: what opens
doors is the code's signature (``tickets.code``), what opens its page is a link (``tickets.links``).

A ticket of an order whose payment is disputed is *blocked*: that follows from the order and is not stored. Pure. Not
here: the rows (``tickets.rows``).
"""

import hashlib
from dataclasses import dataclass, replace
from enum import StrEnum

ID_BYTES = 16
_NUMBERED = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_MISTAKEN = str.maketrans("ILO", "110")
NUMBER_LENGTH = 10


class TicketState(StrEnum):
    """What a ticket is worth."""

    VALID = "valid"
    USED = "used"
    """Somebody was let in with it."""
    REVOKED = "revoked"


class Why(StrEnum):
    """Why a ticket was revoked; '' for one that was not."""

    NONE = ""
    RETURNED = "returned"
    """The money went back, or never came: the seat is free again."""
    TRANSFERRED = "transferred"
    REISSUED = "reissued"
    """Another one was made in its place: it was lost, or shown to others."""
    WITHDRAWN = "withdrawn"
    """By the organiser, for a reason that is written down elsewhere."""


@dataclass(frozen=True, slots=True)
class Ticket:
    """One ticket. ``holder``: '' for the order's buyer, else the name of who was given it."""

    id: str
    event: str
    order: str
    reservation: str
    seat: int
    issue: int
    created_ms: int
    holder: str = ""
    state: TicketState = TicketState.VALID
    why: Why = Why.NONE
    used_ms: int = 0
    """When somebody was let in; 0 for nobody yet."""
    changed_ms: int = 0
    version: int = 1

    def changed(self, at_ms: int, **fields: object) -> "Ticket":
        """Return it as it is after a change."""
        return replace(self, version=self.version + 1, changed_ms=at_ms, **fields)  # type: ignore[arg-type]

    @property
    def number(self) -> str:
        """Write the number that people read to each other: ``K7QM4-T2P9X``."""
        return number_of(self.id)


def ticket_id(order: str, seat: int, issue: int) -> str:
    """Name a ticket: 32 digits in hex."""
    parts = (b"waitroom-ticket-id", order.encode(), b"%d" % seat, b"%d" % issue)
    return hashlib.sha256(b"\0".join(parts)).digest()[:ID_BYTES].hex()


def is_ticket_id(text: str) -> bool:
    """Tell whether this can be a ticket's id at all."""
    return len(text) == 2 * ID_BYTES and all(character in "0123456789abcdef" for character in text)


def number_of(ticket: str) -> str:
    """Shorten a ticket's id to ten characters of Crockford's alphabet, which nobody mistakes for others."""
    bits = int(ticket[:13], 16) >> 2
    digits = [_NUMBERED[bits >> shift & 31] for shift in range(45, -1, -5)]
    return f"{''.join(digits[:5])}-{''.join(digits[5:])}"


def read_number(text: str) -> str | None:
    """Read a number as people type it; None for what is none."""
    plain = text.strip().upper().replace("-", "").replace(" ", "").translate(_MISTAKEN)
    if len(plain) != NUMBER_LENGTH or any(character not in _NUMBERED for character in plain):
        return None
    return f"{plain[:5]}-{plain[5:]}"


def prefix_range(number: str) -> tuple[str, str]:
    """Tell between which ids the tickets of a number lie: from the first, up to and not including the second."""
    bits = 0
    for character in number.replace("-", ""):
        bits = bits * 32 + _NUMBERED.index(character)
    low, high = bits << 78, (bits + 1) << 78
    top = "g" if high >> 128 else f"{high:032x}"
    return f"{low:032x}", top
