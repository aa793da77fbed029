"""Shards: each event has one place, everybody knows which within a second, and no statement knows two of them."""

import re
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest
import sqlalchemy as sa
from prometheus_client import CollectorRegistry

from checkout.database import ShopDatabase
from checkout.halls.seat_rows import SeatRows
from checkout.halls.seats import Status
from checkout.holds.journal import NoteStream
from checkout.holds.service import Holding
from checkout.holds.sweeping import Sweeping
from checkout.holds.wishes import Named, Told, Wish
from checkout.metrics import Metrics
from checkout.organiser.reporting import Reporting
from checkout.organiser.service import Organising
from checkout.sales.rebuilding import Rebuilder
from checkout.sales.reconciling import Reconciler
from checkout.sales.service import Reserving
from checkout.sales.service import Told as Reserved
from checkout.shards import shards as module
from checkout.shards.hashing import MAIN, Override, ShardAddress
from checkout.shards.shards import VIEW_MS, OverrideRows, Shards
from checkout.tables import INVENTORY, META, SEALED, SHARD_OVERRIDES
from checkout.waitlist.offers import Terms, terms_of
from checkout.waitlist.service import Waitlist
from kernel.clock import ManualClock
from kernel.errors import Misconfigured, Refused, Unavailable
from tests.checkout.sharded import AT_A, AT_B, Fleet, fleet
from tests.checkout.waitlists import hold_id

Urls = tuple[str, str, str]
Stores = tuple[str, str]


def _put(database: ShopDatabase, event: str, shard: str) -> None:
    with database.writing() as connection:
        connection.execute(sa.insert(SHARD_OVERRIDES), {"event_id": event, "shard": shard})


# ------------------------------------------------------------------------- where events are


async def test_an_event_is_where_its_name_says(
    shop_urls: Urls, store_urls: Stores, clock: ManualClock
) -> None:
    """Place, waitlist rows and kept seats are of one shard."""
    async with fleet(shop_urls, store_urls, clock) as shop:
        for event, name in ((AT_A, "a"), (AT_B, "b")):
            place = shop.shards.of(event)

            assert place.name == name
            assert shop.shards.rows(event)._database is place.database
            assert shop.shards.kept(event).holds is place.holds
        assert [place.name for place in shop.shards.all()] == ["a", "b"]
        assert len(list(shop.shards.all_rows())) == 2
        assert shop.shards.named("a") is shop.shards.of(AT_A)
        with pytest.raises(Refused, match="there are a, b"):
            shop.shards.named("c")


async def test_an_override_counts_at_once_here_and_elsewhere_with_the_next_reading(
    shop_urls: Urls, store_urls: Stores, clock: ManualClock
) -> None:
    """Written through in this worker; the others read twice a second."""
    async with fleet(shop_urls, store_urls, clock) as shop:
        other = shop.worker()
        other.read()

        assert shop.shards.change(AT_A, None, Override("b"))

        assert shop.shards.of(AT_A).name == "b"
        assert other.of(AT_A).name == "a"
        await other.refresh()
        assert other.of(AT_A).name == "b"
        assert module.CHECK_S <= 1
        await other.close()


async def test_of_two_who_change_an_override_one_wins(
    shop_urls: Urls, store_urls: Stores, clock: ManualClock
) -> None:
    """Each says what it replaces; who is late changes nothing, not in memory either."""
    async with fleet(shop_urls, store_urls, clock) as shop:
        other = shop.worker()
        other.read()
        assert shop.shards.change(AT_A, None, Override("b"))

        assert not other.change(AT_A, None, Override("a"))
        assert not other.change(AT_A, Override("a"), Override("b"))

        assert other.of(AT_A).name == "a"
        assert other.overrides.read() == {AT_A: Override("b")}
        assert other.change(AT_A, Override("b"), Override("a", "b", 3))
        await other.close()


async def test_an_event_that_moves_is_nobodys(
    shop_urls: Urls, store_urls: Stores, clock: ManualClock
) -> None:
    """503 with a time to come back; every other event goes on."""
    async with fleet(shop_urls, store_urls, clock) as shop:
        shop.shards.change(AT_A, None, Override("a", "b", 2))

        for ask in (shop.shards.of, shop.shards.rows, shop.shards.kept):
            with pytest.raises(Unavailable) as caught:
                ask(AT_A)
            assert caught.value.code == "event-moving"
        assert shop.shards.of(AT_B).name == "b"


