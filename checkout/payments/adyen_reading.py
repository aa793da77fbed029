"""Adyen's JSON, read: answers of the Checkout API, and the items of its notices. Pure.

What is not as it should be raises one of ``UNREADABLE``; the adapter says ``Unclear`` then, as it does for silence. An
unknown reason of a refusal is a refusal all the same, an unknown event code one that the shop does not follow.

**References.** Adyen gives back what it was called with: ``event/order/attempt``, at most 80 characters. What has no
reference of that form was not asked for by this shop.

**Signatures.** Each item is signed: HMAC-SHA256 under a key in hex, in base64, over eight of its fields with colons
between them. **Not signed** are ``reason``, ``eventDate``, ``live`` and everything in ``additionalData``: whether money
was moved, how much and whose never rests on them, only what a buyer is told of a refusal and what is shown of a card.

Sources: Adyen's documentation, "Verify HMAC signatures", "Result codes", "Refusal reasons", "Webhook structure". Not
here: what follows (``adyen_standing``).
"""

import binascii
import hmac
import json
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any

from checkout.payments.adyen_amounts import received
from checkout.payments.adyen_standing import DISPUTES, EITHER, GONE, REFUND_BACK, Entry, Kind, Outcome
from checkout.payments.port import Decline, Notice, Topic

UNREADABLE = (KeyError, TypeError, ValueError, AttributeError)

REFERENCE_MOST = 80
VALUE_MOST = 10**15
CODES_OF_PAYMENTS = frozenset({"AUTHORISATION", "CAPTURE", "CAPTURE_FAILED", EITHER}) | GONE
CODES_OF_REFUNDS = frozenset({"REFUND"}) | REFUND_BACK

RESULTS: Mapping[str, Outcome] = {
    "Authorised": Outcome.AUTHORISED,
    "Refused": Outcome.REFUSED,
    "Error": Outcome.REFUSED,
    "Cancelled": Outcome.REFUSED,
    "RedirectShopper": Outcome.ACTION,
    "ChallengeShopper": Outcome.ACTION,
    "IdentifyShopper": Outcome.ACTION,
    "Pending": Outcome.PENDING,
    "Received": Outcome.PENDING,
}
"""What ``resultCode`` may say; any other cannot be read."""

REFUSALS: Mapping[str, Decline] = {
    "2": Decline.GENERIC,
    "3": Decline.GENERIC,
    "4": Decline.PROCESSING,
    "5": Decline.LOST,
    "6": Decline.EXPIRED,
    "7": Decline.PROCESSING,
    "8": Decline.NUMBER,
    "9": Decline.PROCESSING,
    "10": Decline.CURRENCY,
    "11": Decline.AUTHENTICATION,
    "12": Decline.FUNDS,
    "14": Decline.FRAUD,
    "15": Decline.GENERIC,
    "16": Decline.AUTHENTICATION,
    "17": Decline.AUTHENTICATION,
    "18": Decline.LIMIT,
    "19": Decline.AUTHENTICATION,
    "20": Decline.FRAUD,
    "21": Decline.PROCESSING,
    "22": Decline.FRAUD,
    "23": Decline.GENERIC,
    "24": Decline.SECURITY_CODE,
    "25": Decline.LOST,
    "26": Decline.GENERIC,
    "27": Decline.GENERIC,
    "28": Decline.LIMIT,
    "29": Decline.LIMIT,
    "31": Decline.FRAUD,
    "32": Decline.NUMBER,
    "33": Decline.NUMBER,
    "38": Decline.AUTHENTICATION,
    "39": Decline.PROCESSING,
    "42": Decline.AUTHENTICATION,
    "46": Decline.NUMBER,
}
"""By ``refusalReasonCode``; any other is ``GENERIC``."""

REASONS: Mapping[str, Decline] = {
    "not enough balance": Decline.FUNDS,
    "expired card": Decline.EXPIRED,
    "cvc declined": Decline.SECURITY_CODE,
    "invalid card number": Decline.NUMBER,
    "blocked card": Decline.LOST,
    "restricted card": Decline.LOST,
    "withdrawal amount exceeded": Decline.LIMIT,
    "withdrawal count exceeded": Decline.LIMIT,
    "3d not authenticated": Decline.AUTHENTICATION,
    "issuer unavailable": Decline.PROCESSING,
    "acquirer error": Decline.PROCESSING,
    "fraud": Decline.FRAUD,
    "issuer suspected fraud": Decline.FRAUD,
    "acquirer fraud": Decline.FRAUD,
}
"""By the words that a notice has instead of a code."""

