"""Holding seats: what a buyer is told, whatever others do, whichever worker is asked, and whatever was lost."""

import asyncio
from collections import Counter
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from checkout.catalogue.event import HOLD_S
from checkout.catalogue.selling import Sale, Standing
from checkout.halls.seat_rows import SeatRows
from checkout.halls.seats import Status, hold_id_text
from checkout.holds.answers import Differs, Few, Gone, HoldState, Limit, NotYours, Released, Taken
from checkout.holds.places import OnePlace
from checkout.holds.service import _ttl_ms
from checkout.holds.store import HoldStore
from checkout.holds.wishes import (
    InFlight,
    NoCurrency,
    NoSeats,
    Told,
)
from kernel.clock import ManualClock
from kernel.errors import Refused, Unavailable
from tests.checkout.box_office import CODE, EVENT, FLOOR, MOST, SIDE, TTL_MS, office
from tests.checkout.catalogues import DAY_MS, NOW_MS
from tests.checkout.held import BEST, paper_of, seats_of
from tests.checkout.waitlists import hold_id


@pytest.fixture
def url(tmp_path: object) -> str:
    """Give the address of a database of this test."""
    return f"sqlite:///{tmp_path}/shop.db"


# ----------------------------------------------------------------------------------------- what is told


async def test_a_hold_is_told_with_its_seats_its_price_and_its_end(shop_url: str, store_url: str) -> None:
    """On either kind of database: the seats are the buyer's, and the paper says all there is to say."""
    async with office(shop_url, store_url) as own:
        told = await own.ask("ann", "k1", {"seats": [4, 3]})

        assert told == Told(
            {
                "hold": hold_id_text(hold_id(EVENT, "ann", "k1")),
                "event": EVENT,
                "seats": [
                    {
                        "seat": 3,
                        "section": "Stalls",
                        "row": "A",
                        "number": "4",
                        "tier": 0,
                        "price_minor": 4200,
                    },
                    {
                        "seat": 4,
                        "section": "Stalls",
                        "row": "A",
                        "number": "5",
                        "tier": 0,
                        "price_minor": 4200,
                    },
                ],
                "currency": "EUR",
                "total_minor": 8400,
                "until_ms": NOW_MS + TTL_MS,
                "extendable": True,
                "fence": 1,
                "state": "held",
                "now_ms": NOW_MS,
            },
            is_new=True,
        )
        assert (await own.statuses())[:6] == [0, 0, 0, 1, 1, 0]


async def test_a_currency_may_be_chosen_among_the_events(url: str, store_url: str) -> None:
    """Its own if none is named; another one is refused with those that there are."""
    async with office(url, store_url) as own:
        yen = await own.ask("ann", "k1", {"seats": [0], "currency": "JPY"})
        francs = await own.ask("ann", "k2", {"seats": [1], "currency": "CHF"})

    assert (paper_of(yen)["currency"], paper_of(yen)["total_minor"]) == ("JPY", 7000)
    assert francs == NoCurrency(("EUR", "JPY"))


async def test_a_hold_keeps_its_price_when_prices_change(url: str, store_url: str) -> None:
    """H10: what is held costs what it cost, also on a repeat and among mine; the next hold costs the new price."""
    async with office(url, store_url) as own:
        await own.ask("ann", "k1", {"seats": [0]})
        await own.catalogue.set_prices(EVENT, {0: {"EUR": 9900}})
        again = await own.ask("ann", "k1", {"seats": [0]})
        new = await own.ask("ann", "k2", {"seats": [1]})
        mine = await own.holding.mine(EVENT, "ann")

    assert [paper_of(one)["total_minor"] for one in (again, new)] == [4200, 9900]
    assert sorted(paper["total_minor"] for paper in mine.papers) == [4200, 9900]


@given(st.integers(-10, 100_000))
def test_a_hold_lasts_two_to_five_minutes(hold_s: int) -> None:
    """Whatever a row of the catalogue says."""
    known: Any = SimpleNamespace(event=SimpleNamespace(hold_s=hold_s))
    least, most = (1000 * bound for bound in HOLD_S)

    assert least <= _ttl_ms(known) <= most
    assert _ttl_ms(known) == hold_s * 1000 or not least <= hold_s * 1000 <= most


