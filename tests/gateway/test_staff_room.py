"""The staff room over HTTP: who comes in, what a cookie may do, second factors, and what ends a session."""

import re
from pathlib import Path
from typing import Any

import httpx
import pyotp
import pytest

from checkout.organiser import web as organiser_web
from checkout.people.staff import StaffRole
from checkout.people.staff_sessions import FAILURES_MOST
from checkout.staffroom import entrance as entrance_module
from checkout.staffroom import room as room_module
from checkout.staffroom.room import FRESH_MS
from tests.checkout.people.provider import OTHER_KEY
from tests.gateway.staff_front import (
    NEW_PRICES,
    PRICES,
    SITE,
    TOKEN,
    add_key,
    paper,
    prove,
    staff_front,
)

API = "/organiser/api"
VENUE = {"name": "Hall", "city": "Hamburg", "country": "DE", "time_zone": "Europe/Berlin"}


def code_of(answer: httpx.Response) -> tuple[int, str]:
    """Tell status and code of an answer."""
    return answer.status_code, answer.json().get("code", "")


# ----------------------------------------------------------------------------------------- coming in


async def test_who_was_invited_logs_in_and_works(store_url: str, tmp_path: Path) -> None:
    """With a cookie that scripts cannot read; who acts stands under their name; their logins are listed."""
    async with staff_front(store_url, tmp_path) as own, own.browser() as browser:
        own.invite("ida", StaffRole.ORGANISER)
        out = await browser.get("/staff")
        back = await own.log_in(browser)
        home = await browser.get("/staff", headers={"accept-language": "de"})
        who = await browser.get("/staff/who")
        events = await browser.get(f"{API}/events")
        kept = await browser.put(f"{API}/venues/hall", json=VENUE, headers={"staff-csrf": who.json()["csrf"]})

    cookies = back.headers.get_list("set-cookie")
    assert 'href="/staff/login"' in out.text
    assert (back.status_code, back.headers["location"]) == (303, "/staff")
    assert any(
        one.startswith("staff=") and "HttpOnly" in one and "SameSite=Lax" in one and "Path=/" in one
        for one in cookies
    )
    assert "ida, Veranstaltung" in home.text
    assert "203.0.113.0/24" in home.text
    assert "203.0.113.9" not in home.text
    assert (who.json()["name"], who.json()["role"]) == ("ida", "organiser")
    assert (events.status_code, kept.status_code) == (200, 200)
    assert home.headers["cache-control"] == "no-store"
    assert "frame-ancestors 'none'" in home.headers["content-security-policy"]


async def test_nobody_comes_in_who_was_not_invited(store_url: str, tmp_path: Path) -> None:
    """An account at the provider is not enough, nor an address of which it has not made sure."""
    async with staff_front(store_url, tmp_path) as own, own.browser() as browser:
        own.invite()
        stranger = await own.log_in(browser, "eve")
        own.provider.wrong["email_verified"] = False
        unsure = await own.log_in(browser)
        asked = await browser.get(f"{API}/events")

    assert (stranger.status_code, unsure.status_code, asked.status_code) == (403, 403, 401)
    assert "not on the list" in stranger.text
    assert "staff=" not in str(stranger.headers.get_list("set-cookie"))


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        ({"nonce": "another"}, "nonce"),
        ({"aud": "another-client"}, "audience"),
        ({"iss": "https://evil.test"}, "issuer"),
        ({"exp": 1}, "time"),
    ],
)
async def test_a_login_that_is_not_right_does_not_count(
    wrong: dict[str, Any], why: str, store_url: str, tmp_path: Path
) -> None:
    """And the list says why, to owners, and not to whoever tried."""
    async with staff_front(store_url, tmp_path) as own, own.browser() as browser:
        own.invite()
        own.provider.wrong |= wrong
        back = await own.log_in(browser)
        listed = await browser.get(f"{API}/staff/logins", headers={"authorization": f"Bearer {TOKEN}"})

    assert back.status_code == 400
    assert why not in back.text
    assert [(one["name"], one["outcome"]) for one in listed.json()["logins"]] == [("", why)]


