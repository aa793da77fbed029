"""Catalogue's store: organisers, venues, layouts, events, tiers, prices, allocations in the main database.

``changed_ms`` of an event grows with every change of anything that is told of it, and never twice by the same value:
writers take turns (a lock of the database), so that whoever asks "what has changed since" misses nothing. Prices are
only ever added to. Only a layout is read through ``listing()``: its id is its hash, so a lag cannot change it.

Synchronous; async callers go through ``asyncio.to_thread``. Not here: an event's seats (``halls.seat_rows``).
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import asdict, replace
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Row

from checkout.catalogue.event import Allocation, Amounts, Event, Known, NewEvent, Organiser, Prices, Venue
from checkout.catalogue.selling import State
from checkout.database import ShopDatabase
from checkout.tables import (
    ALLOCATIONS,
    EVENTS,
    LAYOUTS,
    ORGANISERS,
    PRICES,
    SECTION_TIERS,
    TIERS,
    VENUES,
)

_CHUNK = 500


class Layouts(NamedTuple):
    """A layout as it is kept."""

    id: str
    venue_id: str
    name: str
    seats: int
    document: str


class CatalogueStore:
    """The catalogue in the main database."""

    def __init__(self, database: ShopDatabase) -> None:
        self._database = database

    # ------------------------------------------------------------------------------ reading

    def changed_since(self, changed_ms: int) -> list[Known]:
        """Return every event that has changed after a moment; one statement if none has.

        What workers know of an event decides who may hold at which price, so it must not lag.
        """
        with self._database.reading() as connection:
            return _known(connection, EVENTS.c.changed_ms > changed_ms)

    def event(self, event_id: str) -> Known | None:
        """Return an event as it is committed; decisions may rest on it."""
        with self._database.reading() as connection:
            return next(iter(_known(connection, EVENTS.c.id == event_id)), None)

    def prices(self, event_id: str, version: int) -> Prices | None:
        """Return one version of an event's prices; it never changes."""
        query = sa.select(PRICES).where(PRICES.c.event_id == event_id, PRICES.c.version == version)
        with self._database.reading() as connection:
            rows = connection.execute(query).all()
        return Prices(version, _amounts(rows)) if rows else None

    def layout(self, layout_id: str) -> Layouts | None:
        """Return a layout with its document."""
        with self._database.listing() as connection:
            row = connection.execute(sa.select(LAYOUTS).where(LAYOUTS.c.id == layout_id)).first()
        if row is None:
            # A replica may lag behind; what is asked for by its hash was made somewhere.
            with self._database.reading() as connection:
                row = connection.execute(sa.select(LAYOUTS).where(LAYOUTS.c.id == layout_id)).first()
        return Layouts(row.id, row.venue_id, row.name, row.seats, row.document) if row is not None else None

    def organisers(self) -> list[Organiser]:
        """Return all organisers by id."""
        with self._database.reading() as connection:
            rows = connection.execute(sa.select(ORGANISERS).order_by(ORGANISERS.c.id))
            return [Organiser(row.id, row.name) for row in rows]

    def venues(self) -> list[Venue]:
        """Return all venues by id."""
        with self._database.reading() as connection:
            return [Venue(*row) for row in connection.execute(sa.select(VENUES).order_by(VENUES.c.id))]

    def layouts(self, venue_id: str) -> list[Layouts]:
        """Return the layouts of a venue by name, without their documents."""
        columns = (LAYOUTS.c.id, LAYOUTS.c.venue_id, LAYOUTS.c.name, LAYOUTS.c.seats)
        query = sa.select(*columns).where(LAYOUTS.c.venue_id == venue_id)
        with self._database.reading() as connection:
            rows = connection.execute(query.order_by(LAYOUTS.c.name, LAYOUTS.c.id))
            return [Layouts(*row, "") for row in rows]

    # ------------------------------------------------------------------------------ writing

    def put_organiser(self, organiser: Organiser, now_ms: int) -> None:
        """Keep an organiser, or the new name of one; its events have changed then."""
        self._put(ORGANISERS, asdict(organiser), EVENTS.c.organiser_id == organiser.id, now_ms)

    def put_venue(self, venue: Venue, now_ms: int) -> None:
        """Keep a venue, or what is new of one; its events have changed then."""
        self._put(VENUES, asdict(venue), EVENTS.c.venue_id == venue.id, now_ms)

    def add_layout(self, layout: Layouts) -> None:
        """Keep a layout; it is there already if it has the same id, because that is its hash."""
        with self._database.writing(turn=True) as connection:
            if connection.execute(sa.select(LAYOUTS.c.id).where(LAYOUTS.c.id == layout.id)).first() is None:
                connection.execute(sa.insert(LAYOUTS), layout._asdict())

    def missing(self, event: Event) -> list[str]:
        """Name what an event refers to and what is not there."""
        wanted = ((ORGANISERS, event.organiser_id), (VENUES, event.venue_id), (LAYOUTS, event.layout_id))
        with self._database.reading() as connection:
            return [
                f"{table.name[:-1]}_id: there is no {table.name[:-1]} {key[:63]!r}"
                for table, key in wanted
                if connection.execute(sa.select(table.c.id).where(table.c.id == key)).first() is None
            ]

    def add_event(self, new: NewEvent, now_ms: int) -> bool:
        """Keep a new event with version 1 of its prices; False if there is one of that id."""
        event_id = new.event.id
        with self._database.writing(turn=True) as connection:
            if connection.execute(sa.select(EVENTS.c.id).where(EVENTS.c.id == event_id)).first() is not None:
                return False
            changed_ms = _next_change(connection, now_ms)
            connection.execute(sa.insert(EVENTS), _row(replace(new.event, changed_ms=changed_ms)))
            _insert(connection, TIERS, [{"tier": t, "name": name} for t, name in new.tiers.items()], event_id)
            _insert(connection, PRICES, _price_rows(new.amounts, 1), event_id)
            sections = [{"section": s, "tier": tier} for s, tier in new.section_tiers.items()]
            _insert(connection, SECTION_TIERS, sections, event_id)
            _insert(connection, ALLOCATIONS, [asdict(one) for one in new.allocations], event_id)
        return True

    def update_event(self, event: Event, now_ms: int) -> bool:
        """Keep what is said of an event; False if it has changed since it was read (``changed_ms``)."""
        with self._database.writing(turn=True) as connection:
            row = _row(replace(event, changed_ms=_next_change(connection, now_ms)))
            done = connection.execute(
                sa.update(EVENTS)
                .where(EVENTS.c.id == event.id, EVENTS.c.changed_ms == event.changed_ms)
                .values(**row)
            )
            return bool(done.rowcount == 1)

    def add_prices(self, event_id: str, amounts: Amounts, after_version: int, now_ms: int) -> bool:
        """Add a whole version of prices; False if ``after_version`` is not the newest any more."""
        with self._database.writing(turn=True) as connection:
            newest = connection.scalar(
                sa.select(sa.func.max(PRICES.c.version)).where(PRICES.c.event_id == event_id)
            )
            if newest != after_version:
                return False
            _insert(connection, PRICES, _price_rows(amounts, after_version + 1), event_id)
            _touch(connection, EVENTS.c.id == event_id, now_ms)
        return True

    def set_section_tiers(self, event_id: str, sections: Mapping[int, int], now_ms: int) -> None:
        """Say which tier sections have from now on."""
        with self._database.writing(turn=True) as connection:
            own = SECTION_TIERS.c.event_id == event_id
            connection.execute(
                sa.delete(SECTION_TIERS).where(own, SECTION_TIERS.c.section.in_(list(sections)))
            )
            rows = [{"section": section, "tier": tier} for section, tier in sections.items()]
            _insert(connection, SECTION_TIERS, rows, event_id)
            _touch(connection, EVENTS.c.id == event_id, now_ms)

    def put_allocation(self, event_id: str, allocation: Allocation, now_ms: int) -> None:
        """Keep an allocation, or its new channel and code."""
        with self._database.writing(turn=True) as connection:
            own = (ALLOCATIONS.c.event_id == event_id, ALLOCATIONS.c.name == allocation.name)
            connection.execute(sa.delete(ALLOCATIONS).where(*own))
            _insert(connection, ALLOCATIONS, [asdict(allocation)], event_id)
            _touch(connection, EVENTS.c.id == event_id, now_ms)

    def _put(self, table: sa.Table, row: dict[str, Any], events: sa.ColumnElement[bool], now_ms: int) -> None:
        with self._database.writing(turn=True) as connection:
            done = connection.execute(sa.update(table).where(table.c.id == row["id"]).values(**row))
            if done.rowcount == 0:
                connection.execute(sa.insert(table), row)
            _touch(connection, events, now_ms)


