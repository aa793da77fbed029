"""Console: signing in, the levers, forged forms, two people at once, and all of it without JavaScript."""

import re

import pytest
from redis.asyncio import Redis

from dashboards import access
from dashboards.access import Sessions
from dashboards.acts import DONE
from dashboards.page import HERE
from kernel.clock import ManualClock
from kernel.errors import Unavailable
from tests.dashboards.desk import (
    BASE,
    FIGURES,
    MAIN,
    TOKEN,
    Counted,
    app_of,
    client_of,
    csrf_in,
    program,
    pull,
    query_of,
    sign_in,
    signed_in,
)
from waitroom.configure import Actor, Configurations, Lever, Saved, Stale
from waitroom.field_readers import moment_text
from waitroom.rooms import Room

TOML = Actor("toml", "configuration file")


async def one_room(store: Redis, clock: ManualClock, **more: object) -> Configurations:
    """Make the room main."""
    rooms = Configurations(store, clock)
    await rooms.create({**MAIN, **more}, TOML)
    return rooms


async def test_a_stranger_is_shown_the_way_in_and_nothing_else(store: Redis, clock: ManualClock) -> None:
    """Neither the page nor its parts nor its levers answer without a session."""
    await one_room(store, clock)
    async with client_of(app_of(store, clock)) as stranger:
        assert (await stranger.get("/")).headers["location"] == "/login"
        assert (await stranger.get("/live")).status_code == 401
        lever = await stranger.post("/rooms/main/pause", data={"csrf": "x"})
        assert (lever.status_code, lever.headers["location"]) == (303, "/login")
        assert "main" not in (await stranger.get("/login")).text.partition("<main")[0]


async def test_the_token_opens_a_session_with_a_strict_cookie(store: Redis, clock: ManualClock) -> None:
    """``__Host-`` where there is TLS; once inside, the way in leads to the page."""
    app = app_of(store, clock, secure=True)
    async with client_of(app, base="https://control.test") as browser:
        answer = await sign_in(browser)

        cookie = answer.headers["set-cookie"]
        assert cookie.startswith("__Host-waitroom-operator=")
        assert {"HttpOnly", "Secure", "SameSite=Strict", "Path=/"} <= set(cookie.split("; "))
        assert TOKEN not in cookie
        assert (await browser.get("/")).status_code == 200
        assert (await browser.get("/login")).headers["location"] == "/"


async def test_signing_in_needs_the_right_token_a_name_and_the_form(store: Redis, clock: ManualClock) -> None:
    """Each refusal says what to do, and none of them opens a session."""
    async with client_of(app_of(store, clock)) as browser:
        wrong = await sign_in(browser, token=TOKEN + "x")
        assert (wrong.status_code, "not the operator token" in wrong.text) == (403, True)
        assert 'value="Ann Lee"' in wrong.text
        nobody = await sign_in(browser, who=" \n ")
        assert (nobody.status_code, "who you are" in nobody.text) == (422, True)

        fields = {"who": "Ann", "token": TOKEN}
        for csrf in ({}, {"csrf": ""}, {"csrf": "k1.x.y"}):
            assert (await browser.post("/login", data=fields | csrf)).status_code == 403
        right = fields | {"csrf": csrf_in(await browser.get("/login"))}
        foreign = await browser.post("/login", data=right, headers={"origin": "https://evil.test"})
        assert foreign.status_code == 403
        async with client_of(app_of(store, clock)) as other:
            assert (await other.post("/login", data=right)).status_code == 403
        assert (await browser.get("/")).status_code == 303
        assert (await browser.post("/login", data=right)).status_code == 303


async def test_five_wrong_tokens_make_the_address_wait(store: Redis, clock: ManualClock) -> None:
    """Also with the right token then; others are not held up, and after the wait it works again."""
    app = app_of(store, clock)
    async with client_of(app) as guesser, client_of(app, address="192.0.2.9") as operator:
        statuses = [(await sign_in(guesser, token="wrong")).status_code for _ in range(5)]
        assert statuses == [403, 403, 403, 403, 429]

        early = await sign_in(guesser)
        assert (early.status_code, early.headers["retry-after"], "wait 10 seconds" in early.text) == (
            429,
            "10",
            True,
        )
        assert (await sign_in(operator)).status_code == 303
        clock.advance(9_999)
        assert (await sign_in(guesser)).status_code == 429
        clock.advance(1)
        assert (await sign_in(guesser, token="wrong")).headers["retry-after"] == "20"
        clock.advance(20_000)
        assert (await sign_in(guesser)).status_code == 303
        guesser.cookies.clear()
        assert (await sign_in(guesser, token="wrong")).status_code == 403


