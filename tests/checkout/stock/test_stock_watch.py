"""A room hears what is left: of all its events, once a second from whichever worker, and never what nobody knows."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry
from redis.asyncio import Redis

from checkout.database import ShopDatabase
from checkout.halls.seats import Status
from checkout.holds.places import OnePlace, Place
from checkout.holds.store import HoldStore
from checkout.metrics import Metrics
from checkout.stock.remaining import StockState
from checkout.stock.store import StockStore
from checkout.stock.watch import TURN_MS, StockWatch
from kernel.clock import ManualClock
from kernel.errors import Refused, Unavailable
from tests.checkout.catalogues import DAY_MS, NOW_MS, catalogue_of, event_fields, with_event

Told = tuple[str, str, int]


class Rooms:
    """Rooms that note what they are told; they may be away."""

    def __init__(self) -> None:
        self.heard: list[Told] = []
        self.trouble: Exception | None = None

    async def tell(self, room: str, state: StockState, left: int) -> None:
        """Hear."""
        if self.trouble is not None:
            raise self.trouble
        self.heard.append((room, state.value, left))


class OwnTurns(StockStore):
    """Turns by a clock that the test moves."""

    def __init__(self, client: Redis, clock: ManualClock) -> None:
        super().__init__(client)
        self._clock = clock

    async def take_turn(self, who: str, lease_ms: int, now_ms: int | None = None) -> bool:
        """Take a turn."""
        return await super().take_turn(who, lease_ms, now_ms or self._clock.now_ms())


class Stage:
    """Two workers that watch two events behind one room."""

    def __init__(self, store: Redis, database: ShopDatabase, clock: ManualClock) -> None:
        self.clock = clock
        self.rooms = Rooms()
        self.epoch = 0
        self.holds = HoldStore(store)
        self.catalogue = catalogue_of(database, clock)
        places = OnePlace(Place("main", database, self.holds))
        self.metrics = Metrics(CollectorRegistry())
        self.workers = [
            StockWatch(self.catalogue, places, OwnTurns(store, clock), self.rooms, clock, self.metrics, name)
            for name in ("one", "two")
        ]

    async def hall(self, event: str, *, free: int = 0, sold: int = 0) -> None:
        """Put an event's hall into the store, of 100 seats if nothing else is said."""
        octets = bytes([Status.FREE] * free + [Status.SOLD] * sold)
        self.epoch += 1
        await self.holds.load(event, self.epoch, octets, now_ms=NOW_MS)

    async def pass_a_second(self) -> list[Told]:
        """Have both workers look, a second later; return what the rooms heard."""
        self.clock.advance(TURN_MS)
        before = len(self.rooms.heard)
        for worker in self.workers:
            await worker.step()
        return self.rooms.heard[before:]


@asynccontextmanager
async def stage(store: Redis, tmp_path: Path) -> AsyncIterator[Stage]:
    """Set it up with two events behind ``main``, and one that no room stands before."""
    database = ShopDatabase(f"sqlite:///{tmp_path}/shop.db")
    database.open()
    made = Stage(store, database, ManualClock(NOW_MS))
    layout = await with_event(made.catalogue, room="main")
    await made.catalogue.create_event(event_fields(layout, id="winter", room="main"))
    await made.catalogue.create_event(event_fields(layout, id="open-air", room=""))
    yield made
    database.close()


async def test_the_sum_over_a_rooms_events_is_told_once_and_only_when_it_changes(
    store: Redis, tmp_path: Path
) -> None:
    """Two workers, one telling; the same again is no news."""
    async with stage(store, tmp_path) as here:
        await here.hall("summer", free=60, sold=40)
        await here.hall("winter", free=5, sold=95)

        assert await here.pass_a_second() == [("main", "selling", 65)]
        assert await here.pass_a_second() == []
        await here.hall("summer", free=6, sold=94)
        assert await here.pass_a_second() == [("main", "last", 11)]
        await here.hall("summer", sold=100)
        await here.hall("winter", sold=100)
        assert await here.pass_a_second() == [("main", "soldout", 0)]
        await here.hall("winter", free=3, sold=97)
        assert await here.pass_a_second() == [("main", "last", 3)]


