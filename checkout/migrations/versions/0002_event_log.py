"""The log of sales: entries chained sale by sale, blocks that seal them, and triggers that refuse every change.

Reservations that were there before get the entries that they would have had; of one that was given back the time is
not known, so its end is dated to its term, and both kinds of end say ``"before_log": true``. Written out and not taken
from ``checkout.eventlog``: the form of an entry's hash is a promise, and a test holds both against each other.
"""

import hashlib
import json
from collections.abc import Iterator

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_SEALED = ("event_log", "log_blocks", "log_members")
_KEYS = {
    "event_log": ("id", "stream, seq"),
    "log_blocks": ("number",),
    "log_members": ("entry",),
}
_COUNTED = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_BATCH = 1_000
_ACTIVE = "active"


def upgrade() -> None:
    """Create tables, write down what was there before, and close the tables to everything but additions."""
    _tables()
    connection = op.get_bind()
    for rows in _batches(_entries(connection)):
        connection.execute(sa.insert(_LOG), rows)
    if connection.dialect.name == "postgresql":
        _refuse_on_postgresql()
    else:
        _refuse_on_sqlite()


def _tables() -> None:
    op.create_table(
        "event_log",
        sa.Column("id", _COUNTED, primary_key=True),
        sa.Column("event_id", sa.Text(), nullable=False),
        sa.Column("stream", sa.Text(), nullable=False),
        sa.Column("seq", sa.Integer(), nullable=False),
        sa.Column("at_ms", sa.BigInteger(), nullable=False),
        *(sa.Column(name, sa.Text(), nullable=False) for name in ("kind", "body", "prev", "hash")),
        sa.UniqueConstraint("stream", "seq", name="event_log_stream"),
    )
    op.create_index("event_log_event", "event_log", ["event_id", "id"])
    op.create_table(
        "log_blocks",
        sa.Column("number", sa.BigInteger(), primary_key=True, autoincrement=False),
        sa.Column("at_ms", sa.BigInteger(), nullable=False),
        sa.Column("entries", sa.Integer(), nullable=False),
        *(sa.Column(name, sa.Text(), nullable=False) for name in ("prev", "hash")),
    )
    op.create_table(
        "log_members",
        sa.Column("entry", _COUNTED, primary_key=True, autoincrement=False),
        sa.Column("block", sa.BigInteger(), nullable=False),
    )
    op.create_index("log_members_block", "log_members", ["block", "entry"])


# -------------------------------------------------------------------------------- refusals


def _refuse_on_sqlite() -> None:
    """Refuse changes; and insertions that replace a row, which fire no trigger of a deletion there."""
    for table in _SEALED:
        for act in ("UPDATE", "DELETE"):
            op.execute(
                f"CREATE TRIGGER {table}_no_{act.lower()} BEFORE {act} ON {table} BEGIN "
                f"SELECT RAISE(ABORT, '{table} is append-only, {act} is refused'); END"
            )
        there = " OR ".join(
            f"EXISTS (SELECT 1 FROM {table} WHERE ({key}) = ({_new(key)}))"  # noqa: S608 (our own names)
            for key in _KEYS[table]
        )
        op.execute(
            f"CREATE TRIGGER {table}_no_replace BEFORE INSERT ON {table} WHEN {there} BEGIN "
            f"SELECT RAISE(ABORT, '{table} is append-only, this row is there already'); END"
        )


def _new(key: str) -> str:
    return ", ".join(f"NEW.{name}" for name in key.split(", "))


def _refuse_on_postgresql() -> None:
    # 23000 is an integrity constraint: the caller hears what is wrong, not that the database is away.
    op.execute(
        "CREATE FUNCTION log_is_append_only() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
        "RAISE EXCEPTION USING ERRCODE = '23000', "
        "MESSAGE = TG_TABLE_NAME || ' is append-only, ' || TG_OP || ' is refused'; END $$"
    )
    for table in _SEALED:
        op.execute(
            f"CREATE TRIGGER {table}_no_change BEFORE UPDATE OR DELETE ON {table} "
            "FOR EACH ROW EXECUTE FUNCTION log_is_append_only()"
        )
        op.execute(
            f"CREATE TRIGGER {table}_no_truncate BEFORE TRUNCATE ON {table} "
            "FOR EACH STATEMENT EXECUTE FUNCTION log_is_append_only()"
        )


# -------------------------------------------------------------------------- what was there before

_SALES = sa.table(
    "reservations",
    *map(
        sa.column,
        (
            "id", "event_id", "buyer", "hold_id", "state", "epoch", "fence", "price_version", "currency",
            "total_minor", "created_ms", "until_ms", "version",
        ),
    ),
)  # fmt: skip
_PLACES = sa.table("reservation_seats", *map(sa.column, ("reservation_id", "seat", "tier", "price_minor")))
_LOG = sa.table(
    "event_log",
    *map(sa.column, ("event_id", "stream", "seq", "at_ms", "kind", "body", "prev", "hash")),
)

Row = dict[str, str | int]


def _entries(connection: sa.Connection) -> Iterator[Row]:
    last = ""
    while True:
        page = sa.select(_SALES).where(_SALES.c.id > last).order_by(_SALES.c.id).limit(_BATCH)
        sales = connection.execute(page).all()
        if not sales:
            return
        last = sales[-1].id
        ids = [sale.id for sale in sales]
        lines: dict[str, list[list[int]]] = {id_: [] for id_ in ids}
        places = sa.select(_PLACES).where(_PLACES.c.reservation_id.in_(ids)).order_by(_PLACES.c.seat)
        for place in connection.execute(places):
            lines[place.reservation_id].append([place.seat, place.tier, place.price_minor])
        for sale in sales:
            yield from _of(sale, lines[sale.id])


def _of(sale: sa.Row[tuple[object, ...]], lines: list[list[int]]) -> Iterator[Row]:
    body = {
        "buyer": sale.buyer, "hold": sale.hold_id, "epoch": sale.epoch, "fence": sale.fence,
        "price_version": sale.price_version, "currency": sale.currency, "total_minor": sale.total_minor,
        "until_ms": sale.until_ms, "lines": lines,
    }  # fmt: skip
    first = _entry(sale, 1, sale.created_ms, "reserved", body, "")
    yield first
    if sale.state != _ACTIVE:
        at_ms = max(sale.created_ms, sale.until_ms)
        yield _entry(sale, 2, at_ms, sale.state, {"before_log": True}, str(first["hash"]))


def _entry(
    sale: sa.Row[tuple[object, ...]], seq: int, at_ms: int, kind: str, body: dict[str, object], prev: str
) -> Row:
    text = json.dumps(body, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    parts = ("wr-log-1", sale.event_id, sale.id, str(seq), str(at_ms), kind, text, prev)
    digest = hashlib.sha256()
    for part in parts:
        octets = part.encode()
        digest.update(len(octets).to_bytes(4, "big") + octets)
    return {
        "event_id": sale.event_id, "stream": sale.id, "seq": seq, "at_ms": at_ms, "kind": kind, "body": text,
        "prev": prev, "hash": digest.hexdigest(),
    }  # fmt: skip


def _batches(rows: Iterator[Row]) -> Iterator[list[Row]]:
    batch: list[Row] = []
    for row in rows:
        batch.append(row)
        if len(batch) == _BATCH:
            yield batch
            batch = []
    if batch:
        yield batch
