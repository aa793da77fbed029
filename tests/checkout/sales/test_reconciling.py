"""Reconciling: store and SQL come to agree of a hall, whatever broke, and what is under way is left alone."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
import sqlalchemy as sa

from checkout.halls.seat_rows import SeatRows
from checkout.halls.seats import Status, byte, hold_id_of
from checkout.holds.hall_state import Head, View
from checkout.holds.leases import Leases
from checkout.holds.places import OnePlace
from checkout.sales.hall_rows import Compared
from checkout.sales.rebuilding import Rebuilder
from checkout.sales.reconciling import (
    ABANDONED_MS,
    AFTER_SALE_MS,
    APART_MS,
    WORK,
    Looked,
    Reconciler,
    differences,
)
from checkout.sales.reservation import LATE_MS
from checkout.sales.service import Told
from checkout.sales.store import SalesStore
from checkout.tables import RESERVATIONS, SEATS
from kernel.errors import Unavailable
from tests.checkout.catalogues import DAY_MS, NOW_MS, with_event
from tests.checkout.reservations import EVENT, GRACE_MS, HOLD_MS, Scene, on_sale
from tests.checkout.sales.test_reserving import copied, restored

UNTIL_MS = NOW_MS + HOLD_MS + GRACE_MS


def reconciler_of(scene: Scene, who: str = "worker-1") -> Reconciler:
    """Make a worker that compares."""
    places = OnePlace(scene.place)
    rebuilder = Rebuilder(scene.catalogue, places, scene.metrics, who)
    return Reconciler(scene.catalogue, places, rebuilder, scene.clock, scene.metrics, who)


def drift(scene: Scene) -> float:
    """Read the gauge."""
    return scene.metrics.drift.labels("main")._value.get()


async def looked_twice(scene: Scene, reconciler: Reconciler | None = None) -> Looked | None:
    """Look, wait, and look again."""
    reconciler = reconciler or reconciler_of(scene)
    first = await reconciler.look(EVENT)
    assert first == Looked()
    scene.clock.advance(APART_MS)
    return await reconciler.look(EVENT)


def sql(scene: Scene, *changes: Any) -> None:
    """Change rows behind the shop's back."""
    with scene.database.writing() as connection:
        for change in changes:
            connection.execute(change)


# ----------------------------------------------------------------------------- what is a difference


def a_view(*octets: int, owners: dict[int, bytes] | None = None) -> View:
    """Make the store's view."""
    owner = b"".join((owners or {}).get(seat, bytes(8)) for seat in range(len(octets)))
    return View(Head(1, 1, is_whole=True), bytes(octets), owner)


@pytest.mark.parametrize(
    ("ours", "theirs", "agree"),
    [
        (ours, theirs, theirs in fits)
        for ours, fits in {
            Status.FREE: {Status.FREE},
            Status.HELD: {Status.FREE, Status.BLOCKED},
            Status.KEPT: {Status.FREE},
            Status.BLOCKED: {Status.BLOCKED},
            Status.RESERVED: {Status.RESERVED},
            Status.SOLD: {Status.SOLD},
        }.items()
        for theirs in (Status.FREE, Status.RESERVED, Status.SOLD, Status.BLOCKED)
    ],
)
def test_each_pair_of_statuses_agrees_or_does_not(ours: Status, theirs: Status, agree: bool) -> None:
    """The whole table; and never in different tiers."""
    hold = b"12345678"
    has = {Status.HELD: {0: hold}, Status.RESERVED: {0: hold}}.get(ours, {})
    holds = {0: hold} if theirs is Status.RESERVED else {}

    found = differences(a_view(byte(ours, 2), owners=has), Compared(1, 1, bytes([byte(theirs, 2)]), holds))
    other = differences(a_view(byte(ours, 2), owners=has), Compared(1, 1, bytes([byte(theirs, 3)]), holds))

    assert (found == {}) is agree
    assert set(other) == {0}


def test_a_seat_that_is_reserved_for_another_hold_differs() -> None:
    """Reserved here and there is not enough."""
    reserved = byte(Status.RESERVED, 0)
    view = a_view(reserved, reserved, owners={0: b"a" * 8, 1: b"b" * 8})

    found = differences(view, Compared(1, 1, bytes([reserved] * 2), {0: b"a" * 8, 1: b"a" * 8}))

    assert set(found) == {1}


