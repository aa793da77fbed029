"""Organiser web: the organiser's HTTP API, below ``/organiser/api``. Decides nothing.

    GET PUT      /organisers, /organisers/{id}          GET PUT  /venues, /venues/{id}
    GET POST     /venues/{id}/layouts?name=             text/csv, or pretix's plan as application/json, 32 MiB at most
    GET POST     /events                                GET PATCH  /events/{id}      (PATCH needs If-Match)
    POST         /events/{id}/publish                   POST  /events/{id}/prices
    POST         /events/{id}/cancel                    {"confirm": id}
    POST         /events/{id}/tiers, /block, /unblock   PUT   /events/{id}/allocations/{name}
    GET          /events/{id}/report

Who asks shows a token (``Authorization: Bearer``), or is logged in with a browser (``people.staff_sessions``); each has
a name and a role. Which role may use an address ``organiser.rights`` says; who was refused, and who did what, stands in
the log. Tokens are compared by their hashes, all of them each time, in constant time. With a token no cookie is read;
with a cookie, a call must come from a page of ours, and one that changes anything carries that session's own paper, so
no other site can act through an organiser's browser. Addresses below the prefix are told to nobody else.

A change of an event names the version that it changes in If-Match (428 without, 412 with an old one and the event as
it is now). What the store did not hear at once is answered with 202 and ``"on": "later"`` (``organiser.service``). All
failures are problems (RFC 9457), those of a file or a document with the list ``faults``.
"""

import hashlib
import hmac
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Match, Route, Router

from checkout.catalogue.event import Known, Venue
from checkout.catalogue.selling import State
from checkout.catalogue.service import Catalogue
from checkout.organiser.importing import MOST_OCTETS, Importing, kind_of_media
from checkout.organiser.papers import (
    etag,
    event_paper,
    imported_paper,
    read_allocation,
    read_block,
    read_confirmation,
    read_organiser,
    read_price_changes,
    read_retier,
    read_seat_tiers,
    read_seats,
    read_venue,
    read_version,
    unconfirmed,
)
from checkout.organiser.reporting import Reporting
from checkout.organiser.rights import may, steps_up
from checkout.organiser.service import Applied, On, Organising
from checkout.organiser.talking import (
    NO_STORE,
    PREFIX,
    WHO,
    answer,
    document,
    event_of,
    resource,
    told,
)
from checkout.people.factors import LOCKED_MS, Shown
from checkout.people.staff import Member, StaffRole
from checkout.people.staff_sessions import StaffSession
from kernel.asgi import Message, Receive, Scope, Send, respond
from kernel.errors import Refused
from kernel.problems import raw_problem

log = logging.getLogger(__name__)

CODE = "staff-code"
"""Header in which a person shows the code of their device."""


