"""Carry web: the addresses by which a place moves to another device, as raw ASGI. Decides nothing.

    POST carry         the old device, with its ticket: {"target"} -> {"code", "watch", "url", "expires_ms"}
    POST carry/take    the new device: {"code"} -> the ticket as a join gives it, and the cookie
    GET carry/{watch}  the old device again: {"state": "open" | "taken" | "gone"}

The code stands in bodies and in the link's fragment, which no browser sends, so no log and no Referer has it; the
old device asks by `watch`, from which the code does not follow. Browsers of other sites may call none of
these (Sec-Fetch-Site, else Origin), and no CORS header lets them read an answer. A taker that sends an
Idempotency-Key gets the same answer again. Codes of 128 bits need no bucket against guessing; the one for each address
keeps the store from being filled.

A place that is bound to a browser's key (``binding``) is sent with a proof of it (``Waitroom-Proof``), and taken by a
browser that shows a key of its own (``Waitroom-Key``).
"""

from hashlib import sha256
from urllib.parse import quote

import orjson

from kernel.asgi import Receive, Scope, Send, client_address, read_body, respond
from kernel.errors import Refused
from waitroom.binding import Binding
from waitroom.bodies import json_fields, text_of
from waitroom.carrying import Carrying
from waitroom.draw_web import Handler
from waitroom.newcomer import shown_key
from waitroom.ports import AddressBucket, Proofs
from waitroom.room_fields import Bind
from waitroom.service import Waitroom
from waitroom.web import BODY_LIMIT_BYTES, ONCE, Asked, LineWeb, WebSettings, asked

RATE_PER_MINUTE = 60
BURST = 20
"""Steps from one address, the old device's questions not counted."""

_NAME_CHARS = 32
_TARGET_CHARS = 2048
_HEADERS = (
    (b"content-type", b"application/json"),
    (b"cache-control", b"no-store"),
    (b"referrer-policy", b"no-referrer"),
)


class CarryWeb:
    """Handlers of the public port. Each takes (scope, receive, send, room)."""

    def __init__(
        self,
        line: LineWeb,
        waitroom: Waitroom,
        buckets: AddressBucket,
        settings: WebSettings,
        bound: tuple[Binding, Proofs] | None = None,
    ) -> None:
        """Join the parts; `line` knows tickets and cookies, `bound` the keys of places."""
        self._line = line
        self._waitroom = waitroom
        self._carrying = Carrying(waitroom)
        self._buckets = buckets
        self._settings = settings
        self._bound = bound
        routes: dict[tuple[str, str], Handler] = {
            ("GET", "carry"): self.carried,
            ("POST", "carry"): self.step,
        }
        self.routes = waitroom.metrics.watched(routes)

    async def step(self, scope: Scope, receive: Receive, send: Send, room: str) -> None:
        """Send a place on its way, or take it."""
        ask = asked(scope)
        self._line.same_site(ask)
        reading = self._waitroom.reading(room)
        tail = self._tail(scope, room)
        if tail not in {"", "/take"}:
            raise _unknown()
        media_type = ask.get(b"content-type", b"application/json")
        if not media_type.startswith(b"application/json"):
            raise Refused("content-type-unknown", "Send JSON.", status=415)
        fields = json_fields(await read_body(receive, BODY_LIMIT_BYTES))
        now_ms = self._waitroom.clock.now_ms()
        self._take_step(scope, room, now_ms)
        if tail == "/take":
            once = ask.get(b"idempotency-key", b"")
            if once and ONCE.fullmatch(once) is None:
                raise Refused(
                    "idempotency-key-malformed", "The idempotency key must be 16 to 64 of A-Z a-z 0-9 _ -."
                )
            taker = sha256(once).hexdigest()[:_NAME_CHARS] if once else ""
            code, key = text_of(fields, "code"), shown_key(reading.room, ask.get(b"waitroom-key", b""))
            if reading.room.bind is Bind.BROWSER and not key:
                await self._carrying.needs_no_key(room, code)
            text, held = await self._carrying.take(room, code, taker)
            if self._bound is not None:
                text, held = await self._bound[0].carried(reading, text, held, key)
            line = reading.line
            answer = {
                "room": room, "run": held.run, "ticket": text, "number": held.number, "lane": str(held.lane),
                "phase": str(line.phase) if line else "",
            }  # fmt: skip
            cookie = (b"set-cookie", self._line.ticket_cookie(reading, text))
            await respond(send, 200, [*_HEADERS, cookie], orjson.dumps(answer))
            return
        text = self._line.presented(reading, ask)
        if self._bound is not None:
            proof = ask.get(b"waitroom-proof", b"").decode("latin-1")
            await self._bound[0].prove(self._bound[1], room, text, proof, now_ms)
        sent = await self._carrying.send(room, text, now_ms)
        target = text_of(fields, "target")[:_TARGET_CHARS]
        query = f"?target={quote(target, safe='')}" if target else ""
        page = f"{self._origin(scope, ask)}{self._settings.prefix}/r/{room}{query}#carry={sent.code}"
        answer = {"code": sent.code, "watch": sent.name, "url": page, "expires_ms": sent.until_ms}
        await respond(send, 200, _HEADERS, orjson.dumps(answer))

    async def carried(self, scope: Scope, receive: Receive, send: Send, room: str) -> None:
        """Tell the old device whether its place has been taken over."""
        del receive
        self._line.same_site(asked(scope))
        name = self._tail(scope, room)[1:]
        if len(name) != _NAME_CHARS or not set(name) <= set("0123456789abcdef"):
            raise _unknown()
        state = await self._carrying.carried(room, name)
        await respond(send, 200, _HEADERS, orjson.dumps({"state": str(state)}))

    def _tail(self, scope: Scope, room: str) -> str:
        return str(scope["path"]).removeprefix(f"{self._settings.prefix}/r/{room}/carry")

    def _origin(self, scope: Scope, ask: Asked) -> str:
        """Return scheme and host as the browser wrote them; behind a proxy only it knows the scheme."""
        origin = ask.get(b"origin", b"")
        if origin.startswith((b"https://", b"http://")):  # it has been found to be this site's own
            return origin.decode("latin-1")
        scheme = "https" if self._settings.secure else str(scope["scheme"])
        return f"{scheme}://{ask.get(b'host', b'').decode('latin-1')}"

    def _take_step(self, scope: Scope, room: str, now_ms: int) -> None:
        """Count a step of this address; a slash keeps its bucket apart from that of any room's joins."""
        address = client_address(scope, self._settings.trusted_proxies)
        wait_ms = self._buckets.take(f"{room}/carry", address, RATE_PER_MINUTE, BURST, now_ms)
        if wait_ms:
            self._waitroom.metrics.carries.labels("slowed").inc()
            raise Refused(
                "too-many-carries",
                "Many places move from your network just now. Please try again in a moment.",
                status=429,
                retry_after_s=max(1, -(-wait_ms // 1000)),
            )


def _unknown() -> Refused:
    return Refused("address-unknown", "There is nothing at this address.", status=404)
