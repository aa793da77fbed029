"""Trace rows: in which trace an order's first try to pay was made, so that whoever works on it later goes on with it.

No history, and nothing that an order depends on: it is not in the log of the sale, and an order without a row has no
trace. Every function works inside of the caller's transaction. Not here: what a trace is (``kernel.tracing``).
"""

from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection
from sqlalchemy.dialects import postgresql, sqlite

from checkout.tables import ORDER_TRACES

_DIALECTS: Mapping[str, Any] = {"sqlite": sqlite.insert, "postgresql": postgresql.insert}
_KEEP = {name: insert(ORDER_TRACES).on_conflict_do_nothing() for name, insert in _DIALECTS.items()}
_OF = sa.select(ORDER_TRACES.c.trace).where(ORDER_TRACES.c.order_id == sa.bindparam("id_"))


def keep(connection: Connection, order: str, event: str, trace: str, at_ms: int) -> None:
    """Keep an order's trace, unless it has one; '' is none."""
    if trace:
        row = {"order_id": order, "event_id": event, "trace": trace, "created_ms": at_ms}
        connection.execute(_KEEP[connection.dialect.name], row)


def trace_of(connection: Connection, order: str) -> str:
    """Return an order's trace, '' for none."""
    return connection.scalar(_OF, {"id_": order}) or ""
