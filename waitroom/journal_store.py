"""The journal's store: entries, leaf blocks and signed heads in SQL (SQLite, or PostgreSQL by URL).

Synchronous on purpose: a commit waits for a disk. Async callers go through ``asyncio.to_thread``; any number
of threads and processes may use one database. Writers take turns (``BEGIN IMMEDIATE`` on SQLite, an
advisory lock in PostgreSQL), because each entry needs the hash of the one before; the unique ``seq`` and
the tables' triggers stand behind the lock.

SQLite runs in WAL mode, so that readers never wait, with ``synchronous=FULL``: the drain removes an act from
the store as soon as we say that it is kept. With NORMAL a power cut could take back the last commits
here while the store on the same machine had already written the removal to its own file.

Database errors become ``Unavailable`` here and nowhere else. Not here: what the entries mean (``recovery``).
"""

import heapq
import logging
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from alembic.util.exc import CommandError
from sqlalchemy.engine import Connection
from sqlalchemy.exc import IntegrityError, SQLAlchemyError

from kernel.database import address, begin_writing, close, engine, into_wal_mode, take_turn
from kernel.errors import Misconfigured, Unavailable
from kernel.migrating import NewerSchema
from waitroom.journal import (
    GENESIS,
    LEAF_BYTES,
    Entry,
    Fault,
    Head,
    Kind,
    Leaves,
    NewEntry,
    blocks,
    first_fault,
    head_message,
    leaves_entry,
)
from waitroom.journal_tables import (
    ADMITTED,
    AWAY,
    ENTRIES,
    HEADS,
    LEAVES,
    LOCK,
    NUMBER,
    entry_of,
    octets_of,
    translated,
)
from waitroom.journal_writing import end_of, put
from waitroom.migrations import upgrade
from waitroom.recovery import OF_SESSIONS, RecoveryState, fold

log = logging.getLogger(__name__)

HEAD_EVERY = 1024
HEAD_EVERY_MS = 60_000
RATE_ENTRIES = 240
"""Two drains a second fill the minute over which the rate of joins is measured."""

_ATTEMPTS = 5
_PAGE = 2000


@dataclass(frozen=True, slots=True)
class Appended:
    """What a call really added; what was there before is left out."""

    entries: tuple[Entry, ...]
    leaves: int


@dataclass(frozen=True, slots=True)
class Checked:
    """What a check of the whole journal found; `end` is the last entry's hash."""

    entries: int
    heads: int
    leaves: int
    end: bytes
    fault: Fault | None


