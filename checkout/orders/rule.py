"""Rule: what an order and its attempts do next. Two tables; the drawing in docs/orders.md is made from them.

**Orders** (``STEPS``): state and what happens to state. Whatever is not in the table does not happen: it is refused, or
it was done before.

**Attempts** (``ACTS``): goal and state to the next thing to do. What is to be done with money that is there depends on
the order as well: one that is open is *sold* to the attempt (in SQL, with its seats, all or nothing) **before** the
money is taken, and only the attempt that it was sold to takes it. All others let go. So a lost race, a second tab, a
late success and a cancelled event are one and the same: an attempt whose goal has become ``UNDO``.

Nothing here waits or fails; doing an act twice is what the provider's keys and SQL's versions make harmless. Pure. Not
here: doing it (``orders.driving``), finding what stands still (``orders.recovering``).
"""

from dataclasses import replace
from enum import StrEnum

from checkout.orders.order import OVER, Attempt, AttemptState, Goal, Order, OrderState
from checkout.payments.port import Payment, PaymentState


class Happening(StrEnum):
    """What happens to an order."""

    SOLD = "sold"
    """Money is authorised, and the seats are there."""
    SOLD_FOR_REVIEW = "sold-for-review"
    RELEASED = "released"
    """A person has let it through."""
    REFUSED = "refused"
    CAPTURED = "captured"
    CAPTURE_LOST = "capture-lost"
    TIME_OVER = "time-over"
    GIVEN_UP = "given-up"
    """By the buyer, or because the event is cancelled."""
    ALL_BACK = "all-back"
    """All of the money went back."""


STEPS: dict[tuple[OrderState, Happening], OrderState] = {
    (OrderState.OPEN, Happening.SOLD): OrderState.CONFIRMED,
    (OrderState.OPEN, Happening.SOLD_FOR_REVIEW): OrderState.REVIEW,
    (OrderState.OPEN, Happening.TIME_OVER): OrderState.LAPSED,
    (OrderState.OPEN, Happening.GIVEN_UP): OrderState.CANCELLED,
    (OrderState.REVIEW, Happening.RELEASED): OrderState.CONFIRMED,
    (OrderState.REVIEW, Happening.REFUSED): OrderState.REFUSED,
    (OrderState.REVIEW, Happening.GIVEN_UP): OrderState.CANCELLED,
    (OrderState.REVIEW, Happening.CAPTURE_LOST): OrderState.FAILED,
    (OrderState.REVIEW, Happening.ALL_BACK): OrderState.REFUNDED,
    (OrderState.CONFIRMED, Happening.CAPTURED): OrderState.PAID,
    (OrderState.CONFIRMED, Happening.CAPTURE_LOST): OrderState.FAILED,
    (OrderState.CONFIRMED, Happening.ALL_BACK): OrderState.REFUNDED,
    (OrderState.PAID, Happening.ALL_BACK): OrderState.REFUNDED,
}
"""Everything that can happen to an order."""


class Act(StrEnum):
    """What to do with an attempt."""

    CREATE = "create"
    CONFIRM = "confirm"
    LOOK = "look"
    """Ask the provider how it stands, before anything else is sent."""
    WAIT = "wait"
    """For the buyer, or for the provider; a notice or a look later tells."""
    SELL = "sell"
    """Have SQL give the order's seats to this attempt."""
    CAPTURE = "capture"
    SETTLE = "settle"
    """Write down that the money is there."""
    LOSE = "lose"
    """Write down that the money will never be there: the seats go back."""
    BACK = "back"
    """Write down that all of the money has gone back: the seats do, too."""
    TURN = "turn"
    """Set the goal to undo."""
    VOID = "void"
    REFUND = "refund"
    NOTHING = "nothing"


class Standing(StrEnum):
    """What an order is to one of its attempts."""

    OPEN = "open"
    OURS = "ours"
    """Sold to this attempt, and its money is to be taken."""
    HELD = "held"
    """Sold to this attempt; a person looks at it first."""
    PAID = "paid"
    """Paid by this attempt."""
    LOST = "lost"
    """Over, or sold to another attempt."""


