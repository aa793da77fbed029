"""Returning: money of a paid order that is to go back, and what became of it: each in one transaction.

All refunds that are wanted or done are never more than what was captured: who wants one changes the version of the
attempt that it is counted from, so of two who want at the same moment one looks again. Every function takes a
connection inside of the caller's transaction and may be run again (``grouping``). Not here: asking the provider
(``orders.refunding``), which statements (``orders.rows``).
"""

from sqlalchemy import Connection

from checkout.money import Money
from checkout.orders.letters import tell_cancelled, tell_refund
from checkout.orders.order import Attempt, OrderState
from checkout.orders.projection import REFUNDED, WANTED, Told
from checkout.orders.refund import Refund, RefundState
from checkout.orders.rows import (
    add_refund,
    change_refund,
    find_attempt,
    find_order,
    refunds_of,
    touch_attempt,
)
from checkout.orders.store import note_attempt, tell


class NoRefund(Exception):
    """There is not so much to give back; ``left_minor`` is."""

    def __init__(self, left_minor: int) -> None:
        super().__init__(left_minor)
        self.left_minor = left_minor


def write_refund(
    connection: Connection, was: Refund, now: Refund, attempt: Attempt, heard: Attempt, at_ms: int
) -> Refund:
    """Write what became of a refund, with what its payment now says. Raises ``Stale``."""
    told = Told()
    if heard != attempt:
        told.attempt(attempt, note_attempt(connection, attempt, heard, at_ms))
    changed = change_refund(connection, was, now)
    told.refund(was, changed)
    tell(connection, told.draft(REFUNDED, at_ms))
    tell_refund(connection, was, changed, heard, at_ms)
    return changed


def want_refund(
    connection: Connection,
    order_id_: str,
    amount_minor: int | None,
    key: str,
    now_ms: int,
    by: str,
    reason: str,
) -> Refund:
    """Write down that money of a paid order is to go back, None for all that is left. Raises ``NoRefund``, ``Stale``.

    A repeat under the same key is the refund that there is, whatever it asks for.
    """
    order = find_order(connection, order_id_)
    attempt = None if order is None else find_attempt(connection, order_id_, order.paid_by)
    # After the attempt: a refund that somebody commits between the two has changed its version.
    known = refunds_of(connection, order_id_)
    if (same := next((one for one in known if one.key == key), None)) is not None:
        return same
    if order is None or attempt is None or order.state is not OrderState.PAID:
        # What is not wanted at all goes back by itself; asked for here as well it would go back twice.
        raise NoRefund(0)
    open_minor = sum(
        one.amount.amount_minor
        for one in known
        if one.attempt == attempt.number and one.state is RefundState.WANTED
    )
    # What the buyer's bank has taken back is with the buyer already.
    left_minor = attempt.captured_minor - attempt.refunded_minor - attempt.disputed_minor - open_minor
    wanted_minor = left_minor if amount_minor is None else amount_minor
    if not 0 < wanted_minor <= left_minor:
        raise NoRefund(max(0, left_minor))
    refund = Refund(
        order=order_id_,
        key=key,
        attempt=attempt.number,
        event=attempt.event,
        amount=Money(wanted_minor, attempt.amount.currency),
        created_ms=now_ms,
        due_ms=now_ms,
        reason=reason,
        by=by,
    )
    # Two who want at the same moment: the slower one finds the version changed, looks again, and sees the other.
    told = Told()
    told.attempt(attempt, touch_attempt(connection, attempt))
    add_refund(connection, refund)
    told.refund(None, refund)
    tell(connection, told.draft(WANTED, now_ms))
    tell_cancelled(connection, refund, now_ms)
    return refund
