"""A room that asks for a login: at the real oidc-provider-mock, and against a table of attacks, all of them refused."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, parse_qsl, urlsplit

import httpx
import pytest
from redis.asyncio import Redis

from gateway.oidc_requests import OidcRequests
from kernel.clock import Clock, ManualClock, SystemClock
from kernel.oidc import NOTHING_MORE
from tests.checkout.people.provider import EC_KEY, OTHER_KEY, public
from tests.gateway.oidc_front import CLIENT, SECRET, Provider, mock_provider, provider
from tests.waitroom.identities import Scene, ended, scene
from tests.waitroom.test_web import BASE

BACK = "http://room.test/.waitroom/login"
LOGIN = BASE + "/identity/login"


@dataclass
class Front:
    """A room at whose door fans log in."""

    scene: Scene
    provider: Provider


@asynccontextmanager
async def front(store: Redis, clock: ManualClock, folder: Path, **settings: object) -> AsyncIterator[Front]:
    """Open a room whose fans log in at our own provider."""
    async with provider(lambda: clock.now_ms() // 1000) as own:
        own.back = BACK
        logins = requests_of(own.issuer, clock)
        async with scene(store, clock, folder, logins=logins, **{"identity": "oidc", **settings}) as here:
            yield Front(here, own)
        await logins.close()


def requests_of(issuer: str, clock: Clock) -> OidcRequests:
    """Ask a provider as the gate does."""
    return OidcRequests(issuer, CLIENT, SECRET, BACK, clock, scope=NOTHING_MORE)


def paper_of(page: httpx.Response) -> str:
    """Read the paper that a join shows."""
    return page.text.split('name="paper" value="')[1].split('"')[0]


async def logged_in(own: Front, browser: httpx.AsyncClient, **query: str) -> httpx.Response:
    """Log in; return the last page."""
    begun = await browser.get(LOGIN, params=query)
    assert begun.status_code == 303, begun.text
    return await browser.get(BACK, params=own.provider.log_in(begun.headers["location"]))


async def test_one_account_is_one_place_on_every_device(
    store: Redis, clock: ManualClock, tmp_path: Path
) -> None:
    """Page, provider, a last step by hand; the other device gets the very same ticket, another account another one."""
    async with (
        front(store, clock, tmp_path) as own,
        own.scene.browser() as phone,
        own.scene.browser() as laptop,
    ):
        asked = await phone.get(BASE + "/identity")
        page = await logged_in(own, phone, target="/e?a=1", lang="de", live="1")
        before = (await own.scene.beat()).line
        first = await phone.post(BASE + "/join", json={"paper": paper_of(page)})
        form = await phone.post(
            BASE + "/join", data={"paper": paper_of(page), "live": "1", "target": "/e?a=1"}
        )
        again = await laptop.post(BASE + "/join", json={"paper": paper_of(await logged_in(own, laptop))})
        own.provider.subject = "bob"
        other = await laptop.post(BASE + "/join", json={"paper": paper_of(await logged_in(own, laptop))})

    assert "identity/login" in asked.text
    assert before is not None
    assert before.issued == 0
    assert 'value="/e?a=1"' in page.text
    assert 'lang="de"' in page.text
    assert form.headers["location"] == "/.waitroom/r/main?target=%2Fe%3Fa%3D1"
    assert first.json()["ticket"] == again.json()["ticket"]
    assert other.json()["number"] == 1


async def test_the_provider_is_asked_for_nothing_but_who_it_is(
    store: Redis, clock: ManualClock, tmp_path: Path
) -> None:
    """Neither name nor address; with PKCE, a state, a nonce, and the language of the page."""
    async with front(store, clock, tmp_path) as own, own.scene.browser() as phone:
        begun = await phone.get(LOGIN, params={"lang": "fr"})
    query = {name: values[0] for name, values in parse_qs(urlsplit(begun.headers["location"]).query).items()}
    cookie = begun.headers["set-cookie"]

    assert query["scope"] == "openid"
    assert (query["code_challenge_method"], query["redirect_uri"], query["ui_locales"]) == (
        "S256",
        BACK,
        "fr",
    )
    assert query["state"].startswith("main.")
    assert len(query["nonce"]) > 40
    assert {"HttpOnly", "SameSite=Lax", "Max-Age=600"} <= {part.strip() for part in cookie.split(";")}


WRONG_TOKENS: list[dict[str, Any]] = [
    {"iss": "https://evil.example"}, {"aud": "another"}, {"azp": "another"}, {"exp": 1}, {"iat": 1},
    {"nonce": "another"}, {"sub": ""},
]  # fmt: skip


@pytest.mark.parametrize("wrong", WRONG_TOKENS)
async def test_a_token_that_does_not_count_is_no_identity(
    wrong: dict[str, Any], store: Redis, clock: ManualClock, tmp_path: Path
) -> None:
    """The page asks again, and has no paper."""
    async with front(store, clock, tmp_path) as own, own.scene.browser() as phone:
        own.provider.wrong = wrong
        page = await logged_in(own, phone)

    assert page.status_code == 403
    assert 'role="alert"' in page.text
    assert "paper" not in page.text


@pytest.mark.parametrize(
    "changed", [{"key": OTHER_KEY}, {"head": {"kid": "k9"}}, {"keys": []}, {"keys": [public(EC_KEY)]}]
)
async def test_a_key_that_is_not_the_providers_is_no_identity(
    changed: dict[str, Any], store: Redis, clock: ManualClock, tmp_path: Path
) -> None:
    """Whoever signs, it must be one of the published keys, of the right kind."""
    async with front(store, clock, tmp_path) as own, own.scene.browser() as phone:
        for name, value in changed.items():
            setattr(own.provider, name, value)
        page = await logged_in(own, phone)

    assert page.status_code == 403


async def test_a_login_belongs_to_the_browser_that_began_it(
    store: Redis, clock: ManualClock, tmp_path: Path
) -> None:
    """Without its cookie, with another's, with another state, a second time, or too late: refused."""
    async with front(store, clock, tmp_path) as own:
        async with own.scene.browser() as fan, own.scene.browser() as victim:
            begun = await fan.get(LOGIN)
            theirs = own.provider.log_in(begun.headers["location"])
            bare = await victim.get(BACK, params=theirs)
            await victim.get(LOGIN)
            crossed = await victim.get(BACK, params=theirs)
            forged = await fan.get(BACK, params=theirs, headers={"cookie": "waitroom-login=k1.eA.eA"})
        async with own.scene.browser() as fan:
            begun = await fan.get(LOGIN)
            cookie = {"cookie": begun.headers["set-cookie"].split(";")[0]}
            answer = own.provider.log_in(begun.headers["location"])
            good = await fan.get(BACK, params=answer, headers=cookie)
            spent = await fan.get(BACK, params=answer, headers=cookie)
            fresh = own.provider.log_in(begun.headers["location"])
            clock.advance(600_000)
            late = await fan.get(BACK, params=fresh, headers=cookie)

    assert good.status_code == 200
    assert "Max-Age=0" in good.headers["set-cookie"]
    assert [answer.status_code for answer in (bare, crossed, forged, spent, late)] == [403] * 5


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ({}, 404), ({"state": "main"}, 404), ({"state": "other.x", "code": "y"}, 404),
        ({"state": "main.x"}, 403), ({"state": "main.x", "code": "y"}, 403),
        ({"state": "main.\u00e9", "code": "y"}, 403), ({"state": "main.x", "error": "access_denied"}, 403),
    ],
)  # fmt: skip
async def test_bad_ways_back(
    query: dict[str, str], status: int, store: Redis, clock: ManualClock, tmp_path: Path
) -> None:
    """What belongs to no login is refused, on the room's page where one is named."""
    async with front(store, clock, tmp_path) as own, own.scene.browser() as phone:
        answer = await phone.get(BACK, params=query)

    assert answer.status_code == status


