"""Adyen's sandbox by itself: keys, amounts, accounts, the bank's page, faults on demand, chargebacks, deliveries."""

import asyncio
import logging
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from checkout.sandbox_adyen.app import KEYS_KEPT_MS, AdyenSandbox
from kernel.clock import ManualClock
from tests.checkout.payments.adyen_running import (
    API_KEY,
    HMAC_KEY,
    MERCHANT,
    PASSWORD,
    AdyenRunning,
    adyen_running,
)
from tests.checkout.sandbox.running import until
from tests.checkout.sandbox.test_control import BAD_FAULTS

PAYMENTS = "/v71/payments"
BACK = "http://shop.example/back?ref=7"


@pytest.fixture
def box(clock: ManualClock) -> Iterator[AdyenRunning]:
    """Give one whose clock the test moves."""
    with adyen_running(clock) as one:
        yield one


def body(method: str = "authorised", **more: Any) -> dict[str, Any]:
    """Write what asks a bank."""
    return {
        "merchantAccount": MERCHANT, "reference": "rome/O1/1", "returnUrl": BACK, "shopperReference": "O1",
        "amount": {"currency": "EUR", "value": 4200}, "additionalData": {"manualCapture": "true"},
        "paymentMethod": {"type": "scheme", "storedPaymentMethodId": method}, **more,
    }  # fmt: skip


def asked(box: AdyenRunning, path: str, plain: Any, key: str = "") -> httpx.Response:
    """Call the API."""
    return box.client.post(path, json=plain, headers={"idempotency-key": key} if key else {})


def modified(box: AdyenRunning, psp: str, kind: str, value: int = 4200, **more: Any) -> httpx.Response:
    """Ask to capture, to cancel or to refund."""
    plain = {"merchantAccount": MERCHANT, "amount": {"currency": "EUR", "value": value}, **more}
    return asked(box, f"{PAYMENTS}/{psp}/{kind}", plain)


def paid(box: AdyenRunning, method: str = "authorised", **more: Any) -> str:
    """Ask a bank; gives the payment's name."""
    return str(asked(box, PAYMENTS, body(method, **more)).json()["pspReference"])


def row(box: AdyenRunning) -> dict[str, Any]:
    """Give the one payment that there is."""
    ((one,),) = [order["payments"] for order in box.ledger()]
    return dict(one)


def codes(box: AdyenRunning, count: int) -> list[tuple[str, str]]:
    """Wait for so many notices, and give codes and success of all that have come."""
    until(lambda: len(box.inbox.received) >= count)
    items = [
        httpx.Response(200, content=text).json()["notificationItems"][0]["NotificationRequestItem"]
        for text, _ in box.inbox.received
    ]
    return [(one["eventCode"], one["success"]) for one in items]


# ------------------------------------------------------------------------------------- the API


@pytest.mark.parametrize("path", [PAYMENTS, "/_sandbox/ledger", "/_sandbox/faults"])
@pytest.mark.parametrize("key", [None, "", "of another", "\u00e4"])
def test_only_the_accounts_own_key_is_let_in(path: str, key: str | None, box: AdyenRunning) -> None:
    """To the API, and to the control."""
    headers = {} if key is None else {"x-api-key": key.encode("latin-1")}
    answer = httpx.post(box.url + path, json=body(), headers=headers)

    assert (answer.status_code, answer.json()["errorCode"]) == (401, "000")
    assert box.ledger() == []


WRONG: list[tuple[dict[str, Any], int, str]] = [
    (body(merchantAccount="OtherECOM"), 403, "901"),
    (body(amount={"currency": "EUR", "value": 0}), 422, "137"),
    (body(amount={"currency": "EUR", "value": "4200"}), 422, "137"),
    (body(amount={"currency": "EUR", "value": True}), 422, "137"),
    (body(amount={"currency": "eur", "value": 1}), 422, "138"),
    (body(amount=None), 422, "137"),
    (body(reference=""), 422, "130"),
    (body(reference="x" * 81), 422, "130"),
    (body(returnUrl=None), 422, "130"),
    (body("nobody"), 422, "800"),
    (body(paymentMethod={"type": "ideal"}), 422, "800"),
    (body(shopperReference=""), 422, "15_006"),
    (body(paymentMethod="scheme"), 422, "800"),
    (body(paymentMethod={"type": "scheme", "storedPaymentMethodId": ["authorised"]}), 422, "800"),
    (body(amount=[4200, "EUR"]), 422, "137"),
    (body(reference=7), 422, "130"),
]


