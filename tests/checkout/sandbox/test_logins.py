"""The sandbox of logins: asked by the real client's rules, and by a table of bad requests for each of its addresses.

Each guard of the token endpoint, the exact address and the host has its mutant: with the guard off, its test fails.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import httpx
import jwt
import pytest

from checkout.sandbox import logins as module
from checkout.sandbox.login_rules import TOKEN_S, Client, Somebody
from checkout.sandbox.logins import BODY_MOST_BYTES, CODE_MS, QUESTION_MS, WAITING_MOST, Logins
from checkout.sandbox.words import languages
from kernel.clock import ManualClock
from kernel.oidc import Person, basic, challenge, login_address, read_id_token, read_provider
from tests.checkout.sandbox.test_secure_page import Page

SITE = "http://127.0.0.1:8084"
ISSUER = f"{SITE}/login"
BACK = "http://localhost:8082/staff/callback"
CLIENT = Client("demo-office", "a secret: of & the demo", BACK)
PEOPLE = (
    Somebody("ida", "ida@aurora.example", "owner"),
    Somebody("vera", "vera@aurora.example", "viewer"),
)
VERIFIER = "0123456789-verifier-of-forty-three-characters"
STATE, NONCE = "the-state", "the-nonce"
Changes = Mapping[str, str | None]


@dataclass
class Front:
    """The provider, a browser and a client."""

    logins: Logins
    client: httpx.AsyncClient
    clock: ManualClock

    async def address(self, language: str = "en") -> str:
        """Write the address of a login, as the real client does from what the provider says of itself."""
        told = await self.client.get("/login/.well-known/openid-configuration")
        provider = read_provider(told.json(), ISSUER)
        return login_address(provider, CLIENT.name, BACK, STATE, NONCE, VERIFIER, language)

    async def ask(self, changes: Changes | None = None, more: str = "", **headers: str) -> httpx.Response:
        """Come with a login; `changes` of its query, None takes a name away."""
        parts = urlsplit(await self.address())
        query = changed(dict(parse_qsl(parts.query)), changes or {})
        url = f"{ISSUER}/authorize?{httpx.QueryParams(query)}{more}"
        return await self.client.get(url, headers=headers)

    async def question(self) -> str:
        """Come with a login; returns the paper of the page's form."""
        return Page((await self.ask()).text).fields["token"]

    async def choose(self, who: str = "ida", token: str = "", **headers: str) -> httpx.Response:
        """Say who one is."""
        form = {"token": token or await self.question(), "who": who}
        return await self.client.post("/login/authorize", data=form, headers=headers)

    async def code(self, who: str = "ida") -> str:
        """Log in; returns the code."""
        return brought(await self.choose(who))["code"]

    async def token(
        self, code: str, changes: Changes | None = None, authorization: str | None = None
    ) -> httpx.Response:
        """Ask for what a code stands for; `changes` of the form, None takes a name away."""
        plain = {
            "grant_type": "authorization_code", "code": code, "redirect_uri": BACK, "code_verifier": VERIFIER,
        }  # fmt: skip
        own = basic(CLIENT.name, CLIENT.secret) if authorization is None else authorization
        headers = {"authorization": own} if own else {}
        return await self.client.post("/login/token", data=changed(plain, changes or {}), headers=headers)


def changed(plain: Mapping[str, str], changes: Changes) -> dict[str, str]:
    """Change some, and take away what is None."""
    return {name: value for name, value in {**plain, **changes}.items() if value is not None}


def brought(answer: httpx.Response) -> dict[str, str]:
    """Read what a browser brings back to the client, and nowhere else."""
    assert answer.status_code == 303, answer.text
    address, _, query = answer.headers["location"].partition("?")
    assert address == BACK
    return dict(parse_qsl(query, strict_parsing=True))


@asynccontextmanager
async def front(clock: ManualClock, host: str = SITE) -> AsyncIterator[Front]:
    """Open a provider."""
    own = Logins(ISSUER, CLIENT, PEOPLE, clock)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(own), base_url=host) as client:
        yield Front(own, client, clock)


# ------------------------------------------------------------------------------------------ the way


