"""The sandbox's API: bad input at every call, states, paging, and what is told in full."""

import base64
from typing import Any

import pytest

from kernel.clock import ManualClock
from tests.checkout.sandbox.running import BACK, KEY, Running

PI = "/v1/payment_intents"
GOOD = {"amount": "4200", "currency": "eur"}

BAD = [
    # create
    (PI, {}, 400, "parameter_missing", "currency"),
    (PI, {"currency": "eur"}, 400, "parameter_missing", "amount"),
    (PI, {**GOOD, "amount": "0"}, 400, "parameter_invalid_integer", "amount"),
    (PI, {**GOOD, "amount": "-5"}, 400, "parameter_invalid_integer", "amount"),
    (PI, {**GOOD, "amount": "4.2"}, 400, "parameter_invalid_integer", "amount"),
    (PI, {**GOOD, "amount": "٤٢"}, 400, "parameter_invalid_integer", "amount"),
    (PI, {**GOOD, "amount": "9" * 13}, 400, "amount_too_large", "amount"),
    (PI, {**GOOD, "amount": "9" * 5000}, 400, None, "amount"),
    (PI, {**GOOD, "amount": ""}, 400, "parameter_invalid_empty", "amount"),
    (PI, {**GOOD, "amount[x]": "1"}, 400, None, "amount[x]"),
    (PI, {**GOOD, "currency": "xxq"}, 400, None, "currency"),
    (PI, {"currency": "isk", "amount": "550"}, 400, "invalid_charge_amount", "amount"),
    (PI, {"currency": "kwd", "amount": "12345"}, 400, "invalid_charge_amount", "amount"),
    (PI, {**GOOD, "capture_method": "later"}, 400, None, "capture_method"),
    (PI, {**GOOD, "confirm": "yes"}, 400, None, "confirm"),
    (PI, {**GOOD, "payment_method": "pm_none"}, 400, "resource_missing", "payment_method"),
    (PI, {**GOOD, "payment_method_types[0]": "card"}, 400, "payment_method_types_no_longer_supported",
     "payment_method_types"),
    (PI, {**GOOD, "card[number]": "4"}, 400, "parameter_unknown", "card"),
    (PI, {**GOOD, "return_url": BACK}, 400, None, "return_url"),
    (PI, {**GOOD, "metadata": "x"}, 400, None, "metadata"),
    (PI, {**GOOD, "metadata[a][b]": "x"}, 400, None, "metadata"),
    (PI, {**GOOD, "metadata[a]": "x" * 501}, 400, None, "metadata[a]"),
    (PI, {**GOOD, **{f"metadata[{n}]": "x" for n in range(51)}}, 400, None, "metadata"),
    (PI, {**GOOD, "expand[0]": "customer"}, 400, None, "expand"),
    (PI, {**GOOD, "a[]b": "1"}, 400, None, None),
    (PI, {**GOOD, **{f"f{n}": "1" for n in range(300)}}, 400, None, None),
    # change
    (f"{PI}/pi_none", {"description": "x"}, 404, "resource_missing", "id"),
    (f"{PI}/:open", {"amount": "x"}, 400, "parameter_invalid_integer", "amount"),
    (f"{PI}/:taken", {"description": "x"}, 400, "payment_intent_unexpected_state", None),
    # confirm
    (f"{PI}/pi_none/confirm", {}, 404, "resource_missing", "id"),
    (f"{PI}/:open/confirm", {}, 400, "payment_intent_unexpected_state", None),
    (f"{PI}/:open/confirm", {"payment_method": "pm_none"}, 400, "resource_missing", "payment_method"),
    (f"{PI}/:open/confirm", {"payment_method": "pm_card_visa", "return_url": "javascript:x"}, 400,
     "url_invalid", "return_url"),
    (f"{PI}/:open/confirm", {"payment_method": "pm_card_visa", "return_url": "http://a;script-src *"}, 400,
     "url_invalid", "return_url"),
    (f"{PI}/:open/confirm", {"payment_method": "pm_card_visa", "return_url": "http://[x"}, 400,
     "url_invalid", "return_url"),
    (f"{PI}/:open/confirm", {"amount": "1"}, 400, "parameter_unknown", "amount"),
    (f"{PI}/:held/confirm", {"payment_method": "pm_card_visa"}, 400, "payment_intent_unexpected_state", None),
    (f"{PI}/:open/confirm", {"payment_method": "pm_card_chargeDeclined"}, 402, "card_declined", None),
    # capture
    (f"{PI}/pi_none/capture", {}, 404, "resource_missing", "id"),
    (f"{PI}/:open/capture", {}, 400, "payment_intent_unexpected_state", None),
    (f"{PI}/:held/capture", {"amount_to_capture": "4201"}, 400, "amount_too_large", "amount_to_capture"),
    (f"{PI}/:held/capture", {"amount_to_capture": "0"}, 400, "parameter_invalid_integer", "amount_to_capture"),
    (f"{PI}/:taken/capture", {}, 400, "payment_intent_unexpected_state", None),
    # cancel
    (f"{PI}/pi_none/cancel", {}, 404, "resource_missing", "id"),
    (f"{PI}/:held/cancel", {"cancellation_reason": "boredom"}, 400, None, "cancellation_reason"),
    (f"{PI}/:taken/cancel", {}, 400, "payment_intent_unexpected_state", None),
    # refund
    ("/v1/refunds", {}, 400, "parameter_missing", "payment_intent"),
    ("/v1/refunds", {"payment_intent": ":taken", "charge": "ch_1"}, 400, "parameter_missing", "payment_intent"),
    ("/v1/refunds", {"payment_intent": "pi_none"}, 400, "resource_missing", "payment_intent"),
    ("/v1/refunds", {"charge": "ch_none"}, 400, "resource_missing", "charge"),
    ("/v1/refunds", {"payment_intent": ":open"}, 400, "payment_intent_unexpected_state", None),
    ("/v1/refunds", {"payment_intent": ":held"}, 400, "payment_intent_unexpected_state", None),
    ("/v1/refunds", {"payment_intent": ":taken", "amount": "4201"}, 400, "amount_too_large", "amount"),
    ("/v1/refunds", {"payment_intent": ":taken", "amount": "0"}, 400, "parameter_invalid_integer", "amount"),
    ("/v1/refunds", {"payment_intent": ":taken", "reason": "boredom"}, 400, None, "reason"),
    ("/v1/refunds", {"payment_intent": ":back"}, 400, "charge_already_refunded", None),
    # nothing there
    ("/v1/charges", {"amount": "1"}, 404, None, None),
    ("/v1/payment_methods", {"type": "card"}, 404, None, None),
    ("/v1/payment_intents/a/b/c", {}, 404, None, None),
    ("/v2/payment_intents", {}, 404, None, None),
]  # fmt: skip

