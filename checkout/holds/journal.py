"""Hold journal: what the store says of holds, written behind to SQL, so that a lost store can be put back.

Every change of a hold leaves a note in a stream of the store, in the same script call. The notes go to SQL in batches,
a row for each hold that says how it stands; then the stream is cut behind them. So a note is in the stream until
it is committed, and a store that is lost takes with it what was told in the last quarter of a second at most
(``holds.sweeping`` says when).

**Order.** A row changes only for a note that comes after it: a later epoch of the map, in it a later hold (fence), in
it a later note (its place in the stream). So a batch may be written twice, by two workers, late, and in any order. A
note of an older map than the row's changes nothing: what it tells was lost with that map (``sales.hall_rows``).

**Bounds.** The stream is as long as SQL is behind. While SQL is away it is cut at ``KEPT_MS``, because a hold lasts ten
minutes at most, so a note that is older tells of one that is over or that SQL knows by its reservation; and at
``NOTES_MOST``, whatever is in it then: a dozen notes for each of the holds that fill the largest hall. Rows go
``ROWS_KEPT_MS`` after their last note. Not here: what a rebuilt map is made of (``sales.rebuilding``).
"""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from checkout.database import ShopDatabase
from checkout.halls.seats import HOLD_ID_BYTES, hold_id_text
from checkout.holds.answers import LIVE, HoldState
from checkout.holds.places import Place
from checkout.holds.store import HoldStore
from checkout.metrics import Metrics
from checkout.tables import HOLD_JOURNAL, RESERVATIONS
from kernel.database import insert_many
from kernel.errors import Unavailable
from kernel.store import translated

BATCH = 500
"""So many notes of an event at once: some milliseconds of this worker's time, and of the database's."""

KEPT_MS = 20 * 60_000
NOTES_MOST = 200_000
ROWS_KEPT_MS = 30 * 86_400_000

_SEQUENCE_BITS = 20
_KEY = ("event_id", "hold_id")
_ORDER = ("epoch", "fence", "note")
_OVER = frozenset((HoldState.RELEASED.value, HoldState.EXPIRED.value))


class Note(NamedTuple):
    """A note as it stands in an event's stream."""

    event: str
    id: bytes
    fields: Mapping[bytes, bytes]


class Read(NamedTuple):
    """What streams hold: the oldest notes of each event, and how old the oldest of all is."""

    notes: Mapping[str, Sequence[Note]]
    age_ms: int

    @property
    def is_all(self) -> bool:
        """True when no stream holds more than was read."""
        return all(len(notes) < BATCH for notes in self.notes.values())


def told(fields: Mapping[bytes, bytes]) -> tuple[bytes, str, str, str]:
    """Take a note apart: the hold's id, what happened, when (ms), and the hold's record as text."""
    text = fields[b"n"]
    what, at_ms, record = text[HOLD_ID_BYTES:].decode().split(" ", 2)
    return text[:HOLD_ID_BYTES], what, at_ms, record


def row_of(note: Note) -> dict[str, Any]:
    """Make the row that a note asks for."""
    ms, _, sequence = note.id.partition(b"-")
    hold, _, at, text = told(note.fields)
    state, fence, epoch, until, _, extended, back, version, currency, buyer, _, seats = text.split(" ")
    return {
        "event_id": note.event,
        "hold_id": hold_id_text(hold),
        "buyer": buyer,
        "state": state,
        "epoch": int(epoch),
        "fence": int(fence),
        "price_version": int(version),
        "currency": currency,
        "back": int(back),
        "until_ms": int(until),
        "extended": extended == "1",
        "seats": seats,
        "at_ms": int(at),
        "note": int(ms) << _SEQUENCE_BITS | min(int(sequence), (1 << _SEQUENCE_BITS) - 1),
    }


class NoteStream:
    """The notes of a store that are not in SQL yet."""

    def __init__(self, holds: HoldStore) -> None:
        """Use the store of the halls."""
        self._holds = holds

    async def read(self, events: Sequence[str]) -> Read:
        """Read the oldest notes of events, in one trip."""
        if not events:
            return Read({}, 0)
        keys = {self._holds.keys(event).journal.encode(): event for event in events}
        pipe = self._holds.client.pipeline(transaction=False)
        pipe.time()
        pipe.xread(dict.fromkeys(keys, "0"), count=BATCH)
        with translated():
            (seconds, micros), streams = await pipe.execute()
        now_ms = seconds * 1000 + micros // 1000
        notes = {keys[key]: [Note(keys[key], *row) for row in rows] for key, rows in streams}
        oldest_ms = min((int(rows[0].id.partition(b"-")[0]) for rows in notes.values()), default=now_ms)
        return Read(notes, max(0, now_ms - oldest_ms))

    async def cut(self, last: Mapping[str, bytes]) -> None:
        """Forget the notes of events up to the one named, in one trip."""
        pipe = self._holds.client.pipeline(transaction=False)
        for event, id_ in last.items():
            ms, _, sequence = id_.partition(b"-")
            pipe.xtrim(
                self._holds.keys(event).journal, minid=f"{ms.decode()}-{int(sequence) + 1}", approximate=False
            )
        with translated():
            await pipe.execute()

    async def bound(self, events: Sequence[str]) -> int:
        """Forget what is too old or too much; returns how many notes that were."""
        with translated():
            seconds, _ = await self._holds.client.time()
        pipe = self._holds.client.pipeline(transaction=False)
        for event in events:
            key = self._holds.keys(event).journal
            pipe.xtrim(key, minid=f"{seconds * 1000 - KEPT_MS}-0", approximate=False)
            pipe.xtrim(key, maxlen=NOTES_MOST, approximate=False)
        with translated():
            return sum(await pipe.execute())

    async def waiting(self, events: Sequence[str]) -> int:
        """Count the notes of events."""
        pipe = self._holds.client.pipeline(transaction=False)
        for event in events:
            pipe.xlen(self._holds.keys(event).journal)
        with translated():
            return sum(await pipe.execute())


