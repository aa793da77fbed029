"""The line's HTTP addresses: what each says to good requests and to every kind of bad one."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import httpx
import pytest
from redis.asyncio import Redis

from admission.buckets import Buckets
from gateway.front import Front
from kernel.clock import ManualClock
from kernel.store import connect
from tests.waitroom.house import ROOM, House, house, members
from tests.waitroom.test_service import END_MS, PREQUEUE_MS, SALE
from waitroom import status
from waitroom.carry_web import CarryWeb
from waitroom.estimate import Learned
from waitroom.lanes import Lane, Moved, Serving
from waitroom.more_web import MoreTimeWeb
from waitroom.schedule import Phase
from waitroom.shells import Pages
from waitroom.web import LineWeb, WebSettings

BASE = "/.waitroom/r/main"
KEY = "k" * 22
FORM = "application/x-www-form-urlencoded"


class Receipts:
    """Writes a receipt's claims as plain JSON."""

    def receipt(self, claims: dict[str, object]) -> str:
        """Show what would be signed."""
        return json.dumps(claims)


def front(here: House) -> Front:
    """Put the line's web before a house."""
    buckets, settings = Buckets(), WebSettings()
    web = LineWeb(here.waitroom, Pages("/.waitroom"), buckets, Receipts(), settings)
    carry = CarryWeb(web, here.waitroom, buckets, settings)
    more = MoreTimeWeb(web, here.waitroom, settings)
    routes = {**web.routes, **carry.routes, **more.routes}
    return Front("/.waitroom", routes, {("GET", "static"): web.asset})


@asynccontextmanager
async def site(
    store: Redis, clock: ManualClock, folder: Path, **settings: object
) -> AsyncIterator[tuple[House, httpx.AsyncClient]]:
    """Give a house with an open room, and a browser in front of it."""
    async with house(store, clock, folder) as here:
        await here.set_up(**settings)
        transport = httpx.ASGITransport(app=front(here))
        async with httpx.AsyncClient(transport=transport, base_url="http://room.test") as browser:
            yield here, browser
    await store.aclose()


async def test_get_never_joins(store: Redis, clock: ManualClock, tmp_path: Path) -> None:
    """Pages, prefetchers and link previews take no number, however often they ask."""
    async with site(store, clock, tmp_path) as (here, browser):
        for path in ("", "/status", "/ticket", "/join", "/claim", "/leave"):
            await browser.get(BASE + path)
            await browser.head(BASE + path)

        reading = await here.beat()
        assert reading.line is not None
        assert reading.line.issued == 0


async def test_a_browser_joins_once_however_often_it_asks(
    store: Redis, clock: ManualClock, tmp_path: Path
) -> None:
    """The cookie is the place: the second join answers the first number."""
    async with site(store, clock, tmp_path) as (_, browser):
        first = await browser.post(BASE + "/join", json={})
        again = await browser.post(BASE + "/join", json={})

    assert first.json()["number"] == again.json()["number"] == 0
    assert first.json()["ticket"] == again.json()["ticket"]
    assert "HttpOnly" in first.headers.get_list("set-cookie")[0]
    assert "set-cookie" not in again.headers


async def test_who_asks_for_a_new_place_gets_one(store: Redis, clock: ManualClock, tmp_path: Path) -> None:
    """After leaving, "take a new place" is a new number at the end of the line."""
    async with site(store, clock, tmp_path) as (_, browser):
        await browser.post(BASE + "/join", json={})
        new = await browser.post(BASE + "/join", json={"again": True})
        form = await browser.post(BASE + "/join", data={"again": "1", "target": "/"})
        place = await browser.get(BASE + "/ticket")

    assert new.json()["number"] == 1
    assert form.status_code == 303
    assert place.json()["number"] == 2


