"""Plan: a hall as somebody else wrote it down: a CSV file with a row for each seat, or pretix's seating plan.

Both become a ``Plan``: a layout, the tier of each seat, and the tiers' names. All or nothing: one fault refuses the
file, and up to a hundred are told, each with its line or its place.

CSV (UTF-8, comma or semicolon, at most 100,000 seats), the header names the columns in any order:
  ``section row number x y tier`` are needed, ``accessible restricted_view`` (yes or no, 1 or 0, or empty),
  ``companion_of`` (the number of an accessible seat of the same row, or section/row/number), ``kind`` and ``count``
  may be there. A line with ``kind`` standing makes a section of ``count`` places around x, y; its row and number
  are empty. x and y are whole units, 100 to the distance of two neighbours. Lines of one row follow one another.

pretix (JSON, ``seating-plan.schema.json``): see ``halls.pretix``.
Not here: our own document (``layout``), how the rows of a hall reach SQL (``catalogue.store``).
"""

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from checkout.faults import Faults
from checkout.halls.layout import MOST_NAME, MOST_SEATS, MOST_UNITS, Kind, Layout, Stage, check
from checkout.halls.shaping import Area, Spot, lay_out

MOST_TIERS = 16
MOST_OCTETS = 32 * 1024 * 1024

NEEDED = ("section", "row", "number", "x", "y", "tier")
OPTIONAL = ("accessible", "companion_of", "restricted_view", "kind", "count")
YES = {"1", "yes", "true", "y", "x"}
NO = {"", "0", "no", "false", "n"}


@dataclass(frozen=True, slots=True)
class Plan:
    """A hall: its layout, one octet a seat with the seat's tier, and what the tiers are called."""

    layout: Layout
    tiers: bytes
    tier_names: tuple[str, ...]


@dataclass(slots=True)
class Tiers:
    """The tiers of a plan: those that are given, or else those that turn up, in order."""

    given: Sequence[str] | None
    found: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.found = {name: index for index, name in enumerate(self.given or ())}

    def of(self, name: str) -> int | None:
        """Give a tier's index; None if there is no such tier, or no room for one more."""
        if name not in self.found:
            if self.given is not None or len(self.found) == MOST_TIERS or not 0 < len(name) <= MOST_NAME:
                return None
            self.found[name] = len(self.found)
        return self.found[name]


def read_csv(
    octets: bytes, name: str, tiers: Sequence[str] | None = None, stage: Stage | None = None
) -> Plan:
    """Read a CSV file. ``tiers`` are those that are allowed, None takes them as they come.

    Raises ``Refused("plan-invalid")`` with the faults.
    """
    faults = Faults("plan-invalid", "The seating plan has faults; nothing was imported.")
    text = _text(octets, faults)
    faults.refuse()
    made = _Lines(faults, Tiers(tiers))
    made.read(text)
    faults.refuse()
    return finished(made.areas, made.tiers, name, stage, faults)


def finished(areas: Mapping[str, Area], tiers: Tiers, name: str, stage: Stage | None, faults: Faults) -> Plan:
    """Make the plan of the areas that were read. Raises ``Refused`` for what only the whole shows."""
    if not areas:
        faults.add("the file has no seat")
        faults.refuse()
    layout, order = lay_out(name, list(areas.values()), stage, faults)
    faults.refuse()
    check(layout)
    return Plan(layout, order, tuple(tiers.found))


def _text(octets: bytes, faults: Faults) -> str:
    if len(octets) > MOST_OCTETS:
        faults.add(f"the file has {len(octets)} octets, more than {MOST_OCTETS}")
        return ""
    try:
        text = octets.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = octets.count(b"\n", 0, error.start) + 1
        faults.add(f"line {line}: octet 0x{octets[error.start]:02x} is not UTF-8; save the file as UTF-8")
        return ""
    if not text.strip():
        faults.add("line 1: the file is empty")
    elif "\0" in text:
        faults.add(
            f"line {text.count(chr(10), 0, text.index(chr(0))) + 1}: there is a zero octet; is it a text?"
        )
    return text


