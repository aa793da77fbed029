"""Identity web: the addresses at which a room asks who somebody is, as raw ASGI. Decides nothing.

    GET identity          the form (a plain one)
    GET identity/login    on to the provider of logins
    GET {prefix}/login    back from it (one address for all rooms, as providers want): the form's last step
    POST identity         send a number to an address: {"to"} -> {"paper", "until_ms"}; the form gets the next step

Joining itself is POST join, with ``code``, or ``paper`` and ``number``. Addresses and codes stand in bodies only, and
in no log or metric; a wrong code is given back to the form that it was typed into. Browsers of other sites may POST
none of these.
"""

from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qs, urlencode

import orjson

from kernel.asgi import Receive, Scope, Send, client_address, read_body, respond
from kernel.cookies import host_name, parse, set_cookie
from kernel.errors import Refused, Unavailable
from waitroom.bodies import json_fields, text_of
from waitroom.draw_web import Handler
from waitroom.identifying import Identifying
from waitroom.identity_login import LOGIN_MS, IdentityLogin
from waitroom.ports import AddressBucket
from waitroom.reading import Reading
from waitroom.room_fields import IdentityWay
from waitroom.service import Waitroom
from waitroom.shells import Pages
from waitroom.web import BODY_LIMIT_BYTES, LineWeb, WebSettings, asked, language_of, query_of, show

RATE_PER_MINUTE, BURST = 30, 30
"""Numbers that one network address may ask for; each mail address has a bucket of its own (``mailed``)."""

_FORM = b"application/x-www-form-urlencoded"
_NO_STORE = (b"cache-control", b"no-store")
_JSON_HEADERS = (b"content-type", b"application/json"), _NO_STORE


