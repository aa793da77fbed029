"""An organiser's desk over a shop that takes money (``tills``): the API behind its door, and a client with a token."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx
from starlette.routing import Route

from checkout.holds.places import OnePlace
from checkout.organiser.exporting import Exporting
from checkout.organiser.exports_web import ExportsDesk
from checkout.organiser.finding import Finding
from checkout.organiser.funnel import Funnel
from checkout.organiser.importing import Importing
from checkout.organiser.orders_web import OrdersDesk
from checkout.organiser.queues import Queues
from checkout.organiser.reporting import Reporting
from checkout.organiser.sales_web import SalesDesk
from checkout.organiser.service import Organising
from checkout.organiser.support import Mails, NoMails, Support
from checkout.organiser.support_web import SupportDesk
from checkout.organiser.takings import Counting
from checkout.organiser.talking import PREFIX
from checkout.organiser.web import OrganiserWeb
from tests.checkout.bank import Bank
from tests.checkout.catalogues import with_event
from tests.checkout.organisers import TOKEN, TOKENS
from tests.checkout.reservations import EVENT
from tests.checkout.tills import Shop, Worker, shop


@dataclass
class OrderDesk:
    """A shop, and an organiser's client of it."""

    shop: Shop
    web: OrganiserWeb
    routes: Sequence[Route]
    """The desk's own addresses."""
    client: httpx.AsyncClient

    async def ask(self, method: str, path: str, plain: object = None, **headers: str) -> httpx.Response:
        """Ask below the event."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        given: dict[str, Any] = {} if plain is None else {"json": plain}
        return await self.client.request(method, f"{PREFIX}/events/{EVENT}{path}", headers=named, **given)

    async def everywhere(self, method: str, path: str) -> httpx.Response:
        """Ask below the prefix."""
        return await self.client.request(method, PREFIX + path)

    def stranger(self) -> httpx.AsyncClient:
        """Give a client that has no token."""
        return httpx.AsyncClient(transport=httpx.ASGITransport(self.web), base_url="http://shop")

    def beside(self) -> "OrderDesk":
        """Open the same desk at another worker."""
        return _opened(self.shop, self.shop.new_worker())

    async def other_event(self, name: str) -> None:
        """Put one more event into the catalogue."""
        await with_event(self.shop.scene.catalogue, id=name)

    async def refund(self, order: str, key: str, **plain: object) -> httpx.Response:
        """Have money go back."""
        body = {"reason": "asked for", **plain}
        return await self.ask("POST", f"/orders/{order}/refunds", body, idempotency_key=key)


def _opened(own: Shop, worker: Worker, mails: Mails | None = None) -> OrderDesk:
    scene = own.scene
    places = OnePlace(scene.place)
    desk = OrdersDesk(
        scene.catalogue, worker.caring, Finding(places), Queues(places), Counting(places), scene.clock
    )
    exports = ExportsDesk(scene.catalogue, Exporting(places))
    sales = SalesDesk(scene.catalogue, Funnel(places), scene.clock)
    support = SupportDesk(scene.catalogue, Support(places, mails or NoMails()))
    web = OrganiserWeb(
        scene.catalogue,
        Importing(scene.catalogue),
        Organising(scene.catalogue, places),
        Reporting(scene.catalogue, places, scene.clock),
        TOKENS,
        [*desk.routes, *exports.routes, *sales.routes, *support.routes],
    )
    headers = {"authorization": f"Bearer {TOKEN}"}
    client = httpx.AsyncClient(transport=httpx.ASGITransport(web), base_url="http://shop", headers=headers)
    return OrderDesk(own, web, desk.routes, client)


@asynccontextmanager
async def order_desk(
    url: str, store_url: str, *, bank: type[Bank] = Bank, mails: Mails | None = None, **options: Any
) -> AsyncIterator[OrderDesk]:
    """Open a sale with money and a desk beside it; `bank`: a kind of its own."""
    async with shop(url, store_url, **options) as own:
        if bank is not Bank:
            own.bank = bank(own.scene.clock)
            own.worker = own.new_worker()
        desk = _opened(own, own.worker, mails)
        async with desk.client:
            yield desk
