"""Rebuilding: after a loss the store says what SQL and the journal know, once, and nothing that was lost comes back."""

import asyncio
from collections import Counter
from typing import Any

import pytest
import sqlalchemy as sa

from checkout.database import ShopDatabase
from checkout.halls.seat_rows import SeatRows
from checkout.halls.seats import Status, byte, hold_id_of, hold_id_text, status
from checkout.holds.answers import Gone, HoldRecord, HoldState, Newer, Pinned, Places, Released
from checkout.holds.hall_state import HallState
from checkout.holds.leases import Leases
from checkout.sales import rebuilding
from checkout.sales.hall_rows import HallRows, Standing, Told
from checkout.sales.rebuilding import WORK, Rebuilt, put_back
from checkout.sales.service import Told as Reserved
from checkout.tables import HOLD_JOURNAL, SEATS, STORE_EPOCHS, WAITLIST
from kernel.errors import Refused, Unavailable
from tests.checkout.catalogues import NOW_MS, with_event
from tests.checkout.reservations import EVENT, GRACE_MS, HOLD_MS, SEATS_ALL, Scene, at_once, on_sale

# ------------------------------------------------------------------------------- what comes back

FREE, SOLD, RESERVED, BLOCKED = Status.FREE, Status.SOLD, Status.RESERVED, Status.BLOCKED


def a_map(*statuses: Status) -> bytes:
    """Make a hall; every second seat is of tier 1."""
    return bytes(byte(now, seat % 2) for seat, now in enumerate(statuses))


def a_hold(buyer: str, fence: int, *seats: int, **changes: Any) -> tuple[bytes, HoldRecord]:
    """Make a hold of the journal."""
    places: Places = tuple((seat, seat % 2) for seat in seats)
    fields: dict[str, Any] = {
        "state": HoldState.HELD, "fence": fence, "epoch": 2, "until_ms": 1000, "end_ms": 0, "extended": False,
        "back": Status.FREE, "price_version": 3, "currency": "EUR", "buyer": buyer, "body": "-", "seats": places,
    }  # fmt: skip
    return fence.to_bytes(8, "big"), HoldRecord(**(fields | changes))


def told(hall: bytes, *holds: tuple[bytes, HoldRecord], **changes: Any) -> Told:
    """Say what SQL tells."""
    fields: dict[str, Any] = {"standing": (), "bought": {}, "waited_for": frozenset()}
    return Told(map=hall, holds=dict(holds), **(fields | changes))


def statuses(hall: bytes) -> list[Status]:
    """Read a map."""
    return [status(octet) for octet in hall]


def test_seats_reservations_and_holds_come_back() -> None:
    """Each in its tier; what was sold has no owner; fences and prices are the old ones, the epoch is new."""
    one = Standing(b"reserved", "ann", 7, 3, "JPY", 100, 900, ((2, 0), (3, 0)), is_allocated=False)
    hold = a_hold("bob", 9, 4)

    got = put_back(
        told(a_map(SOLD, BLOCKED, RESERVED, RESERVED, FREE, FREE), hold, standing=(one,), bought={"cy": 1}),
        5, 300, 4, 500,
    )  # fmt: skip

    assert statuses(got.map) == [SOLD, BLOCKED, RESERVED, RESERVED, Status.HELD, FREE]
    assert [octet >> 4 for octet in got.map] == [0, 1, 0, 1, 0, 1]
    pinned = got.records[b"reserved"]
    assert (pinned.state, pinned.fence, pinned.epoch, pinned.until_ms, pinned.end_ms, pinned.currency) == (
        HoldState.PINNED, 7, 5, 900, 100, "JPY",
    )  # fmt: skip
    assert got.records[hold[0]].seats == ((4, 0),)
    assert (got.bought, got.is_waiting, got.lost) == ({"cy": 1}, False, ())


def test_of_two_that_claim_a_seat_the_newer_has_it() -> None:
    """A store that was set back may have given it twice."""
    got = put_back(
        told(a_map(FREE, FREE, FREE), a_hold("ann", 3, 0, 1), a_hold("bob", 8, 1, 2)), 2, 300, 4, 500
    )

    assert [record.buyer for record in got.records.values()] == ["bob"]
    assert got.lost == ((3).to_bytes(8, "big"),)
    assert statuses(got.map) == [FREE, Status.HELD, Status.HELD]


