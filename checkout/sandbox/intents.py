"""Intents: the rules of payment intents, as Stripe has them.

``requires_payment_method`` → (confirm) → ``requires_action`` → ``processing`` → ``requires_capture`` → ``succeeded``,
each step only where the method asks for it; ``canceled`` from everywhere but ``processing`` and ``succeeded``. A bank
that says no leads back to ``requires_payment_method``. An authorisation is over after ``HELD_MS`` (7 days): then it is
cancelled by itself. Whoever knows the address of the bank's page decides as the buyer.

Not here: what goes back (``returns``), parameters, HTTP.
"""

import secrets
from collections.abc import Callable

from checkout.sandbox.answers import ApiError, not_as_it_stands, unknown
from checkout.sandbox.book import Book, new_id
from checkout.sandbox.methods import METHODS, Method
from checkout.sandbox.records import Charge, Intent, Wire, method_wire

HELD_MS = 7 * 86_400_000

CONFIRMABLE = ("requires_payment_method", "requires_confirmation", "requires_action")
CANCELABLE = (*CONFIRMABLE, "requires_capture")
CHANGEABLE = CONFIRMABLE

MESSAGES = {
    "card_declined": "Your card was declined.",
    "expired_card": "Your card has expired.",
    "incorrect_cvc": "Your card's security code is incorrect.",
    "incorrect_number": "Your card number is incorrect.",
    "processing_error": "An error occurred while processing your card. Try again in a little bit.",
}
FAILED_AUTHENTICATION = "payment_intent_authentication_failure"

Taken = Callable[[Charge, int], None]


