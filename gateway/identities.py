"""Identities: joins what a gate's worker needs where rooms ask who comes.

Numbers go out through the mail server of the messages of the room (``WAITROOM_REMINDER_MAIL_*``); without one a room
that asks for a mail address lets nobody join, and says so. Not here: who is asked what (``waitroom.identifying``).
"""

from collections.abc import Callable, Collection

from redis.asyncio import Redis

from gateway.reminders import post_of, server_of
from gateway.settings import Settings
from kernel.clock import Clock
from kernel.oidc import NOTHING_MORE
from kernel.signing import PaperSigner
from waitroom.identifying import Identifying
from waitroom.identity_book import IdentityBook
from waitroom.identity_mail import NumberMail
from waitroom.mailed_store import MailedStore
from waitroom.ports import AddressBucket, Logins
from waitroom.service import Waitroom


def logins_of(settings: Settings, clock: Clock) -> Logins | None:
    """Return the provider at which fans log in for a place; None where there is none."""
    if settings.room_oidc_issuer is None:
        return None
    # What asks others over HTTP is imported only where fans log in.
    from gateway.oidc_requests import OidcRequests  # noqa: PLC0415

    return OidcRequests(
        settings.room_oidc_issuer,
        settings.room_oidc_client_id or "",
        settings.room_oidc_client_secret or "",
        f"{settings.site.rstrip('/')}{settings.prefix}/login",
        clock,
        scope=NOTHING_MORE,
    )


def identifying_of(
    settings: Settings,
    waitroom: Waitroom,
    book: IdentityBook,
    client: Redis,
    signer: PaperSigner,
    buckets: AddressBucket,
    clock: Clock,
    *,
    secret: bytes,
    configured: Callable[[], Collection[str]],
) -> Identifying:
    """Join the parts. Raises Misconfigured."""
    server = server_of(settings)
    mails = None if server is None else NumberMail(server, post_of(settings, server), clock)
    return Identifying(
        waitroom, book, MailedStore(client), mails, signer, buckets, secret=secret, configured=configured
    )
