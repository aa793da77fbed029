"""Contact pages: the forms on an order's page that say where its tickets go, without any script.

    POST /events/{event}/order/{order}/contact           keep it (email, name)
    POST /events/{event}/order/{order}/contact/forget    forget it

Both lead back to the order's page, which shows the address with its letters hidden: others may see the page.
What is no address is said there, and stands in no address bar. The language of the page is the one that is
written in. An order is shown, and can be paid, also while its contact cannot be read.

Not here: what is kept (``people.contacts``), the rest of the page (``order_pages``), the API (``people.web``).
"""

import logging
from collections.abc import Callable

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from checkout.people.addresses import read_email, read_name, shown
from checkout.people.contacts import Contact, Contacts
from checkout.requests import same_site
from checkout.site.forms import one, read_form
from checkout.site.render import ShownContact, Visit
from kernel.asgi import Scope
from kernel.errors import Unavailable

log = logging.getLogger(__name__)

WRONG = "contact"
"""Parameter of who sent what is no address."""


class ContactPages:
    """Handlers of the forms, and what the order's page shows."""

    def __init__(self, contacts: Contacts, buyer_of: Callable[[Scope], str], days: int) -> None:
        """`buyer_of` tells who asks; `days`: so long after an event contacts are kept."""
        self._contacts = contacts
        self._buyer_of = buyer_of
        self._days = days
        self._visit: Callable[[Request], Visit]

    def routes(self, visit_of: Callable[[Request], Visit]) -> list[Route]:
        """Give the addresses."""
        self._visit = visit_of
        order = "/events/{event}/order/{order}/contact"
        return [
            Route(order, self.keep, methods=["POST"]),
            Route(f"{order}/forget", self.forget, methods=["POST"]),
        ]

    async def shown(self, request: Request, event: str, order: str) -> ShownContact:
        """Say what the order's page shows; the order is the buyer's."""
        is_wrong = request.query_params.get(WRONG) == "wrong"
        try:
            contact = await self._contacts.kept(event, order)
        except Unavailable as error:
            log.warning("an order is shown without its contact", extra={"order": order, "code": error.code})
            return ShownContact("", self._days, is_away=True)
        return ShownContact(shown(contact.email) if contact else "", self._days, is_wrong=is_wrong)

    async def keep(self, request: Request) -> Response:
        """Keep where tickets go."""
        same_site(request.scope)
        event, order = request.path_params["event"], request.path_params["order"]
        buyer, form = self._buyer_of(request.scope), await read_form(request.scope, request.receive)
        try:
            contact = Contact(
                read_email(one(form, "email")),
                self._visit(request).language,
                name=read_name(one(form, "name")),
            )
        except ValueError:
            return _back(event, order, is_wrong=True)
        if not await self._contacts.put(event, buyer, order, contact):
            raise HTTPException(404)
        return _back(event, order)

    async def forget(self, request: Request) -> Response:
        """Forget where tickets go."""
        same_site(request.scope)
        event, order = request.path_params["event"], request.path_params["order"]
        if not await self._contacts.owns(event, self._buyer_of(request.scope), order):
            raise HTTPException(404)
        await self._contacts.erase(event, order)
        return _back(event, order)


def _back(event: str, order: str, *, is_wrong: bool = False) -> Response:
    query = f"?{WRONG}=wrong" if is_wrong else ""
    return RedirectResponse(
        f"/events/{event}/order/{order}{query}#contact", 303, {"Cache-Control": "no-store"}
    )
