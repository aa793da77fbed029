"""The adapter against the sandbox, over real HTTP, with Stripe's own package in between."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from checkout.money import Money
from checkout.payments.port import (
    Capability,
    Card,
    Charge,
    Decline,
    NotNow,
    Payment,
    PaymentState,
    RefundState,
    Refusal,
    Unclear,
)
from checkout.payments.stripe import StripeProvider
from kernel.clock import ManualClock
from tests.checkout.sandbox.running import BACK, KEY, SECRET, Running

EUR = Money(4200, "EUR")


@contextlib.asynccontextmanager
async def stripe_at(box: Running, key: str = KEY, timeout_s: float = 10.0) -> AsyncIterator[StripeProvider]:
    """Give the adapter, and close it."""
    provider = StripeProvider("stripe", key, [SECRET], api_base=box.url, timeout_s=timeout_s)
    try:
        yield provider
    finally:
        await provider.close()


def charge(order: str = "order-7", amount: Money = EUR, key: str = "") -> Charge:
    """Give what is to be paid."""
    return Charge("rome", order, 1, amount, key or f"{order}:1:create", "Two seats")


async def authorised(
    provider: StripeProvider, order: str = "order-7", method: str = "pm_card_visa"
) -> Payment:
    """Make a payment, and confirm it."""
    made = await provider.create(charge(order))
    return await provider.confirm(made.ref, method, BACK, f"{order}:1:confirm")


async def test_a_payment_goes_its_way(box: Running, clock: ManualClock) -> None:
    """Created, authorised, captured, partly given back; told the same way each time."""
    async with stripe_at(box) as provider:
        assert provider.capabilities == {Capability.MANUAL_CAPTURE, Capability.PARTIAL_REFUND}
        made = await provider.create(charge())
        assert (made.state, made.amount, made.created_ms) == (PaymentState.OPEN, EUR, clock.now_ms())
        assert (made.event, made.order, made.attempt) == ("rome", "order-7", 1)

        held = await provider.confirm(made.ref, "pm_card_de", BACK, "order-7:1:confirm")
        assert (held.ref, held.state, held.captured_minor) == (made.ref, PaymentState.AUTHORISED, 0)
        assert isinstance(held.card, Card)
        assert (held.card.brand, held.card.last4, held.card.country) == ("visa", "0016", "DE")
        assert held.card.fingerprint

        taken = await provider.capture(made.ref, EUR, "order-7:1:capture")
        assert (taken.state, taken.captured_minor, taken.refunded_minor) == (PaymentState.CAPTURED, 4200, 0)

        back = await provider.refund(made.ref, Money(1200, "EUR"), "order-7:refund-1")
        assert (back.payment, back.amount, back.state) == (made.ref, Money(1200, "EUR"), RefundState.DONE)
        assert (await provider.fetch(made.ref)).refunded_minor == 1200

    (payment,) = box.ledger()[0]["payments"]
    assert (payment["captured"], payment["refunded"], payment["charges"]) == (4200, 1200, 1)
    assert (payment["attempt"], payment["currency"]) == ("1", "eur")


async def test_what_is_let_go_is_voided(box: Running) -> None:
    """Before and after it was authorised; nothing was taken, so nothing was given back."""
    async with stripe_at(box) as provider:
        made = await provider.create(charge("a"))
        assert (await provider.void(made.ref, "a:void")).state is PaymentState.VOIDED
        held = await authorised(provider, "b")
        voided = await provider.void(held.ref, "b:void")

    assert (voided.state, voided.captured_minor, voided.refunded_minor) == (PaymentState.VOIDED, 0, 0)
    assert [order["sums"]["eur"]["captured"] for order in box.ledger()] == [0, 0]


DECLINED = {
    "pm_card_chargeDeclined": Decline.GENERIC,
    "pm_card_visa_chargeDeclined": Decline.GENERIC,
    "pm_card_visa_chargeDeclinedInsufficientFunds": Decline.FUNDS,
    "pm_card_visa_chargeDeclinedLostCard": Decline.LOST,
    "pm_card_visa_chargeDeclinedStolenCard": Decline.LOST,
    "pm_card_chargeDeclinedExpiredCard": Decline.EXPIRED,
    "pm_card_chargeDeclinedIncorrectCvc": Decline.SECURITY_CODE,
    "pm_card_chargeDeclinedProcessingError": Decline.PROCESSING,
    "pm_card_visa_chargeDeclinedVelocityLimitExceeded": Decline.LIMIT,
    "pm_card_radarBlock": Decline.FRAUD,
    "pm_sandbox_currencyNotSupported": Decline.CURRENCY,
    "pm_sandbox_incorrectNumber": Decline.NUMBER,
}


async def test_a_bank_that_says_no_is_an_answer_with_its_reason(box: Running) -> None:
    """The same from confirm and from fetch, and another card may be tried on the same payment."""
    async with stripe_at(box) as provider:
        for method, decline in DECLINED.items():
            told = await authorised(provider, method, method)
            assert (told.state, told.decline) == (PaymentState.DECLINED, decline), method
            again = await provider.fetch(told.ref)
            assert (again.state, again.decline) == (PaymentState.DECLINED, decline), method

        better = await provider.confirm(told.ref, "pm_card_visa", BACK, "second card")
        assert (better.state, better.decline) == (PaymentState.AUTHORISED, None)


@pytest.mark.parametrize(
    ("method", "answer", "state", "decline"),
    [
        ("pm_card_authenticationRequired", "approve", PaymentState.AUTHORISED, None),
        ("pm_card_threeDSecure2Required", "refuse", PaymentState.DECLINED, Decline.AUTHENTICATION),
        (
            "pm_card_threeDSecureRequiredChargeDeclined", "approve",
            PaymentState.DECLINED, Decline.GENERIC,
        ),
        (
            "pm_card_authenticationRequiredChargeDeclinedInsufficientFunds", "approve",
            PaymentState.DECLINED, Decline.FUNDS,
        ),
    ],
)  # fmt: skip
async def test_the_buyer_decides_on_the_page_of_the_bank(
    method: str, answer: str, state: PaymentState, decline: Decline | None, box: Running
) -> None:
    """Its address is told, and what came of it is fetched."""
    async with stripe_at(box) as provider:
        asked = await authorised(provider, method=method)
        assert asked.state is PaymentState.ACTION
        assert asked.action_url == f"{box.url}/3ds/{asked.ref}"

        async with httpx.AsyncClient() as browser:
            page = (await browser.get(asked.action_url)).text
            token = page.partition('name="token" value="')[2].partition('"')[0]
            sent = await browser.post(asked.action_url, data={"token": token, "answer": answer})
        assert sent.status_code == 303
        assert sent.headers["location"].startswith(BACK)

        told = await provider.fetch(asked.ref)
        assert (told.state, told.decline, told.action_url) == (state, decline, "")


@pytest.mark.parametrize(
    ("method", "state"),
    [
        ("pm_sandbox_processing", PaymentState.AUTHORISED),
        ("pm_sandbox_processingThenDeclined", PaymentState.DECLINED),
    ],
)
async def test_a_slow_bank_answers_later(
    method: str, state: PaymentState, box: Running, clock: ManualClock
) -> None:
    """Processing to the millisecond, then what it is."""
    async with stripe_at(box) as provider:
        held = await authorised(provider, method=method)
        clock.advance(2_999)
        assert (await provider.fetch(held.ref)).state is PaymentState.PROCESSING
        clock.advance(1)
        assert (await provider.fetch(held.ref)).state is state


async def test_an_authorisation_that_is_over_cannot_be_captured(box: Running, clock: ManualClock) -> None:
    """After seven days the bank lets go by itself."""
    async with stripe_at(box) as provider:
        held = await authorised(provider)
        clock.advance(7 * 86_400_000)
        with pytest.raises(Refusal, match="canceled") as told:
            await provider.capture(held.ref, EUR, "late")
        assert told.value.code == "payment_intent_unexpected_state"
        assert (await provider.fetch(held.ref)).state is PaymentState.VOIDED


@pytest.mark.parametrize(("method", "states"), [
    ("pm_card_pendingRefund", (RefundState.PENDING, 4200, 4200)),
    ("pm_card_refundFail", (RefundState.DONE, 4200, 0)),
])  # fmt: skip
async def test_money_that_goes_back_slowly_or_not_at_all(
    method: str, states: tuple[RefundState, int, int], box: Running, clock: ManualClock
) -> None:
    """A refund may be pending, and one that seemed done may fail."""
    async with stripe_at(box) as provider:
        held = await authorised(provider, method=method)
        await provider.capture(held.ref, EUR, "take")
        back = await provider.refund(held.ref, EUR, "back")
        first = (await provider.fetch(held.ref)).refunded_minor
        clock.advance(3_000)
        last = (await provider.fetch(held.ref)).refunded_minor

    assert (back.state, first, last) == states


async def test_disputes_are_told(box: Running) -> None:
    """As long as the shop has not won."""
    async with stripe_at(box) as provider:
        held = await authorised(provider, method="pm_card_createDispute")
        assert held.disputed_minor == 0
        taken = await provider.capture(held.ref, EUR, "take")
        assert taken.disputed_minor == 4200
        with pytest.raises(Refusal) as told:
            await provider.refund(held.ref, EUR, "back")
        assert told.value.code == "charge_disputed"

        (dispute,) = box.get("/v1/disputes", payment_intent=held.ref).json()["data"]
        box.client.post(f"/_sandbox/disputes/{dispute['id']}", json={"outcome": "won"})
        assert (await provider.fetch(held.ref)).disputed_minor == 0


@pytest.mark.parametrize(
    ("currency", "minor", "units"),
    [("JPY", 4200, 4200), ("EUR", 4200, 4200), ("KWD", 12_340, 12_340), ("ISK", 4200, 420_000),
     ("UGX", 120_000, 12_000_000)],
)  # fmt: skip
async def test_amounts_are_the_same_on_both_sides(
    currency: str, minor: int, units: int, box: Running
) -> None:
    """From the shop to the provider's ledger and back, to the last unit."""
    amount = Money(minor, currency)
    async with stripe_at(box) as provider:
        made = await provider.create(charge(amount=amount))
        await provider.confirm(made.ref, "pm_card_visa", BACK, "confirm")
        taken = await provider.capture(made.ref, amount, "take")
        assert (taken.amount, taken.captured_minor) == (amount, minor)
        assert (await provider.refund(made.ref, amount, "back")).amount == amount
        assert (await provider.fetch(made.ref)).refunded_minor == minor

    assert box.ledger()[0]["sums"] == {
        currency.lower(): {
            "authorised": units, "held": 0, "captured": units, "refunded": units, "disputed": 0,
        }
    }  # fmt: skip