BAD_READS = [
    (f"{PI}/pi_none", {}, 404, "resource_missing"),
    (PI, {"limit": "0"}, 400, "parameter_invalid_integer"),
    (PI, {"limit": "101"}, 400, "amount_too_large"),
    (PI, {"starting_after": "pi_none"}, 400, "resource_missing"),
    (PI, {"created[gte]": "x"}, 400, "parameter_invalid_integer"),
    (PI, {"created[after]": "1"}, 400, "parameter_unknown"),
    (PI, {"ending_before": "pi_none"}, 400, "parameter_unknown"),
    (PI, {"expand[0]": "latest_charge"}, 400, None),
    ("/v1/charges/ch_none", {}, 404, "resource_missing"),
    ("/v1/charges", {"order": "1"}, 400, "parameter_unknown"),
    ("/v1/refunds/re_none", {}, 404, "resource_missing"),
    ("/v1/disputes/dp_none", {}, 404, "resource_missing"),
    ("/v1/events/evt_none", {}, 404, "resource_missing"),
    ("/v1/events", {"starting_after": "evt_none"}, 400, "resource_missing"),
    ("/v1/payment_methods/pm_none", {}, 404, "resource_missing"),
    ("/v1/customers", {}, 404, None),
]


@pytest.fixture
def known(box: Running) -> dict[str, str]:
    """Give a payment in each state."""
    held = box.made()["id"]
    box.post(f"{PI}/{held}/confirm", payment_method="pm_card_visa")
    back = box.paid()["id"]
    box.post("/v1/refunds", payment_intent=back)
    return {"open": box.made()["id"], "held": held, "taken": box.paid()["id"], "back": back}


