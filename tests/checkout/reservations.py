"""A sale to test: a small hall with its tables, a real store, reservations, and time that stands still."""

import asyncio
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any

import sqlalchemy as sa
from prometheus_client import CollectorRegistry
from redis.asyncio import Redis

from checkout.audit.checking import _books as books_in
from checkout.audit.checking import judged, read_stock
from checkout.audit.invariants import Books, Violation
from checkout.audit.records import US_PER_MS, Act, Answer, Operation, Record
from checkout.catalogue.service import Catalogue
from checkout.database import ShopDatabase
from checkout.halls.seats import Status, hold_id_of, hold_id_text, status
from checkout.holds.answers import Ask, Held, PinOutcome, Wanted
from checkout.holds.journal import HoldJournal
from checkout.holds.places import OnePlace, Place
from checkout.metrics import Metrics
from checkout.sales.rebuilding import Rebuilder
from checkout.sales.reservation import Line, Reservation, Sale
from checkout.sales.service import ReserveOutcome, Reserving, Told
from checkout.sales.store import SalesStore
from checkout.tables import META, RESERVATIONS, SEATS
from kernel.clock import ManualClock
from kernel.lua import Script
from kernel.store import connect
from tests.checkout.catalogues import NOW_MS, catalogue_of, with_event
from tests.checkout.logs import tampering
from tests.checkout.waitlists import Timed, hold_id

EVENT = "summer"
SEATS_ALL = 45
MOST = 4
HOLD_MS, GRACE_MS = 180_000, 300_000
UNTIL_MS = NOW_MS + HOLD_MS + GRACE_MS
PRICES = {0: 4200, 1: 2500}
"""Seats 0 to 19 are of tier 0, 20 to 44 of tier 1."""


def tier_of(seat: int) -> int:
    """Name the tier of a seat."""
    return 0 if seat < 20 else 1


def a_sale(number: int = 1, seats: Iterable[int] = (0, 1), **changes: Any) -> Sale:
    """Make a pinned hold, as the service hands it to SQL."""
    lines = tuple(Line(seat, tier_of(seat), PRICES[tier_of(seat)]) for seat in seats)
    own = Sale(
        event=EVENT,
        buyer="ann",
        hold=hold_id_text(number.to_bytes(8, "big")),
        back=Status.FREE,
        epoch=1,
        fence=number,
        price_version=1,
        currency="EUR",
        lines=lines,
        until_ms=NOW_MS + 100_000,
        late_ms=NOW_MS + 10_000,
        max_per_buyer=MOST,
    )
    return replace(own, **changes)


def at_once(acts: list[Callable[[], Any]]) -> list[Any]:
    """Run all in threads that begin together."""
    barrier = threading.Barrier(len(acts))

    def one(act: Callable[[], Any]) -> Any:
        barrier.wait(30)
        return act()

    with ThreadPoolExecutor(len(acts)) as pool:
        return list(pool.map(one, acts))


def books_of(database: ShopDatabase) -> Books:
    """Read what SQL says of the event."""
    with database.listing() as connection:
        return books_in(connection, EVENT, MOST)


@dataclass
class Scene:
    """Everything of one event."""

    url: str
    client: Redis
    clock: ManualClock
    database: ShopDatabase
    catalogue: Catalogue
    place: Place
    metrics: Metrics
    rebuilder: Rebuilder
    reserving: Reserving

    @property
    def holds(self) -> Timed:
        """Return the hall's store."""
        assert isinstance(self.place.holds, Timed)
        return self.place.holds

    @property
    def sales(self) -> SalesStore:
        """Return the statements, with the test's time."""
        return SalesStore(self.database, self.clock)

    def worker(self, *, clock: ManualClock | None = None, place: Place | None = None) -> Reserving:
        """Make one more worker; perhaps with a clock of its own, or with another way to the database."""
        places = OnePlace(place or self.place)
        rebuilder = Rebuilder(self.catalogue, places, self.metrics)
        return Reserving(self.catalogue, places, rebuilder.rebuild, clock or self.clock, self.metrics)

    def rebuilder_of(self, who: str) -> Rebuilder:
        """Make one more worker that can put the map back."""
        return Rebuilder(self.catalogue, OnePlace(self.place), self.metrics, who)

    async def hold(self, buyer: str, *seats: int, key: str = "k", **changes: Any) -> str:
        """Hold seats; returns the hold as it is shown."""
        id_ = hold_id(EVENT, buyer, f"{key}{seats}")
        ask = Ask(id_, buyer, Wanted(seats), HOLD_MS, MOST, 1, "body", currency="EUR")
        outcome = await self.holds.hold(EVENT, replace(ask, **changes))
        assert isinstance(outcome, Held), outcome
        return hold_id_text(id_)

    async def reserved(self, buyer: str, *seats: int) -> str:
        """Hold and reserve seats; returns the reservation."""
        told = await self.reserving.reserve(EVENT, buyer, await self.hold(buyer, *seats))
        assert isinstance(told, Told), told
        return told.paper["reservation"]

    async def drain(self) -> None:
        """Bring the notes of holds to SQL, as the shop does each quarter of a second."""
        await HoldJournal(self.metrics).drain(self.place, EVENT)

    # ------------------------------------------------------------------------------- looking

    async def seats(self, *which: int) -> list[Status]:
        """Return what the store says of seats."""
        seen = await self.holds.look(EVENT)
        return [status(seen.map[seat]) for seat in which]  # type: ignore[union-attr]

    def sql_seats(self, *which: int) -> list[Status]:
        """Return what SQL says of seats."""
        with self.database.reading() as connection:
            rows = connection.execute(
                sa.select(SEATS.c.seat, SEATS.c.status).where(SEATS.c.event_id == EVENT)
            )
            now = dict(rows.all())
        return [Status(now[seat]) for seat in which]

    def states(self) -> dict[str, str]:
        """Return the state of each reservation, by its buyer."""
        with self.database.reading() as connection:
            rows = connection.execute(sa.select(RESERVATIONS.c.buyer, RESERVATIONS.c.state))
            return dict(rows.all())

    def sale_of(self, buyer: str) -> Reservation:
        """Return a buyer's one reservation."""
        (one,) = self.sales.of_buyer(EVENT, buyer)
        return one

    async def state_of(self, hold: str) -> str:
        """Return how the store says that a hold stands."""
        record = await self.holds.record(EVENT, hold_id_of(hold) or b"")
        return "none" if record is None else str(record.state)

    async def violations(self, records: Iterable[Record] = (), *, settled: bool = True) -> list[Violation]:
        """Put the invariants to SQL, the store and what clients saw."""
        books = await asyncio.to_thread(books_of, self.database)
        stock = await read_stock(self.client, EVENT)
        return list(judged(EVENT, list(records), books, stock, MOST, settled=settled).violations)