ACTS: dict[tuple[Goal, AttemptState], dict[Standing, Act] | Act] = {
    (Goal.PAY, AttemptState.NEW): {Standing.OPEN: Act.CREATE},
    (Goal.PAY, AttemptState.OPEN): {Standing.OPEN: Act.CONFIRM},
    (Goal.PAY, AttemptState.ASKED): {Standing.OPEN: Act.LOOK},
    (Goal.PAY, AttemptState.ACTION): {Standing.OPEN: Act.WAIT},
    # Sold and processing: the money is being taken, and its provider has not told yet whether it was.
    (Goal.PAY, AttemptState.PROCESSING): {
        Standing.OPEN: Act.WAIT,
        Standing.OURS: Act.WAIT,
        Standing.HELD: Act.WAIT,
    },
    (Goal.PAY, AttemptState.AUTHORISED): {
        Standing.OPEN: Act.SELL,
        Standing.OURS: Act.CAPTURE,
        Standing.HELD: Act.WAIT,
        Standing.PAID: Act.WAIT,
    },
    (Goal.PAY, AttemptState.CAPTURED): {
        Standing.OPEN: Act.SELL,
        Standing.OURS: Act.SETTLE,
        Standing.HELD: Act.WAIT,
        Standing.PAID: Act.NOTHING,
    },
    (Goal.PAY, AttemptState.DECLINED): {Standing.OURS: Act.LOSE, Standing.HELD: Act.LOSE},
    (Goal.PAY, AttemptState.VOIDED): {
        Standing.OURS: Act.LOSE,
        Standing.HELD: Act.LOSE,
        Standing.OPEN: Act.NOTHING,
        Standing.PAID: Act.NOTHING,
        Standing.LOST: Act.NOTHING,
    },
    (Goal.PAY, AttemptState.UNMADE): Act.NOTHING,
    (Goal.UNDO, AttemptState.NEW): Act.CREATE,
    (Goal.UNDO, AttemptState.OPEN): Act.VOID,
    (Goal.UNDO, AttemptState.ASKED): Act.LOOK,
    (Goal.UNDO, AttemptState.ACTION): Act.VOID,
    (Goal.UNDO, AttemptState.PROCESSING): Act.WAIT,
    (Goal.UNDO, AttemptState.AUTHORISED): Act.VOID,
    (Goal.UNDO, AttemptState.CAPTURED): Act.REFUND,
    (Goal.UNDO, AttemptState.DECLINED): Act.VOID,
    (Goal.UNDO, AttemptState.VOIDED): Act.NOTHING,
    (Goal.UNDO, AttemptState.UNMADE): Act.NOTHING,
}
"""What to do next. A standing that is not named: the goal turns."""

_ASKING = frozenset({Act.CREATE, Act.CONFIRM})


def step(state: OrderState, happening: Happening) -> OrderState | None:
    """Tell where something that happens leads; None for what cannot happen in this state."""
    return STEPS.get((state, happening))


def standing(order: Order, attempt: Attempt) -> Standing:
    """Tell what an order is to an attempt."""
    if order.state is OrderState.OPEN:
        return Standing.OPEN if attempt.number == order.attempt else Standing.LOST
    if order.state in OVER or order.paid_by != attempt.number:
        return Standing.LOST
    return {OrderState.CONFIRMED: Standing.OURS, OrderState.REVIEW: Standing.HELD}.get(
        order.state, Standing.PAID
    )


def next_act(order: Order, attempt: Attempt, now_ms: int) -> Act:
    """Tell what is to be done with an attempt now. No bank is asked once the order's time is over."""
    acts = ACTS[attempt.goal, attempt.state]
    own = standing(order, attempt)
    act = acts if isinstance(acts, Act) else acts.get(own, Act.TURN)
    if attempt.state is AttemptState.CAPTURED and not attempt.has_money:
        # Somebody has given it back, by us or at the provider's own pages.
        return Act.BACK if own in {Standing.OURS, Standing.HELD, Standing.PAID} else Act.NOTHING
    if act in _ASKING and attempt.goal is Goal.PAY and order.until_ms <= now_ms:
        return Act.TURN
    return act


_HEARD = {
    PaymentState.OPEN: AttemptState.OPEN,
    PaymentState.ACTION: AttemptState.ACTION,
    PaymentState.PROCESSING: AttemptState.PROCESSING,
    PaymentState.AUTHORISED: AttemptState.AUTHORISED,
    PaymentState.CAPTURED: AttemptState.CAPTURED,
    PaymentState.DECLINED: AttemptState.DECLINED,
    PaymentState.VOIDED: AttemptState.VOIDED,
}


def hears(attempt: Attempt, told: Payment) -> Attempt:
    """Return an attempt as it stands after its provider has told of it.

    What is told counts, because it was asked for after the attempt's version was read: whoever hears of something older
    finds the version changed.
    """
    state, card = _HEARD[told.state], told.card
    return replace(
        attempt,
        state=state,
        ref=told.ref,
        captured_minor=told.captured_minor,
        refunded_minor=told.refunded_minor,
        disputed_minor=told.disputed_minor,
        disputes=told.disputes,
        decline=told.decline or attempt.decline,
        action_url=told.action_url if state is AttemptState.ACTION else "",
        fingerprint=card.fingerprint if card else attempt.fingerprint,
        card=f"{card.brand} {card.last4}" if card else attempt.card,
    )
