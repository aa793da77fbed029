"""Operators at a provider: who was invited by a verified address comes in, and nobody else, whatever is sent back."""

from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

import httpx
import pytest
from redis.asyncio import Redis
from starlette.requests import Request
from starlette.responses import Response

from dashboards import access
from dashboards.access import FREE_FAILURES
from dashboards.access_books import AccessBooks
from dashboards.account_book import Told
from dashboards.provider_door import COOKIE, LOGIN_MS, PROVIDER, ProviderDoor
from dashboards.rights import Role
from dashboards.session_book import IN, STRANGER, WRONG
from gateway.oidc_requests import OidcRequests
from kernel.clock import Clock, ManualClock, SystemClock
from kernel.signing import Signer, from_b64url
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
    """Of the same address."""
    far: httpx.AsyncClient

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
            far = client_of(app, address="198.51.100.7")
            async with client_of(app) as browser, client_of(app) as other, far:
                yield Door(own, books, browser, other, far)
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


async def once_more(here: Door) -> int:
    """Come in, and send the same back from another browser that has got the cookie; return the answer's status."""
    here.invite()
    given = await here.begin()
    kept = here.browser.cookies[COOKIE]
    assert (await here.browser.get("/login/callback", params=given)).status_code == 303
    assert here.browser.cookies.get(COOKIE) is None
    headers = {"cookie": f"{COOKIE}={kept}"}
    return (await here.other.get("/login/callback", params=given, headers=headers)).status_code


async def test_a_login_counts_once_whoever_has_its_cookie(
    store: Redis, clock: ManualClock, tmp_path: Path
) -> None:
    """The cookie holds all of it, but what came back once is over."""
    async with door(store, clock, tmp_path) as here:
        assert await once_more(here) == 400


async def test_a_login_that_counts_twice_is_noticed(
    store: Redis, clock: ManualClock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The mutant: nobody remembers what came back. The provider's code is used up, so the refusal is another one."""
    monkeypatch.setattr(ProviderDoor, "_take", lambda *_: True)
    async with door(store, clock, tmp_path) as here:
        assert await once_more(here) == 403


async def planted(here: Door, cookie: Callable[[str], str]) -> int:
    """Come back with what `cookie` makes of the one that was given; return the answer's status."""
    here.invite()
    given = await here.begin()
    headers = {"cookie": f"{COOKIE}={cookie(here.browser.cookies[COOKIE])}"}
    return (await here.other.get("/login/callback", params=given, headers=headers)).status_code


def signed_by_another(paper: str) -> str:
    """Sign the same anew, with a key that is not ours."""
    return Signer([("k1", b"1" * 32)], "operator").sign(from_b64url(paper.split(".")[1]))


BAD_COOKIES: dict[str, Callable[[str], str]] = {
    "none": lambda _: "",
    "not signed": lambda paper: paper.split(".")[1],
    "cut short": lambda paper: paper[:-1],
    "by another": signed_by_another,
    "another paper of ours": lambda _: Signer([("k1", b"0" * 32)], "operator").sign(b"csrf\0x"),
    "long": lambda paper: paper + "A" * 2000,
}


@pytest.mark.parametrize("cookie", BAD_COOKIES.values(), ids=BAD_COOKIES)
async def test_a_cookie_that_we_did_not_sign_opens_nothing(
    store: Redis, clock: ManualClock, tmp_path: Path, cookie: Callable[[str], str]
) -> None:
    """Whoever can plant one must not be able to say what a login began with."""
    async with door(store, clock, tmp_path) as here:
        assert await planted(here, cookie) == 400


async def test_a_cookie_that_anybody_signs_is_noticed(
    store: Redis, clock: ManualClock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The mutant: the signature is not looked at."""
    monkeypatch.setattr(Signer, "open", lambda _own, text, **_: from_b64url(f"{text}..".split(".")[1]))
    async with door(store, clock, tmp_path) as here:
        assert await planted(here, signed_by_another) == 303


async def in_a_crowd(here: Door) -> int:
    """Let strangers of the same network begin many logins after ours has begun; return what ours comes to."""
    here.invite()
    given = await here.begin()
    for _ in range(50):
        await here.other.get("/login/provider")
    return (await here.browser.get("/login/callback", params=given)).status_code


async def test_a_link_from_elsewhere_begins_nothing_and_a_crowd_keeps_nobody_out(
    store: Redis, clock: ManualClock, tmp_path: Path
) -> None:
    """So nobody is signed in without wanting it; and however many begin, an operator begins and comes in."""
    async with door(store, clock, tmp_path) as here:
        foreign = await here.browser.get("/login/provider", headers={"sec-fetch-site": "cross-site"})
        assert foreign.headers["location"] == "/login"
        assert await in_a_crowd(here) == 303
        here.browser.cookies.clear()
        assert (await here.come()).status_code == 303


async def test_logins_that_are_kept_and_pushed_out_are_noticed(
    store: Redis, clock: ManualClock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The mutant: begun logins are kept here, a bounded number of them."""
    begun: deque[str] = deque(maxlen=20)
    give, opened = ProviderDoor._give, ProviderDoor._opened

    def kept(own: ProviderDoor, answer: Response, value: str, kept_s: int) -> None:
        begun.append(value)
        give(own, answer, value, kept_s)

    def found(own: ProviderDoor, request: Request) -> object:
        return opened(own, request) if request.cookies.get(COOKIE) in begun else None

    monkeypatch.setattr(ProviderDoor, "_give", kept)
    monkeypatch.setattr(ProviderDoor, "_opened", found)
    async with door(store, clock, tmp_path) as here:
        assert await in_a_crowd(here) == 400


MANY = FREE_FAILURES + 3


async def after_failures(here: Door) -> tuple[list[int], httpx.Response]:
    """Come back many times at once with codes that are none; return the answers, and a good one of that address."""
    here.invite()
    statuses = []
    for _ in range(MANY):
        here.other.cookies.clear()
        state = (await here.begin(here.other))["state"]
        back = {"state": state, "code": "made-up"}
        statuses.append((await here.other.get("/login/callback", params=back)).status_code)
    return statuses, await here.come()


async def test_an_address_that_fails_waits_and_others_do_not(
    store: Redis, clock: ManualClock, tmp_path: Path
) -> None:
    """So strangers make us ask the provider for little; whoever comes from elsewhere is let in all the same."""
    async with door(store, clock, tmp_path) as here:
        statuses, good = await after_failures(here)
        assert statuses == [403] * FREE_FAILURES + [429] * (MANY - FREE_FAILURES)
        assert (good.status_code, good.headers["retry-after"]) == (429, "10")
        assert here.own.asked.count("token") == FREE_FAILURES
        given = await here.begin(here.far)
        assert (await here.far.get("/login/callback", params=given)).status_code == 303
        clock.advance(10_000)
        assert (await here.come()).status_code == 303


async def test_an_address_that_never_waits_is_noticed(
    store: Redis, clock: ManualClock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The mutant: failures are not counted."""
    monkeypatch.setattr(access, "FREE_FAILURES", 1_000)
    async with door(store, clock, tmp_path) as here:
        assert (await after_failures(here))[0] == [403] * MANY


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