class JournalStore:
    """One installation's journal."""

    def __init__(self, url: str, sign_head: Callable[[bytes], str] | None = None) -> None:
        """Prepare; nothing is opened yet. `sign_head` signs ``journal.head_message`` bytes.

        Raises ``Misconfigured`` for an address that cannot be one.
        """
        where = address(url, "journal")
        self._name = where.render_as_string(hide_password=True)
        self._engine = engine(where, "journal")
        self._sign_head = sign_head
        self._turn = threading.Lock()

    def open(self) -> None:
        """Bring the tables up to date. Several processes may do so at once."""
        try:
            with translated(), self._writing() as connection:
                upgrade(connection)
            with translated():
                into_wal_mode(self._engine)
        except NewerSchema as error:
            fault = f"The journal {self._name} was written by a newer version of Waitroom (version {error})."
            raise Misconfigured([fault]) from error
        except CommandError as error:
            fault = f"The journal {self._name} cannot be brought up to date: {error}."
            raise Misconfigured([fault]) from error

    def is_there(self) -> bool:
        """Tell whether there is a journal at the address; nothing is made where there is none."""
        if self._engine.dialect.name == "sqlite" and not Path(str(self._engine.url.database)).is_file():
            return False
        with translated():
            return bool(sa.inspect(self._engine).has_table(ENTRIES.name))

    def close(self) -> None:
        """Close all connections."""
        close(self._engine)

    # ------------------------------------------------------------------------------ writing

    def append(self, entries: Sequence[NewEntry], leaves: Sequence[Leaves] = ()) -> Appended:
        """Add entries and leaves, all or nothing.

        An entry whose `source` is there already is left out, and so are leaves below the extent: two
        drainers may hand in the same. Raises ``ValueError`` for leaves that would leave a hole.
        """
        if not entries and not leaves:
            return Appended((), 0)
        with translated():
            for _ in range(_ATTEMPTS - 1):
                # Somebody writes without taking turns: the tables refuse the fork, the next try sees it.
                with suppress(IntegrityError):
                    return self._in_turn(entries, leaves)
            return self._in_turn(entries, leaves)

    def seal(self, now_ms: int, rest_ms: int = 0) -> Head | None:
        """Sign the present head, if it is not signed yet and no entry came within the last `rest_ms`.

        Any number of processes may ask, as often as they like: who finds nothing to do has read two rows, and takes
        nobody's turn at writing. Of those who do find something one signs.
        """
        if self._sign_head is None:
            return None
        with translated(), self._engine.connect() as connection:
            last = connection.execute(
                sa.select(ENTRIES.c.seq, ENTRIES.c.at_ms).order_by(ENTRIES.c.seq.desc()).limit(1)
            ).first()
            if last is None or last.seq == connection.scalar(sa.select(sa.func.max(HEADS.c.seq))):
                return None
            if 0 <= now_ms - last.at_ms < rest_ms:
                return None
        with translated(), self._writing() as connection:
            return self._seal(connection, now_ms, at_once=True)

    def _in_turn(self, entries: Sequence[NewEntry], leaves: Sequence[Leaves]) -> Appended:
        with self._writing() as connection:
            return self._append(connection, entries, leaves)

    def _append(
        self, connection: Connection, entries: Sequence[NewEntry], leaves: Sequence[Leaves]
    ) -> Appended:
        fresh = self._fresh(connection, entries)
        added = 0
        extents: dict[tuple[str, str], int] = {}
        rows: list[dict[str, Any]] = []
        for piece in leaves:
            where = (piece.room, piece.run)
            extent = extents.get(where)
            if extent is None:
                extent = _extent(connection, *where)
            if piece.start > extent:
                raise ValueError(f"leaves of {piece.room} from {piece.start} on leave a hole after {extent}")
            if piece.stop > extent:
                octets = piece.octets[(extent - piece.start) * LEAF_BYTES :]
                rest = Leaves(piece.room, piece.run, extent, octets, piece.at_ms)
                fresh.append(leaves_entry(rest))
                added += rest.count
                rows += [
                    {
                        "room": piece.room,
                        "run": piece.run,
                        "start": start,
                        "count": len(octets) // LEAF_BYTES,
                        "leaves": octets,
                    }
                    for start, octets in blocks(rest)
                ]
                extent = rest.stop
            extents[where] = extent
        if not fresh:
            return Appended((), 0)
        placed = put(connection, fresh)
        if rows:
            connection.execute(sa.insert(LEAVES), rows)
        self._seal(connection, max(entry.at_ms for entry in placed), at_once=False)
        return Appended(tuple(placed), added)

    def _fresh(self, connection: Connection, entries: Sequence[NewEntry]) -> list[NewEntry]:
        wanted = [entry.source for entry in entries if entry.source]
        known: set[str] = set()
        for at in range(0, len(wanted), _PAGE):
            part = wanted[at : at + _PAGE]
            known |= set(connection.scalars(sa.select(ENTRIES.c.source).where(ENTRIES.c.source.in_(part))))
        fresh = []
        for entry in entries:
            if entry.source not in known:
                fresh.append(entry)
                if entry.source:
                    known.add(entry.source)
        return fresh

    def _seal(self, connection: Connection, now_ms: int, *, at_once: bool) -> Head | None:
        if self._sign_head is None:
            return None
        seq, digest = end_of(connection)
        last = connection.execute(sa.select(HEADS).order_by(HEADS.c.seq.desc()).limit(1)).first()
        if seq == (last.seq if last is not None else 0):
            return None
        due = last is None or seq - last.seq >= HEAD_EVERY or now_ms - last.at_ms >= HEAD_EVERY_MS
        if not due and not at_once:
            return None
        head = Head(seq, now_ms, digest, self._sign_head(head_message(seq, now_ms, digest)))
        connection.execute(
            sa.insert(HEADS).values(seq=head.seq, at_ms=head.at_ms, hash=head.hash, signature=head.signature)
        )
        return head

    # ------------------------------------------------------------------------------ reading

    def entries(
        self,
        room: str | None = None,
        after_seq: int = 0,
        kinds: Iterable[Kind] | None = None,
        limit: int = 1000,
    ) -> list[Entry]:
        """Return entries in order; `room` '' is that of entries that belong to no room."""
        query = sa.select(ENTRIES).where(ENTRIES.c.seq > after_seq).order_by(ENTRIES.c.seq).limit(limit)
        if room is not None:
            query = query.where(ENTRIES.c.room == room)
        if kinds is not None:
            query = query.where(ENTRIES.c.kind.in_([kind.value for kind in kinds]))
        with translated(), self._engine.connect() as connection:
            return [entry_of(row) for row in connection.execute(query)]

    def end(self) -> int:
        """Return the number of the last entry, 0 before the first."""
        with translated(), self._engine.connect() as connection:
            return end_of(connection)[0]

    def heads(self) -> list[Head]:
        """Return all signed heads, oldest first."""
        with translated(), self._engine.connect() as connection:
            rows = connection.execute(sa.select(HEADS).order_by(HEADS.c.seq))
            return [Head(row.seq, row.at_ms, octets_of(row.hash), row.signature) for row in rows]

    def latest_configs(self) -> dict[str, tuple[int, str]]:
        """Return (version, JSON text) of every room that is configured and was not removed since."""
        kinds = [Kind.CONFIGURED.value, Kind.REMOVED.value]
        last = (
            sa.select(sa.func.max(ENTRIES.c.seq))
            .where(ENTRIES.c.kind.in_(kinds))
            .group_by(ENTRIES.c.room)
            .scalar_subquery()
        )
        query = sa.select(ENTRIES).where(ENTRIES.c.seq.in_(last)).order_by(ENTRIES.c.room)
        with translated(), self._engine.connect() as connection:
            entries = [entry_of(row) for row in connection.execute(query)]
        return {
            entry.room: (int(entry.body["version"]), entry.body["config"])
            for entry in entries
            if entry.kind is Kind.CONFIGURED
        }

    def state(self, room: str) -> RecoveryState | None:
        """Return what the journal knows of a room's last run; None if it never opened or was removed.

        Thresholds and the rate of joins are read from the last entries, whatever the run's age; admissions are
        all read, because each used number counts, and those of the run before, whose sessions may be alive.
        """
        openings = (
            sa.select(ENTRIES.c.seq)
            .where(ENTRIES.c.room == room, ENTRIES.c.kind == Kind.OPENED.value)
            .order_by(ENTRIES.c.seq.desc())
            .limit(2)
        )
        with translated(), self._engine.connect() as connection:
            last, before, *_ = [*connection.scalars(openings), 0, 0]
            parts = [
                _of_kinds(connection, room, [Kind.OPENED, Kind.RESTORED, Kind.REMOVED]),
                _of_kinds(connection, room, [Kind.PHASE, Kind.FROZEN, Kind.DRAWN, Kind.VOIDED], last),
                _of_kinds(connection, room, list(OF_SESSIONS), before),
                _of_kinds(connection, room, [Kind.EVICTED, Kind.REINSTATED], last),
                _of_kinds(connection, room, [Kind.CALLED], last, newest=RATE_ENTRIES),
                _of_kinds(connection, room, [Kind.LEAVES], last, newest=RATE_ENTRIES),
            ]
            known = fold(heapq.merge(*parts, key=lambda entry: entry.seq))
            if known and known.unreadable:
                log.error("entries were passed over", extra={"room": room, "seqs": known.unreadable[:20]})
            return known and replace(known, extent=_extent(connection, room, known.run))

    def admission_of(self, room: str, run: str, number: int) -> Entry | None:
        """Return the last admission of a number in a run; an index leads to it."""
        query = (
            sa.select(ENTRIES)
            .where(ENTRIES.c.room == room, ENTRIES.c.run == run, sa.text(ADMITTED))
            .where(sa.literal_column(NUMBER[self._engine.dialect.name], sa.BigInteger) == number)
            .where(ENTRIES.c.body.contains(f'"number":"{number:d}"', autoescape=True))
            .order_by(ENTRIES.c.seq.desc())
            .limit(1)
        )
        with translated(), self._engine.connect() as connection:
            row = connection.execute(query).first()
            return None if row is None else entry_of(row)

    def leaf_extent(self, room: str, run: str) -> int:
        """Return how many leaves of a run are kept; they are those of the numbers below it."""
        with translated(), self._engine.connect() as connection:
            return _extent(connection, room, run)

    def leaves(self, room: str, run: str, start: int, count: int) -> bytes:
        """Return the leaves of [start, start + count), as far as they are kept."""
        stop = start + count
        query = (
            sa.select(LEAVES.c.start, LEAVES.c.leaves)
            .where(LEAVES.c.room == room, LEAVES.c.run == run)
            .where(LEAVES.c.start < stop, LEAVES.c.start + LEAVES.c.count > start)
            .order_by(LEAVES.c.start)
        )
        with translated(), self._engine.connect() as connection:
            rows = connection.execute(query).all()
        if not rows:
            return b""
        octets = b"".join(octets_of(row.leaves) for row in rows)
        since = start - rows[0].start
        return octets[since * LEAF_BYTES : (since + count) * LEAF_BYTES]

    def verify(
        self, kept: Iterable[Head] = (), is_ours: Callable[[bytes, str], bool] | None = None
    ) -> int | None:
        """Check the whole chain, its leaves and its heads; return the first broken `seq`, or None.

        `kept` are heads that were kept elsewhere (only they show a cut end), '' where the signature was not;
        `is_ours` checks a head's signature over ``journal.head_message``.
        """
        fault = self.check(kept, is_ours).fault
        return fault.seq if fault is not None else None

    def check(
        self, kept: Iterable[Head] = (), is_ours: Callable[[bytes, str], bool] | None = None
    ) -> Checked:
        """Do what ``verify`` does, and tell what was looked at and how it is broken."""
        kept, heads = [*kept], self.heads()
        counted, end = 0, GENESIS

        def counting() -> Iterator[Entry]:
            nonlocal counted, end
            for entry in self._whole():
                counted, end = counted + 1, entry.hash
                yield entry

        faults = [first_fault(counting(), [*heads, *kept])]
        if is_ours is not None:
            faults += [
                Fault(head.seq, "the head is signed by none of our keys")
                for head in [*heads, *(head for head in kept if head.signature)]
                if not is_ours(head_message(head.seq, head.at_ms, head.hash), head.signature)
            ]
        leaves = 0
        for entry in self._whole([Kind.LEAVES]):
            if faults[0] is not None and entry.seq >= faults[0].seq:
                break
            start, count = int(entry.body["start"]), int(entry.body["count"])
            octets = self.leaves(entry.room, entry.run, start, count)
            if leaves_entry(Leaves(entry.room, entry.run, start, octets, entry.at_ms)).body != entry.body:
                faults.append(Fault(entry.seq, "the leaves are not what the entry says"))
                break
            leaves += count
        found = [fault for fault in faults if fault is not None]
        return Checked(
            counted, len(heads), leaves, end, min(found, key=lambda fault: fault.seq, default=None)
        )

    def _whole(self, kinds: Iterable[Kind] | None = None) -> Iterator[Entry]:
        seq = 0
        while page := self.entries(after_seq=seq, kinds=kinds, limit=_PAGE):
            yield from page
            seq = page[-1].seq

    # --------------------------------------------------------------------------- connections

    @contextmanager
    def _writing(self) -> Iterator[Connection]:
        """Begin a transaction that no other writer can be in."""
        with self._turn, self._engine.connect() as connection:
            begin_writing(connection)
            with connection.begin():
                take_turn(connection, LOCK)
                yield connection