async def test_within_a_second_nobody_tells_twice(store: Redis, tmp_path: Path) -> None:
    """However often workers look."""
    async with stage(store, tmp_path) as here:
        await here.hall("summer", free=100)
        await here.hall("winter", free=100)
        await here.pass_a_second()
        await here.hall("summer", free=50, sold=50)
        here.clock.advance(TURN_MS - 1)

        assert [await worker.step() for worker in here.workers] == [False, False]
        here.clock.advance(1)
        assert [await worker.step() for worker in here.workers] == [True, False]
        assert len(here.rooms.heard) == 2


async def test_what_nobody_can_count_is_not_called_sold_out(store: Redis, tmp_path: Path) -> None:
    """One map is missing: nothing is said, until it is back."""
    async with stage(store, tmp_path) as here:
        await here.hall("summer", free=100)

        assert await here.pass_a_second() == []
        await here.hall("winter", free=100)
        assert await here.pass_a_second() == [("main", "selling", 200)]


async def test_an_event_on_a_shard_that_is_away_silences_its_own_room_only(
    store: Redis, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The other rooms hear what is left of theirs."""
    async with stage(store, tmp_path) as here:
        await here.catalogue.update_event("open-air", {"room": "meadow"})
        for event in ("summer", "winter", "open-air"):
            await here.hall(event, free=100)
        of = OnePlace.of

        def moving(place: OnePlace, event: str) -> Place:
            if event == "winter":
                raise Unavailable("event-moving", "It is being moved.")
            return of(place, event)

        monkeypatch.setattr(OnePlace, "of", moving)

        assert await here.pass_a_second() == [("meadow", "selling", 100)]


async def test_a_room_that_does_not_answer_is_told_later(store: Redis, tmp_path: Path) -> None:
    """Not answered is not told; nothing else is held up, and it is counted."""
    async with stage(store, tmp_path) as here:
        await here.hall("summer", free=100)
        await here.hall("winter", free=100)
        for trouble in (Unavailable("room-not-told", "Away."), Refused("room-not-told", "No such room.")):
            here.rooms.trouble = trouble
            assert await here.pass_a_second() == []
        here.rooms.trouble = None

        assert await here.pass_a_second() == [("main", "selling", 200)]
        assert here.metrics.stock_told._tallies["failed"].count == 2


async def test_sales_that_are_over_count_no_more(store: Redis, tmp_path: Path) -> None:
    """What is left of an event that nobody can buy for is not left."""
    async with stage(store, tmp_path) as here:
        await here.hall("summer", free=100)
        await here.hall("winter", free=10, sold=90)
        await here.catalogue.update_event("summer", {"state": "cancelled"})

        assert await here.pass_a_second() == [("main", "last", 10)]
        here.clock.advance(30 * DAY_MS)
        assert await here.pass_a_second() == []


async def test_another_worker_goes_on_where_the_first_stopped(store: Redis, tmp_path: Path) -> None:
    """What was told stands in the store, so a word does not flicker with who says it."""
    async with stage(store, tmp_path) as here:
        await here.hall("summer", sold=100)
        await here.hall("winter", free=20, sold=80)
        here.clock.advance(TURN_MS)
        await here.workers[0].step()
        await here.hall("winter", free=21, sold=79)
        here.clock.advance(TURN_MS)
        await here.workers[1].step()

        assert here.rooms.heard == [("main", "last", 20), ("main", "last", 21)]


async def test_a_telling_that_forgets_is_found(
    store: Redis, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Mutant: without what was told before, each look tells, and the word flickers."""

    async def nothing(_self: StockStore, _room: str) -> None:
        return None

    monkeypatch.setattr(StockStore, "told", nothing)
    async with stage(store, tmp_path) as here:
        await here.hall("summer", sold=100)
        await here.hall("winter", free=20, sold=80)
        await here.pass_a_second()

        assert await here.pass_a_second() != []
