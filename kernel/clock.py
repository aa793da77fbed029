"""Clock: says what time it is, in whole milliseconds since 1970 (UTC).

A use case reads it once and hands ``now_ms`` on; rules never ask. Scripts in the store take the
store's own ``TIME`` (``kernel.lua``), so that the workers' clocks need not agree.
"""

import time
from typing import Protocol

SET_BACK_MS = 10_000
"""A clock that goes back by more was wrong before and has been set right: then it is believed."""


def later(now_ms: int, last_ms: int) -> int:
    """Return the time that a rule goes by: never before `last_ms`, unless the clock was set back.

    A stalled worker or a correction of seconds turns nothing back. But whoever waited for a clock that was an hour
    ahead until it has caught up would let a whole sale stand for that hour.
    """
    return now_ms if last_ms - now_ms > SET_BACK_MS else max(now_ms, last_ms)


class Clock(Protocol):
    """Whatever can tell the time."""

    def now_ms(self) -> int:
        """Return milliseconds since 1970 (UTC)."""
        ...


class SystemClock:
    """The machine's wall clock; it may jump, so rules use ``max(now, last)`` where that matters."""

    __slots__ = ()

    def now_ms(self) -> int:
        """Return milliseconds since 1970 (UTC)."""
        return time.time_ns() // 1_000_000


class ManualClock:
    """A clock that moves only when told to: for tests and the simulator."""

    __slots__ = ("_now_ms",)

    def __init__(self, now_ms: int) -> None:
        """Start at ``now_ms``."""
        self._now_ms = now_ms

    def now_ms(self) -> int:
        """Return the time last set."""
        return self._now_ms

    def advance(self, ms: int) -> int:
        """Move by ``ms`` and return the new time; a negative number is a clock that jumps back."""
        self._now_ms += ms
        return self._now_ms

    def set(self, ms: int) -> None:
        """Jump to ``ms``."""
        self._now_ms = ms
