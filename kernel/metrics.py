"""Metric: a number about the running process, for Prometheus.

Each package's ``metrics.py`` makes its metrics with ``registry=REGISTRY``; ``render`` writes them all.
With several worker processes set PROMETHEUS_MULTIPROC_DIR (before the first import, the client library
looks only then): the library then keeps values in files there, and ``render`` adds up all workers'
files.

Where a ``Counter.inc`` (about 1 µs, with a lock) is too much, a ``Tally`` counts in a plain int and is
flushed when somebody looks.
"""

import os
from typing import Protocol
from weakref import WeakSet

from prometheus_client import CollectorRegistry, GCCollector, PlatformCollector, ProcessCollector
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_1_0_0, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector

MULTIPROC = "PROMETHEUS_MULTIPROC_DIR"


def new_registry() -> CollectorRegistry:
    """Make a registry; in a single process it also tells about the process itself."""
    registry = CollectorRegistry(auto_describe=True)
    if MULTIPROC not in os.environ:
        ProcessCollector(registry=registry)
        PlatformCollector(registry=registry)
        GCCollector(registry=registry)
    return registry


REGISTRY = new_registry()


class Increasable(Protocol):
    """A Counter, or one labelled child of it."""

    def inc(self, amount: float = 1) -> None:
        """Add to it."""
        ...


class Labelled(Protocol):
    """A Counter with one label."""

    def labels(self, *names: str) -> Increasable:
        """Give the child of a word."""
        ...


class Tally:
    """A plain counter for one thread: ``tally.count += 1``."""

    __slots__ = ("__weakref__", "_counter", "_flushed", "count")

    def __init__(self, counter: Increasable) -> None:
        """Count on behalf of ``counter``."""
        self._counter = counter
        self._flushed = 0
        self.count = 0
        _tallies.add(self)

    def flush(self) -> None:
        """Add what was counted since the last flush to the counter."""
        new = self.count - self._flushed
        if new:
            self._counter.inc(new)
            self._flushed = self.count


class Words:
    """A counter with one label whose values are words of a small set, each counted in a tally."""

    __slots__ = ("_counter", "_tallies")

    def __init__(self, counter: Labelled, *known: str) -> None:
        """`known` words stand at 0 from the beginning: Prometheus sees no increase in a series that begins with one."""
        self._counter = counter
        self._tallies = {word: Tally(counter.labels(word)) for word in known}

    def count(self, word: str, by: int = 1) -> None:
        """Count a word."""
        tally = self._tallies.get(word)
        if tally is None:
            tally = self._tallies[word] = Tally(self._counter.labels(word))
        tally.count += by

    def of(self, word: str) -> int:
        """Tell how often this process has counted a word."""
        tally = self._tallies.get(word)
        return 0 if tally is None else tally.count


_tallies: WeakSet[Tally] = WeakSet()


def flush() -> None:
    """Flush every tally: called by ``render``; where several workers share a folder also each second."""
    for tally in _tallies:
        tally.flush()


def render(registry: CollectorRegistry = REGISTRY) -> tuple[str, bytes]:
    """Return the content type and the text of all metrics."""
    flush()
    if MULTIPROC in os.environ:
        registry = CollectorRegistry()
        MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    return CONTENT_TYPE_PLAIN_1_0_0, generate_latest(registry)
