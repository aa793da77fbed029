"""Waiting pages: the forms of the waitlist that say where to write to when it is somebody's turn; without any script.

    POST /events/{event}/waitlist/contact           keep it (email; or account=yes: the address of who is logged in)
    POST /events/{event}/waitlist/contact/forget    forget it

Both lead back to the waitlist's page, as it stands still: what is typed into a page that looks again by itself is lost.
It shows the address with its letters hidden. What cannot be taken is said there, and stands in no address bar.

Not here: what is kept (``waitlist.contacts``), the rest of the page (``pages_web``), the API
(``waitlist.contacts_web``).
"""

import logging
from collections.abc import Awaitable, Callable
from enum import StrEnum

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from checkout.people.accounts import Account
from checkout.people.addresses import read_email, shown
from checkout.people.contacts import Contact
from checkout.requests import same_site
from checkout.site.forms import one, read_form
from checkout.site.render import ShownWaiter, Visit
from checkout.waitlist.contacts import WaitlistContacts
from kernel.asgi import Scope
from kernel.errors import Refused, Unavailable

log = logging.getLogger(__name__)

TOLD = "mail"
"""Parameter of who sent what could not be taken."""


class Wrong(StrEnum):
    """Why an address was not taken, as the page says it."""

    MALFORMED = "wrong"
    BUSY = "busy"


AccountOf = Callable[[Scope], Awaitable[Account | None]]


class WaitingPages:
    """Handlers of the forms, and what the waitlist's page shows."""

    def __init__(
        self,
        contacts: WaitlistContacts,
        buyer_of: Callable[[Scope], str],
        account_of: AccountOf | None = None,
    ) -> None:
        """`buyer_of` tells who asks; `account_of` who is logged in, where anybody can be."""
        self._contacts = contacts
        self._buyer_of = buyer_of
        self._account_of = account_of
        self._visit: Callable[[Request], Visit]

    def routes(self, visit_of: Callable[[Request], Visit]) -> list[Route]:
        """Give the addresses."""
        self._visit = visit_of
        base = "/events/{event}/waitlist/contact"
        return [
            Route(base, self.keep, methods=["POST"]),
            Route(f"{base}/forget", self.forget, methods=["POST"]),
        ]

    async def shown(self, request: Request, event: str) -> ShownWaiter:
        """Say what the page shows to who waits."""
        said = request.query_params.get(TOLD, "")
        wrong = said if said in set(Wrong) else ""
        try:
            contact = await self._contacts.kept(event, self._buyer_of(request.scope))
        except Unavailable as error:
            log.warning("a place is shown without its contact", extra={"event": event, "code": error.code})
            return ShownWaiter("", is_away=True)
        account = await self._account(request.scope)
        offered = "" if account is None else shown(account.email)
        return ShownWaiter(shown(contact.email) if contact else "", offered, wrong)

    async def joined(self, request: Request, event: str, buyer: str, email: str) -> str:
        """Keep what came with the form that joins, if anything did; returns where to go on."""
        return _page(event) if not email.strip() else await self._kept(request, event, buyer, email, "")

    async def keep(self, request: Request) -> Response:
        """Keep where to write to."""
        same_site(request.scope)
        event = request.path_params["event"]
        buyer, form = self._buyer_of(request.scope), await read_form(request.scope, request.receive)
        if one(form, "account") != "yes":
            return _to(await self._kept(request, event, buyer, one(form, "email"), ""))
        account = await self._account(request.scope)
        if account is None:
            return _to(_page(event, Wrong.MALFORMED))
        return _to(await self._kept(request, event, buyer, account.email, account.id))

    async def forget(self, request: Request) -> Response:
        """Forget where to write to."""
        same_site(request.scope)
        event = request.path_params["event"]
        await self._contacts.erase(event, self._buyer_of(request.scope))
        return _to(_page(event, still=True))

    async def _kept(self, request: Request, event: str, buyer: str, email: str, account: str) -> str:
        try:
            contact = Contact(read_email(email), self._visit(request).language)
            # Who does not wait is told so by the page.
            await self._contacts.put(event, buyer, contact, account)
        except ValueError:
            return _page(event, Wrong.MALFORMED)
        except Refused as error:
            if error.code != "contact-busy":
                raise
            return _page(event, Wrong.BUSY)
        return _page(event, still=True)

    async def _account(self, scope: Scope) -> Account | None:
        """Tell who is logged in and has an address; nobody, while that cannot be read."""
        if self._account_of is None:
            return None
        try:
            account = await self._account_of(scope)
        except Unavailable:
            return None
        return account if account is not None and account.email else None


def _page(event: str, wrong: Wrong | None = None, *, still: bool = False) -> str:
    base = f"/events/{event}/waitlist"
    if wrong is not None:
        return f"{base}?still=1&{TOLD}={wrong}#mail"
    return f"{base}?still=1#mail" if still else base


def _to(path: str) -> Response:
    return RedirectResponse(path, 303, {"Cache-Control": "no-store"})
