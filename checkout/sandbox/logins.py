"""Logins: a provider of OpenID Connect that believes whoever comes, for the demo's staff and for nobody else.

    GET   /login/.well-known/openid-configuration   what there is
    GET   /login/keys                               the key that ID tokens are signed with (JWKS)
    GET   /login/authorize                          "Who are you?"
    POST  /login/authorize                          one of the demo's people      form: token, who
    POST  /login/token                              the ID token for a code, once

It asks for no password, so it must not stand where others reach it: the process that has it (``gateway.sandbox``) has
it for a demo on one machine only. It answers under its own address alone: a page of another name that was led to this
machine reads nothing here.

A question waits ten minutes for its answer and takes one; a code counts once, for a minute, for the client with the
secret, from the address that it was sent to, by whoever has the verifier. The signing key is made with the process and
goes with it. Everything is in memory: run it in one process. Not here: what is right (``login_rules``), how pages
look (``login_page``).
"""

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar
from urllib.parse import urlsplit

import jwt
import orjson
from cryptography.hazmat.primitives.asymmetric import ec
from jwt.algorithms import ECAlgorithm

from checkout.sandbox import login_page
from checkout.sandbox.login_rules import (
    AUTHORIZE,
    KEYS,
    TOKEN,
    TOKEN_S,
    WELL_KNOWN,
    Asked,
    Client,
    NotOurs,
    Refusal,
    Somebody,
    back_address,
    claims,
    fits,
    goes_back,
    is_client,
    metadata,
    read_asked,
    read_fields,
)
from checkout.sandbox.secure_page import headers_to
from checkout.sandbox.words import languages, spoken
from kernel.asgi import Headers, Receive, Scope, Send, header, read_body, respond
from kernel.clock import Clock
from kernel.errors import Refused

QUESTION_MS = 600_000
CODE_MS = 60_000
WAITING_MOST = 1000
"""So many questions and codes at most; then the oldest is forgotten."""

BODY_MOST_BYTES = 8192
FORM = b"application/x-www-form-urlencoded"

METHODS: Mapping[str, tuple[str, ...]] = {
    WELL_KNOWN: ("GET",), KEYS: ("GET",), AUTHORIZE: ("GET", "POST"), TOKEN: ("POST",),
}  # fmt: skip

_JSON = (
    (b"content-type", b"application/json"),
    (b"cache-control", b"no-store"),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
)
Answer = tuple[int, Headers, bytes]


@dataclass(frozen=True, slots=True)
class _Question:
    asked: Asked
    until_ms: int


@dataclass(frozen=True, slots=True)
class _Code:
    who: Somebody
    nonce: str
    challenge: str
    until_ms: int


Kept = TypeVar("Kept", _Question, _Code)