@pytest.mark.parametrize(("plain", "status", "code"), WRONG)
def test_what_is_asked_wrongly_is_refused(
    plain: dict[str, Any], status: int, code: str, box: AdyenRunning
) -> None:
    """In Adyen's form of an error; no bank is asked."""
    answer = asked(box, PAYMENTS, plain)

    assert (answer.status_code, answer.json()["errorCode"], answer.json()["status"]) == (status, code, status)
    assert box.ledger() == []


@pytest.mark.parametrize("text", [b"", b"{", b"[]", b"7", b"\xff"])
def test_what_is_no_json_is_refused(text: bytes, box: AdyenRunning) -> None:
    """At the API and at the control."""
    for path in (PAYMENTS, "/_sandbox/faults"):
        if path == PAYMENTS or text:
            assert box.client.post(path, content=text).status_code == 400
    assert box.client.post(PAYMENTS, content=b" " * 70_000).status_code == 413


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", PAYMENTS), ("POST", "/v70/payments"), ("POST", "/v71/sessions"), ("POST", f"{PAYMENTS}/X/reversals"),
        ("DELETE", f"{PAYMENTS}/X/captures"), ("POST", "/"),
    ],
)  # fmt: skip
def test_other_addresses_are_none(method: str, path: str, box: AdyenRunning) -> None:
    """It has what the shop asks, and no more of Adyen's API."""
    assert box.client.request(method, path, json={}).status_code == 404


def test_a_payment_without_a_bank_that_agreed_cannot_be_changed(box: AdyenRunning) -> None:
    """Nor one that there is not."""
    refused = paid(box, "refused")
    for plain in ({}, {"details": 7}, {"details": {"redirectResult": ["x"]}}):
        assert asked(box, f"{PAYMENTS}/details", plain).json()["errorCode"] == "101"
    for psp in (refused, "X" * 16):
        assert modified(box, psp, "captures").json()["errorCode"] == "167"
    agreed = paid(box, reference="rome/O2/1")
    other = modified(box, agreed, "captures", amount={"currency": "USD", "value": 1})
    assert other.json()["errorCode"] == "138"


# ---------------------------------------------------------------------------------------- keys


def test_a_key_stands_for_its_answer(box: AdyenRunning, clock: ManualClock) -> None:
    """Whatever is sent under it again, for a week; then it is a new one. Without a key each call is its own."""
    first = asked(box, PAYMENTS, body(), "k1").json()
    again = asked(box, PAYMENTS, body("refused"), "k1").json()
    other = asked(box, PAYMENTS, body(), "k2").json()
    none = [asked(box, PAYMENTS, body()).json()["pspReference"] for _ in range(2)]
    clock.advance(KEYS_KEPT_MS - 1)
    late = asked(box, PAYMENTS, body(), "k1").json()
    clock.advance(1)
    over = asked(box, PAYMENTS, body(), "k1").json()

    assert first == again == late
    assert len({first["pspReference"], other["pspReference"], over["pspReference"], *none}) == 5


def test_a_key_of_an_error_stands_for_the_error(box: AdyenRunning) -> None:
    """Nothing is done the second time either."""
    answers = [asked(box, PAYMENTS, body("nobody"), "k1"), asked(box, PAYMENTS, body(), "k1")]

    assert [(one.status_code, one.json()["errorCode"]) for one in answers] == [(422, "800")] * 2
    assert box.ledger() == []


def test_a_key_that_is_being_worked_on_is_not_asked_twice(box: AdyenRunning) -> None:
    """Whoever comes meanwhile hears so; one too long is refused."""
    box.fault("delay", f"POST {PAYMENTS}", delay_ms=700)
    with ThreadPoolExecutor(2) as pool:
        answers = list(pool.map(lambda _: asked(box, PAYMENTS, body(), "k1"), range(2)))

    assert sorted(one.status_code for one in answers) == [200, 422]
    assert {one.json().get("errorCode") for one in answers} == {None, "704"}
    assert asked(box, PAYMENTS, body(), "k" * 65).json()["errorCode"] == "703"
    assert len(box.ledger()[0]["payments"]) == 1


