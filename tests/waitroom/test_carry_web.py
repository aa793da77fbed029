"""Carry my place: the addresses by which a place moves to another device, and every kind of bad request to them."""

import json
import logging
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from redis.asyncio import Redis

from kernel.clock import ManualClock
from kernel.store import connect
from tests.waitroom.house import ROOM, House
from tests.waitroom.test_web import BASE, site
from waitroom import carry as rules
from waitroom import carry_web
from waitroom.schedule import Phase
from waitroom.web import LineWeb

CODE = "A" * 22
KEY = {"idempotency-key": "k" * 20}


def phone(browser: httpx.AsyncClient) -> httpx.AsyncClient:
    """Give a second browser before the same house."""
    return httpx.AsyncClient(transport=browser._transport, base_url="http://room.test")


def outcomes(here: House) -> dict[str, float]:
    """Return what was counted, by outcome."""
    (family,) = here.waitroom.metrics.carries.collect()
    return {one.labels["outcome"]: one.value for one in family.samples if one.name.endswith("_total")}


async def test_a_place_moves_to_another_device_once(store: Redis, clock: ManualClock, tmp_path: Path) -> None:
    """The new device has the very ticket; the old one is told; a third comes too late."""
    async with site(store, clock, tmp_path) as (here, old):
        mine = (await old.post(BASE + "/join", json={})).json()
        sent = (await old.post(BASE + "/carry", json={"target": "/shop?a=1&b=ü"})).json()
        before = (await old.get(f"{BASE}/carry/{sent['watch']}")).json()
        async with phone(old) as new, phone(old) as late:
            taken = await new.post(BASE + "/carry/take", json={"code": sent["code"]})
            place = (await new.get(BASE + "/ticket")).json()
            refused = await late.post(BASE + "/carry/take", json={"code": sent["code"]})
        after = (await old.get(f"{BASE}/carry/{sent['watch']}")).json()
        counted = outcomes(here)

    assert taken.json() == mine
    assert "HttpOnly" in taken.headers["set-cookie"]
    assert place["number"] == mine["number"]
    assert (refused.status_code, refused.json()["code"]) == (409, "carry-taken")
    assert (before, after) == ({"state": "open"}, {"state": "taken"})
    assert counted == {"sent": 1, "handed": 1, "taken": 1}


async def test_the_link_keeps_its_code_behind_the_number_sign(
    store: Redis, clock: ManualClock, tmp_path: Path
) -> None:
    """What follows it is sent to no server; the rest leads to the room's page with the target."""
    async with site(store, clock, tmp_path) as (_, browser):
        await browser.post(BASE + "/join", json={})
        plain = (await browser.post(BASE + "/carry", json={"target": "/shop?a=1&b=2"})).json()
        headers = {"origin": "https://tickets.test", "sec-fetch-site": "same-origin"}
        behind = (await browser.post(BASE + "/carry", json={}, headers=headers)).json()
        answer = await browser.post(BASE + "/carry")
        server_ms = (await store.time())[0] * 1000

    link = urlsplit(plain["url"])
    assert (link.scheme, link.netloc, link.path) == ("http", "room.test", BASE)
    assert parse_qs(link.query) == {"target": ["/shop?a=1&b=2"]}
    assert link.fragment == f"carry={plain['code']}"
    assert 290_000 < plain["expires_ms"] - server_ms < 301_000
    assert behind["url"].startswith(f"https://tickets.test{BASE}#carry=")
    assert plain["code"] not in plain["watch"]
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert answer.headers["cache-control"] == "no-store"
    assert not [name for name in answer.headers if name.startswith("access-control")]


async def test_a_lost_answer_loses_no_place(store: Redis, clock: ManualClock, tmp_path: Path) -> None:
    """The same taker gets the same ticket again; another one with the same code does not."""
    async with site(store, clock, tmp_path) as (_, old):
        mine = (await old.post(BASE + "/join", json={})).json()
        code = {"code": (await old.post(BASE + "/carry", json={})).json()["code"]}
        async with phone(old) as new:
            first = await new.post(BASE + "/carry/take", json=code, headers=KEY)
            again = await new.post(BASE + "/carry/take", json=code, headers=KEY)
            other = await new.post(BASE + "/carry/take", json=code, headers={"idempotency-key": "x" * 20})

    assert first.json() == again.json() == mine
    assert other.status_code == 409


