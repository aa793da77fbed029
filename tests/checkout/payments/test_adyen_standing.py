"""How a payment stands at Adyen, folded from what was asked and what was told, in whatever order that came."""

import random

from hypothesis import given
from hypothesis import strategies as st

from checkout.money import Money
from checkout.payments.adyen_standing import Asked, Entry, Kind, Outcome, Standing
from checkout.payments.port import Decline, PaymentState, RefundState

ASKED = Asked("rome/O1/1", "rome", "O1", 1, Money(4200, "EUR"), 0)
YES, NO = Outcome.YES, Outcome.NO


def ask(name: str, kind: Kind, outcome: Outcome = Outcome.WAITING, psp: str = "", **more: object) -> Entry:
    """Give something that was asked."""
    return Entry(name, kind, 0, outcome=outcome, psp=psp, **more)  # type: ignore[arg-type]


def told(code: str, outcome: Outcome = YES, psp: str = "P", minor: int = 4200, **more: object) -> Entry:
    """Give a notice."""
    own = {"code": code, "outcome": outcome, "psp": psp, "amount_minor": minor, **more}
    return Entry(f"{code}:{psp}:{outcome}", Kind.NOTICE, 1, **own)  # type: ignore[arg-type]


PAY = ask("pay", Kind.PAY, Outcome.AUTHORISED, "P")
CAPTURE = ask("capture", Kind.CAPTURE, Outcome.RECEIVED, "C", amount_minor=4200)
CANCEL = ask("void", Kind.CANCEL, Outcome.RECEIVED, "X")
REFUND = ask("refund", Kind.REFUND, Outcome.RECEIVED, "R", amount_minor=1200)


def state(*entries: Entry, is_taken_at_once: bool = False, is_let_go: bool = False) -> PaymentState:
    """Fold."""
    asked = Asked("rome/O1/1", "rome", "O1", 1, Money(4200, "EUR"), 0, is_let_go=is_let_go)
    return Standing(asked, entries, is_taken_at_once=is_taken_at_once).state()


def standing(*entries: Entry) -> Standing:
    """Fold."""
    return Standing(ASKED, entries, is_taken_at_once=False)


def test_the_way_of_a_payment() -> None:
    """Each step, and that ``received`` is none."""
    steps = {
        (): PaymentState.OPEN,
        (ask("pay", Kind.PAY),): PaymentState.PROCESSING,
        (ask("pay", Kind.PAY, Outcome.REJECTED),): PaymentState.OPEN,
        (ask("pay", Kind.PAY, Outcome.PENDING, "P"),): PaymentState.PROCESSING,
        (ask("pay", Kind.PAY, Outcome.ACTION),): PaymentState.ACTION,
        (ask("pay", Kind.PAY, Outcome.REFUSED, "P"),): PaymentState.DECLINED,
        (PAY,): PaymentState.AUTHORISED,
        (told("AUTHORISATION"),): PaymentState.AUTHORISED,
        (told("AUTHORISATION", NO),): PaymentState.DECLINED,
        (PAY, CAPTURE): PaymentState.PROCESSING,
        (PAY, ask("capture", Kind.CAPTURE)): PaymentState.PROCESSING,
        (PAY, ask("capture", Kind.CAPTURE, Outcome.REJECTED)): PaymentState.AUTHORISED,
        (PAY, CAPTURE, told("CAPTURE", NO, "C")): PaymentState.AUTHORISED,
        (PAY, CAPTURE, told("CAPTURE", YES, "C")): PaymentState.CAPTURED,
        (PAY, told("CAPTURE", YES, "of-a-person")): PaymentState.CAPTURED,
        (PAY, CANCEL): PaymentState.PROCESSING,
        (PAY, CANCEL, told("CANCELLATION", NO, "X")): PaymentState.AUTHORISED,
        (PAY, CANCEL, told("CANCELLATION", YES, "X")): PaymentState.VOIDED,
        (PAY, told("EXPIRE", YES, "E")): PaymentState.VOIDED,
        (PAY, told("CANCEL_OR_REFUND", YES, "E")): PaymentState.VOIDED,
        (told("TECHNICAL_CANCEL", YES, "E"),): PaymentState.VOIDED,
    }  # fmt: skip

    assert {entries: state(*entries) for entries in steps} == steps


def test_banks_that_agreed_twice_are_seen() -> None:
    """Answer and notice of one are one; two names are two."""
    assert standing(PAY, told("AUTHORISATION")).psps() == ["P"]
    assert standing(PAY, told("AUTHORISATION", psp="Q")).psps() == ["Q", "P"]
    assert standing(ask("pay", Kind.PAY, Outcome.REFUSED, "P"), told("AUTHORISATION", NO)).psps() == []


def test_an_account_that_takes_at_once() -> None:
    """Authorised is taken; no notice tells of that."""
    assert state(PAY, is_taken_at_once=True) is PaymentState.CAPTURED
    assert state(ask("pay", Kind.PAY, Outcome.PENDING), is_taken_at_once=True) is PaymentState.PROCESSING


def test_a_bank_that_agrees_counts_whatever_was_said_before() -> None:
    """Money that is reserved is seen: after a refusal, or after it was let go of here."""
    late = told("AUTHORISATION")

    assert state(ask("pay", Kind.PAY, Outcome.REFUSED, "Q"), late) is PaymentState.AUTHORISED
    assert state(told("AUTHORISATION", NO, "Q"), late) is PaymentState.AUTHORISED
    assert state(ask("pay", Kind.PAY, Outcome.ACTION), is_let_go=True) is PaymentState.VOIDED
    assert state(ask("pay", Kind.PAY, Outcome.ACTION), late, is_let_go=True) is PaymentState.AUTHORISED


