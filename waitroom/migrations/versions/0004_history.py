"""What was seen of each room, a row a minute (``minutes``): beside the chain, because it is forgotten after months.

One row for each room and minute, whoever wrote it, in the order in which it is read (SQLite: the table is its own
index).
"""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

TEXTS = ("phase", "opening", "run", "sale")
NUMBERS = (
    "waiting", "waiting_most", "called", "active_sessions", "cap", "rate", "plan_per_minute", "wait_low_s",
    "wait_high_s", "issued", "called_in_all", "admitted", "lane_verified", "lane_standard", "lane_suspect", "slowed",
    "stock_left", "origin_per_minute", "origin_p95_ms",
)  # fmt: skip
RATIOS = ("show_ratio", "origin_failure_ratio")
IN_SALE = sa.text("sale <> ''")


def upgrade() -> None:
    """Create the table."""
    op.create_table(
        "history_minutes",
        sa.Column("room", sa.Text(), primary_key=True),
        sa.Column("minute", sa.BigInteger(), primary_key=True, autoincrement=False),
        sa.Column("seen_ms", sa.BigInteger(), nullable=False),
        sa.Column("looks", sa.Integer(), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=True),
        *(sa.Column(name, sa.Text(), nullable=True) for name in TEXTS),
        *(sa.Column(name, sa.BigInteger(), nullable=True) for name in NUMBERS),
        *(sa.Column(name, sa.Float(), nullable=True) for name in RATIOS),
        sqlite_with_rowid=False,
    )
    # Which sales there were is asked of their own minutes only, and not of all.
    op.create_index(
        "history_minutes_sale",
        "history_minutes",
        ["room", "sale", "minute"],
        sqlite_where=IN_SALE,
        postgresql_where=IN_SALE,
    )
