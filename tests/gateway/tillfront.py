"""Tillfront: the shop as an application that takes money, at a bank in memory, with the fraud checks and devices.

Who asks is what the header ``X-Buyer`` says; each client keeps its own cookies, as a browser does. Not here: processes
(``tests/process``), the shop without money (``shopfront``).
"""

import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from prometheus_client import CollectorRegistry

from checkout.metrics import Metrics
from gateway.settings import Settings
from gateway.shop_devices import PURPOSE, DeviceCookie, Devices
from gateway.shop_joined import JoinedShop
from gateway.shop_judge import FraudJudge, fraud_settings
from gateway.shop_parts import ShopParts
from gateway.shop_people import JoinedPeople
from gateway.shop_push import JoinedPush
from gateway.shop_signals import Signals
from gateway.shop_tills import Account, JoinedTills
from kernel.clock import ManualClock
from kernel.signing import Signer
from tests.checkout.bank import Bank
from tests.checkout.catalogues import DAY_MS, with_event
from tests.gateway.shopfront import API, OWN, PAGE, buyer_of

KEYS = [("k1", b"a secret of thirty-two bytes or so")]


@dataclass
class Tillfront:
    """A shop that takes money."""

    shop: JoinedShop
    app: Devices
    bank: Bank
    signals: Signals
    tills: JoinedTills
    metrics: Metrics

    def browser(self, cookies: httpx.Cookies | None = None) -> httpx.AsyncClient:
        """Give a browser; `cookies` are another's."""
        transport = httpx.ASGITransport(self.app)
        return httpx.AsyncClient(
            transport=transport, base_url="http://shop.test", headers=OWN, cookies=cookies or httpx.Cookies()
        )

    async def order(self, browser: httpx.AsyncClient, buyer: str, *seats: int) -> str:
        """Hold, reserve and order over HTTP; returns the order."""
        asks = {"x-buyer": buyer}
        held = await browser.post(
            f"{API}/holds",
            json={"seats": list(seats)},
            headers={**asks, "idempotency-key": f"h-{buyer}-{'-'.join(map(str, seats))}"},
        )
        assert held.status_code == 201, held.text
        reserved = await browser.post(f"{API}/holds/{held.json()['hold']}/reserve", headers=asks)
        assert reserved.status_code == 201, reserved.text
        path = f"{API}/reservations/{reserved.json()['reservation']}/order"
        made = await browser.post(path, headers=asks)
        assert made.status_code == 201, made.text
        return str(made.json()["order"])

    async def pay(
        self, browser: httpx.AsyncClient, buyer: str, order: str, key: str, method: str = "ok"
    ) -> httpx.Response:
        """Try to pay over HTTP."""
        headers = {"x-buyer": buyer, "idempotency-key": key}
        return await browser.post(f"{API}/orders/{order}/pay", json={"method": method}, headers=headers)


async def looked(browser: httpx.AsyncClient, buyer: str = "ann") -> httpx.Response:
    """Look at an event's page."""
    return await browser.get(PAGE, headers={"x-buyer": buyer})


@asynccontextmanager
async def till_front(
    store_url: str,
    tmp_path: Path,
    rules: str = "",
    keys: list[tuple[str, bytes]] | None = None,
    push: Callable[[ShopParts, JoinedPeople, Metrics], JoinedPush] | None = None,
    **changes: Any,
) -> AsyncIterator[Tillfront]:
    """Open a shop with one event of 45 places and a bank in memory.

    `rules` is the fraud checks' file, `changes` are settings; `push` makes what has browsers told.
    """
    clock = ManualClock(time.time_ns() // 1_000_000)
    tmp_path.mkdir(exist_ok=True)
    settings = Settings(data=tmp_path, store_url=store_url, **changes)
    parts = ShopParts(settings, clock)
    await parts.open()
    await parts.store.flushall()
    now_ms = clock.now_ms()
    times = {
        "starts_ms": now_ms + 30 * DAY_MS,
        "sale_from_ms": now_ms - DAY_MS,
        "sale_until_ms": now_ms + 29 * DAY_MS,
    }
    await with_event(parts.catalogue, **times)
    file = tmp_path / "fraud.toml"
    file.write_text(rules, encoding="utf-8")
    metrics = Metrics(CollectorRegistry())
    judge = FraudJudge(fraud_settings(file, is_sandbox=False), parts, b"s" * 32, metrics)
    bank = Bank(clock)

    async def nothing() -> None:
        """Let go of nothing."""

    cookie = DeviceCookie(Signer(keys or KEYS, PURPOSE), clock, secure=False)
    account = Account(bank, (), is_live=False, close=nothing)
    tills = JoinedTills(settings, parts, account, buyer_of, metrics, judge, judge.cautions, cookie.device_of)
    signals = Signals(judge.fraud, tills.seen_of, metrics)
    people = JoinedPeople(
        settings,
        parts,
        buyer_of,
        metrics,
        site="http://shop.test",
        tickets_of=lambda event, order: f"/tickets/{event}/{order}/mac",
    )
    shop = JoinedShop(
        parts,
        buyer_of,
        b"s" * 32,
        "worker",
        metrics,
        offer_ms=120_000,
        tills=tills,
        judge=judge,
        people=people,
        push=None if push is None else push(parts, people, metrics),
        watch=signals,
    )
    await shop.open_halls()
    try:
        yield Tillfront(shop, Devices(shop.app, cookie), bank, signals, tills, metrics)
    finally:
        await judge.close()
        await people.close()
        await parts.close()
