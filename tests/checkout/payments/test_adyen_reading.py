"""Adyen's JSON: answers, items, references, amounts; and that Adyen's own package signs as we check."""

import json
from typing import Any

import Adyen.util
import pytest

from checkout.money import Money, exponent
from checkout.payments import adyen_amounts as amounts
from checkout.payments import adyen_reading as reading
from checkout.payments.adyen_standing import Outcome
from checkout.payments.port import Decline, Notice, Topic

KEY = "44782DEF547AAA06C910C43932B1EB0C71FC68D9D0C057550C48EC2ACF6BA056"


def item(**changes: Any) -> dict[str, Any]:
    """Give an item as Adyen documents it."""
    return {
        "additionalData": {"cardSummary": "1111", "alias": "A1", "cardIssuingCountry": "NL"},
        "amount": {"currency": "EUR", "value": 4200},
        "eventCode": "AUTHORISATION",
        "eventDate": "2027-01-15T08:00:00+01:00",
        "merchantAccountCode": "ShopECOM",
        "merchantReference": "rome/order-7/1",
        "paymentMethod": "visa",
        "pspReference": "PSP0000000000001",
        "reason": "",
        "success": "true",
    } | changes


def read(**changes: Any) -> Notice:
    """Read an item that is signed."""
    return reading.notice(item(**changes), "ShopECOM", is_live=False)


# ----------------------------------------------------------------------------------- answers


@pytest.mark.parametrize(
    ("result", "more", "outcome", "decline"),
    [
        ("Authorised", {}, Outcome.AUTHORISED, ""),
        ("Authorised", {"refusalReasonCode": "0"}, Outcome.AUTHORISED, ""),
        ("Pending", {}, Outcome.PENDING, ""),
        ("Received", {}, Outcome.PENDING, ""),
        ("Refused", {"refusalReasonCode": "12"}, Outcome.REFUSED, "insufficient-funds"),
        ("Refused", {"refusalReasonCode": "6"}, Outcome.REFUSED, "card-expired"),
        ("Refused", {"refusalReasonCode": "24"}, Outcome.REFUSED, "wrong-security-code"),
        ("Refused", {"refusalReasonCode": "8"}, Outcome.REFUSED, "wrong-number"),
        ("Refused", {"refusalReasonCode": "11"}, Outcome.REFUSED, "authentication-failed"),
        ("Refused", {"refusalReasonCode": "20"}, Outcome.REFUSED, "suspected-fraud"),
        ("Refused", {"refusalReasonCode": "99"}, Outcome.REFUSED, "declined"),
        ("Refused", {}, Outcome.REFUSED, "declined"),
        ("Cancelled", {"refusalReasonCode": "15"}, Outcome.REFUSED, "declined"),
        ("Error", {}, Outcome.REFUSED, "processing-error"),
        ("Error", {"refusalReasonCode": "9"}, Outcome.REFUSED, "processing-error"),
    ],
)
def test_an_answer_is_read(result: str, more: dict[str, Any], outcome: Outcome, decline: str) -> None:
    """Each result code that the shop can meet."""
    told = reading.answer({"resultCode": result, "pspReference": "P1", **more})

    assert (told.outcome, told.psp, told.decline) == (outcome, "P1", decline)


@pytest.mark.parametrize(
    "plain",
    [
        {},
        {"resultCode": "Authorised"},
        {"resultCode": "Authorised", "pspReference": 7},
        {"resultCode": "PresentToShopper", "pspReference": "P1"},
        {"resultCode": None},
        {"resultCode": ["Authorised"]},
    ],
)
def test_an_answer_that_is_none_cannot_be_read(plain: dict[str, Any]) -> None:
    """Nothing is guessed."""
    with pytest.raises(reading.UNREADABLE):
        reading.answer(plain)


@pytest.mark.parametrize(
    ("action", "url"),
    [
        ({"type": "redirect", "method": "GET", "url": "https://bank/1"}, "https://bank/1"),
        ({"type": "redirect", "url": "https://bank/1"}, "https://bank/1"),
        ({"type": "redirect", "method": "POST", "url": "https://bank/1", "data": {}}, ""),
        ({"type": "redirect", "method": "GET", "url": "javascript:alert(1)"}, ""),
        ({"type": "threeDS2", "token": "t"}, ""),
        ({}, ""),
    ],
)
def test_only_a_link_is_a_way_to_the_banks_page(action: dict[str, Any], url: str) -> None:
    """What no link can do fails as an authentication, before any bank was asked."""
    told = reading.answer({"resultCode": "RedirectShopper", "action": action})

    assert told.url == url
    assert told.outcome is (Outcome.ACTION if url else Outcome.REFUSED)
    assert told.decline == ("" if url else Decline.AUTHENTICATION.value)


