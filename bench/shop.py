"""The shop under load: one worker as it ships, with its guard, a store of its own and a hall of 60,000 places.

Fans are not sent through a line here: the shop accepts whoever carries an admission, so admissions are signed with the
key ring of the installation. Each fan has its own, as behind the gate. Nothing is timed here.
"""

import asyncio
import json
import os
import random
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, asynccontextmanager, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

from admission import tokens
from admission.keyring import KeyRing
from bench import harness
from bench.harness import Bench
from bench.machine import tree
from bench.paced import paced, request
from bench.servers import ServerFailed, running
from checkout.catalogue.event import Organiser, Venue
from checkout.catalogue.service import Catalogue
from checkout.catalogue.store import CatalogueStore
from checkout.database import ShopDatabase
from checkout.halls.houses import arena_60000
from checkout.halls.layout import Layout
from checkout.halls.plans import Plan
from checkout.halls.seat_rows import SeatRows
from checkout.halls.sections import stretches
from checkout.holds.answers import Ask, Held, HoldOutcome, Wanted
from checkout.holds.store import HoldStore
from kernel.clock import SystemClock
from kernel.store import connect

ISSUER = "https://tickets.example"
SEATS = 60_000
HOURS_MS = 3_600_000
MOST_PER_BUYER = 12
HOLD_S = 300
GROUP = 4


