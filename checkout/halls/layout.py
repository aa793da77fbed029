"""Layout: the immutable plan of a hall, as canonical JSON (sorted keys, no spaces), and back.

{"name", "width", "height", "stage": {"x", "y", "width", "height", "label"},
 "sections": [{"name", "kind": "seats" | "standing", "first", "count", "outline": [[x, y], …],
   "rows": [{"name", "first", "count", "numbers": ["1", "2", …] or {"from": 1, "step": 1},
             "x", "y", "dx", "dy" (a straight row) or "xs": […], "ys": […]}]}],
 "accessible": [seat …], "companions": [[seat, companion seat] …], "restricted_view": [seat …]}

The same layout is the same text, so its id (first 16 hex digits of the SHA-256) is an address that may be cached for
ever. Reading tells all faults at once. What a layout consists of is in ``sections``, whose names can be had from here
too. Not here: other people's formats (``plans``).
"""

import hashlib
import json
from collections.abc import Iterator, Mapping
from typing import Any

from checkout.faults import Faults
from checkout.halls.sections import (
    MOST_SEATS,
    PITCH,
    Counted,
    Even,
    Kind,
    Layout,
    Placed,
    Point,
    Row,
    Section,
    Stage,
    Where,
    at,
    names,
    neighbours,
    section_of,
    stretches,
    where,
)

__all__ = [
    "MOST_SEATS",
    "PITCH",
    "Counted",
    "Even",
    "Kind",
    "Layout",
    "Placed",
    "Row",
    "Section",
    "Stage",
    "Where",
    "at",
    "check",
    "document",
    "layout_id",
    "names",
    "neighbours",
    "read",
    "section_of",
    "stretches",
    "where",
]

MOST_NAME = 120
MOST_UNITS = 1_000_000
"""No side of a hall is longer: ten thousand seats side by side."""

_LAYOUT = {
    "name",
    "width",
    "height",
    "stage",
    "sections",
    "accessible",
    "companions",
    "restricted_view",
}
_SECTION = {"name", "kind", "first", "count", "outline", "rows"}
_ROW = {"name", "first", "count", "numbers"}
_EVEN = {"x", "y", "dx", "dy"}
_PLACED = {"xs", "ys"}
_STAGE = {"x", "y", "width", "height", "label"}


