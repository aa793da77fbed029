"""A box office to test: an event on sale, its hall in a real store, its seats in SQL, and workers that hold seats.

Time stands still until a test moves it, also for the store. Addresses are served by a router as small as can be.
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx
from prometheus_client import CollectorRegistry
from redis.asyncio import Redis

from checkout.catalogue.service import Catalogue
from checkout.database import ShopDatabase
from checkout.halls.seat_rows import Done, SeatRows
from checkout.halls.seats import status
from checkout.holds.answers import Loaded
from checkout.holds.places import OnePlace, Place
from checkout.holds.service import Holding
from checkout.holds.web import HoldsWeb
from checkout.holds.wishes import HoldOutcome, Named, Told, Wish, read_wish
from checkout.metrics import Metrics
from kernel.asgi import Receive, Scope, Send, header, respond
from kernel.clock import ManualClock
from kernel.errors import Refused
from kernel.lua import Script
from kernel.problems import raw_problem
from kernel.store import connect
from tests.checkout.catalogues import NOW_MS, catalogue_of, with_event
from tests.checkout.waitlists import Timed, hold_id

EVENT = "summer"
MOST = 4
TTL_MS = 180_000
STALLS, SIDE, FLOOR = range(20), range(20, 25), range(25, 45)
FANS = (8, 9, 18, 19, 43, 44)
"""Seats that may be put into the allocation of ``CODE``."""
CODE = "MIDNIGHT"


class Clocked(Timed):
    """The hall's store, whose time is the test's, also for the sweeper."""

    async def due(self, events: Sequence[str], now_ms: int | None = None) -> list[str]:
        """Look at the clock's time."""
        return await super().due(events, self.clock.now_ms() if now_ms is None else now_ms)


@dataclass(slots=True)
class Office:
    """Everything of one event."""

    database: ShopDatabase
    client: Redis
    holds: Clocked
    clock: ManualClock
    catalogue: Catalogue
    metrics: Metrics
    place: Place
    holding: Holding
    rebuilt: list[str] = field(default_factory=list)

    def worker(self, **changes: Any) -> Holding:
        """Make one more worker."""
        made: dict[str, Any] = {
            "catalogue": self.catalogue, "places": OnePlace(self.place), "rebuild": self.rebuild, "hold_id": hold_id,
            "clock": self.clock, "metrics": self.metrics,
        }  # fmt: skip
        return Holding(**(made | changes))

    async def open(self, epoch: int = 1) -> None:
        """Bring the seats from SQL to the store."""
        octets = SeatRows(self.database).octets(EVENT)
        assert isinstance(await self.holds.load(EVENT, epoch, octets, now_ms=self.clock.now_ms()), Loaded)

    async def rebuild(self, event: str) -> None:
        """Put the map back as SQL has it: without the holds."""
        self.rebuilt.append(event)
        await self.open(len(self.rebuilt) + 1)

    async def allocate(self, *seats: int, name: str = "fans") -> None:
        """Put free seats aside for who has the code."""
        assert isinstance(SeatRows(self.database).block(EVENT, seats, name), Done)
        await self.holds.mark(EVENT, "block", seats)

    async def ask(
        self, buyer: str, key: str, plain: Mapping[str, Any], worker: Holding | None = None
    ) -> HoldOutcome:
        """Ask for seats as a page would."""
        return await (worker or self.holding).hold(EVENT, buyer, key, read_wish(plain), repr(plain).encode())

    async def had(self, buyer: str, *seats: int, key: str = "k") -> str:
        """Hold seats; give the hold's id."""
        outcome = await self.holding.hold(EVENT, buyer, key, Wish(Named(seats)), b"")
        assert isinstance(outcome, Told)
        return outcome.paper["hold"]

    async def statuses(self) -> list[int]:
        """Return the status of each seat."""
        seen = await self.holds.look(EVENT)
        return [int(status(octet)) for octet in seen.map]  # type: ignore[union-attr]


@asynccontextmanager
async def office(
    url: str, store_url: str, *, scripts: Mapping[str, Script] | None = None, **changes: Any
) -> AsyncIterator[Office]:
    """Open the event for sale."""
    client = connect(store_url, timeout_s=15)
    await client.flushall()
    database = ShopDatabase(url)
    database.open()
    clock = ManualClock(NOW_MS)
    catalogue = catalogue_of(database, clock)
    holds = Clocked(client, scripts)
    holds.clock = clock
    metrics = Metrics(CollectorRegistry())
    place = Place("main", database, holds)
    made = Office(database, client, holds, clock, catalogue, metrics, place, None)  # type: ignore[arg-type]
    made.holding = made.worker()
    try:
        await with_event(catalogue, **changes)
        await made.open()
        yield made
    finally:
        await client.aclose()
        database.close()


def buyer_of(scope: Scope) -> str:
    """Tell who asks by a header, as the tests need no admission."""
    buyer = header(scope, b"buyer")
    if buyer is None:
        raise Refused("admission-missing", "Who are you?", 401)
    return buyer.decode()


def served(*routes: Mapping[tuple[str, str], Any]) -> httpx.AsyncClient:
    """Serve handlers below ``/api/events/{event}/``, for the buyer ann."""
    table = {key: handler for one in routes for key, handler in one.items()}

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        event, *words = scope["path"].removeprefix("/api/events/").split("/")
        try:
            handler, names = _found(table, scope["method"], words)
            await handler(scope, receive, send, event, *names)
        except Exception as error:  # noqa: BLE001 (the last resort of an application)
            await respond(send, *raw_problem(error))

    return httpx.AsyncClient(
        transport=httpx.ASGITransport(app=app),  # type: ignore[arg-type]
        base_url="http://shop",
        headers={"buyer": "ann"},
    )


def _found(table: Mapping[tuple[str, str], Any], method: str, words: list[str]) -> tuple[Any, list[str]]:
    for (its_method, pattern), handler in table.items():
        parts = pattern.split("/")
        if its_method == method and len(parts) == len(words):
            pairs = list(zip(parts, words, strict=True))
            if all(part in {"*", word} for part, word in pairs):
                return handler, [word for part, word in pairs if part == "*"]
    raise Refused("not-found", "Not found.", 404)


def web(own: Office) -> httpx.AsyncClient:
    """Serve an office's holds."""
    return served(HoldsWeb(own.holding, buyer_of, own.metrics).routes)
