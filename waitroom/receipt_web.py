"""Receipt web: the address at which fans get a signed receipt, as raw ASGI. Decides nothing.

GET receipt   with the ticket -> a JWT of what the line holds of them, and why they began in their lane
"""

from collections.abc import Callable

from kernel.asgi import Receive, Scope, Send, respond
from waitroom import ticket as tickets
from waitroom.metrics import Handler
from waitroom.ports import ReceiptSigner
from waitroom.reading import Reading
from waitroom.service import Waitroom

_HEADERS = ((b"content-type", b"application/jwt"), (b"cache-control", b"no-store"))


class ReceiptWeb:
    """The handler of the public port. It takes (scope, receive, send, room)."""

    def __init__(
        self, waitroom: Waitroom, receipts: ReceiptSigner, presented: Callable[[Scope, Reading], str]
    ) -> None:
        """`presented` gives the ticket of a request."""
        self._waitroom = waitroom
        self._receipts = receipts
        self._presented = presented
        self.routes: dict[tuple[str, str], Handler] = {("GET", "receipt"): self.receipt}

    async def receipt(self, scope: Scope, receive: Receive, send: Send, room: str) -> None:
        """Give the fan a signed receipt of what the line holds of them."""
        del receive
        reading = self._waitroom.reading(room)
        held = tickets.read(self._waitroom.signer, self._presented(scope, reading), room)
        text = self._receipts.receipt(
            {
                "room": room,
                "run": held.run,
                "number": held.number,
                "leaf": held.leaf.hex(),
                "lane": str(held.lane),
                "lane_since_ms": held.lane_since_ms,
                "reasons": list(held.reasons),
                "iat": self._waitroom.clock.now_ms() // 1000,
            }
        )
        await respond(send, 200, _HEADERS, text.encode())
