"""Accounts: fans who log in, their sessions, and the orders that are theirs."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def _text(name: str, *, key: bool = False) -> sa.Column[str]:
    return sa.Column(name, sa.Text(), primary_key=key, nullable=False)


def _big(name: str) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger(), nullable=False)


def upgrade() -> None:
    """Create the tables."""
    op.create_table(
        "accounts",
        _text("id", key=True),
        _text("subject_index"),
        _text("email"),
        _text("name"),
        _text("language"),
        _text("wants"),
        _big("created_ms"),
        _big("seen_ms"),
        sa.UniqueConstraint("subject_index", name="accounts_subject"),
    )
    op.create_table(
        "account_sessions",
        _text("digest", key=True),
        _text("account_id"),
        _big("created_ms"),
        _big("used_ms"),
    )
    op.create_index("account_sessions_account", "account_sessions", ["account_id"])
    op.create_index("account_sessions_used", "account_sessions", ["used_ms"])
    op.create_table(
        "account_logins",
        _text("digest", key=True),
        _text("state"),
        _text("nonce"),
        _text("verifier"),
        _text("back"),
        _big("created_ms"),
    )
    op.create_index("account_logins_age", "account_logins", ["created_ms"])
    op.create_table(
        "account_orders",
        _text("event_id", key=True),
        _text("order_id", key=True),
        _text("account_id"),
        _big("at_ms"),
    )
    op.create_index("account_orders_account", "account_orders", ["account_id", "at_ms"])
