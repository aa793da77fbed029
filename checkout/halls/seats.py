"""Seat: one byte that says what is to be had, and at which price category.

The low nibble is the status, the high nibble the tier (0 to 15), so the whole hall is one string of bytes, the same
in the store, on the wire and in the browser. A place in a standing section is a seat like any other; nobody chooses
which one.

A hall has ``capacity`` seats, numbered from 0. Not here: where a seat stands (``layout``), how a change of seats is
written (``deltas``), who holds it (``holds``).
"""

from collections.abc import Iterable
from enum import IntEnum
from hashlib import sha256
from itertools import groupby

from kernel.signing import b64url, from_b64url

TIERS = 16
HOLD_ID_BYTES = 8
HOLD_ID_LENGTH = 11


class Status(IntEnum):
    """What may be done with a seat."""

    FREE = 0
    HELD = 1
    RESERVED = 2
    SOLD = 3
    BLOCKED = 4
    KEPT = 5
    """Came back while people wait for seats: offered to them in order, not free for others."""


def status(byte: int) -> Status:
    """Return the status in a seat's byte. Raises ``ValueError`` for a nibble that is none."""
    return Status(byte & 0x0F)


def tier(byte: int) -> int:
    """Return the tier in a seat's byte."""
    return byte >> 4


def byte(status: Status, tier: int) -> int:
    """Return the byte of a seat. Raises ``ValueError`` for a tier that is none."""
    if not 0 <= tier < TIERS:
        raise ValueError(f"there is no tier {tier}")
    return tier << 4 | status


_STATUS_OF = bytes(value & 0x0F for value in range(256))


def statuses(hall: bytes) -> bytes:
    """Return the map with the tiers taken off: one status for each seat."""
    return hall.translate(_STATUS_OF)


def counts(hall: bytes) -> tuple[int, ...]:
    """Count the seats of each status, in the order of ``Status``; they add up to the capacity."""
    plain = statuses(hall)
    return tuple(plain.count(status) for status in Status)


def ranges(seats: Iterable[int]) -> list[tuple[int, int]]:
    """Put seats together into runs of ``(first, count)``, in order."""
    found: list[tuple[int, int]] = []
    for _, run in groupby(enumerate(sorted(set(seats))), lambda at: at[1] - at[0]):
        inside = [seat for _, seat in run]
        found.append((inside[0], len(inside)))
    return found


def hold_id_text(hold_id: bytes) -> str:
    """Show a hold's id to people: 11 characters of base64url."""
    return b64url(hold_id)


def hold_id_of(text: str) -> bytes | None:
    """Read a hold's id; None for what cannot be one."""
    if len(text) != HOLD_ID_LENGTH:
        return None
    try:
        return from_b64url(text)
    except ValueError:
        return None


def fingerprint(body: bytes) -> str:
    """Return what tells one request's body from another: 16 characters of its SHA-256."""
    return b64url(sha256(body).digest()[:12])
