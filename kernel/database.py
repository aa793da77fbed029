"""Database: how a connection to SQLite or PostgreSQL behaves, and whose turn it is to write.

Two packages keep tables (the line's journal, the shop); each hands in what its database is called in a message.
SQLite runs in WAL mode, so that readers never wait, with ``synchronous=FULL``; writers say so at the beginning
(``BEGIN IMMEDIATE``), because a transaction that turns into a writer half-way is refused instead of waiting.
Not here: the tables.
"""

import sqlite3
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import URL, Connection, Engine, make_url
from sqlalchemy.exc import ArgumentError
from sqlalchemy.pool import ConnectionPoolEntry

from kernel.errors import Misconfigured

WAIT_S = 10
"""How long a writer waits for its turn."""

CONNECT_S = 3
POOL = 4
_ASK_AGAIN_S = 0.02
_WRITES = "waitroom_writes"


class Busy(Exception):
    """Others use the database so that it cannot be had within ``WAIT_S``."""


def address(text: str, what: str) -> URL:
    """Read an address; ``what`` names the database ("journal"). Raises ``Misconfigured``, a sentence for each fault."""
    try:
        url = make_url(text)
    except ArgumentError as error:
        raise Misconfigured([f"The {what}'s address cannot be read."]) from error
    if url.drivername in {"postgresql", "postgres", "postgresql+psycopg"}:
        return url.set(drivername="postgresql+psycopg")
    if url.drivername not in {"sqlite", "sqlite+pysqlite"}:
        raise Misconfigured(
            [f"The {what}'s address must begin with sqlite:/// or postgresql://, not {url.drivername}:."]
        )
    if url.database in {None, "", ":memory:"}:
        raise Misconfigured(
            [f"The {what} needs a file (sqlite:////path/to/{what}.db): kept in memory it outlives nothing."]
        )
    return url


def engine(url: URL, what: str, *, pool: int = POOL) -> Engine:
    """Make an engine; nothing is opened yet, but a folder that cannot take a SQLite file is told at once."""
    if url.drivername == "postgresql+psycopg":
        return _postgresql(url, what, pool)
    folder = Path(str(url.database)).absolute().parent
    if not folder.is_dir():
        raise Misconfigured([f"The {what}'s folder {folder} does not exist."])
    made = sa.create_engine(url, hide_parameters=True, connect_args={"timeout": WAIT_S})
    sa.event.listen(made, "connect", _sqlite_settings)
    sa.event.listen(made, "begin", _sqlite_begin)
    return made


def close(made: Engine) -> None:
    """Close all connections; those that a thread is using as soon as it gives them back."""
    # The pool that the engine makes for itself in place of this one hears the same.
    sa.event.listen(made.pool, "checkin", _closed_at_checkin)
    made.dispose()


def begin_writing(connection: Connection) -> None:
    """Mark the next transaction of a connection as one that writes; SQLite then waits for its turn."""
    connection.execution_options(**{_WRITES: True})


def insert_many(connection: Connection, statement: sa.Insert, rows: Sequence[Mapping[str, Any]]) -> None:
    """Insert rows of one shape by the driver itself: for journals, which get thousands a second.

    Values go to it as they are: numbers, texts, octets and flags, but nothing that a column's type would convert.
    """
    compiled = statement.compile(connection.engine, column_keys=list(rows[0]))
    order = compiled.positiontup
    given: Any = rows if order is None else [tuple(row[name] for name in order) for row in rows]
    connection.exec_driver_sql(compiled.string, given)


def take_turn(connection: Connection, lock: int) -> None:
    """Wait until no other writer is in a transaction. On SQLite, BEGIN IMMEDIATE has done so.

    ``lock`` names the advisory lock in PostgreSQL; it belongs to the one database.
    """
    if connection.dialect.name == "postgresql":
        connection.execute(sa.text(f"SET LOCAL lock_timeout = '{WAIT_S}s'"))
        connection.execute(sa.select(sa.func.pg_advisory_xact_lock(lock)))


def into_wal_mode(made: Engine) -> None:
    """Let readers and the writer of a SQLite file go side by side; the file remembers it. Raises ``Busy``.

    Where several processes ask for the change at once, SQLite refuses at once instead of letting them wait (each
    has a look at the file that the others' change would need exclusively). So we ask again.
    """
    if made.dialect.name != "sqlite":
        return
    deadline_s = time.monotonic() + WAIT_S
    with made.connect() as connection:
        cursor = connection.connection.cursor()
        # Its own waiting helps in some of these cases only; ours helps in all.
        cursor.execute("PRAGMA busy_timeout = 0")
        try:
            while True:
                try:
                    cursor.execute("PRAGMA journal_mode = WAL")
                except sqlite3.OperationalError as error:
                    if time.monotonic() >= deadline_s:
                        raise Busy from error
                    time.sleep(_ASK_AGAIN_S)
                else:
                    return
        finally:
            cursor.execute(f"PRAGMA busy_timeout = {WAIT_S * 1000}")


def _postgresql(url: URL, what: str, pool: int) -> Engine:
    try:
        return sa.create_engine(
            url,
            hide_parameters=True,  # an error would quote what was to be written: somebody's, or secret
            pool_pre_ping=True,
            pool_size=pool,
            connect_args={"connect_timeout": CONNECT_S},
        )
    except ModuleNotFoundError as error:
        raise Misconfigured(
            [
                f"PostgreSQL is to keep the {what}, but its driver is missing: pip install 'waitroom[postgres]'."
            ]
        ) from error


def _closed_at_checkin(_connection: object, record: ConnectionPoolEntry) -> None:
    record.close()


def _sqlite_settings(connection: sqlite3.Connection, _record: ConnectionPoolEntry) -> None:
    # None: the module must not begin transactions behind our back; _sqlite_begin does.
    connection.isolation_level = None
    connection.execute("PRAGMA synchronous = FULL")


def _sqlite_begin(connection: Connection) -> None:
    writes: Any = connection.get_execution_options().get(_WRITES)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")
