"""Tickets web: the addresses of tickets below ``/api/events/{event}/``, as raw ASGI. Decides nothing.

    GET  orders/*/tickets   200 {"tickets": […], "link": address}   the buyer's own

A ticket tells its id, number, seat, price, ``state`` (valid, used, revoked), ``why`` it was revoked, whether it is
``blocked``, when it was used, and its ``code`` while it lets somebody in. ``link`` is the address of their page, which
needs no admission. Not here: the pages (``site.ticket_pages``), letting people in (``tickets.scan_web``).
"""

from collections.abc import Callable, Mapping
from typing import TypedDict

import orjson

from checkout.catalogue.reading import CatalogueReader
from checkout.halls.sections import Layout, names
from checkout.metrics import Metrics
from checkout.sales.web import Handler
from checkout.tickets.links import Links
from checkout.tickets.service import Shown, Tickets
from kernel.asgi import Receive, Scope, Send, respond
from kernel.errors import Refused

_JSON = [(b"content-type", b"application/json"), (b"cache-control", b"no-store")]


class TicketPaper(TypedDict):
    """A ticket as its holder sees it."""

    ticket: str
    number: str
    order: str
    seat: int
    section: str
    row: str
    place: str
    tier: int
    price_minor: int
    currency: str
    state: str
    why: str
    blocked: bool
    used_ms: int
    code: str


def ticket_paper(shown: Shown, layout: Layout) -> TicketPaper:
    """Write a ticket's paper."""
    ticket = shown.ticket
    section, row, place = names(layout, ticket.seat)
    return {
        "ticket": ticket.id,
        "number": ticket.number,
        "order": ticket.order,
        "seat": ticket.seat,
        "section": section,
        "row": row,
        "place": place,
        "tier": shown.line.tier,
        "price_minor": shown.line.price_minor,
        "currency": shown.line.currency,
        "state": ticket.state.value,
        "why": ticket.why.value,
        "blocked": shown.is_blocked,
        "used_ms": ticket.used_ms,
        "code": shown.code,
    }


class TicketsWeb:
    """Handlers of tickets."""

    def __init__(
        self,
        tickets: Tickets,
        links: Links,
        catalogue: CatalogueReader,
        buyer_of: Callable[[Scope], str],
        metrics: Metrics,
    ) -> None:
        """`buyer_of` tells who asks, and may raise ``Refused``."""
        self._tickets = tickets
        self._links = links
        self._catalogue = catalogue
        self._buyer_of = buyer_of
        self.routes: Mapping[tuple[str, str], Handler] = metrics.watched(
            {("GET", "orders/*/tickets"): self.of_order}
        )

    async def of_order(self, scope: Scope, receive: Receive, send: Send, event: str, order: str) -> None:
        """Tell the tickets of an order."""
        del receive
        shown = await self._tickets.of_buyer(event, order, self._buyer_of(scope))
        if shown is None:
            raise Refused("order-unknown", "You have no such order.", 404)
        known = await self._catalogue.known(event)
        layout = await self._catalogue.layout(known.event.layout_id)
        papers = [ticket_paper(one, layout) for one in shown]
        link = self._links.tickets(event, order) if papers else ""
        await respond(send, 200, _JSON, orjson.dumps({"tickets": papers, "link": link}))
