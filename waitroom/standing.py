"""Standing: what a ticket is worth right now. Derived from the ticket and the line, never stored.

``called`` is the right to claim; it turns into ``recall`` when the claim window has passed without a
first attempt: the right stays, but draws on a reserved share of the budget (``admission.claim``).
Admission itself is not known here.

Who needs longer asks for **more time** while the window runs: it ends one window later, as often as the room allows
(WCAG 2.2, 2.2.1: at least ten times). How often stands in the ticket, so the store knows nothing of it.
"""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from waitroom.lanes import Lane, Moved
from waitroom.line import Line, covered
from waitroom.schedule import Phase

CALLING = frozenset({Phase.SERVING, Phase.DRAINING})
"""Phases in which a turn can be taken, and so a claim window runs."""


class Standing(StrEnum):
    """The words for a visitor's place."""

    GATHERING = "gathering"
    WAITING = "waiting"
    CALLED = "called"
    RECALL = "recall"


@dataclass(frozen=True, slots=True)
class Place:
    """A ticket's place in the line. `ahead` is None while a draw is to come."""

    rank: int | None
    standing: Standing
    ahead: int | None
    called_ms: int | None
    until_ms: int | None = None
    """When the claim window ends; None while nothing runs, or where it is not known when it began."""


@dataclass(frozen=True, slots=True)
class Extended:
    """More time is given: the ticket says so many extensions now, and the window ends then."""

    extensions: int
    until_ms: int


class NoMore(StrEnum):
    """Why no time is added."""

    NOTHING_RUNS = "nothing-runs"
    TOO_LATE = "too-late"
    USED_UP = "used-up"


def more_time(
    line: Line, place: Place, extensions: int, most: int, claim_window_ms: int, now_ms: int
) -> Extended | NoMore:
    """Give a called fan one claim window more; a repeat with the same ticket gives the same again."""
    if line.phase not in CALLING or place.until_ms is None:
        return NoMore.NOTHING_RUNS
    if now_ms >= place.until_ms:
        return NoMore.TOO_LATE
    if extensions >= most:
        return NoMore.USED_UP
    return Extended(extensions + 1, place.until_ms + claim_window_ms)


def called_at_ms(calls: Sequence[Moved], lane: Lane, rank: int) -> int | None:
    """Return when the lane's threshold first passed `rank`, from the kept history; None if unknown."""
    index = bisect_right(calls, rank, key=lambda record: record.serving.of(lane))
    return calls[index].at_ms if index < len(calls) else None


def stand(
    line: Line,
    calls: Sequence[Moved],
    rank: int | None,
    lane: Lane,
    claim_window_ms: int,
    now_ms: int,
    *,
    extensions: int = 0,
) -> Place:
    """Place a rank in the line."""
    if rank is None:
        return Place(None, Standing.GATHERING, None, None)
    serving = line.serving.of(lane)
    if rank >= serving:
        standing = Standing.GATHERING if line.phase is Phase.GATHERING else Standing.WAITING
        return Place(rank, standing, rank - serving - covered(line.axis_void, serving, rank), None)
    called_ms = called_at_ms(calls, lane, rank)
    until_ms = None if called_ms is None else called_ms + claim_window_ms * (1 + extensions)
    late = until_ms is not None and now_ms >= until_ms
    return Place(rank, Standing.RECALL if late else Standing.CALLED, 0, called_ms, until_ms)
