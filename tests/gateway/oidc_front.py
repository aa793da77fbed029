"""A provider at which fans log in, for tests: strict where the standard is, wrong where a test asks for it.

Its codes count once, for the client, the address and the verifier that they were made for (RFC 6749, RFC 7636).
``wrong`` changes the token that it gives. Beside it the real ``oidc-provider-mock``, in a process of its own.
"""

import base64
import hashlib
import secrets
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import httpx
from aiohttp import web

from kernel.oidc import basic
from tests.checkout.people.provider import RSA_KEY, Token, public

CLIENT, SECRET = "the-shop", "a secret: of & the shop"
BACK = "http://shop.test/account/callback"


@dataclass
class Provider:
    """The provider; `now_s` tells its time."""

    now_s: Any
    issuer: str = ""
    subject: str = "ann"
    back: str = BACK
    wrong: dict[str, Any] = field(default_factory=dict)
    key: Any = RSA_KEY
    keys: list[dict[str, Any]] = field(default_factory=lambda: [public(RSA_KEY)])
    head: dict[str, Any] = field(default_factory=lambda: {"kid": "k1"})
    answer: web.Response | None = None
    codes: dict[str, dict[str, str]] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)

    async def metadata(self, _request: web.Request) -> web.Response:
        """Say what it is."""
        self.asked.append("metadata")
        return web.json_response(
            {
                "issuer": self.issuer, "authorization_endpoint": f"{self.issuer}/login",
                "token_endpoint": f"{self.issuer}/token", "jwks_uri": f"{self.issuer}/keys",
            }
        )  # fmt: skip

    async def published(self, _request: web.Request) -> web.Response:
        """Publish its keys."""
        self.asked.append("keys")
        return web.json_response({"keys": self.keys})

    def log_in(self, address: str) -> dict[str, str]:
        """Log in at an address that the shop has sent a browser to; returns what the browser brings back."""
        asked = {name: values[0] for name, values in parse_qs(urlsplit(address).query).items()}
        assert asked["response_type"] == "code"
        assert asked["redirect_uri"] == self.back
        assert asked["code_challenge_method"] == "S256"
        code = secrets.token_urlsafe(8)
        self.codes[code] = asked
        return {"code": code, "state": asked["state"]}

    async def login(self, request: web.Request) -> web.Response:
        """Log in whoever comes, and send their browser back."""
        back = self.log_in(str(request.url))
        raise web.HTTPSeeOther(f"{self.back}?{urlencode(back)}")

    async def token(self, request: web.Request) -> web.Response:
        """Give a token for a code, once, to whom it was made for."""
        self.asked.append("token")
        if self.answer is not None:
            return self.answer
        form = await request.post()
        asked = self.codes.pop(str(form.get("code")), None)
        digest = hashlib.sha256(str(form.get("code_verifier")).encode()).digest()
        made = base64.urlsafe_b64encode(digest).decode().rstrip("=")
        if (
            asked is None
            or request.headers.get("authorization") != basic(CLIENT, SECRET)
            or form.get("redirect_uri") != asked["redirect_uri"]
            or made != asked["code_challenge"]
        ):
            return web.json_response({"error": "invalid_grant"}, status=400)
        now_s = self.now_s()
        claims = {
            "iss": self.issuer, "aud": asked["client_id"], "sub": self.subject, "nonce": asked["nonce"],
            "iat": now_s, "exp": now_s + 300, "email": f"{self.subject}@example.org",
        }  # fmt: skip
        token = Token(self.key, head=self.head, claims=claims | self.wrong).text()
        return web.json_response({"access_token": "x", "token_type": "Bearer", "id_token": token})


@asynccontextmanager
async def provider(now_s: Any) -> AsyncIterator[Provider]:
    """Run a provider on this machine."""
    own = Provider(now_s)
    app = web.Application()
    app.add_routes(
        [
            web.get("/.well-known/openid-configuration", own.metadata),
            web.get("/keys", own.published),
            web.get("/login", own.login),
            web.post("/token", own.token),
        ]
    )
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    own.issuer = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield own
    finally:
        await runner.cleanup()


async def logged_in(browser: httpx.AsyncClient, own: Provider, back: str = "") -> httpx.Response:
    """Log in with a browser; returns what the callback answers."""
    begun = await browser.get("/account/login", params={"back": back} if back else {})
    assert begun.status_code == 303, begun.text
    return await browser.get("/account/callback", params=own.log_in(begun.headers["location"]))


@contextmanager
def mock_provider() -> Iterator[str]:
    """Run oidc-provider-mock, a provider that somebody else has written, in a process of its own."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "oidc_provider_mock", "-p", str(port), "--require-nonce", "true"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        issuer = f"http://127.0.0.1:{port}"
        for _ in range(300):
            try:
                if httpx.get(f"{issuer}/jwks", timeout=5).status_code == 200:
                    break
            except httpx.TransportError:
                time.sleep(0.1)
        yield issuer
        process.terminate()
