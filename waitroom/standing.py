"""Standing: what a ticket is worth right now. Derived from the ticket and the line, never stored.

``called`` is the right to claim; it turns into ``recall`` when the claim window has passed without a
first attempt: the right stays, but draws on a reserved share of the budget (``admission.claim``).
Admission itself is not known here.
"""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from waitroom.lanes import Lane, Moved
from waitroom.line import Line, covered
from waitroom.schedule import Phase


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


def called_at_ms(calls: Sequence[Moved], lane: Lane, rank: int) -> int | None:
    """Return when the lane's threshold first passed `rank`, from the kept history; None if unknown."""
    index = bisect_right(calls, rank, key=lambda record: record.serving.of(lane))
    return calls[index].at_ms if index < len(calls) else None


def stand(
    line: Line, calls: Sequence[Moved], rank: int | None, lane: Lane, claim_window_ms: int, now_ms: int
) -> Place:
    """Place a rank in the line."""
    if rank is None:
        return Place(None, Standing.GATHERING, None, None)
    serving = line.serving.of(lane)
    if rank >= serving:
        standing = Standing.GATHERING if line.phase is Phase.GATHERING else Standing.WAITING
        return Place(rank, standing, rank - serving - covered(line.axis_void, serving, rank), None)
    called_ms = called_at_ms(calls, lane, rank)
    late = called_ms is not None and now_ms >= called_ms + claim_window_ms
    return Place(rank, Standing.RECALL if late else Standing.CALLED, 0, called_ms)
