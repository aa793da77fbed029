"""Hall: two houses that the demo, the crowd and the benchmarks sell, made by a few lines of geometry.

``theatre_2000``: stalls in curved rows with side blocks, two balconies, 2,000 seats. ``arena_60000``: a horseshoe of
three tiers around a floor of some 8,000 to stand on, 60,000 places; its rows are straight within a block, so that the
document stays small. Both have accessible places with companions, and seats with a restricted view. Same code, same
hall, same layout id. Not here: halls of others (``plans``), what a seat costs (``catalogue.programme``).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import ceil, cos, floor, hypot, pi, radians, sin, tan

from checkout.faults import Faults
from checkout.halls.plans import Plan
from checkout.halls.sections import PITCH, Counted, Even, Kind, Layout, Point, Row, Section, Stage
from checkout.halls.shaping import Area, Spot, hull, lay_out

METRE = 2 * PITCH

# ------------------------------------------------------------------------------ the theatre

THEATRE_SEATS = 2_000
THEATRE_TIERS = ("Premium", "Stalls", "First balcony", "Second balcony")
THEATRE_DEPTH = 112
"""From one row to the next."""

_LETTERS = "ABCDEFGHJKLMNPQRSTUVWXYZ"


@dataclass(frozen=True, slots=True)
class Floor:
    """One floor of the theatre: rows around the stage, from ``radius`` outwards; angles in degrees."""

    name: str
    radius: int
    rows: int
    blocks: tuple[tuple[str, float, float], ...]
    tier: int


_BLOCKS = (("left", -38.0, -17.0), ("centre", -17.0, 17.0), ("right", 17.0, 38.0))
_UPPER_BLOCKS = (("left", -37.0, -17.0), ("centre", -17.0, 17.0), ("right", 17.0, 37.0))
_FLOORS = (
    Floor("Stalls", 2_300, 23, _BLOCKS, 1),
    Floor("First balcony", 5_200, 7, _BLOCKS, 2),
    Floor("Second balcony", 6_350, 6, _UPPER_BLOCKS, 3),
)
_PREMIUM_ROWS = 8
_PAIRS = 8


def theatre_2000() -> Plan:
    """Build the theatre."""
    areas = [
        _theatre_block(story, block, left, right) for story in _FLOORS for block, left, right in story.blocks
    ]
    _trim(areas, THEATRE_SEATS)
    _theatre_marks(areas)
    stage = Stage(-1_100, 950, 2_200, 900, "Stage")
    layout, tiers = lay_out("Harbour Theatre", areas, stage, Faults("plan-invalid", "The hall has faults."))
    return Plan(layout, tiers, THEATRE_TIERS)


def _theatre_block(story: Floor, block: str, left: float, right: float) -> Area:
    area = Area(f"{story.name} {block}")
    for index in range(story.rows):
        radius = story.radius + index * THEATRE_DEPTH
        tier = 0 if story.tier == 1 and index < _PREMIUM_ROWS and block == "centre" else story.tier
        area.rows[_LETTERS[index]] = [
            Spot(str(number), x, y, tier, "")
            for number, (x, y) in enumerate(_arc(radius, left, right), start=1)
        ]
    inner, outer = story.radius - 60, story.radius + (story.rows - 1) * THEATRE_DEPTH + 60
    angles = [left + (right - left) * step / 6 for step in range(7)]
    area.outline = [_polar(inner, angle) for angle in angles] + [
        _polar(outer, angle) for angle in angles[::-1]
    ]
    return area


def _arc(radius: int, left: float, right: float) -> Iterator[Point]:
    """Set seats along an arc, in the middle between its ends, half an aisle away from both."""
    length = radius * radians(right - left) - 130
    count = floor(length / (PITCH + 1)) + 1
    middle, step = (left + right) / 2, (PITCH + 1) / radius * 180 / pi
    for index in range(count):
        yield _polar(radius, middle + (index - (count - 1) / 2) * step)


def _polar(radius: float, degrees: float) -> Point:
    return (round(radius * sin(radians(degrees))), round(radius * cos(radians(degrees))))


def _trim(areas: Sequence[Area], wanted: int) -> None:
    """Leave out seats at the walls of the last rows, left and right in turn, until the number is right."""
    surplus = sum(len(row) for area in areas for row in area.rows.values()) - wanted
    rows = [row for area in (areas[-3], areas[-1]) for row in reversed(area.rows.values())]
    sides = [(rows[index], index < len(rows) // 2) for index in range(len(rows))]
    half = len(sides) // 2
    order = [side for pair in zip(sides[:half], sides[half:], strict=True) for side in pair]
    for index in range(surplus):
        row, is_left = order[index % len(order)]
        row.pop(0 if is_left else -1)
        for number, spot in enumerate(row, start=1):
            spot.number = str(number)


def _theatre_marks(areas: Sequence[Area]) -> None:
    """Accessible places with companions in the last row of the stalls; the balconies' outer ends see less."""
    back = list(areas[1].rows.items())[-1]
    for pair in range(_PAIRS):
        place, companion = back[1][2 * pair], back[1][2 * pair + 1]
        place.accessible = True
        companion.companion_of = (areas[1].name, back[0], place.number)
    for area in areas[3:]:
        for row in area.rows.values():
            ends = row[:2] if area.name.endswith("left") else row[-2:] if area.name.endswith("right") else []
            for spot in ends:
                spot.restricted_view = True


