"""Reminder web: the addresses by which a fan asks to be told of the turn, and takes that back, as raw ASGI.

    GET  remind          with the ticket: {"offers", "minutes", "way", "epoch", "texts"}, or a page without JavaScript
    POST remind          {"way": "mail" | "push", "to", "consent": true, "lang"} -> {"outcome": "kept", …}, or a form
    POST remind/forget   with the ticket: delete what is kept -> {"outcome": "forgotten" | "nothing"}, or a form
    GET  remind/stop     ?paper=…, from a message: asks; no ticket and no admission is needed
    POST remind/stop     ?paper=…: deletes, and takes no more for this address (one click of a mail program, RFC 8058)

A GET changes nothing: mail programs and scanners open links. Pages of other sites may call none of these
(Sec-Fetch-Site, else Origin) but the last, whose paper says everything. What is typed here comes back in no answer.
Decides nothing.
"""

from collections.abc import Mapping
from contextlib import suppress
from typing import Any
from urllib.parse import parse_qs, urlencode

import orjson

from kernel.asgi import Receive, Scope, Send, client_address, read_body, respond
from kernel.errors import Refused, Unavailable
from waitroom.bodies import json_fields, text_of
from waitroom.draw_web import Handler
from waitroom.ports import AddressBucket
from waitroom.reading import Reading
from waitroom.reminder_ways import PushWay
from waitroom.reminding import Reminding
from waitroom.shells import Pages
from waitroom.web import BODY_LIMIT_BYTES, Asked, LineWeb, WebSettings, asked, language_of, query_of, show

RATE_PER_MINUTE = 12
BURST = 12
"""Askings from one address: a household, a school; who may be asked for is limited by itself (``reminder``)."""

_TEXTS = ("action.remind", "refused.reminder-", "refused.too-many-reminders", "remind.")
_FORM = b"application/x-www-form-urlencoded"
_NO_STORE = (b"cache-control", b"no-store")
_NO_REFERRER = (b"referrer-policy", b"no-referrer")
_JSON_HEADERS = ((b"content-type", b"application/json"), _NO_STORE)
_INLINE = frozenset(
    {
        "reminder-address-invalid", "reminder-address-refused", "reminder-consent-missing", "reminder-too-late",
        "too-many-reminders",
    }
)  # fmt: skip
"""Refusals that are told above the form, because the fan can do something about them there."""


