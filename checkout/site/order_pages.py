"""Order pages: an order from "to pay" to "paid", as plain pages and forms that need no script.

    POST /events/{event}/reservation/{reservation}/order    make the order
    GET  /events/{event}/order/{order}                      how it stands; ?look=1 asks the provider first
    POST /events/{event}/order/{order}/pay                  try to pay (key, method)
    POST /events/{event}/order/{order}/leave                give it up

Every form is answered with a redirect to the order's page, which says how the order stands: a decline is a state of it
with words that help, not a page of its own. A bank's page is led to by a link, because our policy lets no form
end elsewhere. What an order may be paid with is the provider's: named tokens (``ways``), or its card fields
(``fields``), for whose script the policy of this one page is opened. A form brings tokens, never a card's number.

Not here: what is decided (``orders.service``), the API (``orders.web``), other pages (``site.pages_web``).
"""

import secrets
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from checkout.orders.papers import Phase
from checkout.orders.ports import Seen
from checkout.orders.service import Blocked, No, Ordering
from checkout.orders.web import refusal_of
from checkout.requests import read_key, same_site
from checkout.sales.service import Reserving
from checkout.site.account_pages import AccountPages
from checkout.site.contact_pages import ContactPages
from checkout.site.fields import TOKEN, CardFields
from checkout.site.forms import html, one, read_form
from checkout.site.push_pages import PushPages
from checkout.site.render import Event, Pages, Visit, can_be_paid, content_security_policy
from kernel.asgi import Scope

LOOKING = frozenset(("look", "payment_intent", "redirect_status"))
"""Parameters of who comes back from a bank's page, or wants to know."""


@dataclass(frozen=True, slots=True)
class Way:
    """One way to pay: the token that the provider knows it by, and the key of its words."""

    token: str
    words: str


SANDBOX_WAYS = (
    Way("pm_card_visa", "pays"),
    Way("pm_card_threeDSecure2Required", "asks"),
    Way("pm_card_visa_chargeDeclinedInsufficientFunds", "no-funds"),
    Way("pm_card_chargeDeclined", "declined"),
)
"""What the sandbox offers: outcomes by name."""