async def test_without_javascript_a_form_leads_to_a_page_that_refreshes_itself(
    store: Redis, clock: ManualClock, tmp_path: Path
) -> None:
    """Join by form, then a personal page with meta refresh; the target is kept on the way."""
    async with site(store, clock, tmp_path) as (here, browser):
        answer = await browser.post(BASE + "/join", data={"target": "/events/x?a=1&b=2"})
        assert answer.status_code == 303
        page = await browser.get(answer.headers["location"], headers={"accept": "text/html"})
        assert 'http-equiv="refresh"' in page.text
        assert "You are next" in page.text
        reading = await here.beat()
        assert reading.line is not None
        await here.waitroom.store.call(ROOM, reading.line.run, 9, Serving(1, 1, 1), 60, clock.now_ms())
        await here.beat()
        page = await browser.get(answer.headers["location"], headers={"accept": "text/html"})

    assert "Go in now" in page.text
    assert 'value="/events/x?a=1&amp;b=2"' in page.text
    assert "no-store" in page.headers["cache-control"]


async def test_without_javascript_a_sale_that_is_over_leads_to_the_next_one(
    store: Redis, clock: ManualClock, tmp_path: Path
) -> None:
    """Whoever missed the first sale is told when the second one opens; after the last one that it is over."""
    second = {**SALE, "name": "second", "prequeue_start_time": "2027-01-16T08:10:00Z"}
    second |= {"event_start_time": "2027-01-16T08:20:00Z", "event_end_time": "2027-01-16T09:20:00Z"}
    sales = [{**sale, "shuffle_at_event_start": False} for sale in (SALE, second)]
    seen = []
    async with site(store, clock, tmp_path, queueing_method="reject", sales=sales, drain_s=60) as (
        here,
        browser,
    ):
        clock.set(PREQUEUE_MS)
        await here.beat()
        assert (await browser.post(BASE + "/join", data={"target": "/"})).status_code == 303
        for end_ms in (END_MS + 60_000, END_MS + 86_400_000 + 60_000):
            clock.set(end_ms)
            for _ in range(3):
                reading = await here.beat()
            assert reading.line is not None
            assert reading.line.phase is Phase.ENDED
            seen.append(await browser.get(BASE + "/ticket", headers={"accept": "text/html"}))
            clock.set(PREQUEUE_MS + 86_400_000)
            await here.beat()
            await browser.post(BASE + "/join", data={"target": "/", "again": "1"})

    assert ["Not open yet" in page.text for page in seen] == [True, False]
    assert "The waiting room opens: Saturday, January 16, 2027" in seen[0].text
    assert "by itself in 60 seconds" in seen[0].text
    assert "This line has ended" in seen[1].text


async def test_the_document_is_cacheable_and_answers_304(
    store: Redis, clock: ManualClock, tmp_path: Path
) -> None:
    """Public for a second, stale while revalidating; the ETag spares the bytes; the signature holds."""
    async with site(store, clock, tmp_path) as (here, browser):
        answer = await browser.get(BASE + "/status")
        same = await browser.get(BASE + "/status", headers={"if-none-match": answer.headers["etag"]})

        assert answer.headers["cache-control"] == "public, max-age=1, stale-while-revalidate=5"
        assert same.status_code == 304
        assert same.content == b""
        assert status.check(answer.content, here.waitroom.documents) is not None
        assert "set-cookie" not in answer.headers


async def test_with_the_store_away_the_last_document_is_served_with_its_age(
    store: Redis, clock: ManualClock, tmp_path: Path
) -> None:
    """Nobody is told an error because we cannot read; they are told how old the news is."""
    async with site(store, clock, tmp_path) as (_, browser):
        clock.advance(7_000)
        answer = await browser.get(BASE + "/status")

    assert answer.status_code == 200
    assert answer.headers["age"] == "7"


async def test_the_personal_json_follows_from_the_ticket_alone(
    store: Redis, clock: ManualClock, tmp_path: Path
) -> None:
    """An app without cookies shows its ticket in a header."""
    async with site(store, clock, tmp_path) as (_, browser):
        text = [
            (await browser.post(BASE + "/join", json={"again": True})).json()["ticket"] for _ in range(3)
        ][2]
        browser.cookies.clear()
        answer = await browser.get(BASE + "/ticket", headers={"waitroom-ticket": text})

    place = answer.json()
    assert (place["number"], place["rank"], place["ahead"], place["standing"]) == (2, 2, 2, "waiting")
    assert 1_000 < place["poll_ms"] < 20_000