async def test_an_amount_that_cannot_be_paid_is_refused_before_anything_is_sent(box: Running) -> None:
    """To create, to capture and to refund."""
    odd = Money(12_345, "KWD")
    async with stripe_at(box) as provider:
        for call in (
            provider.create(charge(amount=odd)),
            provider.capture("pi_1", odd, "take"),
            provider.refund("pi_1", odd, "back"),
        ):
            with pytest.raises(Refusal) as told:
                await call
            assert told.value.code == "amount-not-payable"

    assert box.ledger() == []


async def test_all_payments_are_listed_the_oldest_last(box: Running, clock: ManualClock) -> None:
    """Over several pages; the first millisecond of the second that was asked for is in it."""
    began_ms = clock.now_ms()
    refs = []
    for number in range(205):
        refs.append(box.made(**{"metadata[order]": f"o{number}"})["id"])
        clock.advance(1_000)
    async with stripe_at(box) as provider:
        assert [one.ref async for one in provider.list_since(began_ms)] == refs[::-1]
        late = [one.ref async for one in provider.list_since(began_ms + 200_000)]
        assert late == refs[:199:-1]
        assert [one.ref async for one in provider.list_since(began_ms + 900_000)] == []


async def test_a_payment_that_cannot_be_read_hides_no_other(
    box: Running, caplog: pytest.LogCaptureFixture
) -> None:
    """One of another shop on the same account, in a currency that ours does not know."""
    first, odd, last = (box.made()["id"] for _ in range(3))
    box.sandbox._book.intents.things[odd].currency = "xxq"
    async with stripe_at(box) as provider:
        with caplog.at_level(logging.WARNING):
            assert [one.ref async for one in provider.list_since(0)] == [last, first]
        assert "cannot be read" in caplog.text
        with pytest.raises(Unclear, match="cannot be read"):
            await provider.fetch(odd)


