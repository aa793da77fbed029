"""History: minutes as columns over a regular axis of time, their differences, and the sums of a window.

Three widths of a step: a minute, five, an hour. A step's number is the last one known in it (of ``waiting_most`` the
highest); what happened in a step is the difference of a counter to the step before. A step in which nobody looked is
None in every column. So is what happened in the first step after a hole: nobody can tell it from what happened within.
A run that began in the step is known from its beginning, however late the first look came: its counters began at zero.

Sums do not suffer from holes: they follow the counters across them. Pure. Not here: who may read (``history_web``).
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from types import MappingProxyType

from waitroom.minutes import Minute

STEPS: Mapping[str, int] = MappingProxyType({"1m": 1, "5m": 5, "1h": 60})
"""Minutes in a step."""

ROWS_MOST = 5_000
ROWS_SHOWN = 400
"""So many steps a page shows at most, where it may choose the step."""

KEPT = (
    "phase", "sale", "version", "waiting", "waiting_most", "called", "active_sessions", "cap", "rate",
    "plan_per_minute", "wait_low_s", "wait_high_s", "lane_verified", "lane_standard", "lane_suspect", "slowed",
    "stock_left", "origin_per_minute", "origin_p95_ms", "origin_failure_ratio", "looks",
)  # fmt: skip
COUNTED = MappingProxyType(
    {
        "joined": "issued", "calls": "called_in_all", "admitted": "admitted", "refused": "refused", "shed": "shed",
    }
)  # fmt: skip
"""What happens in a step, and the counter that tells it."""

OF_RUN = frozenset({"issued", "called_in_all"})
"""Counters that begin anew with each run; the others count since the room was made."""

FIELDS = (*KEPT, *COUNTED, "admitted_in_all", "no_shows_ratio", "sold")

Value = int | float | str | None
Columns = dict[str, list[Value]]


@dataclass(frozen=True, slots=True)
class Window:
    """Minutes [since, until) in steps of ``step`` minutes; both ends are whole steps."""

    since: int
    until: int
    step: int = 1

    def __len__(self) -> int:
        """Count the steps."""
        return (self.until - self.since) // self.step

    @property
    def asked(self) -> int:
        """The first minute whose row is needed: of the step before, to which the first one is compared."""
        return self.since - self.step

    def starts_ms(self) -> list[int]:
        """Return when each step begins."""
        return [minute * 60_000 for minute in range(self.since, self.until, self.step)]


def window(since_ms: int, until_ms: int, step: int) -> Window:
    """Make whole steps of a stretch of time, both its ends included."""
    width_ms = step * 60_000
    since, until = since_ms // width_ms, -(-until_ms // width_ms)
    return Window(since * step, max(since + 1, until) * step, step)


def step_for(since_ms: int, until_ms: int, most: int = ROWS_SHOWN) -> str:
    """Choose the finest step that gives at most so many rows; the coarsest where none does."""
    return next(
        (name for name, step in STEPS.items() if len(window(since_ms, until_ms, step)) <= most),
        list(STEPS)[-1],
    )


def columns(minutes: Sequence[Minute], over: Window, names: Iterable[str] = FIELDS) -> Columns:
    """Lay rows from ``over.asked`` on out over the steps of a window; the names are of ``FIELDS``."""
    by_step: dict[int, list[Minute]] = {}
    for each in minutes:
        by_step.setdefault((each.minute - over.since) // over.step, []).append(each)
    steps = [by_step.get(index, []) for index in range(-1, len(over))]
    pairs = [
        (_before(before, here, over.since + index * over.step), here)
        for index, (before, here) in enumerate(pairwise(steps))
    ]
    return {name: [_value(name, before, here) for before, here in pairs] for name in names}


def _before(before: Sequence[Minute], here: Sequence[Minute], since: int) -> Sequence[Minute]:
    """Return what a step from `since` on is compared with; a run that began in it, unseen, with its beginning."""
    if not here or (before and here[0].minute - before[-1].minute == 1):
        return before
    opened = here[0].opened
    return before if opened is None or opened < since else [_nothing(here[0], is_first=not before)]


def _nothing(first: Minute, *, is_first: bool) -> Minute:
    """Return the counters as they were when the run of `first` began; the door's only in a room's first run."""
    door = 0 if is_first and first.epoch == 1 else None
    return Minute(
        first.room, first.minute - 1, 0, run=first.run, issued=0, called_in_all=0,
        admitted=door, refused=door, shed=door,
    )  # fmt: skip


def _value(name: str, before: Sequence[Minute], here: Sequence[Minute]) -> Value:
    if not here:
        return None
    if name in COUNTED:
        return _difference(COUNTED[name], before, here)
    match name:
        case "sold":
            left = _difference("stock_left", before, here, down=True)
            return None if left is None else -left
        case "waiting_most":
            return max(_known(here, name), default=None)
        case "looks":
            return sum(each.looks for each in here)
        case "admitted_in_all":
            return _last(here, "admitted")
        case "no_shows_ratio":
            shows = _last(here, "show_ratio")
            return None if shows is None else round(1 - float(shows), 4)
        case _:
            return _last(here, name)


def _known(minutes: Iterable[Minute], name: str) -> list[int]:
    return [value for each in minutes if (value := getattr(each, name)) is not None]


def _last(minutes: Sequence[Minute], name: str) -> Value:
    for each in reversed(minutes):
        value: Value = getattr(each, name)
        if value is not None:
            return value
    return None


def _difference(
    name: str, before: Sequence[Minute], here: Sequence[Minute], *, down: bool = False
) -> int | None:
    """Return by how much a counter grew; None without a look in the minute before, or where it went the other way."""
    if not before or here[0].minute - before[-1].minute != 1:
        return None
    grown = 0
    for one, other in pairwise([before[-1], *here]):
        more = _grown(name, one, other)
        if more is None or (more > 0 if down else more < 0):
            return None
        grown += more
    return grown


def _grown(name: str, one: Minute, other: Minute) -> int | None:
    """Return by how much a counter grew from one row to another; those of the line begin anew with each run."""
    was, now = getattr(one, name), getattr(other, name)
    if name in OF_RUN and one.run != other.run:
        was = 0
    return None if was is None or now is None else int(now - was)


# ------------------------------------------------------------------------------------------ sums


@dataclass(frozen=True, slots=True)
class Totals:
    """What a stretch of time comes to; None is unknown. ``known`` of ``minutes`` have a row."""

    joined: int | None
    calls: int | None
    admitted: int | None
    no_shows: int | None
    waiting_most: int | None
    wait_most_s: int | None
    emptied_s: int | None
    sold: int | None
    known: int
    minutes: int
    refused: int | None = None
    shed: int | None = None


def totals(minutes: Sequence[Minute], since: int, until: int) -> Totals:
    """Sum up the minutes [since, until) of one room; rows before `since` are what the first is compared with.

    Without such a row a run that began in these minutes is counted whole, and so is the first one of a sale that has a
    line of its own. ``no_shows`` are those who were
    called and neither came nor stand at the door. ``emptied_s`` runs from the start of serving to the first minute
    after the fullest in which nobody waited.
    """
    before = [each for each in minutes if each.minute < since][-1:]
    inside = [each for each in minutes if since <= each.minute < until]
    if inside and not before and _is_whole(inside[0], since):
        before = [_nothing(inside[0], is_first=True)]
    joined, calls = (_sum(name, before, inside) for name in ("issued", "called_in_all"))
    admitted = _sum("admitted", before, inside)
    missed = None
    if calls is not None and admitted is not None:
        at_door = (_last(inside, "called") or 0, _last(before, "called") or 0)
        missed = max(0, calls - admitted - int(at_door[0]) + int(at_door[1]))
    return Totals(
        joined, calls, admitted, missed,
        max(_known(inside, "waiting_most"), default=None),
        max(_known(inside, "wait_high_s"), default=None),
        _emptied_s(inside), _sold(before + inside), len(inside), until - since,
        _sum("refused", before, inside), _sum("shed", before, inside),
    )  # fmt: skip


def _is_whole(first: Minute, since: int) -> bool:
    """Tell whether all of the run of `first`, the first row there is, belongs to the minutes from `since` on."""
    own = first.opening is not None and first.opening == first.sale
    return own or (first.opened is not None and first.opened >= since)


def _sum(name: str, before: Sequence[Minute], inside: Sequence[Minute]) -> int | None:
    """Follow a counter over all rows; where it fell (a store was wiped) it goes on from there."""
    if not inside:
        return None
    total, seen = 0, getattr(inside[0], name) is not None
    for one, other in pairwise([*before, *inside]):
        more = _grown(name, one, other)
        if more is not None:
            total, seen = total + max(0, more), True
    return total if seen else None


def _sold(minutes: Sequence[Minute]) -> int | None:
    left = _known(minutes, "stock_left")
    return sum(max(0, one - other) for one, other in pairwise(left)) if len(left) > 1 else None


def _emptied_s(minutes: Sequence[Minute]) -> int | None:
    waiting = [(each.minute, each.waiting) for each in minutes if each.waiting is not None]
    if not waiting:
        return None
    fullest = max(range(len(waiting)), key=lambda index: waiting[index][1])
    if waiting[fullest][1] == 0:
        return None
    start = start_of(minutes)
    return next(((minute - start) * 60 for minute, count in waiting[fullest:] if count == 0), None)


def start_of(minutes: Sequence[Minute]) -> int:
    """Return the minute in which a sale began: the first that served, or else its first row."""
    return next((each.minute for each in minutes if each.phase == "serving"), minutes[0].minute)


# ----------------------------------------------------------------------------------- side by side


def side_by_side(
    one: Sequence[Minute], other: Sequence[Minute], step: int, names: Sequence[str]
) -> Iterator[Columns]:
    """Lay two sales out over the same steps, counted from their starts; the first column, ``t``, is minutes from there.

    Each sequence is the rows of one sale in order, at least one.
    """
    starts = start_of(one), start_of(other)
    first = (
        min(rows[0].minute - start for rows, start in zip((one, other), starts, strict=True)) // step * step
    )
    last = (
        max(rows[-1].minute - start for rows, start in zip((one, other), starts, strict=True)) // step * step
    )
    for rows, start in zip((one, other), starts, strict=True):
        over = Window(start + first, start + last + step, step)
        yield {"t": list(range(first, last + step, step)), **columns(rows, over, names)}
