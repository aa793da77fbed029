"""The figure bots-recall-chromium: scripts in a real Chromium that are found at 1 % of people wrongly suspected.

No such script was trained on. The people are DELBOT's, replayed in the same Chromium (``bench.replaying``). Beside:
waits of four sessions, and what a rule finds.
"""

from collections.abc import Iterator

from bench import bots
from bench.figure import Figure
from bench.harness import Bench

LEAST = 0.95


def measure(bench: Bench) -> Iterator[Figure]:
    """Run the protocol, then score the scripts."""
    table = bots.judgement(bench).figures.table
    seen = table["chromium"]
    worst = min(one["recall at 1 %"] for one in seen.values())
    yield Figure(
        "bots-recall-chromium",
        worst,
        "recall of the worst family",
        beside={
            **{f"auc_{name}": one["auc"] for name, one in seen.items()},
            **{f"with_rules_{name}": one["by a rule or at 1 %"] for name, one in seen.items()},
            **{f"waits_{name}": one["recall at 1 %"] for name, one in table["chromium_waits"].items()},
        },
        target=f">= {LEAST}",
        met=worst >= LEAST,
        conditions=bench.conditions(load="none", people="DELBOT, replayed in Chromium"),
        details=seen,
    )
