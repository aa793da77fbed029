"""Replaying: the reservations and seats of an event as the log tells them, now or at any time before.

Tables that are nothing but what the log comes to are compared and put back whole (``eventlog.rebuilding``). A seat is
more than that: its tier, its block and its version are not of a sale. So of seats only the status RESERVED or SOLD and
the reservation are compared and put back; a seat that no sale has any more becomes free, or goes back to its
allocation. Its version grows, and whoever read it before reads it again.

After a rebuilding the store hears of it by the reconciler. Synchronous, as all SQL here. Not here: whether the log is
to be trusted (``eventlog.verifying``): ask that first.
"""

import time
from collections.abc import Iterable, Iterator
from typing import NamedTuple

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from checkout.database import ShopDatabase
from checkout.eventlog.projecting import Kinds, Stood
from checkout.eventlog.rebuilding import Difference, differences, only_we_write, put_back, standing
from checkout.eventlog.store import at_one_moment
from checkout.halls.seats import Status
from checkout.sales.projection import NAME, Standing
from checkout.tables import SEATS, STORE_EPOCHS
from kernel.errors import Unavailable

TRIES = 20
_REST_S = 0.1

_SEATS = SEATS.c
_TAKEN = (Status.RESERVED.value, Status.SOLD.value)


class _Taken(NamedTuple):
    """What a seat says of its sale."""

    status: int
    sale: str | None


_NOT_TAKEN = _Taken(-1, None)


class _Seats:
    """Which seats the log gives to whom, collected while its streams go by."""

    def __init__(self) -> None:
        self.wanted: dict[int, _Taken] = {}
        self.fences: dict[int, tuple[int, int]] = {}

    def watched(self, stood: Iterable[Stood]) -> Iterator[Stood]:
        """Hand on, and take down."""
        for one in stood:
            state = one.states.get(NAME)
            if isinstance(state, Standing):
                for seat in state.active:
                    self.wanted[seat] = _Taken(state.seat_status.value, one.stream)
                    self.fences[seat] = (state.made.epoch, state.made.fence)
            yield one


def compare(connection: Connection, kinds: Kinds, event: str) -> Iterator[Difference]:
    """Tell where an event's tables and seats are not what its log comes to; the connection sees one moment."""
    seats = _Seats()
    yield from differences(connection, kinds, event, seats.watched(standing(connection, kinds, event)))
    there = _taken(connection, event)
    for seat in sorted(there.keys() | seats.wanted.keys()):
        own, wanted = there.get(seat, _NOT_TAKEN), seats.wanted.get(seat, _NOT_TAKEN)
        if own != wanted:
            yield Difference(f"seat {seat}", f"it is {_told(own)}, by the log {_told(wanted)}")


def at(connection: Connection, kinds: Kinds, event: str, until_ms: int | None = None) -> Iterator[Standing]:
    """Yield the reservations of an event as they stood just before a time; without one, as they stand."""
    for stood in standing(connection, kinds, event, until_ms):
        state = stood.states.get(NAME)
        if isinstance(state, Standing):
            yield state


def rebuild(database: ShopDatabase, kinds: Kinds, event: str) -> int:
    """Make an event's tables and seats what its log comes to; returns how many rows and seats were not.

    Raises ``Unreadable``, and nothing has changed then; ``Unavailable`` where others are at the tables all the time.
    Whoever wants to reserve meanwhile waits.
    """
    for tried in range(1, TRIES + 1):
        try:
            with database.writing() as connection:
                # Who is about to reserve has this row and goes on to the end; the next one waits for ours.
                epoch = sa.select(STORE_EPOCHS.c.epoch).where(STORE_EPOCHS.c.event_id == event)
                connection.execute(epoch.with_for_update())
                only_we_write(connection, kinds)
                changed = put_back(connection, kinds, event)
                return changed + _put_seats_back(connection, kinds, event)
        except Unavailable:
            if tried == TRIES:
                raise
            time.sleep(_REST_S)
    raise AssertionError("the last try returns or raises")


def compared(database: ShopDatabase, kinds: Kinds, event: str) -> list[Difference]:
    """Compare an event as it stands now."""
    with database.reading() as connection:
        return list(compare(at_one_moment(connection), kinds, event))


def _taken(connection: Connection, event: str) -> dict[int, _Taken]:
    query = sa.select(_SEATS.seat, _SEATS.status, _SEATS.reservation_id).where(
        _SEATS.event_id == event, _SEATS.status.in_(_TAKEN) | _SEATS.reservation_id.is_not(None)
    )
    return {seat: _Taken(status, sale) for seat, status, sale in connection.execute(query)}


def _put_seats_back(connection: Connection, kinds: Kinds, event: str) -> int:
    seats = _Seats()
    for _ in seats.watched(standing(connection, kinds, event)):
        pass
    there = _taken(connection, event)
    wrong = [
        seat
        for seat in sorted(there.keys() | seats.wanted.keys())
        if there.get(seat) != seats.wanted.get(seat)
    ]
    for seat in wrong:
        own = (_SEATS.event_id == event) & (_SEATS.seat == seat)
        row = connection.execute(sa.select(SEATS).where(own).with_for_update()).one_or_none()
        if row is None:
            continue
        wanted = seats.wanted.get(seat)
        if wanted is None:
            status = Status.FREE if row.allocation is None else Status.BLOCKED
            now: dict[str, object] = {"status": status.value, "reservation_id": None}
        else:
            epoch, fence = max((row.epoch, row.fence), seats.fences[seat])
            now = {"status": wanted.status, "reservation_id": wanted.sale, "epoch": epoch, "fence": fence}
        connection.execute(sa.update(SEATS).where(own).values(version=_SEATS.version + 1, **now))
    return len(wrong)


def _told(taken: _Taken) -> str:
    if taken == _NOT_TAKEN:
        return "nobody's"
    return f"{Status(taken.status).name.lower()} for {taken.sale or 'nobody'}"
