"""Orders web: the addresses of orders below ``/api/events/{event}/``, and of webhooks, as raw ASGI. Decides nothing.

``routes`` has a handler for each method and path; ``*`` stands for an id, which it gets after the event::

    POST   reservations/*/order   201 the order            (a repeat too: 200; the reservation is the key)
    GET    orders                 200 {"orders": […]}      the buyer's own
    GET    orders/*               200 the order            ?look=1: after asking the provider
    POST   orders/*/pay           200 the order            {"method": token}, Idempotency-Key
    DELETE orders/*               200 the order            given up

A try that did not succeed answers 402 with the bank's reason as ``decline`` and a sentence that helps, and the order. A
bank that has a question is no failure: 200, ``phase`` is ``action``, and ``action_url`` leads there. What is not
decided yet answers 202 with ``Retry-After``: ask again with GET.

``POST /hooks/{provider}`` takes a provider's notices in: 400 for what it has not signed, 503 for what it is to send
again, else what the provider wants to hear. ``GET`` is where a buyer comes back to from the bank's page, if the
provider wants to know what they bring: 303 to the order's own page.

No card number may come this way: a method is a token that the provider's own page has made. What looks like a number is
refused before anything is written. Not here: what is decided (``orders.service``, ``orders.notices``).
"""

import re
from collections.abc import Callable, Mapping
from typing import assert_never
from urllib.parse import parse_qsl

import orjson

from checkout.metrics import Metrics
from checkout.orders.notices import Notices
from checkout.orders.order import ATTEMPTS_MOST
from checkout.orders.papers import OrderPaper, Phase
from checkout.orders.ports import Seen
from checkout.orders.service import Blocked, No, Ordering, Told
from checkout.orders.store import NoAttempt
from checkout.payments.port import Decline, Forged, Provider
from checkout.requests import idempotency_key, read_object, same_site
from checkout.sales.web import Handler
from kernel.asgi import Receive, Scope, Send, read_body, respond
from kernel.errors import Refused

METHOD = re.compile(r"[A-Za-z][A-Za-z0-9_.:-]{1,127}")
"""Tokens of all providers that we know begin with a letter; a card's number does not."""

HOOK_MOST_BYTES = 1_000_000
LOOK_AGAIN_S = 1
"""When to ask again how a payment stands that is not decided yet."""

QUERY_MOST = 16

_NOT_TOLD = [(b"cache-control", b"no-store"), (b"referrer-policy", b"no-referrer")]
_JSON = [(b"content-type", b"application/json"), (b"cache-control", b"no-store")]

SAID: Mapping[Decline, str] = {
    Decline.GENERIC: "Your bank declined this payment. You have not been charged. Try another card, or ask your bank.",
    Decline.FUNDS: "There is not enough money on this card. You have not been charged. Try another card.",
    Decline.EXPIRED: "This card has expired. You have not been charged. Try another card.",
    Decline.SECURITY_CODE: "The security code is not right. You have not been charged. Check it and try again.",
    Decline.NUMBER: "The card number is not right. You have not been charged. Check it and try again.",
    Decline.LOST: "This card cannot be used. You have not been charged. Try another card, or ask your bank.",
    Decline.LIMIT: "This payment is above your card's limit. You have not been charged. Try another card.",
    Decline.CARD_FULL: "This card has paid for as many seats of this event as one card may. You have not been charged. "
    "Try another card, or take fewer seats.",
    Decline.AUTHENTICATION: "Your bank could not confirm that it is you. You have not been charged. Please try again.",
    Decline.CURRENCY: "This card cannot pay in this currency. You have not been charged. Try another card.",
    Decline.PROCESSING: "The payment did not go through for a technical reason. You have not been charged. Try again.",
    Decline.FRAUD: "Your bank declined this payment. You have not been charged. Try another card, or ask your bank.",
}
"""What a buyer hears of a payment that did not succeed."""


class OrdersWeb:
    """Handlers of orders."""

    def __init__(
        self,
        ordering: Ordering,
        buyer_of: Callable[[Scope], str],
        seen_of: Callable[[Scope], Seen],
        metrics: Metrics,
    ) -> None:
        """`buyer_of` tells who asks, and may raise ``Refused``; `seen_of` what is known of the client."""
        self._ordering = ordering
        self._buyer_of = buyer_of
        self._seen_of = seen_of
        self.routes: dict[tuple[str, str], Handler] = metrics.watched(
            {
                ("POST", "reservations/*/order"): self.open,
                ("GET", "orders"): self.mine,
                ("GET", "orders/*"): self.find,
                ("POST", "orders/*/pay"): self.pay,
                ("DELETE", "orders/*"): self.give_up,
            }
        )

    async def open(self, scope: Scope, receive: Receive, send: Send, event: str, reservation: str) -> None:
        """Make an order."""
        del receive
        same_site(scope)
        outcome = await self._ordering.open(event, self._buyer_of(scope), reservation)
        if isinstance(outcome, No):
            raise refusal_of(outcome, "reservation")
        await _show(send, 201 if outcome.is_new else 200, outcome.paper)

    async def mine(self, scope: Scope, receive: Receive, send: Send, event: str) -> None:
        """Tell a buyer's orders."""
        del receive
        papers = await self._ordering.mine(event, self._buyer_of(scope))
        await respond(send, 200, _JSON, orjson.dumps({"orders": papers}))

    async def find(self, scope: Scope, receive: Receive, send: Send, event: str, order: str) -> None:
        """Tell an order."""
        del receive
        look = scope["query_string"] == b"look=1"
        found = await self._ordering.find(event, self._buyer_of(scope), order, look=look)
        if found is None:
            raise refusal_of(No.UNKNOWN)
        await _show(send, 200, found.paper)

    async def pay(self, scope: Scope, receive: Receive, send: Send, event: str, order: str) -> None:
        """Try to pay."""
        same_site(scope)
        buyer, key = self._buyer_of(scope), idempotency_key(scope)
        _, plain = await read_object(scope, receive)
        method = read_method(plain)
        outcome = await self._ordering.pay(event, buyer, order, method, key, self._seen_of(scope))
        if not isinstance(outcome, Told):
            raise refusal_of(outcome)
        if refused := declined(outcome.paper):
            raise refused
        await _show(send, 202 if outcome.paper["phase"] == Phase.PENDING else 200, outcome.paper)

    async def give_up(self, scope: Scope, receive: Receive, send: Send, event: str, order: str) -> None:
        """Give an order up."""
        del receive
        same_site(scope)
        outcome = await self._ordering.give_up(event, self._buyer_of(scope), order)
        if isinstance(outcome, No):
            raise refusal_of(outcome, "paid")
        await _show(send, 200, outcome.paper)


