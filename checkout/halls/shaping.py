"""Shaping: a list of seats with places on the map becomes a layout.

Straight rows and counted numbers are recognised, so that the document stays small; outlines are drawn around what
belongs to a section; everything is moved so that it begins in the upper left corner. Not here: formats (``plans``).
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import isqrt

from checkout.faults import Faults
from checkout.halls.layout import PITCH, Counted, Even, Kind, Layout, Placed, Row, Section, Stage

MARGIN = PITCH
PLACE_UNITS = 13_000
"""The floor that one person who stands takes, in square units: three people a square metre, seats half a metre wide."""

STAGE_DEPTH = 4 * PITCH
Point = tuple[int, int]


@dataclass(slots=True)
class Spot:
    """A seat; ``place`` says where in the file it stands."""

    number: str
    x: int
    y: int
    tier: int
    place: str
    accessible: bool = False
    restricted_view: bool = False
    companion_of: tuple[str, str, str] | None = None


@dataclass(slots=True)
class Area:
    """A section: rows of seats, or ``standing`` places around ``middle``."""

    name: str
    line: int = 0
    rows: dict[str, list[Spot]] = field(default_factory=dict)
    standing: int = 0
    tier: int = 0
    middle: Point = (0, 0)
    outline: list[Point] = field(default_factory=list)


def lay_out(name: str, areas: Sequence[Area], stage: Stage | None, faults: Faults) -> tuple[Layout, bytes]:
    """Make the layout, and one octet a seat with its tier. Faults of several seats together go into ``faults``.

    A stage that is given is in the same units as the seats; without one it is drawn above them.
    """
    for area in areas:
        area.outline = _outline(area)
    points = [point for area in areas for point in area.outline]
    if stage is not None:
        points += [(stage.x, stage.y), (stage.x + stage.width, stage.y + stage.height)]
    left, right = min(x for x, _ in points), max(x for x, _ in points)
    top, bottom = min(y for _, y in points), max(y for _, y in points)
    if stage is None:
        width = max(PITCH, (right - left) // 3)
        stage = Stage((left + right - width) // 2, top - STAGE_DEPTH - MARGIN, width, STAGE_DEPTH, "Stage")
        top = stage.y
    shift = (MARGIN - left, MARGIN - top)
    sections = _sections(areas, shift)
    layout = Layout(
        name,
        right - left + 2 * MARGIN,
        bottom - top + 2 * MARGIN,
        Stage(stage.x + shift[0], stage.y + shift[1], stage.width, stage.height, stage.label),
        sections,
        *_marks(areas, faults),
    )
    tiers = b"".join(
        bytes([area.tier]) * area.standing
        if area.standing
        else bytes(spot.tier for row in area.rows.values() for spot in row)
        for area in areas
    )
    return layout, tiers


def hull(points: Sequence[Point]) -> list[Point]:
    """Give the corners of the smallest convex shape around points (Andrew's monotone chain)."""
    ordered = sorted(set(points))
    if len(ordered) < 3:
        return ordered
    return _half(ordered)[:-1] + _half(ordered[::-1])[:-1]


def row_of(name: str, first: int, spots: Sequence[Spot], shift: Point = (0, 0)) -> Row:
    """Make a row, as short as it can be written."""
    xs = tuple(spot.x + shift[0] for spot in spots)
    ys = tuple(spot.y + shift[1] for spot in spots)
    return Row(name, first, len(spots), _numbers([spot.number for spot in spots]), _spots(xs, ys))


def _half(ordered: Sequence[Point]) -> list[Point]:
    made: list[Point] = []
    for point in ordered:
        while len(made) > 1 and _turn(made[-2], made[-1], point) <= 0:
            made.pop()
        made.append(point)
    return made


def _turn(a: Point, b: Point, c: Point) -> int:
    return (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0])


def _outline(area: Area) -> list[Point]:
    """Draw a line around a section, a little more than half a seat away from its seats."""
    if area.outline:
        return area.outline
    if area.standing:
        x, y = area.middle
        half = isqrt(area.standing * PLACE_UNITS) // 2 + 1
        return [(x - half, y - half), (x + half, y - half), (x + half, y + half), (x - half, y + half)]
    reach = PITCH * 6 // 10
    corners = [
        (spot.x + dx, spot.y + dy)
        for row in area.rows.values()
        for spot in (row if len(row) < 3 else _ends(row))
        for dx in (-reach, reach)
        for dy in (-reach, reach)
    ]
    return hull(corners)


def _ends(row: Sequence[Spot]) -> list[Spot]:
    corners = set(hull([(spot.x, spot.y) for spot in row]))
    return [spot for spot in row if (spot.x, spot.y) in corners]


def _sections(areas: Sequence[Area], shift: Point) -> tuple[Section, ...]:
    made: list[Section] = []
    first = 0
    for area in areas:
        begin = first
        rows = []
        for name, spots in area.rows.items():
            rows.append(row_of(name, first, spots, shift))
            first += len(spots)
        first += area.standing
        outline = tuple((x + shift[0], y + shift[1]) for x, y in area.outline)
        kind = Kind.STANDING if area.standing else Kind.SEATS
        made.append(Section(area.name, kind, begin, first - begin, outline, tuple(rows)))
    return tuple(made)


def _marks(
    areas: Sequence[Area], faults: Faults
) -> tuple[tuple[int, ...], tuple[tuple[int, int], ...], tuple[int, ...]]:
    accessible: dict[tuple[str, str, str], int] = {}
    restricted: list[int] = []
    wanted: list[tuple[int, Spot]] = []
    index = 0
    for area in areas:
        for row, spots in area.rows.items():
            for spot in spots:
                if spot.accessible:
                    accessible[area.name, row, spot.number] = index
                if spot.restricted_view:
                    restricted.append(index)
                if spot.companion_of:
                    wanted.append((index, spot))
                index += 1
        index += area.standing
    pairs = []
    for companion, spot in wanted:
        beside = accessible.get(spot.companion_of or ("", "", ""))
        if beside is None or spot.accessible:
            name = "/".join(spot.companion_of or ())
            why = "is no accessible seat" if beside is None else "cannot be beside an accessible seat itself"
            faults.add(f"{spot.place}: companion_of {name} {why}")
        else:
            pairs.append((beside, companion))
    return tuple(accessible.values()), tuple(sorted(pairs)), tuple(restricted)


def _numbers(numbers: Sequence[str]) -> Counted | tuple[str, ...]:
    counts = [int(number) for number in numbers if number.isascii() and number.isdigit() and len(number) < 6]
    if len(counts) < len(numbers):
        return tuple(numbers)
    step = counts[1] - counts[0] if len(counts) > 1 else 1
    counted = Counted(counts[0], step)
    # Text is compared, not value: "07" is not "7".
    same = all(text == str(counted.start + index * step) for index, text in enumerate(numbers))
    return counted if same and step and abs(step) <= 1000 else tuple(numbers)


def _spots(xs: tuple[int, ...], ys: tuple[int, ...]) -> Even | Placed:
    if len(xs) == 1:
        return Even(xs[0], ys[0], PITCH, 0)
    dx, dy = xs[1] - xs[0], ys[1] - ys[0]
    even = all(
        x == xs[0] + index * dx and y == ys[0] + index * dy
        for index, (x, y) in enumerate(zip(xs, ys, strict=True))
    )
    return Even(xs[0], ys[0], dx, dy) if even and (dx or dy) else Placed(xs, ys)
