"""Holds over HTTP: each answer as the pages read it, and for each bad input an answer of its own."""

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from checkout.halls.seats import Status
from checkout.holds.places import OnePlace
from checkout.requests import BODY_MOST_BYTES
from kernel.store import connect
from tests.checkout.box_office import CODE, EVENT, MOST, TTL_MS, office, web
from tests.checkout.catalogues import NOW_MS
from tests.checkout.waitlists import Timed

BASE = f"/api/events/{EVENT}"
HOLDS = f"{BASE}/holds"
KEY = {"idempotency-key": "k1"}


@pytest.fixture
def url(tmp_path: object) -> str:
    """Give the address of a database of this test."""
    return f"sqlite:///{tmp_path}/shop.db"


async def test_a_hold_lives_its_life_over_http(url: str, store_url: str) -> None:
    """201, the same again, found, 200 with more time, 204, and then 410 and 204."""
    async with office(url, store_url) as own, web(own) as client:
        made = await client.post(HOLDS, json={"seats": [3, 4], "currency": "EUR"}, headers=KEY)
        again = await client.post(
            HOLDS, json={"seats": [3, 4], "currency": "EUR"}, headers={"idempotency-key": '"k1"'}
        )
        hold = made.json()["hold"]
        found = await client.get(f"{HOLDS}/mine")
        more = await client.post(f"{HOLDS}/{hold}/extend")
        released = await client.delete(f"{HOLDS}/{hold}")
        over = await client.post(f"{HOLDS}/{hold}/extend")
        twice = await client.delete(f"{HOLDS}/{hold}")
        nothing = await client.get(f"{HOLDS}/mine")

    paper = made.json()
    assert paper == {
        "hold": hold,
        "event": EVENT,
        "seats": [
            {"seat": 3, "section": "Stalls", "row": "A", "number": "4", "tier": 0, "price_minor": 4200},
            {"seat": 4, "section": "Stalls", "row": "A", "number": "5", "tier": 0, "price_minor": 4200},
        ],
        "currency": "EUR",
        "total_minor": 8400,
        "until_ms": NOW_MS + TTL_MS,
        "extendable": True,
        "fence": 1,
        "state": "held",
        "now_ms": NOW_MS,
    }
    assert (made.status_code, again.status_code, again.json()) == (201, 201, paper)
    assert (found.status_code, found.json()) == (200, {"holds": [paper], "now_ms": NOW_MS})
    later = paper | {"until_ms": NOW_MS + 2 * TTL_MS, "extendable": False}
    assert (more.status_code, more.json()) == (200, later)
    assert (released.status_code, released.content, twice.status_code) == (204, b"", 204)
    assert (over.status_code, over.json()["code"], over.json()["state"]) == (410, "hold-over", "released")
    assert nothing.json()["holds"] == []
    answers = (made, again, found, more, released, over, twice, nothing)
    assert {one.headers["cache-control"] for one in answers} == {"no-store"}
    assert {one.headers["content-type"] for one in (made, found, more)} == {"application/json"}


def asked(
    json: Any = None, *, key: str | None = "k1", path: str = HOLDS, method: str = "POST", **more: Any
) -> Any:
    """Describe a request."""
    headers = {} if key is None else {"idempotency-key": key}
    return method, path, {"json": json, **more, "headers": headers | more.get("headers", {})}


