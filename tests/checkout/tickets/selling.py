"""Tickets for tests: the use cases of tickets on a sale with money (``tills``)."""

from typing import Any

from checkout.tickets.keys import TicketKeys, new_key
from checkout.tickets.links import Links
from checkout.tickets.service import Shown, Tickets
from tests.checkout.reservations import EVENT
from tests.checkout.tills import Shop

LINKS = Links(b"links of the tests")


def tickets_at(own: Shop, keys: TicketKeys | None = None) -> Tickets:
    """Make the use cases, as another worker's."""
    worker = own.new_worker()
    places: Any = worker.ordering._places
    return Tickets(places, lambda _: worker.till.group, keys or TicketKeys([new_key(0)]), own.scene.clock)


async def bought(own: Shop, tickets: Tickets, *seats: int, buyer: str = "ann") -> list[Shown]:
    """Pay for seats; returns their tickets."""
    order = await own.paid(buyer, *seats)
    return await tickets.of_order(EVENT, order["order"])
