"""The figure paid-to-ticket: seconds from the card (4242 4242 4242 4242) to tickets that somebody can read.

One worker of the shop and the sandbox, as the figure orders has them. Buyers come at the pace at which a hall of 60,000
sells out in ten minutes. The clock of each starts when the request to pay leaves, and stops when the buyer has been
given all four codes and the page with their pictures has come; if the order is still open then, or has no tickets yet,
they are asked for again. The value is the p99; beside it stands that of buyers who come one after the other (``lone``):
what is above it is waiting for others. A run counts only if every order was paid and has as many valid tickets
as seats, each with a code of its own.
"""

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import httpx

from bench.figure import Figure, say
from bench.figures.mail_down import PER_S
from bench.figures.orders import METHOD, NO_LIMITS, percentile, with_sandbox
from bench.harness import Bench
from bench.shop import GROUP, Shop, groups, on_load_core

MOST_S = 2.0
GIVE_UP_S = 30.0
AGAIN_S = 0.02
LONE = 40
CONNECTIONS = 100


@dataclass(slots=True)
class Paid:
    """What came of the buyers."""

    until_codes_s: list[float] = field(default_factory=list)
    until_page_s: list[float] = field(default_factory=list)
    codes: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)


def measure(bench: Bench) -> Iterator[Figure]:
    """Sell for so many seconds, a round to warm up before."""
    seconds, paid, lone = max(5, bench.seconds) * bench.rounds, Paid(), Paid()
    with with_sandbox(bench, limits=NO_LIMITS) as (shop, _sandbox, _key), on_load_core(bench):
        wanted = groups(shop.plan.layout)
        warm = PER_S * 3
        fans = shop.admissions(warm + LONE + PER_S * seconds)
        asyncio.run(_sell(shop, fans[:warm], wanted[:warm], Paid()))
        say("measuring")
        crowd = warm + LONE
        asyncio.run(_one_by_one(shop, fans[warm:crowd], wanted[warm:crowd], lone))
        asyncio.run(_sell(shop, fans[crowd:], wanted[crowd:], paid))
    count = PER_S * seconds
    error = next(iter([*lone.wrong, *paid.wrong]), None)
    if error is None and len(set(paid.codes)) != GROUP * count:
        error = f"{len(set(paid.codes))} different codes for {count} orders of {GROUP} seats"
    p99_s = percentile(paid.until_page_s, 0.99)
    yield Figure(
        "paid-to-ticket",
        0 if error else p99_s,
        "s",
        target=f"<= {MOST_S:g} s",
        met=error is None and p99_s <= MOST_S,
        beside={
            "p50_s": percentile(paid.until_page_s, 0.5),
            "lone_p50_s": percentile(lone.until_page_s, 0.5),
            "lone_p99_s": percentile(lone.until_page_s, 0.99),
            "codes_p99_s": percentile(paid.until_codes_s, 0.99),
            "orders": count,
        },
        conditions=bench.conditions(rounds=1, load=f"{PER_S} orders/s for {seconds} s", seats_each=GROUP),
        error=error,
    )


async def _sell(shop: Shop, fans: Sequence[str], wanted: Sequence[tuple[int, ...]], paid: Paid) -> None:
    limits = httpx.Limits(max_connections=CONNECTIONS, max_keepalive_connections=CONNECTIONS)
    loop = asyncio.get_running_loop()
    began_s = loop.time() + 0.1
    async with httpx.AsyncClient(base_url=shop.url, timeout=GIVE_UP_S, limits=limits) as client:

        async def one(number: int, fan: str, seats: tuple[int, ...]) -> None:
            await asyncio.sleep(max(0.0, began_s + number / PER_S - loop.time()))
            try:
                await _buy(Fan(client, shop, fan), seats, paid)
            except (httpx.HTTPError, KeyError) as error:
                paid.wrong.append(f"{type(error).__name__}: {error}")

        buyers = zip(fans, wanted, strict=False)
        await asyncio.gather(*(one(number, *buyer) for number, buyer in enumerate(buyers)))


async def _one_by_one(shop: Shop, fans: Sequence[str], wanted: Sequence[tuple[int, ...]], paid: Paid) -> None:
    async with httpx.AsyncClient(base_url=shop.url, timeout=GIVE_UP_S) as client:
        for fan, seats in zip(fans, wanted, strict=False):
            await _buy(Fan(client, shop, fan), seats, paid)


@dataclass(frozen=True, slots=True)
class Fan:
    """A browser with an admission."""

    client: httpx.AsyncClient
    shop: Shop
    admission: str

    async def ask(self, method: str, path: str, body: object = None, key: str = "") -> dict[str, Any]:
        """Ask the API of the event."""
        headers = {"Authorization": f"Bearer {self.admission}", "Origin": self.shop.url}
        if key:
            headers["Idempotency-Key"] = key
        address = f"/api/events/{self.shop.events[0]}/{path}"
        said = await self.client.request(method, address, json=body, headers=headers)
        return dict(said.json())


async def _buy(fan: Fan, seats: tuple[int, ...], paid: Paid) -> None:
    loop, key = asyncio.get_running_loop(), str(seats[0])
    hold = await fan.ask("POST", "holds", {"seats": list(seats)}, key)
    reserved = await fan.ask("POST", f"holds/{hold['hold']}/reserve")
    order = (await fan.ask("POST", f"reservations/{reserved['reservation']}/order"))["order"]
    began_s = loop.time()
    await fan.ask("POST", f"orders/{order}/pay", {"method": METHOD}, key)
    while True:
        told = await fan.ask("GET", f"orders/{order}/tickets")
        tickets = told.get("tickets", [])
        if len(tickets) == len(seats) and all(ticket["state"] == "valid" for ticket in tickets):
            break
        if loop.time() - began_s > GIVE_UP_S:
            paid.wrong.append(f"{order}: no tickets, but {told}")
            return
        await asyncio.sleep(AGAIN_S)
    paid.until_codes_s.append(loop.time() - began_s)
    # The address is the site's; the worker answers it without an admission.
    page = await fan.client.get(urlsplit(told["link"]).path)
    if page.status_code != 200 or page.text.count("<svg") < len(seats):
        paid.wrong.append(f"{order}: its page says {page.status_code}")
    paid.until_page_s.append(loop.time() - began_s)
    paid.codes += [ticket["code"] for ticket in tickets]
