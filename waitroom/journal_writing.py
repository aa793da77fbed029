"""Journal writing: entries put at the chain's end, within a transaction that its caller has begun.

Whoever changes a table of the same database puts the record of it here, so that both are there or neither. The
transaction must hold the writers' turn (``kernel.database.take_turn`` with ``journal_tables.LOCK``), because an entry
needs the hash of the one before. Not here: the journal's own transactions, its signed heads (``journal_store``).
"""

from collections.abc import Iterable

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from kernel.database import insert_many
from waitroom.journal import GENESIS, Entry, NewEntry, chain
from waitroom.journal_tables import ENTRIES, octets_of, row_of


def end_of(connection: Connection) -> tuple[int, bytes]:
    """Return the last entry's number and hash; 0 and ``GENESIS`` before the first."""
    last = connection.execute(
        sa.select(ENTRIES.c.seq, ENTRIES.c.hash).order_by(ENTRIES.c.seq.desc()).limit(1)
    ).first()
    return (last.seq, octets_of(last.hash)) if last is not None else (0, GENESIS)


def put(connection: Connection, entries: Iterable[NewEntry]) -> list[Entry]:
    """Put entries at the end of the chain; their `source` must not be there yet."""
    placed = chain(entries, *end_of(connection))
    insert_many(connection, sa.insert(ENTRIES), [row_of(entry) for entry in placed])
    return placed
