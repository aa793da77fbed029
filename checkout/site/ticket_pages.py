"""Ticket pages: tickets on a screen, as a PDF, and for a phone's wallet; and giving one to somebody else.

    GET  /tickets/{event}/{name}/{mac}                     the tickets of an order, or one that was given away
    GET  …/tickets.pdf   …/{ticket}.pkpass                 to keep
    POST …/{ticket}/give   …/{ticket}/keep                 offer one to somebody, take the offer back
    GET  /gift/{event}/{ticket}/{mac}                      what somebody gives
    POST /gift/{event}/{ticket}/{mac}                      take it

Who has the link may see the tickets: no admission, months after the sale (``tickets.links``). A link that is not
ours is a page that there is not. Pages need no script. Answers are never stored by a cache, and tell no other site
where they came from. Drawing takes some milliseconds: it is done in a thread, a few at a time, and what was drawn is
kept for a while.

Not here: what is decided (``tickets.service``, ``tickets.giving``), how it looks (``render``, ``tickets.pdf``).
"""

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from checkout.catalogue.reading import CatalogueReader
from checkout.requests import same_site
from checkout.site.forms import html
from checkout.site.push_pages import PushPages
from checkout.site.render import Event, Pages, Visit
from checkout.site.ticket_faces import face
from checkout.site.ticket_papers import printed
from checkout.site.words import languages
from checkout.tickets.face import Face
from checkout.tickets.giving import NotGiven
from checkout.tickets.links import Links
from checkout.tickets.qr import svg
from checkout.tickets.service import Shown, Tickets
from checkout.tickets.ticket import is_ticket_id
from checkout.tickets.wallet import MEDIA_TYPE, PassSigner, pkpass

PRIVATE = {
    "Cache-Control": "no-store, private",
    "Referrer-Policy": "no-referrer",
    "X-Robots-Tag": "noindex, nofollow",
    "X-Content-Type-Options": "nosniff",
}
AT_ONCE = 2
"""Papers that are drawn at the same time."""

KEPT = 64
"""Papers that are kept, of some tens of kilobytes each."""

BEARER = "bearer"
"""Who has a ticket that was given away: whoever has its link."""