def test_nobody_gets_above_the_limit() -> None:
    """Bought, reserved and held seats count; the newest holds are kept."""
    one = Standing(b"reserved", "ann", 1, 3, "EUR", 100, 900, ((0, 0),), is_allocated=False)
    holds = [a_hold("ann", 2, 1), a_hold("ann", 3, 2), a_hold("bob", 4, 3)]

    got = put_back(
        told(a_map(RESERVED, FREE, FREE, FREE), *holds, standing=(one,), bought={"ann": 1}), 2, 300, 3, 500
    )

    assert Counter(record.buyer for record in got.records.values()) == {"ann": 2, "bob": 1}
    assert statuses(got.map) == [RESERVED, FREE, Status.HELD, Status.HELD]


@pytest.mark.parametrize(
    ("changes", "comes_back"),
    [
        pytest.param({"until_ms": 501}, True, id="alive"),
        pytest.param({"until_ms": 500}, False, id="over"),
        pytest.param({"seats": ((1, 1),)}, False, id="a seat that is sold"),
        pytest.param({"seats": ((2, 0),)}, False, id="a seat that is blocked"),
        pytest.param({"seats": ((2, 0),), "back": Status.BLOCKED}, True, id="an allocation's seat"),
        pytest.param({"back": Status.BLOCKED}, False, id="a seat that left its allocation"),
        pytest.param({"back": Status.KEPT}, True, id="an offer"),
        pytest.param({"seats": ((0, 0), (3, 1))}, False, id="a seat that is not there"),
        pytest.param({"state": HoldState.PINNED, "until_ms": 801}, True, id="pinned, its hold alive"),
        pytest.param({"state": HoldState.PINNED, "until_ms": 800}, False, id="pinned, its hold over"),
    ],
)
def test_a_hold_comes_back_if_it_lives_and_its_seats_are_to_be_had(
    changes: dict[str, Any], comes_back: bool
) -> None:
    """One that was pinned is held again, until its own end."""
    id_, record = a_hold("ann", 3, 0, **changes)

    got = put_back(told(a_map(FREE, SOLD, BLOCKED), (id_, record)), 2, 300, 4, 500)

    assert (id_ in got.records) is comes_back
    assert (id_ in got.lost) is not comes_back
    assert all(record.state is HoldState.HELD for record in got.records.values())


@pytest.mark.parametrize(
    ("waited_for", "kept"),
    [(frozenset(), []), (frozenset({1}), [1]), (frozenset({None}), [0, 1]), (frozenset({0, 1}), [0, 1])],
)
def test_what_somebody_waits_for_is_kept(waited_for: frozenset[int | None], kept: list[int]) -> None:
    """Free seats of the tier; not what is held, sold or blocked."""
    hold = a_hold("ann", 3, 2)

    got = put_back(told(a_map(FREE, FREE, FREE, SOLD, BLOCKED), hold, waited_for=waited_for), 2, 300, 4, 500)

    assert [seat for seat, now in enumerate(statuses(got.map)) if now is Status.KEPT] == kept
    assert got.is_waiting is bool(waited_for)


def test_a_seat_that_is_reserved_for_nobody_is_nobodys() -> None:
    """A fault of SQL's keeps no event from opening, and gives the seat to no one."""
    assert statuses(put_back(told(a_map(RESERVED, FREE)), 2, 300, 4, 500).map) == [BLOCKED, FREE]


# ------------------------------------------------------------------------------------ the store


async def test_the_first_opening_is_the_same_thing(shop_url: str, store_url: str) -> None:
    """The map is SQL's, in epoch 1; asked again there is nothing to do."""
    async with on_sale(shop_url, store_url) as scene:
        seen = await scene.holds.look(EVENT)

        assert seen.map == await asyncio.to_thread(SeatRows(scene.database).octets, EVENT)  # type: ignore[union-attr]
        assert len(seen.map) == SEATS_ALL  # type: ignore[union-attr]
        assert await scene.rebuilder.rebuild(EVENT) == Rebuilt(1)
        assert scene.metrics.rebuilds._tallies["rebuilt"].count == 1


