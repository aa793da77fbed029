"""Hall: tells the store's map what SQL has decided about an order's seats.

SQL has the last word and has said it; if the store is away, the reconciler tells it later (``sales.reconciling``). Not
here: the decision (``orders.store``), the store's own rules (``holds.hall``).
"""

import asyncio
import logging
from collections.abc import Sequence

import sqlalchemy as sa

from checkout.halls.seats import Status, hold_id_of
from checkout.holds.places import Place, Places
from checkout.orders.order import Order
from checkout.sales.reservation import Ended
from checkout.tables import SEATS
from kernel.errors import Unavailable

log = logging.getLogger(__name__)


class StoreHall:
    """The maps of the stores."""

    def __init__(self, places: Places) -> None:
        self._places = places

    async def sold(self, order: Order) -> None:
        """Show an order's seats as sold."""
        hold = hold_id_of(order.id.removeprefix("O"))
        if hold is None:
            return
        try:
            await self._places.of(order.event).holds.settle(order.event, hold, "sold")
        except Unavailable as error:
            _later(order.event, error)

    async def freed(self, order: Order, ended: Ended, *, was_sold: bool) -> None:
        """Show seats as free again, those of an allocation as its own."""
        place, hold = self._places.of(ended.event), hold_id_of(ended.hold)
        try:
            if not was_sold and hold is not None:
                await place.holds.settle(ended.event, hold, "back")
            elif was_sold:
                for back, seats in (await asyncio.to_thread(_backs, place, ended)).items():
                    await place.holds.reclaim(ended.event, order.buyer, back, seats)
        except Unavailable as error:
            _later(ended.event, error)


def _backs(place: Place, ended: Ended) -> dict[Status, Sequence[int]]:
    """Tell which of the seats are free in SQL now, and which are an allocation's."""
    own = sa.select(SEATS.c.seat, SEATS.c.status).where(
        SEATS.c.event_id == ended.event,
        SEATS.c.seat.in_(ended.seats),
        SEATS.c.status.in_([Status.FREE.value, Status.BLOCKED.value]),
    )
    found: dict[Status, list[int]] = {}
    with place.database.reading() as connection:
        for seat, status in connection.execute(own.order_by(SEATS.c.seat)):
            found.setdefault(Status(status), []).append(seat)
    return {status: seats for status, seats in found.items() if seats}


def _later(event: str, error: Unavailable) -> None:
    log.warning("the store has not heard of an order", extra={"event": event, "code": error.code})
