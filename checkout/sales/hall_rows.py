"""Hall rows: what SQL knows of an event's hall at one moment, to put the store's map back or to compare it.

**Epochs.** A map that was put back is a new one, with the next number in ``store_epochs``. Who wants to put it back
names the number that was seen, so of two one wins; and from its commit on no hold of an older map becomes a
reservation (``sales.store``). Live holds of the journal go along into the new epoch in the same transaction: what is
in an older one is a hold that was lost with its map, and never comes back, however late its note reaches SQL.

Synchronous, as all SQL here. Not here: what the map is made of (``sales.rebuilding``), what a difference means
(``sales.reconciling``).
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import sqlalchemy as sa
from sqlalchemy.engine import Connection
from sqlalchemy.exc import IntegrityError

from checkout.database import ShopDatabase
from checkout.halls.seats import Status, hold_id_of
from checkout.holds.answers import LIVE, HoldRecord, HoldState, Places, places_of
from checkout.sales.reservation import SaleState
from checkout.tables import HOLD_JOURNAL, RESERVATION_SEATS, RESERVATIONS, SEATS, STORE_EPOCHS, WAITLIST

_CHUNK = 500
_WAITING = "waiting"


class Standing(NamedTuple):
    """A reservation that stands; ``is_allocated``: its seats go back to an allocation."""

    hold: bytes
    buyer: str
    fence: int
    price_version: int
    currency: str
    created_ms: int
    until_ms: int
    places: Places
    is_allocated: bool


@dataclass(frozen=True, slots=True)
class Told:
    """All that SQL tells of a hall.

    ``map``: a byte a seat, as SQL has it. ``holds``: those that lived when their last note was written, as records of
    the epoch asked for. ``waited_for``: tiers that somebody waits for; None stands for any.
    """

    map: bytes
    standing: tuple[Standing, ...]
    bought: Mapping[str, int]
    holds: Mapping[bytes, HoldRecord]
    waited_for: frozenset[int | None]


@dataclass(frozen=True, slots=True)
class Compared:
    """What SQL tells in order to be compared: the map, and the hold of each seat that is reserved."""

    epoch: int
    fence: int
    """The highest fence of this epoch that SQL has heard of."""
    map: bytes
    holds: Mapping[int, bytes]


class SeatNow(NamedTuple):
    """A seat whose views differ, looked at once more."""

    seat: int
    version: int
    reservation: str | None
    is_due: bool


class HallRows:
    """The halls of the events of one database."""

    def __init__(self, database: ShopDatabase) -> None:
        """Use an open database."""
        self._database = database

    def epoch(self, event: str) -> int:
        """Return the number of the newest map; 0 before the first."""
        with self._database.reading() as connection:
            return _epoch(connection, event)

    def advance(self, event: str, seen: int, to: int, now_ms: int) -> bool:
        """Begin a new epoch and take live holds along; False when it is not `seen` any more."""
        columns = STORE_EPOCHS.c
        try:
            with self._database.writing() as connection:
                if seen:
                    next_ = sa.update(STORE_EPOCHS).where(columns.event_id == event, columns.epoch == seen)
                    if connection.execute(next_.values(epoch=to)).rowcount != 1:
                        return False
                else:
                    connection.execute(sa.insert(STORE_EPOCHS), {"event_id": event, "epoch": to})
                along = sa.update(HOLD_JOURNAL).where(_live(event, seen, now_ms))
                connection.execute(along.values(epoch=to))
        except IntegrityError:
            return False
        return True

    def read(self, event: str, epoch: int, now_ms: int) -> Told:
        """Read everything at one moment; the epoch has begun, so no reservation of an older one comes after it."""
        with self._database.reading() as connection:
            _at_one_moment(connection)
            return Told(
                map=_map(connection, event),
                standing=tuple(_standing(connection, event)),
                bought=_bought(connection, event),
                holds=_holds(connection, event, epoch, now_ms),
                waited_for=frozenset(
                    connection.scalars(
                        sa.select(WAITLIST.c.tier)
                        .where(WAITLIST.c.event_id == event, WAITLIST.c.state == _WAITING)
                        .distinct()
                    )
                ),
            )

    def drop(self, event: str, holds: Sequence[str]) -> None:
        """Say of holds that they are over, and of no map: their seats or their buyer's share are others' by now."""
        columns = HOLD_JOURNAL.c
        with self._database.writing() as connection:
            for begin in range(0, len(holds), _CHUNK):
                own = columns.hold_id.in_(holds[begin : begin + _CHUNK])
                over = sa.update(HOLD_JOURNAL).where(columns.event_id == event, own)
                connection.execute(over.values(state=HoldState.EXPIRED.value, epoch=0))

    def compare(self, event: str) -> Compared:
        """Read what can be compared with the store, at one moment."""
        sales, seats = RESERVATIONS.c, RESERVATION_SEATS.c
        reserved = (
            sa.select(seats.seat, sales.hold_id)
            .join_from(RESERVATIONS, RESERVATION_SEATS, seats.reservation_id == sales.id)
            .where(sales.event_id == event, sales.state == SaleState.ACTIVE.value, seats.active)
        )
        with self._database.reading() as connection:
            _at_one_moment(connection)
            epoch = _epoch(connection, event)
            journal = sa.select(sa.func.max(HOLD_JOURNAL.c.fence)).where(
                HOLD_JOURNAL.c.event_id == event, HOLD_JOURNAL.c.epoch == epoch
            )
            made = sa.select(sa.func.max(sales.fence)).where(sales.event_id == event, sales.epoch == epoch)
            return Compared(
                epoch=epoch,
                fence=max(connection.scalar(journal) or 0, connection.scalar(made) or 0),
                map=_map(connection, event),
                holds={seat: hold_id_of(hold) or b"" for seat, hold in connection.execute(reserved)},
            )

    def returned(self, event: str, seats: Sequence[int]) -> dict[int, str | None]:
        """Tell whose sale each of these seats came back from last; None for one that was never sold."""
        sales, places = RESERVATIONS.c, RESERVATION_SEATS.c
        rows = (
            sa.select(places.seat, sales.buyer)
            .join_from(RESERVATIONS, RESERVATION_SEATS, places.reservation_id == sales.id)
            .where(
                places.event_id == event,
                places.seat.in_(seats),
                sales.state == SaleState.RETURNED.value,
            )
            .order_by(sales.created_ms)
        )
        found: dict[int, str | None] = dict.fromkeys(seats)
        if seats:
            with self._database.reading() as connection:
                found.update((seat, buyer) for seat, buyer in connection.execute(rows))
        return found

    def look(self, event: str, seats: Sequence[int], now_ms: int) -> dict[int, SeatNow]:
        """Read some seats, and whether their reservation's time is over."""
        columns = SEATS.c
        is_due = (RESERVATIONS.c.state == SaleState.ACTIVE.value) & (RESERVATIONS.c.until_ms <= now_ms)
        rows = sa.select(
            columns.seat, columns.version, columns.reservation_id, sa.func.coalesce(is_due, sa.false())
        ).join_from(SEATS, RESERVATIONS, RESERVATIONS.c.id == columns.reservation_id, isouter=True)
        found: dict[int, SeatNow] = {}
        with self._database.reading() as connection:
            for begin in range(0, len(seats), _CHUNK):
                own = columns.seat.in_(seats[begin : begin + _CHUNK])
                for row in connection.execute(rows.where(columns.event_id == event, own)):
                    found[row.seat] = SeatNow(*row)
        return found


