"""An organiser's desk to test: the API over real tables and a real store, and a client that has the token."""

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx

from checkout.catalogue.service import Catalogue
from checkout.database import ShopDatabase
from checkout.halls.seat_rows import SeatRows
from checkout.halls.seats import Status, statuses
from checkout.holds.answers import Ask, HoldOutcome, Loaded, Wanted
from checkout.holds.places import OnePlace, Place
from checkout.organiser.exporting import Exporting
from checkout.organiser.exports_web import ExportsDesk
from checkout.organiser.importing import Importing
from checkout.organiser.reporting import Reporting
from checkout.organiser.service import Organising
from checkout.organiser.talking import PREFIX
from checkout.organiser.web import OrganiserWeb
from kernel.clock import ManualClock
from kernel.store import connect
from tests.checkout.catalogues import catalogue_of, with_event
from tests.checkout.waitlists import Timed, hold_id

TOKEN = "an organiser's secret"
TOKENS = {"ida": TOKEN, "box-office": "another long secret"}
EVENT = "summer"


@dataclass(slots=True)
class Desk:
    """Everything of one organiser."""

    database: ShopDatabase
    holds: Timed
    clock: ManualClock
    catalogue: Catalogue
    web: OrganiserWeb
    client: httpx.AsyncClient
    layout: str = ""

    @property
    def place(self) -> Place:
        """Where the event is."""
        return Place("main", self.database, self.holds)

    async def ask(self, method: str, path: str, **options: Any) -> httpx.Response:
        """Ask below the prefix."""
        return await self.client.request(method, PREFIX + path, **options)

    async def post(self, path: str, plain: object = None, **headers: str) -> httpx.Response:
        """Send a document to an event's address."""
        return await self.ask("POST", f"/events/{EVENT}{path}", json=plain, headers=headers)

    async def open(self) -> None:
        """Load the map."""
        octets = SeatRows(self.database).octets(EVENT)
        assert await self.holds.load(EVENT, 1, octets) == Loaded(1)

    async def hold(
        self, buyer: str, *seats: int, back: Status = Status.FREE, version: int = 1
    ) -> HoldOutcome:
        """Hold seats like anybody."""
        ask = Ask(
            hold_id(EVENT, buyer, f"k{seats}"), buyer, Wanted(seats), 120_000, 40, version, "b", back, "EUR"
        )
        return await self.holds.hold(EVENT, ask)

    async def shown(self) -> bytes:
        """Return the status of each seat in the store."""
        return statuses((await self.holds.look(EVENT)).map)  # type: ignore[union-attr]

    def kept(self) -> bytes:
        """Return the status of each seat in SQL."""
        return statuses(SeatRows(self.database).octets(EVENT))


@asynccontextmanager
async def desk(url: str, store_url: str, clock: ManualClock, *, reading_url: str = "") -> AsyncIterator[Desk]:
    """Open a desk with one event on sale, whose map is in the store."""
    store = connect(store_url, timeout_s=15)
    await store.flushall()
    database = ShopDatabase(url, reading_url)
    database.open()
    holds = Timed(store)
    holds.clock = clock
    catalogue = catalogue_of(database, clock)
    places = OnePlace(Place("main", database, holds))
    web = OrganiserWeb(
        catalogue,
        Importing(catalogue),
        Organising(catalogue, places),
        Reporting(catalogue, places, clock),
        TOKENS,
        ExportsDesk(catalogue, Exporting(places)).seat_routes,
    )
    client = httpx.AsyncClient(
        transport=httpx.ASGITransport(web),
        base_url="http://shop",
        headers={"authorization": f"Bearer {TOKEN}"},
    )
    made = Desk(database, holds, clock, catalogue, web, client)
    made.layout = await with_event(catalogue)
    await made.open()
    try:
        async with client:
            yield made
    finally:
        await store.aclose()
        database.close()


def told(records: list[logging.LogRecord]) -> list[dict[str, Any]]:
    """Give the acts in the log, with who did them."""
    standard = vars(logging.makeLogRecord({})).keys() | {"message"}
    return [
        {name: value for name, value in vars(record).items() if name not in standard}
        for record in records
        if record.getMessage() == "an organiser's act"
    ]