# ------------------------------------------------------------------------------- modifications


@pytest.mark.parametrize(
    ("method", "kinds", "told", "sums"),
    [
        ("authorised", ["captures"], [("CAPTURE", "true")], {"captured": 4200, "held": 0}),
        ("authorised", ["cancels"], [("CANCELLATION", "true")], {"captured": 0, "held": 0}),
        (
            "authorised", ["captures", "cancels"], [("CAPTURE", "true"), ("CANCELLATION", "false")],
            {"captured": 4200, "held": 0},
        ),
        (
            "authorised", ["cancels", "captures"], [("CANCELLATION", "true"), ("CAPTURE", "false")],
            {"captured": 0, "held": 0},
        ),
        (
            "authorised", ["captures", "captures"], [("CAPTURE", "true"), ("CAPTURE", "false")],
            {"captured": 4200, "held": 0},
        ),
        ("authorised", ["refunds"], [("REFUND", "false")], {"refunded": 0, "held": 4200}),
        (
            "authorised", ["captures", "refunds", "refunds"],
            [("CAPTURE", "true"), ("REFUND", "true"), ("REFUND", "false")], {"captured": 4200, "refunded": 4200},
        ),
        ("capture-refused", ["captures"], [("CAPTURE", "false")], {"captured": 0, "held": 4200}),
        (
            "refund-refused", ["captures", "refunds"], [("CAPTURE", "true"), ("REFUND", "false")],
            {"captured": 4200, "refunded": 0},
        ),
        (
            "cancel-refused-once", ["cancels", "cancels"], [("CANCELLATION", "false"), ("CANCELLATION", "true")],
            {"held": 0},
        ),
    ],
)  # fmt: skip
def test_everything_is_taken_on_and_a_notice_tells(
    method: str, kinds: list[str], told: list[tuple[str, str]], sums: dict[str, int], box: AdyenRunning
) -> None:
    """Never more than there is; the answer says the same whatever comes of it."""
    psp = paid(box, method)
    answers = [modified(box, psp, kind) for kind in kinds]

    assert {(one.status_code, one.json()["status"]) for one in answers} == {(201, "received")}
    assert len({one.json()["pspReference"] for one in answers} | {psp}) == len(kinds) + 1
    assert sorted(codes(box, len(kinds) + 1)) == sorted([("AUTHORISATION", "true"), *told])
    own = row(box)
    assert {name: own[name] for name in sums} == sums


@pytest.mark.parametrize(
    ("method", "kinds", "code", "sums"),
    [
        ("capture-fails", ["captures"], "CAPTURE_FAILED", {"captured": 0, "held": 0, "status": "capture-failed"}),
        ("refund-fails", ["captures", "refunds"], "REFUND_FAILED", {"captured": 4200, "refunded": 0}),
    ],
)  # fmt: skip
def test_what_was_done_may_fail_later(
    method: str, kinds: list[str], code: str, sums: dict[str, Any], box: AdyenRunning, clock: ManualClock
) -> None:
    """It is told as done first."""
    psp = paid(box, method)
    for kind in kinds:
        modified(box, psp, kind)
    before = row(box)
    clock.advance(3_000)
    told = codes(box, len(kinds) + 2)
    own = row(box)

    assert before["captured"] == 4200
    assert told[-1] == (code, "true")
    assert {name: own[name] for name in sums} == sums


def test_an_account_that_takes_at_once_has_nothing_to_capture(box: AdyenRunning) -> None:
    """What is authorised is taken."""
    psp = paid(box, additionalData={"manualCapture": "false"})
    modified(box, psp, "captures")

    assert (row(box)["captured"], row(box)["held"]) == (4200, 0)
    assert sorted(codes(box, 2)) == [("AUTHORISATION", "true"), ("CAPTURE", "false")]


# ------------------------------------------------------------------------------- the bank's page


