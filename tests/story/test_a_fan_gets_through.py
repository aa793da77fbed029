"""Read this first: what Waitroom does, told by fans and an operator. Everything in it is real.

A site with a room before it. A fan comes, waits, is called, goes in, and is done; the next one follows.
"""

from pathlib import Path

import pytest
from redis.asyncio import Redis

from tests.story.house import PAGE, ROOM, scene

HOLDS = "/api/events/northern-lights/holds"


async def test_a_fan_joins_is_called_claims_and_reserves_seats(
    store: Redis, store_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From the first click to the shop: page, place, turn, admission, and the address they wanted."""
    async with scene(store_url, tmp_path, monkeypatch) as here, here.fan() as fan:
        page = await fan.get("/events", headers=PAGE)
        assert "Waiting room" in page.text
        assert "no-store" in page.headers["cache-control"]

        place = (await fan.post(ROOM + "/join", json={})).json()
        assert place["number"] == 0

        turn = await here.until_called(fan, "/api/events")
        assert turn.json()["outcome"] == "admitted"
        assert turn.json()["go"] == "/api/events"

        shop = await fan.get("/api/events")
        assert shop.status_code == 200
        assert "waitroom" not in shop.text
        held = (await fan.post(HOLDS, json={"seats": [10, 11]}, headers={"idempotency-key": "two"})).json()
        assert [seat["seat"] for seat in held["seats"]] == [10, 11]
        reserved = await fan.post(f"{HOLDS}/{held['hold']}/reserve")
        assert reserved.json()["state"] == "active"
    await store.aclose()


async def test_a_full_site_lets_the_next_one_in_when_somebody_is_done(
    store: Redis, store_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One place inside: the second fan waits until the shop says that the first is done."""
    async with (
        scene(store_url, tmp_path, monkeypatch, total_active_users=1, new_users_per_minute=6000) as here,
        here.fan() as first,
        here.fan() as second,
    ):
        await first.post(ROOM + "/join", json={})
        await second.post(ROOM + "/join", json={})
        assert (await here.until_called(first)).status_code == 200

        early = await second.post(ROOM + "/claim", json={"target": "/"})
        assert early.status_code == 202
        assert early.json()["outcome"] in {"waiting", "next"}

        done = await first.post("/finish")
        assert "cf-waiting-room-command" not in done.headers
        assert (await here.until_called(second)).status_code == 200
        again = await first.get("/", headers=PAGE)
        assert "Waiting room" in again.text
    await store.aclose()


async def test_a_pause_lets_nobody_in_and_costs_nobody_the_turn(
    store: Redis, store_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The operator stops; who was called waits; then it goes on. Those inside stay inside."""
    async with (
        scene(store_url, tmp_path, monkeypatch, new_users_per_minute=6000) as here,
        here.fan() as inside,
        here.fan() as outside,
    ):
        await inside.post(ROOM + "/join", json={})
        await here.until_called(inside)
        tag = (await here.desk.get("/api/rooms/main")).headers["etag"]
        answer = await here.desk.patch("/api/rooms/main", json={"paused": True}, headers={"if-match": tag})
        assert answer.status_code == 200
        await _until(lambda: here.gate._parts.waitroom.reading("main").room.paused)

        await outside.post(ROOM + "/join", json={})
        held = await outside.post(ROOM + "/claim", json={"target": "/"})
        assert held.status_code == 202
        assert (await inside.get("/api/events")).status_code == 200
        stale = await here.desk.patch("/api/rooms/main", json={"paused": False}, headers={"if-match": tag})
        assert stale.status_code == 412

        tag = answer.headers["etag"]
        await here.desk.patch("/api/rooms/main", json={"paused": False}, headers={"if-match": tag})
        assert (await here.until_called(outside)).status_code == 200
    await store.aclose()


async def test_a_fan_passes_while_the_store_is_away_and_a_newcomer_is_told_to_try_again(
    store: Redis, store_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A valid session needs no store; a join needs one and says so; nothing 500s."""
    from kernel.store import connect

    async with (
        scene(store_url, tmp_path, monkeypatch) as here,
        here.fan() as inside,
        here.fan() as newcomer,
    ):
        await inside.post(ROOM + "/join", json={})
        await here.until_called(inside)
        away = connect("unix:///nowhere.sock")
        waitroom, doors = here.gate._parts.waitroom, here.gate._parts.doors
        monkeypatch.setattr(waitroom.store, "_client", away)
        monkeypatch.setattr(doors, "_client", away)

        assert (await inside.get("/api/events")).status_code == 200
        refused = await newcomer.post(ROOM + "/join", json={})
        assert (refused.status_code, refused.json()["code"]) == (503, "store-away")
        assert (await newcomer.get(ROOM + "/status")).status_code == 200
        assert (await newcomer.get("/", headers=PAGE)).status_code == 200
    await store.aclose()


async def test_a_bypass_opens_the_site_for_everybody_also_behind_a_guard(
    store: Redis, store_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The operator opens the gate: people without any admission reach the shop, and it tells them apart."""
    async with (
        scene(store_url, tmp_path, monkeypatch, bypass=True) as here,
        here.fan() as anybody,
        here.fan() as another,
    ):
        for fan in (anybody, another):
            answer = await fan.get("/", headers=PAGE)
            assert answer.status_code == 200
            assert "waitroom" not in answer.headers["set-cookie"]
        held = await anybody.post(HOLDS, json={"seats": [10]}, headers={"idempotency-key": "one"})
        own, others = [(await fan.get(f"{HOLDS}/mine")).json()["holds"] for fan in (anybody, another)]

        assert held.status_code == 201
        assert (len(own), others) == (1, [])
    await store.aclose()


async def test_each_role_answers_its_own_addresses_only(
    store: Redis, store_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Roles scale apart: the public port knows no operator's address, the operator's port no fan's."""
    async with scene(store_url, tmp_path, monkeypatch) as here, here.fan() as fan:
        assert (await fan.post("/api/rooms/main/sessions/x/finish")).status_code == 429
        assert (await here.desk.post("/.waitroom/r/main/join")).status_code == 404
        assert (await here.desk.get("/api/rooms")).status_code == 200
        assert (await fan.get("/metrics")).status_code == 429
        assert (await here.desk.get("/metrics")).status_code == 200
    await store.aclose()


async def _until(is_so: object) -> None:
    import asyncio

    async with asyncio.timeout(5):
        while not is_so():  # type: ignore[operator]  # noqa: ASYNC110 - a beat tells nobody
            await asyncio.sleep(0.05)
