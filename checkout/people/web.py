"""People's web: a buyer's own addresses of what is kept of them, below ``/api/events/{event}/``. Decides nothing.

    GET    orders/*/contact    200 {"email", "name", "language", "shown"}; 404 contact-unknown: there is none
    PUT    orders/*/contact    200 the same                {"email", "name"?, "language"?}
    DELETE orders/*/contact    204 forgotten, or there was none
    GET    orders/*/personal   200 everything that is kept of the buyer of this order
    DELETE orders/*/personal   200 {"erased", "kept"}: everything that may be erased is

An order of somebody else is answered as one that is not there. Not here: pages (``site.contact_pages``).
"""

from collections.abc import Awaitable, Callable, Collection, Mapping

import orjson

from checkout.metrics import Metrics
from checkout.people.addresses import read_email, read_name, shown
from checkout.people.contacts import Contact, Contacts
from checkout.people.personal import KEPT, Personal
from checkout.requests import read_object, same_site
from kernel.asgi import Receive, Scope, Send, respond
from kernel.errors import Refused

Handler = Callable[..., Awaitable[None]]

MEMBERS = frozenset({"email", "name", "language"})
USUAL_LANGUAGE = "en"

_JSON = [(b"content-type", b"application/json"), (b"cache-control", b"no-store")]
_NOTHING = [(b"cache-control", b"no-store")]
_WRONG = {
    "control": "it has characters that cannot be seen",
    "long": "it is too long",
    "at": "it must have one @",
    "local": "what stands before the @ is not a name of a mailbox",
    "domain": "what stands after the @ is not a domain",
}


class PeopleWeb:
    """Handlers of contacts and of personal data."""

    def __init__(
        self,
        contacts: Contacts,
        personal: Personal,
        buyer_of: Callable[[Scope], str],
        languages: Collection[str],
        metrics: Metrics,
    ) -> None:
        """`buyer_of` tells who asks, and may raise ``Refused``; `languages` are the tags that are spoken."""
        self._contacts = contacts
        self._personal = personal
        self._buyer_of = buyer_of
        self._languages = languages
        self.routes: dict[tuple[str, str], Handler] = metrics.watched(
            {
                ("GET", "orders/*/contact"): self.find,
                ("PUT", "orders/*/contact"): self.put,
                ("DELETE", "orders/*/contact"): self.forget,
                ("GET", "orders/*/personal"): self.tell,
                ("DELETE", "orders/*/personal"): self.erase,
            }
        )

    async def find(self, scope: Scope, receive: Receive, send: Send, event: str, order: str) -> None:
        """Tell where tickets go."""
        del receive
        await self._own(scope, event, order)
        contact = await self._contacts.kept(event, order)
        if contact is None:
            raise Refused("contact-unknown", "Nobody has said where this order's tickets go.", 404)
        await respond(send, 200, _JSON, orjson.dumps(paper(contact)))

    async def put(self, scope: Scope, receive: Receive, send: Send, event: str, order: str) -> None:
        """Keep where tickets go."""
        same_site(scope)
        buyer = self._buyer_of(scope)
        _, plain = await read_object(scope, receive)
        contact = read_contact(plain, self._languages)
        if not await self._contacts.put(event, buyer, order, contact):
            raise unknown()
        await respond(send, 200, _JSON, orjson.dumps(paper(contact)))

    async def forget(self, scope: Scope, receive: Receive, send: Send, event: str, order: str) -> None:
        """Forget where tickets go."""
        del receive
        same_site(scope)
        await self._own(scope, event, order)
        await self._contacts.erase(event, order)
        await respond(send, 204, _NOTHING, b"")

    async def tell(self, scope: Scope, receive: Receive, send: Send, event: str, order: str) -> None:
        """Tell everything that is kept."""
        del receive
        await self._own(scope, event, order)
        headers = [*_JSON, (b"content-disposition", b'attachment; filename="personal.json"')]
        await respond(send, 200, headers, orjson.dumps(await self._personal.told(event, order)))

    async def erase(self, scope: Scope, receive: Receive, send: Send, event: str, order: str) -> None:
        """Erase what may be."""
        del receive
        same_site(scope)
        await self._own(scope, event, order)
        gone = await self._personal.erase(event, order, "buyer")
        await respond(send, 200, _JSON, orjson.dumps({"erased": gone, "kept": KEPT}))

    async def _own(self, scope: Scope, event: str, order: str) -> None:
        """See that the order is the buyer's. Raises ``Refused``."""
        if not await self._contacts.owns(event, self._buyer_of(scope), order):
            raise unknown()


def read_contact(plain: Mapping[str, object], languages: Collection[str]) -> Contact:
    """Read a contact. Raises ``Refused``: ``contact-malformed``, ``email-malformed``, ``language-unknown``."""
    email, name, language = plain.get("email"), plain.get("name", ""), plain.get("language", USUAL_LANGUAGE)
    if (
        not isinstance(email, str)
        or not isinstance(name, str)
        or not isinstance(language, str)
        or not set(plain) <= MEMBERS
    ):
        raise Refused(
            "contact-malformed", "Send email, and perhaps name and language, as texts and nothing else."
        )
    if language not in languages:
        known = ", ".join(sorted(languages))
        raise Refused("language-unknown", f"There is no such language; there are {known}.")
    try:
        kept = read_email(email)
    except ValueError as error:
        public = f"This is no e-mail address: {_WRONG[str(error)]}."
        raise Refused("email-malformed", public, why=str(error)) from error
    try:
        return Contact(kept, language, name=read_name(name))
    except ValueError as error:
        raise Refused("contact-malformed", f"The name cannot be taken: {_WRONG[str(error)]}.") from error


def paper(contact: Contact) -> dict[str, str]:
    """Write a contact for its owner; `shown` is for a page that others may see."""
    return {
        "email": contact.email,
        "name": contact.name,
        "language": contact.language,
        "shown": shown(contact.email),
    }


def unknown() -> Refused:
    """Say that the buyer has no such order."""
    return Refused("order-unknown", "You have no such order.", 404)
