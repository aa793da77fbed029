"""The figure bots-recall-chromium: scripts in a real Chromium that are found at 1 % of people wrongly suspected.

No such script was trained on. The people were recorded by another logger, not replayed in Chromium.
"""

from collections.abc import Iterator

from bench import bots
from bench.figure import Figure
from bench.harness import Bench

LEAST = 0.95


def measure(bench: Bench) -> Iterator[Figure]:
    """Run the protocol, then score the scripts."""
    seen = bots.judgement(bench).figures.table["chromium"]
    worst = min(one["recall at 1 %"] for one in seen.values())
    yield Figure(
        "bots-recall-chromium",
        worst,
        "recall of the worst family",
        beside={f"auc_{name}": one["auc"] for name, one in seen.items()},
        target=f">= {LEAST}",
        met=worst >= LEAST,
        conditions=bench.conditions(load="none", people="DELBOT as recorded, not replayed in Chromium"),
        details=seen,
    )
