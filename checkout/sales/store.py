"""Sales: which seats are reserved, and for whom, in an event's database; the last word on every seat.

A reservation is made in one transaction or not at all, and every guard is a condition of its statements:

* **Epoch**: the store's map that the hold was pinned in must be the newest that was put back (``FOR SHARE``: a
  rebuilding waits for those who are at it, and whoever comes after it is refused).
* **Order**: rows of seats are locked in the order of seats, by everybody, so two can wait for each other but never for
  ever; a reservation's row is locked before its seats.
* **Version** (OCC): each seat still has the version that was read, the status that the hold took it from, and an
  (epoch, fence) below the hold's. Whoever comes with an older hold than somebody before finds one row too few.
* **Index**: a seat is in one active reservation at most, whatever the rest does.
* **Limit**: counted again under a lock of the buyer, the reservations beside those of other tabs.
* **Time**: whoever has slept since the hold was pinned is refused after the locks are taken. Hence this store has
  a clock, where others take the time as an argument.

Each change is told to the log in its transaction (``sales.projection``), and a group's with one statement.

A hold becomes one reservation for ever (unique): a repeat hears of the same, and a commit whose answer was lost is
settled by reading it back. What another has reserved is free from ``until_ms`` on, whether the reaper came by or
not. Deadlocks and databases that are busy are tried again, ``TRIES`` times within ``PATIENCE_S``.

Synchronous, as all SQL here. Not here: what a hold costs and what the buyer is told (``sales.service``), the store's
map.
"""

import hashlib
import time
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import sqlalchemy as sa
from sqlalchemy.engine import Connection
from sqlalchemy.exc import IntegrityError

from checkout.database import ShopDatabase
from checkout.eventlog.store import append, heads
from checkout.halls.seats import Status
from checkout.sales.projection import reserved, row_of, turned
from checkout.sales.reservation import (
    Ended,
    Late,
    Line,
    Lost,
    Outdated,
    Over,
    Reservation,
    Reserved,
    ReserveOutcome,
    Sale,
    SaleState,
    TooMany,
    reservation_id,
)
from checkout.sales.statements import (
    AS_READ,
    COUNT_OTHERS,
    IS_ALLOCATED,
    IS_FREE,
    IS_NEWER,
    LOCK_BUYER,
    LOCK_SEATS,
    NEW_SALE,
    NEW_SEATS,
    SHARED_EPOCH,
    taking,
)
from checkout.tables import RESERVATION_SEATS, RESERVATIONS, SEATS
from kernel.clock import Clock
from kernel.errors import Unavailable

TRIES = 4
PATIENCE_S = 5.0
_REST_S = 0.01

LAPSE_MOST = 100
"""Reservations that one transaction ends at most: their seats stay locked until its commit."""


class _Seat(NamedTuple):
    """A row of seats, as it was when it was locked."""

    seat: int
    status: int
    allocation: str | None
    version: int
    sale: str | None


class _Back(Exception):
    """Takes a transaction back and says why; ``due`` are reservations in the way whose time is over."""

    def __init__(self, outcome: ReserveOutcome, due: Sequence[str] = ()) -> None:
        super().__init__()
        self.outcome = outcome
        self.due = due


