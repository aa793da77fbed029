"""The figures orders and double-charges: seats held, reserved, ordered, paid, confirmed and taken, by HTTP.

One worker of the shop, SQLite, and the sandbox in a process of its own, asked by Stripe's own package as Stripe would
be. So many buyers at once go the whole way, each with four requests: hold, reserve, order, pay. The reference is the
payments alone: create, confirm and capture by the same package against the same sandbox, as many at once.

After the run every answer of the provider is lost now and then (``drop-answer``) for as many orders again; then the
books of both sides are compared: payments that were taken twice for one order are ``double-charges``.
"""

import asyncio
import json
import socket
import statistics
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import sqlalchemy as sa

from bench.figure import Figure, say
from bench.harness import Bench
from bench.servers import running
from bench.shop import Shop, groups, on_load_core, our_shop
from checkout.money import Money
from checkout.payments.port import Charge
from checkout.payments.stripe import StripeProvider
from gateway.sandbox import sandbox_secrets
from gateway.settings import Settings

BUYERS = 32
LEAST_PER_S = 150.0
MOST_P99_MS = 1_000.0
METHOD = "pm_card_visa"
LOST_RATIO = 0.05
SETTLED_S = 90.0
_LIMITS = (
    "card-attempts", "account-attempts", "device-attempts", "address-attempts", "card-accounts",
    "account-cards", "device-accounts", "device-picks", "account-drops", "device-drops",
    "account-declines", "address-declines",
)  # fmt: skip
NO_LIMITS = "fraud_limits = [{}]\n".format(",".join(f'"{name}=off"' for name in _LIMITS))
"""All fans of a figure come from one address, and pay with one card."""


@dataclass(slots=True)
class Way:
    """What came of one way through the shop, over and over."""

    seconds: list[float] = field(default_factory=list)
    paid: list[str] = field(default_factory=list)
    pending: list[str] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)


class Browser:
    """One connection that carries one request at a time."""

    def __init__(self, url: str) -> None:
        self._where = urlsplit(url)

    async def open(self) -> None:
        """Connect."""
        assert self._where.hostname  # noqa: S101 (an address of our own)
        self._reader, self._writer = await asyncio.open_connection(self._where.hostname, self._where.port)

    async def ask(self, octets: bytes) -> tuple[int, dict[str, object]]:
        """Send a request; returns status and JSON."""
        self._writer.write(octets)
        head = (await self._reader.readuntil(b"\r\n\r\n")).lower()
        at = head.find(b"content-length:")
        body = await self._reader.readexactly(int(head[at + 15 :].split(b"\r\n", 1)[0]))
        return int(head[9:12]), json.loads(body) if body else {}

    def close(self) -> None:
        """Hang up."""
        self._writer.close()


@contextmanager
def with_sandbox(
    bench: Bench, *, limits: str, env: Mapping[str, str] | None = None
) -> Iterator[tuple[Shop, str, str]]:
    """Run a shop that takes money; gives it, the sandbox's address and its secret key."""
    folder = bench.folder / "shop" / "data"
    rules = bench.folder / "fraud.toml"
    rules.write_text(limits, encoding="utf-8")
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(1024)
        port = listener.getsockname()[1]
        env = {
            **(env or {}),
            "WAITROOM_PAYMENTS": "sandbox",
            "WAITROOM_SANDBOX_PORT": str(port),
            "WAITROOM_FRAUD": str(rules),
        }
        url = f"http://127.0.0.1:{port}"
        command = [
            *bench.cores.on_load(), str(Path(sys.executable).parent / "waitroom"), "worker", "sandbox",
            "--fd", str(listener.fileno()),
        ]  # fmt: skip
        with our_shop(bench, events=2, env=env) as shop:
            own = env | {
                "WAITROOM_DATA": str(folder), "WAITROOM_SHOP_PORT": shop.url.rpartition(":")[2],
                "WAITROOM_LOG_LEVEL": "warning", "WAITROOM_DRAIN_S": "0",
            }  # fmt: skip
            key, _ = sandbox_secrets(Settings(data=folder), int(time.time() * 1000))
            with running(
                command, ready=f"{url}/health/ready", log=bench.folder / "sandbox.log", env=own,
                pass_fds=(listener.fileno(),),
            ):  # fmt: skip
                yield shop, url, key


def measure(bench: Bench) -> Iterator[Figure]:
    """Measure orders against payments alone, then orders whose answers get lost."""
    seconds = max(5, bench.seconds)
    with with_sandbox(bench, limits=NO_LIMITS) as (shop, sandbox, key):
        wanted = groups(shop.plan.layout)
        fans = shop.admissions(len(wanted))
        shop.welcome(fans[:2_000])
        with on_load_core(bench):
            say("payments alone")
            alone = asyncio.run(payments(sandbox, key, seconds))
            say("orders")
            way = asyncio.run(buy(shop, shop.events[0], fans, wanted, seconds))
            say("orders whose answers get lost")
            lose_answers(sandbox, key)
            lossy = asyncio.run(buy(shop, shop.events[1], fans, wanted, seconds))
            heal(sandbox, key)
            settled = wait_until_settled(shop, [*way.pending, *lossy.pending])
        ledger = books(sandbox, key)
    rate, p99_ms = len(way.paid) / seconds, percentile(way.seconds, 0.99) * 1000
    twice = [order for order, count in ledger.items() if count > 1]
    missing = [order for order in (*way.paid, *lossy.paid) if order not in ledger]
    error = None
    if way.refused:
        error = f"{len(way.refused)} ways ended early, the first with {way.refused[0]}"
    elif missing:
        error = f"{len(missing)} orders are paid here, and nothing was taken for them"
    conditions = bench.conditions(rounds=1, load=f"{BUYERS} buyers at once for {seconds} s", seats_each=4)
    yield Figure(
        "orders",
        rate,
        "orders/s",
        "payments alone: create, confirm, capture by the same package at the same sandbox",
        ratio=rate / alone if alone else None,
        beside={"p99_ms": p99_ms},
        target=f">= {LEAST_PER_S:.0f} orders/s, p99 <= {MOST_P99_MS:.0f} ms",
        met=error is None and rate >= LEAST_PER_S and p99_ms <= MOST_P99_MS,
        conditions=conditions,
        details={
            "payments_per_s": round(alone, 1),
            "p50_ms": round(statistics.median(way.seconds) * 1000, 1) if way.seconds else 0.0,
        },
        error=error,
    )
    yield Figure(
        "double-charges",
        float(len(twice)),
        "orders",
        "the provider's own books",
        target="0",
        met=not twice,
        conditions=bench.conditions(
            rounds=1, load=f"the same, {LOST_RATIO:.0%} of the provider's answers are lost", seats_each=4
        ),
        details={
            "orders": len(way.paid) + len(lossy.paid) + len(lossy.pending),
            "answers_late": len(lossy.pending),
            "settled": settled,
        },
    )


