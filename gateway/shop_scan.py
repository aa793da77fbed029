"""Shop's doors: what reads tickets at an event's entrance, joined to the shop's databases and the keys of tickets.

Apart from ``shop``, because a scanner has no admission and no account, and is asked for by few processes. Not here: the
answer itself (``checkout.tickets.scan_web``), the page (``checkout.site.scan_page``).
"""

from collections.abc import Sequence

from starlette.routing import Route
from starlette.types import ASGIApp

from checkout.metrics import Metrics
from checkout.organiser.doors_web import DoorsDesk
from checkout.site.scan_page import ScanPages
from checkout.tickets.keys import TicketKeys
from checkout.tickets.scan_web import ScanWeb
from checkout.tickets.scanning import Scanning
from gateway.settings import Settings
from gateway.shop_parts import ShopParts


class ShopDoors:
    """A scanner's addresses, and the organiser's addresses of scanners."""

    def __init__(self, settings: Settings, parts: ShopParts, keys: TicketKeys, metrics: Metrics) -> None:
        """Join the parts; nothing is asked yet."""
        scanning = Scanning(parts.shards, keys, parts.clock, metrics)
        self.app: ASGIApp = ScanWeb(
            scanning, parts.catalogue, ScanPages(), parts.clock, metrics, secure=settings.secure
        )
        self.routes: Sequence[Route] = DoorsDesk(parts.catalogue, scanning, parts.clock).routes
