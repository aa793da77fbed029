"""Support's web: the desk of people who help buyers, below ``/organiser/api/events/{id}``. Decides nothing.

    GET  /support?find=                  orders, by whatever somebody can read out (``clues``)
    GET  /orders/{order}/timeline        all that has happened to one, in order, from the log (``timeline``)

What is told has no personal data beside the buyer's id, which is a session's; who bought and where to write to is kept
elsewhere. Not here: acts (``organiser.orders_web``, ``organiser.tickets_web``).
"""

from collections.abc import Sequence
from dataclasses import asdict

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from checkout.catalogue.reading import CatalogueReader
from checkout.halls.layout import Layout, names
from checkout.orders.order import OrderState, is_order_id
from checkout.orders.refund import RefundState
from checkout.orders.service import No
from checkout.organiser.clues import clues_of, read_find
from checkout.organiser.order_papers import listed_paper, refusal_of
from checkout.organiser.pages import refuse_any
from checkout.organiser.support import Found, Support
from checkout.organiser.talking import PREFIX, answer, event_of, resource
from checkout.tickets.ticket import TicketState, number_of


class SupportDesk:
    """The addresses of people who help."""

    def __init__(self, catalogue: CatalogueReader, support: Support) -> None:
        self._catalogue = catalogue
        self._support = support
        event = f"{PREFIX}/events/{{event}}"
        self.routes: Sequence[Route] = [
            resource(f"{event}/support", GET=self.find),
            resource(f"{event}/orders/{{order}}/timeline", GET=self.timeline),
        ]

    async def find(self, request: Request) -> Response:
        """GET /support."""
        known = await self._catalogue.known(event_of(request), drafts=True)
        text = read_find(request.query_params.multi_items())
        layout = await self._catalogue.layout(known.event.layout_id)
        answers = await self._support.find(known.event.id, clues_of(text, layout))
        papers = [found_paper(one, layout) for one in answers.found]
        return answer({"orders": papers, "is_all": answers.is_all})

    async def timeline(self, request: Request) -> Response:
        """GET /orders/{order}/timeline."""
        event = (await self._catalogue.known(event_of(request), drafts=True)).event.id
        name = str(request.path_params["order"])
        refuse_any(request.query_params.multi_items())
        told = await self._support.timeline(event, name) if is_order_id(name) else None
        if told is None:
            raise refusal_of(No.UNKNOWN)
        return answer({
            "order": name,
            "is_right": told.is_right,
            "faults": [{"where": where, "what": what} for where, what in told.faults],
            "timeline": [asdict(one) for one in told.happened],
        })  # fmt: skip


def found_paper(found: Found, layout: Layout) -> dict[str, object]:
    """Tell an order at a glance."""
    order = found.order
    is_blocked = (order["disputed_minor"] or 0) > 0
    newest = {ticket["seat"]: ticket for ticket in found.tickets}
    lines = []
    for line in found.lines:
        section, row, number = names(layout, line["seat"])
        ticket = newest.get(line["seat"])
        lines.append({
            "seat": line["seat"], "section": section, "row": row, "number": number,
            "price_minor": line["price_minor"], "is_theirs": line["active"],
            "ticket": ticket["id"] if ticket else None,
            "ticket_number": number_of(ticket["id"]) if ticket else None,
            "ticket_state": _state(ticket["state"], is_blocked=is_blocked) if ticket else None,
        })  # fmt: skip
    return {
        **listed_paper(order),
        "reservation": order["reservation_id"],
        "found_by": found.by,
        "provider": order["provider"],
        "payment": order["ref"] or None,
        "decline": order["decline"] or None,
        "seats": lines,
        "refunds": {
            state: {"count": count, "total_minor": total}
            for state, (count, total) in sorted(found.refunds.items())
        },
        "waits": waits(found),
    }


def _state(state: str, *, is_blocked: bool) -> str:
    return "blocked" if is_blocked and state != TicketState.REVOKED.value else state


def waits(found: Found) -> list[str]:
    """Name what somebody has to look at, or what is not finished."""
    is_paid = found.order["state"] == OrderState.PAID.value
    asked = {
        "review": found.order["state"] == OrderState.REVIEW.value,
        "money-to-take": found.order["state"] == OrderState.CONFIRMED.value,
        "refund-failed": RefundState.FAILED.value in found.refunds,
        "refund-wanted": RefundState.WANTED.value in found.refunds,
        "dispute": found.open_disputes > 0,
        "ticket-missing": is_paid and len({one["seat"] for one in found.tickets}) < len(found.lines),
    }
    return [name for name, is_so in asked.items() if is_so]