async def test_the_personal_json_tells_the_time_to_claim_and_how_often_waits_held(
    store: Redis, clock: ManualClock, tmp_path: Path
) -> None:
    """Null and none while nobody has been called and nothing is learned; then the moments themselves."""
    async with site(store, clock, tmp_path, claim_window_s=120) as (here, browser):
        await browser.post(BASE + "/join", json={})
        before = (await browser.get(BASE + "/ticket")).json()
        reading = await here.beat()
        assert reading.line is not None
        await here.waitroom.store.call(ROOM, reading.line.run, 9, Serving(1, 1, 1), 60, clock.now_ms())
        await here.beat()
        called = (await browser.get(BASE + "/ticket")).json()
        await browser.post(BASE + "/join", json={"again": True})
        reading = await here.beat()
        reading.learned = Learned(0.5, 2.0, 0.87, 412)
        reading.line = replace(reading.line, plan_per_minute=0) if reading.line else None
        reading.calls = [Moved(clock.now_ms() - 60_000, Serving()), Moved(clock.now_ms(), Serving(1, 1, 1))]
        place = reading.place(1, Lane.STANDARD, clock.now_ms())
        waiting = (await browser.get(BASE + "/ticket")).json()

    told = ("called_ms", "claim_until_ms", "held", "of")
    assert [before[name] for name in told] == [None, None, None, 0]
    assert [called[name] for name in told] == [clock.now_ms(), clock.now_ms() + 120_000, None, 0]
    assert place.ahead == waiting["ahead"] == 0
    assert [waiting[name] for name in told] == [None, None, 0.87, 412]


async def test_sold_out_takes_nobody_new_and_nobodys_place(
    store: Redis, clock: ManualClock, tmp_path: Path
) -> None:
    """409 in kind words, by script and by form; who waits keeps waiting; tickets that come back open it again."""
    from waitroom.configure import Actor

    async with site(store, clock, tmp_path) as (here, browser):
        mine = (await browser.post(BASE + "/join", json={})).json()
        await here.configurations.patch(
            ROOM, {"stock_state": "soldout", "stock_left": 0}, None, Actor("test")
        )
        reading = await here.beat()
        again = await browser.post(BASE + "/join", json={})
        place = (await browser.get(BASE + "/ticket")).json()
        browser.cookies.clear()
        refused = await browser.post(BASE + "/join", json={})
        form = await browser.post(BASE + "/join", data={"target": "/x"})
        document = members(reading)
        await here.configurations.patch(ROOM, {"stock_state": "last", "stock_left": 2}, None, Actor("test"))
        reopened = members(await here.beat())
        new = await browser.post(BASE + "/join", json={})

    assert again.json() == mine
    assert place["standing"] == "waiting"
    assert (refused.status_code, refused.json()["code"]) == (409, "room-sold-out")
    assert (form.status_code, form.headers["content-type"]) == (409, "text/html; charset=utf-8")
    assert document["stock"] == {"left": 0, "state": "soldout"}
    assert reopened["stock"] == {"left": 2, "state": "last"}
    assert new.json()["number"] == 1


async def test_without_the_check_people_would_join_for_nothing(
    store: Redis, clock: ManualClock, tmp_path: Path
) -> None:
    """The mutant: a line that takes joins although everything is sold gives out a number."""
    async with site(store, clock, tmp_path, stock_state="soldout") as (here, browser):
        refused = await browser.post(BASE + "/join", json={})
        reading = here.waitroom.reading(ROOM)
        reading.joinable = reading.line
        mutant = await browser.post(BASE + "/join", json={})

    assert (refused.status_code, mutant.status_code) == (409, 200)


