"""Wall clock: the shop's time at a moment of the crowd's clock, in microseconds since 1970.

The crowd counts by a clock that nobody sets; the shop tells its ends by the machine's. The two run apart by some
microseconds a second, so how far apart they are is read anew each second. A question is then put a little earlier and
an answer a little later than they were (``SLACK_US``): what is said to have overlapped may not have, but what is
said to have come first surely did. A clock that is *set* meanwhile shows as a jump.
"""

from collections.abc import Callable

READ_EVERY_S = 1.0
SURE_S = 0.00005
"""The two clocks are read one after the other; a pause between the two spoils the pair, so it is read again."""

TRIES = 5
SLACK_US = 200


class WallClock:
    """Both clocks of a crowd, tied together."""

    def __init__(self, seconds: Callable[[], float], wall_ms: Callable[[], float]) -> None:
        self._seconds = seconds
        self._wall_ms = wall_ms
        self._apart_ms: float | None = None
        self._read_s = 0.0
        self.jump_ms = 0.0
        """The furthest that the wall clock was set at once while the crowd was there."""

    def us(self, at_s: float) -> int:
        """Tell the shop's time at a moment of the crowd's, as well as it is known."""
        now_s = self._seconds()
        if self._apart_ms is None or now_s - self._read_s >= READ_EVERY_S:
            self._read(now_s)
        return round((self._apart_ms or 0.0) * 1000 + at_s * 1_000_000)

    def asked_us(self, at_s: float) -> int:
        """Tell when a question was asked, or a little before."""
        return self.us(at_s) - SLACK_US

    def answered_us(self, at_s: float) -> int:
        """Tell when an answer was there, or a little after."""
        return self.us(at_s) + SLACK_US

    def _read(self, now_s: float) -> None:
        apart_ms = 0.0
        for _ in range(TRIES):
            before_s = self._seconds()
            apart_ms = self._wall_ms()
            after_s = self._seconds()
            apart_ms -= (before_s + after_s) / 2 * 1000
            if after_s - before_s <= SURE_S:
                break
        if self._apart_ms is not None:
            self.jump_ms = max(self.jump_ms, abs(apart_ms - self._apart_ms))
        self._apart_ms, self._read_s = apart_ms, now_s