async def test_a_forged_token_and_another_browsers_login_do_not_count(store_url: str, tmp_path: Path) -> None:
    """The signature, the state, and a code that was brought to somebody else's browser."""
    async with staff_front(store_url, tmp_path) as own, own.browser() as browser, own.browser() as victim:
        own.invite()
        own.provider.key = OTHER_KEY
        forged = await own.log_in(browser)
        begun = await browser.get("/staff/login")
        brought = await victim.get("/staff/callback", params=own.provider.log_in(begun.headers["location"]))
        spent = await browser.get("/staff/callback", params={"code": "x", "state": "another"})

    assert [one.status_code for one in (forged, brought, spent)] == [400, 400, 400]
    assert victim.cookies.get("staff") is None


async def test_a_login_begins_on_a_page_of_ours(store_url: str, tmp_path: Path) -> None:
    """Another site can neither log somebody in nor fill a network's logins: its link shows our page."""
    async with (
        staff_front(store_url, tmp_path) as own,
        own.browser(**{"sec-fetch-site": "cross-site"}) as browser,
    ):
        answer = await browser.get("/staff/login")

    assert (answer.status_code, answer.headers["location"]) == (303, "/staff")
    assert "set-cookie" not in answer.headers


async def test_failures_lock_their_network_and_no_other_site_can_do_so(
    store_url: str, tmp_path: Path
) -> None:
    """A callback that no browser of ours has begun is not counted."""
    async with staff_front(store_url, tmp_path) as own, own.browser() as browser:
        own.invite()
        for _ in range(2 * FAILURES_MOST):
            await browser.get("/staff/callback", params={"code": "x", "state": "x"})
        free = await browser.get("/staff/login")
        own.provider.wrong["nonce"] = "another"
        for _ in range(FAILURES_MOST):
            await own.log_in(browser)
        locked = await browser.get("/staff/login")
        async with own.browser("198.51.100.1") as elsewhere:
            there = await elsewhere.get("/staff/login")

    assert (free.status_code, locked.status_code, there.status_code) == (303, 429, 303)


# ------------------------------------------------------------------------------------- what a cookie may


FOREIGN = [
    ({"staff-csrf": ""}, "paper-missing"),
    ({"staff-csrf": "another session's"}, "paper-missing"),
    ({"sec-fetch-site": "cross-site"}, "cross-site"),
    ({"sec-fetch-site": "same-site"}, "cross-site"),
]


@pytest.mark.parametrize(("headers", "code"), FOREIGN)
async def test_no_other_site_acts_through_a_browser_of_staff(
    headers: dict[str, str], code: str, store_url: str, tmp_path: Path
) -> None:
    """At the API and at the room: without the paper, or from another site, nothing changes."""
    async with staff_front(store_url, tmp_path) as own:
        browser = await own.entered()
        right = browser.headers["staff-csrf"]
        api = await browser.put(f"{API}/venues/hall", json=VENUE, headers=headers)
        call = await browser.post("/staff/keys/options", json={}, headers=headers)
        csrf = {"csrf": headers.get("staff-csrf", right)}
        form = await browser.post("/staff/device/new", data=csrf, headers=headers)
        logout = await browser.post("/staff/logout", data=csrf, headers=headers)
        still = await browser.get(f"{API}/events")
        await browser.aclose()

    assert [code_of(one) for one in (api, call, form, logout)] == [(403, code)] * 4
    assert still.status_code == 200


