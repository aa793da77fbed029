"""Guests: while the door stands open for all, each browser is a buyer of its own."""

import re
from typing import Any

import httpx

from admission.service import STAND_IN_SID
from admission.tokens import Claims
from gateway.shop_guests import NAME, Guests

NOW_MS = 1_800_000_000_000


def claims(sid: str) -> Claims:
    """Give what a guard found."""
    return Claims("waitroom", "http://shop", sid, "main", "", "standard", NOW_MS, NOW_MS, NOW_MS + 60_000)


def client(
    sid: str | None, *, secure: bool = False, cache: str = "no-store", named: bool = True
) -> httpx.AsyncClient:
    """Give a browser before guests before an application that says who asks."""

    async def tells(scope: Any, _receive: Any, send: Any) -> None:
        found = scope.get("waitroom")
        headers = [(b"content-type", b"text/plain"), (b"cache-control", cache.encode())]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": (found.sid if found else "nobody").encode()})

    guests = Guests(tells, secure=secure) if named else tells

    async def guarded(scope: Any, receive: Any, send: Any) -> None:
        await guests({**scope, "waitroom": claims(sid)} if sid else scope, receive, send)

    return httpx.AsyncClient(transport=httpx.ASGITransport(guarded), base_url="https://shop.test")


async def test_a_guest_stays_the_same_and_another_is_another() -> None:
    """By a cookie that scripts cannot read."""
    async with client(STAND_IN_SID) as one, client(STAND_IN_SID) as other:
        first, again, stranger = await one.get("/"), await one.get("/"), await other.get("/")

    assert first.text.startswith("guest-")
    assert again.text == first.text != stranger.text
    assert "HttpOnly" in first.headers["set-cookie"]
    assert "SameSite=Lax" in first.headers["set-cookie"]
    assert "set-cookie" not in again.headers


async def test_whoever_has_an_admission_or_none_is_left_alone() -> None:
    """No cookie for them, and their own name."""
    async with client("a-session") as admitted, client(None) as nobody:
        answers = [await admitted.get("/"), await nobody.get("/")]

    assert [answer.text for answer in answers] == ["a-session", "nobody"]
    assert all("set-cookie" not in answer.headers for answer in answers)


async def test_a_guest_cannot_name_anybody_else() -> None:
    """What is not a cookie of ours is replaced; and no guest's name is that of a session."""
    for forged in ("a-session", "guest-x", "x" * 23, "'; drop table", ""):
        async with client(STAND_IN_SID) as fan:
            answer = await fan.get("/", headers={"cookie": f"{NAME}={forged}"})
        assert re.fullmatch(r"guest-[A-Za-z0-9_-]{22}", answer.text)


async def test_what_every_cache_may_keep_carries_no_name() -> None:
    """A shared cache would hand one guest's name to all."""
    async with client(STAND_IN_SID, cache="public, max-age=31536000, immutable") as fan:
        assert "set-cookie" not in (await fan.get("/static/x")).headers


async def test_over_tls_the_cookie_is_for_this_host_and_tls_only() -> None:
    """No other host below the same domain can set it."""
    async with client(STAND_IN_SID, secure=True) as fan:
        first, again = await fan.get("/"), await fan.get("/")

    assert first.headers["set-cookie"].startswith(f"__Host-{NAME}=")
    assert "Secure" in first.headers["set-cookie"]
    assert first.text == again.text


async def test_without_guests_everybody_is_one_buyer() -> None:
    """Mutant: the stand-in's name taken for a buyer's gives one cart to all."""
    names = set()
    for _ in range(2):
        async with client(STAND_IN_SID, named=False) as fan:
            names.add((await fan.get("/")).text)

    assert names == {STAND_IN_SID}
