"""Stripe's things, read: payment intents, refunds, disputes and events as plain JSON become the shop's own words. Pure.

All readers raise ``KeyError``, ``TypeError`` or ``ValueError`` for what is not what Stripe sends (``UNREADABLE``).

* **Refunded** is what went back after it was taken. Stripe counts what a partial capture let go of, and a cancelled
  authorisation, as refunded, too; that is subtracted.
* **Disputed** needs a second look (``is_disputed``), as a payment only tells that there was a dispute.
* **Notices** all name the payment to fetch, also those of refunds and disputes. One about a connected account is not
  about this shop's money: ``Topic.OTHER``, as are all kinds that the shop does not follow.

Source: Stripe's API reference and "Decline codes". Not here: who asks, and what an error means (``payments.stripe``).
"""

from collections.abc import Iterable, Mapping
from typing import Any

from checkout.payments.port import (
    Card,
    Decline,
    Dispute,
    DisputeState,
    Notice,
    Payment,
    PaymentState,
    Refund,
    RefundState,
    Topic,
)
from checkout.payments.stripe_amounts import received

UNREADABLE = (KeyError, TypeError, ValueError)

STATES: Mapping[str, PaymentState] = {
    "requires_payment_method": PaymentState.OPEN,  # DECLINED when there was an error
    "requires_confirmation": PaymentState.OPEN,
    "requires_action": PaymentState.ACTION,
    "processing": PaymentState.PROCESSING,
    "requires_capture": PaymentState.AUTHORISED,
    "succeeded": PaymentState.CAPTURED,
    "canceled": PaymentState.VOIDED,
}

REFUND_STATES: Mapping[str, RefundState] = {
    "succeeded": RefundState.DONE,
    "pending": RefundState.PENDING,
    "requires_action": RefundState.PENDING,
    "failed": RefundState.FAILED,
    "canceled": RefundState.FAILED,
}

DISPUTES_OVER = frozenset({"won", "warning_closed", "prevented"})
_DISPUTES = {"lost": DisputeState.LOST, **dict.fromkeys(DISPUTES_OVER, DisputeState.WON)}
"""In these the money is the shop's again, or always was."""

DECLINES: Mapping[str, Decline] = {
    "account_closed": Decline.LOST,
    "approve_with_id": Decline.GENERIC,
    "authentication_required": Decline.AUTHENTICATION,
    "call_issuer": Decline.GENERIC,
    "card_decline_rate_limit_exceeded": Decline.LIMIT,
    "card_declined": Decline.GENERIC,
    "card_not_supported": Decline.GENERIC,
    "card_velocity_exceeded": Decline.LIMIT,
    "currency_not_supported": Decline.CURRENCY,
    "do_not_honor": Decline.GENERIC,
    "do_not_try_again": Decline.GENERIC,
    "duplicate_transaction": Decline.GENERIC,
    "expired_card": Decline.EXPIRED,
    "expired_payment_method": Decline.EXPIRED,
    "fraudulent": Decline.FRAUD,
    "generic_decline": Decline.GENERIC,
    "highest_risk_level": Decline.FRAUD,
    "incorrect_address": Decline.GENERIC,
    "incorrect_cvc": Decline.SECURITY_CODE,
    "incorrect_number": Decline.NUMBER,
    "incorrect_pin": Decline.AUTHENTICATION,
    "incorrect_zip": Decline.GENERIC,
    "insufficient_funds": Decline.FUNDS,
    "invalid_account": Decline.NUMBER,
    "invalid_amount": Decline.LIMIT,
    "invalid_cvc": Decline.SECURITY_CODE,
    "invalid_expiry_month": Decline.EXPIRED,
    "invalid_expiry_year": Decline.EXPIRED,
    "invalid_number": Decline.NUMBER,
    "invalid_pin": Decline.AUTHENTICATION,
    "issuer_not_available": Decline.PROCESSING,
    "lost_card": Decline.LOST,
    "merchant_blacklist": Decline.FRAUD,
    "mobile_device_authentication_required": Decline.AUTHENTICATION,
    "new_account_information_available": Decline.NUMBER,
    "no_action_taken": Decline.GENERIC,
    "not_permitted": Decline.GENERIC,
    "offline_pin_required": Decline.AUTHENTICATION,
    "online_or_offline_pin_required": Decline.AUTHENTICATION,
    "payment_intent_authentication_failure": Decline.AUTHENTICATION,
    "payment_intent_payment_attempt_expired": Decline.AUTHENTICATION,
    "payment_intent_payment_attempt_failed": Decline.GENERIC,
    "payment_method_currency_mismatch": Decline.CURRENCY,
    "payment_method_customer_decline": Decline.GENERIC,
    "payment_method_provider_decline": Decline.GENERIC,
    "payment_method_provider_timeout": Decline.PROCESSING,
    "pickup_card": Decline.LOST,
    "pin_try_exceeded": Decline.LIMIT,
    "processing_error": Decline.PROCESSING,
    "reenter_transaction": Decline.PROCESSING,
    "restricted_card": Decline.LOST,
    "revocation_of_all_authorizations": Decline.GENERIC,
    "revocation_of_authorization": Decline.GENERIC,
    "security_violation": Decline.GENERIC,
    "service_not_allowed": Decline.GENERIC,
    "stolen_card": Decline.LOST,
    "stop_payment_order": Decline.GENERIC,
    "testmode_decline": Decline.GENERIC,
    "transaction_not_allowed": Decline.GENERIC,
    "try_again_later": Decline.PROCESSING,
    "withdrawal_count_limit_exceeded": Decline.LIMIT,
}
"""By decline code, else by error code; any other is ``GENERIC``."""


