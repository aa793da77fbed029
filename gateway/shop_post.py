"""Shop's post: the outbox put together: its settings, channels, words, and what sends in the background.

What asks others is imported only where it is set, so that a shop starts quickly. Nothing is decided here. Not here:
what is told and when (``checkout.orders.letters``), addresses of people (``checkout.people``).
"""

import asyncio
import tomllib
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

from checkout.grouping import Grouping
from checkout.metrics import Metrics
from checkout.notifications.message import MAIL, Kind, Message, message_id
from checkout.notifications.nobody import NoContacts, NoPapers
from checkout.notifications.ports import Channel, Contact, Contacts, Links, Papers
from checkout.notifications.relay import Home, Relay
from checkout.notifications.settings import NotificationSettings
from checkout.notifications.store import afresh
from checkout.people.contacts import Contacts as KeptContacts
from checkout.people.contacts import Want
from checkout.shards.shards import Shards
from checkout.site.mails import Mails
from checkout.waitlist.contacts import SUBJECT, WaitlistContacts
from gateway.settings import DEMO_SENDER, Settings
from gateway.shop_parts import ShopParts
from kernel.errors import Misconfigured, Refused, Unavailable
from kernel.settings import env, read
from kernel.webhook_signing import secret_of

DAY_MS = 86_400_000
DEMO_CONTACT = "mailto:tickets@aurora.example"
WITH_TICKETS = frozenset({Kind.ORDER_PAID, Kind.ORDER_REFUNDED, Kind.EVENT_CANCELLED})
"""Messages about an order that has, or had, tickets."""


