"""Sales statements: what a reservation asks of SQL, built once, because building takes as long as executing.

The conditions have names of their own, so that a test can leave one out (``taking``). Parameters are named apart from
the columns that the statement sets. Not here: in which order they are executed, and why (``sales.store``).
"""

import sqlalchemy as sa

from checkout.halls.seats import Status
from checkout.tables import RESERVATION_SEATS, RESERVATIONS, SEATS, STORE_EPOCHS

_SEATS = SEATS.c
_OWN = (_SEATS.event_id == sa.bindparam("event")) & _SEATS.seat.in_(sa.bindparam("wanted", expanding=True))
IS_FREE = _SEATS.status == Status.FREE.value
IS_ALLOCATED = (_SEATS.status == Status.BLOCKED.value) & (_SEATS.allocation == sa.bindparam("of_allocation"))
AS_READ = sa.tuple_(_SEATS.seat, _SEATS.version).in_(sa.bindparam("read", expanding=True))
IS_NEWER = (_SEATS.epoch < sa.bindparam("its_epoch")) | (
    (_SEATS.epoch == sa.bindparam("its_epoch")) & (_SEATS.fence < sa.bindparam("its_fence"))
)


def taking(*conditions: sa.ColumnElement[bool]) -> sa.Update:
    """Write the statement that reserves seats, under conditions; it changes as many rows as meet them."""
    return (
        sa.update(SEATS)
        .where(_OWN, *conditions)
        .values(
            status=Status.RESERVED.value,
            version=_SEATS.version + 1,
            epoch=sa.bindparam("its_epoch"),
            fence=sa.bindparam("its_fence"),
            reservation_id=sa.bindparam("its_sale"),
        )
    )


SHARED_EPOCH = (
    sa.select(STORE_EPOCHS.c.epoch)
    .where(STORE_EPOCHS.c.event_id == sa.bindparam("event"))
    .with_for_update(read=True)
)
LOCK_BUYER = sa.select(sa.func.pg_advisory_xact_lock(sa.bindparam("lock", type_=sa.BigInteger)))
LOCK_SEATS = (
    sa.select(_SEATS.seat, _SEATS.status, _SEATS.allocation, _SEATS.version, _SEATS.reservation_id)
    .where(_OWN)
    .order_by(_SEATS.seat)
    .with_for_update()
)
COUNT_OTHERS = (
    sa.select(sa.func.count())
    .join_from(RESERVATIONS, RESERVATION_SEATS, RESERVATION_SEATS.c.reservation_id == RESERVATIONS.c.id)
    .where(
        RESERVATIONS.c.event_id == sa.bindparam("event"),
        RESERVATIONS.c.buyer == sa.bindparam("its_buyer"),
        RESERVATIONS.c.hold_id != sa.bindparam("hold"),
        RESERVATION_SEATS.c.active,
    )
)
NEW_SALE, NEW_SEATS = sa.insert(RESERVATIONS), sa.insert(RESERVATION_SEATS)