async def test_without_the_look_at_the_paper_another_page_would_do(
    store_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The mutant: whatever is sent is taken for the session's own paper."""
    monkeypatch.setattr(entrance_module, "check_paper", lambda *_: None)
    with pytest.raises(AssertionError):
        await test_no_other_site_acts_through_a_browser_of_staff(
            {"staff-csrf": ""}, "paper-missing", store_url, tmp_path
        )


async def test_a_session_reads_no_more_from_another_site(store_url: str, tmp_path: Path) -> None:
    """A link elsewhere to a table of buyers brings none."""
    async with staff_front(store_url, tmp_path) as own:
        browser = await own.entered()
        answer = await browser.get(f"{API}/events", headers={"sec-fetch-site": "cross-site"})
        await browser.aclose()

    assert code_of(answer) == (403, "cross-site")


async def test_a_token_counts_as_ever_and_before_a_cookie(store_url: str, tmp_path: Path) -> None:
    """Without any paper; and a wrong one is not made right by a session."""
    async with staff_front(store_url, tmp_path) as own:
        browser = await own.entered("vic", StaffRole.VIEWER)
        browser.headers["staff-csrf"] = ""
        right = await browser.put(
            f"{API}/venues/hall", json=VENUE, headers={"authorization": f"Bearer {TOKEN}"}
        )
        wrong = await browser.get(f"{API}/events", headers={"authorization": "Bearer nobody's"})
        await browser.aclose()

    assert (right.status_code, wrong.status_code) == (200, 401)


# ------------------------------------------------------------------------------------ second factors


async def test_a_key_moves_prices_once(store_url: str, tmp_path: Path) -> None:
    """None, and it says where to make one; with one, each act needs an answer of its own."""
    async with staff_front(store_url, tmp_path) as own:
        browser = await own.entered("ida", StaffRole.ORGANISER)
        none = await browser.post(PRICES, json=NEW_PRICES)
        key, codes = await add_key(browser)
        missing = await browser.post(PRICES, json=NEW_PRICES)
        code = await prove(browser, key)
        answers = [
            await browser.post(PRICES, json=NEW_PRICES, headers={"staff-code": code}) for _ in range(2)
        ]
        paper_code = await browser.post(PRICES, json=NEW_PRICES, headers={"staff-code": codes[0]})
        await browser.aclose()

    assert code_of(none) == (403, "second-factor-none")
    assert code_of(missing) == (403, "second-factor-missing")
    assert [one.status_code for one in answers] == [200, 403]
    assert paper_code.status_code == 200


async def test_without_the_step_up_a_session_alone_would_move_prices(
    store_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The mutant: no address asks for more."""
    monkeypatch.setattr(organiser_web, "steps_up", lambda *_: False)
    async with staff_front(store_url, tmp_path) as own:
        browser = await own.entered("ida", StaffRole.ORGANISER)
        answer = await browser.post(PRICES, json=NEW_PRICES)
        await browser.aclose()

    assert answer.status_code == 200


async def test_a_key_of_another_session_is_worth_nothing_here(store_url: str, tmp_path: Path) -> None:
    """The same person, in two browsers."""
    async with staff_front(store_url, tmp_path) as own:
        browser = await own.entered("ida", StaffRole.ORGANISER)
        key, _ = await add_key(browser)
        code = await prove(browser, key)
        async with own.browser() as other:
            await own.log_in(other)
            other.headers["staff-csrf"] = await paper(other)
            answer = await other.post(PRICES, json=NEW_PRICES, headers={"staff-code": code})
        await browser.aclose()

    assert code_of(answer) == (403, "second-factor-wrong")


async def test_the_first_factor_is_made_soon_after_a_login_and_the_next_with_the_first(
    store_url: str, tmp_path: Path
) -> None:
    """Whoever finds an open browser later makes none; and adds none without showing one."""
    async with staff_front(store_url, tmp_path) as own:
        browser = await own.entered()
        own.clock.advance(FRESH_MS)
        late = await browser.post("/staff/keys/options", json={})
        page = await browser.post("/staff/device/new", data={"csrf": browser.headers["staff-csrf"]})
        await own.log_in(browser)
        browser.headers["staff-csrf"] = await paper(browser)
        own.clock.advance(FRESH_MS - 1)
        key, codes = await add_key(browser)
        bare = await browser.post("/staff/keys/options", json={})
        _, more = await add_key(browser, await prove(browser, key), "Red")
        shown = await browser.get("/staff")
        await browser.aclose()

    assert code_of(late) == (403, "login-old")
    assert (page.status_code, "Log out and in again" in page.text) == (403, True)
    assert len(codes) == 10
    assert code_of(bare) == (403, "second-factor-missing")
    assert more == []
    assert "<bdi>Red</bdi>" in shown.text


async def test_without_the_fresh_login_an_open_browser_would_do(
    store_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The mutant: a login is fresh for ever."""
    monkeypatch.setattr(room_module, "FRESH_MS", 10**15)
    async with staff_front(store_url, tmp_path) as own:
        browser = await own.entered()
        own.clock.advance(FRESH_MS)
        await add_key(browser)
        await browser.aclose()


async def test_a_device_is_set_up_with_what_it_shows(store_url: str, tmp_path: Path) -> None:
    """Its secret is ours, for this session and ten minutes; wrong digits keep none; then it moves prices."""
    async with staff_front(store_url, tmp_path) as own:
        browser = await own.entered("ida", StaffRole.ORGANISER)
        csrf = {"csrf": browser.headers["staff-csrf"]}
        page = (await browser.post("/staff/device/new", data=csrf)).text
        form = dict(re.findall(r'name="(secret|until|paper)" value="([^"]+)"', page))
        device = pyotp.TOTP(form["secret"])

        def digits() -> str:
            return device.at(own.clock.now_ms() // 1000)

        wrong = await browser.post("/staff/device", data={**csrf, **form, "shown": "x"})
        weak = await browser.post(
            "/staff/device", data={**csrf, **form, "secret": "A" * 32, "shown": digits()}
        )
        longer = {**form, "until": str(int(form["until"]) + 1)}
        stretched = await browser.post("/staff/device", data={**csrf, **longer, "shown": digits()})
        kept = await browser.post("/staff/device", data={**csrf, **form, "shown": digits()})
        own.clock.advance(30_000)
        moved = await browser.post(PRICES, json=NEW_PRICES, headers={"staff-code": digits()})
        own.clock.advance(room_module.DEVICE_MS)
        late = await browser.post("/staff/device", data={**csrf, **form, "shown": digits()})
        await browser.aclose()

    assert "<svg" in page
    assert (wrong.status_code, "other digits" in wrong.text) == (403, True)
    assert [code_of(one) for one in (weak, stretched, late)] == [(403, "paper-missing")] * 3
    assert len(re.findall(r"<li>[A-Z2-7]{16}</li>", kept.text)) == 10
    assert moved.status_code == 200


async def test_what_is_taken_away_is_not_what_is_shown(store_url: str, tmp_path: Path) -> None:
    """A key goes by another one or a recovery code, and never the last factor."""
    async with staff_front(store_url, tmp_path) as own:
        browser = await own.entered()
        csrf = {"csrf": browser.headers["staff-csrf"]}
        blue, codes = await add_key(browser)
        red, _ = await add_key(browser, await prove(browser, blue), "Red")

        async def remove(key: Any, code: str) -> httpx.Response:
            form = {**csrf, "credential": key.id, "code": code}
            return await browser.post("/staff/keys/remove", data=form)

        bare = await remove(blue, "")
        same = await remove(blue, await prove(browser, blue))
        other = await remove(blue, await prove(browser, red))
        last = await remove(red, codes[0])
        renewed = await browser.post("/staff/recovery", data={**csrf, "code": await prove(browser, red)})
        used = await browser.post("/staff/recovery", data={**csrf, "code": codes[1]})
        await browser.aclose()

    assert [one.status_code for one in (bare, same, other, last)] == [403, 403, 303, 409]
    assert "another factor" in same.text
    assert "your only factor" in last.text
    assert len(re.findall(r"<li>[A-Z2-7]{16}</li>", renewed.text)) == 10
    assert used.status_code == 403


async def test_without_telling_keys_apart_a_found_key_would_take_itself_away(
    store_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The mutant: it is not asked which factor was shown."""
    real = room_module.StaffRoom._step

    async def step(self: Any, session: Any, code: str, other_than: str = "") -> None:
        del other_than
        await real(self, session, code)

    monkeypatch.setattr(room_module.StaffRoom, "_step", step)
    with pytest.raises(AssertionError):
        await test_what_is_taken_away_is_not_what_is_shown(store_url, tmp_path)


# ------------------------------------------------------------------------------------- who may come in


async def test_an_owner_invites_changes_and_removes(store_url: str, tmp_path: Path) -> None:
    """With a second factor each time; a changed role and a removal end sessions at once."""
    async with staff_front(store_url, tmp_path) as own:
        owner = await own.entered()
        key, _ = await add_key(owner)

        async def act(method: str, path: str, plain: Any = None) -> httpx.Response:
            headers = {"staff-code": await prove(owner, key)}
            return await owner.request(method, f"{API}{path}", json=plain, headers=headers)

        new = {"name": "bob", "role": "support", "email": "bob@example.org"}
        bare = await owner.post(f"{API}/staff", json=new)
        made = await act("POST", "/staff", new)
        async with own.browser() as bob:
            await own.log_in(bob, "bob")
            first = await bob.get(f"{API}/events/summer")
            refused = await bob.get(f"{API}/staff")
            changed = await act("PUT", "/staff/bob/role", {"role": "viewer"})
            over = await bob.get(f"{API}/events")
            await own.log_in(bob, "bob")
            second = await bob.get("/staff/who")
            removed = await act("DELETE", "/staff/bob")
            gone = await bob.get(f"{API}/events")
            again = await own.log_in(bob, "bob")
        listed = await owner.get(f"{API}/staff")
        wrong = [
            await act("POST", "/staff", {**new, **change})
            for change in (
                {"role": "king"}, {"name": "Bob!"}, {"days": 0}, {"days": True}, {"email": "x"}, {"more": 1},
                {"name": "program"}, {"name": "ida"},
            )
        ]  # fmt: skip
        nobody = [await act("DELETE", "/staff/bob"), await act("PUT", "/staff/bob/role", {"role": "viewer"})]
        await owner.aclose()

    assert code_of(bare) == (403, "second-factor-missing")
    assert (made.status_code, first.status_code, refused.status_code) == (201, 200, 403)
    assert (changed.status_code, over.status_code, second.json()["role"]) == (200, 401, "viewer")
    assert (removed.status_code, gone.status_code, again.status_code) == (200, 401, 403)
    assert [one["name"] for one in listed.json()["staff"]] == ["ida"]
    assert [code_of(one)[1] for one in wrong] == ["staff-invalid"] * 6 + ["staff-taken"] * 2
    assert [code_of(one) for one in nobody] == [(404, "staff-unknown")] * 2


async def test_logging_out_ends_the_session_here_or_everywhere(store_url: str, tmp_path: Path) -> None:
    """The cookie is taken away, and is worth nothing to whoever has kept it."""
    async with staff_front(store_url, tmp_path) as own, own.browser() as other:
        browser = await own.entered()
        await own.log_in(other)
        kept = browser.cookies["staff"]
        out = await browser.post("/staff/logout", data={"csrf": browser.headers["staff-csrf"]})
        again = await browser.post("/staff/logout", data={"csrf": ""})
        async with own.browser() as thief:
            thief.cookies.set("staff", kept, domain="localhost.local")
            stolen = await thief.get("/staff/who", headers={"cookie": f"staff={kept}"})
        still = await other.get("/staff/who")
        await own.log_in(browser)
        form = {"csrf": await paper(browser), "everywhere": "yes"}
        await browser.post("/staff/logout", data=form)
        everywhere = await other.get("/staff/who")
        await browser.aclose()

    assert (out.status_code, again.status_code, out.headers["location"]) == (303, 303, "/staff")
    assert "staff" not in browser.cookies
    assert (stolen.status_code, still.status_code, everywhere.status_code) == (401, 200, 401)


async def test_the_page_is_nobodys_to_frame_and_its_files_are_kept(store_url: str, tmp_path: Path) -> None:
    """Every file that it names is there, for ever; another version is not."""
    async with staff_front(store_url, tmp_path) as own, own.browser() as browser:
        page = await browser.get("/staff")
        names = re.findall(r'"(/staff/static/[^"]+)"', page.text)
        files = [await browser.get(name) for name in names]
        old = await browser.get("/staff/static/0123456789ab/staff.js")
        nothing = await browser.get("/staff/nothing")

    assert len(names) == 2
    assert {one.status_code for one in files} == {200}
    assert all("immutable" in one.headers["cache-control"] for one in files)
    assert (old.status_code, nothing.status_code) == (404, 404)
    assert SITE not in page.text
