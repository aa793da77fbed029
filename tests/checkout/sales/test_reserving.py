"""Reserving: a hold becomes a reservation, once, for as long as it was told; and ends.

Failure rows of the workbook: H5, H8, R1, R4, seed row 41. Below stand the mutants that a stale hold gets past.
"""

import asyncio
from typing import Any

import pytest
import sqlalchemy as sa

from checkout.catalogue.event import Prices
from checkout.catalogue.selling import Sale as Standing
from checkout.catalogue.selling import Standing as Stands
from checkout.halls.seat_rows import SeatRows
from checkout.halls.seats import Status
from checkout.holds.answers import Gone, HoldState, Limit, NotYours
from checkout.holds.places import Place
from checkout.sales.reservation import LATE_MS, Lost, Sale
from checkout.sales.service import GivenBack, Reserving, Told
from checkout.sales.store import SalesStore
from checkout.tables import RESERVATIONS, SEATS
from kernel.clock import ManualClock
from kernel.errors import Refused, Unavailable
from tests.checkout.catalogues import NOW_MS
from tests.checkout.reservations import (
    EVENT,
    GRACE_MS,
    HOLD_MS,
    MOST,
    UNTIL_MS,
    copied,
    id_of,
    interrupted,
    on_sale,
    restored,
    told,
)
from tests.checkout.waitlists import Timed

# ------------------------------------------------------------------------------------ reserving


async def test_a_hold_becomes_a_reservation(shop_url: str, store_url: str) -> None:
    """The paper tells seats, prices of the hold, and the end: hold and grace."""
    async with on_sale(shop_url, store_url) as scene:
        hold = await scene.hold("ann", 4, 25)

        got = told(await scene.reserving.reserve(EVENT, "ann", hold))

        assert got.is_new
        assert got.paper == {
            "reservation": f"R{hold}",
            "event": EVENT,
            "seats": [
                {"seat": 4, "section": "Stalls", "row": "A", "number": "5", "tier": 0, "price_minor": 4200},
                {"seat": 25, "section": "Floor", "row": "", "number": "", "tier": 1, "price_minor": 2500},
            ],
            "currency": "EUR",
            "total_minor": 6700,
            "state": "active",
            "until_ms": UNTIL_MS,
            "now_ms": NOW_MS,
        }
        assert scene.sql_seats(4, 25) == await scene.seats(4, 25) == [Status.RESERVED] * 2
        assert await scene.violations() == []


async def test_fifty_repeats_make_one_reservation(shop_url: str, store_url: str) -> None:
    """The same paper for all, from two workers at once; one of them is new."""
    async with on_sale(shop_url, store_url) as scene:
        hold = await scene.hold("ann", 0, 1)
        other = scene.worker()

        outcomes = await asyncio.gather(
            *(worker.reserve(EVENT, "ann", hold) for worker in [scene.reserving, other] * 25)
        )

        papers = [told(one).paper for one in outcomes]
        assert papers == [papers[0]] * 50
        assert sum(told(one).is_new for one in outcomes) == 1
        assert len(scene.sales.of_buyer(EVENT, "ann")) == 1
        assert await scene.violations() == []


async def test_many_buyers_reserve_at_once(shop_url: str, store_url: str) -> None:
    """On SQLite they share commits; everybody gets their own seats."""
    async with on_sale(shop_url, store_url) as scene:
        holds = {f"b{number}": await scene.hold(f"b{number}", number, 20 + number) for number in range(20)}

        outcomes = await asyncio.gather(
            *(scene.reserving.reserve(EVENT, buyer, hold) for buyer, hold in holds.items())
        )

        for number, one in enumerate(outcomes):
            assert [line["seat"] for line in told(one).paper["seats"]] == [number, 20 + number]
        assert await scene.violations() == []


async def test_prices_and_currency_are_those_of_the_hold(shop_url: str, store_url: str) -> None:
    """H10: the organiser raises the price between hold and pay; a hold in yen is paid in yen."""
    async with on_sale(shop_url, store_url) as scene:
        hold = await scene.hold("ann", 0)
        yen = await scene.hold("bob", 25, currency="JPY")
        await scene.catalogue.set_prices(EVENT, {0: {"EUR": 9900}, 1: {"JPY": 1}})

        assert told(await scene.reserving.reserve(EVENT, "ann", hold)).paper["total_minor"] == 4200
        paper = told(await scene.reserving.reserve(EVENT, "bob", yen)).paper
        assert (paper["currency"], paper["total_minor"]) == ("JPY", 4000)


