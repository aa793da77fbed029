"""Carry: a place on its way to another device, under a one-time code.

The old device asks for a code and shows it as a link; the new device gives the code and gets the ticket. What is
kept meanwhile is a **parcel**: the ticket, sealed under the code, for five minutes. The store knows a parcel by
its name, a hash of the code, so neither the store nor the name opens it; the old device asks by the name whether
it has been taken. The seal is a keystream from the code, which is used once; the ticket carries its own signature.

One take only. A taker may name itself (`taker`): the same one gets the same answer again, because a lost answer
must not lose a place. After a take the parcel stays as long again, so that the old device hears of it.

What it is not: a change of the place. The ticket is the same paper in both hands, and the line calls and admits
it once, whoever shows it; the old device forgets its copy because it is asked to. Not here: HTTP (``web``).
"""

from dataclasses import dataclass, replace
from enum import StrEnum
from hashlib import sha256, shake_256

CODE_BYTES = 16
KEEP_MS = 300_000
"""A code is good for so long, and a take is remembered for so long."""

_NAME_BYTES = 16


@dataclass(frozen=True, slots=True)
class Parcel:
    """A sealed ticket of `run`. `taken`: somebody has it; `taker` is who, '' where they did not say."""

    run: str
    sealed: bytes
    until_ms: int
    taken: bool = False
    taker: str = ""


class Carried(StrEnum):
    """How a parcel stands."""

    OPEN = "open"
    TAKEN = "taken"
    GONE = "gone"


@dataclass(frozen=True, slots=True)
class Kept:
    """The parcel waits until then."""

    until_ms: int


@dataclass(frozen=True, slots=True)
class Handed:
    """The parcel's ticket, still sealed."""

    sealed: bytes


@dataclass(frozen=True, slots=True)
class Taken:
    """Somebody else was here before."""


@dataclass(frozen=True, slots=True)
class Gone:
    """There is no such parcel: never made, too late, or of a line that is over."""


@dataclass(frozen=True, slots=True)
class Stale:
    """The line of this ticket is over, or the name is in use."""


def name_of(code: bytes) -> str:
    """Return the name of a code's parcel; the code does not follow from it."""
    return sha256(b"waitroom-carry-name\0" + code).digest()[:_NAME_BYTES].hex()


def sealed(code: bytes, text: bytes) -> bytes:
    """Seal a text under a code, or open what was sealed: the same step undoes itself."""
    stream = shake_256(b"waitroom-carry-seal\0" + code).digest(len(text))
    return bytes(left ^ right for left, right in zip(text, stream, strict=True))


def carry(
    parcel: Parcel | None, current: str, run: str, contents: bytes, keep_ms: int, now_ms: int
) -> tuple[Parcel | None, Kept | Stale]:
    """Keep a ticket of `run` for whoever brings the code; `current` is the run of the line.

    A repeat of the same call tells the same time again.
    """
    if run != current:
        return parcel, Stale()
    if parcel is not None:
        same = (
            not parcel.taken and parcel.run == run and parcel.sealed == contents and now_ms < parcel.until_ms
        )
        return parcel, Kept(parcel.until_ms) if same else Stale()
    kept = Parcel(run, contents, now_ms + keep_ms)
    return kept, Kept(kept.until_ms)


def take(
    parcel: Parcel | None, current: str, taker: str, keep_ms: int, now_ms: int
) -> tuple[Parcel | None, Handed | Taken | Gone]:
    """Hand the parcel to the first who comes in time, and to the same one again."""
    if parcel is None or parcel.run != current or now_ms >= parcel.until_ms:
        return parcel, Gone()
    if parcel.taken:
        return parcel, Handed(parcel.sealed) if taker and taker == parcel.taker else Taken()
    handed = replace(parcel, taken=True, taker=taker, until_ms=now_ms + keep_ms)
    return handed, Handed(parcel.sealed)


def carried(parcel: Parcel | None, now_ms: int) -> Carried:
    """Tell how a parcel stands, for the device that sent it."""
    if parcel is None or now_ms >= parcel.until_ms:
        return Carried.GONE
    return Carried.TAKEN if parcel.taken else Carried.OPEN
