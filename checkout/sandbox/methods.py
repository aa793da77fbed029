"""Methods: the payment methods of the sandbox, each a named outcome. No card has a number here, not even a false one.

Tokens are Stripe's where it has one for the outcome (so a script for its test mode runs here), else begin with
``pm_sandbox_``. Source: Stripe's documentation, "Testing". Pure.
"""

from dataclasses import dataclass
from hashlib import sha256
from typing import Literal


@dataclass(frozen=True, slots=True)
class Method:
    """What happens when one pays with it, in this order: challenge, wait, decline or not, what comes later."""

    token: str
    brand: str = "visa"
    last4: str = "4242"
    country: str = "US"
    asks_buyer: bool = False
    """The bank's page (3-D Secure) first."""
    is_slow: bool = False
    """``processing`` first."""
    code: str = ""
    """Error code, if the bank says no."""
    decline: str = ""
    """Decline code, likewise."""
    dispute: str = ""
    """Reason of the dispute that the bank opens as soon as the money was taken."""
    is_inquiry: bool = False
    refund: Literal["", "pending", "fails"] = ""
    """What becomes of money that goes back: at once; later; seems to at first."""

    @property
    def fingerprint(self) -> str:
        """The same for every payment with it."""
        return sha256(self.token.encode()).hexdigest()[:16]


def _declined(token: str, last4: str, decline: str, code: str = "card_declined") -> Method:
    return Method(token, last4=last4, code=code, decline=decline)


_ALL = (
    Method("pm_card_visa"),
    Method("pm_card_visa_debit", last4="5556"),
    Method("pm_card_mastercard", brand="mastercard", last4="4444"),
    Method("pm_card_amex", brand="amex", last4="8431"),
    Method("pm_card_de", country="DE", last4="0016"),
    Method("pm_card_jp", country="JP", last4="0003"),
    _declined("pm_card_chargeDeclined", "0002", "generic_decline"),
    _declined("pm_card_visa_chargeDeclined", "0002", "generic_decline"),
    _declined("pm_card_chargeDeclinedInsufficientFunds", "9995", "insufficient_funds"),
    _declined("pm_card_visa_chargeDeclinedInsufficientFunds", "9995", "insufficient_funds"),
    _declined("pm_card_visa_chargeDeclinedLostCard", "9987", "lost_card"),
    _declined("pm_card_visa_chargeDeclinedStolenCard", "9979", "stolen_card"),
    _declined("pm_card_chargeDeclinedExpiredCard", "0069", "expired_card", "expired_card"),
    _declined("pm_card_chargeDeclinedIncorrectCvc", "0127", "incorrect_cvc", "incorrect_cvc"),
    _declined("pm_card_chargeDeclinedProcessingError", "0119", "processing_error", "processing_error"),
    _declined("pm_card_visa_chargeDeclinedVelocityLimitExceeded", "6975", "card_velocity_exceeded"),
    _declined("pm_card_radarBlock", "0019", "fraudulent"),
    _declined("pm_sandbox_currencyNotSupported", "0101", "currency_not_supported"),
    _declined("pm_sandbox_incorrectNumber", "0103", "incorrect_number", "incorrect_number"),
    Method("pm_card_authenticationRequired", last4="3184", asks_buyer=True),
    Method("pm_card_authenticationRequiredOnSetup", last4="3155", asks_buyer=True),
    Method("pm_card_threeDSecure2Required", last4="3220", asks_buyer=True),
    Method("pm_card_threeDSecureRequired", last4="3063", asks_buyer=True),
    Method(
        "pm_card_threeDSecureRequiredChargeDeclined", last4="1629", asks_buyer=True,
        code="card_declined", decline="generic_decline",
    ),
    Method(
        "pm_card_authenticationRequiredChargeDeclinedInsufficientFunds", last4="3178", asks_buyer=True,
        code="card_declined", decline="insufficient_funds",
    ),
    Method("pm_card_createDispute", last4="0259", dispute="fraudulent"),
    Method("pm_card_createDisputeProductNotReceived", last4="2685", dispute="product_not_received"),
    Method("pm_card_createDisputeInquiry", last4="1976", dispute="fraudulent", is_inquiry=True),
    Method("pm_card_pendingRefund", last4="7726", refund="pending"),
    Method("pm_card_refundFail", last4="5126", refund="fails"),
    Method("pm_sandbox_processing", last4="0201", is_slow=True),
    Method(
        "pm_sandbox_processingThenDeclined", last4="0202", is_slow=True,
        code="card_declined", decline="generic_decline",
    ),
    Method("pm_sandbox_authenticationThenProcessing", last4="0203", asks_buyer=True, is_slow=True),
)  # fmt: skip

METHODS = {method.token: method for method in _ALL}
