"""Card fields: what the pay page needs so that a card is entered into fields of the provider's own, in its frame.

The shop never sees a card: the provider's script makes a token (``pm_…``) of what stands in its frame, and the page's
form sends that. Only the page of an order that can be paid may load the script; its policy names the provider's hosts,
and no other page's does.

Sources: Stripe's documentation: "Stripe.js reference" (the card Element, ``createPaymentMethod``), "Integration
security guide" (which hosts a policy must allow). Not here: what becomes of a token (``orders``), other providers.
"""

import re
from dataclasses import dataclass
from urllib.parse import urlsplit

STRIPE_SCRIPT = "https://js.stripe.com/v3/"

TOKEN = re.compile(r"pm_[A-Za-z0-9_]{1,120}")
"""What the form may send: a payment method's id, which no card's number can be taken for."""


@dataclass(frozen=True, slots=True)
class CardFields:
    """A provider's fields: its name for people, its script, the key that names the account, the hosts of the policy."""

    provider: str
    script: str
    key: str
    scripts: tuple[str, ...]
    frames: tuple[str, ...]
    connects: tuple[str, ...]
    moves_money: bool = True

    @property
    def host(self) -> str:
        """Name where the script comes from, for people whose network keeps it away."""
        return urlsplit(self.script).hostname or ""


def stripe_fields(key: str, script: str = STRIPE_SCRIPT) -> CardFields:
    """Give Stripe's; a `script` from elsewhere (a test's) brings its own host only."""
    origin = _origin(script)
    if origin != _origin(STRIPE_SCRIPT):
        return CardFields("Stripe", script, key, (origin,), (origin,), (origin,))
    hosts = ("https://*.js.stripe.com", origin)
    return CardFields(
        "Stripe", script, key, hosts, (*hosts, "https://hooks.stripe.com"), ("https://api.stripe.com",)
    )


def sandbox_fields(key: str, address: str) -> CardFields:
    """Give the sandbox's, which stands at an address of its own."""
    origin = _origin(address)
    return CardFields("Sandbox", f"{origin}/v3/", key, (origin,), (origin,), (), moves_money=False)


def _origin(address: str) -> str:
    parts = urlsplit(address)
    return f"{parts.scheme}://{parts.netloc}"
