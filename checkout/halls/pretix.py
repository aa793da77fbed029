"""Seating plan of pretix: the JSON that its editor saves (``seating-plan.schema.json``), read into a ``Plan``.

What we read of it; everything else is passed over, because editors add fields of their own:

    {"name", "categories": [{"name"}], "zones": [{"name", "position": {"x", "y"},
      "rows": [{"row_number", "position"?, "seats": [{"seat_guid", "seat_number", "category", "position"}]}],
      "areas": [{"text", "position", "width", "height"}]}]}

Positions add up (zone + row + seat) and may have fractions; all are scaled so that neighbours are about 100 apart. A
zone is a section, a category a tier, in their order. Rows of one zone with the same row_number are one row. An area
with the text "Stage" is the stage (in younger files text and size are objects: {"text": {"text"}, "rectangle":
{"width", "height"}}); other areas are drawings. There is no standing section, no accessible seat and no companion
in this format. Faults name the place as a path: "zones[0].rows[3].seats[2]: …".
"""

import itertools
import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

from checkout.faults import Faults
from checkout.halls.layout import MOST_NAME, MOST_SEATS, MOST_UNITS, PITCH, Stage
from checkout.halls.plans import MOST_OCTETS, Plan, Tiers, finished
from checkout.halls.shaping import Area, Spot

Position = tuple[float, float]


def read_pretix(octets: bytes, name: str | None = None, tiers: Sequence[str] | None = None) -> Plan:
    """Read a plan; ``name`` replaces the one in the file. ``tiers`` are the categories that are allowed.

    Raises ``Refused("plan-invalid")`` with the faults.
    """
    faults = Faults("plan-invalid", "The seating plan has faults; nothing was imported.")
    plain = _json(octets, faults)
    faults.refuse()
    reader = _Zones(faults)
    reader.categories(plain, tiers)
    reader.zones(plain)
    faults.refuse()
    reader.scale()
    title = name or str(plain.get("name") or "Hall")[:MOST_NAME]
    return finished(reader.areas, reader.tiers, title, reader.stage, faults)


