"""Tickets: one for each paid seat, their transfers, and who was let in with them."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

COUNTS = "state <> 'revoked'"


def _text(name: str, *, key: bool = False) -> sa.Column[str]:
    return sa.Column(name, sa.Text(), primary_key=key, nullable=False)


def _int(name: str) -> sa.Column[int]:
    return sa.Column(name, sa.Integer(), nullable=False)


def _big(name: str) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger(), nullable=False)


def upgrade() -> None:
    """Create tables and indexes."""
    op.create_table(
        "tickets",
        _text("id", key=True),
        _text("event_id"),
        _text("order_id"),
        _text("reservation_id"),
        _int("seat"),
        _int("issue"),
        _text("holder"),
        _text("state"),
        _text("why"),
        _big("created_ms"),
        _big("used_ms"),
        _big("changed_ms"),
        _int("version"),
        sa.UniqueConstraint("order_id", "seat", "issue", name="tickets_line"),
    )
    op.create_index(
        "tickets_seat",
        "tickets",
        ["event_id", "seat"],
        unique=True,
        sqlite_where=sa.text(COUNTS),
        postgresql_where=sa.text(COUNTS),
    )
    op.create_index("tickets_reservation", "tickets", ["reservation_id"])
    op.create_index("tickets_changed", "tickets", ["event_id", "changed_ms"])
    op.create_table(
        "ticket_transfers",
        _text("ticket_id", key=True),
        _text("event_id"),
        _text("state"),
        _text("became"),
        _big("created_ms"),
        _big("until_ms"),
        _big("changed_ms"),
    )
    op.create_index("ticket_transfers_event", "ticket_transfers", ["event_id"])
    op.create_table(
        "scanners",
        _text("id", key=True),
        _text("event_id"),
        _text("name"),
        _text("token_hash"),
        sa.Column("revoked", sa.Boolean(), nullable=False),
        _big("created_ms"),
        _big("until_ms"),
        _big("seen_ms"),
    )
    op.create_index("scanners_event", "scanners", ["event_id"])
    op.create_table(
        "ticket_scans",
        _text("scanner_id", key=True),
        _text("id", key=True),
        _text("event_id"),
        _text("ticket_id"),
        _text("outcome"),
        _text("told"),
        _big("at_ms"),
        _big("came_ms"),
    )
    op.create_index("ticket_scans_ticket", "ticket_scans", ["ticket_id"])
    op.create_index("ticket_scans_event", "ticket_scans", ["event_id", "came_ms"])
