"""Best: which free seats side by side so many people get who do not choose themselves.

The rule, what counts most first:

1. The seats stand side by side: in one row, with no aisle between them. All are free, and of the tier and in the
   section that were asked for, if any.
2. Accessible places and their companion seats are left for who needs them and chooses them on the map. They
   are given out here only when there is no other block.
3. No orphan: the block leaves no free seat alone between seats that are not free, an aisle, or a wall; nobody who
   comes as two or more can use it, so it stays empty. A free seat of another tier is company. With an orphan only when
   there is no block without.
4. The nearest to the stage: the least sum of squared distances to its middle. A seat with a restricted view counts as
   further away than any seat without. Of two that are equal, the lower number.

Where people stand nobody is beside anybody, so n places are any n (``Places``: the store picks them). They are for
who names their tier or their section, after the seats of that tier; who names neither gets seats, if the hall has any.

How it is quick: a layout's stretches of seats are sorted once, by their nearest seat (``Index``). A map becomes a text,
``f`` for a free seat that is wanted, ``o`` for another free one, ``_`` for the rest and between stretches, in that
order (``Picture``). A block is then something that ``bytes.find`` or one pattern finds, and the search ends where no
stretch that is left can have anything nearer. A picture is changed by ``take``, so that of a thousand who ask
at once no two are sent to the same block by one worker.

Pure. Not here: what others do meanwhile (the store answers that; ``holds.service`` asks again for another block).
"""

import re
from array import array
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import accumulate

from checkout.halls.seats import TIERS, Status, counts
from checkout.halls.sections import Kind, Layout, Stage, stretches

MOST = 100
"""So many together at most; no stretch of a real hall is longer by much."""

_TAKEN, _WANTED, _OTHER = b"_fo"
_NEEDS = int(Status.HELD)


@dataclass(frozen=True, slots=True)
class Together:
    """What is wished for: so many seats side by side; of any tier and anywhere, where that is None."""

    count: int
    tier: int | None = None
    section: int | None = None


@dataclass(frozen=True, slots=True)
class Block:
    """These seats."""

    seats: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Places:
    """Any ``count`` of the places to stand from ``first`` to ``last``."""

    first: int
    last: int
    count: int


# ------------------------------------------------------------------------------- what a layout says


@dataclass(frozen=True, slots=True)
class Part:
    """The stretches of a hall or of one section, the nearest first, as the text of a picture has them."""

    spans: Sequence[tuple[int, int]]
    """First seat, and the one after the last."""
    low: Sequence[int]
    """For each stretch: the cost of its nearest seat."""
    starts: Sequence[int]
    """For each stretch: where it begins in the text."""
    span_at: Sequence[int]
    """For each place of the text: its stretch."""
    base: int
    text_at: Sequence[int]
    """For each seat from ``base`` on: its place in the text; 0 for one in no stretch."""
    apart: Sequence[int]
    """Where in the text the accessible places and their companions are."""
    longest: int


class Index:
    """What of a layout matters for the choice; built once, in some tens of milliseconds."""

    def __init__(self, layout: Layout) -> None:
        costs = _costs(layout)
        self.sums = [0, *accumulate(costs)]
        """For each seat: the costs of all seats before it."""
        apart = {*layout.accessible, *(seat for pair in layout.companions for seat in pair)}
        by_section = [
            [(first, first + count) for row in section.rows for first, count in stretches(row)]
            for section in layout.sections
        ]
        whole = [span for spans in by_section for span in spans]
        self.seats = layout.seats
        self.whole = _part(whole, costs, apart, 0, layout.seats)
        self.sections = [
            _part(spans, costs, apart, section.first, section.count)
            for spans, section in zip(by_section, layout.sections, strict=True)
        ]
        standing = [at for at, section in enumerate(layout.sections) if section.kind is Kind.STANDING]
        standing.sort(key=lambda at: _cost_of(layout.sections[at].outline, layout.stage))
        self.standing = [(at, layout.sections[at].first, layout.sections[at].count) for at in standing]
        """Sections to stand in, the nearest first: number, first place, places."""

    def part(self, section: int | None) -> Part | None:
        """Return the stretches of a section, or of the hall; None for a section that there is not."""
        if section is None:
            return self.whole
        return self.sections[section] if 0 <= section < len(self.sections) else None


def _costs(layout: Layout) -> list[int]:
    """Tell how far each seat is from the stage's middle, squared."""
    costs = [0] * layout.seats
    middle_x, middle_y = _middle(layout.stage)
    for section in layout.sections:
        for row in section.rows:
            for seat in range(row.first, row.first + row.count):
                x, y = row.at(seat)
                costs[seat] = (x - middle_x) ** 2 + (y - middle_y) ** 2
    beyond = MOST * (max(costs, default=0) + 1)
    for seat in layout.restricted_view:
        costs[seat] += beyond
    return costs