class Logins:
    """The provider, as an ASGI application."""

    def __init__(self, issuer: str, client: Client, people: Sequence[Somebody], clock: Clock) -> None:
        """`issuer` is its address, as ``http://127.0.0.1:8084/login``."""
        parts = urlsplit(issuer)
        self.issuer = issuer
        self._base = parts.path
        self._host = parts.netloc.encode()
        self._client = client
        self._people = tuple(people)
        self._clock = clock
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._kid = secrets.token_hex(8)
        self._questions: dict[str, _Question] = {}
        self._codes: dict[str, _Code] = {}

    def __repr__(self) -> str:
        return "Logins()"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request."""
        if scope["type"] != "http":
            return
        await respond(send, *await self._answer(scope, receive))

    async def _answer(self, scope: Scope, receive: Receive) -> Answer:
        method, path = scope["method"], scope["path"].removeprefix(self._base)
        if header(scope, b"host") != self._host:
            return _told(421, {"error": "misdirected"})
        allowed = METHODS.get(path)
        if allowed is None:
            return _told(404, {"error": "not_found"})
        if method not in allowed:
            return _told(405, {"error": "method_not_allowed"}, (b"allow", ", ".join(allowed).encode()))
        if path == TOKEN:
            return await self._token(scope, receive)
        if path == AUTHORIZE:
            return self._question(scope) if method == "GET" else await self._chosen(scope, receive)
        if path == KEYS:
            return _told(200, {"keys": [self._public()]})
        return _told(200, metadata(self.issuer, sorted(languages())))

    # ------------------------------------------------------------------------------ the browser

    def _question(self, scope: Scope) -> Answer:
        """Ask a browser who is there."""
        texts = spoken(header(scope, b"accept-language"))
        try:
            asked = read_asked(read_fields(scope["query_string"]), self._client)
        except NotOurs:
            return 400, headers_to(""), login_page.wrong(texts)
        except Refusal as error:
            return self._sent_back(error.state, error=error.word)
        texts = spoken(header(scope, b"accept-language"), asked.language)
        token, now_ms = secrets.token_urlsafe(24), self._clock.now_ms()
        _keep(self._questions, token, _Question(asked, now_ms + QUESTION_MS), now_ms)
        return 200, headers_to(self._client.back), login_page.question(self._people, token, texts)

    async def _chosen(self, scope: Scope, receive: Receive) -> Answer:
        """Take who somebody says to be, and send their browser back with a code."""
        texts = spoken(header(scope, b"accept-language"))
        try:
            form = await _form(scope, receive)
        except (NotOurs, Refused):
            return 400, headers_to(""), login_page.wrong(texts)
        name, token, now_ms = form.get("who"), form.get("token", ""), self._clock.now_ms()
        who = next((one for one in self._people if one.name == name), None)
        if name is None or (who is None and name):
            return 400, headers_to(""), login_page.wrong(texts)
        question = self._questions.pop(token, None)
        if question is None or now_ms >= question.until_ms:
            return 409, headers_to(self._client.back), login_page.over(self._client.back, texts)
        asked = question.asked
        if who is None:
            return self._sent_back(asked.state, error="access_denied")
        code = secrets.token_urlsafe(24)
        _keep(self._codes, code, _Code(who, asked.nonce, asked.challenge, now_ms + CODE_MS), now_ms)
        return self._sent_back(asked.state, code=code)

    def _sent_back(self, state: str, **told: str) -> Answer:
        location = back_address(self._client, self.issuer, state, **told)
        return 303, [*headers_to(self._client.back), (b"location", location.encode())], b""

    # ------------------------------------------------------------------------------- the client

    async def _token(self, scope: Scope, receive: Receive) -> Answer:
        """Give the ID token that a code stands for."""
        try:
            form = await _form(scope, receive)
        except (NotOurs, Refused):
            return _told(400, {"error": "invalid_request"})
        if not is_client(header(scope, b"authorization") or b"", self._client):
            return _told(401, {"error": "invalid_client"}, (b"www-authenticate", b'Basic realm="sandbox"'))
        if form.get("grant_type") != "authorization_code":
            word = "unsupported_grant_type" if form.get("grant_type") else "invalid_request"
            return _told(400, {"error": word})
        if not all(form.get(name) for name in ("code", "redirect_uri", "code_verifier")):
            return _told(400, {"error": "invalid_request"})
        # Gone with this try, whatever comes of it.
        code, now_ms = self._take(form["code"]), self._clock.now_ms()
        if (
            code is None
            or now_ms >= code.until_ms
            or not goes_back(form["redirect_uri"], self._client)
            or not fits(form["code_verifier"], code.challenge)
        ):
            return _told(400, {"error": "invalid_grant"})
        told = claims(self.issuer, self._client, code.who, code.nonce, now_ms)
        return _told(
            200,
            {
                "access_token": secrets.token_urlsafe(24),
                "token_type": "Bearer",
                "expires_in": TOKEN_S,
                "id_token": jwt.encode(told, self._key, "ES256", headers={"kid": self._kid}),
            },
        )

    def _take(self, code: str) -> _Code | None:
        return self._codes.pop(code, None)

    def _public(self) -> dict[str, object]:
        plain = ECAlgorithm.to_jwk(self._key.public_key(), as_dict=True)
        return {**plain, "kid": self._kid, "use": "sig", "alg": "ES256"}


def _keep(kept: dict[str, Kept], name: str, one: Kept, now_ms: int) -> None:
    """Keep something under a name, and forget what is over and what is too much."""
    for old in [key for key, other in kept.items() if now_ms >= other.until_ms]:
        del kept[old]
    while len(kept) >= WAITING_MOST:
        del kept[next(iter(kept))]
    kept[name] = one


async def _form(scope: Scope, receive: Receive) -> dict[str, str]:
    """Read a form. Raises ``NotOurs``, ``Refused``."""
    kind = (header(scope, b"content-type") or b"").partition(b";")[0].strip().lower()
    body = await read_body(receive, BODY_MOST_BYTES)
    if kind != FORM:
        raise NotOurs
    return read_fields(body)


def _told(status: int, plain: dict[str, object], *more: tuple[bytes, bytes]) -> Answer:
    return status, [*_JSON, *more], orjson.dumps(plain)
