"""Adyen's wire: one POST, and what it means when it goes wrong.

429, and 409 or 422 with code 704 (the key is being worked on), are ``NotNow``. 5xx, an error that Adyen itself calls
transient, a broken connection, a timeout and what is no JSON are ``Unclear``. Any other 4xx is a ``Refusal`` with
Adyen's code. Not here: what is sent (``adyen``), what is read (``adyen_reading``).
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import aiohttp

from checkout.payments.port import NotNow, Refusal, Unclear
from kernel.connecting import connector
from kernel.tracing import onward

TEST_ENDPOINT = "https://checkout-test.adyen.com/v71"
LIVE_HOSTS = ".adyenpayments.com"
TIMEOUT_S = 10.0


class AtWork(NotNow):
    """Somebody else is asking the same under the same key just now."""


@dataclass(frozen=True, slots=True)
class Account:
    """An account at Adyen. ``hmac_keys``: those that count, in hex; two while one is being replaced."""

    merchant: str
    api_key: str = field(repr=False)
    hmac_keys: tuple[str, ...] = field(repr=False)
    webhook_user: str
    webhook_password: str = field(repr=False)
    endpoint: str = TEST_ENDPOINT
    takes_at_once: bool = False
    """Adyen captures by itself what was authorised; the shop can only give back."""

    @property
    def is_live(self) -> bool:
        """Tell whether real money is meant."""
        return (urlsplit(self.endpoint).hostname or "").endswith(LIVE_HOSTS)


class Wire:
    """The way to one endpoint. Belongs to the event loop of its first call."""

    def __init__(self, endpoint: str, api_key: str, timeout_s: float) -> None:
        self._endpoint = endpoint.rstrip("/")
        self._api_key = api_key
        self._timeout = aiohttp.ClientTimeout(total=timeout_s)
        self._http: aiohttp.ClientSession | None = None

    def __repr__(self) -> str:
        return "Wire()"

    async def close(self) -> None:
        """Close its connections."""
        if self._http is not None:
            await self._http.close()

    async def post(self, path: str, body: Mapping[str, Any], key: str) -> Mapping[str, Any]:
        """Ask under a key. Raises ``Unclear``, ``NotNow``, ``Refusal``."""
        if self._http is None:
            self._http = aiohttp.ClientSession(
                connector=connector(), timeout=self._timeout, cookie_jar=aiohttp.DummyCookieJar()
            )
        headers = {"x-api-key": self._api_key, "idempotency-key": key, **onward()}
        url = self._endpoint + path
        try:
            async with self._http.post(url, json=body, headers=headers, allow_redirects=False) as answer:
                text = await answer.read()
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise Unclear(f"no answer: {type(error).__name__}") from error
        try:
            plain = json.loads(text)
        except ValueError:
            plain = None
        if 200 <= answer.status < 300 and isinstance(plain, dict):
            return plain
        raise _failure(answer.status, plain if isinstance(plain, dict) else {}, answer.headers)


def _failure(status: int, plain: Mapping[str, Any], headers: Mapping[str, str]) -> Exception:
    """Say what an error of Adyen means."""
    code = str(plain.get("errorCode") or f"http-{status}")
    if status == 409 or code == "704":
        return AtWork(f"not now: {code}")
    if status == 429:
        given = headers.get("retry-after", "")
        is_number = given.isascii() and given.isdecimal() and len(given) <= 5
        return NotNow(f"not now: {code}", float(given) if is_number else 0.0)
    if not 400 <= status < 500 or headers.get("transient-error", "").lower() == "true":
        return Unclear(f"no answer to go by: {code}")
    # Nothing is told of what may hold a part of a key.
    message = "" if status in {401, 403} else str(plain.get("message") or "")
    return Refusal(code, message)