def _cost_of(outline: Sequence[tuple[int, int]], stage: Stage) -> int:
    middle_x, middle_y = _middle(stage)
    x = sum(x for x, _ in outline) // len(outline)
    y = sum(y for _, y in outline) // len(outline)
    return int((x - middle_x) ** 2 + (y - middle_y) ** 2)


def _middle(stage: Stage) -> tuple[int, int]:
    return (stage.x + stage.width // 2, stage.y + stage.height // 2)


def _part(
    spans: Iterable[tuple[int, int]], costs: Sequence[int], apart: set[int], base: int, count: int
) -> Part:
    ordered = sorted((min(costs[first:end]), first, end) for first, end in spans)
    starts, span_at, text_at = array("i"), array("i", [0]), array("i", bytes(count * array("i").itemsize))
    for number, (_, first, end) in enumerate(ordered):
        starts.append(len(span_at))
        text_at[first - base : end - base] = array("i", range(len(span_at), len(span_at) + end - first))
        span_at.extend([number] * (end - first + 1))
    return Part(
        spans=[(first, end) for _, first, end in ordered],
        low=[low for low, _, _ in ordered],
        starts=starts,
        span_at=span_at,
        base=base,
        text_at=text_at,
        apart=[text_at[seat - base] for seat in sorted(apart) if base <= seat < base + count],
        longest=max((end - first for _, first, end in ordered), default=0),
    )


# ------------------------------------------------------------------------------------ a map to choose from


class Picture:
    """A map as it was a moment ago, less what was taken since."""

    def __init__(self, index: Index, hall: bytes, *, by_name: bool = False) -> None:
        """Take a map of the layout. `by_name`: places to stand are chosen here as well (see ``as_free``)."""
        self._index = index
        self._hall = bytearray(hall)
        self._by_name = by_name
        self._texts: dict[tuple[int, int | None, bool], tuple[Part, bytearray]] = {}

    def take(self, seats: Iterable[int]) -> None:
        """Let seats be free no more."""
        texts = self._texts.values()
        for seat in seats:
            if 0 <= seat < len(self._hall):
                self._hall[seat] = self._hall[seat] & 0xF0 | _NEEDS
                for part, text in texts:
                    at = seat - part.base
                    if 0 <= at < len(part.text_at):
                        # A place to stand is in no stretch; its 0 is the margin, which is taken anyway.
                        text[part.text_at[at]] = _TAKEN

    def best(self, wish: Together, start: int = 0, *, anywhere: bool = False) -> Block | Places | None:
        """Choose; None when there is no such block.

        `start` passes over so many stretches behind the best block's, from the last one back to the first: who lost
        a block to somebody faster looks elsewhere than all the others who did. `anywhere`: it passes over so many
        seats instead, and the next block is taken, though a nearer one may be beside it; who has lost twice wants
        seats more than the best of them.
        """
        part = self._index.part(wish.section)
        if part is None:
            return None
        if 1 <= wish.count <= part.longest:
            for with_apart in (False, True) if part.apart else (False,):
                text = self._text(wish, part, with_apart=with_apart)
                for leaves_none in (True, False):
                    seat = (
                        _any(text, part, wish.count, start, leaves_none=leaves_none)
                        if anywhere
                        else _nearest(
                            text, part, self._index.sums, wish.count, start, leaves_none=leaves_none
                        )
                    )
                    if seat is not None:
                        return Block(tuple(range(seat, seat + wish.count)))
        names_none = wish.tier is None and wish.section is None
        return None if names_none and self._index.whole.spans else self.stand(wish)

    def stand(self, wish: Together) -> Block | Places | None:
        """Choose places to stand, in the nearest section that has so many."""
        for number, first, count in self._index.standing:
            if wish.section is not None and wish.section != number:
                continue
            own = self._hall[first : first + count]
            free = self.left(number)
            fit = free if wish.tier is None else own.count(wish.tier << 4)
            if not 1 <= wish.count <= fit:
                continue
            if fit == free and not self._by_name:
                return Places(first, first + count - 1, wish.count)
            plain = own.translate(_table(wish.tier))
            chosen = [first + at for at, byte in enumerate(plain) if byte == _WANTED]
            return Block(tuple(chosen[: wish.count]))
        return None

    def left(self, section: int) -> int:
        """Count the free seats or places of a section."""
        part = self._index.sections[section]
        return counts(bytes(self._hall[part.base : part.base + len(part.text_at)]))[Status.FREE]

    def _text(self, wish: Together, part: Part, *, with_apart: bool) -> bytearray:
        key = (-1 if wish.section is None else wish.section, wish.tier, with_apart)
        found = self._texts.get(key)
        if found is None:
            whole = part is self._index.whole
            hall = self._hall if whole else self._hall[part.base : part.base + len(part.text_at)]
            plain, base = bytes(hall).translate(_table(wish.tier)), part.base
            text = bytearray(
                b"_%s_" % b"_".join([plain[first - base : end - base] for first, end in part.spans])
            )
            if not with_apart:
                for at in part.apart:
                    text[at] = _TAKEN
            found = self._texts[key] = (part, text)
        return found[1]


def as_free(hall: bytes, mask: bytes) -> bytes:
    """Show a map as it is for who has the code of an allocation: of its blocked seats each is free, no other is.

    `mask` has 255 for each seat of the allocation, else 0.
    """
    blocked = int.from_bytes(hall.translate(_BLOCKED), "little")
    own = (blocked & int.from_bytes(mask, "little")).to_bytes(len(hall), "little")
    return own.translate(_OPENED)


_MARK = 0x08
_BLOCKED = bytes(byte | _MARK if byte & 15 == Status.BLOCKED else 0 for byte in range(256))
_OPENED = bytes(byte & 0xF0 if byte & _MARK else _NEEDS for byte in range(256))


@lru_cache(maxsize=TIERS + 1)
def _table(tier: int | None) -> bytes:
    """Make the table that turns a map into a text."""
    return bytes(
        _TAKEN if byte & 15 != Status.FREE else _WANTED if tier in {None, byte >> 4} else _OTHER
        for byte in range(256)
    )


@lru_cache(maxsize=MOST)
def _leaving_none(count: int) -> re.Pattern[bytes]:
    """Make the pattern of a block with, on either side, either nothing free or two."""
    block = b"f" * count
    return re.compile(b"%s(?=_|[fo]{2})(?:(?<=_%s)|(?<=[fo]{2}%s))" % (block, block, block))


def _nearest(
    text: bytearray, part: Part, sums: Sequence[int], count: int, start: int, *, leaves_none: bool
) -> int | None:
    """Return the first seat of the nearest block."""
    first = _next_block(text, 0, count, leaves_none=leaves_none)
    if first < 0:
        return None
    if start:
        nearest, furthest = part.span_at[first], part.span_at[text.rfind(b"f" * count)]
        begin = part.starts[nearest + start % (furthest - nearest + 1)]
        if begin > first:
            found = _next_block(text, begin, count, leaves_none=leaves_none)
            first = found if found >= 0 else first
    return _search(text, part, sums, count, first, leaves_none=leaves_none)


def _any(text: bytearray, part: Part, count: int, start: int, *, leaves_none: bool) -> int | None:
    """Return the first seat of a block so many places behind the nearest stretch that has one, or of that one."""
    first = _next_block(text, 0, count, leaves_none=leaves_none)
    if first < 0:
        return None
    begin = first + start % (text.rfind(b"f" * count) - first + 1)
    found = _next_block(text, begin, count, leaves_none=leaves_none)
    at = found if found >= 0 else first
    number = part.span_at[at]
    return at + part.spans[number][0] - part.starts[number]


def _next_block(text: bytearray, begin: int, count: int, *, leaves_none: bool) -> int:
    if leaves_none:
        found = _leaving_none(count).search(text, begin)
        return found.start() if found else -1
    return text.find(b"f" * count, begin)


def _search(
    text: bytearray, part: Part, sums: Sequence[int], count: int, at: int, *, leaves_none: bool
) -> int | None:
    """Look at one gap after the other, from the one with the block at `at`, while a nearer block may come."""
    best: int | None = None
    best_cost = 0
    while at >= 0:
        number = part.span_at[at]
        if best is not None and part.low[number] * count > best_cost:
            break
        left, right = text.rfind(b"_", 0, at) + 1, text.find(b"_", at)
        shift = part.spans[number][0] - part.starts[number]
        is_mixed = text.find(b"o", left, right) >= 0
        for begin in range(left, right - count + 1):
            if leaves_none and (begin - left == 1 or right - begin - count == 1):
                continue
            if is_mixed and text.find(b"o", begin, begin + count) >= 0:
                continue
            seat = begin + shift
            cost = sums[seat + count] - sums[seat]
            if best is None or (cost, seat) < (best_cost, best):
                best, best_cost = seat, cost
        at = _next_block(text, right, count, leaves_none=leaves_none)
    return best
