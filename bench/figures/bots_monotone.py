"""The figure bots-monotone: what it costs the rhythm's model to let features speak one way only, on inner folds.

The ways are those of the rules for plain bots (``botguard.rules``): even steps, no turns and a steady speed speak for a
script, and never against one. ``wide`` says so of change, jerk and swing on each grid, too. Judged as candidates are
chosen (docs/bots.md): one more device and one more family left out of each outer fold. No outer fold is looked at, and
nothing is chosen by it (ADR-0032).
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from bench import bots
from bench.figure import Figure, say
from bench.harness import Bench
from botguard.rhythm.summary import GRIDS_MS
from botguard.training.fitting import Candidate, fit
from botguard.training.folds import CANDIDATES, Key, inner_pairs, scored
from botguard.training.making import SEED
from botguard.training.measures import auc
from botguard.training.rows import Rows, read_rows
from botguard.training.traces import DEVICES, FAMILIES

PLAIN = (("same", 1), ("turn_0", 1), ("g50_change", -1))
WIDE = (
    *(("same", 1), ("turn_0", 1)),
    *((f"g{grid}_{name}", -1) for grid in GRIDS_MS for name in ("change", "jerk", "sine_spread")),
)
DRAWS = 2_000


def measure(bench: Bench) -> Iterator[Figure]:
    """Compare each candidate with itself under both kinds of bounds, fold by fold."""
    rows = read_rows(bots.DELBOT, SEED, bench.folder, say)
    free = np.array([inner(rows, candidate) for candidate in CANDIDATES])
    found = {}
    for name, bounds in (("plain", PLAIN), ("wide", WIDE)):
        found[name] = np.array([inner(rows, replace(one, monotone=bounds)) for one in CANDIDATES])
        say(f"{name}: {found[name].mean():.4f}, free {free.mean():.4f}")
    gains = {name: each - free for name, each in found.items()}
    value = float(gains["plain"].mean())
    low, high = interval(gains["plain"].mean(axis=0))
    wide_low, wide_high = interval(gains["wide"].mean(axis=0))
    yield Figure(
        "bots-monotone",
        value,
        "AUC gained on inner folds",
        "the same candidates without bounds",
        beside={
            "low": low,
            "high": high,
            "free": float(free.mean()),
            "wide": float(gains["wide"].mean()),
            "wide_low": wide_low,
            "wide_high": wide_high,
        },
        conditions=bench.conditions(load="none", sessions=3551, folds=free[0].size),
        details={
            one.name: {
                "free": round(float(free[at].mean()), 4),
                **{name: round(float(each[at].mean()), 4) for name, each in found.items()},
                "plain better in": int((gains["plain"][at] > 0).sum()),
                "wide better in": int((gains["wide"][at] > 0).sum()),
            }
            for at, one in enumerate(CANDIDATES)
        }
        | {f"{name}, by group judged": by_group(each.mean(axis=0)) for name, each in gains.items()},
    )


def inner(rows: Rows, candidate: Candidate) -> list[float]:
    """Return the AUC of each inner fold of each outer one."""
    found = [
        auc(*scored(rows, fit(rows, candidate, {*key, *pair}, SEED), pair))
        for key in outer()
        for pair in inner_pairs(key)
    ]
    say(f"{candidate.name}{', bound' if candidate.monotone else ''}: {np.mean(found):.4f}")
    return found


def by_group(gains: np.ndarray) -> dict[str, float]:
    """Return the mean gain of the inner folds in which a device's people or a family's bots are judged."""
    judged = [pair for key in outer() for pair in inner_pairs(key)]
    return {
        group: round(float(gains[[group in pair for pair in judged]].mean()), 4)
        for group in (*DEVICES, *FAMILIES)
        if any(group in pair for pair in judged)
    }


def outer() -> list[Key]:
    """Return the outer folds, whose people and bots stay out of all that is fitted or judged here."""
    return [(device, family) for device in DEVICES for family in FAMILIES]


def interval(gains: Sequence[float] | np.ndarray) -> tuple[float, float]:
    """Return the 95 % bootstrap interval of the mean gain, outer folds drawn."""
    by_fold = np.asarray(gains).reshape(len(outer()), -1).mean(axis=1)
    dice = np.random.default_rng(SEED)
    means = [float(dice.choice(by_fold, len(by_fold)).mean()) for _ in range(DRAWS)]
    low, high = np.quantile(means, [0.025, 0.975])
    return float(low), float(high)
