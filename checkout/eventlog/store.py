"""Log store: entries are added inside of the caller's transaction, and read in order.

Who changes a sale adds its entries in the transaction of the change, so neither is ever there without the other. It
names the head of each stream that it knows; of two who name the same, one is refused by (stream, seq), an
``IntegrityError`` as elsewhere. Mostly it holds a lock of the sale anyway.

``at_ms`` never goes back within a stream: an entry of a clock that is behind is dated like the one before it. So what
stood at a time is what the entries before that time come to.

Synchronous, as all SQL here. Not here: sealing (``eventlog.sealing``), whether all is as it was written
(``eventlog.verifying``).
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from checkout.eventlog.entries import NEW, NO_BLOCK, Block, Draft, Entry, Head, canonical, entry_hash
from checkout.tables import EVENT_LOG, LOG_BLOCKS

AT_ONCE = 2_000
"""Rows that are fetched together while many are read."""

_LOG = EVENT_LOG.c
COLUMNS = (
    _LOG.id, _LOG.event_id, _LOG.stream, _LOG.seq, _LOG.at_ms, _LOG.kind, _LOG.body, _LOG.prev, _LOG.hash,
)  # fmt: skip
ADD = sa.insert(EVENT_LOG).inline()
_HEADS = (
    sa.select(_LOG.stream, _LOG.seq, _LOG.hash, _LOG.at_ms)
    .where(_LOG.stream.in_(sa.bindparam("streams", expanding=True)))
    .order_by(_LOG.stream, _LOG.seq)
)
_LAST_BLOCK = sa.select(LOG_BLOCKS).order_by(LOG_BLOCKS.c.number.desc()).limit(1)


# -------------------------------------------------------------------------------- adding


def append(
    connection: Connection, drafts: Sequence[Draft], heads: Mapping[str, Head] | None = None
) -> dict[str, Head]:
    """Add entries, in this order; a stream that `heads` does not name is new. Returns where their streams end now.

    Raises ``IntegrityError`` when somebody else has added to a stream since.
    """
    ends: dict[str, Head] = {}
    rows = []
    for draft in drafts:
        stream = draft.stream
        head = ends.get(stream) or (heads or {}).get(stream, NEW)
        seq, at_ms, body = head.seq + 1, max(draft.at_ms, head.at_ms), canonical(draft.body)
        own = entry_hash(draft.event, stream, seq, at_ms, draft.kind, body, head.hash)
        ends[stream] = Head(seq, own, at_ms)
        rows.append({
            "event_id": draft.event, "stream": stream, "seq": seq, "at_ms": at_ms, "kind": draft.kind,
            "body": body, "prev": head.hash, "hash": own,
        })  # fmt: skip
    if rows:
        # One alone is sent without the driver's ways for many, which take longer.
        connection.execute(ADD, rows[0] if len(rows) == 1 else rows)
    return ends


def heads(connection: Connection, streams: Iterable[str]) -> dict[str, Head]:
    """Tell where streams end; who is to rely on it has a lock of what they are about."""
    found = connection.execute(_HEADS, {"streams": list(streams)})
    return {stream: Head(seq, own, at_ms) for stream, seq, own, at_ms in found}


# -------------------------------------------------------------------------------- reading


def read(connection: Connection, event: str | None = None, until_ms: int | None = None) -> Iterator[Entry]:
    """Yield entries stream by stream, each in order, without keeping them; of all events, without one.

    With ``until_ms`` only those before it.
    """
    query = sa.select(*COLUMNS).order_by(_LOG.stream, _LOG.seq)
    if event is not None:
        query = query.where(_LOG.event_id == event)
    if until_ms is not None:
        query = query.where(_LOG.at_ms < until_ms)
    with connection.execute(query, execution_options={"yield_per": AT_ONCE}) as rows:
        yield from map(Entry._make, rows)


def stream(connection: Connection, name: str) -> list[Entry]:
    """Return all entries of one stream."""
    query = sa.select(*COLUMNS).where(_LOG.stream == name).order_by(_LOG.seq)
    return [Entry(*row) for row in connection.execute(query)]


def last_block(connection: Connection) -> Block:
    """Return the newest block; ``NO_BLOCK`` before the first."""
    row = connection.execute(_LAST_BLOCK).one_or_none()
    return NO_BLOCK if row is None else Block(*row)


def at_one_moment(connection: Connection) -> Connection:
    """Let all statements of the coming transaction see the same commits. On SQLite a transaction does so anyway."""
    if connection.dialect.name == "postgresql":
        connection.execution_options(isolation_level="REPEATABLE READ")
    return connection