# ------------------------------------------------------------------------------------- no drift


async def test_a_sale_under_way_has_no_drift(shop_url: str, store_url: str) -> None:
    """Held, kept, reserved, blocked, an allocation's seats held and reserved, given back, lapsed."""
    async with on_sale(shop_url, store_url) as scene:
        await scene.catalogue.block(EVENT, [10, 11, 12], "fans")
        await scene.holds.mark(EVENT, "block", [10, 11, 12])
        await scene.holds.waits(EVENT, waiting=True)
        await scene.hold("ann", 0, 1)
        await scene.reserved("bob", 2)
        await scene.hold("fan", 10, back=Status.BLOCKED)
        hold = await scene.hold("fan", 11, back=Status.BLOCKED)
        await scene.reserving.reserve(EVENT, "fan", hold)
        await scene.reserving.give_back(EVENT, "cy", await scene.reserved("cy", 3))
        assert await scene.seats(3) == [Status.KEPT]

        assert await looked_twice(scene) == Looked()

        assert drift(scene) == 0


async def test_what_mends_itself_is_no_drift(shop_url: str, store_url: str) -> None:
    """A pin whose reservation comes a moment later."""
    async with on_sale(shop_url, store_url) as scene:
        reconciler = reconciler_of(scene)
        hold = await scene.hold("ann", 0)
        await scene.holds.pin(EVENT, _id(hold), "ann", GRACE_MS, 10**9)
        assert await reconciler.look(EVENT) == Looked()
        assert isinstance(await scene.reserving.reserve(EVENT, "ann", hold), Told)
        scene.clock.advance(APART_MS)

        assert await reconciler.look(EVENT) == Looked()
        assert drift(scene) == 0


async def test_what_changes_between_two_looks_is_work_in_flight(shop_url: str, store_url: str) -> None:
    """Each change of a seat's row begins the wait anew."""
    async with on_sale(shop_url, store_url) as scene:
        reconciler = reconciler_of(scene)
        SeatRows(scene.database).block(EVENT, [0])
        for _ in range(3):
            assert await reconciler.look(EVENT) == Looked()
            scene.clock.advance(APART_MS)
            SeatRows(scene.database).unblock(EVENT, [0])
            SeatRows(scene.database).block(EVENT, [0])
        assert await reconciler.look(EVENT) == Looked()
        scene.clock.advance(APART_MS)

        assert await reconciler.look(EVENT) == Looked(1, 1)


async def test_a_reservation_that_the_reaper_is_about_to_end_is_no_drift(
    shop_url: str, store_url: str
) -> None:
    """The store has freed it, SQL follows. Its seats may even be held by the next."""
    async with on_sale(shop_url, store_url) as scene:
        await scene.reserved("ann", 0, 1)
        scene.clock.set(UNTIL_MS)
        await scene.hold("bob", 0)
        await scene.holds.expire(EVENT)

        assert await looked_twice(scene) == Looked()

        assert await scene.reserving.lapse(scene.place) == 1
        assert await looked_twice(scene) == Looked()
        assert await scene.violations() == []


# -------------------------------------------------------------------------------------- repairs


async def given_back(scene: Scene) -> None:
    """Let a worker die between SQL and the store, when a reservation is given back."""
    id_ = await scene.reserved("ann", 0, 1)
    await asyncio.to_thread(scene.sales.give_back, EVENT, "ann", id_)


async def lapsed(scene: Scene) -> None:
    """Let a worker die between SQL and the store, when a reservation lapses (by a clock that is ahead)."""
    await scene.reserved("ann", 0, 1)
    scene.clock.set(UNTIL_MS)
    await asyncio.to_thread(scene.sales.lapse)
    scene.clock.set(NOW_MS)


async def sold(scene: Scene) -> None:
    """Let the store not have heard of a payment."""
    await scene.reserved("ann", 0)
    sql(
        scene,
        sa.update(RESERVATIONS).values(state="sold"),
        sa.update(SEATS).where(SEATS.c.seat == 0).values(status=Status.SOLD.value),
    )


