"""Shop's tills: everything that takes money, put together: providers, tills, use cases, addresses, background.

Which provider there is a setting says: the sandbox (Stripe's own package talks to it, at another address), Stripe,
Adyen, or a sandbox of Adyen's shape.
Without one the shop reserves and takes no money. Nothing is decided here. Not here: the rest of the shop
(``shop_joined``).
"""

import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from checkout.fraud.signals import traits
from checkout.grouping import Grouping
from checkout.holds.places import Place
from checkout.metrics import Metrics
from checkout.orders.caring import Caring
from checkout.orders.driving import Driving
from checkout.orders.hall import StoreHall
from checkout.orders.notices import Notices
from checkout.orders.ports import Judge, Seen, Trusting
from checkout.orders.recovering import Recovering
from checkout.orders.refunding import Refunding
from checkout.orders.review import UNMINDFUL, Cautions
from checkout.orders.service import Ordering, Till
from checkout.orders.strays import Strays
from checkout.orders.web import HooksWeb, OrdersWeb
from checkout.payments.patient import Patient
from checkout.payments.port import Provider
from checkout.payments.stripe import StripeProvider
from checkout.sales.desk import StoreClock
from checkout.sales.store import SalesStore
from checkout.site.fields import CardFields, sandbox_fields, stripe_fields
from checkout.site.order_pages import SANDBOX_WAYS, Way
from gateway.sandbox import NAME as SANDBOX
from gateway.sandbox import publishable_key, sandbox_secrets
from gateway.settings import Settings, loopback
from gateway.shop_parts import ShopParts
from kernel.asgi import Scope, client_address
from kernel.errors import Misconfigured
from kernel.settings import env

STRIPE = "stripe"
ORDER_PAGE = "/events/{event}/order/{order}?look=1"


@dataclass(frozen=True, slots=True)
class Account:
    """Who takes the money, and how it can be paid."""

    provider: Provider
    ways: tuple[Way, ...]
    is_live: bool
    close: Callable[[], Awaitable[None]]
    """Lets go of the provider's connections."""
    fields: CardFields | None = None
    """Where a card is entered, instead of `ways`."""


def account_of(settings: Settings, parts: ShopParts, metrics: Metrics) -> Account:
    """Make what the settings name. Raises ``Misconfigured`` where they name nobody."""
    match settings.payments:
        case "sandbox":
            key, hook_secret = sandbox_secrets(settings, parts.clock.now_ms())
            base = f"http://{loopback(settings.host)}:{settings.sandbox_port}"
            own = StripeProvider(SANDBOX, key, [hook_secret], api_base=base)
            fields = None
            if settings.sandbox_fields:
                fields = sandbox_fields(publishable_key(settings, parts.clock.now_ms()), base)
            patient = _patient(own, parts, metrics)
            return Account(patient, SANDBOX_WAYS, is_live=False, close=own.close, fields=fields)
        case "stripe":
            key = settings.stripe_secret_key or ""
            own = StripeProvider(STRIPE, key, [settings.stripe_webhook_secret or ""])
            return Account(
                _patient(own, parts, metrics),
                (),
                is_live=key.startswith(("sk_live", "rk_live")),
                close=own.close,
                fields=stripe_fields(settings.stripe_publishable_key or "", settings.stripe_script),
            )
        case "adyen" | "adyen-sandbox":
            from gateway.adyen import adyen_of  # noqa: PLC0415 (only who pays with it waits for it)

            adyen, ways, is_live = adyen_of(settings, parts.shards, parts.clock)
            return Account(_patient(adyen, parts, metrics), ways, is_live=is_live, close=adyen.close)
        case _:
            raise Misconfigured([f"{env('payments')}: nobody takes money."])


def _patient(provider: Provider, parts: ShopParts, metrics: Metrics) -> Provider:
    return Patient(provider, parts.clock, random.Random(), watch=metrics.provider(provider.name))  # noqa: S311


class JoinedTills:
    """One process's tills."""

    def __init__(
        self,
        settings: Settings,
        parts: ShopParts,
        account: Account,
        buyer_of: Callable[[Scope], str],
        metrics: Metrics,
        judge: Judge | None = None,
        cautions: Cautions = UNMINDFUL,
        device_of: Callable[[Scope], str] = lambda _: "",
    ) -> None:
        """Join everything; nothing is asked yet. `cautions`: what an operator has set that binds the sale itself."""
        self._cautions = cautions
        self._device_of = device_of
        self._parts, self._metrics = parts, metrics
        self._settings = settings
        self._judge = judge or Trusting()
        provider = account.provider
        self._providers = {provider.name: provider}
        self._hall = StoreHall(parts.shards)
        self._tills: dict[str, Till] = {}
        clock, places, catalogue = parts.clock, parts.shards, parts.catalogue
        self.ordering = Ordering(
            catalogue, places, self.till, self._judge, self._hall, lambda _: provider.name, clock, metrics
        )
        self.caring = Caring(places, self.till, self.ordering, clock, cautions.terms)
        strays = Strays(places, self.till, clock, metrics)
        self.recovering = Recovering(
            catalogue, places, self.till, self.ordering, self.caring, self._providers, strays, clock, metrics
        )
        notices = Notices(places, self.till, self._providers, clock, metrics, is_live=account.is_live)
        self.ways, self.fields, self.close = account.ways, account.fields, account.close
        self.is_live = account.is_live
        self.web = OrdersWeb(self.ordering, buyer_of, self.seen_of, metrics)
        self.hooks = HooksWeb(notices, self._providers)

    def till(self, place: Place) -> Till:
        """Give a place's till."""
        till = self._tills.get(place.name)
        if till is None:
            till = self._tills[place.name] = self._made(place)
        return till

    def seen_of(self, scope: Scope) -> Seen:
        """Say what is known of a client."""
        address = client_address(scope, self._settings.networks)
        return Seen(address, self._device_of(scope), traits=traits(scope["headers"]))

    def _made(self, place: Place) -> Till:
        clock, metrics, providers = self._parts.clock, self._metrics, self._providers
        settings = self._settings
        site = settings.site
        group = Grouping(place.database)
        driving = Driving(
            group,
            providers,
            self._judge,
            self._hall,
            clock,
            metrics,
            site.rstrip("/") + ORDER_PAGE,
            cautions=self._cautions,
        )
        refunding = Refunding(group, driving, providers, clock, metrics)
        return Till(place, group, driving, refunding, SalesStore(place.database, StoreClock(clock)))