@pytest.mark.parametrize("skew_ms", [-300_000, 0, 300_000])
async def test_a_worker_whose_clock_is_wrong_tells_the_right_time_left(
    skew_ms: int, url: str, store_url: str
) -> None:
    """The store's time counts for the end, and the paper tells the store's time."""
    async with office(url, store_url, sale_from_ms=0, sale_until_ms=10**13) as own:
        holds = HoldStore(own.client)
        await own.client.flushall()
        now_ms = (await own.client.time())[0] * 1000
        place = replace(own.place, holds=holds)
        worker = own.worker(clock=ManualClock(now_ms + skew_ms), places=OnePlace(place))
        await holds.load(EVENT, 1, SeatRows(own.database).octets(EVENT))
        paper = paper_of(await own.ask("ann", "k", {"seats": [0]}, worker))
        extended = paper_of(await worker.extend(EVENT, "ann", paper["hold"]))  # type: ignore[arg-type]

    assert paper["until_ms"] - paper["now_ms"] == TTL_MS
    assert abs(paper["now_ms"] - now_ms) < 60_000
    assert extended["now_ms"] == paper["now_ms"]


# ---------------------------------------------------------------------------------------------- repeats


async def test_the_same_request_is_the_same_hold(url: str, store_url: str) -> None:
    """From any worker and at any time; what has become of it is told, and its end does not move (H1)."""
    async with office(url, store_url) as own:
        first = paper_of(await own.ask("ann", "k", BEST))
        own.clock.advance(1000)
        again = await own.ask("ann", "k", BEST, own.worker())
        await own.holding.release(EVENT, "ann", first["hold"])
        released = paper_of(await own.ask("ann", "k", BEST))

    assert again == Told({**first, "now_ms": NOW_MS + 1000}, is_new=False)  # type: ignore[typeddict-item]
    assert (released["state"], released["extendable"], released["seats"]) == (
        "released",
        False,
        first["seats"],
    )


async def test_another_body_under_the_same_key_is_refused(url: str, store_url: str) -> None:
    """Also while the first is live, when nothing is left, and after it is over; another buyer's key is another key."""
    async with office(url, store_url) as own:
        await own.ask("ann", "k", {"seats": [0]})
        live = await own.ask("ann", "k", {"seats": [1]})
        others = await own.ask("bob", "k", {"seats": [1]})
        own.clock.advance(TTL_MS)
        over = await own.ask("ann", "k", {"seats": [1]})
        await own.holds.mark(EVENT, "block", [seat for seat in (*range(20), *SIDE) if seat > 1])
        nothing_left = await own.ask("ann", "k", {"best": {"count": 4}})

    assert (live, over, nothing_left) == (Differs(), Differs(), Differs())
    assert seats_of(others) == [1]


async def test_a_repeat_hears_of_its_hold_though_nothing_is_left_or_the_sale_is_over(
    url: str, store_url: str
) -> None:
    """The answer that was lost is given when it is asked for."""
    until_ms = NOW_MS + 60_000
    async with office(url, store_url, sale_until_ms=until_ms) as own:
        first = await own.ask("ann", "k", {"best": {"count": 2, "section": 1}})
        taken = await own.ask("bob", "k", {"seats": [seat for seat in SIDE if seat not in seats_of(first)]})
        nothing_left = await own.ask("ann", "k", {"best": {"count": 2, "section": 1}})
        own.clock.set(until_ms)
        over = await own.ask("ann", "k", {"best": {"count": 2, "section": 1}})
        fresh = await own.ask("ann", "k2", {"best": {"count": 2, "section": 1}})
        own.clock.advance(TTL_MS)
        expired = await own.ask("ann", "k", {"best": {"count": 2, "section": 1}})

    assert isinstance(taken, Told)
    for outcome, state in ((nothing_left, "held"), (over, "held"), (expired, "expired")):
        assert (seats_of(outcome), paper_of(outcome)["state"]) == (seats_of(first), state)
    assert fresh == Sale(Standing.OVER, until_ms)


