"""History book: the minutes of all rooms, in the journal's database, and the acts of operators beside them.

Beside the chain and not in it: a row a minute is a picture and no proof, and it is forgotten after months. Acts are
read from the chain itself, which keeps them for ever.

Synchronous, as the journal's store. Database errors become ``Unavailable`` here.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from kernel.database import address, begin_writing, close, engine, take_turn
from kernel.errors import Misconfigured
from waitroom.journal import Entry, Kind
from waitroom.journal_tables import ENTRIES, LOCK, entry_of, translated
from waitroom.minutes import COLUMNS, RATIOS, TEXTS, Minute, merged
from waitroom.revision import difference
from waitroom.rooms import Room, read_kept

ACTS_MOST = 500
PURGED_AT_ONCE = 500
BELIEVED_SPAN = 7 * 24 * 60
BELIEVED_LEAST = 12 * 60
"""A clock is believed that has kept so many minutes of the last week: it cannot have leapt there just now."""

_ASKED_AT_ONCE = 300
_IN_SALE = sa.text("sale <> ''")
"""Literally as the table's partial index has it."""

_STOCK = frozenset({"stock_left", "stock_state"})
_ACTS = (Kind.CONFIGURED, Kind.REMOVED, Kind.OPERATOR)


def _kind(name: str) -> sa.types.TypeEngine[Any]:
    if name in TEXTS:
        return sa.Text()
    return sa.Float() if name in RATIOS else sa.BigInteger()


MINUTES = sa.Table(
    "history_minutes",
    sa.MetaData(),
    *(
        sa.Column(name, _kind(name), primary_key=name in {"room", "minute"}, autoincrement=False)
        for name in COLUMNS
    ),
)


@dataclass(frozen=True, slots=True)
class Recorded:
    """A sale of which there are minutes: from the first to the last, both with a row."""

    room: str
    sale: str
    first: int
    last: int


@dataclass(frozen=True, slots=True)
class Act:
    """What an operator, or a program of theirs, did; ``what`` is [setting, old, new] for each that changed."""

    seq: int
    at_ms: int
    who: str
    why: str
    what: Sequence[Sequence[str]]
    version: int | None = None


