"""More web: the address where a called fan asks for more time, as raw ASGI. Decides nothing.

    POST more-time   with the ticket -> the ticket anew, as JSON and cookie: {"outcome": "extended", "ticket",
                     "claim_until_ms", "extensions", "extensions_left"}; a form is led back to its page

The new ticket is the same place with one extension more, so nothing is stored, and a repeat after a lost answer
gives the same again. Not here: the rule (``standing.more_time``).
"""

from dataclasses import replace
from urllib.parse import parse_qs, quote

import orjson

from kernel.asgi import Receive, Scope, Send, read_body, respond
from kernel.errors import Refused, Unavailable
from waitroom import ticket as tickets
from waitroom.draw_web import Handler
from waitroom.service import Waitroom
from waitroom.standing import Extended, NoMore, more_time
from waitroom.web import BODY_LIMIT_BYTES, LineWeb, WebSettings, asked

_FORM = b"application/x-www-form-urlencoded"
_NO_STORE = (b"cache-control", b"no-store")
_JSON_HEADERS = ((b"content-type", b"application/json"), _NO_STORE)


class MoreTimeWeb:
    """The handler of the public port. It takes (scope, receive, send, room)."""

    def __init__(self, line: LineWeb, waitroom: Waitroom, settings: WebSettings) -> None:
        """Join the parts; `line` knows tickets and cookies."""
        self._line = line
        self._waitroom = waitroom
        self._prefix = settings.prefix
        routes: dict[tuple[str, str], Handler] = {("POST", "more-time"): self.more_time}
        self.routes = waitroom.metrics.watched(routes)

    async def more_time(self, scope: Scope, receive: Receive, send: Send, room: str) -> None:
        """Give a called fan one claim window more."""
        if scope["path"] != f"{self._prefix}/r/{room}/more-time":
            raise Refused("address-unknown", "There is nothing at this address.", status=404)
        ask = asked(scope)
        self._line.same_site(ask)
        reading = self._waitroom.reading(room)
        media_type = ask.get(b"content-type", b"application/json")
        form = media_type.startswith(_FORM)
        if not form and not media_type.startswith(b"application/json"):
            raise Refused("content-type-unknown", "Send JSON or a form.", status=415)
        body = await read_body(receive, BODY_LIMIT_BYTES)
        back = ""
        if form:
            target = parse_qs(body.decode("latin-1")).get("target", ["/"])[0]
            back = f"{self._prefix}/r/{room}/ticket?target={quote(target, safe='')}"
        try:
            text, answer = await self._extended(room, self._line.presented(reading, ask))
        except Refused as reason:
            if not form:
                raise
            self._waitroom.metrics.refuse(reason)
            # The page says better than a problem how the place stands now.
            await respond(send, 303, [(b"location", back.encode()), _NO_STORE], b"")
            return
        cookie = (b"set-cookie", self._line.ticket_cookie(reading, text))
        if form:
            await respond(send, 303, [(b"location", back.encode()), _NO_STORE, cookie], b"")
            return
        await respond(send, 200, [*_JSON_HEADERS, cookie], orjson.dumps(answer))

    async def _extended(self, room: str, text: str) -> tuple[str, dict[str, object]]:
        now_ms = self._waitroom.clock.now_ms()
        reading, held, place = await self._waitroom.place_of(room, text, now_ms)
        if (line := reading.line) is None:
            raise Unavailable("room-restoring", "The room is being put back. Your place is safe.")
        most = reading.room.claim_extensions
        match more_time(line, place, held.extensions, most, reading.claim_window_ms, now_ms):
            case Extended(extensions, until_ms):
                given = tickets.write(self._waitroom.signer, replace(held, extensions=extensions))
                return given, {
                    "outcome": "extended", "ticket": given, "claim_until_ms": until_ms,
                    "extensions": extensions, "extensions_left": most - extensions,
                }  # fmt: skip
            case NoMore.NOTHING_RUNS:
                raise Refused(
                    "no-time-runs", "There is no time that runs out for this place now.", status=409
                )
            case NoMore.TOO_LATE:
                raise Refused(
                    "time-over",
                    "The time to come in is over. Your turn is not lost: you can still come in, a little later.",
                    status=409,
                )
            case NoMore.USED_UP:
                raise Refused(
                    "more-time-used-up",
                    "Your time was made longer as often as this room allows. Please come in now.",
                    status=409,
                )
