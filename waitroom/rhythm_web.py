"""Rhythm web: the address at which a page tells how it was handled, as raw ASGI. Decides nothing.

    POST rhythm   with the ticket: {"version", "sums", "words"} -> {"outcome": "noted", …};
                  or {"outcome": "asked", "way", …} where a check comes before the turn; or the same place in the lane
                  suspect, as JSON and cookie: {"outcome": "slowed", "ticket", …}

Browsers of other sites may not call it, and it has a bucket for each address. The body is small and strictly read;
one that cannot be true is refused and changes nothing. Not here: what follows from it (``settling``).
"""

import orjson

from kernel.asgi import Receive, Scope, Send, client_address, read_body, respond
from kernel.cookies import parse
from kernel.errors import Refused
from waitroom.draw_web import Handler
from waitroom.ports import AddressBucket, Settler
from waitroom.service import Waitroom
from waitroom.settling import Settling
from waitroom.web import LineWeb, WebSettings, asked

BODY_LIMIT_BYTES = 8_192
RATE_PER_MINUTE = 600
BURST = 300
"""Tellings from one address: a place tells once, and a thousand people may share a network."""

_JSON_HEADERS = ((b"content-type", b"application/json"), (b"cache-control", b"no-store"))


class RhythmWeb:
    """The handler of the public port. It takes (scope, receive, send, room)."""

    def __init__(
        self,
        line: LineWeb,
        waitroom: Waitroom,
        settler: Settler,
        buckets: AddressBucket,
        settings: WebSettings,
    ) -> None:
        """Join the parts; `line` knows tickets and cookies."""
        self._line = line
        self._waitroom = waitroom
        self._settling = Settling(waitroom, settler)
        self._buckets = buckets
        self._settings = settings
        routes: dict[tuple[str, str], Handler] = {("POST", "rhythm"): self.tell}
        self.routes = waitroom.metrics.watched(routes)

    async def tell(self, scope: Scope, receive: Receive, send: Send, room: str) -> None:
        """Take what a page tells, and say how its place waits."""
        if scope["path"] != f"{self._settings.prefix}/r/{room}/rhythm":
            raise Refused("address-unknown", "There is nothing at this address.", status=404)
        ask = asked(scope)
        self._line.same_site(ask)
        reading = self._waitroom.reading(room)
        if not ask.get(b"content-type", b"application/json").startswith(b"application/json"):
            raise Refused("content-type-unknown", "Send JSON.", status=415)
        body = await read_body(receive, BODY_LIMIT_BYTES)
        self._take(scope, room)
        try:
            given = orjson.loads(body)
        except orjson.JSONDecodeError:
            given = None
        if not isinstance(given, dict):
            raise Refused("body-malformed", "Send a JSON object.")
        cookies = parse(ask[b"cookie"]) if b"cookie" in ask else {}
        found = await self._settling.tell(scope, room, self._line.presented(reading, ask), cookies, given)
        held = found.ticket
        place = {"room": held.room, "run": held.run, "number": held.number, "lane": str(held.lane)}
        if found.asks:
            told = {"outcome": "asked", "way": found.asks, **place}
            await respond(send, 200, _JSON_HEADERS, orjson.dumps(told))
            return
        if not found.text:
            await respond(send, 200, _JSON_HEADERS, orjson.dumps({"outcome": "noted", **place}))
            return
        cookie = (b"set-cookie", self._line.ticket_cookie(reading, found.text))
        answer = {"outcome": "slowed", "ticket": found.text, **place}
        await respond(send, 200, [*_JSON_HEADERS, cookie], orjson.dumps(answer))

    def _take(self, scope: Scope, room: str) -> None:
        """Count a telling of this address; a slash keeps its bucket apart from that of any room's joins."""
        address = client_address(scope, self._settings.trusted_proxies)
        now_ms = self._waitroom.clock.now_ms()
        wait_ms = self._buckets.take(f"{room}/rhythm", address, RATE_PER_MINUTE, BURST, now_ms)
        if wait_ms:
            raise Refused(
                "too-many-rhythms",
                "Many pages of your network tell of themselves just now. Please try again in a moment.",
                status=429,
                retry_after_s=max(1, -(-wait_ms // 1000)),
            )