async def test_a_code_is_good_for_five_minutes_and_for_one_run(
    store: Redis, clock: ManualClock, tmp_path: Path
) -> None:
    """Too late, or of a line that is over: gone, in words that say where the place still is."""
    async with site(store, clock, tmp_path) as (here, old):
        ticket = (await old.post(BASE + "/join", json={})).json()
        first = (await old.post(BASE + "/carry", json={})).json()
        await store.hset(f"wr:{{{ROOM}}}:carry:{first['watch']}", "until_ms", 1)  # type: ignore[misc]
        late = await old.post(BASE + "/carry/take", json={"code": first["code"]})
        state = (await old.get(f"{BASE}/carry/{first['watch']}")).json()
        second = (await old.post(BASE + "/carry", json={})).json()
        await here.waitroom.store.open(ROOM, ticket["run"], "f" * 16, "always", Phase.SERVING, "", "test")
        over = await old.post(BASE + "/carry/take", json={"code": second["code"]})
        again = await old.post(BASE + "/carry", json={})

    assert (late.status_code, late.json()["code"], state) == (410, "carry-gone", {"state": "gone"})
    assert "safe" in late.json()["detail"]
    assert (over.status_code, over.json()["code"]) == (410, "carry-gone")
    assert (again.status_code, again.json()["code"]) == (410, "run-over")


