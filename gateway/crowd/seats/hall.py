"""Hall: what all fans know of an event: its seats, its prices, and the map as it was seen last.

The layout is read once for the whole crowd, and each distinct map once: a fan's own view is a reference to bytes that
others have as well. Choosing is a search for free bytes in a row: no object for a seat, no list of seats.

Fans want what is in front, so where the search begins is drawn with a bias to the first seats of the hall: many want
the same, as in life. Seats for people in wheelchairs and their companions are left to them. Not here: asking
(``opening``, ``buying``).
"""

import asyncio
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any
from zlib import crc32

import orjson

from checkout.halls.deltas import Version
from checkout.halls.layout import Layout, stretches, where
from checkout.halls.seats import Status, statuses
from checkout.halls.sections import Kind

SIZES, WEIGHTS = (1, 2, 3, 4, 5, 6), (20, 40, 12, 18, 5, 5)
"""How many people come together, and how often."""

FRONT = 2.0
"""The power that draws the beginning of the search to the front; 1 is none."""

_KNOWN = bytes(Status)


@dataclass(frozen=True, slots=True)
class Wish:
    """What a fan wants to hold: these seats, or the best ``count`` there are, or ``count`` places to stand."""

    seats: tuple[int, ...] = ()
    count: int = 0
    tier: int | None = None
    section: int | None = None
    stands: bool = False

    @property
    def places(self) -> int:
        """How many seats are asked for."""
        return len(self.seats) or self.count

    def body(self, currency: str) -> bytes:
        """Write it as the shop reads it."""
        wish: dict[str, Any] = {"currency": currency}
        if self.seats:
            wish["seats"] = self.seats
        elif self.stands:
            wish["standing"] = {"section": self.section, "count": self.count}
        else:
            wish["best"] = {"count": self.count, "tier": self.tier, "section": self.section}
        return orjson.dumps(wish)


@dataclass(frozen=True, slots=True, eq=False)
class Seen:
    """One version of the map; ``plain`` has the statuses only."""

    version: Version
    octets: bytes
    etag: bytes = b""
    raw: bytes = b""  # the body as it came, packed or not
    plain: bytes = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "plain", statuses(self.octets))


class Hall:
    """One event."""

    def __init__(self, told: Mapping[str, Any], layout: Layout) -> None:
        """Read the event's own JSON. Raises KeyError, TypeError or ValueError where it is not as promised."""
        self.id = str(told["id"])
        self.layout = layout
        self.seats = layout.seats
        self.currency = str(told["currency"])
        self.most = int(told["limits"]["max_per_buyer"])
        self.hold_s: set[int] = set()
        self.prices: dict[int, dict[int, int]] = {}  # version of the prices -> tier -> minor units
        self.read(told)
        places = [place for section in layout.sections for row in section.rows for place in stretches(row)]
        self._firsts = [first for first, _ in places]
        self._ends = [first + count for first, count in places]
        self.standing = [
            (index, section.first, section.first + section.count)
            for index, section in enumerate(layout.sections)
            if section.kind is Kind.STANDING
        ]
        self._set_aside = frozenset(layout.accessible) | {seat for pair in layout.companions for seat in pair}
        self.first: Seen | None = None  # before anybody of the crowd held a seat
        self.map: Seen | None = None  # the newest
        self._marks: dict[Version, int] = {}

    def read(self, told: Mapping[str, Any]) -> None:
        """Take note of what may change: how long holds last, and prices."""
        self.hold_s.add(int(told["limits"]["hold_s"]))
        amounts = {
            int(tier["tier"]): int(tier["prices"][self.currency])
            for tier in told["tiers"]
            if self.currency in tier["prices"]
        }
        self.prices[int(told["price_version"])] = amounts

    def see(self, seen: Seen) -> str:
        """Take note of a map; '' or what cannot be right about it."""
        mark = crc32(seen.octets)
        known = self._marks.setdefault(seen.version, mark)
        if self.map is None or seen.version > self.map.version:
            self.map = seen
        if self.first is None:
            self.first = seen
        if len(seen.octets) != self.seats:
            return f"the map {seen.version} of {self.id} has {len(seen.octets):,} seats, its layout {self.seats:,}"
        if seen.plain.translate(None, _KNOWN):
            return f"the map {seen.version} of {self.id} has seats of no known status"
        if known != mark:
            return f"there are two maps {seen.version} of {self.id}"
        return ""

    def group(self, random: Random) -> int:
        """Draw how many come together, at most as many as one may have."""
        drawn = random.choices(SIZES, WEIGHTS)[0]
        return min(drawn, self.most)

    def pick(self, plain: bytes | bytearray, count: int, random: Random) -> tuple[int, ...]:
        """Find free seats side by side; () where there are none."""
        middle = int(len(plain) * random.random() ** FRONT)
        return self._run(plain, count, middle, len(plain)) or self._run(plain, count, 0, middle + count)

    def _run(self, plain: bytes | bytearray, count: int, begin: int, end: int) -> tuple[int, ...]:
        wanted, firsts, ends = bytes(count), self._firsts, self._ends
        at = plain.find(wanted, begin, end)
        while at >= 0:
            place = bisect_right(firsts, at) - 1
            if place >= 0 and at + count <= ends[place]:
                seats = range(at, at + count)
                if self._set_aside.isdisjoint(seats):
                    return tuple(seats)
                at += 1
            else:  # across an aisle, or where people stand: on to the next seats in a row
                place = bisect_right(firsts, at)
                if place == len(firsts):
                    return ()
                at = firsts[place]
            at = plain.find(wanted, at, end)
        return ()

    def stand(self, plain: bytes | bytearray, count: int, random: Random) -> Wish | None:
        """Choose where to stand, by what is free; None where nobody can."""
        free = [index for index, first, end in self.standing if plain.count(b"\0", first, end) >= count]
        return Wish(count=count, section=random.choice(free), stands=True) if free else None

    def beside(self, seat: int, random: Random) -> int | None:
        """Name a seat next to a seat, of which nobody asks whether it is free; None for one that stands alone."""
        place = bisect_right(self._firsts, seat) - 1
        sides = [side for side in (seat - 1, seat + 1) if self._firsts[place] <= side < self._ends[place]]
        return random.choice(sides) if sides else None

    def is_chosen(self, seat: int) -> bool:
        """True for a seat that people choose, as against a place to stand."""
        place = bisect_right(self._firsts, seat) - 1
        return place >= 0 and seat < self._ends[place]

    def calls(self, seat: int) -> tuple[tuple[str, int], tuple[str, int], str]:
        """Give name and index of a seat's section and row, and its number. Raises IndexError."""
        section, row, number = where(self.layout, seat)
        own = self.layout.sections[section]
        return (own.name, section), (own.rows[row].name if row >= 0 else "", row), number

    def costs(self, tier: int) -> set[int]:
        """Give every price that the tier had, as far as the crowd has seen."""
        return {amounts[tier] for amounts in self.prices.values() if tier in amounts}

    @property
    def knows_all_prices(self) -> bool:
        """True when no version of the prices lies between those that were seen."""
        return len(self.prices) == max(self.prices) - min(self.prices) + 1


@dataclass(slots=True)
class Programme:
    """The events on sale; read by the first fan who gets in, while the others wait."""

    reading: asyncio.Lock = field(default_factory=asyncio.Lock)
    is_read: bool = False
    halls: Sequence[Hall] = ()
