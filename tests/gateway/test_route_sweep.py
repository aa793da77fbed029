"""Route sweep: every address of the shop, read off its own routers, asked by nobody and by each role (seed row 8).

The table here is written apart from the code's (``checkout.organiser.rights``): who changes one says so in the other.
An address without a line in it fails the test, whoever added it.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from prometheus_client import CollectorRegistry

from checkout.backoffice import office as office_module
from checkout.backoffice.navigation import OFFICE
from checkout.metrics import Metrics
from checkout.organiser import web as module
from checkout.organiser.rights import RIGHTS
from checkout.organiser.talking import PREFIX
from checkout.organiser.web import OrganiserWeb
from checkout.people.staff import StaffRole
from checkout.people.staff_sessions import csrf_of
from checkout.people.staff_tokens import StaffTokens
from checkout.tickets.links import DOORS
from gateway.settings import Settings
from gateway.shop import Doors, ShopProcess
from kernel.clock import SystemClock
from kernel.oidc import Person
from tests.checkout.organisers import told
from tests.gateway.office_roles import PAGES
from tests.gateway.test_shop_roles import addresses

TOKEN = "the organiser's own secret"
LETTERS = {
    "v": StaffRole.VIEWER,
    "s": StaffRole.SUPPORT,
    "d": StaffRole.SCANNER,
    "o": StaffRole.ORGANISER,
    "O": StaffRole.OWNER,
}
MAY = {
    "GET /organisers": "vsoO",
    "PUT /organisers/{organiser}": "O",
    "GET /venues": "vsdoO",
    "PUT /venues/{venue}": "oO",
    "GET /venues/{venue}/layouts": "vsoO",
    "POST /venues/{venue}/layouts": "oO",
    "GET /layouts/{layout}": "vsoO",
    "GET /staff": "O",
    "POST /staff": "O",
    "GET /staff/logins": "O",
    "PUT /staff/{name}/role": "O",
    "DELETE /staff/{name}": "O",
    "GET /events": "vsdoO",
    "POST /events": "oO",
    "GET /events/{event}": "vsdoO",
    "PATCH /events/{event}": "oO",
    "POST /events/{event}/publish": "oO",
    "POST /events/{event}/cancel": "oO",
    "POST /events/{event}/prices": "oO",
    "POST /events/{event}/tiers": "oO",
    "POST /events/{event}/block": "oO",
    "POST /events/{event}/unblock": "oO",
    "PUT /events/{event}/allocations/{name}": "oO",
    "GET /events/{event}/report": "vsoO",
    "GET /events/{event}/hall": "vsoO",
    "GET /events/{event}/seats.csv": "soO",
    "GET /events/{event}/sales": "oO",
    "GET /events/{event}/sales.csv": "oO",
    "GET /events/{event}/orders.csv": "soO",
    "GET /events/{event}/refunds.csv": "soO",
    "GET /events/{event}/support": "soO",
    "GET /events/{event}/orders/{order}/timeline": "soO",
    "GET /events/{event}/cancellation": "vsoO",
    "GET /events/{event}/money": "oO",
    "GET /money": "oO",
    "GET /money.csv": "oO",
    "GET /metrics": "vsoO",
    "GET /events/{event}/orders": "soO",
    "GET /events/{event}/orders/{order}": "soO",
    "GET /events/{event}/orders/{order}/personal": "soO",
    "DELETE /events/{event}/orders/{order}/personal": "soO",
    "POST /people/find": "soO",
    "DELETE /events/{event}/waitlist/{number}/contact": "soO",
    "GET /events/{event}/tickets": "soO",
    "POST /events/{event}/tickets/{ticket}/withdraw": "oO",
    "POST /events/{event}/tickets/{ticket}/reissue": "soO",
    "GET /events/{event}/letters": "soO",
    "POST /events/{event}/letters/{message}/{channel}/again": "soO",
    "GET /events/{event}/orders/{order}/letters": "soO",
    "POST /events/{event}/orders/{order}/letters/resend": "soO",
    "GET /events/{event}/scanners": "soO",
    "POST /events/{event}/scanners": "oO",
    "POST /events/{event}/scanners/{scanner}/revoke": "oO",
    "GET /events/{event}/entry": "vsdoO",
    "GET /events/{event}/entry/conflicts": "vsdoO",
    "GET /events/{event}/refunds": "soO",
    "GET /events/{event}/reviews": "soO",
    "GET /events/{event}/disputes": "soO",
    "POST /events/{event}/orders/{order}/release": "soO",
    "POST /events/{event}/orders/{order}/refuse": "soO",
    "POST /events/{event}/orders/{order}/refunds": "oO",
    "POST /events/{event}/orders/{order}/refunds/{refund:path}/retry": "oO",
    "GET /notices": "soO",
    "POST /notices/{provider}/{name:path}/seen": "oO",
    "GET /strays": "soO",
    "POST /strays/{provider}/{name:path}/seen": "oO",
}
"""Which role may use which of the organiser's addresses: viewer, support, scanner at the door, organiser, Owner."""