async def test_a_tier_that_changes_during_the_hold_changes_no_price(shop_url: str, store_url: str) -> None:
    """The seat was held at its old tier."""
    async with on_sale(shop_url, store_url) as scene:
        hold = await scene.hold("ann", 0)
        await scene.catalogue.retier(EVENT, 1, [0])
        await scene.holds.retier(EVENT, 1, [0])

        paper = told(await scene.reserving.reserve(EVENT, "ann", hold)).paper

        assert (paper["seats"][0]["tier"], paper["total_minor"]) == (0, 4200)


async def test_a_hold_whose_currency_was_forgotten_costs_the_events_own(
    shop_url: str, store_url: str
) -> None:
    """A note of an older version told none."""
    async with on_sale(shop_url, store_url) as scene:
        hold = await scene.hold("ann", 0, currency="-")

        assert told(await scene.reserving.reserve(EVENT, "ann", hold)).paper["currency"] == "EUR"


@pytest.mark.parametrize(
    "hold", ["", "x", "AAAAAAAAAA", "AAAAAAAAAAAA", "AAAAAAAAAA\0", "AAAAAAAAAAB", "ÄAAAAAAAAAA"]
)
async def test_what_is_no_hold_is_nobodys(store_url: str, tmp_path: Any, hold: str) -> None:
    """Malformed ids are answered without asking anybody."""
    async with on_sale(f"sqlite:///{tmp_path}/shop.db", store_url) as scene:
        assert await scene.reserving.reserve(EVENT, "ann", hold) == NotYours()


async def test_only_the_buyers_own_hold_can_be_reserved(shop_url: str, store_url: str) -> None:
    """Another's is not there; one that never was is over."""
    async with on_sale(shop_url, store_url) as scene:
        hold = await scene.hold("ann", 0)

        assert await scene.reserving.reserve(EVENT, "bob", hold) == NotYours()
        assert await scene.reserving.reserve(EVENT, "ann", "AAAAAAAAAAA") == Gone(HoldState.UNKNOWN)
        with pytest.raises(Refused, match="event-unknown"):
            await scene.reserving.reserve("winter", "ann", hold)
        assert await scene.state_of(hold) == "held"


async def test_a_cancelled_event_reserves_nothing_and_a_sale_that_ended_does(
    shop_url: str, store_url: str
) -> None:
    """What was held while the sale was open may be paid for after its end."""
    async with on_sale(shop_url, store_url, sale_until_ms=NOW_MS + 1000) as scene:
        hold, other = await scene.hold("ann", 0), await scene.hold("bob", 1)
        scene.clock.advance(2000)

        assert isinstance(await scene.reserving.reserve(EVENT, "ann", hold), Told)
        await scene.catalogue.update_event(EVENT, {"state": "cancelled"})
        outcome = await scene.reserving.reserve(EVENT, "bob", other)
        assert outcome == Standing(Stands.CANCELLED)


# ----------------------------------------------------------------------------- time, and its ends


async def test_a_hold_that_is_over_is_not_reserved_although_its_seats_are_free(
    shop_url: str, store_url: str
) -> None:
    """R4: half-open; and who holds the seats anew may."""
    async with on_sale(shop_url, store_url) as scene:
        hold = await scene.hold("ann", 0)
        last = await scene.hold("bob", 1)
        scene.clock.advance(HOLD_MS - 1)
        assert isinstance(await scene.reserving.reserve(EVENT, "bob", last), Told)

        scene.clock.advance(1)
        assert await scene.reserving.reserve(EVENT, "ann", hold) == Gone(HoldState.EXPIRED)

        assert scene.sql_seats(0) == await scene.seats(0) == [Status.FREE]
        again = await scene.hold("ann", 0, key="again")
        assert isinstance(await scene.reserving.reserve(EVENT, "ann", again), Told)


