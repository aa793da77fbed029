"""Rules: payments as Adyen has them, over all that this sandbox knows.

A bank is asked at once; the answer is ``Authorised``, a refusal, ``RedirectShopper`` (the buyer's page first, and then
``/payments/details`` by the shop) or ``Pending``. What is asked of an authorised payment later is *taken on*, whatever
it is, and a notice tells whether it was done: a capture of no more than was authorised, a cancellation of what was not
captured, refunds of no more than was captured. Nothing is told in the answer.

Whoever serves a call takes out what there is to tell (``taken``). Not here: HTTP, keys, faults (``app``).
"""

import secrets
from collections.abc import Iterator, Mapping
from typing import Any

from checkout.sandbox.records import Event
from checkout.sandbox_adyen.answers import AdyenError
from checkout.sandbox_adyen.methods import METHODS, Method
from checkout.sandbox_adyen.notices import Writer, new_psp
from checkout.sandbox_adyen.records import Dispute, Modification, Payment, Status

Wire = dict[str, Any]
NOT_ENOUGH = "Insufficient balance on payment"
CODES = {"captures": "CAPTURE", "cancels": "CANCELLATION", "refunds": "REFUND"}


class Rules:
    """All payments of one account."""

    def __init__(self, merchant: str, writer: Writer, slow_ms: int) -> None:
        """`slow_ms`: how long a slow bank takes, and what fails after it seemed to be done."""
        self._merchant = merchant
        self._writer = writer
        self._slow_ms = slow_ms
        self.payments: dict[str, Payment] = {}
        self._told: list[Event] = []

    def taken(self) -> list[Event]:
        """Hand over what there is to tell."""
        told, self._told = self._told, []
        return told

    def by_reference(self, reference: str) -> list[Payment]:
        """Give the payments that were made under a reference of the shop's."""
        return [one for one in self.payments.values() if one.reference == reference]

    # -------------------------------------------------------------------------------- the calls

    def pay(self, plain: Mapping[str, Any], pages: str, now_ms: int) -> Wire:
        """Ask a bank. `pages`: where the bank's pages are. Raises ``AdyenError``."""
        self._is_ours(plain)
        value, currency = _amount(plain)
        reference, return_url = _text(plain, "reference", 80), _text(plain, "returnUrl", 8_000)
        method = _method(plain)
        more = _object(plain, "additionalData")
        payment = Payment(
            new_psp(), reference, value, currency, method.token, now_ms, Status.PENDING,
            str(more.get("manualCapture")).lower() == "true", return_url,
        )  # fmt: skip
        self.payments[payment.psp] = payment
        if method.asks_buyer:
            payment.status, payment.challenge = Status.WAITING, secrets.token_hex(16)
            url = f"{pages}/redirect/{payment.psp}"
            action = {"type": "redirect", "method": "GET", "url": url, "paymentMethodType": "scheme"}
            return {"resultCode": "RedirectShopper", "action": action}
        return self._bank(payment, method, now_ms)

    def details(self, plain: Mapping[str, Any], now_ms: int) -> Wire:
        """Take in what a buyer has brought back. Raises ``AdyenError``."""
        result = _object(plain, "details").get("redirectResult")
        payment = next((one for one in self.payments.values() if one.result and one.result == result), None)
        if payment is None or payment.status is not Status.ANSWERED:
            raise AdyenError(422, "101", "Invalid card number or redirect result")
        if not payment.is_approved:
            return self._refused(payment, "Refused", "11", "3D Not Authenticated", now_ms)
        return self._bank(payment, METHODS[payment.method], now_ms)

    def modify(self, psp: str, kind: str, plain: Mapping[str, Any], now_ms: int) -> Wire:
        """Take on a capture, a cancellation or a refund. Raises ``AdyenError``."""
        self._is_ours(plain)
        payment = self.payments.get(psp)
        if payment is None or not payment.was_authorised:
            raise AdyenError(422, "167", "Original pspReference required for this operation")
        value = payment.value
        if kind != "cancels":
            value, currency = _amount(plain)
            if currency != payment.currency:
                raise AdyenError(422, "138", "Currency differs from the payment's")
        own, method = Modification(new_psp(), kind, value, is_done=False), METHODS[payment.method]
        reason = self._why_not(payment, own, method)
        payment.modifications.append(own)
        own.is_done = not reason
        if kind == "cancels" and own.is_done:
            payment.status = Status.CANCELLED
        if own.is_done and (
            method.capture if kind == "captures" else method.refund if kind == "refunds" else ""
        ):
            own.due_ms = now_ms + self._slow_ms
        self._tell(CODES[kind], payment, now_ms, psp=own.psp, value=value, success=own.is_done, reason=reason)
        if kind == "captures" and own.is_done and method.is_disputed:
            self.charge_back(payment, value, now_ms)
        told: Wire = {
            "merchantAccount": self._merchant, "paymentPspReference": psp, "pspReference": own.psp,
            "reference": plain.get("reference", ""), "status": "received",
        }  # fmt: skip
        return (
            told if kind == "cancels" else told | {"amount": {"currency": payment.currency, "value": value}}
        )

    # ------------------------------------------------------------------------------- the world

    def decide(self, payment: Payment, *, is_approved: bool) -> str:
        """Take the buyer's answer on the bank's page; gives what the buyer brings back."""
        payment.status, payment.is_approved, payment.challenge = Status.ANSWERED, is_approved, ""
        payment.result = secrets.token_urlsafe(48)
        return payment.result

    def charge_back(self, payment: Payment, value: int, now_ms: int) -> Dispute:
        """Let the buyer's bank take money back. Raises ``AdyenError``."""
        if not 0 < value <= payment.captured - payment.done("refunds") - payment.disputed:
            raise AdyenError(422, "137", "Nothing is there that could be taken back")
        dispute = Dispute(new_psp(), value)
        payment.disputes.append(dispute)
        for code in ("NOTIFICATION_OF_CHARGEBACK", "CHARGEBACK"):
            self._tell(code, payment, now_ms, psp=dispute.psp, value=value)
        return dispute

    def close(self, psp: str, *, is_won: bool, now_ms: int) -> Dispute:
        """Decide a dispute. Raises ``AdyenError``."""
        for payment in self.payments.values():
            for dispute in payment.disputes:
                if dispute.psp == psp:
                    dispute.is_kept = not is_won
                    code = "CHARGEBACK_REVERSED" if is_won else "SECOND_CHARGEBACK"
                    self._tell(code, payment, now_ms, psp=psp, value=dispute.value)
                    return dispute
        raise AdyenError(404, "702", "There is no such dispute")

    def pass_time(self, now_ms: int) -> None:
        """Do what is due: a slow bank answers, what seemed to be done fails."""
        for payment in self._due(now_ms):
            if payment.due_ms and payment.due_ms <= now_ms:
                payment.due_ms = 0
                self._answered(payment, METHODS[payment.method], now_ms)
            for one in payment.modifications:
                if one.due_ms and one.due_ms <= now_ms:
                    one.due_ms, one.is_done = 0, False
                    if one.kind == "captures":
                        payment.status = Status.CAPTURE_FAILED
                    code = f"{CODES[one.kind]}_FAILED"
                    self._tell(
                        code, payment, now_ms, psp=one.psp, value=one.value, reason="rejected by the scheme"
                    )

    def _due(self, now_ms: int) -> Iterator[Payment]:
        for payment in self.payments.values():
            times = (payment.due_ms, *(one.due_ms for one in payment.modifications))
            if any(time and time <= now_ms for time in times):
                yield payment

    # --------------------------------------------------------------------------------- the parts

    def _bank(self, payment: Payment, method: Method, now_ms: int) -> Wire:
        if method.is_slow:
            payment.status, payment.due_ms = Status.PENDING, now_ms + self._slow_ms
            return {"resultCode": "Pending", "pspReference": payment.psp}
        return self._answered(payment, method, now_ms)

    def _answered(self, payment: Payment, method: Method, now_ms: int) -> Wire:
        if method.code:
            return self._refused(payment, method.result, method.code, method.reason, now_ms)
        payment.status, payment.was_authorised = Status.AUTHORISED, True
        more = {"alias": method.alias, "cardSummary": method.last4, "cardIssuingCountry": method.country}
        self._tell("AUTHORISATION", payment, now_ms, more=more)
        return {
            "resultCode": "Authorised", "pspReference": payment.psp, "merchantReference": payment.reference,
            "amount": {"currency": payment.currency, "value": payment.value},
            "paymentMethod": {"type": "scheme", "brand": method.brand}, "additionalData": more,
        }  # fmt: skip

    def _refused(self, payment: Payment, result: str, code: str, reason: str, now_ms: int) -> Wire:
        payment.status = Status.REFUSED
        self._tell("AUTHORISATION", payment, now_ms, success=False, reason=reason)
        return {
            "resultCode": result, "pspReference": payment.psp, "merchantReference": payment.reference,
            "refusalReason": reason, "refusalReasonCode": code,
        }  # fmt: skip

    @staticmethod
    def _why_not(payment: Payment, own: Modification, method: Method) -> str:
        """Say why something is not done; '' if it is."""
        match own.kind:
            case "captures":
                is_there = payment.held >= own.value and payment.is_manual and method.capture != "refused"
            case "refunds":
                left = payment.captured - payment.done("refunds") - payment.disputed
                is_there = own.value <= left and method.refund != "refused"
            case _:
                tried = [one for one in payment.modifications if one.kind == "cancels"]
                is_there = payment.held > 0 and (method.cancel != "refused-once" or bool(tried))
        return "" if is_there else NOT_ENOUGH

    def _tell(self, code: str, payment: Payment, now_ms: int, **more: Any) -> None:
        self._told.append(self._writer.write(code, payment, now_ms, **more))

    def _is_ours(self, plain: Mapping[str, Any]) -> None:
        if plain.get("merchantAccount") != self._merchant:
            raise AdyenError(403, "901", "Invalid Merchant Account", "security")


def _object(plain: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """Give a part; an empty one where there is none, or something else."""
    given = plain.get(name)
    return given if isinstance(given, dict) else {}


def _amount(plain: Mapping[str, Any]) -> tuple[int, str]:
    amount = _object(plain, "amount")
    value, currency = amount.get("value"), amount.get("currency")
    if type(value) is not int or value <= 0:
        raise AdyenError(422, "137", "Invalid amount specified")
    if not isinstance(currency, str) or len(currency) != 3 or not currency.isupper():
        raise AdyenError(422, "138", "Unsupported currency specified")
    return value, currency


def _text(plain: Mapping[str, Any], name: str, most: int) -> str:
    given = plain.get(name)
    if not isinstance(given, str) or not 0 < len(given) <= most:
        raise AdyenError(422, "130", f"{name} Missing")
    return given


def _method(plain: Mapping[str, Any]) -> Method:
    given = _object(plain, "paymentMethod")
    method = METHODS.get(str(given.get("storedPaymentMethodId")))
    if given.get("type") != "scheme" or method is None:
        raise AdyenError(422, "800", "Contract not found")
    if not plain.get("shopperReference"):
        raise AdyenError(422, "15_006", "shopperReference Missing")
    return method
