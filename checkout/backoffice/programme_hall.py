"""Programme's hall: an event's hall as the API tells it, and what a choice of seats is made of. Pure.

A choice is looked at before anything is done with it: which seats can be taken, which are in the way and why, and what
they are worth. What is done is one question of the API with exactly the seats that were shown. Not here: how a hall is
drawn (``programme_plan``), how seats are named (``programme_seats``).
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import orjson

from checkout.backoffice.programme_plan import Counts, counted
from checkout.backoffice.programme_seats import in_words, runs_text
from checkout.halls.layout import Layout, read
from checkout.halls.seats import Status, byte, statuses
from checkout.halls.seats import tier as tier_of

MOST_WORDS = 60
"""So many lines of seats are shown; the rest as a number."""


@dataclass(frozen=True, slots=True)
class Hall:
    """A hall: its plan, an octet a seat, and the seats of each allocation."""

    layout: Layout
    octets: bytes
    is_live: bool
    allocations: Mapping[str, tuple[int, ...]]

    def status(self, seat: int) -> Status:
        """Tell how a seat stands."""
        return Status(self.octets[seat] & 0x0F)

    def with_status(self, seats: Collection[int], *wanted: Status) -> list[int]:
        """Give those of the seats that stand so, in order."""
        return [seat for seat in sorted(seats) if self.status(seat) in wanted]


@dataclass(frozen=True, slots=True)
class Words:
    """Seats in words: lines, how many lines more there are, and how many seats."""

    lines: tuple[str, ...]
    more: int
    seats: int


@dataclass(frozen=True, slots=True)
class Group:
    """Blocked seats that belong together: those of an allocation, or ('') of nobody."""

    name: str
    words: Words
    runs: str
    """Those that can be put on sale: blocked now."""
    counts: Counts


@dataclass(frozen=True, slots=True)
class Choice:
    """A choice of seats. ``fits``: those that can be had, in words and for a hidden field; ``in_way``: the others."""

    seats: int
    fits: Words
    runs: str
    in_way: Words
    counts: Counts
    tiers: tuple[tuple[int, int], ...]
    """(tier, seats) of those that fit."""


def hall_of(plain: Mapping[str, Any]) -> Hall:
    """Read the API's answer of ``GET /events/{event}/hall``."""
    octets = b"".join(
        bytes([byte(Status[status.upper()], tier)]) * count for _, count, tier, status in plain["seats"]
    )
    allocations = {
        name: tuple(seat for first, count in runs for seat in range(first, first + count))
        for name, runs in plain["allocations"].items()
    }
    return Hall(_layout(orjson.dumps(plain["layout"])), octets, plain["is_live"], allocations)


@lru_cache(maxsize=8)
def _layout(octets: bytes) -> Layout:
    # It never changes, and a large one takes a while to read.
    return read(octets)


def words_of(layout: Layout, seats: Sequence[int]) -> Words:
    """Write seats in words, as many lines as are bearable."""
    lines = in_words(layout, seats)
    return Words(tuple(lines[:MOST_WORDS]), max(0, len(lines) - MOST_WORDS), len(seats))


def choice_of(hall: Hall, seats: Sequence[int], *wanted: Status) -> Choice:
    """Look at a choice; `wanted` is how a seat must stand for what is to be done, nothing for any."""
    fits = hall.with_status(seats, *(wanted or tuple(Status)))
    others = sorted(set(seats) - set(fits))
    octets = bytes(hall.octets[seat] for seat in fits)
    every = bytes(hall.octets[seat] for seat in seats)
    tiers = sorted({tier_of(octet) for octet in octets})
    return Choice(
        seats=len(seats),
        fits=words_of(hall.layout, fits),
        runs=runs_text(fits),
        in_way=words_of(hall.layout, others),
        counts=counted(every),
        tiers=tuple((tier, sum(tier_of(octet) == tier for octet in octets)) for tier in tiers),
    )


def groups_of(hall: Hall) -> tuple[Group, ...]:
    """Put what is blocked together: by allocation, and last what is for nobody."""
    allotted = {seat for seats in hall.allocations.values() for seat in seats}
    plain = statuses(hall.octets)
    nobody = [seat for seat, status in enumerate(plain) if status == Status.BLOCKED and seat not in allotted]
    named = [*sorted(hall.allocations.items()), ("", tuple(nobody))]
    return tuple(_group(hall, name, seats) for name, seats in named)


def _group(hall: Hall, name: str, seats: Sequence[int]) -> Group:
    blocked = hall.with_status(seats, Status.BLOCKED)
    return Group(
        name,
        words_of(hall.layout, seats),
        runs_text(blocked),
        counted(bytes(hall.octets[seat] for seat in seats)),
    )
