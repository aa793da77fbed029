"""Sandbox shop: the shop's whole process as it is deployed, with the admission guard, and the sandbox that it asks.

Both are made by the gateway from settings, and talk over HTTP; buyers come with admissions of the ring's own key, and
an organiser with a token. Nothing is replaced. Not here: processes of their own (``tests/process``).
"""

import asyncio
import socket
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import httpx
from prometheus_client import CollectorRegistry

from admission.keyring import KeyRing
from admission.tokens import Claims, session_id, write
from checkout.metrics import Metrics
from gateway.sandbox import SandboxProcess, sandbox_secrets
from gateway.settings import Settings
from gateway.shop import ShopProcess
from tests.checkout.catalogues import DAY_MS, with_event
from tests.gateway.serving import serving
from tests.gateway.shopfront import API, EVENT, OWN, PAGE

TOKEN = "an organiser's secret"
PATIENCE_S = 20.0


@dataclass
class SandboxShop:
    """A shop's process and its provider."""

    process: ShopProcess
    settings: Settings
    metrics: Metrics
    sandbox: httpx.AsyncClient

    def admission(self, buyer: str) -> dict[str, str]:
        """Admit somebody, as the gate does."""
        now_ms = time.time_ns() // 1_000_000
        ring = KeyRing.open(self.settings.keyring_path, now_ms)
        key = ring.active("admission")
        sid = session_id(b"a secret of the test's own", "main", "run", 1, buyer)
        claims = Claims(
            self.settings.issuer, self.settings.shop_address, sid, "main", "run", "standard",
            now_ms, now_ms, now_ms + 600_000,
        )  # fmt: skip
        return {"authorization": f"Bearer {write(key.private, key.admission_head, claims.members())}"}

    def browser(self) -> httpx.AsyncClient:
        """Give a browser, which keeps its own cookies."""
        transport = httpx.ASGITransport(self.process.app)
        return httpx.AsyncClient(transport=transport, base_url="http://shop.test", headers=OWN)

    async def look(self, browser: httpx.AsyncClient, buyer: str) -> httpx.Response:
        """Look at the event's page."""
        return await browser.get(PAGE, headers=self.admission(buyer))

    async def order(self, browser: httpx.AsyncClient, buyer: str, *seats: int) -> str:
        """Hold, reserve and order; returns the order."""
        asks = self.admission(buyer)
        key = {"idempotency-key": f"h-{buyer}"}
        held = await browser.post(f"{API}/holds", json={"seats": list(seats)}, headers={**asks, **key})
        assert held.status_code == 201, held.text
        reserved = await browser.post(f"{API}/holds/{held.json()['hold']}/reserve", headers=asks)
        assert reserved.status_code == 201, reserved.text
        made = await browser.post(f"{API}/reservations/{reserved.json()['reservation']}/order", headers=asks)
        assert made.status_code == 201, made.text
        return str(made.json()["order"])

    async def pay(self, browser: httpx.AsyncClient, buyer: str, order: str, method: str) -> httpx.Response:
        """Try to pay."""
        headers = {**self.admission(buyer), "idempotency-key": f"p-{order}"}
        return await browser.post(f"{API}/orders/{order}/pay", json={"method": method}, headers=headers)

    async def desk(self, method: str, path: str, plain: object = None, key: str = "") -> httpx.Response:
        """Ask at the organiser's desk, below the event."""
        headers = {"authorization": f"Bearer {TOKEN}", **({"idempotency-key": key} if key else {})}
        given: dict[str, Any] = {} if plain is None else {"json": plain}
        async with httpx.AsyncClient(
            transport=httpx.ASGITransport(self.process.app), base_url="http://shop.test"
        ) as client:
            return await client.request(
                method, f"/organiser/api/events/{EVENT}{path}", headers=headers, **given
            )

    async def ledger(self, order: str) -> tuple[int, int]:
        """Tell what the provider has taken of an order, and what it has given back."""
        told = (await self.sandbox.get("/_sandbox/ledger", params={"order": order})).json()["orders"]
        payments = [payment for one in told if one["order"] == order for payment in one["payments"]]
        return sum(one["captured"] for one in payments), sum(one["refunded"] for one in payments)

    async def until(self, is_so: Callable[[], bool]) -> None:
        """Wait for what the process does by itself."""
        async with asyncio.timeout(PATIENCE_S):
            while not is_so():  # noqa: ASYNC110 (a count tells it no other way)
                await asyncio.sleep(0.02)

    def counted(self, word: str) -> float:
        """Count how often a reason has spoken against somebody."""
        tally = self.metrics.fraud_reasons._tallies.get(word)
        return 0 if tally is None else tally.count


def free_port() -> int:
    """Name a port that nobody uses."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


@asynccontextmanager
async def sandbox_shop(store_url: str, folder: Path, rules: str) -> AsyncIterator[SandboxShop]:
    """Start a sandbox and a shop with one event of 45 places; `rules` is the fraud checks' file."""
    file = folder / "fraud.toml"
    file.write_text(rules, encoding="utf-8")
    settings = Settings(
        data=folder,
        store_url=store_url,
        payments="sandbox",
        fraud=file,
        organiser_token=TOKEN,
        shop_port=free_port(),
        operator_port=free_port(),
    )
    provider = SandboxProcess(settings)
    await provider.start()
    async with serving(provider.app) as port:
        settings = replace(settings, sandbox_port=port)
        key, _ = sandbox_secrets(settings, 0)
        metrics = Metrics(CollectorRegistry())
        process = ShopProcess(settings, metrics)
        await process._parts.open()
        await process._parts.store.flushall()
        now_ms = time.time_ns() // 1_000_000
        await with_event(
            process._parts.catalogue,
            starts_ms=now_ms + 30 * DAY_MS,
            sale_from_ms=now_ms - DAY_MS,
            sale_until_ms=now_ms + 29 * DAY_MS,
        )
        await process.start()
        try:
            async with httpx.AsyncClient(
                base_url=f"http://127.0.0.1:{port}", headers={"authorization": f"Bearer {key}"}
            ) as sandbox:
                yield SandboxShop(process, settings, metrics, sandbox)
        finally:
            await process.stop()
            await provider.stop()
