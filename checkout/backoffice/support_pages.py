"""Support page: an order is found by whatever somebody reads out: its number, a mail address, a ticket, a seat, a card.

A mail address is sent in a form and shown at once, so that it stands in no address and in nobody's history; everything
else becomes an address that can be sent on. Not here: what a text may be (``organiser.clues``).
"""

from collections.abc import Mapping, Sequence
from typing import Any

from starlette.responses import Response

from checkout.backoffice.asking import NotDone
from checkout.backoffice.visit import Page, Visit

EVENT = "/events/{event}"
SUPPORT = f"{EVENT}/support"
_NEED = (("GET", SUPPORT),)


async def support(visit: Visit) -> Response:
    """GET /events/{event}/support: ?find=."""
    return await _found(visit, visit.request.query_params.get("find", ""))


async def find(visit: Visit) -> Response:
    """POST /events/{event}/support: ``find``."""
    text = visit.field("find")
    if "@" in text:
        return await _found(visit, text)
    return visit.to(f"/events/{visit.name('event')}/support", find=text)


async def _found(visit: Visit, text: str) -> Response:
    await visit.choose_event()
    told: Mapping[str, Any] | None = None
    if text:
        try:
            told = (await visit.ask("GET", SUPPORT, query={"find": text})).plain
        except NotDone as fault:
            if fault.code != "query-invalid":
                raise
            visit.fault = fault
    return await visit.show("support.html", here="support", told=told, find=text)


PAGES: Sequence[Page] = (
    Page("GET", SUPPORT, support, _NEED),
    Page("POST", SUPPORT, find, _NEED, support, is_once=False),
)
