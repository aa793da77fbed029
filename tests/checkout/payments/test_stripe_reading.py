"""Reading Stripe: states, declines, refunds and events, and that no word of Stripe's own lists is forgotten."""

from typing import Any, get_args, get_type_hints

import pytest
import stripe

from checkout.payments.port import Decline, Notice, PaymentState, RefundState, Topic
from checkout.payments.stripe_reading import (
    DECLINES,
    DISPUTES_OVER,
    REFUND_STATES,
    STATES,
    UNREADABLE,
    decline_of,
    disputed_minor,
    is_disputed,
    notice,
    payment,
    refund,
)

OURS = {"event": "rome", "order": "order-7", "attempt": "2"}

GENERIC = """
approve_with_id call_issuer card_not_supported do_not_honor do_not_try_again duplicate_transaction generic_decline
incorrect_address incorrect_zip no_action_taken not_permitted revocation_of_all_authorizations
revocation_of_authorization security_violation service_not_allowed stop_payment_order testmode_decline
transaction_not_allowed card_declined payment_intent_payment_attempt_failed payment_method_customer_decline
payment_method_provider_decline
"""
EXPECTED = {
    Decline.GENERIC: GENERIC,
    Decline.FUNDS: "insufficient_funds",
    Decline.EXPIRED: "expired_card expired_payment_method invalid_expiry_month invalid_expiry_year",
    Decline.SECURITY_CODE: "incorrect_cvc invalid_cvc",
    Decline.NUMBER: "incorrect_number invalid_number invalid_account new_account_information_available",
    Decline.LOST: "lost_card stolen_card pickup_card restricted_card account_closed",
    Decline.LIMIT: "card_velocity_exceeded withdrawal_count_limit_exceeded pin_try_exceeded invalid_amount "
    "card_decline_rate_limit_exceeded",
    Decline.AUTHENTICATION: "authentication_required incorrect_pin invalid_pin offline_pin_required "
    "online_or_offline_pin_required mobile_device_authentication_required "
    "payment_intent_authentication_failure payment_intent_payment_attempt_expired",
    Decline.CURRENCY: "currency_not_supported payment_method_currency_mismatch",
    Decline.PROCESSING: "processing_error issuer_not_available reenter_transaction try_again_later "
    "payment_method_provider_timeout",
    Decline.FRAUD: "fraudulent merchant_blacklist highest_risk_level",
}


def intent(**more: Any) -> dict[str, Any]:
    """Give a payment intent as Stripe sends it."""
    return {
        "id": "pi_1",
        "object": "payment_intent",
        "amount": 4200,
        "amount_received": 0,
        "created": 1_800_000_000,
        "currency": "eur",
        "last_payment_error": None,
        "latest_charge": None,
        "metadata": OURS,
        "status": "requires_payment_method",
        **more,
    }


def charge(**more: Any) -> dict[str, Any]:
    """Give a charge as Stripe sends it."""
    return {
        "id": "ch_1",
        "object": "charge",
        "amount": 4200,
        "amount_captured": 4200,
        "amount_refunded": 0,
        "currency": "eur",
        "disputed": False,
        "metadata": OURS,
        "payment_intent": "pi_1",
        "payment_method_details": {
            "type": "card",
            "card": {"fingerprint": "f1", "brand": "visa", "last4": "4242", "country": None},
        },
        **more,
    }


def event(kind: str, thing: dict[str, Any], **more: Any) -> dict[str, Any]:
    """Give an event as Stripe sends it."""
    head = {"id": "evt_1", "object": "event", "created": 1_800_000_000, "livemode": False, "type": kind}
    return {**head, "data": {"object": thing}, **more}


@pytest.mark.parametrize(
    ("code", "decline"), [(code, decline) for decline, codes in EXPECTED.items() for code in codes.split()]
)
def test_each_code_is_the_reason_that_it_is(code: str, decline: Decline) -> None:
    """As decline code, and as code of the error."""
    assert decline_of({"code": "card_declined", "decline_code": code}) is decline
    assert decline_of({"code": code}) is decline


