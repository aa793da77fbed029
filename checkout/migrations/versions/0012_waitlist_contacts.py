"""Contacts of who waits; and that a message was asked for again while it was on its way."""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the table, and the column that counts."""
    op.create_table(
        "waitlist_contacts",
        sa.Column("event_id", sa.Text(), primary_key=True, nullable=False),
        sa.Column("number", sa.Integer(), primary_key=True, autoincrement=False, nullable=False),
        sa.Column("email", sa.Text(), nullable=False),
        sa.Column("email_index", sa.Text(), nullable=False),
        sa.Column("language", sa.Text(), nullable=False),
        sa.Column("account_id", sa.Text(), nullable=False),
        sa.Column("changed_ms", sa.BigInteger(), nullable=False),
    )
    op.create_index("waitlist_contacts_email", "waitlist_contacts", ["email_index"])
    op.create_index("waitlist_contacts_account", "waitlist_contacts", ["account_id"])
    op.add_column(
        "outbox_sends", sa.Column("asked", sa.Integer(), nullable=False, server_default=sa.text("0"))
    )
