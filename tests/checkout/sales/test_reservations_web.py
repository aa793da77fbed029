"""Reservations over HTTP: each answer as the pages read it, and for each bad input an answer of its own."""

import asyncio
from dataclasses import replace
from typing import Any

import httpx
import pytest
import sqlalchemy as sa

from checkout.catalogue.selling import Sale, Standing
from checkout.halls.seat_rows import SeatRows
from checkout.halls.seats import Status
from checkout.holds.web import HoldsWeb
from checkout.sales.web import ReservationsWeb, refusal_of
from checkout.tables import RESERVATIONS
from kernel.store import connect
from tests.checkout.box_office import buyer_of, served
from tests.checkout.catalogues import NOW_MS
from tests.checkout.reservations import EVENT, GRACE_MS, HOLD_MS, MOST, Scene, on_sale
from tests.checkout.waitlists import Timed

BASE = f"/api/events/{EVENT}"
UNKNOWN = "AAAAAAAAAAA"


@pytest.fixture
def url(tmp_path: object) -> str:
    """Give the address of a database of this test."""
    return f"sqlite:///{tmp_path}/shop.db"


def web(scene: Scene) -> httpx.AsyncClient:
    """Serve the event's reservations, for the buyer ann."""
    return served(ReservationsWeb(scene.reserving, buyer_of, scene.metrics).routes)


async def test_a_reservation_lives_its_life_over_http(shop_url: str, store_url: str) -> None:
    """201, the same again, found, 204 twice, and then over."""
    async with on_sale(shop_url, store_url) as scene, web(scene) as client:
        hold = await scene.hold("ann", 3, 30)
        made = await client.post(f"{BASE}/holds/{hold}/reserve")
        again = await client.post(f"{BASE}/holds/{hold}/reserve", content=b"{}")
        paper = made.json()
        address = f"{BASE}/reservations/{paper['reservation']}"
        found = await client.get(address)
        gone, twice = await client.delete(address), await client.delete(address)
        after = await client.get(address)
        over = await client.post(f"{BASE}/holds/{hold}/reserve")

        assert paper == {
            "reservation": f"R{hold}",
            "event": EVENT,
            "seats": [
                {"seat": 3, "section": "Stalls", "row": "A", "number": "4", "tier": 0, "price_minor": 4200},
                {"seat": 30, "section": "Floor", "row": "", "number": "", "tier": 1, "price_minor": 2500},
            ],
            "currency": "EUR",
            "total_minor": 6700,
            "state": "active",
            "until_ms": NOW_MS + HOLD_MS + GRACE_MS,
            "now_ms": NOW_MS,
        }
        assert (made.status_code, again.status_code, again.json()) == (201, 201, paper)
        assert made.headers["cache-control"] == "no-store"
        assert made.headers["content-type"] == "application/json"
        assert (found.status_code, found.json()) == (200, paper)
        assert [(one.status_code, one.content) for one in (gone, twice)] == [(204, b"")] * 2
        assert after.json() == paper | {"state": "released"}
        assert (over.status_code, over.json()["code"], over.json()["state"]) == (410, "hold-over", "released")
        words = scene.metrics.reservations._tallies
        assert {word: tally.count for word, tally in words.items()} == {"reserved": 1, "again": 1, "gone": 1}
        assert scene.metrics.reservation_ends._tallies["released"].count == 1
        assert await scene.violations() == []


