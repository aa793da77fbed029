"""Inventory: all rows of one event in one database, taken as a whole: counted, copied, put down, taken away.

What a move needs of SQL, and nothing that sells a seat. The rows are those of ``tables.INVENTORY``.

**Fence.** The row of ``store_epochs`` says more than the others: it is the number of the event's newest map, and the
number of the newest attempt to move it. Whoever writes here names the epoch that it was given, and what is there may
not be newer. So a mover that slept through the end of its move finds that it comes too late, in whichever database it
wakes up: it can neither empty the new home of the event nor add a row to it. The row stays when the others go.
It fences reservations as well: a hold of an older map cannot be reserved any more (``sales.store``).

**Keys.** Whose a request's key is its scope says, which begins with the event and a colon (``own_rows``). They go
along, so that a repeat is a repeat wherever the event is.

**Digest.** The sum of the hashes of all rows modulo 2^256: databases sort texts each in its own way, so the order must
not count.

**Log.** What happened to an event's sales (``event_log``) is copied and never taken away (``eventlog.copying``); it is
summed up beside the rows. Not here: when which step is taken (``shards.moving``).
"""

import hashlib
import secrets
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection
from sqlalchemy.exc import IntegrityError

from checkout.database import ShopDatabase
from checkout.eventlog import copying
from checkout.eventlog.entries import Entry
from checkout.tables import IDEMPOTENCY, INVENTORY, RESERVATIONS, STORE_EPOCHS, WORK

BATCH = 2_000

TABLES = tuple(table for table in INVENTORY if table is not STORE_EPOCHS)
"""What is copied, in this order."""

Row = tuple[Any, ...]
_RING = 2**256
_PROBE = "probe"


@dataclass(frozen=True, slots=True)
class Summary:
    """How many rows there are, and what they come to together."""

    rows: int
    digest: str


class TooLate(Exception):
    """Somebody else has begun with the event since, or has ended what was begun; nothing was written."""


class Inventory:
    """The rows of events in one database."""

    def __init__(self, database: ShopDatabase) -> None:
        self._database = database

    # ----------------------------------------------------------------------------- looking

    def epoch(self, event: str) -> int:
        """Tell the newest epoch that this database knows of an event; 0 if none."""
        with self._database.reading() as connection:
            return _epoch(connection, event)

    def active(self, event: str) -> int:
        """Count the reservations that are not over, and the payments in which something is left to be done."""
        with self._database.reading() as connection:
            return _active(connection, event)

    def batches(self, event: str, table: sa.Table) -> Iterator[list[Row]]:
        """Give the rows of a table, a batch at a time, each from a transaction of its own."""
        key = list(table.primary_key.columns)
        places = [list(table.columns).index(column) for column in key]
        query = sa.select(table).where(own_rows(table, event)).order_by(*key).limit(BATCH)
        last: Row | None = None
        while True:
            page = query if last is None else query.where(sa.tuple_(*key) > sa.tuple_(*_bound(key, last)))
            with self._database.reading() as connection:
                rows = [tuple(row) for row in connection.execute(page)]
            if rows:
                yield rows
            if len(rows) < BATCH:
                return
            last = tuple(rows[-1][place] for place in places)

    def count(self, event: str) -> int:
        """Count all rows."""
        with self._database.reading() as connection:
            return sum(
                connection.scalar(sa.select(sa.func.count()).where(own_rows(table, event))) or 0
                for table in TABLES
            )

    def summary(self, event: str) -> dict[str, Summary]:
        """Sum up the rows of each table."""
        made = {}
        for table in TABLES:
            count = digest = 0
            for rows in self.batches(event, table):
                count += len(rows)
                digest = (digest + sum(_hash(row) for row in rows)) % _RING
            made[table.name] = Summary(count, f"{digest:064x}")
        return made

    def log_batches(self, event: str) -> Iterator[list[Entry]]:
        """Give the entries of the log, a batch at a time, each from a transaction of its own."""
        return copying.batches(self._database, event, BATCH)

    def log_count(self, event: str) -> int:
        """Count the entries of the log."""
        with self._database.reading() as connection:
            return copying.count(connection, event)

    def log_summary(self, event: str) -> Summary:
        """Sum up the log, without the ids, which are each database's own."""
        count = digest = 0
        for entries in self.log_batches(event):
            count += len(entries)
            digest = (digest + sum(_hash(tuple(entry)[1:]) for entry in entries)) % _RING
        return Summary(count, f"{digest:064x}")

    # ----------------------------------------------------------------------------- writing

    def fence(self, event: str, epoch: int) -> int:
        """Let nothing of an older epoch be reserved here any more; returns the reservations that stand in the way.

        None are in the way: it is done. Raises ``TooLate``.
        """
        with self._database.writing() as connection:
            # Who is about to reserve reads this row and keeps it: we come before it, or see what it wrote.
            _epoch(connection, event, lock=True)
            active = _active(connection, event)
            if not active:
                _raise(connection, event, epoch)
        return active

    def clear(self, event: str, epoch: int) -> None:
        """Take all rows away but the log, for this epoch. Raises ``TooLate``."""
        with self._database.writing() as connection:
            _raise(connection, event, epoch)
            for table in TABLES:
                connection.execute(sa.delete(table).where(own_rows(table, event)))

    def put(self, event: str, epoch: int, table: sa.Table, rows: Sequence[Row]) -> None:
        """Put rows down; the database must have been cleared for this epoch. Raises ``TooLate``."""
        names = [column.name for column in table.columns]
        with self._database.writing() as connection:
            if _epoch(connection, event, lock=True) != epoch:
                raise TooLate
            connection.execute(sa.insert(table), [dict(zip(names, row, strict=True)) for row in rows])

    def put_log(self, event: str, epoch: int, entries: Sequence[Entry]) -> None:
        """Add entries of the log that are not here yet. Raises ``TooLate``, and ``copying.Forked``."""
        with self._database.writing() as connection:
            if _epoch(connection, event, lock=True) != epoch:
                raise TooLate
            copying.put(connection, entries)


