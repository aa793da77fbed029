"""What the port promises, asked of both adapters with their counterparts over real HTTP, word for word the same.

Stripe answers at once, Adyen tells later: so every look comes after ``hear``, in which a shop takes in what has come.
"""

import asyncio
import contextlib
import random
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

import pytest

from checkout.money import Money
from checkout.payments.patient import Patient
from checkout.payments.port import (
    Capability,
    Charge,
    Decline,
    Forged,
    Notice,
    NotNow,
    Payment,
    PaymentState,
    RefundState,
    Refusal,
    Topic,
    Unclear,
)
from kernel.clock import ManualClock, SystemClock
from tests.checkout.payments.scripted import CHARGE, EUR, resting
from tests.checkout.payments.sides import Side, Webhook, of_both
from tests.checkout.sandbox.running import BACK, until

ONCE = {"authorised": 4200, "held": 0, "captured": 4200, "refunded": 0, "disputed": 0, "payments": 1}
FAULTS = ("drop-request", "drop-answer", "error-before", "error-after", "too-many")


def patient(side: Side, tries: int = 5) -> Patient:
    """Give a patient adapter that does not wait."""
    return Patient(
        side.provider, SystemClock(), random.Random(1), tries=tries, rest=resting(ManualClock(0), [])
    )


async def authorised(side: Side, method: str = "pays", charge: Charge = CHARGE) -> Payment:
    """Create and confirm."""
    made = await side.provider.create(charge)
    return await side.provider.confirm(made.ref, side.methods[method], BACK, f"{charge.key}:confirm")


async def captured(side: Side, method: str = "pays") -> Payment:
    """Create, confirm and capture, and hear of it."""
    made = await authorised(side, method)
    await side.provider.capture(made.ref, EUR, "order-7:1:capture")
    told = await side.told(made.ref)
    assert told.state is PaymentState.CAPTURED, told
    return told


# ---------------------------------------------------------------------------------- the way


@of_both
async def test_a_payment_is_made_authorised_and_taken(side: Side) -> None:
    """No money moves before ``confirm``, none is taken before ``capture``; order, event and try come back each time."""
    made = await side.provider.create(CHARGE)
    before = side.box.ledger()
    asked = await side.provider.confirm(made.ref, side.methods["pays"], BACK, "order-7:1:confirm")
    held = side.row()
    await side.provider.capture(made.ref, EUR, "order-7:1:capture")
    told = await side.told(made.ref)

    assert Capability.MANUAL_CAPTURE in side.provider.capabilities
    assert (made.state, made.amount) == (PaymentState.OPEN, EUR)
    assert all(order["sums"]["eur"]["authorised"] == 0 for order in before)
    assert (asked.state, asked.captured_minor, held["held"], held["captured"]) == (
        PaymentState.AUTHORISED, 0, 4200, 0,
    )  # fmt: skip
    assert (told.state, told.captured_minor, told.amount) == (PaymentState.CAPTURED, 4200, EUR)
    assert {(one.ref, one.event, one.order, one.attempt) for one in (made, asked, told)} == {
        (made.ref, "rome", "order-7", 1)
    }
    assert told.card is not None
    assert (told.card.brand, len(told.card.last4), bool(told.card.fingerprint)) == ("visa", 4, True)
    assert side.row() == ONCE


@of_both
async def test_the_same_key_makes_the_same_payment(side: Side) -> None:
    """At once and one after the other."""
    made = await asyncio.gather(*(side.provider.create(CHARGE) for _ in range(4)), return_exceptions=True)
    again = await side.provider.create(CHARGE)
    refs = {one.ref for one in made if isinstance(one, Payment)}

    assert refs == {again.ref}
    assert all(isinstance(one, Payment | NotNow) for one in made)


