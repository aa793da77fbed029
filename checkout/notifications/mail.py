"""Mail: the channel that tells by e-mail (``kernel.mail``).

A mail's Message-ID is the message's name, so the same sent twice is known as the same. Its HTML fetches nothing from
anywhere. Not here: words (``site.mails``), whom to tell (``ports``), how a mail is written and handed over
(``kernel.mail``).
"""

from collections.abc import Sequence
from email.headerregistry import Address

from checkout.notifications.message import MAIL, Message, Outcome, Result, Send
from checkout.notifications.ports import Attachment, Contact, Contacts, Mail, Papers, Writer
from kernel.clock import Clock
from kernel.mail import Letter, NoAddress, Post, Ready, Server, Takes, sender_of, written
from kernel.tracing import parse


def compose(
    message: Message,
    contact: Contact,
    mail: Mail,
    attached: Sequence[Attachment],
    sender: Address,
    reply_to: str | None,
    now_ms: int,
) -> Ready:
    """Put a mail together. Raises ``NoAddress``, and ``ValueError`` for a header that would be two."""
    letter = Letter(
        contact.email,
        message.id,
        contact.language,
        mail.subject,
        mail.text,
        mail.html,
        attached,
        [("List-Id", f"<{message.event}.{sender.domain}>"), *_traced(message)],
    )
    return written(letter, sender, reply_to, now_ms)


def _traced(message: Message) -> list[tuple[str, str]]:
    """Name the trace of the order that a mail is about: what a fan can tell support."""
    trace = parse(message.trace)
    return [] if trace is None else [("Waitroom-Trace", trace.trace_id)]


class Mailing:
    """The channel ``mail``: ``ports.Channel``."""

    name = label = MAIL

    def __init__(
        self,
        server: Server,
        writer: Writer,
        contacts: Contacts,
        papers: Papers,
        clock: Clock,
        post: Takes | None = None,
    ) -> None:
        """Nothing is connected yet. Raises ``NoAddress`` for a sender, or where answers go, that is none.

        `post`: who takes mails instead of the server.
        """
        self._server = server
        self._sender = sender_of(server.sender)
        if server.reply_to:
            sender_of(server.reply_to)
        self._writer = writer
        self._contacts = contacts
        self._papers = papers
        self._clock = clock
        self._post = post or Post(server)
        self.at_once = server.connections

    async def send(self, send: Send) -> Result:
        """Write a mail and hand it over."""
        message = send.message
        contact = await self._contacts.of(message.event, message.subject)
        if contact is None:
            return Result(Outcome.SKIPPED, "no-contact")
        if contact.wants is not None and message.kind.value not in contact.wants:
            return Result(Outcome.SKIPPED, "not-wanted")
        mail = await self._writer.write(message, contact)
        attached = await self._papers.attached(message, contact)
        now_ms = self._clock.now_ms()
        try:
            ready = compose(message, contact, mail, attached, self._sender, self._server.reply_to, now_ms)
        except NoAddress:
            return Result(Outcome.NEVER, "no-address")
        return await self._post.hand_over(ready)

    async def close(self) -> None:
        """Let go of the connections."""
        await self._post.close()