def test_what_is_of_another_amount_counts_for_nothing() -> None:
    """A person has to look."""
    assert state(told("AUTHORISATION", Outcome.OTHER_AMOUNT)) is PaymentState.OPEN
    assert standing(PAY, told("CAPTURE", Outcome.OTHER_AMOUNT, "C")).captured_minor() == 0


def test_a_buyer_who_came_back_is_the_last_word() -> None:
    """What they brought is handed on; if Adyen will not have it, the page is still open."""
    asked = ask("pay", Kind.PAY, Outcome.ACTION, url="https://bank")

    assert state(asked, ask("back", Kind.DETAILS)) is PaymentState.PROCESSING
    assert state(asked, ask("back", Kind.DETAILS, Outcome.REJECTED)) is PaymentState.ACTION
    assert state(asked, ask("back", Kind.DETAILS, Outcome.REFUSED, "P")) is PaymentState.DECLINED
    assert state(asked, ask("back", Kind.DETAILS, Outcome.AUTHORISED, "P")) is PaymentState.AUTHORISED


def test_money_is_counted() -> None:
    """Captures and refunds by their names, once each; what failed later is taken off again."""
    taken = (PAY, CAPTURE, told("CAPTURE", YES, "C"))
    back = (REFUND, told("REFUND", YES, "R", 1200))

    assert standing(*taken).captured_minor() == 4200
    assert standing(*taken, REFUND).refunded_minor() == 0
    assert standing(*taken, REFUND).refunding_minor() == 1200
    assert standing(*taken, *back).refunded_minor() == 1200
    assert standing(*taken, *back).refunding_minor() == 0
    assert standing(*taken, *back, told("REFUND_FAILED", YES, "R", 1200)).refunded_minor() == 0
    assert standing(*taken, told("REFUND", YES, "of-a-person", 4200)).refunded_minor() == 4200
    lost = standing(*taken, told("CAPTURE_FAILED", YES, "C"))
    assert (lost.state(), lost.captured_minor()) == (PaymentState.CAPTURED, 0)


def test_a_refund_stands_as_it_was_told() -> None:
    """Asked, done, failed, and done that has failed."""
    states = [
        standing(PAY, REFUND, *more).refund_state("refund")
        for more in (
            (),
            (told("REFUND", YES, "R", 1200),),
            (told("REFUND", NO, "R", 1200),),
            (told("REFUND", YES, "R", 1200), told("REFUND_FAILED", YES, "R", 1200)),
        )
    ]

    assert states == [RefundState.ASKED, RefundState.DONE, RefundState.FAILED, RefundState.FAILED]


def test_disputes_are_counted() -> None:
    """Each by the last that can be said of it, and two are two."""
    taken = (PAY, told("CAPTURE", YES, "C"))
    noticed, back = told("NOTIFICATION_OF_CHARGEBACK", YES, "D"), told("CHARGEBACK", YES, "D")
    won, lost = told("CHARGEBACK_REVERSED", YES, "D"), told("SECOND_CHARGEBACK", YES, "D")

    counts = [
        standing(*taken, *more).disputed_minor()
        for more in (
            (), (noticed,), (noticed, back), (noticed, back, won), (noticed, back, won, lost),
            (back, told("CHARGEBACK", YES, "D2", 1000)), (told("REQUEST_FOR_INFORMATION", YES, "D"),),
        )
    ]  # fmt: skip

    assert counts == [0, 4200, 4200, 0, 4200, 5200, 0]


def test_a_refusal_says_why() -> None:
    """What the answer said, else what the notice did."""
    answered = ask("pay", Kind.PAY, Outcome.REFUSED, "P", decline="insufficient-funds")

    assert standing(answered).payment().decline is Decline.FUNDS
    assert standing(told("AUTHORISATION", NO, decline="card-expired")).payment().decline is Decline.EXPIRED
    assert standing(told("AUTHORISATION", NO)).payment().decline is Decline.GENERIC
    assert standing(PAY).payment().decline is None


EVERYTHING = (
    PAY, CAPTURE, CANCEL, REFUND, ask("back", Kind.DETAILS, Outcome.REFUSED, "P", decline="declined"),
    ask("pay-2", Kind.PAY, Outcome.ACTION, url="https://bank"),
    *(told(code, outcome, psp, minor)
      for code, psp, minor in (
          ("AUTHORISATION", "P", 4200), ("CAPTURE", "C", 4200), ("CAPTURE_FAILED", "C", 4200),
          ("CANCELLATION", "X", 4200), ("REFUND", "R", 1200), ("REFUND_FAILED", "R", 1200),
          ("CHARGEBACK", "D", 4200), ("CHARGEBACK_REVERSED", "D", 4200), ("SECOND_CHARGEBACK", "D", 4200),
      )
      for outcome in (YES, NO)),
)  # fmt: skip


@given(st.sets(st.sampled_from(EVERYTHING)), st.randoms(), st.booleans())
def test_no_order_and_no_repeat_makes_a_difference(
    entries: set[Entry], dice: random.Random, is_taken_at_once: bool
) -> None:
    """Any set of entries, in any order, some of them twice: one payment; and no more goes back than was taken."""
    once = sorted(entries, key=lambda one: one.name)
    other = [*once, *(one for one in once if dice.random() < 0.5)]
    dice.shuffle(other)
    told_once = Standing(ASKED, once, is_taken_at_once=is_taken_at_once).payment()
    told_twice = Standing(ASKED, other, is_taken_at_once=is_taken_at_once).payment()

    assert told_once == told_twice
    assert 0 <= told_once.refunded_minor <= told_once.captured_minor <= 4200
