"""Shop's tickets: keys, links, use cases, addresses and pages of tickets, put together.

Nothing is decided here. Not here: making tickets, which belongs to the money (``shop_tills``).
"""

import asyncio
from collections.abc import Callable

from checkout.metrics import Metrics
from checkout.site.ticket_pages import TicketPages
from checkout.tickets.keys import TicketKeys
from checkout.tickets.links import Links
from checkout.tickets.service import Tickets
from checkout.tickets.wallet import PassSigner, demo_signer, read_signer
from checkout.tickets.web import TicketsWeb
from gateway.settings import Settings
from gateway.shop_parts import ShopParts
from gateway.shop_tills import JoinedTills
from kernel.asgi import Scope
from kernel.errors import Misconfigured
from kernel.settings import env
from kernel.tasks import is_ending

REFRESH_S = 2.0


def signer_of(settings: Settings, now_ms: int) -> PassSigner | None:
    """Read what signs passes for wallets; the sandbox has one that no device takes. Raises ``Misconfigured``."""
    if settings.pass_certificate is None:
        return demo_signer(now_ms) if settings.has_sandbox else None
    files = (settings.pass_certificate, settings.pass_key, settings.pass_intermediate)
    try:
        certificate, key, intermediate = (b"" if file is None else file.read_bytes() for file in files)
    except OSError as error:
        raise Misconfigured([f"{env('pass_certificate')}: a file cannot be read: {error}."]) from error
    return read_signer(certificate, key, intermediate, now_ms=now_ms)


class JoinedTickets:
    """One process's tickets."""

    def __init__(
        self,
        settings: Settings,
        parts: ShopParts,
        tills: JoinedTills,
        buyer_of: Callable[[Scope], str],
        secret: bytes,
        metrics: Metrics,
    ) -> None:
        """`secret`: what links are made with. Raises ``Misconfigured``."""
        now_ms = parts.clock.now_ms()
        self.keys = TicketKeys.open(settings.ticket_keys_path, now_ms)
        self.links = Links(secret)
        self.service = Tickets(parts.shards, lambda place: tills.till(place).group, self.keys, parts.clock)
        self.web = TicketsWeb(self.service, self.links, parts.catalogue, buyer_of, metrics)
        site = settings.site
        self.pages = TicketPages(
            self.service,
            self.links,
            parts.catalogue,
            site,
            signer_of(settings, now_ms),
            is_live=tills.is_live,
            can_be_given=settings.ticket_transfers,
        )

    async def run(self) -> None:
        """Follow the file of keys, for ever."""
        while not is_ending():
            self.keys.refresh()
            await asyncio.sleep(REFRESH_S)
