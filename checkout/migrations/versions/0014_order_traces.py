"""In which trace an order is worked on."""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the table."""
    op.create_table(
        "order_traces",
        sa.Column("order_id", sa.Text(), primary_key=True, nullable=False),
        sa.Column("event_id", sa.Text(), nullable=False),
        sa.Column("trace", sa.Text(), nullable=False),
        sa.Column("created_ms", sa.BigInteger(), nullable=False),
    )
    op.create_index("order_traces_event", "order_traces", ["event_id"])
