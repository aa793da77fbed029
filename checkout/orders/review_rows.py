"""Review rows: reviews as the database has them. Every function works inside of the caller's transaction.

A review is written together with the sale that it is about, and decided together with what follows for its order; the
order's version sees to it that one decision counts. Whether one is open its order says, so an order that ends otherwise
ends its review. Not here: what belongs into one transaction (``orders.store``).
"""

from dataclasses import replace
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection

from checkout.fraud.review import Decision, Terms, lapses
from checkout.orders.order import Attempt, OrderState
from checkout.orders.review import Review, Word
from checkout.tables import ORDERS, REVIEWS

_NEW = sa.insert(REVIEWS)
_OF = sa.select(REVIEWS).where(REVIEWS.c.order_id == sa.bindparam("id_"))
_DECIDE = (
    sa.update(REVIEWS)
    .where(REVIEWS.c.order_id == sa.bindparam("id_"), REVIEWS.c.decision == "")
    .values({name: sa.bindparam(f"to_{name}") for name in ("decision", "by", "note", "decided_ms")})
)
_WAITS = ORDERS.c.state == OrderState.REVIEW.value
_BOTH = ORDERS.c.id == REVIEWS.c.order_id
_DUE = (
    sa.select(ORDERS.c.event_id, ORDERS.c.id)
    .join_from(ORDERS, REVIEWS, _BOTH)
    .where(_WAITS, REVIEWS.c.lapses_ms <= sa.bindparam("now"))
    .order_by(REVIEWS.c.lapses_ms, ORDERS.c.id)
)
_WITHOUT = (
    sa.select(ORDERS.c.event_id, ORDERS.c.id).where(_WAITS, ~sa.exists().where(_BOTH)).order_by(ORDERS.c.id)
)
_OPEN = (
    sa.select(sa.func.count(), sa.func.min(REVIEWS.c.opened_ms))
    .join_from(ORDERS, REVIEWS, _BOTH)
    .where(_WAITS)
)


def review_row(review: Review) -> dict[str, Any]:
    """Write a review as its row."""
    return {
        "order_id": review.order,
        "event_id": review.event,
        "reservation_id": review.reservation,
        "attempt": review.attempt,
        "opened_ms": review.opened_ms,
        "lapses_ms": review.lapses_ms,
        "decision": review.decision.value if review.decision else "",
        "by": review.by,
        "note": review.note,
        "decided_ms": review.decided_ms,
    }


def read_review(row: Any) -> Review:
    """Read a row of reviews."""
    return Review(
        order=row.order_id,
        event=row.event_id,
        reservation=row.reservation_id,
        attempt=row.attempt,
        opened_ms=row.opened_ms,
        lapses_ms=row.lapses_ms,
        decision=Decision(row.decision) if row.decision else None,
        by=row.by,
        note=row.note,
        decided_ms=row.decided_ms,
    )


def open_review(connection: Connection, attempt: Attempt, terms: Terms, at_ms: int) -> Review:
    """Write a new review; returns it. The seats are sold by then, so only the authorisation sets its end."""
    until_ms = attempt.created_ms + terms.authorised_ms
    lapses_ms = lapses(until_ms, until_ms, terms, at_ms)
    made = Review(attempt.order, attempt.event, attempt.reservation, attempt.number, at_ms, lapses_ms)
    connection.execute(_NEW, review_row(made))
    return made


def find_review(connection: Connection, order: str) -> Review | None:
    """Return the review of an order."""
    row = connection.execute(_OF, {"id_": order}).one_or_none()
    return None if row is None else read_review(row)


def decide_review(
    connection: Connection, order: str, decision: Decision, word: Word, at_ms: int
) -> tuple[Review, Review] | None:
    """Write a decision down; returns the review before and after, None when there is none to decide."""
    was = find_review(connection, order)
    if was is None or was.decision is not None:
        return None
    now = replace(was, decision=decision, by=word.by, note=word.note, decided_ms=at_ms)
    told = {f"to_{name}": value for name, value in review_row(now).items()}
    connection.execute(_DECIDE, {"id_": order, **told})
    return was, now


def reviews_due(connection: Connection, now_ms: int, most: int) -> list[tuple[str, str]]:
    """Name orders whose review has lapsed, as (event, order), the first to lapse first."""
    return [(row.event_id, row.id) for row in connection.execute(_DUE.limit(most), {"now": now_ms})]


def without_review(connection: Connection, most: int) -> list[tuple[str, str]]:
    """Name orders in review that have none, as (event, order): they are older than the rows are."""
    return [(row.event_id, row.id) for row in connection.execute(_WITHOUT.limit(most))]


def reviews_open(connection: Connection) -> tuple[int, int | None]:
    """Count the open reviews, and tell when the oldest was opened."""
    count, oldest_ms = connection.execute(_OPEN).one()
    return count, oldest_ms
