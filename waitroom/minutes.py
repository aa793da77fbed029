"""Minute: what was seen of a room in one minute, as it is kept for months.

A row has the last known value of each number in that minute, and the most that waited. What happens *in* a minute is
not kept: ``admitted``, ``issued``, ``called_in_all``, ``refused`` and ``shed`` are counters, and their differences say
it. So a row that was written twice counts nobody twice, and what happened while nobody looked is missing from one
minute but not from a sum.

Minutes are those of the store's clock, which is the line's: a process whose own clock is wrong writes the right rows.
None is unknown, never 0; a minute in which nobody looked has no row. Pure. Not here: the table (``history_book``), who
looks (``dashboards.recording``), differences and sums (``dashboards.history``).
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

MINUTE_MS = 60_000
OLD_MS = 5_000
"""Figures that are older say nothing about the minute in which somebody looked."""


@dataclass(frozen=True, slots=True)
class Minute:
    """One room in one minute. ``minute`` counts from 1970 (UTC), ``seen_ms`` is the last look, ``looks`` how many."""

    room: str
    minute: int
    seen_ms: int
    looks: int = 1
    version: int | None = None
    phase: str | None = None
    opening: str | None = None
    run: str | None = None
    sale: str | None = None
    """The sale in force; '' is none."""

    waiting: int | None = None
    waiting_most: int | None = None
    called: int | None = None
    active_sessions: int | None = None
    cap: int | None = None
    rate: int | None = None
    plan_per_minute: int | None = None
    wait_low_s: int | None = None
    wait_high_s: int | None = None
    issued: int | None = None
    called_in_all: int | None = None
    admitted: int | None = None
    """Since the room was made; ``issued`` and ``called_in_all`` are of the run."""

    lane_verified: int | None = None
    lane_standard: int | None = None
    lane_suspect: int | None = None
    slowed: int | None = None
    stock_left: int | None = None
    origin_per_minute: int | None = None
    origin_p95_ms: int | None = None
    show_ratio: float | None = None
    origin_failure_ratio: float | None = None
    refused: int | None = None
    shed: int | None = None
    """Joins that got no number since the room was made."""

    opened_ms: int | None = None
    epoch: int | None = None
    """When the run began, and how often the line had begun or was put back by then: 1 is a room's first run."""

    @property
    def opened(self) -> int | None:
        """The minute in which the run began."""
        return None if self.opened_ms is None else self.opened_ms // MINUTE_MS


COLUMNS = tuple(field.name for field in fields(Minute))
TEXTS = frozenset({"room", "phase", "opening", "run", "sale"})
RATIOS = frozenset({"show_ratio", "origin_failure_ratio"})
_SEEN = frozenset({"phase", "opening", "run"})
_GIVEN = frozenset(
    {"room", "minute", "seen_ms", "looks", "version", "sale", "stock_left", "waiting_most"} | _SEEN
)
_WHOLE = tuple(name for name in COLUMNS if name not in _GIVEN | RATIOS)


def seen(
    room: str,
    at_ms: int,
    figures: Mapping[str, object],
    version: int | None = None,
    sale: str | None = None,
    stock_left: int | None = None,
) -> Minute | None:
    """Read one look at a room; None where the figures say nothing, or are of another time."""
    age_ms = _number(figures, "store_age_ms")
    waiting = _number(figures, "waiting")
    if waiting is None or (age_ms is not None and age_ms > OLD_MS):
        return None
    known: dict[str, Any] = {name: str(figures[name]) for name in _SEEN if figures.get(name) is not None}
    known |= {name: _whole(figures, name) for name in _WHOLE}
    known |= {name: _number(figures, name) for name in RATIOS}
    return Minute(
        room, at_ms // MINUTE_MS, at_ms, version=version, sale=sale, stock_left=stock_left,
        waiting_most=round(waiting), **known,
    )  # fmt: skip


def merged(one: Minute, other: Minute) -> Minute:
    """Make one row of two of the same room and minute: the later look counts, the earlier fills what it left unknown.

    In either order the result is the same, and the same row twice is that row.
    """
    early, late = (one, other) if (one.seen_ms, one.looks) <= (other.seen_ms, other.looks) else (other, one)
    filled = {name: getattr(early, name) for name in COLUMNS if getattr(late, name) is None}
    most = [each for each in (early.waiting_most, late.waiting_most) if each is not None]
    return replace(
        late, **filled | {"looks": max(early.looks, late.looks), "waiting_most": max(most, default=None)}
    )


def and_then(before: Minute, look: Minute) -> Minute:
    """Add one more look of the same process to its row."""
    return replace(merged(before, look), looks=before.looks + look.looks)


def _number(figures: Mapping[str, object], name: str) -> float | None:
    value = figures.get(name)
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def _whole(figures: Mapping[str, object], name: str) -> int | None:
    value = _number(figures, name)
    return None if value is None else round(value)