async def a_busy_sale(scene: Scene) -> dict[str, str]:
    """Let things be under way; returns holds and reservations by what they are."""
    made = {"reserved": await scene.reserved("ann", 0, 1)}
    made["held"] = await scene.hold("bob", 2, 20, currency="JPY")
    made["extended"] = await scene.hold("cy", 3)
    await scene.holds.extend(EVENT, _id(made["extended"]), "cy", HOLD_MS)
    made["over"] = await scene.hold("dee", 4, ttl_ms=1000)
    made["released"] = await scene.hold("eve", 5)
    await scene.holds.release(EVENT, _id(made["released"]), "eve")
    made["given back"] = await scene.reserved("fay", 6)
    await scene.reserving.give_back(EVENT, "fay", made["given back"])
    made["pinned"] = await scene.hold("gus", 7)
    await scene.holds.pin(EVENT, _id(made["pinned"]), "gus", GRACE_MS, 10**9)
    await scene.drain()
    made["lost"] = await scene.hold("hal", 8)
    scene.clock.advance(1000)
    return made


async def test_after_a_loss_everything_that_was_told_to_sql_is_there(shop_url: str, store_url: str) -> None:
    """H7: FLUSHALL in the middle of a sale."""
    async with on_sale(shop_url, store_url) as scene:
        made = await a_busy_sale(scene)
        await scene.client.flushall()

        assert await scene.rebuilder.rebuild(EVENT) == Rebuilt(2, True, reservations=1, holds=3, lost=0)

        assert await scene.state_of(made["reserved"][1:]) == "pinned"
        assert [await scene.state_of(made[name]) for name in ("held", "extended", "pinned")] == ["held"] * 3
        assert [await scene.state_of(made[name]) for name in ("over", "released", "lost")] == ["none"] * 3
        record = await scene.holds.record(EVENT, _id(made["extended"]))
        assert record is not None
        assert (record.until_ms, record.extended, record.epoch) == (NOW_MS + 2 * HOLD_MS, True, 2)
        assert await scene.violations() == []
        assert await scene.reserving.reserve(EVENT, "hal", made["lost"]) == Gone(HoldState.UNKNOWN)
        yen = await scene.reserving.reserve(EVENT, "bob", made["held"])
        assert isinstance(yen, Reserved)
        assert (yen.paper["currency"], yen.paper["total_minor"]) == ("JPY", 11_000)
        assert isinstance(await scene.holds.release(EVENT, _id(made["extended"]), "cy"), Released)
        assert await scene.violations() == []


async def test_a_second_loss_finds_what_the_first_has_left(shop_url: str, store_url: str) -> None:
    """Nothing that was put back has a note in the new stream, and yet it comes back once more."""
    async with on_sale(shop_url, store_url) as scene:
        made = await a_busy_sale(scene)
        for epoch in (2, 3):
            await scene.client.flushall()
            assert (await scene.rebuilder.rebuild(EVENT)).epoch == epoch

        assert [await scene.state_of(made[name]) for name in ("held", "extended", "pinned")] == ["held"] * 3
        assert await scene.violations() == []


async def test_what_was_lost_never_comes_back(shop_url: str, store_url: str) -> None:
    """A note of the old map reaches SQL after it was put back: the hold stays over, also after the next loss."""
    async with on_sale(shop_url, store_url) as scene:
        made = await a_busy_sale(scene)
        journal = scene.holds.keys(EVENT).journal
        notes = await scene.client.dump(journal)
        assert notes is not None
        await scene.client.flushall()
        await scene.rebuilder.rebuild(EVENT)

        await scene.client.restore(journal, 0, notes, replace=True)
        await scene.drain()
        await scene.client.flushall()
        await scene.rebuilder.rebuild(EVENT)

        assert await scene.state_of(made["lost"]) == "none"
        assert await scene.seats(8) == [Status.FREE]
        assert await scene.violations() == []