_FILLED = " UNION ALL ".join(
    f"SELECT '{table.name}' WHERE EXISTS (SELECT 1 FROM {table.name})"  # noqa: S608 (our own names)
    for table in META.sorted_tables
)


def emptied(database: ShopDatabase) -> None:
    """Take away what an earlier sale has left; most tests are the first, and one look tells it."""
    with database.reading() as connection:
        filled = set(connection.exec_driver_sql(_FILLED).scalars())
    if not filled:
        return
    with tampering(database) as connection:
        for table in META.sorted_tables:
            if table.name in filled:
                connection.execute(sa.delete(table))


@asynccontextmanager
async def on_sale(
    url: str, store_url: str, *, scripts: Mapping[str, Script] | None = None, **changes: Any
) -> AsyncIterator[Scene]:
    """Open the sale of an event, with nothing before it; `changes` are those of the event's fields."""
    client = connect(store_url, timeout_s=15)
    await client.flushall()
    database = ShopDatabase(url)
    database.open()
    emptied(database)
    clock = ManualClock(NOW_MS)
    catalogue = catalogue_of(database, clock)
    holds = Timed(client, scripts)
    holds.clock = clock
    place = Place("main", database, holds)
    metrics = Metrics(CollectorRegistry())
    rebuilder = Rebuilder(catalogue, OnePlace(place), metrics, "worker-1")
    reserving = Reserving(catalogue, OnePlace(place), rebuilder.rebuild, clock, metrics)
    scene = Scene(url, client, clock, database, catalogue, place, metrics, rebuilder, reserving)
    try:
        await with_event(catalogue, **changes)
        await rebuilder.rebuild(EVENT)
        yield scene
    finally:
        await client.aclose()
        database.close()


class Interrupted(Timed):
    """A store after whose pin something happens."""

    then: Callable[[], Awaitable[object]] | None = None

    async def pin(self, *arguments: Any, **more: Any) -> PinOutcome:
        """Pin, and let happen what the test wants to, once."""
        outcome = await super().pin(*arguments, **more)
        if self.then is not None:
            then, self.then = self.then, None
            await then()
        return outcome


def interrupted(scene: Scene, then: Callable[[], Awaitable[object]]) -> Reserving:
    """Make a worker to which something happens between pin and SQL."""
    holds = Interrupted(scene.client)
    holds.clock, holds.then = scene.clock, then
    return scene.worker(place=Place("main", scene.database, holds))


def told(outcome: ReserveOutcome) -> Told:
    """Say that there is a reservation."""
    assert isinstance(outcome, Told), outcome
    return outcome


def id_of(text: str) -> bytes:
    """Read a hold of a hold or of a reservation."""
    id_ = hold_id_of(text.removeprefix("R") if len(text) == 12 else text)
    assert id_ is not None
    return id_


def done(act: Act, hold: str, buyer: str, at_ms: int, until_ms: int) -> Operation:
    """Say that an act was done."""
    at_us = at_ms * US_PER_MS
    return Operation(act, hold, buyer, (0,), at_us, at_us + 1, Answer.DONE, until_ms)


def using(worker: Reserving, store: type[SalesStore], scene: Scene) -> Reserving:
    """Give a worker other statements."""
    desk = worker._desk(worker._places.of(EVENT))
    desk.sales = store(scene.database, desk.clock)
    return worker


def never_late(sale: Sale) -> Sale:
    """Let a sale come as late as it likes."""
    return replace(sale, late_ms=10**15)


async def copied(client: Redis) -> dict[bytes, bytes]:
    """Copy all keys, as a dump or a replica has them."""
    return {key: await client.dump(key) or b"" for key in await client.keys()}


async def restored(client: Redis, copy: dict[bytes, bytes]) -> None:
    """Set the store back."""
    await client.flushall()
    for key, value in copy.items():
        await client.restore(key, 0, value)
