"""Papers: an order as its buyer sees it. Nothing internal is in it, and nothing that only a person may know.

The same order has the same paper, octet by octet, whoever asks and when: what time it is tells the ``Date`` header.
Pure. Not here: what an organiser sees (``orders.caring``).
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import TypedDict

from checkout.orders.order import ATTEMPTS_MOST, Attempt, AttemptState, Goal, Order, OrderState
from checkout.payments.port import Decline


class Phase(StrEnum):
    """What an order is to its buyer."""

    TO_PAY = "to-pay"
    ACTION = "action"
    """The buyer's bank has a question; ``action_url`` leads there."""
    DECLINED = "declined"
    """The last try did not succeed; another may."""
    PENDING = "pending"
    """The bank, or we, are at it."""
    REVIEW = "review"
    PAID = "paid"
    REFUNDED = "refunded"
    OVER = "over"


class OrderPaper(TypedDict):
    """An order as its buyer sees it."""

    order: str
    event: str
    reservation: str
    state: str
    phase: str
    currency: str
    total_minor: int
    refunded_minor: int
    until_ms: int
    attempt: int
    attempts_left: int
    decline: str | None
    action_url: str | None
    card: str | None


_PHASES: Mapping[OrderState, Phase] = {
    OrderState.REVIEW: Phase.REVIEW,
    OrderState.CONFIRMED: Phase.PENDING,
    OrderState.PAID: Phase.PAID,
    OrderState.REFUNDED: Phase.REFUNDED,
}
_OPEN_PHASES: Mapping[AttemptState, Phase] = {
    AttemptState.ACTION: Phase.ACTION,
    AttemptState.DECLINED: Phase.DECLINED,
    AttemptState.VOIDED: Phase.DECLINED,
    AttemptState.UNMADE: Phase.DECLINED,
}


def phase_of(order: Order, attempt: Attempt | None) -> Phase:
    """Tell what an order is to its buyer; `attempt` is the last one, or the one that paid."""
    if order.state is OrderState.OPEN:
        if attempt is None:
            return Phase.TO_PAY
        if attempt.goal is Goal.UNDO:
            return Phase.DECLINED
        return _OPEN_PHASES.get(attempt.state, Phase.PENDING)
    return _PHASES.get(order.state, Phase.OVER)


def paper(order: Order, attempt: Attempt | None) -> OrderPaper:
    """Write an order's paper; `attempt` is the last one, or the one that paid."""
    phase = phase_of(order, attempt)
    is_declined = phase is Phase.DECLINED and attempt is not None
    return {
        "order": order.id,
        "event": order.event,
        "reservation": order.reservation,
        "state": order.state.value,
        "phase": phase.value,
        "currency": order.amount.currency,
        "total_minor": order.amount.amount_minor,
        "refunded_minor": attempt.refunded_minor if attempt else 0,
        "until_ms": order.until_ms,
        "attempt": order.attempt,
        "attempts_left": max(0, ATTEMPTS_MOST - order.attempt),
        "decline": _public(attempt) if is_declined and attempt else None,
        "action_url": attempt.action_url or None if phase is Phase.ACTION and attempt else None,
        "card": attempt.card or None
        if attempt and phase in {Phase.PAID, Phase.REVIEW, Phase.REFUNDED}
        else None,
    }


def _public(attempt: Attempt) -> str:
    """Say why a bank said no, as far as its customer is to hear it from us."""
    decline = attempt.decline or Decline.GENERIC
    return (Decline.GENERIC if decline is Decline.FRAUD else decline).value