async def test_each_way_of_saying_no(box: Running) -> None:
    """Stripe's own codes; ``unknown`` for what is not there."""
    async with stripe_at(box) as provider:
        made = await provider.create(charge())
        for call, code in (
            (provider.fetch("pi_none"), "unknown"),
            (provider.capture("pi_none", EUR, "k1"), "unknown"),
            (provider.confirm(made.ref, "pm_none", BACK, "k2"), "resource_missing"),
            (provider.capture(made.ref, EUR, "k3"), "payment_intent_unexpected_state"),
            (provider.refund(made.ref, EUR, "k4"), "payment_intent_unexpected_state"),
            (provider.create(charge(amount=Money(1, "EUR"), key="order-7:1:create")), "idempotency_error"),
        ):
            with pytest.raises(Refusal) as told:
                await call
            assert told.value.code == code

        held = await provider.confirm(made.ref, "pm_card_visa", BACK, "k5")
        await provider.capture(held.ref, EUR, "k6")
        with pytest.raises(Refusal) as told:
            await provider.refund(held.ref, Money(4201, "EUR"), "k7")
        assert told.value.code == "amount_too_large"
        await provider.refund(held.ref, EUR, "k8")
        with pytest.raises(Refusal) as told:
            await provider.refund(held.ref, Money(1, "EUR"), "k9")
        assert told.value.code == "charge_already_refunded"
        with pytest.raises(Refusal):
            await provider.void(held.ref, "k10")