def _json(octets: bytes, faults: Faults) -> Mapping[str, Any]:
    if len(octets) > MOST_OCTETS:
        faults.add(f"the file has {len(octets)} octets, more than {MOST_OCTETS}")
        return {}
    try:
        plain = json.loads(octets.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        faults.add(f"octet 0x{octets[error.start]:02x} at {error.start} is not UTF-8")
    except json.JSONDecodeError as error:
        faults.add(f"line {error.lineno}: {error.msg}" if octets.strip() else "line 1: the file is empty")
    except (ValueError, RecursionError):
        faults.add("the file is no JSON that can be read")
    else:
        if isinstance(plain, dict):
            return plain
        faults.add("the file must be a JSON object")
    return {}


class _Zones:
    """Reads the zones of one file."""

    def __init__(self, faults: Faults) -> None:
        self.areas: dict[str, Area] = {}
        self.tiers = Tiers(())
        self.stage: Stage | None = None
        self._faults = faults
        self._guids: dict[str, str] = {}
        self._seats: dict[str, dict[str, list[tuple[Spot, Position]]]] = {}
        self._stage: tuple[float, float, float, float] | None = None
        self._count = 0

    def categories(self, plain: Mapping[str, Any], allowed: Sequence[str] | None) -> None:
        """Read the tiers."""
        self.tiers = Tiers(allowed)
        for index, category in enumerate(self._list(plain, "categories", "")):
            name = self._text(category, "name", f"categories[{index}]")
            if name and self.tiers.of(name) is None:
                self._faults.add(f"categories[{index}]: {name[:40]!r} is unknown, or one more than 16")
        self.tiers.given = tuple(self.tiers.found)

    def zones(self, plain: Mapping[str, Any]) -> None:
        """Read all zones; seats stay where the file has them until ``scale``."""
        for index, zone in enumerate(self._list(plain, "zones", "")):
            place = f"zones[{index}]"
            name = zone.get("name") or f"Zone {index + 1}"
            if not isinstance(name, str) or len(name) > MOST_NAME:
                self._faults.add(f"{place}: name must be a text of at most {MOST_NAME} characters")
                continue
            if name in self._seats:
                self._faults.add(f"{place}: there is more than one zone {name!r}")
                continue
            origin = self._position(zone, place, needed=True)
            rows = self._list(zone, "rows", place)
            if rows:
                self._seats[name] = {}
            for row_index, row in enumerate(rows):
                self._row(self._seats[name], row, origin, f"{place}.rows[{row_index}]")
            for area in self._list(zone, "areas", place) if "areas" in zone else ():
                self._area(area, origin)
        if self._count > MOST_SEATS:
            self._faults.add(f"the file has {self._count} seats, more than {MOST_SEATS}")

    def scale(self) -> None:
        """Bring the distance of neighbours to ``PITCH`` and everything to whole units."""
        spots = [at for rows in self._seats.values() for seats in rows.values() for _, at in seats]
        if not spots:
            return
        left, top = min(x for x, _ in spots), min(y for _, y in spots)
        reach = max(max(x for x, _ in spots) - left, max(y for _, y in spots) - top)
        usual = _usual_distance(self._seats)
        ratio = PITCH / usual if usual else 1.0
        if reach * ratio > MOST_UNITS * 0.9:
            self._faults.add("the seats lie too far apart to be one hall")
            self._faults.refuse()
        taken: dict[tuple[int, int], str] = {}
        for zone, rows in self._seats.items():
            area = self.areas[zone] = Area(zone)
            for row, seats in rows.items():
                for spot, (x, y) in seats:
                    spot.x, spot.y = round((x - left) * ratio), round((y - top) * ratio)
                    if (known := taken.setdefault((spot.x, spot.y), spot.place)) != spot.place:
                        self._faults.add(f"{spot.place}: it is at the same place as {known}")
                area.rows[row] = [spot for spot, _ in seats]
        if self._stage is not None:
            sides = (self._stage[0] - left, self._stage[1] - top, self._stage[2], self._stage[3])
            x, y, width, height = (round(side * ratio) for side in sides)
            self.stage = Stage(x, y, width, height, "Stage")

    def _row(
        self,
        rows: dict[str, list[tuple[Spot, Position]]],
        plain: Mapping[str, Any],
        origin: Position,
        place: str,
    ) -> None:
        name = self._text(plain, "row_number", place)
        at = self._position(plain, place, needed=False)
        row = rows.setdefault(name, [])
        numbers = {spot.number for spot, _ in row}
        for index, seat in enumerate(self._list(plain, "seats", place)):
            self._count += 1
            here = f"{place}.seats[{index}]"
            guid = self._text(seat, "seat_guid", here)
            if guid and (known := self._guids.setdefault(guid, here)) != here:
                self._faults.add(f"{here}: seat_guid {guid[:40]!r} is there already, in {known}")
            number = self._text(seat, "seat_number", here)
            if number in numbers:
                self._faults.add(f"{here}: seat {number!r} is in row {name!r} already")
            numbers.add(number)
            category = self._text(seat, "category", here)
            tier = self.tiers.of(category) if category else 0
            if tier is None:
                self._faults.add(f"{here}: category {category[:40]!r} is unknown")
            x, y = self._position(seat, here, needed=True)
            spot = Spot(number, 0, 0, tier or 0, here)
            row.append((spot, (origin[0] + at[0] + x, origin[1] + at[1] + y)))
        if not row:
            self._faults.add(f"{place}: it has no seat")

    def _area(self, plain: Mapping[str, Any], origin: Position) -> None:
        text = plain.get("text")
        label = text.get("text") if isinstance(text, dict) else text
        size = plain.get("rectangle") if isinstance(plain.get("rectangle"), dict) else plain
        if not isinstance(label, str) or label.strip().lower() != "stage" or not isinstance(size, dict):
            return
        width, height = size.get("width"), size.get("height")
        if _is_number(width) and _is_number(height) and width >= 0 and height >= 0:  # type: ignore[operator]
            x, y = self._position(plain, "the stage", needed=True)
            self._stage = (origin[0] + x, origin[1] + y, float(width), float(height))  # type: ignore[arg-type]

    # ------------------------------------------------------------------------ small parts

    def _list(self, plain: Mapping[str, Any], key: str, place: str) -> list[Mapping[str, Any]]:
        value = plain.get(key)
        if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
            self._faults.add(f"{place or 'the file'}: {key} must be a list of objects")
            return []
        return value

    def _text(self, plain: Mapping[str, Any], key: str, place: str) -> str:
        value = plain.get(key)
        if isinstance(value, str) and 0 < len(value) <= MOST_NAME:
            return value
        self._faults.add(f"{place}: {key} must be a text of 1 to {MOST_NAME} characters")
        return ""

    def _position(self, plain: Mapping[str, Any], place: str, *, needed: bool) -> Position:
        value = plain.get("position")
        if value is None and not needed:
            return (0.0, 0.0)
        if isinstance(value, dict) and _is_number(value.get("x")) and _is_number(value.get("y")):
            return (float(value["x"]), float(value["y"]))
        self._faults.add(f"{place}: position must be an object with the numbers x and y")
        return (0.0, 0.0)


def _is_number(value: object) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return math.isfinite(value) and abs(value) <= 1e9 if isinstance(value, float) else abs(value) <= 10**9


def _usual_distance(zones: Mapping[str, Mapping[str, Sequence[tuple[Spot, Position]]]]) -> float:
    steps = sorted(
        math.dist(left, right)
        for rows in zones.values()
        for seats in rows.values()
        for (_, left), (_, right) in itertools.pairwise(seats)
    )
    return steps[len(steps) // 2] if steps else 0.0
