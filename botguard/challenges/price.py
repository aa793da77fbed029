"""Price: how much work is asked for, in a few levels, bounded above and below.

A level doubles the one before: at most 16,384 hashes at the lowest, 262,144 at the highest. A browser makes 60,000
to 600,000 of them a second (docs/adr/0026), so the lowest costs any device a fraction of a second and the highest a
slow phone some four. Who is slower asks for an easier one after ``PATIENCE_MS`` and gets one two levels down, as
often as it takes: nobody is locked out by a slow device. A bot that asks for easier ones pays the same seconds in
waiting. Work is a price and no proof of a person: it makes a thousand places cost a thousand times as much. Pure.
"""

from botguard.challenges.port import Weight

LEVEL_MOST = 4
FIRST_TRIES = 16_384
PATIENCE_MS = 2_000
EASIER_BY = 2
LASTS_MS = 300_000
"""So long a challenge may be answered."""

_WAITS_MIN = (2.0, 15.0)
"""From so many minutes of waiting on, one level more."""
_SCORES = (0.5, 0.9)
"""From such a score on, one level more."""


def level_of(weight: Weight, *, instead: bool = False) -> int:
    """Return the level for a place; one more where work was chosen instead of a provider's check."""
    level = sum(weight.wait_min >= step for step in _WAITS_MIN)
    if weight.score is not None:
        level += sum(weight.score >= step for step in _SCORES)
    return min(LEVEL_MOST, level + instead)


def easier(level: int) -> int:
    """Return the level for a device that did not come to an end in time."""
    return max(0, min(level, LEVEL_MOST) - EASIER_BY)


def tries_most(level: int) -> int:
    """Return how many hashes a level takes at most; half of them in the mean."""
    return FIRST_TRIES << max(0, min(level, LEVEL_MOST))