async def test_signing_out_ends_the_session_for_every_copy_of_the_cookie(
    store: Redis, clock: ManualClock
) -> None:
    """A forged sign-out does nothing."""
    await one_room(store, clock)
    app = app_of(store, clock)
    async with signed_in(app) as browser, client_of(app) as copy:
        copy.cookies = browser.cookies.__class__(browser.cookies)
        csrf = csrf_in(await browser.get("/"))

        await browser.post("/logout", data={"csrf": "x"})
        assert (await copy.get("/")).status_code == 200
        out = await browser.post("/logout", data={"csrf": csrf})
        assert (out.status_code, out.headers["location"]) == (303, "/login")
        assert (await copy.get("/")).status_code == 303


async def test_following_a_link_from_elsewhere_does_not_sign_out(store: Redis, clock: ManualClock) -> None:
    """The browser keeps the strict cookie back; our own page asks once more and gets it."""
    async with client_of(app_of(store, clock)) as browser:
        answer = await browser.get("/", headers={"sec-fetch-site": "cross-site"})

    assert answer.status_code == 200
    assert 'http-equiv="refresh" content="0; url=/"' in answer.text
    assert "set-cookie" not in answer.headers


LEVERS = [
    ("pause", {"why": "slow", "confirm": "yes"}, "paused", True),
    ("resume", {}, "paused", False),
    ("rate", {"value": " 77 "}, "new_users_per_minute", 77),
    ("cap", {"value": "5"}, "total_active_users", 5),
    ("message", {"value": "Soon.\r\nThank you."}, "message", "Soon.\nThank you."),
    ("message", {"value": "Soon.", "take_down": "yes"}, "message", ""),
    ("bypass-on", {"why": "ours is in the way", "confirm": "yes"}, "bypass", True),
    ("bypass-off", {}, "bypass", False),
]


@pytest.mark.parametrize(("lever", "form", "setting", "value"), LEVERS)
async def test_each_lever_does_what_it_says(
    store: Redis, clock: ManualClock, lever: str, form: dict[str, str], setting: str, value: object
) -> None:
    """The room changes, the page says so, and the change bears the person's name and reason."""
    rooms = await one_room(
        store, clock, paused=lever == "resume", bypass=lever == "bypass-off", message="Old."
    )
    async with signed_in(app_of(store, clock)) as browser:
        answer = await pull(browser, lever, **form)

        assert answer.status_code == 303
        assert query_of(answer) == {"room": ["main"], "done": [lever]}
        shown = await browser.get(answer.headers["location"])
        assert DONE[Lever(lever)] in shown.text
        assert "Ann Lee" in shown.text
    assert getattr(await rooms.get("main"), setting) == value
    change = (await rooms.changes("main"))[0]
    assert (change["who"], change["why"]) == ("Ann Lee", form.get("why", ""))


BAD_FORMS = [
    ("rate", {"value": "0"}, 422, "new_users_per_minute must be a whole number"),
    ("rate", {"value": "-5"}, 422, "must be a whole number"),
    ("rate", {"value": "1.5"}, 422, "must be a whole number"),
    ("rate", {"value": "٣"}, 422, "must be a whole number"),
    ("rate", {"value": "9" * 30}, 422, "must be a whole number"),
    ("rate", {}, 422, "must be a whole number"),
    ("cap", {"value": "many"}, 422, "total_active_users must be"),
    ("message", {"value": "x" * 281}, 422, "at most 280 characters"),
    ("message", {"value": "a\x00b"}, 422, "control characters"),
    ("bypass-on", {"why": "x"}, 422, "was not confirmed"),
    ("rate", {"value": "7", "version": "0"}, 409, "somebody else changed this room"),
    ("rate", {"value": "7", "version": ""}, 409, "somebody else changed this room"),
    ("rate", {"value": "7", "version": "x"}, 409, "somebody else changed this room"),
    ("resume", {"version": "99"}, 409, "somebody else changed this room"),
    ("pause", {"csrf": ""}, 403, "did not come from this page"),
    ("pause", {"csrf": "k1.AAAA.AAAA"}, 403, "did not come from this page"),
    ("rate", {"value": "7", "csrf": ""}, 403, "did not come from this page"),
]


