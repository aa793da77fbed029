"""Features: what of a rhythm is measured, by name, in one order, under one version.

Every feature is a share, a mean or a correlation of ratios without a unit. What was not seen often enough is
``nan``: missing, and no evidence for or against anybody; keyboards, switches and screen readers have no pointer, and
their vector is all ``nan``. Sets of features: ``grid`` looks at even times and does not know the mouse's own rate,
``step`` looks at the steps as they came, ``stroke`` at whole movements.

Not here: how sums come about (``rhythm``), what a score is worth (``model``).
"""

from collections.abc import Mapping
from itertools import pairwise
from math import log, nan, sqrt

from botguard.rhythm.summary import GAP_RATIOS, GRIDS_MS, SPEED_RATIOS, TURN_COSINES
from botguard.rhythm.summary import LEVEL as _SUMS

VERSION = 1
FEWEST = 8
"""Fewer looks than this say nothing."""

_LEVEL = (
    "change", "change_spread", "gain", "gain_spread", "gain_echo", "gain_turns", "jerk", "jerk_spread", "jerk_change",
    "cosine", "sine_lean", "sine_spread", "sine_echo", "sine_turns",
)  # fmt: skip
GRID = (
    *(f"g{grid}_{name}" for grid in GRIDS_MS for name in _LEVEL),
    *(f"{name}_{fine}_{wide}" for fine, wide in pairwise(GRIDS_MS)
      for name in ("change", "jerk", "sine")),
)  # fmt: skip
STEP = (
    "still", "same", "level",
    *(f"turn_{at}" for at in range(len(TURN_COSINES) + 1)),
    *(f"ratio_{at}" for at in range(len(SPEED_RATIOS) + 1)),
    *(f"gap_{at}" for at in range(len(GAP_RATIOS) + 1)),
)  # fmt: skip
STROKE = ("straight", "bow", "peak_at", "flat", "begin", "end", "late")
NAMES = (*GRID, *STEP, *STROKE)
SETS = {"grid": GRID, "step": STEP, "stroke": STROKE}


def vector(summary: Mapping[str, float]) -> list[float]:
    """Return the features of a summary, in the order of ``NAMES``."""
    found: list[float] = []
    wide = [_level(summary, f"g{grid}_", found) for grid in GRIDS_MS]
    for fine, next_one in pairwise(wide):
        found.extend(
            log(b / a) if a > 1e-9 and b > 1e-9 else nan for a, b in zip(fine, next_one, strict=True)
        )
    steps = summary["steps"]
    found.extend(summary[name] / steps if steps >= FEWEST else nan for name in ("still", "same", "level"))
    for name, many in (("turn", len(TURN_COSINES)), ("ratio", len(SPEED_RATIOS)), ("gap", len(GAP_RATIOS))):
        bins = [summary[f"{name}_{at}"] for at in range(many + 1)]
        seen = sum(bins)
        found.extend(one / seen if seen >= FEWEST else nan for one in bins)
    strokes = summary["strokes"]
    found.extend(summary[name] / strokes if strokes >= 1 else nan for name in STROKE)
    return found


def _level(summary: Mapping[str, float], prefix: str, found: list[float]) -> tuple[float, float, float]:
    """Add the features of one grid; return what is compared between grids."""
    get = [summary[prefix + name] for name in _SUMS]
    (pairs, change, change2, gain, gain2, gain_echo, gain_turns, gains, triples, jerk, jerk2,
     turns, cosine, _, sine, sine2, sine_echo, sine_turns, sine_pairs) = get  # fmt: skip
    if pairs < FEWEST or triples < FEWEST:
        found.extend([nan] * len(_LEVEL))
        return nan, nan, nan
    mean, mean_jerk = change / pairs, jerk / triples
    found += (
        mean,
        _spread(change, change2, pairs),
        gain / pairs,
        _spread(gain, gain2, pairs),
        gain_echo / gain2 if gain2 > 1e-9 else nan,
        gain_turns / gains if gains else nan,
        mean_jerk,
        _spread(jerk, jerk2, triples),
        mean_jerk / mean if mean > 1e-9 else nan,
    )
    if turns < FEWEST or sine_pairs < FEWEST:
        found.extend([nan] * 5)
        return mean, mean_jerk, nan
    swing = sqrt(sine2 / turns)
    found += (
        cosine / turns,
        abs(sine) / turns,
        swing,
        sine_echo / sine2 if sine2 > 1e-9 else nan,
        sine_turns / sine_pairs,
    )
    return mean, mean_jerk, swing


def _spread(total: float, squares: float, many: float) -> float:
    mean = total / many
    return sqrt(max(0.0, squares / many - mean * mean))
