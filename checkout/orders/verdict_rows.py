"""Verdict rows: what the fraud checks said of a try, where they said more than that it may go on.

For whoever has to look at an order, and for nobody else: neither the buyer nor the log hears of it. A try is judged
before the bank is asked and once more after; each is written once, whoever asks again. Inside of the caller's
transaction. Not here: what is judged (``checkout.fraud``), what follows (``orders.driving``).
"""

from collections.abc import Mapping
from enum import StrEnum

import orjson
from sqlalchemy import Connection
from sqlalchemy.dialects import postgresql, sqlite

from checkout.orders.order import Order
from checkout.tables import VERDICTS

_NEW = {
    "sqlite": sqlite.insert(VERDICTS).on_conflict_do_nothing(),
    "postgresql": postgresql.insert(VERDICTS).on_conflict_do_nothing(),
}


class Stage(StrEnum):
    """When a try was judged."""

    BEFORE = "before"
    """The bank has not been asked."""
    AFTER = "after"
    """The money is authorised, and the card is known."""


def put_verdict(
    connection: Connection,
    order: Order,
    attempt: int,
    stage: Stage,
    answer: str,
    told: Mapping[str, object],
    at_ms: int,
) -> None:
    """Write down what was said; `told`: a score and reasons, for people."""
    row = {
        "order_id": order.id, "attempt": attempt, "stage": stage.value, "event_id": order.event, "answer": answer,
        "body": orjson.dumps(told).decode(), "at_ms": at_ms,
    }  # fmt: skip
    connection.execute(_NEW[connection.dialect.name], row)
