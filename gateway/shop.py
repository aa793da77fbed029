"""Shop's process: the shop with the admission guard around it, as any backend would have it.

Apart from ``wiring``, because a backend knows neither the line nor its journal: what this process does not import, it
need not wait for when it starts. Several processes may share the port; none needs what another one knows, and work in
the background takes turns by leases in the store.

    fans         ─► guard (a valid admission, or the waiting room) ─► guests ─► shop
    tickets      ─► /tickets/ and /gift/, by a link; and /static/: without an admission
    accounts     ─► /account, with a session of their own and without an admission
    organisers   ─► /organiser/, with their own token or session and without an admission
    staff        ─► /staff, to log in with a browser
    providers    ─► /hooks/, with their signature
    scanners     ─► /scan/, with their own token and without an admission
    health       ─► for everybody, and so is which of these need no admission
"""

import asyncio
import secrets
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from admission.guard import AdmissionGuard
from admission.keyring import KeyRing
from checkout.catalogue.programme import fill
from checkout.holds.watching import UNWATCHED
from checkout.live.crowding import Bounds
from checkout.metrics import Metrics
from checkout.notifications.relay import Relay
from checkout.orders.web import HooksWeb
from checkout.organiser.exporting import Exporting
from checkout.organiser.exports_web import ExportsDesk
from checkout.organiser.finding import Finding
from checkout.organiser.funnel import Funnel
from checkout.organiser.importing import Importing
from checkout.organiser.letters_web import LettersDesk
from checkout.organiser.orders_web import OrdersDesk
from checkout.organiser.people_web import PeopleDesk
from checkout.organiser.queues import Queues
from checkout.organiser.reporting import Reporting
from checkout.organiser.sales_web import SalesDesk
from checkout.organiser.seating import Seatings
from checkout.organiser.seating_web import SeatingDesk
from checkout.organiser.service import Organising
from checkout.organiser.staff_web import StaffDesk
from checkout.organiser.support import Mails, NoMails, Support
from checkout.organiser.support_web import SupportDesk
from checkout.organiser.takings import Counting
from checkout.organiser.talking import PREFIX
from checkout.organiser.tickets_web import TicketsDesk
from checkout.organiser.web import OrganiserWeb
from checkout.people.staff_tokens import StaffTokens
from checkout.site.roles import Role, read_roles
from checkout.site.ticket_papers import TicketPapers
from checkout.site.web import HEALTH, health, refusal
from checkout.tickets.links import DOORS, OPEN, PUBLISHED, SCAN
from gateway.condition import Condition
from gateway.demo_staff import has_logins, invite
from gateway.deriving import secret_for
from gateway.http import Broadcast
from gateway.room_stock import OperatorsRooms
from gateway.settings import Settings, loopback
from gateway.shop_devices import PURPOSE, DeviceCookie, Devices
from gateway.shop_guests import Guests
from gateway.shop_joined import JoinedShop
from gateway.shop_parts import ShopParts
from gateway.shop_post import ShopContacts, post_of
from gateway.shop_scan import ShopDoors
from kernel.asgi import respond
from kernel.errors import Refused
from kernel.metrics import render
from kernel.problems import raw_problem

if TYPE_CHECKING:
    from gateway.shop_money import Money
    from gateway.shop_staff import JoinedStaff

HOOKS = "/hooks/"
ACCOUNT = "/account/"
STAFF = "/staff/"


def buyer_of(scope: Scope) -> str:
    """Name the buyer: the admitted session. Raises ``Refused("admission-missing")``."""
    claims = scope.get("waitroom")
    if claims is None:
        raise Refused("admission-missing", "This needs an admission.", status=401)
    return str(claims.sid)


async def metrics(_request: Request) -> Response:
    """GET /metrics: for a shop that runs alone; with a line beside it the operator's port tells the same."""
    kind, text = render()
    return Response(text, headers={"content-type": kind, "cache-control": "no-store"})


