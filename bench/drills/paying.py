"""Paying: a crowd pays while its bank is ill and the shop is killed, and nobody is charged twice.

All want the same evening and all mean to buy; a third of them pay in a way that goes wrong (declines, 3-D Secure that
is left, two tabs, a button pressed twice, a tab that vanishes). Meanwhile the provider loses questions and answers,
fails, delays, and tells its notices twice, late or never; in the middle of that every worker of the shop is killed.
Afterwards the shop has time to settle what was left behind. In the full form this is longer than an order may be paid,
so that none is left open; in the short form who closed the bank's page just now may still pay, and that is told.
"""

import asyncio
import json
import time
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from bench.demo import ROOM, Demo, demo, plan_for
from bench.drills import results
from bench.figure import Figure
from bench.figures.crowd import tell
from bench.harness import Bench
from bench.servers import free_port
from checkout.catalogue.programme import IN_THREE_CURRENCIES
from gateway.crowd.books import admissions_of
from gateway.crowd.crowd import Hooks, Result, run_crowd
from gateway.crowd.paying import Manner
from gateway.crowd.plan import Drill, Errand, Script
from gateway.crowd.sale_books import books_of
from gateway.crowd.seats.checks_paid import PAID_CHECKS
from gateway.crowd.seats.figures_paid import paid_figures
from gateway.crowd.verdict import State
from gateway.sandbox import sandbox_secrets
from gateway.settings import load

MANNERS = {
    Manner.OK: 0.62,
    Manner.OTHER_CARD: 0.08,
    Manner.DECLINED: 0.05,
    Manner.SECURE: 0.07,
    Manner.SECURE_LEFT: 0.03,
    Manner.PRESSES_TWICE: 0.05,
    Manner.TWO_TABS: 0.05,
    Manner.CHANGES_MIND: 0.02,
    Manner.VANISHES: 0.03,
}
MOST = 1_000_000
ILL: tuple[Mapping[str, Any], ...] = (
    {"fault": "drop-request", "where": "POST /v1/*", "probability": 0.05},
    {"fault": "drop-answer", "where": "POST /v1/*", "probability": 0.05},
    {"fault": "error-before", "where": "POST /v1/*", "probability": 0.05},
    {"fault": "error-after", "where": "POST /v1/*", "probability": 0.03},
    {"fault": "too-many", "where": "* /v1/*", "probability": 0.03},
    {"fault": "delay-answer", "where": "* /v1/*", "probability": 0.05, "delay_ms": 700},
    {"fault": "webhook-first", "where": "POST /v1/*", "probability": 0.05},
    {"fault": "webhook-twice", "probability": 0.2},
    {"fault": "webhook-late", "probability": 0.1, "delay_ms": 1_500},
    {"fault": "webhook-lost", "probability": 0.1},
)
"""What goes wrong at the provider, each as often as its probability says; the seeds are the rules' places."""


@dataclass(frozen=True, slots=True)
class Size:
    """How much of it.

    The provider is ill from ``ill_s[0]`` to ``ill_s[1]``, and on until it has struck ``least`` times; the shop is
    killed at ``killed_s``, and not before a third of that. So a slow machine, on which fans pay later, is no way round.
    What is reserved may be paid for nine minutes, so who settles for longer leaves nothing open.
    """

    fans: int
    arrive_s: float
    per_minute: int
    ill_s: tuple[float, float]
    killed_s: float
    settle_s: float
    least: int


FULL = Size(fans=1000, arrive_s=60, per_minute=600, ill_s=(5, 100), killed_s=50, settle_s=600, least=600)
SHORT = Size(fans=80, arrive_s=5, per_minute=1200, ill_s=(1, 6), killed_s=3, settle_s=40, least=36)
MOST_ILL_S = 120
"""So much longer it is ill at most, should nobody ask it."""

PATIENCE_S = 45.0
"""So long a fan waits for an answer, as a browser would: a bank's repeats take up to 30 s."""

GRACE_S = 90.0
"""So long after it fans may still wait: the breaker leaves a provider alone for 60 s, a call is repeated for 30 s."""


@dataclass(slots=True)
class Bank:
    """The demo's sandbox, as a drill speaks to it."""

    url: str
    key: str = ""
    struck: int = 0

    async def be_ill(self, lasts_s: float, least: int) -> None:
        """Let everything go wrong now and then, for a while, and until it has so many times."""
        for place, rule in enumerate(ILL):
            await asyncio.to_thread(self._ask, "POST", {"count": MOST, "seed": place, **rule})
        await asyncio.sleep(lasts_s)
        await self.until_struck(least)
        await asyncio.to_thread(self._ask, "DELETE", None)

    async def until_struck(self, times: int) -> None:
        """Wait until something has gone wrong so many times, or for ``MOST_ILL_S``."""
        for _ in range(MOST_ILL_S):
            if await self._count() >= times:
                return
            await asyncio.sleep(1)

    async def _count(self) -> int:
        told = await asyncio.to_thread(self._ask, "GET", None)
        self.struck = sum(int(rule["struck"]) for rule in told["faults"])
        return self.struck

    def _ask(self, method: str, plain: Mapping[str, Any] | None) -> dict[str, Any]:
        request = urllib.request.Request(
            f"{self.url}/_sandbox/faults",
            data=None if plain is None else json.dumps(plain).encode(),
            headers={"Authorization": f"Bearer {self.key}"},
            method=method,
        )
        with urllib.request.urlopen(request, timeout=10) as answer:
            found: dict[str, Any] = json.loads(answer.read())
            return found


