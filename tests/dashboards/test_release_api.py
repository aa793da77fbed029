"""Release: an operator lets go of the key of a place, by the number that its fan reads out."""

from typing import Any

import pytest
from redis.asyncio import Redis

from kernel.clock import ManualClock
from kernel.errors import Refused
from tests.dashboards.desk import MAIN, app_of, client_of, program

BACKEND = "a-shop-of-its-own-token"


class Places:
    """Forty-two places; remembers whose key was let go."""

    def __init__(self) -> None:
        self.released: list[tuple[str, int, str, str]] = []

    async def let_go(self, room: str, number: int, who: str, why: str) -> str:
        """Let go."""
        if number >= 42:
            raise Refused("place-unknown", "There is no such place in the present line.", status=404)
        self.released.append((room, number, who, why))
        return "00ff"


async def test_the_number_on_the_fans_page_is_released(store: Redis, clock: ManualClock) -> None:
    """Counted from 1, as fans read it; who and why come along."""
    places = Places()
    async with program(app_of(store, clock, let_go=places.let_go)) as api:
        await api.post("/api/rooms", json=MAIN)
        told = await api.post(
            "/api/rooms/main/release",
            json={"arrived": 42},
            headers={"waitroom-who": "mia", "waitroom-why": "called%20us"},
        )

    assert (told.status_code, told.json()) == (
        200,
        {"room": "main", "run": "00ff", "number": 41, "arrived": 42},
    )
    assert places.released == [("main", 41, "mia", "called us")]


@pytest.mark.parametrize(
    ("token", "sent", "status", "code"),
    [
        ("", b'{"arrived": 1}', 401, "token-missing"),
        (BACKEND, b'{"arrived": 1}', 401, "token-invalid"),
        (None, b"", 400, "body-not-json"),
        (None, b"[]", 400, "body-not-object"),
        (None, b"{}", 422, "release-malformed"),
        (None, b'{"arrived": 0}', 422, "release-malformed"),
        (None, b'{"arrived": -1}', 422, "release-malformed"),
        (None, b'{"arrived": 1.0}', 422, "release-malformed"),
        (None, b'{"arrived": true}', 422, "release-malformed"),
        (None, b'{"arrived": "1"}', 422, "release-malformed"),
        (None, b'{"arrived": 1, "room": "side"}', 422, "release-malformed"),
        (None, b'{"arrived": 9999999999999999}', 422, "release-malformed"),
        (None, b'{"arrived": 43}', 404, "place-unknown"),
    ],
)
async def test_bad_releases_are_refused(
    store: Redis, clock: ManualClock, token: str | None, sent: bytes, status: int, code: str
) -> None:
    """Each with a code, and no key is let go; a shop's token may not do it."""
    places = Places()
    app = app_of(store, clock, let_go=places.let_go, backend_token=BACKEND)
    async with program(app) as api, client_of(app) as stranger:
        await api.post("/api/rooms", json=MAIN)
        headers: dict[str, Any] = {"content-type": "application/json"}
        if token:
            headers["authorization"] = f"Bearer {token}"
        by = api if token is None else stranger
        answer = await by.post("/api/rooms/main/release", content=sent, headers=headers)

    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert places.released == []


async def test_unknown_rooms_and_houses_without_binding_say_so(store: Redis, clock: ManualClock) -> None:
    """404 for both."""
    async with program(app_of(store, clock, let_go=Places().let_go)) as api:
        unknown = await api.post("/api/rooms/nowhere/release", json={"arrived": 1})
    async with program(app_of(store, clock)) as api:
        await api.post("/api/rooms", json=MAIN)
        without = await api.post("/api/rooms/main/release", json={"arrived": 1})

    assert (unknown.status_code, unknown.json()["code"]) == (404, "room-unknown")
    assert without.status_code == 404
