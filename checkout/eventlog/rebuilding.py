"""Rebuilding: the tables that are nothing but what the log comes to, compared with it and put back from it.

Both go stream by stream and keep a few hundred at a time. Compared is every column of every row, and the other way
round: a row whose stream the log does not have is as wrong as one that is missing. What differs is taken away and
written anew, in one transaction in which nobody else may write those tables.

Not here: which tables (``eventlog.projecting``), seats, which are only partly what the log says (``sales.replaying``).
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from checkout.eventlog.projecting import Kinds, Projected, Row, Stood, Unreadable
from checkout.eventlog.store import read
from checkout.tables import EVENT_LOG

_BATCH = 300

LOCK_MS = 300
"""Less than the second after which PostgreSQL looks for deadlocks."""

Values = tuple[Any, ...]


class Difference(NamedTuple):
    """Where a table is not what the log comes to, and how."""

    where: str
    what: str


@dataclass(frozen=True, slots=True)
class Apart:
    """A stream whose rows in one table differ; ``there`` and ``wanted`` by the rows' keys."""

    projected: Projected
    stream: str
    there: dict[Values, Values]
    wanted: dict[Values, Values]

    def differences(self) -> Iterator[Difference]:
        """Tell them, a row each."""
        table = self.projected.table
        names = [column.name for column in table.columns]
        for key in sorted(self.there.keys() | self.wanted.keys(), key=repr):
            there, wanted = self.there.get(key), self.wanted.get(key)
            if there == wanted:
                continue
            if there is None:
                what = "the row is missing"
            elif wanted is None:
                what = "the log knows of no such row"
            else:
                parts = zip(names, there, wanted, strict=True)
                what = ", ".join(
                    f"{name} is {own!r}, by the log {other!r}" for name, own, other in parts if own != other
                )
            yield Difference(f"{table.name} {' '.join(map(str, key))}", what)


def standing(
    connection: Connection, kinds: Kinds, event: str, until_ms: int | None = None
) -> Iterator[Stood]:
    """Yield what each stream of an event comes to; with ``until_ms``, what it came to just before that time."""
    return kinds.fold_all(read(connection, event, until_ms))


def differences(
    connection: Connection, kinds: Kinds, event: str, stood: Iterable[Stood]
) -> Iterator[Difference]:
    """Compare an event's tables with what its streams come to now; the connection sees one moment."""
    for found in _apart(connection, kinds, event, stood):
        if isinstance(found, Stood):
            yield Difference(f"stream {found.stream}", found.fault)
        else:
            yield from found.differences()


def only_we_write(connection: Connection, kinds: Kinds) -> None:
    """Let nobody else change the tables that are rebuilt, nor lock their rows, until the transaction is over.

    Who sells may have one of them and want the next. So we do not wait long, and give up before PostgreSQL takes one of
    the two for a deadlock: it might take the buyer (``Unavailable``; to be tried again).
    """
    if connection.dialect.name == "postgresql":
        connection.execute(sa.text(f"SET LOCAL lock_timeout = '{LOCK_MS}ms'"))
        for one in kinds.tables:
            connection.execute(sa.text(f"LOCK TABLE {one.table.name} IN EXCLUSIVE MODE"))


def put_back(connection: Connection, kinds: Kinds, event: str) -> int:
    """Make an event's tables what the log comes to; returns how many streams' rows were wrong in a table.

    Raises ``Unreadable``; the caller takes the transaction back.
    """
    wrong = 0
    # All that is wrong goes first: a row that is put back might be refused because of one that has no right to be.
    for found in _apart(connection, kinds, event, standing(connection, kinds, event)):
        if isinstance(found, Stood):
            raise Unreadable(found.fault)
        column = found.projected.table.c[found.projected.stream]
        connection.execute(sa.delete(found.projected.table).where(column == found.stream))
        wrong += 1
    if not wrong:
        return 0
    for found in _apart(connection, kinds, event, standing(connection, kinds, event)):
        if isinstance(found, Apart):
            table = found.projected.table
            names = [column.name for column in table.columns]
            rows = [dict(zip(names, values, strict=True)) for values in found.wanted.values()]
            connection.execute(sa.insert(table), rows)
    return wrong


def _apart(
    connection: Connection, kinds: Kinds, event: str, stood: Iterable[Stood]
) -> Iterator[Apart | Stood]:
    """Find what differs; a stream that cannot be read is given back as it is."""
    left = iter(stood)
    while batch := list(islice(left, _BATCH)):
        wanted = {one.stream: kinds.rows(one.states) for one in batch if not one.fault}
        yield from (one for one in batch if one.fault)
        for projected in kinds.tables:
            there = _rows_of(connection, projected, list(wanted))
            for stream, rows in wanted.items():
                keyed = _keyed(projected.table, rows[projected.table.name])
                if keyed != there.get(stream, {}):
                    yield Apart(projected, stream, there.get(stream, {}), keyed)
    for projected in kinds.tables:
        strangers = _strangers(connection, projected, event)
        for begin in range(0, len(strangers), _BATCH):
            found = _rows_of(connection, projected, strangers[begin : begin + _BATCH])
            yield from (Apart(projected, stream, there, {}) for stream, there in found.items())


def _keyed(table: sa.Table, rows: Iterable[Row]) -> dict[Values, Values]:
    keys, names = _names(table)
    return {tuple(row[key] for key in keys): tuple(row[name] for name in names) for row in rows}


def _names(table: sa.Table) -> tuple[list[str], list[str]]:
    return [column.name for column in table.primary_key], [column.name for column in table.columns]


def _rows_of(
    connection: Connection, projected: Projected, streams: list[str]
) -> dict[str, dict[Values, Values]]:
    table = projected.table
    found: dict[str, dict[Values, Values]] = {}
    query = sa.select(table).where(table.c[projected.stream].in_(streams))
    for row in connection.execute(query).mappings():
        found.setdefault(row[projected.stream], {}).update(_keyed(table, [dict(row)]))
    return found


def _strangers(connection: Connection, projected: Projected, event: str) -> list[str]:
    """Name streams that have rows in a table and no entry in the log."""
    table = projected.table
    own = table.c[projected.stream]
    is_known = sa.exists().where(EVENT_LOG.c.stream == own)
    query = sa.select(own).where(table.c.event_id == event, ~is_known).distinct()
    return list(connection.scalars(query))
