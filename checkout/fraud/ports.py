"""Ports: what the fraud checks ask of those around them.

``FraudMetrics`` is the part of the shop's metrics (``checkout.metrics``) that is counted here.
"""

from collections.abc import Mapping, Sequence
from typing import Protocol

from checkout.fraud.rules import Scored
from checkout.fraud.windows import Window
from kernel.watched import Counts, Levels


class FraudMetrics(Protocol):
    """What is counted."""

    @property
    def fraud_verdicts(self) -> Counts:
        """Attempts to pay, by what became of them."""

    @property
    def fraud_reasons(self) -> Counts:
        """Reasons that spoke against attempts and holds, by word."""

    @property
    def fraud_scores(self) -> Counts:
        """Questions to the external scorer, by what came of them."""

    @property
    def fraud_without(self) -> Counts:
        """Times that something had to be decided without what it takes, by what was missing."""

    @property
    def fraud_reloads(self) -> Counts:
        """Files that have changed, by what came of it."""

    @property
    def fraud_stale(self) -> Levels:
        """1 while the newest state of a file is not in use, by file."""


class Windows(Protocol):
    """Where windows are kept."""

    async def count(self, windows: Sequence[Window]) -> dict[str, int]:
        """Note and count, at once. Raises ``Unavailable``."""


class Scorer(Protocol):
    """Whoever is asked for a score."""

    async def ask(self, question: Mapping[str, object]) -> Scored:
        """Return a score, or why there is none; never later than its timeout, and never an error."""

    async def close(self) -> None:
        """Let go of its connections."""