async def test_a_sale_that_has_moved_says_where_to(store: Redis, clock: ManualClock, tmp_path: Path) -> None:
    """In the document, for every page; null and empty while it takes place here."""
    async with site(store, clock, tmp_path, moved_to="/spring") as (here, browser):
        moved = (await browser.get(BASE + "/status")).json()
        from waitroom.configure import Actor

        await here.configurations.patch(ROOM, {"moved_to": None}, None, Actor("test"))
        await here.beat()
        back = (await browser.get(BASE + "/status")).json()

    assert (moved["stops"], moved["moved_to"]) == ("moved", "/spring")
    assert (back["stops"], back["moved_to"]) == ("", None)


@pytest.mark.parametrize(
    ("query", "liked", "language"),
    [("", "de-AT,en;q=0.5", "de"), ("?lang=de", "en", "de"), ("?lang=xx", "en", "en"), ("", "", "en")],
)
@pytest.mark.parametrize("path", ["", "/how", "/preview", "/preview/waiting", "/ticket"])
async def test_pages_speak_the_language_that_was_asked_for(
    store: Redis, clock: ManualClock, tmp_path: Path, path: str, query: str, liked: str, language: str
) -> None:
    """`lang` wins, then the browser's wish, then the room's; caches are told."""
    async with site(store, clock, tmp_path) as (_, browser):
        answer = await browser.get(
            BASE + path + query, headers={"accept": "text/html", "accept-language": liked}
        )

    assert answer.headers["content-language"] == language
    assert f'<html lang="{language}"' in answer.text
    assert "accept-language" in answer.headers["vary"].lower()


async def test_pages_and_their_parts_are_sent_compressed_to_who_takes_it(
    store: Redis, clock: ManualClock, tmp_path: Path
) -> None:
    """The same bytes after unpacking; plain for who does not ask."""
    async with site(store, clock, tmp_path) as (_, browser):
        paths = [BASE, BASE + "/how", "/.waitroom/static/waitroom.css"]
        packed = [await browser.get(path, headers={"accept-encoding": "gzip"}) for path in paths]
        plain = [await browser.get(path, headers={"accept-encoding": "identity"}) for path in paths]

    for one, other in zip(packed, plain, strict=True):
        assert one.headers["content-encoding"] == "gzip"
        assert "content-encoding" not in other.headers
        assert one.content == other.content
        assert int(one.headers["content-length"]) < int(other.headers["content-length"])
        assert "accept-encoding" in one.headers["vary"].lower()


async def test_a_state_that_is_none_has_no_preview(store: Redis, clock: ManualClock, tmp_path: Path) -> None:
    """404 with a word, with JavaScript and without."""
    async with site(store, clock, tmp_path) as (_, browser):
        answers = [
            await browser.get(BASE + path)
            for path in ("/preview/nosuch", "/preview/nosuch?js=0", "/preview/a/b")
        ]
        still = await browser.get(BASE + "/preview/waiting?js=0")

    assert [answer.json()["code"] for answer in answers] == ["address-unknown"] * 3
    assert "data-preview" not in still.text
    assert still.status_code == 200


async def test_a_receipt_names_number_and_leaf(store: Redis, clock: ManualClock, tmp_path: Path) -> None:
    """What the line holds of a fan, for them to keep."""
    async with site(store, clock, tmp_path) as (here, browser):
        await browser.post(BASE + "/join", json={})
        receipt = (await browser.get(BASE + "/receipt")).json()
        assert bytes.fromhex(receipt["leaf"]) == await here.waitroom.store.leaves(ROOM, 0, 1)
        assert (receipt["number"], receipt["reasons"]) == (0, [])