async def test_the_grace_begins_at_the_holds_end_and_is_bounded(shop_url: str, store_url: str) -> None:
    """Seed row 41: paid in the last second the seats stay for the grace; then they are others'."""
    async with on_sale(shop_url, store_url) as scene:
        hold = await scene.hold("ann", 0)
        scene.clock.advance(HOLD_MS - 1000)
        paper = told(await scene.reserving.reserve(EVENT, "ann", hold)).paper
        assert paper["until_ms"] == UNTIL_MS

        scene.clock.advance(90_000)
        with pytest.raises(AssertionError, match="Taken"):
            await scene.hold("bob", 0)
        scene.clock.set(UNTIL_MS)
        second = await scene.hold("bob", 0)
        found = await scene.reserving.find(EVENT, "ann", paper["reservation"])
        assert found is not None
        assert found["state"] == "lapsed"
        assert isinstance(await scene.reserving.reserve(EVENT, "bob", second), Told)
        assert scene.states() == {"ann": "lapsed", "bob": "active"}
        assert await scene.reserving.reserve(EVENT, "ann", hold) == Gone(HoldState.EXPIRED)
        assert await scene.violations() == []


async def test_an_extended_hold_gets_no_more_than_a_hold_and_the_grace_from_now(
    shop_url: str, store_url: str
) -> None:
    """The cap of seed row 41."""
    async with on_sale(shop_url, store_url) as scene:
        hold = await scene.hold("ann", 0, ttl_ms=2 * HOLD_MS)

        paper = told(await scene.reserving.reserve(EVENT, "ann", hold)).paper

        assert paper["until_ms"] == UNTIL_MS


async def test_the_reaper_ends_what_is_due_in_sql_first_and_in_the_store(
    shop_url: str, store_url: str
) -> None:
    """Once; the seats are free in both, and the event's other reservations stay."""
    async with on_sale(shop_url, store_url) as scene:
        await scene.reserved("ann", 0, 1)
        scene.clock.advance(10)
        await scene.reserved("bob", 2)

        scene.clock.set(UNTIL_MS - 1)
        assert await scene.reserving.lapse(scene.place) == 0
        scene.clock.set(UNTIL_MS)
        assert await scene.reserving.lapse(scene.place) == 1
        assert await scene.reserving.lapse(scene.place) == 0

        assert scene.states() == {"ann": "lapsed", "bob": "active"}
        assert scene.sql_seats(0, 1, 2) == await scene.seats(0, 1, 2) == [
            Status.FREE, Status.FREE, Status.RESERVED,
        ]  # fmt: skip
        assert await scene.violations() == []


