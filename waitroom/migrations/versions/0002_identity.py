"""Keys of rooms that ask who comes, and batches of codes: beside the chain, because keys must be destroyed.

``identity_keys`` holds the journal's half of a run's key, empty once it is destroyed. ``code_batches`` holds no code:
codes follow from the key ring and a batch's salt. ``codes_revoked`` names single codes of a batch that count no more.
"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the tables."""
    op.create_table(
        "identity_keys",
        sa.Column("room", sa.Text(), primary_key=True),
        sa.Column("run", sa.Text(), primary_key=True),
        sa.Column("epoch", sa.BigInteger(), nullable=False),
        sa.Column("half", sa.LargeBinary(), nullable=False),
        sa.Column("made_ms", sa.BigInteger(), nullable=False),
    )
    op.create_table(
        "code_batches",
        sa.Column("batch", sa.Integer(), primary_key=True, autoincrement=False),
        sa.Column("room", sa.Text(), nullable=False),
        sa.Column("lane", sa.Text(), nullable=False),
        sa.Column("label", sa.Text(), nullable=False),
        sa.Column("size", sa.Integer(), nullable=False),
        sa.Column("salt", sa.LargeBinary(), nullable=False),
        sa.Column("made_ms", sa.BigInteger(), nullable=False),
        sa.Column("until_ms", sa.BigInteger(), nullable=True),
        sa.Column("revoked_ms", sa.BigInteger(), nullable=True),
    )
    op.create_index("code_batches_room", "code_batches", ["room"])
    op.create_table(
        "codes_revoked",
        sa.Column("batch", sa.Integer(), primary_key=True, autoincrement=False),
        sa.Column("number", sa.Integer(), primary_key=True, autoincrement=False),
        sa.Column("revoked_ms", sa.BigInteger(), nullable=False),
    )
