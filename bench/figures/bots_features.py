"""The figure bots-features: how long it takes to make the features of one summary, in µs."""

import statistics
import time
from collections.abc import Iterator

from bench import bots
from bench.figure import Figure
from bench.harness import Bench
from botguard.features import NAMES, vector

MOST_US = 200.0
REPEATS = 20


def measure(bench: Bench) -> Iterator[Figure]:
    """Make the features of people again and again, one at a time."""
    summaries = [bots.rhythm_of(one.moves).summary() for one in bots.people()[::4]]
    took_us = []
    for summary in summaries * REPEATS:
        began = time.perf_counter()
        vector(summary)
        took_us.append((time.perf_counter() - began) * 1e6)
    took_us.sort()
    middle = statistics.median(took_us)
    yield Figure(
        "bots-features",
        middle,
        "µs",
        beside={"p99": took_us[int(len(took_us) * 0.99)]},
        target=f"<= {MOST_US:.0f} µs",
        met=middle <= MOST_US,
        conditions=bench.conditions(load="one call after the other"),
        details={"calls": len(took_us), "features": len(NAMES)},
    )
