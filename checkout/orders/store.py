"""Orders store: what belongs into one transaction. Every change of an order, an attempt and its seats is one of these.

* **sell**: order, attempt, reservation and seats, all or nothing. A seat that is no longer the reservation's, a time
  that is over, an order that somebody else has changed: nothing happens, and the attempt lets go of its money.
* **settle**: an order whose money is there is paid, and each of its seats has a ticket.
* **close**: an order that is over frees its seats, its tickets are revoked, and every attempt of it gets the goal to
  undo.
* **write**: what has become of an attempt, with the movements of money that follow from it (``order_money``); where a
  notice told of it, the notice as well, so that it has its effect once.

Every function takes a connection inside of the caller's transaction and may be run again (``grouping``). Not here:
refunds (``orders.returning``), what is decided (``orders.rule``), which statements (``orders.rows``), how seats are
sold (``sales.selling``).
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

import sqlalchemy as sa
from sqlalchemy import Connection
from sqlalchemy.exc import IntegrityError

from checkout.eventlog.entries import Draft
from checkout.eventlog.store import append, heads
from checkout.fraud.review import Decision
from checkout.money import Money
from checkout.orders.cards import within_card
from checkout.orders.dispute_rows import put_disputes
from checkout.orders.letters import tell_order
from checkout.orders.order import (
    ATTEMPTS_MOST,
    NEVER_MS,
    Attempt,
    AttemptState,
    Goal,
    Order,
    OrderState,
    order_id,
)
from checkout.orders.projection import (
    CLOSED,
    OPENED,
    PAID,
    PAYMENT,
    RELEASED,
    SOLD,
    TRIED,
    Told,
)
from checkout.orders.review import UNMINDFUL, Cautions, Word
from checkout.orders.review_rows import decide_review, open_review
from checkout.orders.rows import (
    Stale,
    add_attempt,
    add_order,
    attempts_of,
    change_attempt,
    change_order,
    find_attempt,
    find_order,
)
from checkout.orders.rule import Happening, step
from checkout.orders.trace_rows import keep, trace_of
from checkout.orders.work import ATTEMPT
from checkout.orders.work import now as look_now
from checkout.payments.port import Notice
from checkout.sales.reservation import Ended, Reservation, SaleState
from checkout.sales.selling import free_sold, release_within, sell_within
from checkout.tables import MONEY, NOTICES
from checkout.tickets import rows as ticket_rows
from checkout.tickets.issuing import issue, revoke_all
from checkout.tickets.projection import Change


class Movement(StrEnum):
    """What money does, seen from us."""

    CAPTURED = "captured"
    REFUNDED = "refunded"
    DISPUTED = "disputed"
    """Taken back by the buyer's bank; given again, it is the same with the opposite sign."""


class NoticeState(StrEnum):
    """What became of a notice."""

    DONE = "done"
    QUARANTINED = "quarantined"
    """It says something that cannot be; a person should look."""


class NotSold(Exception):
    """The seats cannot be sold to this order any more; nothing was changed."""


class NoAttempt(StrEnum):
    """Why an order cannot be tried again now."""

    OVER = "over"
    UNDER_WAY = "under-way"
    """The last try is not decided yet."""
    TOO_MANY = "too-many"
    PAID = "paid"


@dataclass(frozen=True, slots=True)
class Closed:
    """An order that has been closed, and the seats that are free again."""

    order: Order
    freed: Ended | None


_MAY_BE_REPLACED = frozenset(
    {AttemptState.DECLINED, AttemptState.VOIDED, AttemptState.UNMADE, AttemptState.ACTION}
)
_NEW_NOTICE, _NEW_MONEY = sa.insert(NOTICES), sa.insert(MONEY)


# ------------------------------------------------------------------------------------- orders


def open_order(connection: Connection, reservation: Reservation, now_ms: int) -> tuple[Order, bool]:
    """Make the order of an active reservation, or find it; tells whether it is new. Raises ``NotSold``."""
    id_ = order_id(reservation.id)
    if (found := find_order(connection, id_)) is not None:
        return found, False
    if reservation.state_at(now_ms) is not SaleState.ACTIVE:
        raise NotSold
    order = Order(
        id=id_,
        event=reservation.event,
        buyer=reservation.buyer,
        reservation=reservation.id,
        state=OrderState.OPEN,
        amount=Money(reservation.total_minor, reservation.currency),
        created_ms=now_ms,
        until_ms=reservation.until_ms,
    )
    try:
        with connection.begin_nested():
            add_order(connection, order)
            told = Told()
            told.order(None, order)
            tell(connection, told.draft(OPENED, now_ms))
    except IntegrityError:
        found = find_order(connection, id_)
        if found is None:
            raise
        return found, False
    return order, True


