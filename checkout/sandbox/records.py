"""Records: what the sandbox keeps, flat, and how each looks on Stripe's wire. Pure.

Amounts are in Stripe's minor units. A thing that was not set is '' or 0 here and null on the wire.
"""

from dataclasses import dataclass, field
from typing import Any

from checkout.sandbox.methods import METHODS, Method

API_VERSION = "2026-10-28.endive"

Wire = dict[str, Any]


@dataclass(slots=True)
class Intent:
    """A payment intent. ``challenge``: the secret of the bank's page while it waits for the buyer."""

    id: str
    amount: int
    currency: str
    created_ms: int
    capture_method: str
    status: str = "requires_payment_method"
    metadata: dict[str, str] = field(default_factory=dict)
    description: str = ""
    method: str = ""
    return_url: str = ""
    page_url: str = ""
    charge: str = ""
    received: int = 0
    canceled_ms: int = 0
    cancel_reason: str = ""
    error: Wire | None = None
    challenge: str = ""
    due_ms: int = 0
    """When something happens by itself: a slow bank answers, an authorisation is over."""

    @property
    def client_secret(self) -> str:
        """What the buyer's browser would show; made from the id, as nothing here depends on it."""
        return f"{self.id}_secret_sandbox"

    def wire(self, charge: Wire | None = None, method: Wire | None = None) -> Wire:
        """Write it; `charge` and `method` where they are to be told in full."""
        action: Wire | None = None
        if self.status == "requires_action":
            action = {"type": "use_stripe_sdk", "use_stripe_sdk": {"type": "sandbox"}}
            if self.page_url:
                told = {"return_url": self.return_url, "url": self.page_url}
                action = {"type": "redirect_to_url", "redirect_to_url": told}
        return {
            "id": self.id,
            "object": "payment_intent",
            "amount": self.amount,
            "amount_capturable": self.amount if self.status == "requires_capture" else 0,
            "amount_details": {"tip": {}},
            "amount_received": self.received,
            "application": None,
            "application_fee_amount": None,
            "automatic_payment_methods": None,
            "canceled_at": self.canceled_ms // 1000 or None,
            "cancellation_reason": self.cancel_reason or None,
            "capture_method": self.capture_method,
            "client_secret": self.client_secret,
            "confirmation_method": "automatic",
            "created": self.created_ms // 1000,
            "currency": self.currency,
            "customer": None,
            "description": self.description or None,
            "last_payment_error": self.error,
            "latest_charge": charge or self.charge or None,
            "livemode": False,
            "metadata": self.metadata,
            "next_action": action,
            "payment_method": method or self.method or None,
            "payment_method_types": ["card"],
            "processing": {"type": "card"} if self.status == "processing" else None,
            "receipt_email": None,
            "status": self.status,
        }


@dataclass(slots=True)
class Charge:
    """A try to take money: authorised, taken or refused. ``returned`` counts as Stripe does: what was let go, too."""

    id: str
    intent: str
    amount: int
    currency: str
    created_ms: int
    method: str
    status: str
    metadata: dict[str, str] = field(default_factory=dict)
    is_captured: bool = False
    captured: int = 0
    returned: int = 0
    is_disputed: bool = False
    code: str = ""
    message: str = ""

    @property
    def given_back(self) -> int:
        """What went back of what was taken."""
        return max(0, self.returned - (self.amount - self.captured))

    def wire(self, intent: Wire | None = None) -> Wire:
        """Write it; `intent` where it is to be told in full."""
        return {
            "id": self.id,
            "object": "charge",
            "amount": self.amount,
            "amount_captured": self.captured,
            "amount_refunded": self.returned,
            "balance_transaction": None,
            "captured": self.is_captured,
            "created": self.created_ms // 1000,
            "currency": self.currency,
            "description": None,
            "disputed": self.is_disputed,
            "failure_code": self.code or None,
            "failure_message": self.message or None,
            "livemode": False,
            "metadata": self.metadata,
            "paid": self.status == "succeeded",
            "payment_intent": intent or self.intent,
            "payment_method": self.method,
            "payment_method_details": {"type": "card", "card": card_wire(METHODS[self.method])},
            "refunded": self.status == "succeeded" and self.returned == self.amount,
            "status": self.status,
        }


@dataclass(slots=True)
class Refund:
    """Money on its way back."""

    id: str
    intent: str
    charge: str
    amount: int
    currency: str
    created_ms: int
    status: str
    reason: str = ""
    metadata: dict[str, str] = field(default_factory=dict)
    due_ms: int = 0

    def wire(self, intent: Wire | None = None, charge: Wire | None = None) -> Wire:
        """Write it; `intent` and `charge` where they are to be told in full."""
        return {
            "id": self.id,
            "object": "refund",
            "amount": self.amount,
            "balance_transaction": None,
            "charge": charge or self.charge,
            "created": self.created_ms // 1000,
            "currency": self.currency,
            "failure_reason": "unknown" if self.status == "failed" else None,
            "metadata": self.metadata,
            "payment_intent": intent or self.intent,
            "reason": self.reason or None,
            "status": self.status,
        }


EVIDENCE_S = 7 * 86_400
"""So long a bank takes evidence; Stripe tells it of each dispute."""


@dataclass(slots=True)
class Dispute:
    """A buyer's bank that wants money back."""

    id: str
    intent: str
    charge: str
    amount: int
    currency: str
    created_ms: int
    reason: str
    status: str

    @property
    def is_open(self) -> bool:
        """Not decided yet."""
        return self.status not in {"won", "lost", "warning_closed"}

    @property
    def is_kept(self) -> bool:
        """The money is, or may be, the buyer's."""
        return self.status not in {"won", "warning_closed"}

    def wire(self) -> Wire:
        """Write it."""
        return {
            "id": self.id,
            "object": "dispute",
            "amount": self.amount,
            "charge": self.charge,
            "created": self.created_ms // 1000,
            "currency": self.currency,
            "evidence_details": {
                "due_by": self.created_ms // 1000 + EVIDENCE_S,
                "has_evidence": False,
                "past_due": False,
                "submission_count": 0,
            },
            "is_charge_refundable": self.status == "warning_needs_response",
            "livemode": False,
            "metadata": {},
            "payment_intent": self.intent,
            "reason": self.reason,
            "status": self.status,
        }


@dataclass(slots=True)
class Event:
    """Something that happened, as it was told. ``body`` is its whole text; ``is_safe``: the receiver has it."""

    id: str
    kind: str
    created_ms: int
    body: str
    is_safe: bool = False


def card_wire(method: Method) -> Wire:
    """Write what may be known of a card."""
    return {
        "brand": method.brand,
        "country": method.country,
        "fingerprint": method.fingerprint,
        "funding": "credit",
        "last4": method.last4,
        "network": method.brand,
    }


def method_wire(method: Method, created_ms: int) -> Wire:
    """Write a payment method."""
    return {
        "id": method.token,
        "object": "payment_method",
        "allow_redisplay": "unspecified",
        "billing_details": {"address": None, "email": None, "name": None, "phone": None},
        "card": card_wire(method),
        "created": created_ms // 1000,
        "customer": None,
        "livemode": False,
        "metadata": {},
        "type": "card",
    }
