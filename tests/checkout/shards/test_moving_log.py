"""Moving with a log: what happened to an event's sales goes along, chained as it is, and stays where it was as well."""

import pytest
import sqlalchemy as sa

from checkout.database import ShopDatabase
from checkout.eventlog.entries import Draft
from checkout.eventlog.projecting import Kinds
from checkout.eventlog.store import append, at_one_moment, read
from checkout.eventlog.verifying import verify
from checkout.halls.seats import Status, hold_id_text
from checkout.holds import inventory as rows_module
from checkout.holds.inventory import Inventory, TooLate
from checkout.sales.projection import SALES
from checkout.sales.replaying import compared
from checkout.sales.reservation import Line, Reserved, Sale
from checkout.sales.selling import sell_within
from checkout.sales.store import SalesStore
from checkout.shards.moving import Step
from checkout.tables import EVENT_LOG, RESERVATIONS, STORE_EPOCHS
from kernel.clock import ManualClock
from kernel.errors import Unavailable
from tests.checkout.logs import tampering
from tests.checkout.moves import Crane, reloaded
from tests.checkout.sharded import AT_A, Fleet, fleet
from tests.checkout.waitlists import hold_id

Urls = tuple[str, str, str]
Stores = tuple[str, str]
KINDS = Kinds(SALES)
LATER_MS = 6_000_000


async def sold(shop: Fleet, shard: str, numbers: range, *, is_new: bool = True) -> list[str]:
    """Sell a seat to each of so many buyers and let every second one give it back, before the sale is open again."""
    if is_new:
        from_ms = shop.clock.now_ms() + LATER_MS
        await shop.add(AT_A, sale_from_ms=from_ms, sale_until_ms=from_ms + LATER_MS)
    database = shop.shards.named(shard).database
    sales = SalesStore(database, shop.clock)
    with database.reading() as connection:
        epoch = connection.scalar(sa.select(STORE_EPOCHS.c.epoch).where(STORE_EPOCHS.c.event_id == AT_A)) or 0
    ids = []
    for number in numbers:
        now_ms, buyer = shop.clock.now_ms(), f"b{number}"
        hold = hold_id_text(hold_id(AT_A, buyer, "k"))
        sale = Sale(AT_A, buyer, hold, Status.FREE, epoch, number + 1, 1, "EUR", (Line(number, 0, 4200),),
                    now_ms + 9000, now_ms + 9000, 4)  # fmt: skip
        got = sales.reserve(sale)
        assert isinstance(got, Reserved), got
        ids.append(got.reservation.id)
        if number % 2:
            assert sales.give_back(AT_A, buyer, got.reservation.id) is not None
        else:
            with database.writing() as connection:
                assert sell_within(connection, got.reservation.id, now_ms + 1)
    await reloaded(shop.shards.named(shard), AT_A, epoch + 1)
    return ids


def log_of(database: ShopDatabase) -> list[tuple[object, ...]]:
    """Read the event's log without the ids."""
    with database.reading() as connection:
        return sorted(tuple(entry)[1:] for entry in read(connection, AT_A))


def is_right(database: ShopDatabase) -> bool:
    """Verify a whole log, to the last block."""
    with database.reading() as connection:
        return verify(at_one_moment(connection), 10**15).is_right


