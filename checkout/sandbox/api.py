"""API: the calls of Stripe's version 1 that a shop needs, from parameters to an answer.

Payment intents: create, change, read, list, confirm, capture, cancel. Refunds: create, read, list. Charges, disputes
and events: read, list. Payment methods: read. Parameters are judged first (``parameters``), then how things stand.
Not here: keys, faults, HTTP (``app``).
"""

import itertools
import json
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from checkout.sandbox.answers import Answer, ApiError, json_answer, unknown
from checkout.sandbox.book import Book, Shelf, within
from checkout.sandbox.forms import Tree
from checkout.sandbox.intents import Intents
from checkout.sandbox.methods import METHODS
from checkout.sandbox.parameters import PAGE, PAGE_MOST, Parameters, must
from checkout.sandbox.records import Charge, Dispute, Intent, Refund, Wire, method_wire
from checkout.sandbox.returns import Returns

CAPTURE_METHODS = ("automatic", "automatic_async", "manual")
CANCEL_REASONS = ("abandoned", "duplicate", "fraudulent", "requested_by_customer")
REFUND_REASONS = ("duplicate", "fraudulent", "requested_by_customer")
NO_DIFFERENCE = (
    *("allowed_payment_method_types", "automatic_payment_methods", "excluded_payment_method_types"),
    *(
        "off_session",
        "receipt_email",
        "statement_descriptor",
        "statement_descriptor_suffix",
        "use_stripe_sdk",
    ),
)
EXPANDABLE = ("latest_charge", "payment_method")


class Call(NamedTuple):
    """One call. ``pages``: where the bank's pages are."""

    parameters: Parameters
    ident: str
    pages: str
    now_ms: int


Handler = Callable[[Call], Answer]


