"""Webhooks of the sandbox: signed, at least once, and in the end given up."""

import hmac
import json

import pytest

from checkout.sandbox.app import Sandbox
from checkout.sandbox.deliveries import WAITS_S
from kernel.clock import ManualClock
from tests.checkout.sandbox.running import SECRET, Running, running, until


def test_every_change_is_told_as_stripe_does(box: Running) -> None:
    """Each type once, with the thing as it was, and the signature over the time and the body."""
    box.paid(**{"metadata[order]": "o1"})
    until(lambda: len(box.inbox.received) == 5)
    assert sorted(box.inbox.kinds()) == [
        "charge.captured", "charge.succeeded", "payment_intent.amount_capturable_updated",
        "payment_intent.created", "payment_intent.succeeded",
    ]  # fmt: skip
    for body, headers in box.inbox.received:
        at, _, mac = headers["stripe-signature"].partition(",v1=")
        expected = hmac.new(SECRET.encode(), at.removeprefix("t=").encode() + b"." + body, "sha256")
        assert mac == expected.hexdigest()
        told = json.loads(body)
        assert (told["object"], told["livemode"]) == ("event", False)
        assert told["data"]["object"]["metadata"] == {"order": "o1"}


KINDS = {
    ("pm_card_chargeDeclined", ""): ["charge.failed", "payment_intent.payment_failed"],
    ("pm_card_authenticationRequired", ""): ["payment_intent.requires_action"],
    ("pm_sandbox_processing", ""): ["payment_intent.processing"],
    ("pm_card_visa", "cancel"): [
        "charge.succeeded", "payment_intent.amount_capturable_updated", "charge.refunded",
        "payment_intent.canceled",
    ],
    ("pm_card_createDispute", "capture"): [
        "charge.succeeded", "payment_intent.amount_capturable_updated", "payment_intent.succeeded",
        "charge.dispute.created", "charge.captured",
    ],
}  # fmt: skip


@pytest.mark.parametrize(("method", "act"), KINDS)
def test_each_way_has_its_types(method: str, act: str, box: Running) -> None:
    """In the order in which they came about."""
    made = box.made()["id"]
    box.post(f"/v1/payment_intents/{made}/confirm", payment_method=method)
    if act:
        box.post(f"/v1/payment_intents/{made}/{act}")
    told = [one["type"] for one in box.get("/v1/events", limit=20).json()["data"]][::-1]
    assert told == ["payment_intent.created", *KINDS[method, act]]


def test_what_time_brings_is_told_without_being_asked(box: Running, clock: ManualClock) -> None:
    """A slow bank answers, an authorisation is over, a refund comes back."""
    made = box.made()["id"]
    box.post(f"/v1/payment_intents/{made}/confirm", payment_method="pm_sandbox_processing")
    clock.advance(3_000)
    until(lambda: "payment_intent.amount_capturable_updated" in box.inbox.kinds())
    clock.advance(7 * 86_400_000)
    until(lambda: {"payment_intent.canceled", "charge.expired"} <= set(box.inbox.kinds()))

    box.post("/v1/refunds", payment_intent=box.paid("pm_card_refundFail")["id"])
    clock.advance(3_000)
    until(lambda: {"refund.updated", "refund.failed"} <= set(box.inbox.kinds()))


def test_what_was_not_taken_comes_again(box: Running, clock: ManualClock) -> None:
    """After each answer that is not 2xx, a little later each time, signed anew."""
    box.inbox.statuses = [500, 404, 301]
    box.made()
    until(lambda: len(box.inbox.received) == 1)
    for count, wait_s in enumerate(WAITS_S[:3], 2):
        until(lambda: box.get("/_sandbox/webhooks").json()["sent"] == count - 1)  # noqa: B023 (asked at once)
        clock.advance(wait_s * 1000)
        until(lambda: len(box.inbox.received) == count)  # noqa: B023 (the same)
    until(lambda: box.get("/_sandbox/webhooks").json()["unsafe"] == 0)

    assert len({body for body, _headers in box.inbox.received}) == 1
    assert len({headers["stripe-signature"] for _body, headers in box.inbox.received}) == 4


def test_after_three_days_it_is_given_up(box: Running, clock: ManualClock) -> None:
    """It stays in the list of events, and can be sent again by hand."""
    assert 2.5 * 86_400 < sum(WAITS_S) < 3.5 * 86_400
    box.inbox.statuses = [503] * (len(WAITS_S) + 1)
    box.made()
    for count, wait_s in enumerate((*WAITS_S, 0), 1):
        until(lambda: box.get("/_sandbox/webhooks").json()["sent"] == count)  # noqa: B023 (asked at once)
        clock.advance(wait_s * 1000)
    until(lambda: box.get("/_sandbox/webhooks").json()["waiting"] == 0)
    told = box.get("/_sandbox/webhooks").json()
    assert (len(told["given_up"]), told["unsafe"]) == (1, 1)

    assert box.client.post(f"/_sandbox/webhooks/{told['given_up'][0]}").status_code == 200
    until(lambda: box.get("/_sandbox/webhooks").json()["unsafe"] == 0)


def test_a_receiver_that_is_away_holds_up_nothing(clock: ManualClock) -> None:
    """The API answers, and the webhook waits."""
    with running(clock) as box:
        box.sandbox._deliveries._url = "http://127.0.0.1:9/hooks"
        box.made()
        until(lambda: box.get("/_sandbox/webhooks").json()["sent"] == 1)
        assert box.get("/_sandbox/webhooks").json()["waiting"] == 1


def test_an_address_needs_a_secret_and_an_account_a_key() -> None:
    """Nothing unsigned leaves the sandbox."""
    with pytest.raises(ValueError, match="needs a secret"):
        Sandbox("sk_test", webhook_url="http://127.0.0.1:9/")
    with pytest.raises(ValueError, match="needs a secret"):
        Sandbox("")
