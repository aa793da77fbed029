"""The figure bots-score: how long one score takes, in µs, by the model that comes with the package."""

import statistics
import time
from collections.abc import Iterator

from bench import bots
from bench.figure import Figure
from bench.harness import Bench
from botguard import model
from botguard.features import vector

MOST_US = 50.0
REPEATS = 20


def measure(bench: Bench) -> Iterator[Figure]:
    """Score people again and again, one at a time."""
    scored = model.default()
    rows = [vector(bots.rhythm_of(one.moves).summary()) for one in bots.people()[::4]]
    took_us = []
    for row in rows * REPEATS:
        began = time.perf_counter()
        scored.score(row)
        took_us.append((time.perf_counter() - began) * 1e6)
    took_us.sort()
    middle = statistics.median(took_us)
    yield Figure(
        "bots-score",
        middle,
        "µs",
        beside={"p99": took_us[int(len(took_us) * 0.99)]},
        target=f"<= {MOST_US:.0f} µs",
        met=middle <= MOST_US,
        conditions=bench.conditions(load="one call after the other"),
        details={"calls": len(took_us), "trees": len(scored.roots)},
    )
