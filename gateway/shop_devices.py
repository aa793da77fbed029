"""Device: one browser, known to the fraud checks by a cookie of the shop's own, and by nothing else.

The cookie is a random number, signed with the ring's cookie keys (so a rotation makes nobody a new device),
first-party, HttpOnly and SameSite=Lax. It is set by the shop's pages, lives ``KEPT_S`` and is not renewed: after that a
browser is another device. It is used for nothing but counting attempts, picks and dropped holds of one device; stores
know it as a pseudonym only.

It is **weak**: who deletes it, or keeps none, is another device, so it finds those who are careless or in a hurry.
Hence nobody is refused for having none: who has none has no device and shares none. What a browser says of itself goes
beside it as a second signal for people (``fraud.signals.traits``), and decides nothing. Not here: what is counted
(``checkout.fraud``).
"""

import secrets
from collections.abc import Callable

from starlette.types import ASGIApp

from kernel.asgi import Headers, Message, Receive, Scope, Send
from kernel.clock import Clock
from kernel.cookies import host_name, parse, set_cookie
from kernel.errors import Refused
from kernel.signing import BadSignature, PaperSigner, b64url

NAME = "shop-device"
PURPOSE = "shop-device"
KEPT_S = 30 * 86_400
RANDOM_BYTES = 16
_HOURS_BYTES = 4
_LONGEST = 200
_API = ("/api/", "/static/", "/layouts/")


class DeviceCookie:
    """Makes the cookie, and reads it."""

    def __init__(self, signer: PaperSigner, clock: Clock, *, secure: bool) -> None:
        """`secure`: the shop's pages come over TLS."""
        self._signer = signer
        self._clock = clock
        self._secure = secure
        self._name = host_name(NAME, secure)

    def device_of(self, scope: Scope) -> str:
        """Name the device of a request; '' where it brings none of ours, or one that is too old."""
        cookies = b"; ".join(value for name, value in scope["headers"] if name == b"cookie")
        if self._name.encode() not in cookies:
            return ""
        try:
            payload = self._signer.open(parse(cookies).get(self._name, ""), _LONGEST)
        except (BadSignature, Refused):
            return ""
        if len(payload) != RANDOM_BYTES + _HOURS_BYTES:
            return ""
        made_s = 3600 * int.from_bytes(payload[RANDOM_BYTES:], "big")
        return b64url(payload[:RANDOM_BYTES]) if self._now_s() < made_s + KEPT_S else ""

    def fresh(self) -> bytes:
        """Write the Set-Cookie header of a new device. The time in it is rounded to hours."""
        made = (self._now_s() // 3600).to_bytes(_HOURS_BYTES, "big")
        paper = self._signer.sign(secrets.token_bytes(RANDOM_BYTES) + made)
        return set_cookie(self._name, paper, secure=self._secure, max_age_s=KEPT_S)

    def _now_s(self) -> int:
        return self._clock.now_ms() // 1000


class Devices:
    """Stands before the shop, and gives a browser that looks at a page its cookie."""

    def __init__(self, app: ASGIApp, cookie: DeviceCookie) -> None:
        self._app = app
        self._cookie = cookie

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hand on."""
        is_page = scope["type"] == "http" and scope["method"] == "GET" and not scope["path"].startswith(_API)
        if not is_page or self._cookie.device_of(scope):
            await self._app(scope, receive, send)
            return
        await self._app(scope, receive, _giving(self._cookie.fresh, send))


def _giving(fresh: Callable[[], bytes], send: Send) -> Send:
    async def giving(message: Message) -> None:
        # What every cache may keep is nobody's, and must carry nobody's name.
        if message["type"] == "http.response.start" and _is_a_page(message["headers"]):
            message = {**message, "headers": [*message["headers"], (b"set-cookie", fresh())]}
        await send(message)

    return giving


def _is_a_page(headers: Headers) -> bool:
    given = dict(headers)
    kind, kept = given.get(b"content-type", b""), given.get(b"cache-control", b"")
    return kind.startswith(b"text/html") and not kept.startswith(b"public")
