"""Tables of the journal: rows in and out, and what its database's refusals mean.

Apart from ``journal_store``, so that the one file says what a row is and the other what is kept and when.
The tables are made by ``migrations``; the definitions here only name their columns. Not here: how a connection
behaves (``kernel.database``).
"""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import orjson
import sqlalchemy as sa
from sqlalchemy.engine import Row
from sqlalchemy.exc import SQLAlchemyError

from kernel.database import Busy
from kernel.errors import Unavailable
from waitroom.journal import Entry, body_text, kind_of

log = logging.getLogger(__name__)

LOCK = int.from_bytes(b"waitroom", "big")
"""Name of the advisory lock that writers take in PostgreSQL; it belongs to the one database."""

AWAY = "The waiting room cannot reach its journal."


@contextmanager
def translated() -> Iterator[None]:
    """Let what the database refuses become ``Unavailable``."""
    try:
        yield
    except Busy as error:
        raise Unavailable("journal-away", AWAY) from error
    except SQLAlchemyError as error:
        # The first line only: what follows is the statement with its values.
        log.error("the journal's database refused", extra={"error": str(error).splitlines()[0]})  # noqa: TRY400
        raise Unavailable("journal-away", AWAY) from error


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
NUMBER = {
    "sqlite": """CAST(substr(body, instr(body, '"number":"') + 10) AS INTEGER)""",
    "postgresql": """CAST(substring(body from '"number":"([0-9]{1,15})"') AS BIGINT)""",
}
"""How a database reads an admission's number off its text; the index ``journal_entries_number`` is made of it.

What has no number, since somebody spoilt it, reads as some other one or as none, and never as a fault.
"""
ADMITTED = "kind = 'admitted'"
"""What is in that index; a query must say it in these words, and not by a parameter."""

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
