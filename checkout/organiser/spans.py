"""Span: the time that a series is about, cut into steps of equal length. Pure.

Half-open: ``from_ms`` is in it, ``until_ms`` is not; the same goes for each step. Steps begin at ``from_ms``, so who
wants days of a place begins at its midnight; the last step may be shorter. A day has 24 hours, also when clocks change.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from checkout.faults import Faults
from checkout.organiser.pages import is_number

STEPS_MOST = 10_080
"""A week of minutes."""

LATEST_MS = 253_402_300_800_000
"""The year 10,000, which dates are not written beyond."""

STEPS = {"minute": 60_000, "hour": 3_600_000, "day": 86_400_000}
USUAL = "minute"


@dataclass(frozen=True, slots=True)
class Span:
    """A time, and how long its steps are."""

    from_ms: int
    until_ms: int
    step: str = USUAL

    @property
    def step_ms(self) -> int:
        """Tell how long a step is."""
        return STEPS[self.step]

    @property
    def steps(self) -> int:
        """Count the steps, the last one however short."""
        return -(-(self.until_ms - self.from_ms) // self.step_ms)

    def begins(self) -> range:
        """Tell when each step begins."""
        return range(self.from_ms, self.until_ms, self.step_ms)


def read_span(given: Sequence[tuple[str, str]]) -> Span:
    """Read ``from_ms``, ``until_ms`` and ``step``. Raises ``Refused("query-invalid")`` with all faults."""
    faults = Faults("query-invalid", "The series' parameters have faults.")
    words: dict[str, str] = {}
    for name, text in given:
        if name in words:
            faults.add(f"{name[:63]}: it is there twice")
        elif name not in {"from_ms", "until_ms", "step"}:
            faults.add(f"{name[:63]}: it is unknown")
        words[name] = text
    step = words.get("step", USUAL)
    if step not in STEPS:
        faults.add(f"step: it must be one of {', '.join(STEPS)}")
    times = {}
    for name in ("from_ms", "until_ms"):
        if name not in words:
            faults.add(f"{name}: it is missing")
        elif not (is_number(words[name]) and int(words[name]) <= LATEST_MS):
            faults.add(f"{name}: it must be milliseconds since 1970, before the year 10,000")
        else:
            times[name] = int(words[name])
    if len(times) == 2 and times["from_ms"] >= times["until_ms"]:
        faults.add("until_ms: it must be after from_ms")
    faults.refuse()
    span = Span(times["from_ms"], times["until_ms"], step)
    if span.steps > STEPS_MOST:
        faults.add(
            f"step: that would be {span.steps:,} steps, and {STEPS_MOST:,} are told at most; take longer ones"
        )
    faults.refuse()
    return span