@pytest.mark.parametrize(
    "plain",
    [{}, {"status": "received"}, {"status": "done", "pspReference": "P"}, {"status": "received", "pspReference": ""}],
)  # fmt: skip
def test_a_modification_is_taken_on_by_a_name(plain: dict[str, Any]) -> None:
    """Without one, no notice could be told from another."""
    with pytest.raises(reading.UNREADABLE):
        reading.taken_on(plain)


# --------------------------------------------------------------------------------- signatures


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"originalReference": "PSP0000000000000", "eventCode": "CAPTURE"},
        {"success": "false"},
        {"merchantReference": "möbius/O1/2"},
        {"amount": {"currency": "JPY", "value": 0}},
        {"merchantReference": "a:b", "pspReference": ":"},
    ],
)
def test_adyens_own_package_signs_as_we_check(changes: dict[str, Any]) -> None:
    """Row 44: made by ``Adyen.util.generate_notification_sig``."""
    made = Adyen.util.generate_notification_sig(item(**changes), KEY).decode()

    assert reading.signature(item(**changes), reading.hex_key(KEY)) == made


@pytest.mark.parametrize(
    "field", ["pspReference", "originalReference", "merchantAccountCode", "merchantReference"]
)
def test_each_signed_field_counts(field: str) -> None:
    """Whatever is altered gives another signature."""
    key = reading.hex_key(KEY)
    own = reading.signature(item(), key)

    assert reading.signature(item(**{field: "other"}), key) != own
    assert reading.signature(item(success="false"), key) != own
    assert reading.signature(item(eventCode="REFUND"), key) != own
    assert reading.signature(item(amount={"currency": "USD", "value": 4200}), key) != own
    assert reading.signature(item(amount={"currency": "EUR", "value": 4201}), key) != own


@pytest.mark.parametrize("text", ["", "zz", "abc", "00" * 8, "not hex at all"])
def test_a_key_that_is_none_is_refused(text: str) -> None:
    """At start, not with the first notice."""
    with pytest.raises(ValueError, match="signing key"):
        reading.hex_key(text)


# ------------------------------------------------------------------------------------ items


def test_an_item_is_read() -> None:
    """Reference, amount, topic, time; a name that is the same for each delivery."""
    told = read()

    assert (told.ref, told.event, told.order, told.attempt) == ("rome/order-7/1", "rome", "order-7", 1)
    assert (told.topic, told.amount, told.implies) == (Topic.PAYMENT, Money(4200, "EUR"), None)
    assert told.id == "AUTHORISATION:PSP0000000000001:yes"
    assert told.at_ms == 1_799_996_400_000
    assert read(success="false").id != told.id
    assert "A1" not in repr(told)


@pytest.mark.parametrize(
    ("code", "topic"),
    [
        ("AUTHORISATION", Topic.PAYMENT), ("CAPTURE", Topic.PAYMENT), ("CAPTURE_FAILED", Topic.PAYMENT),
        ("CANCELLATION", Topic.PAYMENT), ("TECHNICAL_CANCEL", Topic.PAYMENT), ("CANCEL_OR_REFUND", Topic.PAYMENT),
        ("REFUND", Topic.REFUND), ("REFUND_FAILED", Topic.REFUND), ("REFUNDED_REVERSED", Topic.REFUND),
        ("NOTIFICATION_OF_CHARGEBACK", Topic.DISPUTE), ("CHARGEBACK", Topic.DISPUTE),
        ("CHARGEBACK_REVERSED", Topic.DISPUTE), ("SECOND_CHARGEBACK", Topic.DISPUTE),
        ("REPORT_AVAILABLE", Topic.OTHER), ("RECURRING_CONTRACT", Topic.OTHER), ("SOMETHING_NEW", Topic.OTHER),
    ],
)  # fmt: skip
def test_codes_have_topics(code: str, topic: Topic) -> None:
    """Those that the shop does not follow are acknowledged and forgotten."""
    assert read(eventCode=code, originalReference="P0").topic is topic


