"""Operators at a provider: who was invited by a verified address comes in, and nobody else, whatever is sent back."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

import httpx
import pytest
from redis.asyncio import Redis

from dashboards import provider_door
from dashboards.access_books import AccessBooks
from dashboards.account_book import Told
from dashboards.provider_door import LOGIN_MS, MOST_OF_NETWORK, PROVIDER
from dashboards.rights import Role
from dashboards.session_book import IN, STRANGER, WRONG
from gateway.oidc_requests import OidcRequests
from kernel.clock import Clock, ManualClock, SystemClock
from tests.dashboards.desk import BASE, app_of, client_of
from tests.dashboards.people import BY, books_of
from tests.gateway.oidc_front import CLIENT, SECRET, Provider, mock_provider, provider

BACK = f"{BASE}/login/callback"
VERIFIED = {"email_verified": True}


@dataclass
class Door:
    """An operator's application beside a provider."""

    own: Provider
    books: AccessBooks
    browser: httpx.AsyncClient
    other: httpx.AsyncClient

    async def begin(self, browser: httpx.AsyncClient | None = None) -> dict[str, str]:
        """Press the button and log in at the provider; returns what it sends the browser back with."""
        begun = await (browser or self.browser).get("/login/provider")
        assert begun.status_code == 303, begun.text
        return self.own.log_in(begun.headers["location"])

    async def come(self, **more: str) -> httpx.Response:
        """Do all of it; `more` overrides what is sent back."""
        return await self.browser.get("/login/callback", params=await self.begin() | more)

    def invite(self, email: str = "ann@example.org", name: str = "Ann Lee") -> None:
        """Invite somebody by address."""
        assert self.books.accounts.invite(name, Role.OWNER, None, BY, email)[0] is Told.DONE

    def last(self) -> tuple[str, str, str]:
        """Read the last login off the list."""
        one = self.books.sessions.logins()[0]
        return one.name, one.how, one.outcome


@asynccontextmanager
async def door(store: Redis, clock: ManualClock, folder: Path) -> AsyncIterator[Door]:
    """Open the door; somebody with the address ann@example.org is at the provider."""
    async with provider(lambda: clock.now_ms() // 1000) as own:
        own.back, own.wrong = BACK, dict(VERIFIED)
        identity = OidcRequests(own.issuer, CLIENT, SECRET, BACK, clock)
        with books_of(folder, clock) as books:
            app = app_of(store, clock, access=books, identity=identity)
            async with client_of(app) as browser, client_of(app) as other:
                yield Door(own, books, browser, other)
        await identity.close()


async def test_who_was_invited_by_address_comes_in(store: Redis, clock: ManualClock, tmp_path: Path) -> None:
    """The page leads there; afterwards the provider's own name counts, whatever the address."""
    async with door(store, clock, tmp_path) as here:
        here.invite("Ann@Example.org")
        assert 'href="/login/provider"' in (await here.browser.get("/login")).text
        answer = await here.come()
        assert (answer.status_code, answer.headers["location"]) == (303, "/")
        assert "Ann Lee" in (await here.browser.get("/people")).text
        assert here.last() == ("Ann Lee", PROVIDER, IN)

        here.own.wrong = {"email": "new@example.org", "email_verified": False}
        here.browser.cookies.clear()
        assert (await here.come()).headers["location"] == "/"
        assert 'name="token"' not in (await here.other.get("/login")).text


@pytest.mark.parametrize(
    ("wrong", "outcome"),
    [
        ({"email_verified": False}, STRANGER),
        ({"email_verified": "true"}, STRANGER),
        ({"email_verified": None}, STRANGER),
        (VERIFIED | {"email": "eve@example.org"}, STRANGER),
        (VERIFIED | {"email": None}, STRANGER),
        (VERIFIED | {"iss": "https://evil.example"}, WRONG),
        (VERIFIED | {"aud": "somebody-else"}, WRONG),
        (VERIFIED | {"nonce": "another"}, WRONG),
        (VERIFIED | {"exp": 1}, WRONG),
        (VERIFIED | {"sub": ""}, WRONG),
    ],
)
async def test_whom_the_provider_does_not_vouch_for_stays_out(
    store: Redis, clock: ManualClock, tmp_path: Path, wrong: dict[str, object], outcome: str
) -> None:
    """An address that nobody made sure of, one that was not invited, a token that does not count."""
    async with door(store, clock, tmp_path) as here:
        here.invite()
        here.own.wrong = wrong
        answer = await here.come()
        assert (answer.status_code, "did not work" in answer.text) == (403, True)
        assert (await here.browser.get("/")).headers["location"] == "/login"
        assert here.last() == ("", PROVIDER, outcome)
        assert not here.books.accounts.has_owner()


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ({}, 400),
        ({"state": "x"}, 400),
        ({"state": ""}, 400),
        ({"state": "\udcff".encode("utf-8", "surrogatepass").decode("latin-1")}, 400),
        ({"code": ""}, 403),
        ({"code": "x"}, 403),
        ({"iss": "https://evil.example"}, 403),
        ({"code": "", "error": "access_denied"}, 403),
    ],
)
async def test_what_is_sent_back_otherwise_opens_nothing(
    store: Redis, clock: ManualClock, tmp_path: Path, query: dict[str, str], status: int
) -> None:
    """Another state, no code, a made-up one, another provider's."""
    async with door(store, clock, tmp_path) as here:
        here.invite()
        if query:
            answer = await here.come(**query)
        else:
            answer = await here.browser.get("/login/callback")
        assert answer.status_code == status
        assert (await here.browser.get("/")).headers["location"] == "/login"


