"""Link: opens tickets for whoever has it, without an admission and months after the sale.

A link names an order, or a ticket that was given away, and has a mac that nobody else can make. It is a bearer paper
like the ticket itself: who has the link has the tickets. A gift's link is for one ticket as it was offered at that
moment: taken back and offered again, it is another. Nothing of a link is kept. Pure.
"""

from collections.abc import Callable
from hmac import compare_digest

from kernel.signing import b64url, keyed

DOORS = ("/tickets/", "/gift/", "/static/")
"""What fans reach without an admission: the tickets that they have, and what their pages are made of."""

SCAN = "/scan/"
OPEN = (*DOORS, SCAN, "/account/")
"""What a gate before the shop lets through without an admission: links, scanners' tokens and logins of their own."""

PUBLISHED = "/.well-known/waitroom-open-paths"
"""Where a shop says so, for whoever sets up its gate."""

_MAC_BYTES = 16
_SEPARATOR = "\0"


class Links:
    """Makes links and tells whether one is ours."""

    def __init__(self, secret: bytes) -> None:
        self._mac: Callable[[bytes], bytes] = keyed(secret)

    def tickets(self, event: str, name: str) -> str:
        """Return the path of the tickets of an order, or of one ticket that was given away."""
        return f"/tickets/{event}/{name}/{self._made('tickets', event, name)}"

    def opens(self, event: str, name: str, mac: str) -> bool:
        """Tell whether a link to tickets is ours."""
        return compare_digest(self._made("tickets", event, name).encode(), mac.encode())

    def gift(self, event: str, ticket: str, offered_ms: int) -> str:
        """Return the path by which somebody takes a ticket that is offered."""
        return f"/gift/{event}/{ticket}/{self._made('gift', event, ticket, str(offered_ms))}"

    def gives(self, event: str, ticket: str, offered_ms: int, mac: str) -> bool:
        """Tell whether a gift's link is ours, and of this offer."""
        return compare_digest(self._made("gift", event, ticket, str(offered_ms)).encode(), mac.encode())

    def _made(self, *parts: str) -> str:
        return b64url(self._mac(_SEPARATOR.join(parts).encode())[:_MAC_BYTES])
