"""Projecting: what the entries of a stream come to, told by whoever has written them.

A *projection* is one view of streams: a step for each kind of entry that it minds, and the rows of tables that its
state comes to. Reservations are one, orders another; both may mind the same kind. ``Kinds`` puts them together: who
adds a kind to the log adds a step for it here, and a kind that no projection minds is a fault, because what nobody
reads cannot be rebuilt.

A step is pure: the state as it was (None before the first), the entry and its body, and returns the state as it is
now. It raises ``ValueError`` where the entry cannot come then. Not here: the kinds of sales (``sales.projection``),
how tables are compared and put back (``eventlog.rebuilding``).
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import groupby
from operator import attrgetter
from typing import Any

import sqlalchemy as sa

from checkout.eventlog.entries import Body, Entry

Step = Callable[[Any, Entry, Body], Any]
Row = Mapping[str, Any]
Rows = Mapping[str, list[Row]]
"""Rows by the name of their table."""

States = Mapping[str, Any]
"""The state of each projection that minds the stream, by its name."""

_STREAM = attrgetter("stream")


@dataclass(frozen=True, slots=True)
class Projected:
    """A table that is nothing but what the log comes to; ``stream`` is its column that names the stream of a row.

    It has a column ``event_id`` as well.
    """

    table: sa.Table
    stream: str


@dataclass(frozen=True, slots=True)
class Projection:
    """A view of streams."""

    name: str
    steps: Mapping[str, Step]
    tables: tuple[Projected, ...]
    rows: Callable[[Any], Rows]
    """Tells the rows of a state, for each of ``tables``."""


class Unreadable(Exception):
    """An entry that cannot be where it is; says which and why."""


@dataclass(frozen=True, slots=True)
class Stood:
    """What one stream comes to, at the end of the entries that were read; or why it cannot be told (``fault``)."""

    event: str
    stream: str
    states: States
    fault: str = ""


class Kinds:
    """All kinds of entries, as all projections read them."""

    def __init__(self, *projections: Projection) -> None:
        """Put projections together."""
        self.projections = projections
        self._minds: dict[str, list[tuple[str, Step]]] = {}
        for projection in projections:
            for kind, step in projection.steps.items():
                self._minds.setdefault(kind, []).append((projection.name, step))

    @property
    def tables(self) -> tuple[Projected, ...]:
        """Name every table that is rebuilt."""
        return tuple(table for projection in self.projections for table in projection.tables)

    def fold(self, entries: Iterable[Entry]) -> States:
        """Take the entries of one stream in order. Raises ``Unreadable``."""
        states: dict[str, Any] = {}
        for entry in entries:
            minding = self._minds.get(entry.kind)
            if minding is None:
                raise Unreadable(f"entry {entry.seq} of {entry.stream} is of no known kind: {entry.kind}")
            try:
                body = entry.read()
                for name, step in minding:
                    states[name] = step(states.get(name), entry, body)
            except (ValueError, KeyError, TypeError) as error:
                told = f"entry {entry.seq} of {entry.stream} ({entry.kind}) cannot be read: {error!r}"
                raise Unreadable(told) from error
        return states

    def fold_all(self, entries: Iterable[Entry]) -> Iterator[Stood]:
        """Take the entries of many streams, each stream's together and in order."""
        for stream, own in groupby(entries, _STREAM):
            entries_ = list(own)
            try:
                stood = Stood(entries_[0].event, stream, self.fold(entries_))
            except Unreadable as error:
                stood = Stood(entries_[0].event, stream, {}, str(error))
            yield stood

    def rows(self, states: States) -> Rows:
        """Tell the rows of a stream, in every table."""
        found: dict[str, list[Row]] = {one.table.name: [] for one in self.tables}
        for projection in self.projections:
            if (state := states.get(projection.name)) is not None:
                found |= projection.rows(state)
        return found
