"""Web: what a claim, a leaving and a backend's act look like over HTTP."""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

import httpx
import pytest
from redis.asyncio import Redis

from admission.limits import CookieAttributes
from admission.tokens import Claims
from admission.web import DoorWeb, SessionsWeb
from kernel.asgi import Receive, Scope, Send, respond
from kernel.clock import SystemClock
from kernel.problems import raw_problem
from tests.admission.doors import LIMITS, LINE, ROOM, a_line, write_line
from tests.admission.house import House, house

SITE = "https://shop.example"
OPERATOR, BACKEND = "operator-token-0123456789", "backend-token-0123456789"
PLAIN = replace(LIMITS, new_users_per_minute=6_000, total_active_users=1_000)


def client(own: House) -> httpx.AsyncClient:
    """Reach the public handlers at their addresses and the operator's at theirs."""
    door = DoorWeb(own.admission)
    acts = SessionsWeb(own.admission, lambda: [OPERATOR, None, BACKEND])

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        parts = scope["path"].removeprefix("/.waitroom/").split("/")
        try:
            if parts[0] == "r":
                handler: Callable[..., Awaitable[None]] = door.routes[scope["method"], parts[2]]
                await handler(scope, receive, send, parts[1])
            elif parts[0] == "jwks.json":
                await door.plain["GET", "jwks.json"](scope, receive, send, "")
            else:
                await acts.act(scope, receive, send, scope["path"].split("/")[3::2][:1] + parts[-2:])
        except Exception as error:  # noqa: BLE001 (the front does the same)
            status, headers, body = raw_problem(error)
            await respond(send, status, headers, body)

    return httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url=SITE)


async def a_house(store: Redis, **changes: Any) -> House:
    """Begin with a line in which everybody is called, on the real clock."""
    await a_line(store)
    return house(store, SystemClock(), replace(PLAIN, **changes))


CLAIM = f"/.waitroom/r/{ROOM}/claim"
LEAVE = f"/.waitroom/r/{ROOM}/leave"
TICKET = {"waitroom-ticket": "3"}


async def test_a_script_claims_and_gets_the_admission_as_json_and_cookie(store: Redis) -> None:
    """The cookie is for the browser, the token for apps."""
    own = await a_house(store)
    async with client(own) as web:
        answer = await web.post(CLAIM, json={"target": "/shop?x=1"}, headers=TICKET)

    body = answer.json()
    assert answer.status_code == 200
    assert (body["outcome"], body["go"]) == ("admitted", "/shop?x=1")
    assert isinstance(own.admission.verify(ROOM, body["admission"]), Claims)
    cookie = answer.headers["set-cookie"]
    assert cookie.startswith(f"waitroom-admission-{ROOM}={body['admission']}; Path=/; SameSite=Lax; Max-Age=")
    assert cookie.endswith("HttpOnly")
    assert answer.headers["cache-control"] == "no-store"


async def test_a_form_claims_and_is_sent_on(store: Redis) -> None:
    """Without JavaScript: 303 to the target, the cookie set."""
    own = await a_house(store)
    async with client(own) as web:
        answer = await web.post(CLAIM, data={"target": "/shop"}, headers=TICKET)

    assert (answer.status_code, answer.headers["location"]) == (303, "/shop")
    assert f"waitroom-admission-{ROOM}=" in answer.headers["set-cookie"]


async def test_a_form_that_must_wait_goes_back_to_its_ticket_with_the_target(store: Redis) -> None:
    """The view there refreshes by itself."""
    own = await a_house(store, paused=True)
    async with client(own) as web:
        answer = await web.post(CLAIM, data={"target": "/shop?a=1&b=2"}, headers=TICKET)

    assert answer.status_code == 303
    assert answer.headers["location"] == f"/.waitroom/r/{ROOM}/ticket?target=/shop%3Fa%3D1%26b%3D2"


async def test_a_script_that_must_wait_is_told_how_long(store: Redis) -> None:
    """202 with the word, and Retry-After in whole seconds."""
    own = await a_house(store, total_active_users=1)
    async with client(own) as web:
        await web.post(CLAIM, headers={"waitroom-ticket": "0"})
        over = await web.post(CLAIM, headers=TICKET)
        own.rooms.now = replace(own.rooms.now, paused=True)
        paused = await web.post(CLAIM, headers=TICKET)
        await write_line(store, replace(LINE, serving={"verified": 0, "standard": 0, "suspect": 0}))
        waiting = await web.post(CLAIM, headers={"waitroom-ticket": "5"})

    assert (over.status_code, over.json()) == (
        202, {"outcome": "next", "retry_after_ms": 1_000, "ahead_of_you": 0},
    )  # fmt: skip
    assert over.headers["retry-after"] == "1"
    assert (paused.status_code, paused.json()) == (202, {"outcome": "paused", "retry_after_ms": 10_000})
    assert (waiting.status_code, waiting.json()) == (
        202,
        {"outcome": "waiting", "ahead": 5, "poll_ms": 2_000},
    )


