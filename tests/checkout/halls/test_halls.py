"""The two halls: as large as they say, drawn so that no seat lies on another, and small as documents."""

import gzip
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from itertools import pairwise

import pytest

from checkout.halls.houses import arena_60000, theatre_2000
from checkout.halls.layout import Kind, Layout, Section, document, layout_id, neighbours, read, where
from checkout.halls.plans import Plan

HALLS = pytest.mark.parametrize("hall", [theatre_2000, arena_60000])
CLEAR_UNITS = 95
"""A seat is some 90 units wide on the map; closer ones would touch."""


def _spots(layout: Layout) -> Iterator[tuple[int, int, int]]:
    for section in layout.sections:
        for row in section.rows:
            for seat in range(row.first, row.first + row.count):
                yield (seat, *row.at(seat))


def _is_inside(x: int, y: int, section: Section) -> bool:
    crossed = False
    for (x0, y0), (x1, y1) in pairwise((*section.outline, section.outline[0])):
        if (y0 > y) != (y1 > y) and x < x0 + (x1 - x0) * (y - y0) / (y1 - y0):
            crossed = not crossed
    return crossed


def closest_units(layout: Layout) -> float:
    """Find the least distance of two seats, by sorting them into squares of the map."""
    squares: dict[tuple[int, int], list[tuple[int, int]]] = defaultdict(list)
    least = float("inf")
    for _seat, x, y in _spots(layout):
        column, line = x // 200, y // 200
        for near in ((column + dx, line + dy) for dx in (-1, 0, 1) for dy in (-1, 0, 1)):
            for other_x, other_y in squares.get(near, ()):
                least = min(least, ((x - other_x) ** 2 + (y - other_y) ** 2) ** 0.5)
        squares[column, line].append((x, y))
    return least


@pytest.mark.parametrize(
    ("hall", "seats", "standing"), [(theatre_2000, 2_000, 0), (arena_60000, 60_000, 8_336)]
)
def test_a_hall_has_the_places_of_its_name(hall: Callable[[], Plan], seats: int, standing: int) -> None:
    """Exactly, with a tier for each."""
    plan = hall()

    assert plan.layout.seats == len(plan.tiers) == seats
    places = sum(section.count for section in plan.layout.sections if section.kind is Kind.STANDING)
    assert places == standing
    assert set(Counter(plan.tiers)) == set(range(len(plan.tier_names)))


@HALLS
def test_no_seat_lies_on_another(hall: Callable[[], Plan]) -> None:
    """Two seats are at least a seat's width apart, across rows and blocks."""
    assert closest_units(hall().layout) >= CLEAR_UNITS


@HALLS
def test_the_document_reads_back(hall: Callable[[], Plan]) -> None:
    """The hall keeps all rules of a layout, and the same code makes the same address."""
    text = document(hall().layout)

    assert read(text) == hall().layout
    assert layout_id(text) == layout_id(hall().layout)


@pytest.mark.parametrize(
    ("hall", "octets", "packed"), [(theatre_2000, 40_000, 12_000), (arena_60000, 150_000, 30_000)]
)
def test_the_document_stays_small(hall: Callable[[], Plan], octets: int, packed: int) -> None:
    """It is fetched once by each fan, over a telephone."""
    text = document(hall().layout).encode()

    assert len(text) <= octets
    assert len(gzip.compress(text, 6)) <= packed


@HALLS
def test_every_seat_is_inside_its_own_outline_only(hall: Callable[[], Plan]) -> None:
    """The ends of each row, against the outlines of all blocks and the stage."""
    layout = hall().layout
    stage = layout.stage
    for index, section in enumerate(layout.sections):
        for row in section.rows:
            for seat in (row.first, row.first + row.count - 1):
                x, y = row.at(seat)

                assert [other for other, block in enumerate(layout.sections) if _is_inside(x, y, block)] == [
                    index
                ]
                assert not (stage.x <= x <= stage.x + stage.width and stage.y <= y <= stage.y + stage.height)


@HALLS
def test_a_companion_sits_beside_the_accessible_place(hall: Callable[[], Plan]) -> None:
    """Each accessible place has one, in the same row."""
    layout = hall().layout

    assert len(layout.accessible) == len(layout.companions) > 0
    for place, companion in layout.companions:
        assert companion in neighbours(layout, place)


@HALLS
def test_a_hall_has_seats_with_a_restricted_view(hall: Callable[[], Plan]) -> None:
    """A few, and none of the accessible ones."""
    layout = hall().layout

    assert 0 < len(layout.restricted_view) <= layout.seats // 30
    assert not set(layout.restricted_view) & set(layout.accessible)


def test_the_stalls_lie_before_the_balconies() -> None:
    """Sections come in the order in which a theatre is read: from the stage to the roof, left to right."""
    layout = theatre_2000().layout

    assert [section.name for section in layout.sections] == [
        f"{story} {block}"
        for story in ("Stalls", "First balcony", "Second balcony")
        for block in ("left", "centre", "right")
    ]
    assert where(layout, 0) == (0, 0, "1")


def test_a_step_that_is_too_short_would_be_seen() -> None:
    """The measure of distance finds the one pair of seats that is pushed together."""
    text = document(theatre_2000().layout)
    layout = read(text)
    seat, x, y = next(iter(_spots(layout)))
    first = next(iter(layout.sections[0].rows))
    moved = text.replace(f'"xs":[{x},{first.at(seat + 1)[0]}', f'"xs":[{x},{x + 10}', 1).replace(
        f'"ys":[{y},{first.at(seat + 1)[1]}', f'"ys":[{y},{y}', 1
    )

    assert moved != text
    assert closest_units(read(moved)) < CLEAR_UNITS
