"""Pages web: the shop's pages, and everything that they do for a browser without scripts.

    GET  /                                             programme: search, town, page after page
    GET  /events/{event}                               one event           GET …/seats    its hall
    POST /events/{event}/hold                          the best seats      GET …/hold     what is held
    POST /events/{event}/hold/{hold}/reserve           take them to pay    POST …/release
    GET  /events/{event}/reservation/{reservation}     what is reserved    POST …/release
    GET  /events/{event}/waitlist                      how it stands       POST, POST …/leave, …/contact
    GET, POST /finish                                  goodbye: the place is free for the next (``revoke``)

A form is answered with a redirect, so that a reload repeats nothing, or with a page that says in words what is in the
way, under the problem's own status. A form carries its idempotency key, so sending it twice is sending it once; one
from another site is refused. Addresses are read leniently: a stray parameter is no reason to see no programme.

Not here: what the API answers (``holds.web``, ``sales.web``), the texts (``render``, ``words``), forms and
headers (``forms``).
"""

import secrets
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import Any

import orjson
from starlette.exceptions import HTTPException
from starlette.middleware.exceptions import ExceptionMiddleware
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route, Router

from checkout.catalogue.event import SLUG, Known
from checkout.catalogue.reading import CatalogueReader
from checkout.catalogue.searching import Page, Query
from checkout.halls.seats import Status
from checkout.holds.answers import Released
from checkout.holds.service import Holding
from checkout.holds.watching import UNWATCHED, Watch
from checkout.holds.web import refusal_of
from checkout.holds.wishes import Told as Held
from checkout.holds.wishes import read_wish
from checkout.live.counting import Counting, Counts
from checkout.metrics import Metrics
from checkout.requests import read_key, same_site
from checkout.sales.reservation import reservation_id
from checkout.sales.service import GivenBack, Reserving, Told
from checkout.sales.web import refusal_of as reservation_refusal_of
from checkout.site import render
from checkout.site.choices import accepted_region, choice_of, link, offered, remembering
from checkout.site.forms import amount, html, one, read_form
from checkout.site.order_pages import OrderPages
from checkout.site.render import Pages, Visit, content_security_policy
from checkout.site.ticket_pages import TicketPages
from checkout.site.waiting_pages import WaitingPages
from checkout.site.words import negotiate
from checkout.waitlist.service import Waitlist
from checkout.waitlist.store import EntryState
from checkout.waitlist.web import joined
from kernel.asgi import Receive, Scope, Send
from kernel.clock import Clock
from kernel.errors import Refused, Unavailable
from kernel.problems import raw_problem

MOST_SEARCHED = 100
PAGE_EVENTS = 24
REVOKE = {"Cf-Waiting-Room-Command": "revoke"}
SEASONS = frozenset(("sale-not-open", "sale-over", "sale-cancelled"))
"""Refusals that the event's own page says best, with the exact time."""