def document(layout: Layout) -> str:
    """Write a layout."""
    stage = layout.stage
    plain = {
        "name": layout.name,
        "width": layout.width,
        "height": layout.height,
        "stage": {
            "x": stage.x,
            "y": stage.y,
            "width": stage.width,
            "height": stage.height,
            "label": stage.label,
        },
        "sections": [_plain_section(section) for section in layout.sections],
        "accessible": layout.accessible,
        "companions": layout.companions,
        "restricted_view": layout.restricted_view,
    }
    return json.dumps(plain, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def layout_id(layout: Layout | str) -> str:
    """Give the id of a layout, or of its document."""
    text = layout if isinstance(layout, str) else document(layout)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def read(text: str | bytes) -> Layout:
    """Read a document. Raises ``Refused("layout-invalid")`` with all faults."""
    faults = Faults("layout-invalid", "The layout has faults.")
    try:
        plain = json.loads(text)
    except (ValueError, RecursionError):
        plain = None
        faults.add("the layout is no JSON")
        faults.refuse()
    made = _Reader(faults).layout(plain)
    faults.refuse()
    return made


def check(layout: Layout) -> None:
    """Check a layout that was put together elsewhere. Raises ``Refused("layout-invalid")``."""
    read(document(layout))


def _plain_section(section: Section) -> dict[str, object]:
    return {
        "name": section.name,
        "kind": section.kind.value,
        "first": section.first,
        "count": section.count,
        "outline": section.outline,
        "rows": [_plain_row(row) for row in section.rows],
    }


def _plain_row(row: Row) -> dict[str, object]:
    numbers = row.numbers
    spots: dict[str, object]
    if isinstance(row.spots, Even):
        spots = {"x": row.spots.x, "y": row.spots.y, "dx": row.spots.dx, "dy": row.spots.dy}
    else:
        spots = {"xs": row.spots.xs, "ys": row.spots.ys}
    return {
        "name": row.name,
        "first": row.first,
        "count": row.count,
        "numbers": {"from": numbers.start, "step": numbers.step} if isinstance(numbers, Counted) else numbers,
        **spots,
    }


class _Reader:
    """Reads one document; what cannot be read becomes a fault, with something harmless in its place."""

    def __init__(self, faults: Faults) -> None:
        self._faults = faults
        self._width = MOST_UNITS
        self._height = MOST_UNITS
        self._next = 0

    def layout(self, plain: object) -> Layout:
        """Read it all."""
        parts = self._object(plain, "layout", _LAYOUT)
        # A side that cannot be read is as long as can be: it would make a fault of every seat.
        self._width = self._number(parts, "width", "layout", 1, MOST_UNITS, MOST_UNITS)
        self._height = self._number(parts, "height", "layout", 1, MOST_UNITS, MOST_UNITS)
        sections = tuple(
            self._section(section, f"section {index}")
            for index, section in enumerate(self._list(parts, "sections", "layout"))
        )
        if not sections:
            self._faults.add("layout: it has no section")
        self._unique([section.name for section in sections], "layout", "section")
        if self._next > MOST_SEATS:
            self._faults.add(f"layout: {self._next} seats are more than {MOST_SEATS}")
        standing = [section for section in sections if section.kind is Kind.STANDING]
        accessible = self._seats(parts, "accessible", standing)
        return Layout(
            name=self._name(parts, "layout"),
            width=self._width,
            height=self._height,
            stage=self._stage(parts.get("stage")),
            sections=sections,
            accessible=accessible,
            companions=self._companions(parts, set(accessible), standing),
            restricted_view=self._seats(parts, "restricted_view", standing),
        )

    def _stage(self, plain: object) -> Stage:
        parts = self._object(plain, "stage", _STAGE)
        x, y = (self._number(parts, side, "stage", 0, MOST_UNITS) for side in ("x", "y"))
        width, height = (self._number(parts, side, "stage", 0, MOST_UNITS) for side in ("width", "height"))
        if x + width > self._width or y + height > self._height:
            self._faults.add("stage: it is outside the layout")
        label = parts.get("label")
        if not isinstance(label, str) or len(label) > MOST_NAME:
            self._faults.add(f"stage: label must be a text of at most {MOST_NAME} characters")
            label = ""
        return Stage(x, y, width, height, label)

    def _section(self, plain: object, place: str) -> Section:
        parts = self._object(plain, place, _SECTION)
        kind = parts.get("kind")
        if kind not in tuple(Kind):
            self._faults.add(f"{place}: kind must be seats or standing")
        first = self._first(parts, place)
        count = self._number(parts, "count", place, 1, MOST_SEATS)
        outline = tuple(self._point(point, place) for point in self._list(parts, "outline", place))
        if len(outline) < 3:
            self._faults.add(f"{place}: the outline needs three points")
        rows = [
            self._row(row, f"{place}, row {index}")
            for index, row in enumerate(self._list(parts, "rows", place))
        ]
        self._unique([row.name for row in rows], place, "row")
        if kind == Kind.STANDING and rows:
            self._faults.add(f"{place}: people stand there, so it has no rows")
        if kind == Kind.SEATS and sum(row.count for row in rows) != count:
            self._faults.add(
                f"{place}: its rows have {sum(row.count for row in rows)} seats, its count says {count}"
            )
        self._next = first + count
        return Section(
            self._name(parts, place),
            Kind.STANDING if kind == "standing" else Kind.SEATS,
            first,
            count,
            outline,
            tuple(rows),
        )

    def _row(self, plain: object, place: str) -> Row:
        parts = self._object(plain, place, _ROW | _EVEN | _PLACED, _ROW)
        first = self._first(parts, place)
        count = self._number(parts, "count", place, 1, MOST_SEATS)
        row = Row(
            self._name(parts, place),
            first,
            count,
            self._numbers(parts.get("numbers"), count, place),
            self._spots(parts, count, place),
        )
        for seat in (
            (first, first + count - 1) if isinstance(row.spots, Even) else range(first, first + count)
        ):
            x, y = row.at(seat)
            if not (0 <= x <= self._width and 0 <= y <= self._height):
                self._faults.add(f"{place}: a seat at {x},{y} is outside the layout")
                break
        self._next = first + count
        return row

    def _numbers(self, plain: object, count: int, place: str) -> Counted | tuple[str, ...]:
        if isinstance(plain, dict):
            parts = self._object(plain, f"{place}, numbers", {"from", "step"})
            start = self._number(parts, "from", place, 0, MOST_UNITS)
            step = self._number(parts, "step", place, -1000, 1000)
            if step == 0 or start + (count - 1) * step < 0:
                self._faults.add(f"{place}: its seat numbers repeat or fall below nought")
            return Counted(start, step)
        numbers = plain if isinstance(plain, list) else []
        if len(numbers) != count or not all(
            isinstance(number, str) and 0 < len(number) <= MOST_NAME for number in numbers
        ):
            self._faults.add(f"{place}: numbers must be {count} texts, or from and step")
            return Counted(1, 1)
        self._unique(numbers, place, "seat")
        return tuple(numbers)

    def _spots(self, parts: Mapping[str, Any], count: int, place: str) -> Even | Placed:
        if parts.keys() & _PLACED:
            sides = [parts.get("xs"), parts.get("ys")]
            if parts.keys() & _EVEN or not all(_are_numbers(side, count) for side in sides):
                self._faults.add(
                    f"{place}: xs and ys must be {count} whole numbers each, without x, y, dx, dy"
                )
                return Placed((0,) * count, (0,) * count)
            return Placed(tuple(parts["xs"]), tuple(parts["ys"]))
        x, y = (self._number(parts, side, place, 0, MOST_UNITS) for side in ("x", "y"))
        dx, dy = (self._number(parts, side, place, -MOST_UNITS, MOST_UNITS) for side in ("dx", "dy"))
        if dx == 0 and dy == 0 and count > 1:
            self._faults.add(f"{place}: its seats are all at one place")
        return Even(x, y, dx, dy)

    def _seats(self, parts: Mapping[str, Any], key: str, standing: list[Section]) -> tuple[int, ...]:
        plain = self._list(parts, key, "layout")
        seats = [seat for seat in plain if self._is_seat(seat, standing)]
        if len(seats) != len(plain) or seats != sorted(set(seats)):
            self._faults.add(f"layout: {key} must be seats, each once and in order")
            return ()
        return tuple(seats)

    def _companions(
        self, parts: Mapping[str, Any], accessible: set[int], standing: list[Section]
    ) -> tuple[tuple[int, int], ...]:
        pairs = [
            tuple(pair) if isinstance(pair, list) else ()
            for pair in self._list(parts, "companions", "layout")
        ]
        seats = [seat for pair in pairs for seat in pair]
        if not all(len(pair) == 2 and all(self._is_seat(seat, standing) for seat in pair) for pair in pairs):
            self._faults.add("layout: companions must be pairs of seats")
            return ()
        if {pair[0] for pair in pairs} - accessible:
            self._faults.add("layout: a companion's seat must be beside an accessible one")
        if len({pair[1] for pair in pairs}) != len(pairs) or {pair[1] for pair in pairs} & accessible:
            self._faults.add("layout: a companion's seat belongs to one accessible seat and is none itself")
        return tuple(zip(seats[::2], seats[1::2], strict=True))

    def _is_seat(self, seat: object, standing: list[Section]) -> bool:
        return (
            isinstance(seat, int)
            and not isinstance(seat, bool)
            and 0 <= seat < self._next
            and not any(section.first <= seat < section.first + section.count for section in standing)
        )

    # ------------------------------------------------------------------------ small parts

    def _first(self, parts: Mapping[str, Any], place: str) -> int:
        if parts.get("first") != self._next or isinstance(parts.get("first"), bool):
            self._faults.add(
                f"{place}: first must be {self._next}, so that no seat is missing or there twice"
            )
        return self._next

    def _object(
        self, plain: object, place: str, allowed: set[str], required: set[str] | None = None
    ) -> Mapping[str, Any]:
        if not isinstance(plain, dict):
            self._faults.add(f"{place}: it must be an object")
            return {}
        self._faults.add_all(
            f"{place}: {key} is missing" for key in sorted((required or allowed) - plain.keys())
        )
        self._faults.add_all(f"{place}: {key} is unknown" for key in sorted(plain.keys() - allowed))
        return plain

    def _list(self, parts: Mapping[str, Any], key: str, place: str) -> list[Any]:
        plain = parts.get(key, [])
        if isinstance(plain, list):
            return plain
        self._faults.add(f"{place}: {key} must be a list")
        return []

    def _number(
        self, parts: Mapping[str, Any], key: str, place: str, least: int, most: int, instead: int = 1
    ) -> int:
        plain = parts.get(key, instead)
        if isinstance(plain, int) and not isinstance(plain, bool) and least <= plain <= most:
            return plain
        self._faults.add(f"{place}: {key} must be a whole number from {least} to {most}")
        return instead

    def _name(self, parts: Mapping[str, Any], place: str) -> str:
        plain = parts.get("name", "")
        if isinstance(plain, str) and 0 < len(plain) <= MOST_NAME:
            return plain
        self._faults.add(f"{place}: name must be a text of 1 to {MOST_NAME} characters")
        return ""

    def _point(self, plain: object, place: str) -> Point:
        if _are_numbers(plain, 2):
            assert isinstance(plain, list)  # noqa: S101 (the line above says so)
            x, y = plain
            if 0 <= x <= self._width and 0 <= y <= self._height:
                return (x, y)
        self._faults.add(f"{place}: a point of the outline must be two whole numbers inside the layout")
        return (0, 0)

    def _unique(self, texts: list[str], place: str, what: str) -> None:
        for text in sorted(_repeated(texts)):
            self._faults.add(f"{place}: there is more than one {what} {text!r}")


def _are_numbers(plain: object, count: int) -> bool:
    return (
        isinstance(plain, list)
        and len(plain) == count
        and all(isinstance(number, int) and not isinstance(number, bool) for number in plain)
    )


def _repeated(texts: list[str]) -> Iterator[str]:
    seen: set[str] = set()
    told: set[str] = set()
    for text in texts:
        if text in seen and text not in told:
            told.add(text)
            yield text
        seen.add(text)
