"""Webhooks of Stripe: what is believed, and what is not."""

import json
from typing import Any

import pytest
import stripe

from checkout.payments.port import Forged, Notice, Topic
from checkout.payments.stripe import StripeProvider
from kernel.clock import ManualClock
from tests.checkout.sandbox.running import KEY, SECRET, Running, until

OLD = "whsec_of_last_year"

EVENT = {
    "id": "evt_1",
    "object": "event",
    "created": 1_800_000_000,
    "livemode": False,
    "type": "payment_intent.succeeded",
    "data": {
        "object": {
            "id": "pi_1",
            "amount": 4200,
            "currency": "eur",
            "metadata": {"event": "rome", "order": "order-7", "attempt": "1"},
        }
    },
}
BODY = json.dumps(EVENT).encode()


@pytest.fixture(scope="module")
def provider() -> StripeProvider:
    """Give an adapter that asks nobody."""
    return StripeProvider("stripe", KEY, ["", SECRET, OLD])


def signed(body: bytes, at_ms: int, secret: str = SECRET) -> dict[str, str]:
    """Sign as the package does."""
    made: Any = stripe.WebhookSignature.generate_signature_header(body.decode(), secret, at_ms // 1000)
    return {"stripe-signature": made}


def test_what_stripe_has_signed_is_read(provider: StripeProvider, clock: ManualClock) -> None:
    """With each of the secrets that count."""
    for secret in (SECRET, OLD):
        (told,) = provider.parse_webhook(BODY, signed(BODY, clock.now_ms(), secret), clock.now_ms())
        assert (told.id, told.topic, told.ref) == ("evt_1", Topic.PAYMENT, "pi_1")


@pytest.mark.parametrize(
    ("ahead_s", "is_good"), [(-300, True), (-301, False), (60, True), (61, False), (86_400, False)]
)
def test_signatures_count_for_a_while(
    ahead_s: int, is_good: bool, provider: StripeProvider, clock: ManualClock
) -> None:
    """Five minutes back, one ahead, to the second; the package itself would take any of the future."""
    headers = signed(BODY, clock.now_ms() + ahead_s * 1000)
    if is_good:
        assert provider.parse_webhook(BODY, headers, clock.now_ms())
    else:
        with pytest.raises(Forged, match="too old, or of the future"):
            provider.parse_webhook(BODY, headers, clock.now_ms())


MAC = "5257a869e7ecebeda32affa62cdca3fa51cad7e77a0e56ff536d0ce8e108d8bd"


@pytest.mark.parametrize(
    "header",
    [
        "",
        "t=",
        "v1=",
        f"t=1800000000,v1={MAC}",
        f"t=1800000000,v0={MAC}",
        f"t=x,v1={MAC}",
        f"t={'9' * 5000},v1={MAC}",
        f"t=1800000000,v1={'é' * 64}",
        f"t=1800000000,v1={MAC}" + ",v1=0" * 2000,
        "t=1800000000 v1=" + MAC,
    ],
)
def test_other_signatures_are_none(header: str, provider: StripeProvider, clock: ManualClock) -> None:
    """Whatever stands there, the answer is ``Forged`` and never an accident."""
    with pytest.raises(Forged):
        provider.parse_webhook(BODY, {"stripe-signature": header}, clock.now_ms())


def test_a_body_that_was_changed_or_is_no_text_is_forged(
    provider: StripeProvider, clock: ManualClock
) -> None:
    """One octet is enough."""
    headers = signed(BODY, clock.now_ms())
    for body in (BODY.replace(b"4200", b"4201"), BODY + b" ", b"", b"\xff\xfe"):
        with pytest.raises(Forged):
            provider.parse_webhook(body, headers, clock.now_ms())
    with pytest.raises(Forged):
        provider.parse_webhook(BODY, {}, clock.now_ms())


def test_without_a_secret_nothing_is_believed(clock: ManualClock) -> None:
    """An empty one signs nothing, either."""
    for secrets in ([], [""], [" "]):
        nobody = StripeProvider("stripe", KEY, secrets)
        with pytest.raises(Forged):
            nobody.parse_webhook(BODY, signed(BODY, clock.now_ms(), ""), clock.now_ms())


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b"7", b"{}", b'{"id":"evt_1","type":7}', b'{"object":"event"}']
)
def test_what_is_signed_and_yet_no_event_is_unreadable(
    body: bytes, provider: StripeProvider, clock: ManualClock
) -> None:
    """``ValueError``, as the contract has it."""
    with pytest.raises(ValueError, match=r".+"):
        provider.parse_webhook(body, signed(body, clock.now_ms()), clock.now_ms())


def test_every_webhook_of_the_sandbox_is_believed_and_understood(box: Running, clock: ManualClock) -> None:
    """All types that there are, signed by it, checked by the package."""
    box.paid(
        "pm_card_createDispute",
        **{"metadata[event]": "rome", "metadata[order]": "o1", "metadata[attempt]": 1},
    )
    (dispute,) = box.get("/v1/disputes").json()["data"]
    box.client.post(f"/_sandbox/disputes/{dispute['id']}", json={"outcome": "won"})
    ref = dispute["payment_intent"]
    box.post("/v1/refunds", payment_intent=ref)
    until(lambda: len(box.inbox.received) >= 9)
    provider = StripeProvider("stripe", KEY, [SECRET])

    told: list[Notice] = []
    for body, headers in box.inbox.received:
        told += provider.parse_webhook(body, headers, clock.now_ms())
    assert {one.ref for one in told} == {ref}
    assert {one.topic for one in told} == {Topic.PAYMENT, Topic.REFUND, Topic.DISPUTE}
    assert {one.order for one in told if one.topic is Topic.PAYMENT} == {"o1"}
    assert provider.acknowledgement()[0] == 200