@pytest.mark.parametrize("who", ["ida", "vera"])
async def test_the_real_client_believes_who_was_chosen(who: str, clock: ManualClock) -> None:
    """From what the provider says of itself to the person, with the address that they were invited by."""
    async with front(clock) as own:
        back = brought(await own.choose(who))
        told = await own.token(back["code"])
        keys = (await own.client.get("/login/keys")).json()["keys"]
    person = read_id_token(
        told.json()["id_token"], keys, issuer=ISSUER, client=CLIENT.name, nonce=NONCE, now_ms=clock.now_ms()
    )

    assert person == Person(ISSUER, who, f"{who}@aurora.example", who)
    assert (back["state"], back["iss"]) == (STATE, ISSUER)
    assert told.status_code == 200
    assert told.json()["token_type"] == "Bearer"
    assert told.headers["cache-control"] == "no-store"


async def test_a_token_says_what_it_must_and_is_signed_by_the_published_key(clock: ManualClock) -> None:
    """ES256, for this client, this nonce and five minutes; the private half is published nowhere."""
    async with front(clock) as own:
        told = (await own.token(await own.code())).json()
        keys = (await own.client.get("/login/keys")).json()["keys"]
    head = jwt.get_unverified_header(told["id_token"])
    claims = jwt.decode(told["id_token"], options={"verify_signature": False})

    assert (head["alg"], head["kid"]) == ("ES256", keys[0]["kid"])
    assert set(keys[0]) == {"kty", "crv", "x", "y", "kid", "use", "alg"}
    assert (claims["iss"], claims["aud"], claims["nonce"]) == (ISSUER, CLIENT.name, NONCE)
    assert claims["exp"] - claims["iat"] == TOKEN_S == told["expires_in"]
    assert claims["iat"] == clock.now_ms() // 1000
    assert claims["email_verified"] is True


async def test_each_process_has_a_key_of_its_own(clock: ManualClock) -> None:
    """A key goes with its process, so a token of yesterday's demo is worth nothing today."""
    found = []
    for _ in range(2):
        async with front(clock) as own:
            found.append((await own.client.get("/login/keys")).json()["keys"][0])

    assert found[0]["x"] != found[1]["x"]
    assert found[0]["kid"] != found[1]["kid"]


async def test_the_page_is_plain_and_says_what_it_is(clock: ManualClock) -> None:
    """One heading, a button for each of the people and one for nobody; no script, nothing loaded, nothing kept."""
    async with front(clock) as own:
        answer = await own.ask()
    page = Page(answer.text)
    policy = answer.headers["content-security-policy"]

    assert answer.status_code == 200
    assert page.buttons == ["ida", "vera", ""]
    assert set(page.fields) == {"token"}
    assert page.tags.count("h1") == page.tags.count("main") == page.tags.count("title") == 1
    assert not {"script", "img", "link", "iframe"} & set(page.tags)
    assert "no login: nobody asks for a password" in answer.text
    assert "second factor" in answer.text
    assert policy.startswith("default-src 'none'; style-src 'sha256-")
    assert "form-action 'self' http://localhost:8082;" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    assert [answer.headers[name] for name in ("cache-control", "referrer-policy", "x-content-type-options")] == [
        "no-store", "no-referrer", "nosniff",
    ]  # fmt: skip


@pytest.mark.parametrize("tag", sorted(languages()))
async def test_it_speaks_the_language_that_the_client_names(tag: str, clock: ManualClock) -> None:
    """In all ten, before what the browser likes; a language that nobody knows is the browser's."""
    async with front(clock) as own:
        named = await own.ask({"ui_locales": f"{tag} en"}, **{"accept-language": "fr"})
        unknown = await own.ask({"ui_locales": "xx"}, **{"accept-language": tag})

    assert f'<html lang="{tag}"' in named.text
    assert f'<html lang="{tag}"' in unknown.text
    assert languages()[tag].text("login.head") in named.text


async def test_nobody_is_an_answer_too(clock: ManualClock) -> None:
    """The client hears that nobody logged in, by the standard's word."""
    async with front(clock) as own:
        back = brought(await own.choose(""))

    assert back == {"error": "access_denied", "state": STATE, "iss": ISSUER}


# ------------------------------------------------------------------------------- what is not answered


