"""People: where a buyer's tickets go, sealed, beside the event's orders."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def _text(name: str, *, key: bool = False) -> sa.Column[str]:
    return sa.Column(name, sa.Text(), primary_key=key, nullable=False)


def upgrade() -> None:
    """Create the table."""
    op.create_table(
        "contacts",
        _text("event_id", key=True),
        _text("order_id", key=True),
        _text("email"),
        _text("email_index"),
        _text("name"),
        _text("language"),
        sa.Column("changed_ms", sa.BigInteger(), nullable=False),
    )
    op.create_index("contacts_email", "contacts", ["email_index"])
