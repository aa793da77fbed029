"""Looking after orders: reviews, what the fraud checks said, disputes, what was seen, and the lists of all of it."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

IS_STRAY = "number > 1000"
IS_ASIDE = "state = 'quarantined'"
HAS_CARD = "fingerprint <> ''"


def _text(name: str, *, key: bool = False) -> sa.Column[str]:
    return sa.Column(name, sa.Text(), primary_key=key, nullable=False)


def _int(name: str, *, key: bool = False) -> sa.Column[int]:
    return sa.Column(name, sa.Integer(), primary_key=key, autoincrement=False, nullable=False)


def _big(name: str) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger(), nullable=False)


def _partial(name: str, table: str, columns: list[str], where: str) -> None:
    op.create_index(name, table, columns, sqlite_where=sa.text(where), postgresql_where=sa.text(where))


def upgrade() -> None:
    """Create tables and indexes."""
    op.create_table(
        "order_reviews",
        _text("order_id", key=True),
        _text("event_id"),
        _text("reservation_id"),
        _int("attempt"),
        _big("opened_ms"),
        _big("lapses_ms"),
        _text("decision"),
        _text("by"),
        _text("note"),
        _big("decided_ms"),
    )
    op.create_index("order_reviews_reservation", "order_reviews", ["reservation_id"])
    op.create_table(
        "order_verdicts",
        _text("order_id", key=True),
        _int("attempt", key=True),
        _text("stage", key=True),
        _text("event_id"),
        _text("answer"),
        _text("body"),
        _big("at_ms"),
    )
    op.create_table(
        "order_disputes",
        _text("provider", key=True),
        _text("ref", key=True),
        _text("event_id"),
        _text("order_id"),
        _int("attempt"),
        _text("state"),
        _text("reason"),
        _text("currency"),
        _big("amount_minor"),
        _big("opened_ms"),
        _big("evidence_ms"),
        _big("changed_ms"),
    )
    op.create_index("order_disputes_opened", "order_disputes", ["event_id", "opened_ms"])
    op.create_index("order_disputes_order", "order_disputes", ["order_id"])
    op.create_table(
        "order_marks",
        _text("kind", key=True),
        _text("provider", key=True),
        _text("name", key=True),
        _text("event_id"),
        _text("by"),
        _big("at_ms"),
    )
    op.create_index("orders_made", "orders", ["event_id", "created_ms", "id"])
    op.create_index("order_refunds_made", "order_refunds", ["event_id", "created_ms"])
    op.create_index("order_money_event", "order_money", ["event_id"])
    _partial("order_attempts_card", "order_attempts", ["event_id", "fingerprint"], HAS_CARD)
    _partial("order_attempts_strays", "order_attempts", ["created_ms"], IS_STRAY)
    _partial("order_notices_aside", "order_notices", ["came_ms"], IS_ASIDE)
