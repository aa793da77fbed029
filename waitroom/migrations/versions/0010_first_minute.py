"""When a room's run began, beside its minutes: so that what joined before the first look is in the sums.

Minutes from before say nothing of it, and are counted from their first look on.
"""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the two columns."""
    for name in ("opened_ms", "epoch"):
        op.add_column("history_minutes", sa.Column(name, sa.BigInteger(), nullable=True))
