"""Staff tables: who of the organiser's people logs in, their sessions, keys and logins, all in the main database.

``tables`` gives all of these names as well. A name here is the name in the log; who somebody is at the provider, and
the address of an invitation, are kept as hashes. Not here: second factors that are codes (``people_tables``), tokens of
programs, which stand in a file (``people.staff_tokens``).
"""

import sqlalchemy as sa

from checkout.columns import META, large, words

STAFF_PEOPLE = sa.Table(
    "staff_people",
    META,
    words("name", key=True),
    words("role"),
    large("version"),
    words("subject_index", empty=True),
    words("email_index", empty=True),
    large("invited_ms"),
    large("invited_until_ms"),
    large("until_ms"),
    # Law: somebody at the provider is one of the staff, and an address invites one.
    sa.UniqueConstraint("subject_index", name="staff_people_subject"),
    sa.UniqueConstraint("email_index", name="staff_people_email"),
)
STAFF_LOGINS = sa.Table(
    "staff_logins",
    META,
    words("digest", key=True),
    words("state"),
    words("nonce"),
    words("verifier"),
    words("back"),
    words("prefix"),
    large("created_ms"),
    sa.Index("staff_logins_age", "created_ms"),
)
STAFF_SESSIONS = sa.Table(
    "staff_sessions",
    META,
    words("digest", key=True),
    words("name"),
    large("version"),
    large("created_ms"),
    large("used_ms"),
    sa.Index("staff_sessions_name", "name"),
    sa.Index("staff_sessions_used", "used_ms"),
)
STAFF_ENTRIES = sa.Table(
    "staff_entries",
    META,
    words("id", key=True),
    large("at_ms"),
    words("name"),
    words("outcome"),
    words("prefix"),
    sa.Index("staff_entries_age", "at_ms"),
    sa.Index("staff_entries_name", "name", "at_ms"),
    sa.Index("staff_entries_prefix", "prefix", "at_ms"),
)
STAFF_KEYS = sa.Table(
    "staff_keys",
    META,
    words("credential", key=True),
    words("name"),
    words("label"),
    words("public_key"),
    large("uses"),
    large("created_ms"),
    large("used_ms"),
    sa.Index("staff_keys_name", "name"),
)
STAFF_PROOFS = sa.Table(
    "staff_proofs",
    META,
    words("digest", key=True),
    words("kind"),
    words("name"),
    words("session"),
    words("shown_by"),
    large("created_ms"),
    sa.Index("staff_proofs_name", "name", "created_ms"),
    sa.Index("staff_proofs_age", "created_ms"),
)
