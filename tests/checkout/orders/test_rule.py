"""The tables of orders and attempts: complete, and leading where they should."""

from dataclasses import replace
from itertools import product

import pytest

from checkout.money import Money
from checkout.orders.order import DONE, OVER, SOLD, Attempt, AttemptState, Goal, Order, OrderState
from checkout.orders.rule import ACTS, STEPS, Act, Happening, Standing, hears, next_act, standing, step
from checkout.payments.port import Payment, PaymentState

NOW_MS = 1_000
PRICE = Money(4200, "EUR")
ORDER = Order("O1", "e", "ann", "R1", OrderState.OPEN, PRICE, 0, 10_000, attempt=1)
ATTEMPT = Attempt("O1", 1, "e", "bank", PRICE, 0, 0)

SITUATIONS = [
    (order_state, paid_by, goal, state)
    for order_state, paid_by, goal, state in product(OrderState, (0, 1, 2), Goal, AttemptState)
    if (order_state in SOLD) == bool(paid_by) or order_state in OVER
]


def test_every_goal_and_state_has_its_act() -> None:
    """No combination is forgotten, and none that is not there is named."""
    assert set(ACTS) == set(product(Goal, AttemptState))


def test_what_is_over_stays_so() -> None:
    """No row of the table leads out of an end; each end is reached."""
    assert {state for state, _ in STEPS} & OVER == set()
    assert set(STEPS.values()) >= OVER | {OrderState.CONFIRMED, OrderState.REVIEW, OrderState.PAID}
    assert all(step(state, happening) is None for state in OVER for happening in Happening)


@pytest.mark.parametrize(("order_state", "paid_by", "goal", "state"), SITUATIONS)
def test_money_is_only_taken_for_seats(
    order_state: OrderState, paid_by: int, goal: Goal, state: AttemptState
) -> None:
    """No capture but of the attempt that the order is sold to, no question for an order that is over, no loose end."""
    order = replace(ORDER, state=order_state, paid_by=paid_by)
    money = 4200 if state is AttemptState.CAPTURED else 0
    attempt = replace(ATTEMPT, goal=goal, state=state, captured_minor=money)

    act = next_act(order, attempt, NOW_MS)

    if act is Act.CAPTURE:
        assert (order_state, paid_by, goal) == (OrderState.CONFIRMED, 1, Goal.PAY)
    if act in {Act.CREATE, Act.CONFIRM, Act.SELL} and goal is Goal.PAY:
        assert order_state is OrderState.OPEN
    if goal is Goal.UNDO:
        assert act not in {Act.CONFIRM, Act.SELL, Act.CAPTURE, Act.SETTLE}
        assert (act is Act.NOTHING) == (state in DONE)
    if act is Act.NOTHING and money:
        assert (order_state, paid_by) == (OrderState.PAID, 1)
    if order_state in OVER and goal is Goal.PAY and state not in DONE:
        assert act is Act.TURN


def test_no_bank_is_asked_once_the_time_is_over() -> None:
    """What is authorised by then may still be sold; what is not is let go."""
    late = 10_000
    acts = {state: next_act(ORDER, replace(ATTEMPT, state=state), late) for state in AttemptState}

    assert acts[AttemptState.NEW] is Act.TURN
    assert acts[AttemptState.OPEN] is Act.TURN
    assert acts[AttemptState.AUTHORISED] is Act.SELL
    assert next_act(ORDER, replace(ATTEMPT, goal=Goal.UNDO), late) is Act.CREATE


def test_only_the_last_try_of_an_open_order_may_pay_it() -> None:
    """An earlier one has lost; so has everyone but the one that it was sold to."""
    assert standing(ORDER, ATTEMPT) is Standing.OPEN
    assert standing(replace(ORDER, attempt=2), ATTEMPT) is Standing.LOST
    assert standing(replace(ORDER, state=OrderState.CONFIRMED, paid_by=1), ATTEMPT) is Standing.OURS
    assert standing(replace(ORDER, state=OrderState.REVIEW, paid_by=1), ATTEMPT) is Standing.HELD
    assert standing(replace(ORDER, state=OrderState.PAID, paid_by=2), ATTEMPT) is Standing.LOST


@pytest.mark.parametrize("order_state", sorted(SOLD))
def test_money_that_went_back_takes_the_seats_along(order_state: OrderState) -> None:
    """Whoever gave it back, by us or on the provider's own pages."""
    order = replace(ORDER, state=order_state, paid_by=1)
    returned = replace(ATTEMPT, state=AttemptState.CAPTURED, captured_minor=4200, refunded_minor=4200)

    assert next_act(order, returned, NOW_MS) is Act.BACK
    assert step(order_state, Happening.ALL_BACK) is OrderState.REFUNDED


def test_what_a_provider_says_is_heard() -> None:
    """Each of its states has one of ours; the bank's page is forgotten when it has been answered."""
    told = Payment("p", PaymentState.ACTION, PRICE, 0, action_url="https://bank/1")
    asked = hears(ATTEMPT, told)
    agreed = hears(asked, replace(told, state=PaymentState.AUTHORISED))

    assert (asked.state, asked.ref, asked.action_url) == (AttemptState.ACTION, "p", "https://bank/1")
    assert (agreed.state, agreed.action_url) == (AttemptState.AUTHORISED, "")
    assert {hears(ATTEMPT, replace(told, state=state)).state for state in PaymentState} == (
        set(AttemptState) - {AttemptState.NEW, AttemptState.ASKED, AttemptState.UNMADE}
    )
