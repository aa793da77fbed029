"""Reporting: what has been sold of an event, from the read-only engine, which may lag.

Nothing here decides anything, and nothing that decides reads here: ``listing()`` may stand on a replica. What is held
is what the journal of holds knew (a quarter of a second behind the store), and a seat that is held is free in SQL, so
the two are told apart: the statuses add up to the capacity. Money is added by the database, in whole minor units, from
the seats of the reservations; a price that changed later changes none of it. Not here: each seat (``exporting``).
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from checkout.catalogue.service import Catalogue
from checkout.halls.seats import Status
from checkout.holds.answers import LIVE, places_of
from checkout.holds.places import Place, Places
from checkout.tables import HOLD_JOURNAL, RESERVATION_SEATS, RESERVATIONS, SEATS, STORE_EPOCHS, WAITLIST
from kernel.clock import Clock


@dataclass(frozen=True, slots=True)
class Sum:
    """Seats of a tier that are reserved or sold, in one currency."""

    state: str
    tier: int
    currency: str
    seats: int
    total_minor: int


@dataclass(frozen=True, slots=True)
class Report:
    """An event's sale. ``seats``: how many of each status, which add up to the capacity."""

    event: str
    at_ms: int
    seats: Mapping[str, int]
    sums: tuple[Sum, ...]
    waiting: int

    def totals(self) -> dict[str, dict[str, int]]:
        """Add up by state and currency: {"sold": {"EUR": 8400}}."""
        made: dict[str, dict[str, int]] = {"active": {}, "sold": {}}
        for one in self.sums:
            own = made[one.state]
            own[one.currency] = own.get(one.currency, 0) + one.total_minor
        return made


class Reporting:
    """Reports of events, for organisers."""

    def __init__(self, catalogue: Catalogue, places: Places, clock: Clock) -> None:
        self._catalogue = catalogue
        self._places = places
        self._clock = clock

    async def report(self, event: str) -> Report:
        """Sum an event up. Raises ``Refused("event-unknown")``."""
        known = await self._catalogue.known(event, drafts=True)
        place = self._places.of(event)
        return await asyncio.to_thread(_report, place, known.event.id, self._clock.now_ms())


def _report(place: Place, event: str, now_ms: int) -> Report:
    with place.database.listing() as connection:
        counts = _counts(connection, event)
        held = _held(connection, event, now_ms)
        rows = sa.select(
            RESERVATIONS.c.state,
            RESERVATION_SEATS.c.tier,
            RESERVATIONS.c.currency,
            sa.func.count(),
            sa.func.sum(RESERVATION_SEATS.c.price_minor),
        ).join_from(RESERVATIONS, RESERVATION_SEATS, RESERVATION_SEATS.c.reservation_id == RESERVATIONS.c.id)
        columns = (RESERVATIONS.c.state, RESERVATION_SEATS.c.tier, RESERVATIONS.c.currency)
        own = (RESERVATIONS.c.event_id == event) & RESERVATION_SEATS.c.active
        rows = (
            rows.where(own, RESERVATIONS.c.state.in_(("active", "sold")))
            .group_by(*columns)
            .order_by(*columns)
        )
        sums = tuple(
            Sum(state, tier, currency, seats, int(total))
            for state, tier, currency, seats, total in connection.execute(rows)
        )
        waits = sa.select(sa.func.count()).where(WAITLIST.c.event_id == event, WAITLIST.c.state == "waiting")
        waiting = connection.scalar(waits) or 0
    of_free, of_blocked = held
    seats = {
        "free": max(0, counts[Status.FREE] - of_free),
        "held": of_free + of_blocked,
        "reserved": counts[Status.RESERVED],
        "sold": counts[Status.SOLD],
        "blocked": max(0, counts[Status.BLOCKED] - of_blocked),
    }
    return Report(event, now_ms, seats, sums, waiting)


def _counts(connection: Connection, event: str) -> dict[Status, int]:
    query = (
        sa.select(SEATS.c.status, sa.func.count()).where(SEATS.c.event_id == event).group_by(SEATS.c.status)
    )
    return dict.fromkeys(Status, 0) | {Status(status): count for status, count in connection.execute(query)}


def _held(connection: Connection, event: str, now_ms: int) -> tuple[int, int]:
    """Count the seats of holds that live and are no reservation yet: of those on sale, and of allocations."""
    columns = HOLD_JOURNAL.c
    newest = sa.select(STORE_EPOCHS.c.epoch).where(STORE_EPOCHS.c.event_id == event).scalar_subquery()
    became = sa.exists().where(RESERVATIONS.c.event_id == event, RESERVATIONS.c.hold_id == columns.hold_id)
    query = sa.select(columns.back, columns.seats).where(
        columns.event_id == event,
        columns.state.in_(sorted(state.value for state in LIVE)),
        columns.until_ms > now_ms,
        columns.epoch == newest,
        ~became,
    )
    made = [0, 0]
    for back, seats in connection.execute(query):
        made[back == Status.BLOCKED.value] += len(places_of(seats))
    return made[0], made[1]
