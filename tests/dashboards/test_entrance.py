"""Entrance with accounts: ways in, who has to wait, what ends a session, and forged forms; mutants are noticed."""

import asyncio
import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path

import pytest
from redis.asyncio import Redis

from dashboards import access, entrance, wait_book
from dashboards.access import Sessions, by_account, by_address, network_of
from dashboards.access_books import AccessBooks
from dashboards.account_book import Told
from dashboards.entrance import GRACE_MS
from dashboards.rights import Role
from dashboards.session_book import IN, WRONG
from dashboards.wait_book import FORGET_MS, Guesser, Rule, Try, WaitsHere
from kernel.clock import ManualClock
from kernel.errors import Unavailable
from kernel.totp import STEP_MS
from tests.dashboards.desk import MAIN, TOKEN, app_of, client_of, csrf_in, program, sign_in, signed_in
from tests.dashboards.people import BY, PASSWORD, books_of, browser_of, send, sign_in_as, someone
from waitroom.configure import Actor, Configurations


@pytest.fixture
def books(tmp_path: Path, clock: ManualClock) -> Iterator[AccessBooks]:
    """Give the books of a fresh installation."""
    with books_of(tmp_path, clock) as made:
        yield made


# -------------------------------------------------------------------------------- the ways in


async def test_the_operator_token_signs_in_until_an_owner_has_an_account(
    store: Redis, clock: ManualClock, books: AccessBooks
) -> None:
    """An invitation that waits, or an owner of some rooms, changes nothing; then its sessions end, too."""
    app = app_of(store, clock, access=books)
    books.accounts.invite("Bob", Role.OWNER, None, BY)
    someone(books, clock, "Cleo", Role.OWNER, frozenset({"main"}))
    async with signed_in(app, "Dan") as browser, client_of(app) as other:
        assert (await browser.get("/")).status_code == 200
        ann = someone(books, clock)

        assert (await browser.get("/")).headers["location"] == "/login"
        page = await other.get("/login")
        assert ('name="token"' in page.text, 'name="password"' in page.text) == (False, True)
        late = await other.post("/login", data={"csrf": csrf_in(page), "who": "Dan", "token": TOKEN})
        assert (late.status_code, "for programs" in late.text) == (403, True)
        async with program(app) as api:
            assert (await api.get("/api/rooms")).status_code == 200
        books.accounts.remove(ann.name, keep_owner=False, by=BY)
        assert (await browser.get("/")).status_code == 200

    allowed = app_of(store, clock, access=books, token_login=True)
    ann = someone(books, clock)
    async with signed_in(allowed, "Dan") as browser:
        assert (await browser.get("/")).status_code == 200


@pytest.mark.parametrize("name", ["EVE", "Deploy", "command line", "API"])
async def test_nobody_signs_in_by_token_under_a_name_that_is_taken(
    clock: ManualClock, books: AccessBooks, store: Redis, name: str
) -> None:
    """Else the journal would name a person, a program or a way who did nothing."""
    app = app_of(store, clock, access=books)
    someone(books, clock, "Eve", Role.VIEWER)
    books.tokens.add("deploy", Role.VIEWER, None, 1, BY)
    async with client_of(app) as browser:
        answer = await sign_in(browser, name)

    assert (answer.status_code, "goes by this name" in answer.text) == (422, True)


async def test_name_password_and_code_sign_in_together(
    clock: ManualClock, books: AccessBooks, store: Redis
) -> None:
    """What is wrong is not said; what was right stands in the list, with its network only."""
    app = app_of(store, clock, access=books)
    ann = someone(books, clock)
    async with client_of(app, address="192.0.2.77") as browser:
        for wrong in (
            {"password": "x"}, {"code": "000000"}, {"code": ""}, {"name": "Bob"}, {"name": ""}, {"password": ""},
        ):  # fmt: skip
            answer = await sign_in_as(browser, ann, clock, **wrong)
            assert (answer.status_code, "do not fit together" in answer.text) in {(403, True), (429, False)}
            clock.advance(1_000_000)
        right = await sign_in_as(browser, ann, clock)
        assert (right.status_code, right.headers["location"]) == (303, "/")
        assert "Ann Lee" in (await browser.get("/")).text

    last = books.sessions.logins()[0]
    assert (last.name, last.network, last.how, last.outcome) == ("Ann Lee", "192.0.2.0/24", "password", IN)
    assert {one.outcome for one in books.sessions.logins()[1:]} == {WRONG}


