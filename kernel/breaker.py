"""Circuit breaker: whoever does not answer is left alone for a while, and then asked by one caller first.

Every failure counts one up, every answer one down, never below 0; at ``Breaker.most`` it opens: ten failures in a row
open it whatever was before, and so does whoever fails more often than not. While it is open nobody asks. When its time
is over it is half open: one caller asks, all others wait for what comes of that. An answer closes it, a failure opens
it for twice as long as before, up to ``LONGEST_MS``.

Each permission carries the number of the breaker's round. What is told with the number of an earlier round is no news:
a call that began before the breaker opened says nothing about the time since. Pure: time is an argument.
Not here: what counts as a failure: that says whoever asks.
"""

from enum import StrEnum

MOST_FAILURES = 10
FIRST_MS = 2_000
LONGEST_MS = 60_000


class BreakerState(StrEnum):
    """How a breaker stands."""

    CLOSED = "closed"
    """Everybody may ask."""
    OPEN = "open"
    HALF_OPEN = "half-open"
    """One caller asks."""


class Breaker:
    """A breaker for one provider in one process."""

    __slots__ = ("_failures", "_first_ms", "_longest_ms", "_most", "_open_ms", "_round", "_until_ms", "state")

    def __init__(
        self, most_failures: int = MOST_FAILURES, first_ms: int = FIRST_MS, longest_ms: int = LONGEST_MS
    ) -> None:
        """Begin closed. Raises ``ValueError`` for a bound that could not work."""
        if most_failures < 1 or not 0 < first_ms <= longest_ms:
            raise ValueError(f"no breaker works with {most_failures} failures, {first_ms} to {longest_ms} ms")
        self._most = most_failures
        self._first_ms = first_ms
        self._longest_ms = longest_ms
        self._failures = 0
        self._open_ms = 0
        self._until_ms = 0
        self._round = 0
        self.state = BreakerState.CLOSED

    def ask(self, now_ms: int) -> int | None:
        """Permit one call, under the number of the round; None while nobody may ask."""
        if self.state is BreakerState.OPEN and self.rest_ms(now_ms) == 0:
            # Whoever comes first is the one that tries.
            self._next(BreakerState.HALF_OPEN)
            return self._round
        return self._round if self.state is BreakerState.CLOSED else None

    def rest_ms(self, now_ms: int) -> int:
        """Tell for how long it stays open; 0 when it does not."""
        if self.state is not BreakerState.OPEN:
            return 0
        rest_ms = self._until_ms - now_ms
        # More than it ever opened for: the clock was set back, and nobody is to wait for it.
        return rest_ms if 0 < rest_ms <= self._open_ms else 0

    def answered(self, number: int) -> None:
        """Take to heart that a call was answered."""
        if number != self._round:
            return
        if self.state is BreakerState.HALF_OPEN:
            self._open_ms = 0
            self._failures = 0
            self._next(BreakerState.CLOSED)
        else:
            self._failures = max(0, self._failures - 1)

    def failed(self, number: int, now_ms: int) -> None:
        """Take to heart that a call was not."""
        if number != self._round:
            return
        self._failures += 1
        if self.state is BreakerState.HALF_OPEN or self._failures >= self._most:
            self._open_ms = min(self._longest_ms, self._open_ms * 2 or self._first_ms)
            self._until_ms = now_ms + self._open_ms
            self._next(BreakerState.OPEN)

    def gave_up(self, number: int) -> None:
        """Forget a call of which nothing is known; if it was the one that tries, the next caller does."""
        if number == self._round and self.state is BreakerState.HALF_OPEN:
            self._until_ms = 0
            self._next(BreakerState.OPEN)

    def _next(self, state: BreakerState) -> None:
        self.state = state
        self._round += 1
