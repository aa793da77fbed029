"""Shopfront: the whole shop as an application, over a real store and a real database, with no guard before it.

Who asks is what the header ``X-Buyer`` says; nobody without it. The clock stands where the machine's stood when the
test began, because the store's own counts for holds. Not here: processes and sockets (``tests/process``).
"""

import time
from collections.abc import AsyncIterator, Collection, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from prometheus_client import CollectorRegistry

from checkout.metrics import Metrics
from checkout.site.roles import EVERY, Role
from gateway.settings import Settings
from gateway.shop_joined import JoinedShop
from gateway.shop_parts import ShopParts
from kernel.asgi import Scope, header
from kernel.clock import ManualClock
from kernel.errors import Refused
from tests.checkout.catalogues import DAY_MS, with_event

EVENT = "summer"
API = f"/api/events/{EVENT}"
PAGE = f"/events/{EVENT}"
OWN = {"sec-fetch-site": "same-origin"}


def buyer_of(scope: Scope) -> str:
    """Tell who asks."""
    buyer = header(scope, b"x-buyer")
    if not buyer:
        raise Refused("admission-missing", "This needs an admission.", status=401)
    return buyer.decode()


@dataclass
class Front:
    """A shop and a client of it."""

    shop: JoinedShop
    metrics: Metrics
    clock: ManualClock
    layout: str
    client: httpx.AsyncClient

    def buyer(self, name: str, **headers: str) -> httpx.AsyncClient:
        """Give a browser of a buyer."""
        return client_of(self.shop, {"x-buyer": name, **OWN, **headers})


def client_of(shop: JoinedShop, headers: dict[str, str]) -> httpx.AsyncClient:
    """Give a client without a network between."""
    transport = httpx.ASGITransport(shop.app)
    return httpx.AsyncClient(transport=transport, base_url="http://shop.test", headers=headers)


@asynccontextmanager
async def front(
    store_url: str,
    tmp_path: Path,
    roles: Collection[Role] = EVERY,
    database_url: str | None = None,
    joined: Mapping[str, Any] | None = None,
    **changes: Any,
) -> AsyncIterator[Front]:
    """Open a shop with one event of 45 places; `changes` are the event's, `joined` what the shop is joined with."""
    clock = ManualClock(time.time_ns() // 1_000_000)
    now_ms = clock.now_ms()
    parts = ShopParts(Settings(data=tmp_path, store_url=store_url, shop_database_url=database_url), clock)
    await parts.open()
    event = {
        "starts_ms": now_ms + 30 * DAY_MS,
        "sale_from_ms": now_ms - DAY_MS,
        "sale_until_ms": now_ms + 29 * DAY_MS,
        **changes,
    }
    layout = await with_event(parts.catalogue, **event)
    metrics = Metrics(CollectorRegistry())
    shop = JoinedShop(
        parts, buyer_of, b"s" * 32, "worker", metrics, offer_ms=120_000, roles=roles, **(joined or {})
    )
    await shop.open_halls()
    try:
        async with client_of(shop, {"x-buyer": "ann", **OWN}) as client:
            yield Front(shop, metrics, clock, layout, client)
    finally:
        await shop.stop()
        await parts.close()
