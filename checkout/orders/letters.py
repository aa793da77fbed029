"""Letters: what the buyer of an order is told, in the transaction that makes it true (``notifications.store``).

Which change tells what stands here; that it is told at all, however often somebody dies, is the outbox's. Facts only,
nothing of a person. An order that was never paid lapses or is given up in silence. Not here: words (``site.mails``).
"""

from sqlalchemy import Connection

from checkout.money import Money
from checkout.notifications.message import Kind, Message, message_id
from checkout.notifications.store import put
from checkout.orders.cancelled_rows import CANCELLED_KEY
from checkout.orders.order import Attempt, Order, OrderState
from checkout.orders.refund import Refund, RefundState

_OF_ORDERS = {
    OrderState.PAID: Kind.ORDER_PAID,
    OrderState.REVIEW: Kind.ORDER_REVIEW,
    OrderState.REFUSED: Kind.ORDER_REFUSED,
    OrderState.FAILED: Kind.PAYMENT_FAILED,
}
"""What an order's new state tells; other states are silent."""


def tell_order(connection: Connection, order: Order, at_ms: int) -> None:
    """Have it told that an order has come into its state, if that is told."""
    kind = _OF_ORDERS.get(order.state)
    if kind is not None:
        _put(connection, kind, order.event, order.id, order.amount, at_ms)


def tell_refund(connection: Connection, was: Refund, now: Refund, heard: Attempt, at_ms: int) -> None:
    """Have it told that money has gone back, when it has, and whether it was all that there was."""
    if now.state is RefundState.DONE and was.state is not RefundState.DONE:
        is_whole = heard.refunded_minor >= heard.captured_minor
        kind = Kind.ORDER_REFUNDED
        _put(connection, kind, now.event, now.order, now.amount, at_ms, now.key, whole=is_whole)


def tell_cancelled(connection: Connection, refund: Refund, at_ms: int) -> None:
    """Have it told that the event will not take place, when that is why money is to go back."""
    if refund.key == CANCELLED_KEY:
        _put(connection, Kind.EVENT_CANCELLED, refund.event, refund.order, refund.amount, at_ms)


def _put(
    connection: Connection,
    kind: Kind,
    event: str,
    order: str,
    amount: Money,
    at_ms: int,
    *of: str,
    **facts: bool,
) -> None:
    told = {"amount_minor": amount.amount_minor, "currency": amount.currency, **facts}
    put(connection, Message(message_id(kind, order, *of), event, kind, order, at_ms, told))