@pytest.mark.parametrize(
    ("secure", "cookie", "status"),
    [
        (False, f"waitroom-ticket-{ROOM}-x=3", 200),
        (True, f"__Host-waitroom-ticket-{ROOM}-x=3; a=b", 200),
        (True, f"waitroom-ticket-{ROOM}-x=3", 401),
        (False, f"waitroom-ticket-{ROOM}=3", 401),
        (False, "", 401),
    ],
)
async def test_a_browser_brings_its_ticket_as_a_cookie(
    store: Redis, secure: bool, cookie: str, status: int
) -> None:
    """With TLS only the one that no neighbour can plant; the room's suffix belongs to its name."""
    own = await a_house(store, cookie=CookieAttributes(secure=secure, suffix="-x"))
    async with client(own) as web:
        answer = await web.post(CLAIM, headers={"cookie": cookie} if cookie else {})

    assert answer.status_code == status
    if status == 200:
        name = answer.headers["set-cookie"].partition("=")[0]
        assert name == ("__Host-" if secure else "") + f"waitroom-admission-{ROOM}"


@pytest.mark.parametrize(
    ("request_", "status", "code"),
    [
        ({"headers": {}}, 401, "ticket-missing"),
        ({"headers": {"waitroom-ticket": "x"}}, 403, "ticket-invalid"),
        ({"headers": TICKET, "json": {"target": "//evil.example"}}, 400, "target-not-allowed"),
        ({"headers": TICKET, "json": {"target": 5}}, 400, "body-malformed"),
        ({"headers": TICKET, "json": [1]}, 400, "body-malformed"),
        ({"headers": TICKET | {"content-type": "application/json"}, "content": b"{"}, 400, "body-malformed"),
        ({"headers": TICKET | {"content-type": "text/plain"}, "content": b"x"}, 415, "content-type-unknown"),
        ({"headers": TICKET, "data": {"target": "/" + "x" * 5_000}}, 413, "body-too-large"),
        ({"headers": TICKET | {"sec-fetch-site": "cross-site"}}, 403, "cross-site"),
        ({"headers": TICKET | {"sec-fetch-site": "same-site"}}, 403, "cross-site"),
        ({"headers": TICKET | {"origin": "https://evil.example"}}, 403, "cross-site"),
        ({"headers": {"cookie": "a=" + "x" * 17_000}}, 431, "cookies-too-large"),
    ],
)
async def test_a_bad_claim_has_a_clear_answer_and_costs_no_turn(
    store: Redis, request_: dict[str, Any], status: int, code: str
) -> None:
    """A problem document with its code; the same ticket is admitted afterwards."""
    own = await a_house(store)
    async with client(own) as web:
        answer = await web.post(CLAIM, **request_)
        good = await web.post(CLAIM, headers=TICKET)

    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert "set-cookie" not in answer.headers
    assert good.json()["outcome"] == "admitted"


@pytest.mark.parametrize(
    "headers",
    [{"sec-fetch-site": "same-origin"}, {"sec-fetch-site": "none"}, {"origin": SITE}, {"origin": "null"}, {}],
)
async def test_a_claim_from_this_site_is_taken(store: Redis, headers: dict[str, str]) -> None:
    """By the browser's word, else by the Origin header."""
    own = await a_house(store)
    async with client(own) as web:
        answer = await web.post(CLAIM, headers=TICKET | headers)

    assert answer.status_code == 200


async def test_an_unknown_room_is_told(store: Redis) -> None:
    """404."""
    own = await a_house(store)
    async with client(own) as web:
        answer = await web.post("/.waitroom/r/other/claim", headers=TICKET)

    assert (answer.status_code, answer.json()["code"]) == (404, "room-unknown")


async def test_leaving_takes_the_admission_away(store: Redis) -> None:
    """As JSON or as a form; the number is used up."""
    own = await a_house(store)
    async with client(own) as web:
        left = await web.post(LEAVE, headers=TICKET)
        by_form = await web.post(LEAVE, data={"x": "1"}, headers={"waitroom-ticket": "4"})
        again = await web.post(CLAIM, headers=TICKET)

    assert (left.status_code, left.json()) == (200, {"outcome": "left"})
    assert "Max-Age=0" in left.headers["set-cookie"]
    assert (by_form.status_code, by_form.headers["location"]) == (303, f"/.waitroom/r/{ROOM}/ticket")
    assert (again.status_code, again.json()["code"]) == (410, "ticket-used")


