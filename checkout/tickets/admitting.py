"""Admitting: what a scan of a ticket comes to, and what it means that a gate has decided without us.

A gate with a network asks, and the answer is the *outcome*. A gate without one decides by what it knows (the code's
signature, the last list), lets people in, and says later what it has *told* them. Both are kept. **The server's word is
last**: of two gates that have let somebody in with the same ticket, the scan that came to the server first is the
admission, the other is a *conflict*, which is shown to people and changes nothing.

First is who came first, not who was first by a device's clock: a clock that can be set would decide who was let in.
Times of devices are shown, and compared with times of the same device only (``AGAIN_MS``).

Pure. Why so: ADR-0023. Not here: what belongs into one transaction (``tickets.scanner_rows``).
"""

import re
from dataclasses import dataclass
from enum import StrEnum

from checkout.tickets.code import Fault
from checkout.tickets.ticket import Ticket, TicketState

AGAIN_MS = 8_000
"""A device that sees the ticket again so soon after it has let its holder in sees the same person."""

SCAN_ID = re.compile(r"[0-9a-f]{16}-[0-9]{1,9}")
"""The device's random name, and the number of its scan: a link to a scanner may be opened on two phones."""

UNDECIDED = ""
"""What a gate has told that waits for our answer."""


class Outcome(StrEnum):
    """What a scan comes to."""

    ADMITTED = "admitted"
    AGAIN = "again"
    """The same device, a moment ago: the same scan. Nobody else is let in by it."""
    USED = "used"
    REVOKED = "revoked"
    BLOCKED = "blocked"
    """The buyer's bank has taken the money back, or wants to."""
    UNKNOWN = "unknown"
    """No ticket at all, or none that we know."""
    FORGED = "forged"
    """Not signed by a key that is trusted."""
    OTHER_EVENT = "other-event"


OF_FAULT = {
    Fault.UNREADABLE: Outcome.UNKNOWN,
    Fault.UNKNOWN_KEY: Outcome.FORGED,
    Fault.FORGED: Outcome.FORGED,
    Fault.OTHER_EVENT: Outcome.OTHER_EVENT,
}


@dataclass(frozen=True, slots=True)
class Scan:
    """One scan as a device sends it. ``at_ms``: by the device's clock; ``told``: ``UNDECIDED``, or what it has said."""

    id: str
    at_ms: int
    told: str = UNDECIDED
    code: str = ""
    number: str = ""

    @property
    def device(self) -> str:
        """Name the device."""
        return device_of(self.id)


@dataclass(frozen=True, slots=True)
class Admission:
    """The scan that let somebody in, as it is kept."""

    scanner: str
    gate: str
    scan: str
    at_ms: int
    came_ms: int


def device_of(scan: str) -> str:
    """Name the device that has made a scan."""
    return scan.partition("-")[0]


def decide(
    ticket: Ticket | None, admission: Admission | None, scanner: str, scan: Scan, *, is_blocked: bool
) -> Outcome:
    """Decide on a ticket whose code, or number, is right.

    Whom the gate has sent away was not let in by this scan, whatever we know: the ticket stays as it was, for the scan
    that did let somebody in may come after this one.
    """
    outcome = _worth(ticket, admission, scanner, scan, is_blocked=is_blocked)
    if outcome is Outcome.ADMITTED and scan.told not in {UNDECIDED, Outcome.ADMITTED}:
        return Outcome(scan.told)
    return outcome


def _worth(
    ticket: Ticket | None, admission: Admission | None, scanner: str, scan: Scan, *, is_blocked: bool
) -> Outcome:
    if ticket is None:
        return Outcome.UNKNOWN
    if ticket.state is TicketState.REVOKED:
        return Outcome.REVOKED
    if ticket.state is TicketState.USED:
        return Outcome.AGAIN if is_again(admission, scanner, scan) else Outcome.USED
    return Outcome.BLOCKED if is_blocked else Outcome.ADMITTED


def is_again(admission: Admission | None, scanner: str, scan: Scan) -> bool:
    """Tell whether a device sees the ticket that it has just let in."""
    return (
        admission is not None
        and (admission.scanner, device_of(admission.scan)) == (scanner, scan.device)
        and abs(scan.at_ms - admission.at_ms) < AGAIN_MS
    )


def is_conflict(told: str, outcome: str) -> bool:
    """Tell whether a gate has let somebody in whom we would not have let in."""
    return told == Outcome.ADMITTED and outcome != Outcome.ADMITTED


def shown_ms(at_ms: int, came_ms: int) -> int:
    """Tell when a scan was, for people: by the device's clock, unless that says something that cannot be."""
    return at_ms if 0 < at_ms <= came_ms else came_ms