class OrganiserWeb:
    """The API as an application of its own; ``routes`` are its addresses."""

    def __init__(
        self,
        catalogue: Catalogue,
        importing: Importing,
        organising: Organising,
        reporting: Reporting,
        tokens: Mapping[str, str],
        more: Sequence[Route] = (),
        staff: Callable[[str], Member | None] = lambda _: None,
        show: Callable[[str, str, str], Awaitable[Shown]] | None = None,
        session: Callable[[Scope], Awaitable[StaffSession | None]] | None = None,
    ) -> None:
        """`tokens`: names to secrets, all of them owners'. `more`: further addresses behind the same door.

        `staff` tells whose another token is. Without any token nobody comes in. `show` looks at the second
        factor that a person shows, by name, code and session; without it nobody has one. `session` tells who is
        logged in with a browser, and refuses what its cookie alone may not do.
        """
        self._session = session
        self._show = show
        self._staff = staff
        self._catalogue = catalogue
        self._importing = importing
        self._organising = organising
        self._reporting = reporting
        self._tokens = {name: _digest(token) for name, token in tokens.items()}
        event = f"{PREFIX}/events/{{event}}"
        self.routes = [
            resource(f"{PREFIX}/organisers", GET=self.organisers),
            resource(f"{PREFIX}/organisers/{{organiser}}", PUT=self.put_organiser),
            resource(f"{PREFIX}/venues", GET=self.venues),
            resource(f"{PREFIX}/venues/{{venue}}", PUT=self.put_venue),
            resource(f"{PREFIX}/venues/{{venue}}/layouts", GET=self.layouts, POST=self.import_layout),
            resource(f"{PREFIX}/events", GET=self.events, POST=self.create_event),
            resource(event, GET=self.event, PATCH=self.update_event),
            resource(f"{event}/publish", POST=self.publish),
            resource(f"{event}/cancel", POST=self.cancel),
            resource(f"{event}/prices", POST=self.set_prices),
            resource(f"{event}/tiers", POST=self.retier),
            resource(f"{event}/block", POST=self.block),
            resource(f"{event}/unblock", POST=self.unblock),
            resource(f"{event}/allocations/{{name}}", PUT=self.put_allocation),
            resource(f"{event}/report", GET=self.report),
            *more,
        ]
        self._router = Router(self.routes, redirect_slashes=False)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request: who it is first, then what."""
        if scope["type"] != "http":
            await send({"type": "websocket.close", "code": 1000})
            return
        is_begun = False

        async def sending(message: Message) -> None:
            nonlocal is_begun
            is_begun = True
            await send(message)

        try:
            member, session = await self._come(scope)
            scope[WHO] = member.name
            acting = await self._allowed(scope, member, session)
            # With an application the router raises what it does not answer, and the failure is answered here.
            await self._router({**scope, "app": self}, receive, sending)
            if acting:
                log.info("staff acted", extra=acting)
        except Exception as error:
            if is_begun:
                # Half a table: the server cuts the answer off, and whoever takes it in hears that it is not whole.
                raise
            status, headers, body = raw_problem(error)
            if status == 401:
                headers.append((b"www-authenticate", b'Bearer realm="organiser"'))
            await respond(send, status, [*headers, (b"x-content-type-options", b"nosniff")], body)

    async def _come(self, scope: Scope) -> tuple[Member, str]:
        """Tell who asks, and in which session: a token counts, else a browser's cookie. Raises ``Refused``."""
        authorization = Request(scope).headers.get("authorization", "")
        if not authorization and self._session is not None:
            found = await self._session(scope)
            if found is not None:
                return Member(found.name, found.role), found.digest
        return self._who(authorization), ""

    async def _allowed(self, scope: Scope, member: Member, session: str) -> dict[str, str]:
        """Refuse what the role may not; returns what the log is to say when it is done, for what changes something."""
        path = next((own.path for own in self.routes if own.matches(scope)[0] is Match.FULL), None)
        if path is None:
            return {}  # Nothing is there: the router says so.
        method = scope["method"]
        told_of = {"who": member.name, "role": member.role.value, "method": method, "address": path}
        if not may(member.role, method, path):
            log.warning("staff were refused", extra=told_of)
            raise Refused("role-refused", f"A {member.role.value} may not do this.", 403)
        if self._show is not None and steps_up(method, path):
            shown = await self._show(member.name, Request(scope).headers.get(CODE, ""), session)
            # Whoever logs in with a browser is a person: one without a factor makes one first.
            enough = {Shown.RIGHT} if session else {Shown.RIGHT, Shown.NOT_NEEDED}
            if shown not in enough:
                log.warning("a second factor was refused", extra={**told_of, "why": shown.value})
                raise unshown(shown)
        return {} if method in {"GET", "HEAD"} else told_of

    def _who(self, authorization: str) -> Member:
        scheme, _, token = authorization.partition(" ")
        given = _digest(token.strip())
        # Every one is compared, so that the time tells nothing of which came close.
        known = [name for name, digest in self._tokens.items() if hmac.compare_digest(digest, given)]
        if not authorization:
            raise Refused("token-missing", "This needs an organiser's token, as Authorization: Bearer.", 401)
        member = Member(known[0], StaffRole.OWNER) if known else self._staff(token.strip())
        if scheme.lower() != "bearer" or member is None:
            raise Refused("token-invalid", "This is no organiser's token.", 401)
        return member

    # ------------------------------------------------------------------------ who and where

    async def organisers(self, _request: Request) -> Response:
        """GET /organisers."""
        found = await self._catalogue.organisers()
        return answer({"organisers": [{"id": one.id, "name": one.name} for one in found]})

    async def put_organiser(self, request: Request) -> Response:
        """PUT /organisers/{id}: keep an organiser, or its new name."""
        organiser = read_organiser(request.path_params["organiser"], await document(request))
        await self._catalogue.put_organiser(organiser)
        told(request, "organiser-kept", organiser=organiser.id)
        return answer({"id": organiser.id, "name": organiser.name})

    async def venues(self, _request: Request) -> Response:
        """GET /venues."""
        return answer({"venues": [_venue(venue) for venue in await self._catalogue.venues()]})

    async def put_venue(self, request: Request) -> Response:
        """PUT /venues/{id}: keep a venue, or what is new of one."""
        venue = read_venue(request.path_params["venue"], await document(request))
        await self._catalogue.put_venue(venue)
        told(request, "venue-kept", venue=venue.id)
        return answer(_venue(venue))

    async def layouts(self, request: Request) -> Response:
        """GET /venues/{venue}/layouts: its seating plans, by name."""
        found = await self._catalogue.layouts(request.path_params["venue"])
        plain = [{"layout": one.id, "name": one.name, "seats": one.seats} for one in found]
        return answer({"layouts": plain})

    async def import_layout(self, request: Request) -> Response:
        """POST /venues/{venue}/layouts: a plan becomes a layout; the same plan again is the same layout."""
        venue = request.path_params["venue"]
        kind = kind_of_media(request.headers.get("content-type", ""))
        async with self._importing.turn:
            octets = await _octets(request, MOST_OCTETS)
            made = await self._importing.add(venue, octets, kind, request.query_params.get("name", ""))
        told(request, "layout-imported", venue=venue, layout=made.layout, seats=made.plan.layout.seats)
        return answer(
            imported_paper(made.layout, made.plan), 201, {"location": f"/layouts/{made.layout}.json"}
        )

    # -------------------------------------------------------------------------------- events

    async def events(self, _request: Request) -> Response:
        """GET /events: all of them, drafts too."""
        return answer({"events": [event_paper(known) for known in await self._catalogue.all()]})

    async def create_event(self, request: Request) -> Response:
        """POST /events, see ``catalogue.read_event``; ``seat_tiers``, as an import told them, may come along."""
        plain = await document(request)
        tiers = read_seat_tiers(plain.pop("seat_tiers")) if "seat_tiers" in plain else None
        known, _on = await self._organising.create(plain, tiers)
        told(request, "event-made", event=known.event.id, state=known.event.state.value)
        return _event(known, 201, {"location": f"{PREFIX}/events/{known.event.id}"})

    async def event(self, request: Request) -> Response:
        """GET /events/{event}: as it is in SQL now."""
        known = await self._catalogue.committed(event_of(request))
        if request.headers.get("if-none-match") == etag(known):
            return Response(status_code=304, headers={**NO_STORE, "etag": etag(known)})
        return _event(known)

    async def update_event(self, request: Request) -> Response:
        """PATCH /events/{event}: change what is said of it."""
        version = read_version(request.headers.get("if-match"), needed=True)
        plain = await document(request)
        if plain.get("state") == State.CANCELLED.value:
            raise unconfirmed(event_of(request))
        return await self._updated(request, plain, version)

    async def publish(self, request: Request) -> Response:
        """POST /events/{event}/publish."""
        version = read_version(request.headers.get("if-match"), needed=False)
        return await self._updated(request, {"state": State.PUBLISHED.value}, version)

    async def cancel(self, request: Request) -> Response:
        """POST /events/{event}/cancel: nothing is sold any more; what is held runs out, what is paid goes back."""
        version = read_version(request.headers.get("if-match"), needed=False)
        read_confirmation(event_of(request), await document(request))
        return await self._updated(request, {"state": State.CANCELLED.value}, version)

    async def _updated(self, request: Request, plain: Mapping[str, Any], version: int | None) -> Response:
        event = event_of(request)
        try:
            known, on = await self._organising.update(event, plain, version)
        except Refused as error:
            if error.code != "event-changed":
                raise
            current = await self._catalogue.committed(event)
            raise Refused("event-changed", error.public, 412, current=event_paper(current)) from error
        told(request, "event-changed", event=event, fields=sorted(plain), state=known.event.state.value)
        return _event(known, 202 if on is On.LATER else 200)

    async def set_prices(self, request: Request) -> Response:
        """POST /events/{event}/prices: {"prices": [{"tier": 0, "prices": {"EUR": 4200}}]}; the others stay."""
        event, plain = event_of(request), await document(request)
        version = await self._catalogue.set_prices(event, read_price_changes(plain))
        told(request, "prices-set", event=event, version=version)
        return answer({"event": event, "price_version": version})

    # --------------------------------------------------------------------------------- seats

    async def retier(self, request: Request) -> Response:
        """POST /events/{event}/tiers: {"tier": 1, "seats": [4, [10, 25]], "sections": [2]}."""
        event = event_of(request)
        tier, seats, sections = read_retier(await document(request))
        applied = await self._organising.retier(event, tier, seats, sections)
        told(request, "seats-put-into-tier", event=event, tier=tier, seats=applied.seats, on=applied.on.value)
        return _applied(event, applied)

    async def block(self, request: Request) -> Response:
        """POST /events/{event}/block: {"seats": […], "allocation": "fans"}."""
        event = event_of(request)
        seats, allocation = read_block(await document(request))
        applied = await self._organising.block(event, seats, allocation)
        told(
            request,
            "seats-blocked",
            event=event,
            seats=applied.seats,
            allocation=allocation,
            on=applied.on.value,
        )
        return _applied(event, applied)

    async def unblock(self, request: Request) -> Response:
        """POST /events/{event}/unblock: {"seats": […]}."""
        event = event_of(request)
        applied = await self._organising.unblock(event, read_seats(await document(request)))
        told(request, "seats-unblocked", event=event, seats=applied.seats, on=applied.on.value)
        return _applied(event, applied)

    async def put_allocation(self, request: Request) -> Response:
        """PUT /events/{event}/allocations/{name}: {"channel": "fan-club", "code": "MIDNIGHT"}."""
        event, name = event_of(request), request.path_params["name"]
        channel, code = read_allocation(name, await document(request))
        await self._catalogue.put_allocation(event, name, channel, code)
        told(request, "allocation-kept", event=event, allocation=name, channel=channel)
        return answer({"event": event, "name": name, "channel": channel, "has_code": bool(code)})

    # ------------------------------------------------------------------------------- looking

    async def report(self, request: Request) -> Response:
        """GET /events/{event}/report: seats by status, and what they came to; may be seconds behind."""
        report = await self._reporting.report(event_of(request))
        return answer(
            {
                "event": report.event,
                "at_ms": report.at_ms,
                "seats": report.seats,
                "capacity": sum(report.seats.values()),
                "sums": [
                    {
                        "state": one.state,
                        "tier": one.tier,
                        "currency": one.currency,
                        "seats": one.seats,
                        "total_minor": one.total_minor,
                    }
                    for one in report.sums
                ],
                "totals": report.totals(),
                "waiting": report.waiting,
            }
        )


