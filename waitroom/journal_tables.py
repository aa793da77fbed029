"""Tables of the journal: rows in and out, address, engine, and whose turn it is to write.

Apart from ``journal_store``, so that the one file says how a connection behaves and the other what is kept.
The tables are made by ``migrations``; the definitions here only name their columns.
"""

import sqlite3
import time
from pathlib import Path
from typing import Any

import orjson
import sqlalchemy as sa
from sqlalchemy.engine import URL, Connection, Engine, Row, make_url
from sqlalchemy.exc import ArgumentError
from sqlalchemy.pool import ConnectionPoolEntry

from kernel.errors import Misconfigured, Unavailable
from waitroom.journal import Entry, body_text, kind_of

LOCK = int.from_bytes(b"waitroom", "big")
"""Name of the advisory lock that writers take in PostgreSQL; it belongs to the one database."""

WAIT_S = 10
"""How long a writer waits for its turn."""

CONNECT_S = 3
AWAY = "The waiting room cannot reach its journal."
_ASK_AGAIN_S = 0.02
_WRITES = "waitroom_writes"

META = sa.MetaData()
ENTRIES = sa.Table(
    "journal_entries",
    META,
    sa.Column("seq", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("at_ms", sa.BigInteger),
    sa.Column("room", sa.Text),
    sa.Column("run", sa.Text),
    sa.Column("kind", sa.Text),
    sa.Column("body", sa.Text),
    sa.Column("source", sa.Text),
    sa.Column("prev", sa.LargeBinary),
    sa.Column("hash", sa.LargeBinary),
)
LEAVES = sa.Table(
    "journal_leaves",
    META,
    sa.Column("room", sa.Text, primary_key=True),
    sa.Column("run", sa.Text, primary_key=True),
    sa.Column("start", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("count", sa.Integer),
    sa.Column("leaves", sa.LargeBinary),
)
HEADS = sa.Table(
    "journal_heads",
    META,
    sa.Column("seq", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("at_ms", sa.BigInteger),
    sa.Column("hash", sa.LargeBinary),
    sa.Column("signature", sa.Text),
)


def address(text: str) -> URL:
    """Read the journal's address. Raises ``Misconfigured``, with a sentence for each way to get it wrong."""
    try:
        url = make_url(text)
    except ArgumentError as error:
        raise Misconfigured(["The journal's address cannot be read."]) from error
    if url.drivername in {"postgresql", "postgres", "postgresql+psycopg"}:
        return url.set(drivername="postgresql+psycopg")
    if url.drivername not in {"sqlite", "sqlite+pysqlite"}:
        raise Misconfigured(
            [f"The journal's address must begin with sqlite:/// or postgresql://, not {url.drivername}:."]
        )
    if url.database in {None, "", ":memory:"}:
        raise Misconfigured(
            ["The journal needs a file (sqlite:////path/to/journal.db): kept in memory it outlives nothing."]
        )
    return url


def engine(url: URL) -> Engine:
    """Make an engine; nothing is opened yet, but a folder that cannot take a SQLite file is told at once."""
    if url.drivername == "postgresql+psycopg":
        return _postgresql(url)
    folder = Path(str(url.database)).absolute().parent
    if not folder.is_dir():
        raise Misconfigured([f"The journal's folder {folder} does not exist."])
    made = sa.create_engine(url, connect_args={"timeout": WAIT_S})
    sa.event.listen(made, "connect", _sqlite_settings)
    sa.event.listen(made, "begin", _sqlite_begin)
    return made


def begin_writing(connection: Connection) -> None:
    """Mark the next transaction of a connection as one that writes; SQLite then waits for its turn."""
    connection.execution_options(**{_WRITES: True})


def take_turn(connection: Connection) -> None:
    """Wait until no other writer is in a transaction. On SQLite, BEGIN IMMEDIATE has done so."""
    if connection.dialect.name == "postgresql":
        connection.execute(sa.text(f"SET LOCAL lock_timeout = '{WAIT_S}s'"))
        connection.execute(sa.select(sa.func.pg_advisory_xact_lock(LOCK)))


def _postgresql(url: URL) -> Engine:
    try:
        return sa.create_engine(
            url, pool_pre_ping=True, pool_size=4, connect_args={"connect_timeout": CONNECT_S}
        )
    except ModuleNotFoundError as error:
        raise Misconfigured(
            [
                "PostgreSQL is to keep the journal, but its driver is missing: pip install 'waitroom[postgres]'."
            ]
        ) from error


def _sqlite_settings(connection: sqlite3.Connection, _record: ConnectionPoolEntry) -> None:
    # None: the module must not begin transactions behind our back; _sqlite_begin does.
    connection.isolation_level = None
    connection.execute("PRAGMA synchronous = FULL")


def _sqlite_begin(connection: Connection) -> None:
    writes: Any = connection.get_execution_options().get(_WRITES)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def into_wal_mode(made: Engine) -> None:
    """Let readers and the writer of a SQLite file go side by side; the file remembers it.

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
                        raise Unavailable("journal-away", AWAY) from error
                    time.sleep(_ASK_AGAIN_S)
                else:
                    return
        finally:
            cursor.execute(f"PRAGMA busy_timeout = {WAIT_S * 1000}")


def _body(text: str) -> dict[str, str]:
    """Read a body; one that somebody has spoilt must show in ``verify`` and not end it."""
    try:
        body = orjson.loads(text)
    except ValueError:
        return {"spoilt": text}
    fine = isinstance(body, dict) and set(map(type, body.values())) <= {str}
    return body if fine else {"spoilt": text}


def octets_of(value: bytes | str) -> bytes:
    """Read octets; SQLite would also keep a text that somebody put in their place."""
    return value.encode() if isinstance(value, str) else bytes(value)


def row_of(entry: Entry) -> dict[str, Any]:
    """Write an entry as a row of ``ENTRIES``."""
    return {
        "seq": entry.seq,
        "at_ms": entry.at_ms,
        "room": entry.room,
        "run": entry.run,
        "kind": entry.kind.value,
        "body": body_text(entry.body),
        "source": entry.source or None,
        "prev": entry.prev,
        "hash": entry.hash,
    }


def entry_of(row: Row[Any]) -> Entry:
    """Read an entry from a whole row of ``ENTRIES``."""
    # Unpacked in the order of the table's columns: by name it takes three times as long, and a recovery reads
    # every admission of the run.
    seq, at_ms, room, run, kind, body, source, prev, digest = tuple(row)
    return Entry(
        seq=seq,
        at_ms=at_ms,
        room=room,
        run=run,
        kind=kind_of(kind),
        body=_body(body),
        source=source or "",
        prev=octets_of(prev),
        hash=octets_of(digest),
    )