def close(
    connection: Connection, order: Order, happening: Happening, at_ms: int, word: Word | None = None
) -> Closed:
    """Write down that an order is over; `word`: of who refused it. Raises ``Stale`` if it is not as it was."""
    to = step(order.state, happening)
    if to is None:
        raise Stale
    told = Told()
    closed = change_order(connection, order, replace(order, state=to))
    told.order(order, closed)
    for attempt in attempts_of(connection, order.id):
        if attempt.goal is Goal.PAY and not attempt.is_settled:
            turned = change_attempt(connection, attempt, replace(attempt, goal=Goal.UNDO, due_ms=at_ms))
            told.attempt(attempt, turned)
    if word and (decided := decide_review(connection, order.id, Decision.REFUSE, word, at_ms)):
        told.review(*decided)
    if order.state is OrderState.PAID:
        told.tickets(_revoked(connection, order.id, at_ms))
    tell(connection, told.draft(CLOSED, at_ms))
    tell_order(connection, closed, at_ms)
    if order.state is OrderState.OPEN:
        state = SaleState.LAPSED if happening is Happening.TIME_OVER else SaleState.RELEASED
        return Closed(closed, release_within(connection, order.reservation, state, at_ms))
    return Closed(closed, free_sold(connection, order.reservation, at_ms))


def _revoked(connection: Connection, order: str, at_ms: int) -> list[Change]:
    try:
        return revoke_all(connection, order, at_ms)
    except ticket_rows.Stale:
        raise Stale from None


# ----------------------------------------------------------------------------------- attempts


def new_attempt(
    connection: Connection,
    order_id_: str,
    provider: str,
    method: str,
    now_ms: int,
    due_ms: int,
    *,
    review: bool = False,
    trace: str = "",
) -> tuple[Order, Attempt] | NoAttempt:
    """Begin another try to pay an order; the one before lets go of what it has.

    `trace`: in which the order is worked on from here on, unless it has one.
    """
    order = find_order(connection, order_id_)
    if order is None:
        raise Stale
    if order.state in {OrderState.CONFIRMED, OrderState.REVIEW}:
        return NoAttempt.UNDER_WAY  # authorised, and not taken: nobody has paid yet
    if order.state is not OrderState.OPEN:
        return NoAttempt.PAID if step(order.state, Happening.ALL_BACK) else NoAttempt.OVER
    if order.until_ms <= now_ms:
        return NoAttempt.OVER
    if order.attempt >= ATTEMPTS_MOST:
        return NoAttempt.TOO_MANY
    told = Told()
    if order.attempt:
        last = find_attempt(connection, order.id, order.attempt)
        if last is not None and last.goal is Goal.PAY:
            if last.state not in _MAY_BE_REPLACED:
                return NoAttempt.UNDER_WAY
            if not last.is_settled:
                told.attempt(
                    last, change_attempt(connection, last, replace(last, goal=Goal.UNDO, due_ms=now_ms))
                )
    keep(connection, order.id, order.event, trace, now_ms)
    attempt = Attempt(
        order=order.id,
        number=order.attempt + 1,
        event=order.event,
        provider=provider,
        amount=order.amount,
        created_ms=now_ms,
        due_ms=due_ms,
        method=method,
        review=review,
        trace=trace_of(connection, order.id) if order.attempt else trace,
    )
    changed = change_order(connection, order, replace(order, attempt=attempt.number))
    add_attempt(connection, attempt)
    told.order(order, changed)
    told.attempt(None, attempt)
    tell(connection, told.draft(TRIED, now_ms))
    return changed, attempt


def write_attempt(
    connection: Connection, was: Attempt, now: Attempt, at_ms: int, notice: tuple[Notice, str] | None = None
) -> Attempt:
    """Write what has become of an attempt, and the money that has moved; with the notice that told of it, if one did.

    Raises ``Stale``; ``IntegrityError`` for a notice that had its effect before.
    """
    if notice is not None:
        note(connection, notice[1], notice[0], was.event, NoticeState.DONE, at_ms)
    changed = note_attempt(connection, was, now, at_ms)
    told = Told()
    told.attempt(was, changed)
    tell(connection, told.draft(PAYMENT, at_ms))
    return changed


