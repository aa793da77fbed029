"""Tables of the shop: what its two kinds of database hold, named in one place.

The catalogue (organisers … allocations, and ``shard_overrides``) lives in the main database; the inventory (``seats``
and below) lives in the event's shard. Every database has all tables, so that a small shop needs one file and a moved
event finds its tables there. ``migrations`` makes them; a test holds both against each other on SQLite and PostgreSQL.

The log of sales (``event_log`` and below) lies beside the inventory and is only ever added to: triggers refuse every
change and deletion, so it stays where it is when its event moves, and is copied (``eventlog``).

Times are whole milliseconds since 1970, money is whole minor units, ids are text. There are no foreign keys: the
catalogue and the inventory need not be in one database, and what must hold between rows is held by the
statements that write them. Two indexes are law, not speed: a seat is in one active reservation at most, and a
buyer stands on an event's waitlist once. Not here: how a database is opened (``database``).
"""

import sqlalchemy as sa

from checkout.columns import COUNTED, META, flag, large, whole, words
from checkout.order_tables import (
    ADYEN_ENTRIES,
    ADYEN_PAYMENTS,
    ATTEMPTS,
    DISPUTES,
    MARKS,
    MONEY,
    NOTICES,
    ORDER_TRACES,
    ORDERS,
    REFUNDS,
    REVIEWS,
    VERDICTS,
    WORK,
)
from checkout.outbox_tables import OUTBOX, OUTBOX_SENDS
from checkout.people_tables import ACCOUNT_LOGINS, ACCOUNT_ORDERS, ACCOUNT_SESSIONS, ACCOUNTS, STAFF_FACTORS
from checkout.staff_tables import (
    STAFF_ENTRIES,
    STAFF_KEYS,
    STAFF_LOGINS,
    STAFF_PEOPLE,
    STAFF_PROOFS,
    STAFF_SESSIONS,
)
from checkout.ticket_tables import SCANNERS, SCANS, TICKETS, TRANSFERS

__all__ = [
    "ACCOUNTS",
    "ACCOUNT_LOGINS",
    "ACCOUNT_ORDERS",
    "ACCOUNT_SESSIONS",
    "ADYEN_ENTRIES",
    "ADYEN_PAYMENTS",
    "ATTEMPTS",
    "DISPUTES",
    "MARKS",
    "META",
    "MONEY",
    "NOTICES",
    "ORDERS",
    "ORDER_TRACES",
    "OUTBOX",
    "OUTBOX_SENDS",
    "REFUNDS",
    "REVIEWS",
    "SCANNERS",
    "SCANS",
    "STAFF_ENTRIES",
    "STAFF_FACTORS",
    "STAFF_KEYS",
    "STAFF_LOGINS",
    "STAFF_PEOPLE",
    "STAFF_PROOFS",
    "STAFF_SESSIONS",
    "TICKETS",
    "TRANSFERS",
    "VERDICTS",
    "WORK",
]
"""What stands elsewhere and is found here."""

# ------------------------------------------------------------------------------ catalogue

ORGANISERS = sa.Table("organisers", META, words("id", key=True), words("name"))
VENUES = sa.Table(
    "venues",
    META,
    words("id", key=True),
    words("name"),
    words("city"),
    words("country"),
    words("time_zone"),
)
LAYOUTS = sa.Table(
    "layouts",
    META,
    words("id", key=True),
    words("venue_id"),
    words("name"),
    whole("seats"),
    words("document"),
)
EVENTS = sa.Table(
    "events",
    META,
    words("id", key=True),
    words("organiser_id"),
    words("venue_id"),
    words("layout_id"),
    words("title"),
    words("subtitle"),
    words("about"),
    words("motif"),
    large("starts_ms"),
    large("sale_from_ms"),
    large("sale_until_ms"),
    words("state"),
    words("currency"),
    whole("max_per_buyer"),
    whole("hold_s"),
    whole("grace_s"),
    words("room"),
    large("changed_ms"),
    # The cache asks twice a second what has changed since.
    sa.Index("events_changed", "changed_ms"),
)
TIERS = sa.Table("tiers", META, words("event_id", key=True), whole("tier", key=True), words("name"))
PRICES = sa.Table(
    "prices",
    META,
    words("event_id", key=True),
    whole("version", key=True),
    whole("tier", key=True),
    words("currency", key=True),
    large("amount_minor"),
)
SECTION_TIERS = sa.Table(
    "section_tiers", META, words("event_id", key=True), whole("section", key=True), whole("tier")
)
ALLOCATIONS = sa.Table(
    "allocations",
    META,
    words("event_id", key=True),
    words("name", key=True),
    words("channel"),
    words("code_hash"),
)
SHARD_OVERRIDES = sa.Table("shard_overrides", META, words("event_id", key=True), words("shard"))

# ------------------------------------------------------------------------------ inventory

