"""Room stock: ``checkout.stock.ports.RoomStock`` over HTTP: the operator's port hears what is left (``stock_api``).

The shop is a backend like any other here: it knows an address and the backend's token. A request for each telling, at
most one a second, in a thread: what a connection that stays would save is not worth its upkeep.
"""

import asyncio
import json
import urllib.request
from http.client import HTTPException
from urllib.error import HTTPError
from urllib.parse import quote

from checkout.stock.remaining import StockState
from kernel.errors import Refused, Unavailable

TIMEOUT_S = 3.0


class OperatorsRooms:
    """Tells rooms through the operator's port."""

    def __init__(self, address: str, token: str) -> None:
        """`address` is that of the operator's port, as ``http://127.0.0.1:8081``."""
        self._address = address.rstrip("/")
        self._token = token

    async def tell(self, room: str, state: StockState, left: int) -> None:
        """Say what is left behind a room."""
        await asyncio.to_thread(self._post, room, json.dumps({"state": state.value, "left": left}).encode())

    def _post(self, room: str, body: bytes) -> None:
        request = urllib.request.Request(  # noqa: S310 - the operator's own address, http by construction
            f"{self._address}/api/rooms/{quote(room, safe='')}/stock",
            body,
            {"content-type": "application/json", "authorization": f"Bearer {self._token}"},
            method="POST",
        )
        try:
            with urllib.request.urlopen(request, timeout=TIMEOUT_S) as answer:  # noqa: S310 - as above
                answer.read(4096)
        except HTTPError as error:
            with error:
                if error.code < 500 and error.code != 429:
                    raise Refused("room-not-told", f"The operator's port said {error.code}.", 502) from error
                raise Unavailable("room-not-told", f"The operator's port said {error.code}.") from error
        except (OSError, HTTPException) as error:
            raise Unavailable("room-not-told", "The operator's port does not answer.") from error