class PagesWeb:
    """Handlers of the pages."""

    def __init__(
        self,
        catalogue: CatalogueReader,
        counting: Counting,
        holding: Holding,
        reserving: Reserving,
        waitlist: Waitlist,
        buyer_of: Callable[[Scope], str],
        clock: Clock,
        metrics: Metrics,
        orders: OrderPages | None = None,
        tickets: TicketPages | None = None,
        waiting: WaitingPages | None = None,
        *,
        region_of: Callable[[Scope], str] = accepted_region,
        secure: bool = False,
        watch: Watch = UNWATCHED,
    ) -> None:
        """`buyer_of` tells who asks; it may raise ``Refused``. `orders` None: the shop takes no money.

        `region_of` tells where a visitor seems to be (ISO 3166, '' unknown); `secure`: pages come over TLS.

        `watch` hears what is done with seats; `waiting` asks who waits where to write to.
        """
        self._waiting = waiting
        self._watch = watch
        self._region_of = region_of
        self._secure = secure
        self._catalogue = catalogue
        self._counting = counting
        self._holding = holding
        self._reserving = reserving
        self._waitlist = waitlist
        self._buyer_of = buyer_of
        self._clock = clock
        self._metrics = metrics
        self._pages = Pages(is_demo=orders is None or not orders.is_live, keeps_addresses=waiting is not None)
        event = "/events/{event}"
        routes: Sequence[tuple[str, Any, list[str]]] = [
            ("/", self.programme, ["GET"]),
            (event, self.event, ["GET"]),
            (f"{event}/seats", self.seats, ["GET"]),
            (f"{event}/hold", self.held, ["GET"]),
            (f"{event}/hold", self.hold, ["POST"]),
            (f"{event}/hold/{{hold}}/reserve", self.reserve, ["POST"]),
            (f"{event}/hold/{{hold}}/release", self.release, ["POST"]),
            (f"{event}/reservation/{{reservation}}", self.reservation, ["GET"]),
            (f"{event}/reservation/{{reservation}}/release", self.give_back, ["POST"]),
            (f"{event}/waitlist", self.waits, ["GET"]),
            (f"{event}/waitlist", self.wait, ["POST"]),
            (f"{event}/waitlist/leave", self.leave, ["POST"]),
            ("/finish", self.finish, ["GET", "POST"]),
        ]
        self._takes_money = orders is not None
        paying = orders.routes(self._event, self._visit) if orders is not None else []
        if tickets is not None:
            paying += tickets.routes(self._event, self._visit)
        if waiting is not None:
            paying += waiting.routes(self._visit)
        router = Router(
            [*(Route(path, handler, methods=methods) for path, handler, methods in routes), *paying],
            redirect_slashes=False,
        )
        self._app = ExceptionMiddleware(
            router, {HTTPException: self._missing, Refused: self._refused, Exception: self._refused}
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request for a page."""
        choice = choice_of(scope, secure=self._secure)
        send = remembering(choice, send, secure=self._secure)
        # Without an application the router would answer by itself what it does not find.
        await self._app({**scope, "app": self, "choice": choice}, receive, send)

    # ------------------------------------------------------------------------------------ looking

    async def programme(self, request: Request) -> Response:
        """List events, all or those that were searched for."""
        asked = request.query_params
        words, city = (
            asked.get("q", "").strip()[:MOST_SEARCHED],
            asked.get("city", "").strip()[:MOST_SEARCHED],
        )
        page = await self._page(Query(words, city, after=asked.get("after", ""), limit=PAGE_EVENTS))
        counts = await self._counting.of(known.event.id for known in page.events)
        currency = request.scope["choice"].currency
        shown = [_shown(known, counts[known.event.id], currency) for known in page.events]
        visit = self._visit(request)
        cities = await self._catalogue.cities(visit.now_ms)
        text = self._pages.programme(
            visit, shown, query=words, city=city, cities=cities if len(cities) > 1 else (), after=page.next
        )
        return html(request.scope, text)

    async def _page(self, query: Query) -> Page:
        try:
            return await self._catalogue.page(query)
        except Refused:
            # A cursor that is none of ours: the list from its beginning.
            return await self._catalogue.page(Query(query.q, query.city, limit=query.limit))

    async def event(self, request: Request) -> Response:
        """Show an event."""
        event = await self._event(request)
        return html(request.scope, self._pages.event(self._offered(request, event), event, _new_key()))

    async def seats(self, request: Request) -> Response:
        """Show its hall."""
        event = await self._event(request)
        return html(request.scope, self._pages.seats(self._visit(request), event, _new_key()))

    async def finish(self, request: Request) -> Response:
        """Say goodbye, and give the place back.

        The page stands alone: whatever it asked for afterwards would be asked for without a session.
        """
        if request.method == "POST":
            same_site(request.scope)
        policy = content_security_policy(standalone=True)
        return html(request.scope, self._pages.finish(self._visit(request)), policy=policy, more=REVOKE)

    # --------------------------------------------------------------------------- without scripts

    async def hold(self, request: Request) -> Response:
        """Hold the best seats."""
        event = _id(request)
        buyer, form = await self._form(request)
        key = read_key([value.encode() for value in form.get("key", ())])
        tier = one(form, "tier")
        plain: dict[str, Any] = {
            "best": {"count": amount(one(form, "count")), "tier": amount(tier) if tier else None}
        }
        if currency := one(form, "currency"):
            plain["currency"] = currency
        outcome = await self._holding.hold(event, buyer, key, read_wish(plain), orjson.dumps(plain))
        if not isinstance(outcome, Held):
            raise refusal_of(outcome)
        if outcome.is_new:
            paper = outcome.paper
            self._watch.picked(request.scope, event, buyer, paper["hold"], len(paper["seats"]))
        return _to(f"/events/{event}/hold?hold={outcome.paper['hold']}")

    async def held(self, request: Request) -> Response:
        """Show what is held: the hold that the address names, else the first to end."""
        event = await self._event(request)
        mine = await self._holding.mine(event["id"], self._buyer_of(request.scope))
        held = [paper for paper in mine.papers if paper["state"] == "held"]
        named = [paper for paper in held if paper["hold"] == request.query_params.get("hold", "")]
        reserved = [paper for paper in mine.papers if paper["state"] == "pinned"]
        if not held and reserved:
            return _to(f"/events/{event['id']}/reservation/{reservation_id(reserved[0]['hold'])}")
        shown = next(iter([*named, *held]), None)
        visit = self._visit(request, mine.now_ms)
        return html(request.scope, self._pages.hold(visit, event, shown, _new_key()))

    async def reserve(self, request: Request) -> Response:
        """Take a hold's seats to pay for them."""
        event, hold = _id(request), request.path_params["hold"]
        buyer, _ = await self._form(request)
        outcome = await self._reserving.reserve(event, buyer, hold)
        if not isinstance(outcome, Told):
            raise reservation_refusal_of(outcome)
        return _to(f"/events/{event}/reservation/{outcome.paper['reservation']}")

    async def release(self, request: Request) -> Response:
        """Give a hold's seats back."""
        event, hold = _id(request), request.path_params["hold"]
        buyer, _ = await self._form(request)
        outcome = await self._holding.release(event, buyer, hold)
        if not isinstance(outcome, Released):
            raise refusal_of(outcome)
        self._watch.dropped(request.scope, event, buyer, hold)
        return _to(f"/events/{event}/hold")

    async def reservation(self, request: Request) -> Response:
        """Show a reservation."""
        event, name = await self._event(request), request.path_params["reservation"]
        paper = await self._reserving.find(event["id"], self._buyer_of(request.scope), name)
        if paper is None:
            raise HTTPException(404)
        visit = self._visit(request, paper["now_ms"])
        return html(request.scope, self._pages.reservation(visit, event, paper, payable=self._takes_money))

    async def give_back(self, request: Request) -> Response:
        """Give a reservation's seats back."""
        event, name = _id(request), request.path_params["reservation"]
        buyer, _ = await self._form(request)
        given = await self._reserving.give_back(event, buyer, name)
        if given is GivenBack.UNKNOWN:
            raise HTTPException(404)
        return _to(f"/events/{event}/reservation/{name}")

    async def wait(self, request: Request) -> Response:
        """Put the buyer onto the waitlist."""
        event = _id(request)
        buyer, form = await self._form(request)
        count = amount(one(form, "count"))
        if not count:
            raise Refused("wish-invalid", "Say how many seats.", 422)
        joined(await self._waitlist.join(event, buyer, count, None))
        if self._waiting is None:
            return _to(f"/events/{event}/waitlist")
        # Whoever has mistyped an address has a place all the same, and is told so there.
        return _to(await self._waiting.joined(request, event, buyer, one(form, "email")))

    async def waits(self, request: Request) -> Response:
        """Show how the buyer stands there; who is offered seats is led to them."""
        event = await self._event(request)
        line = await self._waitlist.mine(event["id"], self._buyer_of(request.scope))
        if line is not None and line.entry.state is EntryState.OFFERED:
            return _to(f"/events/{event['id']}/hold?hold={line.entry.hold}")
        still = "still" in request.query_params
        before = None if line is None else line.before
        waiter = None
        if line is not None and self._waiting is not None:
            waiter = await self._waiting.shown(request, event["id"])
        text = self._pages.waiting(self._visit(request), event, before, still=still, waiter=waiter)
        return html(request.scope, text)

    async def leave(self, request: Request) -> Response:
        """Leave the waitlist; who is not on it has left."""
        event = _id(request)
        buyer, _ = await self._form(request)
        await self._waitlist.leave(event, buyer)
        return _to(f"/events/{event}/waitlist")

    async def _form(self, request: Request) -> tuple[str, Mapping[str, Sequence[str]]]:
        """Read who sends a form, and what stands in it."""
        same_site(request.scope)
        return self._buyer_of(request.scope), await read_form(request.scope, request.receive)

    # ------------------------------------------------------------------------------------ trouble

    async def _missing(self, request: Request, error: Exception) -> Response:
        """Say that there is no such page, or that a page takes no such request."""
        status, more = 404, {}
        if isinstance(error, HTTPException):
            status, more = error.status_code, dict(error.headers or {})
        return html(request.scope, self._pages.missing(self._visit(request)), status=status, more=more)

    async def _refused(self, request: Request, error: Exception) -> Response:
        """Say in words what is in the way."""
        if not isinstance(error, Refused | Unavailable):
            # Logged here, with everything that is in it; the page tells nothing of it.
            status, _, _ = raw_problem(error)
            return html(
                request.scope, self._pages.trouble(self._visit(request), None, "other"), status=status
            )
        self._metrics.refused.count(error.code)
        if error.status == 404:
            return await self._missing(request, error)
        more = {} if error.retry_after_s is None else {"Retry-After": str(error.retry_after_s)}
        visit, shown = self._visit(request), None
        if "event" in request.path_params:
            # What kept a form from working may keep its event from being shown.
            with suppress(Refused, Unavailable, HTTPException):
                shown = await self._event(request)
        code, values = _trouble(error)
        if shown is not None and code in SEASONS:
            text = self._pages.event(visit, shown, _new_key())
        else:
            text = self._pages.trouble(visit, shown, code, **values)
        return html(request.scope, text, status=error.status, more=more)

    # -------------------------------------------------------------------------------------- small

    async def _event(self, request: Request) -> render.Event:
        known = await self._catalogue.known(_id(request))
        counts = await self._counting.of([known.event.id])
        return _shown(known, counts[known.event.id], request.scope["choice"].currency)

    def _visit(self, request: Request, now_ms: int | None = None) -> Visit:
        """Say who looks; where times come from a store, its time is the page's."""
        headers, scope = request.headers, request.scope
        return Visit(
            negotiate(headers.get("accept-language", ""), scope["choice"].language),
            self._clock.now_ms() if now_ms is None else now_ms,
            headers.get("waitroom-session", ""),
            headers.get("waitroom-lane", ""),
            link=partial(link, scope),
        )

    def _offered(self, request: Request, event: render.Event) -> Visit:
        """Say who looks, with the currency of where they seem to be, if the event is sold in it and none is chosen."""
        visit, choice = self._visit(request), request.scope["choice"]
        if choice.currency in event["currencies"] or len(event["currencies"]) < 2:
            return visit
        code = offered(self._region_of(request.scope), event["currencies"])
        return visit if code == event["currency"] else replace(visit, offer=code)


def _shown(known: Known, counts: Counts | None, wanted: str) -> render.Event:
    """Show an event in the currency that is wanted, if it is sold in it; nothing is ever converted."""
    event, prices = known.event, known.prices.amounts
    others = [code for code in known.prices.currencies if code != event.currency]
    currency = wanted if wanted in others else event.currency
    return {
        "id": event.id,
        "title": event.title,
        "subtitle": event.subtitle,
        "about": event.about,
        "motif": event.motif,
        "venue": known.venue.name,
        "city": known.venue.city,
        "zone": known.venue.time_zone,
        "starts_ms": event.starts_ms,
        "sale_from_ms": event.sale_from_ms,
        "sale_until_ms": event.sale_until_ms,
        "state": event.state.value,
        "currency": currency,
        "own_currency": event.currency,
        "currencies": [event.currency, *others],
        "unmet_currency": "" if wanted in {"", currency} else wanted,
        "max_per_buyer": event.max_per_buyer,
        "tiers": [
            {"tier": tier, "name": name, "price_minor": prices.get(tier, {}).get(currency)}
            for tier, name in sorted(known.tiers.items())
        ],
        "seats": 0 if counts is None else sum(counts),
        "free": None if counts is None else counts[Status.FREE],
        "layout_url": f"/layouts/{event.layout_id}.json",
    }


def _trouble(error: Refused | Unavailable) -> tuple[str, dict[str, float]]:
    """Give the code under which words are found for a failure, and the numbers in them."""
    extra = error.extra
    has, left = extra.get("has", 0), extra.get("left", 0)
    most = extra.get("max", left)
    numbers = {"has": has, "left": left, "n": most}
    code = "store-away" if isinstance(error, Unavailable) else error.code
    return code, {name: value for name, value in numbers.items() if isinstance(value, int)}


def _id(request: Request) -> str:
    event: str = request.path_params["event"]
    if SLUG.fullmatch(event) is None:
        raise HTTPException(404)
    return event


def _to(path: str) -> Response:
    return RedirectResponse(path, 303, {"Cache-Control": "no-store"})


def _new_key() -> str:
    return secrets.token_urlsafe(16)
