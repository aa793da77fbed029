"""Shards: where each event is, as one worker knows it: at most half a second old, and never older than a minute.

An event is where its name says (``sharding.home``), or where a row of ``shard_overrides`` in the main database says.
The rows are read twice a second (``run``) into memory, so ``of`` asks nobody. Two things it refuses, both with 503:

* an event that is being moved, because only the move may touch it until it has arrived;
* every event, if the rows could not be read for ``VIEW_MS`` (the catalogue gives up at the same time). So whoever
  marks an event as moving and waits a little longer than that knows that no worker anywhere still takes it for one
  that stays. A shop of one shard has nothing to move and never refuses.

``open`` holds the operator's file against what is there: an override must name a shard, and an event that has its seats
on another shard than its name says (because a shard was added since) is pinned to where it is. All workers must
therefore get a changed file together, by a restart.

Each database is asked by itself: no statement here or anywhere knows two of them.
"""

import asyncio
import logging
from collections.abc import Iterable, Sequence

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from checkout.database import ShopDatabase
from checkout.holds.places import Place
from checkout.holds.store import HoldStore
from checkout.shards.hashing import Override, ShardAddress, home
from checkout.tables import SEATS, SHARD_OVERRIDES
from checkout.waitlist.store import KeptStore, WaitlistRows
from kernel.clock import Clock
from kernel.errors import Misconfigured, Refused, Unavailable
from kernel.store import connect
from kernel.tasks import is_ending

log = logging.getLogger(__name__)

CHECK_S = 0.5
VIEW_MS = 60_000
BACK_MS = 1_000
"""So far a clock may be set back without making what was read look old."""

MOVING_AGAIN_S = 5


class OverrideRows:
    """The exceptions, in the main database."""

    def __init__(self, main: ShopDatabase) -> None:
        self._main = main

    def read(self) -> dict[str, Override]:
        """Return all of them, as they are committed."""
        with self._main.reading() as connection:
            return {
                event: Override.of(text) for event, text in connection.execute(sa.select(SHARD_OVERRIDES))
            }

    def change(self, event: str, was: Override | None, now: Override) -> bool:
        """Replace what is said of an event; False if it is not `was` any more."""
        own = SHARD_OVERRIDES.c.event_id == event
        with self._main.writing(turn=True) as connection:
            row = connection.scalar(sa.select(SHARD_OVERRIDES.c.shard).where(own))
            if row != (None if was is None else was.text()):
                return False
            if was is None:
                connection.execute(sa.insert(SHARD_OVERRIDES), {"event_id": event, "shard": now.text()})
            else:
                connection.execute(sa.update(SHARD_OVERRIDES).where(own).values(shard=now.text()))
        return True