async def test_the_form_for_signing_in_needs_its_paper(
    clock: ManualClock, books: AccessBooks, store: Redis
) -> None:
    """Neither without it nor with another browser's; nothing is counted against anybody."""
    app = app_of(store, clock, access=books)
    ann = someone(books, clock)
    async with client_of(app) as browser, client_of(app) as other:
        theirs = csrf_in(await other.get("/login"))
        for csrf in ("", "x", theirs):
            answer = await sign_in_as(browser, ann, clock, csrf=csrf)
            assert (answer.status_code, "too old" in answer.text) == (403, True)
        assert (await sign_in_as(browser, ann, clock)).status_code == 303


# -------------------------------------------------------------------------------- who waits


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("192.0.2.77", "192.0.2.0/24"),
        ("2001:db8:1:2::3", "2001:db8:1::/48"),
        ("local", ""),
        ("", ""),
    ],
)
def test_a_list_keeps_a_network_and_no_address(address: str, network: str) -> None:
    """An IPv4 address without its last part, of IPv6 the first three."""
    assert network_of(address) == network


@pytest.mark.parametrize("shared", [True, False])
def test_strangers_wait_together_and_a_known_network_for_itself(books: AccessBooks, *, shared: bool) -> None:
    """Slowly growing, five minutes at most, and never anybody else; in the database as in memory."""
    waits = books.waits if shared else WaitsHere()
    home = by_account("ann", "192.0.2.0/24")
    failed = []
    now_ms = 0
    for _ in range(30):
        failed.append(waits.begin([by_account("ann", "")], now_ms))
        now_ms += failed[-1].wait_ms

    assert [one.wait_ms for one in failed[:12]] == [0] * 9 + [5_000, 10_000, 20_000]
    assert {one.may for one in failed} == {True}
    assert failed[-1].wait_ms == 300_000
    assert waits.begin([by_account("ann", "")], now_ms - 1) == Try(may=False, wait_ms=1)
    assert waits.begin([by_account("bob", "")], now_ms - 1) == Try(may=True, wait_ms=0)
    assert [waits.begin([home], 0).wait_ms for _ in range(5)] == [0, 0, 0, 0, 10_000]
    assert waits.begin([by_account("ann", "198.51.100.0/24")], 0).wait_ms == 0
    waits.over([by_account("ann", "")])
    assert waits.begin([by_account("ann", "")], 0) == Try(may=True, wait_ms=0)
    assert waits.begin([home, by_account("cem", "")], 0) == Try(may=False, wait_ms=10_000)


@pytest.mark.parametrize("shared", [True, False])
def test_old_failures_are_forgotten_and_the_number_is_bounded(
    books: AccessBooks, monkeypatch: pytest.MonkeyPatch, *, shared: bool
) -> None:
    """An hour after its wait somebody begins anew; of too many who wait, whoever may try again first goes."""
    waits, once = books.waits if shared else WaitsHere(), Rule(1)
    ann = Guesser("ann", once)
    assert [waits.begin([ann], at_ms).wait_ms for at_ms in (0, 10_000)] == [10_000, 20_000]
    assert waits.begin([ann], 30_000 + FORGET_MS - 1).wait_ms == 40_000
    assert waits.begin([ann], 70_000 + 2 * FORGET_MS - 1).wait_ms == 10_000

    monkeypatch.setattr(wait_book, "ROWS_MOST", 2)
    at_ms = 80_000 + 2 * FORGET_MS
    for index in range(4):
        waits.begin([Guesser(f"name {index}", once)], at_ms + index)
    assert [waits.begin([Guesser(f"name {index}", once)], at_ms + 9).may for index in (3, 2, 0)] == [
        False,
        False,
        True,
    ]