@pytest.mark.parametrize("wish", [{"seats": [3, 4]}, BEST, {"standing": {"section": 2, "count": 2}}])
async def test_fifty_at_once_with_one_key_make_one_hold(
    wish: dict[str, Any], url: str, store_url: str
) -> None:
    """One is told that it is new; the others of a worker wait their turn or hear of the same (H1, row 32)."""
    async with office(url, store_url) as own:
        workers = [own.holding, own.worker()]
        outcomes = await asyncio.gather(*(own.ask("ann", "k", wish, workers[at % 2]) for at in range(50)))
        _, has, holds = await own.holds.mine(EVENT, "ann")

    told = [one for one in outcomes if isinstance(one, Told)]
    assert Counter(type(one) for one in outcomes) == {InFlight: 48, Told: 2}
    assert [one.is_new for one in told].count(True) == 1
    assert told[0].paper == told[1].paper
    assert (has, len(holds)) == (2, 1)


# -------------------------------------------------------------------------------------------- the sale


@pytest.mark.parametrize(
    ("at_ms", "changes", "expected"),
    [
        (-1, {}, Sale(Standing.NOT_YET, NOW_MS)),
        (0, {}, None),
        (59_999, {}, None),
        (60_000, {}, Sale(Standing.OVER, NOW_MS + 60_000)),
        (0, {"state": "cancelled"}, Sale(Standing.CANCELLED)),
    ],
)
async def test_seats_are_held_while_the_event_is_on_sale(
    at_ms: int, changes: dict[str, str], expected: Sale | None, url: str, store_url: str
) -> None:
    """From the first millisecond to the one before the last."""
    async with office(url, store_url, sale_from_ms=NOW_MS, sale_until_ms=NOW_MS + 60_000) as own:
        if changes:
            await own.catalogue.update_event(EVENT, changes)
        own.clock.set(NOW_MS + at_ms)
        outcome = await own.ask("ann", "k", {"seats": [0]})
        statuses = await own.statuses()

    assert (outcome == expected) if expected else isinstance(outcome, Told)
    assert statuses[0] == (Status.FREE if expected else Status.HELD)


async def test_who_comes_too_early_costs_the_store_nothing(url: str, store_url: str) -> None:
    """A crowd before the beginning is answered from memory."""
    async with office(url, store_url, sale_from_ms=NOW_MS + 1, sale_until_ms=NOW_MS + DAY_MS) as own:
        before = (await own.client.info("commandstats")).copy()
        for wish in ({"seats": [0]}, BEST, {"seats": [0], "code": CODE}):
            assert await own.ask("ann", "k", wish) == Sale(Standing.NOT_YET, NOW_MS + 1)
        after = await own.client.info("commandstats")

    assert {name for name in after if after[name] != before.get(name)} <= {"cmdstat_info"}


async def test_there_is_no_hold_of_an_event_that_nobody_knows(url: str, store_url: str) -> None:
    """Each use case says so."""
    async with office(url, store_url) as own:
        for ask in (
            own.holding.mine("other", "ann"),
            own.holding.extend("other", "ann", "x" * 11),
            own.holding.release("other", "ann", "x" * 11),
            own.holding.hold("other", "ann", "k", None, b""),  # type: ignore[arg-type]
        ):
            with pytest.raises(Refused, match="event-unknown"):
                await ask


# ------------------------------------------------------------------------------- seats that are not to be had


async def test_a_refusal_names_what_is_in_the_way(url: str, store_url: str) -> None:
    """H2: nothing is held, and every seat that is not free is told with what it is now."""
    async with office(url, store_url) as own:
        await own.had("bob", 1, 2)
        await own.allocate(3)
        taken = await own.ask("ann", "k", {"seats": [0, 1, 2, 3]})
        statuses = await own.statuses()
        again = await own.ask("ann", "k", {"seats": [0, 1, 2, 3]})

    assert taken == again == Taken(((1, Status.HELD), (2, Status.HELD), (3, Status.BLOCKED)))
    assert statuses[0] == Status.FREE


@pytest.mark.parametrize("seats", [[45], [0, 99_999], [25], [44, 0]])
async def test_a_seat_that_is_none_cannot_be_named(seats: list[int], url: str, store_url: str) -> None:
    """Outside the hall, or a place to stand, which nobody chooses."""
    async with office(url, store_url) as own:
        outcome = await own.ask("ann", "k", {"seats": seats})

    assert outcome == NoSeats(tuple(seat for seat in seats if seat != 0))


