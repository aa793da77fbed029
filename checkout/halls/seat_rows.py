"""Seat rows: an event's seats in its shard's database, made, blocked and re-priced by the thousand.

One row a seat. Statements go by stretches of seats that follow one another, in the order of the seats, as every other
writer locks them, so that two of them can wait for each other but never for ever. A change is all or nothing: seats
that cannot change are named, and nothing has happened. The store (Valkey) hears of it from the caller, after the
commit: SQL has the last word. Not here: how a seat is reserved and sold (``sales.store``).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from checkout.database import ShopDatabase
from checkout.halls.seats import Status
from checkout.tables import SEATS

MOST_BUSY = 100
"""So many seats that stand in the way are named."""

_CHUNK = 1_000


@dataclass(frozen=True, slots=True)
class Done:
    """These seats have changed."""

    seats: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Busy:
    """Nothing has changed, because of these seats."""

    seats: tuple[int, ...]


class SeatRows:
    """The seats of the events of one shard."""

    def __init__(self, database: ShopDatabase) -> None:
        self._database = database

    def make(self, event_id: str, tiers: bytes) -> int:
        """Make the seats of an event, all free, if there are none; return how many there are.

        Two callers at once make them once.
        """
        with self._database.writing(turn=True) as connection:
            if there := _count(connection, event_id):
                return there
            for first, count, tier in _runs(tiers):
                connection.execute(
                    sa.insert(SEATS).from_select(
                        ["event_id", "seat", "status", "tier"], _numbers(event_id, first, count, tier)
                    )
                )
            return _count(connection, event_id)

    def count(self, event_id: str) -> dict[Status, int]:
        """Count an event's seats by status."""
        query = (
            sa.select(SEATS.c.status, sa.func.count())
            .where(SEATS.c.event_id == event_id)
            .group_by(SEATS.c.status)
        )
        with self._database.reading() as connection:
            return {Status(status): number for status, number in connection.execute(query)}

    def octets(self, event_id: str) -> bytes:
        """Return the map as SQL has it: a byte a seat, tier and status."""
        query = (
            sa.select(SEATS.c.tier * 16 + SEATS.c.status)
            .where(SEATS.c.event_id == event_id)
            .order_by(SEATS.c.seat)
        )
        with self._database.reading() as connection:
            return bytes(connection.scalars(query))

    def allocated(self, event_id: str, allocation: str) -> list[int]:
        """Name the seats of an allocation, in order."""
        query = sa.select(SEATS.c.seat).where(SEATS.c.event_id == event_id, SEATS.c.allocation == allocation)
        with self._database.reading() as connection:
            return list(connection.scalars(query.order_by(SEATS.c.seat)))

    def retier(self, event_id: str, seats: Sequence[int], tier: int) -> Done:
        """Put seats into a tier, whatever their status; what is reserved keeps its price."""
        ordered = sorted(set(seats))
        with self._database.writing() as connection:
            for part in _stretches(event_id, ordered):
                _lock(connection, part)
                done = sa.update(SEATS).where(part).values(tier=tier, version=SEATS.c.version + 1)
                connection.execute(done)
        return Done(tuple(ordered))

    def block(self, event_id: str, seats: Sequence[int], allocation: str | None = None) -> Done | Busy:
        """Take free seats out of the sale; with ``allocation``, for those who have its code."""
        return self._change(event_id, seats, Status.FREE, Status.BLOCKED, allocation)

    def unblock(self, event_id: str, seats: Sequence[int]) -> Done | Busy:
        """Put blocked seats back on sale; they belong to no allocation any more."""
        return self._change(event_id, seats, Status.BLOCKED, Status.FREE, None)

    def _change(
        self, event_id: str, seats: Sequence[int], old: Status, new: Status, allocation: str | None
    ) -> Done | Busy:
        ordered = sorted(set(seats))
        busy: set[int] = set(ordered)
        with self._database.writing() as connection:
            for part in _stretches(event_id, ordered):
                _lock(connection, part)
                query = sa.select(SEATS.c.seat).where(part, SEATS.c.status == old.value)
                busy -= set(connection.scalars(query))
            if not busy:
                for part in _stretches(event_id, ordered):
                    connection.execute(
                        sa.update(SEATS)
                        .where(part)
                        .values(status=new.value, allocation=allocation, version=SEATS.c.version + 1)
                    )
        return Busy(tuple(sorted(busy))[:MOST_BUSY]) if busy else Done(tuple(ordered))


def _count(connection: Connection, event_id: str) -> int:
    return connection.scalar(sa.select(sa.func.count()).where(SEATS.c.event_id == event_id)) or 0


def _numbers(event_id: str, first: int, count: int, tier: int) -> sa.Select[tuple[str, int, int, int]]:
    """Let the database count: one statement for a stretch, where 60,000 rows sent one by one would take seconds."""
    start = sa.select(sa.literal(first, sa.Integer).label("seat")).cte("numbers", recursive=True)
    numbers = start.union_all(sa.select(start.c.seat + 1).where(start.c.seat < first + count - 1))
    return sa.select(
        sa.literal(event_id, sa.Text), numbers.c.seat, sa.literal(Status.FREE.value), sa.literal(tier)
    )


def _lock(connection: Connection, part: sa.ColumnElement[bool]) -> None:
    if connection.dialect.name == "postgresql":
        connection.execute(sa.select(SEATS.c.seat).where(part).order_by(SEATS.c.seat).with_for_update())


def _runs(tiers: bytes) -> Iterator[tuple[int, int, int]]:
    first = 0
    for index in range(1, len(tiers) + 1):
        if index == len(tiers) or tiers[index] != tiers[first]:
            yield (first, index - first, tiers[first])
            first = index


def _stretches(event_id: str, ordered: Sequence[int]) -> Iterator[sa.ColumnElement[bool]]:
    """Cut seats into conditions: stretches without a gap as a range, the rest as lists, in order."""
    own = SEATS.c.event_id == event_id
    loose: list[int] = []
    for first, last in _ranges(ordered):
        if last - first < 8:
            loose += range(first, last + 1)
        if loose and (last - first >= 8 or len(loose) >= _CHUNK):
            yield own & SEATS.c.seat.in_(loose)
            loose = []
        if last - first >= 8:
            yield own & SEATS.c.seat.between(first, last)
    if loose:
        yield own & SEATS.c.seat.in_(loose)


def _ranges(ordered: Sequence[int]) -> Iterator[tuple[int, int]]:
    first = 0
    for index in range(1, len(ordered) + 1):
        if index == len(ordered) or ordered[index] != ordered[index - 1] + 1:
            yield (ordered[first], ordered[index - 1])
            first = index
