"""Organisers' acts: SQL first, then the store; what is in between mends itself, and nobody loses a seat held."""

from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from checkout.halls.seat_rows import SeatRows
from checkout.halls.seats import Status, tier
from checkout.holds.answers import Held, HoldState
from checkout.holds.places import OnePlace
from checkout.holds.store import HoldStore
from checkout.metrics import Metrics
from checkout.organiser.service import Organising
from checkout.sales.rebuilding import Rebuilder
from checkout.sales.reconciling import APART_MS, Reconciler
from kernel.clock import ManualClock
from kernel.errors import Unavailable
from tests.checkout.organisers import EVENT, Desk, desk
from tests.checkout.waitlists import hold_id


def _reconciler(own: Desk) -> Reconciler:
    places, metrics = OnePlace(own.place), Metrics(CollectorRegistry())
    return Reconciler(
        own.catalogue, places, Rebuilder(own.catalogue, places, metrics), own.clock, metrics, "one"
    )


async def _mended(own: Desk) -> None:
    """Compare twice, as far apart as it takes to call it drift."""
    reconciler = _reconciler(own)
    await reconciler.look(EVENT)
    own.clock.advance(APART_MS)
    looked = await reconciler.look(EVENT)
    assert looked is not None
    assert not looked.is_rebuilt


def _away(monkeypatch: pytest.MonkeyPatch, *names: str) -> None:
    async def away(*_: Any, **__: Any) -> None:
        raise Unavailable("store-away", "gone")

    for name in names:
        monkeypatch.setattr(HoldStore, name, away)


@pytest.mark.parametrize(
    ("path", "plain", "seats", "before", "after"),
    [
        ("/block", {"seats": [1, 2]}, (1, 2), Status.FREE, Status.BLOCKED),
        ("/block", {"seats": [1, 2], "allocation": "fans"}, (1, 2), Status.FREE, Status.BLOCKED),
        ("/unblock", {"seats": [8, 9]}, (8, 9), Status.BLOCKED, Status.FREE),
    ],
)
async def test_when_the_store_is_away_between_the_two_it_follows_by_itself(
    shop_url: str,
    store_url: str,
    clock: ManualClock,
    monkeypatch: pytest.MonkeyPatch,
    path: str,
    plain: dict[str, Any],
    seats: tuple[int, ...],
    before: Status,
    after: Status,
) -> None:
    """202 and "later": SQL has it, the map is behind until the reconciler has come by."""
    async with desk(shop_url, store_url, clock) as own:
        await own.post("/block", {"seats": [8, 9]})
        with monkeypatch.context() as patch:
            _away(patch, "mark")
            answer = await own.post(path, plain)

        assert (answer.status_code, answer.json()["on"]) == (202, "later")
        assert {own.kept()[seat] for seat in seats} == {after}
        assert {(await own.shown())[seat] for seat in seats} == {before}
        await _mended(own)
        assert {(await own.shown())[seat] for seat in seats} == {after}


