"""Methods: the stored payment methods of this sandbox, each a named outcome. No card has a number here.

Codes and words of refusals are Adyen's. Source: Adyen's documentation, "Refusal reasons". Pure.
"""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Method:
    """What happens when one pays with it, in this order: the bank's page, a wait, refused or not, what comes later."""

    token: str
    brand: str = "visa"
    last4: str = "1111"
    country: str = "NL"
    asks_buyer: bool = False
    is_slow: bool = False
    """``Pending`` first; a notice tells more."""
    result: str = "Authorised"
    code: str = ""
    reason: str = ""
    capture: Literal["", "refused", "fails"] = ""
    """What becomes of a capture: done; not done; reported as done, and then it fails."""
    refund: Literal["", "refused", "fails"] = ""
    cancel: Literal["", "refused-once"] = ""
    is_disputed: bool = False
    """The bank takes the money back as soon as it was captured."""

    @property
    def alias(self) -> str:
        """The same for every payment with it."""
        return f"alias-{self.last4}-{self.brand}"


def _refused(token: str, code: str, reason: str, result: str = "Refused") -> Method:
    return Method(token, result=result, code=code, reason=reason)


_ALL = (
    Method("authorised"),
    Method("mastercard", brand="mc", last4="0004"),
    _refused("refused", "2", "Refused"),
    _refused("acquirer-error", "4", "Acquirer Error", "Error"),
    _refused("blocked-card", "5", "Blocked Card"),
    _refused("expired-card", "6", "Expired Card"),
    _refused("invalid-card-number", "8", "Invalid Card Number"),
    _refused("issuer-unavailable", "9", "Issuer Unavailable", "Error"),
    _refused("not-supported", "10", "Not supported"),
    _refused("not-enough-balance", "12", "Not enough balance"),
    _refused("fraud", "20", "FRAUD", "Cancelled"),
    _refused("cvc-declined", "24", "CVC Declined"),
    _refused("withdrawal-amount-exceeded", "28", "Withdrawal amount exceeded"),
    Method("asks", asks_buyer=True),
    Method("asks-then-refused", asks_buyer=True, result="Refused", code="12", reason="Not enough balance"),
    Method("asks-then-pending", asks_buyer=True, is_slow=True),
    Method("pending", is_slow=True),
    Method("pending-then-refused", is_slow=True, result="Refused", code="2", reason="Refused"),
    Method("capture-refused", capture="refused"),
    Method("capture-fails", capture="fails"),
    Method("refund-refused", refund="refused"),
    Method("refund-fails", refund="fails"),
    Method("cancel-refused-once", cancel="refused-once"),
    Method("chargeback", is_disputed=True),
)

METHODS = {method.token: method for method in _ALL}
