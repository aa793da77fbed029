"""Crowding: whether viewers of a map are told every seat, or only how much is free in each section.

A map costs a worker more than anything else it does, and is worth less than a hold: whoever looks at sections can
still ask for the best seats. So a worker that is under *pressure* tells sections. Pressure is the largest of three
shares, each of what was measured in what is allowed (``Bounds``): how late the event loop is, how many streams are
open, how many bytes of maps and streams go out. 1 and more is too much.

* From seats to sections: pressure of 1 or more for ``ENTER_MS`` without a break.
* Back: pressure below ``EASY_RATIO`` for ``stay_ms`` without a break. Going back costs a map for each viewer, so a
  worker that had to give in again within ``RELAPSE_MS`` stays twice as long (``STAY_MS`` up to ``STAY_MOST_MS``).

Nothing but maps and their streams is ever told less because of this: no request that holds or pays asks here.
Not here: measuring (``live.loop_lag``, ``live.service``), what is sent (``live.following``).
"""

from dataclasses import dataclass, replace

ENTER_MS = 1_000
EASY_RATIO = 0.5
STAY_MS = 10_000
STAY_MOST_MS = 160_000
RELAPSE_MS = 60_000


@dataclass(frozen=True, slots=True)
class Bounds:
    """What one worker may be burdened with before maps become coarse."""

    lag_ms: float = 40
    """Mean lateness of the event loop: what every hold waits on top, out of 50 ms that it may take."""

    viewers: int = 4_000
    """Twice as many open streams as one worker is measured to serve five times a second."""

    bytes_per_s: float = 100_000_000
    """Most of what a line of 1 Gbit/s carries: 7,000 packed maps of 60,000 seats a second."""


@dataclass(frozen=True, slots=True)
class Load:
    """What was measured in the last second."""

    lag_ms: float
    viewers: int
    bytes_per_s: float

    def pressure(self, bounds: Bounds) -> float:
        """Return the largest share of a bound that is used up."""
        return max(
            self.lag_ms / bounds.lag_ms, self.viewers / bounds.viewers, self.bytes_per_s / bounds.bytes_per_s
        )


@dataclass(frozen=True, slots=True)
class Crowding:
    """How it stands."""

    is_crowded: bool = False
    """Only sections are told."""
    turning_ms: int | None = None
    """Since when the load has been such that it would have to change; None while it is not."""
    left_ms: int | None = None
    """When seats were told again."""
    stay_ms: int = STAY_MS


def judge(crowding: Crowding, pressure: float, now_ms: int) -> Crowding:
    """Say how it stands after a measurement; a clock that went back begins the wait anew."""
    would_turn = pressure < EASY_RATIO if crowding.is_crowded else pressure >= 1
    if not would_turn:
        return crowding if crowding.turning_ms is None else replace(crowding, turning_ms=None)
    since_ms = crowding.turning_ms
    if since_ms is None or now_ms < since_ms:
        since_ms = now_ms
    if now_ms - since_ms < (crowding.stay_ms if crowding.is_crowded else ENTER_MS):
        return replace(crowding, turning_ms=since_ms)
    if crowding.is_crowded:
        return replace(crowding, is_crowded=False, turning_ms=None, left_ms=now_ms)
    is_relapse = crowding.left_ms is not None and now_ms - crowding.left_ms < RELAPSE_MS
    stay_ms = min(STAY_MOST_MS, crowding.stay_ms * 2) if is_relapse else STAY_MS
    return Crowding(is_crowded=True, left_ms=crowding.left_ms, stay_ms=stay_ms)
