"""Challenge web: the addresses of the check by which a place leaves the lane ``suspect``, as raw ASGI. Decides nothing.

    GET challenge           the page of the check; `way=work` for the work that every device can do
    POST challenge          with the ticket: {"way"} -> a challenge {"outcome": "issued", "way", …}; or the better
                            ticket {"outcome": "lifted", …} where it was earned before, or {"outcome": "not-needed"};
                            {"given"} takes back a challenge that a slow device did not solve in time
    POST challenge/answer   with the ticket: {"way", "answer"} -> the ticket in its better lane, as JSON and cookie

Browsers of other sites may call none of these. Judging costs more than asking, so steps are counted: each place has a
bucket, and each address one that is wide enough for an office or a mobile network, whose people have places of their
own. **What is no ticket of ours is no place**: it has a narrow bucket of its address and touches neither of the two, so
forged tickets neither make room for a flood nor stand in the way of others behind the same address
(docs/challenges.md). Without JavaScript there is no check; the page says so. Not here: what follows from an answer
(``challenging``).
"""

from collections.abc import Mapping
from urllib.parse import parse_qs

import orjson

from kernel.asgi import Receive, Scope, Send, client_address, header, read_body, respond
from kernel.errors import Refused
from waitroom import ticket as tickets
from waitroom.bodies import json_fields, text_of
from waitroom.challenging import Challenging, Lifted
from waitroom.draw_web import Handler
from waitroom.ports import AddressBucket, Challenges
from waitroom.reading import Reading
from waitroom.service import Waitroom
from waitroom.shells import Pages
from waitroom.web import LineWeb, WebSettings, asked
from waitroom.words import negotiate

BODY_LIMIT_BYTES = 16_384
PLACE_PER_MINUTE, PLACE_BURST = 12, 12
"""Steps of one place. A check takes two, on the slowest device four: three whole tries at once."""
ADDRESS_PER_MINUTE, ADDRESS_BURST = 1_200, 600
"""Steps of all places of one address: two for each of those who may tell a rhythm (``rhythm_web``)."""
STRANGER_PER_MINUTE, STRANGER_BURST = 60, 30
"""Steps from one address without a ticket of this room."""

_JSON_HEADERS = ((b"content-type", b"application/json"), (b"cache-control", b"no-store"))


class ChallengeWeb:
    """Handlers of the public port. Each takes (scope, receive, send, room)."""

    def __init__(
        self,
        line: LineWeb,
        waitroom: Waitroom,
        pages: Pages,
        challenges: Challenges,
        buckets: AddressBucket,
        settings: WebSettings,
    ) -> None:
        """Join the parts; `line` knows tickets and cookies."""
        self._line = line
        self._waitroom = waitroom
        self._pages = pages
        self._challenging = Challenging(waitroom, challenges)
        self._buckets = buckets
        self._settings = settings
        routes: dict[tuple[str, str], Handler] = {
            ("GET", "challenge"): self.page,
            ("POST", "challenge"): self.step,
        }
        self.routes = waitroom.metrics.watched(routes)

    async def page(self, scope: Scope, receive: Receive, send: Send, room: str) -> None:
        """Serve the page of the check."""
        del receive
        reading = self._waitroom.reading(room)
        if self._tail(scope, room):
            raise _unknown()
        query = parse_qs(scope["query_string"].decode("latin-1"))
        liked = (header(scope, b"accept-language") or b"").decode("latin-1")
        default = reading.room.default_template_language
        language = negotiate(liked, query.get("lang", [""])[0], default)
        now_ms = self._waitroom.clock.now_ms()
        check = self._challenging.check(reading, work=query.get("way") == ["work"], now_ms=now_ms)
        page = self._pages.check(reading, check, query.get("target", ["/"])[0], language)
        headers, body = page.coded(header(scope, b"accept-encoding"))
        await respond(send, 200, [*headers, (b"cache-control", b"no-store")], body)

    async def step(self, scope: Scope, receive: Receive, send: Send, room: str) -> None:
        """Give a challenge, or judge an answer."""
        ask = asked(scope)
        self._line.same_site(ask)
        reading = self._waitroom.reading(room)
        tail = self._tail(scope, room)
        if tail not in {"", "/answer"}:
            raise _unknown()
        if not ask.get(b"content-type", b"application/json").startswith(b"application/json"):
            raise Refused("content-type-unknown", "Send JSON.", status=415)
        fields = json_fields(await read_body(receive, BODY_LIMIT_BYTES))
        now_ms = self._waitroom.clock.now_ms()
        text, way = self._line.presented(reading, ask), text_of(fields, "way")
        self._take(scope, room, text, now_ms)
        if tail:
            found: Mapping[str, object] | Lifted = await self._challenging.answer(
                room, text, way, text_of(fields, "answer"), now_ms
            )
        else:
            found = await self._challenging.issue(room, text, way, fields.get("given"), now_ms)
        if isinstance(found, Lifted):
            await self._tell(send, reading, found)
        else:
            await respond(send, 200, _JSON_HEADERS, orjson.dumps({"outcome": "issued", **found}))

    async def _tell(self, send: Send, reading: Reading, found: Lifted) -> None:
        held = found.ticket
        place = {"run": held.run, "number": held.number, "lane": str(held.lane)}
        if not found.text:
            await respond(send, 200, _JSON_HEADERS, orjson.dumps({"outcome": "not-needed", **place}))
            return
        answer = {"outcome": "lifted", "ticket": found.text, "room": held.room, **place}
        cookie = (b"set-cookie", self._line.ticket_cookie(reading, found.text))
        await respond(send, 200, [*_JSON_HEADERS, cookie], orjson.dumps(answer))

    def _tail(self, scope: Scope, room: str) -> str:
        return str(scope["path"]).removeprefix(f"{self._settings.prefix}/r/{room}/challenge")

    def _take(self, scope: Scope, room: str, text: str, now_ms: int) -> None:
        """Count a step of a place and of its address. Raises Refused, also for what is no ticket of this room."""
        address = client_address(scope, self._settings.trusted_proxies)
        try:
            held = tickets.read(self._waitroom.signer, text, room)
        except Refused:
            wait_ms = self._wait_ms(room, "stranger", address, STRANGER_PER_MINUTE, STRANGER_BURST, now_ms)
            if wait_ms:
                raise _too_many(wait_ms, _OF_ADDRESS) from None
            raise
        place = f"{held.run}|{held.number}"
        # The place first: one that asks too often takes nothing from the others behind its address.
        if wait_ms := self._wait_ms(room, "place", place, PLACE_PER_MINUTE, PLACE_BURST, now_ms):
            raise _too_many(wait_ms, _OF_PLACE)
        if wait_ms := self._wait_ms(room, "address", address, ADDRESS_PER_MINUTE, ADDRESS_BURST, now_ms):
            raise _too_many(wait_ms, _OF_ADDRESS)

    def _wait_ms(self, room: str, of: str, who: str, per_minute: int, burst: int, now_ms: int) -> int:
        """Take a step from one bucket; a slash keeps it apart from that of any room's joins."""
        return self._buckets.take(f"{room}/challenge/{of}", who, per_minute, burst, now_ms)


_OF_PLACE = "Your place has asked for many checks within a minute. Please try again in a moment."
_OF_ADDRESS = "Many people do a check from your network just now. Please try again in a moment."


def _too_many(wait_ms: int, text: str) -> Refused:
    return Refused("too-many-challenges", text, status=429, retry_after_s=max(1, -(-wait_ms // 1000)))


def _unknown() -> Refused:
    return Refused("address-unknown", "There is nothing at this address.", status=404)