BAD = [
    ("GET", "/.waitroom/r/nowhere", {}, None, 404, "room-unknown"),
    ("POST", "/.waitroom/r/nowhere/join", {}, "{}", 404, "room-unknown"),
    ("GET", "/.waitroom/r/nowhere/status", {}, None, 404, "room-unknown"),
    ("GET", "/.waitroom/r/../../etc/passwd", {}, None, 404, "address-unknown"),
    ("GET", BASE + "/nothing", {}, None, 404, "address-unknown"),
    ("GET", BASE + "/join", {}, None, 405, "method-not-allowed"),
    ("POST", BASE + "/how", {}, "{}", 405, "method-not-allowed"),
    ("GET", "/.waitroom/r/nowhere/how", {}, None, 404, "room-unknown"),
    ("GET", "/.waitroom/r/nowhere/preview", {}, None, 404, "room-unknown"),
    ("GET", BASE + "/preview/../../etc/passwd", {}, None, 404, "address-unknown"),
    ("DELETE", BASE + "/status", {}, None, 405, "method-not-allowed"),
    ("POST", BASE + "/join", {"content-type": "text/plain"}, "x", 415, "content-type-unknown"),
    ("POST", BASE + "/join", {"content-type": "application/json"}, "x" * 5000, 413, "body-too-large"),
    ("POST", BASE + "/join", {"idempotency-key": "short"}, "{}", 400, "idempotency-key-malformed"),
    ("POST", BASE + "/join", {"idempotency-key": "a b" * 10}, "{}", 400, "idempotency-key-malformed"),
    ("POST", BASE + "/join", {"idempotency-key": "k" * 65}, "{}", 400, "idempotency-key-malformed"),
    ("POST", BASE + "/join", {"sec-fetch-site": "cross-site"}, "{}", 403, "cross-site"),
    ("POST", BASE + "/join", {"sec-fetch-site": "same-site"}, "{}", 403, "cross-site"),
    ("POST", BASE + "/join", {"origin": "https://evil.test"}, "{}", 403, "cross-site"),
    ("POST", BASE + "/join", {"cookie": "a=" + "b" * 17_000}, "{}", 431, "cookies-too-large"),
    ("GET", BASE + "/ticket", {}, None, 401, "ticket-missing"),
    ("GET", BASE + "/ticket", {"waitroom-ticket": "garbage"}, None, 403, "ticket-invalid"),
    ("GET", BASE + "/ticket", {"waitroom-ticket": "x" * 3000}, None, 403, "ticket-invalid"),
    ("GET", BASE + "/receipt", {}, None, 401, "ticket-missing"),
    ("GET", BASE + "/draw", {}, None, 404, "no-draw"),
    ("GET", BASE + "/leaves/0", {}, None, 404, "no-leaves"),
    ("GET", BASE + "/leaves/-1", {}, None, 404, "no-leaves"),
    ("GET", BASE + "/leaves/99999999999999999999", {}, None, 404, "no-leaves"),
    ("GET", BASE + "/leaves/x", {}, None, 404, "no-leaves"),
    ("POST", BASE + "/status", {}, "not a document", 403, "document-invalid"),
    ("POST", BASE + "/status", {}, "{" * 2000, 403, "document-invalid"),
    ("POST", BASE + "/status", {}, "x" * 5000, 413, "body-too-large"),
    ("GET", "/.waitroom/static/../view.py", {}, None, 404, "address-unknown"),
    ("GET", "/.waitroom/static/nothing.js", {}, None, 404, "address-unknown"),
]


@pytest.mark.parametrize(("method", "path", "headers", "body", "code", "word"), BAD)
async def test_bad_requests_get_a_clear_answer_and_cost_nothing(
    store: Redis, clock: ManualClock, tmp_path: Path, method: str, path: str, headers: dict[str, str],
    body: str | None, code: int, word: str,
) -> None:  # fmt: skip
    """Each has its status, its word and a sentence; nobody's place changes."""
    async with site(store, clock, tmp_path) as (here, browser):
        kept = (await browser.post(BASE + "/join", json={})).json()["ticket"]
        browser.cookies.clear()
        request = browser.build_request(method, "http://room.test/", headers=headers, content=body)
        request.url = request.url.copy_with(raw_path=path.encode())
        answer = await browser.send(request)

        assert answer.status_code == code
        problem = answer.json()
        assert problem["code"] == word
        assert problem["detail"].endswith(".")
        assert answer.headers["content-type"] == "application/problem+json"
        place = (await browser.get(BASE + "/ticket", headers={"waitroom-ticket": kept})).json()
        reading = await here.beat()
        assert reading.line is not None
        assert (place["number"], reading.line.issued) == (0, 1)


