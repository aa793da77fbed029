"""Bypass web: where the holder of a bypass token comes in, and where everybody sees how many did.

    GET bypass    a page with both; without text/html in Accept, JSON: {"passed", "passed_in_run", "tokens"}
    POST bypass   {"token", "target"}, or the page's form: an admission, as a claim gives it

The token stands in a body only, so it is in no log and no history. Figures are public and five seconds old at most; a
token is named in none of them. Browsers of other sites may not POST.

Not here: what a token is (``admission.bypassing``).
"""

from typing import Any
from urllib.parse import parse_qs

import orjson

from admission.bypassing import Bypassing
from admission.service import Admission
from admission.targets import checked
from kernel.asgi import Receive, Scope, Send, client_address, header, read_body, respond
from kernel.clock import Clock
from kernel.errors import Refused, Unavailable
from waitroom.bodies import json_fields, text_of
from waitroom.draw_web import Handler
from waitroom.ports import AddressBucket
from waitroom.reading import Reading
from waitroom.service import Waitroom
from waitroom.shells import Pages
from waitroom.web import BODY_LIMIT_BYTES, LineWeb, WebSettings, asked, language_of, query_of, show

RATE_PER_MINUTE, BURST = 30, 30
"""Tokens that one network address may show."""
FIGURES_MS = 5_000

_FORM = b"application/x-www-form-urlencoded"
_NO_STORE = (b"cache-control", b"no-store")
_PUBLIC = (
    (b"cache-control", b"public, max-age=5"),
    (b"vary", b"accept"),
    (b"access-control-allow-origin", b"*"),
)
_JSON_TYPE = (b"content-type", b"application/json")


class BypassWeb:
    """Handlers of the public port. Each takes (scope, receive, send, room)."""

    def __init__(
        self,
        line: LineWeb,
        waitroom: Waitroom,
        admission: Admission,
        bypassing: Bypassing,
        pages: Pages,
        buckets: AddressBucket,
        settings: WebSettings,
        clock: Clock,
    ) -> None:
        """Join the parts."""
        self._line = line
        self._waitroom = waitroom
        self._admission = admission
        self._bypassing = bypassing
        self._pages = pages
        self._buckets = buckets
        self._settings = settings
        self._clock = clock
        self._kept: dict[str, tuple[int, dict[str, int]]] = {}
        routes: dict[tuple[str, str], Handler] = {
            ("GET", "bypass"): self.show,
            ("POST", "bypass"): self.enter,
        }
        self.routes = waitroom.metrics.watched(routes)

    async def show(self, scope: Scope, receive: Receive, send: Send, room: str) -> None:
        """Tell how many passed without the line; a page for people."""
        del receive
        reading, query = self._waitroom.reading(room), query_of(scope)
        figures = await self._figures(room)
        if b"text/html" not in (header(scope, b"accept") or b""):
            await respond(send, 200, (_JSON_TYPE, *_PUBLIC), orjson.dumps({"room": room, **figures}))
            return
        target = query.get("target", ["/"])[0]
        page = self._pages.bypass(
            reading, language_of(scope, reading, query), target, figures["passed_in_run"]
        )
        await show(scope, send, 200, page, _NO_STORE)

    async def enter(self, scope: Scope, receive: Receive, send: Send, room: str) -> None:
        """Let the holder of a token in."""
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
        target = text_of(fields, "target") or "/"
        try:
            self._take(scope, room)
            go = checked(target, self._admission.rooms.limits(room).target_hosts)
            granted = await self._bypassing.enter(room, text_of(fields, "token").strip())
        except (Refused, Unavailable) as reason:
            if not form:
                raise
            await self._again(scope, send, reading, target, text_of(fields, "lang"), reason)
            return
        cookie = (b"set-cookie", self._admission.cookie(room, granted.token, granted.expires_ms))
        if form:
            await respond(send, 303, ((b"location", go.encode()), _NO_STORE, cookie), b"")
            return
        told = {"outcome": "admitted", "go": go, "admission": granted.token, "expires_ms": granted.expires_ms}
        await respond(send, 200, (_JSON_TYPE, _NO_STORE, cookie), orjson.dumps(told))

    async def _again(
        self,
        scope: Scope,
        send: Send,
        reading: Reading,
        target: str,
        language: str,
        reason: Refused | Unavailable,
    ) -> None:
        """Show the form once more, and why."""
        self._waitroom.metrics.refuse(reason)
        tag = language_of(scope, reading, {"lang": [language]})
        page = self._pages.bypass(reading, tag, target, None, fault=reason.code)
        await show(scope, send, reason.status, page, _NO_STORE)

    async def _figures(self, room: str) -> dict[str, int]:
        now_ms = self._clock.now_ms()
        kept = self._kept.get(room)
        if kept is None or now_ms >= kept[0] + FIGURES_MS:
            open_ = await self._bypassing.openness(room)
            told = {"passed": open_.passed, "passed_in_run": open_.passed_in_run, "tokens": open_.tokens}
            kept = self._kept[room] = now_ms, told
        return kept[1]

    def _take(self, scope: Scope, room: str) -> None:
        """Count a showing of this client; a slash keeps its bucket apart from that of any room's joins."""
        address = client_address(scope, self._settings.trusted_proxies)
        wait_ms = self._buckets.take(f"{room}/bypass", address, RATE_PER_MINUTE, BURST, self._clock.now_ms())
        if wait_ms:
            raise Refused(
                "too-many-codes",
                "Many wrong codes came from your network. Please try again in a moment.",
                status=429,
                retry_after_s=max(1, -(-wait_ms // 1000)),
            )