async def test_what_was_read_too_long_ago_is_not_relied_on(
    shop_urls: Urls, store_urls: Stores, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A worker that is cut off from the main database serves for a minute less a millisecond, then nothing."""
    async with fleet(shop_urls, store_urls, clock) as shop:

        def away(_rows: OverrideRows) -> dict[str, Override]:
            raise Unavailable("shop-away", "gone")

        with monkeypatch.context() as patch:
            patch.setattr(OverrideRows, "read", away)
            clock.advance(VIEW_MS - 1)
            await shop.shards.refresh()
            assert shop.shards.of(AT_A).name == "a"

            clock.advance(1)
            await shop.shards.refresh()
            with pytest.raises(Unavailable) as caught:
                shop.shards.of(AT_A)
            assert caught.value.code == "shards-unknown"
        await shop.shards.refresh()
        assert shop.shards.of(AT_A).name == "a"


@pytest.mark.parametrize(("back_ms", "is_known"), [(1_000, True), (1_001, False)])
async def test_a_clock_that_is_set_back_makes_nothing_young_for_ever(
    shop_urls: Urls, store_urls: Stores, clock: ManualClock, back_ms: int, is_known: bool
) -> None:
    """A second is tolerated."""
    async with fleet(shop_urls, store_urls, clock) as shop:
        clock.advance(-back_ms)

        if is_known:
            assert shop.shards.of(AT_A).name == "a"
        else:
            with pytest.raises(Unavailable):
                shop.shards.of(AT_A)


async def test_before_the_first_reading_nothing_is_known(
    shop_urls: Urls, store_urls: Stores, clock: ManualClock
) -> None:
    """A worker that has not read may not guess, even if there is no override at all."""
    async with fleet(shop_urls, store_urls, clock) as shop:
        other = shop.worker()

        with pytest.raises(Unavailable):
            other.of(AT_A)
        await other.close()


async def test_a_row_of_an_unknown_shard_takes_the_event_off(
    shop_urls: Urls, store_urls: Stores, clock: ManualClock
) -> None:
    """A worker that has not heard of a new shard refuses the event instead of looking elsewhere for it."""
    async with fleet(shop_urls, store_urls, clock) as shop:
        _put(shop.main, AT_A, "c")
        await shop.shards.refresh()

        with pytest.raises(Unavailable) as caught:
            shop.shards.of(AT_A)
        assert caught.value.code == "shards-unknown"


async def test_a_row_that_cannot_be_read_leaves_what_was_known(
    shop_urls: Urls, store_urls: Stores, clock: ManualClock
) -> None:
    """It is told in the log, and after a minute nothing is known any more."""
    async with fleet(shop_urls, store_urls, clock) as shop:
        _put(shop.main, AT_B, "a>")
        await shop.shards.refresh()

        assert shop.shards.of(AT_B).name == "b"


async def test_one_shard_has_every_event_and_asks_nobody(
    shop_url: str, store_url: str, clock: ManualClock
) -> None:
    """Without a file the shop is one place, whatever the time."""
    main = ShopDatabase(shop_url)
    shards = Shards.connect(main, shop_url, [ShardAddress(MAIN, shop_url, store_url)], clock)
    clock.advance(10 * VIEW_MS)

    assert shards.of("anything") is shards.of("else")
    assert shards.of("anything").database is main
    shards.open()
    await shards.close()
    main.close()


# ------------------------------------------------------------------------------------ start


@asynccontextmanager
async def _opened(
    urls: Urls, stores: Stores, clock: ManualClock, names: dict[str, int]
) -> AsyncIterator[Shards]:
    main = ShopDatabase(urls[0])
    found = [ShardAddress(name, urls[index], stores[index % 2]) for name, index in names.items()]
    shards = Shards.connect(main, urls[0], found, clock)
    try:
        shards.open()
        yield shards
    finally:
        await shards.close()
        main.close()


async def test_a_shard_more_moves_no_event(shop_urls: Urls, store_urls: Stores, clock: ManualClock) -> None:
    """An event that has its seats elsewhere than its name says since, is pinned to where they are."""
    async with _opened(shop_urls, store_urls, clock, {"a": 1}) as before:
        for event in (AT_A, AT_B, "tour-3"):
            SeatRows(before.of(event).database).make(event, bytes(4))

    async with _opened(shop_urls, store_urls, clock, {"a": 1, "b": 2}) as after:
        assert {after.of(event).name for event in (AT_A, AT_B, "tour-3")} == {"a"}
        assert after.overrides.read() == {AT_B: Override("a")}


@pytest.mark.parametrize(
    ("rows", "seats", "faults"),
    [
        ({"x": "hot"}, {}, ["Event x is on shard hot, which the settings do not name."]),
        (
            {"x": "gone>a@2", "y": "b"},
            {},
            ["Event x is on shard gone, which the settings do not name."],
        ),
        ({"x": "A!"}, {}, ["The table shard_overrides cannot be read: 'A!' names no shard."]),
        ({}, {"x": (1, 2)}, ["Event x has seats on the shards a and b."]),
        (
            {},
            {"x": (0,)},
            ["The seats of event x are in the main database, which is no shard: name it among the shards."],
        ),
        ({"x": "a"}, {"x": (1, 2)}, []),
        ({"x": "a>b@9"}, {"x": (1, 2)}, []),
    ],
)
async def test_at_the_start_what_is_there_is_held_against_the_file(
    shop_urls: Urls,
    store_urls: Stores,
    clock: ManualClock,
    rows: dict[str, str],
    seats: dict[str, tuple[int, ...]],
    faults: list[str],
) -> None:
    """Whoever starts with the wrong file does not start; what a move has left behind is none of its business."""
    databases = [ShopDatabase(url) for url in shop_urls]
    for database in databases:
        database.open()
    for event, shard in rows.items():
        _put(databases[0], event, shard)
    for event, indexes in seats.items():
        for index in indexes:
            SeatRows(databases[index]).make(event, bytes(3))

    told: list[str] = []
    try:
        async with _opened(shop_urls, store_urls, clock, {"a": 1, "b": 2}):
            pass
    except Misconfigured as error:
        told = list(error.faults)

    assert told == faults
    for database in databases:
        database.close()


async def test_many_events_are_found_by_a_step_for_each(
    shop_url: str, store_url: str, clock: ManualClock
) -> None:
    """Names in their order, without a walk over all seats."""
    main = ShopDatabase(shop_url)
    main.open()
    for number in range(12):
        SeatRows(main).make(f"e-{number:02}", bytes(50))

    with main.reading() as connection:
        assert module._events(connection) == [f"e-{number:02}" for number in range(12)]
    main.close()


# ---------------------------------------------------------------------------- no cross-shard SQL

CATALOGUE = (
    {table.name for table in META.sorted_tables}
    - {table.name for table in (*INVENTORY, *SEALED)}
    - {"idempotency"}
)
_TABLE = re.compile(r"\b(?:FROM|INTO|UPDATE|JOIN)\s+([a-z_]+)", re.IGNORECASE)


@dataclass(slots=True)
class Worker:
    """One worker's use cases in a shop of shards."""

    shop: Fleet
    metrics: Metrics = field(default_factory=lambda: Metrics(CollectorRegistry()))

    @property
    def rebuilder(self) -> Rebuilder:
        """Put maps back."""
        return Rebuilder(self.shop.catalogue, self.shop.shards, self.metrics)

    async def rebuild(self, event: str) -> None:
        """Put a map back."""
        await self.rebuilder.rebuild(event)

    async def held(self, event: str, buyer: str, *seats: int) -> str:
        """Hold seats as the API does."""
        shop = self.shop
        holding = Holding(shop.catalogue, shop.shards, self.rebuild, hold_id, shop.clock, self.metrics)
        told = await holding.hold(event, buyer, "k", Wish(Named(seats)), repr(seats).encode())
        assert isinstance(told, Told), told
        return told.paper["hold"]

    async def reserved(self, event: str, buyer: str, *seats: int) -> None:
        """Hold and reserve seats."""
        shop = self.shop
        reserving = Reserving(shop.catalogue, shop.shards, self.rebuilder.rebuild, shop.clock, self.metrics)
        outcome = await reserving.reserve(event, buyer, await self.held(event, buyer, *seats))
        assert isinstance(outcome, Reserved), outcome

    def waitlist(self) -> Waitlist:
        """Offer seats."""
        shop = self.shop

        class Programme:
            async def terms(self, event: str) -> Terms:
                known = await shop.catalogue.known(event)
                return terms_of(known, await shop.catalogue.layout(known.event.layout_id))

        return Waitlist(Programme(), shop.shards, hold_id, shop.clock, "one")

    def sweeping(self) -> Sweeping:
        """Free what is over, and write the journal."""
        return Sweeping(self.shop.catalogue, self.shop.shards, self.shop.clock, self.metrics, "one")

    async def behind(self) -> None:
        """Do each piece of background work once."""
        shop, sweeping = self.shop, self.sweeping()
        for place in shop.shards.all():
            await sweeping.sweep(place)
            await sweeping.drain(place)
        await self.waitlist().pass_by()
        await Reconciler(
            shop.catalogue, shop.shards, self.rebuilder, shop.clock, self.metrics, "one"
        ).pass_by()


async def _lived(shop: Fleet) -> None:
    """Sell a little of two events on two shards: hold, reserve, block, wait, ask, and all that goes on behind."""
    worker = Worker(shop)
    organising = Organising(shop.catalogue, shop.shards)
    for event in (AT_A, AT_B):
        await shop.add(event)
        for seat in range(3):
            await worker.held(event, f"ann-{seat}", seat)
        await worker.reserved(event, "eve", 5, 6)
        await organising.block(event, [10, 11], None)
        shop.shards.rows(event).join(event, "bob", 2, None, shop.clock.now_ms(), is_sold_out=True)
        await worker.behind()
        report = await Reporting(shop.catalogue, shop.shards, shop.clock).report(event)
        assert report.seats["reserved"] == 2


def _tables(log: str) -> set[str]:
    return set(_TABLE.findall(log)) & set(META.tables)


async def test_no_statement_knows_two_databases(
    shop_urls: Urls, store_urls: Stores, clock: ManualClock
) -> None:
    """Seed row 62: the statements of each database, as it saw them, while two events on two shards are sold.

    A shard hears of its own event only, and of nothing in the catalogue; the main database of no seat.
    """
    async with fleet(shop_urls, store_urls, clock) as shop, shop.logs() as logs:
        await _lived(shop)

        assert _tables(logs["main"].text) <= CATALOGUE
        assert AT_A in logs["main"].text
        for name, own, other in (("a", AT_A, AT_B), ("b", AT_B, AT_A)):
            assert _tables(logs[name].text) <= {table.name for table in (*INVENTORY, *SEALED)}
            assert own in logs[name].text
            assert other not in logs[name].text


async def test_the_log_would_show_a_statement_in_the_wrong_place(
    shop_urls: Urls, store_urls: Stores, clock: ManualClock
) -> None:
    """The mutant: a worker that takes every event for one of shard a."""
    async with fleet(shop_urls, store_urls, clock) as shop, shop.logs() as logs:
        await shop.add(AT_B)
        SeatRows(shop.shards.named("a").database).count(AT_B)

        assert AT_B in logs["a"].text


async def test_each_store_has_the_keys_of_its_own_events(
    shop_urls: Urls, store_urls: Stores, clock: ManualClock
) -> None:
    """And each of the two halls is whole."""
    async with fleet(shop_urls, store_urls, clock) as shop:
        await _lived(shop)

        for event, other in ((AT_A, AT_B), (AT_B, AT_A)):
            holds = shop.shards.of(event).holds
            keys = [key.decode() for key in await holds.client.keys("co:*")]
            assert any(event in key for key in keys)
            assert not any(other in key for key in keys)
            counts = await holds.counts(event)
            assert counts is not None
            assert (counts[Status.RESERVED], counts[Status.BLOCKED], sum(counts)) == (2, 2, 45)


async def test_an_event_on_its_way_holds_up_no_other(
    shop_urls: Urls, store_urls: Stores, clock: ManualClock
) -> None:
    """Sweeper, journal, waitlist and reconciler go on with what is left while one event is nobody's."""
    async with fleet(shop_urls, store_urls, clock) as shop:
        # The store's own time counts for holds, and the event's ends long before.
        clock.set(time.time_ns() // 1_000_000)
        await shop.shards.refresh()
        worker = Worker(shop)
        now_ms = clock.now_ms()
        window = {"sale_from_ms": now_ms - 1, "sale_until_ms": now_ms + 10**9, "starts_ms": now_ms + 10**9}
        for event in (AT_A, "tour-3"):
            await shop.add(event, "a", **window)
        await worker.held("tour-3", "ann", 0)
        shop.shards.rows("tour-3").join("tour-3", "bob", 1, None, now_ms, is_sold_out=True)
        await shop.shards.kept("tour-3").join("tour-3")
        await shop.shards.of("tour-3").holds.release("tour-3", hold_id("tour-3", "ann", "k"), "ann")
        assert shop.shards.change(AT_A, None, Override("a", "b", 9))

        await worker.behind()

        place = shop.shards.of("tour-3")
        # The offer is a hold, too.
        await worker.sweeping().drain(place)
        assert await NoteStream(place.holds).waiting(["tour-3"]) == 0
        entry = shop.shards.rows("tour-3").live("tour-3", "bob")
        assert entry is not None
        assert entry[0].state == "offered"
