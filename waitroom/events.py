"""Events: what the journal has recorded, as readers outside get it: ``waitroom.event.v1``.

An event is an entry with its place (``seq``), when, where, who, why, and a body of the fields that mean something to
others. Fields are named here one by one, so that what an entry gets later stays inside until somebody has thought
about it. Not among them: leaves and their octets, tags of identities, proofs, whole settings: of a change of settings
an event tells what changed (``changes``).

A reader passes over members and kinds that it does not know: new ones may come at any time. A member that goes or
changes its meaning makes a ``v2``. Pure. Not here: sentences (``event_words``), who may see which room.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from kernel.errors import Misconfigured
from waitroom.journal import Entry, Kind
from waitroom.revision import differences, shortened
from waitroom.rooms import read_kept, to_dict

SCHEMA = "waitroom.event.v1"
CHANGES_MOST = 100

_NUMBERS = frozenset(
    {
        "epoch", "version", "number", "rank", "issued", "frozen", "until_ms", "verified", "standard", "suspect",
        "start", "count", "from",
    }
)  # fmt: skip

FIELDS: Mapping[Kind, tuple[str, ...]] = {
    Kind.CONFIGURED: ("version",),
    Kind.REMOVED: ("version",),
    Kind.OPENED: ("epoch", "opening", "phase"),
    Kind.PHASE: ("epoch", "before", "phase"),
    Kind.CALLED: ("epoch", "verified", "standard", "suspect", "issued"),
    Kind.CLIMBED: ("epoch", "number", "before", "after"),
    Kind.SLOWED: ("epoch", "number", "before"),
    Kind.ASKED: ("epoch", "number", "way"),
    Kind.PASSED: ("epoch", "number"),
    Kind.ENLISTED: ("epoch", "number", "lane"),
    Kind.FROZEN: ("epoch", "frozen", "void", "root"),
    Kind.DRAWN: ("epoch", "frozen", "root", "seed"),
    Kind.ADMITTED: ("epoch", "number", "rank", "lane", "sid", "until_ms"),
    Kind.BYPASSED: ("epoch", "sid", "until_ms"),
    Kind.RENEWED: ("epoch", "sid", "until_ms"),
    Kind.ENDED: ("epoch", "sid", "until_ms"),
    Kind.EVICTED: ("epoch", "number", "sid", "until_ms"),
    Kind.REINSTATED: ("epoch", "number", "sid", "until_ms"),
    Kind.LEFT: ("epoch", "number", "sid", "until_ms"),
    Kind.RESTORED: ("epoch", "opening", "phase", "issued", "void", "frozen"),
    Kind.LEAVES: ("start", "count", "sha256"),
    Kind.VOIDED: ("epoch", "issued", "void"),
    Kind.OPERATOR: ("act", "what", "batch", "size", "lane", "label", "which", "name", "role"),
    Kind.ACCESS: ("act", "what", "role", "rooms", "role_before", "rooms_before", "until_ms"),
    Kind.TARGET: ("act", "what", "from"),
    Kind.OTHER: ("kind",),
}
"""What of an entry's body others see, by its kind; who and why stand beside the body."""

OF_FANS = frozenset(
    {
        Kind.CALLED, Kind.CLIMBED, Kind.SLOWED, Kind.ASKED, Kind.PASSED, Kind.ENLISTED, Kind.ADMITTED, Kind.RENEWED,
        Kind.BYPASSED, Kind.ENDED, Kind.LEFT, Kind.LEAVES,
    }
)  # fmt: skip
"""Kinds of which a sale has thousands: one for each fan, or each second."""

STEERING = frozenset(Kind) - OF_FANS
"""The others: what people and the schedule do with a room."""

OF_OWNERS = frozenset({Kind.ACCESS, Kind.TARGET})
"""Who may come to the operator's pages, and whom events are told: for owners of all rooms, as the pages about it."""

Change = tuple[str, str, str]


@dataclass(frozen=True, slots=True)
class Told:
    """An entry, and of a change of settings the room's settings before it; '' where there were none."""

    entry: Entry
    before: str = ""


def who_of(entry: Entry) -> str:
    """Return who did it; '' where nobody did: the schedule, or the fan."""
    return entry.body.get("who", "")


def changes_of(told: Told) -> list[Change]:
    """List (setting, old, new) of a change of settings, in words short enough to show."""
    entry = told.entry
    if entry.kind is not Kind.CONFIGURED:
        return []
    try:
        after, before = read_kept(entry.body.get("config", "")), read_kept(told.before)
    except Misconfigured:
        return []
    if after is None or before is None:
        return []
    return [
        (name, shortened(was), shortened(now))
        for name, was, now in differences(to_dict(before), to_dict(after))[:CHANGES_MOST]
    ]


def event_of(told: Told) -> dict[str, Any]:
    """Write an entry as an event."""
    entry = told.entry
    body: dict[str, Any] = {
        name: _value(name, entry.body[name]) for name in FIELDS[entry.kind] if name in entry.body
    }
    if entry.kind is Kind.CONFIGURED:
        body["new"] = told.before == ""
        body["changes"] = [{"setting": name, "old": was, "new": now} for name, was, now in changes_of(told)]
    return {
        "schema": SCHEMA,
        "seq": entry.seq,
        "at": moment(entry.at_ms),
        "at_ms": entry.at_ms,
        "room": entry.room,
        "run": entry.run,
        "kind": entry.kind.value,
        "who": who_of(entry),
        "why": entry.body.get("why", ""),
        "body": body,
    }


def moment(at_ms: int) -> str:
    """Write a time as RFC 3339 does, to the millisecond."""
    try:
        at = datetime.fromtimestamp(at_ms / 1000, UTC)
    except (OverflowError, ValueError, OSError):
        # Whatever was recorded as a time must not hide what else was.
        at = datetime.fromtimestamp(0, UTC)
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _value(name: str, text: str) -> int | str:
    if name in _NUMBERS and text.isascii() and text.isdecimal() and len(text) < 18:
        return int(text)
    return text
