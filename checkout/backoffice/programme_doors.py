"""Programme's doors: how an evening's doors stand, as the page shows it: gates, minutes, who was refused. Pure.

The minutes are a picture of bars: at most ``MOST_BARS``, so that an evening of hours is drawn in steps of some minutes,
and minutes in which nobody came are there as gaps. Times are when we heard of a scan. Not here: the figures, which the
API tells (``organiser.doors_web``).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

MOST_BARS = 90
MINUTE_MS = 60_000
_STEPS = (1, 2, 5, 10, 15, 30, 60, 120, 360, 720, 1440)


@dataclass(frozen=True, slots=True)
class Bar:
    """So many came in a step that begins then; ``share`` of the fullest step, 0 to 1."""

    from_ms: int
    count: int
    share: float


@dataclass(frozen=True, slots=True)
class GateRow:
    """A gate; whether it works, and until when, only where one may look at scanners."""

    scanner: str
    name: str
    entered: int
    share: float
    works: bool | None = None
    until_ms: int = 0
    seen_ms: int = 0


@dataclass(frozen=True, slots=True)
class DoorsView:
    """All of it."""

    sold: int
    entered: int
    percent: int
    gates: tuple[GateRow, ...]
    refused: tuple[tuple[str, int], ...]
    bars: tuple[Bar, ...]
    step_min: int
    now_per_min: int
    """Who came in the last whole minute before now."""


def doors_view(entry: Mapping[str, Any], scanners: Sequence[Mapping[str, Any]] = ()) -> DoorsView:
    """Show how the doors stand, of the API's ``entry`` and ``scanners``."""
    sold, entered = entry["sold"], entry["entered"]
    most = max((one["entered"] for one in entry["gates"]), default=0)
    known = {one["scanner"]: one for one in scanners}
    minutes = [(one["minute_ms"], one["entered"]) for one in entry["minutes"]]
    bars, step = bars_of(minutes)
    last = entry["now_ms"] - entry["now_ms"] % MINUTE_MS - MINUTE_MS
    return DoorsView(
        sold=sold,
        entered=entered,
        percent=entered * 100 // sold if sold else 0,
        gates=tuple(_gate(one, known.get(one["scanner"]), most) for one in entry["gates"]),
        refused=tuple(sorted(entry["refused"].items(), key=lambda item: (-item[1], item[0]))),
        bars=bars,
        step_min=step,
        now_per_min=dict(minutes).get(last, 0),
    )


def bars_of(minutes: Sequence[tuple[int, int]]) -> tuple[tuple[Bar, ...], int]:
    """Put minutes together into bars, and tell how many minutes each has; none where nobody came."""
    if not minutes:
        return (), 1
    first, last = minutes[0][0], minutes[-1][0]
    span = (last - first) // MINUTE_MS + 1
    step = next((one for one in _STEPS if span <= one * MOST_BARS), _STEPS[-1])
    counts: dict[int, int] = {}
    for at_ms, count in minutes:
        index = (at_ms - first) // MINUTE_MS // step
        counts[index] = counts.get(index, 0) + count
    # Doors that were open months apart are no picture: the last bars count.
    behind = max(counts)
    begin = max(0, behind - MOST_BARS + 1)
    most = max(counts.values())
    bars = tuple(
        Bar(first + index * step * MINUTE_MS, counts.get(index, 0), _share(counts.get(index, 0), most))
        for index in range(begin, behind + 1)
    )
    return bars, step


def _gate(one: Mapping[str, Any], scanner: Mapping[str, Any] | None, most: int) -> GateRow:
    row = GateRow(one["scanner"], one["gate"], one["entered"], _share(one["entered"], most))
    if scanner is None:
        return row
    return GateRow(
        row.scanner, row.name, row.entered, row.share, scanner["works"], scanner["until_ms"],
        scanner["seen_ms"] or 0,
    )  # fmt: skip


def _share(count: int, most: int) -> float:
    return round(count / most, 3) if most else 0.0