def filled(text: str, known: dict[str, str]) -> str:
    """Put ids in."""
    for name, ident in known.items():
        text = text.replace(f":{name}", ident)
    return text


def test_bad_input_is_refused_with_stripes_words(box: Running, known: dict[str, str]) -> None:
    """At each call that changes something; and nothing is changed by it but the card that is declined."""
    before = box.ledger()
    for path, fields, status, code, param in BAD:
        data = {name: filled(value, known) for name, value in fields.items()}
        answer = box.client.post(filled(path, known), data=data)
        error = answer.json()["error"]
        case = (path, fields, answer.text)
        assert answer.status_code == status, case
        assert error["message"], case
        assert error["type"] == ("card_error" if status == 402 else "invalid_request_error"), case
        assert error.get("code") == code or code is None, case
        assert error.get("param") == param or param is None, case
    after = box.ledger()
    assert [one["sums"] for one in after] == [one["sums"] for one in before]


def test_bad_questions_are_refused_likewise(box: Running) -> None:
    """At each call that reads."""
    for path, fields, status, code in BAD_READS:
        answer = box.get(path, **fields)
        assert answer.status_code == status, (path, fields, answer.text)
        assert answer.json()["error"].get("code") == code or code is None, (path, fields, answer.text)


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"authorization": ""},
        {"authorization": KEY},
        {"authorization": f"Bearer {KEY}x"},
        {"authorization": "Bearer"},
        {"authorization": "Basic !!!"},
        {"authorization": "Basic " + base64.b64encode(b"sk_test_other:").decode()},
    ],
)
@pytest.mark.parametrize("path", [PI, "/_sandbox/ledger"])
def test_without_the_key_nothing_is_told(headers: dict[str, str], path: str, box: Running) -> None:
    """Neither by the API nor by the control; the answer does not repeat what was given."""
    box.client.headers.pop("authorization")
    answer = box.client.get(path, headers=headers)
    assert answer.status_code == 401
    assert answer.json()["error"]["type"] == "invalid_request_error"
    assert "sk_test" not in answer.text


def test_the_key_may_come_as_a_user_name(box: Running) -> None:
    """As curl sends it with ``-u``."""
    box.client.headers.pop("authorization")
    assert box.client.get(PI, auth=(KEY, "")).status_code == 200


def test_bodies_that_are_no_forms_are_refused(box: Running) -> None:
    """JSON, octets, and far too much."""
    assert box.client.post(PI, json={"amount": 1}).status_code == 400
    form = {"content-type": "application/x-www-form-urlencoded"}
    assert box.client.post(PI, content=b"\xff\xfe", headers=form).status_code == 400
    assert box.client.post(PI, content=b"amount", headers=form).status_code == 400
    assert box.client.post(PI, content=b"a=" + b"x" * 70_000, headers=form).status_code == 413


def test_every_answer_has_its_number(box: Running) -> None:
    """No two the same, and nothing is stored on the way."""
    first, second = box.get(PI), box.get(PI)
    assert first.headers["request-id"] != second.headers["request-id"]
    assert first.headers["cache-control"] == "no-store"


def test_a_payment_may_be_confirmed_as_it_is_made(box: Running) -> None:
    """And captured at once, where nobody said manual."""
    made = box.made(capture_method="automatic", confirm="true", payment_method="pm_card_visa")
    assert (made["status"], made["amount_received"]) == ("succeeded", 4200)
    (charge,) = box.get("/v1/charges", payment_intent=made["id"]).json()["data"]
    assert (charge["paid"], charge["captured"], charge["payment_method_details"]["card"]["last4"]) == (
        True, True, "4242",
    )  # fmt: skip
    assert box.get(f"/v1/charges/{charge['id']}").json() == charge