def _at_one_moment(connection: Connection) -> None:
    """Let all statements see the same commits. On SQLite a transaction does so anyway."""
    if connection.dialect.name == "postgresql":
        connection.execution_options(isolation_level="REPEATABLE READ")


def _epoch(connection: Connection, event: str) -> int:
    return connection.scalar(sa.select(STORE_EPOCHS.c.epoch).where(STORE_EPOCHS.c.event_id == event)) or 0


def _map(connection: Connection, event: str) -> bytes:
    """Let the database write the map as one text: 60,000 rows one by one would take three times as long."""
    rows = (
        sa.select((SEATS.c.tier * 16 + SEATS.c.status).label("octet"))
        .where(SEATS.c.event_id == event)
        .order_by(SEATS.c.seat)
        .subquery()
    )
    text = connection.scalar(sa.select(sa.func.aggregate_strings(sa.cast(rows.c.octet, sa.Text), ",")))
    return bytes(map(int, text.split(","))) if text else b""


def _standing(connection: Connection, event: str) -> Iterable[Standing]:
    sales, seats = RESERVATIONS.c, RESERVATION_SEATS.c
    places: dict[str, list[tuple[int, int]]] = defaultdict(list)
    allocated: set[str] = set()
    rows = (
        sa.select(seats.reservation_id, seats.seat, seats.tier, SEATS.c.allocation)
        .join_from(
            RESERVATION_SEATS, SEATS, (SEATS.c.event_id == seats.event_id) & (SEATS.c.seat == seats.seat)
        )
        .where(seats.event_id == event, seats.active)
        .order_by(seats.seat)
    )
    for id_, seat, tier, allocation in connection.execute(rows):
        places[id_].append((seat, tier))
        if allocation is not None:
            allocated.add(id_)
    active = sa.select(RESERVATIONS).where(sales.event_id == event, sales.state == SaleState.ACTIVE.value)
    for row in connection.execute(active):
        yield Standing(
            hold=hold_id_of(row.hold_id) or b"",
            buyer=row.buyer,
            fence=row.fence,
            price_version=row.price_version,
            currency=row.currency,
            created_ms=row.created_ms,
            until_ms=row.until_ms,
            places=tuple(places[row.id]),
            is_allocated=row.id in allocated,
        )


