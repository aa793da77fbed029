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

META = sa.MetaData()

_COUNTED = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
"""Of a key that the database counts up by itself: SQLite does so for this kind of integer only."""


def _int(name: str, *, default: int | None = None, key: bool = False, empty: bool = False) -> sa.Column[int]:
    return _number(name, sa.Integer(), default, key=key, empty=empty)


def _big(name: str, *, default: int | None = None, key: bool = False, empty: bool = False) -> sa.Column[int]:
    return _number(name, sa.BigInteger(), default, key=key, empty=empty)


def _number(name: str, kind: sa.Integer, default: int | None, *, key: bool, empty: bool) -> sa.Column[int]:
    shown = None if default is None else sa.text(str(default))
    return sa.Column(name, kind, primary_key=key, autoincrement=False, nullable=empty, server_default=shown)


def _text(name: str, *, key: bool = False, empty: bool = False) -> sa.Column[str]:
    return sa.Column(name, sa.Text(), primary_key=key, nullable=empty)


def _flag(name: str) -> sa.Column[bool]:
    return sa.Column(name, sa.Boolean(), nullable=False)


# ------------------------------------------------------------------------------ catalogue

ORGANISERS = sa.Table("organisers", META, _text("id", key=True), _text("name"))
VENUES = sa.Table(
    "venues",
    META,
    _text("id", key=True),
    _text("name"),
    _text("city"),
    _text("country"),
    _text("time_zone"),
)
LAYOUTS = sa.Table(
    "layouts",
    META,
    _text("id", key=True),
    _text("venue_id"),
    _text("name"),
    _int("seats"),
    _text("document"),
)
EVENTS = sa.Table(
    "events",
    META,
    _text("id", key=True),
    _text("organiser_id"),
    _text("venue_id"),
    _text("layout_id"),
    _text("title"),
    _text("subtitle"),
    _text("about"),
    _text("motif"),
    _big("starts_ms"),
    _big("sale_from_ms"),
    _big("sale_until_ms"),
    _text("state"),
    _text("currency"),
    _int("max_per_buyer"),
    _int("hold_s"),
    _int("grace_s"),
    _text("room"),
    _big("changed_ms"),
    # The cache asks twice a second what has changed since.
    sa.Index("events_changed", "changed_ms"),
)
TIERS = sa.Table("tiers", META, _text("event_id", key=True), _int("tier", key=True), _text("name"))
PRICES = sa.Table(
    "prices",
    META,
    _text("event_id", key=True),
    _int("version", key=True),
    _int("tier", key=True),
    _text("currency", key=True),
    _big("amount_minor"),
)
SECTION_TIERS = sa.Table(
    "section_tiers", META, _text("event_id", key=True), _int("section", key=True), _int("tier")
)
ALLOCATIONS = sa.Table(
    "allocations",
    META,
    _text("event_id", key=True),
    _text("name", key=True),
    _text("channel"),
    _text("code_hash"),
)
SHARD_OVERRIDES = sa.Table("shard_overrides", META, _text("event_id", key=True), _text("shard"))

# ------------------------------------------------------------------------------ inventory

SEATS = sa.Table(
    "seats",
    META,
    _text("event_id", key=True),
    _int("seat", key=True),
    _int("status"),
    _int("tier"),
    _text("allocation", empty=True),
    _int("version", default=0),
    _int("epoch", default=0),
    _big("fence", default=0),
    _text("reservation_id", empty=True),
)
RESERVATIONS = sa.Table(
    "reservations",
    META,
    _text("id", key=True),
    _text("event_id"),
    _text("buyer"),
    _text("hold_id"),
    _text("state"),
    _int("epoch"),
    _big("fence"),
    _int("price_version"),
    _text("currency"),
    _big("total_minor"),
    _big("created_ms"),
    _big("until_ms"),
    _int("version"),
    sa.UniqueConstraint("event_id", "hold_id", name="reservations_hold"),
    sa.Index("reservations_due", "state", "until_ms"),
    sa.Index("reservations_buyer", "event_id", "buyer"),
)
RESERVATION_SEATS = sa.Table(
    "reservation_seats",
    META,
    _text("reservation_id", key=True),
    _text("event_id"),
    _int("seat", key=True),
    _int("tier"),
    _big("price_minor"),
    _flag("active"),
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
    _text("event_id", key=True),
    _text("hold_id", key=True),
    _text("buyer"),
    _text("state"),
    _int("epoch"),
    _big("fence"),
    _int("price_version"),
    # What a hold costs stays what it was when the map is rebuilt.
    sa.Column("currency", sa.Text(), nullable=False, server_default=sa.text("'-'")),
    _int("back"),
    _big("until_ms"),
    _flag("extended"),
    _text("seats"),
    _big("at_ms"),
    # The place of the last note in the store's stream: an older one changes nothing.
    _big("note", default=0),
)
STANDS_IN_LINE = "state IN ('waiting', 'offered')"
WAITLIST = sa.Table(
    "waitlist",
    META,
    _text("event_id", key=True),
    _int("number", key=True),
    _text("buyer"),
    _int("wanted"),
    _int("tier", empty=True),
    _text("state"),
    _text("hold_id", empty=True),
    _big("offer_until_ms", empty=True),
    _big("created_ms"),
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
    _text("scope", key=True),
    _text("key", key=True),
    _text("body_hash"),
    _text("state"),
    _int("status", empty=True),
    _text("answer", empty=True),
    _big("created_ms"),
    sa.Index("idempotency_age", "created_ms"),
)
STORE_EPOCHS = sa.Table("store_epochs", META, _text("event_id", key=True), _int("epoch"))

