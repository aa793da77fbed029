"""Census web: the address at which a page of the sample says that it is still there, as raw ASGI. Decides nothing.

    POST here   with the ticket -> 204, whether the page was asked or not

The status document says which round is on and how many pages one stands for; whether it is meant a page finds by
itself (``census.sampled``). Whoever is not asked costs the store nothing. Not here: the rule (``census``).
"""

from collections.abc import Callable

from kernel.asgi import Receive, Scope, Send, read_body, respond
from kernel.errors import Refused, Unavailable
from waitroom import ticket as tickets
from waitroom.metrics import Handler
from waitroom.reading import Reading
from waitroom.service import Waitroom

BODY_LIMIT_BYTES = 256
_NO_STORE = ((b"cache-control", b"no-store"),)


class CensusWeb:
    """The handler of the public port. It takes (scope, receive, send, room)."""

    def __init__(self, waitroom: Waitroom, prefix: str, presented: Callable[[Scope, Reading], str]) -> None:
        """Answer below `prefix`; `presented` gives the ticket of a request of this very site."""
        self._waitroom = waitroom
        self._prefix = prefix
        self._presented = presented
        self.routes: dict[tuple[str, str], Handler] = {("POST", "here"): self.here}

    async def here(self, scope: Scope, receive: Receive, send: Send, room: str) -> None:
        """Hear that somebody is still there."""
        if scope["path"] != f"{self._prefix}/r/{room}/here":
            raise Refused("address-unknown", "There is nothing at this address.", status=404)
        reading = self._waitroom.reading(room)
        text = self._presented(scope, reading)
        await read_body(receive, BODY_LIMIT_BYTES)
        held = tickets.read(self._waitroom.signer, text, room)
        if reading.fallen:
            raise Unavailable("room-restoring", "The room is being put back. Your place is safe.")
        if await self._waitroom.counting.hear(reading, held):
            self._waitroom.metrics.here.count += 1
        await respond(send, 204, _NO_STORE, b"")
