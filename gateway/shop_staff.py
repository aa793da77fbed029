"""Shop's staff: those who work for the organiser and log in with a browser, put together. Nothing is decided here.

Only where a provider is set; without one staff have tokens. The page stands at ``/staff`` of the shop's own port, and
needs no admission. Imported only where it is needed: it asks a provider over HTTP.
"""

from collections.abc import Awaitable, Callable
from urllib.parse import urlsplit

from checkout.metrics import Metrics
from checkout.people.staff_keys import StaffKeys
from checkout.people.staff_sessions import StaffSession
from checkout.staffroom.entrance import Entrance
from checkout.staffroom.room import StaffRoom
from gateway.oidc_requests import OidcRequests
from gateway.settings import Settings
from gateway.shop_people import JoinedPeople
from kernel.asgi import Scope
from kernel.clock import Clock
from kernel.security_keys import KeySite

CALLBACK = "/staff/callback"


class JoinedStaff:
    """One process's staff."""

    def __init__(self, settings: Settings, people: JoinedPeople, clock: Clock, metrics: Metrics) -> None:
        """Join everything; nobody is asked yet."""
        site = settings.staff_site(settings.site)
        identity = OidcRequests(
            settings.staff_oidc_issuer or "",
            settings.staff_oidc_client_id or "",
            settings.staff_oidc_client_secret or "",
            site + CALLBACK,
            clock,
            settings.staff_role_claim or "",
        )
        entrance = Entrance(
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
        self.room = StaffRoom(entrance, people.staff_sessions, people.factors, keys, clock)
        self.session: Callable[[Scope], Awaitable[StaffSession | None]] = entrance.session
        self.close: Callable[[], Awaitable[None]] = identity.close