def own_rows(table: sa.Table, event: str) -> sa.ColumnElement[bool]:
    """Give the condition of an event's rows in a table."""
    if table is not IDEMPOTENCY:
        return table.c.event_id == event
    begin = f"{event}:"
    return sa.func.substr(IDEMPOTENCY.c.scope, 1, len(begin)) == begin


def are_apart(databases: Sequence[ShopDatabase]) -> bool:
    """Tell whether databases are really several: what is written into one is not seen in another.

    Two addresses of one database look as different as any; to clear one would be to clear the other.
    """
    probe = {"scope": _PROBE, "key": secrets.token_hex(16), "body_hash": "", "state": "", "created_ms": 0}
    own = (IDEMPOTENCY.c.scope == _PROBE) & (IDEMPOTENCY.c.key == probe["key"])
    query = sa.select(sa.func.count()).select_from(IDEMPOTENCY).where(own)
    for database in databases:
        with database.writing() as connection:
            connection.execute(sa.insert(IDEMPOTENCY), probe)
        try:
            for other in databases:
                with other.reading() as connection:
                    if other is not database and connection.scalar(query):
                        return False
        finally:
            with database.writing() as connection:
                connection.execute(sa.delete(IDEMPOTENCY).where(own))
    return True


def _epoch(connection: Connection, event: str, *, lock: bool = False) -> int:
    query = sa.select(STORE_EPOCHS.c.epoch).where(STORE_EPOCHS.c.event_id == event)
    return connection.scalar(query.with_for_update() if lock else query) or 0


def _raise(connection: Connection, event: str, epoch: int) -> None:
    own = STORE_EPOCHS.c.event_id == event
    done = connection.execute(
        sa.update(STORE_EPOCHS).where(own, STORE_EPOCHS.c.epoch <= epoch).values(epoch=epoch)
    )
    if done.rowcount == 1:
        return
    if _epoch(connection, event):
        raise TooLate
    try:
        connection.execute(sa.insert(STORE_EPOCHS), {"event_id": event, "epoch": epoch})
    except IntegrityError as error:
        raise TooLate from error


def _active(connection: Connection, event: str) -> int:
    own = (RESERVATIONS.c.event_id == event) & (RESERVATIONS.c.state == "active")
    reservations = connection.scalar(sa.select(sa.func.count()).select_from(RESERVATIONS).where(own)) or 0
    payments = sa.select(sa.func.count()).select_from(WORK).where(WORK.c.event_id == event)
    return reservations + (connection.scalar(payments) or 0)


def _bound(key: Sequence[sa.Column[Any]], last: Row) -> list[sa.ColumnElement[Any]]:
    return [sa.literal(value, column.type) for column, value in zip(key, last, strict=True)]


def _hash(row: Row) -> int:
    return int.from_bytes(hashlib.sha256(repr(row).encode()).digest(), "big")