SIGNED = ("pspReference", "originalReference", "merchantAccountCode", "merchantReference")


@dataclass(frozen=True, slots=True)
class Answer:
    """What Adyen has answered."""

    outcome: Outcome
    psp: str = ""
    url: str = ""
    decline: str = ""
    card: str = ""


@dataclass(frozen=True, slots=True)
class Whose:
    """What a reference says."""

    event: str
    order: str
    attempt: int


def reference(event: str, order: str, attempt: int) -> str:
    """Write the name of a payment. Raises ``ValueError`` for one that is too long for Adyen."""
    written = f"{event}/{order}/{attempt}"
    if len(written) > REFERENCE_MOST:
        raise ValueError(f"{written} is longer than {REFERENCE_MOST} characters")
    return written


def whose(reference: object) -> Whose | None:
    """Read a reference; None for what this shop has not made."""
    if not isinstance(reference, str) or len(reference) > REFERENCE_MOST or not reference.isprintable():
        # A browser may bring it; not every database takes every octet.
        return None
    parts = reference.split("/")
    if len(parts) != 3 or not all(parts):
        return None
    event, order, attempt = parts
    if not (attempt.isascii() and attempt.isdecimal() and len(attempt) <= 9):
        return None
    return Whose(event, order, int(attempt))


def answer(plain: Mapping[str, Any]) -> Answer:
    """Read what came of asking a bank, or of a buyer's return."""
    result = plain["resultCode"]
    outcome = RESULTS[result]
    psp = plain.get("pspReference") or ""
    if not isinstance(psp, str) or (outcome is Outcome.AUTHORISED and not psp):
        raise ValueError("a payment without a name")
    if outcome is Outcome.ACTION:
        url = _address(plain.get("action") or {})
        if not url:
            # Nothing that a link can lead to; the bank has not been asked, and will not be.
            return Answer(Outcome.REFUSED, psp, decline=Decline.AUTHENTICATION.value)
        return Answer(outcome, psp, url)
    decline = ""
    if outcome is Outcome.REFUSED:
        code = str(plain.get("refusalReasonCode") or "")
        other = Decline.PROCESSING if result == "Error" else Decline.GENERIC
        decline = REFUSALS.get(code, other).value
    return Answer(outcome, psp, decline=decline, card=_card(plain))


def taken_on(plain: Mapping[str, Any]) -> Answer:
    """Read what came of asking to capture, to cancel or to refund."""
    if (
        plain["status"] != "received"
        or not isinstance(plain["pspReference"], str)
        or not plain["pspReference"]
    ):
        raise ValueError("not what a modification is answered with")
    return Answer(Outcome.RECEIVED, plain["pspReference"])


def items(body: bytes) -> tuple[bool, list[Mapping[str, Any]]]:
    """Read a notice's items, and whether real money is meant. Raises ``ValueError``."""
    try:
        plain = json.loads(body)
    except RecursionError as error:
        raise ValueError("nested too deep") from error
    try:
        found = [one["NotificationRequestItem"] for one in plain["notificationItems"]]
        if not found or not all(isinstance(one, dict) for one in found):
            raise ValueError("no items")
        return str(plain["live"]).lower() == "true", found
    except (KeyError, TypeError) as error:
        raise ValueError("this is no notice of Adyen") from error


def signature(item: Mapping[str, Any], key: bytes) -> str:
    """Give what Adyen would sign an item with. Raises one of ``UNREADABLE``."""
    amount = item["amount"]
    fields = [item.get(name, "") for name in SIGNED]
    fields += [amount["value"], amount["currency"], item["eventCode"], item["success"]]
    text = ":".join(map(str, fields)).encode()
    return b64encode(hmac.new(key, text, sha256).digest()).decode()


def hex_key(text: str) -> bytes:
    """Read a signing key. Raises ``ValueError``."""
    try:
        key = binascii.unhexlify(text.strip())
    except (binascii.Error, ValueError) as error:
        raise ValueError("a signing key of Adyen is written in hex") from error
    if len(key) < 16:
        raise ValueError("a signing key of Adyen has 32 octets")
    return key