def note_attempt(connection: Connection, was: Attempt, now: Attempt, at_ms: int) -> Attempt:
    """Write an attempt's row and the money that has moved; the log hears of it from the caller. Raises ``Stale``."""
    if now.is_settled:
        now = replace(now, method="", action_url="", due_ms=NEVER_MS)
    moves = (
        (Movement.CAPTURED, now.captured_minor - was.captured_minor),
        (Movement.REFUNDED, was.refunded_minor - now.refunded_minor),
        (Movement.DISPUTED, was.disputed_minor - now.disputed_minor),
    )
    rows = [
        {
            "provider": now.provider, "ref": now.ref, "kind": kind.value, "number": was.version,
            "event_id": now.event, "order_id": now.order, "attempt": now.number,
            "currency": now.amount.currency, "amount_minor": moved, "at_ms": at_ms,
        }
        for kind, moved in moves if moved
    ]  # fmt: skip
    changed = change_attempt(connection, was, now)
    if rows:
        connection.execute(_NEW_MONEY, rows)
    if now.disputes:
        put_disputes(connection, now, at_ms)
    return changed


def sell(
    connection: Connection,
    order: Order,
    was: Attempt,
    now: Attempt,
    happening: Happening,
    at_ms: int,
    cautions: Cautions = UNMINDFUL,
) -> tuple[Order, Attempt]:
    """Give an order's seats to the attempt that has its money.

    Raises ``NotSold``, ``CardFull`` or ``Stale``: nothing was changed.
    """
    to = step(order.state, happening)
    if to is None:
        raise Stale
    if cautions.seats_per_card:
        within_card(connection, now, cautions.seats_per_card)
    changed = change_order(connection, order, replace(order, state=to, paid_by=now.number))
    written = note_attempt(connection, was, now, at_ms)
    told = Told()
    told.order(order, changed)
    told.attempt(was, written)
    if to is OrderState.REVIEW:
        told.review(None, open_review(connection, written, cautions.terms, at_ms))
    if not sell_within(connection, order.reservation, at_ms, told.draft(SOLD, at_ms)):
        raise NotSold
    tell_order(connection, changed, at_ms)
    return changed, written


def settle(
    connection: Connection, order: Order, was: Attempt, now: Attempt, at_ms: int
) -> tuple[Order, Attempt, int]:
    """Write down that an order's money is there; the last is how many tickets it made. Raises ``Stale``."""
    to = step(order.state, Happening.CAPTURED)
    if to is None:
        raise Stale
    paid = change_order(connection, order, replace(order, state=to))
    written = note_attempt(connection, was, replace(now, due_ms=NEVER_MS), at_ms)
    told = Told()
    told.order(order, paid)
    told.attempt(was, written)
    tickets = issue(connection, order.event, order.id, order.reservation, at_ms)
    told.tickets(tickets)
    tell(connection, told.draft(PAID, at_ms))
    tell_order(connection, paid, at_ms)
    return paid, written, len(tickets)


def release(connection: Connection, order: Order, at_ms: int, word: Word) -> Order | None:
    """Let an order through that a person has looked at; None when there is nothing to look at. Raises ``Stale``."""
    to = step(order.state, Happening.RELEASED)
    if to is None:
        return None
    released = change_order(connection, order, replace(order, state=to))
    look_now(connection, order.id, ATTEMPT, [str(order.paid_by)], at_ms)
    told = Told()
    told.order(order, released)
    if decided := decide_review(connection, order.id, Decision.RELEASE, word, at_ms):
        told.review(*decided)
    tell(connection, told.draft(RELEASED, at_ms))
    return released


def note(
    connection: Connection,
    provider: str,
    notice: Notice,
    event: str,
    state: NoticeState,
    at_ms: int,
    why: str = "",
) -> None:
    """Write a notice down. Raises ``IntegrityError`` for one that is known."""
    connection.execute(
        _NEW_NOTICE,
        {
            "provider": provider, "id": notice.id, "event_id": event, "topic": notice.topic.value,
            "ref": notice.ref, "state": state.value, "why": why, "at_ms": notice.at_ms, "came_ms": at_ms,
        },
    )  # fmt: skip


def is_known(connection: Connection, provider: str, id_: str) -> bool:
    """Tell whether a notice is known."""
    own = sa.select(NOTICES.c.id).where(NOTICES.c.provider == provider, NOTICES.c.id == id_)
    return connection.scalar(own) is not None


def tell(connection: Connection, drafts: Sequence[Draft]) -> None:
    """Add to the log what was changed."""
    if drafts:
        append(connection, drafts, heads(connection, {one.stream for one in drafts}))
