"""Priority web: where a fan who waits enters a priority code, as raw ASGI. Decides nothing.

    GET code     the form (a plain one); a link may carry the code behind the number sign, where no server sees it;
                 in a room that asks for a code before the line it leads to that form
    POST code    {"code"} -> the ticket in the better lane; a form is led on to the place

Codes stand in bodies only, and in no log. Browsers of other sites may not POST. Not here: what a code is worth
(``prioritising``).
"""

from typing import Any
from urllib.parse import parse_qs, urlencode

import orjson

from kernel.asgi import Receive, Scope, Send, client_address, read_body, respond
from kernel.errors import Refused, Unavailable
from waitroom.bodies import json_fields, text_of
from waitroom.draw_web import Handler
from waitroom.prioritising import Prioritising
from waitroom.room_fields import IdentityWay
from waitroom.shells import Pages
from waitroom.web import BODY_LIMIT_BYTES, LineWeb, WebSettings, asked, language_of, query_of, show

_FORM = b"application/x-www-form-urlencoded"
_NO_STORE = (b"cache-control", b"no-store")
_JSON_HEADERS = (b"content-type", b"application/json"), _NO_STORE


class PriorityWeb:
    """Handlers of the public port. Each takes (scope, receive, send, room)."""

    def __init__(
        self, line: LineWeb, prioritising: Prioritising, pages: Pages, settings: WebSettings
    ) -> None:
        """Join the parts; `line` knows tickets and cookies."""
        self._line = line
        self._prioritising = prioritising
        self._waitroom = prioritising.waitroom
        self._pages = pages
        self._settings = settings
        routes: dict[tuple[str, str], Handler] = {("GET", "code"): self.page, ("POST", "code"): self.enter}
        self.routes = self._waitroom.metrics.watched(routes)

    async def page(self, scope: Scope, receive: Receive, send: Send, room: str) -> None:
        """Ask for the code."""
        del receive
        reading, query = self._waitroom.reading(room), query_of(scope)
        target = query.get("target", ["/"])[0]
        if reading.room.identity is IdentityWay.CODE:
            # What stands behind the number sign goes along, as browsers do.
            where = f"{self._settings.prefix}/r/{room}/identity?{urlencode({'target': target})}"
            await respond(send, 303, [(b"location", where.encode()), _NO_STORE], b"")
            return
        page = self._pages.code(reading, language_of(scope, reading, query), target)
        await show(scope, send, 200, page, _NO_STORE)

    async def enter(self, scope: Scope, receive: Receive, send: Send, room: str) -> None:
        """Take the code."""
        ask = asked(scope)
        self._line.same_site(ask)
        reading = self._waitroom.reading(room)
        kind = ask.get(b"content-type", b"application/json")
        form = kind.startswith(_FORM)
        if not form and not kind.startswith(b"application/json"):
            raise Refused("content-type-unknown", "Send JSON or a form.", status=415)
        body = await read_body(receive, BODY_LIMIT_BYTES)
        fields: dict[str, Any] = (
            {name: values[0] for name, values in parse_qs(body.decode("latin-1")).items()}
            if form
            else dict(json_fields(body))
        )
        target, address = (
            text_of(fields, "target") or "/",
            client_address(scope, self._settings.trusted_proxies),
        )
        tag = language_of(scope, reading, {"lang": [text_of(fields, "lang")]})
        now_ms = self._waitroom.clock.now_ms()
        try:
            found = await self._prioritising.enter(
                room, self._line.presented(reading, ask), text_of(fields, "code"), address, now_ms
            )
        except (Refused, Unavailable) as reason:
            if not form:
                raise
            self._waitroom.metrics.refuse(reason)
            page = self._pages.code(reading, tag, target, fault=reason.code)
            await show(scope, send, reason.status, page, _NO_STORE)
            return
        cookies = [(b"set-cookie", self._line.ticket_cookie(reading, found.text))] if found.text else []
        if form:
            place = f"{self._settings.prefix}/r/{room}/ticket?{urlencode({'target': target, 'lang': tag})}"
            await respond(send, 303, [(b"location", place.encode()), _NO_STORE, *cookies], b"")
            return
        held = found.ticket
        answer: dict[str, object] = {"outcome": "lifted" if found.text else "not-needed", "room": room}
        answer |= {"run": held.run, "number": held.number, "lane": str(held.lane)}
        if found.text:
            answer["ticket"] = found.text
        await respond(send, 200, [*_JSON_HEADERS, *cookies], orjson.dumps(answer))
