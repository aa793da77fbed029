"""What tests of the fraud checks share: an attempt, metrics in a registry of their own, and windows that are away."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge
from redis.asyncio import Redis

from checkout.fraud.rules import Scored
from checkout.fraud.signals import Attempt
from checkout.fraud.store import WindowStore
from checkout.fraud.windows import Window
from checkout.money import Money
from kernel.clock import ManualClock
from kernel.errors import Unavailable
from kernel.metrics import Words, flush

DATA = Path(__file__).parent / "data"
CITY = DATA / "GeoIP2-City-Test.mmdb"
BROKEN = DATA / "GeoIP2-City-Test-Broken-Double-Format.mmdb"
SYSTEMS = DATA / "GeoLite2-ASN-Test.mmdb"
ANONYMOUS = DATA / "GeoIP2-Anonymous-IP-Test.mmdb"

LONDON = "81.2.69.142"
SECRET = b"a secret of the fraud checks"

FRAN = Attempt(
    id="order-1.1",
    event="summer",
    account="fran",
    address=LONDON,
    device="cookie-1",
    traits="firefox",
    card="card-1",
    email_domain="example.org",
    amount=Money(9_000, "EUR"),
    seats=2,
)


def attempt(**changes: Any) -> Attempt:
    """Make an attempt that differs from Fran's in a few things."""
    return replace(FRAN, **changes)


class Metrics:
    """What is counted, in a registry of its own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()

        def words(name: str, label: str) -> Words:
            return Words(Counter(f"waitroom_shop_{name}", name, [label], registry=self.registry))

        self.fraud_verdicts = words("fraud_verdicts", "verdict")
        self.fraud_reasons = words("fraud_reasons", "reason")
        self.fraud_scores = words("fraud_scores", "outcome")
        self.fraud_without = words("fraud_without", "missing")
        self.fraud_reloads = words("fraud_reloads", "outcome")
        self.fraud_stale = Gauge("waitroom_shop_fraud_stale_files", "stale", ["file"], registry=self.registry)

    def value(self, name: str, **labels: str) -> float:
        """Read one number; 0 for what was never counted."""
        flush()
        return self.registry.get_sample_value(f"waitroom_shop_{name}", labels) or 0


class OwnTime(WindowStore):
    """Windows of a real store by a clock that the test moves."""

    def __init__(self, client: Redis, clock: ManualClock) -> None:
        super().__init__(client)
        self._clock = clock

    async def count(self, windows: Sequence[Window], now_ms: int | None = None) -> dict[str, int]:
        """Count at the clock's time."""
        return await super().count(windows, self._clock.now_ms() if now_ms is None else now_ms)


class Away:
    """A store that cannot be reached, hangs (while `hangs`), or counts nothing (while `works`)."""

    def __init__(self, *, works: bool = False, hangs: bool = False) -> None:
        self.works = works
        self.hangs = hangs

    async def count(self, windows: Sequence[Window]) -> dict[str, int]:
        """Fail."""
        if self.hangs:
            await asyncio.Event().wait()
        if not self.works:
            raise Unavailable("store-away", "away")
        return {window.name: 0 for window in windows}


class Said:
    """A scorer that says what the test wants, and notes what it was asked."""

    def __init__(self, *answers: Scored) -> None:
        self.answers = list(answers)
        self.asked: list[Mapping[str, object]] = []
        self.is_closed = False

    async def ask(self, question: Mapping[str, object]) -> Scored:
        """Answer."""
        self.asked.append(question)
        return self.answers.pop(0)

    async def close(self) -> None:
        """Note it."""
        self.is_closed = True