@pytest.mark.parametrize(
    ("changes", "more"),
    [
        ({"client_id": None}, ""),
        ({"client_id": "another"}, ""),
        ({"redirect_uri": None}, ""),
        ({"redirect_uri": "https://evil.example/"}, ""),
        ({"redirect_uri": BACK + "/"}, ""),
        ({"redirect_uri": BACK + "?x=1"}, ""),
        ({"redirect_uri": BACK.upper()}, ""),
        ({"redirect_uri": BACK.replace("localhost", "localhost@evil.example")}, ""),
        ({}, "&redirect_uri=https://evil.example/"),
        ({}, "&client_id=another"),
        ({}, "&state=second"),
        ({}, "&x=%ff"),
        ({}, "&x=1" * 60),
    ],
)
async def test_what_is_not_our_clients_is_sent_nowhere(
    changes: Changes, more: str, clock: ManualClock
) -> None:
    """Another client, any other address, a name that comes twice, what cannot be read: a page, and no way on."""
    async with front(clock) as own:
        answer = await own.ask(changes, more)

    assert answer.status_code == 400
    assert "location" not in answer.headers
    assert Page(answer.text).buttons == []
    assert "form-action 'self';" in answer.headers["content-security-policy"]


@pytest.mark.parametrize(
    ("changes", "word", "state"),
    [
        ({"state": None}, "invalid_request", ""),
        ({"state": "two words"}, "invalid_request", ""),
        ({"state": "x" * 513}, "invalid_request", ""),
        ({"response_type": None}, "unsupported_response_type", STATE),
        ({"response_type": "token"}, "unsupported_response_type", STATE),
        ({"response_type": "code id_token"}, "unsupported_response_type", STATE),
        ({"scope": None}, "invalid_scope", STATE),
        ({"scope": "profile openidx"}, "invalid_scope", STATE),
        ({"nonce": None}, "invalid_request", STATE),
        ({"nonce": "a\nb"}, "invalid_request", STATE),
        ({"code_challenge": None}, "invalid_request", STATE),
        ({"code_challenge": "x" * 42}, "invalid_request", STATE),
        ({"code_challenge": "x" * 42 + "="}, "invalid_request", STATE),
        ({"code_challenge_method": None}, "invalid_request", STATE),
        ({"code_challenge_method": "plain"}, "invalid_request", STATE),
        ({"prompt": "none"}, "login_required", STATE),
        ({"request": "x"}, "request_not_supported", STATE),
        ({"request_uri": "https://evil.example"}, "request_not_supported", STATE),
    ],
)
async def test_what_our_client_asks_wrongly_goes_back_to_it(
    changes: Changes, word: str, state: str, clock: ManualClock
) -> None:
    """With the standard's word, and its state if it has one."""
    async with front(clock) as own:
        back = brought(await own.ask(changes))

    assert back == {"error": word, "iss": ISSUER, **({"state": state} if state else {})}


@pytest.mark.parametrize(
    ("body", "kind", "status"),
    [
        ("token={}&who=mallory", "", 400),
        ("token={}", "", 400),
        ("token={}&who=ida&who=vera", "", 400),
        ("token={}&token={}&who=ida", "", 400),
        ("token={}&who=%ff", "", 400),
        ("token={}&who=ida", "text/plain", 400),
        ('{"token": "{}", "who": "ida"}', "application/json", 400),
        ("", "", 400),
        ("token={}&who=ida&x=" + "x" * BODY_MOST_BYTES, "", 400),
        ("token=another&who=ida", "", 409),
        ("who=ida", "", 409),
        ("token=%C3%A4&who=ida", "", 409),
    ],
)
async def test_a_choice_that_is_none_logs_nobody_in(
    body: str, kind: str, status: int, clock: ManualClock
) -> None:
    """Nobody's name, no paper of ours, what cannot be read; the page's own choice is still to be had."""
    async with front(clock) as own:
        token = await own.question()
        answer = await own.client.post(
            "/login/authorize",
            content=body.replace("{}", token),
            headers={"content-type": kind or "application/x-www-form-urlencoded; charset=utf-8"},
        )
        after = await own.choose("ida", token)

    assert answer.status_code == status
    assert "location" not in answer.headers
    assert "code" in brought(after)


