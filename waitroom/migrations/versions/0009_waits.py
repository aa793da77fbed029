"""Waits: who failed to sign in at the console how often, and until when they have to wait, for all processes together.

Beside the chain and not in it: it is forgotten within hours. Who it is stands here as a keyed hash.
"""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the table."""
    op.create_table(
        "operator_waits",
        sa.Column("key", sa.Text(), primary_key=True),
        sa.Column("failures", sa.BigInteger(), nullable=False),
        sa.Column("until_ms", sa.BigInteger(), nullable=False),
    )
