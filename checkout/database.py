"""Shop database: one SQL database of the shop, opened, brought up to date, and asked in one of three ways.

* ``writing()``: a transaction that may write. On SQLite it begins with BEGIN IMMEDIATE, so writers take turns;
  in PostgreSQL it is READ COMMITTED and rows are locked by the statements (``turn=True`` waits for one's turn there
  too, for what is rare and must not interleave).
* ``reading()``: sees what is committed; decisions may rest on it.
* ``listing()``: for reports, exports and layouts. It cannot write, may stand on a replica (``reading_url``) and thus
  lag behind; no decision reads from it (``tests/checkout/catalogue/test_listing.py`` names who may). Lists of events
  come from each worker's memory, which is read by ``reading()``, twice a second, because decisions rest on it as well.

Synchronous on purpose: a commit waits for a disk. Async callers go through ``asyncio.to_thread``, or ``write`` and
``read``, which do so. What the database
refuses becomes ``Unavailable("shop-away")`` here and nowhere else, except ``IntegrityError``: that is an answer
("somebody was faster"), which the caller who wrote the statement must understand.
"""

import asyncio
import logging
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from typing import TypeVar

import sqlalchemy as sa
from alembic.util.exc import CommandError
from sqlalchemy.engine import Connection
from sqlalchemy.exc import IntegrityError, SQLAlchemyError
from sqlalchemy.pool import ConnectionPoolEntry

from checkout.migrations import upgrade
from kernel.database import Busy, address, begin_writing, close, engine, into_wal_mode, take_turn
from kernel.errors import Misconfigured, Unavailable
from kernel.migrating import NewerSchema

log = logging.getLogger(__name__)

T = TypeVar("T")

LOCK = int.from_bytes(b"wr-shop", "big")
"""Name of the advisory lock in PostgreSQL that ``turn=True`` takes; it belongs to the one database."""

AWAY = "The shop cannot reach its database."
POOL = 8
"""Connections kept open in PostgreSQL; threads beyond that open a few more for a moment."""


class ShopDatabase:
    """One database: the main one, or a shard's."""

    def __init__(self, url: str, reading_url: str = "") -> None:
        """Prepare; nothing is opened yet. Raises ``Misconfigured`` for an address that cannot be one."""
        where = address(url, "shop")
        self._name = where.render_as_string(hide_password=True)
        self._engine = engine(where, "shop", pool=POOL)
        self._reader = engine(address(reading_url or url, "shop"), "shop", pool=POOL)
        if self._reader.dialect.name == "sqlite":
            sa.event.listen(self._reader, "connect", _sqlite_read_only)
        else:
            self._reader = self._reader.execution_options(postgresql_readonly=True)
        # SQLite's own waiting is a poll that may pass one by; among our threads a lock is fair enough and quicker.
        self._turn = threading.Lock() if self._engine.dialect.name == "sqlite" else nullcontext()

    @property
    def dialect(self) -> str:
        """Name what kind of database it is: ``sqlite`` or ``postgresql``."""
        return self._engine.dialect.name

    def open(self) -> None:
        """Bring the tables up to date. Several processes may do so at once."""
        try:
            with self.writing(turn=True) as connection:
                upgrade(connection)
            with _translated():
                into_wal_mode(self._engine)
        except NewerSchema as error:
            fault = f"The shop's database {self._name} was written by a newer version of Waitroom (version {error})."
            raise Misconfigured([fault]) from error
        except CommandError as error:
            fault = f"The shop's database {self._name} cannot be brought up to date: {error}."
            raise Misconfigured([fault]) from error

    def close(self) -> None:
        """Close all connections."""
        close(self._engine)
        close(self._reader)

    @contextmanager
    def writing(self, *, turn: bool = False) -> Iterator[Connection]:
        """Give a connection in a transaction that is committed at the end, and rolled back by an exception."""
        with _translated(), self._turn, self._engine.connect() as connection:
            begin_writing(connection)
            with connection.begin():
                if turn:
                    take_turn(connection, LOCK)
                yield connection

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """Give a connection that sees all that is committed."""
        with _translated(), self._engine.connect() as connection:
            yield connection

    async def write(self, work: Callable[[Connection], T]) -> T:
        """Do something within ``writing()``, in a thread."""

        def run() -> T:
            with self.writing() as connection:
                return work(connection)

        return await asyncio.to_thread(run)

    async def read(self, work: Callable[[Connection], T]) -> T:
        """Do something within ``reading()``, in a thread."""

        def run() -> T:
            with self.reading() as connection:
                return work(connection)

        return await asyncio.to_thread(run)

    @contextmanager
    def listing(self) -> Iterator[Connection]:
        """Give a connection that cannot write and may lag behind."""
        with _translated(), self._reader.connect() as connection:
            yield connection


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except IntegrityError:
        raise
    except Busy as error:
        raise Unavailable("shop-away", AWAY) from error
    except SQLAlchemyError as error:
        # The first line only: what follows is the statement with its values.
        log.error("the shop's database refused", extra={"error": str(error).splitlines()[0]})  # noqa: TRY400
        raise Unavailable("shop-away", AWAY) from error


def _sqlite_read_only(connection: sqlite3.Connection, _record: ConnectionPoolEntry) -> None:
    connection.execute("PRAGMA query_only = ON")