async def test_papers_are_of_one_run_and_last_ten_minutes(
    store: Redis, clock: ManualClock, tmp_path: Path
) -> None:
    """What a login brought yesterday is worth nothing today."""
    async with front(store, clock, tmp_path) as own, own.scene.browser() as phone:
        paper = paper_of(await logged_in(own, phone))
        mixed = await phone.post(BASE + "/join", json={"paper": paper[:-2]})
        clock.advance(599_999)
        good = await phone.post(BASE + "/join", json={"paper": paper})
        clock.advance(1)
        late = await phone.post(BASE + "/join", json={"paper": paper})
        paper = paper_of(await logged_in(own, phone))
        await ended(own.scene)
        await own.scene.here.beat()
        old = await phone.post(BASE + "/join", json={"paper": paper})

    assert good.status_code == 200
    assert [one.json()["code"] for one in (mixed, late, old)] == ["identity-login-over"] * 3


async def test_where_nobody_can_log_in_the_page_says_so(
    store: Redis, clock: ManualClock, tmp_path: Path
) -> None:
    """No provider is set: 503, and the form again."""
    async with scene(store, clock, tmp_path, identity="oidc") as here, here.browser() as phone:
        none = await phone.get(LOGIN)

    assert none.status_code == 503
    assert "identity/login" in none.text


