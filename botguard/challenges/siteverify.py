"""Siteverify: the wire of hCaptcha, Turnstile and reCAPTCHA: one POST of a form, one JSON object back.

Bounded on every side: one limit of time for the whole, 16 kB, no redirects, no cookies, no proxy of the environment.
Whatever is not a JSON object with status 200 is ``Away``, and its text is not passed on: it may quote the secret.
The fan's address is not told. Not here: whether a reply counts (``judging``).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from json import JSONDecodeError, loads

import aiohttp

from botguard.challenges.port import Away, Way, Widget
from kernel.connecting import connector

REPLY_MOST_BYTES = 16_384

_SCRIPTS: Mapping[Way, tuple[str, tuple[str, ...]]] = {
    Way.HCAPTCHA: (
        "https://js.hcaptcha.com/1/api.js?render=explicit",
        ("https://hcaptcha.com", "https://*.hcaptcha.com"),
    ),
    Way.TURNSTILE: (
        "https://challenges.cloudflare.com/turnstile/v0/api.js?render=explicit",
        ("https://challenges.cloudflare.com",),
    ),
    Way.RECAPTCHA: (
        "https://www.google.com/recaptcha/api.js?render={sitekey}",
        (
            "https://www.google.com/recaptcha/",
            "https://www.gstatic.com/recaptcha/",
            "https://recaptcha.google.com/recaptcha/",
        ),
    ),
}


@dataclass(frozen=True, slots=True)
class Site:
    """What an operator has at a provider. `hosts`: where the check may have been solved."""

    way: Way
    sitekey: str
    secret: str = field(repr=False)
    url: str
    hosts: frozenset[str]

    @property
    def widget(self) -> Widget:
        """Say what the page needs."""
        script, sources = _SCRIPTS[self.way]
        return Widget(self.way, self.sitekey, script.format(sitekey=self.sitekey), sources)


class Wire:
    """Asks over HTTP. The client is made at the first question and closed by `close`."""

    def __init__(self, limit_s: float) -> None:
        """Give every question so many seconds, all in all."""
        self._timeout = aiohttp.ClientTimeout(total=limit_s)
        self._client: aiohttp.ClientSession | None = None

    async def ask(self, url: str, form: Mapping[str, str]) -> Mapping[str, object]:
        """Return a provider's reply. Raises Away."""
        if self._client is None:
            self._client = aiohttp.ClientSession(
                connector=connector(),
                timeout=self._timeout,
                cookie_jar=aiohttp.DummyCookieJar(),
            )
        try:
            async with self._client.post(url, data=dict(form), allow_redirects=False) as reply:
                if reply.status != 200:
                    raise Away(f"status {reply.status}")
                body = await reply.content.read(REPLY_MOST_BYTES + 1)
                while len(body) <= REPLY_MOST_BYTES and not reply.content.at_eof():
                    body += await reply.content.read(REPLY_MOST_BYTES + 1 - len(body))
        except (TimeoutError, aiohttp.ClientError, OSError) as error:
            raise Away(type(error).__name__) from None
        if len(body) > REPLY_MOST_BYTES:
            raise Away("a reply without end")
        try:
            found = loads(body)
        except (JSONDecodeError, UnicodeDecodeError, RecursionError):
            raise Away("no JSON") from None
        if not isinstance(found, dict):
            raise Away("no JSON object")
        return found

    async def close(self) -> None:
        """Close what is open."""
        if self._client is not None:
            await self._client.close()


class Asked:
    """A provider asked by the plain protocol: Turnstile, reCAPTCHA."""

    def __init__(self, site: Site, wire: Wire) -> None:
        """Ask about tokens of `site`."""
        self._site = site
        self._wire = wire

    async def __call__(self, token: str) -> Mapping[str, object]:
        """Return the provider's reply. Raises Away."""
        return await self._wire.ask(self._site.url, {"secret": self._site.secret, "response": token})