@pytest.mark.parametrize(
    ("method", "decline"),
    [
        ("no-funds", Decline.FUNDS),
        ("expired", Decline.EXPIRED),
        ("code", Decline.SECURITY_CODE),
        ("number", Decline.NUMBER),
        ("blocked", Decline.LOST),
        ("declined", Decline.GENERIC),
        ("technical", Decline.PROCESSING),
        ("fraud", Decline.FRAUD),
        ("currency", Decline.CURRENCY),
        ("limit", Decline.LIMIT),
    ],
)
@of_both
async def test_a_bank_that_says_no_says_why(method: str, decline: Decline, side: Side) -> None:
    """It is an answer; nothing is held, and a look says the same."""
    told = await authorised(side, method)
    looked = await side.told(told.ref)

    assert (told.state, told.decline) == (PaymentState.DECLINED, decline)
    assert (looked.state, looked.decline) == (PaymentState.DECLINED, decline)
    assert side.row()["held"] == 0


@of_both
async def test_a_method_that_there_is_not_is_refused(side: Side) -> None:
    """Nothing was asked of a bank, and the payment is open as before."""
    made = await side.provider.create(CHARGE)
    with pytest.raises(Refusal):
        await side.provider.confirm(made.ref, side.methods["unknown"], BACK, "order-7:1:confirm")

    assert (await side.told(made.ref)).state is PaymentState.OPEN


@pytest.mark.parametrize(
    ("decision", "state"), [("approve", PaymentState.AUTHORISED), ("refuse", PaymentState.DECLINED)]
)
@of_both
async def test_the_banks_page_decides(decision: str, state: PaymentState, side: Side) -> None:
    """The buyer is sent there, answers, and comes back; then the payment says so."""
    asked = await authorised(side, "asks")
    waiting = await side.provider.fetch(asked.ref)
    await side.answer(asked.action_url, decision)
    told = await side.told(asked.ref)

    assert (asked.state, waiting.state) == (PaymentState.ACTION, PaymentState.ACTION)
    assert waiting.action_url == asked.action_url
    assert told.state is state
    assert told.action_url == ""
    if decision == "refuse":
        assert told.decline is Decline.AUTHENTICATION


@of_both
async def test_a_slow_bank_is_waited_for(side: Side, clock: ManualClock) -> None:
    """``PROCESSING`` until it has decided."""
    asked = await authorised(side, "slow")
    clock.advance(5_000)
    until(lambda: side.box.ledger()[0]["sums"]["eur"]["authorised"])
    told = await side.told(asked.ref)

    assert (asked.state, told.state) == (PaymentState.PROCESSING, PaymentState.AUTHORISED)


@of_both
async def test_a_payment_that_there_is_not_is_refused(side: Side) -> None:
    """Whatever is asked of it."""
    calls: list[Awaitable[Any]] = [
        side.provider.fetch("nothing"),
        side.provider.confirm("nothing", side.methods["pays"], BACK, "k1"),
        side.provider.capture("nothing", EUR, "k2"),
        side.provider.void("nothing", "k3"),
        side.provider.refund("nothing", EUR, "k4"),
    ]
    outcomes = await asyncio.gather(*calls, return_exceptions=True)

    assert all(isinstance(one, Refusal) for one in outcomes), outcomes
    assert isinstance(outcomes[0], Refusal)
    assert outcomes[0].code == "unknown"


# ------------------------------------------------------------------------------ letting go


@pytest.mark.parametrize("method", ["", "asks", "pays", "no-funds"])
@of_both
async def test_what_has_taken_nothing_can_be_let_go_of(method: str, side: Side) -> None:
    """Before the bank is asked, while it waits for its buyer, authorised, declined; twice is once."""
    made = await side.provider.create(CHARGE)
    if method:
        made = await authorised(side, method)
    for _ in range(2):
        with contextlib.suppress(Refusal):
            await side.provider.void(made.ref, "order-7:1:void")
    told = await side.told(made.ref)

    assert (told.state, told.captured_minor) == (PaymentState.VOIDED, 0)
    assert all(order["sums"]["eur"]["held"] == 0 for order in side.box.ledger())


@of_both
async def test_what_was_let_go_of_is_not_asked_for_any_more(side: Side) -> None:
    """Neither at a bank, nor to be taken."""
    made = await side.provider.create(CHARGE)
    await side.provider.void(made.ref, "order-7:1:void")
    for call in (
        side.provider.confirm(made.ref, side.methods["pays"], BACK, "order-7:1:confirm"),
        side.provider.capture(made.ref, EUR, "order-7:1:capture"),
    ):
        with pytest.raises(Refusal):
            await call

    assert all(order["sums"]["eur"]["authorised"] == 0 for order in side.box.ledger())


