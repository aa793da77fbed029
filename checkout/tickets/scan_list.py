"""Scan list: what a scanner must know to decide without a network, written small.

    {"event", "tag", "now_ms", "at", "since", "keys", "gates", "blocked", "count", "versions", "tickets"}

``tickets`` are packed rows, 19 octets each in base64 (60,000 are 1.5 MB, packed with gzip 0.8): the first
eight octets of the id, which its number follows from; version (2), seat (3), what it is worth (1: ``WORTH``), when its
holder came in (4, seconds since 1970, 0 for not), through which gate (1: the first octet of its scanner's id, by which
``gates`` has its name; 255 for none).

``since`` 0 is the whole list. Else it has the tickets that changed after ``since`` less ``OVERLAP_MS``: a change is
dated before its commit, so one that is dated before the last list may be committed after it (docs/scanning.md). What
is told twice does no harm, rows are what is so and not what happened. Should a commit come later still, ``count`` and
``versions`` (the sum over all tickets; every change adds one) differ from what the scanner has, and it asks for all.

``blocked`` is always whole: a dispute changes no ticket. Pure. Not here: the statements (``tickets.scanner_rows``).
"""

import base64
import struct
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from checkout.tickets.ticket import TicketState, Why

OVERLAP_MS = 120_000
PREFIX_BYTES = 8
NOBODY = 255
"""Through no gate that has a name."""

_ROW = struct.Struct(">8sH3sBIB")
ROW_BYTES = _ROW.size
WORTH: Mapping[tuple[TicketState, Why], int] = {
    (TicketState.VALID, Why.NONE): 0,
    (TicketState.USED, Why.NONE): 1,
    (TicketState.REVOKED, Why.RETURNED): 2,
    (TicketState.REVOKED, Why.TRANSFERRED): 3,
    (TicketState.REVOKED, Why.REISSUED): 4,
    (TicketState.REVOKED, Why.WITHDRAWN): 5,
}
_VERSION_MOST = 0xFFFF


@dataclass(frozen=True, slots=True)
class Listed:
    """A ticket as scanners know it; ``gate``: the scanner that let its holder in, '' for none."""

    id: str
    version: int
    seat: int
    state: TicketState
    why: Why
    used_ms: int
    gate: str


def prefix_of(ticket: str) -> str:
    """Shorten a ticket's id to what scanners know it by."""
    return ticket[: 2 * PREFIX_BYTES]


def gate_of(scanner: str) -> int:
    """Shorten a scanner's id to what rows know it by; ``tickets.scanning`` lets no two of an event be alike."""
    return int(scanner[:2], 16) if scanner else NOBODY


def pack(tickets: Iterable[Listed]) -> str:
    """Write rows."""
    return base64.b64encode(
        b"".join(
            _ROW.pack(
                bytes.fromhex(prefix_of(one.id)),
                min(one.version, _VERSION_MOST),
                one.seat.to_bytes(3, "big"),
                WORTH[one.state, one.why],
                one.used_ms // 1000,
                gate_of(one.gate),
            )
            for one in tickets
        )
    ).decode()
