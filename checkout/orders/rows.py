"""Rows: orders, attempts and refunds as the database has them, and the statements that read and change them.

Each change names the version that it was decided on: whoever was slower changes no row and hears so (``Stale``), looks
again and decides again. Statements are built once. Every function works inside of the caller's transaction. Not here:
what belongs into one transaction (``orders.store``), what is decided (``orders.rule``).
"""

from dataclasses import fields, replace
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection

from checkout.money import Money
from checkout.orders import work
from checkout.orders.order import NEVER_MS, Attempt, AttemptState, Goal, Order, OrderState
from checkout.orders.refund import Refund, RefundState
from checkout.payments.port import Decline
from checkout.tables import ATTEMPTS, ORDER_TRACES, ORDERS, REFUNDS, WORK


class Stale(Exception):
    """Somebody else has changed the row meanwhile; nothing was changed."""


# ------------------------------------------------------------------------------------ orders

_ORDER = sa.select(ORDERS)
_ORDER_OF_ID = _ORDER.where(ORDERS.c.id == sa.bindparam("id_"))
_ORDERS_DUE = (
    sa.select(ORDERS.c.id)
    .where(ORDERS.c.state == sa.bindparam("in_state"), ORDERS.c.until_ms <= sa.bindparam("now"))
    .order_by(ORDERS.c.until_ms, ORDERS.c.id)
)
_CHANGE_ORDER = (
    sa.update(ORDERS)
    .where(ORDERS.c.id == sa.bindparam("id_"), ORDERS.c.version == sa.bindparam("was"))
    .values(
        {name: sa.bindparam(f"to_{name}") for name in ("state", "attempt", "paid_by", "disputed", "version")}
    )
)
_NEW_ORDER = sa.insert(ORDERS)


def order_row(order: Order) -> dict[str, Any]:
    """Write an order as its row."""
    return {
        "id": order.id,
        "event_id": order.event,
        "buyer": order.buyer,
        "reservation_id": order.reservation,
        "state": order.state.value,
        "currency": order.amount.currency,
        "amount_minor": order.amount.amount_minor,
        "created_ms": order.created_ms,
        "until_ms": order.until_ms,
        "attempt": order.attempt,
        "paid_by": order.paid_by,
        "disputed": order.is_disputed,
        "version": order.version,
    }


def read_order(row: Any) -> Order:
    """Read a row of orders."""
    return Order(
        id=row.id,
        event=row.event_id,
        buyer=row.buyer,
        reservation=row.reservation_id,
        state=OrderState(row.state),
        amount=Money(row.amount_minor, row.currency),
        created_ms=row.created_ms,
        until_ms=row.until_ms,
        attempt=row.attempt,
        paid_by=row.paid_by,
        is_disputed=row.disputed,
        version=row.version,
    )


def find_order(connection: Connection, id_: str) -> Order | None:
    """Return an order."""
    row = connection.execute(_ORDER_OF_ID, {"id_": id_}).one_or_none()
    return None if row is None else read_order(row)


def orders_of(connection: Connection, event: str, buyer: str) -> list[Order]:
    """Return the orders of a buyer, the newest first."""
    own = _ORDER.where(ORDERS.c.event_id == event, ORDERS.c.buyer == buyer)
    return [
        read_order(row) for row in connection.execute(own.order_by(ORDERS.c.created_ms.desc(), ORDERS.c.id))
    ]


def orders_due(connection: Connection, state: OrderState, now_ms: int, most: int) -> list[str]:
    """Name orders in a state whose time is over."""
    due = _ORDERS_DUE.limit(most)
    return list(connection.scalars(due, {"in_state": state.value, "now": now_ms}))


def add_order(connection: Connection, order: Order) -> None:
    """Write a new order. Raises ``IntegrityError`` when its reservation has one."""
    connection.execute(_NEW_ORDER, order_row(order))


def change_order(connection: Connection, was: Order, now: Order) -> Order:
    """Write an order as it is now; returns it with its new version. Raises ``Stale``."""
    changed = replace(now, version=was.version + 1)
    told = {f"to_{name}": value for name, value in order_row(changed).items()}
    done = connection.execute(_CHANGE_ORDER, {**told, "id_": was.id, "was": was.version})
    if done.rowcount != 1:
        raise Stale
    return changed


# ---------------------------------------------------------------------------------- attempts