async def buy(
    shop: Shop, event: str, fans: Sequence[str], wanted: Sequence[tuple[int, ...]], seconds: int
) -> Way:
    """Have buyers go the whole way until the time is over."""
    way, left = Way(), iter(range(min(len(fans), len(wanted))))
    until_s = time.monotonic() + seconds

    async def one() -> None:
        browser = Browser(shop.url)
        await browser.open()
        for number in left:
            if time.monotonic() >= until_s:
                return
            began_s = time.monotonic()
            await _order(shop, browser, event, fans[number], wanted[number], way)
            way.seconds.append(time.monotonic() - began_s)

    await asyncio.gather(*(one() for _ in range(BUYERS)))
    return way


async def _order(
    shop: Shop, browser: Browser, event: str, fan: str, seats: tuple[int, ...], way: Way
) -> None:
    api, key = f"/api/events/{event}", f"Idempotency-Key: {seats[0]}"
    status, hold = await browser.ask(shop.hold(event, fan, str(seats[0]), {"seats": seats}))
    if status == 201:
        status, hold = await browser.ask(shop.request("POST", f"{api}/holds/{hold['hold']}/reserve", fan))
    if status == 201:
        status, hold = await browser.ask(
            shop.request("POST", f"{api}/reservations/{hold['reservation']}/order", fan)
        )
    if status == 201:
        order = str(hold["order"])
        status, hold = await browser.ask(
            shop.request("POST", f"{api}/orders/{order}/pay", fan, [key], {"method": METHOD})
        )
        if status == 200 and hold["state"] == "paid":
            way.paid.append(order)
            return
        if status == 202:
            way.pending.append(order)
            return
    way.refused.append(f"{status} {hold.get('code', hold)}")


async def payments(sandbox: str, key: str, seconds: int) -> float:
    """Count payments a second by the package alone."""
    provider = StripeProvider("sandbox", key, ["whsec_x"], api_base=sandbox)
    until_s, done = time.monotonic() + seconds, 0

    async def one(number: int) -> None:
        nonlocal done
        at = 0
        while time.monotonic() < until_s:
            at += 1
            name = f"alone-{number}-{at}"
            charge = Charge("alone", name, 1, Money(16_000, "EUR"), f"{name}:create")
            made = await provider.create(charge)
            await provider.confirm(made.ref, METHOD, "https://shop.example/", f"{name}:confirm")
            await provider.capture(made.ref, charge.amount, f"{name}:capture")
            done += 1

    await asyncio.gather(*(one(number) for number in range(BUYERS)))
    await provider.close()
    return done / seconds


def lose_answers(sandbox: str, key: str) -> None:
    """Have the provider's answers get lost."""
    fault = {
        "fault": "drop-answer",
        "where": "POST",
        "count": 1_000_000,
        "probability": LOST_RATIO,
        "seed": 5,
    }
    said = httpx.post(f"{sandbox}/_sandbox/faults", json=fault, headers=_auth(key), timeout=10)
    say(f"faults: {said.status_code} {said.text[:200]}")
    said.raise_for_status()


def heal(sandbox: str, key: str) -> None:
    """End all faults."""
    httpx.delete(f"{sandbox}/_sandbox/faults", headers=_auth(key), timeout=10).raise_for_status()


def books(sandbox: str, key: str) -> dict[str, int]:
    """Count for each order the payments that were taken for it, as the provider has them."""
    said = httpx.get(f"{sandbox}/_sandbox/ledger", headers=_auth(key), timeout=60)
    said.raise_for_status()
    found: dict[str, int] = {}
    for row in said.json()["orders"]:
        if row["event"] != "alone":
            found[row["order"]] = sum(one["captured"] > one["refunded"] for one in row["payments"])
    return found


def wait_until_settled(shop: Shop, pending: Sequence[str]) -> int:
    """Wait until orders that were late are paid or over; returns how many are."""
    engine = sa.create_engine(shop.database_url)
    until_s = time.monotonic() + SETTLED_S
    while True:
        with engine.connect() as connection:
            left = connection.scalar(sa.text("SELECT count(*) FROM order_work")) or 0
        if not left or time.monotonic() >= until_s:
            say(f"{left} attempts are left open")
            return len(pending) if not left else len(pending) - left
        time.sleep(1)


def _auth(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}


def percentile(values: Sequence[float], share: float) -> float:
    """Return what this share of values stays below; 0 without any."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))] if ordered else 0.0