async def test_the_log_goes_along_and_stays(
    shop_urls: Urls, store_urls: Stores, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every entry with its chain; at the target it is sealed, and the tables are what it comes to."""
    monkeypatch.setattr(rows_module, "BATCH", 7)
    async with fleet(shop_urls, store_urls, clock) as shop:
        await sold(shop, "a", range(10))
        a, b = (place.database for place in shop.shards.all())
        before = log_of(a)
        assert len(before) == 20

        moved = await (crane := Crane(shop)).move(AT_A, "b")

        assert moved.rows["reservations"].rows == 10
        assert log_of(a) == log_of(b) == before
        assert is_right(b)
        assert compared(b, KINDS, AT_A) == []
        with a.reading() as connection:
            assert connection.scalar(sa.select(sa.func.count()).select_from(RESERVATIONS)) == 0
        copied = [progress for progress in crane.steps if progress.step is Step.COPY]
        assert all(progress.done < progress.all == 45 + 10 + 10 + 20 for progress in copied)


async def test_an_event_that_comes_back_brings_what_is_new(
    shop_urls: Urls, store_urls: Stores, clock: ManualClock
) -> None:
    """Sold at a, at b, and at a again: each shard has all of it up to the last time it was there."""
    async with fleet(shop_urls, store_urls, clock) as shop:
        await sold(shop, "a", range(4))
        a, b = (place.database for place in shop.shards.all())
        await Crane(shop).move(AT_A, "b")
        await sold(shop, "b", range(4, 8), is_new=False)
        assert len(log_of(a)), len(log_of(b)) == (8, 16)

        await Crane(shop).move(AT_A, "a")
        assert log_of(a) == log_of(b)
        await sold(shop, "a", range(8, 10), is_new=False)

        assert (len(log_of(a)), len(log_of(b))) == (20, 16)
        assert compared(a, KINDS, AT_A) == []
        await Crane(shop).move(AT_A, "b")
        assert log_of(a) == log_of(b)
        assert compared(b, KINDS, AT_A) == []


async def test_a_move_that_is_broken_off_anywhere_goes_on(
    shop_urls: Urls, store_urls: Stores, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was copied before is not copied twice; the log at the target is right at every moment."""
    monkeypatch.setattr(rows_module, "BATCH", 5)
    async with fleet(shop_urls, store_urls, clock) as shop:
        await sold(shop, "a", range(6))
        a, b = (place.database for place in shop.shards.all())
        before, sizes = log_of(a), set()
        number = 12
        while await Crane(shop).killed_at(AT_A, "b", number):
            assert log_of(a) == before
            with b.reading() as connection:
                assert verify(at_one_moment(connection), 0).faults == []
            sizes.add(len(log_of(b)))
            number += 1

        assert log_of(b) == before
        assert len(sizes) > 2
        assert compared(b, KINDS, AT_A) == []


@pytest.mark.parametrize("what", ["another entry", "an entry too many", "an entry got lost"])
async def test_a_log_that_goes_on_in_another_way_is_not_moved(
    shop_urls: Urls, store_urls: Stores, clock: ManualClock, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    """The target has something else of the same sale, or more, or less: the event stays where it was."""
    async with fleet(shop_urls, store_urls, clock) as shop:
        (id_,) = await sold(shop, "a", range(1))
        b = shop.shards.named("b").database
        if what == "an entry got lost":
            put = Inventory.put_log
            monkeypatch.setattr(
                Inventory, "put_log", lambda own, event, epoch, batch: put(own, event, epoch, batch[1:])
            )
        else:
            with b.writing() as connection:
                stream = id_ if what == "another entry" else "Rother"
                append(connection, [Draft(AT_A, stream, "reserved", {}, clock.now_ms())])

        with pytest.raises(Unavailable) as caught:
            await Crane(shop).move(AT_A, "b")

        assert caught.value.code == "move-differs"
        assert shop.shards.overrides.read()[AT_A].shard == "a"


async def test_a_mover_that_comes_too_late_adds_nothing(
    shop_urls: Urls, store_urls: Stores, clock: ManualClock
) -> None:
    """The same fence as for rows: a log cannot be taken back."""
    async with fleet(shop_urls, store_urls, clock) as shop:
        await sold(shop, "a", range(1))
        a, b = (Inventory(place.database) for place in shop.shards.all())
        b.clear(AT_A, 5)
        (batch,) = a.log_batches(AT_A)

        with pytest.raises(TooLate):
            b.put_log(AT_A, 4, batch)
        assert b.log_count(AT_A) == 0
        b.put_log(AT_A, 5, batch)
        b.put_log(AT_A, 5, batch)
        assert (b.log_count(AT_A), b.log_summary(AT_A)) == (2, a.log_summary(AT_A))


async def test_a_log_that_was_changed_has_another_sum(
    shop_urls: Urls, store_urls: Stores, clock: ManualClock
) -> None:
    """The comparison sees each field."""
    async with fleet(shop_urls, store_urls, clock) as shop:
        await sold(shop, "a", range(1))
        a = shop.shards.named("a").database
        before = Inventory(a).log_summary(AT_A)
        with tampering(a) as connection:
            connection.execute(sa.update(EVENT_LOG).where(EVENT_LOG.c.seq == 2).values(kind="other"))

        assert Inventory(a).log_summary(AT_A) != before
