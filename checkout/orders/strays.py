"""Strays: payments that a provider has and we may not know of.

A database that was put back to an older state has forgotten orders; a process that died between an answer and its
commit never wrote a name down. The provider tells of each payment for which order and try it was made, so:

* an attempt that knows its payment is looked at again where the provider says something else than we do;
* an attempt that does not know its payment learns its name, and goes on from there;
* a payment that has money, of an order that is still to be paid and has forgotten the try, is that try again: the order
  is paid by it if its seats are still to be had;
* any other payment whose attempt, or whose order, is not there, is nobody's: its money is let go, or goes back, and it
  is written down as an attempt to undo, so that the books say where the money went.

A payment that was made a moment ago may be about to be written down: it is left alone until it is ``SETTLED_MS`` old.
"""

import logging
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial

from sqlalchemy import Connection

from checkout.holds.places import Place, Places
from checkout.metrics import Metrics
from checkout.money import Money
from checkout.orders.order import Attempt, AttemptState, Goal, Order, OrderState, is_order_id
from checkout.orders.projection import PAYMENT, Told
from checkout.orders.rows import (
    add_attempt,
    add_order,
    attempt_of_ref,
    attempts_of,
    change_attempt,
    change_order,
    find_attempt,
    find_order,
)
from checkout.orders.rule import hears
from checkout.orders.service import Till
from checkout.orders.store import tell
from checkout.payments.port import Payment, PaymentState, Provider
from kernel.clock import Clock

log = logging.getLogger(__name__)

SETTLED_MS = 60_000
STRAY_FROM = 1_000
"""Numbers of attempts that were not ours to number."""

_NOTHING = frozenset({PaymentState.VOIDED})


class Strays:
    """Compares what providers have with what is written down."""

    def __init__(
        self, places: Places, tills: Callable[[Place], Till], clock: Clock, metrics: Metrics
    ) -> None:
        self._places = places
        self._tills = tills
        self._clock = clock
        self._metrics = metrics

    async def look(self, provider: Provider, since_ms: int) -> int:
        """Compare all payments since a time; returns how many were not as we had them."""
        found = 0
        async for payment in provider.list_since(since_ms):
            if not is_order_id(payment.order) or not payment.event:
                continue
            if self._clock.now_ms() - payment.created_ms >= SETTLED_MS:
                found += await self._compare(provider, payment)
        return found

    async def _compare(self, provider: Provider, payment: Payment) -> bool:
        till = self._tills(self._places.of(payment.event))
        known = await till.group.read(partial(attempt_of_ref, provider=provider.name, ref=payment.ref))
        if known is not None:
            if _says_the_same(known, payment):
                return False
            await till.driving.again(known.order, known.number)
            return True
        if payment.state in _NOTHING:
            return False
        self._metrics.orders.count("stray")
        log.warning("a payment that we did not know", extra={"order": payment.order, "ref": payment.ref})
        number = await till.group.write(
            partial(_write_down, provider=provider.name, payment=payment, now_ms=self._clock.now_ms())
        )
        await till.driving.again(payment.order, number)
        return True


def _says_the_same(attempt: Attempt, payment: Payment) -> bool:
    heard = hears(attempt, payment)
    return replace(heard, decline=None, action_url="", card="", fingerprint="", disputes=()) == replace(
        attempt, decline=None, action_url="", card="", fingerprint=""
    )


def _write_down(connection: Connection, provider: str, payment: Payment, now_ms: int) -> int:
    """Give a payment an attempt; returns its number."""
    order, told = find_order(connection, payment.order), Told()
    if order is None:
        # What it was for is forgotten: an order that is over is what is left of it.
        order = Order(
            id=payment.order,
            event=payment.event,
            buyer="",
            reservation=f"R{payment.order.removeprefix('O')}",
            state=OrderState.LAPSED,
            amount=payment.amount,
            created_ms=payment.created_ms,
            until_ms=payment.created_ms,
            attempt=0,
        )
        told.order(None, order)
        add_order(connection, order)
    mine = find_attempt(connection, payment.order, payment.attempt)
    if mine is not None and not mine.ref and mine.provider == provider:
        # Its name was never written down; it learns it when it asks under its key, or looks for it.
        return mine.number
    attempts = attempts_of(connection, order.id)
    if _may_pay(order, payment):
        number = _try_again(connection, order, provider, payment, now_ms, attempts, told)
    else:
        number = _add(connection, order, provider, payment, now_ms, attempts, told)
    tell(connection, told.draft(PAYMENT, now_ms))
    return number


def _may_pay(order: Order, payment: Payment) -> bool:
    """Tell whether an order that is still to be paid is paid by this: a later try than all that it remembers."""
    has_money = payment.state is PaymentState.AUTHORISED or (
        payment.state is PaymentState.CAPTURED and not payment.refunded_minor and not payment.disputed_minor
    )
    return (
        has_money
        and order.state is OrderState.OPEN
        and order.attempt < payment.attempt < STRAY_FROM
        and payment.amount == order.amount
    )


def _try_again(
    connection: Connection,
    order: Order,
    provider: str,
    payment: Payment,
    now_ms: int,
    attempts: Sequence[Attempt],
    told: Told,
) -> int:
    """Write a forgotten try down as it was; the tries before it let go of what they have."""
    for one in attempts:
        if one.goal is Goal.PAY and not one.is_settled:
            told.attempt(one, change_attempt(connection, one, replace(one, goal=Goal.UNDO, due_ms=now_ms)))
    found = Attempt(
        order=order.id,
        number=payment.attempt,
        event=order.event,
        provider=provider,
        amount=order.amount,
        created_ms=payment.created_ms,
        due_ms=now_ms,
        state=AttemptState.ASKED,
        ref=payment.ref,
    )
    told.order(order, change_order(connection, order, replace(order, attempt=found.number)))
    add_attempt(connection, found)
    told.attempt(None, found)
    return found.number


def _add(
    connection: Connection,
    order: Order,
    provider: str,
    payment: Payment,
    now_ms: int,
    attempts: Sequence[Attempt],
    told: Told,
) -> int:
    number = max([STRAY_FROM, *(one.number for one in attempts)]) + 1
    stray = Attempt(
        order=order.id,
        number=number,
        event=order.event,
        provider=provider,
        amount=Money(payment.amount.amount_minor, payment.amount.currency),
        created_ms=payment.created_ms,
        due_ms=now_ms,
        goal=Goal.UNDO,
        state=AttemptState.ASKED,
        ref=payment.ref,
    )
    add_attempt(connection, stray)
    told.attempt(None, stray)
    return number