class SalesStore:
    """The reservations of the events of one database."""

    take_free = taking(IS_FREE, AS_READ, IS_NEWER)
    """Nobody has changed the seats since they were read, and no newer hold had one."""

    take_allocated = taking(IS_ALLOCATED, AS_READ, IS_NEWER)
    count_others = COUNT_OTHERS

    def __init__(self, database: ShopDatabase, clock: Clock) -> None:
        """Use an open database."""
        self._database = database
        self._clock = clock

    # ----------------------------------------------------------------------------- reserving

    def reserve(self, sale: Sale) -> ReserveOutcome:
        """Reserve a hold's seats, all of them or none. Raises ``Unavailable`` when it is not known what came of it."""
        until_s = time.monotonic() + PATIENCE_S
        for tried in range(1, TRIES + 1):
            try:
                with self._database.writing() as connection:
                    outcome = self._reserve(connection, sale)
                    _tell(connection, [outcome])
                    return outcome
            except _Back as back:
                if not back.due or tried == TRIES:
                    return back.outcome
                self.lapse(back.due)
            except IntegrityError:
                # Somebody was faster, past all the other guards.
                outcome = self._known(sale) or self._taken(sale)
                if outcome != Lost(()) or tried == TRIES:
                    return outcome
            except Unavailable:
                # A commit may have been done although nobody said so. A database that is away says so again here.
                if known := self._known(sale):
                    return known
                if tried == TRIES or time.monotonic() >= until_s:
                    raise
                time.sleep(_REST_S * tried)
        raise AssertionError("the last try returns or raises")

    def reserve_all(self, sales: Sequence[Sale]) -> list[ReserveOutcome | Unavailable]:
        """Reserve several holds with one commit, each by itself all or nothing.

        On SQLite a commit costs a disk's turn and lets nobody else write; in groups of sixteen it makes five times as
        many reservations a second.
        """
        outcomes: list[ReserveOutcome | None] = [None] * len(sales)
        if len(sales) > 1:
            try:
                with self._database.writing() as connection:
                    outcomes = [self._within(connection, sale) for sale in sales]
                    _tell(connection, outcomes)
            except (Unavailable, IntegrityError):
                outcomes = [None] * len(sales)
        pairs = zip(sales, outcomes, strict=True)
        return [self._alone(sale) if outcome is None else outcome for sale, outcome in pairs]

    def _within(self, connection: Connection, sale: Sale) -> ReserveOutcome | None:
        """Reserve inside of another transaction; None for what is better tried alone."""
        try:
            with connection.begin_nested():
                return self._reserve(connection, sale)
        except _Back as back:
            return None if back.due else back.outcome
        except IntegrityError:
            return None

    def _alone(self, sale: Sale) -> ReserveOutcome | Unavailable:
        try:
            return self.reserve(sale)
        except Unavailable as error:
            return error

    def _reserve(self, connection: Connection, sale: Sale) -> ReserveOutcome:
        epoch = self._epoch(connection, sale)
        if epoch != sale.epoch:
            return Outdated(epoch)
        if connection.dialect.name == "postgresql":
            connection.execute(LOCK_BUYER, {"lock": _lock_of(sale.event, sale.buyer)})
        rows = _locked(connection, sale.event, [line.seat for line in sale.lines])
        now_ms = self._clock.now_ms()
        if now_ms >= sale.late_ms:
            return self._known_in(connection, sale, now_ms) or Late()
        others = {"event": sale.event, "its_buyer": sale.buyer, "hold": sale.hold}
        has = connection.scalar(self.count_others, others) or 0
        if has + len(sale.lines) > sale.max_per_buyer:
            if known := self._known_in(connection, sale, now_ms):
                return known
            mine = (RESERVATIONS.c.event_id == sale.event) & (RESERVATIONS.c.buyer == sale.buyer)
            due = connection.scalars(sa.select(RESERVATIONS.c.id).where(mine, _is_due(now_ms))).all()
            raise _Back(TooMany(has, sale.max_per_buyer), due)
        id_ = reservation_id(sale.hold)
        is_allocated = sale.back is Status.BLOCKED
        taken: dict[str, object] = {
            "event": sale.event, "wanted": [line.seat for line in sale.lines], "its_epoch": sale.epoch,
            "its_fence": sale.fence, "its_sale": id_, "read": [(row.seat, row.version) for row in rows],
        }  # fmt: skip
        if is_allocated:
            taken["of_allocation"] = _allocation(rows) or ""
        take = self.take_allocated if is_allocated else self.take_free
        if connection.execute(take, taken).rowcount != len(sale.lines):
            raise self._refusal(connection, sale, rows, now_ms)
        reservation = Reservation(
            id=id_,
            event=sale.event,
            buyer=sale.buyer,
            hold=sale.hold,
            state=SaleState.ACTIVE,
            epoch=sale.epoch,
            fence=sale.fence,
            price_version=sale.price_version,
            currency=sale.currency,
            total_minor=sum(line.price_minor for line in sale.lines),
            created_ms=now_ms,
            until_ms=sale.until_ms,
            version=1,
            lines=sale.lines,
        )
        connection.execute(NEW_SALE, row_of(reservation))
        own = {"reservation_id": id_, "event_id": sale.event, "active": True}
        connection.execute(NEW_SEATS, [own | line._asdict() for line in sale.lines])
        return Reserved(reservation)

    def _epoch(self, connection: Connection, sale: Sale) -> int:
        """Read the epoch that counts; who rebuilds the map waits until this transaction is over."""
        return connection.scalar(SHARED_EPOCH, {"event": sale.event}) or 0

    def _refusal(self, connection: Connection, sale: Sale, rows: Sequence[_Seat], now_ms: int) -> _Back:
        """Say why the seats could not be changed."""
        if known := self._known_in(connection, sale, now_ms):
            return _Back(known)
        others = {row.sale for row in rows if row.sale is not None}
        due = sa.select(RESERVATIONS.c.id).where(RESERVATIONS.c.id.in_(others), _is_due(now_ms))
        over = set(connection.scalars(due)) if others else set()
        was = Status.BLOCKED if sale.back is Status.BLOCKED else Status.FREE
        here = {row.seat for row in rows}
        lost = [(row.seat, Status(row.status)) for row in rows if row.status != was]
        lost += [(line.seat, Status.BLOCKED) for line in sale.lines if line.seat not in here]
        if lost:
            can_be = all(row.sale in over for row in rows if row.status != was) and len(here) == len(
                sale.lines
            )
            return _Back(Lost(tuple(sorted(lost))), sorted(over) if can_be else ())
        if was is Status.BLOCKED and _allocation(rows) is None:
            return _Back(Lost(tuple((row.seat, Status.BLOCKED) for row in rows)))
        return _Back(Outdated(sale.epoch))

    def _known(self, sale: Sale) -> ReserveOutcome | None:
        with self._database.reading() as connection:
            return self._known_in(connection, sale, self._clock.now_ms())

    def _known_in(self, connection: Connection, sale: Sale, now_ms: int) -> ReserveOutcome | None:
        """Find the reservation that the hold has become before."""
        found = _found(connection, _of_hold(sale.event, sale.hold))
        if found is None:
            return None
        stands = found.state_at(now_ms) in {SaleState.ACTIVE, SaleState.SOLD}
        return Reserved(found, again=True) if stands else Over(found)

    def _taken(self, sale: Sale) -> Lost:
        columns = RESERVATION_SEATS.c
        taken = sa.select(columns.seat).where(
            columns.event_id == sale.event,
            columns.seat.in_([line.seat for line in sale.lines]),
            columns.active,
        )
        with self._database.reading() as connection:
            return Lost(tuple((seat, Status.RESERVED) for seat in sorted(connection.scalars(taken))))

    # -------------------------------------------------------------------------------- ending

    def give_back(self, event: str, buyer: str, id_: str) -> tuple[Reservation, Ended | None] | None:
        """End a buyer's reservation, if it is active; returns it as it was. None when there is none."""
        columns = RESERVATIONS.c
        own = (columns.id == id_) & (columns.event_id == event) & (columns.buyer == buyer)
        with self._database.writing() as connection:
            found = _found(connection, own, lock=True)
            if found is None or found.state is not SaleState.ACTIVE:
                return None if found is None else (found, None)
            (ended,) = end_within(connection, [id_], SaleState.RELEASED, self._clock.now_ms())
            return found, ended

    def lapse(self, ids: Sequence[str] | None = None, most: int = LAPSE_MOST) -> list[Ended]:
        """End reservations whose time is over: these, or whichever are due and nobody else is at."""
        columns = RESERVATIONS.c
        now_ms = self._clock.now_ms()
        due = sa.select(columns.id).where(_is_due(now_ms))
        if ids is None:
            due = due.order_by(columns.until_ms, columns.id).limit(most).with_for_update(skip_locked=True)
        else:
            due = due.where(columns.id.in_(ids)).order_by(columns.id).with_for_update()
        with self._database.writing() as connection:
            return end_within(connection, connection.scalars(due).all(), SaleState.LAPSED, now_ms)

    # ------------------------------------------------------------------------------- reading

    def find(self, event: str, buyer: str, id_: str) -> Reservation | None:
        """Return a buyer's reservation."""
        columns = RESERVATIONS.c
        with self._database.reading() as connection:
            return _found(
                connection, (columns.id == id_) & (columns.event_id == event) & (columns.buyer == buyer)
            )

    def of_hold(self, event: str, hold: str) -> Reservation | None:
        """Return the reservation that a hold has become."""
        with self._database.reading() as connection:
            return _found(connection, _of_hold(event, hold))

    def of_buyer(self, event: str, buyer: str) -> list[Reservation]:
        """Return all reservations of a buyer, the newest first."""
        columns = RESERVATIONS.c
        with self._database.reading() as connection:
            return _all(connection, (columns.event_id == event) & (columns.buyer == buyer))

    def due(self, most: int = LAPSE_MOST) -> list[Reservation]:
        """Return reservations whose time is over and that nobody has ended yet."""
        with self._database.reading() as connection:
            return _all(connection, _is_due(self._clock.now_ms()), most=most)

    def is_abandoned(self, event: str, hold: str, seats: Sequence[int]) -> bool:
        """Tell whether no reservation has come of a hold, and no transaction that began before can still make one.

        The caller knows that whoever pinned the hold is too late by now (``Sale.late_ms``).
        """
        with self._database.writing() as connection:
            _locked(connection, event, seats)
            return _found(connection, _of_hold(event, hold)) is None