async def test_what_the_line_refuses_is_counted_by_its_code(
    store: Redis, clock: ManualClock, tmp_path: Path
) -> None:
    """By script, by form and by page alike; what is only away is no refusal."""
    async with site(store, clock, tmp_path, join_rate_per_minute=60, join_burst=1) as (here, browser):
        await browser.get(BASE + "/ticket")
        await browser.get(BASE + "/ticket", headers={"accept": "text/html"})
        await browser.post(BASE + "/join", json={})
        await browser.post(BASE + "/join", data={"again": "1"})
        await browser.post(BASE + "/carry/take", json={"code": "x"})
        await browser.post(BASE + "/more-time", json={})
        await browser.post(BASE + "/more-time", data={"target": "/"})
        await browser.get("/.waitroom/r/nowhere/status")
        clock.advance(5_000)
        here.waitroom.store._client = connect("unix:///nowhere.sock")
        away = await browser.post(BASE + "/join", json={"again": True})
        (family,) = here.waitroom.metrics.refused.collect()
        counted = {one.labels["code"]: one.value for one in family.samples if one.name.endswith("_total")}

    assert away.status_code == 503
    assert counted == {
        "ticket-missing": 2,
        "too-many-joins": 1,
        "carry-code-malformed": 1,
        "no-time-runs": 2,
        "room-unknown": 1,
    }


async def test_a_ticket_of_another_room_is_told_apart(
    store: Redis, clock: ManualClock, tmp_path: Path
) -> None:
    """Foreign, not forged: the person is told which it is."""
    from waitroom import ticket
    from waitroom.lanes import Lane

    async with site(store, clock, tmp_path) as (here, browser):
        foreign = ticket.write(
            here.waitroom.signer, ticket.Ticket("other", "00", 1, 0, "A" * 22, Lane.STANDARD, 0)
        )
        answer = await browser.get(BASE + "/ticket", headers={"waitroom-ticket": foreign})

    assert (answer.status_code, answer.json()["code"]) == (403, "ticket-foreign-room")


async def test_too_many_joins_from_one_address_are_asked_to_wait(
    store: Redis, clock: ManualClock, tmp_path: Path
) -> None:
    """429 with Retry-After; the bucket fills again."""
    async with site(store, clock, tmp_path, join_rate_per_minute=60, join_burst=2) as (_, browser):
        codes = [(await browser.post(BASE + "/join", json={"again": True})).status_code for _ in range(3)]
        clock.advance(1_000)
        after = await browser.post(BASE + "/join", json={"again": True})

    assert codes == [200, 200, 429]
    assert after.status_code == 200


async def test_with_the_store_gone_a_join_is_503_with_retry_after(
    store: Redis, clock: ManualClock, tmp_path: Path
) -> None:
    """Nothing 500s; the page tries again by itself."""
    async with site(store, clock, tmp_path) as (here, browser):
        here.waitroom.store._client = connect("unix:///nowhere.sock")
        answer = await browser.post(BASE + "/join", json={})

    assert (answer.status_code, answer.json()["code"]) == (503, "store-away")
    assert int(answer.headers["retry-after"]) >= 1


async def test_an_operators_message_reaches_the_document(
    store: Redis, clock: ManualClock, tmp_path: Path
) -> None:
    """What is written on the console is in everybody's next poll."""
    from waitroom.configure import Actor

    async with site(store, clock, tmp_path) as (here, browser):
        before = members(here.waitroom.reading(ROOM))
        await here.configurations.patch(ROOM, {"message": "Doors at nine."}, None, Actor("test"))
        await here.waitroom.refresh()
        after = (await browser.get(BASE + "/status")).json()

    assert after["message"] == "Doors at nine."
    assert after["version"] > before["version"]  # type: ignore[operator]
