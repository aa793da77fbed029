"""Pages about people: welcome, account and people: what each form does, what it refuses, and what it tells once."""

import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from redis.asyncio import Redis

from dashboards.access_books import AccessBooks
from dashboards.account_book import Told
from dashboards.enrolling import LASTS_MS
from dashboards.people_page import ACTS
from dashboards.rights import Person, Role
from kernel.clock import ManualClock
from kernel.errors import Unavailable
from kernel.totp import STEP_MS, code_at
from tests.dashboards.desk import MAIN, app_of, client_of, csrf_in, program, signed_in
from tests.dashboards.outgoing import gone
from tests.dashboards.people import (
    BY,
    PASSWORD,
    Someone,
    books_of,
    browser_of,
    device_in,
    send,
    sign_in_as,
    someone,
)
from waitroom.configure import Actor, Configurations

OWN_PAGE = "https://control.example"


@pytest.fixture
def books(tmp_path: Path, clock: ManualClock) -> Iterator[AccessBooks]:
    """Give the books of a fresh installation."""
    with books_of(tmp_path, clock) as made:
        yield made


def invited(books: AccessBooks, name: str = "Ann Lee") -> str:
    """Invite somebody."""
    told, code = books.accounts.invite(name, Role.OPERATOR, frozenset({"main"}), BY)
    assert told is Told.DONE
    return code


