"""Stock: a shop says what is left, with a token that lets it do nothing else."""

import pytest
from redis.asyncio import Redis

from kernel.clock import ManualClock
from tests.dashboards.desk import MAIN, app_of, client_of, program

SHOP = "a-shop-of-its-own-token"


async def test_a_shop_says_what_is_left_and_the_room_tells_it(store: Redis, clock: ManualClock) -> None:
    """The backend's token suffices; the room's document shows it, and who said so stands in its history."""
    app = app_of(store, clock, backend_token=SHOP)
    async with program(app) as api, client_of(app) as shop:
        await api.post("/api/rooms", json=MAIN)

        told = await shop.post(
            "/api/rooms/main/stock",
            json={"state": "last", "left": 12},
            headers={"authorization": f"Bearer {SHOP}", "waitroom-who": "shop"},
        )

        assert (told.status_code, told.json()) == (200, {"state": "last", "left": 12})
        room = (await api.get("/api/rooms/main")).json()
        assert (room["stock_state"], room["stock_left"]) == ("last", 12)
        assert (await api.get("/api/rooms/main/changes")).json()["changes"][0]["who"] == "shop"


async def test_saying_the_same_again_changes_nothing(store: Redis, clock: ManualClock) -> None:
    """A report each second must not fill the history."""
    async with program(app_of(store, clock)) as api:
        await api.post("/api/rooms", json=MAIN)
        for _ in range(3):
            assert (await api.post("/api/rooms/main/stock", json={"state": "soldout"})).status_code == 200

        assert (await api.get("/api/rooms/main")).json()["version"] == 2


async def test_a_backends_token_opens_nothing_else(store: Redis, clock: ManualClock) -> None:
    """It cannot read or change the room."""
    app = app_of(store, clock, backend_token=SHOP)
    async with program(app) as api, client_of(app) as shop:
        await api.post("/api/rooms", json=MAIN)
        bearer = {"authorization": f"Bearer {SHOP}"}

        assert (await shop.get("/api/rooms/main", headers=bearer)).status_code == 401
        assert (await shop.patch("/api/rooms/main", json={"paused": True}, headers=bearer)).status_code == 401


@pytest.mark.parametrize(
    ("token", "sent", "status", "code"),
    [
        ("", b"{}", 401, "token-missing"),
        ("not-the-right-token", b"{}", 401, "token-invalid"),
        (SHOP, b"", 400, "body-not-json"),
        (SHOP, b"[]", 400, "body-not-object"),
        (SHOP, b"{}", 422, "stock-malformed"),
        (SHOP, b'{"paused": true}', 422, "stock-malformed"),
        (SHOP, b'{"state": "gone"}', 422, "settings-invalid"),
        (SHOP, b'{"left": -1}', 422, "settings-invalid"),
        (SHOP, b'{"left": 1.5}', 422, "settings-invalid"),
        (SHOP, b'{"left": true}', 422, "settings-invalid"),
    ],
)
async def test_bad_reports_are_refused_and_change_nothing(
    store: Redis, clock: ManualClock, token: str, sent: bytes, status: int, code: str
) -> None:
    """Each with a code, and the room stays as it was."""
    app = app_of(store, clock, backend_token=SHOP)
    async with program(app) as api, client_of(app) as shop:
        await api.post("/api/rooms", json=MAIN)
        headers = {"content-type": "application/json"} | (
            {"authorization": f"Bearer {token}"} if token else {}
        )

        answer = await shop.post("/api/rooms/main/stock", content=sent, headers=headers)

        assert (answer.status_code, answer.json()["code"]) == (status, code)
        assert (await api.get("/api/rooms/main")).json()["version"] == 1


async def test_a_room_that_is_not_there_is_told(store: Redis, clock: ManualClock) -> None:
    """404, and nothing is made."""
    async with program(app_of(store, clock)) as api:
        answer = await api.post("/api/rooms/nowhere/stock", json={"left": 1})

        assert (answer.status_code, answer.json()["code"]) == (404, "room-unknown")


async def test_what_is_only_equal_to_what_is_known_is_refused_all_the_same(
    store: Redis, clock: ManualClock
) -> None:
    """To Python ``false`` and 0.0 are 0; here they are faults whatever is known."""
    async with program(app_of(store, clock)) as api:
        await api.post("/api/rooms", json=MAIN | {"stock_left": 0})
        for value in (False, 0.0):
            answer = await api.post("/api/rooms/main/stock", json={"left": value})
            assert (answer.status_code, answer.json()["code"]) == (422, "settings-invalid")
        assert (await api.post("/api/rooms/main/stock", json={"left": 0})).status_code == 200
        assert (await api.get("/api/rooms/main")).json()["version"] == 1