class Intents:
    """The rules over a book."""

    def __init__(self, book: Book, slow_ms: int, when_taken: Taken) -> None:
        """`slow_ms`: how long a slow bank takes; `when_taken` hears of each charge that was taken."""
        self._book = book
        self._slow_ms = slow_ms
        self._when_taken = when_taken

    def find(self, ident: str, param: str = "id") -> Intent:
        """Give an intent. Raises ``ApiError``."""
        intent = self._book.intents.get(ident)
        if intent is None:
            raise unknown("payment_intent", ident, param)
        return intent

    def create(
        self,
        amount: int,
        currency: str,
        capture_method: str,
        metadata: dict[str, str],
        description: str,
        now_ms: int,
    ) -> Intent:
        """Make an intent."""
        intent = Intent(new_id("pi"), amount, currency, now_ms, capture_method)
        intent.metadata = {name: value for name, value in metadata.items() if value}
        intent.description = description
        self._book.put(intent)
        self._tell("payment_intent.created", intent, now_ms)
        return intent

    def change(
        self, intent: Intent, amount: int | None, method: str, metadata: dict[str, str], description: str
    ) -> None:
        """Change what may be changed before the money is asked for."""
        if intent.status not in CHANGEABLE:
            raise not_as_it_stands(
                f"This PaymentIntent could not be updated because it has a status of {intent.status}.",
                payment_intent=intent.wire(),
            )
        if amount is not None:
            intent.amount = amount
        if method:
            intent.method, intent.status, intent.error = method, "requires_confirmation", None
            intent.challenge = ""
        for name, value in metadata.items():
            intent.metadata[name] = value
            if not value:
                del intent.metadata[name]
        intent.description = description or intent.description
        self._book.put(intent)

    def confirm(self, intent: Intent, method: str, return_url: str, page_url: str, now_ms: int) -> None:
        """Ask the bank. `page_url`: where the bank's page would be. Raises ``ApiError`` with 402 if it says no."""
        if intent.status not in CONFIRMABLE:
            raise not_as_it_stands(
                f"You cannot confirm this PaymentIntent because it has a status of {intent.status}. Only a "
                f"PaymentIntent with one of the following statuses may be confirmed: "
                f"{', '.join(CONFIRMABLE)}.",
                payment_intent=intent.wire(),
            )
        if not (method or intent.method):
            raise not_as_it_stands(
                "You cannot confirm this PaymentIntent because it's missing a payment method.",
                payment_intent=intent.wire(),
            )
        intent.method = method or intent.method
        intent.return_url = return_url or intent.return_url
        intent.page_url = page_url if intent.return_url else ""
        intent.error, intent.challenge, intent.charge = None, "", ""
        chosen = METHODS[intent.method]
        error = None
        if chosen.asks_buyer:
            intent.challenge = secrets.token_hex(16)
            self._to(intent, "requires_action", "payment_intent.requires_action", now_ms)
        else:
            error = self._ask(intent, chosen, now_ms)
        if error is not None:
            told = {name: value for name, value in error.items() if name not in {"type", "message"}}
            raise ApiError(
                402, error["message"], kind="card_error", is_saved=True, payment_intent=intent.wire(),
                **told,
            )  # fmt: skip

    def decide(self, intent: Intent, *, is_approved: bool, now_ms: int) -> None:
        """Take the buyer's decision on the bank's page."""
        if intent.status != "requires_action":
            raise not_as_it_stands("Nobody waits for this decision.")
        method = METHODS[intent.method]
        intent.challenge = ""
        if is_approved:
            self._ask(intent, method, now_ms)
        else:
            message = "The provided PaymentMethod has failed authentication."
            self._refuse(intent, method, FAILED_AUTHENTICATION, "", message, now_ms)

    def capture(self, intent: Intent, amount: int | None, now_ms: int) -> None:
        """Take what was authorised, or a part of it; the rest is let go."""
        if intent.status != "requires_capture":
            raise not_as_it_stands(
                f"This PaymentIntent could not be captured because it has a status of {intent.status}. Only a "
                f"PaymentIntent with one of the following statuses may be captured: requires_capture.",
                payment_intent=intent.wire(),
            )
        taken = intent.amount if amount is None else amount
        if taken > intent.amount:
            raise not_as_it_stands(
                f"The provided amount_to_capture ({taken}) is greater than the amount that can be captured "
                f"({intent.amount}).",
                code="amount_too_large",
                param="amount_to_capture",
            )
        charge = self._charge(intent)
        charge.returned = charge.amount - taken
        intent.due_ms = 0
        self._taken(intent, charge, taken, now_ms)
        self._book.tell("charge.captured", charge.wire(), now_ms)

    def cancel(self, intent: Intent, reason: str, now_ms: int) -> None:
        """Let go."""
        if intent.status not in CANCELABLE:
            raise not_as_it_stands(
                f"You cannot cancel this PaymentIntent because it has a status of {intent.status}. Only a "
                f"PaymentIntent with one of the following statuses may be canceled: {', '.join(CANCELABLE)}.",
                payment_intent=intent.wire(),
            )
        was_held = intent.status == "requires_capture"
        intent.canceled_ms, intent.cancel_reason = now_ms, reason
        intent.challenge, intent.due_ms = "", 0
        if was_held:
            charge = self._charge(intent)
            charge.returned = charge.amount
            self._book.put(charge)
            kind = "charge.expired" if reason == "automatic" else "charge.refunded"
            self._book.tell(kind, charge.wire(), now_ms)
        self._to(intent, "canceled", "payment_intent.canceled", now_ms)

    def pass_time(self, intent: Intent, now_ms: int) -> None:
        """Do what is due: a slow bank answers, an authorisation is over."""
        if not intent.due_ms or now_ms < intent.due_ms:
            return
        if intent.status == "processing":
            intent.due_ms = 0
            self._answered(intent, METHODS[intent.method], now_ms)
        elif intent.status == "requires_capture":
            self.cancel(intent, "automatic", now_ms)

    def _ask(self, intent: Intent, method: Method, now_ms: int) -> Wire | None:
        """Ask the bank; returns the error if it says no at once."""
        if method.is_slow:
            intent.due_ms = now_ms + self._slow_ms
            self._to(intent, "processing", "payment_intent.processing", now_ms)
            return None
        return self._answered(intent, method, now_ms)

    def _answered(self, intent: Intent, method: Method, now_ms: int) -> Wire | None:
        if method.code:
            return self._refuse(intent, method, method.code, method.decline, MESSAGES[method.code], now_ms)
        charge = Charge(
            new_id("ch"), intent.id, intent.amount, intent.currency, now_ms, method.token, "succeeded",
            dict(intent.metadata),
        )  # fmt: skip
        intent.charge = charge.id
        if intent.capture_method == "manual":
            intent.due_ms = now_ms + HELD_MS
            self._book.put(charge)
            self._book.tell("charge.succeeded", charge.wire(), now_ms)
            self._to(intent, "requires_capture", "payment_intent.amount_capturable_updated", now_ms)
        else:
            self._taken(intent, charge, intent.amount, now_ms)
            self._book.tell("charge.succeeded", charge.wire(), now_ms)
        return None

    def _taken(self, intent: Intent, charge: Charge, amount: int, now_ms: int) -> None:
        charge.is_captured, charge.captured = True, amount
        intent.received = amount
        self._book.put(charge)
        self._to(intent, "succeeded", "payment_intent.succeeded", now_ms)
        self._when_taken(charge, now_ms)

    def _refuse(
        self, intent: Intent, method: Method, code: str, decline: str, message: str, now_ms: int
    ) -> Wire:
        """Note that the bank said no; returns the error."""
        error: Wire = {
            "type": "invalid_request_error" if code == FAILED_AUTHENTICATION else "card_error",
            "code": code,
            "message": message,
            "payment_method": method_wire(method, now_ms),
        }
        if decline:
            charge = Charge(
                new_id("ch"), intent.id, intent.amount, intent.currency, now_ms, method.token, "failed",
                dict(intent.metadata), code=code, message=message,
            )  # fmt: skip
            self._book.put(charge)
            self._book.tell("charge.failed", charge.wire(), now_ms)
            intent.charge = charge.id
            error |= {"charge": charge.id, "decline_code": decline}
        intent.method, intent.error = "", error
        self._to(intent, "requires_payment_method", "payment_intent.payment_failed", now_ms)
        return error

    def _charge(self, intent: Intent) -> Charge:
        return self._book.charges.things[intent.charge]

    def _to(self, intent: Intent, status: str, kind: str, now_ms: int) -> None:
        intent.status = status
        self._book.put(intent)
        self._tell(kind, intent, now_ms)

    def _tell(self, kind: str, intent: Intent, now_ms: int) -> None:
        self._book.tell(kind, intent.wire(), now_ms)