class Doors:
    """Sends each kind of people to their own door."""

    def __init__(
        self,
        fans: ASGIApp,
        organisers: ASGIApp | None,
        hooks: HooksWeb | None = None,
        tickets: ASGIApp | None = None,
        scans: ASGIApp | None = None,
        accounts: ASGIApp | None = None,
        staff: ASGIApp | None = None,
    ) -> None:
        """`tickets`: who answers ``DOORS``, if the shop has tickets; `scans`: who answers door-keepers.

        `staff` is where those who work for the organiser log in.
        """
        self._staff = staff
        self._fans = fans
        self._tickets = tickets
        self._organisers = organisers
        self._hooks = hooks
        self._scans = scans
        self._accounts = accounts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hand on."""
        path = scope.get("path", "")
        if path == HEALTH and scope["type"] == "http":
            await health(scope, receive, send)
        elif path == PUBLISHED and self._tickets is not None and scope["type"] == "http":
            headers = [(b"content-type", b"application/json"), (b"cache-control", b"no-store")]
            await respond(send, 200, headers, orjson.dumps({"open_paths": OPEN}))
        elif path.startswith(("/organiser/", SCAN)) and scope["type"] == "http":
            own = self._scans if path.startswith(SCAN) else self._organisers
            if own is None:
                # Not the room's either: who asks here has no admission and needs none.
                await respond(send, *raw_problem(refusal(())))
            else:
                await own(scope, receive, send)
        elif self._tickets is not None and path.startswith(DOORS) and scope["type"] == "http":
            await self._tickets(scope, receive, send)
        elif self._accounts is not None and scope["type"] == "http" and f"{path}/".startswith(ACCOUNT):
            # A fan logs in and looks at their orders without standing in a line for it.
            await self._accounts(scope, receive, send)
        elif self._staff is not None and scope["type"] == "http" and f"{path}/".startswith(STAFF):
            await self._staff(scope, receive, send)
        elif path.startswith(HOOKS) and scope["type"] == "http":
            await self._hear(scope, receive, send, path.removeprefix(HOOKS))
        else:
            await self._fans(scope, receive, send)

    async def _hear(self, scope: Scope, receive: Receive, send: Send, provider: str) -> None:
        """Take a provider's notice in; it has no admission, but a signature."""
        if self._hooks is None:
            await respond(send, *raw_problem(refusal(())))
            return
        try:
            await self._hooks.hear(scope, receive, send, provider)
        except Exception as reason:  # noqa: BLE001 - failures become problems
            await respond(send, *raw_problem(reason))