def notice(item: Mapping[str, Any], account: str, *, is_live: bool) -> Notice:
    """Read a signed item. Raises one of ``UNREADABLE``."""
    code, psp, success = _text(item["eventCode"]), _text(item["pspReference"]), _success(item["success"])
    ident = f"{code}:{psp}:{'yes' if success else 'no'}"
    at_ms = _at_ms(item.get("eventDate"))
    topic, own = _topic(code), whose(item.get("merchantReference"))
    if topic is Topic.OTHER or own is None or item.get("merchantAccountCode") != account:
        return Notice(ident, Topic.OTHER, "", at_ms, is_live=is_live)
    value, currency = item["amount"]["value"], _text(item["amount"]["currency"])
    if type(value) is not int or not 0 <= value <= VALUE_MOST:
        raise TypeError("an amount is a whole number, and not of another world")
    amount = received(value, currency)
    more = item.get("additionalData") or {}
    reason = str(item.get("reason") or "")
    told = {
        "code": code, "psp": psp, "success": success, "amount": amount,
        "card": _card_of(more, str(item.get("paymentMethod") or "")) if code == "AUTHORISATION" else "",
        "decline": "" if success else _reason(reason).value,
    }  # fmt: skip
    ref = str(item["merchantReference"])
    is_whole = code == "AUTHORISATION"
    return Notice(
        ident, topic, ref, at_ms, own.event, own.order, own.attempt, amount if is_whole else None, None, is_live, told
    )  # fmt: skip


def entry(notice: Notice, amount_minor: int, currency: str) -> Entry:
    """Give what is kept of a notice of a payment of so much."""
    told = notice.told
    amount, code = told["amount"], str(told["code"])
    outcome = Outcome.YES if told["success"] else Outcome.NO
    minor, its_currency = amount.amount_minor, amount.currency  # type: ignore[attr-defined]
    if its_currency != currency or (code == "AUTHORISATION" and minor != amount_minor):
        outcome = Outcome.OTHER_AMOUNT
    return Entry(
        name=notice.id,
        kind=Kind.NOTICE,
        at_ms=notice.at_ms,
        code=code,
        outcome=outcome,
        psp=str(told["psp"]),
        amount_minor=minor,
        decline=str(told["decline"]),
        card=str(told["card"]),
    )


def _topic(code: str) -> Topic:
    if code in CODES_OF_PAYMENTS:
        return Topic.PAYMENT
    if code in CODES_OF_REFUNDS:
        return Topic.REFUND
    return Topic.DISPUTE if code in DISPUTES else Topic.OTHER


def _reason(reason: str) -> Decline:
    """Read why a bank said no from a notice: words, or a number and words with colons between them."""
    for part in (reason, *reason.split(":")):
        known = REASONS.get(part.strip().lower())
        if known is not None:
            return known
    return Decline.GENERIC


def _address(action: Mapping[str, Any]) -> str:
    """Give where a buyer has to go; '' for what no link can do."""
    is_link = action.get("type") == "redirect" and str(action.get("method") or "GET").upper() == "GET"
    url = action.get("url")
    return url if is_link and isinstance(url, str) and url.startswith(("https://", "http://")) else ""


def _card(plain: Mapping[str, Any]) -> str:
    more, method = plain.get("additionalData") or {}, plain.get("paymentMethod") or {}
    return _card_of(more, str(method.get("brand") or more.get("paymentMethod") or ""))


def _card_of(more: Mapping[str, Any], brand: str) -> str:
    said = (more.get("alias"), brand, more.get("cardSummary"), more.get("cardIssuingCountry"))
    parts = ["".join(filter(str.isprintable, str(one or ""))).replace("|", "")[:64] for one in said]
    return "|".join(parts) if any(parts[2:]) or parts[0] else ""


def _success(given: object) -> bool:
    text = str(given).lower()
    if text not in {"true", "false"}:
        raise ValueError("success is true or false")
    return text == "true"


def _at_ms(given: object) -> int:
    """Read when something happened; 0 where that cannot be read, as nothing follows from it."""
    try:
        at = datetime.fromisoformat(str(given))
    except ValueError:
        return 0
    return int((at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp() * 1000)


def _text(given: Any) -> str:
    if not isinstance(given, str) or not given.isprintable():
        raise TypeError("text was expected")
    return given