ONE = {"seats": [3]}
BAD: dict[str, tuple[int, str, Any]] = {
    # Who and whose page
    "nobody": (401, "admission-missing", asked(ONE, headers={"buyer": None})),
    "another site": (403, "cross-site", asked(ONE, headers={"sec-fetch-site": "cross-site"})),
    "an old browser on another site": (403, "cross-site", asked(ONE, headers={"origin": "http://evil"})),
    # The key
    "no key": (400, "key-missing", asked(ONE, key=None)),
    "an empty key": (400, "key-malformed", asked(ONE, key="")),
    "a key of the shop's own kind": (400, "key-malformed", asked(ONE, key="waitlist:1")),
    "a key with a gap": (400, "key-malformed", asked(ONE, key="a b")),
    "a long key": (400, "key-malformed", asked(ONE, key="k" * 129)),
    "a key in half a quotation": (400, "key-malformed", asked(ONE, key='"k')),
    "a key that is known": (422, "key-reused", asked(ONE, key="known")),
    # The body
    "a form": (415, "content-type-unknown", asked(data={"seats": "3"})),
    "no kind": (415, "content-type-unknown", asked(content=b"{}", headers={"content-type": ""})),
    "no JSON": (400, "body-not-json", asked(content=b"{", headers={"content-type": "application/json"})),
    "no body": (400, "body-not-json", asked(content=b"", headers={"content-type": "application/json"})),
    "a list": (400, "body-not-object", asked([3])),
    "too long": (
        413,
        "body-too-large",
        asked(content=b" " * (BODY_MOST_BYTES + 1), headers={"content-type": "application/json"}),
    ),
    "no wish": (400, "hold-malformed", asked({})),
    "two wishes": (400, "hold-malformed", asked({"seats": [1], "best": {"count": 1}})),
    "no seats": (400, "hold-malformed", asked({"seats": []})),
    "a seat twice": (400, "hold-malformed", asked({"seats": [3, 3]})),
    "a seat that is a truth": (400, "hold-malformed", asked({"seats": [True]})),
    "best of none": (400, "hold-malformed", asked({"best": {"count": 0}})),
    "standing for many": (400, "hold-malformed", asked({"standing": {"section": 2, "count": 101}})),
    # What is to be had
    "another event": (404, "event-unknown", asked(ONE, path="/api/events/winter/holds")),
    "no event": (404, "event-unknown", asked(ONE, path="/api/events/Night!/holds")),
    "a taken seat": (409, "seats-taken", asked({"seats": [0, 3]})),
    "more than one may have": (409, "limit-reached", asked({"seats": [3, 4, 5, 6, 7]})),
    "more places than there are": (409, "too-few-left", asked({"standing": {"section": 2, "count": 3}})),
    "no block": (409, "no-such-block", asked({"best": {"count": 2, "tier": 7}})),
    "a seat outside": (422, "seats-unknown", asked({"seats": [3, 45]})),
    "a place to stand by name": (422, "seats-unknown", asked({"seats": [30]})),
    "standing where people sit": (422, "seats-unknown", asked({"standing": {"section": 0, "count": 1}})),
    "a wrong code": (422, "allocation-unknown", asked({"seats": [3], "code": "NOON"})),
    "a seat that the code does not open": (422, "seats-unknown", asked({"seats": [3], "code": CODE})),
    "another currency": (422, "currency-unknown", asked({"seats": [3], "currency": "CHF"})),
    # A hold
    "more time for nobody's hold": (404, "hold-unknown", asked(path=f"{HOLDS}/none/extend")),
    "more time for another's hold": (404, "hold-unknown", asked(path=f"{HOLDS}/BOBS/extend")),
    "more time for a lost hold": (410, "hold-over", asked(path=f"{HOLDS}/AAAAAAAAAAA/extend")),
    "more time from another site": (
        403,
        "cross-site",
        asked(path=f"{HOLDS}/BOBS/extend", headers={"origin": "http://evil"}),
    ),
    "more time by nobody": (401, "admission-missing", asked(path=f"{HOLDS}/BOBS/extend", headers={"buyer": None})),
    "another's hold given back": (404, "hold-unknown", asked(path=f"{HOLDS}/BOBS", method="DELETE")),
    "nobody's hold given back": (404, "hold-unknown", asked(path=f"{HOLDS}/mine", method="DELETE")),
    "a lost hold given back": (410, "hold-over", asked(path=f"{HOLDS}/AAAAAAAAAAA", method="DELETE")),
    "given back from another site": (
        403,
        "cross-site",
        asked(path=f"{HOLDS}/BOBS", method="DELETE", headers={"sec-fetch-site": "same-site"}),
    ),
    "given back by nobody": (
        401,
        "admission-missing",
        asked(path=f"{HOLDS}/BOBS", method="DELETE", headers={"buyer": None}),
    ),
    "nobody's holds": (401, "admission-missing", asked(path=f"{HOLDS}/mine", method="GET", headers={"buyer": None})),
    "holds of no event": (404, "event-unknown", asked(path="/api/events/winter/holds/mine", method="GET")),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
async def test_a_bad_input_has_its_own_answer(name: str, url: str, store_url: str) -> None:
    """A problem with a stable code for machines and a sentence for people; and nothing is held or given back."""
    status, code, (method, path, request) = BAD[name]
    async with office(url, store_url) as own, web(own) as client:
        bobs = await own.had("bob", 0)
        await own.had("ann", 1, key="known")
        await own.holds.mark(EVENT, "block", range(27, 45))
        before = await own.statuses()
        headers = {"buyer": "ann"} | request.pop("headers")
        client.headers.pop("buyer")
        answer = await client.request(
            method,
            path.replace("BOBS", bobs),
            headers={name: value for name, value in headers.items() if value is not None},
            **{name: value for name, value in request.items() if value is not None},
        )
        problem = answer.json()

        assert (answer.status_code, problem["code"], problem["status"]) == (status, code, status)
        assert answer.headers["content-type"] == "application/problem+json"
        assert problem["detail"].endswith((".", "?"))
        assert await own.statuses() == before
        assert own.metrics.refused._tallies[code].count == 1


async def test_a_refusal_carries_what_a_page_needs(url: str, store_url: str) -> None:
    """Which seats are gone, how many are left, how many one may have, when it opens, when it closed."""
    async with (
        office(url, store_url, sale_from_ms=NOW_MS, sale_until_ms=NOW_MS + 1000) as own,
        web(own) as client,
    ):

        async def refused(plain: dict[str, Any], key: str) -> dict[str, Any]:
            answer = await client.post(HOLDS, json=plain, headers={"idempotency-key": key})
            return {
                name: value
                for name, value in answer.json().items()
                if name not in {"type", "title", "detail"}
            }

        await own.had("bob", 0)
        await own.holds.mark(EVENT, "block", range(28, 45))
        taken = await refused({"seats": [0, 3]}, "a")
        few = await refused({"standing": {"section": 2, "count": 4}}, "b")
        limit = await refused({"best": {"count": 5}}, "c")
        unknown = await refused({"seats": [99]}, "d")
        malformed = await refused({"seats": [-1], "best": 1}, "e")
        currency = await refused({"seats": [3], "currency": "CHF"}, "f")
        own.clock.set(NOW_MS - 1)
        early = await refused({"seats": [3]}, "g")
        own.clock.set(NOW_MS + 1000)
        late = await refused({"seats": [3]}, "h")
        await own.catalogue.update_event(EVENT, {"state": "cancelled"})
        cancelled = await refused({"seats": [3]}, "i")

    assert taken == {"code": "seats-taken", "status": 409, "taken": [{"seat": 0, "status": int(Status.HELD)}]}
    assert few == {"code": "too-few-left", "status": 409, "left": 3}
    assert limit == {"code": "limit-reached", "status": 409, "has": 0, "max": MOST}
    assert unknown == {"code": "seats-unknown", "status": 422, "seats": [99]}
    assert len(malformed["faults"]) == 4
    assert currency == {"code": "currency-unknown", "status": 422, "currencies": ["EUR", "JPY"]}
    assert early == {"code": "sale-not-open", "status": 403, "opens_ms": NOW_MS}
    assert late == {"code": "sale-over", "status": 403, "closed_ms": NOW_MS + 1000}
    assert cancelled == {"code": "sale-cancelled", "status": 403}


async def test_what_is_away_for_a_moment_says_when_to_ask_again(url: str, store_url: str) -> None:
    """A paused sale, a map that is being put back, the same request on its way: each with Retry-After."""

    async def nothing(event: str) -> None:
        del event

    async with office(url, store_url) as own:
        own.holding = own.worker(rebuild=nothing)
        async with web(own) as client:
            twins = await asyncio.gather(*(client.post(HOLDS, json=ONE, headers=KEY) for _ in range(2)))
            await own.holds.sale(EVENT, is_open=False)
            paused = await client.post(HOLDS, json=ONE, headers={"idempotency-key": "k2"})
            await own.client.flushall()
            lost = await client.post(HOLDS, json=ONE, headers={"idempotency-key": "k3"})
        holds = Timed(connect("unix:///nowhere/store.sock"))
        holds.clock = own.clock
        own.holding = own.worker(places=OnePlace(replace(own.place, holds=holds)))
        async with web(own) as client:
            away = await client.post(HOLDS, json=ONE, headers=KEY)
        await holds.client.aclose()

    first, second = sorted(twins, key=lambda one: one.status_code)
    assert first.status_code == 201
    assert (second.status_code, second.json()["code"], second.headers["retry-after"]) == (
        409,
        "key-in-flight",
        "1",
    )
    assert (paused.status_code, paused.json()["code"]) == (503, "sale-paused")
    assert (lost.status_code, lost.json()["code"]) == (503, "map-rebuilding")
    assert (away.status_code, away.json()["code"]) == (503, "store-away")
    assert all(int(one.headers["retry-after"]) >= 1 for one in (paused, lost, away))
