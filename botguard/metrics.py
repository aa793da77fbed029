"""Metrics of the bot guard. Labels come from closed sets; rooms are few and set by the operator."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from kernel.metrics import REGISTRY, Tally, Words
from kernel.watched import FileCounts

EDGES = (0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.98, 0.99, 1.0)
"""Where thresholds may lie, and are likely to."""


class Metrics:
    """What the bot guard counts. Reasons and verdicts are counted for every join, so in tallies."""

    def __init__(self, registry: CollectorRegistry = REGISTRY) -> None:
        """Register everything."""

        def counter(name: str, meaning: str, *labels: str) -> Counter:
            return Counter(f"waitroom_bots_{name}", meaning, labels, registry=registry)

        self._judged = counter(
            "judged",
            "Joins judged, by what the room does with it and by the verdict",
            "room",
            "mode",
            "verdict",
        )
        self._lanes = counter("joined", "Joins let in, by the lane in which they begin", "room", "lane")
        self._settled = counter(
            "settled",
            "Places judged when their turn comes near, by what the room does with it and by the verdict",
            "room",
            "mode",
            "verdict",
        )
        self._likelihood = Histogram(
            "waitroom_bots_likelihood_ratio",
            "Likelihood of a program when the turn comes near: what a threshold would have caught lies above it",
            ["room"], buckets=EDGES, registry=registry,
        )  # fmt: skip
        self.settled_reasons = Words(
            counter(
                "settled_reasons", "Codes found when a turn comes near, also where nothing followed", "reason"
            )
        )
        self._tallies: dict[tuple[Counter, tuple[str, ...]], Tally] = {}
        self.reasons = Words(
            counter("reasons", "Codes found at joins, also where nothing followed", "reason")
        )
        self.without = Words(
            counter(
                "without",
                "Joins of which not all is known, by what was missing; busy: not looked at",
                "missing",
            )
        )
        self.confirmations = Words(
            counter("confirmations", "Crawlers looked up in the name service, by what came of it", "outcome")
        )
        self.reloads = Words(counter("reloads", "Lists and keys that changed, by what came of it", "outcome"))
        self.stale = Gauge(
            "waitroom_bots_stale_files", "1 while the newest state of a file is not in use", ["file"],
            registry=registry, multiprocess_mode="livemax",
        )  # fmt: skip

    @property
    def files(self) -> FileCounts:
        """What is told of watched files."""
        return FileCounts(self.reloads, self.stale)

    def judge(self, room: str, mode: str, verdict: str) -> None:
        """Count a verdict."""
        self._count(self._judged, room, mode, verdict)

    def settle(self, room: str, mode: str, verdict: str, likelihood: float | None) -> None:
        """Count a verdict on somebody whose turn comes near."""
        self._count(self._settled, room, mode, verdict)
        if likelihood is not None:
            self._likelihood.labels(room).observe(likelihood)

    def join(self, room: str, lane: str) -> None:
        """Count a join by its lane."""
        self._count(self._lanes, room, lane)

    def _count(self, counter: Counter, *labels: str) -> None:
        tally = self._tallies.get((counter, labels))
        if tally is None:
            tally = self._tallies[counter, labels] = Tally(counter.labels(*labels))
        tally.count += 1