async def test_the_reaper_goes_on_until_nothing_is_due(
    shop_url: str, store_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In pieces; two reapers at once end each once."""
    async with on_sale(shop_url, store_url) as scene:
        for number in range(7):
            await scene.reserved(f"b{number}", number)
        scene.clock.set(UNTIL_MS)
        monkeypatch.setattr("checkout.sales.service.LAPSE_MOST", 3)
        monkeypatch.setattr(SalesStore.lapse, "__defaults__", (None, 3))

        counts = await asyncio.gather(*(scene.worker().lapse(scene.place) for _ in range(3)))

        assert sum(counts) == 7
        assert await scene.violations() == []


async def test_a_worker_whose_clock_is_wrong_ends_nobody_early(shop_url: str, store_url: str) -> None:
    """Five minutes fast or slow: the store's time counts, for the end as for the paper."""
    async with on_sale(shop_url, store_url) as scene:
        for minutes in (-5, 5):
            buyer = f"b{minutes}"
            worker = scene.worker(clock=ManualClock(NOW_MS + minutes * 60_000))
            hold = await scene.hold(buyer, minutes + 5)

            paper = told(await worker.reserve(EVENT, buyer, hold)).paper

            assert (paper["until_ms"], paper["now_ms"]) == (UNTIL_MS, NOW_MS)
            assert await worker.lapse(scene.place) == 0


async def test_a_reservation_given_back_is_free_for_others(shop_url: str, store_url: str) -> None:
    """A repeat changes nothing; another's is unknown, and so is what cannot be one."""
    async with on_sale(shop_url, store_url) as scene:
        id_ = await scene.reserved("ann", 0, 1)

        for bad in ("", "R", "x", id_[1:], f"{id_}x", "R\0AAAAAAAAAA", "RAAAAAAAAAAA"):
            assert await scene.reserving.give_back(EVENT, "ann", bad) is GivenBack.UNKNOWN
            assert await scene.reserving.find(EVENT, "ann", bad) is None
        assert await scene.reserving.give_back(EVENT, "bob", id_) is GivenBack.UNKNOWN
        assert await scene.reserving.find(EVENT, "bob", id_) is None
        assert await scene.reserving.give_back(EVENT, "ann", id_) is GivenBack.DONE
        assert await scene.reserving.give_back(EVENT, "ann", id_) is GivenBack.DONE

        found = await scene.reserving.find(EVENT, "ann", id_)
        assert found is not None
        assert found["state"] == "released"
        assert await scene.reserving.reserve(EVENT, "ann", id_[1:]) == Gone(HoldState.RELEASED)
        await scene.reserved("bob", 0, 1)
        assert await scene.violations() == []


async def test_what_is_paid_for_is_not_given_back(shop_url: str, store_url: str) -> None:
    """It is sold, and a repeat of the request that reserved it tells so."""
    async with on_sale(shop_url, store_url) as scene:
        id_ = await scene.reserved("ann", 0)
        with scene.database.writing() as connection:
            connection.execute(sa.update(RESERVATIONS).values(state="sold"))
            connection.execute(sa.update(SEATS).where(SEATS.c.seat == 0).values(status=Status.SOLD.value))
        await scene.holds.settle(EVENT, id_of(id_), "sold")

        assert await scene.reserving.give_back(EVENT, "ann", id_) is GivenBack.SOLD
        assert told(await scene.reserving.reserve(EVENT, "ann", id_[1:])).paper["state"] == "sold"
        assert await scene.violations() == []


async def test_an_allocations_seats_are_reserved_and_go_back_to_it(shop_url: str, store_url: str) -> None:
    """For a hold that was made with its code, and for no other."""
    async with on_sale(shop_url, store_url) as scene:
        await scene.catalogue.block(EVENT, [0, 1], "fans")
        await scene.holds.mark(EVENT, "block", [0, 1])
        hold = await scene.hold("ann", 0, 1, back=Status.BLOCKED)

        id_ = told(await scene.reserving.reserve(EVENT, "ann", hold)).paper["reservation"]
        assert await scene.violations() == []
        await scene.reserving.give_back(EVENT, "ann", id_)

        assert scene.sql_seats(0, 1) == await scene.seats(0, 1) == [Status.BLOCKED] * 2
        assert await scene.violations() == []


# --------------------------------------------------------------------------------- SQL says no


async def test_seats_that_sql_gave_to_others_are_lost(shop_url: str, store_url: str) -> None:
    """SQL's word is the last: the hold is over, and the buyer hears which seats it was."""
    async with on_sale(shop_url, store_url) as scene:
        hold = await scene.hold("ann", 0, 1)
        SeatRows(scene.database).block(EVENT, [1])

        assert await scene.reserving.reserve(EVENT, "ann", hold) == Lost(((1, Status.BLOCKED),))

        assert await scene.state_of(hold) == "released"
        assert scene.states() == {}


async def test_whoever_has_enough_keeps_the_hold_and_reserves_nothing(shop_url: str, store_url: str) -> None:
    """The limit in SQL, where the store has been told of another one: the hold goes on to its end."""
    async with on_sale(shop_url, store_url) as scene:
        await scene.reserved("ann", 0, 1, 2)
        hold = await scene.hold("ann", 3, 4, max_per_buyer=9)

        assert await scene.reserving.reserve(EVENT, "ann", hold) == Limit(3, MOST)

        assert await scene.state_of(hold) == "held"
        assert await scene.seats(3, 4) == [Status.HELD] * 2


# ----------------------------------------------------------------------------------- failures


async def test_a_worker_that_slept_reserves_nothing_of_what_others_took(
    shop_url: str, store_url: str
) -> None:
    """H5: it stands still between pin and SQL until the pin is over; another buyer takes the seats and pays."""
    async with on_sale(shop_url, store_url) as scene:
        hold = await scene.hold("ann", 0, 1)

        async def sleep() -> None:
            scene.clock.set(UNTIL_MS)
            await scene.reserved("bob", 1)

        outcome = await interrupted(scene, sleep).reserve(EVENT, "ann", hold)

        assert outcome == Gone(HoldState.EXPIRED)
        assert scene.states() == {"bob": "active"}
        assert await scene.violations() == []


async def test_a_worker_that_slept_a_little_pins_anew(shop_url: str, store_url: str) -> None:
    """Too late to write, and yet the hold is alive: the buyer gets the seats with the second attempt."""
    async with on_sale(shop_url, store_url) as scene:
        hold = await scene.hold("ann", 0)

        async def sleep() -> None:
            scene.clock.advance(LATE_MS)

        assert told(await interrupted(scene, sleep).reserve(EVENT, "ann", hold)).is_new


async def test_a_crash_between_pin_and_sql_leaves_a_hold_that_can_be_reserved(
    shop_url: str, store_url: str
) -> None:
    """R1: no reservation, the hold still there; asked again it becomes one."""
    async with on_sale(shop_url, store_url) as scene:
        hold = await scene.hold("ann", 0)

        async def crash() -> None:
            raise RuntimeError("the process is gone")

        with pytest.raises(RuntimeError, match="gone"):
            await interrupted(scene, crash).reserve(EVENT, "ann", hold)

        assert scene.states() == {}
        assert await scene.state_of(hold) == "pinned"
        scene.clock.advance(5_000)
        assert told(await scene.reserving.reserve(EVENT, "ann", hold)).paper["until_ms"] == UNTIL_MS
        assert await scene.violations() == []


async def test_a_database_that_is_away_leaves_the_hold_pinned(
    store_url: str, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody knows what came of it: nothing is undone, a repeat finds out."""
    async with on_sale(f"sqlite:///{tmp_path}/shop.db", store_url) as scene:
        hold = await scene.hold("ann", 0)

        def away(_self: SalesStore, _sale: Sale) -> Any:
            raise Unavailable("shop-away", "The shop cannot reach its database.")

        with monkeypatch.context() as patch:
            patch.setattr(SalesStore, "reserve", away)
            with pytest.raises(Unavailable):
                await scene.reserving.reserve(EVENT, "ann", hold)

        assert await scene.state_of(hold) == "pinned"
        assert told(await scene.reserving.reserve(EVENT, "ann", hold)).is_new


class Away(Timed):
    """A store that can be cut off."""

    is_away = False

    async def _call(self, name: str, *arguments: Any) -> list:  # type: ignore[type-arg]
        if self.is_away:
            raise Unavailable("store-away", "The waiting room cannot reach its store. Please try again.")
        return await super()._call(name, *arguments)


async def test_what_sql_has_said_stands_while_the_store_is_away(shop_url: str, store_url: str) -> None:
    """Papers are shown, reservations are given back; the store hears of it when it is back."""
    async with on_sale(shop_url, store_url) as scene:
        holds = Away(scene.client)
        holds.clock = scene.clock
        worker = scene.worker(place=Place("main", scene.database, holds))
        id_ = told(await worker.reserve(EVENT, "ann", await scene.hold("ann", 0))).paper["reservation"]

        holds.is_away = True
        assert (await worker.find(EVENT, "ann", id_) or {})["state"] == "active"
        assert await worker.give_back(EVENT, "ann", id_) is GivenBack.DONE
        scene.clock.set(UNTIL_MS)
        assert await worker.lapse(scene.place) == 0

        assert scene.sql_seats(0) == [Status.FREE]
        assert await scene.seats(0) == [Status.RESERVED]
        holds.is_away = False
        await scene.holds.expire(EVENT)
        assert await scene.violations() == []


async def test_a_store_that_lost_its_map_gets_it_back_and_the_hold_is_reserved(
    shop_url: str, store_url: str
) -> None:
    """H7 at pay: the journal knows the hold; a second hold, that it had not heard of, is over."""
    async with on_sale(shop_url, store_url) as scene:
        hold = await scene.hold("ann", 0, 1)
        await scene.drain()
        unheard = await scene.hold("bob", 2)
        await scene.client.flushall()

        assert told(await scene.reserving.reserve(EVENT, "ann", hold)).paper["total_minor"] == 8400
        assert await scene.reserving.reserve(EVENT, "bob", unheard) == Gone(HoldState.UNKNOWN)
        assert scene.sale_of("ann").epoch == 2
        assert await scene.violations() == []


async def test_a_map_that_is_lost_between_pin_and_sql_is_no_loss(shop_url: str, store_url: str) -> None:
    """The pin is of an older epoch by then: refused, and pinned anew in the new map."""
    async with on_sale(shop_url, store_url) as scene:
        hold = await scene.hold("ann", 0)
        await scene.drain()

        async def lose() -> None:
            await scene.client.flushall()
            await scene.rebuilder.rebuild(EVENT)

        assert told(await interrupted(scene, lose).reserve(EVENT, "ann", hold)).is_new
        assert scene.sale_of("ann").epoch == 2
        assert await scene.violations() == []


async def test_a_repeat_after_a_loss_gives_the_same_paper(shop_url: str, store_url: str) -> None:
    """The reservation is in SQL; whether the store knows the hold does not matter."""
    async with on_sale(shop_url, store_url) as scene:
        hold = await scene.hold("ann", 0)
        first = told(await scene.reserving.reserve(EVENT, "ann", hold))
        await scene.client.flushall()

        again = told(await scene.reserving.reserve(EVENT, "ann", hold))

        assert not again.is_new
        assert again.paper == first.paper


async def test_a_store_that_was_set_back_is_found_out_at_pay(shop_url: str, store_url: str) -> None:
    """H7, a stale copy under the same epoch: its fences begin again, and SQL refuses the holds until it is put back."""
    async with on_sale(shop_url, store_url) as scene:
        copy = await copied(scene.client)
        for number in range(3):
            id_ = await scene.reserved("ann", number)
            await scene.reserving.give_back(EVENT, "ann", id_)
        await restored(scene.client, copy)
        hold = await scene.hold("bob", 2)
        await scene.drain()

        assert told(await scene.reserving.reserve(EVENT, "bob", hold)).is_new

        assert scene.sale_of("bob").epoch == 2
        assert await scene.violations() == []


async def test_one_that_lost_its_seats_in_a_set_back_store_hears_so(shop_url: str, store_url: str) -> None:
    """Two buyers hold the same seat, one in each life of the store: the first to pay has it."""
    async with on_sale(shop_url, store_url) as scene:
        copy = await copied(scene.client)
        await scene.reserved("ann", 0)
        await restored(scene.client, copy)
        hold = await scene.hold("bob", 0)

        assert await scene.reserving.reserve(EVENT, "bob", hold) == Lost(((0, Status.RESERVED),))


async def test_without_a_map_that_holds_the_request_ends(store_url: str, tmp_path: Any) -> None:
    """A map that is lost again and again is told as that, after some attempts."""
    async with on_sale(f"sqlite:///{tmp_path}/shop.db", store_url) as scene:
        hold = await scene.hold("ann", 0)

        async def nothing(_event: str, _older_than: int | None = None, /) -> None:
            return None

        await scene.client.flushall()
        worker = Reserving(scene.catalogue, scene.worker()._places, nothing, scene.clock, scene.metrics)
        with pytest.raises(Unavailable, match="map-rebuilding"):
            await worker.reserve(EVENT, "ann", hold)


async def test_prices_are_read_before_anything_is_pinned(
    store_url: str, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A catalogue that is away leaves the hold as it was."""
    async with on_sale(f"sqlite:///{tmp_path}/shop.db", store_url) as scene:
        hold = await scene.hold("ann", 0)

        async def away(_event: str, _version: int) -> Prices:
            raise Unavailable("shop-away", "The shop cannot reach its database.")

        monkeypatch.setattr(scene.catalogue, "prices", away)
        with pytest.raises(Unavailable):
            await scene.reserving.reserve(EVENT, "ann", hold)
        assert await scene.state_of(hold) == "held"


async def test_pinned_again_after_it_was_given_up_it_is_asked_for_once_more(
    shop_url: str, store_url: str
) -> None:
    """A worker pins what another has pinned before and is overtaken by the reconciler, the end, and a buyer."""
    async with on_sale(shop_url, store_url) as scene:
        hold = await scene.hold("ann", 0)
        await scene.holds.pin(EVENT, id_of(hold), "ann", GRACE_MS, HOLD_MS + GRACE_MS)
        scene.clock.advance(HOLD_MS)

        async def overtake() -> None:
            await scene.holds.settle(EVENT, id_of(hold), "held")
            await scene.hold("bob", 0)

        assert await interrupted(scene, overtake).reserve(EVENT, "ann", hold) == Gone(HoldState.EXPIRED)
        assert scene.states() == {"ann": "released"}
        assert scene.sql_seats(0) == [Status.FREE]
        assert await scene.seats(0) == [Status.HELD]
