"""Loop lag: how late this worker's event loop is, in milliseconds, as the mean of the last second.

Every ``BEAT_S`` the loop is asked to call back; by how much it does so too late is what any other thing that is due
waits, too: an answer of the store, a request that has come. An idle loop is late by a fraction of a millisecond, one
that is asked for twice what it can do by hundreds. Time is the loop's own and only differences count, hence no clock.
"""

import asyncio
from collections import deque

BEAT_S = 0.05
BEATS_KEPT = 20


class LoopLag:
    """A probe of the loop in which it was started; call it for the figure."""

    def __init__(self) -> None:
        self._late_s: deque[float] = deque(maxlen=BEATS_KEPT)
        self._due_s = 0.0
        self._timer: asyncio.TimerHandle | None = None

    def __call__(self) -> float:
        """Return the mean lateness; 0 before the first beat."""
        return sum(self._late_s) / len(self._late_s) * 1000 if self._late_s else 0.0

    def start(self) -> None:
        """Begin to measure."""
        self._beat_at(asyncio.get_running_loop().time() + BEAT_S)

    def stop(self) -> None:
        """Measure no more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _beat_at(self, due_s: float) -> None:
        self._due_s = due_s
        self._timer = asyncio.get_running_loop().call_at(due_s, self._beat)

    def _beat(self) -> None:
        now_s = asyncio.get_running_loop().time()
        self._late_s.append(max(0.0, now_s - self._due_s))
        self._beat_at(now_s + BEAT_S)
