"""Shop settings: what an operator chooses for the shop: where it keeps things, who takes the money, tickets, fraud.

They are settings of the installation like all others, and stand apart only because they are many. Not here: what the
shop shares with the line (``settings``).
"""

from dataclasses import dataclass
from pathlib import Path
from string import hexdigits
from urllib.parse import urlsplit

from gateway.people_settings import PeopleSettings
from kernel.settings import env, is_site, setting

ADYEN_SANDBOX = "adyen-sandbox"
"""A sandbox of Adyen's shape takes the money, that is to say nobody does."""

ADYEN_LIVE_HOSTS = ".adyenpayments.com"
"""Where Adyen takes real money."""
HERE = frozenset({"127.0.0.1", "::1", "localhost"})
"""This machine; what goes there needs no TLS."""

SIGNING_KEY_LEAST = 32
"""Digits; Adyen's own have twice as many."""


@dataclass(frozen=True, slots=True)
class ShopSettings(PeopleSettings):
    """All settings of the shop."""

    shop_workers: int = setting(
        default=1, minimum=1, maximum=256, help="shop processes that share the shop's port"
    )
    shop_url: str | None = setting(
        default=None,
        help="the shop's address as rooms name it (origin); empty: http://127.0.0.1 and its port",
    )
    shop_room: str | None = setting(
        default=None, help="room of the demo's events; empty: the first whose origin is the shop"
    )
    shop_demo: bool = setting(
        default=False, help="put two houses and four evenings into a shop that has none of them"
    )
    shop_database_url: str | None = setting(
        default=None, help="the shop's main SQL database; empty: SQLite in the data folder"
    )
    shop_reading_url: str | None = setting(
        default=None,
        help="a read-only replica of it, for reports and exports only; empty: the database itself",
    )
    shop_store_url: str | None = setting(
        default=None, help="Redis or Valkey server of the shop's seats; empty: the one of the line"
    )
    shop_shards: Path | None = setting(  # noqa: RUF009
        default=None, help="TOML file with further databases and stores that events are spread over"
    )
    shop_roles: tuple[str, ...] = setting(
        default=("all",), help="what this installation's shop processes answer; all: everything"
    )
    shop_lag_ms: float = setting(
        default=40.0, minimum=1, help="so late a shop process may be before it tells maps by sections"
    )
    payments: str = setting(
        default="none",
        choices=("none", "sandbox", "stripe", "adyen", ADYEN_SANDBOX),
        help="who takes the shop's money; sandbox: a provider of our own that moves none, in Stripe's or Adyen's shape",
    )
    sandbox_port: int = setting(
        default=0, minimum=0, maximum=65535, help="port of the sandbox; 0: any that is free"
    )
    stripe_secret_key: str | None = setting(
        default=None, secret=True, help="secret key of the account at Stripe (sk_live_… or sk_test_…)"
    )
    stripe_webhook_secret: str | None = setting(
        default=None, secret=True, help="secret of Stripe's webhook endpoint /hooks/stripe (whsec_…)"
    )
    stripe_publishable_key: str | None = setting(
        default=None, help="publishable key of the same account (pk_live_… or pk_test_…), for the card fields"
    )
    stripe_script: str = setting(
        default="https://js.stripe.com/v3/",
        help="address of the script that brings the card fields; only the page to pay may load it",
    )
    sandbox_fields: bool = setting(
        default=False,
        help="pay at the sandbox by card fields, as at Stripe, instead of by a choice on the page",
    )
    adyen_api_key: str | None = setting(
        default=None, secret=True, help="API key of the account at Adyen, for Checkout"
    )
    adyen_merchant: str | None = setting(default=None, help="name of the merchant account at Adyen")
    adyen_hmac_key: str | None = setting(
        default=None,
        secret=True,
        help="signing key of Adyen's notices, in hex; two with a comma while it is replaced",
    )
    adyen_webhook_user: str | None = setting(
        default=None, help="user that Adyen names when it sends notices to /hooks/adyen"
    )
    adyen_webhook_password: str | None = setting(
        default=None, secret=True, help="password that it names; both are set in Adyen's Customer Area"
    )
    adyen_endpoint: str = setting(
        default="https://checkout-test.adyen.com/v71",
        help="address of Adyen's Checkout API; the live one has a prefix of the account's own",
    )
    adyen_takes_at_once: bool = setting(
        default=False,
        help="the account captures by itself what is authorised; what must not stay is refunded",
    )
    fraud: Path | None = setting(  # noqa: RUF009
        default=None,
        help="TOML file with limits, lists and countries of who may pay; empty: the limits as they come",
    )
    notifications: Path | None = setting(  # noqa: RUF009
        default=None, help="TOML file with the mail server and the webhooks; empty: nothing is sent"
    )
    offer_s: int = setting(
        default=120, minimum=120, maximum=600, help="time that seats are kept for who is next on a waitlist"
    )
    pass_certificate: Path | None = setting(  # noqa: RUF009
        default=None, help="PEM file of Apple's pass certificate; without one there are no wallet passes"
    )
    pass_key: Path | None = setting(default=None, help="PEM file of its private key")  # noqa: RUF009
    pass_intermediate: Path | None = setting(  # noqa: RUF009
        default=None, help="PEM file of Apple's WWDR certificate"
    )
    ticket_transfers: bool = setting(default=True, help="buyers may give tickets to others")
    organiser_token: str | None = setting(
        default=None,
        secret=True,
        help="secret of the shop's organiser; the demo makes one in the data folder",
    )

    @property
    def has_sandbox(self) -> bool:
        """True when the shop's money is that of a sandbox of our own."""
        return self.payments in {"sandbox", ADYEN_SANDBOX}

    @property
    def takes_real_money(self) -> bool:
        """True when the account is no account for tests."""
        if self.payments == "stripe":
            return (self.stripe_secret_key or "").startswith(("sk_live_", "rk_live_"))
        host = urlsplit(self.adyen_endpoint).hostname or ""
        return self.payments == "adyen" and host.endswith(ADYEN_LIVE_HOSTS)