class OrderPages:
    """Handlers of an order's pages."""

    def __init__(
        self,
        ordering: Ordering,
        reserving: Reserving,
        ways: Sequence[Way],
        buyer_of: Callable[[Scope], str],
        seen_of: Callable[[Scope], Seen],
        *,
        fields: CardFields | None = None,
        is_live: bool = False,
        tickets_of: Callable[[str, str], str] = lambda *_: "",
        contacts: ContactPages | None = None,
        accounts: AccountPages | None = None,
        push: PushPages | None = None,
    ) -> None:
        """`buyer_of` tells who asks; it may raise ``Refused``. `is_live`: what is paid is real money.

        `tickets_of` gives the address of an order's tickets, by event and order. `contacts` ask where they go,
        `accounts` keep orders, `push` has browsers told; None: nobody is asked, and nobody logs in.
        """
        self._tickets_of = tickets_of
        self._contacts = contacts
        self._accounts = accounts
        self._push = push
        self._ordering = ordering
        self._reserving = reserving
        self._ways = [(way.token, way.words) for way in ways]
        self._buyer_of = buyer_of
        self._seen_of = seen_of
        self._fields = fields
        self.is_live = is_live
        self._pages = Pages(is_demo=not is_live)
        self._event: Callable[[Request], Awaitable[Event]]
        self._visit: Callable[[Request], Visit]

    def routes(
        self, event_of: Callable[[Request], Awaitable[Event]], visit_of: Callable[[Request], Visit]
    ) -> list[Route]:
        """Give the addresses; `event_of` and `visit_of` are the other pages' own."""
        self._event, self._visit = event_of, visit_of
        event = "/events/{event}"
        return [
            Route(f"{event}/reservation/{{reservation}}/order", self.open, methods=["POST"]),
            Route(f"{event}/order/{{order}}", self.show, methods=["GET"]),
            Route(f"{event}/order/{{order}}/pay", self.pay, methods=["POST"]),
            Route(f"{event}/order/{{order}}/leave", self.leave, methods=["POST"]),
            *(self._contacts.routes(visit_of) if self._contacts is not None else ()),
            *(self._push.routes(visit_of) if self._push is not None else ()),
            *(
                [Route(f"{event}/order/{{order}}/keep", self._accounts.keep, methods=["POST"])]
                if self._accounts is not None
                else ()
            ),
        ]

    async def open(self, request: Request) -> Response:
        """Make an order."""
        same_site(request.scope)
        event = request.path_params["event"]
        outcome = await self._ordering.open(
            event, self._buyer_of(request.scope), request.path_params["reservation"]
        )
        if isinstance(outcome, No):
            raise refusal_of(outcome, "reservation")
        if self._accounts is not None:
            await self._accounts.bought(request.scope, event, outcome.paper["order"])
        return _to(event, outcome.paper["order"])

    async def show(self, request: Request) -> Response:
        """Show how an order stands."""
        event, buyer = await self._event(request), self._buyer_of(request.scope)
        name = request.path_params["order"]
        look = not LOOKING.isdisjoint(request.query_params)
        told = await self._ordering.find(event["id"], buyer, name, look=look)
        if told is None:
            raise HTTPException(404)
        if look:
            # The address that stays has no traces of the bank's page.
            return _to(event["id"], name)
        paper = told.paper
        reservation = await self._reserving.find(event["id"], buyer, paper["reservation"])
        if reservation is None:
            raise HTTPException(404)
        visit, key, policy = self._visit(request), secrets.token_urlsafe(16), None
        if self._fields is not None and can_be_paid(paper, visit.now_ms):
            policy = content_security_policy(fields=self._fields)
        contact, account = None, None
        if self._contacts is not None:
            contact = await self._contacts.shown(request, event["id"], name)
        if self._accounts is not None:
            account = await self._accounts.shown(request.scope, event["id"], name)
        tickets = self._tickets_of(event["id"], name) if paper["phase"] == Phase.PAID else ""
        text = self._pages.order(
            visit,
            event,
            paper,
            reservation["seats"],
            self._ways,
            key,
            self._fields,
            tickets,
            contact,
            account,
            None if self._push is None else self._push.shown(event["id"], name, request.url.path),
        )
        return html(request.scope, text, policy=policy)

    async def pay(self, request: Request) -> Response:
        """Try to pay."""
        same_site(request.scope)
        event, name = request.path_params["event"], request.path_params["order"]
        buyer, form = self._buyer_of(request.scope), await read_form(request.scope, request.receive)
        key, method = read_key([value.encode() for value in form.get("key", ())]), one(form, "method")
        if not self._takes(method):
            raise refusal_of(No.UNKNOWN)
        outcome = await self._ordering.pay(event, buyer, name, method, key, self._seen_of(request.scope))
        if isinstance(outcome, Blocked) or outcome is No.UNKNOWN:
            raise refusal_of(outcome)
        return _to(event, name)

    async def leave(self, request: Request) -> Response:
        """Give an order up."""
        same_site(request.scope)
        event, name = request.path_params["event"], request.path_params["order"]
        outcome = await self._ordering.give_up(event, self._buyer_of(request.scope), name)
        if outcome is No.UNKNOWN:
            raise HTTPException(404)
        return _to(event, name)

    def _takes(self, method: str) -> bool:
        """Tell whether a form may bring this: a token of the fields where there are any, else one of the ways."""
        if self._fields is not None:
            return TOKEN.fullmatch(method) is not None
        return method in {token for token, _ in self._ways}


def _to(event: str, order: str) -> Response:
    return RedirectResponse(f"/events/{event}/order/{order}", 303, {"Cache-Control": "no-store"})
