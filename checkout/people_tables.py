"""People tables: accounts of fans, their sessions and orders, second factors of staff, all in the main database.

``tables`` gives all of these names as well; whoever asks for tables asks there. Addresses and names are sealed
(``people.columns``); who somebody is at the provider, and what their browser shows, is kept as a hash only.
"""

import sqlalchemy as sa

from checkout.columns import META, large, whole, words

ACCOUNTS = sa.Table(
    "accounts",
    META,
    words("id", key=True),
    words("subject_index"),
    words("email"),
    words("name"),
    words("language"),
    words("wants"),
    large("created_ms"),
    large("seen_ms"),
    # Law: whoever logs in again is the same.
    sa.UniqueConstraint("subject_index", name="accounts_subject"),
)
ACCOUNT_SESSIONS = sa.Table(
    "account_sessions",
    META,
    words("digest", key=True),
    words("account_id"),
    large("created_ms"),
    large("used_ms"),
    sa.Index("account_sessions_account", "account_id"),
    sa.Index("account_sessions_used", "used_ms"),
)
ACCOUNT_LOGINS = sa.Table(
    "account_logins",
    META,
    words("digest", key=True),
    words("state"),
    words("nonce"),
    words("verifier"),
    words("back"),
    large("created_ms"),
    sa.Index("account_logins_age", "created_ms"),
)
ACCOUNT_ORDERS = sa.Table(
    "account_orders",
    META,
    words("event_id", key=True),
    words("order_id", key=True),
    words("account_id"),
    large("at_ms"),
    sa.Index("account_orders_account", "account_id", "at_ms"),
)
STAFF_FACTORS = sa.Table(
    "staff_factors",
    META,
    words("name", key=True),
    words("secret"),
    words("recovery"),
    large("last_counter"),
    whole("failures"),
    large("locked_until_ms"),
)
