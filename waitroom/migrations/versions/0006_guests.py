"""Guests: the admissions of a run by the fan's number, so that an operator finds one among a million.

Only admissions are in the index, and its key is read off the entry's text: nothing is stored twice that could differ.
It is read as text and not as JSON, because an entry that somebody has spoilt must stay readable for ``verify``.
Making it reads the journal once; writers wait meanwhile (docs/guests.md says how long).
"""

from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

# The same words as in ``journal_tables``: a query that says it otherwise misses the index.
NUMBER = {
    "sqlite": """CAST(substr(body, instr(body, '"number":"') + 10) AS INTEGER)""",
    "postgresql": """CAST(substring(body from '"number":"([0-9]{1,15})"') AS BIGINT)""",
}


def upgrade() -> None:
    """Create the index."""
    number = NUMBER[op.get_bind().dialect.name]
    op.execute(
        f"CREATE INDEX journal_entries_number ON journal_entries (room, run, ({number}), seq) "
        "WHERE kind = 'admitted'"
    )