async def test_a_loss_of_a_part_is_a_loss(shop_url: str, store_url: str) -> None:
    """A map without its owners, a map cut short, a head without a map."""
    async with on_sale(shop_url, store_url) as scene:
        keys = scene.holds.keys(EVENT)
        await scene.reserved("ann", 0)
        for number, spoil in enumerate(
            (
                lambda: scene.client.delete(keys.owner),
                lambda: scene.client.set(keys.map, b"short"),
                lambda: scene.client.delete(keys.map),
                lambda: scene.client.delete(keys.head),
            )
        ):
            await spoil()

            assert (await scene.rebuilder.rebuild(EVENT)).epoch == number + 2
            assert await scene.violations() == []


async def test_a_map_that_is_known_to_be_wrong_is_replaced_once(shop_url: str, store_url: str) -> None:
    """Who says "older than 2" finds epoch 2 the second time. Holds of the last moment come along."""
    async with on_sale(shop_url, store_url) as scene:
        hold = await scene.hold("ann", 0)

        assert (await scene.rebuilder.rebuild(EVENT, 2)) == Rebuilt(2, True, holds=1)
        assert (await scene.rebuilder.rebuild(EVENT, 2)) == Rebuilt(2)

        assert await scene.state_of(hold) == "held"
        assert await scene.violations() == []


async def test_a_store_ahead_of_sql_is_put_back_too(shop_url: str, store_url: str) -> None:
    """SQL came from a backup: its epochs go on above the store's."""
    async with on_sale(shop_url, store_url) as scene:
        await scene.client.hset(scene.holds.keys(EVENT).head, "epoch", "9")

        assert (await scene.rebuilder.rebuild(EVENT)).epoch == 10
        assert HallRows(scene.database).epoch(EVENT) == 10


@pytest.mark.parametrize(("state", "is_open"), [("published", True), ("cancelled", False), ("draft", False)])
async def test_the_hall_is_open_unless_the_event_is_not_to_be_sold(
    store_url: str, tmp_path: Any, state: str, is_open: bool
) -> None:
    """Whether the sale's time has come is the asker's to know."""
    async with on_sale(f"sqlite:///{tmp_path}/shop.db", store_url) as scene:
        await with_event(scene.catalogue, id="other", state=state, sale_from_ms=NOW_MS + 10**6)
        await scene.rebuilder.rebuild("other")

        head = await scene.client.hget(scene.holds.keys("other").head, "open")
        assert head == (b"1" if is_open else b"0")


async def test_while_somebody_waits_seats_are_kept_after_a_loss(shop_url: str, store_url: str) -> None:
    """The waitlist's flag and the seats of the tier that is waited for."""
    async with on_sale(shop_url, store_url) as scene:
        row = {"event_id": EVENT, "buyer": "ann", "wanted": 2, "created_ms": 0}
        with scene.database.writing() as connection:
            connection.execute(sa.insert(WAITLIST), row | {"number": 1, "state": "left", "tier": 0})
            connection.execute(sa.insert(WAITLIST), row | {"number": 2, "state": "waiting", "tier": 1})
        await scene.client.flushall()

        await scene.rebuilder.rebuild(EVENT)

        assert await scene.seats(0, 20) == [Status.FREE, Status.KEPT]
        assert await scene.client.hget(scene.holds.keys(EVENT).head, "waiting") == b"1"


async def test_an_event_that_is_not_there_is_not_put_back(store_url: str, tmp_path: Any) -> None:
    """Neither one that nobody knows, nor one without seats."""
    async with on_sale(f"sqlite:///{tmp_path}/shop.db", store_url) as scene:
        with pytest.raises(Refused, match="event-unknown"):
            await scene.rebuilder.rebuild("winter")
        with scene.database.writing() as connection:
            connection.execute(sa.delete(SEATS))
        await scene.client.flushall()
        with pytest.raises(Refused, match="event-unknown"):
            await scene.rebuilder.rebuild(EVENT)