async def test_places_to_stand_are_held_by_number(url: str, store_url: str) -> None:
    """As many as are left; in a section where people sit, or that is not there, nobody stands."""
    async with office(url, store_url) as own:
        told = await own.ask("ann", "k1", {"standing": {"section": 2, "count": 4}})
        await own.holds.mark(EVENT, "block", [seat for seat in FLOOR if seat > 30])
        few = await own.ask("bob", "k", {"standing": {"section": 2, "count": 4}})
        wrong = [await own.ask("cy", "k", {"standing": {"section": at, "count": 1}}) for at in (0, 3)]

    assert seats_of(told) == [25, 26, 27, 28]
    assert few == Few(2)
    assert wrong == [NoSeats(), NoSeats()]


async def test_one_buyer_has_no_more_than_the_limit(url: str, store_url: str) -> None:
    """In all holds together, however they are asked for."""
    async with office(url, store_url) as own:
        await own.had("ann", 0, 1, 2)
        wishes = [
            {"seats": [4, 5]},
            {"best": {"count": 2}},
            {"best": {"count": 5}},
            {"best": {"count": 100}},
            {"standing": {"section": 2, "count": 2}},
        ]
        outcomes = [await own.ask("ann", f"k{at}", wish) for at, wish in enumerate(wishes)]
        last = await own.ask("ann", "last", {"seats": [4]})

    assert outcomes == [Limit(3, MOST)] * len(wishes)
    assert isinstance(last, Told)


# ------------------------------------------------------------------------------------- a store that was lost


@pytest.mark.parametrize("wish", [{"seats": [0]}, BEST, {"standing": {"section": 2, "count": 1}}])
async def test_a_store_that_lost_its_map_is_given_it_back_and_asked_again(
    wish: dict[str, Any], url: str, store_url: str
) -> None:
    """H7: once for each loss, whatever is wished for."""
    async with office(url, store_url) as own:
        await own.client.flushall()
        outcome = await own.ask("ann", "k", wish)

    assert isinstance(outcome, Told)
    assert own.rebuilt == [EVENT]


@pytest.mark.parametrize("act", ["extend", "release", "mine"])
async def test_who_held_before_the_loss_hears_that_the_hold_is_over(
    act: str, url: str, store_url: str
) -> None:
    """H7: whoever asks first brings the map back; a hold that did not come back with it is over."""
    async with office(url, store_url) as own:
        hold = await own.had("ann", 0)
        await own.client.flushall()
        if act == "mine":
            assert (await own.holding.mine(EVENT, "ann")).papers == []
        else:
            ask = own.holding.extend if act == "extend" else own.holding.release
            assert await ask(EVENT, "ann", hold) == Gone(HoldState.UNKNOWN)

    assert own.rebuilt == [EVENT]


async def test_a_map_that_cannot_be_rebuilt_is_no_answer(url: str, store_url: str) -> None:
    """Whoever asks may try again; the map is asked for once."""
    asked: list[str] = []

    async def nothing(event: str) -> None:
        asked.append(event)

    async with office(url, store_url) as own:
        worker = own.worker(rebuild=nothing)
        await own.client.flushall()
        for wish in ({"seats": [0]}, BEST):
            with pytest.raises(Unavailable, match="map-rebuilding"):
                await own.ask("ann", "k", wish, worker)

    assert asked == [EVENT, EVENT]


async def test_nothing_is_rebuilt_for_a_hold_that_never_was(url: str, store_url: str) -> None:
    """A wrong id costs a look at the counts."""
    async with office(url, store_url) as own:
        unknown = hold_id_text(b"nobody's")

        assert await own.holding.extend(EVENT, "ann", unknown) == Gone(HoldState.UNKNOWN)
        assert await own.holding.release(EVENT, "ann", unknown) == Gone(HoldState.UNKNOWN)
        assert own.rebuilt == []


# ------------------------------------------------------------------------------ more time, and giving back


