"""Notices: what this sandbox tells the shop, item by item, signed as Adyen signs them, at an address with a password.

An item's signature is the HMAC-SHA256 over eight of its fields, with colons between them. Not here: when a notice is
sent again (``checkout.sandbox.deliveries``), what there is to tell (``rules``).
"""

import hmac
import secrets
import string
from base64 import b64encode
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import orjson

from checkout.sandbox.deliveries import Deliveries, Safe
from checkout.sandbox.faults import FaultPlan
from checkout.sandbox.records import Event
from checkout.sandbox_adyen.records import Payment
from kernel.clock import Clock

_LETTERS = string.ascii_uppercase + string.digits


def new_psp() -> str:
    """Make a name as Adyen does."""
    return "".join(secrets.choice(_LETTERS) for _ in range(16))


class Writer:
    """Writes notices of one merchant account."""

    def __init__(self, merchant: str, hmac_key: str) -> None:
        """`hmac_key`: in hex. Raises ``ValueError``."""
        self._merchant = merchant
        self._key = bytes.fromhex(hmac_key)

    def write(
        self,
        code: str,
        payment: Payment,
        now_ms: int,
        *,
        psp: str = "",
        value: int | None = None,
        success: bool = True,
        reason: str = "",
        more: Mapping[str, Any] | None = None,
    ) -> Event:
        """Write one of a payment; `psp`: of what the notice is about, where that is not the payment itself."""
        at = datetime.fromtimestamp(now_ms / 1000, UTC).isoformat(timespec="seconds")
        item: dict[str, Any] = {
            "amount": {"currency": payment.currency, "value": payment.value if value is None else value},
            "eventCode": code,
            "eventDate": at,
            "merchantAccountCode": self._merchant,
            "merchantReference": payment.reference,
            "paymentMethod": "visa",
            "pspReference": psp or payment.psp,
            "reason": reason,
            "success": "true" if success else "false",
        }
        if psp:
            item["originalReference"] = payment.psp
        item["additionalData"] = {**(more or {}), "hmacSignature": self._signature(item)}
        body = orjson.dumps({"live": "false", "notificationItems": [{"NotificationRequestItem": item}]})
        return Event(f"{code}-{item['pspReference']}-{secrets.token_hex(4)}", code, now_ms, body.decode())

    def _signature(self, item: Mapping[str, Any]) -> str:
        amount = item["amount"]
        fields = (
            item["pspReference"], item.get("originalReference", ""), item["merchantAccountCode"],
            item["merchantReference"], amount["value"], amount["currency"], item["eventCode"], item["success"],
        )  # fmt: skip
        text = ":".join(map(str, fields)).encode()
        return b64encode(hmac.digest(self._key, text, "sha256")).decode()


class AdyenDeliveries(Deliveries):
    """Deliveries to an address that asks for a user and a password."""

    def __init__(
        self, url: str, user: str, password: str, clock: Clock, faults: FaultPlan, when_safe: Safe
    ) -> None:
        super().__init__(url, password, clock, faults, when_safe)
        self._sender = b64encode(f"{user}:{password}".encode()).decode()

    def signed(self, body: bytes) -> dict[str, str]:
        """Name the sender; the items themselves are signed."""
        del body
        return {"authorization": f"Basic {self._sender}"}
