"""Joined shop: all parts of the shop put together: the use cases, the addresses, and what runs in the background.

Who asks is told from outside (``buyer_of``), and so is what is shared with other processes (``ShopParts``). Nothing is
decided here. Not here: who may come in (``shop``), processes and sockets (``server``).
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Collection, Mapping
from typing import TYPE_CHECKING

from starlette.requests import Request

from checkout.catalogue.reading import CatalogueReader
from checkout.catalogue.selling import Standing, sale
from checkout.catalogue.web import CatalogueWeb
from checkout.eventlog.sealing import Sealing
from checkout.holds.service import Holding
from checkout.holds.sweeping import Sweeping
from checkout.holds.watching import UNWATCHED, Watch
from checkout.holds.web import HoldsWeb
from checkout.live.counting import Counting
from checkout.live.crowding import Bounds
from checkout.live.loop_lag import LoopLag
from checkout.live.service import LiveMap
from checkout.live.web import MapWeb
from checkout.metrics import Metrics
from checkout.orders.forgetting import Forgetting
from checkout.sales.rebuilding import Rebuilder
from checkout.sales.reconciling import Reconciler
from checkout.sales.service import Reserving
from checkout.sales.web import ReservationsWeb
from checkout.site.choices import accepted_region
from checkout.site.order_pages import OrderPages
from checkout.site.pages_web import PagesWeb
from checkout.site.roles import EVERY, Role
from checkout.site.web import Shop, routes_of
from checkout.stock.ports import RoomStock
from checkout.stock.store import StockStore
from checkout.stock.watch import StockWatch
from checkout.waitlist.offers import Terms, terms_of
from checkout.waitlist.service import Waitlist
from checkout.waitlist.web import WaitlistWeb
from gateway.shop_parts import ShopParts
from kernel.asgi import Scope
from kernel.errors import Refused, Unavailable
from kernel.signing import keyed
from kernel.tasks import is_ending

if TYPE_CHECKING:
    from gateway.shop_judge import FraudJudge
    from gateway.shop_people import JoinedPeople
    from gateway.shop_push import JoinedPush
    from gateway.shop_tickets import JoinedTickets
    from gateway.shop_tills import JoinedTills

log = logging.getLogger(__name__)

HOLD_ID_BYTES = 8
AGAIN_S = 1.0

Work = Callable[[], Awaitable[None]]


class CatalogueTerms:
    """``checkout.waitlist.service.Programme``: what the waitlist must know, from the catalogue."""

    def __init__(self, catalogue: CatalogueReader) -> None:
        self._catalogue = catalogue

    async def terms(self, event: str) -> Terms | None:
        """Return what is known of an event; None for one that nobody may see."""
        try:
            known = await self._catalogue.known(event)
        except Refused:
            return None
        return terms_of(known, await self._catalogue.layout(known.event.layout_id))


def hold_ids(secret: bytes) -> Callable[[str, str, str], bytes]:
    """Make the function that names holds: nobody guesses one, and the same wish has the same."""
    mac = keyed(secret)

    def hold_id(event: str, buyer: str, key: str) -> bytes:
        return mac(f"{event}\0{buyer}\0{key}".encode())[:HOLD_ID_BYTES]

    return hold_id


def no_tickets(event: str, order: str) -> str:
    """Give no address: a shop without tickets."""
    del event, order
    return ""


class JoinedShop:
    """One process's shop."""

    def __init__(
        self,
        parts: ShopParts,
        buyer_of: Callable[[Scope], str],
        hold_secret: bytes,
        who: str,
        metrics: Metrics,
        *,
        offer_ms: int,
        roles: Collection[Role] = EVERY,
        rooms: RoomStock | None = None,
        bounds: Bounds | None = None,
        tills: "JoinedTills | None" = None,
        judge: "FraudJudge | None" = None,
        people: "JoinedPeople | None" = None,
        secure: bool = False,
        watch: Watch = UNWATCHED,
        works: Mapping[str, Work] | None = None,
        tickets: "JoinedTickets | None" = None,
        push: "JoinedPush | None" = None,
    ) -> None:
        """`who` names this process for its turns; `rooms` hear what is left, if there are any.

        `tills` take money, `judge` looks at who pays, `people` keep where tickets go.

        `bounds`: what the process may be burdened with before maps become coarse; `secure`: pages come over TLS.

        `watch` hears what buyers do with seats; `works`: more to do in the background, by name.

        `tickets` are what `tills` have sold; `push` has browsers told.
        """
        self._works = dict(works or {})
        self.parts = parts
        self._metrics = metrics
        self._roles = frozenset(roles)
        catalogue, shards, clock = parts.catalogue, parts.shards, parts.clock
        hold_id = hold_ids(hold_secret)
        self.rebuilder = rebuilder = Rebuilder(catalogue, shards, metrics, who)

        async def rebuild(event: str) -> None:
            await rebuilder.rebuild(event)

        self._lag = LoopLag()
        self.live_map = LiveMap(catalogue, shards, rebuild, clock, metrics, self._lag, bounds)
        self.holding = Holding(catalogue, shards, rebuild, hold_id, clock, metrics, self.live_map.look)
        self.reserving = Reserving(catalogue, shards, rebuilder.rebuild, clock, metrics)
        self.reconciler = Reconciler(catalogue, shards, rebuilder, clock, metrics, who)
        self.sealing = Sealing(shards.all, clock, metrics)
        self.sweeping = Sweeping(catalogue, shards, clock, metrics, who, watch=watch)
        self.waitlist = Waitlist(CatalogueTerms(catalogue), shards, hold_id, clock, who, offer_ms=offer_ms)
        self._stock = (
            None
            if rooms is None
            else StockWatch(catalogue, shards, StockStore(parts.store), rooms, clock, metrics, who)
        )

        async def buyer(request: Request) -> str:
            return buyer_of(request.scope)

        self.tills, self._judge, self.people = tills, judge, people
        pages = None
        if tills is not None:
            pages = OrderPages(
                tills.ordering, self.reserving, tills.ways, buyer_of, tills.seen_of,
                fields=tills.fields, is_live=tills.is_live, contacts=None if people is None else people.pages,
                accounts=None if people is None else people.accounts,
                push=None if push is None else push.pages,
                tickets_of=no_tickets if tickets is None else tickets.links.tickets,
            )  # fmt: skip
        listed = CatalogueWeb(catalogue)
        self.app = Shop(
            routes_of(
                HoldsWeb(self.holding, buyer_of, metrics, watch),
                ReservationsWeb(self.reserving, buyer_of, metrics),
                MapWeb(self.live_map, metrics),
                *([tills.web] if tills is not None else []),
                *([tickets.web] if tickets is not None else []),
                *([people.web, people.waiting_web] if people is not None else []),
            ),
            {
                ("GET", "listing"): listed.listing,
                ("GET", "detail"): listed.detail,
                ("GET", "layout"): listed.layout,
            },
            PagesWeb(
                catalogue,
                Counting(shards, clock),
                self.holding,
                self.reserving,
                self.waitlist,
                buyer_of,
                clock,
                metrics,
                pages,
                None if tickets is None else tickets.pages,
                None if people is None else people.waiting_pages,
                region_of=self.region_of,
                secure=secure,
                watch=watch,
            ),
            WaitlistWeb(self.waitlist, buyer).routes,
            self._roles,
        )
        self._tasks: list[asyncio.Task[None]] = []

    def region_of(self, scope: Scope) -> str:
        """Tell where a visitor seems to be: by the operator's Geo-IP file, else by what their browser speaks."""
        country = ""
        if self._judge is not None and self.tills is not None:
            country = self._judge.country(self.tills.seen_of(scope).address)
        return country or accepted_region(scope)

    async def start(self) -> None:
        """Put back maps that are not there, and begin what runs in the background."""
        if Role.BACKGROUND in self._roles:
            await self.open_halls()
        if Role.MAP in self._roles:
            # Only now: a loop that is busy with opening halls is not a crowd.
            self._lag.start()
            self.live_map.start()
        self._tasks = [
            asyncio.create_task(self._keep(name, work), name=name)
            for name, work in self._background().items()
        ]

    def drain(self) -> None:
        """End the streams: pages come back by themselves, to another process."""
        self.live_map.end()

    async def stop(self) -> None:
        """End what runs in the background."""
        left = set(self._tasks)
        while left:
            # Asked again: what waits for a socket may lose a cancellation (asyncio.wait_for before Python 3.12).
            for task in left:
                task.cancel()
            _, left = await asyncio.wait(left, timeout=AGAIN_S)
        await self.live_map.stop()
        self._lag.stop()

    async def open_halls(self) -> None:
        """Give the store the map of every event on sale that it has none of: a first opening, or a lost store."""
        now_ms = self.parts.clock.now_ms()
        for known in await self.parts.catalogue.all():
            if sale(known.event.window, now_ms).standing not in {Standing.ON_SALE, Standing.NOT_YET}:
                continue
            try:
                if await self.parts.shards.of(known.event.id).holds.counts(known.event.id) is None:
                    await self.rebuilder.rebuild(known.event.id)
            except (Refused, Unavailable) as error:
                # Another process is at it, or the store is away: whoever asks for the map tries again.
                log.warning("a hall could not be opened", extra={"event": known.event.id, "code": error.code})

    def _background(self) -> dict[str, Work]:
        works = dict(self._works)
        if self._judge is not None:
            works["fraud"] = self._judge.run
        if len(self.parts.shards.all()) > 1:
            works["shards"] = self.parts.shards.run
        if Role.BACKGROUND in self._roles:
            works |= {
                "sweeping": self.sweeping.run,
                "reaping": self.reserving.reap,
                "sealing": self.sealing.run,
                "reconciling": self.reconciler.run,
                "waitlist": self.waitlist.run,
            }
            if self.people is not None:
                works["purging"] = self.people.purging.run
            if self.tills is not None:
                works["orders"] = self.tills.recovering.run
                works["keys"] = Forgetting(self.parts.shards, self.parts.clock, self._metrics).run
            if self._stock is not None:
                works["stock"] = self._stock.run
        return works

    async def _keep(self, name: str, work: Work) -> None:
        """Do a piece of background work for ever: it begins anew when something has ended it that nobody foresaw."""
        while not is_ending():
            try:
                await work()
            except Exception:
                self._metrics.background_failures.count(name)
                log.exception("background work failed and begins anew", extra={"work": name})
            await asyncio.sleep(AGAIN_S)
