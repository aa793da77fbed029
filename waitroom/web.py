"""Web: the line's HTTP addresses below ``/.waitroom/r/{room}/``, as raw ASGI.

Decides nothing: reads the request, asks the service, writes the answer. Join and status are the hot
paths (a crowd's first second, and every second after), hence no framework here: one walk over the
headers, answers put together from ready bytes. Who may call: anybody; a browser of another site may not
make a visitor join (Origin), because that would replace the place in their cookie.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import parse_qs, quote

import orjson

from kernel.asgi import Network, Ready, Receive, Scope, Send, client_address, header, read_body, respond
from kernel.cookies import parse
from kernel.errors import Refused, Unavailable
from waitroom import ticket as tickets
from waitroom.census_web import CensusWeb
from waitroom.closing import closed
from waitroom.draw_web import DrawWeb, Handler
from waitroom.identifying import Identifying, shown_fields
from waitroom.newcomer import ANYBODY, Newcomer, bound
from waitroom.papers import Papers
from waitroom.ports import AddressBucket, Newcomers, ReceiptSigner
from waitroom.reading import Reading
from waitroom.receipt_web import ReceiptWeb
from waitroom.room_fields import IdentityWay
from waitroom.schedule import Phase, next_comes
from waitroom.service import Waitroom
from waitroom.shells import Page, Pages
from waitroom.standing import Place, Standing
from waitroom.ticket import Ticket
from waitroom.view import TicketView
from waitroom.wait import next_poll_ms, poll_cap_s, poll_floor_s
from waitroom.words import negotiate

BODY_LIMIT_BYTES = 4096
STALE_MS = 3_000
"""A document older than a dozen beats says its age."""
ONCE = re.compile(rb"[A-Za-z0-9_-]{16,64}")
_FORM = b"application/x-www-form-urlencoded"
_PUBLIC = (b"cache-control", b"public, max-age=10")
_NO_STORE = (b"cache-control", b"no-store")
_JSON_HEADERS = (b"content-type", b"application/json"), _NO_STORE
_NO_COOKIES: Mapping[str, str] = {}
_NO_FIELDS: Mapping[str, list[str]] = {}


@dataclass(frozen=True, slots=True)
class WebSettings:
    """How this worker is reached. `secure`: cookies are for TLS only, unless a room says otherwise."""

    prefix: str = "/.waitroom"
    secure: bool = False
    trusted_proxies: Sequence[Network] = ()


Asked = dict[bytes, bytes]
"""The headers that the line looks at, by name."""

_WANTED = frozenset(
    (
        b"accept", b"content-length", b"content-type", b"cookie", b"host", b"idempotency-key", b"origin",
        b"sec-fetch-site", b"transfer-encoding", b"waitroom-key", b"waitroom-proof", b"waitroom-ticket",
    )
)  # fmt: skip


def asked(scope: Scope) -> Asked:
    """Walk over the headers once."""
    return {name: value for name, value in scope["headers"] if name in _WANTED}


class LineWeb:
    """Handlers of the line. Each takes (scope, receive, send, room)."""

    def __init__(
        self,
        waitroom: Waitroom,
        pages: Pages,
        buckets: AddressBucket,
        receipts: ReceiptSigner,
        settings: WebSettings,
        newcomers: Newcomers | None = None,
        identifying: Identifying | None = None,
    ) -> None:
        """Join the parts."""
        self._waitroom = waitroom
        self._pages = pages
        self._buckets = buckets
        self._newcomers = newcomers
        self._identifying = identifying
        self._settings = settings
        self._documents: dict[bytes, str] = {}
        self._papers: dict[str, Papers] = {}
        routes: dict[tuple[str, str], Handler] = {
            ("GET", ""): self.shell,
            ("GET", "how"): self.how,
            ("GET", "preview"): self.preview,
            ("POST", "join"): self.join,
            ("GET", "status"): self.status,
            ("POST", "status"): self.give_back,
            ("GET", "ticket"): self.ticket,
            **DrawWeb(waitroom).routes,
            **CensusWeb(waitroom, settings.prefix, self._shown).routes,
            **ReceiptWeb(waitroom, receipts, self._given).routes,
        }
        self.routes = waitroom.metrics.watched(routes)

    # The shell and the document ----------------------------------------------------------------------

    async def shell(self, scope: Scope, receive: Receive, send: Send, room: str) -> None:
        """Serve the page: the same bytes for everybody, kept by caches for ten seconds."""
        del receive
        reading = self._waitroom.reading(room)
        query = query_of(scope)
        page = self._pages.shell(reading, query.get("target", [""])[0], language_of(scope, reading, query))
        await show(scope, send, 200, page, _PUBLIC)

    async def how(self, scope: Scope, receive: Receive, send: Send, room: str) -> None:
        """Tell how this line works."""
        del receive
        reading = self._waitroom.reading(room)
        page = self._pages.how(reading, language_of(scope, reading, query_of(scope)))
        await show(scope, send, 200, page, _PUBLIC)

    async def preview(self, scope: Scope, receive: Receive, send: Send, room: str) -> None:
        """Show a state of the page as it would look, or list them all; `js=0` is without JavaScript."""
        del receive
        reading = self._waitroom.reading(room)
        query = query_of(scope)
        language = language_of(scope, reading, query)
        state = str(scope["path"]).removeprefix(f"{self._settings.prefix}/r/{room}/preview")[1:]
        if state:
            page = self._pages.preview(reading, state, language, still=query.get("js") == ["0"])
        else:
            page = self._pages.previews(reading, language)
        await show(scope, send, 200, page, _PUBLIC)

    async def status(self, scope: Scope, receive: Receive, send: Send, room: str) -> None:
        """Serve the signed document from ready bytes; with its age when the store is away."""
        del receive
        reading = self._waitroom.reading(room)
        if (ready := reading.ready) is None:
            raise Unavailable("room-restoring", "The room is being put back. Your place is safe.")
        self._waitroom.metrics.documents.count += 1
        headers = list(ready.headers)
        age_ms = self._waitroom.clock.now_ms() - reading.read_ms
        if age_ms >= STALE_MS:
            headers.append((b"age", b"%d" % (age_ms // 1000)))
        tags = header(scope, b"if-none-match")
        known = tags is not None and ready.etag in tags
        await respond(send, 304 if known else 200, headers, b"" if known else ready.body)

    def broadcast(self, url: bytes) -> Ready | None:
        """Return what `status` would answer at an address, while it is fresh; the server asks before us."""
        room = self._documents.get(url)
        if room is None:
            if not url.endswith(b"/status") or (room := self._room_of(url)) is None:
                return None
            self._documents[url] = room
        reading = self._waitroom.readings.get(room)
        if reading is None or self._waitroom.clock.now_ms() - reading.read_ms >= STALE_MS:
            return None
        if (ready := reading.ready) is not None:
            self._waitroom.metrics.documents.count += 1
        return ready

    def _room_of(self, url: bytes) -> str | None:
        """Return the room whose document has this very address; there are as many as rooms."""
        return next(
            (
                room
                for room in self._waitroom.readings
                if url == f"{self._settings.prefix}/r/{room}/status".encode()
            ),
            None,
        )

    async def give_back(self, scope: Scope, receive: Receive, send: Send, room: str) -> None:
        """Take back an older signed document after a loss of the store."""
        self.same_site(asked(scope))
        told = await self._waitroom.give_back(room, await read_body(receive, BODY_LIMIT_BYTES))
        await respond(send, 200, _JSON_HEADERS, orjson.dumps({"outcome": "raised" if told else "known"}))

    # Joining -----------------------------------------------------------------------------------------

    async def join(self, scope: Scope, receive: Receive, send: Send, room: str) -> None:
        """Give the visitor a place, or the place they already hold."""
        ask = asked(scope)
        self.same_site(ask)
        reading = self._waitroom.reading(room)
        media_type = ask.get(b"content-type", b"")
        form = media_type.startswith(_FORM)
        if media_type and not form and not media_type.startswith(b"application/json"):
            raise Refused("content-type-unknown", "Send JSON or a form.", status=415)
        has_body = ask.get(b"content-length", b"0") != b"0" or b"transfer-encoding" in ask
        body = await read_body(receive, BODY_LIMIT_BYTES) if has_body else b""
        once = ask.get(b"idempotency-key", b"")
        if once and ONCE.fullmatch(once) is None:
            raise Refused(
                "idempotency-key-malformed", "The idempotency key must be 16 to 64 of A-Z a-z 0-9 _ -."
            )
        papers = self._papers_of(reading)
        now_ms = self._waitroom.clock.now_ms()
        cookies = parse(ask[b"cookie"]) if b"cookie" in ask else _NO_COOKIES
        headers: list[tuple[bytes, bytes]] = []
        fields = parse_qs(body.decode("latin-1")) if form else _NO_FIELDS
        # Who left, or used their turn, may ask for a new place although the old paper is still about.
        again = "again" in fields or (not form and b'"again"' in body)
        given: Mapping[str, object] | None = None
        if reading.room.identity is not IdentityWay.NONE:
            # One identity is one place, so nobody asks for another one; but who shows an identity gets its own.
            given = shown_fields(body, fields, form=form)
            again = bool(given)
        held = None if again else self._held(reading, ask, cookies)
        if held is None:
            try:
                self._take(scope, reading, now_ms)
                text, number, lane, found = await self._placed(
                    scope, reading, once.decode(), given, cookies, ask.get(b"waitroom-key", b""), now_ms
                )
            except (Refused, Unavailable) as reason:
                if not form:
                    raise
                self._waitroom.metrics.refuse(reason, "join", room)
                language, target = language_of(scope, reading, fields), fields.get("target", ["/"])[0]
                page = self._pages.refused(reading, target, reason, language, given)
                await show(scope, send, reason.status, page, _NO_STORE)
                return
            headers += [(b"set-cookie", papers.ticket_cookie(text)), *found.headers]
        else:
            text, number, lane = held[0], held[1].number, str(held[1].lane)
        if form:
            target = quote(fields.get("target", ["/"])[0], safe="")
            # A form that came from a page with a script goes back to one.
            act = "" if "live" in fields else "/ticket"
            view = f"{self._settings.prefix}/r/{room}{act}?target={target}"
            headers += [(b"location", view.encode()), _NO_STORE]
            await respond(send, 303, headers, b"")
            return
        line = reading.line
        run, phase = (line.run, line.phase) if line else ("", "")
        # Names and ids of ours hold nothing that JSON would have to escape.
        place = f'"room":"{room}","run":"{run}","ticket":"{text}","number":{number}'
        answer = f'{{{place},"lane":"{lane}","phase":"{phase}"}}'
        headers += _JSON_HEADERS
        await respond(send, 200, headers, answer.encode())

    async def _placed(
        self, scope: Scope, reading: Reading, once: str, given: Mapping[str, object] | None,
        cookies: Mapping[str, str], key: bytes, now_ms: int,
    ) -> tuple[str, int, str, Newcomer]:  # fmt: skip
        """Give a place: the next one, or in a room that asks that of the identity in `given`."""
        shown = None
        if given is not None:
            if self._identifying is None:
                raise Unavailable("identity-away", "Nobody can be asked who they are just now.", 30)
            address = client_address(scope, self._settings.trusted_proxies)
            shown = await self._identifying.shown(reading, given, address, now_ms)
        found = ANYBODY
        if self._newcomers is not None:
            tag = shown.tag if shown else ""
            found = await self._newcomers.judge(scope, reading.room, cookies, now_ms, tag)
        if shown is not None and self._identifying is not None:
            placed = await self._identifying.join(reading, shown, now_ms, found)
            return placed.text, placed.number, str(placed.lane), found
        found = bound(found, reading.room, key)
        text, number = await self._waitroom.join(reading, once, now_ms, found)
        return text, number, str(found.begins(reading.first_lane)), found

    def _take(self, scope: Scope, reading: Reading, now_ms: int) -> None:
        address = client_address(scope, self._settings.trusted_proxies)
        room = reading.room
        wait_ms = self._buckets.take(room.name, address, room.join_rate_per_minute, room.join_burst, now_ms)
        if wait_ms:
            raise Refused(
                "too-many-joins",
                "Many people join from your network just now. This page tries again by itself.",
                status=429,
                retry_after_s=max(1, -(-wait_ms // 1000)),
            )

    def _held(self, reading: Reading, ask: Asked, cookies: Mapping[str, str]) -> tuple[str, Ticket] | None:
        """Return the ticket that the visitor already holds for the current run, if any."""
        if not cookies and b"waitroom-ticket" not in ask:
            return None
        line = reading.line
        given = ask.get(b"waitroom-ticket", b"").decode("latin-1")
        for text in (given, cookies.get(self._papers_of(reading).ticket, "")):
            if text and line is not None:
                try:
                    held = tickets.read(self._waitroom.signer, text, reading.base.name)
                except Refused:
                    continue
                if held.run == line.run:
                    return text, held
        return None

    # A place -----------------------------------------------------------------------------------------

    async def ticket(self, scope: Scope, receive: Receive, send: Send, room: str) -> None:
        """Tell a visitor's own figures: JSON for apps, or a page that refreshes itself."""
        del receive
        ask = asked(scope)
        reading = self._waitroom.reading(room)
        html = b"text/html" in ask.get(b"accept", b"")
        query = query_of(scope)
        target = query.get("target", ["/"])[0]
        try:
            reading, held, place, view = await self._view(reading, ask)
            if html and next_comes(view.phase, reading.wanted, now_ms := self._waitroom.clock.now_ms()):
                raise closed(reading, now_ms)
        except (Refused, Unavailable) as reason:
            if not html:
                raise
            self._waitroom.metrics.refuse(reason, "ticket")
            page = self._pages.refused(reading, target, reason, language_of(scope, reading, query))
            await show(scope, send, reason.status, page, _NO_STORE)
            return
        language = language_of(scope, reading, query)
        if html:
            page = self._pages.ticket(reading, held, view, target, language, still="still" in query)
            await show(scope, send, 200, page, _NO_STORE)
            return
        line, said = reading.line, self._pages.said(reading, language)
        answer = {
            "room": room, "run": held.run, "number": held.number, "rank": view.rank, "lane": str(held.lane),
            "phase": view.phase, "standing": view.standing, "ahead": view.ahead,
            "wait_low_s": round(view.wait.low_s) if view.wait else None,
            "wait_high_s": round(view.wait.high_s) if view.wait else None,
            "held": view.held, "of": view.of,
            "called_ms": place.called_ms,
            "claim_until_ms": place.until_ms, "extensions_left": view.extensions_left,
            "poll_ms": view.poll_ms, "paused": view.paused, "message": said,
            "version": (line.version if line else 0) + reading.room.version, "epoch": line.epoch if line else 0,
        }  # fmt: skip
        await respond(send, 200, _JSON_HEADERS, orjson.dumps(answer))

    async def _view(self, reading: Reading, ask: Asked) -> tuple[Reading, Ticket, Place, TicketView]:
        now_ms = self._waitroom.clock.now_ms()
        text = self.presented(reading, ask)
        reading, held, place = await self._waitroom.place_of(reading.base.name, text, now_ms)
        line, plan, room, learned = reading.line, reading.wanted, reading.room, reading.learned
        gathering = line is not None and line.phase is Phase.GATHERING
        starts_in_s = max(0.0, (plan.starts_ms - now_ms) / 1000) if gathering and plan.starts_ms else None
        wait = reading.wait(place, held.lane, starts_in_s or 0.0)
        eta_s = starts_in_s if gathering else wait.low_s if wait else None
        if place.standing in {Standing.CALLED, Standing.RECALL}:
            eta_s = 0.0
        waiting = line.shown_waiting if line else 0
        runs = place.standing is Standing.CALLED and place.until_ms is not None
        extensions_left = max(0, room.claim_extensions - held.extensions) if runs else 0
        floor_s = poll_floor_s(waiting) if gathering else poll_floor_s(0)
        view = TicketView(
            phase=str(line.phase if line else Phase.IDLE),
            standing=str(place.standing),
            number=held.number,
            rank=place.rank,
            ahead=place.ahead,
            wait=wait,
            poll_ms=next_poll_ms(eta_s, poll_cap_s(waiting), _spread(held), floor_s),
            paused=room.calls_nobody,
            starts_in_s=starts_in_s,
            frozen=line is not None and line.frozen is not None,
            drawn_of=line.frozen if line is not None and line.seed else None,
            held=learned.held if learned and wait else None,
            of=learned.of if learned and wait else 0,
            left_s=(place.until_ms - now_ms) / 1000 if runs and place.until_ms else None,
            extensions_left=extensions_left,
        )
        return reading, held, place, view

    async def asset(self, scope: Scope, receive: Receive, send: Send, name: str) -> None:
        """Serve a static file of the page."""
        del receive
        await show(scope, send, 200, self._pages.asset(name))

    # What every handler needs ------------------------------------------------------------------------

    def presented(self, reading: Reading, ask: Asked) -> str:
        """Return the ticket's text from the header (apps, no cookies) or the cookie; '' for none."""
        if b"waitroom-ticket" in ask:
            return ask[b"waitroom-ticket"].decode("latin-1")
        if b"cookie" not in ask:
            return ""
        return parse(ask[b"cookie"]).get(self._papers_of(reading).ticket, "")

    def _given(self, scope: Scope, reading: Reading) -> str:
        return self.presented(reading, asked(scope))

    def _shown(self, scope: Scope, reading: Reading) -> str:
        ask = asked(scope)
        self.same_site(ask)
        return self.presented(reading, ask)

    def _papers_of(self, reading: Reading) -> Papers:
        """Return the cookies of a room as it is configured now."""
        base = reading.base
        papers = self._papers.get(base.name)
        if papers is None or papers.base is not base:
            papers = self._papers[base.name] = Papers(base, self._settings.secure)
        return papers

    def ticket_cookie(self, reading: Reading, text: str) -> bytes:
        """Write the cookie that keeps a ticket of this room."""
        return self._papers_of(reading).ticket_cookie(text)

    def same_site(self, ask: Asked) -> None:
        """Refuse what a page of another site sends in the visitor's name."""
        site, origin = ask.get(b"sec-fetch-site"), ask.get(b"origin", b"")
        if site is not None:
            cross = site not in {b"same-origin", b"none"}
        else:
            cross = origin not in {b"", b"null"} and origin.partition(b"://")[2] != ask.get(b"host")
        if cross:
            raise Refused("cross-site", "This request came from another site.", status=403)


def query_of(scope: Scope) -> dict[str, list[str]]:
    """Read what stands behind the question mark."""
    return parse_qs(scope["query_string"].decode("latin-1"))


def language_of(scope: Scope, reading: Reading, fields: Mapping[str, list[str]]) -> str:
    """Return the language to answer in: asked for by `lang`, else what the browser likes, else the room's."""
    liked = header(scope, b"accept-language") or b""
    default = reading.room.default_template_language
    return negotiate(liked.decode("latin-1"), fields.get("lang", [""])[0], default)


async def show(scope: Scope, send: Send, status: int, page: Page, *more: tuple[bytes, bytes]) -> None:
    """Send a page, compressed where the client takes it."""
    headers, body = page.coded(header(scope, b"accept-encoding"))
    await respond(send, status, [*headers, *more], body)


def _spread(held: Ticket) -> float:
    """Spread polls by the ticket: the same ticket always gets the same share of the jitter."""
    return held.leaf[0] / 256