FOR_EVERYBODY = {("GET", "/health")}


class Swept:
    """A shop's process, and tokens of every role."""

    def __init__(self, process: ShopProcess, tokens: dict[StaffRole, str]) -> None:
        self.process = process
        self.tokens = tokens
        self.doors: Any = process.app
        assert isinstance(process.app, Doors)

    @property
    def desk(self) -> OrganiserWeb:
        """Give the organiser's application."""
        desk = self.doors._organisers
        assert isinstance(desk, OrganiserWeb)
        return desk

    def routes(self) -> list[tuple[str, str]]:
        """Read the organiser's addresses off its router."""
        return sorted(
            (method, route.path)
            for route in self.desk.routes
            for method in route.methods or ()
            if method != "HEAD"
        )

    @asynccontextmanager
    async def client(self, token: str = "") -> AsyncIterator[httpx.AsyncClient]:
        """Ask at the shop's own port."""
        headers = {"authorization": f"Bearer {token}"} if token else {}
        transport = httpx.ASGITransport(self.process.app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://shop", headers=headers) as client:
            yield client


@pytest.fixture
def swept(store_url: str, tmp_path: Path) -> Swept:
    """Join a shop that takes money, with every address that it can have; nothing is opened."""
    staff = StaffTokens(tmp_path / "staff-tokens.json", SystemClock())
    until_ms = SystemClock().now_ms() + 3_600_000
    tokens = {role: staff.add(f"the-{role.value}", role, until_ms) for role in StaffRole}
    settings = Settings(
        data=tmp_path, store_url=store_url, payments="sandbox", sandbox_port=1, organiser_token=TOKEN,
        oidc_issuer="http://127.0.0.1:1", oidc_client_id="shop", oidc_client_secret="secret",
        staff_oidc_issuer="http://127.0.0.1:1", staff_oidc_client_id="desk", staff_oidc_client_secret="secret",
    )  # fmt: skip
    return Swept(ShopProcess(settings, Metrics(CollectorRegistry())), tokens)


def named(path: str) -> str:
    """Put names into an address."""
    for name in (
        "organiser", "venue", "event", "order", "name", "refund", "provider", "ticket", "message", "channel", "scanner",
        "number", "layout",
    ):  # fmt: skip
        path = path.replace(f"{{{name}}}", f"a-{name}").replace(f"{{{name}:path}}", f"a/{name}")
    assert "{" not in path
    return path


def test_every_address_of_the_organiser_has_its_line(swept: Swept) -> None:
    """In the table here and in the code's, in both directions: a new address needs one in each."""
    found = {f"{method} {path.removeprefix(PREFIX)}" for method, path in swept.routes()}

    assert found == set(MAY)
    assert {
        f"{method} {path}": "".join(letter for letter, role in LETTERS.items() if role in roles)
        for (method, path), roles in RIGHTS.items()
    } == MAY


async def test_each_role_may_what_its_line_says_and_nothing_else(swept: Swept) -> None:
    """Each address by each role: 403 with the code, or something that is no refusal of who asks."""
    wrong = []
    for role, token in swept.tokens.items():
        async with swept.client(token) as client:
            for method, path in swept.routes():
                answer = await client.request(method, named(path), json={})
                is_refused = answer.status_code == 403 and answer.json()["code"] == "role-refused"
                may = role in {LETTERS[letter] for letter in MAY[f"{method} {path.removeprefix(PREFIX)}"]}
                if is_refused is may or (may and answer.status_code in {401, 403}):
                    wrong.append((role.value, method, path, answer.status_code))
                if method == "GET" and not may:
                    head = await client.head(named(path))
                    assert head.status_code == 403, path

    assert wrong == []


@pytest.mark.parametrize("token", ["", "staff_nobody", TOKEN[:-1], "the-owner"])
async def test_nobody_is_let_in_anywhere(token: str, swept: Swept) -> None:
    """Without a token, or with one that is nobody's: 401 at every address, known or not."""
    async with swept.client(token) as client:
        for method, path in [*swept.routes(), ("GET", f"{PREFIX}/nothing"), ("GET", "/organiser/")]:
            answer = await client.request(method, named(path), json={})
            assert answer.status_code == 401, (method, path)
            assert answer.headers["www-authenticate"].startswith("Bearer")


async def test_the_settings_own_token_is_an_owners(swept: Swept) -> None:
    """As it always was."""
    async with swept.client(TOKEN) as client:
        for method, path in swept.routes():
            answer = await client.request(method, named(path), json={})
            assert answer.status_code not in {401, 403}, (method, path)


async def test_no_address_of_fans_is_open_without_an_admission(swept: Swept) -> None:
    """Every address of pages and API, asked by nobody, and by staff, whose token is no admission."""
    asked = addresses(swept.process.shop.app)
    assert len(asked) > 40
    for token in ("", TOKEN, swept.tokens[StaffRole.OWNER]):
        async with swept.client(token) as client:
            for method, path in sorted(asked):
                answer = await client.request(method, path)
                if (method, path) in FOR_EVERYBODY:
                    assert answer.status_code == 200
                elif path.startswith(DOORS):
                    # Who has a link needs no admission; nobody has this one.
                    assert answer.status_code in {403, 404}, (method, path)
                else:
                    assert answer.status_code == 401, (method, path)


async def test_accounts_tell_nobody_anything_without_a_session(swept: Swept) -> None:
    """Their addresses are open without an admission, and each says what its line says to nobody, and to staff."""
    await swept.process._parts.open()
    found = sorted(
        (method, route.path)
        for route in swept.doors._accounts.routes
        for method in route.methods
        if method != "HEAD"
    )
    told = {}
    for token in ("", TOKEN):
        async with swept.client(token) as client:
            for method, path in found:
                answer = await client.request(method, path)
                assert "@" not in answer.text
                told[f"{method} {path}"] = answer.status_code
    await swept.process.shop.people.close()  # type: ignore[union-attr]
    await swept.process._parts.close()

    assert told == {
        "GET /account": 200,
        "GET /account/callback": 400,
        "GET /account/login": 503,
        "GET /account/personal": 401,
        "POST /account/erase": 401,
        "POST /account/logout": 303,
        "POST /account/preferences": 401,
    }


async def logged_in(swept: Swept, role: StaffRole) -> dict[str, str]:
    """Let somebody of a role in; returns what their browser sends with each call."""
    people = swept.process.shop.people
    assert people is not None
    subject = f"subject-of-{role.value}"
    people.staff_people.invite(f"a-{role.value}", role, 1, issuer="https://id.example", subject=subject)
    came = await people.staff_sessions.enter(Person("https://id.example", subject, "", ""), "10.0.0.0/24")
    paper = csrf_of(came.secret)
    return {"cookie": f"staff={came.secret}", "staff-csrf": paper, "sec-fetch-site": "same-origin"}


async def test_a_session_may_what_its_role_may_and_nothing_else(swept: Swept) -> None:
    """Each address by each role with a cookie; where money moves nobody gets through without a factor."""
    await swept.process._parts.open()
    wrong = []
    for role in StaffRole:
        async with swept.client() as client:
            client.headers.update(await logged_in(swept, role))
            for method, path in swept.routes():
                answer = await client.request(method, named(path), json={})
                address = f"{method} {path.removeprefix(PREFIX)}"
                code = answer.json().get("code") if answer.status_code in {401, 403} else ""
                may = role in {LETTERS[letter] for letter in MAY[address]}
                expected = "role-refused" if not may else "second-factor-none" if address in STEP_UP else ""
                if code != expected:
                    wrong.append((role.value, address, code))
    await swept.process._parts.close()

    assert wrong == []


async def test_without_the_look_at_the_role_a_viewers_session_does_everything(
    swept: Swept, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The mutant, as with tokens."""
    monkeypatch.setattr(module, "may", lambda *_: True)

    with pytest.raises(AssertionError):
        await test_a_session_may_what_its_role_may_and_nothing_else(swept)


async def test_a_session_without_its_paper_changes_nothing(swept: Swept) -> None:
    """At every address that changes anything, and from another site at every address."""
    await swept.process._parts.open()
    async with swept.client() as client:
        client.headers.update(await logged_in(swept, StaffRole.OWNER))
        bare, foreign = set(), set()
        for method, path in swept.routes():
            first = await client.request(method, named(path), json={}, headers={"staff-csrf": "x"})
            second = await client.request(method, named(path), headers={"sec-fetch-site": "cross-site"})
            if method != "GET":
                bare.add(first.json()["code"])
            foreign.add(second.json()["code"])
    await swept.process._parts.close()

    assert (bare, foreign) == ({"paper-missing"}, {"cross-site"})


async def test_the_staffs_room_tells_nobody_anything_without_a_session(swept: Swept) -> None:
    """Each of its addresses says what its line says to nobody, to staff's tokens and to fans."""
    await swept.process._parts.open()
    found = sorted(
        (method, route.path)
        for route in swept.doors._staff.room.routes
        for method in route.methods
        if method != "HEAD"
    )
    told = {}
    for token in ("", TOKEN, swept.tokens[StaffRole.OWNER]):
        async with swept.client(token) as client:
            for method, path in found:
                asked = path.replace("{version}", "x").replace("{name}", "staff.js")
                answer = await client.request(method, asked)
                told[f"{method} {path}"] = answer.status_code
    staff = swept.process._staff
    assert staff is not None
    await staff.close()
    await swept.process._parts.close()

    assert told == {
        "GET /staff": 200,
        "GET /staff/callback": 400,
        "GET /staff/login": 503,
        "GET /staff/static/{version}/{name}": 404,
        "GET /staff/who": 401,
        "POST /staff/device": 401,
        "POST /staff/device/new": 401,
        "POST /staff/device/remove": 401,
        "POST /staff/keys": 401,
        "POST /staff/keys/options": 401,
        "POST /staff/keys/remove": 401,
        "POST /staff/logout": 303,
        "POST /staff/proof": 401,
        "POST /staff/proof/options": 401,
        "POST /staff/recovery": 401,
    }


async def test_each_role_sees_the_pages_that_its_line_says_and_no_others(swept: Swept) -> None:
    """Each page by each role, and by nobody: 403 in words, or something that is no refusal of who looks."""
    await swept.process._parts.open()
    pages, wrong = swept.doors._staff.office.pages, []
    async with swept.client() as client:
        bare = {
            (page.method, (await client.request(page.method, named(OFFICE + page.path))).status_code)
            for page in pages
        }
    for role in StaffRole:
        async with swept.client() as client:
            headers = await logged_in(swept, role)
            client.headers.update(headers)
            for page in pages:
                form = {"csrf": headers["staff-csrf"], "key": "a-key"} if page.method == "POST" else None
                answer = await client.request(page.method, named(OFFICE + page.path), data=form)
                is_refused = answer.status_code == 403 and "Your role may not do this" in answer.text
                may = role in {LETTERS[letter] for letter in PAGES[f"{page.method} {page.path}"]}
                if is_refused is may:
                    wrong.append((role.value, page.method, page.path, answer.status_code))
    await swept.process.stop()

    assert {f"{page.method} {page.path}" for page in pages} == set(PAGES)
    assert bare <= {("GET", 303), ("POST", 401)}
    assert wrong == []


async def test_without_the_look_at_the_role_a_scanner_sees_a_sale(
    swept: Swept, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The mutant: neither the office nor the API looks."""
    monkeypatch.setattr(office_module, "allowed", lambda *_: True)
    monkeypatch.setattr(module, "may", lambda *_: True)

    with pytest.raises(AssertionError):
        await test_each_role_sees_the_pages_that_its_line_says_and_no_others(swept)


async def test_scanners_are_told_nothing_without_their_own_token(swept: Swept) -> None:
    """Neither by nobody nor by staff: whoever stands at a door has a token of that event."""
    for token in ("", TOKEN, swept.tokens[StaffRole.SCANNER]):
        async with swept.client(token) as client:
            answers = [
                await client.request(method, f"/scan/summer/{act}", json={})
                for method, act in (("GET", "event"), ("GET", "hall"), ("GET", "list"), ("POST", "scans"))
            ]
        assert {one.status_code for one in answers} == {401}


@pytest.mark.parametrize("provider", ["sandbox", "stripe", "nobody"])
async def test_hooks_need_a_signature(provider: str, swept: Swept) -> None:
    """No token and no admission helps."""
    async with swept.client(TOKEN) as client:
        answer = await client.post(f"/hooks/{provider}", content=b"{}")

    assert answer.status_code in {400, 404}


def test_the_doors_are_those_that_are_swept() -> None:
    """Health, open paths, organisers, staff, scanners, tickets, accounts, hooks, fans: a new door is swept here."""
    names = set(Doors.__call__.__code__.co_names) - {"get", "startswith", "removeprefix"}

    assert names == {
        "ACCOUNT",
        "_accounts",
        "STAFF",
        "_staff",
        "HEALTH",
        "health",
        "PUBLISHED",
        "OPEN",
        "orjson",
        "dumps",
        "_organisers",
        "SCAN",
        "_scans",
        "DOORS",
        "_tickets",
        "respond",
        "raw_problem",
        "refusal",
        "HOOKS",
        "_hear",
        "_fans",
    }


async def test_without_the_look_at_the_role_a_viewer_gives_money_back(
    swept: Swept, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The mutant: everybody with a token may everything, and the sweep sees it."""
    monkeypatch.setattr(module, "may", lambda *_: True)

    with pytest.raises(AssertionError):
        await test_each_role_may_what_its_line_says_and_nothing_else(swept)


STEP_UP = {
    "PUT /organisers/{organiser}",
    "POST /staff",
    "PUT /staff/{name}/role",
    "DELETE /staff/{name}",
    "POST /events/{event}/cancel",
    "POST /events/{event}/prices",
    "POST /events/{event}/orders/{order}/refunds",
    "POST /events/{event}/orders/{order}/refunds/{refund:path}/retry",
}
"""Where a person shows a second factor as well."""


async def test_a_person_shows_a_second_factor_where_money_or_prices_move(
    swept: Swept, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """At these addresses and at no other; a right code opens, once. The mutant asks nowhere."""
    await swept.process._parts.open()
    people = swept.process.shop.people
    assert people is not None
    enrolled = people.factors.enrol("the-owner")
    codes = iter(enrolled.recovery)

    async def asked(**headers: str) -> set[str]:
        found = set()
        async with swept.client(swept.tokens[StaffRole.OWNER]) as client:
            for method, path in swept.routes():
                answer = await client.request(method, named(path), json={}, headers=headers)
                code = answer.json().get("code", "") if answer.status_code in {403, 429} else ""
                if code.startswith("second-factor"):
                    found.add(f"{method} {path.removeprefix(PREFIX)} {code}")
        return found

    missing = await asked()
    wrong = await asked(**{"staff-code": "x"})
    locked = await asked(**{"staff-code": next(codes)})
    people.factors.remove("the-owner")
    program = await asked()
    code = people.factors.enrol("the-owner").recovery[0]
    async with swept.client(swept.tokens[StaffRole.OWNER]) as client:
        path = f"{PREFIX}/organisers/aurora"
        answers = [
            await client.put(path, json={"name": "Aurora"}, headers={"staff-code": code}) for _ in range(2)
        ]
    monkeypatch.setattr(module, "steps_up", lambda *_: False)
    mutant = await asked()
    await swept.process._parts.close()

    assert missing == {f"{address} second-factor-missing" for address in STEP_UP}
    assert {line.rpartition(" ")[0] for line in wrong} == STEP_UP
    assert locked == {f"{address} second-factor-locked" for address in STEP_UP}
    assert (program, mutant) == (set(), set())
    assert [answer.status_code for answer in answers] == [200, 403]
    refused = [record for record in caplog.records if record.getMessage() == "a second factor was refused"]
    assert {record.who for record in refused} == {"the-owner"}  # type: ignore[attr-defined]
    assert code not in caplog.text


async def test_who_was_refused_and_who_acted_stands_in_the_log(
    swept: Swept, caplog: pytest.LogCaptureFixture
) -> None:
    """By name, role and address, and never with a token."""
    caplog.set_level("INFO")
    await swept.process._parts.open()
    async with swept.client(swept.tokens[StaffRole.SUPPORT]) as client:
        refused = await client.post(f"{PREFIX}/events/a-event/prices", json={})
    async with swept.client(swept.tokens[StaffRole.ORGANISER]) as client:
        kept = await client.put(
            f"{PREFIX}/venues/hall",
            json={"name": "Hall", "city": "Hamburg", "country": "DE", "time_zone": "Europe/Berlin"},
        )
    await swept.process._parts.close()
    lines = {
        record.getMessage(): (record.who, record.role, record.method, record.address)  # type: ignore[attr-defined]
        for record in caplog.records
        if record.name == "checkout.organiser.web"
    }

    assert (refused.status_code, kept.status_code) == (403, 200)
    assert lines == {
        "staff were refused": ("the-support", "support", "POST", f"{PREFIX}/events/{{event}}/prices"),
        "staff acted": ("the-organiser", "organiser", "PUT", f"{PREFIX}/venues/{{venue}}"),
    }
    assert [act["who"] for act in told(caplog.records)] == ["the-organiser"]
    assert not any(token in caplog.text for token in swept.tokens.values())