async def test_nothing_secret_is_told(box: Running, caplog: pytest.LogCaptureFixture) -> None:
    """Neither in a log of everything, nor in ``repr``, nor in a refusal of the key itself."""
    wrong = "sk_test_wrong4711"
    with caplog.at_level(logging.DEBUG):
        async with stripe_at(box) as provider, stripe_at(box, wrong) as mistaken:
            held = await authorised(provider)
            assert repr(provider) == "StripeProvider('stripe')"
            with pytest.raises(Refusal) as told:
                await mistaken.fetch(held.ref)
    assert str(told.value) == told.value.code
    for secret in (KEY, SECRET, wrong, "4711", "_secret_"):
        assert secret not in caplog.text
    assert repr(box.sandbox) == "Sandbox()"


async def test_the_package_tells_nobody_and_writes_nothing(
    box: Running, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Left as it comes it would keep a number in the home folder, and send it and the times of calls along."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.setattr("stripe._telemetry_id._loaded", False)
    monkeypatch.setattr("stripe.enable_telemetry", True)
    async with stripe_at(box) as provider:
        await provider.create(charge())
        assert list(tmp_path.iterdir()) == []

        monkeypatch.setattr("stripe.enable_telemetry", True)
        await provider.create(charge("order-8"))
        assert [one.name for one in tmp_path.iterdir()] == ["stripe"], "the mutant writes"


async def test_nobody_there_is_unclear() -> None:
    """A port on which nobody listens."""
    provider = StripeProvider("stripe", KEY, [], api_base="http://127.0.0.1:9", timeout_s=2.0)
    with pytest.raises(Unclear):
        await provider.fetch("pi_1")
    await provider.close()


async def test_calls_side_by_side_do_not_mix(box: Running) -> None:
    """Thirty orders at once, each with its own payment."""
    async with stripe_at(box) as provider:
        held = await asyncio.gather(*(authorised(provider, f"o{number}") for number in range(30)))

    assert {(one.order, one.state) for one in held} == {(f"o{n}", PaymentState.AUTHORISED) for n in range(30)}
    assert all(order["payments"][0]["charges"] == 1 for order in box.ledger())


async def test_too_many_calls_are_not_now(box: Running) -> None:
    """With the time that the provider names."""
    box.fault("too-many")
    async with stripe_at(box) as provider:
        with pytest.raises(NotNow) as told:
            await provider.create(charge())
    assert told.value.retry_s == 1.0
