"""Dispute rows: what buyers' banks want back, one by one, as providers tell of it; for who looks after a sale.

How much of a payment is disputed stands in its attempt and its movements in the books of money; here stands what a
person has to know beside: how a dispute stands, why it was opened, until when evidence is taken. It can be asked for
again, so it is no history and not in the log. Inside of the caller's transaction. Not here: what follows.
"""

from sqlalchemy import Connection
from sqlalchemy.dialects import postgresql, sqlite

from checkout.orders.order import Attempt
from checkout.tables import DISPUTES

_KEY = ("provider", "ref")
_CHANGING = ("state", "reason", "amount_minor", "evidence_ms", "changed_ms")


def _upsert(insert: type[postgresql.Insert] | type[sqlite.Insert]) -> postgresql.Insert | sqlite.Insert:
    given = insert(DISPUTES)
    return given.on_conflict_do_update(
        index_elements=_KEY, set_={name: given.excluded[name] for name in _CHANGING}
    )


_UPSERTS = {"sqlite": _upsert(sqlite.Insert), "postgresql": _upsert(postgresql.Insert)}


def put_disputes(connection: Connection, attempt: Attempt, at_ms: int) -> None:
    """Write down how the disputes of an attempt stand."""
    rows = [
        {
            "provider": attempt.provider, "ref": one.ref, "event_id": attempt.event, "order_id": attempt.order,
            "attempt": attempt.number, "state": one.state.value, "reason": one.reason,
            "currency": one.amount.currency, "amount_minor": one.amount.amount_minor, "opened_ms": one.opened_ms,
            "evidence_ms": one.evidence_ms, "changed_ms": at_ms,
        }
        for one in attempt.disputes
    ]  # fmt: skip
    connection.execute(_UPSERTS[connection.dialect.name], rows)
