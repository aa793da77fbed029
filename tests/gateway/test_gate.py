"""The gate as a whole: what each kind of client gets, what the origin hears, and what a session does."""

import asyncio
from ipaddress import ip_network
from typing import Any

import aiohttp

from gateway.gate import GateSettings
from kernel.errors import Unavailable
from tests.gateway.serving import NOW_MS, Door, Origin, admitted, gate_before

NAVIGATION = {"Accept": "text/html", "Sec-Fetch-Mode": "navigate"}


async def ask(
    door: Door, path: str = "/shop?x=1", **options: Any
) -> tuple[int, aiohttp.typedefs.LooseHeaders, bytes]:
    """Ask as a stranger; give status, headers and body."""
    method = options.pop("method", "GET")
    async with (
        aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as client,
        client.request(method, door.url(path), allow_redirects=False, **options) as answer,
    ):
        return answer.status, answer.headers, await answer.read()


async def test_a_navigation_gets_the_rooms_page_in_place() -> None:
    """The address in the bar stays; the room's status counts; nothing is cached, whatever the page says."""
    async with gate_before(Origin(), status_code=202) as door:
        status, headers, body = await ask(door, headers=NAVIGATION)

    assert (status, body) == (202, b"shell main /shop?x=1")
    assert headers["cache-control"] == "private, no-store"
    assert door.origin.asked == []


async def test_a_json_client_is_told_where_to_join() -> None:
    """The addresses of the room, its status code, and what the page's owner adds."""
    async with gate_before(Origin(), status_code=202) as door:
        status, headers, body = await ask(door, headers={"Accept": "application/json"})
    told = aiohttp.typedefs.DEFAULT_JSON_DECODER(body.decode())

    assert status == 202
    assert told["waiting"] is True
    assert told["join"] == "/.waitroom/r/main/join"
    assert told["page"] == "/.waitroom/r/main"
    assert told["phase"] == "serving"
    assert headers["retry-after"] == "10"
    assert headers["cache-control"] == "private, no-store"


async def test_everything_else_gets_429_with_retry_after() -> None:
    """An image, a script's POST: never a page, never a 200."""
    async with gate_before(Origin(), retry_after_s=7) as door:
        image = await ask(door, "/a.png", headers={"Accept": "image/avif"})
        post = await ask(door, "/api", method="POST", headers={"Accept": "application/json"}, data=b"{}")

    for status, headers, body in (image, post):
        assert (status, headers["retry-after"]) == (429, "7")
        assert headers["content-type"] == "application/problem+json"
        assert b'"join":"/.waitroom/r/main/join"' in body


async def test_a_form_that_is_sent_without_a_session_leads_to_the_room() -> None:
    """A redirect, so that the browser does not offer to send the lost form again."""
    async with gate_before(Origin(), path="/shop") as door:
        status, headers, _ = await ask(door, "/shop/buy", method="POST", headers=NAVIGATION, data=b"x=1")

    assert status == 303
    assert headers["location"] == "/.waitroom/r/main?target=/shop"


async def test_paths_below_the_prefix_belong_to_the_waiting_room() -> None:
    """And only those: ``/.waitrooms`` is the origin's."""
    async with gate_before(Origin(), bypass=True) as door:
        ours = [(await ask(door, path))[0] for path in ("/.waitroom", "/.waitroom/", "/.waitroom/r/main")]
        theirs = (await ask(door, "/.waitrooms"))[0]

    assert (ours, theirs) == ([299, 299, 299], 200)


async def test_the_origin_hears_who_the_session_is_from_us_alone() -> None:
    """Trusted headers are ours; what the client said by these names is gone."""
    forged = {"Waitroom-Session": "me", "Waitroom-Lane": "verified", "waitroom_room": "x"}
    async with gate_before(Origin()) as door, admitted() as client:
        await (await client.get(door.url("/"), headers=forged)).release()
        header = door.origin.header

    assert header("waitroom-session") == ["fan"]
    assert header("waitroom-room") == ["main"]
    assert header("waitroom-lane") == ["standard"]
    assert header("waitroom-admission-age-ms") == ["60000"]
    assert header("waitroom-admission") == ["ok-fan"]
    assert header("waitroom_room") == []
    assert header("x-forwarded-for") == ["127.0.0.1"]
    assert header("cookie") == ["waitroom-admission-main=ok-fan"]


