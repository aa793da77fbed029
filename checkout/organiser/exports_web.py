"""Exports' web: tables to save, below ``/organiser/api/events/{id}``. Decides nothing.

    GET  /seats.csv                                           a line for each seat
    GET  /orders.csv?state=&buyer=&card=&from_ms=&until_ms=   a line for each order, the oldest first
    GET  /refunds.csv?state=                                  a line for each refund, the oldest first

They are sent as they are read (``talking.long_table``). Columns and how cells are written: ``exporting``, ``sheets``.
"""

from collections.abc import Callable, Mapping, Sequence

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from checkout.catalogue.reading import CatalogueReader
from checkout.organiser.exporting import Exporting
from checkout.organiser.finding import PARAMETERS
from checkout.organiser.pages import Wish, read_wish, refuse_any
from checkout.organiser.queues import REFUND_PARAMETERS
from checkout.organiser.talking import PREFIX, event_of, long_table, resource
from kernel.errors import Refused


class ExportsDesk:
    """The addresses of tables."""

    def __init__(self, catalogue: CatalogueReader, exporting: Exporting) -> None:
        self._catalogue = catalogue
        self._exporting = exporting
        event = f"{PREFIX}/events/{{event}}"
        self.seat_routes: Sequence[Route] = [resource(f"{event}/seats.csv", GET=self.seats)]
        """What a shop has that takes no money."""
        self.routes: Sequence[Route] = [
            *self.seat_routes,
            resource(f"{event}/orders.csv", GET=self.orders),
            resource(f"{event}/refunds.csv", GET=self.refunds),
        ]

    async def seats(self, request: Request) -> Response:
        """GET /seats.csv."""
        known = await self._catalogue.known(event_of(request), drafts=True)
        refuse_any(request.query_params.multi_items())
        layout = await self._catalogue.layout(known.event.layout_id)
        return await long_table(self._exporting.seats(known, layout), f"{known.event.id}-seats.csv")

    async def orders(self, request: Request) -> Response:
        """GET /orders.csv."""
        event = await self._event(request)
        wish = _wish(request, PARAMETERS)
        return await long_table(self._exporting.orders(event, wish), f"{event}-orders.csv")

    async def refunds(self, request: Request) -> Response:
        """GET /refunds.csv."""
        event = await self._event(request)
        wish = _wish(request, REFUND_PARAMETERS)
        return await long_table(self._exporting.refunds(event, wish), f"{event}-refunds.csv")

    async def _event(self, request: Request) -> str:
        """Name the event, which must be there. Raises ``Refused("event-unknown")``."""
        return (await self._catalogue.known(event_of(request), drafts=True)).event.id


def _wish(request: Request, known: Mapping[str, Callable[[str], bool]]) -> Wish:
    """Read what rows are wanted; a table has no pages. Raises ``Refused("query-invalid")``."""
    given = request.query_params.multi_items()
    if any(name in {"after", "limit"} for name, _ in given):
        raise Refused("query-invalid", "A table is told whole: it has no pages.", 422)
    return read_wish(given, known, ())
