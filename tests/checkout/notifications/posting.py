"""Posting, for tests: a mail server that does as it is told, people to write to, and a relay over one database."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Any

import sqlalchemy as sa
from aiosmtpd.smtp import SMTP
from prometheus_client import CollectorRegistry

from checkout.database import ShopDatabase
from checkout.grouping import Grouping
from checkout.metrics import Metrics
from checkout.notifications.mail import Mailing
from checkout.notifications.message import Kind, Message, Result, Send, message_id
from checkout.notifications.nobody import NoPapers
from checkout.notifications.ports import Channel, Contact, Contacts, Mail, Papers
from checkout.notifications.relay import Home, Relay
from checkout.notifications.store import put
from checkout.tables import OUTBOX_SENDS
from kernel.clock import ManualClock
from kernel.mail import Server

NOW_MS = 1_800_000_000_000
EVENT = "summer"
SENDER = "Aurora Hall <tickets@aurora.example>"
DROP, DROP_AFTER, HANG = "drop", "drop-after", "hang"
"""What a mail server may do instead of answering: hang up in the middle, after taking the mail, or say nothing."""


@dataclass
class Inbox:
    """A mail server. `recipients` and `contents` are its answers, in turn; then it takes everything."""

    recipients: list[str] = field(default_factory=list)
    contents: list[str] = field(default_factory=list)
    taken: list[bytes] = field(default_factory=list)
    seen: int = 0
    connections: list[Any] = field(default_factory=list)
    released: asyncio.Event = field(default_factory=asyncio.Event)

    async def handle_RCPT(  # noqa: N802 (aiosmtpd's name)
        self, _server: Any, _session: Any, envelope: Any, address: str, _options: list[str]
    ) -> str:
        """Take a recipient, or say what is to be said."""
        answer = self.recipients.pop(0) if self.recipients else "250 OK"
        if answer.startswith("250"):
            envelope.rcpt_tos.append(address)
        return answer

    async def handle_DATA(self, server: Any, _session: Any, envelope: Any) -> str:  # noqa: N802 (as above)
        """Take a mail, or do what is to be done."""
        self.seen += 1
        answer = self.contents.pop(0) if self.contents else "250 OK"
        if answer in {"250 OK", DROP_AFTER}:
            self.taken.append(envelope.content)
        if answer in {DROP, DROP_AFTER}:
            server.transport.abort()
        if answer == HANG:
            await self.released.wait()
        return answer

    @property
    def mails(self) -> list[EmailMessage]:
        """Return what has arrived, each as often as it came."""
        return [message_from_bytes(one, policy=policy.default) for one in self.taken]  # type: ignore[misc]

    @property
    def ids(self) -> list[str]:
        """Return the Message-IDs of what has arrived."""
        return [str(mail["Message-ID"]) for mail in self.mails]


@dataclass
class PostOffice:
    """A mail server that can be shut and opened again at the same port."""

    inbox: Inbox
    port: int = 0
    _server: asyncio.Server | None = None

    async def open(self) -> None:
        """Listen."""

        def session() -> SMTP:
            made = SMTP(self.inbox, enable_SMTPUTF8=True, ident="post")
            self.inbox.connections.append(made)
            return made

        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(session, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def shut(self) -> None:
        """Hang up on everybody, and refuse who comes."""
        self.inbox.released.set()
        if self._server is not None:
            self._server.close()
            for one in self.inbox.connections:
                if one.transport is not None:
                    one.transport.abort()
            self.inbox.connections.clear()
            await self._server.wait_closed()
            self._server = None
        # What a connection still had to do ends.
        for _ in range(5):
            await asyncio.sleep(0)


class OneHome:
    """One database; events named in `elsewhere` are being moved."""

    def __init__(self, home: Home) -> None:
        """Know the one."""
        self.home = home
        self.elsewhere: set[str] = set()

    def all(self) -> Sequence[Home]:
        """Return it."""
        return (self.home,)

    def is_here(self, home: Home, event: str) -> bool:
        """Tell whether an event is not being moved."""
        assert home is self.home
        return event not in self.elsewhere


class Everybody:
    """Contacts: everybody can be told, at an address that follows from the order."""

    def __init__(self, wants: frozenset[str] | None = None) -> None:
        """Have all of them want the same."""
        self.wants = wants

    async def of(self, event: str, subject: str) -> Contact | None:  # noqa: ARG002 (the port's)
        """Return an address."""
        return Contact(f"{subject.lower().replace(':', '-')}@fans.example", "en", self.wants)


class Plainly:
    """A writer of few words."""

    async def write(self, message: Message, contact: Contact) -> Mail:  # noqa: ARG002 (the port's)
        """Write the kind and the subject."""
        return Mail(f"{message.kind} {message.subject}", "Grüße\n", "<p>Grüße</p>")


@dataclass
class Scene:
    """A database with an outbox, and time that stands still."""

    database: ShopDatabase
    clock: ManualClock = field(default_factory=lambda: ManualClock(NOW_MS))
    registry: CollectorRegistry = field(default_factory=CollectorRegistry)

    def __post_init__(self) -> None:
        """Begin."""
        self.homes = OneHome(Home("main", Grouping(self.database)))
        self.metrics = Metrics(self.registry)

    @property
    def home(self) -> Home:
        """Return the one home."""
        return self.homes.home

    def relay(self, *channels: Channel, **options: Any) -> Relay:
        """Make a worker's relay."""
        return Relay(self.homes, channels, self.clock, self.metrics, lambda: 0.0, **options)

    def put(self, *orders: str, kind: Kind = Kind.ORDER_PAID) -> None:
        """Put a message for each order, each in a transaction of its own."""
        for order in orders:
            with self.database.writing() as connection:
                assert put(connection, self.message(order, kind))

    def message(self, order: str, kind: Kind = Kind.ORDER_PAID) -> Message:
        """Make a message."""
        facts = {"amount_minor": 8400, "currency": "EUR"}
        return Message(message_id(kind, order), EVENT, kind, order, self.clock.now_ms(), facts)

    def mailing(self, port: int, contacts: Contacts | None = None, **changes: Any) -> Mailing:
        """Make the mail channel."""
        papers: Papers = changes.pop("papers", NoPapers())
        writer = changes.pop("writer", Plainly())
        server = Server(**{"host": "127.0.0.1", "port": port, "sender": SENDER, "tls": "none", **changes})
        return Mailing(server, writer, contacts or Everybody(), papers, self.clock)

    def sends(self) -> dict[tuple[str, str], dict[str, Any]]:
        """Return what is written of each message and channel."""
        with self.database.reading() as connection:
            rows = connection.execute(sa.select(OUTBOX_SENDS)).mappings().all()
        return {(row["message_id"], row["channel"]): dict(row) for row in rows}

    def states(self) -> dict[str, int]:
        """Count sends by their state."""
        found = [row["state"] for row in self.sends().values()]
        return {state: found.count(state) for state in sorted(set(found))}

    def counted(self, outcome: str, channel: str = "mail") -> float:
        """Read the metric of what came of tries."""
        labels = {"channel": channel, "outcome": outcome}
        return self.registry.get_sample_value("waitroom_shop_outbox_sends_total", labels) or 0

    async def passed(self, relay: Relay, channel: Channel, times: int = 1, step_ms: int = 0) -> None:
        """Let a relay look so many times, with time passing between."""
        for _ in range(times):
            await relay.pass_by(self.home, channel)
            self.clock.advance(step_ms)


class Noting:
    """A channel that notes what it is given, and answers as it is told."""

    label = "mail"

    def __init__(self, name: str = "mail", answer: Callable[[Send], Result] | None = None) -> None:
        """Answer "sent" unless told otherwise."""
        from checkout.notifications.message import Outcome

        self.name = name
        self.at_once = 4
        self.noted: list[str] = []
        self._answer = answer or (lambda _: Result(Outcome.SENT))

    async def send(self, send: Send) -> Result:
        """Note a message; whoever waits as well gets the turn."""
        await asyncio.sleep(0)
        self.noted.append(send.message.id)
        return self._answer(send)

    async def close(self) -> None:
        """Have nothing to let go of."""


@asynccontextmanager
async def post_office() -> AsyncIterator[PostOffice]:
    """Open a mail server for a while."""
    office = PostOffice(Inbox())
    await office.open()
    try:
        yield office
    finally:
        await office.shut()