async def test_a_hold_is_extended_once(url: str, store_url: str) -> None:
    """By the time that a hold has; a repeat tells the same end."""
    async with office(url, store_url) as own:
        hold = await own.had("ann", 0, 1)
        own.clock.advance(TTL_MS - 1)
        first = await own.holding.extend(EVENT, "ann", hold)
        again = await own.holding.extend(EVENT, "ann", hold)
        own.clock.advance(TTL_MS)
        live = await own.holding.mine(EVENT, "ann")
        own.clock.advance(1)
        over = await own.holding.extend(EVENT, "ann", hold)

    assert isinstance(first, Told)
    assert (first.paper["until_ms"], first.paper["extendable"], first.is_new) == (
        NOW_MS + 2 * TTL_MS,
        False,
        True,
    )
    assert again == Told(first.paper, is_new=False)
    assert [paper["hold"] for paper in live.papers] == [hold]
    assert over == Gone(HoldState.EXPIRED)


async def test_what_is_over_is_not_extended_a_millisecond_later(url: str, store_url: str) -> None:
    """A hold is alive while its end is to come; nor is one of an event that is cancelled."""
    async with office(url, store_url) as own:
        hold = await own.had("ann", 0)
        other = await own.had("bob", 1)
        await own.catalogue.update_event(EVENT, {"state": "cancelled"})
        cancelled = await own.holding.extend(EVENT, "bob", other)
        await own.catalogue.update_event(EVENT, {"state": "published"})
        own.clock.advance(TTL_MS)

        assert cancelled == Sale(Standing.CANCELLED)
        assert await own.holding.extend(EVENT, "ann", hold) == Gone(HoldState.EXPIRED)


async def test_a_hold_is_given_back_and_stays_so(url: str, store_url: str) -> None:
    """The seats are free at once; a repeat after a lost answer is no failure; an expired one is over."""
    async with office(url, store_url) as own:
        hold = await own.had("ann", 0, 1)
        outcomes = [await own.holding.release(EVENT, "ann", hold) for _ in range(2)]
        statuses = await own.statuses()
        expired = await own.had("ann", 0, key="k2")
        own.clock.advance(TTL_MS)

        assert outcomes == [Released(), Released()]
        assert statuses[:2] == [Status.FREE, Status.FREE]
        assert await own.holding.release(EVENT, "ann", expired) == Gone(HoldState.EXPIRED)


@pytest.mark.parametrize("hold", ["", "x", "mine", "!" * 11, "a" * 12, "ä" * 11])
async def test_a_hold_of_another_buyer_or_of_nobody_cannot_be_touched(
    hold: str, url: str, store_url: str
) -> None:
    """Whoever guesses an id learns nothing and changes nothing."""
    async with office(url, store_url) as own:
        anns = await own.had("ann", 0)
        for name in (hold, anns):
            assert await own.holding.extend(EVENT, "eve", name) == NotYours()
            assert await own.holding.release(EVENT, "eve", name) == NotYours()
        mine = await own.holding.mine(EVENT, "eve")

        assert mine.papers == []
        assert (await own.holding.mine(EVENT, "ann")).papers[0]["hold"] == anns


async def test_mine_are_those_that_have_seats(url: str, store_url: str) -> None:
    """The first to end first; with the store's time; what is being paid for among them."""
    async with office(url, store_url) as own:
        late = await own.had("ann", 0, key="k1")
        soon = await own.had("ann", 1, key="k2")
        gone = await own.had("ann", 2, key="k3")
        await own.holding.extend(EVENT, "ann", late)
        await own.holding.release(EVENT, "ann", gone)
        await own.holds.pin(EVENT, hold_id(EVENT, "ann", "k2"), "ann", 1000, 10**6)
        mine = await own.holding.mine(EVENT, "ann")

    assert [(paper["hold"], paper["state"]) for paper in mine.papers] == [(soon, "pinned"), (late, "held")]
    assert mine.now_ms == NOW_MS


async def test_what_comes_of_wishes_is_counted(url: str, store_url: str) -> None:
    """By one word each."""
    async with office(url, store_url) as own:
        hold = await own.had("ann", 0)
        await own.had("ann", 0)
        await own.ask("bob", "k", {"seats": [0]})
        await own.ask("bob", "k2", {"best": {"count": 9}})
        await own.holding.release(EVENT, "ann", hold)
        counted = {word: tally.count for word, tally in own.metrics.holds._tallies.items()}

    assert counted == {"held": 1, "again": 1, "taken": 1, "limit": 1}
    assert own.metrics.seats_held.count == 1
    assert own.metrics.hold_acts._tallies["released"].count == 1