def test_the_table_above_names_every_code_and_every_reason() -> None:
    """A new line in the table needs a line in the test."""
    assert sorted(code for codes in EXPECTED.values() for code in codes.split()) == sorted(DECLINES)
    assert set(EXPECTED) == set(Decline) - {Decline.CARD_FULL}


@pytest.mark.parametrize("error", [{}, {"code": None}, {"code": "new_in_2031", "decline_code": "also_new"}])
def test_an_unknown_code_is_a_decline_all_the_same(error: dict[str, Any]) -> None:
    """Stripe adds codes without notice."""
    assert decline_of(error) is Decline.GENERIC


def words(kind: type, name: str) -> set[str]:
    """Give the words that the package's own types know for a field."""

    def flat(hint: Any) -> set[str]:
        inner = get_args(hint)
        return {hint} if isinstance(hint, str) else {word for one in inner for word in flat(one)}

    return flat(
        get_type_hints(kind)[name] if name not in kind.__annotations__ else kind.__annotations__[name]
    )


def test_every_state_that_the_package_knows_is_read() -> None:
    """A state that Stripe adds fails here when the package is brought up to date."""
    assert words(stripe.PaymentIntent, "status") == set(STATES)


def test_disputes_that_are_over_are_states_that_the_package_knows() -> None:
    """All others count as the buyer's."""
    known = words(stripe.Dispute, "status")
    assert known > DISPUTES_OVER
    assert known - DISPUTES_OVER == {
        "appeal_needs_response",
        "appeal_under_review",
        "lost",
        "needs_response",
        "under_review",
        "warning_needs_response",
        "warning_under_review",
    }


def test_codes_of_errors_in_the_table_are_ones_that_the_package_knows() -> None:
    """Those that are no decline codes, which the package has no list of."""
    known = words(stripe.PaymentIntent.LastPaymentError, "code")
    ours = {code for code in DECLINES if code.startswith(("payment_intent_", "payment_method_"))}
    assert ours <= known
    assert {"card_declined", "expired_card", "incorrect_cvc", "processing_error"} <= known & set(DECLINES)


@pytest.mark.parametrize(
    ("status", "more", "state"),
    [
        ("requires_payment_method", {}, PaymentState.OPEN),
        ("requires_payment_method", {"last_payment_error": {"code": "expired_card"}}, PaymentState.DECLINED),
        ("requires_confirmation", {}, PaymentState.OPEN),
        ("requires_action", {}, PaymentState.ACTION),
        ("processing", {}, PaymentState.PROCESSING),
        ("requires_capture", {}, PaymentState.AUTHORISED),
        ("succeeded", {"amount_received": 4200}, PaymentState.CAPTURED),
        ("canceled", {"last_payment_error": {"code": "expired_card"}}, PaymentState.VOIDED),
    ],
)
def test_states_are_read(status: str, more: dict[str, Any], state: PaymentState) -> None:
    """An error in an open one is a decline; in a cancelled one it is history."""
    assert payment(intent(status=status, **more)).state is state


@pytest.mark.parametrize(
    ("taken", "told", "returned"),
    [(4200, 0, 0), (4200, 1000, 1000), (3000, 1200, 0), (3000, 1700, 500), (0, 4200, 0)],
)
def test_what_a_partial_capture_let_go_was_not_given_back(taken: int, told: int, returned: int) -> None:
    """Nor what a cancelled authorisation let go."""
    with_charge = intent(latest_charge=charge(amount_captured=taken, amount_refunded=told))
    assert payment(with_charge).refunded_minor == returned


def test_disputes_that_the_shop_has_not_won_are_added_up() -> None:
    """Won, or only asked and answered: the money is the shop's."""
    statuses = ["needs_response", "lost", "won", "warning_closed", "warning_under_review"]
    disputes = [{"amount": 10, "currency": "eur", "status": status} for status in statuses]
    assert disputed_minor(disputes) == 30
    assert is_disputed(intent(latest_charge=charge(disputed=True)))
    assert not is_disputed(intent(latest_charge="ch_1"))