async def test_an_admission_may_also_come_as_a_header_or_a_bearer_token() -> None:
    """Apps have no cookies; a bearer token that is not ours is the origin's and changes nothing."""
    async with gate_before(Origin()) as door:
        by_header = await ask(door, headers={"Waitroom-Admission": "ok-app"})
        by_bearer = await ask(door, headers={"Authorization": "Bearer ok-a.b.c"})
        foreign = await ask(door, headers={"Authorization": "Bearer a.b.c"})
        both = await ask(door, headers={"Authorization": "Bearer a.b.c", "Waitroom-Admission": "ok-app"})
        heard = door.origin.header("authorization")

    assert [by_header[0], by_bearer[0], foreign[0], both[0]] == [200, 200, 429, 200]
    assert b'"reason":""' in foreign[2]
    assert heard == ["Bearer a.b.c"]


async def test_an_oversized_token_and_oversized_cookies_are_told_apart_from_a_crash() -> None:
    """A token of 5 kB is malformed; cookies of 17 kB are a 431."""
    async with gate_before(Origin()) as door:
        token = await ask(door, headers={"Cookie": "waitroom-admission-main=ok-" + "a" * 5000})
        cookies = await ask(door, headers={"Cookie": "a=" + "a" * 17_000})

    assert token[0] == 429
    assert b'"reason":"malformed"' in token[2]
    assert cookies[0] == 431


async def test_a_trusted_proxy_names_client_scheme_and_host() -> None:
    """The room is found by the host that the fan typed, and the origin hears of the fan."""
    told = {
        "X-Forwarded-For": "203.0.113.9",
        "X-Forwarded-Proto": "https",
        "X-Forwarded-Host": "shop.example",
    }
    settings = GateSettings(trusted_proxies=(ip_network("127.0.0.0/8"),))
    async with gate_before(Origin(), settings=settings) as door, admitted() as client:
        await (await client.get(door.url("/"), headers=told)).release()
        header = door.origin.header

    assert header("x-forwarded-for") == ["203.0.113.9, 127.0.0.1"]
    assert header("x-forwarded-proto") == ["https"]
    assert header("x-forwarded-host") == ["shop.example"]
    assert header("x-real-ip") == ["203.0.113.9"]


async def test_a_session_past_half_of_its_time_gets_a_fresh_token_with_the_answer() -> None:
    """The cookie comes beside the origin's own, and keeps shared caches away."""
    origin = Origin(headers=[(b"cache-control", b"public, max-age=600"), (b"set-cookie", b"own=1")])
    async with gate_before(origin) as door, admitted() as client:
        door.doors.clock.set(NOW_MS + 60_000)
        async with client.get(door.url("/")) as answer:
            cookies = answer.headers.getall("set-cookie")

    assert door.doors.renewed == ["fan"]
    assert cookies == ["own=1", "waitroom-admission-main=ok-fan; Path=/"]
    assert answer.headers.getall("cache-control") == ["private"]


async def test_a_renewal_that_fails_harms_nobody() -> None:
    """The store is away: the session goes on with the token it has."""
    async with gate_before(Origin()) as door, admitted() as client:
        door.doors.clock.set(NOW_MS + 100_000)
        door.doors.failure = Unavailable("store-away", "away")
        async with client.get(door.url("/")) as answer:
            status = answer.status

    assert status == 200
    assert "set-cookie" not in answer.headers


