"""Adyen, put together: the shop's account there, or a sandbox of Adyen's shape that moves no money.

Only a shop whose money goes this way imports it. What Adyen was asked and has told stands beside the orders, in each
event's own database. Shop and sandbox agree on their secrets by deriving them from the ring of keys that both can read.
Not here: the adapter (``checkout.payments.adyen``), the sandbox itself (``checkout.sandbox_adyen``).
"""

from dataclasses import dataclass

from admission.keyring import KeyRing
from checkout.grouping import Grouping
from checkout.holds.places import Place, Places
from checkout.payments.adyen import AdyenProvider
from checkout.payments.adyen_wire import Account
from checkout.sandbox_adyen.app import API, AdyenSandbox
from checkout.site.order_pages import Way
from gateway.deriving import secret_for
from gateway.settings import Settings, loopback
from gateway.shop_settings import ADYEN_SANDBOX
from kernel.clock import Clock, SystemClock

NAME = "adyen"
HOOK = f"/hooks/{NAME}"
MERCHANT, USER = "SandboxECOM", "sandbox"
WAYS = (
    Way("scheme:authorised", "pays"),
    Way("scheme:asks", "asks"),
    Way("scheme:not-enough-balance", "no-funds"),
    Way("scheme:refused", "declined"),
)
"""What the sandbox offers: outcomes by name."""


class PlaceDesks:
    """Writes what is asked of Adyen where the event's orders are."""

    def __init__(self, places: Places) -> None:
        self._places = places
        self._desks: dict[str, Grouping] = {}

    def of(self, event: str) -> Grouping:
        """Return the desk of an event."""
        return self._at(self._places.of(event))

    def all(self) -> tuple[Grouping, ...]:
        """Return every desk."""
        return tuple(map(self._at, self._places.all()))

    def _at(self, place: Place) -> Grouping:
        desk = self._desks.get(place.name)
        if desk is None:
            desk = self._desks[place.name] = Grouping(place.database)
        return desk


@dataclass(frozen=True, slots=True)
class SandboxSecrets:
    """What shop and sandbox know of each other. ``hmac_key``: in hex."""

    api_key: str
    hmac_key: str
    password: str


def sandbox_secrets(settings: Settings, now_ms: int) -> SandboxSecrets:
    """Derive them."""
    octets = KeyRing.open(settings.keyring_path, now_ms).active("sid").octets
    made = (secret_for(octets, f"adyen-{purpose}").hex() for purpose in ("api", "notices", "sender"))
    return SandboxSecrets(*made)


def account_of(settings: Settings, now_ms: int) -> Account:
    """Give the account that the settings name."""
    if settings.payments == ADYEN_SANDBOX:
        own = sandbox_secrets(settings, now_ms)
        endpoint = f"http://{loopback(settings.host)}:{settings.sandbox_port}{API}"
        return Account(MERCHANT, own.api_key, (own.hmac_key,), USER, own.password, endpoint)
    return Account(
        merchant=settings.adyen_merchant or "",
        api_key=settings.adyen_api_key or "",
        hmac_keys=tuple((settings.adyen_hmac_key or "").split(",")),
        webhook_user=settings.adyen_webhook_user or "",
        webhook_password=settings.adyen_webhook_password or "",
        endpoint=settings.adyen_endpoint,
        takes_at_once=settings.adyen_takes_at_once,
    )


def adyen_of(settings: Settings, places: Places, clock: Clock) -> tuple[AdyenProvider, tuple[Way, ...], bool]:
    """Make the adapter; returns it with the ways to pay, and whether real money is meant."""
    account = account_of(settings, clock.now_ms())
    site = settings.site
    own = AdyenProvider(NAME, account, PlaceDesks(places), clock, back_url=site.rstrip("/") + HOOK)
    return own, WAYS if settings.payments == ADYEN_SANDBOX else (), account.is_live


def sandbox_of(settings: Settings) -> AdyenSandbox:
    """Make the sandbox."""
    clock = SystemClock()
    own = sandbox_secrets(settings, clock.now_ms())
    return AdyenSandbox(
        own.api_key,
        MERCHANT,
        own.hmac_key,
        webhook_url=f"http://{loopback(settings.shop_host)}:{settings.shop_port}{HOOK}",
        webhook_user=USER,
        webhook_password=own.password,
        clock=clock,
    )
