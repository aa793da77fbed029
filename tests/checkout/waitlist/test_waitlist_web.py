"""The waitlist over HTTP: one call joins, one tells, one leaves; each bad input has its own answer."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request

from checkout.catalogue.selling import State, Window
from checkout.waitlist.web import WaitlistWeb
from kernel.errors import Refused
from kernel.problems import handlers
from tests.checkout.waitlists import EVENT, MOST, NOW_MS, OFFER_MS, TERMS, Scene, sold_out

ADDRESS = f"/api/events/{EVENT}/waitlist"


async def buyer_of(request: Request) -> str:
    """Tell who asks by a header, as the tests need no cookie."""
    if "buyer" not in request.headers:
        raise Refused("buyer-unknown", "Who are you?", 401)
    return request.headers["buyer"]


@asynccontextmanager
async def shop(tmp_path: object, store_url: str) -> AsyncIterator[tuple[Scene, httpx.AsyncClient]]:
    """Serve the waitlist of a hall that is sold out."""
    async with sold_out(f"sqlite:///{tmp_path}/shop.db", store_url) as scene:
        web = WaitlistWeb(scene.waitlist, buyer_of)
        app = Starlette(routes=web.routes, exception_handlers=dict(handlers()))  # type: ignore[arg-type]
        transport = httpx.ASGITransport(app=app)
        async with httpx.AsyncClient(
            transport=transport, base_url="http://shop", headers={"buyer": "ann"}
        ) as client:
            yield scene, client


async def test_a_buyer_joins_sees_the_offer_and_leaves(tmp_path: object, store_url: str) -> None:
    """201, the same again with 200, the offer with its hold and its end, 204, and then nothing."""
    async with shop(tmp_path, store_url) as (scene, client):
        joined = await client.post(ADDRESS, json={"count": 1, "tier": None})
        again = await client.post(ADDRESS, json={"count": 1})
        behind = await client.post(ADDRESS, json={"count": 2, "tier": 1}, headers={"buyer": "bob"})
        await scene.cancel(3)
        await scene.step()
        offered = await client.get(ADDRESS)
        left = await client.delete(ADDRESS)
        gone = await client.get(ADDRESS)

    waits = {
        "event": EVENT,
        "number": 1,
        "count": 1,
        "tier": None,
        "state": "waiting",
        "before": 0,
        "offer": None,
    }
    assert (joined.status_code, joined.json()) == (201, {**waits, "now_ms": NOW_MS})
    assert (again.status_code, again.json()) == (200, joined.json())
    assert (behind.status_code, behind.json()["before"], behind.json()["tier"]) == (201, 1, 1)
    assert offered.json()["state"] == "offered"
    assert offered.json()["offer"]["until_ms"] == NOW_MS + OFFER_MS
    assert len(offered.json()["offer"]["hold"]) == 11
    assert (left.status_code, left.content) == (204, b"")
    assert (gone.status_code, gone.json()["code"]) == (404, "not-waiting")
    assert {answer.headers["cache-control"] for answer in (joined, again, offered, left, gone)} == {
        "no-store"
    }


BAD: dict[str, tuple[int, str, str, dict[str, object]]] = {
    "no JSON": (400, "body-not-json", ADDRESS, {"content": b"{"}),
    "an empty body": (400, "body-not-json", ADDRESS, {"content": b""}),
    "not UTF-8": (400, "body-not-json", ADDRESS, {"content": b'{"count":"\xff"}'}),
    "no object": (400, "body-not-object", ADDRESS, {"json": [1]}),
    "no count": (422, "wish-invalid", ADDRESS, {"json": {}}),
    "none": (422, "wish-invalid", ADDRESS, {"json": {"count": 0}}),
    "less than none": (422, "wish-invalid", ADDRESS, {"json": {"count": -1}}),
    "a great many": (422, "wish-invalid", ADDRESS, {"json": {"count": 101}}),
    "more than a number": (422, "wish-invalid", ADDRESS, {"content": b'{"count":1e40}'}),
    "a truth": (422, "wish-invalid", ADDRESS, {"json": {"count": True}}),
    "a text": (422, "wish-invalid", ADDRESS, {"json": {"count": "1"}}),
    "a broken number": (422, "wish-invalid", ADDRESS, {"json": {"count": 1.0}}),
    "a tier that cannot be": (422, "wish-invalid", ADDRESS, {"json": {"count": 1, "tier": 16}}),
    "a tier that is a text": (422, "wish-invalid", ADDRESS, {"json": {"count": 1, "tier": "0"}}),
    "a tier that the event has not": (422, "wish-invalid", ADDRESS, {"json": {"count": 1, "tier": 7}}),
    "a member that nobody knows": (422, "wish-invalid", ADDRESS, {"json": {"count": 1, "seat": 3}}),
    "more than the limit": (409, "limit-reached", ADDRESS, {"json": {"count": MOST + 1}}),
    "another kind": (415, "content-type-unknown", ADDRESS, {"data": {"count": "1"}}),
    "no kind": (415, "content-type-unknown", ADDRESS, {"content": b"{}", "headers": {"content-type": ""}}),
    "too long": (413, "body-too-large", ADDRESS, {"content": b" " * 1025}),
    "another event": (404, "event-unknown", "/api/events/day/waitlist", {"json": {"count": 1}}),
    "no event": (404, "event-unknown", "/api/events/Night!/waitlist", {"json": {"count": 1}}),
    "another site": (
        403,
        "cross-site",
        ADDRESS,
        {"json": {"count": 1}, "headers": {"sec-fetch-site": "cross-site"}},
    ),
    "a sister site": (
        403,
        "cross-site",
        ADDRESS,
        {"json": {"count": 1}, "headers": {"sec-fetch-site": "same-site"}},
    ),
    "an old browser on another site": (
        403,
        "cross-site",
        ADDRESS,
        {"json": {"count": 1}, "headers": {"origin": "http://evil"}},
    ),
    "a method that is not there": (405, "method-not-allowed", ADDRESS, {"method": "PUT"}),
}


@pytest.mark.parametrize("name", BAD)
async def test_a_bad_input_has_its_own_answer(name: str, tmp_path: object, store_url: str) -> None:
    """A problem with a stable code, and no entry."""
    status, code, address, asked = BAD[name]
    asked = dict(asked)
    headers = {"content-type": "application/json"} if "content" in asked else {}
    headers |= asked.pop("headers", {})  # type: ignore[arg-type]
    async with shop(tmp_path, store_url) as (scene, client):
        answer = await client.request(
            str(asked.pop("method", "POST")),
            address,
            headers=headers,
            **asked,  # type: ignore[arg-type]
        )

        assert (answer.status_code, answer.json()["code"]) == (status, code)
        assert answer.headers["content-type"] == "application/problem+json"
        assert scene.states() == {}


async def test_what_the_sale_says_against_it_is_told_with_its_facts(tmp_path: object, store_url: str) -> None:
    """When it opens, when it closed, how many are left, what is waited for already."""
    async with shop(tmp_path, store_url) as (scene, client):
        await client.post(ADDRESS, json={"count": 1})
        other = await client.post(ADDRESS, json={"count": 2})
        await client.delete(ADDRESS)
        await scene.step()
        await scene.cancel(1, 2)
        left = await client.post(ADDRESS, json={"count": 1})
        answers = []
        for window in (
            Window(State.PUBLISHED, NOW_MS + 5, NOW_MS + 9),
            Window(State.PUBLISHED, 0, NOW_MS),
            Window(State.CANCELLED, 0, NOW_MS + 9),
        ):
            scene.programme.terms_now = replace(TERMS, window=window)
            answers.append((await client.post(ADDRESS, json={"count": 1})).json())

    assert (other.status_code, other.json()["code"], other.json()["count"]) == (409, "waiting-already", 1)
    assert (left.status_code, left.json()["code"], left.json()["free"]) == (409, "not-sold-out", 2)
    assert [answer["code"] for answer in answers] == ["sale-not-open", "sale-over", "sale-over"]
    assert (answers[0]["opens_ms"], answers[1]["closed_ms"]) == (NOW_MS + 5, NOW_MS)


@pytest.mark.parametrize("method", ["POST", "GET", "DELETE"])
async def test_nobody_acts_without_being_somebody(method: str, tmp_path: object, store_url: str) -> None:
    """Who asks is told by the shop's own way; its refusal goes through."""
    async with shop(tmp_path, store_url) as (_, client):
        del client.headers["buyer"]
        answer = await client.request(method, ADDRESS, json={"count": 1} if method == "POST" else None)

    assert (answer.status_code, answer.json()["code"]) == (401, "buyer-unknown")


async def test_another_site_cannot_give_a_place_up(tmp_path: object, store_url: str) -> None:
    """Leaving is an act like joining; the same site may, by either header."""
    async with shop(tmp_path, store_url) as (_, client):
        await client.post(ADDRESS, json={"count": 1}, headers={"origin": "http://shop"})
        forged = await client.delete(ADDRESS, headers={"origin": "http://evil"})
        own = await client.delete(ADDRESS, headers={"sec-fetch-site": "same-origin"})

    assert (forged.status_code, own.status_code) == (403, 204)