class ReminderWeb:
    """Handlers of the public port. Each takes (scope, receive, send, room)."""

    def __init__(
        self, line: LineWeb, reminding: Reminding, pages: Pages, buckets: AddressBucket, settings: WebSettings
    ) -> None:
        """Join the parts; `line` knows tickets and cookies."""
        self._line = line
        self._reminding = reminding
        self._waitroom = reminding.waitroom
        self._pages = pages
        self._buckets = buckets
        self._settings = settings
        self._requests = self._waitroom.metrics.reminder_requests
        routes: dict[tuple[str, str], Handler] = {
            ("GET", "remind"): self.look,
            ("POST", "remind"): self.change,
        }
        self.routes = self._waitroom.metrics.watched(routes)

    # Looking -----------------------------------------------------------------------------------------

    async def look(self, scope: Scope, receive: Receive, send: Send, room: str) -> None:
        """Tell what is offered and what is kept, or ask whether to stop."""
        del receive
        reading, tail, ask = self._waitroom.reading(room), self._tail(scope, room), asked(scope)
        query = query_of(scope)
        language = language_of(scope, reading, query)
        if tail == "/stop":
            paper = query.get("paper", [""])[0]
            try:
                self._read_paper(room, paper)
            except Refused as reason:
                await self._refused(scope, send, reading, reason, language)
                return
            await show(
                scope, send, 200, self._pages.stopping(reading, language, paper), _NO_STORE, _NO_REFERRER
            )
            return
        if tail:
            raise _unknown()
        if b"text/html" not in ask.get(b"accept", b""):
            way = await self._way(reading, ask)
            await respond(send, 200, _JSON_HEADERS, orjson.dumps(self._state(reading, way, language)))
            return
        try:
            if not self._reminding.offered(reading):
                raise _not_offered()
            way = await self._way(reading, ask)
        except (Refused, Unavailable) as reason:
            await self._refused(scope, send, reading, reason, language)
            return
        await self._asking(scope, send, reading, language, query.get("target", ["/"])[0], way)

    async def _way(self, reading: Reading, ask: Asked) -> str:
        now_ms = self._waitroom.clock.now_ms()
        found = await self._reminding.contact(reading.base.name, self._line.presented(reading, ask), now_ms)
        return found.way if found else ""

    def _state(self, reading: Reading, way: str, language: str) -> dict[str, object]:
        offers = {
            name: one.key() if isinstance(one, PushWay) else ""
            for name, one in self._reminding.offered(reading).items()
        }
        epoch = reading.line.epoch if reading.line else 0
        raw = self._pages.look(reading, language).words.raw
        texts = {key: text for key, text in raw.items() if key.startswith(_TEXTS)}
        minutes = reading.room.reminder_minutes
        return {"offers": offers, "minutes": minutes, "way": way, "epoch": epoch, "texts": texts}

    # Changing ----------------------------------------------------------------------------------------

    async def change(self, scope: Scope, receive: Receive, send: Send, room: str) -> None:
        """Keep a wish, delete it, or stop everything for an address."""
        reading, tail, ask = self._waitroom.reading(room), self._tail(scope, room), asked(scope)
        if tail == "/stop":
            await self._stop(scope, receive, send, reading)
            return
        if tail not in {"", "/forget"}:
            raise _unknown()
        self._line.same_site(ask)
        media_type = ask.get(b"content-type", b"application/json")
        form = media_type.startswith(_FORM)
        if not form and not media_type.startswith(b"application/json"):
            raise Refused("content-type-unknown", "Send JSON or a form.", status=415)
        body = await read_body(receive, BODY_LIMIT_BYTES)
        fields = _form(body) if form else json_fields(body)
        lang = text_of(fields, "lang")
        language = language_of(scope, reading, {"lang": [lang]})
        target = text_of(fields, "target") or "/"
        try:
            outcome = await self._done(scope, ask, reading, fields, language, forget=tail == "/forget")
        except (Refused, Unavailable) as reason:
            if not form:
                raise
            self._waitroom.metrics.refuse(reason)
            if reason.code in _INLINE:
                fault = self._pages.look(reading, language).words.text(f"refused.{reason.code}")
                page = self._pages.reminder(
                    reading, language, target, self._reminding.offered(reading), "", fault
                )
                await show(scope, send, reason.status, page, _NO_STORE)
            else:
                await self._refused(scope, send, reading, reason, language, counted=True)
            return
        if form:
            query = urlencode({"target": target, "lang": language})
            back = f"{self._settings.prefix}/r/{room}/remind?{query}"
            await respond(send, 303, [(b"location", back.encode()), _NO_STORE], b"")
            return
        epoch = reading.line.epoch if reading.line else 0
        await respond(send, 200, _JSON_HEADERS, orjson.dumps({"outcome": outcome, "epoch": epoch}))

    async def _done(
        self,
        scope: Scope,
        ask: Asked,
        reading: Reading,
        fields: Mapping[str, Any],
        language: str,
        *,
        forget: bool,
    ) -> str:
        room, now_ms = reading.base.name, self._waitroom.clock.now_ms()
        ticket = self._line.presented(reading, ask)
        if forget:
            forgotten = await self._reminding.forget(room, ticket, now_ms)
            outcome = "forgotten" if forgotten else "nothing"
            self._requests.labels("", outcome).inc()
            return outcome
        way = text_of(fields, "way")
        consent = fields.get("consent")
        if consent is not True and consent != "yes":
            raise Refused("reminder-consent-missing", "Nothing is kept without your consent.")
        self._take(scope, room, now_ms)
        await self._reminding.ask(room, ticket, way, fields.get("to"), language, now_ms)
        self._requests.labels(way, "kept").inc()
        return "kept"

    async def _stop(self, scope: Scope, receive: Receive, send: Send, reading: Reading) -> None:
        """Delete by the paper of a message. What the mail program sends along is not looked at."""
        await read_body(receive, BODY_LIMIT_BYTES)
        query = query_of(scope)
        language = language_of(scope, reading, query)
        try:
            paper = query.get("paper", [""])[0]
            self._read_paper(reading.base.name, paper)
            await self._reminding.stop(paper)
        except (Refused, Unavailable) as reason:
            await self._refused(scope, send, reading, reason, language)
            return
        self._requests.labels("", "stopped").inc()
        await show(scope, send, 200, self._pages.stopping(reading, language, ""), _NO_STORE, _NO_REFERRER)

    def _read_paper(self, room: str, paper: str) -> None:
        of, _, _ = self._reminding.read_paper(paper)
        if of != room:
            raise Refused("reminder-link-invalid", "This link is of another room.", status=403)

    def leaving(self, leave: Handler) -> Handler:
        """Return a handler that lets a place leave, and then deletes what was kept to tell it of its turn."""

        async def left(scope: Scope, receive: Receive, send: Send, room: str) -> None:
            await leave(scope, receive, send, room)
            reading = self._waitroom.readings.get(room)
            if reading is not None and self._reminding.offered(reading):
                ticket, now_ms = self._line.presented(reading, asked(scope)), self._waitroom.clock.now_ms()
                # Where it fails, the round finds out from the door that nobody is to be told.
                with suppress(Refused, Unavailable):
                    await self._reminding.forget(room, ticket, now_ms)

        return left

    # What both need ----------------------------------------------------------------------------------

    async def _asking(
        self, scope: Scope, send: Send, reading: Reading, language: str, target: str, way: str
    ) -> None:
        page = self._pages.reminder(reading, language, target, self._reminding.offered(reading), way)
        await show(scope, send, 200, page, _NO_STORE)

    async def _refused(
        self, scope: Scope, send: Send, reading: Reading, reason: Refused | Unavailable, language: str, *,
        counted: bool = False,
    ) -> None:  # fmt: skip
        if not counted:
            self._waitroom.metrics.refuse(reason)
        page = self._pages.refused(reading, "/", reason, language)
        await show(scope, send, reason.status, page, _NO_STORE)

    def _tail(self, scope: Scope, room: str) -> str:
        return str(scope["path"]).removeprefix(f"{self._settings.prefix}/r/{room}/remind")

    def _take(self, scope: Scope, room: str, now_ms: int) -> None:
        """Count an asking of this client; a slash keeps its bucket apart from that of any room's joins."""
        address = client_address(scope, self._settings.trusted_proxies)
        wait_ms = self._buckets.take(f"{room}/remind", address, RATE_PER_MINUTE, BURST, now_ms)
        if wait_ms:
            raise Refused(
                "too-many-reminders",
                "Many people ask for this from your network. Please try again in a moment.",
                status=429,
                retry_after_s=max(1, -(-wait_ms // 1000)),
            )


def _form(body: bytes) -> Mapping[str, Any]:
    return {name: values[0] for name, values in parse_qs(body.decode("latin-1")).items()}


def _unknown() -> Refused:
    return Refused("address-unknown", "There is nothing at this address.", status=404)


def _not_offered() -> Refused:
    return Refused("reminder-not-offered", "Nobody is told of their turn here.", status=404)