def _bought(connection: Connection, event: str) -> dict[str, int]:
    sales, seats = RESERVATIONS.c, RESERVATION_SEATS.c
    rows = (
        sa.select(sales.buyer, sa.func.count())
        .join_from(RESERVATIONS, RESERVATION_SEATS, seats.reservation_id == sales.id)
        .where(sales.event_id == event, sales.state == SaleState.SOLD.value, seats.active)
        .group_by(sales.buyer)
    )
    return dict(connection.execute(rows).all())


def _live(event: str, epoch: int, now_ms: int) -> sa.ColumnElement[bool]:
    columns = HOLD_JOURNAL.c
    is_live = columns.state.in_(sorted(state.value for state in LIVE)) & (columns.until_ms > now_ms)
    return (columns.event_id == event) & (columns.epoch == epoch) & is_live


def _holds(connection: Connection, event: str, epoch: int, now_ms: int) -> dict[bytes, HoldRecord]:
    found: dict[bytes, HoldRecord] = {}
    # One that has become a reservation stands by it, or is over with it.
    became = sa.exists().where(
        RESERVATIONS.c.event_id == event, RESERVATIONS.c.hold_id == HOLD_JOURNAL.c.hold_id
    )
    for row in connection.execute(sa.select(HOLD_JOURNAL).where(_live(event, epoch, now_ms), ~became)):
        id_ = hold_id_of(row.hold_id)
        if id_ is not None:
            found[id_] = HoldRecord(
                state=HoldState(row.state),
                fence=row.fence,
                epoch=epoch,
                until_ms=row.until_ms,
                end_ms=0,
                extended=row.extended,
                back=Status(row.back),
                price_version=row.price_version,
                currency=row.currency,
                buyer=row.buyer,
                body="-",
                seats=places_of(row.seats),
            )
    return found
