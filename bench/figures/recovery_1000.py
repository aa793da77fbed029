"""The figure recovery-1000: the shop is killed with a thousand orders on their way; how long until none is open.

The provider answers nobody for a while, so that a thousand buyers' payments are on their way at once: some have no
payment yet, some have been asked for and their answer is waited for. Then the worker is killed with -9, the provider
is well again, and the worker is started. The time runs from the kill until nothing is left to be done with any order.
It counts only if all of them are paid then, and the provider's own books say so, too: each was taken once. The
reference is asking the provider by its own package for as many payments, as many at once as a worker does.
"""

import asyncio
import os
import signal
import time
from collections.abc import Iterator, Sequence

import httpx
import sqlalchemy as sa

from bench.figure import Figure, failed, say
from bench.figures.orders import NO_LIMITS, Browser, books, heal, with_sandbox
from bench.harness import Bench
from bench.load import LoadFailed
from bench.shop import Shop, groups
from checkout.orders.recovering import AT_ONCE
from checkout.payments.stripe import StripeProvider

ORDERS = 1_000
MOST_S = 30.0
METHOD = "pm_card_visa"
READY_AT_ONCE = 32
TOGETHER = 200
"""Fans that come in at the same moment."""

SILENT_MS = 60_000
"""So long the provider keeps its answers to itself."""

PATIENCE_S = 120.0


def measure(bench: Bench) -> Iterator[Figure]:
    """Kill the shop once, and watch it come back."""
    with with_sandbox(bench, limits=NO_LIMITS) as (shop, sandbox, key):
        wanted = groups(shop.plan.layout)[:ORDERS]
        fans = shop.admissions(ORDERS)
        for first in range(0, ORDERS, TOGETHER):
            shop.welcome(fans[first : first + TOGETHER])
        say("orders are made")
        orders = asyncio.run(_ordered(shop, fans, wanted))
        be_silent(sandbox, key)
        say("all of them are paid at once, and the shop is killed")
        began = asyncio.run(_paid_and_killed(shop, fans, orders))
        on_their_way = _open(shop)
        heal(sandbox, key)
        with shop.again():
            up_s = time.monotonic() - began
            _wait_until_none_is_open(shop, began)
            took_s = time.monotonic() - began
        paid = _paid(shop)
        ledger = books(sandbox, key)
        reference_s = asyncio.run(_only_asked(sandbox, key))
    wrong = [one for one in orders if one not in paid or ledger.get(one, 0) != 1]
    figure = Figure(
        "recovery-1000",
        took_s,
        "s",
        "asking the provider by its package for as many payments, as many at once",
        ratio=took_s / reference_s,
        target=f"<= {MOST_S:.0f} s",
        met=took_s <= MOST_S,
        conditions=bench.conditions(load="1,000 payments on their way", rounds=1, database="SQLite"),
        details={
            "on_their_way": on_their_way,
            "paid_afterwards": len(paid),
            "worker_up_s": round(up_s, 2),
            "reference_s": round(reference_s, 2),
        },
    )
    if wrong:
        yield failed(figure, f"{len(wrong)} orders are not paid exactly once, the first is {wrong[0]}")
    elif on_their_way != ORDERS:
        yield failed(figure, f"{on_their_way} orders were on their way, not {ORDERS}")
    else:
        yield figure


def be_silent(sandbox: str, key: str) -> None:
    """Have the provider do what it is asked for, and tell nobody for a while."""
    fault = {"fault": "delay-answer", "where": "POST*", "count": 1_000_000, "delay_ms": SILENT_MS}
    auth = {"Authorization": f"Bearer {key}"}
    httpx.post(f"{sandbox}/_sandbox/faults", json=fault, headers=auth, timeout=10).raise_for_status()


async def _ordered(shop: Shop, fans: Sequence[str], wanted: Sequence[tuple[int, ...]]) -> list[str]:
    """Hold, reserve and order for each fan; returns the orders in the order of the fans."""
    orders = [""] * len(fans)
    left = iter(range(len(fans)))
    event = shop.events[0]

    async def one() -> None:
        browser = Browser(shop.url)
        await browser.open()
        for number in left:
            fan, seats = fans[number], wanted[number]
            _, told = await browser.ask(shop.hold(event, fan, str(seats[0]), {"seats": seats}))
            for path, name in (("holds/{}/reserve", "hold"), ("reservations/{}/order", "reservation")):
                asked = f"/api/events/{event}/" + path.format(told.get(name))
                status, told = await browser.ask(shop.request("POST", asked, fan))
                if status != 201:
                    raise LoadFailed(f"{asked}: {status} {told}")
            orders[number] = str(told["order"])

    await asyncio.gather(*(one() for _ in range(READY_AT_ONCE)))
    return orders


async def _paid_and_killed(shop: Shop, fans: Sequence[str], orders: Sequence[str]) -> float:
    """Send all payments, wait until the shop has written each down, and kill it; returns when, by ``monotonic``."""
    event = shop.events[0]
    ways = [
        asyncio.create_task(_pay(shop, event, fan, order)) for fan, order in zip(fans, orders, strict=True)
    ]
    until_s = time.monotonic() + PATIENCE_S
    while await asyncio.to_thread(_open, shop) < len(orders):
        if time.monotonic() > until_s:
            raise LoadFailed("the shop did not write all payments down")
        await asyncio.sleep(0.1)
    os.kill(shop.pid, signal.SIGKILL)
    killed_s = time.monotonic()
    ended = await asyncio.gather(*ways, return_exceptions=True)
    answered = [one for one in ended if not isinstance(one, BaseException)]
    say(f"{len(answered)} buyers were answered before")
    return killed_s


async def _pay(shop: Shop, event: str, fan: str, order: str) -> int:
    browser = Browser(shop.url)
    await browser.open()
    path = f"/api/events/{event}/orders/{order}/pay"
    asked = shop.request("POST", path, fan, [f"Idempotency-Key: {order}"], {"method": METHOD})
    status, _ = await browser.ask(asked)
    return status


def _wait_until_none_is_open(shop: Shop, began: float) -> None:
    while left := _open(shop):
        if time.monotonic() - began > PATIENCE_S:
            raise LoadFailed(f"{left} orders are still open after {PATIENCE_S:.0f} s")
        time.sleep(0.2)


def _open(shop: Shop) -> int:
    return len(_rows(shop, "SELECT DISTINCT order_id FROM order_work"))


def _paid(shop: Shop) -> set[str]:
    return set(_rows(shop, "SELECT id FROM orders WHERE state = 'paid'"))


def _rows(shop: Shop, query: str) -> list[str]:
    engine = sa.create_engine(shop.database_url)
    try:
        with engine.connect() as connection:
            return list(connection.scalars(sa.text(query)))
    finally:
        engine.dispose()


async def _only_asked(sandbox: str, key: str) -> float:
    """Ask for as many payments; returns the seconds that it took."""
    provider = StripeProvider("sandbox", key, ["whsec_x"], api_base=sandbox)
    refs = [told.ref async for told in provider.list_since(0)][:ORDERS]
    left = iter(refs)

    async def one() -> None:
        for ref in left:
            await provider.fetch(ref)

    began = time.monotonic()
    await asyncio.gather(*(one() for _ in range(AT_ONCE)))
    took_s = time.monotonic() - began
    await provider.close()
    return took_s * ORDERS / max(1, len(refs))