class HooksWeb:
    """Takes notices in. An ASGI application for ``/hooks/{provider}``, where no admission is needed."""

    def __init__(self, notices: Notices, providers: Mapping[str, Provider]) -> None:
        self._notices = notices
        self._providers = providers

    async def hear(self, scope: Scope, receive: Receive, send: Send, name: str) -> None:
        """Hear what a provider says."""
        provider = self._providers.get(name)
        if provider is None:
            raise Refused("address-unknown", "There is nothing at this address.", status=404)
        if scope["method"] == "GET":
            onward = await provider.returned(_query(scope))
            if onward is not None:
                await respond(send, 303, [(b"location", onward.encode()), *_NOT_TOLD], b"")
                return
        if scope["method"] != "POST":
            raise Refused("method-not-allowed", "This address answers POST only.", status=405, allow="POST")
        body = await read_body(receive, HOOK_MOST_BYTES)
        headers = {key.decode("latin-1").lower(): value.decode("latin-1") for key, value in scope["headers"]}
        try:
            await self._notices.hear(name, body, headers)
        except Forged as error:
            raise Refused("notice-forged", "This notice is not signed by its sender.", status=400) from error
        except ValueError as error:
            raise Refused("notice-malformed", "This notice cannot be read.", status=400) from error
        status, text, kind = provider.acknowledgement()
        await respond(send, status, [(b"content-type", kind.encode()), (b"cache-control", b"no-store")], text)


def read_method(plain: Mapping[str, object]) -> str:
    """Read what an order is to be paid with. Raises ``Refused("method-malformed")``."""
    method = plain.get("method")
    if not isinstance(method, str) or not METHOD.fullmatch(method) or set(plain) != {"method"}:
        raise Refused(
            "method-malformed", "Name the payment method that the provider's page has made, and nothing else."
        )
    return method


def declined(paper: OrderPaper) -> Refused | None:
    """Say why a try did not succeed; None where it did, or is under way."""
    if paper["phase"] == Phase.DECLINED and paper["decline"] is not None:
        decline = Decline(paper["decline"])
        return Refused("payment-declined", SAID[decline], 402, decline=decline.value, order=paper)
    if paper["phase"] == Phase.OVER:
        return refusal_of(No.OVER)
    return None


def refusal_of(outcome: No | NoAttempt | Blocked, what: str = "order") -> Refused:
    """Say why there is no order, or no try."""
    match outcome:
        case No.UNKNOWN if what == "reservation":
            return Refused("reservation-unknown", "You have no such reservation.", 404)
        case No.UNKNOWN:
            return Refused("order-unknown", "You have no such order.", 404)
        case No.OVER if what == "paid":
            return Refused("order-paid", "This order is paid for; it cannot be given up here.", 409)
        case No.OVER | NoAttempt.OVER:
            public = "The time to pay is over, so the seats are free for others. You have not been charged."
            return Refused("order-over", public, 410)
        case No.OTHER_BODY:
            return Refused("key-reused", "This Idempotency-Key was used for another request.", 422)
        case NoAttempt.UNDER_WAY:
            public = "Your payment is being made just now. Please wait for its answer before you try again."
            return Refused("payment-under-way", public, 409, retry_after_s=2)
        case NoAttempt.TOO_MANY:
            public = f"This order was tried {ATTEMPTS_MOST} times. Please give it up and choose seats anew."
            return Refused("too-many-attempts", public, 429)
        case NoAttempt.PAID:
            return Refused("order-paid", "This order is paid for already.", 409)
        case Blocked():
            public = "This payment cannot be made here. Please contact the organiser."
            return Refused("payment-blocked", public, 403)
        case _:
            assert_never(outcome)


def _query(scope: Scope) -> dict[str, str]:
    """Read what an address brings; nothing, if it brings too much."""
    try:
        return dict(parse_qsl(scope["query_string"].decode("latin-1"), max_num_fields=QUERY_MOST))
    except ValueError:
        return {}


async def _show(send: Send, status: int, paper: OrderPaper) -> None:
    headers = _JSON if status != 202 else [*_JSON, (b"retry-after", b"%d" % LOOK_AGAIN_S)]
    await respond(send, status, headers, orjson.dumps(paper))
