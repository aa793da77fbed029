"""Guest: a buyer without an admission of their own, while the operator lets everybody pass.

With a bypass (or an open failure stance) the gate sends one stand-in admission for everybody to the origin. The shop
must not take all these people for one: each gets a cookie of the shop's own, by which holds are told apart. It is a
random number that nobody guesses, worth nothing once the door is shut again. Who deletes it is somebody else, so a
limit for each buyer does not bind while the door stands open.

Stands between the admission guard and the shop, and changes ``scope["waitroom"]`` for such requests only.
"""

import re
import secrets
from dataclasses import replace

from starlette.types import ASGIApp

from admission.service import STAND_IN_SID
from kernel.asgi import Headers, Message, Receive, Scope, Send
from kernel.cookies import host_name, parse, set_cookie

NAME = "shop-guest"
KEPT_S = 86_400
_VALUE = re.compile(r"[A-Za-z0-9_-]{22}")


class Guests:
    """Tells guests apart."""

    def __init__(self, app: ASGIApp, *, secure: bool) -> None:
        """Stand before `app`; `secure`: its pages come over TLS."""
        self._app = app
        self._secure = secure
        self._name = host_name(NAME, secure)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Give a guest a name, and hand on."""
        claims = scope.get("waitroom")
        if claims is None or claims.sid != STAND_IN_SID:
            await self._app(scope, receive, send)
            return
        cookies = b"; ".join(value for name, value in scope["headers"] if name == b"cookie")
        known = parse(cookies).get(self._name, "")
        guest = known if _VALUE.fullmatch(known) else secrets.token_urlsafe(16)
        scope = {**scope, "waitroom": replace(claims, sid=f"guest-{guest}")}
        if guest == known:
            await self._app(scope, receive, send)
            return
        cookie = set_cookie(self._name, guest, secure=self._secure, max_age_s=KEPT_S)

        async def named(message: Message) -> None:
            # What every cache may keep is nobody's, and must carry nobody's name.
            if message["type"] == "http.response.start" and not _is_public(message["headers"]):
                message = {**message, "headers": [*message["headers"], (b"set-cookie", cookie)]}
            await send(message)

        await self._app(scope, receive, named)


def _is_public(headers: Headers) -> bool:
    return any(name == b"cache-control" and value.startswith(b"public") for name, value in headers)
