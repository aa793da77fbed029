"""Arrivals: when each fan of the crowd comes, in seconds from its start.

Drawn up front and seeded; nothing here knows how fast the room answers (open loop: a closed loop slows down with
its victim and hides the overload it was made to show). A shape is a density over the crowd's duration; ``fans``
times are drawn from it, which is a Poisson process given its total.
Sources: the two windows in ``traces/`` (see the README there); the on-sale has no public trace, so it is put
together from what ticket sellers report: a ramp towards the start, a step at it, a long tail.
"""

import csv
import math
from collections.abc import Callable, Sequence
from enum import StrEnum
from pathlib import Path
from random import Random

FOLDER = Path(__file__).parent / "traces"
TRACE_PREFIX = "trace:"

# The on-sale: where the start lies in the crowd's duration, and who comes when.
START_RATIO = 0.25
RAMP_RATIO = 0.35  # come before the start, more and more of them
STEP_RATIO = 0.25  # come in the moment of the start
RAMP_CONSTANT_RATIO = 0.08  # of the duration: the ramp grows e-fold in this time
STEP_LENGTH_RATIO = 0.01  # of the duration, but
STEP_LENGTH_MOST_S = 2.0
TAIL_SCALE_RATIO = 0.06
TAIL_EXPONENT = 1.6

# The step: a seventh of the duration at a calm rate, then at once ten times as many for the rest.
STEP_TIMES = 10
STEP_HELD = 6


class Shape(StrEnum):
    """The arrival shapes known by name; a file of one's own is ``trace:FILE``."""

    ONSALE = "onsale"
    CONSTANT = "constant"
    FLASH = "flash"
    MATCH = "match"
    STEP = "step"


BUILT_IN = {Shape.FLASH: FOLDER / "flash-1998-05-12.csv", Shape.MATCH: FOLDER / "match-1998-06-29.csv"}


def arrivals(shape: str, fans: int, duration_s: float, random: Random) -> list[float]:
    """Draw the arrival times, sorted, each in [0, duration_s).

    Raises ValueError in one sentence when the shape is unknown or its file cannot be used.
    """
    place = _density(shape, duration_s)
    return sorted(min(place(random.random()), math.nextafter(duration_s, 0.0)) for _ in range(fans))


def start_s(shape: str, duration_s: float) -> float | None:
    """The moment of the start, or of the step, in the crowd's time; the other shapes have none."""
    if shape == Shape.STEP:
        return duration_s / (1 + STEP_HELD)
    return START_RATIO * duration_s if shape == Shape.ONSALE else None


def read_trace(path: Path) -> list[float]:
    """Read the ``requests`` column of a table with a head line, one row for each equal step of time."""
    try:
        with path.open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
        counts = [float(row["requests"]) for row in rows]
    except OSError as error:
        raise ValueError(f"The trace {path} cannot be read: {error.strerror}.") from error
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"The trace {path} needs a column 'requests' with a number in each row.") from error
    if not counts or min(counts) < 0 or sum(counts) <= 0 or not all(map(math.isfinite, counts)):
        raise ValueError(f"The trace {path} needs counts that are not negative and not all zero.")
    return counts


def _density(shape: str, duration_s: float) -> Callable[[float], float]:
    """The inverse of the shape's distribution: a uniform number in [0, 1) to a time."""
    if shape.startswith(TRACE_PREFIX):
        return _steps(read_trace(Path(shape.removeprefix(TRACE_PREFIX))), duration_s)
    match shape:
        case Shape.CONSTANT:
            return lambda u: u * duration_s
        case Shape.ONSALE:
            return _onsale(duration_s)
        case Shape.FLASH | Shape.MATCH:
            return _steps(read_trace(BUILT_IN[Shape(shape)]), duration_s)
        case Shape.STEP:
            return _steps([1, *[STEP_TIMES] * STEP_HELD], duration_s)
        case _:
            known = ", ".join([*Shape, f"{TRACE_PREFIX}FILE"])
            raise ValueError(f"The shape {shape!r} is not known; there are {known}.")


def _steps(counts: Sequence[float], duration_s: float) -> Callable[[float], float]:
    """A density that is flat within each row of the table, the table stretched over the duration."""
    total = sum(counts)
    width_s = duration_s / len(counts)
    ends: list[float] = []
    reached = 0.0
    for count in counts:
        reached += count / total
        ends.append(reached)

    def place(u: float) -> float:
        low, high = 0, len(ends) - 1
        while low < high:
            middle = (low + high) // 2
            if ends[middle] > u:
                high = middle
            else:
                low = middle + 1
        share = counts[low] / total
        within = (u - (ends[low] - share)) / share if share else 0.0
        return (low + min(max(within, 0.0), 1.0)) * width_s

    return place


def _onsale(duration_s: float) -> Callable[[float], float]:
    """Exponential ramp to the start, a step at it, a power-law tail after it."""
    start = START_RATIO * duration_s
    growth_s = RAMP_CONSTANT_RATIO * duration_s
    step_s = min(STEP_LENGTH_MOST_S, STEP_LENGTH_RATIO * duration_s)
    after = start + step_s
    scale_s = TAIL_SCALE_RATIO * duration_s
    # 1 - F(t) of the tail, cut at the end of the crowd so that everybody comes within it.
    left_over = (1 + (duration_s - after) / scale_s) ** (1 - TAIL_EXPONENT)

    def place(u: float) -> float:
        if u < RAMP_RATIO:
            low = math.exp(-start / growth_s)
            return start + growth_s * math.log(low + (u / RAMP_RATIO) * (1 - low))
        u -= RAMP_RATIO
        if u < STEP_RATIO:
            return start + step_s * u / STEP_RATIO
        v = (u - STEP_RATIO) / (1 - RAMP_RATIO - STEP_RATIO)
        return after + scale_s * (math.pow(1 - v * (1 - left_over), 1 / (1 - TAIL_EXPONENT)) - 1)

    return place