@pytest.mark.parametrize(("lever", "form", "status", "told"), BAD_FORMS)
async def test_a_bad_form_changes_nothing_and_says_why(
    store: Redis, clock: ManualClock, lever: str, form: dict[str, str], status: int, told: str
) -> None:
    """The page comes back with the reason on top."""
    rooms = await one_room(store, clock)
    async with signed_in(app_of(store, clock)) as browser:
        answer = await pull(browser, lever, **form)

    assert answer.status_code == status
    assert told in answer.text
    assert 'role="alert"' in answer.text
    assert (await rooms.get("main")).version == 1


async def test_a_form_without_csrf_or_from_another_site_does_nothing(
    store: Redis, clock: ManualClock
) -> None:
    """Neither with another person's paper, nor with the right one from a foreign page."""
    rooms = await one_room(store, clock)
    app = app_of(store, clock)
    async with signed_in(app) as ann, signed_in(app, "Bob") as bob:
        right, of_bob = csrf_in(await ann.get("/")), csrf_in(await bob.get("/"))
        for data, headers in (
            ({}, {}),
            ({"csrf": of_bob}, {}),
            ({"csrf": right}, {"origin": "https://evil.test"}),
            ({"csrf": right}, {"sec-fetch-site": "cross-site"}),
        ):
            answer = await ann.post(
                "/rooms/main/pause", data=data | {"confirm": "yes"} if data else {}, headers=headers
            )
            assert answer.status_code == (415 if not data else 403)
        assert not (await rooms.get("main")).paused

        own = {"origin": BASE, "sec-fetch-site": "same-origin"}
        assert (
            await ann.post("/rooms/main/pause", data={"csrf": right, "confirm": "yes"}, headers=own)
        ).status_code == 303
    assert (await rooms.get("main")).paused


async def forge(store: Redis, clock: ManualClock) -> bool:
    """Send a person's browser a form that another site made; return whether the room was paused by it."""
    rooms = await one_room(store, clock)
    async with signed_in(app_of(store, clock)) as ann:
        await ann.post("/rooms/main/pause", data={"csrf": "k1.AAAA.AAAA", "confirm": "yes"})
    return (await rooms.get("main")).paused


