"""The errands on the wire: a fan in the scripted shop, over sockets, as the pages speak with it."""

import asyncio
import time
from random import Random

import pytest

from bench.scripted_shop import Scene, Shop, serving
from checkout.audit.checking import judged
from checkout.audit.invariants import Books, Seat
from gateway.crowd.browser import Venue
from gateway.crowd.clock import WallClock
from gateway.crowd.fan import Fan
from gateway.crowd.observed import FanFile
from gateway.crowd.plan import Errand, Plan, Script
from gateway.crowd.seats.checks import judge_seats
from gateway.crowd.seats.hall import Hall
from gateway.crowd.seats.noted import Ending
from gateway.crowd.seats.retold import records
from gateway.crowd.seats.stories import run_errand
from gateway.crowd.verdict import State
from gateway.crowd.wire import Wire

EVENT = "northern-lights"
LIKE_PAGES = {
    Errand.RESERVE: Ending.RESERVED,
    Errand.GIVE_BACK: Ending.GAVE_BACK,
    Errand.WALK_AWAY: Ending.LEFT_HELD,
    Errand.RIVAL: Ending.REFUSED,
    Errand.LATE: Ending.GAVE_BACK,
    Errand.WATCH: Ending.FOLLOWED,
}


def hall_of(shop: Shop) -> Hall:
    """The scripted evening, in the catalogue's words."""
    told = shop.event()
    prices = [{"tier": tier["tier"], "prices": {"EUR": tier["price_minor"]}} for tier in told["tiers"]]
    limits = {"max_per_buyer": shop.scene.max_per_buyer, "hold_s": round(shop.scene.hold_s)}
    facts = {"id": EVENT, "currency": "EUR", "limits": limits, "tiers": prices, "price_version": 1}
    return Hall(facts, shop.plan.layout)


def a_venue(url: str, plan: Plan) -> Venue:
    """A crowd's venue in real time, before the address."""
    zero = time.perf_counter()

    def seconds() -> float:
        return time.perf_counter() - zero

    def wall_ms() -> float:
        return time.time_ns() / 1e6

    wire = Wire("127.0.0.1", int(url.rpartition(":")[2]), connections=4, timeout_s=5.0, clock=seconds)
    venue = Venue(plan, wire, seconds, WallClock(seconds, wall_ms))
    venue.observed.wall_ms = wall_ms()
    return venue


@pytest.mark.parametrize("hall", ["theatre", "arena"])
async def test_a_fan_does_its_errands_as_the_pages_do(hall: str) -> None:
    """Map, holds, reservations and the stream of changes, of a small hall and of a large one: all is understood."""
    with serving(Scene(hall=hall, max_per_buyer=100)) as (shop, url):
        venue = a_venue(url, Plan(url=url, think_s=0.01, follow_s=0.4, alone=False))
        own = hall_of(shop)
        venue.programme.halls, venue.programme.is_read = (own,), True
        venue.observed.shop.halls[EVENT] = own
        for index, errand in enumerate(LIKE_PAGES):
            file = FanFile(index, Script.STEADY, 0.0, errand=errand)
            fan = Fan(venue, file, Random(index))
            fan.sid, fan.expires_s = "ann", float("inf")
            assert await run_errand(fan)
            venue.observed.fans.append(file)
        shop.check()
        await venue.wire.close()  # type: ignore[attr-defined]

    told = {verdict.name: (verdict.state, verdict.examples) for verdict in judge_seats(venue.observed)}
    assert {file.errand: file.ending for file in venue.observed.fans} == LIKE_PAGES
    assert [file.faults for file in venue.observed.fans if file.faults] == []
    assert {name: state for name, state in told.items() if state[0] is State.RED} == {}
    assert told["map-follows"][0] is told["ends-kept"][0] is told["prices-right"][0] is State.GREEN
    assert own.first is not None
    before = {f"sold {seat}": (seat,) for seat, status in enumerate(own.first.plain) if status}
    books = Books(100, tuple(Seat(seat, 0, None) for seat in range(own.seats)), (), before)
    assert judged(EVENT, records(venue.observed, EVENT), books, None, 100, settled=False).violations == ()


async def test_a_viewer_hears_what_others_do_and_compares() -> None:
    """Others take seats meanwhile; the copy is the map in the end, and what was heard is kept."""
    with serving(Scene()) as (shop, url):
        venue = a_venue(url, Plan(url=url, follow_s=0.6))
        own = hall_of(shop)
        venue.programme.halls, venue.programme.is_read = (own,), True
        venue.observed.shop.halls[EVENT] = own
        fan = Fan(venue, FanFile(0, Script.STEADY, 0.0, errand=Errand.WATCH), Random(1))
        fan.sid, fan.expires_s = "ann", float("inf")
        free = shop.free(4)

        async def others() -> None:
            await venue.sleep(0.2)
            shop.others_take(free)
            await venue.sleep(0.1)
            shop.others_return(free)

        busy = asyncio.ensure_future(others())
        assert await run_errand(fan)
        await busy
        await venue.wire.close()  # type: ignore[attr-defined]

    seen = venue.observed.shop
    assert fan.file.ending is Ending.FOLLOWED
    assert [one.fault for one in seen.compared] == [""]
    assert len(seen.looks[EVENT]) == 4  # the first map, two changes, the last map
