"""OpenID Connect requests: we ask a provider for its metadata, its keys, and what a code stands for.

Metadata is asked for once an hour, keys every ten minutes, and once more when a token names none of them, but not more
often than every half minute: whoever sends tokens with made-up keys must not make us knock at the provider. No
redirect is followed, no answer of more than 64 kB is read, and whoever takes longer than five seconds is away. What is
believed of an answer ``kernel.oidc`` says. The shop asks so for its fans and its staff, the gate for a room that asks
who comes.
"""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

import aiohttp
import orjson

from kernel.clock import Clock
from kernel.connecting import connector
from kernel.errors import Unavailable
from kernel.oidc import (
    SCOPE,
    Begun,
    Doubt,
    NotBelieved,
    Person,
    Provider,
    basic,
    is_safe,
    login_address,
    read_id_token,
    read_provider,
)

METADATA_MS = 3_600_000
KEYS_MS = 600_000
KEYS_AGAIN_MS = 30_000
MOST_BYTES = 65_536
WAIT_S = 5.0
WELL_KNOWN = "/.well-known/openid-configuration"


class OidcRequests:
    """One provider (``site.account_pages.Identity``)."""

    def __init__(
        self,
        issuer: str,
        client: str,
        secret: str,
        back_to: str,
        clock: Clock,
        claim: str = "",
        scope: str = SCOPE,
    ) -> None:
        """`back_to` is our address that the provider sends browsers to; `claim` is wanted of whoever comes."""
        self.issuer = issuer
        self._claim = claim
        self._scope = scope
        self._client = client
        self._secret = secret
        self._back_to = back_to
        self._clock = clock
        self._session: aiohttp.ClientSession | None = None
        self._provider: tuple[int, Provider] | None = None
        self._keys: tuple[int, Sequence[Mapping[str, Any]]] | None = None
        self._turn = asyncio.Lock()

    async def close(self) -> None:
        """Let go of connections."""
        if self._session is not None:
            await self._session.close()

    async def login_address(self, begun: Begun, language: str) -> str:
        """Give the address at which somebody logs in."""
        provider = await self._metadata()
        return login_address(
            provider,
            self._client,
            self._back_to,
            begun.state,
            begun.nonce,
            begun.verifier,
            language,
            self._scope,
        )

    async def person(self, code: str, begun: Begun) -> Person:
        """Tell whom a code stands for."""
        provider = await self._metadata()
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": self._back_to,
            "code_verifier": begun.verifier,
        }
        headers = {"authorization": basic(self._client, self._secret), "accept": "application/json"}
        status, plain = await self._asked("POST", provider.token_url, data=form, headers=headers)
        token = plain.get("id_token")
        if status != 200 or not isinstance(token, str):
            raise NotBelieved(Doubt.MALFORMED)
        try:
            return self._read(token, await self._published(provider, KEYS_MS), begun)
        except NotBelieved as error:
            if error.why is not Doubt.KEY:
                raise
        return self._read(token, await self._published(provider, KEYS_AGAIN_MS), begun)

    def _read(self, token: str, keys: Sequence[Mapping[str, Any]], begun: Begun) -> Person:
        now_ms = self._clock.now_ms()
        return read_id_token(
            token,
            keys,
            issuer=self.issuer,
            client=self._client,
            nonce=begun.nonce,
            now_ms=now_ms,
            claim=self._claim,
        )

    async def _metadata(self) -> Provider:
        async with self._turn:
            now_ms = self._clock.now_ms()
            if self._provider is None or not 0 <= now_ms - self._provider[0] < METADATA_MS:
                status, plain = await self._asked("GET", self.issuer.rstrip("/") + WELL_KNOWN)
                if status != 200:
                    raise _away()
                self._provider = now_ms, read_provider(plain, self.issuer)
            return self._provider[1]

    async def _published(self, provider: Provider, most_ms: int) -> Sequence[Mapping[str, Any]]:
        async with self._turn:
            now_ms = self._clock.now_ms()
            if self._keys is None or not 0 <= now_ms - self._keys[0] < most_ms:
                status, plain = await self._asked("GET", provider.keys_url)
                keys = plain.get("keys")
                if status != 200 or not isinstance(keys, list):
                    raise _away()
                self._keys = now_ms, [key for key in keys if isinstance(key, dict)]
            return self._keys[1]

    async def _asked(self, method: str, url: str, **more: Any) -> tuple[int, Mapping[str, Any]]:
        if not is_safe(url):
            raise NotBelieved(Doubt.PROVIDER)
        if self._session is None:
            timeout = aiohttp.ClientTimeout(total=WAIT_S)
            self._session = aiohttp.ClientSession(
                connector=connector(), cookie_jar=aiohttp.DummyCookieJar(), timeout=timeout
            )
        try:
            async with self._session.request(method, url, allow_redirects=False, **more) as answer:
                octets = b""
                async for part in answer.content.iter_chunked(MOST_BYTES):
                    octets += part
                    if len(octets) > MOST_BYTES:
                        raise NotBelieved(Doubt.MALFORMED)
                status = answer.status
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise _away() from error
        try:
            plain = orjson.loads(octets)
        except orjson.JSONDecodeError:
            raise NotBelieved(Doubt.MALFORMED) from None
        return status, plain if isinstance(plain, dict) else {}


def _away() -> Unavailable:
    return Unavailable("login-away", "Nobody can log in just now.", 30)