def payment(intent: Mapping[str, Any], disputed_minor: int = 0, told: tuple[Dispute, ...] = ()) -> Payment:
    """Read a payment intent, with or without its charge; `told`: its disputes."""
    currency = _text(intent["currency"])
    state = STATES[intent["status"]]
    error = intent.get("last_payment_error")
    decline = None
    if state is PaymentState.OPEN and error:
        state, decline = PaymentState.DECLINED, decline_of(error)
    charge = _charge(intent)
    event, order, attempt = _whose(intent)
    return Payment(
        ref=_text(intent["id"]),
        state=state,
        amount=received(_whole(intent["amount"]), currency),
        created_ms=_whole(intent["created"]) * 1000,
        captured_minor=received(_whole(intent["amount_received"]), currency).amount_minor,
        refunded_minor=received(_returned(charge), currency).amount_minor if charge else 0,
        disputed_minor=disputed_minor,
        event=event,
        order=order,
        attempt=attempt,
        decline=decline,
        action_url=_action_url(intent) if state is PaymentState.ACTION else "",
        card=_card(charge) if charge else None,
        disputes=told,
    )


def is_disputed(intent: Mapping[str, Any]) -> bool:
    """Tell whether the buyer's bank has ever wanted the money of a payment back."""
    return _charge(intent).get("disputed") is True


def disputed_minor(disputes: Iterable[Mapping[str, Any]]) -> int:
    """Add up what banks have taken back or want to."""
    return sum(
        received(_whole(one["amount"]), _text(one["currency"])).amount_minor
        for one in disputes
        if one["status"] not in DISPUTES_OVER
    )


def disputes(told: Iterable[Mapping[str, Any]]) -> tuple[Dispute, ...]:
    """Read how each dispute stands; an inquiry that may become one is open."""
    return tuple(
        Dispute(
            ref=_text(one["id"]),
            state=_DISPUTES.get(one["status"], DisputeState.OPEN),
            amount=received(_whole(one["amount"]), _text(one["currency"])),
            opened_ms=_whole(one.get("created") or 0) * 1000,
            reason=str(one.get("reason") or ""),
            evidence_ms=_whole((one.get("evidence_details") or {}).get("due_by") or 0) * 1000,
        )
        for one in told
    )


def decline_of(error: Mapping[str, Any]) -> Decline:
    """Read why a bank said no."""
    for name in ("decline_code", "code"):
        known = DECLINES.get(error.get(name) or "")
        if known is not None:
            return known
    return Decline.GENERIC


def refund(made: Mapping[str, Any]) -> Refund:
    """Read a refund."""
    return Refund(
        ref=_text(made["id"]),
        payment=_id(made["payment_intent"]),
        amount=received(_whole(made["amount"]), _text(made["currency"])),
        state=REFUND_STATES[made["status"]],
    )


