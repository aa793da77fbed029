"""Orders projection: what is written into the log of a sale about its order, and what its entries come to.

Written and read in one file, so that both are of one mind. An order's entries stand in the stream of its reservation.
The body of each tells the fields that have changed, of the order, its attempts, refunds and review::

    {"order": {"state": "paid"}, "attempts": {"1": {"state": "captured", "captured_minor": 8400}}}

So the rows are what all bodies come to, put on top of each other. What an order's change did to its tickets stands in
the same body (``tickets.projection``). Kinds say what happened, for people::

    order-opened  order-tried  payment  order-sold  order-paid  order-released  order-closed  refund-wanted  refund
    review-opened

When somebody is to look, and what an order is to be paid with, is no history and is not told (``orders.work``). Pure.
Not here: the statements (``orders.rows``).
"""

from collections.abc import Iterable, Mapping
from typing import Any

from checkout.eventlog.entries import Body, Draft, Entry
from checkout.eventlog.projecting import Projected, Projection, Rows
from checkout.orders.order import Attempt, Order
from checkout.orders.refund import Refund
from checkout.orders.review import Review
from checkout.orders.review_rows import review_row
from checkout.orders.rows import attempt_row, order_row, refund_row
from checkout.tables import ATTEMPTS, ORDERS, REFUNDS, REVIEWS
from checkout.tickets.projection import Change
from checkout.tickets.projection import told as ticket_changes

KINDS = (
    "order-opened", "order-tried", "payment", "order-sold", "order-paid", "order-released", "order-closed",
    "refund-wanted", "refund", "review-opened",
)  # fmt: skip
OPENED, TRIED, PAYMENT, SOLD, PAID, RELEASED, CLOSED, WANTED, REFUNDED, TAKEN_UP = KINDS
NAME = "orders"

State = dict[str, dict[str, dict[str, Any]]]
"""Rows: ``order``, ``attempts``, ``refunds`` and ``reviews`` to the row's name to its fields."""


class Told:
    """What one change has done to an order's rows."""

    def __init__(self) -> None:
        self._body: State = {}
        self._of = ("", "")

    def order(self, was: Order | None, now: Order) -> None:
        """Note an order."""
        self._of = (now.event, now.reservation)
        self._note("order", "", None if was is None else order_row(was), order_row(now))

    def attempt(self, was: Attempt | None, now: Attempt) -> None:
        """Note an attempt."""
        self._of = (now.event, now.reservation)
        self._note("attempts", str(now.number), None if was is None else attempt_row(was), attempt_row(now))

    def refund(self, was: Refund | None, now: Refund) -> None:
        """Note a refund."""
        self._of = (now.event, now.reservation)
        self._note("refunds", now.key, None if was is None else refund_row(was), refund_row(now))

    def review(self, was: Review | None, now: Review) -> None:
        """Note a review; an order has one at most."""
        self._of = (now.event, now.reservation)
        self._note("reviews", "", None if was is None else review_row(was), review_row(now))

    def tickets(self, changes: Iterable[Change]) -> None:
        """Note what became of tickets; they are read by a projection of their own."""
        if noted := ticket_changes(changes):
            self._body["tickets"] = {id_: dict(fields) for id_, fields in noted.items()}

    def draft(self, kind: str, at_ms: int) -> list[Draft]:
        """Write the entry, if there is anything to tell."""
        event, stream = self._of
        return [Draft(event, stream, kind, dict(self._body), at_ms)] if self._body else []

    def _note(self, what: str, name: str, was: Mapping[str, Any] | None, now: Mapping[str, Any]) -> None:
        changed = {key: value for key, value in now.items() if was is None or was[key] != value}
        if changed:
            self._body.setdefault(what, {}).setdefault(name, {}).update(changed)


def _merge(was: State | None, _entry: Entry, body: Body) -> State:
    state: State = {
        what: {name: dict(row) for name, row in rows.items()} for what, rows in (was or {}).items()
    }
    for what, rows in body.items():
        if what == "tickets":
            continue
        for name, fields in rows.items():
            state.setdefault(what, {}).setdefault(name, {}).update(fields)
    return state


def rows_of(state: State) -> Rows:
    """Write all rows."""
    return {
        ORDERS.name: list(state.get("order", {}).values()),
        ATTEMPTS.name: list(state.get("attempts", {}).values()),
        REFUNDS.name: list(state.get("refunds", {}).values()),
        REVIEWS.name: list(state.get("reviews", {}).values()),
    }


ORDERS_LOG = Projection(
    NAME,
    dict.fromkeys(KINDS, _merge),
    (
        Projected(ORDERS, "reservation_id"),
        Projected(ATTEMPTS, "reservation_id"),
        Projected(REFUNDS, "reservation_id"),
        Projected(REVIEWS, "reservation_id"),
    ),
    rows_of,
)
