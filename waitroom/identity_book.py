"""Identity book: the journal's half of each run's room key, and the batches of codes; in the journal's database.

Beside the chain and not in it, because a key must be destroyed when its sale is over, and the chain forgets nothing.
A key that was destroyed is never made again: what is left of its row says so. SQLite overwrites what it deletes
(``secure_delete``) and empties its log; PostgreSQL does so with its next VACUUM (docs/identity.md).

Making and revoking codes is recorded in the transaction that does it, without a code: both are there, or neither.

Synchronous, as the journal's store. Database errors become ``Unavailable`` here.
"""

import logging
import secrets
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from kernel.database import address, begin_writing, close, engine, take_turn
from kernel.errors import Refused
from waitroom.codes import BATCH_MOST, NUMBER_MOST, SALT_BYTES, Batch
from waitroom.identity import KEY_BYTES
from waitroom.journal import Kind, NewEntry
from waitroom.journal_tables import LOCK, octets_of, translated
from waitroom.journal_writing import put
from waitroom.lanes import Lane

log = logging.getLogger(__name__)

META = sa.MetaData()
KEYS = sa.Table(
    "identity_keys",
    META,
    sa.Column("room", sa.Text, primary_key=True),
    sa.Column("run", sa.Text, primary_key=True),
    sa.Column("epoch", sa.BigInteger),
    sa.Column("half", sa.LargeBinary),
    sa.Column("made_ms", sa.BigInteger),
)
BATCHES = sa.Table(
    "code_batches",
    META,
    sa.Column("batch", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("room", sa.Text),
    sa.Column("lane", sa.Text),
    sa.Column("label", sa.Text),
    sa.Column("size", sa.Integer),
    sa.Column("salt", sa.LargeBinary),
    sa.Column("made_ms", sa.BigInteger),
    sa.Column("until_ms", sa.BigInteger),
    sa.Column("revoked_ms", sa.BigInteger),
)
REVOKED = sa.Table(
    "codes_revoked",
    META,
    sa.Column("batch", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("revoked_ms", sa.BigInteger),
)


class IdentityBook:
    """The keys and batches of one installation; ``journal_store`` has made the tables."""

    def __init__(self, url: str) -> None:
        """Prepare; nothing is opened yet. Raises ``Misconfigured`` for an address that cannot be one."""
        self._engine = engine(address(url, "journal"), "journal")

    def close(self) -> None:
        """Close all connections."""
        close(self._engine)

    # ------------------------------------------------------------------------------------ keys

    def half(self, room: str, run: str, epoch: int, now_ms: int) -> bytes:
        """Return the half of a run's key, after making it if there is none; b'' for one that was destroyed."""
        found = self._half(room, run)
        if found is not None:
            return found
        fresh = secrets.token_bytes(KEY_BYTES)
        with self._writing() as connection:
            kept = _half_of(connection, room, run)
            if kept is not None:
                return kept
            row = {"room": room, "run": run, "epoch": epoch, "half": fresh, "made_ms": now_ms}
            connection.execute(sa.insert(KEYS), row)
        return fresh

    def destroy(self, room: str, run: str, epoch: int, *, over: bool) -> int:
        """Destroy the keys of a room's earlier runs, and that of `run` if it is `over`; tell how many.

        Only what is of an earlier epoch counts as earlier: a store that came back with an old file destroys nothing.
        """
        earlier = sa.and_(KEYS.c.run != run, KEYS.c.epoch < epoch)
        which = sa.or_(earlier, KEYS.c.run == run) if over else earlier
        return self._destroy(sa.and_(KEYS.c.room == room, which))

    def destroy_strangers(self, rooms: Collection[str], before_ms: int) -> int:
        """Destroy the keys of rooms that are not among `rooms`, if they were made before that time."""
        return self._destroy(sa.and_(KEYS.c.room.not_in(list(rooms)), KEYS.c.made_ms < before_ms))

    def _destroy(self, which: sa.ColumnElement[bool]) -> int:
        which = sa.and_(which, KEYS.c.half != b"")
        with translated(), self._engine.connect() as connection:
            if not connection.scalar(sa.select(sa.func.count()).select_from(KEYS).where(which)):
                return 0
        with self._writing() as connection:
            if connection.dialect.name == "sqlite":
                connection.exec_driver_sql("PRAGMA secure_delete = ON")
            gone = connection.execute(sa.update(KEYS).where(which).values(half=b"")).rowcount
        if self._engine.dialect.name == "sqlite":
            with translated(), self._engine.connect() as connection:
                # The log still has the page as it was; outside of a transaction it can be emptied.
                raw: Any = connection.connection.cursor()
                raw.execute("PRAGMA wal_checkpoint(TRUNCATE)")
                raw.close()
        return int(gone)

    def _half(self, room: str, run: str) -> bytes | None:
        with translated(), self._engine.connect() as connection:
            return _half_of(connection, room, run)

    # ----------------------------------------------------------------------------------- codes

    def batches(self, room: str | None = None) -> list[Batch]:
        """Return the batches of a room, or all, with what was revoked of each."""
        query = sa.select(BATCHES).order_by(BATCHES.c.batch)
        if room is not None:
            query = query.where(BATCHES.c.room == room)
        with translated(), self._engine.connect() as connection:
            rows = connection.execute(query).all()
            revoked: dict[int, set[int]] = {}
            for batch, number in connection.execute(sa.select(REVOKED.c.batch, REVOKED.c.number)):
                revoked.setdefault(batch, set()).add(number)
        return [
            Batch(
                row.batch, row.room, Lane(row.lane) if row.lane else None, row.label, row.size, octets_of(row.salt),
                row.made_ms, row.until_ms, row.revoked_ms, frozenset(revoked.get(row.batch, ())),
            )
            for row in rows
        ]  # fmt: skip

    def make(
        self,
        room: str,
        lane: Lane | None,
        label: str,
        size: int,
        until_ms: int | None,
        by: Mapping[str, str],
        now_ms: int,
    ) -> Batch:
        """Keep a new batch, and record `by` whom and why it was made.

        Raises Refused ``codes-full`` when there are as many as there are numbers for.
        """
        if not 0 < size <= NUMBER_MOST:
            raise ValueError("a batch has 1 to 1,048,576 codes")
        with self._writing() as connection:
            last = connection.scalar(sa.select(sa.func.max(BATCHES.c.batch)))
            batch = 0 if last is None else last + 1
            if batch >= BATCH_MOST:
                raise Refused("codes-full", "There are as many batches of codes as there can be.", status=409)
            made = Batch(batch, room, lane, label, size, secrets.token_bytes(SALT_BYTES), now_ms, until_ms)
            row = made._asdict() | {"lane": str(lane or "")}
            del row["revoked"]
            connection.execute(sa.insert(BATCHES), row)
            until = {"until_ms": str(until_ms)} if until_ms else {}
            put(connection, [_record("codes-made", made, until, by, now_ms)])
        return made

    def revoke(self, batch: Batch, number: int | None, by: Mapping[str, str], now_ms: int) -> bool:
        """Let a batch, or one code of it, count no more; tell whether anything changed, which is then recorded."""
        with self._writing() as connection:
            if number is None:
                own = sa.and_(BATCHES.c.batch == batch.batch, BATCHES.c.revoked_ms.is_(None))
                if not connection.execute(sa.update(BATCHES).where(own).values(revoked_ms=now_ms)).rowcount:
                    return False
            else:
                own = sa.and_(REVOKED.c.batch == batch.batch, REVOKED.c.number == number)
                if connection.execute(sa.select(REVOKED).where(own)).first() is not None:
                    return False
                row = {"batch": batch.batch, "number": number, "revoked_ms": now_ms}
                connection.execute(sa.insert(REVOKED), row)
            which = {"which": "all" if number is None else str(number)}
            put(connection, [_record("codes-revoked", batch, which, by, now_ms)])
            return True

    # ----------------------------------------------------------------------------- connections

    @contextmanager
    def _writing(self) -> Iterator[Connection]:
        with translated(), self._engine.connect() as connection:
            begin_writing(connection)
            with connection.begin():
                take_turn(connection, LOCK)
                yield connection


def _record(act: str, batch: Batch, more: Mapping[str, str], by: Mapping[str, str], now_ms: int) -> NewEntry:
    """Write what was done to a batch, without a code."""
    body = {
        "act": act, "batch": str(batch.batch), "size": str(batch.size), "lane": str(batch.lane or ""),
        "label": batch.label, **more, **by,
    }  # fmt: skip
    return NewEntry(now_ms, batch.room, "", Kind.OPERATOR, body)


def _half_of(connection: Connection, room: str, run: str) -> bytes | None:
    own = sa.and_(KEYS.c.room == room, KEYS.c.run == run)
    found = connection.scalar(sa.select(KEYS.c.half).where(own))
    return None if found is None else octets_of(found)
