"""Contacts web: where who waits is written to, below ``/api/events/{event}/``. Decides nothing.

    GET    waitlist/contact    200 {"email", "language", "shown"}; 404 contact-unknown: there is none
    PUT    waitlist/contact    200 the same                {"email", "language"?}
    DELETE waitlist/contact    204 forgotten, or there was none

Who does not wait is told so (404 ``not-waiting``). Not here: the waitlist itself (``web``), pages
(``site.waiting_pages``).
"""

from collections.abc import Awaitable, Callable, Collection

import orjson

from checkout.metrics import Metrics
from checkout.people.addresses import shown
from checkout.people.contacts import Contact
from checkout.people.web import read_contact
from checkout.requests import read_object, same_site
from checkout.waitlist.contacts import WaitlistContacts
from checkout.waitlist.web import not_waiting
from kernel.asgi import Receive, Scope, Send, respond
from kernel.errors import Refused

Handler = Callable[..., Awaitable[None]]

_JSON = [(b"content-type", b"application/json"), (b"cache-control", b"no-store")]
_NOTHING = [(b"cache-control", b"no-store")]


class WaitlistContactsWeb:
    """Handlers of the contacts."""

    def __init__(
        self,
        contacts: WaitlistContacts,
        buyer_of: Callable[[Scope], str],
        languages: Collection[str],
        metrics: Metrics,
    ) -> None:
        """`buyer_of` tells who asks, and may raise ``Refused``; `languages` are the tags that are spoken."""
        self._contacts = contacts
        self._buyer_of = buyer_of
        self._languages = languages
        self.routes: dict[tuple[str, str], Handler] = metrics.watched(
            {
                ("GET", "waitlist/contact"): self.find,
                ("PUT", "waitlist/contact"): self.put,
                ("DELETE", "waitlist/contact"): self.forget,
            }
        )

    async def find(self, scope: Scope, receive: Receive, send: Send, event: str) -> None:
        """Tell where who asks is written to."""
        del receive
        contact = await self._contacts.kept(event, self._buyer_of(scope))
        if contact is None:
            raise Refused("contact-unknown", "Nobody has said where to write to.", 404)
        await respond(send, 200, _JSON, orjson.dumps(_paper(contact)))

    async def put(self, scope: Scope, receive: Receive, send: Send, event: str) -> None:
        """Keep where to write to."""
        same_site(scope)
        buyer = self._buyer_of(scope)
        _, plain = await read_object(scope, receive)
        if "name" in plain:
            raise Refused("contact-malformed", "Send email, and perhaps language, as texts and nothing else.")
        contact = read_contact(plain, self._languages)
        if not await self._contacts.put(event, buyer, contact):
            raise not_waiting()
        await respond(send, 200, _JSON, orjson.dumps(_paper(contact)))

    async def forget(self, scope: Scope, receive: Receive, send: Send, event: str) -> None:
        """Forget it."""
        del receive
        same_site(scope)
        await self._contacts.erase(event, self._buyer_of(scope))
        await respond(send, 204, _NOTHING, b"")


def _paper(contact: Contact) -> dict[str, str]:
    return {"email": contact.email, "language": contact.language, "shown": shown(contact.email)}