_MINE = (
    (WORK.c.order_id == ATTEMPTS.c.order_id)
    & (WORK.c.kind == work.ATTEMPT)
    & (WORK.c.name == sa.cast(ATTEMPTS.c.number, sa.Text))
)
_TRACE = (
    sa.select(ORDER_TRACES.c.trace)
    .where(ORDER_TRACES.c.order_id == ATTEMPTS.c.order_id)
    .scalar_subquery()
    .label("trace")
)
_ATTEMPT = sa.select(ATTEMPTS, WORK.c.due_ms, WORK.c.tries, WORK.c.method, _TRACE).join_from(
    ATTEMPTS, WORK, _MINE, isouter=True
)
_ATTEMPTS_OF = _ATTEMPT.where(ATTEMPTS.c.order_id == sa.bindparam("id_")).order_by(ATTEMPTS.c.number)
_ATTEMPT_OF = _ATTEMPT.where(
    ATTEMPTS.c.order_id == sa.bindparam("id_"), ATTEMPTS.c.number == sa.bindparam("of_number")
)
_ATTEMPT_OF_REF = _ATTEMPT.where(
    ATTEMPTS.c.provider == sa.bindparam("at"), ATTEMPTS.c.ref == sa.bindparam("of_ref"), ATTEMPTS.c.ref != ""
)
_CHANGING = (
    "goal", "state", "ref", "decline", "action_url", "captured_minor", "refunded_minor", "disputed_minor",
    "fingerprint", "card", "asked", "version",
)  # fmt: skip
_CHANGE_ATTEMPT = (
    sa.update(ATTEMPTS)
    .where(
        ATTEMPTS.c.order_id == sa.bindparam("id_"),
        ATTEMPTS.c.number == sa.bindparam("of_number"),
        ATTEMPTS.c.version == sa.bindparam("was"),
    )
    .values({name: sa.bindparam(f"to_{name}") for name in _CHANGING})
)
_NEW_ATTEMPT = sa.insert(ATTEMPTS)


def attempt_row(attempt: Attempt) -> dict[str, Any]:
    """Write an attempt as its row."""
    return {
        "order_id": attempt.order,
        "number": attempt.number,
        "event_id": attempt.event,
        "reservation_id": attempt.reservation,
        "provider": attempt.provider,
        "goal": attempt.goal.value,
        "state": attempt.state.value,
        "review": attempt.review,
        "currency": attempt.amount.currency,
        "amount_minor": attempt.amount.amount_minor,
        "ref": attempt.ref,
        "decline": attempt.decline.value if attempt.decline else "",
        "action_url": attempt.action_url,
        "captured_minor": attempt.captured_minor,
        "refunded_minor": attempt.refunded_minor,
        "disputed_minor": attempt.disputed_minor,
        "fingerprint": attempt.fingerprint,
        "card": attempt.card,
        "asked": attempt.asked,
        "created_ms": attempt.created_ms,
        "version": attempt.version,
    }


_OTHER = {
    "order", "event", "amount", "goal", "state", "decline", "due_ms", "tries", "method", "trace", "disputes",
}  # fmt: skip
_SAME = {one.name for one in fields(Attempt)} - _OTHER


def read_attempt(row: Any) -> Attempt:
    """Read a row of attempts."""
    return Attempt(
        order=row.order_id,
        event=row.event_id,
        amount=Money(row.amount_minor, row.currency),
        goal=Goal(row.goal),
        state=AttemptState(row.state),
        decline=Decline(row.decline) if row.decline else None,
        due_ms=NEVER_MS if row.due_ms is None else row.due_ms,
        tries=row.tries or 0,
        method=row.method or "",
        trace=row.trace or "",
        **{name: getattr(row, name) for name in _SAME},
    )


def attempts_of(connection: Connection, order: str) -> list[Attempt]:
    """Return the attempts of an order, the first first."""
    return [read_attempt(row) for row in connection.execute(_ATTEMPTS_OF, {"id_": order})]


def find_attempt(connection: Connection, order: str, number: int) -> Attempt | None:
    """Return one attempt of an order."""
    row = connection.execute(_ATTEMPT_OF, {"id_": order, "of_number": number}).one_or_none()
    return None if row is None else read_attempt(row)


def attempt_of_ref(connection: Connection, provider: str, ref: str) -> Attempt | None:
    """Return the attempt that a payment belongs to."""
    row = connection.execute(_ATTEMPT_OF_REF, {"at": provider, "of_ref": ref}).one_or_none()
    return None if row is None else read_attempt(row)


def add_attempt(connection: Connection, attempt: Attempt) -> None:
    """Write a new attempt. Raises ``IntegrityError`` when there is one of this number."""
    connection.execute(_NEW_ATTEMPT, attempt_row(attempt))
    name = str(attempt.number)
    work.add(connection, attempt.order, work.ATTEMPT, name, attempt.event, attempt.due_ms, 0, attempt.method)


