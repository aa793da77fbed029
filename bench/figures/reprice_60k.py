"""The figure reprice-60k: seconds until everybody sees that all 60,000 seats of a hall cost something else.

Two workers share a port, each with viewers on connections that stay open, who look again and again. An organiser
changes the price of every tier, then puts all sections into one tier. The value is the longer of the two, from the
moment before the request until every viewer has seen all of it: in the event's detail, and in the map, octet for octet.
The run counts only if a hold that was open before costs what it did, a new one what it costs now, and the organiser's
report adds up to what SQL adds up to.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial

import httpx
import sqlalchemy as sa

from bench.figure import Figure, say
from bench.harness import Bench
from bench.shop import Shop, on_load_core, our_shop
from checkout.halls.seats import tier

MOST_S = 1.0
VIEWERS = 12
"""Connections, over both workers: the kernel gives each new one to whoever is free."""

GIVE_UP_S = 60.0
TOKEN = "an-organiser-of-the-bench-0123456789"
RAISED_MINOR = 1_000
Sees = Callable[[httpx.AsyncClient], Awaitable[bool]]


@dataclass(slots=True)
class Hall:
    """What is looked at, and what was wrong with it."""

    shop: Shop
    event: str
    fans: Sequence[str]
    wrong: list[str] = field(default_factory=list)

    def client(self, fan: int = 0) -> httpx.AsyncClient:
        """Give a browser with one connection, and an admission."""
        headers = {"Authorization": f"Bearer {self.fans[fan]}", "Origin": self.shop.url}
        return httpx.AsyncClient(
            base_url=self.shop.url,
            headers=headers,
            timeout=30,
            limits=httpx.Limits(max_connections=1, keepalive_expiry=600),
        )

    async def organise(self, path: str, body: object = None) -> dict[str, object]:
        """Ask as an organiser; without a body, to read."""
        headers = {"Authorization": f"Bearer {TOKEN}"}
        async with httpx.AsyncClient(base_url=self.shop.url, headers=headers, timeout=60) as client:
            address = f"/organiser/api/events/{self.event}/{path}"
            said = await (client.get(address) if body is None else client.post(address, json=body))
        if said.status_code >= 400:
            self.wrong.append(f"{path}: {said.status_code} {said.text[:200]}")
        told: dict[str, object] = said.json()
        return told

    async def held(self, fan: int, seats: Sequence[int]) -> tuple[str, int]:
        """Hold seats; returns the hold and what it costs."""
        async with self.client(fan) as client:
            said = await client.post(
                f"/api/events/{self.event}/holds",
                json={"seats": list(seats)},
                headers={"Idempotency-Key": f"bench-{fan}"},
            )
        paper = said.json()
        if said.status_code != 201:
            self.wrong.append(f"hold: {said.status_code} {paper}")
            return "", 0
        return paper["hold"], sum(seat["price_minor"] for seat in paper["seats"])

    async def reserved(self, fan: int, hold: str) -> int:
        """Take a hold to pay for it; returns what it costs."""
        async with self.client(fan) as client:
            said = await client.post(f"/api/events/{self.event}/holds/{hold}/reserve")
        return sum(seat["price_minor"] for seat in said.json().get("seats", ()))


def measure(bench: Bench) -> Iterator[Figure]:
    """Reprice once a round, up and up."""
    with our_shop(bench, env={"WAITROOM_ORGANISER_TOKEN": TOKEN}) as shop, shop.again() as second:
        say(f"two workers: {shop.pid}, {second.pid}")
        hall = Hall(shop, shop.events[0], shop.admissions(2 * bench.rounds + VIEWERS))
        with on_load_core(bench):
            prices, tiers = asyncio.run(_rounds(hall, bench.rounds))
    worst = max(*prices, *tiers) if prices else 0.0
    error = hall.wrong[0] if hall.wrong else None
    yield Figure(
        "reprice-60k",
        0 if error else worst,
        "s",
        target=f"<= {MOST_S:g} s, open holds keep their price, the report is SQL's sum",
        met=error is None and worst <= MOST_S,
        beside={"prices_s": max(prices, default=0), "tiers_s": max(tiers, default=0)},
        conditions=bench.conditions(
            load=f"{VIEWERS} viewers of two workers", seats=len(shop.plan.tiers), database="SQLite"
        ),
        details={"rounds_s": [round(max(pair), 3) for pair in zip(prices, tiers, strict=True)]},
        error=error,
    )


async def _rounds(hall: Hall, rounds: int) -> tuple[list[float], list[float]]:
    prices, tiers = [], []
    clients = [hall.client(2 * rounds + number) for number in range(VIEWERS)]
    try:
        wanted = sorted(set(hall.shop.plan.tiers))
        for number in range(rounds):
            event = (await clients[0].get(f"/api/events/{hall.event}")).json()
            before = {one["tier"]: one["prices"]["EUR"] for one in event["tiers"]}
            hold, cost = await hall.held(2 * number, (8 * number, 8 * number + 1))
            raised = {own: minor + RAISED_MINOR for own, minor in before.items()}
            plain = [{"tier": own, "prices": {"EUR": minor}} for own, minor in raised.items()]
            change = partial(hall.organise, "prices", {"prices": plain})
            prices.append(await _until(clients, change, partial(_priced, hall.event, raised)))
            to = wanted[number % len(wanted)]
            sections = list(range(len(hall.shop.plan.layout.sections)))
            change = partial(hall.organise, "tiers", {"tier": to, "sections": sections})
            tiers.append(await _until(clients, change, partial(_tiered, hall.event, to)))
            _, fresh = await hall.held(2 * number + 1, (8 * number + 4, 8 * number + 5))
            paid = await hall.reserved(2 * number, hold)
            if paid != cost:
                hall.wrong.append(f"an open hold cost {cost} and is reserved for {paid}")
            if fresh != 2 * raised[to]:
                hall.wrong.append(f"a new hold costs {fresh}, not {2 * raised[to]}")
            await _add_up(hall)
            say(f"round {number + 1} of {rounds}: {prices[-1]:.2f} s the prices, {tiers[-1]:.2f} s the map")
    finally:
        for client in clients:
            await client.aclose()
    return prices, tiers


async def _until(
    clients: Sequence[httpx.AsyncClient], change: Callable[[], Awaitable[object]], sees: Sees
) -> float:
    """Change something; returns how long it took until every viewer had seen it."""
    began_s = time.perf_counter()

    async def one(client: httpx.AsyncClient) -> None:
        while not await sees(client):
            if time.perf_counter() - began_s > GIVE_UP_S:
                raise ValueError(f"not seen within {GIVE_UP_S:.0f} s")
            await asyncio.sleep(0.05)

    await asyncio.gather(change(), *(one(client) for client in clients))
    return time.perf_counter() - began_s


async def _priced(event: str, wanted: dict[int, int], client: httpx.AsyncClient) -> bool:
    told = (await client.get(f"/api/events/{event}")).json()
    return {one["tier"]: one["prices"]["EUR"] for one in told["tiers"]} == wanted


async def _tiered(event: str, wanted: int, client: httpx.AsyncClient) -> bool:
    said = await client.get(f"/api/events/{event}/map")
    return said.headers.get("map-detail") == "seats" and all(
        tier(octet) == wanted for octet in set(said.content)
    )


async def _add_up(hall: Hall) -> None:
    """Compare the organiser's report with what SQL adds up to."""
    report = await hall.organise("report")
    engine = sa.create_engine(hall.shop.database_url)
    with engine.connect() as connection:
        total = connection.scalar(
            sa.text(
                "SELECT coalesce(sum(s.price_minor), 0) FROM reservation_seats s"
                " JOIN reservations r ON r.id = s.reservation_id"
                " WHERE r.event_id = :event AND s.active AND r.state IN ('active', 'sold')"
            ),
            {"event": hall.event},
        )
    engine.dispose()
    totals: dict[str, dict[str, int]] = report["totals"]  # type: ignore[assignment]
    told = sum(amount for own in totals.values() for amount in own.values())
    if told != total:
        hall.wrong.append(f"the report has {told}, SQL {total}")