def test_who_waits_is_kept_as_a_hash(books: AccessBooks, tmp_path: Path) -> None:
    """Addresses and names are nobody's to read in the database."""
    books.waits.begin([by_address("192.0.2.77"), by_account("ann lee", "")], 0)
    with closing(sqlite3.connect(tmp_path / "journal.db")) as raw:
        rows = raw.execute("SELECT key, failures FROM operator_waits").fetchall()
    assert [(len(key), failures) for key, failures in rows] == [(64, 1), (64, 1)]


async def at_each_machine(store: Redis, clock: ManualClock, folder: Path, *, apart: bool) -> list[int]:
    """Guess four times at one of two machines of an installation, and then at the other, the last time rightly."""
    with books_of(folder, clock) as one, books_of(folder, clock) as two:
        ann = someone(one, clock)
        if apart:
            one.waits = WaitsHere()  # type: ignore[assignment]
            two.waits = WaitsHere()  # type: ignore[assignment]
        statuses = []
        for books, password in (
            [(one, "x")] * 4 + [(two, "x")] * 2 + [(two, ann.password), (one, ann.password)]
        ):
            async with client_of(app_of(store, clock, access=books)) as guesser:
                statuses.append((await sign_in_as(guesser, ann, clock, password=password)).status_code)
        return statuses


async def test_all_machines_count_together(store: Redis, clock: ManualClock, tmp_path: Path) -> None:
    """Whoever goes from one to the next gets no more tries, with the right words neither."""
    statuses = await at_each_machine(store, clock, tmp_path, apart=False)
    assert statuses == [403] * 4 + [429] * 4


async def test_machines_that_count_apart_are_noticed(
    store: Redis, clock: ManualClock, tmp_path: Path
) -> None:
    """The mutant: each has a count of its own."""
    statuses = await at_each_machine(store, clock, tmp_path, apart=True)
    assert statuses == [403] * 6 + [303, 429]


async def test_many_at_once_are_no_more_than_after_each_other(
    store: Redis, clock: ManualClock, books: AccessBooks
) -> None:
    """Ten that look at the same time: four are tried, the fifth as well, and then they wait."""
    app, ann = app_of(store, clock, access=books), someone(books, clock)

    async def knock() -> int:
        async with client_of(app) as guesser:
            return (await sign_in_as(guesser, ann, clock, password="x")).status_code

    assert sorted(await asyncio.gather(*(knock() for _ in range(10)))) == [403] * 4 + [429] * 6


async def test_strangers_cannot_keep_a_person_out(
    clock: ManualClock, books: AccessBooks, store: Redis
) -> None:
    """From many addresses they make each other wait, with the right words too; the person comes as ever."""
    app = app_of(store, clock, access=books)
    ann = someone(books, clock)
    async with browser_of(app, ann, clock, address="192.0.2.1"):
        pass
    statuses = []
    for index in range(12):
        async with client_of(app, address=f"198.51.{index}.1") as stranger:
            statuses.append((await sign_in_as(stranger, ann, clock, password="x")).status_code)
    assert statuses == [403] * 9 + [429] * 3

    async with client_of(app, address="198.18.0.1") as elsewhere, client_of(app, address="192.0.2.2") as home:
        held = await sign_in_as(elsewhere, ann, clock)
        assert (held.status_code, held.headers["retry-after"]) == (429, "5")
        assert (await sign_in_as(home, ann, clock)).status_code == 303
        clock.advance(STEP_MS)
        assert (await sign_in_as(elsewhere, ann, clock)).status_code == 303


