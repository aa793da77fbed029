"""Lane: a class of visitors with its own serving threshold on the room's one axis.

All lanes share one counter and one permutation, so there is one draw to check, and a visitor who
changes lane never loses a place. A lane decides only how early a rank is called: verified before
standard before suspect, never the other way round.

Not here: who belongs to which lane (``botguard``), and the shares in which lanes advance
(``admission.pace``). Recall is not a lane of a ticket: it is the state of who was called and came late.
"""

from enum import StrEnum
from typing import NamedTuple


class Lane(StrEnum):
    """The word that stands in a ticket."""

    VERIFIED = "verified"
    STANDARD = "standard"
    SUSPECT = "suspect"


class Serving(NamedTuple):
    """Threshold of each lane: every rank below it is called."""

    verified: int = 0
    standard: int = 0
    suspect: int = 0

    def of(self, lane: Lane) -> int:
        """Return the threshold of one lane."""
        return self[_INDEX[lane]]


class Moved(NamedTuple):
    """One entry of a line's history: at `at_ms` the thresholds became `serving`."""

    at_ms: int
    serving: Serving


_INDEX = {Lane.VERIFIED: 0, Lane.STANDARD: 1, Lane.SUSPECT: 2}


def is_better(lane: Lane, other: Lane) -> bool:
    """Tell whether a lane is called before another one."""
    return _INDEX[lane] < _INDEX[other]


def ordered(serving: Serving) -> Serving:
    """Lift thresholds so that verified >= standard >= suspect; none is ever lowered."""
    standard = max(serving.standard, serving.suspect)
    return Serving(max(serving.verified, standard), standard, serving.suspect)


def highest(left: Serving, right: Serving) -> Serving:
    """Return the higher threshold of each lane, ordered."""
    return ordered(Serving(*(max(a, b) for a, b in zip(left, right, strict=True))))


def at_most(serving: Serving, limit: int) -> Serving:
    """Cut every threshold at `limit`: calling past the end would bank turns for later joiners."""
    return Serving(*(min(value, limit) for value in serving))
