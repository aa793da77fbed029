"""Deltas: what changed in a seat map, as text, and how a copy of the map follows.

A delta says what seats *are* now, never what happened to them: ``120+3=11,450=11`` is "seats 120, 121 and 122 have
the byte 0x11, and so has 450" (index, ``+`` count if there are several in a row, ``=`` the byte as two hex digits; the
byte is ``checkout.halls.seats``'). So a delta that comes twice changes nothing, deltas in a row may be joined to one,
and a message that covers more than a copy has missed is as good as the exact one.

What a copy cannot mend by itself is a message that overtook another, or one of another epoch; it then says
``LOST`` and is good for nothing until it has been made anew from a snapshot. A message that never came at all shows
in the ``mark`` of the map, a CRC-32 that the server tells from time to time.

A version is ``<epoch>:<id of the last delta>``, and the id is the store's stream id, ``<ms>-<sequence>``. Within
an epoch versions are ordered. Form and rules are pinned by ``tests/vectors/deltas.json``. Not here: who is told what
(``live.service``, ``live.web``).
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple
from zlib import crc32

RESET = "reset"
"""Stands in place of a delta where everything may have changed."""

REMEMBERED = 256
"""So many versions a copy remembers as taken: what comes twice comes soon."""

_VERSION = re.compile(r"(\d{1,15}):(\d{1,16})-(\d{1,16})", re.ASCII)
_RUN = re.compile(r"(\d{1,9})(?:\+(\d{1,9}))?=([0-9a-f]{2})", re.ASCII)


class Version(NamedTuple):
    """The state after one delta; compares as time does."""

    epoch: int
    ms: int
    sequence: int

    @property
    def delta(self) -> str:
        """Give the id of the last delta, as the store's stream has it."""
        return f"{self.ms}-{self.sequence}"

    def __str__(self) -> str:
        return f"{self.epoch}:{self.ms}-{self.sequence}"


def version(text: str) -> Version:
    """Read a version. Raises ValueError."""
    found = _VERSION.fullmatch(text)
    if found is None:
        raise ValueError(f"{text[:60]!r} is not a version of a map")
    return Version(int(found[1]), int(found[2]), int(found[3]))


class Run(NamedTuple):
    """Seats in a row that have the same byte."""

    first: int
    length: int
    byte: int


def read(text: str, seats: int) -> list[Run]:
    """Read a delta of a map of so many seats. Raises ValueError.

    Runs may stand in any order and may overlap: the later one counts.
    """
    runs: list[Run] = []
    for part in text.split(","):
        found = _RUN.fullmatch(part)
        if found is None:
            raise ValueError(f"{part[:60]!r} is not a change of seats")
        run = Run(int(found[1]), int(found[2] or 1), int(found[3], 16))
        if run.length == 0 or run.first + run.length > seats:
            raise ValueError(f"{part!r} is not within {seats} seats")
        runs.append(run)
    return runs


def write(changes: Mapping[int, int]) -> str:
    """Write changes, seat to byte, in the one canonical form: ascending, equal neighbours in one run.

    Raises ValueError when there is none, because an empty delta is not a delta.
    """
    if not changes:
        raise ValueError("nothing changed")
    parts: list[str] = []
    first, count, same = 0, 0, -1
    for seat in sorted(changes):
        byte = changes[seat]
        if byte == same and seat == first + count:
            count += 1
            continue
        if count:
            parts.append(_part(first, count, same))
        first, count, same = seat, 1, byte
    parts.append(_part(first, count, same))
    return ",".join(parts)


def _part(first: int, count: int, byte: int) -> str:
    return f"{first}={byte:02x}" if count == 1 else f"{first}+{count}={byte:02x}"


def coalesce(texts: Iterable[str], seats: int) -> str:
    """Join deltas, oldest first, to one that does what they do. Raises ValueError."""
    changes: dict[int, int] = {}
    for text in texts:
        for first, count, byte in read(text, seats):
            if count == 1:
                changes[first] = byte
            else:
                changes.update(dict.fromkeys(range(first, first + count), byte))
    return write(changes)


def put(octets: bytearray, text: str) -> None:
    """Write a delta into a map; a text that is not a delta of it changes nothing. Raises ValueError."""
    for first, count, byte in read(text, len(octets)):
        if count == 1:
            octets[first] = byte
        else:
            octets[first : first + count] = bytes((byte,)) * count


def mark(octets: bytes | bytearray) -> str:
    """Give the CRC-32 of a map as eight hex digits: equal marks, equal maps, but for one chance in 2^32."""
    return f"{crc32(octets):08x}"


class Step(StrEnum):
    """What a message meant to a copy."""

    NEXT = "next"
    """It was taken."""
    KNOWN = "known"
    """The copy had it already."""
    LOST = "lost"
    """The copy is no longer right and must be made anew from a snapshot."""


@dataclass(slots=True)
class Copy:
    """A copy of a map: made from a snapshot, kept up to date by deltas. Once lost it takes nothing more."""

    octets: bytearray
    version: Version
    lost: bool = False
    base: Version = field(init=False)
    """The snapshot's: it holds whatever is not newer."""
    taken: dict[Version, None] = field(init=False, default_factory=dict, repr=False)
    """The versions after the base that were taken, oldest first."""

    def __post_init__(self) -> None:
        self.base = self.version

    def take(self, version: Version, text: str) -> Step:
        """Take a message: the delta `text`, after which the map has this version.

        An older version that was not taken is one that something overtook: what it said cannot be
        put under what came later, so the copy is lost. One that fell out of memory counts as such.
        """
        if self.lost:
            return Step.LOST
        if version <= self.base or version in self.taken:
            return Step.KNOWN
        if version.epoch != self.version.epoch or version < self.version or text == RESET:
            self.lost = True
            return Step.LOST
        try:
            put(self.octets, text)
        except ValueError:
            self.lost = True
            return Step.LOST
        self.version = version
        self.taken[version] = None
        if len(self.taken) > REMEMBERED:
            del self.taken[next(iter(self.taken))]
        return Step.NEXT

    def check(self, version: Version, told: str) -> Step:
        """Compare with the server's mark of a version.

        A mark of a newer version tells that messages are missing, because it is sent after them. One of an older
        version tells nothing: the copy's snapshot may have been ahead of the server's messages.
        """
        if version > self.version or (version == self.version and told != mark(self.octets)):
            self.lost = True
            return Step.LOST
        return Step.KNOWN
