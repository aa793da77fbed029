"""The figure bots-ece: how far what the model says lies from what is true, on devices never seen.

A device's odds are drawn by the other devices only. The pooled figure hides that devices err in opposite ways: each
device's own is told beside.
"""

from collections.abc import Iterator

from bench import bots
from bench.figure import Figure
from bench.harness import Bench

MOST = 0.03


def measure(bench: Bench) -> Iterator[Figure]:
    """Run the protocol."""
    table = bots.judgement(bench).figures.table
    yield Figure(
        "bots-ece",
        table["ece"],
        "ECE",
        beside={"brier": table["brier"], "worst_device": max(table["ece_by_device"].values())},
        target=f"<= {MOST}",
        met=table["ece"] <= MOST,
        conditions=bench.conditions(load="none", sessions=3551, folds=24),
        details={"by_device": table["ece_by_device"], "wrongly_suspected": table["false_positives_at_half"]},
    )