@of_both
async def test_what_was_taken_cannot_be_let_go_of(side: Side) -> None:
    """It is given back."""
    made = await captured(side)
    with pytest.raises(Refusal):
        await side.provider.void(made.ref, "order-7:1:void")

    assert (await side.told(made.ref)).state is PaymentState.CAPTURED


# ------------------------------------------------------------------------------ giving back


@of_both
async def test_money_goes_back_in_parts_and_never_more_than_there_is(side: Side) -> None:
    """Each under its key once; what is too much is refused, or fails, and moves nothing."""
    made = await captured(side)
    parts = [(1200, "r1"), (1200, "r1"), (3000, "r2")]
    for minor, key in parts:
        part = await side.provider.refund(made.ref, Money(minor, "EUR"), key)
        assert (part.payment, part.amount.amount_minor) == (made.ref, minor)
        assert part.state in {RefundState.DONE, RefundState.ASKED}
        await side.hear()
        assert (await side.provider.refund(made.ref, Money(minor, "EUR"), key)).state is RefundState.DONE
    with pytest.raises(Refusal):
        await side.provider.refund(made.ref, Money(1, "EUR"), "r3")
    told = await side.told(made.ref)

    assert (told.state, told.captured_minor, told.refunded_minor) == (PaymentState.CAPTURED, 4200, 4200)
    assert side.row() == ONCE | {"refunded": 4200}


@of_both
async def test_two_refunds_at_once_are_no_more_than_there_is(side: Side) -> None:
    """Neither has been told to be done when the other is asked for."""
    made = await captured(side)
    wanted = [side.provider.refund(made.ref, Money(3000, "EUR"), f"r{at}") for at in range(2)]
    outcomes = await asyncio.gather(*wanted, return_exceptions=True)
    told = await side.told(made.ref)

    assert sum(isinstance(one, Refusal) for one in outcomes) == 1
    assert (told.refunded_minor, side.row()["refunded"]) == (3000, 3000)


@of_both
async def test_a_bank_takes_money_back_and_gives_it_again(side: Side) -> None:
    """A dispute is told, and so is that it was won."""
    made = await captured(side)
    decide = side.dispute(made)
    taken = await side.told(made.ref)
    decide("won")
    won = await side.told(made.ref)

    assert (taken.disputed_minor, won.disputed_minor) == (4200, 0)


# ---------------------------------------------------------------------- what gets lost on the way


async def through(side: Side, ask: Callable[[Patient], Awaitable[object]]) -> None:
    """Ask as often as a shop would: patiently, and then once more after a look."""
    asker = patient(side)
    for _ in range(2):
        with contextlib.suppress(Unclear, NotNow):
            await ask(asker)
            return


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("call", ["confirm", "capture", "void", "refund"])
@of_both
async def test_whatever_gets_lost_is_done_once(call: str, fault: str, side: Side) -> None:
    """Twice in a row at each call: the counterpart's ledger has one of each, and the adapter says so."""
    made = await (side.provider.create(CHARGE) if call == "confirm" else authorised(side))
    if call == "refund":
        await side.provider.capture(made.ref, EUR, "order-7:1:capture")
        await side.hear()
    side.box.fault(fault, side.calls[call], count=2)
    asks: dict[str, Callable[[Patient], Awaitable[object]]] = {
        "confirm": lambda asker: asker.confirm(made.ref, side.methods["pays"], BACK, "order-7:1:confirm"),
        "capture": lambda asker: asker.capture(made.ref, EUR, "order-7:1:capture"),
        "void": lambda asker: asker.void(made.ref, "order-7:1:void"),
        "refund": lambda asker: asker.refund(made.ref, EUR, "order-7:refund"),
    }
    await through(side, asks[call])
    told = await side.told(made.ref)

    state, sums = {
        "confirm": (PaymentState.AUTHORISED, {"held": 4200, "captured": 0}),
        "capture": (PaymentState.CAPTURED, {}),
        "void": (PaymentState.VOIDED, {"captured": 0}),
        "refund": (PaymentState.CAPTURED, {"refunded": 4200}),
    }[call]
    assert told.state is state
    assert side.row() == ONCE | sums
    assert told.refunded_minor == sums.get("refunded", 0)