async def blocked(scene: Scene) -> None:
    """Let the store not have heard of a block."""
    SeatRows(scene.database).block(EVENT, [5, 6], "fans")


async def unblocked(scene: Scene) -> None:
    """Let the store not have heard that seats are on sale again."""
    await scene.catalogue.block(EVENT, [5, 6])
    await scene.holds.mark(EVENT, "block", [5, 6])
    SeatRows(scene.database).unblock(EVENT, [5, 6])


async def other_tier(scene: Scene) -> None:
    """Let the store not have heard of other tiers, of a free seat, of a held one and of a reserved one."""
    await scene.hold("ann", 1)
    await scene.reserved("bob", 2)
    SeatRows(scene.database).retier(EVENT, [0, 1, 2], 1)


@pytest.mark.parametrize("what", [given_back, lapsed, sold, blocked, unblocked, other_tier])
async def test_the_store_is_told_what_sql_says(
    shop_url: str, store_url: str, what: Callable[[Scene], Awaitable[None]]
) -> None:
    """Drift is seen, counted, repaired with the smallest change, and gone."""
    async with on_sale(shop_url, store_url) as scene:
        await what(scene)
        reconciler = reconciler_of(scene)

        looked = await looked_twice(scene, reconciler)

        assert looked is not None
        assert looked.drift == looked.repaired > 0
        assert not looked.is_rebuilt
        assert drift(scene) == looked.drift
        assert await reconciler.look(EVENT) == Looked()
        assert drift(scene) == 0
        assert await scene.violations() == []


async def test_a_pin_that_nothing_came_of_is_held_again_until_its_end(shop_url: str, store_url: str) -> None:
    """R1, and the buyer never comes back: after a while it is a hold once more, and then it is over."""
    async with on_sale(shop_url, store_url) as scene:
        reconciler = reconciler_of(scene)
        hold = await scene.hold("ann", 0)
        await scene.holds.pin(EVENT, _id(hold), "ann", GRACE_MS, 10**9)

        assert await looked_twice(scene, reconciler) == Looked(1, 0)
        assert drift(scene) == 1
        scene.clock.set(NOW_MS + ABANDONED_MS - 1)
        assert await reconciler.look(EVENT) == Looked(1, 0)
        assert await scene.state_of(hold) == "pinned"
        scene.clock.advance(1)
        assert await reconciler.look(EVENT) == Looked(1, 1)

        assert await scene.state_of(hold) == "held"
        assert await reconciler.look(EVENT) == Looked()
        assert drift(scene) == 0
        assert isinstance(await scene.reserving.reserve(EVENT, "ann", hold), Told)
        assert await scene.violations() == []


def test_nobody_writes_any_more_what_is_taken_for_abandoned() -> None:
    """The one wait is longer than the other, by far."""
    assert ABANDONED_MS >= 3 * LATE_MS


