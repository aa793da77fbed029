"""Exact limits: the fullest window of a list of moments, and the most stays at one time.

Both are one pass over sorted moments. ``rate·W + burst`` over all windows is the maximum sum of a run of gains
(one for each admission) and costs (the rate for the time between): Kadane's scheme, O(n) after sorting.
Not here: where the moments come from, and which are certain (``checks``).
"""

from collections.abc import Iterable, Sequence


def fullest_window(moments: Sequence[int], unit_ms: int, rate_per_ms: float) -> tuple[float, int, int]:
    """The window that is fullest against its allowance: (count - rate·length, count, length in ms).

    Moments are sorted and rounded down to whole units. A window [a, b + unit) reaches from one moment to
    another; a longer one with the same moments allows more, so no other window is fuller.
    """
    best = (0.0, 0, 0)
    lead, lead_at = float("-inf"), 0
    for index, moment in enumerate(moments):
        start = rate_per_ms * (moment - moments[0]) - index
        if start > lead:
            lead, lead_at = start, index
        length_ms = moment + unit_ms - moments[lead_at]
        count = index - lead_at + 1
        best = max(best, (count - rate_per_ms * length_ms, count, length_ms))
    return best


def segments(
    moments: Sequence[int], losses_ms: Iterable[tuple[float, float]]
) -> list[tuple[Sequence[int], int]]:
    """The whole with the number of losses in it, and each part between losses with none.

    A loss happened at some time in [since, until): what lies in there belongs to the whole only.
    """
    losses = sorted(losses_ms)
    parts: list[tuple[Sequence[int], int]] = [(moments, len(losses))]
    if not losses:
        return parts
    since = float("-inf")
    for low, high in [*losses, (float("inf"), float("inf"))]:
        part = [moment for moment in moments if since <= moment and moment + 1000 <= low]
        if part:
            parts.append((part, 0))
        since = max(since, high)
    return parts


def most_at_once(stays: Iterable[tuple[float, float]]) -> tuple[int, float]:
    """The most half-open stays [since, until) at one time, and when that was first so."""
    changes: list[tuple[float, int]] = []
    for since, until in stays:
        if since < until:
            changes += [(since, 1), (until, -1)]
    now, peak, at = 0, 0, 0.0
    for moment, change in sorted(changes):  # an end sorts before a start of the same moment
        now += change
        if now > peak:
            peak, at = now, moment
    return peak, at