SEATS = sa.Table(
    "seats",
    META,
    words("event_id", key=True),
    whole("seat", key=True),
    whole("status"),
    whole("tier"),
    words("allocation", empty=True),
    whole("version", default=0),
    whole("epoch", default=0),
    large("fence", default=0),
    words("reservation_id", empty=True),
)
RESERVATIONS = sa.Table(
    "reservations",
    META,
    words("id", key=True),
    words("event_id"),
    words("buyer"),
    words("hold_id"),
    words("state"),
    whole("epoch"),
    large("fence"),
    whole("price_version"),
    words("currency"),
    large("total_minor"),
    large("created_ms"),
    large("until_ms"),
    whole("version"),
    sa.UniqueConstraint("event_id", "hold_id", name="reservations_hold"),
    sa.Index("reservations_due", "state", "until_ms"),
    sa.Index("reservations_buyer", "event_id", "buyer"),
)
RESERVATION_SEATS = sa.Table(
    "reservation_seats",
    META,
    words("reservation_id", key=True),
    words("event_id"),
    whole("seat", key=True),
    whole("tier"),
    large("price_minor"),
    flag("active"),
    sa.Index(
        "reservation_seats_active",
        "event_id",
        "seat",
        unique=True,
        sqlite_where=sa.text("active"),
        postgresql_where=sa.text("active"),
    ),
)
HOLD_JOURNAL = sa.Table(
    "hold_journal",
    META,
    words("event_id", key=True),
    words("hold_id", key=True),
    words("buyer"),
    words("state"),
    whole("epoch"),
    large("fence"),
    whole("price_version"),
    # What a hold costs stays what it was when the map is rebuilt.
    sa.Column("currency", sa.Text(), nullable=False, server_default=sa.text("'-'")),
    whole("back"),
    large("until_ms"),
    flag("extended"),
    words("seats"),
    large("at_ms"),
    # The place of the last note in the store's stream: an older one changes nothing.
    large("note", default=0),
)
STANDS_IN_LINE = "state IN ('waiting', 'offered')"
WAITLIST = sa.Table(
    "waitlist",
    META,
    words("event_id", key=True),
    whole("number", key=True),
    words("buyer"),
    whole("wanted"),
    whole("tier", empty=True),
    words("state"),
    words("hold_id", empty=True),
    large("offer_until_ms", empty=True),
    large("created_ms"),
    sa.Index(
        "waitlist_once",
        "event_id",
        "buyer",
        unique=True,
        sqlite_where=sa.text(STANDS_IN_LINE),
        postgresql_where=sa.text(STANDS_IN_LINE),
    ),
)
IDEMPOTENCY = sa.Table(
    "idempotency",
    META,
    words("scope", key=True),
    words("key", key=True),
    words("body_hash"),
    words("state"),
    whole("status", empty=True),
    words("answer", empty=True),
    large("created_ms"),
    sa.Index("idempotency_age", "created_ms"),
)
CONTACTS = sa.Table(
    "contacts",
    META,
    words("event_id", key=True),
    words("order_id", key=True),
    # Sealed (kernel.sealing): the address and the name stand in no database in plain.
    words("email"),
    words("email_index"),
    words("name"),
    words("language"),
    large("changed_ms"),
    sa.Index("contacts_email", "email_index"),
)
WAITLIST_CONTACTS = sa.Table(
    "waitlist_contacts",
    META,
    words("event_id", key=True),
    whole("number", key=True),
    # Sealed, like those of orders; '' is no account.
    words("email"),
    words("email_index"),
    words("language"),
    words("account_id"),
    large("changed_ms"),
    sa.Index("waitlist_contacts_email", "email_index"),
    sa.Index("waitlist_contacts_account", "account_id"),
)
PUSH_DEVICES = sa.Table(
    "push_devices",
    META,
    words("event_id", key=True),
    # An order, as a message's subject.
    words("subject", key=True),
    # An index of the browser's address (people.keys), which tells nobody what it is.
    words("device", key=True),
    # Sealed (people.sealing): whoever has it and our key can show something on somebody's screen.
    words("subscription"),
    words("language"),
    large("changed_ms"),
)
STORE_EPOCHS = sa.Table("store_epochs", META, words("event_id", key=True), whole("epoch"))

# ------------------------------------------------------------------------------------ log

EVENT_LOG = sa.Table(
    "event_log",
    META,
    sa.Column("id", COUNTED, primary_key=True),
    words("event_id"),
    words("stream"),
    whole("seq"),
    large("at_ms"),
    words("kind"),
    words("body"),
    words("prev"),
    words("hash"),
    sa.UniqueConstraint("stream", "seq", name="event_log_stream"),
    sa.Index("event_log_event", "event_id", "id"),
)
LOG_BLOCKS = sa.Table(
    "log_blocks",
    META,
    large("number", key=True),
    large("at_ms"),
    whole("entries"),
    words("prev"),
    words("hash"),
)
LOG_MEMBERS = sa.Table(
    "log_members",
    META,
    sa.Column("entry", COUNTED, primary_key=True, autoincrement=False),
    large("block"),
    sa.Index("log_members_block", "block", "entry"),
)
SEALED = (EVENT_LOG, LOG_BLOCKS, LOG_MEMBERS)
"""What is only ever added to: a trigger refuses each UPDATE, each DELETE, and whatever replaces a row."""

INVENTORY = (
    SEATS,
    RESERVATIONS,
    RESERVATION_SEATS,
    HOLD_JOURNAL,
    WAITLIST,
    ORDERS,
    ATTEMPTS,
    WORK,
    REFUNDS,
    NOTICES,
    MONEY,
    REVIEWS,
    VERDICTS,
    DISPUTES,
    MARKS,
    ADYEN_PAYMENTS,
    ADYEN_ENTRIES,
    TICKETS,
    TRANSFERS,
    SCANNERS,
    SCANS,
    CONTACTS,
    WAITLIST_CONTACTS,
    PUSH_DEVICES,
    OUTBOX,
    OUTBOX_SENDS,
    ORDER_TRACES,
    IDEMPOTENCY,
    STORE_EPOCHS,
)
"""What moves with an event from shard to shard, each with a column ``event_id``."""