class IdentityWeb:
    """Handlers of the public port. Each takes (scope, receive, send, room)."""

    def __init__(
        self,
        line: LineWeb,
        identifying: Identifying,
        pages: Pages,
        buckets: AddressBucket,
        settings: WebSettings,
        login: IdentityLogin,
    ) -> None:
        """Join the parts; `line` knows tickets and cookies."""
        self._login = login
        self._cookie = host_name("waitroom-login", settings.secure)
        self._line = line
        self._identifying = identifying
        self._waitroom: Waitroom = identifying.waitroom
        self._pages = pages
        self._buckets = buckets
        self._settings = settings
        routes: dict[tuple[str, str], Handler] = {
            ("GET", "identity"): self.page,
            ("POST", "identity"): self.send,
        }
        self.plain = self._waitroom.metrics.watched({("GET", "login"): self.back})
        self.routes = self._waitroom.metrics.watched(routes)

    async def page(self, scope: Scope, receive: Receive, send: Send, room: str) -> None:
        """Ask who somebody is; whoever has a place already goes on to it."""
        del receive
        reading, query = self._asking(room), query_of(scope)
        if (
            tail := str(scope["path"]).removeprefix(f"{self._settings.prefix}/r/{room}/identity")
        ) == "/login":
            await self._on_to_login(scope, send, reading, query)
            return
        if tail:
            raise Refused("address-unknown", "There is nothing at this address.", status=404)
        target = query.get("target", ["/"])[0]
        given = {"live": "1"} if "live" in query else {}
        if await self._has_place(scope, reading):
            act = "" if given else "/ticket"
            place = f"{self._settings.prefix}/r/{room}{act}?{urlencode({'target': target})}"
            await respond(send, 303, [(b"location", place.encode()), _NO_STORE], b"")
            return
        page = self._pages.identity(reading, target, language_of(scope, reading, query), given)
        await show(scope, send, 200, page, _NO_STORE)

    async def _on_to_login(
        self, scope: Scope, send: Send, reading: Reading, query: Mapping[str, list[str]]
    ) -> None:
        language, target = language_of(scope, reading, query), query.get("target", ["/"])[0]
        now_ms, live = self._waitroom.clock.now_ms(), "live" in query
        try:
            self._take(scope, reading.base.name, now_ms)
            sent = await self._login.begin(reading, target, language, now_ms, live=live)
        except (Refused, Unavailable) as reason:
            self._waitroom.metrics.refuse(reason)
            page = self._pages.refused(reading, target, reason, language, {"live": "1"} if live else {})
            await show(scope, send, reason.status, page, _NO_STORE)
            return
        headers = [
            (b"location", sent.address.encode()),
            self._login_cookie(sent.cookie, LOGIN_MS // 1000),
            _NO_STORE,
        ]
        await respond(send, 303, headers, b"")

    async def back(self, scope: Scope, receive: Receive, send: Send, name: str) -> None:
        """Read a login that came back, and ask for the last step: a GET never joins."""
        del receive
        query = query_of(scope)
        state = query.get("state", [""])[0]
        if name:
            raise Refused("address-unknown", "There is nothing at this address.", status=404)
        ask = asked(scope)
        cookie = parse(ask[b"cookie"]).get(self._cookie, "") if b"cookie" in ask else ""
        # A provider at which somebody declines may forget the state; the cookie knows the room as well.
        reading = self._asking(state.rpartition(".")[0] or self._login.room_of(cookie))
        gone = self._login_cookie("", 0)
        try:
            code = query.get("code", [""])[0]
            found = await self._login.finish(reading, cookie, state, code, self._waitroom.clock.now_ms())
        except (Refused, Unavailable) as reason:
            self._waitroom.metrics.refuse(reason)
            page = self._pages.refused(reading, "/", reason, language_of(scope, reading, query), {})
            await show(scope, send, reason.status, page, _NO_STORE, gone)
            return
        given = {"paper": found.paper} | ({"live": "1"} if found.live else {})
        page = self._pages.identity(reading, found.target, found.language, given)
        await show(scope, send, 200, page, _NO_STORE, gone)

    def _login_cookie(self, text: str, max_age_s: int) -> tuple[bytes, bytes]:
        """Write the cookie of a login under way; a browser must send it when the provider leads it back."""
        cookie = set_cookie(
            self._cookie, text, secure=self._settings.secure, same_site="lax", max_age_s=max_age_s
        )
        return b"set-cookie", cookie

    async def send(self, scope: Scope, receive: Receive, send: Send, room: str) -> None:
        """Send a number to a mail address."""
        ask = asked(scope)
        self._line.same_site(ask)
        reading = self._asking(room)
        media_type = ask.get(b"content-type", b"application/json")
        form = media_type.startswith(_FORM)
        if not form and not media_type.startswith(b"application/json"):
            raise Refused("content-type-unknown", "Send JSON or a form.", status=415)
        fields = _fields(await read_body(receive, BODY_LIMIT_BYTES), form=form)
        language = language_of(scope, reading, {"lang": [text_of(fields, "lang")]})
        target = text_of(fields, "target") or "/"
        given: dict[str, object] = {"live": "1"} if "live" in fields else {}
        now_ms = self._waitroom.clock.now_ms()
        try:
            self._take(scope, room, now_ms)
            name = self._pages.look(reading, language).name
            sent = await self._identifying.send(reading, fields.get("to"), language, name, now_ms)
        except (Refused, Unavailable) as reason:
            if not form:
                raise
            self._waitroom.metrics.refuse(reason)
            page = self._pages.refused(reading, target, reason, language, given)
            await show(scope, send, reason.status, page, _NO_STORE)
            return
        if form:
            page = self._pages.identity(reading, target, language, {**given, "paper": sent.paper})
            await show(scope, send, 200, page, _NO_STORE)
            return
        await respond(
            send, 200, _JSON_HEADERS, orjson.dumps({"paper": sent.paper, "until_ms": sent.until_ms})
        )

    def _asking(self, room: str) -> Reading:
        reading = self._waitroom.reading(room)
        if reading.room.identity is IdentityWay.NONE:
            raise Refused("identity-not-asked", "Nobody is asked who they are here.", status=404)
        return reading

    async def _has_place(self, scope: Scope, reading: Reading) -> bool:
        text = self._line.presented(reading, asked(scope))
        try:
            await self._waitroom.place_of(reading.base.name, text, self._waitroom.clock.now_ms())
        except (Refused, Unavailable):
            return False
        return True

    def _take(self, scope: Scope, room: str, now_ms: int) -> None:
        """Count an asking of this client; a slash keeps its bucket apart from that of any room's joins."""
        address = client_address(scope, self._settings.trusted_proxies)
        wait_ms = self._buckets.take(f"{room}/identity", address, RATE_PER_MINUTE, BURST, now_ms)
        if wait_ms:
            raise Refused(
                "too-many-numbers",
                "Many numbers were asked for from your network. Please try again in a moment.",
                status=429,
                retry_after_s=max(1, -(-wait_ms // 1000)),
            )


def _fields(body: bytes, *, form: bool) -> Mapping[str, Any]:
    if form:
        return {name: values[0] for name, values in parse_qs(body.decode("latin-1")).items()}
    return json_fields(body)