async def test_many_requests_at_once_share_one_renewal() -> None:
    """A page loads twenty things at once; the store is asked once."""
    async with gate_before(Origin()) as door, admitted() as client:
        door.doors.clock.set(NOW_MS + 100_000)
        go = asyncio.Event()

        async def renew(session: Any) -> str:
            door.doors.renewed.append(session.sid)
            await go.wait()
            return "ok-fan"

        door.doors.renew = renew  # type: ignore[method-assign]
        asking = [asyncio.ensure_future(client.get(door.url("/"))) for _ in range(20)]
        while len(door.origin.asked) < 20:  # noqa: ASYNC110 (all in one loop)
            await asyncio.sleep(0)
        go.set()
        answers = await asyncio.gather(*asking)
        cookies = [answer.headers.get("set-cookie") for answer in answers]
        for answer in answers:
            await answer.release()

    assert door.doors.renewed == ["fan"]
    assert set(cookies) == {"waitroom-admission-main=ok-fan; Path=/"}


async def test_the_origin_ends_a_session_by_a_header_that_nobody_else_sees() -> None:
    """``Cf-Waiting-Room-Command: revoke``: the cookie goes, and the next request waits."""
    origin = Origin(headers=[(b"Cf-Waiting-Room-Command", b"Revoke")])
    async with gate_before(origin) as door, admitted() as client:
        async with client.get(door.url("/done")) as done:
            cookie = done.headers["set-cookie"]
        async with client.get(door.url("/again")) as again:
            told = await again.json(content_type=None)

    assert done.status == 200
    assert "cf-waiting-room-command" not in done.headers
    assert cookie == "waitroom-admission-main=; Path=/; Max-Age=0"
    assert door.doors.revoked == ["fan"]
    assert (again.status, told["reason"]) == (429, "session-ended")


async def test_a_revocation_that_fails_still_takes_the_cookie() -> None:
    """The place is freed at the session's end then; the answer is the origin's all the same."""
    origin = Origin(headers=[(b"cf-waiting-room-command", b"revoke")])
    async with gate_before(origin) as door, admitted() as client:
        door.doors.failure = Unavailable("store-away", "away")
        async with client.get(door.url("/done")) as done:
            cookie = done.headers["set-cookie"]

    assert done.status == 200
    assert "Max-Age=0" in cookie


async def test_a_room_that_takes_no_commands_hands_the_header_on() -> None:
    """It may be meant for somebody in front of us."""
    origin = Origin(headers=[(b"cf-waiting-room-command", b"revoke")])
    async with (
        gate_before(origin, revoke_command=False) as door,
        admitted() as client,
        client.get(door.url("/")) as answer,
    ):
        assert answer.headers["cf-waiting-room-command"] == "revoke"

    assert door.doors.revoked == []


async def test_a_live_session_passes_while_everything_else_is_away() -> None:
    """No port of the gate that may wait for the store is asked before a session passes."""
    async with gate_before(Origin(), away=True) as door, admitted() as client:
        door.doors.failure = Unavailable("store-away", "away")
        async with client.get(door.url("/")) as answer:
            status = answer.status

    assert status == 200
    assert door.doors.renewed == []


async def test_who_passes_without_an_admission_passes_a_guard_at_the_origin_too() -> None:
    """Bypass would end in a loop between guard and room; the stand-in is seen by the origin alone."""
    async with gate_before(Origin(), bypass=True) as door:
        status, headers, _ = await ask(door, headers={**NAVIGATION, "Waitroom-Admission": "forged"})
        heard = door.origin.header

    assert status == 200
    assert heard("waitroom-admission") == ["stand-in-for-main"]
    assert heard("waitroom-session") == []
    assert "set-cookie" not in headers


async def test_an_address_that_no_room_covers_goes_to_the_default_origin_or_nowhere() -> None:
    """Without one it is a 404; with one it is a plain proxy."""
    async with gate_before(Origin()) as door:
        door.doors.route_to = None
        nowhere = await ask(door)
    async with gate_before(Origin()) as inner:
        settings = GateSettings(default_origin=inner.url("/.waitroom"))
        async with gate_before(Origin(), settings=settings) as door:
            door.doors.route_to = None
            somewhere = await ask(door)

    assert nowhere[0] == 404
    assert somewhere[0] == 299
