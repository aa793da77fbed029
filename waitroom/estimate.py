"""Estimate: how fast the line moves, and how far off the waits told from that speed have been.

A wait is told as ``ahead / speed``, with the count of who is still there (``census``), times two factors (``wait``).
The factors are learned from the line's own history of calls: for ranks that have been called since, what would a fan
have been told 1, 2, 5, … minutes before, and how long did it take in truth? This is split-conformal prediction
(Lei et al. 2018, doi:10.1080/01621459.2017.1307116): the earlier half of the ranks sets the factors so that nine waits
in ten fall between them, with the correction for a finite sample; the later half, which had no part in it, tells how
many did.
That share, and of how many, is what the page may say.

Where the share is honest: while the line goes on as it went. A steady rate, no-shows and a changing crowd at the
door are in the factors. Where not: a rate that the operator has just changed, a pause, a ramp, and any other
turn that the kept history has not seen; the share then is that of the hour before, and comes down (or
the factors widen) only as the ranks that went through the turn are called. The waits overlap, so `of` waits
say less than as many independent ones would. The history holds 4,096 calls, which is 17 minutes of a line that
moves four times a second: longer waits are judged by these. All lanes use what the standard lane has
learned. Ranks of void ranges count as ranks, here and in the measured speed.

Every worker must learn the same, or they would sign different documents. So only calls up to the last full ten
seconds count, and no more of them than each worker holds for sure. Not here: the interval itself (``wait``).
"""

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from math import ceil, floor, inf
from typing import NamedTuple

from waitroom.census import Census, fullness, lasts_s, newest
from waitroom.lanes import Moved, Serving

SPEED_WINDOW_MS = 60_000
LOOKBACKS_MS = (60_000, 120_000, 300_000, 600_000, 1_200_000, 2_400_000)
"""So long before its call a rank is asked what it was told."""

LOOKBACK_MOST = 1 / 3
"""The part of the history that a lookback may take."""

STEP_MS = 10_000
"""The factors are learned anew so often."""

USED_MOST = 3968
"""Calls looked at: the 4,096 that are kept, less more than a step can bring, for those of us who start later."""

RANKS_MOST = 240
"""Ranks looked at, spread evenly over all that were called."""

RANKS_LEAST = 50
HALF_LEAST = 50
"""With fewer ranks, or with fewer waits in either half, nothing is learned."""

MISSED = 0.1
"""The share of waits that the factors may leave out: half of it below, half above."""

NARROWEST = (0.95, 1.05)
"""Nothing is promised more exactly than this, however even the past was."""

WIDEST = (0.1, 5.0)


class Learned(NamedTuple):
    """Factors on ``ahead / speed``, and the share of the `of` later waits that lay between them."""

    low: float
    high: float
    held: float
    of: int

    @property
    def factors(self) -> tuple[float, float]:
        """The two that a wait is told by."""
        return self.low, self.high


def speed_per_minute(calls: Sequence[Moved], now_ms: int) -> Serving:
    """Return how many ranks a minute each threshold moved over the last minute of its history.

    The first record in the window is the base line. Zero where there is nothing to measure.
    """
    if not calls:
        return Serving()
    first = bisect_right(calls, now_ms - SPEED_WINDOW_MS, key=lambda record: record.at_ms)
    if first:
        base, span_ms = calls[first - 1], SPEED_WINDOW_MS
    else:
        base, span_ms = calls[0], max(1, now_ms - calls[0].at_ms)
    last = calls[-1]
    return Serving(
        *(round((new - old) * 60_000 / span_ms) for old, new in zip(base.serving, last.serving, strict=True))
    )


def mark_ms(calls: Sequence[Moved]) -> int:
    """Return the moment up to which calls count: what is learned changes only with it."""
    return calls[-1].at_ms // STEP_MS * STEP_MS if calls else 0


def learn(calls: Sequence[Moved], counts: Sequence[Census] = ()) -> Learned | None:
    """Learn from the kept calls, and from the counts that waits were told by; None while they tell too little."""
    stop = bisect_right(calls, mark_ms(calls), key=lambda record: record.at_ms)
    used = calls[max(0, stop - USED_MOST) : stop]
    ratios = _ratios([record.at_ms for record in used], [record.serving.standard for record in used], counts)
    half = len(ratios) // 2
    if half < HALF_LEAST:
        return None
    low, high = _factors(sorted(ratios[:half]))
    later = ratios[half:]
    held = sum(low <= ratio <= high for ratio in later) / len(later)
    return Learned(low, high, round(held, 2), len(later))


def _ratios(at_ms: Sequence[int], level: Sequence[int], counts: Sequence[Census] = ()) -> list[float]:
    """Return true waits by told ones, in the order of the calls; infinite where it was told that nobody is ahead.

    Every rank is asked for the same lookbacks, or the halves could not be compared: those of up to a third of the
    history, and only ranks called so late that it holds the longest, with the minute of its speed. A wait counts where
    there was a speed to tell it by.
    """
    if not level:
        return []
    span_ms = at_ms[-1] - at_ms[0]
    lookbacks_ms = [lookback_ms for lookback_ms in LOOKBACKS_MS if lookback_ms <= span_ms * LOOKBACK_MOST]
    if not lookbacks_ms:
        return []
    first = level[bisect_left(at_ms, at_ms[0] + SPEED_WINDOW_MS + lookbacks_ms[-1]) - 1]
    called = level[-1] - first
    count = min(RANKS_MOST, called)
    if count < RANKS_LEAST:
        return []
    ratios = []
    for index in range(count):
        rank = first + called * (2 * index + 1) // (2 * count)
        called_ms = at_ms[bisect_right(level, rank)]
        for lookback_ms in lookbacks_ms:
            told_ms = called_ms - lookback_ms
            base = level[bisect_right(at_ms, told_ms - SPEED_WINDOW_MS) - 1]
            then = level[bisect_right(at_ms, told_ms) - 1]
            speed = round((then - base) * 60_000 / SPEED_WINDOW_MS)
            if speed > 0:
                there = newest(counts, told_ms)
                ranks = (rank - then) * fullness(there, then, rank)
                told_wait_ms = 1000 * lasts_s(ranks, speed, there.leaving if there else 0)
                ratios.append(lookback_ms / told_wait_ms if told_wait_ms else inf)
    return ratios


def _factors(ratios: Sequence[float]) -> tuple[float, float]:
    """Return the factors that leave out `MISSED` of the sorted ratios, one more of them counted than there are."""
    count = len(ratios)
    low = ratios[max(0, floor((count + 1) * MISSED / 2) - 1)]
    high = ratios[min(count, ceil((count + 1) * (1 - MISSED / 2))) - 1]
    low, high = max(low, WIDEST[0]), min(high, WIDEST[1])
    return floor(min(low, NARROWEST[0]) * 100) / 100, ceil(max(high, NARROWEST[1]) * 100) / 100