def play(bench: Bench, name: str, *, short: bool) -> Iterator[Figure]:
    """Sell to a crowd that pays, and look at all books."""
    size = SHORT if short else FULL
    port = free_port()
    bank = Bank(f"http://127.0.0.1:{port}")
    # Who waits for an ill bank keeps the session meanwhile.
    room = {"total_active_users": size.fans, "session_duration": 5}
    env = {"WAITROOM_SANDBOX_PORT": str(port)}
    with demo(bench, per_minute=size.per_minute, workers=results.WORKERS, room=room, env=env) as installation:
        settings = load({"WAITROOM_DATA": str(installation.folder)})
        bank.key, _ = sandbox_secrets(settings, time.time_ns() // 1_000_000)
        plan = replace(
            plan_for(installation, size.fans, size.arrive_s),
            mix={Script.STEADY: 1.0}, errands={Errand.RESERVE: 1.0}, manners=MANNERS,
            event=IN_THREE_CURRENCIES, alone=True, settle_s=size.settle_s, timeout_s=PATIENCE_S,
        )  # fmt: skip
        hooks = Hooks(
            drills=_harm(installation, bank, size),
            journal=admissions_of(installation.journal_url, ROOM),
            books=books_of(settings, (bank.url, bank.key)),
            pulse=tell,
        )
        result = asyncio.run(run_crowd(plan, hooks))
    yield results.crowd(bench, name, result)
    yield results.places(bench, name, result.places_lost, size.fans)
    yield from _paid(bench, name, size, result, bank)


def _harm(installation: Demo, bank: Bank, size: Size) -> list[Drill]:
    from_s, until_s = size.ill_s

    async def kill() -> None:
        await bank.until_struck(size.least // 3)
        await installation.kill_shop()

    return [
        Drill(
            at_s=from_s,
            name="the provider is ill",
            act=lambda: bank.be_ill(until_s - from_s, size.least),
            harms_origin=True,
            grace_s=GRACE_S,
        ),
        Drill(
            at_s=size.killed_s,
            name="the shop's workers killed",
            act=kill,
            harms_origin=True,
        ),
    ]


def _paid(bench: Bench, name: str, size: Size, result: Result, bank: Bank) -> Iterator[Figure]:
    conditions = results.conditions(bench, size.fans)
    names = {check.__name__.replace("_", "-") for check in PAID_CHECKS}
    states = {verdict.name: verdict for verdict in result.verdicts if verdict.name in names}
    green = sum(verdict.state is State.GREEN for verdict in states.values())
    red = [f"{one.name}: {one.examples[:2]}" for one in states.values() if one.state is State.RED]
    yield Figure(
        f"{name}-checks",
        green,
        "checks",
        "of what was paid: SQL, its log, the store, the provider's ledger and what buyers were told",
        target=f"= {len(names)}",
        met=green == len(names),
        conditions=conditions,
        details={verdict.name: verdict.detail for verdict in states.values()},
        error="; ".join(red) or None,
    )
    shown, booked = paid_figures(result.observed), result.observed.shop.booked
    if shown is None or booked is None:
        yield Figure(f"{name}-orders", 0, "orders", met=False, conditions=conditions, error="nobody paid")
        return
    yield Figure(
        f"{name}-orders",
        shown.paid,
        "orders",
        f"{shown.orders:,} orders, {shown.asked:,} requests to pay",
        target="some of each kind: paid, not paid and left open",
        met=min(shown.paid, shown.not_paid, shown.left) > 0,
        conditions=conditions,
        details={
            "seats": shown.seats_paid,
            "money_minor": shown.money_minor,
            "not_paid": shown.not_paid,
            "left": shown.left,
            "declined_good": sum(one.declined_good for one in result.observed.shop.purchases),
            "may_still_be_paid": len(booked.waiting),
        },
    )
    yield Figure(
        f"{name}-faults",
        bank.struck,
        "faults",
        "that struck at the provider",
        target="> 0, and no more orders open at the end than may still be paid",
        met=bank.struck > 0 and not booked.violations,
        conditions=conditions,
        error="; ".join(booked.violations[:3]) or None,
    )
