"""Viewing: what the tests of the live map look with: a viewer's end of a stream, and the hall that it should see.

The viewer does as ``checkout/site/static/live.js`` does: one snapshot, then messages onto its copy; what makes the copy
lost makes it fetch the map again.
"""

from collections import Counter
from dataclasses import dataclass, field
from typing import NamedTuple

from checkout.halls.deltas import Copy, Step, Version, mark, put, version, write


class Heard(NamedTuple):
    """One event of a stream. ``event`` is ``message`` where the stream names none."""

    event: str
    id: str
    data: str


def heard(octets: bytes) -> list[Heard]:
    """Read a stream as a browser does (HTML standard, 9.2.6); comments and ``retry`` say nothing."""
    found = []
    for block in octets.decode().split("\n\n"):
        fields = dict(
            line.split(": ", 1) for line in block.split("\n") if ": " in line and not line.startswith(":")
        )
        if "data" in fields:
            found.append(Heard(fields.get("event", "message"), fields.get("id", ""), fields["data"]))
    return found


@dataclass(slots=True)
class Watch:
    """A viewer's copy of a hall, and what it heard."""

    copy: Copy | None = None
    last_id: str = ""
    counts: str = ""
    heard: Counter[str] = field(default_factory=Counter)

    def fetched(self, octets: bytes, at: Version) -> None:
        """Take a snapshot."""
        self.copy = Copy(bytearray(octets), at)

    @property
    def is_lost(self) -> bool:
        """True when the map must be fetched."""
        return self.copy is None or self.copy.lost

    def hear(self, octets: bytes) -> list[Step]:
        """Take what a stream says; returns what each delta and mark meant to the copy."""
        steps = []
        for one in heard(octets):
            self.heard[one.event] += 1
            self.last_id = one.id or self.last_id
            match one.event:
                case "message" if self.copy is not None:
                    steps.append(self.copy.take(version(one.id), one.data))
                case "check" if self.copy is not None:
                    steps.append(self.copy.check(version(one.id), one.data))
                case "reset":
                    self.copy = None
                case "counts":
                    self.counts = one.data
                    self.copy = None
        return steps


class Truth:
    """A hall as the store has it, and each state that it had."""

    def __init__(self, seats: int, at: Version) -> None:
        self.octets = bytearray(seats)
        self.version = at
        self.was: dict[Version, bytes] = {at: bytes(self.octets)}

    def change(self, changes: dict[int, int], later_ms: int = 1) -> tuple[str, str]:
        """Change seats; returns the delta as the store's stream has it."""
        old = self.version
        sequence = 0 if later_ms else old.sequence + 1
        self.version = Version(old.epoch, old.ms + later_ms, sequence)
        put(self.octets, write(changes))
        self.was[self.version] = bytes(self.octets)
        return self.version.delta, write(changes)

    def rebuild(self) -> None:
        """Begin a new epoch."""
        self.version = Version(self.version.epoch + 1, self.version.ms + 1, 0)
        self.was[self.version] = bytes(self.octets)

    @property
    def mark(self) -> str:
        """Return the mark of the hall."""
        return mark(self.octets)