@pytest.mark.parametrize("call", ["confirm", "capture", "refund"])
@of_both
async def test_who_asks_while_the_same_is_being_asked_does_it_once(call: str, side: Side) -> None:
    """Under one key, twice at once, while the first one is being worked on."""
    made = await (side.provider.create(CHARGE) if call == "confirm" else authorised(side))
    if call == "refund":
        await side.provider.capture(made.ref, EUR, "order-7:1:capture")
        await side.hear()
    side.box.fault("delay", side.calls[call], delay_ms=300)

    async def ask() -> object:
        match call:
            case "confirm":
                return await side.provider.confirm(made.ref, side.methods["pays"], BACK, "order-7:1:confirm")
            case "capture":
                return await side.provider.capture(made.ref, EUR, "order-7:1:capture")
            case _:
                return await side.provider.refund(made.ref, EUR, "order-7:refund")

    outcomes = await asyncio.gather(ask(), ask(), return_exceptions=True)
    await side.told(made.ref)

    assert sum(not isinstance(one, BaseException) for one in outcomes) >= 1
    assert all(isinstance(one, NotNow) for one in outcomes if isinstance(one, BaseException)), outcomes
    wanted = ONCE | {"confirm": {"held": 4200, "captured": 0}, "refund": {"refunded": 4200}}.get(call, {})
    assert side.row() == wanted


@of_both
async def test_too_many_calls_are_told_and_nothing_was_done(side: Side) -> None:
    """``NotNow`` with the time that was named; the payment is as it was, and can be let go of unpaid."""
    made = await side.provider.create(CHARGE)
    side.box.fault("too-many", side.calls["confirm"])
    with pytest.raises(NotNow) as told:
        await side.provider.confirm(made.ref, side.methods["pays"], BACK, "order-7:1:confirm")
    looked = await side.provider.fetch(made.ref)

    assert (told.value.retry_s, looked.state) == (1.0, PaymentState.OPEN)
    assert all(order["sums"]["eur"]["authorised"] == 0 for order in side.box.ledger())


@of_both
async def test_the_list_has_every_payment_since_a_time(side: Side, clock: ManualClock) -> None:
    """The oldest last; what is older is left out."""
    await side.provider.create(replace(CHARGE, order="order-1", key="order-1:1:create"))
    clock.advance(60_000)
    since_ms = clock.now_ms()
    made = [
        await side.provider.create(replace(CHARGE, order=f"order-{at}", key=f"order-{at}:1:create"))
        for at in (2, 3)
    ]
    clock.advance(1_000)
    made.append(await authorised(side, charge=replace(CHARGE, order="order-4", key="order-4:1:create")))
    found = [one async for one in side.provider.list_since(since_ms)]

    assert {one.ref for one in found} == {one.ref for one in made}
    assert found[0].ref == made[-1].ref
    assert [one.created_ms for one in found] == sorted((one.created_ms for one in found), reverse=True)


# ----------------------------------------------------------------------------------- notices


async def webhooks(side: Side) -> list[Webhook]:
    """Give what has come of a payment that was taken."""
    made = await captured(side)
    until(lambda: side._waiting() == 0)
    assert made.captured_minor == 4200
    return side.box.inbox.received


def of_amount(notices: list[Notice]) -> list[Notice]:
    """Give those that tell a payment's amount."""
    return [one for one in notices if one.topic is Topic.PAYMENT and one.amount is not None]


@of_both
async def test_notices_name_their_payment(side: Side, clock: ManualClock) -> None:
    """Reference, event, order, try and amount; no real money; each by a name of its own."""
    come = [
        side.provider.parse_webhook(body, headers, clock.now_ms()) for body, headers in await webhooks(side)
    ]
    told = [one for notices in come for one in notices if one.topic is not Topic.OTHER]

    assert {(one.event, one.order, one.attempt) for one in told} == {("rome", "order-7", 1)}
    assert {one.amount for one in of_amount(told)} == {EUR}
    assert len({one.id for one in told}) == len(told)
    assert not any(one.is_live for one in told)


BAD = {
    "altered": "body",
    "no-signature": "headers",
    "of-another": "headers",
}