class Shards:
    """Every place of a shop, and which one an event has."""

    def __init__(self, places: Sequence[Place], main: ShopDatabase, clock: Clock) -> None:
        """Use open databases; ``main`` has the overrides, and may be the database of a place too."""
        self.overrides = OverrideRows(main)
        self._main = main
        self._clock = clock
        self._places = {place.name: place for place in places}
        self._names = tuple(sorted(self._places))
        self._only = places[0] if len(places) == 1 else None
        self._rows = {place.name: WaitlistRows(place.database) for place in places}
        self._kept = {place.name: KeptStore(place.holds) for place in places}
        self._known: dict[str, Override] = {}
        self._read_ms: int | None = None

    @staticmethod
    def connect(main: ShopDatabase, main_url: str, shards: Sequence[ShardAddress], clock: Clock) -> "Shards":
        """Make databases and stores of addresses; the main one is used again where a shard lies in it.

        Nothing is opened yet. Raises ``Misconfigured``.
        """
        places = [
            Place(
                shard.name,
                main
                if shard.database_url == main_url
                else ShopDatabase(shard.database_url, shard.reading_url),
                HoldStore(connect(shard.store_url)),
            )
            for shard in shards
        ]
        return Shards(places, main, clock)

    # ------------------------------------------------------------------------------ looking

    def of(self, event: str) -> Place:
        """Return the place of an event. Raises ``Unavailable``: ``event-moving``, ``shards-unknown``."""
        return self._places[self._name_of(event)]

    def all(self) -> Sequence[Place]:
        """Return every place."""
        return tuple(self._places.values())

    def named(self, name: str) -> Place:
        """Return a place by name. Raises ``Refused("shard-unknown")``."""
        place = self._places.get(name)
        if place is None:
            raise Refused(
                "shard-unknown", f"There is no such shard; there are {', '.join(self._names)}.", 404
            )
        return place

    def rows(self, event: str) -> WaitlistRows:
        """Return who waits for an event, as the waitlist wants it."""
        return self._rows[self._name_of(event)]

    def kept(self, event: str) -> KeptStore:
        """Return the store of an event's hall, as the waitlist wants it."""
        return self._kept[self._name_of(event)]

    def all_rows(self) -> Iterable[WaitlistRows]:
        """Return who waits, shard by shard."""
        return self._rows.values()

    def home(self, event: str) -> str:
        """Name the shard that an event has by its name."""
        return home(self._names, event)

    # ------------------------------------------------------------------------------- memory

    def read(self) -> None:
        """Read the overrides. Raises ``Unavailable``."""
        # The time before the reading: what is read is at least as young as that.
        now_ms = self._clock.now_ms()
        self._known = self.overrides.read()
        self._read_ms = now_ms

    async def run(self, every_s: float = CHECK_S) -> None:
        """Read the overrides again and again, for ever."""
        while not is_ending():
            await self.refresh()
            await asyncio.sleep(every_s)

    async def refresh(self) -> None:
        """Read the overrides once; if that fails, what was known counts a while longer."""
        try:
            await asyncio.to_thread(self.read)
        except (Unavailable, ValueError) as error:
            log.warning("where events are could not be read", extra={"error": str(error)})

    def change(self, event: str, was: Override | None, now: Override) -> bool:
        """Replace what is said of an event, in SQL first and then here; False if it is not `was` any more."""
        done = self.overrides.change(event, was, now)
        if done:
            self._known = {**self._known, event: now}
        return done

    # -------------------------------------------------------------------------------- start

    def open(self) -> None:
        """Open every database, and hold what is there against the shards that are named.

        Raises ``Misconfigured`` with all faults.
        """
        for database in {
            id(own): own for own in (self._main, *(place.database for place in self.all()))
        }.values():
            database.open()
        try:
            overrides = self.overrides.read()
        except ValueError as error:
            raise Misconfigured([f"The table shard_overrides cannot be read: {error}."]) from error
        faults = [
            f"Event {event} is on shard {name}, which the settings do not name."
            for event, override in sorted(overrides.items())
            for name in (override.shard, override.to)
            if name and name not in self._places
        ]
        where = self._where_seats_are()
        if self._main not in [place.database for place in self.all()]:
            with self._main.reading() as connection:
                faults += [
                    f"The seats of event {event} are in the main database, which is no shard: name it among the shards."
                    for event in _events(connection)
                ]
        for event, names in sorted(where.items()):
            if event in overrides or names == [self.home(event)]:
                continue
            if len(names) > 1:
                faults.append(f"Event {event} has seats on the shards {' and '.join(names)}.")
            elif not faults and not self.overrides.change(event, None, Override(names[0])):
                log.info("another process has pinned the event", extra={"event": event})
        if faults:
            raise Misconfigured(faults)
        self.read()

    async def close(self) -> None:
        """Close every store and database but the main one, which is whoever's who made it."""
        for place in self.all():
            await place.holds.client.aclose()
            if place.database is not self._main:
                place.database.close()

    def _name_of(self, event: str) -> str:
        if self._only is not None:
            return self._only.name
        age_ms = None if self._read_ms is None else self._clock.now_ms() - self._read_ms
        if age_ms is None or not -BACK_MS <= age_ms < VIEW_MS:
            raise Unavailable(
                "shards-unknown", "The shop cannot tell where this event is kept. Please try again."
            )
        override = self._known.get(event)
        if override is None:
            return home(self._names, event)
        if override.is_moving:
            raise Unavailable(
                "event-moving",
                "This event is being moved to another machine. Please try again in a moment.",
                MOVING_AGAIN_S,
            )
        if override.shard not in self._places:
            raise Unavailable(
                "shards-unknown", "The shop cannot tell where this event is kept. Please try again."
            )
        return override.shard

    def _where_seats_are(self) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {}
        for place in self.all():
            with place.database.reading() as connection:
                for event in _events(connection):
                    found.setdefault(event, []).append(place.name)
        return found


def _events(connection: Connection) -> list[str]:
    """Name the events that have seats, by one step in the index for each and not by a walk over all seats."""
    first = sa.select(sa.func.min(SEATS.c.event_id).label("event")).cte("events", recursive=True)
    after = sa.select(sa.func.min(SEATS.c.event_id)).where(SEATS.c.event_id > first.c.event).scalar_subquery()
    every = first.union_all(sa.select(after).where(first.c.event.is_not(None)))
    return [event for event in connection.scalars(sa.select(every.c.event)) if event is not None]