def notification_settings(path: Path | None) -> NotificationSettings:
    """Read the file; without one, all as it comes. Raises ``Misconfigured`` with every fault."""
    table: dict[str, object] = {}
    if path is not None:
        try:
            table = tomllib.loads(path.read_text(encoding="utf-8"))
        except (OSError, tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            fault = f"{env('notifications')}: the file {path} cannot be read: {error}."
            raise Misconfigured([fault]) from error
    return read(NotificationSettings, {}, table)


class ShopLinks:
    """``notifications.ports.Links``: pages of this site."""

    def __init__(self, site: str, tickets_of: Callable[[str, str], str] | None = None) -> None:
        """`site`: what people type, as https://tickets.example; `tickets_of`: the page of an order's tickets."""
        self._site = site.rstrip("/")
        self._tickets_of = tickets_of

    def of(self, message: Message) -> str:
        """Lead to the tickets, which need no admission; to the order; or to the waitlist, where seats are kept."""
        event = f"{self._site}/events/{message.event}"
        if message.kind is Kind.WAITLIST_OFFER:
            # It leads on to the seats that are kept.
            return f"{event}/waitlist"
        if message.kind in WITH_TICKETS and self._tickets_of is not None:
            return self._site + self._tickets_of(message.event, message.subject)
        return f"{event}/order/{message.subject}"


class ShopContacts:
    """``notifications.ports.Contacts``: what is kept of buyers (``people.contacts``), and of those who wait."""

    def __init__(self, kept: KeptContacts, waiting: WaitlistContacts | None = None) -> None:
        self._kept = kept
        self._waiting = waiting

    async def of(self, event: str, subject: str) -> Contact | None:
        """Return whom to tell of an order, or of an entry of the waitlist."""
        if subject.startswith(SUBJECT):
            waits = None if self._waiting is None else await self._waiting.of(event, subject)
            return None if waits is None else Contact(waits.email, waits.language)
        found = await self._kept.of(event, subject)
        if found is None:
            return None
        # One consent covers what belongs to the order; who gave none gets nothing.
        return Contact(found.email, found.language, None if Want.ORDER in found.wants else frozenset())


def mail_resent(parts: ShopParts) -> Callable[[str, str], Awaitable[None]]:
    """Make what sends a message by mail once more, when somebody has said where to; nothing before there is one."""

    async def resent(event: str, message: str) -> None:
        def writing() -> bool:
            with parts.shards.of(event).database.writing() as connection:
                return afresh(connection, event, message, MAIL, parts.clock.now_ms())

        await asyncio.to_thread(writing)

    return resent


def tickets_resent(parts: ShopParts) -> Callable[[str, str], Awaitable[None]]:
    """Make what sends an order's tickets once more; nothing before it is paid."""
    resent = mail_resent(parts)

    async def tickets(event: str, order: str) -> None:
        await resent(event, message_id(Kind.ORDER_PAID, order))

    return tickets


class ShopHomes:
    """``notifications.relay.Homes``: the shards."""

    def __init__(self, shards: Shards) -> None:
        """Nothing is opened."""
        self._shards = shards
        self._homes: dict[str, Home] = {}

    def all(self) -> Sequence[Home]:
        """Return every shard's outbox."""
        for place in self._shards.all():
            if place.name not in self._homes:
                self._homes[place.name] = Home(place.name, Grouping(place.database))
        return tuple(self._homes.values())

    def is_here(self, home: Home, event: str) -> bool:
        """Tell whether a shard is the event's home; none is while it is being moved."""
        try:
            return self._shards.of(event).name == home.name
        except (Refused, Unavailable):
            return False


def chosen(settings: Settings) -> NotificationSettings:
    """Read what the operator has chosen; the demo has choices of its own. Raises ``Misconfigured``."""
    if settings.notifications is None and settings.shop_demo:
        # Whoever tries the shop out sees what its buyers are sent.
        return NotificationSettings(
            mail_folder=settings.mail_folder,
            mail_from=DEMO_SENDER,
            push_contact=DEMO_CONTACT,
            push_local=True,
        )
    return notification_settings(settings.notifications)


def post_of(
    settings: Settings,
    parts: ShopParts,
    metrics: Metrics,
    contacts: Contacts | None = None,
    papers: Papers | None = None,
    tickets_of: Callable[[str, str], str] | None = None,
    push: Callable[[Links], Channel] | None = None,
) -> Relay:
    """Join everything; nothing is connected yet. `push` makes the channel to browsers. Raises ``Misconfigured``."""
    own = chosen(settings)
    links = ShopLinks(settings.site, tickets_of)
    writer = Mails(parts.catalogue, links)
    channels: list[Channel] = []
    if own.mail_host is not None or own.mail_folder is not None:
        from checkout.notifications.mail import Mailing  # noqa: PLC0415
        from kernel.mail import NoAddress, Server  # noqa: PLC0415
        from kernel.mail_folder import Folder  # noqa: PLC0415

        folder = None if own.mail_folder is None else Folder(own.mail_folder)
        server = Server(
            host=own.mail_host or "",
            port=own.mail_port,
            sender=own.mail_from or "",
            tls=own.mail_tls,
            user=own.mail_user,
            password=own.mail_password,
            reply_to=own.mail_reply_to,
            patience_s=own.mail_patience_s,
            connections=own.mail_connections,
        )
        try:
            channels.append(
                Mailing(server, writer, contacts or NoContacts(), papers or NoPapers(), parts.clock, folder)
            )
        except NoAddress as error:
            raise Misconfigured([f"mail_from, mail_reply_to: {error}."]) from error
    if push is not None:
        channels.append(push(links))
    if own.webhook_urls:
        from checkout.notifications.webhooks import Webhook  # noqa: PLC0415

        secret = secret_of(own.webhook_secret or "")
        channels += [
            Webhook(
                number, url, secret, parts.clock, kinds=own.webhook_kinds, patience_s=own.webhook_patience_s
            )
            for number, url in enumerate(own.webhook_urls, 1)
        ]
    return Relay(
        ShopHomes(parts.shards),
        channels,
        parts.clock,
        metrics,
        tries=own.tries,
        keep_ms=own.keep_days * DAY_MS,
    )
