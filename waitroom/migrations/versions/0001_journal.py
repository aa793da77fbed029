"""The journal's tables, and the triggers that let them only grow.

``journal_entries`` is the chain, ``journal_leaves`` the leaf blocks that ``leaves`` entries bind to it,
``journal_heads`` signed heads. The triggers refuse UPDATE and DELETE (and TRUNCATE), and an INSERT that does
not continue: SQLite's INSERT OR REPLACE deletes without asking the delete trigger. They guard against
mistakes and careless hands; against the owner of the database, who can drop them, stands the chain.
"""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

APPEND_ONLY = "the journal is append-only"
TABLES = ("journal_entries", "journal_leaves", "journal_heads")

# What an INSERT must meet, in SQL that both databases understand; NEW is the row.
CONTINUES = {
    "journal_entries": """
        (NEW.seq = 1 AND NOT EXISTS (SELECT 1 FROM journal_entries))
        OR EXISTS (SELECT 1 FROM journal_entries WHERE seq = NEW.seq - 1 AND hash = NEW.prev)
           AND NOT EXISTS (SELECT 1 FROM journal_entries WHERE seq = NEW.seq)""",
    "journal_leaves": """
        NEW.count BETWEEN 1 AND 1024 AND length(NEW.leaves) = 16 * NEW.count
        AND NEW.start = coalesce((SELECT start + count FROM journal_leaves
            WHERE room = NEW.room AND run = NEW.run ORDER BY start DESC LIMIT 1), 0)""",
    "journal_heads": """
        NOT EXISTS (SELECT 1 FROM journal_heads WHERE seq >= NEW.seq)
        AND EXISTS (SELECT 1 FROM journal_entries WHERE seq = NEW.seq AND hash = NEW.hash)""",
}


def upgrade() -> None:
    """Create tables, indexes and triggers."""
    # SQLite: INTEGER PRIMARY KEY is the row's own id, so no second index is kept.
    big = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    op.create_table(
        "journal_entries",
        sa.Column("seq", big, primary_key=True, autoincrement=False),
        sa.Column("at_ms", sa.BigInteger(), nullable=False),
        sa.Column("room", sa.Text(), nullable=False),
        sa.Column("run", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("source", sa.Text(), nullable=True, unique=True),
        sa.Column("prev", sa.LargeBinary(), nullable=False),
        sa.Column("hash", sa.LargeBinary(), nullable=False),
    )
    op.create_index("journal_entries_room", "journal_entries", ["room", "seq"])
    op.create_index("journal_entries_room_kind", "journal_entries", ["room", "kind", "seq"])
    op.create_table(
        "journal_leaves",
        sa.Column("room", sa.Text(), primary_key=True),
        sa.Column("run", sa.Text(), primary_key=True),
        sa.Column("start", sa.BigInteger(), primary_key=True, autoincrement=False),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.Column("leaves", sa.LargeBinary(), nullable=False),
    )
    op.create_table(
        "journal_heads",
        sa.Column("seq", big, primary_key=True, autoincrement=False),
        sa.Column("at_ms", sa.BigInteger(), nullable=False),
        sa.Column("hash", sa.LargeBinary(), nullable=False),
        sa.Column("signature", sa.Text(), nullable=False),
    )
    if op.get_bind().dialect.name == "sqlite":
        _sqlite_triggers()
    else:
        _postgresql_triggers()


def _sqlite_triggers() -> None:
    for table in TABLES:
        for act in ("UPDATE", "DELETE"):
            op.execute(
                f"CREATE TRIGGER {table}_no_{act.lower()} BEFORE {act} ON {table} "
                f"BEGIN SELECT RAISE(ABORT, '{APPEND_ONLY}'); END"
            )
        op.execute(
            f"CREATE TRIGGER {table}_continues BEFORE INSERT ON {table} WHEN NOT ({CONTINUES[table]}) "
            f"BEGIN SELECT RAISE(ABORT, '{APPEND_ONLY}'); END"
        )


def _postgresql_triggers() -> None:
    op.execute(
        "CREATE FUNCTION journal_refuses() RETURNS trigger LANGUAGE plpgsql AS "
        f"$$ BEGIN RAISE EXCEPTION '{APPEND_ONLY}' USING ERRCODE = 'integrity_constraint_violation'; END $$"
    )
    for table in TABLES:
        op.execute(
            f"CREATE TRIGGER {table}_stays BEFORE UPDATE OR DELETE OR TRUNCATE ON {table} "
            "FOR EACH STATEMENT EXECUTE FUNCTION journal_refuses()"
        )
        op.execute(
            f"CREATE FUNCTION {table}_continues() RETURNS trigger LANGUAGE plpgsql AS "
            f"$$ BEGIN IF NOT ({CONTINUES[table]}) THEN RAISE EXCEPTION '{APPEND_ONLY}' "
            "USING ERRCODE = 'integrity_constraint_violation'; END IF; RETURN NEW; END $$"
        )
        op.execute(
            f"CREATE TRIGGER {table}_continues BEFORE INSERT ON {table} "
            f"FOR EACH ROW EXECUTE FUNCTION {table}_continues()"
        )