async def test_a_pin_whose_reservation_came_in_the_last_moment_stays(
    shop_url: str, store_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The last look is under the seats' locks."""
    async with on_sale(shop_url, store_url) as scene:
        reconciler = reconciler_of(scene)
        hold = await scene.hold("ann", 0)
        await scene.holds.pin(EVENT, _id(hold), "ann", GRACE_MS, 10**9)
        await looked_twice(scene, reconciler)
        scene.clock.advance(ABANDONED_MS)
        monkeypatch.setattr(SalesStore, "of_hold", lambda *_: None)
        is_abandoned = SalesStore.is_abandoned

        def late(store: SalesStore, *arguments: Any) -> bool:
            asyncio.run_coroutine_threadsafe(scene.reserving.reserve(EVENT, "ann", hold), loop).result(30)
            return is_abandoned(store, *arguments)

        loop = asyncio.get_running_loop()
        monkeypatch.setattr(SalesStore, "is_abandoned", late)

        assert await reconciler.look(EVENT) == Looked(1, 0)
        assert await scene.state_of(hold) == "pinned"
        assert await scene.violations() == []


# ------------------------------------------------------------------------------ the map is put back


async def test_a_map_that_is_gone_is_put_back_at_once(shop_url: str, store_url: str) -> None:
    """Without waiting for a buyer to notice; one that was never opened is left alone."""
    async with on_sale(shop_url, store_url) as scene:
        await scene.reserved("ann", 0)
        await with_event(scene.catalogue, id="later")
        await scene.client.flushall()

        assert await reconciler_of(scene).look(EVENT) == Looked(is_rebuilt=True)
        assert await reconciler_of(scene).look("later") == Looked()

        assert await scene.seats(0) == [Status.RESERVED]
        assert await scene.holds.counts("later") is None
        assert await scene.violations() == []


async def test_a_copy_of_an_older_epoch_is_noticed_at_once(shop_url: str, store_url: str) -> None:
    """H7: an old dump under a sale that went on."""
    async with on_sale(shop_url, store_url) as scene:
        copy = await copied(scene.client)
        await scene.client.flushall()
        await scene.rebuilder.rebuild(EVENT)
        await scene.reserved("ann", 0)
        await restored(scene.client, copy)
        assert await scene.seats(0) == [Status.FREE]

        assert await reconciler_of(scene).look(EVENT) == Looked(is_rebuilt=True)

        assert await scene.seats(0) == [Status.RESERVED]
        assert await scene.violations() == []


@pytest.mark.parametrize("is_known_by", ["reservation", "journal"])
async def test_fences_below_those_that_sql_knows_are_noticed_at_once(
    shop_url: str, store_url: str, is_known_by: str
) -> None:
    """H7: a replica that lagged behind, of the same epoch."""
    async with on_sale(shop_url, store_url) as scene:
        copy = await copied(scene.client)
        if is_known_by == "reservation":
            await scene.reserved("ann", 0)
        else:
            await scene.hold("ann", 0)
            await scene.drain()
        await restored(scene.client, copy)

        assert await reconciler_of(scene).look(EVENT) == Looked(is_rebuilt=True)

        assert await scene.seats(0) == [Status.RESERVED if is_known_by == "reservation" else Status.HELD]
        assert await scene.violations() == []


async def test_a_set_back_store_whose_fences_have_caught_up_is_noticed_by_its_seats(
    shop_url: str, store_url: str
) -> None:
    """SQL's reserved seats are free in the map: after two looks it is put back; who held them there is refused."""
    async with on_sale(shop_url, store_url) as scene:
        copy = await copied(scene.client)
        await scene.reserved("ann", 0, 1)
        await restored(scene.client, copy)
        for number in range(3):
            await scene.hold(f"b{number}", 10 + number)
        await scene.hold("eve", 1)

        looked = await looked_twice(scene)

        assert looked == Looked(2, 2, is_rebuilt=True)
        assert await scene.seats(0, 1, 10, 11, 12) == [Status.RESERVED] * 2 + [Status.HELD] * 3
        assert await scene.violations() == []


async def test_seats_that_are_sold_in_the_store_only_are_sqls_to_say(shop_url: str, store_url: str) -> None:
    """SQL came from a backup: its word is the last, also where it is the older one."""
    async with on_sale(shop_url, store_url) as scene:
        hold = await scene.hold("ann", 0)
        await scene.holds.settle(EVENT, _id(hold), "sold")

        assert await looked_twice(scene) == Looked(1, 1, is_rebuilt=True)

        assert await scene.seats(0) == [Status.FREE]
        assert await scene.violations() == []


async def test_a_seat_pinned_for_another_hold_than_sql_says_is_put_right(
    shop_url: str, store_url: str
) -> None:
    """A worker died with a pin of a set back store, on a seat that SQL has reserved for somebody else."""
    async with on_sale(shop_url, store_url) as scene:
        copy = await copied(scene.client)
        await scene.reserved("ann", 0)
        await restored(scene.client, copy)
        await scene.holds.pin(EVENT, _id(await scene.hold("bob", 0)), "bob", GRACE_MS, 10**9)

        assert await looked_twice(scene) == Looked(1, 1, is_rebuilt=True)

        assert await scene.violations() == []


async def test_what_sql_itself_says_twice_is_told_and_left(
    shop_url: str, store_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    """A reservation whose seats are free in SQL: no map mends that, and none is made again and again."""
    async with on_sale(shop_url, store_url) as scene:
        await scene.reserved("ann", 0)
        sql(scene, sa.update(SEATS).where(SEATS.c.seat == 0).values(status=0, reservation_id=None))

        assert await looked_twice(scene) == Looked(1, 0)

        assert "a reservation and its seats differ" in caplog.text
        assert drift(scene) == 1


# ----------------------------------------------------------------------------------- background


async def test_one_worker_compares_and_the_others_say_nothing(shop_url: str, store_url: str) -> None:
    """A worker that loses its lease has no drift to tell and begins anew."""
    async with on_sale(shop_url, store_url) as scene:
        await blocked(scene)
        first, second = reconciler_of(scene, "a"), reconciler_of(scene, "b")

        assert await first.look(EVENT) == Looked()
        assert await second.look(EVENT) is None
        await Leases(scene.holds, "a").give(EVENT, WORK)
        assert await Leases(scene.holds, "c").take(EVENT, WORK, 60_000)
        scene.clock.advance(APART_MS)
        assert await first.look(EVENT) is None
        await Leases(scene.holds, "c").give(EVENT, WORK)
        assert await first.look(EVENT) == Looked()
        assert drift(scene) == 0


async def test_every_hall_on_sale_is_looked_at(
    shop_url: str, store_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not drafts, and not what is over for a day; one that fails holds up no other."""
    async with on_sale(shop_url, store_url) as scene:
        await with_event(scene.catalogue, id="a-draft", state="draft")
        await with_event(scene.catalogue, id="cancelled", state="cancelled")
        await with_event(scene.catalogue, id="old", sale_until_ms=NOW_MS - AFTER_SALE_MS, sale_from_ms=0)
        await with_event(
            scene.catalogue, id="just-over", sale_until_ms=NOW_MS - AFTER_SALE_MS + 1, sale_from_ms=0
        )
        reconciler = reconciler_of(scene)
        looked: list[str] = []

        async def look(event: str) -> None:
            looked.append(event)
            if event == "cancelled":
                raise Unavailable("store-away", "The waiting room cannot reach its store.")

        monkeypatch.setattr(reconciler, "look", look)
        await reconciler.pass_by()

        assert looked == ["cancelled", "just-over", EVENT]
        assert scene.metrics.background_failures._tallies["reconcile"].count == 1


async def test_the_first_look_comes_at_the_start(
    store_url: str, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And then it waits; a catalogue that is away ends nothing."""
    async with on_sale(f"sqlite:///{tmp_path}/shop.db", store_url) as scene:
        reconciler = reconciler_of(scene)
        passes, is_second = [0], asyncio.Event()

        async def pass_by(rest: float) -> None:
            assert rest > 0
            passes.append(0)
            if passes == [0, 0, 0]:
                is_second.set()
            else:
                raise Unavailable("shop-away", "The shop cannot reach its database.")

        monkeypatch.setattr(reconciler, "pass_by", pass_by)
        running = asyncio.create_task(reconciler.run(every_s=0))
        await is_second.wait()
        running.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await running


async def test_after_a_drain_nothing_drifts(shop_url: str, store_url: str) -> None:
    """Seed row 15: a sale with everything in it comes to an end; store, SQL and gauge agree."""
    async with on_sale(shop_url, store_url) as scene:
        reconciler = reconciler_of(scene)
        for number in range(8):
            hold = await scene.hold(f"b{number}", number, 20 + number)
            if number % 4 == 1:
                await scene.reserving.reserve(EVENT, f"b{number}", hold)
            if number % 4 == 2:
                await asyncio.to_thread(
                    scene.sales.give_back,
                    EVENT,
                    f"c{number}",
                    await scene.reserved(f"c{number}", 30 + number),
                )
            if number % 4 == 3:
                await scene.holds.pin(EVENT, _id(hold), f"b{number}", GRACE_MS, 10**9)
            await reconciler.look(EVENT)
        scene.clock.advance(DAY_MS)
        await scene.reserving.lapse(scene.place)
        await scene.holds.expire(EVENT)
        await looked_twice(scene, reconciler)
        await reconciler.look(EVENT)

        assert drift(scene) == 0
        assert await scene.seats(*range(45)) == scene.sql_seats(*range(45)) == [Status.FREE] * 45
        assert await scene.violations() == []


def _id(text: str) -> bytes:
    id_ = hold_id_of(text)
    assert id_ is not None
    return id_
