"""A shop of two shards to test: three databases, two stores, a catalogue, and which statements each database saw."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from checkout.catalogue.service import Catalogue
from checkout.catalogue.store import CatalogueStore
from checkout.database import ShopDatabase
from checkout.halls.seat_rows import SeatRows
from checkout.holds.answers import Ask, HoldOutcome, Loaded, Wanted
from checkout.shards.hashing import Override, ShardAddress
from checkout.shards.shards import Shards
from checkout.tables import STORE_EPOCHS
from kernel.clock import ManualClock
from tests.checkout.catalogues import event_fields, with_event
from tests.checkout.waitlists import hold_id

AT_A, AT_B = "tour-2", "tour-1"
"""Two events that belong to different shards by their names; a test says so."""


@dataclass(slots=True)
class Log:
    """What one database was asked: the statements with their values."""

    rows: list[tuple[str, str]]

    def note(self, *arguments: Any) -> None:
        """Take a statement down."""
        self.rows.append((arguments[2], repr(arguments[3])))

    @property
    def text(self) -> str:
        """All of it."""
        return "\n".join(f"{statement} {values}" for statement, values in self.rows)


@dataclass(slots=True)
class Fleet:
    """Everything of the shop."""

    main: ShopDatabase
    shards: Shards
    catalogue: Catalogue
    clock: ManualClock
    urls: tuple[str, str, str]
    stores: tuple[str, str]
    layout: str = ""

    def worker(self) -> Shards:
        """Give the places as one more worker knows them, with connections of its own."""
        return _shards(self.main, self.urls, self.stores, self.clock)

    def just_started(self) -> Shards:
        """Give the places as a worker knows them that has read nothing yet, over the connections that are there."""
        return Shards(self.shards.all(), self.main, self.clock)

    async def open(self, event: str, epoch: int = 1) -> None:
        """Load an event's map where it is, as its first opening does."""
        place = self.shards.of(event)
        with place.database.writing() as connection:
            connection.execute(sa.insert(STORE_EPOCHS), {"event_id": event, "epoch": epoch})
        octets = SeatRows(place.database).octets(event)
        assert await place.holds.load(event, epoch, octets) == Loaded(epoch)

    async def add(self, event: str, shard: str = "", **changes: Any) -> None:
        """Put an event into the catalogue, with its seats in a shard, and its map into the store."""
        if shard and self.shards.home(event) != shard:
            assert self.shards.change(event, None, Override(shard))
        await self.catalogue.create_event(event_fields(self.layout, id=event, **changes))
        await self.open(event)

    async def hold(self, event: str, buyer: str, *seats: int) -> HoldOutcome:
        """Hold seats where the event is."""
        ask = Ask(
            hold_id(event, buyer, f"k{seats}"), buyer, Wanted(seats), 120_000, 40, 1, "b", currency="EUR"
        )
        return await self.shards.of(event).holds.hold(event, ask)

    @asynccontextmanager
    async def logs(self) -> AsyncIterator[dict[str, Log]]:
        """Take down what each database is asked."""
        databases = {"main": self.main} | {place.name: place.database for place in self.shards.all()}
        logs = {name: Log([]) for name in databases}
        for name, database in databases.items():
            for engine in (database._engine, database._reader):
                sa.event.listen(engine, "before_cursor_execute", logs[name].note)
        yield logs
        for name, database in databases.items():
            for engine in (database._engine, database._reader):
                sa.event.remove(engine, "before_cursor_execute", logs[name].note)


@asynccontextmanager
async def fleet(
    urls: tuple[str, str, str], stores: tuple[str, str], clock: ManualClock
) -> AsyncIterator[Fleet]:
    """Open a shop of the shards a and b."""
    main = ShopDatabase(urls[0])
    shards = _shards(main, urls, stores, clock)
    shards.open()
    catalogue = Catalogue(CatalogueStore(main), lambda event: SeatRows(shards.of(event).database), clock)
    made = Fleet(main, shards, catalogue, clock, urls, stores)
    made.layout = await with_event(catalogue, id="other", state="draft")
    try:
        yield made
    finally:
        await shards.close()
        main.close()


def _shards(
    main: ShopDatabase, urls: tuple[str, str, str], stores: tuple[str, str], clock: ManualClock
) -> Shards:
    names = ("a", "b")
    found = [ShardAddress(name, url, store) for name, url, store in zip(names, urls[1:], stores, strict=True)]
    return Shards.connect(main, urls[0], found, clock)