class JournalRows:
    """The journal in one database. Synchronous, as all SQL here."""

    def __init__(self, database: ShopDatabase) -> None:
        """Use an open database."""
        self._database = database

    def put(self, notes: Iterable[Note]) -> int:
        """Write notes; those that are not newer than their row change nothing.

        Returns how many of the holds that they tell to be over never became a reservation.
        """
        notes = list(notes)
        newest: dict[tuple[str, str], Mapping[str, Any]] = {}
        for note in notes:
            row = row_of(note)
            key = (row["event_id"], row["hold_id"])
            known = newest.get(key)
            if known is None or _order(known) < _order(row):
                newest[key] = row
        if not newest:
            return 0
        # In one order, so that two workers may wait for each other but not for ever.
        rows = [newest[key] for key in sorted(newest)]
        with self._database.writing() as connection:
            insert_many(connection, _UPSERTS[self._database.dialect], rows)
        return self._never_reserved(notes)

    def _never_reserved(self, notes: Iterable[Note]) -> int:
        over: dict[str, set[str]] = {}
        for note in notes:
            hold, what, _, _ = told(note.fields)
            if what in _OVER:
                over.setdefault(note.event, set()).add(hold_id_text(hold))
        columns, count = RESERVATIONS.c, sum(map(len, over.values()))
        for event, holds in over.items():
            became = sa.select(sa.func.count()).where(columns.event_id == event, columns.hold_id.in_(holds))
            with self._database.reading() as connection:
                count -= connection.scalar(became) or 0
        return count

    def forget(self, now_ms: int) -> int:
        """Take the rows of holds out that were over long ago; returns how many."""
        columns = HOLD_JOURNAL.c
        is_live = columns.state.in_(sorted(state.value for state in LIVE)) & (columns.until_ms > now_ms)
        old = sa.delete(HOLD_JOURNAL).where(columns.at_ms < now_ms - ROWS_KEPT_MS, ~is_live)
        with self._database.writing() as connection:
            return connection.execute(old).rowcount


class HoldJournal:
    """Brings notes from stores to databases, for one worker."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics

    async def drain(self, place: Place, event: str) -> int:
        """Bring all notes of an event to SQL; returns how many are left. Raises ``Unavailable``."""
        while not (await self.step(place, [event])).is_all:
            pass
        return await NoteStream(place.holds).waiting([event])

    async def step(self, place: Place, events: Sequence[str]) -> Read:
        """Bring the oldest notes of events to SQL; returns what was read. Raises ``Unavailable``."""
        stream = NoteStream(place.holds)
        read = await stream.read(events)
        self._metrics.journal_lag.labels(place.name).set(read.age_ms / 1000)
        notes = [note for rows in read.notes.values() for note in rows]
        self._metrics.journal_waiting.labels(place.name).set(
            len(notes) if read.is_all else await stream.waiting(list(read.notes))
        )
        if not notes:
            return read
        try:
            abandoned = await asyncio.to_thread(JournalRows(place.database).put, notes)
        except Unavailable:
            self._metrics.journal_dropped.inc(await stream.bound(list(read.notes)))
            raise
        await stream.cut({event: rows[-1].id for event, rows in read.notes.items()})
        self._metrics.journal_notes.inc(len(notes))
        self._metrics.funnel.count("held", sum(told(note.fields)[1] == HoldState.HELD for note in notes))
        self._metrics.funnel.count("abandoned", abandoned)
        return read


def _order(row: Mapping[str, Any]) -> tuple[int, ...]:
    return tuple(row[name] for name in _ORDER)


def _upsert(insert: Any) -> sa.Insert:
    given = insert(HOLD_JOURNAL)
    columns, new = HOLD_JOURNAL.c, given.excluded
    upsert: sa.Insert = given.on_conflict_do_update(
        index_elements=_KEY,
        set_={column.name: new[column.name] for column in columns if column.name not in _KEY},
        where=sa.tuple_(*(columns[name] for name in _ORDER)) < sa.tuple_(*(new[name] for name in _ORDER)),
    )
    return upsert


_UPSERTS = {"sqlite": _upsert(sqlite.insert), "postgresql": _upsert(postgresql.insert)}