# ------------------------------------------------------------------------------------- small parts


def unshown(shown: Shown) -> Refused:
    """Say why what a person has shown is not enough."""
    match shown:
        case Shown.NOT_NEEDED:
            public = "You have no second factor yet. Make one first, at /staff."
            return Refused("second-factor-none", public, 403)
        case Shown.MISSING:
            public = f"Show the code of your device as well, in the header {CODE}."
            return Refused("second-factor-missing", public, 403)
        case Shown.LOCKED:
            public = "There were too many wrong codes. Please wait a quarter of an hour."
            return Refused("second-factor-locked", public, 429, LOCKED_MS // 1000)
        case _:
            return Refused("second-factor-wrong", "This code does not count, or has been used.", 403)


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "surrogateescape")).digest()


async def _octets(request: Request, most: int) -> bytes:
    """Take a file in; what is too large is refused as soon as that shows."""
    refusal = Refused("body-too-large", f"The file may have {most} octets at most.", 413)
    length = request.headers.get("content-length", "")
    if length.isdecimal() and int(length) > most:
        raise refusal
    parts, size = [], 0
    try:
        async for part in request.stream():
            size += len(part)
            if size > most:
                raise refusal
            parts.append(part)
    except ClientDisconnect as error:
        raise Refused("body-incomplete", "The request ended before its body did.") from error
    return b"".join(parts)


def _event(known: Known, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    return answer(event_paper(known), status, {"etag": etag(known), **(headers or {})})


def _applied(event: str, applied: Applied) -> Response:
    plain = {"event": event, "seats": applied.seats, "on": applied.on.value}
    return answer(plain, 202 if applied.on is On.LATER else 200)


def _venue(venue: Venue) -> dict[str, str]:
    return {name: getattr(venue, name) for name in ("id", "name", "city", "country", "time_zone")}
