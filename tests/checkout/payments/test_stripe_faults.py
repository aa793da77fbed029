"""Every fault of the sandbox: what the adapter says, what patience makes of it, and what the ledger has in the end."""

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator

import pytest

from checkout.payments.patient import Patient
from checkout.payments.port import Charge, NotNow, Payment, PaymentState, Refusal, Unclear
from checkout.payments.stripe import StripeProvider
from kernel.breaker import MOST_FAILURES, BreakerState
from kernel.clock import ManualClock, SystemClock
from tests.checkout.payments.scripted import CHARGE, EUR, resting
from tests.checkout.sandbox.running import BACK, KEY, SECRET, Running, until

CREATE = "POST /v1/payment_intents"
CONFIRM = "POST /v1/payment_intents/*/confirm"
CAPTURE = "POST /v1/payment_intents/*/capture"
VOID = "POST /v1/payment_intents/*/cancel"
REFUND = "POST /v1/refunds"
FETCH = "GET /v1/payment_intents/*"


@contextlib.asynccontextmanager
async def stripe_at(box: Running, timeout_s: float = 10.0) -> AsyncIterator[StripeProvider]:
    """Give the adapter, and close it."""
    provider = StripeProvider("stripe", KEY, [SECRET], api_base=box.url, timeout_s=timeout_s)
    try:
        yield provider
    finally:
        await provider.close()


def patient(provider: StripeProvider, tries: int = 5) -> Patient:
    """Give a patient adapter that does not wait."""
    return Patient(provider, SystemClock(), random.Random(1), tries=tries, rest=resting(ManualClock(0), []))


async def sold(provider: StripeProvider | Patient) -> Payment:
    """Create, confirm, capture, give back."""
    made = await provider.create(CHARGE)
    await provider.confirm(made.ref, "pm_card_visa", BACK, "order-7:1:confirm")
    await provider.capture(made.ref, EUR, "order-7:1:capture")
    await provider.refund(made.ref, EUR, "order-7:refund")
    return await provider.fetch(made.ref)


ONCE = {"authorised": 4200, "held": 0, "captured": 4200, "refunded": 4200, "disputed": 0}


@pytest.mark.parametrize("where", [CREATE, CONFIRM, CAPTURE, REFUND])
@pytest.mark.parametrize(
    ("fault", "outcome"),
    [
        ("drop-request", Unclear),
        ("drop-answer", Unclear),
        ("error-before", Unclear),
        ("error-after", Unclear),
        ("too-many", NotNow),
    ],
)
async def test_the_adapter_says_what_is_known(
    fault: str, outcome: type[Exception], where: str, box: Running
) -> None:
    """At each call; a fault that nobody could tell from another is unclear."""
    box.fault(fault, where)
    async with stripe_at(box) as provider:
        with pytest.raises(outcome):
            await sold(provider)


@pytest.mark.parametrize("fault", ["drop-request", "drop-answer", "error-before", "too-many"])
@pytest.mark.parametrize("where", [CREATE, CONFIRM, CAPTURE, REFUND, FETCH])
async def test_patience_makes_it_once(fault: str, where: str, box: Running) -> None:
    """Twice in a row at each call, and the ledger has one of each."""
    box.fault(fault, where, count=2)
    async with stripe_at(box) as provider:
        told = await sold(patient(provider))

    assert (told.state, told.captured_minor, told.refunded_minor) == (PaymentState.CAPTURED, 4200, 4200)
    (order,) = box.ledger()
    assert order["sums"]["eur"] == ONCE
    assert [one["charges"] for one in order["payments"]] == [1]


async def test_under_any_other_server_a_lost_answer_looks_the_same(clock: ManualClock) -> None:
    """The sandbox then begins an answer that never ends."""
    from tests.checkout.sandbox.running import running

    with running(clock, is_breakable=False) as box:
        box.fault("drop-answer", CREATE)
        async with stripe_at(box) as provider:
            with pytest.raises(Unclear):
                await provider.create(CHARGE)
        assert len(box.ledger()) == 1


async def test_a_new_key_for_each_try_pays_twice_and_is_noticed(box: Running) -> None:
    """The mutant: whoever makes up a key anew has two payments after one lost answer, both taken."""

    class Forgetful(StripeProvider):
        tries = 0

        async def create(self, charge: Charge) -> Payment:
            Forgetful.tries += 1
            key = f"{charge.key}:{Forgetful.tries}"
            return await super().create(
                Charge(charge.event, charge.order, charge.attempt, charge.amount, key)
            )

    box.fault("drop-answer", CREATE)
    provider = Forgetful("stripe", KEY, [], api_base=box.url)
    await patient(provider).create(CHARGE)
    refs = [one.ref async for one in provider.list_since(0)]
    for ref in refs:
        await provider.confirm(ref, "pm_card_visa", BACK, f"{ref}:confirm")
        await provider.capture(ref, EUR, f"{ref}:capture")
    await provider.close()

    (order,) = box.ledger()
    assert order["sums"]["eur"]["captured"] == 2 * 4200
    assert len(order["payments"]) == 2


async def test_a_500_that_is_kept_is_settled_by_looking(box: Running) -> None:
    """The same key hears the same for a day; ``fetch`` tells that it was done."""
    async with stripe_at(box) as provider:
        made = await provider.create(CHARGE)
        box.fault("error-after", CONFIRM)
        one = patient(provider)
        with pytest.raises(Unclear):
            await one.confirm(made.ref, "pm_card_visa", BACK, "confirm")
        assert (await one.fetch(made.ref)).state is PaymentState.AUTHORISED

    assert box.ledger()[0]["payments"][0]["charges"] == 1