async def accept(
    browser: httpx.AsyncClient, link: str, clock: ManualClock, **fields: str
) -> tuple[httpx.Response, bytes]:
    """Open an invitation's link and fill in its form; `fields` override."""
    page = await browser.get("/welcome", params={"code": link})
    secret, paper = device_in(page)
    form = {"csrf": csrf_in(page), "code": link, "device": paper, "password": PASSWORD}
    form["digits"] = code_at(secret, clock.now_ms() // STEP_MS)
    return await browser.post("/welcome", data=form | fields), secret


# --------------------------------------------------------------------------------- welcome


async def test_an_invitation_becomes_an_account(store: Redis, clock: ManualClock, books: AccessBooks) -> None:
    """The link shows the picture; password and device then sign in, here at once and later at the form."""
    app, code = app_of(store, clock, access=books), invited(books)
    async with client_of(app) as browser, client_of(app) as later:
        answer, secret = await accept(browser, code, clock)
        recovery = re.findall(r"<li><code>([A-Z2-7]{16})</code>", answer.text)
        assert (answer.status_code, len(set(recovery))) == (200, 10)
        assert "Ann Lee" in (await browser.get("/account")).text
        clock.advance(STEP_MS)
        ann = Someone("Ann Lee", secret, recovery)
        assert (await sign_in_as(later, ann, clock)).status_code == 303
        later.cookies.clear()
        assert (await sign_in_as(later, ann, clock, code=recovery[3])).status_code == 303

        again = await browser.get("/welcome", params={"code": code})
        assert (again.status_code, "does not count" in again.text) == (403, True)
    assert books.accounts.find("Ann Lee") is not None


@pytest.mark.parametrize(
    ("fields", "status", "told"),
    [
        ({"csrf": ""}, 403, "too old"),
        ({"csrf": "k1.x.y"}, 403, "too old"),
        ({"code": ""}, 403, "does not count"),
        ({"code": "x" * 500}, 403, "does not count"),
        ({"code": "\x00"}, 403, "does not count"),
        ({"password": ""}, 422, "at least 12"),
        ({"password": "Ann Lee" * 3}, 422, "first that anybody"),
        ({"password": "x y z" * 100}, 422, "at most 256"),
        ({"digits": ""}, 422, "not the digits"),
        ({"digits": "12345"}, 422, "not the digits"),
        ({"digits": "abcdef"}, 422, "not the digits"),
        ({"device": ""}, 422, "read the picture"),
        ({"device": "k1.x.y"}, 422, "read the picture"),
    ],
)
async def test_what_an_invitation_refuses(
    store: Redis, clock: ManualClock, books: AccessBooks, fields: dict[str, str], status: int, told: str
) -> None:
    """And says so; the invitation goes on to count."""
    app, code = app_of(store, clock, access=books), invited(books)
    async with client_of(app) as browser:
        answer, _ = await accept(browser, code, clock, **fields)
        assert (answer.status_code, told in answer.text) == (status, True)
        assert (await accept(browser, code, clock))[0].status_code == 200


async def test_a_device_is_bound_to_its_invitation_and_its_hour(
    store: Redis, clock: ManualClock, books: AccessBooks
) -> None:
    """Another invitation's paper is none; a wrong try shows the same picture again, an old paper a new one."""
    app, code, other = app_of(store, clock, access=books), invited(books), invited(books, "Bob")
    async with client_of(app) as browser:
        _, theirs = device_in(await browser.get("/welcome", params={"code": other}))
        answer, _ = await accept(browser, code, clock, device=theirs)
        assert (answer.status_code, "read the picture" in answer.text) == (422, True)
        wrong, secret = await accept(browser, code, clock, digits="000000")
        assert device_in(wrong)[0] == secret
        paper = device_in(wrong)[1]
        clock.advance(LASTS_MS)
        late, fresh = await accept(browser, code, clock, device=paper)
        assert (late.status_code, device_in(late)[0] != secret, fresh != secret) == (422, True, True)


@pytest.mark.parametrize("query", ["", "?code=", "?code=x", "?code=%00", "?other=1", f"?code={'x' * 3000}"])
async def test_no_link_is_like_a_wrong_one(
    store: Redis, clock: ManualClock, books: AccessBooks, query: str
) -> None:
    """Nothing is told of who was invited."""
    invited(books)
    async with client_of(app_of(store, clock, access=books)) as browser:
        answer = await browser.get(f"/welcome{query}")

    assert (answer.status_code, "does not count" in answer.text, "Ann" in answer.text) == (403, True, False)


# --------------------------------------------------------------------------------- account


async def test_each_form_of_the_own_account(store: Redis, clock: ManualClock, books: AccessBooks) -> None:
    """Password, device, recovery codes and sessions; each says what it did."""
    app, ann = app_of(store, clock, access=books), someone(books, clock)
    async with browser_of(app, ann, clock) as browser:
        done = await send(browser, "/account/password", password=PASSWORD, new="quite another phrase")
        assert done.headers["location"] == "/account?done=password"
        assert "is changed" in (await browser.get(done.headers["location"])).text
        ann.password = "quite another phrase"
        shown = await browser.get("/account?device=new")
        secret, paper = device_in(shown)
        digits = code_at(secret, clock.now_ms() // STEP_MS)
        fields = {"device": paper, "digits": digits, "password": ann.password}
        assert (await send(browser, "/account/device", **fields)).headers[
            "location"
        ] == "/account?done=device"
        ann.secret = secret
        codes = await send(browser, "/account/recovery", password=ann.password)
        assert len(re.findall(r"<li><code>[A-Z2-7]{16}</code>", codes.text)) == 10
        clock.advance(STEP_MS)
        async with browser_of(app, ann, clock) as other:
            assert "Another browser" in (await browser.get("/account")).text
            assert (await send(browser, "/account/sessions")).status_code == 303
            assert (await other.get("/account")).headers["location"] == "/login"
        assert books.accounts.check(ann.name, ann.password, ann.recovery[0]) is Told.PASSWORD_WRONG


@pytest.mark.parametrize(
    ("act", "fields", "status", "told"),
    [
        ("password", {"password": "x", "new": "quite another phrase"}, 403, "did not fit"),
        ("password", {"password": PASSWORD, "new": "short"}, 422, "at least 12"),
        ("password", {"password": PASSWORD}, 422, "at least 12"),
        ("password", {}, 422, "at least 12"),
        ("device", {"password": PASSWORD}, 422, "read the picture"),
        ("device", {"password": PASSWORD, "device": "x"}, 422, "read the picture"),
        ("recovery", {}, 403, "did not fit"),
        ("recovery", {"password": "x"}, 403, "did not fit"),
        ("sessions", {"csrf": "x"}, 403, "nothing was changed"),
        ("other", {}, 404, "no such thing"),
    ],
)
async def test_what_the_own_account_refuses(
    store: Redis,
    clock: ManualClock,
    books: AccessBooks,
    act: str,
    fields: dict[str, str],
    status: int,
    told: str,
) -> None:
    """An open browser alone changes nothing of how somebody signs in."""
    app, ann = app_of(store, clock, access=books), someone(books, clock)
    async with browser_of(app, ann, clock) as browser:
        answer = await send(browser, f"/account/{act}", "/account", **fields)

    assert (answer.status_code, told in answer.text) == (status, True)
    assert books.accounts.check(ann.name, PASSWORD, ann.recovery[0]) is Told.DONE


async def test_a_new_device_needs_the_password_and_its_own_code(
    store: Redis, clock: ManualClock, books: AccessBooks
) -> None:
    """After a wrong try the same picture is shown; whoever guesses the password there has to wait."""
    app, ann = app_of(store, clock, access=books), someone(books, clock)
    async with browser_of(app, ann, clock) as browser:
        secret, paper = device_in(await browser.get("/account?device=new"))
        digits = code_at(secret, clock.now_ms() // STEP_MS)
        for fields in ({"password": "x", "digits": digits}, {"password": PASSWORD, "digits": "000000"}):
            answer = await send(browser, "/account/device", device=paper, **fields)
            assert (answer.status_code in {403, 422}, device_in(answer)[0]) == (True, secret)
        told = [(await send(browser, "/account/recovery", password="x")).text for _ in range(5)]
        assert ["Too many tries" in text for text in told] == [False] * 4 + [True]
        assert "Too many tries" in (await send(browser, "/account/recovery", password=PASSWORD)).text
    assert books.accounts.check(ann.name, PASSWORD, ann.digits(clock)) is Told.DONE


async def test_who_came_by_the_token_has_no_account_to_change(
    store: Redis, clock: ManualClock, books: AccessBooks
) -> None:
    """The page says how to make one."""
    app = app_of(store, clock, access=books)
    async with signed_in(app, "Dan") as browser:
        page = await browser.get("/account")
        assert (page.status_code, "waitroom operators add" in page.text) == (200, True)
        answer = await browser.post("/account/sessions", data={"csrf": csrf_in(page)})
        assert (answer.status_code, "without an account" in answer.text) == (403, True)


# ---------------------------------------------------------------------------------- people


async def test_an_owner_invites_and_the_link_is_told_once(
    store: Redis, clock: ManualClock, books: AccessBooks
) -> None:
    """It leads to the page for whoever was invited; the next look does not show it."""
    app, ann = app_of(store, clock, access=books, own_page=OWN_PAGE), someone(books, clock)
    async with browser_of(app, ann, clock) as browser:
        answer = await send(browser, "/people/invite", name="Bob", role="operator", rooms="main, late")
        link = re.search(rf"{OWN_PAGE}/welcome\?code=[\w-]+", answer.text)
        assert link is not None
        code = parse_qs(urlsplit(link[0]).query)["code"][0]
        page = await browser.get("/people")
        assert (code in page.text, "Bob" in page.text, "late, main" in page.text) == (False, True, True)
        assert (await browser.get("/welcome", params={"code": code})).status_code == 200
        again = await send(browser, "/people/reset", name="Bob")
        assert code not in again.text
        assert "/welcome?code=" in again.text
        assert books.accounts.invited(code) is None
    bob = books.accounts.find("bob")
    assert bob is not None
    assert (bob.role, bob.rooms, bob.made_by) == (Role.OPERATOR, frozenset({"main", "late"}), "Ann Lee")


@pytest.mark.parametrize(("secure", "base"), [(False, "http://desk.test:8081"), (True, "https://desk.test")])
async def test_a_link_begins_as_the_owner_typed_the_page(
    store: Redis, clock: ManualClock, books: AccessBooks, secure: bool, base: str
) -> None:
    """Where no setting says how: with TLS it is https, whatever a proxy speaks behind."""
    app, ann = app_of(store, clock, access=books, secure=secure), someone(books, clock)
    async with browser_of(app, ann, clock, base=base) as browser:
        answer = await send(browser, "/people/invite", name="Bob", role="viewer", rooms="all")

    assert f"<code>{base}/welcome?code=" in answer.text


async def test_rooms_are_named_where_they_are_typed_and_a_room_that_is_not_there_is_told(
    store: Redis, clock: ManualClock, books: AccessBooks
) -> None:
    """A misspelt room shows on both sides: in the hint, and to whoever sees nothing because of it."""
    await Configurations(store, clock).create(MAIN, BY)
    app = app_of(store, clock, access=books)
    ann, bob = someone(books, clock), someone(books, clock, "Bob", Role.OPERATOR, frozenset({"mian"}))
    async with browser_of(app, ann, clock) as browser, browser_of(app, bob, clock) as his:
        assert "Rooms: all, or their names (main)." in (await browser.get("/people")).text
        page = (await his.get("/")).text
    assert ("limited to mian" in page, "POST /api/rooms" in page) == (True, False)


async def test_of_two_owners_with_the_same_page_the_second_changes_nothing(
    store: Redis, clock: ManualClock, books: AccessBooks
) -> None:
    """Each form carries role and rooms as they were shown; the refusal shows them as they are."""
    app, ann, _ = app_of(store, clock, access=books), someone(books, clock), someone(books, clock, "Bob")
    books.accounts.change("Bob", Role.OPERATOR, frozenset({"main", "lobby"}), Actor("Ann Lee"))
    async with browser_of(app, ann, clock) as browser:
        page = (await browser.get("/people")).text
        (seen,) = re.findall(r'name="seen" value="(operator: [^"]*)"', page)
        done = await send(
            browser, "/people/change", name="Bob", role="viewer", rooms="main, lobby", seen=seen
        )
        late = await send(browser, "/people/change", name="Bob", role="operator", rooms="main", seen=seen)

    assert done.status_code == 303
    assert (late.status_code, "changed this person meanwhile" in late.text) == (422, True)
    assert "viewer: lobby,main" in late.text
    bob = books.accounts.find("Bob")
    assert bob is not None
    assert (bob.role, bob.rooms) == (Role.VIEWER, {"main", "lobby"})


async def test_an_owner_changes_signs_out_and_takes_out(
    store: Redis, clock: ManualClock, books: AccessBooks
) -> None:
    """Each counts at once."""
    app, ann, bob = app_of(store, clock, access=books), someone(books, clock), someone(books, clock, "Bob")
    async with browser_of(app, ann, clock) as browser, browser_of(app, bob, clock) as his:
        assert (await his.get("/people")).status_code == 200
        assert (
            await send(browser, "/people/change", name="Bob", role="viewer", rooms="all")
        ).status_code == 303
        assert (await his.get("/people")).status_code == 403
        assert (await send(browser, "/people/sign-out", name="Bob")).status_code == 303
        assert (await his.get("/people")).headers["location"] == "/login"
        assert (await send(browser, "/people/remove", name="Bob", confirm="yes")).status_code == 303
    assert books.accounts.find("Bob") is None


async def test_a_token_is_made_told_once_used_and_removed(
    store: Redis, clock: ManualClock, books: AccessBooks
) -> None:
    """It acts by its name at the API, within role and rooms; Waitroom-Who adds to the name, and replaces nothing."""
    app, ann = app_of(store, clock, access=books), someone(books, clock)
    async with browser_of(app, ann, clock) as browser:
        form = {"name": "deploy", "role": "operator", "rooms": "all", "days": "30"}
        answer = await send(browser, "/people/token", **form)
        found = re.search(r"wrt_[\w-]{43}", answer.text)
        assert found is not None
        assert found[0] not in (await browser.get("/people")).text
        async with program(app, found[0]) as api:
            room = {"name": "main", "origin": "https://shop.example.com"}
            assert (await api.post("/api/rooms", json=room)).status_code == 201
            patch = {"paused": True}, {"if-match": "*", "waitroom-who": "Eve"}
            assert (await api.patch("/api/rooms/main", json=patch[0], headers=patch[1])).status_code == 200
            changes = (await api.get("/api/rooms/main/changes")).json()["changes"]
            assert [change["who"] for change in changes[:2]] == ["deploy for Eve", "deploy"]
            page = (await browser.get("/people")).text
            assert ("Last used" in page, "Made by Ann Lee" in page) == (True, True)
            assert (await send(browser, "/people/token-remove", name="deploy")).status_code == 303
            gone = await api.get("/api/rooms")
            assert (gone.status_code, gone.json()["code"]) == (401, "token-invalid")


async def test_what_was_made_is_told_although_the_page_cannot_be_shown(
    store: Redis, clock: ManualClock, books: AccessBooks, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The journal goes away right after: a token counts and a link invites, so they are told, once."""
    app, ann = app_of(store, clock, access=books), someone(books, clock)
    async with browser_of(app, ann, clock) as browser:
        csrf = csrf_in(await browser.get("/people"))
        monkeypatch.setattr(books.accounts, "all", gone)
        form = {"csrf": csrf, "name": "deploy", "role": "owner", "rooms": "all", "days": "1"}
        token = await browser.post("/people/token", data=form)
        link = await browser.post("/people/invite", data=form | {"name": "Bo"})
        monkeypatch.setattr(books.tokens, "add", gone)
        doubt = await browser.post("/people/token", data=form)

    assert books.tokens.who(re.findall(r"wrt_[\w-]{43}", token.text)[0]) == Person("deploy", Role.OWNER)
    assert (link.status_code, "/welcome?code=" in link.text) == (200, True)
    assert (doubt.status_code, "not known" in doubt.text) == (503, True)


async def test_a_token_that_is_of_a_removed_owner_stops(
    store: Redis, clock: ManualClock, books: AccessBooks
) -> None:
    """It was made on the page, so its maker is known."""
    app, ann, bob = app_of(store, clock, access=books), someone(books, clock), someone(books, clock, "Bob")
    async with browser_of(app, bob, clock) as browser:
        answer = await send(browser, "/people/token", name="deploy", role="owner", rooms="all", days="1")
        token = re.findall(r"wrt_[\w-]{43}", answer.text)[0]
    assert books.tokens.who(token) == Person("deploy", Role.OWNER)
    async with browser_of(app, ann, clock) as browser, program(app, token) as api:
        assert (await api.get("/api/rooms")).status_code == 200
        await send(browser, "/people/remove", name="Bob", confirm="yes")
        assert (await api.get("/api/rooms")).status_code == 401


FINE = {"name": "Bob", "role": "viewer", "rooms": "all", "days": "1", "confirm": "yes"}


@pytest.mark.parametrize(
    ("act", "fields", "told"),
    [
        ("invite", {"name": ""}, "cannot be a name"),
        ("invite", {"name": "x" * 41}, "cannot be a name"),
        ("invite", {"name": "API"}, "cannot be a name"),
        ("invite", {"name": "ann LEE"}, "of this name already"),
        ("invite", {"role": "boss"}, "Choose a role"),
        ("invite", {"role": ""}, "Choose a role"),
        ("invite", {"rooms": ""}, "Name rooms"),
        ("invite", {"rooms": "Main Hall"}, "Name rooms"),
        ("invite", {"email": "ann"}, "no mail address"),
        ("change", {"name": "Nobody"}, "nobody of this name"),
        ("change", {"name": "Ann Lee"}, "last owner"),
        ("change", {"name": "Ann Lee", "role": "owner", "rooms": "main"}, "last owner"),
        ("change", {"role": "\x00"}, "Choose a role"),
        ("reset", {"name": ""}, "nobody of this name"),
        ("remove", {"name": "Ann Lee"}, "last owner"),
        ("remove", {"name": "Ann Lee", "confirm": ""}, "not ticked"),
        ("remove", {"name": "Nobody"}, "nobody of this name"),
        ("token", {"name": "Ann Lee"}, "of this name already"),
        ("token", {"days": "0"}, "1 to 3650 days"),
        ("token", {"days": "3651"}, "1 to 3650 days"),
        ("token", {"days": "-1"}, "1 to 3650 days"),
        ("token", {"days": "1e3"}, "1 to 3650 days"),
        ("token", {"days": "٣"}, "1 to 3650 days"),
        ("token", {"role": "god"}, "Choose a role"),
        ("token-remove", {"name": "x"}, "nobody of this name"),
    ],
)
async def test_what_the_people_page_refuses(
    store: Redis, clock: ManualClock, books: AccessBooks, act: str, fields: dict[str, str], told: str
) -> None:
    """Nothing is changed then, and the page says why."""
    app, ann = app_of(store, clock, access=books), someone(books, clock)
    async with browser_of(app, ann, clock) as browser:
        answer = await send(browser, f"/people/{act}", "/people", **FINE | fields)

    assert (answer.status_code, "Nothing was changed." in answer.text, told in answer.text) == (
        422,
        True,
        True,
    )
    assert [one.name for one in books.accounts.all()] == ["Ann Lee"]
    assert books.tokens.all() == []


async def test_an_act_that_there_is_not(store: Redis, clock: ManualClock, books: AccessBooks) -> None:
    """404, as any address that there is not."""
    app, ann = app_of(store, clock, access=books), someone(books, clock)
    async with browser_of(app, ann, clock) as browser:
        assert (await send(browser, "/people/promote", "/people", **FINE)).status_code == 404


@pytest.mark.parametrize(
    ("role", "rooms"), [(Role.VIEWER, None), (Role.OPERATOR, None), (Role.OWNER, frozenset({"main"}))]
)
async def test_people_are_for_owners_of_all_rooms(
    store: Redis, clock: ManualClock, books: AccessBooks, role: Role, rooms: frozenset[str] | None
) -> None:
    """Others see neither the page nor the way to it, and none of its forms does anything."""
    app = app_of(store, clock, access=books)
    someone(books, clock, "Bob Stone")
    ann = someone(books, clock, "Ann Lee", role, rooms)
    async with browser_of(app, ann, clock) as browser:
        own = await browser.get("/account")
        assert 'href="/people"' not in own.text
        page = await browser.get("/people")
        assert (page.status_code, "takes another role" in page.text, "Bob Stone" in page.text) == (
            403,
            True,
            False,
        )
        for act in ACTS:
            answer = await browser.post(f"/people/{act}", data={"csrf": csrf_in(own)} | FINE)
            assert answer.status_code == 403
    assert books.accounts.find("Bob Stone") is not None
    assert books.tokens.all() == []


async def test_a_role_that_is_not_checked_is_noticed(
    store: Redis, clock: ManualClock, books: AccessBooks, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The mutant: everybody may everything."""
    monkeypatch.setattr(Person, "may", lambda *_: True)
    app = app_of(store, clock, access=books)
    someone(books, clock, "Bob")
    someone(books, clock, "Cleo")
    ann = someone(books, clock, "Ann Lee", Role.VIEWER)
    async with browser_of(app, ann, clock) as browser:
        answer = await send(browser, "/people/remove", "/account", name="Bob", confirm="yes")

    assert answer.status_code == 303
    assert books.accounts.find("Bob") is None


async def test_each_person_sees_their_own_logins_and_owners_all(
    store: Redis, clock: ManualClock, books: AccessBooks
) -> None:
    """With network, way and outcome."""
    app, ann = app_of(store, clock, access=books), someone(books, clock)
    bob = someone(books, clock, "Bob", Role.VIEWER)
    async with (
        browser_of(app, ann, clock, address="192.0.2.1") as hers,
        browser_of(app, bob, clock, address="198.51.100.1") as his,
    ):
        people, own = (await hers.get("/people")).text, (await his.get("/account")).text
    assert ("192.0.2.0/24" in people, "198.51.100.0/24" in people) == (True, True)
    assert ("192.0.2.0/24" in own, "198.51.100.0/24" in own) == (False, True)
    assert "192.0.2.1" not in people


async def test_a_name_with_marks_is_a_text_and_no_page(
    store: Redis, clock: ManualClock, books: AccessBooks
) -> None:
    """Whatever somebody is called, on every page."""
    app, ann = app_of(store, clock, access=books), someone(books, clock, "<b>Ann</b>")
    async with browser_of(app, ann, clock) as browser:
        await send(browser, "/people/token", name="<i>x</i>", role="viewer", rooms="all", days="1")
        for path in ("/people", "/account", "/account?device=new"):
            text = (await browser.get(path)).text
            assert ("<b>Ann</b>" in text, "<i>x</i>" in text) == (False, False)


async def test_while_the_book_is_away_nothing_is_said_to_be_done(
    store: Redis, clock: ManualClock, books: AccessBooks, monkeypatch: pytest.MonkeyPatch
) -> None:
    """503, and a page that says so."""
    app, ann = app_of(store, clock, access=books), someone(books, clock)
    async with browser_of(app, ann, clock) as browser:
        csrf = csrf_in(await browser.get("/people"))

        def away(*_: object, **__: object) -> None:
            raise Unavailable("journal-away", "The waiting room cannot reach its journal.")

        for book, names in (
            (books.accounts, ("all", "find", "remove", "renew_recovery", "invited")),
            (books.sessions, ("end_all",)),
        ):
            for name in names:
                monkeypatch.setattr(book, name, away)
        looked = [await browser.get(path) for path in ("/people", "/account", "/welcome?code=x")]
        asked = {"csrf": csrf, "name": "Bob", "confirm": "yes", "password": PASSWORD}
        sent = [await browser.post(path, data=asked) for path in ("/people/remove", "/account/sessions")]

    assert {answer.status_code for answer in looked + sent} == {503}


async def test_no_page_about_people_is_kept_or_framed(
    store: Redis, clock: ManualClock, books: AccessBooks
) -> None:
    """Neither what is shown nor what leads on: no cache keeps it, no other site puts it into a frame."""
    app, ann = app_of(store, clock, access=books), someone(books, clock)
    async with client_of(app) as stranger, browser_of(app, ann, clock) as browser:
        answers = [
            await stranger.get(path) for path in ("/login", "/welcome?code=x", "/people", "/account", "/")
        ]
        answers += [await browser.get(path) for path in ("/login", "/people", "/account?device=new", "/")]
        answers.append(await send(browser, "/people/token", **FINE))
    for answer in answers:
        assert answer.headers["cache-control"] == "no-store"
        assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]
