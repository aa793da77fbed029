"""Port: what the shop asks of others, in its own words; whoever puts it together answers (``gateway``)."""

from typing import Protocol

from checkout.stock.remaining import StockState


class RoomStock(Protocol):
    """Who lets people in, and should know whether anything is left for them."""

    async def tell(self, room: str, state: StockState, left: int) -> None:
        """Say what is left behind a room; saying it twice is saying it once.

        Raises ``Refused`` (there is no such room), ``Unavailable``.
        """
