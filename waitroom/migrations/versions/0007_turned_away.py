"""Joins that were turned away: how many were refused and how many shed, as counters beside the other ones of a minute.

Minutes from before say nothing of them.
"""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the two columns."""
    for name in ("refused", "shed"):
        op.add_column("history_minutes", sa.Column(name, sa.BigInteger(), nullable=True))
