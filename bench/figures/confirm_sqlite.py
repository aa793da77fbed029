"""The figure confirm-sqlite: orders that SQLite sells a second, synchronous=FULL, what waits sharing a commit."""

from collections.abc import Iterator

from bench.confirming import confirms
from bench.figure import Figure
from bench.harness import Bench

LEAST_PER_S = 400.0


def measure(bench: Bench) -> Iterator[Figure]:
    """Measure in a file of its own."""
    url = f"sqlite:///{bench.folder / 'shop.db'}"
    yield confirms(bench, "confirm-sqlite", url, LEAST_PER_S, database="SQLite, WAL, synchronous=FULL")