class ShopProcess:
    """Role ``shop``: the shop. The guard stands before it as it would before any backend."""

    broadcast: Broadcast | None = None

    def __init__(self, settings: Settings, metrics: Metrics | None = None) -> None:
        """Join the parts; the keys come from the ring's file, which lies on the same disk."""
        self._settings = settings
        self._roles = read_roles(settings.shop_roles)
        self._parts = parts = ShopParts(settings)
        ring = KeyRing.open(settings.keyring_path, parts.clock.now_ms())
        self.ready = False

        def keys() -> Mapping[str, object]:
            ring.refresh()
            return ring.jwks()

        rooms = None
        if settings.backend_token is not None:
            operator = f"http://{loopback(settings.operator_host)}:{settings.operator_port}"
            rooms = OperatorsRooms(operator, settings.backend_token)
        metrics = metrics or Metrics()
        site = settings.site
        cookie = DeviceCookie(ring.signer("cookie", PURPOSE), parts.clock, secure=settings.secure)
        money: Money | None = None
        if settings.payments != "none" and not self._roles.isdisjoint(
            {Role.HOLDS, Role.BACKGROUND, Role.ORGANISER}
        ):
            # What asks others over HTTP is imported only where money is taken: a shop starts quickly.
            from gateway import shop_money  # noqa: PLC0415

            money = shop_money.Money(settings, parts, ring, buyer_of, cookie, metrics)
        self._judge = None if money is None else money.judge
        self._tickets = tickets = None if money is None else money.tickets
        tills = None if money is None else money.tills
        people = None if money is None else money.people
        push = None if money is None else money.push
        signals = None if money is None else money.signals
        works = {} if signals is None else {"signals": signals.run}
        if tickets is not None:
            works["ticket-keys"] = tickets.run
        self._post: Relay | None = None
        if Role.BACKGROUND in self._roles:
            self._post = post_of(
                settings,
                parts,
                metrics,
                None if people is None else ShopContacts(people.contacts, people.waiting),
                None if tickets is None else TicketPapers(tickets.service, parts.catalogue),
                None if tickets is None else tickets.links.tickets,
                None if push is None else push.channel,
            )
            works["outbox"] = self._post.run
        self.shop = JoinedShop(
            parts,
            buyer_of,
            secret_for(ring.active("sid").octets, "holds"),
            secrets.token_hex(8),
            metrics,
            offer_ms=settings.offer_s * 1000,
            roles=self._roles,
            rooms=rooms,
            bounds=Bounds(lag_ms=settings.shop_lag_ms),
            tills=tills,
            judge=self._judge,
            people=people,
            secure=settings.secure,
            watch=UNWATCHED if signals is None else signals,
            works=works,
            tickets=tickets,
            push=push,
        )
        live = self.shop.live_map
        self.condition = Condition({"map": lambda: live.is_crowded, "streams": lambda: live.is_full})
        page = f"{site.rstrip('/')}{settings.prefix}/r/{settings.shop_room}" if settings.shop_room else None
        fans = AdmissionGuard(
            Guests(
                Devices(self.shop.app, cookie) if tills is not None else self.shop.app, secure=settings.secure
            ),
            jwks=keys,
            issuer=settings.issuer,
            audience=settings.shop_address,
            room_page=page,
        )
        hooks = tills.hooks if tills is not None and Role.HOLDS in self._roles else None
        self._doors: ShopDoors | None = None
        if tickets is not None:
            self._doors = ShopDoors(settings, parts, tickets.keys, metrics)
        scans = self._doors.app if self._doors is not None and Role.HOLDS in self._roles else None
        self._staff: JoinedStaff | None = None
        if people is not None and settings.has_staff_logins and Role.ORGANISER in self._roles:
            from gateway import shop_staff  # noqa: PLC0415

            self._staff = shop_staff.JoinedStaff(settings, people, parts.clock, metrics)
        # Who has a link to tickets needs no admission; what they show is behind the link, not behind the guard.
        accounts = people.accounts if people is not None and Role.HOLDS in self._roles else None
        organisers = self._organisers()
        self.app: ASGIApp = Doors(
            fans,
            organisers,
            hooks,
            self.shop.app if tickets is not None else None,
            scans,
            accounts,
            None if self._staff is None or organisers is None else self._staff.door(organisers),
        )

    def _organisers(self) -> ASGIApp | None:
        token, parts = self._settings.organiser_token, self._parts
        staff = StaffTokens(self._settings.staff_tokens_path(self._settings.data), parts.clock)
        nobody = token is None and not staff.rows and self._staff is None
        if nobody or Role.ORGANISER not in self._roles:
            return None
        return OrganiserWeb(
            parts.catalogue,
            Importing(parts.catalogue),
            Organising(parts.catalogue, parts.shards),
            Reporting(parts.catalogue, parts.shards, parts.clock),
            {} if token is None else {"organiser": token},
            [
                Route(f"{PREFIX}/metrics", metrics),
                *LettersDesk(parts.catalogue, parts.shards, parts.clock).routes,
                *self._orders_desk(),
                *self._people_desk(staff),
                *self._office(),
            ],
            staff.member,
            None if self.shop.people is None else self.shop.people.factors.show,
            None if self._staff is None else self._staff.session,
        )

    def _office(self) -> Sequence[Route]:
        """Give the organisers' addresses of tables; and of sales and support, where money is taken."""
        parts, tills = self._parts, self.shop.tills
        exports = ExportsDesk(parts.catalogue, Exporting(parts.shards))
        seating = SeatingDesk(parts.catalogue, Seatings(parts.catalogue, parts.shards), parts.clock).routes
        if tills is None:
            return [*exports.seat_routes, *seating]
        people = self.shop.people
        mails: Mails = NoMails() if people is None else people.mails
        return [
            *exports.routes,
            *seating,
            *SalesDesk(parts.catalogue, Funnel(parts.shards), parts.clock).routes,
            *SupportDesk(parts.catalogue, Support(parts.shards, mails)).routes,
        ]

    def _orders_desk(self) -> Sequence[Route]:
        """Give the organisers' addresses of what was bought, where money is taken."""
        tills, parts = self.shop.tills, self._parts
        if tills is None:
            return ()
        finding, queues, counting = Finding(parts.shards), Queues(parts.shards), Counting(parts.shards)
        orders = OrdersDesk(parts.catalogue, tills.caring, finding, queues, counting, parts.clock).routes
        if self._tickets is None:
            return orders
        return [
            *orders,
            *TicketsDesk(self._tickets.service, self._tickets.links, parts.catalogue).routes,
            *(() if self._doors is None else self._doors.routes),
        ]

    def _people_desk(self, staff: StaffTokens) -> Sequence[Route]:
        """Give the organisers' addresses of what is kept of buyers, and of who may log in."""
        people = self.shop.people
        if people is None:
            return ()
        routes = PeopleDesk(self._parts.catalogue, people.contacts, people.personal, people.waiting).routes
        if self._staff is None:
            return routes
        return [*routes, *StaffDesk(people.staff_people, people.staff_sessions, staff.has).routes]

    async def start(self) -> None:
        """Connect, fill the demo's programme, open the halls, begin what runs in the background."""
        await self._parts.open()
        if self.shop.people is not None:
            await asyncio.to_thread(self.shop.people.check)
        if self._settings.shop_demo:
            await fill(self._parts.catalogue, self._parts.clock.now_ms(), self._settings.shop_room or "")
        people = self.shop.people
        if people is not None and self._staff is not None and has_logins(self._settings):
            tokens = StaffTokens(self._settings.staff_tokens_path(self._settings.data), self._parts.clock)
            await asyncio.to_thread(invite, people.staff_people, self._settings, tokens.has)
        await self.shop.start()
        self.ready = True

    def drain(self) -> None:
        """End the streams."""
        self.shop.drain()

    async def stop(self) -> None:
        """End the background, and disconnect."""
        await self.shop.stop()
        if self._post is not None:
            await self._post.close()
        if self._judge is not None:
            await self._judge.close()
        if self._staff is not None:
            await self._staff.close()
        if self.shop.tills is not None:
            await self.shop.tills.close()
        if self.shop.people is not None:
            await self.shop.people.close()
        await self._parts.close()


def build(settings: Settings, role: str) -> ShopProcess:
    """Give the process its application."""
    del role
    return ShopProcess(settings)
