"""The demo shop: what any site behind the gate is, and the two things it says to a waiting room."""

from datetime import UTC, datetime, timedelta

import httpx
import pytest

from checkout.events import BY_SLUG, EVENTS, evening
from checkout.stock import NotOnSale, SoldOut, Stock, Taken
from checkout.web import Shop

NOW_MS = 1_800_000_000_000
DAY_MS = 86_400_000


def client_of(shop: Shop) -> httpx.AsyncClient:
    """Give a client of a shop, without a network between them."""
    return httpx.AsyncClient(transport=httpx.ASGITransport(shop.app()), base_url="http://shop")


@pytest.fixture
def shop() -> Shop:
    """Give a shop that stands still in time."""
    return Shop(lambda: NOW_MS, live_s=0)


def test_every_evening_is_a_saturday_at_eight_and_lies_ahead() -> None:
    """The programme follows the time, on whatever day of the week the demo is started."""
    for day in range(8):
        now_ms = NOW_MS + day * DAY_MS
        for event in EVENTS:
            at = evening(event, now_ms)
            assert (at.weekday(), at.hour) == (5, 20)
            assert at - datetime.fromtimestamp(now_ms / 1000, UTC) > timedelta(weeks=event.weeks_ahead - 1)


def test_the_last_ticket_goes_once() -> None:
    """Numbers count up, the one after the last is sold out, an unknown event is not on sale."""
    stock = Stock(EVENTS)
    event = BY_SLUG["paper-lanterns"]
    stock.left[event.slug] = 2

    assert stock.take(event.slug) == Taken(event, event.seats - 1)
    assert stock.take(event.slug) == Taken(event, event.seats)
    assert stock.take(event.slug) == SoldOut(event)
    assert stock.take("nothing") == NotOnSale()


async def test_the_programme_shows_every_event_and_what_is_left(shop: Shop) -> None:
    """Each card leads to its event."""
    shop.stock.left["late-trains"] = 7

    async with client_of(shop) as client:
        page = await client.get("/")

    assert page.status_code == 200
    assert page.headers["cache-control"] == "no-store"
    assert all(f'href="/events/{event.slug}"' in page.text for event in EVENTS)
    assert '<b data-left="late-trains">7</b>' in page.text


async def test_taking_a_ticket_leads_to_a_page_that_can_be_reloaded(shop: Shop) -> None:
    """Post, redirect, get: a reload takes no second ticket."""
    async with client_of(shop) as client:
        event = await client.get("/events/small-hours")
        bought = await client.post("/buy", data={"event": "small-hours"})
        first = await client.get(bought.headers["location"])
        again = await client.get(bought.headers["location"])

    assert 'action="/buy"' in event.text
    assert bought.status_code == 303
    assert "0001" in first.text
    assert (again.status_code, shop.stock.left["small-hours"]) == (200, 1199)


async def test_a_script_gets_json_for_its_ticket(shop: Shop) -> None:
    """Number and what is left; 409 when it is sold out."""
    async with client_of(shop) as client:
        headers = {"Accept": "application/json"}
        got = await client.post("/buy", data={"event": "late-trains"}, headers=headers)
        shop.stock.left["late-trains"] = 0
        full = await client.post("/buy", data={"event": "late-trains"}, headers=headers)
        stock = await client.get("/api/stock")

    assert got.json() == {"event": "late-trains", "number": 1, "left": 499}
    assert (full.status_code, full.json()["code"]) == (409, "sold-out")
    assert stock.json()["stock"]["late-trains"] == 0


async def test_a_sold_out_event_offers_no_button(shop: Shop) -> None:
    """Who was too late is told so on the event's page."""
    shop.stock.left["late-trains"] = 0
    async with client_of(shop) as client:
        late = await client.post("/buy", data={"event": "late-trains"}, follow_redirects=True)

    assert "The last ticket has just gone" in late.text
    assert "Take a ticket" not in late.text


async def test_finishing_tells_the_waiting_room_to_end_the_session(shop: Shop) -> None:
    """By the response header, on a link and on a button; no other page says it."""
    async with client_of(shop) as client:
        finished = [await client.get("/finish"), await client.post("/finish")]
        others = [await client.get(path) for path in ("/", "/events/late-trains", "/api/stock")]
        done = await client.get("/done?event=late-trains&number=1")

    assert all(answer.headers["cf-waiting-room-command"] == "revoke" for answer in finished)
    assert not any("cf-waiting-room-command" in answer.headers for answer in others)
    assert 'action="/finish"' in done.text


async def test_the_goodbye_page_asks_for_nothing_more(shop: Shop) -> None:
    """Its session has ended with it: a style sheet asked for afterwards would get the waiting room's answer."""
    async with client_of(shop) as client:
        page = await client.get("/finish")
        style = await client.get("/static/shop.css")

    assert "src=" not in page.text
    assert 'rel="stylesheet"' not in page.text
    assert style.text[:200] in page.text
    assert "immutable" in style.headers["cache-control"]


async def test_the_shop_shows_who_the_gate_says_the_visitor_is(shop: Shop) -> None:
    """It knows no admission, it reads a header; the goodbye page shows nobody."""
    who = {"Waitroom-Session": "abcdefghijk", "Waitroom-Lane": "standard"}
    async with client_of(shop) as client:
        inside = await client.get("/", headers=who)
        outside = await client.get("/")
        gone = await client.get("/finish", headers=who)

    assert "abcdefgh</code>, lane standard" in inside.text
    assert "You are inside" not in outside.text + gone.text


@pytest.mark.parametrize(
    "path",
    [
        "/events/none",
        "/done",
        "/done?event=none&number=1",
        "/done?event=late-trains&number=0",
        "/done?event=late-trains&number=9999999999999",
        "/done?event=late-trains&number=%C2%B2",
        "/nowhere",
    ],
)
async def test_what_there_is_not_is_a_404_with_a_page(shop: Shop, path: str) -> None:
    """A made-up ticket is no ticket."""
    async with client_of(shop) as client:
        answer = await client.get(path)

    assert answer.status_code == 404
    assert "Nobody plays here" in answer.text


async def test_a_form_that_is_too_large_or_without_an_event_takes_nothing(shop: Shop) -> None:
    """4 kB are plenty."""
    before = dict(shop.stock.left)
    async with client_of(shop) as client:
        large = await client.post("/buy", data={"event": "a" * 5000})
        empty = await client.post("/buy")

    assert (large.status_code, empty.status_code) == (413, 404)
    assert shop.stock.left == before


async def test_the_live_stream_tells_all_first_and_then_what_changed(shop: Shop) -> None:
    """Server-sent events; a comment when nothing changed, so that a proxy sees life."""
    stream = shop._changes()

    first = await anext(stream)
    second = await anext(stream)
    shop.stock.take("small-hours")
    third = await anext(stream)

    assert first.startswith(b"data: {")
    assert all(event.slug.encode() in first for event in EVENTS)
    assert second == b": still here\n\n"
    assert third == b'data: {"small-hours":1199}\n\n'


async def test_health_and_static_files_answer(shop: Shop) -> None:
    """No page asks anybody else for a file."""
    async with client_of(shop) as client:
        health = await client.get("/health")
        style = await client.get("/static/shop.css")
        page = await client.get("/")

    assert (health.text, style.status_code) == ("ok\n", 200)
    assert "http" not in page.text.replace("http://www.w3.org/2000/svg", "")
