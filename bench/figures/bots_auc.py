"""The figure bots-auc: how well people and bots are told apart, on devices and families of bots never seen.

The mean over 24 folds of docs/bots.md, with its interval; the reference is a plain gradient boosting on these folds.
"""

from collections.abc import Iterator

from bench import bots
from bench.figure import Figure
from bench.harness import Bench

LEAST, LEAST_LOW = 0.92, 0.87


def measure(bench: Bench) -> Iterator[Figure]:
    """Run the protocol."""
    table = bots.judgement(bench).figures.table
    seen, plain = table["auc"], table["auc_plain"]
    yield Figure(
        "bots-auc",
        seen["value"],
        "AUC",
        "plain gradient boosting on the same folds",
        ratio=seen["value"] / plain["value"],
        beside={
            "low": seen["low"],
            "high": seen["high"],
            "plain": plain["value"],
            "labels_shuffled": table["auc_labels_shuffled"]["value"],
            "device_only": table["auc_device_only"]["value"],
            "replayed_word_for_word": table["auc_replayed_word_for_word"],
        },
        target=f">= {LEAST}, lower end of 95 % above {LEAST_LOW}",
        met=seen["value"] >= LEAST and seen["low"] > LEAST_LOW,
        conditions=bench.conditions(load="none", sessions=3551, folds=24),
        details={"by_device": table["auc_by_device"], "by_family": table["auc_by_family"]},
    )