async def test_the_code_stands_in_no_log_and_no_key(
    store: Redis, clock: ManualClock, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Neither does the ticket: what the store keeps cannot be opened without the code."""
    caplog.set_level(logging.DEBUG)
    async with site(store, clock, tmp_path) as (_, browser):
        ticket = (await browser.post(BASE + "/join", json={})).json()["ticket"]
        code = (await browser.post(BASE + "/carry", json={})).json()["code"]
        kept = b""
        for key in await store.keys("*carry*"):
            kept += key + b"".join(sum((await store.hgetall(key)).items(), ()))  # type: ignore[misc]
        await browser.post(BASE + "/carry/take", json={"code": code})
        await browser.post(BASE + "/carry/take", json={"code": code})
        await browser.post(BASE + "/carry/take", json={"code": code[:-1]})

    assert b"carry" in kept
    assert code.encode() not in kept
    assert ticket.encode() not in kept
    logged = "".join(
        record.getMessage() + json.dumps(record.__dict__, default=str) for record in caplog.records
    )
    assert code[:-1] not in logged


async def test_one_address_cannot_fill_the_store_with_parcels(
    store: Redis, clock: ManualClock, tmp_path: Path
) -> None:
    """429 with Retry-After after a burst; joins have a bucket of their own."""
    async with site(store, clock, tmp_path) as (here, browser):
        await browser.post(BASE + "/join", json={})
        codes = [
            (await browser.post(BASE + "/carry/take", json={"code": CODE})).status_code
            for _ in range(carry_web.BURST + 1)
        ]
        slowed = await browser.post(BASE + "/carry", json={})
        join = await browser.post(BASE + "/join", json={"again": True})
        counted = outcomes(here)

    assert codes == [410] * carry_web.BURST + [429]
    assert slowed.json()["code"] == "too-many-carries"
    assert int(slowed.headers["retry-after"]) >= 1
    assert join.status_code == 200
    assert counted == {"gone": carry_web.BURST, "slowed": 2}


async def test_with_the_store_gone_a_place_stays_where_it_is(
    store: Redis, clock: ManualClock, tmp_path: Path
) -> None:
    """503 with Retry-After, on each of the three."""
    async with site(store, clock, tmp_path) as (here, browser):
        await browser.post(BASE + "/join", json={})
        here.waitroom.store._client = connect("unix:///nowhere.sock")
        answers = [
            await browser.post(BASE + "/carry", json={}),
            await browser.post(BASE + "/carry/take", json={"code": CODE}),
            await browser.get(f"{BASE}/carry/{'a' * 32}"),
        ]

    assert [answer.json()["code"] for answer in answers] == ["store-away"] * 3


JSON = {"content-type": "application/json"}
TAKE = BASE + "/carry/take"
BAD = [
    ("POST", "/.waitroom/r/nowhere/carry", JSON, "{}", 404, "room-unknown"),
    ("POST", "/.waitroom/r/nowhere/carry/take", JSON, f'{{"code":"{CODE}"}}', 404, "room-unknown"),
    ("GET", f"/.waitroom/r/nowhere/carry/{'a' * 32}", {}, None, 404, "room-unknown"),
    ("POST", BASE + "/carry", JSON, "{}", 401, "ticket-missing"),
    ("POST", BASE + "/carry", JSON | {"waitroom-ticket": "garbage"}, "{}", 403, "ticket-invalid"),
    ("POST", BASE + "/carry", JSON | {"sec-fetch-site": "cross-site"}, "{}", 403, "cross-site"),
    ("POST", BASE + "/carry", JSON | {"origin": "https://evil.test"}, "{}", 403, "cross-site"),
    ("POST", BASE + "/carry", {"content-type": "text/plain"}, "{}", 415, "content-type-unknown"),
    (
        "POST", BASE + "/carry", {"content-type": "application/x-www-form-urlencoded"}, "a=b", 415,
        "content-type-unknown",
    ),
    ("POST", BASE + "/carry", JSON, "[" * 2000, 400, "body-malformed"),
    ("POST", BASE + "/carry", JSON, "[]", 400, "body-malformed"),
    ("POST", BASE + "/carry", JSON, "x" * 5000, 413, "body-too-large"),
    ("POST", BASE + "/carry/steal", JSON, "{}", 404, "address-unknown"),
    ("POST", BASE + "/carry/carry", JSON, "{}", 404, "address-unknown"),
    ("POST", TAKE + "/", JSON, "{}", 404, "address-unknown"),
    ("POST", TAKE, JSON, "", 400, "carry-code-malformed"),
    ("POST", TAKE, JSON, "null", 400, "body-malformed"),
    ("POST", TAKE, JSON, '{"code":null}', 400, "carry-code-malformed"),
    ("POST", TAKE, JSON, '{"code":["A"]}', 400, "carry-code-malformed"),
    ("POST", TAKE, JSON, f'{{"code":"{"A" * 21}"}}', 400, "carry-code-malformed"),
    ("POST", TAKE, JSON, f'{{"code":"{"A" * 23}"}}', 400, "carry-code-malformed"),
    ("POST", TAKE, JSON, f'{{"code":"{"A" * 21}B"}}', 400, "carry-code-malformed"),
    ("POST", TAKE, JSON, f'{{"code":"{"é" * 22}"}}', 400, "carry-code-malformed"),
    ("POST", TAKE, JSON, f'{{"code":"{"A" * 20}+/"}}', 400, "carry-code-malformed"),
    ("POST", TAKE, JSON, f'{{"code":"{CODE}"}}', 410, "carry-gone"),
    ("POST", TAKE, JSON | {"sec-fetch-site": "same-site"}, f'{{"code":"{CODE}"}}', 403, "cross-site"),
    ("POST", TAKE, JSON | {"idempotency-key": "short"}, f'{{"code":"{CODE}"}}', 400, "idempotency-key-malformed"),
    ("GET", BASE + "/carry", {}, None, 404, "address-unknown"),
    ("GET", f"{BASE}/carry/{CODE}", {}, None, 404, "address-unknown"),
    ("GET", f"{BASE}/carry/{'A' * 32}", {}, None, 404, "address-unknown"),
    ("GET", f"{BASE}/carry/{'a' * 32}/x", {}, None, 404, "address-unknown"),
    ("GET", f"{BASE}/carry/{'a' * 32}", {"sec-fetch-site": "cross-site"}, None, 403, "cross-site"),
    ("PUT", BASE + "/carry", JSON, "{}", 405, "method-not-allowed"),
]  # fmt: skip


@pytest.mark.parametrize(("method", "path", "headers", "body", "code", "word"), BAD)
async def test_bad_requests_get_a_clear_answer_and_move_nothing(
    store: Redis, clock: ManualClock, tmp_path: Path, method: str, path: str, headers: dict[str, str],
    body: str | None, code: int, word: str,
) -> None:  # fmt: skip
    """Each has its status, its word and a sentence; no cookie, no parcel."""
    async with site(store, clock, tmp_path) as (_, browser):
        answer = await browser.request(method, path, headers=headers, content=body)

        assert (answer.status_code, answer.json()["code"]) == (code, word)
        assert answer.json()["detail"].endswith(".")
        assert "set-cookie" not in answer.headers
        assert await store.keys("*carry*") == []


async def test_without_the_seal_the_store_could_read_the_place(
    store: Redis, clock: ManualClock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The mutant: what is kept is the ticket itself, and the check above finds it there."""
    monkeypatch.setattr(rules, "sealed", lambda _, text: text)
    async with site(store, clock, tmp_path) as (_, browser):
        ticket = (await browser.post(BASE + "/join", json={})).json()["ticket"]
        watch = (await browser.post(BASE + "/carry", json={})).json()["watch"]
        kept = await store.hgetall(f"wr:{{{ROOM}}}:carry:{watch}")  # type: ignore[misc]

    assert kept[b"sealed"] == ticket.encode()


async def test_without_its_guards_another_site_could_plant_a_place(
    store: Redis, clock: ManualClock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The mutant: a stranger's page makes a visitor take the stranger's place."""
    monkeypatch.setattr(LineWeb, "same_site", lambda *_: None)
    async with site(store, clock, tmp_path) as (_, browser):
        await browser.post(BASE + "/join", json={})
        code = (await browser.post(BASE + "/carry", json={})).json()["code"]
        async with phone(browser) as victim:
            taken = await victim.post(
                BASE + "/carry/take", json={"code": code}, headers={"origin": "https://evil.test"}
            )

    assert taken.status_code == 200
    assert "set-cookie" in taken.headers


async def test_without_the_bucket_one_address_could_go_on(
    store: Redis, clock: ManualClock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The mutant: no 429 however often it asks."""
    monkeypatch.setattr(carry_web.CarryWeb, "_take_step", lambda *_: None)
    async with site(store, clock, tmp_path) as (_, browser):
        codes = {
            (await browser.post(BASE + "/carry/take", json={"code": CODE})).status_code
            for _ in range(2 * carry_web.BURST)
        }

    assert codes == {410}