def test_the_banks_page_asks_once(box: AdyenRunning) -> None:
    """With a token of its own and a policy; what is not its form changes nothing, and an answer is one."""
    url = asked(box, PAYMENTS, body("asks")).json()["action"]["url"]
    page = httpx.get(url)
    token = re.search(r'name="token" value="([^"]+)"', page.text)
    assert token is not None
    wrong = [
        httpx.post(url, data=data)
        for data in (
            {}, {"token": "x", "answer": "approve"}, {"token": token[1]}, {"token": token[1], "answer": "maybe"},
        )
    ]  # fmt: skip
    wrong.append(httpx.post(url, content=b"\xff=%zz"))
    back = httpx.post(url, data={"token": token[1], "answer": "approve"})
    again = httpx.post(url, data={"token": token[1], "answer": "refuse"})
    result = back.headers["location"].partition("redirectResult=")[2]
    details = {"details": {"redirectResult": result}}
    done = [asked(box, f"{PAYMENTS}/details", details) for _ in range(2)]

    assert "default-src 'none'" in page.headers["content-security-policy"]
    assert [one.status_code for one in wrong] == [403] * 5
    assert back.headers["location"].startswith(BACK + "&redirectResult=")
    assert (again.status_code, httpx.get(box.url + "/redirect/NONE").status_code) == (409, 404)
    assert done[0].json()["resultCode"] == "Authorised"
    assert done[1].status_code == 422
    assert row(box)["held"] == 4200


# ------------------------------------------------------------------------------------- control


def test_orders_that_make_no_sense_are_refused(box: AdyenRunning) -> None:
    """With a sentence; none of them counts."""
    for plain in BAD_FAULTS:
        answer = box.client.post("/_sandbox/faults", json=plain)
        assert answer.status_code == 400, plain
        assert answer.json()["message"].startswith("This is no fault: "), plain
    assert box.get("/_sandbox/faults").json() == {"faults": []}


@pytest.mark.parametrize(
    ("path", "plain", "status"),
    [
        ("", {}, 404), ("ledger", {}, 404), ("payments", {}, 404), ("chargebacks", {}, 404),
        ("chargebacks", {"reference": "rome/O1/1", "value": 9_999}, 422),
        ("chargebacks", {"reference": "rome/O1/1", "value": "all"}, 422), ("chargebacks/NONE", {"outcome": "won"}, 404),
        ("chargebacks", {"reference": "rome/O1/1", "value": -1}, 422),
    ],
)  # fmt: skip
def test_other_orders_are_refused(path: str, plain: dict[str, Any], status: int, box: AdyenRunning) -> None:
    """With an error of the API, and nothing is taken back."""
    modified(box, paid(box), "captures")
    answer = box.client.post(f"/_sandbox/{path}", json=plain)

    assert (answer.status_code, bool(answer.json()["message"])) == (status, True)
    assert row(box)["disputed"] == 0


FAULTS = [
    ("drop-request", None, 0), ("drop-answer", None, 1), ("error-before", 500, 0), ("error-after", 500, 1),
    ("too-many", 429, 0),
]  # fmt: skip


@pytest.mark.parametrize(("fault", "status", "done"), FAULTS)
def test_a_fault_strikes_where_and_as_often_as_ordered(
    fault: str, status: int | None, done: int, box: AdyenRunning
) -> None:
    """Executed or not, answered or not; told how often it struck; then the same key has one payment."""
    box.fault(fault, f"POST {PAYMENTS}", count=1)
    if status is None:
        with pytest.raises(httpx.RemoteProtocolError):
            asked(box, PAYMENTS, body(), "k1")
    else:
        answer = asked(box, PAYMENTS, body(), "k1")
        assert answer.status_code == status
        assert answer.headers.get("retry-after") == ("1" if fault == "too-many" else None)
    made = sum(len(one["payments"]) for one in box.ledger())
    again = asked(box, PAYMENTS, body(), "k1")

    assert made == done
    assert again.json()["resultCode"] == "Authorised"
    assert len(box.ledger()[0]["payments"]) == 1
    assert box.get("/_sandbox/faults").json()["faults"][0]["struck"] == 1
    assert box.client.delete("/_sandbox/faults").json() == {"faults": []}


