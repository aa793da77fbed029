"""People's desk: the organiser's addresses for a buyer who asks what is kept of them. Decides nothing.

    POST    /people/find                              {"email"}: orders and places on waitlists of an address
    GET     /events/{event}/orders/{order}/personal   everything that is kept of the order's buyer
    DELETE  /events/{event}/orders/{order}/personal   erase what may be
    DELETE  /events/{event}/waitlist/{number}/contact erase where who waits is written to

The address comes in a body, so that it stands in no log of addresses. Who asks must have made sure whom they
help: an address in a letter proves nothing. Each act is in the log, with who did it and without the address.
"""

import re
from collections.abc import Sequence

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from checkout.catalogue.reading import CatalogueReader
from checkout.orders.order import is_order_id
from checkout.organiser.talking import PREFIX, answer, document, event_of, resource, told, who
from checkout.people.contacts import Contacts
from checkout.people.personal import KEPT, Personal
from checkout.waitlist.contacts import WaitlistContacts
from kernel.errors import Refused

_NUMBER = re.compile(r"[1-9][0-9]{0,8}")


class PeopleDesk:
    """The addresses; ``routes`` go behind the organiser's door."""

    def __init__(
        self,
        catalogue: CatalogueReader,
        contacts: Contacts,
        personal: Personal,
        waiting: WaitlistContacts,
    ) -> None:
        self._waiting = waiting
        self._catalogue = catalogue
        self._contacts = contacts
        self._personal = personal
        order = f"{PREFIX}/events/{{event}}/orders/{{order}}/personal"
        self.routes: Sequence[Route] = [
            resource(f"{PREFIX}/people/find", POST=self.find),
            resource(order, GET=self.tell, DELETE=self.erase),
            resource(f"{PREFIX}/events/{{event}}/waitlist/{{number}}/contact", DELETE=self.forget),
        ]

    async def find(self, request: Request) -> Response:
        """POST /people/find."""
        plain = await document(request)
        email = plain.get("email")
        if not isinstance(email, str) or set(plain) != {"email"}:
            raise Refused("contact-malformed", "Send the email as a text, and nothing else.")
        try:
            found, waits = await self._contacts.find(email), await self._waiting.find(email)
        except ValueError as error:
            raise Refused("email-malformed", "This is no e-mail address.", why=str(error)) from error
        told(request, "buyer-looked-for", orders=len(found), waitlist=len(waits))
        return answer(
            {
                "orders": [{"event": event, "order": order} for event, order in found],
                "waitlist": [{"event": event, "number": number} for event, number in waits],
            }
        )

    async def tell(self, request: Request) -> Response:
        """GET /personal."""
        event, order = await self._named(request)
        plain = await self._personal.told(event, order)
        if plain["order"] is None:
            raise _unknown()
        told(request, "personal-told", event=event, order=order)
        return answer(plain)

    async def erase(self, request: Request) -> Response:
        """DELETE /personal."""
        event, order = await self._named(request)
        gone = await self._personal.erase(event, order, who(request))
        told(request, "personal-erased", event=event, order=order)
        return answer({"erased": gone, "kept": KEPT})

    async def forget(self, request: Request) -> Response:
        """DELETE /waitlist/{number}/contact."""
        event = (await self._catalogue.known(event_of(request), drafts=True)).event.id
        text = str(request.path_params["number"])
        if not _NUMBER.fullmatch(text):
            raise Refused("not-waiting", "There is no such entry of the waitlist.", 404)
        number = int(text)
        gone = await self._waiting.erase_entry(event, number)
        told(request, "waitlist-contact-erased", event=event, number=number)
        return answer({"erased": {"contact": gone}})

    async def _named(self, request: Request) -> tuple[str, str]:
        event = (await self._catalogue.known(event_of(request), drafts=True)).event.id
        order = str(request.path_params["order"])
        if not is_order_id(order):
            raise _unknown()
        return event, order


def _unknown() -> Refused:
    return Refused("order-unknown", "There is no such order.", 404)