def _known(connection: Connection, which: sa.ColumnElement[bool]) -> list[Known]:
    query = sa.select(EVENTS).where(which).order_by(EVENTS.c.changed_ms)
    events = [_event(row) for row in connection.execute(query)]
    made: list[Known] = []
    for begin in range(0, len(events), _CHUNK):
        made += _completed(connection, events[begin : begin + _CHUNK])
    return made


def _completed(connection: Connection, events: list[Event]) -> list[Known]:
    ids = [event.id for event in events]
    newest = (
        sa.select(PRICES.c.event_id, sa.func.max(PRICES.c.version).label("version"))
        .where(PRICES.c.event_id.in_(ids))
        .group_by(PRICES.c.event_id)
        .subquery()
    )
    prices = sa.select(PRICES).join(
        newest, (PRICES.c.event_id == newest.c.event_id) & (PRICES.c.version == newest.c.version)
    )
    tiers = _by_event(connection, sa.select(TIERS).where(TIERS.c.event_id.in_(ids)).order_by(TIERS.c.tier))
    amounts = _by_event(connection, prices)
    sections = _by_event(connection, sa.select(SECTION_TIERS).where(SECTION_TIERS.c.event_id.in_(ids)))
    allocations = _by_event(
        connection, sa.select(ALLOCATIONS).where(ALLOCATIONS.c.event_id.in_(ids)).order_by(ALLOCATIONS.c.name)
    )
    organisers = {row.id: row for row in connection.execute(sa.select(ORGANISERS))}
    venues = {row.id: row for row in connection.execute(sa.select(VENUES))}
    return [
        Known(
            event=event,
            organiser=Organiser(event.organiser_id, organisers[event.organiser_id].name),
            venue=Venue(*venues[event.venue_id]),
            tiers={row.tier: row.name for row in tiers[event.id]},
            prices=Prices(max(row.version for row in amounts[event.id]), _amounts(amounts[event.id])),
            section_tiers={row.section: row.tier for row in sections[event.id]},
            allocations=tuple(
                Allocation(row.name, row.channel, row.code_hash) for row in allocations[event.id]
            ),
        )
        for event in events
    ]