async def test_sixty_thousand_seats_are_put_back(shop_url: str, store_url: str) -> None:
    """As large as a hall gets, each seat in its place. How fast, the figure `map-rebuild` says."""
    tiers = bytes(seat * 7 // 4000 % 16 for seat in range(60_000))
    async with on_sale(shop_url, store_url) as scene:
        with scene.database.writing() as connection:
            connection.execute(sa.delete(SEATS))
        await asyncio.to_thread(SeatRows(scene.database).make, EVENT, tiers)
        await scene.client.flushall()
        await scene.rebuilder.rebuild(EVENT)
        for number in range(50):
            await scene.hold(f"b{number}", *range(1000 + number * 4, 1004 + number * 4))
        await scene.drain()
        await scene.client.flushall()

        rebuilt = await scene.rebuilder.rebuild(EVENT)

        assert (rebuilt.epoch, rebuilt.holds) == (3, 50)
        seen = await scene.holds.look(EVENT)
        assert bytes(octet >> 4 for octet in seen.map) == tiers  # type: ignore[union-attr]
        assert await scene.violations() == []


# ------------------------------------------------------------------------------ workers together


async def test_all_who_ask_in_a_worker_wait_for_one(shop_url: str, store_url: str) -> None:
    """Also when the first of them goes away."""
    async with on_sale(shop_url, store_url) as scene:
        await scene.client.flushall()
        first = asyncio.create_task(scene.rebuilder.rebuild(EVENT))
        await asyncio.sleep(0)
        others = [asyncio.create_task(scene.rebuilder.rebuild(EVENT)) for _ in range(20)]
        await asyncio.sleep(0)
        first.cancel()

        assert {(await other).epoch for other in others} == {2}
        assert scene.metrics.rebuilds._tallies["rebuilt"].count == 2
        assert scene.rebuilder._running == {}


async def test_of_many_workers_one_puts_back(shop_url: str, store_url: str) -> None:
    """The others wait, and find it done."""
    async with on_sale(shop_url, store_url) as scene:
        hold = await scene.hold("ann", 0)
        await scene.drain()
        await scene.client.flushall()
        workers = [scene.rebuilder_of(f"w{number}") for number in range(5)]

        rebuilt = await asyncio.gather(*(worker.rebuild(EVENT) for worker in workers))

        assert {one.epoch for one in rebuilt} == {2}
        assert sum(one.is_new for one in rebuilt) == 1
        assert await scene.state_of(hold) == "held"
        assert await scene.violations() == []


async def test_without_its_lease_two_at_once_break_nothing(
    shop_url: str, store_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The lease only saves work: SQL lets one begin each epoch, and the store takes no older one."""

    async def always(_self: Leases, _event: str, _work: str, _lease_ms: int) -> bool:
        return True

    monkeypatch.setattr(Leases, "take", always)
    async with on_sale(shop_url, store_url) as scene:
        await scene.reserved("ann", 0)
        await scene.client.flushall()
        workers = [scene.rebuilder_of(f"w{number}") for number in range(6)]

        outcomes = await asyncio.gather(
            *(worker.rebuild(EVENT) for worker in workers), return_exceptions=True
        )

        assert any(isinstance(one, Rebuilt) and one.is_new for one in outcomes)
        assert all(isinstance(one, Rebuilt | Unavailable) for one in outcomes)
        seen = await scene.holds.look(EVENT)
        assert seen.epoch == HallRows(scene.database).epoch(EVENT)  # type: ignore[union-attr]
        assert await scene.violations() == []


def test_of_two_who_begin_an_epoch_one_does(shop_url: str, store_url: str) -> None:
    """Named by what was seen; also the first."""
    database = ShopDatabase(shop_url)
    database.open()
    rows = HallRows(database)
    for seen in range(3):
        assert sorted(at_once([lambda seen=seen: rows.advance(EVENT, seen, seen + 1, 0)] * 6)) == [  # type: ignore[misc]
            *[False] * 5,
            True,
        ]
        assert rows.epoch(EVENT) == seen + 1
    assert not rows.advance(EVENT, 1, 9, 0)
    database.close()


async def test_a_worker_that_died_in_the_middle_is_waited_for_and_replaced(
    shop_url: str, store_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It had begun the epoch and not loaded it: told as such until its lease ends, then done by the next."""
    async with on_sale(shop_url, store_url) as scene:
        hold = await scene.hold("ann", 0)
        await scene.drain()
        await scene.client.flushall()
        leases = Leases(scene.holds, "dead")
        assert await leases.take(EVENT, WORK, 60_000)
        assert HallRows(scene.database).advance(EVENT, 1, 2, NOW_MS)

        monkeypatch.setattr(rebuilding, "PATIENCE_S", 0.1)
        with pytest.raises(Unavailable, match="map-rebuilding"):
            await scene.rebuilder.rebuild(EVENT)
        await leases.give(EVENT, WORK)

        assert await scene.rebuilder.rebuild(EVENT) == Rebuilt(3, True, holds=1)
        assert await scene.state_of(hold) == "held"


async def test_a_store_that_was_put_back_meanwhile_is_left_alone(
    shop_url: str, store_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Slept between SQL and the store: the newer map stays."""
    async with on_sale(shop_url, store_url) as scene:
        await scene.client.flushall()
        load = scene.holds.load

        async def late(event: str, epoch: int, *arguments: Any, **more: Any) -> Any:
            if epoch == 2:
                HallRows(scene.database).advance(event, 2, 3, NOW_MS)
                await load(event, 3, bytes(SEATS_ALL))
            outcome = await load(event, epoch, *arguments, **more)
            assert outcome == Newer(3)
            return outcome

        monkeypatch.setattr(scene.place.holds, "load", late)
        assert await scene.rebuilder.rebuild(EVENT) == Rebuilt(3)
        assert scene.metrics.rebuilds._tallies["newer"].count == 1


async def test_a_lease_goes_on_for_whoever_has_it(store_url: str, tmp_path: Any) -> None:
    """Others come when it is given back; who lost it gives nothing back. It ends by itself."""
    async with on_sale(f"sqlite:///{tmp_path}/shop.db", store_url) as scene:
        mine, other = Leases(scene.holds, "a"), Leases(scene.holds, "b")

        assert await mine.take(EVENT, "work", 50_000)
        assert await mine.take(EVENT, "work", 50_000)
        assert not await other.take(EVENT, "work", 50_000)
        await other.give(EVENT, "work")
        assert not await other.take(EVENT, "work", 50_000)
        assert await other.take(EVENT, "other-work", 50_000)
        await mine.give(EVENT, "work")
        assert await other.take(EVENT, "work", 50_000)
        (key,) = await scene.client.keys("*lease:work")
        assert 40_000 < await scene.client.pttl(key) <= 50_000


async def test_a_hold_of_an_older_map_is_not_pinned_into_the_new_one(shop_url: str, store_url: str) -> None:
    """A record that was put back is of the new epoch, and so is its pin."""
    async with on_sale(shop_url, store_url) as scene:
        hold = await scene.hold("ann", 0)
        await scene.drain()
        await scene.client.flushall()
        await scene.rebuilder.rebuild(EVENT)

        pinned = await scene.holds.pin(EVENT, _id(hold), "ann", GRACE_MS, 10**9)

        assert isinstance(pinned, Pinned)
        assert (pinned.epoch, pinned.fence) == (2, 1)
        with scene.database.reading() as connection:
            assert connection.scalar(sa.select(STORE_EPOCHS.c.epoch)) == 2
            assert connection.scalar(sa.select(HOLD_JOURNAL.c.epoch)) == 2


async def test_the_state_of_a_hall_is_read_whole(store_url: str, tmp_path: Any) -> None:
    """Numbers, map, owners and records; None where there is no map."""
    async with on_sale(f"sqlite:///{tmp_path}/shop.db", store_url) as scene:
        state = HallState(scene.holds)
        hold = await scene.hold("ann", 1)

        view = await state.view(EVENT)
        assert view is not None
        assert view.head == await state.head(EVENT)
        assert (view.head.epoch, view.head.fence, view.head.is_whole) == (1, 1, True)
        assert (view.owner_of(1), view.owner_of(0)) == (_id(hold), bytes(8))
        records = await state.records(EVENT, [_id(hold), b"unknown-"])
        assert list(records) == [_id(hold)]
        assert await state.records(EVENT, []) == {}
        assert await state.view("winter") is await state.head("winter") is None


def _id(text: str) -> bytes:
    id_ = hold_id_of(text)
    assert id_ is not None
    assert hold_id_text(id_) == text
    return id_