async def test_a_question_is_answered_once_and_not_late(clock: ManualClock) -> None:
    """A second press, and one after ten minutes, is told to begin again, and where."""
    async with front(clock) as own:
        token = await own.question()
        brought(await own.choose("ida", token))
        twice = await own.choose("vera", token)
        token = await own.question()
        clock.advance(QUESTION_MS - 1)
        brought(await own.choose("ida", token))
        clock.advance(1 - QUESTION_MS)
        token = await own.question()
        clock.advance(QUESTION_MS)
        late = await own.choose("ida", token)

    assert [twice.status_code, late.status_code] == [409, 409]
    assert 'href="http://localhost:8082/staff"' in twice.text


async def test_what_waits_is_bounded(clock: ManualClock) -> None:
    """Whoever asks and asks makes the oldest forgotten, and nothing grow."""
    async with front(clock) as own:
        address, first = await own.address(), await own.question()
        for _ in range(WAITING_MOST):
            await own.client.get(address)
        forgotten = await own.choose("ida", first)

        assert len(own.logins._questions) == WAITING_MOST
        assert forgotten.status_code == 409


WRONG_TOKENS: Mapping[str, tuple[Changes, str | None, int, str]] = {
    "no secret": ({}, "", 401, "invalid_client"),
    "another secret": ({}, basic(CLIENT.name, "another"), 401, "invalid_client"),
    "another client": ({}, basic("another", CLIENT.secret), 401, "invalid_client"),
    "an empty secret": ({}, basic(CLIENT.name, ""), 401, "invalid_client"),
    "bearer": ({}, basic(CLIENT.name, CLIENT.secret).replace("Basic", "Bearer"), 401, "invalid_client"),
    "no base64": ({}, "Basic ???", 401, "invalid_client"),
    "no text": ({}, "Basic //79", 401, "invalid_client"),
    "secret in the form": ({"client_secret": CLIENT.secret}, "", 401, "invalid_client"),
    "no grant": ({"grant_type": None}, None, 400, "invalid_request"),
    "another grant": ({"grant_type": "password"}, None, 400, "unsupported_grant_type"),
    "no code": ({"code": None}, None, 400, "invalid_request"),
    "another code": ({"code": "another"}, None, 400, "invalid_grant"),
    "no address": ({"redirect_uri": None}, None, 400, "invalid_request"),
    "another address": ({"redirect_uri": "https://evil.example/"}, None, 400, "invalid_grant"),
    "an address that begins so": ({"redirect_uri": BACK + "/x"}, None, 400, "invalid_grant"),
    "no verifier": ({"code_verifier": None}, None, 400, "invalid_request"),
    "another verifier": ({"code_verifier": VERIFIER[::-1]}, None, 400, "invalid_grant"),
    "the challenge itself": ({"code_verifier": challenge(VERIFIER)}, None, 400, "invalid_grant"),
    "a short verifier": ({"code_verifier": "x"}, None, 400, "invalid_grant"),
    "a verifier in other letters": ({"code_verifier": "ä" * 43}, None, 400, "invalid_grant"),
}


@pytest.mark.parametrize("name", WRONG_TOKENS)
async def test_no_token_is_given_for_what_is_wrong(name: str, clock: ManualClock) -> None:
    """By the standard's word; and a try with the right secret wears the code."""
    changes, authorization, status, word = WRONG_TOKENS[name]
    async with front(clock) as own:
        code = await own.code()
        answer = await own.token(code, changes, authorization)
        again = await own.token(code)

    assert (answer.status_code, answer.json()) == (status, {"error": word})
    assert answer.headers["cache-control"] == "no-store"
    assert ("www-authenticate" in answer.headers) is (status == 401)
    assert again.status_code == (400 if word == "invalid_grant" and "code" not in changes else 200)


@pytest.mark.parametrize("kind", ["application/json", "text/plain", ""])
async def test_a_token_is_asked_for_by_a_form(kind: str, clock: ManualClock) -> None:
    """Whatever else is sent is no request, and neither is one that is too large or names something twice."""
    headers = {"authorization": basic(CLIENT.name, CLIENT.secret)}
    async with front(clock) as own:
        answers = [
            await own.client.post("/login/token", content=body, headers={**headers, "content-type": given})
            for body, given in (
                (b"grant_type=authorization_code", kind),
                (b"x" * (BODY_MOST_BYTES + 1), "application/x-www-form-urlencoded"),
                (b"code=a&code=b", "application/x-www-form-urlencoded"),
                (b"\xff", "application/x-www-form-urlencoded"),
            )
        ]

    assert [(one.status_code, one.json()) for one in answers] == [(400, {"error": "invalid_request"})] * 4