def _locked(connection: Connection, event: str, seats: Iterable[int]) -> Sequence[_Seat]:
    """Read rows of seats and keep others from changing them, in the order in which everybody does so."""
    wanted = {"event": event, "wanted": sorted(seats)}
    return [_Seat(*row) for row in connection.execute(LOCK_SEATS, wanted)]


def _allocation(rows: Sequence[_Seat]) -> str | None:
    """Name the one allocation that all the seats belong to: a hold has one code."""
    names = {row.allocation for row in rows}
    return names.pop() if len(names) == 1 else None


def _tell(connection: Connection, outcomes: Sequence[ReserveOutcome | None]) -> None:
    """Add what was reserved just now to the log."""
    made = [one.reservation for one in outcomes if isinstance(one, Reserved) and not one.again]
    append(connection, [reserved(one) for one in made])


def end_within(connection: Connection, ids: Sequence[str], state: SaleState, at_ms: int) -> list[Ended]:
    """Free the seats of reservations that the caller has found in their state and has locked."""
    if not ids:
        return []
    columns = RESERVATION_SEATS.c
    sales = sa.select(RESERVATIONS.c.id, RESERVATIONS.c.event_id, RESERVATIONS.c.hold_id)
    sales = sales.where(RESERVATIONS.c.id.in_(ids)).order_by(RESERVATIONS.c.id)
    places = sa.select(columns.event_id, columns.seat, columns.reservation_id)
    places = places.where(columns.reservation_id.in_(ids), columns.active)
    seats: dict[str, list[int]] = {}
    of: dict[str, list[int]] = {id_: [] for id_ in ids}
    for event, seat, id_ in connection.execute(places.order_by(columns.event_id, columns.seat)):
        seats.setdefault(event, []).append(seat)
        of[id_].append(seat)
    ended = [Ended(event, id_, hold, tuple(of[id_])) for id_, event, hold in connection.execute(sales)]
    for event, own in sorted(seats.items()):
        _locked(connection, event, own)
        back = sa.case((SEATS.c.allocation.is_(None), Status.FREE.value), else_=Status.BLOCKED.value)
        freed = sa.update(SEATS).where(
            SEATS.c.event_id == event, SEATS.c.seat.in_(own), SEATS.c.reservation_id.in_(ids)
        )
        connection.execute(freed.values(status=back, reservation_id=None, version=SEATS.c.version + 1))
    connection.execute(
        sa.update(RESERVATION_SEATS).where(columns.reservation_id.in_(ids)).values(active=False)
    )
    over = sa.update(RESERVATIONS).where(RESERVATIONS.c.id.in_(ids))
    connection.execute(over.values(state=state.value, version=RESERVATIONS.c.version + 1))
    told = [turned(one.event, one.reservation, state, at_ms) for one in ended]
    append(connection, told, heads(connection, ids))
    return ended