async def test_without_the_paper_a_forged_form_would_count(
    store: Redis, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The mutant: with the check of the CSRF paper taken out, the forged form does its work."""
    assert not await forge(store, clock)

    await store.flushall()
    monkeypatch.setattr(Sessions, "csrf_holds", lambda *_: True)
    assert await forge(store, clock)


async def guess(store: Redis, clock: ManualClock) -> int:
    """Try nine wrong tokens and then the right one."""
    async with client_of(app_of(store, clock)) as guesser:
        for _ in range(9):
            await sign_in(guesser, token="wrong")
        return (await sign_in(guesser)).status_code


async def test_without_the_wait_a_guesser_would_go_on(
    store: Redis, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The mutant: with the wait taken out, the tenth guess opens the door."""
    assert await guess(store, clock) == 429

    monkeypatch.setattr(access, "FREE_FAILURES", 1_000)
    assert await guess(store, clock) == 303


async def test_of_two_people_at_once_the_second_is_told(store: Redis, clock: ManualClock) -> None:
    """Both loaded the page, both set the rate: the second sees what the first did. A pause is never refused."""
    rooms = await one_room(store, clock)
    app = app_of(store, clock)
    async with signed_in(app) as ann, signed_in(app, "Bob") as bob:
        papers = [csrf_in(await browser.get("/")) for browser in (ann, bob)]
        first = await ann.post("/rooms/main/rate", data={"csrf": papers[0], "version": "1", "value": "10"})
        second = await bob.post("/rooms/main/rate", data={"csrf": papers[1], "version": "1", "value": "20"})
        pause = await bob.post(
            "/rooms/main/pause", data={"csrf": papers[1], "version": "1", "confirm": "yes"}
        )

    assert (first.status_code, second.status_code, pause.status_code) == (303, 409, 303)
    assert "Ann Lee" in second.text
    room = await rooms.get("main")
    assert (room.new_users_per_minute, room.paused) == (10, True)


@pytest.mark.parametrize(
    ("headers", "body", "status", "code"),
    [
        ({"content-type": "application/json"}, b"{}", 415, "content-type-unknown"),
        ({"content-type": "multipart/form-data; boundary=x"}, b"", 415, "content-type-unknown"),
        ({}, b"a=" + b"x" * 20_000, 413, "body-too-large"),
        ({}, b"&".join([b"a=1"] * 40), 400, "form-invalid"),
        ({}, b"a=\xff", 400, "form-invalid"),
        ({}, b"a=%ff", 400, "form-invalid"),
    ],
)
@pytest.mark.parametrize("path", ["/login", "/logout", "/rooms/main/pause"])
async def test_a_body_that_is_no_form_is_refused(
    store: Redis, clock: ManualClock, path: str, headers: dict[str, str], body: bytes, status: int, code: str
) -> None:
    """By type, size, number of fields and encoding, on every form's address."""
    form = {"content-type": "application/x-www-form-urlencoded"}
    async with signed_in(app_of(store, clock)) as browser:
        answer = await browser.post(path, content=body, headers=form | headers)

    assert (answer.status_code, answer.json()["code"]) == (status, code)


async def test_addresses_that_do_not_exist_are_problems(store: Redis, clock: ManualClock) -> None:
    """An unknown lever, room, file, method and page."""
    await one_room(store, clock)
    async with signed_in(app_of(store, clock)) as browser:
        assert (await pull(browser, "explode")).json()["code"] == "lever-unknown"
        csrf = {"csrf": csrf_in(await browser.get("/")), "confirm": "yes"}
        gone = await browser.post("/rooms/none/pause", data=csrf)
        assert (gone.status_code, "There is no room none." in gone.text) == (404, True)
        assert (await browser.get("/rooms/main/pause")).status_code == 405
        assert (await browser.get("/static/none.css")).json()["code"] == "file-unknown"
        assert (await browser.get("/static/..%2fapp.py")).status_code == 404
        assert (await browser.get("/nothing")).status_code == 404
        assert (await browser.get("/?done=explode&room=none")).status_code == 200


async def test_the_page_is_complete_without_javascript_and_strict_with_it(
    store: Redis, clock: ManualClock
) -> None:
    """Every form is plain HTML with its labels; no inline script or style; a policy that allows none."""
    await one_room(store, clock, description="Grand Hall")
    async with signed_in(app_of(store, clock)) as browser:
        answer = await browser.get("/")
        page = answer.text
        assert answer.headers["content-security-policy"].startswith(
            "default-src 'none'; style-src 'self'; script-src 'self'"
        )
        assert "unsafe" not in answer.headers["content-security-policy"]
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert not re.search(r"<style|\sstyle=|\son[a-z]+=|javascript:", page)
        assert re.findall(r"<script[^>]*>(.*?)</script>", page) == ["", "", ""]

        actions = set(re.findall(r'<form[^>]*action="([^"]+)"', page))
        levers = {"pause", "confirm/pause", "rate", "cap", "message", "lanes", "bypass-on"}
        assert actions == {"/logout"} | {f"/rooms/main/{lever}" for lever in levers}
        # The step before a stop changes nothing by itself: it is asked for, not sent.
        assert page.count('name="csrf"') == len(actions) - 1
        for field in re.findall(
            r'<(?:input|textarea)(?![^>]*type="(?:hidden|checkbox)")[^>]* id="([^"]+)"', page
        ):
            assert f'for="{field}"' in page
        for value in ("1,200", "371", "198"):
            assert f'class="number">{value}<' in page
        assert ">The line: 371 of 500 inside, 14 called, 1,200 waiting<" in page

        for address in re.findall(r'(?:href|src)="(/static/[^"]+)"', page):
            served = await browser.get(address)
            assert served.status_code == 200
            assert "immutable" in served.headers["cache-control"]
            assert served.headers["x-content-type-options"] == "nosniff"
    styles = "".join((HERE / "static" / name).read_text() for name in ("control.css", "acts.css"))
    for kind in re.findall(r'class="([\w -]+)"', page):
        assert all(f".{word}" in styles for word in kind.split()), kind


async def test_what_people_write_is_shown_as_text(store: Redis, clock: ManualClock) -> None:
    """Names, messages, reasons and settings are escaped wherever they stand."""
    evil = '"><script>alert(1)</script>'
    await one_room(store, clock, description=evil, message=evil)
    async with signed_in(app_of(store, clock), who=evil) as browser:
        await pull(browser, "pause", why=evil, confirm="yes")
        page = (await browser.get("/")).text

    assert "<script>alert" not in page
    assert page.count("&lt;script&gt;alert(1)") >= 5


async def test_the_parts_that_change_are_the_same_parts(store: Redis, clock: ManualClock) -> None:
    """The module replaces each by what the page itself would hold, and finds all of them."""
    rooms = await one_room(store, clock)
    await rooms.create({**MAIN, "name": "two", "path": "/two"}, TOML)
    counted = Counted()
    async with signed_in(app_of(store, clock, counted)) as browser:
        page = await browser.get("/", params={"room": "two"})
        live = await browser.get("/live", params={"room": "two"})

        parts = re.findall(r'data-live="([\w-]+)"', page.text)
        assert parts == re.findall(r'data-live="([\w-]+)"', live.text)
        assert len(set(parts)) == len(parts) == 15 + 17
        assert 'data-room="two"' in page.text
        for part in ("state", "switch"):
            begin = f'data-live="{part}"'
            until = page.text.index("\n</div>", page.text.index(begin))
            indented = page.text[page.text.index(begin) : until]
            assert re.sub(r"\s+", " ", indented) in re.sub(r"\s+", " ", live.text)
        counted.now = {**FIGURES, "waiting": 4321}
        assert "4,321" in (await browser.get("/live")).text
        assert (await browser.get("/live", params={"room": "three"})).status_code == 404


async def test_a_page_without_rooms_says_how_to_make_one(store: Redis, clock: ManualClock) -> None:
    """An empty installation is no error."""
    async with signed_in(app_of(store, clock)) as browser:
        page = await browser.get("/")

        assert (page.status_code, "No room yet" in page.text) == (200, True)
        assert (await browser.get("/live")).status_code == 200


async def test_figures_that_are_away_leave_the_levers(store: Redis, clock: ManualClock) -> None:
    """The settings can still be steered while nobody can count."""
    rooms = await one_room(store, clock)
    async with signed_in(app_of(store, clock, Counted(None))) as browser:
        page = await browser.get("/")
        assert (page.status_code, "The figures cannot be read" in page.text) == (200, True)
        assert (await pull(browser, "pause", confirm="yes")).status_code == 303
    assert (await rooms.get("main")).paused


class Away(Configurations):
    """Settings whose store has gone."""

    async def list(self) -> list[Room]:
        """Fail as a store does that does not answer."""
        raise Unavailable("store-away", "The waiting room cannot reach its store. Please try again.")

    async def act(self, *_: object) -> Saved | Stale:
        """Fail the same way."""
        await self.list()
        raise AssertionError


async def test_a_store_that_is_away_is_said_in_words_and_the_page_comes_back(
    store: Redis, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """503 with Retry-After, a sentence, and a page that tries again by itself."""
    await one_room(store, clock)
    async with signed_in(app_of(store, clock)) as before, client_of(app_of(store, clock)) as browser:
        browser.cookies = before.cookies
        csrf = {"csrf": csrf_in(await before.get("/"))}
        monkeypatch.setattr(Configurations, "list", Away.list)
        monkeypatch.setattr(Configurations, "act", Away.act)
        answers = [
            await browser.get("/"),
            await browser.get("/live"),
            await browser.post("/rooms/main/pause", data=csrf),
        ]
        for answer in answers:
            assert (answer.status_code, answer.headers["retry-after"]) == (503, "2")
            assert "cannot reach its store" in answer.text
            assert 'http-equiv="refresh"' in answer.text


async def test_what_was_seen_before_the_store_went_stays_and_says_how_old_it_is(
    store: Redis, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A person who steers a sale keeps their last picture of it."""
    await one_room(store, clock)
    async with signed_in(app_of(store, clock)) as browser:
        assert "The store is away" not in (await browser.get("/")).text
        monkeypatch.setattr(Configurations, "list", Away.list)
        clock.advance(9_000)
        page = await browser.get("/")

    assert page.status_code == 200
    assert "The store is away; these figures are 9 s old." in page.text
    assert "1,200" in page.text


async def test_a_sale_under_way_and_other_refusals_are_shown_on_the_page(
    store: Redis, clock: ManualClock
) -> None:
    """Limits of a sale are changed while it is on, and the page says whose they are."""
    sale = {
        "name": "spring",
        "event_start_time": moment_text(clock.now_ms() - 60_000),
        "event_end_time": moment_text(clock.now_ms() + 600_000),
        "prequeue_start_time": moment_text(clock.now_ms() - 120_000),
        "total_active_users": 9,
        "new_users_per_minute": 9,
    }
    rooms = await one_room(store, clock, sales=[sale])
    async with signed_in(app_of(store, clock)) as browser:
        assert "The limit of the sale spring." in (await browser.get("/")).text
        await pull(browser, "rate", value="12")

    assert (await rooms.get("main")).sales[0].new_users_per_minute == 12


async def test_the_api_does_not_take_the_session_for_a_token(store: Redis, clock: ManualClock) -> None:
    """A browser that is signed in cannot be led to call the API."""
    await one_room(store, clock)
    app = app_of(store, clock)
    async with signed_in(app) as browser, program(app) as api:
        assert (await browser.get("/api/rooms")).status_code == 401
        assert (await api.get("/api/rooms")).status_code == 200
