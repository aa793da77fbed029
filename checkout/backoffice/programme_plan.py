"""Programme's plan: how full a hall is, by section and tier, as numbers and as the places of a picture. Pure.

A hall is one octet a seat (``halls.seats``). Each section of the picture is its own outline, filled from below like a
glass: sold, reserved, held, blocked, kept for who waits, and free on top, each as high as its share. The picture
shows no seat, so it is as large for 60,000 as for 60, and every number in it stands in the table beside it.

Units are those of the layout, about 100 to the distance of two neighbours. Not here: SVG itself (the template).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from checkout.halls.layout import Kind, Layout, Section
from checkout.halls.seats import Status, statuses
from checkout.halls.seats import tier as tier_of

Point = tuple[int, int]

FILLED = (Status.SOLD, Status.RESERVED, Status.HELD, Status.BLOCKED, Status.KEPT, Status.FREE)
"""From below; in this order everywhere."""

LETTER_RATIO = 0.58
"""A letter is about as wide as this part of its height."""


@dataclass(frozen=True, slots=True)
class Counts:
    """Seats by status."""

    sold: int = 0
    reserved: int = 0
    held: int = 0
    blocked: int = 0
    kept: int = 0
    free: int = 0

    @property
    def all(self) -> int:
        """All of them."""
        return self.sold + self.reserved + self.held + self.blocked + self.kept + self.free

    @property
    def sold_percent(self) -> int:
        """How many of a hundred are sold, rounded down: only a hall that is sold out is at a hundred."""
        return self.sold * 100 // self.all if self.all else 0


@dataclass(frozen=True, slots=True)
class Layer:
    """One status in a section's picture: its word, and where it lies."""

    word: str
    y: float
    height: float


@dataclass(frozen=True, slots=True)
class Block:
    """One section: its numbers, and its picture."""

    index: int
    name: str
    is_standing: bool
    counts: Counts
    tiers: tuple[int, ...]
    points: str
    x: int
    width: int
    layers: tuple[Layer, ...]
    label_x: int
    label_y: int
    size: int


@dataclass(frozen=True, slots=True)
class Plan:
    """A whole hall."""

    width: int
    height: int
    stage: tuple[int, int, int, int]
    stage_label: str
    stage_size: int
    blocks: tuple[Block, ...]
    counts: Counts


def counted(hall: bytes) -> Counts:
    """Count the seats of a hall, or of a part of one."""
    plain = statuses(hall)
    return Counts(**{status.name.lower(): plain.count(status) for status in FILLED})


def by_tier(hall: bytes) -> dict[int, Counts]:
    """Count the seats of each tier."""
    kinds = {octet: hall.count(octet) for octet in set(hall)}
    made: dict[int, dict[str, int]] = {}
    for octet, count in kinds.items():
        own = made.setdefault(tier_of(octet), {})
        own[Status(octet & 0x0F).name.lower()] = count
    return {tier: Counts(**own) for tier, own in sorted(made.items())}


def plan_of(layout: Layout, hall: bytes) -> Plan:
    """Draw a hall. `hall` has an octet for each seat of the layout."""
    stage = layout.stage
    return Plan(
        width=layout.width,
        height=layout.height,
        stage=(stage.x, stage.y, stage.width, stage.height),
        stage_label=stage.label,
        stage_size=_size(stage.label, stage.width, stage.height),
        blocks=tuple(_block(index, section, hall) for index, section in enumerate(layout.sections)),
        counts=counted(hall),
    )


def _block(index: int, section: Section, hall: bytes) -> Block:
    own = hall[section.first : section.first + section.count]
    counts = counted(own)
    xs, ys = [x for x, _ in section.outline], [y for _, y in section.outline]
    left, right = (min(xs), max(xs)) if xs else (0, 0)
    top, bottom = (min(ys), max(ys)) if ys else (0, 0)
    middle = _middle(section.outline)
    return Block(
        index=index,
        name=section.name,
        is_standing=section.kind is Kind.STANDING,
        counts=counts,
        tiers=tuple(sorted({tier_of(octet) for octet in set(own)})),
        points=" ".join(f"{x},{y}" for x, y in section.outline),
        x=left,
        width=right - left,
        layers=_layers(counts, top, bottom),
        label_x=middle[0],
        label_y=middle[1],
        size=_size(section.name, _chord(section.outline, middle), bottom - top),
    )


def _layers(counts: Counts, top: int, bottom: int) -> tuple[Layer, ...]:
    made: list[Layer] = []
    below = float(bottom)
    for status in FILLED:
        word = status.name.lower()
        height = (bottom - top) * getattr(counts, word) / counts.all if counts.all else 0.0
        if height:
            below -= height
            made.append(Layer(word, round(below, 1), round(height, 1)))
    return tuple(made)


def _middle(outline: Sequence[Point]) -> Point:
    """Give the centre of gravity of an outline; of one without an area the middle of its points."""
    twice, x, y = 0, 0, 0
    for (ax, ay), (bx, by) in _sides(outline):
        cross = ax * by - bx * ay
        twice, x, y = twice + cross, x + (ax + bx) * cross, y + (ay + by) * cross
    if twice:
        return (round(x / (3 * twice)), round(y / (3 * twice)))
    count = max(1, len(outline))
    return (sum(x for x, _ in outline) // count, sum(y for _, y in outline) // count)


def _chord(outline: Sequence[Point], middle: Point) -> int:
    """Tell how wide an outline is at the height of a point, as far as the nearer side on both hands."""
    x, y = middle
    crossed = [
        ax + (bx - ax) * (y - ay) / (by - ay)
        for (ax, ay), (bx, by) in _sides(outline)
        if min(ay, by) <= y < max(ay, by)
    ]
    left = max((one for one in crossed if one <= x), default=x)
    right = min((one for one in crossed if one > x), default=x)
    return int(2 * min(x - left, right - x))


def _sides(outline: Sequence[Point]) -> Iterator[tuple[Point, Point]]:
    return zip(outline, [*outline[1:], *outline[:1]], strict=True)


def _size(text: str, width: int, height: int) -> int:
    """Tell how large a name is written, so that it stays inside; 0 where it would be too small to read."""
    fits = int(min(height * 0.35, width * 0.85 / (LETTER_RATIO * max(len(text), 1))))
    return max(0, fits)


def lines_of(text: str, numbers: Sequence[int], around: int = 0) -> tuple[tuple[int, str], ...]:
    """Give the lines of a file that faults name, each once and cut to a bearable length."""
    lines = text.splitlines()
    wanted = {
        line
        for number in numbers
        for line in range(number - around, number + around + 1)
        if 0 < line <= len(lines)
    }
    return tuple((line, lines[line - 1][:200]) for line in sorted(wanted))