# ------------------------------------------------------------------------------------ log

EVENT_LOG = sa.Table(
    "event_log",
    META,
    sa.Column("id", _COUNTED, primary_key=True),
    _text("event_id"),
    _text("stream"),
    _int("seq"),
    _big("at_ms"),
    _text("kind"),
    _text("body"),
    _text("prev"),
    _text("hash"),
    sa.UniqueConstraint("stream", "seq", name="event_log_stream"),
    sa.Index("event_log_event", "event_id", "id"),
)
LOG_BLOCKS = sa.Table(
    "log_blocks",
    META,
    _big("number", key=True),
    _big("at_ms"),
    _int("entries"),
    _text("prev"),
    _text("hash"),
)
LOG_MEMBERS = sa.Table(
    "log_members",
    META,
    sa.Column("entry", _COUNTED, primary_key=True, autoincrement=False),
    _big("block"),
    sa.Index("log_members_block", "block", "entry"),
)
SEALED = (EVENT_LOG, LOG_BLOCKS, LOG_MEMBERS)
"""What is only ever added to: a trigger refuses each UPDATE, each DELETE, and whatever replaces a row."""

# --------------------------------------------------------------------------------- orders

ORDERS = sa.Table(
    "orders",
    META,
    _text("id", key=True),
    _text("event_id"),
    _text("buyer"),
    _text("reservation_id"),
    _text("state"),
    _text("currency"),
    _big("amount_minor"),
    _big("created_ms"),
    _big("until_ms"),
    _int("attempt"),
    _int("paid_by"),
    _flag("disputed"),
    _int("version"),
    sa.UniqueConstraint("reservation_id", name="orders_reservation"),
    sa.Index("orders_due", "state", "until_ms"),
    sa.Index("orders_buyer", "event_id", "buyer"),
)
ATTEMPTS = sa.Table(
    "order_attempts",
    META,
    _text("order_id", key=True),
    _int("number", key=True),
    _text("event_id"),
    _text("reservation_id"),
    _text("provider"),
    _text("goal"),
    _text("state"),
    _flag("review"),
    _text("currency"),
    _big("amount_minor"),
    _text("ref"),
    _text("decline"),
    _text("action_url"),
    _big("captured_minor"),
    _big("refunded_minor"),
    _big("disputed_minor"),
    _text("fingerprint"),
    _text("card"),
    _int("asked"),
    _big("created_ms"),
    _int("version"),
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
)
WORK = sa.Table(
    "order_work",
    META,
    _text("order_id", key=True),
    _text("kind", key=True),
    _text("name", key=True),
    _text("event_id"),
    _text("method"),
    _big("due_ms"),
    _int("tries"),
    # What stands still is found by the time at which it was to be looked at.
    sa.Index("order_work_due", "due_ms"),
)
REFUNDS = sa.Table(
    "order_refunds",
    META,
    _text("order_id", key=True),
    _text("key", key=True),
    _int("attempt"),
    _text("event_id"),
    _text("reservation_id"),
    _text("currency"),
    _big("amount_minor"),
    _text("state"),
    _text("ref"),
    _text("reason"),
    _text("by"),
    _big("created_ms"),
    _int("version"),
    sa.Index("order_refunds_reservation", "reservation_id"),
)
NOTICES = sa.Table(
    "order_notices",
    META,
    _text("provider", key=True),
    _text("id", key=True),
    _text("event_id"),
    _text("topic"),
    _text("ref"),
    _text("state"),
    _text("why"),
    _big("at_ms"),
    _big("came_ms"),
    sa.Index("order_notices_age", "came_ms"),
)
MONEY = sa.Table(
    "order_money",
    META,
    _text("provider", key=True),
    _text("ref", key=True),
    _text("kind", key=True),
    _int("number", key=True),
    _text("event_id"),
    _text("order_id"),
    _int("attempt"),
    _text("currency"),
    _big("amount_minor"),
    _big("at_ms"),
    sa.Index("order_money_order", "order_id"),
)

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
    STORE_EPOCHS,
)
"""What moves with an event from shard to shard, each with a column ``event_id``."""