@dataclass(frozen=True, slots=True)
class Shop:
    """A running worker of the shop."""

    url: str
    store_url: str
    database_url: str
    events: Sequence[str]
    plan: Plan
    ring: KeyRing
    audience: str
    pid: int
    store_pid: int
    again: Callable[[], AbstractContextManager[subprocess.Popen[bytes]]]
    """Starts the worker once more, at the same address, when it has been killed."""

    def pids(self) -> list[int]:
        """Return the processes whose work is counted: the worker and the store."""
        return [*tree(self.pid), self.store_pid]

    def admissions(self, count: int, first: int = 0) -> list[str]:
        """Sign so many admissions, one for each fan."""
        now_ms = SystemClock().now_ms()
        key = self.ring.active("admission")
        claims = (
            tokens.Claims(
                ISSUER,
                self.audience,
                f"fan{number:019d}",
                "main",
                "run",
                "standard",
                now_ms,
                now_ms,
                now_ms + HOURS_MS,
            )
            for number in range(first, first + count)
        )
        return [tokens.write(key.private, key.admission_head, one.members()) for one in claims]

    def request(
        self, method: str, path: str, admission: str, headers: Sequence[str] = (), body: object = None
    ) -> bytes:
        """Write a fan's request as the seat page sends it."""
        own = [f"Authorization: Bearer {admission}", f"Origin: {self.url}", "Sec-Fetch-Site: same-origin"]
        octets = b"" if body is None else json.dumps(body, separators=(",", ":")).encode()
        return request(method, path, urlsplit(self.url).netloc, [*own, *headers], octets)

    def hold(self, event: str, admission: str, key: str, wish: object) -> bytes:
        """Write a fan's wish to hold seats."""
        path = f"/api/events/{event}/holds"
        return self.request("POST", path, admission, [f"Idempotency-Key: {key}"], wish)

    def welcome(self, admissions: Sequence[str]) -> None:
        """Let each fan look at a page once, as all do before they hold: the guard knows them then."""
        asked = [self.request("GET", "/api/events", one) for one in admissions]
        seen = asyncio.run(paced(self.url, asked, 0))
        if set(seen.statuses) != {200}:
            raise ServerFailed(f"admitted fans were answered {dict(seen.statuses)}")

    def counts(self, event: str) -> tuple[int, ...]:
        """Count the seats of an event by status, as the store has them; empty without a map."""

        async def ask() -> tuple[int, ...]:
            async with self._store() as store:
                return await store.counts(event) or ()

        return asyncio.run(ask())

    def hold_directly(self, event: str, ratio: float, *, until_ms: int | None = None) -> int:
        """Hold this part of a hall by the store's own method, in groups that lie scattered; return how many seats."""
        wanted = groups(self.plan.layout)
        random.Random(7).shuffle(wanted)
        wanted = wanted[: int(len(self.plan.tiers) * ratio) // GROUP]
        now_ms = SystemClock().now_ms()
        ttl_ms = HOLD_S * 1000 if until_ms is None else until_ms - now_ms

        async def ask() -> list[HoldOutcome]:
            async with self._store() as store:
                return await asyncio.gather(
                    *(
                        store.hold(event, _ask(number, seats, ttl_ms), None if until_ms is None else now_ms)
                        for number, seats in enumerate(wanted, 1)
                    )
                )

        answers = asyncio.run(ask())
        if not all(isinstance(answer, Held) for answer in answers):
            raise ServerFailed("a group could not be held")
        return GROUP * len(answers)

    @asynccontextmanager
    async def _store(self) -> AsyncIterator[HoldStore]:
        client = connect(self.store_url, timeout_s=20)
        try:
            yield HoldStore(client)
        finally:
            await client.aclose()


@contextmanager
def our_shop(
    bench: Bench,
    *,
    events: int = 1,
    plan: Plan | None = None,
    hold_s: int = HOLD_S,
    most: int = MOST_PER_BUYER,
    env: Mapping[str, str] | None = None,
) -> Iterator[Shop]:
    """Run one worker of the shop on the server's core, with so many events in halls of the same plan."""
    plan = plan or arena_60000()
    folder = bench.folder / "shop"
    data = folder / "data"
    data.mkdir(parents=True)
    database_url = f"sqlite:///{data / 'shop.db'}"
    slugs = [f"night-{number}" for number in range(events)]
    asyncio.run(put_events(database_url, plan, slugs, hold_s, most))
    ring = KeyRing.open(data / "keyring.json", SystemClock().now_ms())
    with harness.store(folder / "store") as valkey, socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(4096)
        port = listener.getsockname()[1]
        url = f"http://127.0.0.1:{port}"
        command = [
            *bench.cores.on_server(), str(Path(sys.executable).parent / "waitroom"),
            "worker", "shop", "--fd", str(listener.fileno()),
        ]  # fmt: skip
        settings = {
            "WAITROOM_DATA": str(data),
            "WAITROOM_SHOP_PORT": str(port),
            "WAITROOM_STORE_URL": valkey.url,
            "WAITROOM_SHOP_DATABASE_URL": database_url,
            "WAITROOM_PUBLIC_URL": ISSUER,
            "WAITROOM_LOG_LEVEL": "warning",
            "WAITROOM_DRAIN_S": "0",
            **(env or {}),
        }
        start = partial(
            running, command, ready=f"{url}/health/ready", env=settings, pass_fds=(listener.fileno(),)
        )
        with start(log=bench.folder / "shop.log") as child:
            again = partial(start, log=bench.folder / "shop-again.log")
            yield Shop(url, valkey.url, database_url, slugs, plan, ring, url, child.pid, valkey.pid, again)


async def put_events(url: str, plan: Plan, slugs: Sequence[str], hold_s: int, most: int) -> None:
    """Make the shop's tables, and events on sale in a hall of this plan."""
    database = ShopDatabase(url)
    database.open()
    rows = SeatRows(database)
    catalogue = Catalogue(CatalogueStore(database), lambda _event: rows, clock := SystemClock())
    await catalogue.put_organiser(Organiser("bench", "Bench"))
    await catalogue.put_venue(Venue("hall", "Hall", "Bremen", "DE", "Europe/Berlin"))
    layout = await catalogue.add_layout("hall", plan.layout)
    for slug in slugs:
        plain = {
            "id": slug, "organiser_id": "bench", "venue_id": "hall", "layout_id": layout, "title": slug,
            "subtitle": "", "about": "", "motif": "northern-lights", "starts_ms": clock.now_ms() + 24 * HOURS_MS,
            "sale_from_ms": clock.now_ms() - HOURS_MS, "sale_until_ms": clock.now_ms() + 24 * HOURS_MS,
            "state": "published", "currency": "EUR", "max_per_buyer": most, "hold_s": hold_s, "grace_s": 120,
            "room": "", "tiers": [
                {"tier": tier, "name": name, "prices": {"EUR": 4000 + tier}}
                for tier, name in enumerate(plan.tier_names)
            ],
        }  # fmt: skip
        await catalogue.create_event(plain, plan.tiers)
    database.close()


def _ask(number: int, seats: tuple[int, ...], ttl_ms: int) -> Ask:
    return Ask(
        id=number.to_bytes(8, "big"),
        buyer=f"fan{number:019d}",
        wanted=Wanted(seats),
        ttl_ms=ttl_ms,
        max_per_buyer=GROUP,
        price_version=1,
        body="bench",
        currency="EUR",
    )


def groups(layout: Layout, size: int = GROUP) -> list[tuple[int, ...]]:
    """Cut a hall into groups of seats side by side, each seat in one group at most."""
    found = []
    for section in layout.sections:
        spans = [span for row in section.rows for span in stretches(row)]
        for first, count in spans:
            found += [tuple(range(at, at + size)) for at in range(first, first + count - size + 1, size)]
    return found


@contextmanager
def on_load_core(bench: Bench) -> Iterator[None]:
    """Put this process on the load's core as long as the block lasts: it is the load."""
    if bench.cores.load is None:
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {bench.cores.load})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)
