"""Rotation: a new key for every personal value, while the shop goes on reading and writing them.

1. A new key becomes the active one; the old one only opens from now on. (An earlier rotation that was broken off is
   finished first, and no further key is made.)
2. Every value of an older key is opened and sealed anew, a batch at a time. A row is written only if its envelopes are
   still those that were read, so what a buyer changes meanwhile stands.
3. An old key is dropped when a last look finds no value of it anywhere, ``SETTLE_MS`` after it was retired: by then no
   process seals with it any more, because each looks at the file before it seals. While an event is on its way to
   another shard, its rows may be in neither database when they are looked for; then nothing is dropped.

It can be broken off at any moment: which values are left to do is what their envelopes say. A value that does not open
is counted and left as it is, and its key stays. Not here: what an envelope is (``sealing``), where it stands
(``columns``), the command (``gateway.people_command``).
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa
from sqlalchemy import RowMapping

from checkout.database import ShopDatabase
from checkout.people.columns import SEALED_TABLES, SealedTable
from checkout.people.keys import PeopleKeys
from kernel.sealing import CannotOpen, prefix

BATCH = 500
SETTLE_MS = 60_000
"""So long after a key was retired nobody seals with it any more: a request takes seconds."""


@dataclass(frozen=True, slots=True)
class Progress:
    """How far it has come."""

    database: str
    table: str
    done: int
    all: int


@dataclass(slots=True)
class Rotated:
    """What came of it."""

    active: str
    is_new: bool
    sealed: int = 0
    stuck: int = 0
    """Rows with a value that does not open."""
    dropped: Sequence[str] = ()
    kept: Mapping[str, str] = field(default_factory=dict)
    """Old keys that stay for now, with the reason."""

    @property
    def is_done(self) -> bool:
        """True when only the active key is left."""
        return not self.kept


class Rotation:
    """Seals everything anew."""

    def __init__(
        self,
        keys: PeopleKeys,
        databases: Mapping[str, ShopDatabase],
        moves: Callable[[], tuple[str, bool]],
        tell: Callable[[Progress], None] = lambda _: None,
    ) -> None:
        """`moves` tells where events are, as one text, and whether one is on its way."""
        self._keys = keys
        self._databases = databases
        self._moves = moves
        self._tell = tell

    def begin(self, now_ms: int) -> Rotated:
        """Make a new key, unless a rotation is under way."""
        self._keys.refresh()
        is_new = not self._keys.document.retiring
        if is_new:
            self._keys.rotate(now_ms)
        return Rotated(self._keys.document.active.name, is_new)

    def seal(self, rotated: Rotated) -> None:
        """Seal anew whatever is of an older key."""
        for name, database in self._databases.items():
            for own in SEALED_TABLES:
                self._seal_table(rotated, name, database, own)

    def drop(self, rotated: Rotated, now_ms: int) -> None:
        """Forget the old keys that nothing uses any more."""
        retiring = self._keys.document.retiring
        before, is_moving = self._moves()
        used: Counter[str] = Counter()
        for database in self._databases.values():
            used += uses(database, [key.name for key in retiring])
        after, moves_now = self._moves()
        kept = {}
        for key in retiring:
            if used[key.name]:
                kept[key.name] = f"{used[key.name]} values use it"
            elif is_moving or moves_now or before != after:
                kept[key.name] = "an event is on its way to another shard"
            elif now_ms - key.retired_ms < SETTLE_MS:
                kept[key.name] = "it was retired less than a minute ago"
        rotated.kept = kept
        rotated.dropped = [key.name for key in retiring if key.name not in kept]
        if rotated.dropped:
            self._keys.drop(rotated.dropped)

    # ------------------------------------------------------------------------------------- parts

    def _seal_table(self, rotated: Rotated, name: str, database: ShopDatabase, own: SealedTable) -> None:
        active = self._keys.document.active.name
        with database.reading() as connection:
            count = sa.select(sa.func.count()).select_from(own.table).where(_is_old(own, active))
            left = connection.scalar(count) or 0
        done = 0
        for rows in _batches(database, own, active):
            changes = []
            for row in rows:
                try:
                    changes.append((row, self._anew(own, row)))
                except CannotOpen:
                    rotated.stuck += 1
            rotated.sealed += _replaced(database, own, changes)
            done += len(rows)
            self._tell(Progress(name, own.table.name, done, max(left, done)))

    def _anew(self, own: SealedTable, row: RowMapping) -> dict[str, str]:
        vault = self._keys.vault
        values = {}
        for column in own.columns:
            envelope = row[column]
            if envelope and not vault.is_current(envelope):
                where = own.where(row, column)
                values[column] = vault.seal(vault.open(envelope, where), where)
        return values


def uses(database: ShopDatabase, names: Sequence[str]) -> Counter[str]:
    """Count the values that each key has sealed."""
    found: Counter[str] = Counter()
    with database.reading() as connection:
        for own in SEALED_TABLES:
            for column in own.columns:
                for name in names:
                    query = sa.select(sa.func.count()).select_from(own.table)
                    found[name] += connection.scalar(query.where(_begins(own.table.c[column], name))) or 0
    return found


def strangers(database: ShopDatabase, names: Sequence[str]) -> int:
    """Count the rows with a value that none of these keys has sealed: the file of the keys is another one."""
    with database.reading() as connection:
        return sum(
            connection.scalar(sa.select(sa.func.count()).select_from(own.table).where(_is_old(own, *names)))
            or 0
            for own in SEALED_TABLES
        )


def _batches(database: ShopDatabase, own: SealedTable, active: str) -> Iterator[Sequence[RowMapping]]:
    """Give the rows that are to be sealed anew, in the order of their keys, each once."""
    last: Sequence[Any] | None = None
    query = sa.select(own.table).where(_is_old(own, active)).order_by(*own.key).limit(BATCH)
    while True:
        page = query
        if last is not None:
            bound = [sa.literal(value, one.type) for one, value in zip(own.key, last, strict=True)]
            page = query.where(sa.tuple_(*own.key) > sa.tuple_(*bound))
        with database.reading() as connection:
            rows = connection.execute(page).mappings().all()
        if not rows:
            return
        yield rows
        last = [rows[-1][one.name] for one in own.key]


def _replaced(
    database: ShopDatabase, own: SealedTable, changes: Sequence[tuple[RowMapping, Mapping[str, str]]]
) -> int:
    """Write envelopes into the rows that are still as they were read; returns how many those are."""
    names = [*(one.name for one in own.key), *own.columns]
    count = 0
    with database.writing() as connection:
        for row, values in changes:
            same = [own.table.c[name] == row[name] for name in names]
            count += connection.execute(sa.update(own.table).where(*same).values(**values)).rowcount
    return count


def _is_old(own: SealedTable, *names: str) -> sa.ColumnElement[bool]:
    """Give the condition of rows with an envelope of another key than these."""
    return sa.or_(
        *(
            sa.and_(own.table.c[column] != "", *(~_begins(own.table.c[column], name) for name in names))
            for column in own.columns
        )
    )


def _begins(column: sa.Column[Any], name: str) -> sa.ColumnElement[bool]:
    begin = prefix(name)
    return sa.func.substr(column, 1, len(begin)) == begin
