"""Adyen: what was asked of it for each payment, and what it has told, as it cannot be asked how a payment stands."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def _text(name: str, *, key: bool = False) -> sa.Column[str]:
    return sa.Column(name, sa.Text(), primary_key=key, nullable=False)


def _int(name: str) -> sa.Column[int]:
    return sa.Column(name, sa.Integer(), autoincrement=False, nullable=False)


def _big(name: str) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger(), nullable=False)


def upgrade() -> None:
    """Create tables and indexes."""
    op.create_table(
        "adyen_payments",
        _text("ref", key=True),
        _text("event_id"),
        _text("order_id"),
        _int("attempt"),
        _text("currency"),
        _big("amount_minor"),
        _big("created_ms"),
        _text("return_url"),
        sa.Column("let_go", sa.Boolean(), nullable=False),
    )
    op.create_index("adyen_payments_age", "adyen_payments", ["created_ms"])
    op.create_table(
        "adyen_entries",
        _text("ref", key=True),
        _text("name", key=True),
        _text("event_id"),
        _text("kind"),
        _text("code"),
        _text("outcome"),
        _text("psp"),
        _big("amount_minor"),
        _text("asks"),
        _text("url"),
        _text("decline"),
        _text("card"),
        _int("tries"),
        _big("at_ms"),
    )
