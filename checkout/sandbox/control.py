"""Control: what a drill or a demo asks of the sandbox and no provider would offer, under ``/_sandbox/``, in JSON.

* ``faults``: GET lists, POST adds one (``fault where count probability delay_ms copies seed``), DELETE forgets all.
* ``disputes``: POST opens one (``payment_intent``, and if wanted ``amount reason inquiry``);
  ``disputes/{id}``: POST decides it (``outcome``: ``won`` or ``lost``).
* ``ledger``: GET tells for every order (or ``?event=…&order=…``) what was authorised, captured, refunded and disputed,
  in Stripe's minor units, with each of its payments.
* ``webhooks``: GET tells how deliveries stand; ``webhooks/{event}``: POST delivers that event again.

Who asks has the secret key, as for the API. Errors look like the API's.
"""

import logging
import secrets
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import parse_qs

import orjson

from checkout.sandbox.answers import Answer, ApiError, json_answer, unknown
from checkout.sandbox.book import Book
from checkout.sandbox.deliveries import Deliveries
from checkout.sandbox.faults import FaultPlan, read_fault
from checkout.sandbox.intents import Intents
from checkout.sandbox.records import Intent, Wire
from checkout.sandbox.returns import Returns

log = logging.getLogger(__name__)

PREFIX = "/_sandbox/"


class Control:
    """The control of one sandbox."""

    def __init__(
        self, book: Book, intents: Intents, returns: Returns, faults: FaultPlan, deliveries: Deliveries
    ) -> None:
        self._book = book
        self._intents = intents
        self._returns = returns
        self._faults = faults
        self._deliveries = deliveries

    def call(self, method: str, path: str, query: bytes, body: bytes, now_ms: int) -> Answer:
        """Answer. Raises ``ApiError``."""
        what, _, ident = path.removeprefix(PREFIX).partition("/")
        match method, what, ident:
            case "GET", "faults", "":
                return json_answer({"faults": self._faults.told()})
            case "POST", "faults", "":
                return self._add_fault(_object(body))
            case "DELETE", "faults", "":
                self._faults.clear()
                return json_answer({"faults": []})
            case "POST", "disputes", "":
                return self._open_dispute(_object(body), now_ms)
            case "POST", "disputes", _:
                return self._close_dispute(ident, _object(body), now_ms)
            case "GET", "ledger", "":
                return json_answer(self._ledger(query))
            case "GET", "webhooks", "":
                return self._webhooks()
            case "POST", "webhooks", _:
                return self._again(ident)
        raise ApiError(404, f"Unrecognized request URL ({method}: {path[:200]}).")

    def _add_fault(self, plain: Mapping[str, Any]) -> Answer:
        try:
            fault = read_fault(plain, secrets.randbelow(2**31))
            self._faults.add(fault)
        except ValueError as error:
            raise ApiError(400, f"This is no fault: {error}.") from error
        log.info("sandbox: a fault was ordered", extra=fault.wire())
        return json_answer(fault.wire())

    def _open_dispute(self, plain: Mapping[str, Any], now_ms: int) -> Answer:
        _only(plain, "payment_intent", "amount", "reason", "inquiry")
        intent = self._intents.find(_text(plain, "payment_intent"))
        amount, inquiry = plain.get("amount"), plain.get("inquiry", False)
        if amount is not None and (type(amount) is not int or amount < 1):
            raise ApiError(400, "amount must be a whole number from 1.", param="amount")
        if not isinstance(inquiry, bool):
            raise ApiError(400, "inquiry must be true or false.", param="inquiry")
        reason = _text(plain, "reason") if "reason" in plain else "fraudulent"
        charge = self._book.charges.get(intent.charge)
        dispute = self._returns.dispute(charge, amount, reason, is_inquiry=inquiry, now_ms=now_ms)
        return json_answer(dispute.wire())

    def _close_dispute(self, ident: str, plain: Mapping[str, Any], now_ms: int) -> Answer:
        _only(plain, "outcome")
        outcome = _text(plain, "outcome")
        if outcome not in {"won", "lost"}:
            raise ApiError(400, "outcome must be won or lost.", param="outcome")
        return json_answer(self._returns.close(ident, is_won=outcome == "won", now_ms=now_ms).wire())

    def _webhooks(self) -> Answer:
        return json_answer(
            {
                "waiting": self._deliveries.waiting,
                "sent": self._deliveries.sent,
                "lost": self._deliveries.lost,
                "given_up": self._deliveries.given_up,
                "unsafe": sum(not event.is_safe for event in self._book.events.values()),
            }
        )

    def _again(self, ident: str) -> Answer:
        event = self._book.events.get(ident)
        if event is None:
            raise unknown("event", ident)
        self._deliveries.add(event)
        return json_answer({"id": event.id, "type": event.kind})

    def _ledger(self, query: bytes) -> Wire:
        wanted = {name: values[-1] for name, values in parse_qs(query.decode("latin-1")).items()}
        orders: dict[tuple[str, str], list[Intent]] = {}
        for intent in self._book.intents.things.values():
            event, order = intent.metadata.get("event", ""), intent.metadata.get("order", "")
            if wanted.get("event") in {None, event} and wanted.get("order") in {None, order}:
                orders.setdefault((event, order), []).append(intent)
        return {"orders": [self._order(*whose, payments) for whose, payments in orders.items()]}

    def _order(self, event: str, order: str, intents: Iterable[Intent]) -> Wire:
        payments = [self._payment(intent) for intent in intents]
        sums: dict[str, dict[str, int]] = {}
        for payment in payments:
            of_currency = sums.setdefault(payment["currency"], dict.fromkeys(_SUMS, 0))
            for name in _SUMS:
                of_currency[name] += payment[name]
        return {"event": event, "order": order, "sums": sums, "payments": payments}

    def _payment(self, intent: Intent) -> Wire:
        charges = self._book.charges_of(intent.id)
        return {
            "id": intent.id,
            "attempt": intent.metadata.get("attempt", ""),
            "status": intent.status,
            "currency": intent.currency,
            "amount": intent.amount,
            "charges": len(charges),
            "authorised": sum(one.amount for one in charges if one.status == "succeeded"),
            "held": intent.amount if intent.status == "requires_capture" else 0,
            "captured": sum(one.captured for one in charges),
            "refunded": sum(one.given_back for one in charges),
            "disputed": sum(
                dispute.amount
                for one in charges
                for dispute in self._book.disputes_of(one.id)
                if dispute.is_kept
            ),
        }


_SUMS = ("authorised", "held", "captured", "refunded", "disputed")


def _object(body: bytes) -> dict[str, Any]:
    try:
        plain = orjson.loads(body or b"{}")
    except orjson.JSONDecodeError as error:
        raise ApiError(400, "The body is not JSON.") from error
    if not isinstance(plain, dict):
        raise ApiError(400, "The body must be a JSON object.")
    return plain


def _only(plain: Mapping[str, Any], *names: str) -> None:
    for name in plain:
        if name not in names:
            raise ApiError(400, f"Received unknown parameter: {name[:100]}", code="parameter_unknown")


def _text(plain: Mapping[str, Any], name: str) -> str:
    given = plain.get(name)
    if not isinstance(given, str) or not 0 < len(given) <= 100:
        raise ApiError(400, f"{name} must be a text of 1 to 100 characters.", param=name)
    return given
