"""The figure bots-score: how long one score takes, in µs, by the model that comes with the package."""

from collections.abc import Iterator
from functools import partial

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
    calls = [partial(scored.score, row) for row in rows * REPEATS]
    yield bots.timed(bench, "bots-score", MOST_US, calls, trees=len(scored.roots))
