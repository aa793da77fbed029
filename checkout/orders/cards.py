"""Cards: how many seats of an event one card has paid for, whoever had it, and that it never pays for too many.

Counted in the transaction that sells, while no other sale to the same card of the same event can be counted or
committed (``take_turn``): so two orders with one card, sold at the same moment by two workers, are counted one after
the other. Nothing is kept but the sales themselves: who gives seats back has them counted no more. A provider that
tells no fingerprint of its cards is not limited. Not here: what follows (``orders.driving``).
"""

import hashlib

import sqlalchemy as sa
from sqlalchemy import Connection

from checkout.orders.order import SOLD, Attempt
from checkout.tables import ATTEMPTS, ORDERS, RESERVATION_SEATS
from kernel.database import take_turn

_SOLD = (
    sa.select(sa.func.count())
    .select_from(ATTEMPTS)
    .join(ORDERS, (ORDERS.c.id == ATTEMPTS.c.order_id) & (ORDERS.c.paid_by == ATTEMPTS.c.number))
    .join(RESERVATION_SEATS, RESERVATION_SEATS.c.reservation_id == ORDERS.c.reservation_id)
    .where(
        ATTEMPTS.c.event_id == sa.bindparam("event"),
        ATTEMPTS.c.fingerprint == sa.bindparam("card"),
        ATTEMPTS.c.fingerprint != "",
        ORDERS.c.state.in_(sorted(state.value for state in SOLD)),
    )
)
_WANTED = sa.select(sa.func.count()).where(RESERVATION_SEATS.c.reservation_id == sa.bindparam("sale"))


class CardFull(Exception):
    """The card has paid for as many seats of the event as it may; nothing was changed."""


def seats_of_card(connection: Connection, event: str, fingerprint: str) -> int:
    """Count the seats of an event that a card has paid for."""
    return connection.scalar(_SOLD, {"event": event, "card": fingerprint}) or 0


def within_card(connection: Connection, attempt: Attempt, most: int) -> None:
    """See to it that a card may pay for an order's seats, too; before the order is sold. Raises ``CardFull``."""
    if not attempt.fingerprint:
        return
    take_turn(connection, _lock_of(attempt))
    wanted = connection.scalar(_WANTED, {"sale": attempt.reservation}) or 0
    if seats_of_card(connection, attempt.event, attempt.fingerprint) + wanted > most:
        raise CardFull


def _lock_of(attempt: Attempt) -> int:
    """Name the lock of a card at an event: 63 bits, so that two that share one only wait for each other."""
    octets = hashlib.sha256(f"card\0{attempt.event}\0{attempt.fingerprint}".encode()).digest()
    return int.from_bytes(octets[:8], "big") >> 1