async def test_a_slow_call_is_unclear_and_its_repeat_is_not_now(box: Running) -> None:
    """The key is being worked on (409) until the first call has ended; then its answer is given."""
    async with stripe_at(box, timeout_s=0.4) as hasty, stripe_at(box) as calm:
        made = await calm.create(CHARGE)
        box.fault("delay", CONFIRM, delay_ms=1_200)
        with pytest.raises(Unclear):
            await hasty.confirm(made.ref, "pm_card_visa", BACK, "confirm")
        with pytest.raises(NotNow):
            await calm.confirm(made.ref, "pm_card_visa", BACK, "confirm")
        for _ in range(100):
            with contextlib.suppress(NotNow):
                told = await calm.confirm(made.ref, "pm_card_visa", BACK, "confirm")
                break
            await asyncio.sleep(0.05)

    assert told.state is PaymentState.AUTHORISED
    assert box.ledger()[0]["payments"][0]["charges"] == 1


async def test_an_answer_that_comes_too_late_was_executed(box: Running) -> None:
    """Unclear at first; the repeat hears the answer of the first."""
    async with stripe_at(box, timeout_s=0.4) as hasty:
        box.fault("delay-answer", CREATE, delay_ms=1_000)
        with pytest.raises(Unclear):
            await hasty.create(CHARGE)
        told = await hasty.create(CHARGE)

    assert [one["id"] for one in box.ledger()[0]["payments"]] == [told.ref]


async def test_two_workers_that_pay_the_same_pay_once(box: Running) -> None:
    """The same key at the same moment, twenty times."""
    async with stripe_at(box) as provider:
        made = await provider.create(CHARGE)
        box.fault("delay", CONFIRM, delay_ms=300)
        answers = await asyncio.gather(
            *(provider.confirm(made.ref, "pm_card_visa", BACK, "confirm") for _ in range(20)),
            return_exceptions=True,
        )
        told = await patient(provider).confirm(made.ref, "pm_card_visa", BACK, "confirm")

    assert told.state is PaymentState.AUTHORISED
    assert {type(one) for one in answers} == {Payment, NotNow}
    assert box.ledger()[0]["payments"][0]["charges"] == 1


async def test_a_key_that_is_a_day_old_is_a_new_call(box: Running, clock: ManualClock) -> None:
    """Why nobody relies on a key for longer (``KEY_KEPT_MS``)."""
    async with stripe_at(box) as provider:
        first = await provider.create(CHARGE)
        clock.advance(86_400_000 - 1)
        assert (await provider.create(CHARGE)).ref == first.ref
        clock.advance(1)
        assert (await provider.create(CHARGE)).ref != first.ref


async def test_a_provider_that_is_away_is_left_alone(box: Running) -> None:
    """After ten failures nothing is sent any more."""
    rule = box.fault("error-before", "*", count=1_000)
    async with stripe_at(box) as provider:
        one = patient(provider, tries=1)
        for _ in range(MOST_FAILURES):
            with pytest.raises(Unclear):
                await one.fetch("pi_1")
        with pytest.raises(NotNow):
            await one.fetch("pi_1")

    assert one.breaker_state is BreakerState.OPEN
    assert rule["struck"] == 0
    (told,) = box.get("/_sandbox/faults").json()["faults"]
    assert told["struck"] == MOST_FAILURES


async def test_webhooks_come_before_the_answer_twice_late_and_never(box: Running) -> None:
    """All that a webhook may do to a shop."""
    async with stripe_at(box) as provider:
        box.fault("webhook-first", CREATE)
        await provider.create(CHARGE)
        assert box.inbox.kinds() == ["payment_intent.created"]

        box.fault("webhook-twice", "payment_intent.created", copies=4)
        await provider.create(Charge("rome", "order-8", 1, EUR, "k8"))
        until(lambda: len(box.inbox.received) == 5)
        assert len({body for body, _headers in box.inbox.received}) == 2

        box.fault("webhook-lost", "payment_intent.created")
        await provider.create(Charge("rome", "order-9", 1, EUR, "k9"))
        until(lambda: box.get("/_sandbox/webhooks").json()["waiting"] == 0)
        told = box.get("/_sandbox/webhooks").json()
        assert (len(box.inbox.received), len(told["lost"]), told["unsafe"]) == (5, 1, 1)

        box.client.post(f"/_sandbox/webhooks/{told['lost'][0]}")
        until(lambda: len(box.inbox.received) == 6)


async def test_a_webhook_that_is_late_is_overtaken(box: Running, clock: ManualClock) -> None:
    """There is no order to rely on."""
    async with stripe_at(box) as provider:
        box.fault("webhook-late", "payment_intent.created", delay_ms=5_000)
        made = await provider.create(CHARGE)
        await provider.void(made.ref, "void")
        until(lambda: box.inbox.kinds() == ["payment_intent.canceled"])
        clock.advance(5_000)
        until(lambda: box.inbox.kinds() == ["payment_intent.canceled", "payment_intent.created"])


async def test_two_admins_who_refund_give_back_no_more_than_was_taken(box: Running) -> None:
    """One key once; different keys up to what was taken."""
    async with stripe_at(box) as provider:
        made = await provider.create(CHARGE)
        await provider.confirm(made.ref, "pm_card_visa", BACK, "confirm")
        await provider.capture(made.ref, EUR, "capture")
        answers = await asyncio.gather(
            *(provider.refund(made.ref, EUR, f"refund-{number % 2}") for number in range(6)),
            return_exceptions=True,
        )

    done = {one.ref for one in answers if not isinstance(one, BaseException)}
    assert len(done) == 1
    assert {type(one) for one in answers if isinstance(one, BaseException)} <= {Refusal, NotNow}
    assert box.ledger()[0]["sums"]["eur"]["refunded"] == 4200