def check(url: str) -> None:
    """Look whether the database can be reached; raise ``Misconfigured`` or ``Unavailable`` if not."""
    made = engine(address(url, "journal"), "journal")
    try:
        with made.connect() as connection:
            connection.execute(sa.text("SELECT 1"))
    except SQLAlchemyError as error:
        raise Unavailable("journal-away", AWAY) from error
    finally:
        close(made)


def _of_kinds(
    connection: Connection, room: str, kinds: Sequence[Kind], since_seq: int = 0, newest: int | None = None
) -> Iterator[Entry]:
    """Read a room's entries of some kinds in order: all of them, or only the newest."""
    query = sa.select(ENTRIES).where(
        ENTRIES.c.room == room, ENTRIES.c.kind.in_([kind.value for kind in kinds]), ENTRIES.c.seq >= since_seq
    )
    if newest is None:
        rows = connection.execute(query.order_by(ENTRIES.c.seq).execution_options(yield_per=_PAGE))
        return (entry_of(row) for row in rows)
    rows = connection.execute(query.order_by(ENTRIES.c.seq.desc()).limit(newest))
    return (entry_of(row) for row in rows.all()[::-1])


def _extent(connection: Connection, room: str, run: str) -> int:
    last = connection.execute(
        sa.select(LEAVES.c.start, LEAVES.c.count.label("size"))
        .where(LEAVES.c.room == room, LEAVES.c.run == run)
        .order_by(LEAVES.c.start.desc())
        .limit(1)
    ).first()
    return int(last.start + last.size) if last is not None else 0