def test_chargebacks_are_opened_and_decided(box: AdyenRunning) -> None:
    """For what was taken and not given back; a won one comes back to the shop, a lost one does not."""
    psp = paid(box)
    modified(box, psp, "captures")
    modified(box, psp, "refunds", 1200)

    def order(path: str = "", **fields: object) -> dict[str, Any]:
        return dict(box.client.post(f"/_sandbox/chargebacks{path}", json=fields).json())

    first = order(reference="rome/O1/1", value=3000)["psp"]
    taken = row(box)["disputed"]
    order(f"/{first}", outcome="won")
    won = row(box)["disputed"]
    second = order(reference="rome/O1/1", value=1000)["psp"]
    order(f"/{second}", outcome="lost")

    assert (taken, won, row(box)["disputed"]) == (3000, 0, 1000)
    assert sorted(code for code, _ in codes(box, 9))[1:] == sorted(
        ["CAPTURE", "REFUND", "CHARGEBACK_REVERSED", "SECOND_CHARGEBACK"]
        + ["NOTIFICATION_OF_CHARGEBACK", "CHARGEBACK"] * 2
    )


# ------------------------------------------------------------------------------------ deliveries


def test_a_notice_is_sent_until_it_is_taken(box: AdyenRunning, clock: ManualClock) -> None:
    """The shop fails twice; the very same octets come again, from the same sender."""
    box.inbox.statuses = [503, 500]
    paid(box)

    def is_taken() -> bool:
        clock.advance(5_000)
        return bool(box.inbox.received) and box.get("/_sandbox/webhooks").json()["waiting"] == 0

    until(is_taken)
    assert len({text for text, _ in box.inbox.received}) == 1
    assert {headers["authorization"][:6] for _, headers in box.inbox.received} == {"Basic "}
    assert len(box.inbox.received) == 3


def test_notices_get_lost_come_often_or_late(box: AdyenRunning, clock: ManualClock) -> None:
    """As ordered, by their code."""
    box.fault("webhook-lost", "AUTHORISATION")
    box.fault("webhook-twice", "CAPTURE", copies=2)
    box.fault("webhook-late", "REFUND", delay_ms=60_000)
    psp = paid(box)
    modified(box, psp, "captures")
    modified(box, psp, "refunds")
    come = codes(box, 2)
    until(lambda: box.get("/_sandbox/webhooks").json()["waiting"] == 1)
    lost = box.get("/_sandbox/webhooks").json()["lost"]
    clock.advance(60_000)

    assert come == [("CAPTURE", "true")] * 2
    assert len(lost) == 1
    assert codes(box, 3)[-1] == ("REFUND", "true")


def test_a_notice_may_come_before_the_answer(box: AdyenRunning) -> None:
    """Delivered, and only then answered."""
    box.fault("webhook-first", f"POST {PAYMENTS}")
    paid(box)

    assert len(box.inbox.received) == 1


def test_nothing_secret_is_told(box: AdyenRunning, caplog: pytest.LogCaptureFixture) -> None:
    """Neither keys nor the password, in no log and no name; an account without a key is none."""
    with caplog.at_level(logging.DEBUG):
        box.inbox.statuses = [500]
        paid(box)
        until(lambda: box.inbox.received)
        asked(box, PAYMENTS, body("nobody"))

    said = caplog.text + repr(box.sandbox)
    assert not any(secret in said for secret in (API_KEY, HMAC_KEY, PASSWORD))
    for wrong in (("", MERCHANT, HMAC_KEY), (API_KEY, "", HMAC_KEY), (API_KEY, MERCHANT, "no hex")):
        with pytest.raises(ValueError, match=r"."):
            AdyenSandbox(*wrong)


def test_it_stops_what_it_started(clock: ManualClock) -> None:
    """And a sandbox that never started stops, too."""

    async def live() -> None:
        one = AdyenSandbox(API_KEY, MERCHANT, HMAC_KEY, clock=clock)
        await one.stop()
        one.start()
        await one.stop()
        assert len(asyncio.all_tasks()) == 1

    asyncio.run(live())