class TicketPages:
    """Handlers of the ticket pages."""

    def __init__(
        self,
        tickets: Tickets,
        links: Links,
        catalogue: CatalogueReader,
        site: str,
        signer: PassSigner | None = None,
        *,
        is_live: bool = False,
        can_be_given: bool = True,
    ) -> None:
        """`site`: the shop's address as fans see it; `signer`: of passes, None: there are none."""
        self.push: PushPages | None = None
        self._tickets = tickets
        self._links = links
        self._catalogue = catalogue
        self._site = site.rstrip("/")
        self._signer = signer
        self._can_be_given = can_be_given
        self._pages = Pages(is_demo=not is_live)
        self._few = asyncio.Semaphore(AT_ONCE)
        self._drawn: OrderedDict[object, bytes] = OrderedDict()
        self._event: Callable[[Request], Awaitable[Event]]
        self._visit: Callable[[Request], Visit]

    def routes(
        self, event_of: Callable[[Request], Awaitable[Event]], visit_of: Callable[[Request], Visit]
    ) -> list[Route]:
        """Give the addresses; `event_of` and `visit_of` are the other pages' own."""
        self._event, self._visit = event_of, visit_of
        own, gift = "/tickets/{event}/{name}/{mac}", "/gift/{event}/{ticket}/{mac}"
        return [
            Route(own, self.show, methods=["GET"]),
            Route(f"{own}/tickets.pdf", self.paper, methods=["GET"]),
            Route(f"{own}/{{ticket}}.pkpass", self.wallet, methods=["GET"]),
            Route(f"{own}/{{ticket}}/give", self.give, methods=["POST"]),
            Route(f"{own}/{{ticket}}/keep", self.keep, methods=["POST"]),
            Route(gift, self.gift, methods=["GET"]),
            Route(gift, self.take, methods=["POST"]),
        ]

    # ------------------------------------------------------------------------------ looking

    async def show(self, request: Request) -> Response:
        """Show tickets."""
        shown, event, visit = await self._named(request), await self._event(request), self._visit(request)
        here = request.url.path
        t = languages()[visit.language].text
        faces = await self._faces(request, shown)
        cards = [
            {
                "face": own,
                "state": _state(one),
                "used_ms": one.ticket.used_ms,
                "qr": svg(one.code, t("ticket.code", number=one.ticket.number)) if one.code else "",
                "gift": self._gift(one, visit.now_ms),
                "can_be_given": self._can_be_given
                and _state(one) == "valid"
                and visit.now_ms < event["starts_ms"],
                "wallet": f"{here}/{one.ticket.id}.pkpass" if self._signer and _state(one) == "valid" else "",
                "path": f"{here}/{one.ticket.id}",
            }
            for one, own in zip(shown, faces, strict=True)
        ]
        has_paper = any(card["state"] == "valid" for card in cards)
        paper = f"{here}/tickets.pdf" if has_paper else ""
        push, name = None, request.path_params["name"]
        if self.push is not None and not is_ticket_id(name):
            push = self.push.shown(event["id"], name, here)
        return _private(request, self._pages.tickets(visit, event, cards, paper, push))

    async def paper(self, request: Request) -> Response:
        """Give the tickets that count as a PDF, a page for each."""
        counting = [one for one in await self._named(request) if _state(one) == "valid"]
        if not counting:
            raise HTTPException(404)
        faces = await self._faces(request, counting)
        octets = await self._made(("pdf", *faces), lambda: printed(faces))
        name = f'attachment; filename="{counting[0].ticket.event}.pdf"'
        return Response(octets, 200, {**PRIVATE, "Content-Disposition": name}, "application/pdf")

    async def wallet(self, request: Request) -> Response:
        """Give one ticket for a phone's wallet."""
        signer, wanted = self._signer, request.path_params["ticket"]
        found = [
            one for one in await self._named(request) if one.ticket.id == wanted and _state(one) == "valid"
        ]
        if signer is None or not found:
            raise HTTPException(404)
        (own,) = await self._faces(request, found)
        octets = await self._made(("pkpass", own), lambda: pkpass(own, signer))
        return Response(octets, 200, PRIVATE, MEDIA_TYPE)

    # ------------------------------------------------------------------------------- giving

    async def give(self, request: Request) -> Response:
        """Offer a ticket to somebody."""
        same_site(request.scope)
        ticket = await self._one(request)
        event = await self._event(request)
        if not self._can_be_given:
            raise HTTPException(404)
        # A ticket that cannot be given any more says so on its page.
        await self._tickets.offer(event["id"], ticket, event["starts_ms"])
        return _back(request)

    async def keep(self, request: Request) -> Response:
        """Take an offer back; one that was taken meanwhile shows on the page."""
        same_site(request.scope)
        ticket = await self._one(request)
        await self._tickets.keep(request.path_params["event"], ticket)
        return _back(request)

    async def gift(self, request: Request) -> Response:
        """Show what somebody gives."""
        shown, event, visit = await self._offered(request), await self._event(request), self._visit(request)
        is_open = shown.offer is not None and shown.offer.is_open(visit.now_ms) and _state(shown) == "valid"
        (own,) = await self._faces(request, [shown])
        text = self._pages.gift(visit, event, own, request.url.path, is_open=is_open)
        return _private(request, text, 200 if is_open else 410)

    async def take(self, request: Request) -> Response:
        """Take a ticket, once."""
        same_site(request.scope)
        shown = await self._offered(request)
        event = request.path_params["event"]
        taken = await self._tickets.take(event, shown.ticket.id, BEARER)
        if isinstance(taken, NotGiven):
            return await self.gift(request)
        return RedirectResponse(self._links.tickets(event, taken.id), 303, PRIVATE)

    # ---------------------------------------------------------------------------- the parts

    async def _named(self, request: Request) -> list[Shown]:
        """Return what a link names. Raises 404 for one that is not ours."""
        event, name, mac = (request.path_params[part] for part in ("event", "name", "mac"))
        if not self._links.opens(event, name, mac):
            raise HTTPException(404)
        shown = await self._tickets.of_name(event, name)
        if not shown:
            raise HTTPException(404)
        return shown

    async def _one(self, request: Request) -> str:
        """Return the ticket that a form is about, if the link shows it."""
        ticket: str = request.path_params["ticket"]
        if not any(one.ticket.id == ticket for one in await self._named(request)):
            raise HTTPException(404)
        return ticket

    async def _offered(self, request: Request) -> Shown:
        event, ticket, mac = (request.path_params[part] for part in ("event", "ticket", "mac"))
        shown = await self._tickets.offered(event, ticket) if is_ticket_id(ticket) else None
        if (
            shown is None
            or shown.offer is None
            or not self._links.gives(event, ticket, shown.offer.offered_ms, mac)
        ):
            raise HTTPException(404)
        return shown

    def _gift(self, one: Shown, now_ms: int) -> str:
        if one.offer is None or not one.offer.is_open(now_ms) or _state(one) != "valid":
            return ""
        return self._site + self._links.gift(one.ticket.event, one.ticket.id, one.offer.offered_ms)

    async def _faces(self, request: Request, shown: Sequence[Shown]) -> list[Face]:
        known = await self._catalogue.known(request.path_params["event"])
        layout = await self._catalogue.layout(known.event.layout_id)
        words = languages()[self._visit(request).language]
        return [face(words, known, layout, one) for one in shown]

    async def _made(self, key: object, draw: Callable[[], bytes]) -> bytes:
        octets = self._drawn.get(key)
        if octets is None:
            async with self._few:
                octets = await asyncio.to_thread(draw)
            self._drawn[key] = octets
            if len(self._drawn) > KEPT:
                self._drawn.popitem(last=False)
        return octets


def _state(one: Shown) -> str:
    """Name how a ticket stands, as the page's words do: valid, used, blocked, or why it was revoked."""
    if one.ticket.why:
        return one.ticket.why.value
    return "blocked" if one.is_blocked else one.ticket.state.value


def _private(request: Request, text: str, status: int = 200) -> Response:
    return html(request.scope, text, status=status, more=PRIVATE)


def _back(request: Request) -> Response:
    path: Any = request.path_params
    return RedirectResponse(f"/tickets/{path['event']}/{path['name']}/{path['mac']}", 303, PRIVATE)
