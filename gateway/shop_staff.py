"""Shop's staff: those who work for the organiser and log in with a browser, put together. Nothing is decided here.

Only where a provider is set; without one staff have tokens. The page stands at ``/staff`` of the shop's own port, and
needs no admission. Imported only where it is needed: it asks a provider over HTTP.
"""

from collections.abc import Awaitable, Callable
from urllib.parse import urlsplit

from starlette.types import ASGIApp

from checkout.backoffice.navigation import OFFICE
from checkout.backoffice.office import Office
from checkout.metrics import Metrics
from checkout.people.staff_keys import StaffKeys
from checkout.people.staff_sessions import StaffSession
from checkout.staffroom.entrance import Entrance
from checkout.staffroom.room import StaffRoom
from gateway.demo_staff import has_logins
from gateway.oidc_requests import OidcRequests
from gateway.settings import Settings
from gateway.shop_people import JoinedPeople
from kernel.asgi import Receive, Scope, Send
from kernel.clock import Clock
from kernel.security_keys import KeySite


class StaffDoor:
    """Where staff come in: the room in which they log in, and the office in which they work."""

    def __init__(self, room: StaffRoom, office: Office) -> None:
        self.room = room
        self.office = office
        self.routes = [*room.routes, *office.routes]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hand on."""
        is_office = f"{scope['path']}/".startswith(f"{OFFICE}/")
        await (self.office if is_office else self.room)(scope, receive, send)


class JoinedStaff:
    """One process's staff."""

    def __init__(self, settings: Settings, people: JoinedPeople, clock: Clock, metrics: Metrics) -> None:
        """Join everything; nobody is asked yet."""
        site = settings.staff_site(settings.site)
        identity = OidcRequests(
            settings.staff_oidc_issuer or "",
            settings.staff_oidc_client_id or "",
            settings.staff_oidc_client_secret or "",
            settings.staff_callback(settings.site),
            clock,
            settings.staff_role_claim or "",
        )
        self._clock = clock
        self._entrance = entrance = Entrance(
            people.staff_sessions,
            people.staff_people,
            identity,
            metrics,
            networks=settings.networks,
            secure=settings.secure,
            kept_s=settings.staff_session_h * 3600,
        )
        parts = urlsplit(site)
        keys = StaffKeys(
            people.database,
            people.keys,
            clock,
            KeySite(parts.hostname or "", "Waitroom", f"{parts.scheme}://{parts.netloc}"),
        )
        self.room = StaffRoom(
            entrance, people.staff_sessions, people.factors, keys, clock, is_demo=has_logins(settings)
        )
        self.session: Callable[[Scope], Awaitable[StaffSession | None]] = entrance.session
        self.close: Callable[[], Awaitable[None]] = identity.close

    def door(self, api: ASGIApp) -> StaffDoor:
        """Give the door; `api` is the organiser's, which the office's pages ask."""
        return StaffDoor(self.room, Office(self._entrance, api, self._clock))
