"""Seating's web: the organiser's addresses of layouts and of how the seats of an event stand. Decides nothing.

    GET  /layouts/{layout}      {"layout", "name", "seats", "sections": [{"section", "name", "kind", "first", "count"}]}
    GET  /events/{event}/hall   {"event", "at_ms", "is_live", "layout_id", "layout": the whole plan,
                                 "seats": [[first, count, tier, "free"], …], "allocations": {"fans": [[first, count]]}}

A status is a word of ``halls.seats``; stretches follow one another without a gap. They stand behind the organiser's
door (``organiser.web``). Not here: the layouts of a venue (``organiser.web``), what is done with seats.
"""

from collections.abc import Sequence
from itertools import groupby

import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from checkout.catalogue.service import Catalogue
from checkout.halls.seats import ranges, status, tier
from checkout.organiser.pages import refuse_any
from checkout.organiser.papers import layout_paper
from checkout.organiser.seating import Seatings
from checkout.organiser.talking import PREFIX, answer, event_of, resource
from kernel.clock import Clock


class SeatingDesk:
    """The addresses; ``routes`` go behind the organiser's door."""

    def __init__(self, catalogue: Catalogue, seatings: Seatings, clock: Clock) -> None:
        self._catalogue = catalogue
        self._seatings = seatings
        self._clock = clock
        self.routes: Sequence[Route] = [
            resource(f"{PREFIX}/layouts/{{layout}}", GET=self.layout),
            resource(f"{PREFIX}/events/{{event}}/hall", GET=self.hall),
        ]

    async def layout(self, request: Request) -> Response:
        """GET /layouts/{layout}."""
        refuse_any(request.query_params.multi_items())
        name = str(request.path_params["layout"])
        return answer(layout_paper(name, await self._catalogue.layout(name)))

    async def hall(self, request: Request) -> Response:
        """GET /events/{event}/hall: as it is now."""
        refuse_any(request.query_params.multi_items())
        found = await self._seatings.of(event_of(request))
        event = found.known.event
        written = await self._catalogue.layout_json(event.layout_id)
        return answer(
            {
                "event": event.id,
                "at_ms": self._clock.now_ms(),
                "is_live": found.is_live,
                "layout_id": event.layout_id,
                "layout": orjson.Fragment(written.octets),
                "seats": seat_runs(found.hall),
                "allocations": {name: ranges(seats) for name, seats in found.allocated.items()},
            }
        )


def seat_runs(hall: bytes) -> list[tuple[int, int, int, str]]:
    """Write a hall as ``(first, count, tier, status)``."""
    made, first = [], 0
    for octet, run in groupby(hall):
        count = sum(1 for _ in run)
        made.append((first, count, tier(octet), status(octet).name.lower()))
        first += count
    return made