ASKED = ("method", "path", "headers", "status", "code")
BAD = [
    pytest.param("POST", f"{BASE}/holds/x/reserve", {}, 404, "hold-unknown", id="no hold's id"),
    pytest.param("POST", f"{BASE}/holds/%00AAAAAAAAAA/reserve", {}, 404, "hold-unknown", id="a NUL in the id"),
    pytest.param("POST", f"{BASE}/holds/{'A' * 5000}/reserve", {}, 404, "hold-unknown", id="an endless id"),
    pytest.param("POST", f"{BASE}/holds/{UNKNOWN}/reserve", {}, 410, "hold-over", id="a hold that never was"),
    pytest.param("POST", f"/api/events/winter/holds/{UNKNOWN}/reserve", {}, 404, "event-unknown", id="no event"),
    pytest.param("POST", f"{BASE}/holds/HOLD/reserve", {"buyer": ""}, 404, "hold-unknown", id="nobody's hold"),
    pytest.param("POST", f"{BASE}/holds/HOLD/reserve", {"buyer": "bob"}, 404, "hold-unknown", id="another's hold"),
    pytest.param(
        "POST", f"{BASE}/holds/HOLD/reserve", {"sec-fetch-site": "cross-site"}, 403, "cross-site", id="other site"
    ),
    pytest.param(
        "POST", f"{BASE}/holds/HOLD/reserve", {"origin": "https://evil.example"}, 403, "cross-site", id="other origin"
    ),
    pytest.param("GET", f"{BASE}/reservations/x", {}, 404, "reservation-unknown", id="no reservation's id"),
    pytest.param("GET", f"{BASE}/reservations/R{UNKNOWN}", {}, 404, "reservation-unknown", id="none of that id"),
    pytest.param("GET", f"{BASE}/reservations/R%00AAAAAAAAAA", {}, 404, "reservation-unknown", id="NUL, asked"),
    pytest.param("GET", f"/api/events/winter/reservations/R{UNKNOWN}", {}, 404, "event-unknown", id="no event, asked"),
    pytest.param("GET", f"{BASE}/reservations/MADE", {"buyer": "bob"}, 404, "reservation-unknown", id="another's"),
    pytest.param("DELETE", f"{BASE}/reservations/x", {}, 404, "reservation-unknown", id="no id, given back"),
    pytest.param("DELETE", f"{BASE}/reservations/R%00AAAAAAAAAA", {}, 404, "reservation-unknown", id="NUL, given back"),
    pytest.param("DELETE", f"{BASE}/reservations/MADE", {"buyer": "bob"}, 404, "reservation-unknown", id="not yours"),
    pytest.param(
        "DELETE", f"{BASE}/reservations/MADE", {"sec-fetch-site": "same-site"}, 403, "cross-site", id="other subdomain"
    ),
    pytest.param(
        "DELETE", f"/api/events/winter/reservations/R{UNKNOWN}", {}, 404, "event-unknown", id="no event, given back"
    ),
]  # fmt: skip


@pytest.mark.parametrize(ASKED, BAD)
async def test_every_bad_request_has_its_answer(
    url: str, store_url: str, method: str, path: str, headers: dict[str, str], status: int, code: str
) -> None:
    """A problem with its code; and nothing has changed."""
    async with on_sale(url, store_url) as scene, web(scene) as client:
        hold = await scene.hold("ann", 0)
        made = await scene.reserved("ann", 1)

        answer = await client.request(
            method, path.replace("HOLD", hold).replace("MADE", made), headers=headers
        )

        assert (answer.status_code, answer.json()["code"]) == (status, code)
        assert answer.headers["content-type"] == "application/problem+json"
        assert len(answer.json()["detail"]) > 20
        assert scene.states() == {"ann": "active"}
        assert await scene.state_of(hold) == "held"
        assert scene.metrics.refused._tallies[code].count == 1


@pytest.mark.parametrize(("method", "path"), [
    ("POST", f"{BASE}/holds/{UNKNOWN}/reserve"),
    ("GET", f"{BASE}/reservations/R{UNKNOWN}"),
    ("DELETE", f"{BASE}/reservations/R{UNKNOWN}"),
])  # fmt: skip
async def test_who_has_no_admission_is_told_so(url: str, store_url: str, method: str, path: str) -> None:
    """401, at each address."""
    async with on_sale(url, store_url) as scene, web(scene) as client:
        del client.headers["buyer"]

        answer = await client.request(method, path)

        assert (answer.status_code, answer.json()["code"]) == (401, "admission-missing")


