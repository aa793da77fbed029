"""Progress: how the crowd is doing, on stderr while it runs.

A bar that is redrawn on a terminal; elsewhere (a log, a pipe) a line each ten seconds. Nothing on stdout: that is for
the report.
"""

from dataclasses import dataclass, field
from typing import TextIO

from gateway.crowd.crowd import Pulse

WIDTH = 28
LINE_EVERY_S = 10.0
_EIGHTHS = " ▏▎▍▌▋▊▉█"


@dataclass(slots=True)
class Progress:
    """Writes pulses to a stream."""

    stream: TextIO
    fans: int
    is_terminal: bool
    _last: Pulse | None = None
    _told_s: float = field(default=-LINE_EVERY_S)

    def __call__(self, pulse: Pulse) -> None:
        """Tell one pulse, when it is time to."""
        rate = 0
        if self._last is not None and pulse.at_s > self._last.at_s:
            rate = round((pulse.requests - self._last.requests) / (pulse.at_s - self._last.at_s))
        if self.is_terminal:
            self.stream.write(
                f"\r\x1b[K{bar(pulse.ended / self.fans)} {sentence(pulse, self.fans)} · {rate:,} req/s"
            )
            self.stream.flush()
        elif pulse.at_s - self._told_s >= LINE_EVERY_S:
            self._told_s = pulse.at_s
            self.stream.write(f"{pulse.at_s:6.0f} s  {sentence(pulse, self.fans)} · {rate:,} req/s\n")
            self.stream.flush()
        self._last = pulse

    def done(self) -> None:
        """Leave a clean line behind."""
        if self.is_terminal and self._last is not None:
            self.stream.write("\r\x1b[K")
            self.stream.flush()


def bar(share: float) -> str:
    """A bar of ``WIDTH`` cells, drawn to an eighth of a cell."""
    eighths = round(min(1.0, max(0.0, share)) * WIDTH * 8)
    full, rest = divmod(eighths, 8)
    return f"▕{('█' * full + (_EIGHTHS[rest] if rest else '')).ljust(WIDTH)}▏{share:4.0%}"


def sentence(pulse: Pulse, fans: int) -> str:
    """The pulse in words."""
    return (
        f"{pulse.arrived:,} of {fans:,} came · {pulse.in_line:,} in line · "
        f"{pulse.admitted:,} admitted · {pulse.ended:,} done"
    )