def change_attempt(connection: Connection, was: Attempt, now: Attempt) -> Attempt:
    """Write an attempt as it is now; returns it with its new version. Raises ``Stale``.

    When to look again is no change of it.
    """
    changed = now
    if attempt_row(now) != attempt_row(was):
        changed = _written(connection, was, now)
    if (now.due_ms, now.tries, now.method) != (was.due_ms, was.tries, was.method):
        name = str(now.number)
        work.put(connection, now.order, work.ATTEMPT, name, now.event, now.due_ms, now.tries, now.method)
    return changed


def touch_attempt(connection: Connection, was: Attempt) -> Attempt:
    """Give an attempt a new version, so that of two who decide on it the slower one looks again. Raises ``Stale``."""
    return _written(connection, was, was)


def _written(connection: Connection, was: Attempt, now: Attempt) -> Attempt:
    changed = replace(now, version=was.version + 1)
    row = attempt_row(changed)
    told: dict[str, Any] = {f"to_{name}": row[name] for name in _CHANGING}
    told |= {"id_": was.order, "of_number": was.number, "was": was.version}
    if connection.execute(_CHANGE_ATTEMPT, told).rowcount != 1:
        raise Stale
    return changed


# ----------------------------------------------------------------------------------- refunds

_ITS = (WORK.c.order_id == REFUNDS.c.order_id) & (WORK.c.kind == work.REFUND) & (WORK.c.name == REFUNDS.c.key)
_REFUND = sa.select(REFUNDS, WORK.c.due_ms, WORK.c.tries).join_from(REFUNDS, WORK, _ITS, isouter=True)
_NEW_REFUND = sa.insert(REFUNDS)
_CHANGE_REFUND = (
    sa.update(REFUNDS)
    .where(
        REFUNDS.c.order_id == sa.bindparam("id_"),
        REFUNDS.c.key == sa.bindparam("of_key"),
        REFUNDS.c.version == sa.bindparam("was"),
    )
    .values({name: sa.bindparam(f"to_{name}") for name in ("state", "ref", "version")})
)


def refund_row(refund: Refund) -> dict[str, Any]:
    """Write a refund as its row."""
    return {
        "order_id": refund.order,
        "key": refund.key,
        "attempt": refund.attempt,
        "event_id": refund.event,
        "reservation_id": refund.reservation,
        "currency": refund.amount.currency,
        "amount_minor": refund.amount.amount_minor,
        "state": refund.state.value,
        "ref": refund.ref,
        "reason": refund.reason,
        "by": refund.by,
        "created_ms": refund.created_ms,
        "version": refund.version,
    }


def read_refund(row: Any) -> Refund:
    """Read a row of refunds."""
    return Refund(
        order=row.order_id,
        key=row.key,
        attempt=row.attempt,
        event=row.event_id,
        amount=Money(row.amount_minor, row.currency),
        state=RefundState(row.state),
        ref=row.ref,
        reason=row.reason,
        by=row.by,
        created_ms=row.created_ms,
        due_ms=NEVER_MS if row.due_ms is None else row.due_ms,
        tries=row.tries or 0,
        version=row.version,
    )


def refunds_of(connection: Connection, order: str) -> list[Refund]:
    """Return the refunds of an order, the first first."""
    own = _REFUND.where(REFUNDS.c.order_id == order).order_by(REFUNDS.c.created_ms, REFUNDS.c.key)
    return [read_refund(row) for row in connection.execute(own)]


def find_refund(connection: Connection, order: str, key: str) -> Refund | None:
    """Return a refund."""
    own = _REFUND.where(REFUNDS.c.order_id == order, REFUNDS.c.key == key)
    row = connection.execute(own).one_or_none()
    return None if row is None else read_refund(row)


def add_refund(connection: Connection, refund: Refund) -> None:
    """Write a new refund. Raises ``IntegrityError`` when there is one under this key."""
    connection.execute(_NEW_REFUND, refund_row(refund))
    work.add(connection, refund.order, work.REFUND, refund.key, refund.event, refund.due_ms)


def change_refund(connection: Connection, was: Refund, now: Refund) -> Refund:
    """Write a refund as it is now; returns it with its new version. Raises ``Stale``."""
    changed = now
    if refund_row(now) != refund_row(was):
        changed = replace(now, version=was.version + 1)
        told = {f"to_{name}": value for name, value in refund_row(changed).items()}
        told |= {"id_": was.order, "of_key": was.key, "was": was.version}
        if connection.execute(_CHANGE_REFUND, told).rowcount != 1:
            raise Stale
    if (now.due_ms, now.tries) != (was.due_ms, was.tries):
        work.put(connection, now.order, work.REFUND, now.key, now.event, now.due_ms, now.tries)
    return changed