@pytest.mark.parametrize(
    "told",
    [
        {},
        None,
        {"order": "order-7", "attempt": "1"},
        {**OURS, "attempt": "-1"},
        {**OURS, "attempt": "²"},
        {**OURS, "attempt": "1" * 30},
        {**OURS, "order": ""},
        {**OURS, "event": 7},
    ],
)
def test_a_payment_that_no_shop_of_ours_has_made_belongs_to_nobody(told: Any) -> None:
    """Somebody else uses the same account."""
    read = payment(intent(metadata=told))
    assert (read.event, read.order, read.attempt) == ("", "", 0)


@pytest.mark.parametrize(
    ("status", "state"),
    [
        ("succeeded", RefundState.DONE),
        ("pending", RefundState.PENDING),
        ("requires_action", RefundState.PENDING),
        ("failed", RefundState.FAILED),
        ("canceled", RefundState.FAILED),
    ],
)
def test_refunds_are_read(status: str, state: RefundState) -> None:
    """Each state; the payment by id or in full."""
    assert set(REFUND_STATES) == {"succeeded", "pending", "requires_action", "failed", "canceled"}
    for whose in ("pi_1", {"id": "pi_1"}):
        told = {"id": "re_1", "payment_intent": whose, "amount": 5, "currency": "eur", "status": status}
        assert (refund(told).state, refund(told).payment) == (state, "pi_1")


OF_CHARGE = {"id": "x", "payment_intent": "pi_1", "amount": 4200, "currency": "eur", "metadata": OURS}


@pytest.mark.parametrize(
    ("kind", "thing", "topic"),
    [
        ("payment_intent.succeeded", intent(), Topic.PAYMENT),
        ("charge.captured", OF_CHARGE, Topic.PAYMENT),
        ("charge.refunded", OF_CHARGE, Topic.REFUND),
        ("charge.refund.updated", OF_CHARGE, Topic.REFUND),
        ("refund.updated", OF_CHARGE, Topic.REFUND),
        ("charge.dispute.created", OF_CHARGE, Topic.DISPUTE),
    ],
)
def test_notices_name_the_payment_to_look_at(kind: str, thing: dict[str, Any], topic: Topic) -> None:
    """Whatever they are about."""
    told = notice(event(kind, thing))
    assert (told.id, told.topic, told.ref, told.order, told.attempt) == ("evt_1", topic, "pi_1", "order-7", 2)
    assert (told.amount is not None) == (topic is Topic.PAYMENT)


@pytest.mark.parametrize(
    "told",
    [
        event("customer.created", {"id": "cus_1"}),
        event("charge.captured", {**OF_CHARGE, "payment_intent": None}),
        event("payment_intent.succeeded", intent(), account="acct_other"),
        {"id": "evt_1", "object": "v2.core.event", "type": "payment_intent.odd", "created": "2031-01-01"},
    ],
)
def test_what_is_not_the_shops_is_something_else(told: dict[str, Any]) -> None:
    """Other things, charges without a payment intent, connected accounts, other forms of events."""
    read = notice(told)
    assert (read.id, read.topic, read.ref) == ("evt_1", Topic.OTHER, "")


def test_real_money_is_told_from_play() -> None:
    """And a currency that is none is no reason to refuse a notice."""
    assert notice(event("payment_intent.succeeded", intent(), livemode=True)).is_live
    told: Notice = notice(event("payment_intent.succeeded", intent(currency="xxq")))
    assert (told.ref, told.amount, told.is_live) == ("pi_1", None, False)


@pytest.mark.parametrize(
    "broken",
    [
        {},
        intent(status="new_in_2031"),
        intent(amount="4200"),
        intent(amount=True),
        intent(id=None),
        intent(currency="xxq"),
        intent(latest_charge={}, created=None),
        intent(latest_charge=charge(amount_refunded=None)),
        intent(currency="isk", amount=550),
    ],
)
def test_what_is_not_what_stripe_sends_is_unreadable(broken: dict[str, Any]) -> None:
    """One of three errors, never another."""
    with pytest.raises(UNREADABLE):
        payment(broken)