def notice(event: Mapping[str, Any]) -> Notice:
    """Read an event as a webhook brings it."""
    ident, kind = _text(event["id"]), _text(event["type"])
    is_live = event.get("livemode") is True
    if event.get("object") != "event":
        # An event of the API's version 2, which tells no more than what to ask for.
        return Notice(ident, Topic.OTHER, "", 0, is_live=is_live)
    at_ms = _whole(event["created"]) * 1000
    thing = event["data"]["object"]
    topic = _topic(kind)
    ref = "" if topic is Topic.OTHER else _id(thing["id" if _is_of_intent(kind) else "payment_intent"])
    if not ref or event.get("account"):
        return Notice(ident, Topic.OTHER, "", at_ms, is_live=is_live)
    its_event, order, attempt = _whose(thing)
    amount = None
    if topic is Topic.PAYMENT:
        try:
            amount = received(_whole(thing["amount"]), _text(thing["currency"]))
        except ValueError:
            # A currency that the shop does not know is none of its own; what counts is what is fetched.
            amount = None
    return Notice(ident, topic, ref, at_ms, its_event, order, attempt, amount, _IMPLIED.get(kind), is_live)


_IMPLIED: Mapping[str, PaymentState] = {
    "payment_intent.created": PaymentState.OPEN,
    "payment_intent.requires_action": PaymentState.ACTION,
    "payment_intent.processing": PaymentState.PROCESSING,
    "payment_intent.amount_capturable_updated": PaymentState.AUTHORISED,
    "payment_intent.succeeded": PaymentState.CAPTURED,
    "payment_intent.payment_failed": PaymentState.DECLINED,
    "payment_intent.canceled": PaymentState.VOIDED,
    "charge.captured": PaymentState.CAPTURED,
    "charge.succeeded": PaymentState.AUTHORISED,
}
"""Events that say no more than that a payment has come so far."""


def _is_of_intent(kind: str) -> bool:
    """Tell whether an event of this kind is about a payment intent itself."""
    return kind.startswith("payment_intent.")


def _topic(kind: str) -> Topic:
    if _is_of_intent(kind):
        return Topic.PAYMENT
    if kind.startswith("charge.dispute."):
        return Topic.DISPUTE
    if kind.startswith(("refund.", "charge.refund")):
        return Topic.REFUND
    return Topic.PAYMENT if kind.startswith("charge.") else Topic.OTHER


def _whose(thing: Mapping[str, Any]) -> tuple[str, str, int]:
    """Read which event, order and attempt of the shop a thing belongs to; none for what the shop has not made."""
    told = thing.get("metadata") or {}
    event, order, attempt = (told.get(name) for name in ("event", "order", "attempt"))
    if not (isinstance(event, str) and isinstance(order, str) and isinstance(attempt, str)):
        return "", "", 0
    is_ours = event and order and attempt.isascii() and attempt.isdecimal() and len(attempt) <= 9
    return (event, order, int(attempt)) if is_ours else ("", "", 0)


def _charge(intent: Mapping[str, Any]) -> Mapping[str, Any]:
    """Give the charge of a payment where it is told in full, else nothing."""
    charge = intent.get("latest_charge")
    return charge if isinstance(charge, Mapping) else {}


def _returned(charge: Mapping[str, Any]) -> int:
    let_go = _whole(charge["amount"]) - _whole(charge["amount_captured"])
    return max(0, _whole(charge["amount_refunded"]) - let_go)


def _action_url(intent: Mapping[str, Any]) -> str:
    action = intent.get("next_action") or {}
    return _text((action.get("redirect_to_url") or {}).get("url") or "")


def _card(charge: Mapping[str, Any]) -> Card | None:
    details = (charge.get("payment_method_details") or {}).get("card")
    if not details:
        return None
    fingerprint, brand, last4, country = (
        _text(details.get(name) or "") for name in ("fingerprint", "brand", "last4", "country")
    )
    return Card(fingerprint, brand, last4, country)


def _id(given: Any) -> str:
    """Read an id that may be there in full; '' for none."""
    if given is None:
        return ""
    return _text(given["id"]) if isinstance(given, Mapping) else _text(given)


def _text(given: Any) -> str:
    if not isinstance(given, str):
        raise TypeError("text was expected")
    return given


def _whole(given: Any) -> int:
    if type(given) is not int:
        raise TypeError("a whole number was expected")
    return given