async def test_a_login_counts_once_in_its_browser_and_its_time(
    store: Redis, clock: ManualClock, tmp_path: Path
) -> None:
    """Neither a second time, nor in another browser, nor twice in one address, nor after ten minutes."""
    async with door(store, clock, tmp_path) as here:
        here.invite()
        given = await here.begin()
        assert (await here.other.get("/login/callback", params=given)).status_code == 400
        assert (await here.browser.get("/login/callback", params=given)).status_code == 303
        assert (await here.browser.get("/login/callback", params=given)).status_code == 400
        twice = [*(await here.begin(here.other)).items(), ("code", "y")]
        assert (await here.other.get("/login/callback", params=twice)).status_code == 403
        late = await here.begin(here.other)
        clock.advance(LOGIN_MS)
        assert (await here.other.get("/login/callback", params=late)).status_code == 400


async def test_a_login_that_counts_twice_is_noticed(
    store: Redis, clock: ManualClock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The mutant: what is under way is looked at, and stays; so another browser with the cookie would do."""

    class Staying(dict[str, object]):
        def pop(self, key: str, *default: object) -> object:  # type: ignore[override]
            return self.get(key, *default)

    async with door(store, clock, tmp_path) as here:
        here.invite()
        real = provider_door.ProviderDoor._taken

        def taken(self: provider_door.ProviderDoor, request: object) -> object:
            self._under_way = Staying(self._under_way)  # type: ignore[assignment]
            return real(self, request)  # type: ignore[arg-type]

        monkeypatch.setattr(provider_door.ProviderDoor, "_taken", taken)
        given = await here.begin()
        kept = dict(here.browser.cookies)
        assert (await here.browser.get("/login/callback", params=given)).status_code == 303
        again = await here.other.get("/login/callback", params=given, headers={"cookie": _text(kept)})
        # The provider's code is used up; that a state counts twice shows in the other refusal.
        assert again.status_code == 403


def _text(cookies: dict[str, str]) -> str:
    return "; ".join(f"{name}={value}" for name, value in cookies.items())


async def test_a_link_from_elsewhere_begins_nothing_and_a_crowd_not_much(
    store: Redis, clock: ManualClock, tmp_path: Path
) -> None:
    """So nobody is signed in without wanting it; one network has few logins under way."""
    async with door(store, clock, tmp_path) as here:
        foreign = await here.browser.get("/login/provider", headers={"sec-fetch-site": "cross-site"})
        assert foreign.headers["location"] == "/login"
        statuses = [
            (await here.browser.get("/login/provider")).status_code for _ in range(MOST_OF_NETWORK + 1)
        ]
        assert statuses == [303] * MOST_OF_NETWORK + [429]
        clock.advance(LOGIN_MS)
        assert (await here.browser.get("/login/provider")).status_code == 303


async def test_a_provider_that_is_away_is_told(store: Redis, clock: ManualClock, tmp_path: Path) -> None:
    """503, and the form for signing in stays usable."""
    identity = OidcRequests("http://127.0.0.1:9", CLIENT, SECRET, BACK, clock)
    with books_of(tmp_path, clock) as books:
        async with client_of(app_of(store, clock, access=books, identity=identity)) as browser:
            answer = await browser.get("/login/provider")
    await identity.close()

    assert (answer.status_code, "cannot be asked" in answer.text) == (503, True)


@pytest.fixture(scope="module")
def mock_issuer() -> Iterator[str]:
    """Run oidc-provider-mock, a provider that somebody else has written."""
    with mock_provider() as issuer:
        yield issuer


@pytest.mark.process
async def test_an_operator_signs_in_at_a_real_provider(
    mock_issuer: str, store: Redis, tmp_path: Path
) -> None:
    """Discovery, code, keys and token are its own; a stranger there is told nothing more."""
    clock: Clock = SystemClock()
    identity = OidcRequests(mock_issuer, CLIENT, SECRET, BACK, clock)
    manual = ManualClock(clock.now_ms())
    with books_of(tmp_path, manual) as books:
        app = app_of(store, manual, access=books, identity=identity)
        books.accounts.invite("Ann Lee", Role.OWNER, None, BY, "ann@example.com")
        outcomes = []
        async with httpx.AsyncClient(timeout=20) as there:
            for subject in ("ann", "eve"):
                claims = {"email": f"{subject}@example.com", "email_verified": True}
                made = await there.put(f"{mock_issuer}/users/{subject}", json=claims)
                assert made.is_success, made.text
                async with client_of(app) as browser:
                    begun = await browser.get("/login/provider")
                    given = await there.post(begun.headers["location"], data={"sub": subject})
                    query = dict(parse_qsl(urlsplit(given.headers["location"]).query))
                    outcomes.append((await browser.get("/login/callback", params=query)).status_code)
    await identity.close()

    assert outcomes == [303, 403]