def payment_faults(settings: ShopSettings) -> list[str]:
    """Name what who takes the money still needs."""
    faults: list[str] = []
    if settings.payments == "stripe":
        faults += [
            f"{env(name)}: payments by Stripe need it."
            for name in ("stripe_secret_key", "stripe_webhook_secret", "stripe_publishable_key")
            if getattr(settings, name) is None
        ]
        faults += stripe_faults(
            settings.stripe_secret_key or "", settings.stripe_publishable_key or "", settings.stripe_script
        )
    if settings.payments == "adyen":
        faults += adyen_faults(settings)
    return faults


def adyen_faults(settings: ShopSettings) -> list[str]:
    """Name what an account at Adyen still needs."""
    needed = (
        "adyen_api_key",
        "adyen_merchant",
        "adyen_hmac_key",
        "adyen_webhook_user",
        "adyen_webhook_password",
    )
    faults = [f"{env(name)}: payments by Adyen need it." for name in needed if not getattr(settings, name)]
    keys = [key.strip() for key in (settings.adyen_hmac_key or "").split(",")]
    if settings.adyen_hmac_key and not all(map(_is_signing_key, keys)):
        faults.append(f"{env('adyen_hmac_key')}: a signing key of Adyen is written in hex, 64 digits.")
    if ":" in (settings.adyen_webhook_user or ""):
        faults.append(f"{env('adyen_webhook_user')}: a user's name has no colon.")
    endpoint = settings.adyen_endpoint
    if not is_site(endpoint) or not (endpoint.startswith("https://") or urlsplit(endpoint).hostname in HERE):
        faults.append(
            f"{env('adyen_endpoint')}: {endpoint!r} is no address such as "
            "https://checkout-test.adyen.com/v71; the API key goes there."
        )
    return faults


def _is_signing_key(text: str) -> bool:
    """Tell whether a text is a signing key in hex."""
    return len(text) >= SIGNING_KEY_LEAST and len(text) % 2 == 0 and set(text) <= set(hexdigits)


def stripe_faults(secret_key: str, publishable_key: str, script: str) -> list[str]:
    """Name what is wrong with an account's keys together, and with the address of its script."""
    faults = []
    mode = next(
        (mode for mode in ("live", "test") if secret_key.startswith((f"sk_{mode}_", f"rk_{mode}_"))), ""
    )
    if publishable_key and not publishable_key.startswith("pk_"):
        # A secret key here would stand on every page to pay.
        faults.append(f"{env('stripe_publishable_key')}: it must begin with pk_; it stands on pages.")
    elif publishable_key and mode and not publishable_key.startswith(f"pk_{mode}_"):
        faults.append(f"{env('stripe_publishable_key')}: it must be the {mode} key, as the secret one is.")
    if not is_site(script):
        faults.append(
            f"{env('stripe_script')}: {script!r} is not an address such as https://js.stripe.com/v3/."
        )
    return faults