def test_a_payment_may_be_changed_before_it_is_paid(box: Running) -> None:
    """Amount, method, metadata; an empty value takes one away."""
    ident = box.made(**{"metadata[a]": "1", "metadata[b]": "2"})["id"]
    changed = box.post(
        f"{PI}/{ident}",
        **{"amount": 500, "metadata[a]": "", "metadata[c]": "3", "payment_method": "pm_card_visa"},
    ).json()
    assert (changed["amount"], changed["metadata"]) == (500, {"b": "2", "c": "3"})
    assert (changed["status"], changed["payment_method"]) == ("requires_confirmation", "pm_card_visa")
    assert box.post(f"{PI}/{ident}/confirm").json()["status"] == "requires_capture"


def test_a_part_may_be_captured_and_the_rest_is_let_go(box: Running) -> None:
    """Stripe counts the rest as returned, the ledger does not; no more than the part can go back."""
    ident = box.made()["id"]
    box.post(f"{PI}/{ident}/confirm", payment_method="pm_card_visa")
    taken = box.post(
        f"{PI}/{ident}/capture", **{"amount_to_capture": 3000, "expand[0]": "latest_charge"}
    ).json()
    assert (taken["amount_received"], taken["latest_charge"]["amount_captured"]) == (3000, 3000)
    assert taken["latest_charge"]["amount_refunded"] == 1200
    assert box.post("/v1/refunds", payment_intent=ident, amount=3001).status_code == 400
    assert box.post("/v1/refunds", payment_intent=ident).json()["amount"] == 3000
    sums = box.ledger()[0]["sums"]["eur"]
    assert (sums["authorised"], sums["captured"], sums["refunded"]) == (4200, 3000, 3000)


def test_many_small_refunds_never_exceed_what_was_taken(box: Running) -> None:
    """However they are cut."""
    ident = box.paid()["id"]
    answers = [box.post("/v1/refunds", payment_intent=ident, amount=1500).status_code for _ in range(4)]
    assert answers == [200, 200, 400, 400]
    assert box.post("/v1/refunds", payment_intent=ident).json()["amount"] == 1200
    assert box.ledger()[0]["sums"]["eur"]["refunded"] == 4200
    assert len(box.get("/v1/refunds", payment_intent=ident).json()["data"]) == 3


def test_lists_have_pages_and_bounds_in_time(box: Running, clock: ManualClock) -> None:
    """The newest first; ``has_more`` until there is none."""
    refs = []
    for _ in range(7):
        refs.append(box.made()["id"])
        clock.advance(1_000)
    first = box.get(PI, limit=3).json()
    assert ([one["id"] for one in first["data"]], first["has_more"]) == (refs[:3:-1], True)
    rest = box.get(PI, limit=4, starting_after=refs[4]).json()
    assert ([one["id"] for one in rest["data"]], rest["has_more"]) == (refs[3::-1], False)

    made_s = clock.now_ms() // 1000 - 7
    bounds: dict[str, Any] = {"created[gte]": made_s + 2, "created[lt]": made_s + 5}
    assert [one["id"] for one in box.get(PI, **bounds).json()["data"]] == refs[4:1:-1]
    assert [one["id"] for one in box.get(PI, **{"created[gt]": made_s + 5}).json()["data"]] == [refs[6]]
    assert [one["id"] for one in box.get(PI, created=made_s).json()["data"]] == [refs[0]]


def test_events_are_listed(box: Running) -> None:
    """By type, the newest first, over pages; each can be read by itself."""
    box.paid()
    told = box.get("/v1/events", limit=2).json()
    assert [one["type"] for one in told["data"]] == ["charge.captured", "payment_intent.succeeded"]
    assert told["has_more"]
    rest = box.get("/v1/events", starting_after=told["data"][-1]["id"]).json()
    assert [one["type"] for one in rest["data"]] == [
        "payment_intent.amount_capturable_updated", "charge.succeeded", "payment_intent.created",
    ]  # fmt: skip
    assert not rest["has_more"]
    (made,) = box.get("/v1/events", type="payment_intent.created").json()["data"]
    assert box.get(f"/v1/events/{made['id']}").json() == made


def test_payment_methods_are_named_outcomes(box: Running) -> None:
    """With what may be known of a card, and nothing to pay with."""
    told = box.get("/v1/payment_methods/pm_card_mastercard").json()
    assert (told["type"], told["card"]["brand"], told["card"]["last4"]) == ("card", "mastercard", "4444")
    assert "number" not in told["card"]