async def test_an_account_that_never_waits_is_noticed(
    clock: ManualClock, books: AccessBooks, store: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The mutant: failures by account are not counted, so a thousand addresses guess a thousand times."""
    app = app_of(store, clock, access=books)
    monkeypatch.setattr(access, "STRANGERS_FREE", 1_000)
    ann = someone(books, clock)
    statuses = []
    for index in range(12):
        async with client_of(app, address=f"198.51.{index}.1") as stranger:
            statuses.append((await sign_in_as(stranger, ann, clock, password="x")).status_code)

    assert statuses == [403] * 12


async def test_an_address_waits_as_with_the_token(
    clock: ManualClock, books: AccessBooks, store: Redis
) -> None:
    """Whatever names it tries; many at once are counted before the first is answered."""
    app = app_of(store, clock, access=books)
    ann = someone(books, clock)
    async with client_of(app) as guesser:
        names = [f"name {index}" for index in range(6)]
        statuses = [(await sign_in_as(guesser, ann, clock, name=name)).status_code for name in names]
        assert statuses == [403, 403, 403, 403, 429, 429]
        assert (await sign_in_as(guesser, ann, clock)).status_code == 429


async def test_a_try_counts_before_it_is_looked_at(
    clock: ManualClock, books: AccessBooks, store: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever sends a hundred at once gets five of them looked at: failures are there when the work begins."""
    app = app_of(store, clock, access=books)
    seen: list[int] = []
    real, counted = books.waits.begin, []

    def begin(whose: Sequence[Guesser], now_ms: int) -> Try:
        counted.extend(whose)
        return real(whose, now_ms)

    def check(*_: str) -> None:
        seen.append(len(counted))

    monkeypatch.setattr(books.waits, "begin", begin)
    monkeypatch.setattr(books.accounts, "check", check)
    ann = someone(books, clock)
    async with client_of(app) as guesser:
        await sign_in_as(guesser, ann, clock)

    assert seen == [2]


async def test_a_crowd_of_strangers_stands_in_nobodys_way(
    clock: ManualClock, books: AccessBooks, store: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Their passwords are looked at one after the other, a few wait, and whoever is known goes past them."""
    app = app_of(store, clock, access=books)
    ann = someone(books, clock)
    books.sessions.record(ann.name, "192.0.2.0/24", "password", IN)
    go_on, began, real = threading.Event(), threading.Event(), books.accounts.check

    def check(name: str, password: str, code: str) -> Told:
        if name != ann.name:
            began.set()
            go_on.wait()
        return real(name, password, code)

    monkeypatch.setattr(books.accounts, "check", check)
    monkeypatch.setattr(entrance, "STRANGERS_MOST", 2)

    async def knock(index: int) -> int:
        async with client_of(app, address=f"198.51.{index}.1") as stranger:
            return (await sign_in_as(stranger, ann, clock, name=f"name {index}")).status_code

    crowd = [asyncio.create_task(knock(index)) for index in range(4)]
    try:
        done, waiting = await asyncio.wait(crowd, return_when=asyncio.FIRST_COMPLETED)
        while len(waiting) > 2:
            more, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            done |= more
        assert await asyncio.to_thread(began.wait)
        assert [one.result() for one in done] == [429, 429]
        async with client_of(app) as browser:
            assert (await sign_in_as(browser, ann, clock)).status_code == 303
    finally:
        go_on.set()
    assert [await one for one in waiting] == [403, 403]


async def test_strangers_do_not_keep_from_a_password_who_is_signed_in(
    clock: ManualClock, books: AccessBooks, store: Redis
) -> None:
    """A session is known by itself, wherever its browser has moved to; its own failures count."""
    app = app_of(store, clock, access=books)
    ann = someone(books, clock)
    async with browser_of(app, ann, clock) as browser:
        for index in range(12):
            async with client_of(app, address=f"198.51.{index}.1") as stranger:
                await sign_in_as(stranger, ann, clock, password="x")
        cookies = dict(browser.cookies)
    async with client_of(app, address="203.0.113.9") as moved:
        moved.cookies.update(cookies)
        right = await send(moved, "/account/recovery", password=ann.password)
        wrong = [(await send(moved, "/account/recovery", password="x")).text for _ in range(6)]
    assert right.status_code == 200
    assert ["Too many tries" in text for text in wrong] == [False] * 4 + [True] * 2


# ------------------------------------------------------------------------------ what ends it


async def test_signing_out_ends_the_session_in_the_book(
    clock: ManualClock, books: AccessBooks, store: Redis
) -> None:
    """A copy of the cookie is worth nothing, in any process."""
    app = app_of(store, clock, access=books)
    ann = someone(books, clock)
    async with browser_of(app, ann, clock) as browser, client_of(app) as copy:
        copy.cookies = browser.cookies.__class__(browser.cookies)
        assert (await copy.get("/")).status_code == 200
        await browser.post("/logout", data={"csrf": "x"})
        assert (await copy.get("/")).status_code == 200
        await browser.post("/logout", data={"csrf": csrf_in(await browser.get("/account"))})
        assert (await copy.get("/")).headers["location"] == "/login"
        assert books.sessions.of(ann.name) == []


async def test_another_role_counts_with_the_next_click(
    store: Redis, clock: ManualClock, books: AccessBooks
) -> None:
    """The page shows no lever to a viewer, and the server takes none; other rooms are not there."""
    app = app_of(store, clock, access=books)
    rooms = Configurations(store, clock)
    for name in ("main", "late"):
        await rooms.create({**MAIN, "name": name}, Actor("toml"))
    ann = someone(books, clock)
    async with browser_of(app, ann, clock) as browser:
        page = await browser.get("/", params={"room": "main"})
        assert {"/rooms/main/pause", "/rooms/main/rate", "/rooms/main/bypass-on"} <= _actions(page.text)
        assert "room=late" in page.text
        csrf = csrf_in(page)
        books.accounts.change(ann.name, Role.VIEWER, frozenset({"main"}), keep_owner=False, by=BY)

        for path in ("/", "/live"):
            seen = await browser.get(path, params={"room": "main"})
            assert _actions(seen.text) <= {"/logout"}
            assert "/people" not in seen.text
            assert "room=late" not in seen.text
        answer = await browser.post("/rooms/main/pause", data={"csrf": csrf})
        assert (answer.status_code, "look at this room only" in answer.text) == (403, True)
        assert not (await rooms.get("main")).paused
        books.accounts.change(ann.name, Role.OPERATOR, frozenset({"main"}), keep_owner=False, by=BY)
        assert (await browser.post("/rooms/late/pause", data={"csrf": csrf})).status_code == 403
        assert (
            await browser.post("/rooms/main/pause", data={"csrf": csrf, "confirm": "yes"})
        ).status_code == 303
        assert (await rooms.changes("main", 1))[0]["who"] == "Ann Lee"
        books.accounts.remove(ann.name, keep_owner=False, by=BY)
        assert (await browser.get("/")).headers["location"] == "/login"


def _actions(text: str) -> set[str]:
    return {part.partition('"')[0] for part in text.split('action="')[1:]}


async def test_a_form_without_its_paper_changes_nothing(
    store: Redis, clock: ManualClock, books: AccessBooks
) -> None:
    """On each page, with no paper, another session's, or from another site."""
    app = app_of(store, clock, access=books)
    await Configurations(store, clock).create(MAIN, Actor("toml"))
    ann, bob = someone(books, clock), someone(books, clock, "Bob")
    async with browser_of(app, ann, clock) as browser, browser_of(app, bob, clock) as other:
        theirs = csrf_in(await other.get("/account"))
        own = csrf_in(await browser.get("/account"))
        for path in ("/people/remove", "/account/sessions", "/rooms/main/pause"):
            form = {"name": "Bob", "confirm": "yes"}
            for csrf in ({}, {"csrf": ""}, {"csrf": theirs}):
                answer = await browser.post(path, data=form | csrf)
                assert (answer.status_code, "nothing was changed" in answer.text) == (403, True)
            foreign = {"origin": "https://evil.test"}
            assert (await browser.post(path, data=form | {"csrf": own}, headers=foreign)).status_code == 403
        assert books.accounts.find("Bob") is not None
        assert (await browser.post("/people/remove", data=form | {"csrf": own})).status_code == 303
        assert books.accounts.find("Bob") is None


async def test_forms_without_papers_are_noticed(
    clock: ManualClock, books: AccessBooks, store: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The mutant: whatever is sent is taken for the session's own paper."""
    app = app_of(store, clock, access=books)
    ann = someone(books, clock)
    someone(books, clock, "Bob")
    async with browser_of(app, ann, clock) as browser:
        monkeypatch.setattr(Sessions, "csrf_holds", lambda *_: True)
        answer = await browser.post("/people/remove", data={"name": "Bob", "confirm": "yes"})

    assert answer.status_code == 303
    assert books.accounts.find("Bob") is None


def away(*_: object) -> None:
    """Be a database that cannot be reached."""
    raise Unavailable("journal-away", "The waiting room cannot reach its journal.")


async def test_without_the_book_who_was_there_can_still_pause(
    store: Redis, clock: ManualClock, books: AccessBooks, monkeypatch: pytest.MonkeyPatch
) -> None:
    """For ten minutes, and not a millisecond longer; a pause must not wait for a database."""
    app = app_of(store, clock, access=books)
    rooms = Configurations(store, clock)
    await rooms.create(MAIN, Actor("toml"))
    ann = someone(books, clock)
    async with browser_of(app, ann, clock) as browser, client_of(app) as stranger:
        csrf = csrf_in(await browser.get("/", params={"room": "main"}))
        monkeypatch.setattr(books.sessions, "whose", away)
        monkeypatch.setattr(books.accounts, "has_owner", away)
        assert (
            await browser.post("/rooms/main/pause", data={"csrf": csrf, "confirm": "yes"})
        ).status_code == 303
        assert (await rooms.get("main")).paused
        clock.advance(GRACE_MS - 1)
        assert (await browser.get("/")).status_code == 200
        clock.advance(1)
        assert [(await browser.get(path)).status_code for path in ("/", "/people", "/account")] == [503] * 3
        assert (await browser.get("/health/live")).status_code == 200
        assert (await stranger.get("/login")).status_code == 503


async def test_without_the_book_nobody_comes_in_who_was_not_there(
    store: Redis, clock: ManualClock, books: AccessBooks, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither a session that was not looked up yet, nor one that was over when it was; memory is bounded."""
    app = app_of(store, clock, access=books)
    ann, real = someone(books, clock), books.sessions.whose
    async with client_of(app) as fresh, browser_of(app, ann, clock) as over:
        await sign_in_as(fresh, ann, clock)
        books.sessions.end_all(ann.name, BY)
        assert (await over.get("/")).headers["location"] == "/login"
        monkeypatch.setattr(books.sessions, "whose", away)
        assert (await fresh.get("/")).status_code == 503
        assert (await over.get("/")).headers["location"] == "/login"

    monkeypatch.setattr(books.sessions, "whose", real)
    monkeypatch.setattr(entrance, "SEEN_MOST", 1)
    clock.advance(STEP_MS)
    async with browser_of(app, ann, clock) as one, browser_of(app, ann, clock) as other:
        assert [(await browser.get("/")).status_code for browser in (one, other)] == [200, 200]
        monkeypatch.setattr(books.sessions, "whose", away)
        assert [(await browser.get("/")).status_code for browser in (one, other)] == [503, 200]


async def test_a_cookie_of_an_account_is_nothing_by_itself(
    store: Redis, clock: ManualClock, books: AccessBooks
) -> None:
    """In an installation without the book, or before it was looked up, it opens no door."""
    ann = someone(books, clock)
    own = app_of(store, clock, access=books)
    async with browser_of(own, ann, clock) as browser, client_of(app_of(store, clock)) as elsewhere:
        elsewhere.cookies = browser.cookies.__class__(browser.cookies)
        assert (await elsewhere.get("/")).headers["location"] == "/login"
        assert (await elsewhere.get("/people")).status_code == 404
    session = Sessions.new(object.__new__(_Bare), "Ann Lee", account=True)
    assert not session.person.may(Role.VIEWER, "main")


class _Bare(Sessions):
    """Sessions with a clock and nothing else."""

    _clock = ManualClock(0)


async def test_a_password_that_is_changed_ends_the_other_browsers(
    clock: ManualClock, books: AccessBooks, store: Redis
) -> None:
    """The one that changed it goes on."""
    app = app_of(store, clock, access=books)
    ann = someone(books, clock)
    async with browser_of(app, ann, clock) as this, browser_of(app, ann, clock) as that:
        fresh = {"password": PASSWORD, "new": "quite another phrase"}
        assert (await send(this, "/account/password", **fresh)).status_code == 303
        assert (await this.get("/account")).status_code == 200
        assert (await that.get("/account")).headers["location"] == "/login"