async def test_the_public_keys_are_cacheable_and_follow_a_rotation(store: Redis) -> None:
    """With an ETag; readable from every site."""
    own = await a_house(store)
    async with client(own) as web:
        first = await web.get("/.waitroom/jwks.json")
        same = await web.get("/.waitroom/jwks.json", headers={"if-none-match": first.headers["etag"]})
        own.ring.rotate("admission", 5)
        other = await web.get("/.waitroom/jwks.json", headers={"if-none-match": first.headers["etag"]})

    assert first.json() != other.json()
    assert (first.status_code, same.status_code, other.status_code) == (200, 304, 200)
    assert first.headers["cache-control"] == "public, max-age=300"
    assert first.headers["access-control-allow-origin"] == "*"
    assert len(other.json()["keys"]) == len(first.json()["keys"]) + 1


async def session_of(own: House, web: httpx.AsyncClient) -> str:
    """Admit somebody and return the session's id."""
    token = (await web.post(CLAIM, headers=TICKET)).json()["admission"]
    claims = own.admission.verify(ROOM, token)
    assert isinstance(claims, Claims)
    return claims.sid


@pytest.mark.parametrize("token", [OPERATOR, BACKEND])
async def test_a_backend_renews_and_finishes_a_session(store: Redis, token: str) -> None:
    """Both kinds of token may; finishing twice is told."""
    own = await a_house(store)
    async with client(own) as web:
        sid = await session_of(own, web)
        act = f"/api/rooms/{ROOM}/sessions/{sid}"
        bearer = {"authorization": f"Bearer {token}"}
        renewed = await web.post(f"{act}/renew", headers=bearer)
        finished = await web.post(f"{act}/finish", headers=bearer)
        twice = await web.post(f"{act}/revoke", headers=bearer)
        late = await web.post(f"{act}/renew", headers=bearer)

    assert renewed.json()["outcome"] == "renewed"
    assert isinstance(own.admission.verify(ROOM, renewed.json()["admission"]), Claims)
    assert finished.json()["outcome"] == "ended"
    assert twice.json()["outcome"] == "already-ended"
    assert (late.status_code, late.json()["code"]) == (409, "session-not-renewed")
    assert sid in own.admission.ended(ROOM)


@pytest.mark.parametrize(
    ("headers", "act", "status", "code"),
    [
        ({}, "finish", 401, "token-missing"),
        ({"authorization": "Basic abc"}, "finish", 401, "token-missing"),
        ({"authorization": "Bearer "}, "finish", 401, "token-missing"),
        ({"authorization": "Bearer wrong"}, "finish", 403, "token-wrong"),
        ({"authorization": f"Bearer {OPERATOR}"}, "dance", 404, "act-unknown"),
    ],
)
async def test_an_act_without_the_right_is_refused(
    store: Redis, headers: dict[str, str], act: str, status: int, code: str
) -> None:
    """And nothing happens to the session."""
    own = await a_house(store)
    async with client(own) as web:
        sid = await session_of(own, web)
        answer = await web.post(f"/api/rooms/{ROOM}/sessions/{sid}/{act}", headers=headers)

    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert sid not in own.admission.ended(ROOM)


async def test_what_is_no_session_id_is_not_found(store: Redis) -> None:
    """Nothing is written for it."""
    own = await a_house(store)
    async with client(own) as web:
        answer = await web.post(
            f"/api/rooms/{ROOM}/sessions/short/finish", headers={"authorization": f"Bearer {OPERATOR}"}
        )

    assert (answer.status_code, answer.json()["code"]) == (404, "session-unknown")
    assert own.admission.ended(ROOM) == frozenset()


async def test_who_is_asked_hears_of_the_check_and_a_form_is_led_to_it(store: Redis) -> None:
    """The place is kept; once the check is passed, the same claim is let in."""
    own = await a_house(store)
    own.places.changes = {"checks": True}
    await write_line(store, replace(LINE, asked={3: "prove"}))
    form = {**TICKET, "content-type": "application/x-www-form-urlencoded"}
    async with client(own) as browser:
        told = await browser.post(CLAIM, headers=TICKET)
        led = await browser.post(CLAIM, content="target=/seats", headers=form)
        await write_line(store, LINE)
        let_in = await browser.post(CLAIM, headers=TICKET)
    await store.aclose()

    body = told.json()
    assert (told.status_code, body["outcome"], body["way"]) == (202, "check", "prove")
    assert body["detail"].startswith("A short check, then you go in.")
    assert "set-cookie" not in told.headers
    assert (led.status_code, led.headers["location"]) == (303, f"/.waitroom/r/{ROOM}/challenge?target=/seats")
    assert let_in.json()["outcome"] == "admitted"
