"""Journal reader: the journal by portions, for whoever reads along or looks back.

``seq`` is the cursor. The chain has no holes and its writers take turns until they have committed, so an entry that
can be read has no smaller one that comes later: whoever goes on after the last ``seq`` that they saw misses nothing and
gets nothing twice.

A read looks at ``SCAN`` entries at most, whatever it asks for, so a filter that finds little costs no more than one
that finds much; the answer says from where to go on. Synchronous, as the journal's store; errors become
``Unavailable``. Not here: writing (``journal_store``), what others may see of an entry (``events``).
"""

import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from kernel.database import address, close, engine
from waitroom.events import Told
from waitroom.journal import Entry, Kind
from waitroom.journal_tables import ENTRIES, entry_of, translated

SCAN = 50_000
LIMIT_MOST = 1000


@dataclass(frozen=True, slots=True)
class Sought:
    """What is looked for; None, '' and () do not matter.

    `rooms` are those that may be seen: '' is the room of what belongs to none. `text` stands anywhere in an entry's
    body; `since_ms` and `until_ms` are half-open.
    """

    rooms: Collection[str] | None = None
    kinds: Collection[Kind] = ()
    who: str = ""
    text: str = ""
    since_ms: int | None = None
    until_ms: int | None = None


@dataclass(frozen=True, slots=True)
class Portion:
    """What a read found, in order of ``seq`` (looking back: newest first), and how far it has looked.

    `at` is the cursor to go on with. `more` is False where the end was reached: reading along, all there is at the
    moment; looking back, the beginning.
    """

    told: tuple[Told, ...]
    at: int
    more: bool


class JournalReader:
    """Reads one installation's journal; ``journal_store`` has made the tables."""

    def __init__(self, url: str) -> None:
        """Prepare; nothing is opened yet. Raises ``Misconfigured`` for an address that cannot be one."""
        self._engine = engine(address(url, "journal"), "journal")

    def close(self) -> None:
        """Close all connections."""
        close(self._engine)

    def head(self) -> int:
        """Return the last ``seq``; 0 for an empty journal."""
        with translated(), self._engine.connect() as connection:
            return _head(connection)

    def after(self, seq: int, sought: Sought, limit: int = 100, *, upto: int | None = None) -> Portion:
        """Read on after `seq`, as far as `upto` at most."""
        with translated(), self._engine.connect() as connection:
            # First how far there is, then what there is: the other way round, what is written in between is missed.
            head = _head(connection) if upto is None else upto
            stop = min(head, seq + SCAN)
            if stop <= seq:
                return Portion((), seq, more=False)
            found = _found(connection, _query(seq, stop + 1, sought).order_by(ENTRIES.c.seq), limit)
            at = found[-1].seq if len(found) == limit else stop
            return Portion(_told(connection, found), at, more=at < head)

    def before(self, seq: int | None, sought: Sought, limit: int = 50) -> Portion:
        """Look back from before `seq`, newest first; None from the end. Going on is ``before(at)``."""
        with translated(), self._engine.connect() as connection:
            stop = _head(connection) + 1 if seq is None else seq
            start = max(0, stop - 1 - SCAN)
            if stop <= 1:
                return Portion((), 1, more=False)
            found = _found(connection, _query(start, stop, sought).order_by(ENTRIES.c.seq.desc()), limit)
            at = found[-1].seq if len(found) == limit else start + 1
            return Portion(_told(connection, found), at, more=at > 1)


def _head(connection: Connection) -> int:
    return int(connection.scalar(sa.select(sa.func.max(ENTRIES.c.seq))) or 0)


def _query(after: int, before: int, sought: Sought) -> sa.Select[tuple[object, ...]]:
    query = sa.select(ENTRIES).where(ENTRIES.c.seq > after, ENTRIES.c.seq < before)
    if sought.rooms is not None:
        query = query.where(ENTRIES.c.room.in_(list(sought.rooms)))
    if sought.kinds:
        query = query.where(ENTRIES.c.kind.in_([kind.value for kind in sought.kinds]))
    if sought.since_ms is not None:
        query = query.where(ENTRIES.c.at_ms >= sought.since_ms)
    if sought.until_ms is not None:
        query = query.where(ENTRIES.c.at_ms < sought.until_ms)
    # Bodies are kept in one canonical form: keys without blanks, everything outside ASCII escaped. A quote inside a
    # value is escaped as well, so nobody's reason can look like somebody's name.
    if sought.who:
        query = query.where(ENTRIES.c.body.icontains(f'"who":{json.dumps(sought.who)}', autoescape=True))
    if sought.text:
        query = query.where(ENTRIES.c.body.icontains(json.dumps(sought.text)[1:-1], autoescape=True))
    return query


def _found(connection: Connection, query: sa.Select[tuple[object, ...]], limit: int) -> list[Entry]:
    return [entry_of(row) for row in connection.execute(query.limit(limit))]


def _told(connection: Connection, entries: Sequence[Entry]) -> tuple[Told, ...]:
    return tuple(
        Told(entry, _settings_before(connection, entry) if entry.kind is Kind.CONFIGURED else "")
        for entry in entries
    )


def _settings_before(connection: Connection, entry: Entry) -> str:
    """Return a room's settings before a change; '' where it was new."""
    kinds = [Kind.CONFIGURED.value, Kind.REMOVED.value]
    row = connection.execute(
        sa.select(ENTRIES)
        .where(ENTRIES.c.room == entry.room, ENTRIES.c.kind.in_(kinds), ENTRIES.c.seq < entry.seq)
        .order_by(ENTRIES.c.seq.desc())
        .limit(1)
    ).first()
    if row is None:
        return ""
    before = entry_of(row)
    return before.body.get("config", "") if before.kind is Kind.CONFIGURED else ""
