"""Logging in, over HTTP: with the real oidc-provider-mock, and against a table of attacks, each of them refused."""

import re
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import httpx
import pytest
import sqlalchemy as sa
from aiohttp import web as aioweb

from checkout.requests import same_site
from checkout.site import account_pages
from checkout.tables import ACCOUNT_SESSIONS, ACCOUNTS
from gateway.shop import Doors
from tests.checkout.people.provider import EC_KEY, OTHER_KEY, public
from tests.gateway.oidc_front import CLIENT, SECRET, Provider, logged_in, mock_provider, provider
from tests.gateway.shopfront import OWN, PAGE
from tests.gateway.tillfront import Tillfront, till_front

SESSION = "account"


@dataclass
class Front:
    """A shop at which fans may log in."""

    till: Tillfront
    provider: Provider
    app: Doors

    def browser(self, **headers: str) -> httpx.AsyncClient:
        """Give a browser with cookies of its own."""
        transport = httpx.ASGITransport(self.app)
        return httpx.AsyncClient(transport=transport, base_url="http://shop.test", headers={**OWN, **headers})

    def counted(self, outcome: str) -> int:
        """Count logins by what came of them."""
        tally = self.till.metrics.logins._tallies.get(outcome)
        return 0 if tally is None else int(tally.count)

    def count(self, table: sa.Table) -> int:
        """Count rows."""
        with self.till.shop.parts.database.reading() as connection:
            return connection.scalar(sa.select(sa.func.count()).select_from(table)) or 0


