"""Ticket papers: the tickets that go along with a mail: a PDF in the buyer's language, for those that count by then.

It is made when the mail is sent, so what was revoked meanwhile is on no paper; the code is the same as on the page.
Not here: the mail (``mails``), how a ticket is drawn (``tickets.pdf``).
"""

import asyncio
from collections.abc import Sequence

from checkout.catalogue.reading import CatalogueReader
from checkout.notifications.message import Kind, Message
from checkout.notifications.ports import Attachment, Contact
from checkout.site.ticket_faces import face
from checkout.site.words import languages, negotiate
from checkout.tickets.face import Face
from checkout.tickets.service import Tickets
from checkout.tickets.ticket import TicketState


class TicketPapers:
    """``notifications.ports.Papers``: tickets with the word that an order is paid."""

    def __init__(self, tickets: Tickets, catalogue: CatalogueReader) -> None:
        self._tickets = tickets
        self._catalogue = catalogue

    async def attached(self, message: Message, contact: Contact) -> Sequence[Attachment]:
        """Draw the tickets of an order that is paid; nothing for any other message."""
        if message.kind is not Kind.ORDER_PAID:
            return ()
        shown = await self._tickets.of_order(message.event, message.subject)
        counting = [one for one in shown if one.ticket.state is TicketState.VALID and one.code]
        if not counting:
            return ()
        known = await self._catalogue.known(message.event, drafts=True)
        layout = await self._catalogue.layout(known.event.layout_id)
        words = languages()[negotiate("", contact.language)]
        faces = [face(words, known, layout, one) for one in counting]
        octets = await asyncio.to_thread(printed, faces)
        return (Attachment(f"{message.event}.pdf", "application/pdf", octets),)


def printed(faces: Sequence[Face]) -> bytes:
    """Draw a PDF; fonts are loaded by the first process that is asked for one, and not before."""
    from checkout.tickets.pdf import pdf  # noqa: PLC0415

    return pdf(faces)
