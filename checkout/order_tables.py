"""Order tables: what is to be paid, each try, where the money went, and what those who look after it have to know.

``tables`` gives all of these names as well; whoever asks for tables asks there.
"""

import sqlalchemy as sa

from checkout.columns import META, flag, large, whole, words

# --------------------------------------------------------------------------------- orders

ORDERS = sa.Table(
    "orders",
    META,
    words("id", key=True),
    words("event_id"),
    words("buyer"),
    words("reservation_id"),
    words("state"),
    words("currency"),
    large("amount_minor"),
    large("created_ms"),
    large("until_ms"),
    whole("attempt"),
    whole("paid_by"),
    flag("disputed"),
    whole("version"),
    sa.UniqueConstraint("reservation_id", name="orders_reservation"),
    sa.Index("orders_due", "state", "until_ms"),
    sa.Index("orders_buyer", "event_id", "buyer"),
    # An organiser's list: the newest first, a page at a time.
    sa.Index("orders_made", "event_id", "created_ms", "id"),
)
IS_STRAY = "number > 1000"
ATTEMPTS = sa.Table(
    "order_attempts",
    META,
    words("order_id", key=True),
    whole("number", key=True),
    words("event_id"),
    words("reservation_id"),
    words("provider"),
    words("goal"),
    words("state"),
    flag("review"),
    words("currency"),
    large("amount_minor"),
    words("ref"),
    words("decline"),
    words("action_url"),
    large("captured_minor"),
    large("refunded_minor"),
    large("disputed_minor"),
    words("fingerprint"),
    words("card"),
    whole("asked"),
    large("created_ms"),
    whole("version"),
    sa.Index("order_attempts_reservation", "reservation_id"),
    # A payment belongs to one attempt.
    sa.Index(
        "order_attempts_ref",
        "provider",
        "ref",
        unique=True,
        sqlite_where=sa.text("ref <> ''"),
        postgresql_where=sa.text("ref <> ''"),
    ),
    sa.Index(
        "order_attempts_card",
        "event_id",
        "fingerprint",
        sqlite_where=sa.text("fingerprint <> ''"),
        postgresql_where=sa.text("fingerprint <> ''"),
    ),
    sa.Index(
        "order_attempts_strays",
        "created_ms",
        sqlite_where=sa.text(IS_STRAY),
        postgresql_where=sa.text(IS_STRAY),
    ),
)
WORK = sa.Table(
    "order_work",
    META,
    words("order_id", key=True),
    words("kind", key=True),
    words("name", key=True),
    words("event_id"),
    words("method"),
    large("due_ms"),
    whole("tries"),
    # What stands still is found by the time at which it was to be looked at.
    sa.Index("order_work_due", "due_ms"),
)
REFUNDS = sa.Table(
    "order_refunds",
    META,
    words("order_id", key=True),
    words("key", key=True),
    whole("attempt"),
    words("event_id"),
    words("reservation_id"),
    words("currency"),
    large("amount_minor"),
    words("state"),
    words("ref"),
    words("reason"),
    words("by"),
    large("created_ms"),
    whole("version"),
    sa.Index("order_refunds_reservation", "reservation_id"),
    sa.Index("order_refunds_made", "event_id", "created_ms"),
)
IS_ASIDE = "state = 'quarantined'"
NOTICES = sa.Table(
    "order_notices",
    META,
    words("provider", key=True),
    words("id", key=True),
    words("event_id"),
    words("topic"),
    words("ref"),
    words("state"),
    words("why"),
    large("at_ms"),
    large("came_ms"),
    sa.Index("order_notices_age", "came_ms"),
    sa.Index(
        "order_notices_aside",
        "came_ms",
        sqlite_where=sa.text(IS_ASIDE),
        postgresql_where=sa.text(IS_ASIDE),
    ),
)
MONEY = sa.Table(
    "order_money",
    META,
    words("provider", key=True),
    words("ref", key=True),
    words("kind", key=True),
    whole("number", key=True),
    words("event_id"),
    words("order_id"),
    whole("attempt"),
    words("currency"),
    large("amount_minor"),
    large("at_ms"),
    sa.Index("order_money_order", "order_id"),
    sa.Index("order_money_event", "event_id"),
)

# ---------------------------------------------------------------------------- looking after orders

REVIEWS = sa.Table(
    "order_reviews",
    META,
    words("order_id", key=True),
    words("event_id"),
    words("reservation_id"),
    whole("attempt"),
    large("opened_ms"),
    large("lapses_ms"),
    words("decision"),
    words("by"),
    words("note"),
    large("decided_ms"),
    sa.Index("order_reviews_reservation", "reservation_id"),
)
VERDICTS = sa.Table(
    "order_verdicts",
    META,
    words("order_id", key=True),
    whole("attempt", key=True),
    words("stage", key=True),
    words("event_id"),
    words("answer"),
    words("body"),
    large("at_ms"),
)
DISPUTES = sa.Table(
    "order_disputes",
    META,
    words("provider", key=True),
    words("ref", key=True),
    words("event_id"),
    words("order_id"),
    whole("attempt"),
    words("state"),
    words("reason"),
    words("currency"),
    large("amount_minor"),
    large("opened_ms"),
    large("evidence_ms"),
    large("changed_ms"),
    sa.Index("order_disputes_opened", "event_id", "opened_ms"),
    sa.Index("order_disputes_order", "order_id"),
)
# What a person has looked at: a notice that was put aside, a stray payment.
MARKS = sa.Table(
    "order_marks",
    META,
    words("kind", key=True),
    words("provider", key=True),
    words("name", key=True),
    words("event_id"),
    words("by"),
    large("at_ms"),
)

# ------------------------------------------------------------------- what Adyen was asked and has told

ADYEN_PAYMENTS = sa.Table(
    "adyen_payments",
    META,
    words("ref", key=True),
    words("event_id"),
    words("order_id"),
    whole("attempt"),
    words("currency"),
    large("amount_minor"),
    large("created_ms"),
    words("return_url"),
    flag("let_go"),
    sa.Index("adyen_payments_age", "created_ms"),
)
ADYEN_ENTRIES = sa.Table(
    "adyen_entries",
    META,
    words("ref", key=True),
    words("name", key=True),
    words("event_id"),
    words("kind"),
    words("code"),
    words("outcome"),
    words("psp"),
    large("amount_minor"),
    words("asks"),
    words("url"),
    words("decline"),
    words("card"),
    whole("tries"),
    large("at_ms"),
)

# --------------------------------------------------------------------------------- traces

# In which trace an order's first try to pay was made; all that is done for it later goes on with that (ADR-0046).
ORDER_TRACES = sa.Table(
    "order_traces",
    META,
    words("order_id", key=True),
    words("event_id"),
    words("trace"),
    large("created_ms"),
    sa.Index("order_traces_event", "event_id"),
)