@pytest.mark.parametrize("how", list(BAD))
@of_both
async def test_a_notice_that_was_not_signed_is_forged(how: str, side: Side, clock: ManualClock) -> None:
    """Each that has come: with another amount, without what shows its sender, with what shows another."""
    for body, headers in await webhooks(side):
        if how == "altered":
            changed = body.replace(b"4200", b"4201")
            if changed == body:
                continue
            body = changed  # noqa: PLW2901 (it is what comes)
        else:
            secret = "stripe-signature" if side.name == "stripe" else "authorization"
            other = {**headers, secret: "t=1,v1=00" if side.name == "stripe" else "Basic Zm9vOmJhcg=="}
            headers = {k: v for k, v in headers.items() if k != secret} if how == "no-signature" else other  # noqa: PLW2901 (the same)
        with pytest.raises(Forged):
            side.provider.parse_webhook(body, headers, clock.now_ms())


@pytest.mark.parametrize("body", [b"", b"null", b"[]", b"{}", b'"text"', b"\xff\xfe", b'{"live": 1}'])
@of_both
async def test_what_cannot_be_read_is_no_notice(body: bytes, side: Side, clock: ManualClock) -> None:
    """Whoever signed it: it is forged, or not to be read; nothing else is raised."""
    _, headers = (await webhooks(side))[0]
    with pytest.raises((Forged, ValueError)):
        side.provider.parse_webhook(body, headers, clock.now_ms())


@of_both
async def test_a_notice_of_another_account_is_none_of_ours(side: Side, clock: ManualClock) -> None:
    """Signed by the provider, and about somebody else's money: it is acknowledged and forgotten."""

    def elsewhere(plain: dict[str, Any]) -> None:
        if side.name == "stripe":
            plain["account"] = "acct_of_another"
        else:
            plain["notificationItems"][0]["NotificationRequestItem"]["merchantAccountCode"] = "OtherECOM"

    for webhook in await webhooks(side):
        body, headers = side.signed(webhook, elsewhere)
        (told,) = side.provider.parse_webhook(body, headers, clock.now_ms())
        await side.provider.take_in([told])
        assert (told.topic, told.ref) == (Topic.OTHER, "")


@of_both
async def test_a_notice_of_another_amount_says_so_and_changes_nothing(side: Side, clock: ManualClock) -> None:
    """It is signed, so somebody at the provider means it; a person has to look."""

    def dearer(plain: dict[str, Any]) -> None:
        if side.name == "stripe":
            plain["data"]["object"]["amount"] = 9900
        else:
            plain["notificationItems"][0]["NotificationRequestItem"]["amount"]["value"] = 9900

    made = await authorised(side, "asks")
    other = await authorised(side, charge=replace(CHARGE, order="order-8", key="order-8:1:create"))
    await side.hear()
    for webhook in list(side.box.inbox.received):
        body, headers = side.signed(webhook, dearer)
        for told in of_amount(side.provider.parse_webhook(body, headers, clock.now_ms())):
            assert told.amount == Money(9900, "EUR")
            as_if = replace(told, ref=made.ref, order="order-7", id=f"{told.id}-again")
            await side.provider.take_in([as_if])

    assert (await side.provider.fetch(made.ref)).state is PaymentState.ACTION
    assert (await side.provider.fetch(other.ref)).amount == EUR


@of_both
async def test_notices_twice_late_and_the_wrong_way_round_change_nothing(side: Side) -> None:
    """The payment stands as it would if each had come once, in its order."""
    made = await captured(side)
    await side.provider.refund(made.ref, Money(1200, "EUR"), "r1")
    before = await side.told(made.ref)
    dice = random.Random(7)
    come = [*side.box.inbox.received] * 2
    dice.shuffle(come)
    for body, headers in come:
        notices = side.provider.parse_webhook(body, headers, side.box.sandbox._clock.now_ms())
        await side.provider.take_in(notices)

    assert await side.provider.fetch(made.ref) == before


@of_both
async def test_what_the_provider_wants_to_hear_is_said(side: Side) -> None:
    """2xx, and Adyen's own word."""
    status, body, _ = side.provider.acknowledgement()

    assert (status, body) == (200, b"[accepted]" if side.name == "adyen" else b"")
