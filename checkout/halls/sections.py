"""Section: a part of a hall, with its rows and seats, and where each is on the map.

A seat is an index over the whole layout; sections and rows follow one another without holes, so a seat's section and
row are found by bisection and nothing is stored per seat. A standing section has places and no rows: its places
are indexes that nobody chooses. Units are whole numbers, about 100 to the distance of two neighbours; x grows to the
right, y away from the top of the page.

Not here: how a layout is written and read (``layout``), tiers (``catalogue``), what is free (``seats``).
"""

from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

MOST_SEATS = 100_000
PITCH = 100
"""The distance of two neighbours, about."""

_GAP_RATIO_TIMES_4 = 9
"""Seats further apart than 1.5 times (squared: 9/4) what is usual in their row have an aisle between them."""

Point = tuple[int, int]


class Kind(StrEnum):
    """Whether people choose a seat or stand."""

    SEATS = "seats"
    STANDING = "standing"


@dataclass(frozen=True, slots=True)
class Stage:
    """Where people look to; a rectangle with a label."""

    x: int
    y: int
    width: int
    height: int
    label: str


@dataclass(frozen=True, slots=True)
class Counted:
    """Seat numbers that go on by a step, as 1, 3, 5."""

    start: int
    step: int


@dataclass(frozen=True, slots=True)
class Even:
    """Seats on a straight line at even distances."""

    x: int
    y: int
    dx: int
    dy: int


@dataclass(frozen=True, slots=True)
class Placed:
    """Seats each at its own place, as in a curved row."""

    xs: tuple[int, ...]
    ys: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Row:
    """Seats that follow one another; ``first`` is the index of the first."""

    name: str
    first: int
    count: int
    numbers: Counted | tuple[str, ...]
    spots: Even | Placed

    def number(self, seat: int) -> str:
        """Give what is written on a seat of this row."""
        index = seat - self.first
        if isinstance(self.numbers, Counted):
            return str(self.numbers.start + index * self.numbers.step)
        return self.numbers[index]

    def at(self, seat: int) -> Point:
        """Tell where a seat of this row is."""
        index = seat - self.first
        if isinstance(self.spots, Even):
            return (self.spots.x + index * self.spots.dx, self.spots.y + index * self.spots.dy)
        return (self.spots.xs[index], self.spots.ys[index])


@dataclass(frozen=True, slots=True)
class Section:
    """A block of seats, or a floor to stand on."""

    name: str
    kind: Kind
    first: int
    count: int
    outline: tuple[Point, ...]
    rows: tuple[Row, ...] = ()


@dataclass(frozen=True, slots=True)
class Layout:
    """A whole hall."""

    name: str
    width: int
    height: int
    stage: Stage
    sections: tuple[Section, ...]
    accessible: tuple[int, ...] = ()
    companions: tuple[tuple[int, int], ...] = ()
    restricted_view: tuple[int, ...] = ()

    @property
    def seats(self) -> int:
        """Count all seats and places."""
        return self.sections[-1].first + self.sections[-1].count if self.sections else 0


class Where(NamedTuple):
    """Where a seat is: indexes of section and row (-1: standing), and what is written on it ('': standing)."""

    section: int
    row: int
    number: str


def where(layout: Layout, seat: int) -> Where:
    """Find a seat. Raises ``IndexError`` for one that the layout does not have."""
    section_index = section_of(layout, seat)
    section = layout.sections[section_index]
    if section.kind is Kind.STANDING:
        return Where(section_index, -1, "")
    row_index = bisect_right(section.rows, seat, key=lambda row: row.first) - 1
    return Where(section_index, row_index, section.rows[row_index].number(seat))


def section_of(layout: Layout, seat: int) -> int:
    """Find a seat's section. Raises ``IndexError`` for a seat that the layout does not have."""
    if not 0 <= seat < layout.seats:
        raise IndexError(f"there is no seat {seat}")
    return bisect_right(layout.sections, seat, key=lambda section: section.first) - 1


def names(layout: Layout, seat: int) -> tuple[str, str, str]:
    """Give what people call a seat: section, row, number (row and number '' where people stand)."""
    section_index, row_index, number = where(layout, seat)
    section = layout.sections[section_index]
    return (section.name, section.rows[row_index].name if row_index >= 0 else "", number)


def at(layout: Layout, seat: int) -> Point | None:
    """Tell where a seat is on the map; None for a place to stand."""
    section_index, row_index, _number = where(layout, seat)
    return layout.sections[section_index].rows[row_index].at(seat) if row_index >= 0 else None


def stretches(row: Row) -> Iterator[tuple[int, int]]:
    """Cut a row at its aisles: (first seat, count) of each stretch of seats without a gap."""
    if isinstance(row.spots, Even) or row.count < 3:
        yield (row.first, row.count)
        return
    steps = [
        (right[0] - left[0]) ** 2 + (right[1] - left[1]) ** 2
        for left, right in zip(_points(row), _points(row)[1:], strict=False)
    ]
    usual = sorted(steps)[(len(steps) - 1) // 2]
    first = row.first
    for index, step in enumerate(steps, start=1):
        if 4 * step > _GAP_RATIO_TIMES_4 * usual:
            yield (first, row.first + index - first)
            first = row.first + index
    yield (first, row.first + row.count - first)


def neighbours(layout: Layout, seat: int) -> tuple[int | None, int | None]:
    """Name the seats beside a seat, left and right as the row counts; None at an aisle or where people stand."""
    section_index, row_index, _number = where(layout, seat)
    if row_index < 0:
        return (None, None)
    for first, count in stretches(layout.sections[section_index].rows[row_index]):
        if first <= seat < first + count:
            return (seat - 1 if seat > first else None, seat + 1 if seat + 1 < first + count else None)
    raise AssertionError("stretches cover their row")  # pragma: no cover


def _points(row: Row) -> list[Point]:
    return [row.at(seat) for seat in range(row.first, row.first + row.count)]