@asynccontextmanager
async def front(store_url: str, folder: Path, issuer: str = "") -> AsyncIterator[Front]:
    """Open a shop whose fans log in at our own provider, or at another."""
    clock: list[Any] = []
    async with provider(lambda: clock[0].now_ms() // 1000) as own:
        settings = {
            "oidc_issuer": issuer or own.issuer, "oidc_client_id": CLIENT, "oidc_client_secret": SECRET,
        }  # fmt: skip
        async with till_front(store_url, folder, **settings) as till:
            clock.append(till.shop.parts.clock)
            assert till.shop.people is not None
            yield Front(till, own, Doors(till.app, None, accounts=till.shop.people.accounts))


# ----------------------------------------------------------------------------------------- the way


async def test_a_fan_logs_in_and_sees_what_they_bought(store_url: str, tmp_path: Path) -> None:
    """Without an admission; orders made while logged in are in the list; the rest of the shop is as it was."""
    async with front(store_url, tmp_path) as own, own.browser() as browser:
        out = await browser.get("/account")
        back = await logged_in(browser, own.provider)
        home = await browser.get("/account")
        asks = {"x-buyer": "ann"}
        order = await own.till.order(browser, "ann", 0)
        before = await browser.get(f"{PAGE}/order/{order}", headers=asks)
        kept = await browser.post(f"{PAGE}/order/{order}/keep", headers=asks)
        after = await browser.get(f"{PAGE}/order/{order}", headers=asks)
        listed = await browser.get("/account")
        told = await browser.get("/account/personal")
        await own.till.pay(browser, "ann", order, "pm_card_visa")
        paid = await browser.get("/account")

    assert "Log in" in out.text
    assert (back.status_code, back.headers["location"]) == (303, "/account")
    assert "You are logged in as ann@example.org." in home.text
    assert "Nothing yet" in home.text
    assert "Keep in my account" in before.text
    assert kept.status_code == 303
    assert "This order is in your account." in after.text
    assert f'href="{PAGE}/order/{order}"' in listed.text
    tickets = f'href="/tickets/{PAGE.rpartition("/")[2]}/{order}/mac"'
    assert (tickets in listed.text, tickets in paid.text) == (False, True)
    assert [one["order"] for one in told.json()["orders"]] == [order]
    assert told.json()["email"] == "ann@example.org"


async def test_an_order_made_on_the_page_while_logged_in_is_the_accounts(
    store_url: str, tmp_path: Path
) -> None:
    """By itself; and one made by nobody who is logged in is nobody's."""
    async with front(store_url, tmp_path) as own:
        tied = []
        for seat, buyer, logs_in in ((0, "ann", True), (2, "bob", False)):
            async with own.browser(**{"x-buyer": buyer}) as browser:
                if logs_in:
                    await logged_in(browser, own.provider)
                held = await browser.post(
                    f"/api{PAGE}/holds", json={"seats": [seat]}, headers={"idempotency-key": f"k{seat}"}
                )
                reserved = await browser.post(f"/api{PAGE}/holds/{held.json()['hold']}/reserve")
                name = reserved.json()["reservation"]
                made = await browser.post(f"{PAGE}/reservation/{name}/order")
                shown = await browser.get(made.headers["location"])
                tied.append("This order is in your account." in shown.text)

    assert tied == [True, False]


async def test_preferences_are_kept_and_an_account_is_erased(store_url: str, tmp_path: Path) -> None:
    """Language and wants; erased only where the form says so, and then nobody is logged in any more."""
    async with front(store_url, tmp_path) as own, own.browser() as browser:
        await logged_in(browser, own.provider)
        saved = await browser.post("/account/preferences", data={"language": "pl", "reminder": "yes"})
        told = (await browser.get("/account/personal")).json()
        wrong = await browser.post("/account/preferences", data={"language": "xx"})
        unsure = await browser.post("/account/erase")
        still = await browser.get("/account/personal")
        erased = await browser.post("/account/erase", data={"confirm": "yes"})
        gone = await browser.get("/account/personal")
        count = own.count(ACCOUNTS)

    assert (saved.status_code, unsure.status_code, erased.status_code) == (303, 303, 303)
    assert (told["language"], told["wants"]) == ("pl", ["order", "reminder"])
    assert (wrong.status_code, wrong.json()["code"]) == (400, "language-unknown")
    assert still.status_code == 200
    assert (gone.status_code, gone.json()["code"]) == (401, "login-missing")
    assert count == 0


async def test_logging_out_ends_the_session_for_good(store_url: str, tmp_path: Path) -> None:
    """The cookie is taken away, and is worth nothing to whoever has kept it."""
    async with front(store_url, tmp_path) as own, own.browser() as browser:
        await logged_in(browser, own.provider)
        kept = browser.cookies[SESSION]
        out = await browser.post("/account/logout")
        browser.cookies.set(SESSION, kept)
        after = await browser.get("/account/personal")

    assert out.status_code == 303
    assert "account=; Path=/; SameSite=Lax; Max-Age=0; HttpOnly" in out.headers.get_list("set-cookie")
    assert after.status_code == 401


async def test_without_settings_nothing_of_it_shows(store_url: str, tmp_path: Path) -> None:
    """No address, no link, no request."""
    async with till_front(store_url, tmp_path) as own, own.browser() as browser:
        order = await own.order(browser, "ann", 0)
        shown = await browser.get(f"{PAGE}/order/{order}", headers={"x-buyer": "ann"})
        home = await browser.get("/account", headers={"x-buyer": "ann"})

    assert "account" not in shown.text.lower()
    assert home.status_code == 404


# ------------------------------------------------------------------------------------ the real mock


@pytest.fixture(scope="module")
def mock_issuer() -> Iterator[str]:
    """Run oidc-provider-mock, a provider that somebody else has written."""
    with mock_provider() as issuer:
        yield issuer


@pytest.mark.process
async def test_a_fan_logs_in_at_a_real_provider(mock_issuer: str, store_url: str, tmp_path: Path) -> None:
    """Discovery, code, keys and token are its own; a fan who declines there is told so, and a code counts once."""
    async with (
        front(store_url, tmp_path, mock_issuer) as own,
        own.browser() as browser,
        httpx.AsyncClient(timeout=20) as there,
    ):
        begun = await browser.get("/account/login", params={"back": PAGE})
        given = await there.post(begun.headers["location"], data={"sub": "ann-at-the-mock"})
        query = dict(parse_qsl(urlsplit(given.headers["location"]).query))
        back = await browser.get("/account/callback", params=query)
        home = await browser.get("/account/personal")
        replayed = await browser.get("/account/callback", params=query)
        again = await browser.get("/account/login")
        state = dict(parse_qsl(urlsplit(again.headers["location"]).query))["state"]
        spent = await browser.get("/account/callback", params={"code": query["code"], "state": state})
        third = await browser.get("/account/login")
        denied = await there.post(third.headers["location"], data={"action": "deny"})
        told = await browser.get(
            "/account/callback", params=dict(parse_qsl(urlsplit(denied.headers["location"]).query))
        )

    assert given.status_code == 302
    assert (back.status_code, back.headers["location"]) == (303, PAGE)
    assert home.status_code == 200
    assert [one.status_code for one in (replayed, spent, told)] == [400, 400, 400]


# ------------------------------------------------------------------------------------- the attacks

WRONG_TOKENS: list[tuple[str, dict[str, Any], str]] = [
    ("another issuer", {"iss": "https://evil.example"}, "issuer"),
    ("for another client", {"aud": "another"}, "audience"),
    ("given to another", {"azp": "another"}, "audience"),
    ("expired", {"exp": 1}, "time"),
    ("from long ago", {"iat": 1}, "time"),
    ("another login's nonce", {"nonce": "another"}, "nonce"),
    ("nobody", {"sub": ""}, "subject"),
]


@pytest.mark.parametrize(
    ("wrong", "why"), [row[1:] for row in WRONG_TOKENS], ids=[row[0] for row in WRONG_TOKENS]
)
async def test_a_token_that_does_not_count_lets_nobody_in(
    wrong: dict[str, Any], why: str, store_url: str, tmp_path: Path
) -> None:
    """One sentence for all of them; the metric and the log say which; no session, no account."""
    async with front(store_url, tmp_path) as own, own.browser() as browser:
        own.provider.wrong = wrong
        answer = await logged_in(browser, own.provider)
        counts = own.counted(why), own.count(ACCOUNTS), own.count(ACCOUNT_SESSIONS)

    assert answer.status_code == 400
    assert "You were not logged in" in answer.text
    assert why not in re.sub(r"<[^>]*>", "", answer.text).lower().split()
    assert SESSION not in browser.cookies
    assert counts == (1, 0, 0)


@pytest.mark.parametrize(
    "changed",
    [
        {"key": OTHER_KEY},
        {"head": {"kid": "k9"}},
        {"keys": []},
        {"keys": [public(EC_KEY)]},
        {"answer": "not json"},
        {"answer": "{}"},
        {"answer": '{"id_token": 7}'},
        {"answer": "x" * 100_000},
    ],
)
async def test_a_provider_that_is_wrong_lets_nobody_in(
    changed: dict[str, Any], store_url: str, tmp_path: Path
) -> None:
    """Keys that do not fit, and answers that are none, or endless."""
    async with front(store_url, tmp_path) as own, own.browser() as browser:
        begun = await browser.get("/account/login")
        query = own.provider.log_in(begun.headers["location"])
        for name, value in changed.items():
            setattr(own.provider, name, aioweb.Response(text=value) if name == "answer" else value)
        answer = await browser.get("/account/callback", params=query)
        count = own.count(ACCOUNT_SESSIONS)

    assert (answer.status_code, count) == (400, 0)


async def test_a_key_that_is_new_at_the_provider_is_asked_for_once(store_url: str, tmp_path: Path) -> None:
    """A rotation there is followed; made-up keys do not make us knock with each of them."""
    async with front(store_url, tmp_path) as own, own.browser() as browser:
        await logged_in(browser, own.provider)
        own.provider.key, own.provider.head = OTHER_KEY, {"kid": "k2"}
        own.provider.keys = [*own.provider.keys, public(OTHER_KEY, "k2")]
        early = await logged_in(browser, own.provider)
        own.till.shop.parts.clock.advance(30_000)  # type: ignore[attr-defined]
        later = await logged_in(browser, own.provider)
        own.provider.head = {"kid": "made-up"}
        refused = [(await logged_in(browser, own.provider)).status_code for _ in range(5)]
        asked = own.provider.asked.count("keys")

    assert (early.status_code, later.status_code) == (400, 303)
    assert refused == [400] * 5
    assert asked == 2


async def test_a_login_is_its_own_browsers(store_url: str, tmp_path: Path) -> None:
    """Login CSRF: an attacker's code and state, in the victim's browser, let nobody in."""
    async with front(store_url, tmp_path) as own, own.browser() as attacker, own.browser() as victim:
        begun = await attacker.get("/account/login")
        query = own.provider.log_in(begun.headers["location"])
        nothing = await victim.get("/account/callback", params=query)
        mine = await victim.get("/account/login")
        crossed = await victim.get("/account/callback", params=query)
        own_state = own.provider.log_in(mine.headers["location"])["state"]
        mixed = await victim.get("/account/callback", params={**query, "state": own_state})
        no_state = await victim.get("/account/callback", params={"code": query["code"]})

    assert [one.status_code for one in (nothing, crossed, mixed, no_state)] == [400] * 4
    assert SESSION not in victim.cookies


async def test_without_the_look_at_the_state_an_attacker_logs_a_victim_in(
    store_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The mutant: any login of anybody counts in any browser."""
    async with front(store_url, tmp_path) as own, own.browser() as attacker, own.browser() as victim:
        begun = await attacker.get("/account/login")
        query = own.provider.log_in(begun.headers["location"])
        people = own.till.shop.people
        assert people is not None
        assert people.accounts is not None
        take, browser = people.accounts._accounts.take, attacker.cookies["account-login"]
        monkeypatch.setattr(people.accounts._accounts, "take", lambda _browser, state: take(browser, state))
        answer = await victim.get("/account/callback", params=query)

    assert answer.status_code == 303
    assert SESSION in victim.cookies


async def test_a_replayed_callback_counts_once(store_url: str, tmp_path: Path) -> None:
    """The same address again, in the same browser with the cookie put back."""
    async with front(store_url, tmp_path) as own, own.browser() as browser:
        begun = await browser.get("/account/login")
        cookie = browser.cookies["account-login"]
        query = own.provider.log_in(begun.headers["location"])
        first = await browser.get("/account/callback", params=query)
        browser.cookies.set("account-login", cookie)
        again = await browser.get("/account/callback", params=query)
        asked = own.provider.asked.count("token")

    assert (first.status_code, again.status_code, asked) == (303, 400, 1)


async def test_a_stolen_code_is_worth_nothing_without_the_verifier(store_url: str, tmp_path: Path) -> None:
    """PKCE: the provider refuses a code that was made for another login of the same client."""
    async with front(store_url, tmp_path) as own, own.browser() as browser, own.browser() as thief:
        begun = await browser.get("/account/login")
        stolen = own.provider.log_in(begun.headers["location"])["code"]
        other = await thief.get("/account/login")
        state = own.provider.log_in(other.headers["location"])["state"]
        answer = await thief.get("/account/callback", params={"code": stolen, "state": state})

    assert answer.status_code == 400
    assert SESSION not in thief.cookies


@pytest.mark.parametrize(
    "more",
    [
        {"iss": "https://evil.example"},
        {"error": "access_denied"},
        {"code": ""},
        {"state": ["{state}", "{state}"]},
        {"code": ["a", "b"]},
    ],
)
async def test_a_callback_that_is_not_whole_is_refused(
    more: dict[str, Any], store_url: str, tmp_path: Path
) -> None:
    """Another issuer's (RFC 9207), an error, no code, anything twice."""
    async with front(store_url, tmp_path) as own, own.browser() as browser:
        begun = await browser.get("/account/login")
        query: dict[str, Any] = own.provider.log_in(begun.headers["location"])
        state = query["state"]
        query |= {
            name: [one.replace("{state}", state) for one in value] if isinstance(value, list) else value
            for name, value in more.items()
        }
        answer = await browser.get("/account/callback", params=query)

    assert answer.status_code == 400
    assert SESSION not in browser.cookies


@pytest.mark.parametrize(
    ("back", "goes"),
    [
        (PAGE, PAGE),
        ("/", "/"),
        (f"{PAGE}/order/O1", f"{PAGE}/order/O1"),
        ("https://evil.example", "/account"),
        ("//evil.example", "/account"),
        ("/\\evil.example", "/account"),
        ("/events/../account/erase", "/account"),
        ("/account/logout", "/account"),
        ("/events/a\r\nset-cookie: x=1", "/account"),
        ("/events/a?x=https://evil.example", "/account"),
        ("javascript:alert(1)", "/account"),
        (f"{PAGE}\n", "/account"),
    ],
)
async def test_after_a_login_only_a_page_of_ours_is_gone_to(
    back: str, goes: str, store_url: str, tmp_path: Path
) -> None:
    """Open redirect: from a list of shapes, whole; everything else leads to the account."""
    async with front(store_url, tmp_path) as own, own.browser() as browser:
        answer = await logged_in(browser, own.provider, back)

    assert (answer.status_code, answer.headers["location"]) == (303, goes)


async def test_a_session_that_was_planted_is_never_anybodys(store_url: str, tmp_path: Path) -> None:
    """Fixation: whatever the browser had before a login, it has another one afterwards, and the old one is over."""
    async with front(store_url, tmp_path) as own, own.browser() as attacker, own.browser() as victim:
        await logged_in(attacker, own.provider)
        planted = attacker.cookies[SESSION]
        victim.cookies.set(SESSION, planted, domain="shop.test", path="/")
        own.provider.subject = "victim"
        await logged_in(victim, own.provider)
        given = [cookie.value for cookie in victim.cookies.jar if cookie.name == SESSION]
        seen = await attacker.get("/account/personal")

    assert planted not in given
    assert seen.status_code == 401


FORMS = ("/account/logout", "/account/preferences", "/account/erase")


@pytest.mark.parametrize("path", [*FORMS, f"{PAGE}/order/{{order}}/keep"])
@pytest.mark.parametrize("headers", [{"sec-fetch-site": "cross-site"}, {"sec-fetch-site": "same-site"}])
async def test_no_other_site_sends_a_form(
    path: str, headers: dict[str, str], store_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """CSRF: each form from another site is refused, also from a neighbour; the mutant that does not look takes it."""
    async with front(store_url, tmp_path) as own, own.browser() as browser:
        await logged_in(browser, own.provider)
        order = await own.till.order(browser, "ann", 0)
        form = {"language": "de", "confirm": "yes"}
        sent = {**headers, "x-buyer": "ann"}
        answer = await browser.post(path.format(order=order), data=form, headers=sent)
        still = await browser.get("/account/personal")
        monkeypatch.setattr(account_pages, "same_site", lambda _: None)
        mutant = await browser.post(path.format(order=order), data=form, headers=sent)
        monkeypatch.setattr(account_pages, "same_site", same_site)

    assert answer.status_code == 403
    assert (still.status_code, still.json()["orders"]) == (200, [])
    assert mutant.status_code == 303


async def test_an_order_of_somebody_else_is_not_kept(store_url: str, tmp_path: Path) -> None:
    """Neither another buyer's, nor one that is in another account already."""
    async with front(store_url, tmp_path) as own, own.browser() as ann, own.browser() as bob:
        await logged_in(ann, own.provider)
        order = await own.till.order(ann, "ann", 0)
        own.provider.subject = "bob"
        await logged_in(bob, own.provider)
        stranger = await bob.post(f"{PAGE}/order/{order}/keep", headers={"x-buyer": "bob"})
        await ann.post(f"{PAGE}/order/{order}/keep", headers={"x-buyer": "ann"})
        late = await bob.post(f"{PAGE}/order/{order}/keep", headers={"x-buyer": "ann"})
        theirs = (await bob.get("/account/personal")).json()["orders"]
        mine = (await ann.get("/account/personal")).json()["orders"]

    assert (stranger.status_code, late.status_code) == (404, 303)
    assert theirs == []
    assert [one["order"] for one in mine] == [order]


async def test_cookies_are_their_own_hosts_and_no_scripts(store_url: str, tmp_path: Path) -> None:
    """HttpOnly and Lax; with TLS Secure and bound to this very host. Pages with an account are kept nowhere."""
    async with front(store_url, tmp_path) as own, own.browser() as browser:
        plain = (await logged_in(browser, own.provider)).headers.get_list("set-cookie")
        home = await browser.get("/account")
        people = own.till.shop.people
        assert people is not None
        assert people.accounts is not None
        people.accounts._secure = True
        begun = await browser.get("/account/login")
        sent = [begun.headers["set-cookie"]]
        browser.cookies.set("__Host-account-login", re.sub(r"^[^=]*=|;.*", "", sent[0]))
        back = await browser.get("/account/callback", params=own.provider.log_in(begun.headers["location"]))
        sent += back.headers.get_list("set-cookie")

    assert all("HttpOnly" in cookie and "SameSite=Lax" in cookie for cookie in [*plain, *sent])
    assert all(cookie.startswith("__Host-") and "Secure" in cookie for cookie in sent)
    assert len(sent) == 3
    assert home.headers["cache-control"] == "no-store"
    assert "default-src 'none'" in home.headers["content-security-policy"]


async def test_a_provider_that_is_away_is_told_and_nobody_needs_it(store_url: str, tmp_path: Path) -> None:
    """503 with when to come again; orders are made and shown as ever."""
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        issuer = f"http://127.0.0.1:{closed.getsockname()[1]}"
        async with front(store_url, tmp_path, issuer) as own, own.browser() as browser:
            answer = await browser.get("/account/login")
            order = await own.till.order(browser, "ann", 0)
            shown = await browser.get(f"{PAGE}/order/{order}", headers={"x-buyer": "ann"})

    assert (answer.status_code, answer.json()["code"], answer.headers["retry-after"]) == (
        503,
        "login-away",
        "30",
    )
    assert shown.status_code == 200
