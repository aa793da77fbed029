"""People of the organiser who log in: who, sessions, logins, keys."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def _text(name: str, *, key: bool = False, empty: bool = False) -> sa.Column[str]:
    return sa.Column(name, sa.Text(), primary_key=key, nullable=empty)


def _large(name: str) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger(), nullable=False)


def upgrade() -> None:
    """Create the tables."""
    op.create_table(
        "staff_people",
        _text("name", key=True),
        _text("role"),
        _large("version"),
        _text("subject_index", empty=True),
        _text("email_index", empty=True),
        _large("invited_ms"),
        _large("invited_until_ms"),
        _large("until_ms"),
        sa.UniqueConstraint("subject_index", name="staff_people_subject"),
        sa.UniqueConstraint("email_index", name="staff_people_email"),
    )
    op.create_table(
        "staff_logins",
        _text("digest", key=True),
        _text("state"),
        _text("nonce"),
        _text("verifier"),
        _text("back"),
        _text("prefix"),
        _large("created_ms"),
    )
    op.create_index("staff_logins_age", "staff_logins", ["created_ms"])
    op.create_table(
        "staff_sessions",
        _text("digest", key=True),
        _text("name"),
        _large("version"),
        _large("created_ms"),
        _large("used_ms"),
    )
    op.create_index("staff_sessions_name", "staff_sessions", ["name"])
    op.create_index("staff_sessions_used", "staff_sessions", ["used_ms"])
    op.create_table(
        "staff_entries",
        _text("id", key=True),
        _large("at_ms"),
        _text("name"),
        _text("outcome"),
        _text("prefix"),
    )
    op.create_index("staff_entries_age", "staff_entries", ["at_ms"])
    op.create_index("staff_entries_name", "staff_entries", ["name", "at_ms"])
    op.create_index("staff_entries_prefix", "staff_entries", ["prefix", "at_ms"])
    op.create_table(
        "staff_keys",
        _text("credential", key=True),
        _text("name"),
        _text("label"),
        _text("public_key"),
        _large("uses"),
        _large("created_ms"),
        _large("used_ms"),
    )
    op.create_index("staff_keys_name", "staff_keys", ["name"])
    op.create_table(
        "staff_proofs",
        _text("digest", key=True),
        _text("kind"),
        _text("name"),
        _text("session"),
        _text("shown_by"),
        _large("created_ms"),
    )
    op.create_index("staff_proofs_name", "staff_proofs", ["name", "created_ms"])
    op.create_index("staff_proofs_age", "staff_proofs", ["created_ms"])