@pytest.mark.parametrize(
    "changes",
    [
        {"merchantAccountCode": "OtherECOM"},
        {"merchantReference": "testMerchantRef1"},
        {"merchantReference": "a/b"},
        {"merchantReference": "a/b/c"},
        {"merchantReference": "a/b/1/2"},
        {"merchantReference": "a//1"},
        {"merchantReference": "a/b/-1"},
        {"merchantReference": "a/b/١"},
        {"merchantReference": "a/b/1234567890"},
        {"merchantReference": f"{'a' * 80}/b/1"},
        {"merchantReference": None},
    ],
)
def test_what_this_shop_has_not_asked_for_is_none_of_its_own(changes: dict[str, Any]) -> None:
    """Other shops share an account; a test notice names no payment."""
    told = read(**changes)

    assert (told.topic, told.ref, dict(told.told)) == (Topic.OTHER, "", {})


@pytest.mark.parametrize(
    "changes",
    [
        {"eventCode": 1},
        {"pspReference": None},
        {"success": "maybe"},
        {"amount": None},
        {"amount": {"value": "4200", "currency": "EUR"}},
        {"amount": {"value": 42.0, "currency": "EUR"}},
        {"amount": {"value": 4200, "currency": "ZZZ"}},
        {"amount": {"value": 4200}},
    ],
)
def test_an_item_that_is_not_as_it_should_be_cannot_be_read(changes: dict[str, Any]) -> None:
    """Even where its signature is good."""
    with pytest.raises(reading.UNREADABLE):
        read(**changes)


@pytest.mark.parametrize(
    ("reason", "decline"),
    [
        ("Not enough balance", Decline.FUNDS), ("51:Not enough balance", Decline.FUNDS),
        ("CVC Declined", Decline.SECURITY_CODE), ("Expired Card", Decline.EXPIRED),
        ("FRAUD", Decline.FRAUD), ("3D Not Authenticated", Decline.AUTHENTICATION),
        ("", Decline.GENERIC), ("Something new", Decline.GENERIC),
    ],
)  # fmt: skip
def test_a_reason_is_words(reason: str, decline: Decline) -> None:
    """A notice has no code of a refusal."""
    assert read(success="false", reason=reason).told["decline"] == decline.value


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"{}", b'{"live":"false","notificationItems":[]}',
             b'{"live":"false","notificationItems":[{}]}',
             b'{"live":"false","notificationItems":[{"NotificationRequestItem":1}]}', b'{"notificationItems":1}'],
)  # fmt: skip
def test_what_is_no_notice_is_refused(body: bytes) -> None:
    """Whatever it is."""
    with pytest.raises(ValueError):  # noqa: PT011 (any of them)
        reading.items(body)


def test_live_is_read() -> None:
    """In letters, as Adyen writes it."""
    for live, is_live in (("true", True), ("false", False), (True, True)):
        body = json.dumps({"live": live, "notificationItems": [{"NotificationRequestItem": item()}]}).encode()
        assert reading.items(body)[0] is is_live


# ------------------------------------------------------------------------ references and amounts


def test_references_come_back() -> None:
    """And are never longer than Adyen takes."""
    written = reading.reference("a" * 63, "Oabcdefghijk", 12)

    assert len(written) <= 80
    assert reading.whose(written) == reading.Whose("a" * 63, "Oabcdefghijk", 12)
    with pytest.raises(ValueError, match="longer"):
        reading.reference("a" * 70, "Oabcdefghijk", 12)


@pytest.mark.parametrize(
    ("minor", "currency", "units"),
    [
        (4200, "EUR", 4200), (4200, "JPY", 4200), (4200, "KWD", 4200), (5, "ISK", 500), (990, "CLP", 99_000),
        (4200, "CVE", 42), (1_500_000, "IDR", 15_000), (4200, "UGX", 4200), (0, "EUR", 0),
    ],
)  # fmt: skip
def test_amounts_go_and_come_back(minor: int, currency: str, units: int) -> None:
    """Exactly, where Adyen counts otherwise, too."""
    assert amounts.sent(Money(minor, currency)) == units
    assert amounts.received(units, currency) == Money(minor, currency)


@pytest.mark.parametrize(("minor", "currency"), [(4201, "CVE"), (1, "IDR")])
def test_what_adyen_cannot_take_is_refused(minor: int, currency: str) -> None:
    """Nothing is rounded."""
    with pytest.raises(ValueError, match="no amount for Adyen"):
        amounts.sent(Money(minor, currency))


def test_what_adyen_cannot_mean_is_refused() -> None:
    """A fraction of what the shop counts."""
    assert exponent("ISK") == 0
    with pytest.raises(ValueError, match="no whole number"):
        amounts.received(501, "ISK")
    with pytest.raises(ValueError):  # noqa: PT011 (the currency is none)
        amounts.received(1, "eur")
