"""The shop's tables: the catalogue, and the inventory that a shard keeps.

Written out and not taken from ``checkout.tables``: that file tells what the tables are today, this one what they were
at first.
"""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create tables and indexes."""
    _catalogue()
    _reservations()
    _people_and_calls()


def _text(name: str, *, key: bool = False, empty: bool = False) -> sa.Column[str]:
    return sa.Column(name, sa.Text(), primary_key=key, nullable=empty)


def _int(name: str, *, key: bool = False, empty: bool = False, default: str | None = None) -> sa.Column[int]:
    start = None if default is None else sa.text(default)
    return sa.Column(
        name, sa.Integer(), primary_key=key, autoincrement=False, nullable=empty, server_default=start
    )


def _big(name: str, *, empty: bool = False, default: str | None = None) -> sa.Column[int]:
    start = None if default is None else sa.text(default)
    return sa.Column(name, sa.BigInteger(), nullable=empty, server_default=start)


def _catalogue() -> None:
    op.create_table("organisers", _text("id", key=True), _text("name"))
    op.create_table(
        "venues", _text("id", key=True), _text("name"), _text("city"), _text("country"), _text("time_zone")
    )
    op.create_table(
        "layouts", _text("id", key=True), _text("venue_id"), _text("name"), _int("seats"), _text("document")
    )
    op.create_table(
        "events",
        _text("id", key=True),
        *map(_text, ("organiser_id", "venue_id", "layout_id", "title", "subtitle", "about", "motif")),
        *map(_big, ("starts_ms", "sale_from_ms", "sale_until_ms")),
        *map(_text, ("state", "currency")),
        *map(_int, ("max_per_buyer", "hold_s", "grace_s")),
        _text("room"),
        _big("changed_ms"),
    )
    op.create_index("events_changed", "events", ["changed_ms"])
    op.create_table("tiers", _text("event_id", key=True), _int("tier", key=True), _text("name"))
    op.create_table(
        "prices",
        _text("event_id", key=True),
        _int("version", key=True),
        _int("tier", key=True),
        _text("currency", key=True),
        _big("amount_minor"),
    )
    op.create_table("section_tiers", _text("event_id", key=True), _int("section", key=True), _int("tier"))
    op.create_table(
        "allocations",
        _text("event_id", key=True),
        _text("name", key=True),
        _text("channel"),
        _text("code_hash"),
    )
    op.create_table("shard_overrides", _text("event_id", key=True), _text("shard"))


def _reservations() -> None:
    op.create_table(
        "seats",
        _text("event_id", key=True),
        _int("seat", key=True),
        _int("status"),
        _int("tier"),
        _text("allocation", empty=True),
        _int("version", default="0"),
        _int("epoch", default="0"),
        _big("fence", default="0"),
        _text("reservation_id", empty=True),
    )
    op.create_table(
        "reservations",
        _text("id", key=True),
        *map(_text, ("event_id", "buyer", "hold_id", "state")),
        _int("epoch"),
        _big("fence"),
        _int("price_version"),
        _text("currency"),
        *map(_big, ("total_minor", "created_ms", "until_ms")),
        _int("version"),
        sa.UniqueConstraint("event_id", "hold_id", name="reservations_hold"),
    )
    op.create_index("reservations_due", "reservations", ["state", "until_ms"])
    op.create_index("reservations_buyer", "reservations", ["event_id", "buyer"])
    op.create_table(
        "reservation_seats",
        _text("reservation_id", key=True),
        _text("event_id"),
        _int("seat", key=True),
        _int("tier"),
        _big("price_minor"),
        sa.Column("active", sa.Boolean(), nullable=False),
    )
    _one_among("reservation_seats_active", "reservation_seats", ["event_id", "seat"], "active")
    op.create_table(
        "hold_journal",
        _text("event_id", key=True),
        _text("hold_id", key=True),
        *map(_text, ("buyer", "state")),
        _int("epoch"),
        _big("fence"),
        _int("price_version"),
        sa.Column("currency", sa.Text(), nullable=False, server_default=sa.text("'-'")),
        _int("back"),
        _big("until_ms"),
        sa.Column("extended", sa.Boolean(), nullable=False),
        _text("seats"),
        _big("at_ms"),
        _big("note", default="0"),
    )
    op.create_table("store_epochs", _text("event_id", key=True), _int("epoch"))


def _people_and_calls() -> None:
    op.create_table(
        "waitlist",
        _text("event_id", key=True),
        _int("number", key=True),
        _text("buyer"),
        _int("wanted"),
        _int("tier", empty=True),
        _text("state"),
        _text("hold_id", empty=True),
        _big("offer_until_ms", empty=True),
        _big("created_ms"),
    )
    _one_among("waitlist_once", "waitlist", ["event_id", "buyer"], "state IN ('waiting', 'offered')")
    op.create_table(
        "idempotency",
        _text("scope", key=True),
        _text("key", key=True),
        *map(_text, ("body_hash", "state")),
        _int("status", empty=True),
        _text("answer", empty=True),
        _big("created_ms"),
    )
    op.create_index("idempotency_age", "idempotency", ["created_ms"])


def _one_among(name: str, table: str, columns: list[str], condition: str) -> None:
    where = sa.text(condition)
    op.create_index(name, table, columns, unique=True, sqlite_where=where, postgresql_where=where)