class _Lines:
    """Reads the lines of one file."""

    def __init__(self, faults: Faults, tiers: Tiers) -> None:
        self.areas: dict[str, Area] = {}
        self.tiers = tiers
        self._faults = faults
        self._seats = 0
        self._row: tuple[str, str] | None = None
        self._rows: dict[tuple[str, str], int] = {}
        self._seen: dict[tuple[str, str, str], int] = {}
        self._spots: dict[tuple[int, int], int] = {}

    def read(self, text: str) -> None:
        """Read all lines."""
        header_line = text.lstrip().split("\n", 1)[0]
        delimiter = ";" if ";" in header_line and "," not in header_line else ","
        reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
        header: list[str] | None = None
        line = 1
        try:
            for cells in reader:
                if header is None and any(cells):
                    header = [cell.strip().lower() for cell in cells]
                    if not self._is_header(header, line):
                        return
                elif header is not None and any(cells):
                    self._line(header, cells, line)
                line = reader.line_num + 1
        except csv.Error as error:
            self._faults.add(f"line {line}: {error}")
        if self._seats > MOST_SEATS:
            self._faults.add(f"the file has {self._seats} seats, more than {MOST_SEATS}")

    def _is_header(self, header: list[str], line: int) -> bool:
        before = len(self._faults)
        self._faults.add_all(
            f"line {line}: column {name} is missing" for name in NEEDED if name not in header
        )
        for name in sorted(set(header)):
            if name not in NEEDED + OPTIONAL:
                self._faults.add(f"line {line}: column {name!r} is unknown")
            elif header.count(name) > 1:
                self._faults.add(f"line {line}: column {name} is there more than once")
        return len(self._faults) == before

    def _line(self, header: list[str], raw: list[str], line: int) -> None:
        if len(raw) != len(header):
            self._faults.add(f"line {line}: it has {len(raw)} cells, the header has {len(header)}")
            return
        cells = dict(zip(header, map(str.strip, raw), strict=True))
        before = len(self._faults)
        x, y = (self._number(cells[side], side, MOST_UNITS, line) for side in ("x", "y"))
        tier = self.tiers.of(cells["tier"])
        if tier is None:
            self._faults.add(f"line {line}: {self._no_tier(cells['tier'])}")
        self._name(cells, "section", line)
        kind = cells.get("kind") or Kind.SEATS.value
        if kind not in set(Kind):
            self._faults.add(f"line {line}: kind must be seats or standing, not {kind!r}")
        elif kind == Kind.STANDING:
            self._standing(cells, x, y, tier or 0, line)
        else:
            is_place = len(self._faults) == before
            if is_place and (known := self._spots.setdefault((x, y), line)) != line:
                self._faults.add(f"line {line}: at {x},{y} there is a seat already, in line {known}")
            self._seat(cells, x, y, tier or 0, line)

    def _seat(self, cells: Mapping[str, str], x: int, y: int, tier: int, line: int) -> None:
        self._name(cells, "row", line)
        self._name(cells, "number", line)
        if cells.get("count"):
            self._faults.add(f"line {line}: count belongs to standing sections only")
        section, row, number = cells["section"], cells["row"], cells["number"]
        if (known := self._seen.setdefault((section, row, number), line)) != line:
            self._faults.add(f"line {line}: seat {section}/{row}/{number} is there already, in line {known}")
            return
        if (section, row) != self._row:
            if (known := self._rows.setdefault((section, row), line)) != line:
                self._faults.add(
                    f"line {line}: row {row} of {section} began in line {known} and was left; keep its lines together"
                )
            self._row = (section, row)
        area = self.areas.setdefault(section, Area(section, line=line))
        if area.standing:
            self._faults.add(f"line {line}: {section} is a standing section, see line {area.line}")
            return
        self._seats += 1
        area.rows.setdefault(row, []).append(
            Spot(
                number=number,
                x=x,
                y=y,
                tier=tier,
                place=f"line {line}",
                accessible=self._flag(cells, "accessible", line),
                restricted_view=self._flag(cells, "restricted_view", line),
                companion_of=_whole_name(cells.get("companion_of", ""), section, row),
            )
        )

    def _standing(self, cells: Mapping[str, str], x: int, y: int, tier: int, line: int) -> None:
        for name in ("row", "number", "accessible", "companion_of", "restricted_view"):
            if cells.get(name, "") not in NO:
                self._faults.add(f"line {line}: a standing section has no {name}")
        count = self._number(cells.get("count", ""), "count", MOST_SEATS, line)
        if count == 0 and cells.get("count") == "0":
            self._faults.add(f"line {line}: count must be at least 1")
        if (known := self.areas.get(cells["section"])) is not None:
            self._faults.add(
                f"line {line}: section {cells['section']} is there already, in line {known.line}"
            )
            return
        self.areas[cells["section"]] = Area(
            cells["section"], line=line, standing=max(1, count), tier=tier, middle=(x, y)
        )
        self._seats += count
        self._row = None

    def _number(self, cell: str, name: str, most: int, line: int) -> int:
        if cell.isascii() and cell.isdigit() and len(cell) <= 9 and int(cell) <= most:
            return int(cell)
        shown = "is empty" if not cell else f"{cell[:40]!r} is no whole number from 0 to {most}"
        self._faults.add(f"line {line}: {name} {shown}")
        return 0

    def _name(self, cells: Mapping[str, str], name: str, line: int) -> None:
        if not 0 < len(cells[name]) <= MOST_NAME:
            self._faults.add(
                f"line {line}: {name} is "
                + ("empty" if not cells[name] else f"longer than {MOST_NAME} characters")
            )

    def _flag(self, cells: Mapping[str, str], name: str, line: int) -> bool:
        cell = cells.get(name, "").lower()
        if cell not in YES | NO:
            self._faults.add(f"line {line}: {name} must be yes or no, not {cell[:40]!r}")
        return cell in YES

    def _no_tier(self, name: str) -> str:
        if not name:
            return "tier is empty"
        if self.tiers.given is None:
            return f"tier {name[:40]!r} is one more than {MOST_TIERS}, or its name is too long"
        return f"tier {name[:40]!r} is unknown; there are {', '.join(self.tiers.given)}"


def _whole_name(text: str, section: str, row: str) -> tuple[str, str, str] | None:
    if not text:
        return None
    parts = text.rsplit("/", 2)
    return (parts[0], parts[1], parts[2]) if len(parts) == 3 else (section, row, text)
