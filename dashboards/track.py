"""Track: the last half hour of a room's numbers, second by second, in flat arrays.

Eight numbers of eight octets a second: half an hour of a room takes some 130 kB. Unknown is NaN within and None to
whoever reads, never 0. Pure: what is to be kept and when is said by ``sampling``.
"""

from array import array
from bisect import bisect_left
from collections.abc import Iterable, Mapping
from math import isnan, nan

NAMES = (
    "waiting", "called", "admitted_per_minute", "rate", "active_sessions", "cap", "wait_low_s", "wait_high_s",
)  # fmt: skip
KEPT_MS = 30 * 60_000
_SLACK = 64
"""Old seconds are cut off so many at a time: moving the arrays each second would be wasted."""

Series = dict[str, list[float | None]]


class Track:
    """Numbers over time; times only grow."""

    def __init__(self, kept_ms: int = KEPT_MS) -> None:
        """Keep `kept_ms` of them."""
        self._kept_ms = kept_ms
        self._at_ms = array("q")
        self._columns = {name: array("d") for name in NAMES}

    def __len__(self) -> int:
        """Count the moments that are kept."""
        return len(self._at_ms)

    def add(self, at_ms: int, numbers: Mapping[str, object]) -> None:
        """Keep the numbers of a moment; the same moment again replaces them, an earlier one begins anew."""
        if self._at_ms and at_ms < self._at_ms[-1]:
            self._cut(len(self._at_ms))
        again = bool(self._at_ms) and at_ms == self._at_ms[-1]
        if not again:
            self._at_ms.append(at_ms)
        for name, column in self._columns.items():
            value = numbers.get(name)
            known = float(value) if isinstance(value, int | float) and not isinstance(value, bool) else nan
            if again:
                column[-1] = known
            else:
                column.append(known)
        old = bisect_left(self._at_ms, at_ms - self._kept_ms)
        if old >= _SLACK:
            self._cut(old)

    def _cut(self, count: int) -> None:
        del self._at_ms[:count]
        for column in self._columns.values():
            del column[:count]

    def series(self, step_ms: int = 1, *, now_ms: int | None = None, names: Iterable[str] = NAMES) -> Series:
        """Return what is kept, the last moment of each whole `step_ms`; times in seconds under ``t``."""
        picked = self._picked(step_ms, now_ms)
        out: Series = {"t": [self._at_ms[index] / 1000 for index in picked]}
        for name in names:
            column = self._columns[name]
            out[name] = [_plain(column[index]) for index in picked]
        return out

    def newest(self) -> dict[str, float | None]:
        """Return the last moment; empty where there is none."""
        if not self._at_ms:
            return {}
        return {"t": self._at_ms[-1] / 1000} | {
            name: _plain(column[-1]) for name, column in self._columns.items()
        }

    def _picked(self, step_ms: int, now_ms: int | None) -> list[int]:
        """Find the last moment of each step; asks the times only as often as there are steps."""
        if not self._at_ms:
            return []
        count, out = len(self._at_ms), []
        index = bisect_left(self._at_ms, (self._at_ms[-1] if now_ms is None else now_ms) - self._kept_ms)
        while index < count:
            index = bisect_left(self._at_ms, (self._at_ms[index] // step_ms + 1) * step_ms, index)
            out.append(index - 1)
        return out


def _plain(value: float) -> float | None:
    if isnan(value):
        return None
    return int(value) if value.is_integer() else value
