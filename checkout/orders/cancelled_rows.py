"""Cancelled rows: which orders of a cancelled event are still to be ended, and how far that has come.

What is open or in review is ended; what is paid is given back, once: what becomes of that refund is its own matter from
then on, so a provider that refuses some keeps nobody else waiting. Who tries it again counts as one more refund. Money
that a buyer's bank has taken back is with the buyer already. Inside of the caller's transaction. Not here: ending
(``orders.recovering``).
"""

from collections.abc import Mapping
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy import Connection

from checkout.orders.order import OrderState
from checkout.tables import ATTEMPTS, ORDERS, REFUNDS, WORK

CANCELLED_KEY = "shop:event-cancelled"
"""Nobody outside can name a key with a colon."""

_ENDED = (OrderState.OPEN.value, OrderState.REVIEW.value)
_GIVEN = sa.exists().where(REFUNDS.c.order_id == ORDERS.c.id, REFUNDS.c.key == CANCELLED_KEY)
_HAS_MONEY = sa.exists().where(
    ATTEMPTS.c.order_id == ORDERS.c.id,
    ATTEMPTS.c.number == ORDERS.c.paid_by,
    ATTEMPTS.c.captured_minor > ATTEMPTS.c.refunded_minor + ATTEMPTS.c.disputed_minor,
)
_LEFT = (
    ORDERS.c.event_id == sa.bindparam("event"),
    sa.or_(ORDERS.c.state.in_(_ENDED), sa.and_(ORDERS.c.state == OrderState.PAID.value, ~_GIVEN, _HAS_MONEY)),
)
_TO_END = sa.select(ORDERS.c.id).where(*_LEFT).order_by(ORDERS.c.id)
_COUNT = sa.select(sa.func.count()).select_from(ORDERS).where(*_LEFT)
_STATES = (
    sa.select(ORDERS.c.state, sa.func.count())
    .where(ORDERS.c.event_id == sa.bindparam("event"))
    .group_by(ORDERS.c.state)
)
_REFUNDS = (
    sa.select(REFUNDS.c.state, sa.func.count())
    .where(
        REFUNDS.c.event_id == sa.bindparam("event"),
        sa.or_(REFUNDS.c.key == CANCELLED_KEY, REFUNDS.c.key.startswith(f"{CANCELLED_KEY}:")),
    )
    .group_by(REFUNDS.c.state)
)
_MOVING = sa.select(sa.func.count()).select_from(WORK).where(WORK.c.event_id == sa.bindparam("event"))


@dataclass(frozen=True, slots=True)
class Progress:
    """How far the end of an event has come: orders by state, its refunds by state, orders that nobody has ended.

    ``moving``: payments and refunds of which the providers have not said the last word.
    """

    orders: Mapping[str, int]
    refunds: Mapping[str, int]
    left: int
    moving: int

    @property
    def is_done(self) -> bool:
        """Tell whether nothing moves any more; a refund that has failed waits for a person."""
        return self.left + self.moving == 0


def to_end(connection: Connection, event: str, most: int) -> list[str]:
    """Name orders that are to be ended, or given back."""
    return list(connection.scalars(_TO_END.limit(most), {"event": event}))


def progress(connection: Connection, event: str) -> Progress:
    """Tell how far it has come."""
    own = {"event": event}
    orders: dict[str, int] = dict(connection.execute(_STATES, own).all())
    refunds: dict[str, int] = dict(connection.execute(_REFUNDS, own).all())
    left, moving = (connection.scalar(query, own) or 0 for query in (_COUNT, _MOVING))
    return Progress(orders, refunds, left, moving)
