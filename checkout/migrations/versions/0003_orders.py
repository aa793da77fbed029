"""Orders: what is to be paid, each try to pay it, what goes back, what providers told, and where the money went."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def _text(name: str, *, key: bool = False) -> sa.Column[str]:
    return sa.Column(name, sa.Text(), primary_key=key, nullable=False)


def _int(name: str, *, key: bool = False) -> sa.Column[int]:
    return sa.Column(name, sa.Integer(), primary_key=key, autoincrement=False, nullable=False)


def _big(name: str) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger(), nullable=False)


def upgrade() -> None:
    """Create tables and indexes."""
    op.create_table(
        "orders",
        _text("id", key=True),
        _text("event_id"),
        _text("buyer"),
        _text("reservation_id"),
        _text("state"),
        _text("currency"),
        _big("amount_minor"),
        _big("created_ms"),
        _big("until_ms"),
        _int("attempt"),
        _int("paid_by"),
        sa.Column("disputed", sa.Boolean(), nullable=False),
        _int("version"),
        sa.UniqueConstraint("reservation_id", name="orders_reservation"),
    )
    op.create_index("orders_due", "orders", ["state", "until_ms"])
    op.create_index("orders_buyer", "orders", ["event_id", "buyer"])
    op.create_table(
        "order_attempts",
        _text("order_id", key=True),
        _int("number", key=True),
        _text("event_id"),
        _text("reservation_id"),
        _text("provider"),
        _text("goal"),
        _text("state"),
        sa.Column("review", sa.Boolean(), nullable=False),
        _text("currency"),
        _big("amount_minor"),
        _text("ref"),
        _text("decline"),
        _text("action_url"),
        _big("captured_minor"),
        _big("refunded_minor"),
        _big("disputed_minor"),
        _text("fingerprint"),
        _text("card"),
        _int("asked"),
        _big("created_ms"),
        _int("version"),
    )
    op.create_index("order_attempts_reservation", "order_attempts", ["reservation_id"])
    op.create_index(
        "order_attempts_ref", "order_attempts", ["provider", "ref"], unique=True,
        sqlite_where=sa.text("ref <> ''"), postgresql_where=sa.text("ref <> ''"),
    )  # fmt: skip
    op.create_table(
        "order_work",
        _text("order_id", key=True),
        _text("kind", key=True),
        _text("name", key=True),
        _text("event_id"),
        _text("method"),
        _big("due_ms"),
        _int("tries"),
    )
    op.create_index("order_work_due", "order_work", ["due_ms"])
    op.create_table(
        "order_refunds",
        _text("order_id", key=True),
        _text("key", key=True),
        _int("attempt"),
        _text("event_id"),
        _text("reservation_id"),
        _text("currency"),
        _big("amount_minor"),
        _text("state"),
        _text("ref"),
        _text("reason"),
        _text("by"),
        _big("created_ms"),
        _int("version"),
    )
    op.create_index("order_refunds_reservation", "order_refunds", ["reservation_id"])
    op.create_table(
        "order_notices",
        _text("provider", key=True),
        _text("id", key=True),
        _text("event_id"),
        _text("topic"),
        _text("ref"),
        _text("state"),
        _text("why"),
        _big("at_ms"),
        _big("came_ms"),
    )
    op.create_index("order_notices_age", "order_notices", ["came_ms"])
    op.create_table(
        "order_money",
        _text("provider", key=True),
        _text("ref", key=True),
        _text("kind", key=True),
        _int("number", key=True),
        _text("event_id"),
        _text("order_id"),
        _int("attempt"),
        _text("currency"),
        _big("amount_minor"),
        _big("at_ms"),
    )
    op.create_index("order_money_order", "order_money", ["order_id"])
