"""Tickets' web: the organiser's addresses of tickets, below ``/organiser/api/events/{id}``. Decides nothing.

    GET   /tickets?order=   ?find=        all of an order; or one, by its number or id
    POST  /tickets/{ticket}/withdraw      revoke it: its seat stays sold, nobody is let in with it
    POST  /tickets/{ticket}/reissue       another one in its place, because it was lost or shown to others

A withdrawn ticket stays withdrawn; reissuing answers with the new ticket and the address of its page. What is done is
written to the log with who did it. Not here: what is decided (``tickets.service``), letting people in.
"""

from collections.abc import Sequence

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from checkout.catalogue.reading import CatalogueReader
from checkout.orders.order import is_order_id
from checkout.organiser.talking import PREFIX, answer, event_of, resource, told
from checkout.requests import same_site
from checkout.tickets.links import Links
from checkout.tickets.service import Shown, Tickets
from checkout.tickets.ticket import is_ticket_id
from checkout.tickets.web import ticket_paper
from kernel.errors import Refused

PARAMETERS = frozenset({"order", "find"})
MOST = 64
"""Characters that somebody may look for."""


class TicketsDesk:
    """Handlers of tickets, for organisers."""

    def __init__(self, tickets: Tickets, links: Links, catalogue: CatalogueReader) -> None:
        self._tickets = tickets
        self._links = links
        self._catalogue = catalogue

    @property
    def routes(self) -> Sequence[Route]:
        """Give the addresses."""
        own = f"{PREFIX}/events/{{event}}/tickets"
        return [
            resource(own, GET=self.find),
            resource(f"{own}/{{ticket}}/withdraw", POST=self.withdraw),
            resource(f"{own}/{{ticket}}/reissue", POST=self.reissue),
        ]

    async def find(self, request: Request) -> Response:
        """GET /tickets: of an order, or by what somebody reads off a ticket."""
        event, given = await self._event(request), request.query_params.multi_items()
        asked = dict(given)
        if len(given) != 1 or not set(asked) <= PARAMETERS or len(given[0][1]) > MOST:
            raise Refused("query-invalid", "Ask for one order, or for one ticket: ?order= or ?find=.", 400)
        if "order" in asked:
            if not is_order_id(asked["order"]):
                raise Refused("order-unknown", "There is no such order.", 404)
            shown = await self._tickets.all_of_order(event, asked["order"])
        else:
            shown = await self._tickets.find(event, asked["find"])
        return answer({"tickets": await self._papers(event, shown)})

    async def withdraw(self, request: Request) -> Response:
        """POST /tickets/{ticket}/withdraw."""
        same_site(request.scope)
        event, name = await self._event(request), _ticket(request)
        if await self._tickets.withdraw(event, name) is not None:
            told(request, "ticket-withdrawn", event=event, ticket=name)
        return answer((await self._papers(event, await self._known(event, name)))[0])

    async def reissue(self, request: Request) -> Response:
        """POST /tickets/{ticket}/reissue."""
        same_site(request.scope)
        event, name = await self._event(request), _ticket(request)
        await self._known(event, name)
        made = await self._tickets.reissue(event, name)
        if made is None:
            raise Refused("ticket-not-valid", "This ticket does not count any more, or was used.", 409)
        told(request, "ticket-reissued", event=event, ticket=name, became=made.id)
        return answer((await self._papers(event, await self._known(event, made.id)))[0], 201)

    async def _known(self, event: str, name: str) -> list[Shown]:
        shown = await self._tickets.of_name(event, name)
        if not shown:
            raise Refused("ticket-unknown", "There is no such ticket.", 404)
        return shown

    async def _papers(self, event: str, shown: Sequence[Shown]) -> list[dict[str, object]]:
        """Write tickets; a code is nobody's business but its holder's."""
        known = await self._catalogue.known(event, drafts=True)
        layout = await self._catalogue.layout(known.event.layout_id)
        papers: list[dict[str, object]] = []
        for one in shown:
            ticket = one.ticket
            name = ticket.id if ticket.holder else ticket.order
            offer = None if one.offer is None else one.offer.state.value
            papers.append({
                **ticket_paper(one, layout), "issue": ticket.issue, "holder": ticket.holder,
                "created_ms": ticket.created_ms, "changed_ms": ticket.changed_ms, "offer": offer,
                "link": self._links.tickets(event, name) if one.counts else "",
            })  # fmt: skip
            del papers[-1]["code"]
        return papers

    async def _event(self, request: Request) -> str:
        """Name the event, which must be there. Raises ``Refused("event-unknown")``."""
        return (await self._catalogue.known(event_of(request), drafts=True)).event.id


def _ticket(request: Request) -> str:
    """Name the ticket, as far as it can be one's id. Raises ``Refused("ticket-unknown")``."""
    name = str(request.path_params["ticket"])
    if not is_ticket_id(name):
        raise Refused("ticket-unknown", "There is no such ticket.", 404)
    return name
