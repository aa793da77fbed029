"""Nobody: what stands in a port of notifications where a shop has nothing to put there.

A shop that keeps no addresses tells nobody by mail, and its webhooks still hear of everything.
"""

from collections.abc import Sequence

from checkout.notifications.message import Message
from checkout.notifications.ports import Attachment, Contact


class NoContacts:
    """``ports.Contacts`` that finds nobody: every mail is skipped, with the word ``no-contact``."""

    async def of(self, event: str, subject: str) -> Contact | None:
        """Find nobody."""
        del event, subject
        return None


class NoPapers:
    """``ports.Papers`` of a shop whose mails carry no files."""

    async def attached(self, message: Message, contact: Contact) -> Sequence[Attachment]:
        """Attach nothing."""
        del message, contact
        return ()
