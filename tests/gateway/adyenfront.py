"""Adyenfront: the shop as an application whose money goes through Adyen, joined by the settings as in production.

Adyen is its sandbox over real HTTP. What that tells comes into an inbox first, and the test hands it on to
``/hooks/adyen``: once, twice, the wrong way round, or changed. Not here: processes (``tests/process``).
"""

import asyncio
import json
import time
from base64 import b64encode
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import Adyen.util
import httpx
import sqlalchemy as sa
from prometheus_client import CollectorRegistry

from checkout.metrics import Metrics
from checkout.payments.patient import Patient
from checkout.tables import ADYEN_ENTRIES
from gateway.settings import Settings
from gateway.shop import Doors
from gateway.shop_joined import JoinedShop
from gateway.shop_parts import ShopParts
from gateway.shop_tills import JoinedTills, account_of
from kernel.clock import ManualClock
from tests.checkout.catalogues import DAY_MS, with_event
from tests.checkout.payments.adyen_running import (
    API_KEY,
    HMAC_KEY,
    MERCHANT,
    PASSWORD,
    USER,
    AdyenRunning,
    adyen_running,
)
from tests.checkout.sandbox.running import until
from tests.gateway.shopfront import API, OWN, buyer_of
from tests.gateway.tillfront import Tillfront

HOOK = "/hooks/adyen"
SITE = "https://tickets.example"
SENDER = {"authorization": "Basic " + b64encode(f"{USER}:{PASSWORD}".encode()).decode()}
Change = Callable[[dict[str, Any]], None]


@dataclass
class AdyenFront(Tillfront):
    """A shop whose money goes through Adyen."""

    box: AdyenRunning = None  # type: ignore[assignment]
    parts: ShopParts = None  # type: ignore[assignment]
    clock: ManualClock = None  # type: ignore[assignment]
    outside: httpx.AsyncClient = None  # type: ignore[assignment]
    """A client that nobody has let in: Adyen, or a browser that comes back from a bank."""

    async def bought(self, method: str = "scheme:authorised", *seats: int) -> str:
        """Order and try to pay as Ann."""
        async with self.browser() as browser:
            order = await self.order(browser, "ann", *(seats or (0, 1)))
            await self.pay(browser, "ann", order, "k1", method)
        return order

    async def state(self, order: str, *, look: bool = False) -> str:
        """Tell how an order stands, as its buyer is told."""
        async with self.browser() as browser:
            told = await browser.get(
                f"{API}/orders/{order}{'?look=1' if look else ''}", headers={"x-buyer": "ann"}
            )
        return str(told.json()["state"])

    async def told(self, count: int) -> list[bytes]:
        """Wait until so many notices have come from Adyen's side, and give all that have."""
        await asyncio.to_thread(until, lambda: len(self.box.inbox.received) >= count)
        return [body for body, _ in self.box.inbox.received]

    async def hear(self, body: bytes, **headers: str) -> httpx.Response:
        """Have a notice come to the shop's address."""
        return await self.outside.post(HOOK, content=body, headers=SENDER | headers)

    async def hear_all(self, count: int) -> list[int]:
        """Have all that has come, once so much is there, come to the shop's address."""
        return [(await self.hear(body)).status_code for body in await self.told(count)]

    def entries(self) -> int:
        """Count what is written down of Adyen."""
        with self.parts.shards.all()[0].database.reading() as connection:
            return int(connection.execute(sa.select(sa.func.count()).select_from(ADYEN_ENTRIES)).scalar_one())

    def captured(self) -> int:
        """Count what Adyen's side has taken."""
        return sum(row["captured"] for one in self.box.ledger() for row in one["payments"])


def changed(body: bytes, change: Change, key: str | None = HMAC_KEY) -> bytes:
    """Change a notice's item, and sign it under a key by Adyen's own package; None: its signature stays as it was."""
    plain = json.loads(body)
    item = plain["notificationItems"][0]["NotificationRequestItem"]
    change(item)
    if key is not None:
        signature = Adyen.util.generate_notification_sig(item, key).decode()
        item["additionalData"] = {**(item.get("additionalData") or {}), "hmacSignature": signature}
    return json.dumps(plain).encode()


def code_of(body: bytes) -> str:
    """Name what a notice is of."""
    return str(json.loads(body)["notificationItems"][0]["NotificationRequestItem"]["eventCode"])


@asynccontextmanager
async def adyen_front(
    store_url: str, tmp_path: Path, database_url: str | None = None, *, hmac_key: str = HMAC_KEY
) -> AsyncIterator[AdyenFront]:
    """Open a shop with one event of 45 places."""
    clock = ManualClock(time.time_ns() // 1_000_000)
    with adyen_running(clock) as box:
        settings = Settings(
            data=tmp_path, store_url=store_url, shop_database_url=database_url, public_url=SITE, payments="adyen",
            adyen_api_key=API_KEY, adyen_merchant=MERCHANT, adyen_hmac_key=hmac_key, adyen_webhook_user=USER,
            adyen_webhook_password=PASSWORD, adyen_endpoint=box.endpoint,
        )  # fmt: skip
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
        metrics = Metrics(CollectorRegistry())
        account = account_of(settings, parts, metrics)
        assert isinstance(account.provider, Patient)
        # Seconds between tries are the matter of tests/checkout/payments/test_patient.py.
        account.provider._rest = lambda _seconds: asyncio.sleep(0)
        tills = JoinedTills(settings, parts, account, buyer_of, metrics)
        shop = JoinedShop(
            parts, buyer_of, b"s" * 32, "worker", metrics, offer_ms=120_000, tills=tills
        )  # fmt: skip
        await shop.open_halls()
        app = Doors(shop.app, None, tills.hooks)
        # Whatever goes wrong within is an answer, as nothing stands behind the doors.
        outside = httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://shop.test")
        try:
            yield AdyenFront(
                shop, app, None, None, tills, metrics,  # type: ignore[arg-type]
                box=box, parts=parts, clock=clock, outside=outside,
            )  # fmt: skip
        finally:
            await outside.aclose()
            await account.close()
            await parts.close()


__all__ = ["API", "HOOK", "OWN", "SENDER", "SITE", "AdyenFront", "adyen_front", "changed", "code_of"]
