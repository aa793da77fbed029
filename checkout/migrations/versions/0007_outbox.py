"""Outbox: what people are to be told, and how far each channel has come with it."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

IS_NEW = "is_new"
IS_WAITING = "state = 'waiting'"
IS_DEAD = "state = 'dead'"


def _text(name: str, *, key: bool = False) -> sa.Column[str]:
    return sa.Column(name, sa.Text(), primary_key=key, nullable=False)


def _big(name: str) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger(), nullable=False)


def _partial(name: str, table: str, columns: list[str], where: str) -> None:
    op.create_index(name, table, columns, sqlite_where=sa.text(where), postgresql_where=sa.text(where))


def upgrade() -> None:
    """Create tables and indexes."""
    op.create_table(
        "outbox",
        _text("message_id", key=True),
        _text("event_id"),
        _text("kind"),
        _text("subject"),
        _text("body"),
        _big("created_ms"),
        sa.Column("is_new", sa.Boolean(), nullable=False),
    )
    _partial("outbox_new", "outbox", ["created_ms"], IS_NEW)
    op.create_index("outbox_age", "outbox", ["created_ms"])
    op.create_index("outbox_subject", "outbox", ["event_id", "subject"])
    op.create_table(
        "outbox_sends",
        _text("message_id", key=True),
        _text("channel", key=True),
        _text("event_id"),
        _text("state"),
        sa.Column("tries", sa.Integer(), nullable=False),
        _big("due_ms"),
        _big("sent_ms"),
        _text("why"),
    )
    _partial("outbox_sends_due", "outbox_sends", ["channel", "due_ms"], IS_WAITING)
    _partial("outbox_sends_dead", "outbox_sends", ["event_id", "due_ms"], IS_DEAD)
