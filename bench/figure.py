"""A figure: one measured number, what it is compared with, and under which conditions.

One JSON line each. ``ratio`` is ours by reference, the median over rounds that alternate; ``target`` is the bar the
project set itself; ``beside`` are further numbers that an issue names. A run whose answers were not what they must be
has value 0 and says why in ``error``.
"""

import json
import statistics
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace


@dataclass(frozen=True, slots=True)
class Figure:
    """One line of a benchmark's output."""

    name: str
    value: float
    unit: str
    reference: str | None = None
    ratio: float | None = None
    target: str | None = None
    met: bool | None = None
    beside: Mapping[str, float] = field(default_factory=dict)
    conditions: Mapping[str, object] = field(default_factory=dict)
    details: Mapping[str, object] = field(default_factory=dict)
    error: str | None = None

    def line(self) -> str:
        """Return the JSON line; what is not known is left out."""
        row: dict[str, object] = {"name": self.name, "value": _short(self.value), "unit": self.unit}
        if self.reference is not None:
            row["reference"] = self.reference
        if self.ratio is not None:
            row["ratio"] = _short(self.ratio)
        row |= {name: _short(value) for name, value in self.beside.items()}
        if self.target is not None:
            row["target"] = self.target
        if self.met is not None:
            row["met"] = self.met
        if self.error is not None:
            row["error"] = self.error
        if self.details:
            row["details"] = dict(self.details)
        row["conditions"] = dict(self.conditions)
        return json.dumps(row, ensure_ascii=False)


def _short(value: float) -> float:
    return round(value) if abs(value) >= 1000 or value == int(value) else float(f"{value:.4g}")


def failed(figure: Figure, error: str) -> Figure:
    """Return the figure with value 0 and the reason: a wrong answer is never a fast one."""
    return replace(
        figure,
        value=0,
        ratio=0 if figure.ratio is not None else None,
        met=False if figure.target is not None else None,
        error=error,
    )


def emit(figure: Figure) -> None:
    """Write the figure to stdout."""
    sys.stdout.write(figure.line() + "\n")
    sys.stdout.flush()


def say(text: str) -> None:
    """Tell the person at the terminal what is going on."""
    sys.stderr.write(f"bench: {text}\n")
    sys.stderr.flush()


def median_ratio(ours: Sequence[float], reference: Sequence[float]) -> float:
    """Return the median of the rounds' ratios; 0 when a reference round measured nothing."""
    if any(value <= 0 for value in reference):
        return 0.0
    return statistics.median(mine / theirs for mine, theirs in zip(ours, reference, strict=True))
