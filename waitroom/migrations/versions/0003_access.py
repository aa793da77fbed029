"""Accounts, sessions, tokens and logins of the operator's side: beside the chain, because people can be removed.

No secret stands here as it is: of passwords, codes and tokens there are hashes, the secret of a device is sealed, of an
address there is a keyed hash. ``rooms`` NULL stands for all rooms, '' for none.
"""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the tables."""
    op.create_table(
        "operator_accounts",
        sa.Column("key", sa.Text(), primary_key=True),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("role", sa.Text(), nullable=False),
        sa.Column("rooms", sa.Text(), nullable=True),
        sa.Column("password", sa.Text(), nullable=False),
        sa.Column("device", sa.Text(), nullable=False),
        sa.Column("counter", sa.BigInteger(), nullable=False),
        sa.Column("recovery", sa.Text(), nullable=False),
        sa.Column("email", sa.Text(), nullable=True, unique=True),
        sa.Column("email_until_ms", sa.BigInteger(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=True, unique=True),
        sa.Column("invite", sa.Text(), nullable=True, unique=True),
        sa.Column("invite_until_ms", sa.BigInteger(), nullable=False),
        sa.Column("made_ms", sa.BigInteger(), nullable=False),
        sa.Column("made_by", sa.Text(), nullable=False),
    )
    op.create_table(
        "operator_sessions",
        sa.Column("digest", sa.Text(), primary_key=True),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("made_ms", sa.BigInteger(), nullable=False),
        sa.Column("until_ms", sa.BigInteger(), nullable=False),
        sa.Column("network", sa.Text(), nullable=False),
        sa.Column("how", sa.Text(), nullable=False),
    )
    op.create_index("operator_sessions_key", "operator_sessions", ["key"])
    op.create_table(
        "operator_tokens",
        sa.Column("key", sa.Text(), primary_key=True),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("digest", sa.Text(), nullable=False, unique=True),
        sa.Column("role", sa.Text(), nullable=False),
        sa.Column("rooms", sa.Text(), nullable=True),
        sa.Column("maker", sa.Text(), nullable=False),
        sa.Column("made_ms", sa.BigInteger(), nullable=False),
        sa.Column("until_ms", sa.BigInteger(), nullable=False),
        sa.Column("used_ms", sa.BigInteger(), nullable=True),
    )
    op.create_table(
        "operator_logins",
        sa.Column("id", sa.Integer(), primary_key=True, autoincrement=True),
        sa.Column("at_ms", sa.BigInteger(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("network", sa.Text(), nullable=False),
        sa.Column("how", sa.Text(), nullable=False),
        sa.Column("outcome", sa.Text(), nullable=False),
    )
    op.create_index("operator_logins_key", "operator_logins", ["key", "network"])
    op.create_index("operator_logins_at", "operator_logins", ["at_ms"])