def _is_due(now_ms: int) -> sa.ColumnElement[bool]:
    return (RESERVATIONS.c.state == SaleState.ACTIVE.value) & (RESERVATIONS.c.until_ms <= now_ms)


def _of_hold(event: str, hold: str) -> sa.ColumnElement[bool]:
    return (RESERVATIONS.c.event_id == event) & (RESERVATIONS.c.hold_id == hold)


def _found(
    connection: Connection, which: sa.ColumnElement[bool], *, lock: bool = False
) -> Reservation | None:
    return next(iter(_all(connection, which, lock=lock)), None)


def _all(
    connection: Connection, which: sa.ColumnElement[bool], *, lock: bool = False, most: int | None = None
) -> list[Reservation]:
    rows = sa.select(RESERVATIONS).where(which).limit(most)
    rows = rows.order_by(RESERVATIONS.c.created_ms.desc(), RESERVATIONS.c.id)
    found = connection.execute(rows.with_for_update() if lock else rows).all()
    if not found:
        return []
    columns = RESERVATION_SEATS.c
    places = sa.select(columns.reservation_id, columns.seat, columns.tier, columns.price_minor)
    places = places.where(columns.reservation_id.in_([row.id for row in found])).order_by(columns.seat)
    lines: dict[str, list[Line]] = {row.id: [] for row in found}
    for id_, *line in connection.execute(places):
        lines[id_].append(Line(*line))
    return [
        Reservation(
            id=row.id,
            event=row.event_id,
            buyer=row.buyer,
            hold=row.hold_id,
            state=SaleState(row.state),
            epoch=row.epoch,
            fence=row.fence,
            price_version=row.price_version,
            currency=row.currency,
            total_minor=row.total_minor,
            created_ms=row.created_ms,
            until_ms=row.until_ms,
            version=row.version,
            lines=tuple(lines[row.id]),
        )
        for row in found
    ]


def _lock_of(event: str, buyer: str) -> int:
    """Name a buyer's advisory lock: two tabs of one buyer reserve one after the other."""
    name = b"wr-buyer\0" + event.encode() + b"\0" + buyer.encode()
    return int.from_bytes(hashlib.sha256(name).digest()[:8], "big", signed=True)