class Api:
    """All calls over a book."""

    def __init__(self, book: Book, intents: Intents, returns: Returns) -> None:
        self._book = book
        self._intents = intents
        self._returns = returns
        self._routes: Mapping[tuple[str, str, str], Handler] = {
            ("POST", "payment_intents", ""): self._create,
            ("GET", "payment_intents", ""): self._list_intents,
            ("GET", "payment_intents", ":"): self._read_intent,
            ("POST", "payment_intents", ":"): self._change,
            ("POST", "payment_intents", ":confirm"): self._confirm,
            ("POST", "payment_intents", ":capture"): self._capture,
            ("POST", "payment_intents", ":cancel"): self._cancel,
            ("POST", "refunds", ""): self._refund,
            ("GET", "refunds", ""): self._list_refunds,
            ("GET", "refunds", ":"): self._read_refund,
            ("GET", "charges", ""): self._list_charges,
            ("GET", "charges", ":"): self._read_charge,
            ("GET", "disputes", ""): self._list_disputes,
            ("GET", "disputes", ":"): self._read_dispute,
            ("GET", "events", ""): self._list_events,
            ("GET", "events", ":"): self._read_event,
            ("GET", "payment_methods", ":"): self._read_method,
        }

    def find(self, method: str, path: str) -> tuple[Handler, str]:
        """Give the handler for an address, and the id in it. Raises ``ApiError``."""
        parts = path.removeprefix("/v1/").split("/")
        if path.startswith("/v1/") and len(parts) <= 3 and all(parts):
            action = "" if len(parts) == 1 else ":" + "".join(parts[2:])
            handler = self._routes.get((method, parts[0], action))
            if handler is not None:
                return handler, parts[1] if len(parts) > 1 else ""
        raise ApiError(404, f"Unrecognized request URL ({method}: {path[:200]}).")

    def call(self, handler: Handler, ident: str, tree: Tree, pages: str, now_ms: int) -> Answer:
        """Answer a call. Raises ``ApiError``."""
        return handler(Call(Parameters(tree), ident, pages, now_ms))

    def pass_time(self, now_ms: int) -> None:
        """Do what is due by itself."""
        for ident in self._book.due(now_ms):
            intent = self._book.intents.get(ident)
            if intent is not None:
                self._intents.pass_time(intent, now_ms)
            refund = self._book.refunds.get(ident)
            if refund is not None:
                self._returns.pass_time(refund, now_ms)

    # ---------------------------------------------------------------------------- payment intents

    def _create(self, call: Call) -> Answer:
        given = call.parameters
        _no_types(given)
        currency = given.currency()
        amount = must(given.amount("amount", currency), "amount")
        capture_method = given.word("capture_method", CAPTURE_METHODS) or "automatic_async"
        is_confirmed = given.flag("confirm") or False
        method, return_url = _method(given), given.address("return_url")
        metadata, description = given.metadata(), given.text("description", 1_000)
        expand = given.expand(EXPANDABLE)
        given.ignored(*NO_DIFFERENCE)
        given.done()
        if return_url and not is_confirmed:
            raise ApiError(
                400, "You can only provide return_url together with confirm=true.", param="return_url"
            )
        intent = self._intents.create(
            amount, currency, capture_method, metadata, description or "", call.now_ms
        )
        if method:
            self._intents.change(intent, None, method, {}, "")
        if is_confirmed:
            self._intents.confirm(intent, method, return_url or "", self._page(call, intent), call.now_ms)
        return json_answer(self._told(intent, expand))

    def _change(self, call: Call) -> Answer:
        intent, given = self._intents.find(call.ident), call.parameters
        _no_types(given)
        amount, method = given.amount("amount", intent.currency), _method(given)
        metadata, description = given.metadata(), given.text("description", 1_000)
        expand = given.expand(EXPANDABLE)
        given.ignored(*NO_DIFFERENCE)
        given.done()
        self._intents.change(intent, amount, method, metadata, description or "")
        return json_answer(self._told(intent, expand))

    def _read_intent(self, call: Call) -> Answer:
        intent = self._intents.find(call.ident)
        expand = call.parameters.expand(EXPANDABLE)
        call.parameters.ignored("client_secret")
        call.parameters.done()
        return json_answer(self._told(intent, expand))

    def _list_intents(self, call: Call) -> Answer:
        given = call.parameters
        expand = {one.removeprefix("data.") for one in given.expand([f"data.{one}" for one in EXPANDABLE])}
        return _page(call, self._book.intents, lambda _one: True, lambda one: self._told(one, expand))

    def _confirm(self, call: Call) -> Answer:
        intent, given = self._intents.find(call.ident), call.parameters
        _no_types(given)
        method, return_url = _method(given), given.address("return_url")
        expand = given.expand(EXPANDABLE)
        given.ignored(*NO_DIFFERENCE)
        given.done()
        self._intents.confirm(intent, method, return_url or "", self._page(call, intent), call.now_ms)
        return json_answer(self._told(intent, expand))

    def _capture(self, call: Call) -> Answer:
        intent, given = self._intents.find(call.ident), call.parameters
        amount = given.amount("amount_to_capture", intent.currency)
        expand = given.expand(EXPANDABLE)
        given.ignored("statement_descriptor", "statement_descriptor_suffix")
        given.done()
        self._intents.capture(intent, amount, call.now_ms)
        return json_answer(self._told(intent, expand))

    def _cancel(self, call: Call) -> Answer:
        intent, given = self._intents.find(call.ident), call.parameters
        reason = given.word("cancellation_reason", CANCEL_REASONS)
        expand = given.expand(EXPANDABLE)
        given.done()
        self._intents.cancel(intent, reason or "", call.now_ms)
        return json_answer(self._told(intent, expand))

    def _page(self, call: Call, intent: Intent) -> str:
        return f"{call.pages}/3ds/{intent.id}"

    def _told(self, intent: Intent, expand: set[str]) -> Wire:
        charge = method = None
        if "latest_charge" in expand and intent.charge:
            charge = self._book.charges.things[intent.charge].wire()
        if "payment_method" in expand and intent.method:
            method = method_wire(METHODS[intent.method], intent.created_ms)
        return intent.wire(charge, method)

    # ---------------------------------------------------------------------------- what goes back

    def _refund(self, call: Call) -> Answer:
        given = call.parameters
        of_intent, of_charge = given.text("payment_intent"), given.text("charge")
        if (of_intent is None) == (of_charge is None):
            raise ApiError(
                400, "You must pass either a charge or a payment_intent.",
                code="parameter_missing", param="payment_intent",
            )  # fmt: skip
        if of_intent is not None:
            charge = self._book.charges.get(self._intents.find(of_intent, "payment_intent").charge)
        else:
            charge = self._book.charges.get(of_charge or "")
            if charge is None:
                raise unknown("charge", of_charge or "", "charge")
        amount = given.amount("amount", charge.currency) if charge else given.whole("amount", least=1)
        reason, metadata = given.word("reason", REFUND_REASONS), given.metadata()
        expand = given.expand(("charge", "payment_intent"))
        given.done()
        refund = self._returns.refund(charge, amount, reason or "", metadata, call.now_ms)
        return json_answer(self._told_refund(refund, expand))

    def _read_refund(self, call: Call) -> Answer:
        refund = self._book.refunds.get(call.ident)
        if refund is None:
            raise unknown("refund", call.ident)
        expand = call.parameters.expand(("charge", "payment_intent"))
        call.parameters.done()
        return json_answer(self._told_refund(refund, expand))

    def _list_refunds(self, call: Call) -> Answer:
        return _page(call, self._book.refunds, _belongs(call.parameters), lambda one: one.wire())

    def _told_refund(self, refund: Refund, expand: set[str]) -> Wire:
        return refund.wire(
            self._book.intents.things[refund.intent].wire() if "payment_intent" in expand else None,
            self._book.charges.things[refund.charge].wire() if "charge" in expand else None,
        )

    # ---------------------------------------------------------------------------- what is only read

    def _read_charge(self, call: Call) -> Answer:
        charge = self._book.charges.get(call.ident)
        if charge is None:
            raise unknown("charge", call.ident)
        expand = call.parameters.expand(("payment_intent",))
        call.parameters.done()
        intent = self._book.intents.things[charge.intent].wire() if expand else None
        return json_answer(charge.wire(intent))

    def _list_charges(self, call: Call) -> Answer:
        of_intent = call.parameters.text("payment_intent")
        return _page(
            call, self._book.charges, lambda one: of_intent in {None, one.intent}, lambda one: one.wire()
        )

    def _read_dispute(self, call: Call) -> Answer:
        dispute = self._book.disputes.get(call.ident)
        if dispute is None:
            raise unknown("dispute", call.ident)
        call.parameters.done()
        return json_answer(dispute.wire())

    def _list_disputes(self, call: Call) -> Answer:
        return _page(call, self._book.disputes, _belongs(call.parameters), lambda one: one.wire())

    def _read_event(self, call: Call) -> Answer:
        event = self._book.events.get(call.ident)
        if event is None:
            raise unknown("event", call.ident)
        call.parameters.done()
        return Answer(200, event.body.encode())

    def _list_events(self, call: Call) -> Answer:
        given = call.parameters
        limit = given.whole("limit", 1, PAGE_MOST) or PAGE
        after, kind, since = given.text("starting_after"), given.text("type"), given.since()
        given.done()
        if after is not None and after not in self._book.events:
            raise unknown("event", after, "starting_after")
        newest_first = iter(reversed(self._book.events.values()))
        if after is not None:
            newest_first = itertools.dropwhile(lambda event: event.id != after, newest_first)
            next(newest_first)
        wanted = (
            event
            for event in newest_first
            if kind in {None, event.kind} and within(event.created_ms // 1000, since)
        )
        found = list(itertools.islice(wanted, limit + 1))
        return _listed("events", [json.loads(event.body) for event in found[:limit]], len(found) > limit)

    def _read_method(self, call: Call) -> Answer:
        method = METHODS.get(call.ident)
        if method is None:
            raise unknown("PaymentMethod", call.ident)
        call.parameters.done()
        return json_answer(method_wire(method, call.now_ms))


def _no_types(given: Parameters) -> None:
    if given.words("payment_method_types"):
        raise ApiError(
            400, "payment_method_types is no longer supported; use allowed_payment_method_types.",
            code="payment_method_types_no_longer_supported", param="payment_method_types",
        )  # fmt: skip


def _method(given: Parameters) -> str:
    """Read the payment method; '' for none."""
    token = given.text("payment_method")
    if token is not None and token not in METHODS:
        raise unknown("PaymentMethod", token, "payment_method")
    return token or ""


def _belongs(given: Parameters) -> Callable[[Refund | Dispute], bool]:
    of_intent, of_charge = given.text("payment_intent"), given.text("charge")
    return lambda one: of_intent in {None, one.intent} and of_charge in {None, one.charge}


def _page(call: Call, shelf: Shelf[Any], keeps: Callable[[Any], bool], told: Callable[[Any], Wire]) -> Answer:
    """List a shelf."""
    given = call.parameters
    limit = given.whole("limit", 1, PAGE_MOST) or PAGE
    after, since = given.text("starting_after"), given.since()
    given.done()
    found = shelf.page(limit, after or "", since, keeps)
    if found is None:
        raise unknown("object", after or "", "starting_after")
    things, has_more = found
    return _listed(_NAMES[type(things[0])] if things else "", [told(one) for one in things], has_more)


_NAMES: Mapping[type[object], str] = {
    Intent: "payment_intents", Charge: "charges", Refund: "refunds", Dispute: "disputes",
}  # fmt: skip


def _listed(name: str, things: list[Wire], has_more: bool) -> Answer:
    return json_answer({"object": "list", "url": f"/v1/{name}", "has_more": has_more, "data": things})
