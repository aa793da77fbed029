"""Ports of notifications: who is told, in which words, with which papers; and what a channel is.

The site has the words (``site.mails``), people's addresses are kept elsewhere (``checkout.people``), and so are tickets
(``checkout.tickets``): ``gateway`` joins them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from checkout.notifications.message import Message, Result, Send
from kernel.webpush import Subscription


@dataclass(frozen=True, slots=True)
class Contact:
    """Whom to tell. `wants`: the kinds of message that they want; None: all of them."""

    email: str
    language: str = "en"
    wants: frozenset[str] | None = None


@dataclass(frozen=True, slots=True)
class Mail:
    """What a mail says, in two forms that say the same."""

    subject: str
    text: str
    html: str


@dataclass(frozen=True, slots=True)
class Attachment:
    """A file that goes along; `kind` is its media type: ``application/pdf``."""

    name: str
    kind: str
    content: bytes


class Writer(Protocol):
    """Finds the words."""

    async def write(self, message: Message, contact: Contact) -> Mail:
        """Write a mail in the contact's language."""


@dataclass(frozen=True, slots=True)
class Note:
    """What a browser shows: a line, a sentence, in a language and its direction, and the path of the page."""

    title: str
    body: str
    language: str
    direction: str
    path: str


class NoteWriter(Protocol):
    """Finds the few words of a note."""

    async def note(self, message: Message, language: str) -> Note:
        """Write a note; nothing of a person stands in it."""


class Device(Protocol):
    """A browser in which somebody wants to be told."""

    @property
    def name(self) -> str:
        """Name it within its order."""

    @property
    def subscription(self) -> Subscription:
        """Tell where it is reached."""

    @property
    def language(self) -> str:
        """Tell in which language."""


class Devices(Protocol):
    """Knows the browsers to be told."""

    async def of(self, event: str, subject: str) -> Sequence[Device]:
        """Return those of an order."""

    async def gone(self, event: str, subject: str, name: str) -> None:
        """Hear that a browser is reached no more."""


class Contacts(Protocol):
    """Knows whom to tell."""

    async def of(self, event: str, subject: str) -> Contact | None:
        """Return whom to tell of an order (or of ``waitlist:<number>``); None: there is nobody."""


class Papers(Protocol):
    """Has what goes along."""

    async def attached(self, message: Message, contact: Contact) -> Sequence[Attachment]:
        """Return the files that belong to a message, in the contact's language."""


class Links(Protocol):
    """Knows the site's addresses."""

    def of(self, message: Message) -> str:
        """Return the address of the page that a message is about."""


class Channel(Protocol):
    """One way to tell."""

    @property
    def name(self) -> str:
        """Name the channel, as it stands in the tables."""

    @property
    def label(self) -> str:
        """Name its kind, as metrics do: ``mail``, ``webhook``."""

    @property
    def at_once(self) -> int:
        """Tell how many messages it takes at the same time."""

    async def send(self, send: Send) -> Result:
        """Try once."""

    async def close(self) -> None:
        """Let go of connections."""
