"""Letters' web: the organiser's addresses of what people were told, below ``/organiser/api/events/{id}``.

::

    GET   /letters                                dead letters, the newest first, each with its reason
    POST  /letters/{message}/{channel}/again      have one sent again, from the beginning
    GET   /orders/{order}/letters                 what was told of an order, by channel, and how far that is
    POST  /orders/{order}/letters/resend          its tickets by mail once more, to the address that is kept now

It decides nothing. The addresses stand behind the organiser's door (``organiser.web``), and name no person. Not here:
sending (``notifications``).
"""

import asyncio
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from sqlalchemy import Connection, RowMapping
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from checkout.catalogue.reading import CatalogueReader
from checkout.holds.places import Places
from checkout.notifications import letters
from checkout.notifications.message import MAIL, Kind, message_id
from checkout.notifications.store import afresh, again
from checkout.organiser.talking import PREFIX, answer, event_of, resource, told
from kernel.clock import Clock
from kernel.errors import Refused

Rows = Sequence[RowMapping]


class LettersDesk:
    """The addresses of what people were told; ``routes`` go behind the organiser's door."""

    def __init__(self, catalogue: CatalogueReader, places: Places, clock: Clock) -> None:
        self._catalogue = catalogue
        self._places = places
        self._clock = clock
        event = f"{PREFIX}/events/{{event}}"
        self.routes: Sequence[Route] = [
            resource(f"{event}/letters", GET=self.dead),
            resource(f"{event}/letters/{{message}}/{{channel}}/again", POST=self.again),
            resource(f"{event}/orders/{{order}}/letters", GET=self.about),
            resource(f"{event}/orders/{{order}}/letters/resend", POST=self.resend),
        ]

    async def dead(self, request: Request) -> Response:
        """GET /letters."""
        event = await self._event(request)
        return answer({"letters": await self._read(event, partial(letters.dead, event=event))})

    async def about(self, request: Request) -> Response:
        """GET /orders/{order}/letters."""
        event, order = await self._event(request), str(request.path_params["order"])
        return answer(
            {"letters": await self._read(event, partial(letters.about, event=event, subject=order))}
        )

    async def again(self, request: Request) -> Response:
        """POST /letters/{message}/{channel}/again."""
        event = await self._event(request)
        message, channel = str(request.path_params["message"]), str(request.path_params["channel"])

        def writing() -> bool:
            with self._places.of(event).database.writing() as connection:
                return again(connection, event, message, channel, self._clock.now_ms())

        if not await asyncio.to_thread(writing):
            raise Refused("letter-unknown", "There is no such dead letter.", 404)
        told(request, "letter again", event=event, letter=message, channel=channel)
        return answer({"letter": message, "channel": channel, "state": "waiting"}, 202)

    async def resend(self, request: Request) -> Response:
        """POST /orders/{order}/letters/resend."""
        event, order = await self._event(request), str(request.path_params["order"])
        name = message_id(Kind.ORDER_PAID, order)

        def writing() -> bool:
            with self._places.of(event).database.writing() as connection:
                return afresh(connection, event, name, MAIL, self._clock.now_ms())

        if not await asyncio.to_thread(writing):
            raise Refused("letter-unknown", "No tickets were sent for this order yet.", 404)
        told(request, "tickets resent", event=event, order=order)
        return answer({"letter": name, "channel": MAIL, "state": "waiting"}, 202)

    async def _read(self, event: str, work: Callable[[Connection], Rows]) -> list[dict[str, Any]]:
        def reading() -> list[dict[str, Any]]:
            with self._places.of(event).database.reading() as connection:
                return [_paper(row) for row in work(connection)]

        return await asyncio.to_thread(reading)

    async def _event(self, request: Request) -> str:
        event = event_of(request)
        await self._catalogue.known(event, drafts=True)
        return event


def _paper(row: RowMapping) -> dict[str, Any]:
    paper = {str(name): value for name, value in row.items()}
    return {"letter": paper.pop("message_id"), **paper}
