"""Copying: the log of one event goes to another database, entry by entry, with its chains as they are.

A log is only ever added to, so nothing is taken away where the event was: what happened there stays there as history,
and its blocks stay right. Where the event goes, its entries are in no block yet, and a block of that database takes
them up like any other. An event that comes back finds what it had left; only what is new is added, and each stream
there must be the beginning of the one that comes.

Batches follow the ids, and in a stream a later entry has a higher one: so what a copy that was broken off has left is
the beginning of a stream too. Not here: who may copy when (``holds.inventory``, ``shards.moving``).
"""

from collections.abc import Iterator, Sequence

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from checkout.database import ShopDatabase
from checkout.eventlog.entries import Entry
from checkout.eventlog.store import ADD, COLUMNS
from checkout.tables import EVENT_LOG

_LOG = EVENT_LOG.c


class Forked(Exception):
    """A stream is there already and goes on in another way; nothing was written of the batch."""


def batches(database: ShopDatabase, event: str, size: int) -> Iterator[list[Entry]]:
    """Give an event's entries, a batch at a time, each from a transaction of its own."""
    last = 0
    while True:
        page = sa.select(*COLUMNS).where(_LOG.event_id == event, _LOG.id > last).order_by(_LOG.id).limit(size)
        with database.reading() as connection:
            entries = [Entry(*row) for row in connection.execute(page)]
        if entries:
            yield entries
            last = entries[-1].id
        if len(entries) < size:
            return


def count(connection: Connection, event: str) -> int:
    """Count an event's entries."""
    return connection.scalar(sa.select(sa.func.count()).where(_LOG.event_id == event)) or 0


def put(connection: Connection, entries: Sequence[Entry]) -> int:
    """Add the entries that are not there yet; returns how many those were. Raises ``Forked``."""
    streams = list({entry.stream for entry in entries})
    there = sa.select(_LOG.stream, _LOG.seq, _LOG.hash).where(_LOG.stream.in_(streams))
    hashes = {(stream, seq): own for stream, seq, own in connection.execute(there)}
    new = []
    for entry in entries:
        own = hashes.get((entry.stream, entry.seq))
        if own is None:
            row = entry._asdict()
            del row["id"]
            new.append({"event_id": row.pop("event"), **row})
        elif own != entry.hash:
            raise Forked(f"entry {entry.seq} of {entry.stream} is another one there")
    if new:
        connection.execute(ADD, new)
    return len(new)