# -------------------------------------------------------------------------------- the arena

ARENA_PLACES = 60_000
ARENA_TIERS = ("Front standing", "Standing", "Lower tier", "Middle tier", "Upper tier")
ARENA_DEPTH = 130
SIDE, END, CORNER = 16_900, 8_500, 2_500
"""Straight parts of the bowl's inner edge, and the radius of its corners."""

_AISLE = 120
_FRONT = 2_400
_SIDE_BLOCKS, _END_BLOCKS = 4, 2


@dataclass(frozen=True, slots=True)
class Ring:
    """One tier of the bowl: where it begins, how many rows it has and how many blocks fill a corner."""

    radius: int
    rows: int
    corner: int
    hundred: int


_RINGS = (Ring(CORNER, 26, 2, 100), Ring(6_500, 24, 3, 200), Ring(10_250, 29, 4, 300))


@dataclass(frozen=True, slots=True)
class Block:
    """A block of straight rows: the direction away from the floor, and how a row lies at a distance from it."""

    x: float
    y: float
    degrees: float
    width: float
    spread: float
    """How much wider a row gets for each unit further out; 0 on the straight sides."""


def arena_60000() -> Plan:
    """Build the arena."""
    top = CORNER + 600
    # The blocks of the corners stand out a little.
    reach = _RINGS[-1].radius + _RINGS[-1].rows * ARENA_DEPTH + 4 * PITCH
    left, right, bottom = reach, reach + END, top + SIDE
    sections: list[Section] = []
    tiers: list[bytes] = []
    first = 0
    for tier, ring in enumerate(_RINGS, start=2):
        for index, block in enumerate(_blocks(ring, left, right, top, bottom), start=1):
            section = _arena_block(str(ring.hundred + index), block, ring, first)
            sections.append(section)
            tiers.append(bytes([tier]) * section.count)
            first += section.count
    accessible, companions = _arena_pairs(sections)
    restricted = _beside_the_stage(sections)
    for tier, (name, outline, count) in enumerate(_floors(left, right, top, bottom, ARENA_PLACES - first)):
        sections.append(Section(name, Kind.STANDING, first, count, outline))
        tiers.append(bytes([tier]) * count)
        first += count
    layout = Layout(
        name="Northfield Arena",
        width=right + reach,
        height=bottom + reach,
        stage=Stage((left + right) // 2 - 3_000, 400, 6_000, 2_200, "Stage"),
        sections=tuple(sections),
        accessible=accessible,
        companions=companions,
        restricted_view=restricted,
    )
    return Plan(layout, b"".join(tiers), ARENA_TIERS)


def _floors(
    left: int, right: int, top: int, bottom: int, places: int
) -> Iterator[tuple[str, tuple[Point, ...], int]]:
    """Cut the floor in two: in front of the stage, and behind that."""
    x0, x1 = left - CORNER + 500, right + CORNER - 500
    middle, end, cut = top + 3_600, bottom + CORNER - 800, 1_500
    yield "Front standing", ((x0, top), (x1, top), (x1, middle), (x0, middle)), _FRONT
    x2, x3, y0, y1 = x0 + cut, x1 - cut, middle + 300, end - cut
    yield (
        "Standing",
        ((x0, y0), (x1, y0), (x1, y1), (x3, end), (x2, end), (x0, y1)),
        places - _FRONT,
    )


def _blocks(ring: Ring, left: int, right: int, top: int, bottom: int) -> Iterator[Block]:
    """Go around a ring, from the stage's left along the horseshoe to its right."""
    side, end, turn = SIDE / _SIDE_BLOCKS, END / _END_BLOCKS, 90 / ring.corner
    spread = 2 * tan(radians(turn / 2))
    for index in range(_SIDE_BLOCKS):
        yield Block(left, top + side * (index + 0.5), 180, side, 0)
    for index in range(ring.corner):
        yield Block(left, bottom, 180 - turn * (index + 0.5), 0, spread)
    for index in range(_END_BLOCKS):
        yield Block(left + end * (index + 0.5), bottom, 90, end, 0)
    for index in range(ring.corner):
        yield Block(right, bottom, 90 - turn * (index + 0.5), 0, spread)
    for index in range(_SIDE_BLOCKS):
        yield Block(right, bottom - side * (index + 0.5), 0, side, 0)


def _arena_block(name: str, block: Block, ring: Ring, first: int) -> Section:
    out = (cos(radians(block.degrees)), sin(radians(block.degrees)))
    # Whoever sits there looks inwards and counts from the left hand to the right.
    dx, dy = _step(-out[1], out[0])
    rows: list[Row] = []
    begin = first
    for index in range(ring.rows):
        radius = ring.radius + index * ARENA_DEPTH
        length = block.width + block.spread * radius - 2 * _AISLE
        count = floor(length / hypot(dx, dy)) + 1
        x = round(block.x + out[0] * radius - dx * (count - 1) / 2)
        y = round(block.y + out[1] * radius - dy * (count - 1) / 2)
        rows.append(Row(str(index + 1), first, count, Counted(1, 1), Even(x, y, dx, dy)))
        first += count
    corners = [row.at(seat) for row in (rows[0], rows[-1]) for seat in (row.first, row.first + row.count - 1)]
    outline = hull([(x + dx, y + dy) for x, y in corners for dx in (-60, 60) for dy in (-60, 60)])
    return Section(name, Kind.SEATS, begin, first - begin, tuple(outline), tuple(rows))


def _step(x: float, y: float) -> Point:
    """Give the step in whole units that is nearest to a direction and no shorter than a seat is wide."""
    options = [
        (sx, sy)
        for sx in range(floor(x * PITCH) - 1, ceil(x * PITCH) + 2)
        for sy in range(floor(y * PITCH) - 1, ceil(y * PITCH) + 2)
        if hypot(sx, sy) >= PITCH
    ]
    return min(options, key=lambda step: (step[0] - x * PITCH) ** 2 + (step[1] - y * PITCH) ** 2)


def _arena_pairs(sections: Sequence[Section]) -> tuple[tuple[int, ...], tuple[tuple[int, int], ...]]:
    """Accessible places and companions, in turn, along the walkway behind every other lower block."""
    lower = sections[: _SIDE_BLOCKS * 2 + _END_BLOCKS + _RINGS[0].corner * 2 : 2]
    pairs = [
        (seat, seat + 1)
        for section in lower
        for seat in range(section.rows[-1].first, section.rows[-1].first + 2 * _PAIRS, 2)
    ]
    return tuple(place for place, _ in pairs), tuple(pairs)


def _beside_the_stage(sections: Sequence[Section]) -> tuple[int, ...]:
    """Name the seats of the lower tier nearest to the stage: they see it from the side."""
    last = _SIDE_BLOCKS * 2 + _END_BLOCKS + _RINGS[0].corner * 2 - 1
    seats = [
        seat
        for section in (sections[0], sections[last])
        for row in section.rows
        for seat in sorted(range(row.first, row.first + row.count), key=lambda seat: row.at(seat)[1])[:5]
    ]
    return tuple(sorted(seats))