class HistoryBook:
    """The minutes of one installation; ``journal_store`` has made the table."""

    def __init__(self, url: str) -> None:
        """Prepare; nothing is opened yet. Raises ``Misconfigured`` for an address that cannot be one."""
        self._engine = engine(address(url, "journal"), "journal")

    def close(self) -> None:
        """Close all connections."""
        close(self._engine)

    # --------------------------------------------------------------------------------- writing

    def write(self, minutes: Sequence[Minute]) -> None:
        """Keep rows, all or none. One that is there already is completed: the later look counts."""
        if not minutes:
            return
        fresh: dict[tuple[str, int], Minute] = {}
        for each in minutes:
            key = each.room, each.minute
            fresh[key] = merged(fresh[key], each) if key in fresh else each
        with self._writing() as connection:
            for kept in _those(connection, list(fresh)):
                key = kept.room, kept.minute
                fresh[key] = merged(kept, fresh[key])
                connection.execute(sa.delete(MINUTES).where(_is(key)))
            connection.execute(sa.insert(MINUTES), [asdict(each) for each in fresh.values()])

    def purge(self, before: int, step: int = PURGED_AT_ONCE) -> int:
        """Forget the oldest rows of minutes before `before`, `step` minutes of each room at most; tell how many."""
        gone = 0
        for room in self.rooms():
            oldest = self._oldest(room, before)
            if oldest >= before:
                continue
            upto = min(before, oldest + step)
            with self._writing() as connection:
                old = sa.and_(MINUTES.c.room == room, MINUTES.c.minute < upto)
                gone += connection.execute(sa.delete(MINUTES).where(old)).rowcount
        return gone

    def forget(self, now: int, kept: int, *, is_certain: bool) -> bool:
        """Forget the oldest rows of minutes more than `kept` before `now`; tell whether that is put off.

        It is where the minute of now is not `is_certain`, or has not been believed for long: a clock that leaps ahead
        would let the past go.
        """
        if all(self._oldest(room, now) >= now - kept for room in self.rooms()):
            return False
        if not (is_certain and self._is_believed(now)):
            return True
        self.purge(now - kept)
        return False

    def _is_believed(self, now: int) -> bool:
        """Tell whether some room has rows of half a day within the last week."""
        inside = sa.and_(MINUTES.c.minute > now - BELIEVED_SPAN, MINUTES.c.minute <= now)
        with translated(), self._engine.connect() as connection:
            for room in self.rooms():
                rows = sa.select(MINUTES.c.minute).where(MINUTES.c.room == room, inside)
                if connection.scalar(rows.offset(BELIEVED_LEAST - 1).limit(1)) is not None:
                    return True
        return False

    # --------------------------------------------------------------------------------- reading

    def rooms(self) -> list[str]:
        """Name the rooms of which there are minutes; asks the index once for each."""
        found: list[str] = []
        with translated(), self._engine.connect() as connection:
            while True:
                query = sa.select(sa.func.min(MINUTES.c.room))
                room = connection.scalar(query.where(MINUTES.c.room > found[-1]) if found else query)
                if room is None:
                    return found
                found.append(str(room))

    def minutes(self, room: str, since: int, until: int) -> list[Minute]:
        """Return the rows of [since, until), in order; minutes that nobody saw are not there."""
        query = (
            sa.select(MINUTES)
            .where(MINUTES.c.room == room, MINUTES.c.minute >= since, MINUTES.c.minute < until)
            .order_by(MINUTES.c.minute)
        )
        with translated(), self._engine.connect() as connection:
            return [Minute(*row) for row in connection.execute(query)]

    def _oldest(self, room: str, none: int) -> int:
        query = sa.select(sa.func.min(MINUTES.c.minute)).where(MINUTES.c.room == room)
        with translated(), self._engine.connect() as connection:
            found = connection.scalar(query)
        return none if found is None else int(found)

    def last(self, room: str) -> int | None:
        """Return the last minute of a room that somebody saw; None where there is none."""
        query = sa.select(sa.func.max(MINUTES.c.minute)).where(MINUTES.c.room == room)
        with translated(), self._engine.connect() as connection:
            found = connection.scalar(query)
        return None if found is None else int(found)

    def sales(self, room: str) -> list[Recorded]:
        """Return the sales of which there are minutes, the newest first."""
        first, last = sa.func.min(MINUTES.c.minute), sa.func.max(MINUTES.c.minute)
        query = (
            sa.select(MINUTES.c.sale, first, last)
            .where(MINUTES.c.room == room, _IN_SALE)
            .group_by(MINUTES.c.sale)
            .order_by(first.desc())
        )
        with translated(), self._engine.connect() as connection:
            return [Recorded(room, *row) for row in connection.execute(query)]

    def acts(self, room: str, since_ms: int, until_ms: int, most: int = ACTS_MOST) -> list[Act]:
        """Return what operators did to a room in [since_ms, until_ms), in order; the newest `most`.

        What a shop says is left is no act: it is in the minutes.
        """
        of_room = sa.and_(ENTRIES.c.room == room, ENTRIES.c.kind.in_([kind.value for kind in _ACTS]))
        inside = sa.and_(of_room, ENTRIES.c.at_ms >= since_ms, ENTRIES.c.at_ms < until_ms)
        newest = sa.select(ENTRIES).where(inside).order_by(ENTRIES.c.seq.desc()).limit(most + 1)
        with translated(), self._engine.connect() as connection:
            entries = [entry_of(row) for row in connection.execute(newest)][::-1]
            if not entries:
                return []
            settings = [Kind.CONFIGURED.value, Kind.REMOVED.value]
            before = (
                sa.select(ENTRIES)
                .where(of_room, ENTRIES.c.kind.in_(settings), ENTRIES.c.seq < entries[0].seq)
                .order_by(ENTRIES.c.seq.desc())
                .limit(1)
            )
            last = connection.execute(before).first()
        return list(_told(entries, _room_of(entry_of(last)) if last is not None else None))[-most:]

    # ----------------------------------------------------------------------------- connections

    @contextmanager
    def _writing(self) -> Iterator[Connection]:
        with translated(), self._engine.connect() as connection:
            begin_writing(connection)
            with connection.begin():
                take_turn(connection, LOCK)
                yield connection


def _is(key: tuple[str, int]) -> sa.ColumnElement[bool]:
    return sa.and_(MINUTES.c.room == key[0], MINUTES.c.minute == key[1])


def _those(connection: Connection, keys: Sequence[tuple[str, int]]) -> Iterator[Minute]:
    """Read the rows of these rooms and minutes that are there, some hundred at a time."""
    for at in range(0, len(keys), _ASKED_AT_ONCE):
        which = sa.or_(*(_is(key) for key in keys[at : at + _ASKED_AT_ONCE]))
        for row in connection.execute(sa.select(MINUTES).where(which)).all():
            yield Minute(*row)


def _told(entries: Iterable[Entry], before: Room | None) -> Iterator[Act]:
    for entry in entries:
        body: Mapping[str, str] = entry.body
        who, why = body.get("who", ""), body.get("why", "")
        if entry.kind is Kind.OPERATOR:
            what = [[name, "", text] for name, text in body.items() if name not in {"who", "why"}]
            yield Act(entry.seq, entry.at_ms, who, why, what)
            continue
        after = _room_of(entry)
        what = difference(before, after)
        before = after
        if {name for name, *_ in what} - _STOCK:
            version = body.get("version", "")
            yield Act(entry.seq, entry.at_ms, who, why, what, int(version) if version.isdecimal() else None)


def _room_of(entry: Entry) -> Room | None:
    """Read the settings that an entry left; None for a removed room, and for what cannot be read any more."""
    if entry.kind is Kind.REMOVED:
        return None
    with suppress(Misconfigured):
        return read_kept(entry.body.get("config", ""))
    return None