async def test_a_provider_that_is_away_is_told_as_such(
    store: Redis, clock: ManualClock, tmp_path: Path
) -> None:
    """503, and the form again."""
    gone = requests_of("http://127.0.0.1:9", clock)
    async with scene(store, clock, tmp_path, identity="oidc", logins=gone) as here, here.browser() as phone:
        away = await phone.get(LOGIN)
    await gone.close()

    assert away.status_code == 503
    assert "identity/login" in away.text


async def test_a_room_that_asks_for_a_code_sends_nobody_to_a_login(
    store: Redis, clock: ManualClock, tmp_path: Path
) -> None:
    """404, and nothing else below the question either."""
    async with front(store, clock, tmp_path, identity="code") as own, own.scene.browser() as phone:
        login = await phone.get(LOGIN)
        other = await phone.get(BASE + "/identity/other")

    assert (login.status_code, other.status_code) == (404, 404)


@pytest.fixture(scope="module")
def mock_issuer() -> Iterator[str]:
    """Run oidc-provider-mock, a provider that somebody else has written."""
    with mock_provider() as issuer:
        yield issuer


@pytest.mark.process
async def test_a_fan_logs_in_at_a_real_provider(
    mock_issuer: str, store: Redis, clock: ManualClock, tmp_path: Path
) -> None:
    """Discovery, code, keys and token are its own; the same subject has the same place; who declines has none."""
    logins = requests_of(mock_issuer, SystemClock())
    async with (
        scene(store, clock, tmp_path, identity="oidc", logins=logins) as here,
        httpx.AsyncClient(timeout=20) as there,
    ):
        tickets = []
        for subject in ("ann", "ann", "bob"):
            async with here.browser() as browser:
                begun = await browser.get(LOGIN)
                given = await there.post(begun.headers["location"], data={"sub": subject})
                query = dict(parse_qsl(urlsplit(given.headers["location"]).query))
                page = await browser.get(BACK, params=query)
                joined = await browser.post(BASE + "/join", json={"paper": paper_of(page)})
                tickets.append(joined.json()["ticket"])
        async with here.browser() as browser:
            begun = await browser.get(LOGIN)
            denied = await there.post(begun.headers["location"], data={"action": "deny"})
            told = await browser.get(BACK, params=dict(parse_qsl(urlsplit(denied.headers["location"]).query)))
    await logins.close()

    assert tickets[0] == tickets[1]
    assert tickets[2] != tickets[0]
    assert told.status_code == 403