def _by_event(connection: Connection, query: sa.Select[Any]) -> Mapping[str, list[Row[Any]]]:
    made: dict[str, list[Row[Any]]] = defaultdict(list)
    for row in connection.execute(query):
        made[row.event_id].append(row)
    return made


def _event(row: Row[Any]) -> Event:
    return Event(**{**row._mapping, "state": State(row.state)})  # noqa: SLF001 (the name of its public mapping)


def _row(event: Event) -> dict[str, Any]:
    return asdict(event) | {"state": event.state.value}


def _amounts(rows: Iterable[Row[Any]]) -> dict[int, dict[str, int]]:
    made: dict[int, dict[str, int]] = {}
    for row in rows:
        made.setdefault(row.tier, {})[row.currency] = row.amount_minor
    return made


def _price_rows(amounts: Amounts, version: int) -> list[dict[str, Any]]:
    return [
        {"version": version, "tier": tier, "currency": code, "amount_minor": amount}
        for tier, own in amounts.items()
        for code, amount in own.items()
    ]


def _insert(connection: Connection, table: sa.Table, rows: list[dict[str, Any]], event_id: str) -> None:
    if rows:
        connection.execute(sa.insert(table), [{"event_id": event_id, **row} for row in rows])


def _next_change(connection: Connection, now_ms: int) -> int:
    """Give the time of a change: now, or just after the last one. The caller has its turn."""
    last = connection.scalar(sa.select(sa.func.max(EVENTS.c.changed_ms)))
    return max(now_ms, (last or 0) + 1)


def _touch(connection: Connection, which: sa.ColumnElement[bool], now_ms: int) -> None:
    for event_id in connection.scalars(sa.select(EVENTS.c.id).where(which)).all():
        changed_ms = _next_change(connection, now_ms)
        connection.execute(sa.update(EVENTS).where(EVENTS.c.id == event_id).values(changed_ms=changed_ms))
