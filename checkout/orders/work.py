"""Work: what is left to be done with attempts and refunds, and when somebody is to look.

A row is there while something is open, and is gone with it; the method to pay with stands here and nowhere else, so it
is forgotten with the row. These rows are no history and are not in the log: they may change as often as they like.
Not here: what is done (``orders.driving``, ``orders.refunding``).
"""

from collections.abc import Iterable

import sqlalchemy as sa
from sqlalchemy import Connection

from checkout.orders.order import NEVER_MS
from checkout.tables import WORK

ATTEMPT, REFUND = "attempt", "refund"

_OWN = (
    (WORK.c.order_id == sa.bindparam("id_"))
    & (WORK.c.kind == sa.bindparam("of_kind"))
    & (WORK.c.name == sa.bindparam("of_name"))
)
_ADD = sa.insert(WORK)
_CHANGE = (
    sa.update(WORK)
    .where(_OWN)
    .values(due_ms=sa.bindparam("to_due"), tries=sa.bindparam("to_tries"), method=sa.bindparam("to_method"))
)
_DROP = sa.delete(WORK).where(_OWN)
_DUE = (
    sa.select(WORK.c.order_id, WORK.c.kind, WORK.c.name)
    .where(WORK.c.due_ms <= sa.bindparam("now"))
    .order_by(WORK.c.due_ms)
    .with_for_update(skip_locked=True)
)
_LEASE = sa.update(WORK).where(_OWN).values(due_ms=sa.bindparam("next"))


def put(
    connection: Connection,
    order: str,
    kind: str,
    name: str,
    event: str,
    due_ms: int,
    tries: int = 0,
    method: str = "",
) -> None:
    """Say when to look at something; ``NEVER_MS``: nothing is left to be done with it."""
    own = {"id_": order, "of_kind": kind, "of_name": name}
    if due_ms >= NEVER_MS:
        connection.execute(_DROP, own)
        return
    changed = connection.execute(_CHANGE, {**own, "to_due": due_ms, "to_tries": tries, "to_method": method})
    if changed.rowcount == 0:
        add(connection, order, kind, name, event, due_ms, tries, method)


def add(
    connection: Connection,
    order: str,
    kind: str,
    name: str,
    event: str,
    due_ms: int,
    tries: int = 0,
    method: str = "",
) -> None:
    """Say when to look at something new."""
    row = {"order_id": order, "kind": kind, "name": name, "event_id": event}
    connection.execute(_ADD, {**row, "due_ms": due_ms, "tries": tries, "method": method})


def lease(connection: Connection, now_ms: int, until_ms: int, most: int) -> list[tuple[str, str, str]]:
    """Take what stands still, so that no other worker looks at it until then: order, kind, name."""
    due = [tuple(row) for row in connection.execute(_DUE.limit(most), {"now": now_ms})]
    if due:
        connection.execute(
            _LEASE, [{"id_": one[0], "of_kind": one[1], "of_name": one[2], "next": until_ms} for one in due]
        )
    return due


def now(connection: Connection, order: str, kind: str, names: Iterable[str], at_ms: int) -> None:
    """Have something looked at now."""
    for name in names:
        connection.execute(_LEASE, {"id_": order, "of_kind": kind, "of_name": name, "next": at_ms})


def left(connection: Connection) -> int:
    """Count what is open."""
    return connection.scalar(sa.select(sa.func.count()).select_from(WORK)) or 0