async def test_every_refusal_says_what_can_be_done(url: str, store_url: str) -> None:
    """Lost seats, the limit, a hold that has expired, and a cancelled event."""
    async with on_sale(url, store_url) as scene, web(scene) as client:
        lost = await scene.hold("ann", 0, 1)
        SeatRows(scene.database).block(EVENT, [1])
        first = await client.post(f"{BASE}/holds/{lost}/reserve")
        await scene.reserved("ann", 2, 3, 4)
        more = await scene.hold("ann", 5, 6, max_per_buyer=9)
        second = await client.post(f"{BASE}/holds/{more}/reserve")
        scene.clock.advance(HOLD_MS)
        third = await client.post(f"{BASE}/holds/{more}/reserve")
        await scene.catalogue.update_event(EVENT, {"state": "cancelled"})
        fourth = await client.post(f"{BASE}/holds/{more}/reserve")

    told = {"type", "title", "status", "detail", "code"}
    answers = [
        (one.status_code, {name: value for name, value in one.json().items() if name not in told - {"code"}})
        for one in (first, second, third, fourth)
    ]
    assert answers == [
        (409, {"code": "seats-lost", "taken": [{"seat": 1, "status": int(Status.BLOCKED)}]}),
        (409, {"code": "limit-reached", "has": 3, "max": MOST}),
        (410, {"code": "hold-over", "state": "expired"}),
        (403, {"code": "sale-cancelled"}),
    ]
    assert "Hold them again" in third.json()["detail"]


async def test_what_is_paid_for_is_not_given_back_over_http(url: str, store_url: str) -> None:
    """409; it is another matter then."""
    async with on_sale(url, store_url) as scene, web(scene) as client:
        id_ = await scene.reserved("ann", 0)
        with scene.database.writing() as connection:
            connection.execute(sa.update(RESERVATIONS).values(state="sold"))

        answer = await client.delete(f"{BASE}/reservations/{id_}")

        assert (answer.status_code, answer.json()["code"]) == (409, "reservation-sold")


async def test_a_lost_hold_is_told_as_over(shop_url: str, store_url: str) -> None:
    """H7: the store is emptied before the journal has heard of the hold; the seats are free for all."""
    async with on_sale(shop_url, store_url) as scene, web(scene) as client:
        hold = await scene.hold("ann", 0)
        await scene.client.flushall()

        answer = await client.post(f"{BASE}/holds/{hold}/reserve")

        assert (answer.status_code, answer.json()["state"]) == (410, "unknown")
        assert await scene.seats(0) == [Status.FREE]


async def test_a_store_that_is_away_answers_503(url: str, store_url: str) -> None:
    """With Retry-After, and as a problem."""
    async with on_sale(url, store_url) as scene, web(scene) as client:
        hold = await scene.hold("ann", 0)
        nowhere = Timed(connect("redis://127.0.0.1:1"))
        nowhere.clock = scene.clock
        worker = scene.worker(place=replace(scene.place, holds=nowhere))
        async with served(ReservationsWeb(worker, buyer_of, scene.metrics).routes) as broken:
            answer = await broken.post(f"{BASE}/holds/{hold}/reserve")

        assert (answer.status_code, answer.json()["code"]) == (503, "store-away")
        assert int(answer.headers["retry-after"]) >= 1
        assert (await client.post(f"{BASE}/holds/{hold}/reserve")).status_code == 201


async def test_fifty_clicks_make_one_reservation(shop_url: str, store_url: str) -> None:
    """Over HTTP: fifty at once, one row, the same body for all."""
    async with on_sale(shop_url, store_url) as scene, web(scene) as client:
        hold = await scene.hold("ann", 0)

        answers = await asyncio.gather(*(client.post(f"{BASE}/holds/{hold}/reserve") for _ in range(50)))

        assert {one.status_code for one in answers} == {201}
        assert len({one.content for one in answers}) == 1
        assert len(scene.sales.of_buyer(EVENT, "ann")) == 1


async def test_the_addresses_do_not_meet_those_of_holds(url: str, store_url: str) -> None:
    """Both sets of routes in one table."""
    async with on_sale(url, store_url) as scene:
        ours = ReservationsWeb(scene.reserving, buyer_of, scene.metrics).routes
        theirs: Any = HoldsWeb(None, buyer_of, scene.metrics).routes  # type: ignore[arg-type]

        assert ours.keys().isdisjoint(theirs)


def test_only_a_cancelled_event_refuses_a_hold() -> None:
    """A sale that has ended meanwhile lets whoever holds seats pay; so there is one answer."""
    assert refusal_of(Sale(Standing.CANCELLED)).code == "sale-cancelled"
