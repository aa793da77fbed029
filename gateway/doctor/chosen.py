"""Chosen: what the doctor sees of what is configured: proxies, mails, payments, traces. By its form; nobody is asked.

What a single setting may be is checked when it is read (``gateway.settings``); here stands what is allowed and yet
mostly a mistake.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from gateway.doctor.finding import Finding, counted, fail, note, ok, warn
from gateway.settings import Settings
from gateway.spans import ELSEWHERE, endpoint_of
from kernel.errors import Misconfigured
from kernel.settings import env

if TYPE_CHECKING:
    from checkout.notifications.settings import NotificationSettings

WIDE_BITS = {4: 8, 6: 16}
"""A network of our own proxies that is wider than this is none."""


def look_at_proxies(settings: Settings) -> Iterator[Finding]:
    """Whether the list of trusted proxies can be meant."""
    what, name = "proxies", env("trusted_proxies")
    all_of_it = [network for network in settings.networks if network.prefixlen == 0]
    wide = [network for network in settings.networks if network.prefixlen < WIDE_BITS[network.version]]
    if all_of_it:
        yield fail(
            what, "Everybody is believed to be a proxy of ours.",
            f"Set {name} to the addresses of your proxies: as it is, any visitor says who they are.",
        )  # fmt: skip
    elif wide:
        yield warn(
            what, f"{', '.join(map(str, wide))} is wider than a network of proxies.", f"Narrow {name}."
        )
    elif not settings.networks and settings.secure:
        yield warn(
            what, "Fans come by TLS, which somebody in front must end, and nobody is trusted.",
            f"Set {name}: without it every fan seems to come from one address, and limits count them as one.",
        )  # fmt: skip
    else:
        count = len(settings.networks)
        yield ok(
            what, f"Trusted: {counted(count, 'network')} of proxies." if count else "Fans come directly."
        )
    if settings.public_url is None:
        yield note("proxies.public_url", f"{env('public_url')} is not set: cookies are not for TLS only.")


def post_settings(settings: Settings) -> "NotificationSettings | None":
    """Read the settings of mails and webhooks; None where they are wrong."""
    from gateway.shop_post import chosen  # noqa: PLC0415 (the shop's: loaded where it is looked at)

    try:
        return chosen(settings)
    except Misconfigured:
        return None


def look_at_post(settings: Settings) -> Iterator[Finding]:
    """Whether mails, webhooks and notes could be sent."""
    from gateway.shop_post import chosen  # noqa: PLC0415 (the shop's: loaded where it is looked at)

    try:
        own = chosen(settings)
    except Misconfigured as error:
        for fault in error.faults:
            yield fail("mail", fault, f"Mend the file that {env('notifications')} names.")
        return
    if own.mail_host is None and own.mail_folder is None:
        yield note(
            "mail", "Buyers get no mails.", f"Name a mail server in the file of {env('notifications')}."
        )
    elif own.mail_host is not None and own.mail_tls == "none":
        yield warn(
            "mail", "Mails go to their server without TLS.", "Set mail_tls, unless it is this machine."
        )
    else:
        yield ok("mail", "A server or folder for mails is set.")
    count = len(own.webhook_urls)
    yield ok("webhooks", f"Set: {counted(count, 'webhook')}.") if count else note("webhooks", "None is set.")


def look_at_payments(settings: Settings) -> Iterator[Finding]:
    """Who takes the money."""
    if settings.payments == "none":
        yield note("payments", "Nobody takes money; there is no shop, or it gives seats only.")
    elif settings.takes_real_money:
        yield ok("payments", f"{settings.payments} takes real money.")
    else:
        yield warn(
            "payments",
            f"{settings.payments} is set, and no real money is taken.",
            "Right for a test, wrong for a sale.",
        )


def look_at_traces(settings: Settings) -> Iterator[Finding]:
    """Whether what is recorded goes anywhere."""
    endpoint = endpoint_of(settings)
    if endpoint is None:
        yield note("traces", f"Nothing is recorded; {env('otlp_endpoint')} names a collector.")
        return
    try:
        import opentelemetry.exporter.otlp.proto.http  # noqa: F401, PLC0415 (whether it is there)
    except ModuleNotFoundError:
        yield warn(
            "traces", "A collector is set, and the package is missing.", "pip install 'waitroom[otel]'"
        )
        return
    where = ELSEWHERE if settings.otlp_endpoint is None else env("otlp_endpoint")
    yield ok(
        "traces", f"{settings.trace_ratio:.1%} of traces, and all orders, go to the collector of {where}."
    )