async def test_a_code_counts_once(clock: ManualClock) -> None:
    """Whoever has read it in a browser's history comes too late."""
    async with front(clock) as own:
        code = await own.code()
        first, second = await own.token(code), await own.token(code)

    assert (first.status_code, second.status_code) == (200, 400)


async def test_a_code_counts_for_a_minute(clock: ManualClock) -> None:
    """Until its end, and not at it."""
    found = []
    async with front(clock) as own:
        for wait_ms in (CODE_MS - 1, CODE_MS):
            code = await own.code()
            clock.advance(wait_ms)
            found.append((await own.token(code)).status_code)

    assert found == [200, 400]


@pytest.mark.parametrize(
    ("method", "path", "status", "allow"),
    [
        ("POST", "/login/.well-known/openid-configuration", 405, "GET"),
        ("HEAD", "/login/keys", 405, "GET"),
        ("DELETE", "/login/authorize", 405, "GET, POST"),
        ("GET", "/login/token", 405, "POST"),
        ("OPTIONS", "/login/token", 405, "POST"),
        ("GET", "/login", 404, None),
        ("GET", "/login/", 404, None),
        ("GET", "/login/keys/", 404, None),
        ("GET", "/login/userinfo", 404, None),
    ],
)
async def test_there_is_nothing_else(
    method: str, path: str, status: int, allow: str | None, clock: ManualClock
) -> None:
    """Other methods and other addresses."""
    async with front(clock) as own:
        answer = await own.client.request(method, path)

    assert (answer.status_code, answer.headers.get("allow")) == (status, allow)


PATHS = ("/.well-known/openid-configuration", "/keys", "/authorize", "/token")


@pytest.mark.parametrize("path", PATHS)
async def test_it_answers_under_its_own_name_only(path: str, clock: ManualClock) -> None:
    """A page of another name whose address was led to this machine reads nothing and asks nothing."""
    async with front(clock, "http://evil.example:8084") as own:
        answers = [await own.client.request(method, f"/login{path}") for method in ("GET", "POST")]

    assert [one.status_code for one in answers] == [421, 421]


# ------------------------------------------------------------------------------------------ mutants

Test = Callable[[ManualClock], Awaitable[None]]
MUTANTS: Mapping[str, tuple[str, Any, Test]] = {
    "a code is kept when it was used": (
        "Logins._take",
        lambda self, code: self._codes.get(code),
        test_a_code_counts_once,
    ),
    "a code counts for ever": ("CODE_MS", 10**15, test_a_code_counts_for_a_minute),
    "a question waits for ever": ("QUESTION_MS", 10**15, test_a_question_is_answered_once_and_not_late),
    "any verifier": (
        "fits",
        lambda *_: True,
        lambda clock: test_no_token_is_given_for_what_is_wrong("another verifier", clock),
    ),
    "any address": (
        "goes_back",
        lambda *_: True,
        lambda clock: test_no_token_is_given_for_what_is_wrong("another address", clock),
    ),
    "any secret": (
        "is_client",
        lambda *_: True,
        lambda clock: test_no_token_is_given_for_what_is_wrong("another secret", clock),
    ),
    "any address to come back to": (
        "read_asked",
        lambda fields, client, real=module.read_asked: real({**fields, "redirect_uri": BACK}, client),
        lambda clock: test_what_is_not_our_clients_is_sent_nowhere(
            {"redirect_uri": "https://evil.example/"}, "", clock
        ),
    ),
    "any name of the host": (
        "header",
        lambda scope, name, real=module.header: b"127.0.0.1:8084" if name == b"host" else real(scope, name),
        lambda clock: test_it_answers_under_its_own_name_only("/keys", clock),
    ),
}


@pytest.mark.parametrize("name", MUTANTS)
async def test_a_guard_that_is_off_is_noticed(
    name: str, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The mutants: each guard taken away, and the test of it fails."""
    where, instead, test = MUTANTS[name]
    monkeypatch.setattr(f"{module.__name__}.{where}", instead)
    with pytest.raises(AssertionError):
        await test(clock)
