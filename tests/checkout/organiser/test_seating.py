"""Layouts and the hall of an event, as organisers are told: what is held, blocked and put aside, and from where."""

from pathlib import Path
from typing import Any

import orjson
import pytest

from checkout.halls.layout import read
from checkout.holds.places import OnePlace
from checkout.organiser import seating as module
from checkout.organiser.seating import Seatings
from checkout.organiser.seating_web import SeatingDesk
from kernel.clock import ManualClock
from kernel.errors import Unavailable
from kernel.store import connect
from tests.checkout.catalogues import NOW_MS, VENUE, small_layout
from tests.checkout.organisers import EVENT, Desk, desk

HALL = f"/events/{EVENT}/hall"


@pytest.fixture
def lite(tmp_path: Path) -> str:
    """Name an empty SQLite database."""
    return f"sqlite:///{tmp_path}/shop.db"


def with_halls(own: Desk) -> None:
    """Put the addresses behind the desk's door."""
    more = SeatingDesk(own.catalogue, Seatings(own.catalogue, OnePlace(own.place)), own.clock).routes
    own.web.routes = [*own.web.routes, *more]
    own.web._router.routes = list(own.web.routes)


async def emptied(store_url: str) -> None:
    """Take all maps away."""
    store = connect(store_url, timeout_s=15)
    await store.flushall()
    await store.aclose()


async def test_a_hall_is_told_with_what_is_held_blocked_and_put_aside(
    lite: str, store_url: str, clock: ManualClock
) -> None:
    """In stretches that cover it; the plan comes along, as fans get it."""
    async with desk(lite, store_url, clock) as own:
        with_halls(own)
        await own.post("/block", {"seats": [3], "allocation": "fans"})
        await own.post("/block", {"seats": [[20, 2]]})
        await own.hold("ann", 5, 6)
        plain = (await own.ask("GET", HALL)).json()

    assert (plain["event"], plain["is_live"], plain["allocations"]) == (EVENT, True, {"fans": [[3, 1]]})
    assert plain["seats"] == [
        [0, 3, 0, "free"],
        [3, 1, 0, "blocked"],
        [4, 1, 0, "free"],
        [5, 2, 0, "held"],
        [7, 13, 0, "free"],
        [20, 2, 1, "blocked"],
        [22, 23, 1, "free"],
    ]
    assert plain["layout_id"] == own.layout
    assert read(orjson.dumps(plain["layout"])) == small_layout()
    assert plain["at_ms"] >= NOW_MS - 1


@pytest.mark.parametrize("away", ["no map", "away"])
async def test_without_a_map_sql_is_told(
    away: str, lite: str, store_url: str, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And that it is so: nothing of it says whether a seat is held."""
    async with desk(lite, store_url, clock) as own:
        with_halls(own)
        await own.post("/block", {"seats": [3]})
        await own.hold("ann", 5)
        if away == "no map":
            await emptied(store_url)
        else:

            async def look(*_: Any) -> None:
                raise Unavailable("store-away", "away")

            monkeypatch.setattr(own.holds, "look", look)
        plain = (await own.ask("GET", HALL)).json()

    assert plain["is_live"] is False
    assert plain["seats"][:3] == [[0, 3, 0, "free"], [3, 1, 0, "blocked"], [4, 16, 0, "free"]]


async def test_a_draft_whose_seats_are_not_made_is_told_as_it_will_be(
    lite: str, store_url: str, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Free, in the tiers of its sections; without that look it would be told as a hall without seats (the mutant)."""
    async with desk(lite, store_url, clock) as own:
        with_halls(own)
        await emptied(store_url)
        monkeypatch.setattr(module.SeatRows, "octets", lambda *_: b"")
        plain = (await own.ask("GET", HALL)).json()
        monkeypatch.setattr(module, "seat_tiers", lambda *_: b"")
        mutant = (await own.ask("GET", HALL)).json()

    assert plain["seats"][0][2:] == [0, "free"]
    assert sum(count for _, count, _, _ in mutant["seats"]) == 0


async def test_layouts_of_a_venue_and_their_sections(lite: str, store_url: str, clock: ManualClock) -> None:
    """By name, of this venue only."""
    async with desk(lite, store_url, clock) as own:
        with_halls(own)
        await own.ask(
            "PUT", "/venues/barn", json={"name": "Barn", "city": "Lund", "country": "SE", "time_zone": "UTC"}
        )
        listed = (await own.ask("GET", f"/venues/{VENUE.id}/layouts")).json()
        none = (await own.ask("GET", "/venues/barn/layouts")).json()
        told = (await own.ask("GET", f"/layouts/{own.layout}")).json()

    assert listed == {"layouts": [{"layout": own.layout, "name": "Mill", "seats": 45}]}
    assert none == {"layouts": []}
    assert (told["name"], told["seats"]) == ("Mill", 45)
    assert told["sections"][2] == {
        "section": 2,
        "name": "Floor",
        "kind": "standing",
        "first": 25,
        "count": 20,
    }


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        ("/venues/nowhere/layouts", 404, "venue-unknown"),
        ("/layouts/0123456789abcdef", 404, "layout-unknown"),
        ("/layouts/%00", 404, "layout-unknown"),
        ("/events/nothing/hall", 404, "event-unknown"),
        (f"{HALL}?at=1", 422, "query-invalid"),
        ("/layouts/x?name=1", 422, "query-invalid"),
    ],
)
async def test_what_is_not_there_is_refused(
    path: str, status: int, code: str, lite: str, store_url: str, clock: ManualClock
) -> None:
    """The table of bad inputs."""
    async with desk(lite, store_url, clock) as own:
        with_halls(own)
        answer = await own.ask("GET", path)

    assert (answer.status_code, answer.json()["code"]) == (status, code)