async def test_a_tier_that_the_store_did_not_hear_of_follows_too(
    shop_url: str, store_url: str, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The map shows the old price category for some seconds; the new one counts from the start in SQL."""
    async with desk(shop_url, store_url, clock) as own:
        with monkeypatch.context() as patch:
            _away(patch, "retier")
            answer = await own.post("/tiers", {"tier": 1, "seats": [0, 1]})

        assert (answer.status_code, answer.json()["on"]) == (202, "later")
        assert [tier(octet) for octet in SeatRows(own.database).octets(EVENT)[:3]] == [1, 1, 0]
        await _mended(own)
        seen = await own.holds.look(EVENT)
        assert [tier(octet) for octet in seen.map[:3]] == [1, 1, 0]  # type: ignore[union-attr]


async def test_a_crash_between_the_two_is_the_same(
    shop_url: str, store_url: str, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The worker dies after the commit: nobody heard an answer, and the map follows all the same."""

    class KilledError(BaseException):
        pass

    async with desk(shop_url, store_url, clock) as own:
        with monkeypatch.context() as patch:

            async def dies(*_: Any, **__: Any) -> None:
                raise KilledError

            patch.setattr(HoldStore, "mark", dies)
            with pytest.raises(KilledError):
                await Organising(own.catalogue, OnePlace(own.place)).block(EVENT, [3], None)

        assert own.kept()[3] == Status.BLOCKED
        await _mended(own)
        assert (await own.shown())[3] == Status.BLOCKED


async def test_without_a_map_the_act_is_in_sql_and_the_map_is_made_of_it(
    shop_url: str, store_url: str, clock: ManualClock
) -> None:
    """200 and "no-map": before the first opening, or after a loss."""
    async with desk(shop_url, store_url, clock) as own:
        await own.holds.drop(EVENT)

        told = [
            (await own.post("/block", {"seats": [1, 2]})).json()["on"],
            (await own.post("/unblock", {"seats": [2]})).json()["on"],
            (await own.post("/tiers", {"tier": 1, "seats": [0]})).json()["on"],
        ]

        assert told == ["no-map"] * 3
        assert (await own.post("/publish")).status_code == 200
        await own.open()
        assert [(await own.shown())[seat] for seat in (1, 2)] == [Status.BLOCKED, Status.FREE]


@pytest.mark.parametrize("is_taken_back", [True, False], ids=["taken back", "mutant: not taken back"])
async def test_seats_that_somebody_holds_are_not_blocked(
    shop_url: str, store_url: str, clock: ManualClock, monkeypatch: pytest.MonkeyPatch, is_taken_back: bool
) -> None:
    """A hold is the store's to know: 409 with the seats, and SQL as before, else the buyer could not pay."""
    async with desk(shop_url, store_url, clock) as own:
        assert isinstance(await own.hold("eve", 2, 3), Held)
        if not is_taken_back:

            async def nothing(*_: object) -> None:
                return None

            monkeypatch.setattr(own.catalogue, "unblock", nothing)

        answer = await own.post("/block", {"seats": [[0, 6]]})

        assert (answer.status_code, answer.json()["code"]) == (409, "seats-busy")
        assert answer.json()["seats"] == [2, 3]
        assert (set(own.kept()[:6]) == {Status.FREE}) == is_taken_back
        assert list((await own.shown())[:6]) == [0, 0, 1, 1, 0, 0]


async def test_many_seats_are_blocked_all_or_none(
    shop_url: str, store_url: str, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In pieces, for the store's sake; one held seat in the last piece takes all of them back."""
    monkeypatch.setattr("checkout.organiser.service.MARK_MOST", 4)
    async with desk(shop_url, store_url, clock) as own:
        assert isinstance(await own.hold("eve", 19), Held)

        busy = await own.post("/block", {"seats": [[0, 20]]})
        free = await own.post("/block", {"seats": [[0, 19]]})

        assert (busy.status_code, busy.json()["seats"]) == (409, [19])
        assert (free.status_code, free.json()["seats"]) == (200, 19)
        assert list((await own.shown())[:20]) == [*[Status.BLOCKED] * 19, Status.HELD]


async def test_what_is_blocked_or_sold_in_sql_is_named(
    shop_url: str, store_url: str, clock: ManualClock
) -> None:
    """Nothing has changed then, neither here nor there."""
    async with desk(shop_url, store_url, clock) as own:
        await own.post("/block", {"seats": [5, 6]})

        blocked = await own.post("/block", {"seats": [4, 5, 6, 7]})
        freed = await own.post("/unblock", {"seats": [4, 5]})

        assert [(answer.status_code, answer.json()["seats"]) for answer in (blocked, freed)] == [
            (409, [5, 6]),
            (409, [4]),
        ]
        assert list((await own.shown())[4:8]) == [0, 4, 4, 0] == list(own.kept()[4:8])


async def test_a_seat_that_is_held_with_a_code_is_free_when_its_hold_has_ended(
    shop_url: str, store_url: str, clock: ManualClock
) -> None:
    """Unblocking an allocation: those that nobody holds at once, the other after its hold."""
    async with desk(shop_url, store_url, clock) as own:
        await own.post("/block", {"seats": [0, 1, 2], "allocation": "fans"})
        assert isinstance(await own.hold("fan", 1, back=Status.BLOCKED), Held)

        answer = await own.post("/unblock", {"seats": [0, 1, 2]})

        assert (answer.status_code, answer.json()) == (202, {"event": EVENT, "seats": 3, "on": "later"})
        assert list((await own.shown())[:3]) == [Status.FREE, Status.HELD, Status.FREE]
        await own.holds.release(EVENT, hold_id(EVENT, "fan", "k(1,)"), "fan")
        assert (await own.shown())[1] == Status.BLOCKED
        await _mended(own)
        assert list((await own.shown())[:3]) == [Status.FREE] * 3


async def test_a_cancelled_event_is_cancelled_although_the_store_is_away(
    shop_url: str, store_url: str, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """202: the hall is still open in the store, but the catalogue decides, in this worker at once."""
    async with desk(shop_url, store_url, clock) as own:
        with monkeypatch.context() as patch:
            _away(patch, "sale")
            answer = await own.post("/cancel", {"confirm": EVENT})

        assert answer.status_code == 202
        assert (await own.catalogue.known(EVENT)).event.state == "cancelled"


async def test_a_retier_leaves_open_holds_at_their_tier(
    shop_url: str, store_url: str, clock: ManualClock
) -> None:
    """Who holds a seat pays what it was held at; who comes next pays the new one."""
    async with desk(shop_url, store_url, clock) as own:
        held = await own.hold("eve", 0)
        assert isinstance(held, Held)

        await own.post("/tiers", {"tier": 1, "seats": [0]})

        record = await own.holds.record(EVENT, hold_id(EVENT, "eve", "k(0,)"))
        assert record is not None
        assert (record.state, record.seats) == (HoldState.HELD, ((0, 0),))
