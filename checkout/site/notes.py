"""Notes: what a browser shows when it is pushed a message: the line that a mail has as its subject, and one sentence.

It shows on a screen that others may see, so no amount, no order's number and nobody's name stands in it; the page that
it leads to has them. Texts are those of mails (``mail.*``). Not here: how it is sent (``notifications.push``).
"""

from urllib.parse import urlsplit

from checkout.catalogue.reading import CatalogueReader
from checkout.notifications.message import Kind, Message
from checkout.notifications.ports import Links, Note
from checkout.site.words import languages, negotiate

PLAIN = frozenset({Kind.PAYMENT_FAILED, Kind.ORDER_REVIEW, Kind.ORDER_REFUSED, Kind.WAITLIST_OFFER})
"""Messages whose text has no amount in it; of others the page has the rest."""


class Notes:
    """``notifications.ports.NoteWriter``."""

    def __init__(self, catalogue: CatalogueReader, links: Links) -> None:
        """`links` name the pages that notes lead to."""
        self._catalogue = catalogue
        self._links = links

    async def note(self, message: Message, language: str) -> Note:
        """Write a note. Raises ``Refused`` for an event that there is not."""
        known = await self._catalogue.known(message.event, drafts=True)
        words, kind = languages()[negotiate("", language)], message.kind
        values = {}
        if "until_ms" in message.facts:
            values["time"] = words.moment(message.facts["until_ms"], known.venue.time_zone)
        return Note(
            title=" ".join(words.text(f"mail.{kind}-subject", event=known.event.title).split()),
            body=words.text(f"mail.{kind}-text", **values) if kind in PLAIN else words.text("mail.open"),
            language=words.tag,
            direction=words.text("language.direction"),
            path=urlsplit(self._links.of(message)).path,
        )
