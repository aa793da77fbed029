"""The figure bots-features: how long it takes to make the features of one summary, in µs."""

from collections.abc import Iterator
from functools import partial

from bench import bots
from bench.figure import Figure
from bench.harness import Bench
from botguard.features import NAMES, vector

MOST_US = 200.0
REPEATS = 20


def measure(bench: Bench) -> Iterator[Figure]:
    """Make the features of people again and again, one at a time."""
    summaries = [bots.rhythm_of(one.moves).summary() for one in bots.people()[::4]]
    calls = [partial(vector, summary) for summary in summaries * REPEATS]
    yield bots.timed(bench, "bots-features", MOST_US, calls, features=len(NAMES))
