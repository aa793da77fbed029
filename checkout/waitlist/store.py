"""The waitlist's stores: who waits, in SQL; which seats are kept for them, and whose turn it is, in the store.

**Rows** (``WaitlistRows``). One row for an entry; ``waiting → offered → taken | lapsed``, or ``left``. Every change
names the state that it leaves, so of two who change an entry one wins. Synchronous, as all SQL here. Joins of one
event take turns (BEGIN IMMEDIATE on SQLite, an advisory lock of the event in PostgreSQL): numbers follow one another
and a buyer stands in line once; the unique index stands behind it. What ends an entry forgets in the same transaction
where its buyer is written to (``contacts``).

**Seats** (``KeptStore``). The hall's flag ``waiting`` makes the scripts keep what comes back. It is raised after the
row is written and before the buyer is told, and lowered only if nobody joined since the rows were read
(``waitlist.lua``).

**The turn** is a lease, so that one worker does the work that each would otherwise do over again. Nothing
depends on it being exclusive: an offer's hold has an id that follows from the entry.

Not here: who is offered what (``offers``), when (``waitlist.service``).
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any
from zlib import crc32

import sqlalchemy as sa
from sqlalchemy.engine import Connection, RowMapping

from checkout.database import ShopDatabase
from checkout.holds.store import LUA, MARK_MOST, HoldStore, load_script
from checkout.notifications.message import Kind, Message, message_id
from checkout.notifications.store import put
from checkout.tables import RESERVATIONS, STANDS_IN_LINE, WAITLIST, WAITLIST_CONTACTS
from kernel.database import take_turn
from kernel.lua import Scalar, Script, fast_call, load
from kernel.store import translated

_LOCKS = int.from_bytes(b"wl", "big") << 32
_SCRIPTS = ("waitlist", "turn")


class EntryState(StrEnum):
    """Where an entry stands; the last three are for good."""

    WAITING = "waiting"
    OFFERED = "offered"
    TAKEN = "taken"
    LAPSED = "lapsed"
    LEFT = "left"


# In the words of the partial index, so that a database can see that it may use it.
_STANDS = sa.text(STANDS_IN_LINE)


@dataclass(frozen=True, slots=True)
class Entry:
    """A row of the waitlist."""

    event: str
    number: int
    buyer: str
    wanted: int
    tier: int | None
    state: EntryState
    hold: str | None
    offer_until_ms: int | None
    created_ms: int


class WaitlistRows:
    """Who waits, in one database."""

    def __init__(self, database: ShopDatabase) -> None:
        """Use an open database."""
        self._database = database

    def join(
        self, event: str, buyer: str, wanted: int, tier: int | None, now_ms: int, *, is_sold_out: bool
    ) -> tuple[Entry, bool] | None:
        """Put a buyer at the end; returns the entry and whether it is new.

        None when seats are to be had and nobody else waits for such seats.
        """
        columns = WAITLIST.c
        with self._database.writing() as connection:
            take_turn(connection, _LOCKS | crc32(event.encode()))
            if known := self._live(connection, event, buyer):
                return known, False
            if not is_sold_out:
                waits = sa.select(sa.func.count()).where(
                    columns.event_id == event, columns.state == EntryState.WAITING
                )
                if tier is not None:
                    waits = waits.where(columns.tier.is_(None) | (columns.tier == tier))
                if not connection.scalar(waits):
                    return None
            last = sa.select(sa.func.coalesce(sa.func.max(columns.number), 0))
            number = connection.scalar(last.where(columns.event_id == event)) or 0
            entry = Entry(event, number + 1, buyer, wanted, tier, EntryState.WAITING, None, None, now_ms)
            values = {
                "event_id": event, "number": entry.number, "buyer": buyer, "wanted": wanted, "tier": tier,
                "state": str(entry.state), "created_ms": now_ms,
            }  # fmt: skip
            connection.execute(sa.insert(WAITLIST).values(values))
            return entry, True

    def live(self, event: str, buyer: str) -> tuple[Entry, int] | None:
        """Return a buyer's entry and how many wait before it."""
        with self._database.reading() as connection:
            entry = self._live(connection, event, buyer)
            if entry is None:
                return None
            columns = WAITLIST.c
            before = sa.select(sa.func.count()).where(
                columns.event_id == event,
                columns.state == EntryState.WAITING,
                columns.number < entry.number,
            )
            return entry, connection.scalar(before) or 0

    def entries(self, event: str) -> list[Entry]:
        """Return all who wait or have an offer, in order."""
        columns = WAITLIST.c
        rows = sa.select(WAITLIST).where(columns.event_id == event, _STANDS)
        with self._database.reading() as connection:
            return [_entry(row) for row in connection.execute(rows.order_by(columns.number)).mappings()]

    def events(self, *, ever: bool = False) -> set[str]:
        """Name the events for which anybody waits or has an offer, or `ever` did."""
        rows = sa.select(WAITLIST.c.event_id).distinct()
        if not ever:
            rows = rows.where(_STANDS)
        with self._database.reading() as connection:
            return set(connection.scalars(rows))

    def offer(self, entry: Entry, hold: str, until_ms: int, now_ms: int) -> bool:
        """Say that an entry has an offer, and have the buyer told; False when it does not wait any more."""
        kind, subject = Kind.WAITLIST_OFFER, f"waitlist:{entry.number}"
        # An offer that was lost with the store and is made anew is told once: it is the same seats' hold.
        id_ = offer_message(entry.event, entry.number, hold)
        told = Message(id_, entry.event, kind, subject, now_ms, {"until_ms": until_ms, "seats": entry.wanted})
        with self._database.writing() as connection:
            is_offered = _changed(
                connection, entry, EntryState.WAITING,
                state=EntryState.OFFERED, hold_id=hold, offer_until_ms=until_ms,
            )  # fmt: skip
            if is_offered:
                put(connection, told)
            return is_offered

    def end(self, entry: Entry, state: EntryState) -> bool:
        """End an entry as it was read, and forget its address; False when somebody else has changed it since."""
        columns = WAITLIST_CONTACTS.c
        own = (columns.event_id == entry.event) & (columns.number == entry.number)
        with self._database.writing() as connection:
            if not _changed(connection, entry, entry.state, state=state):
                return False
            connection.execute(sa.delete(WAITLIST_CONTACTS).where(own))
            return True

    def back(self, entry: Entry) -> bool:
        """Let an entry wait again, because its offer was lost with the store."""
        return self._change(
            entry, EntryState.OFFERED, state=EntryState.WAITING, hold_id=None, offer_until_ms=None
        )

    def reserved(self, event: str, holds: Sequence[str]) -> set[str]:
        """Name those of the holds that became a reservation, whatever came of it."""
        rows = sa.select(RESERVATIONS.c.hold_id).where(
            RESERVATIONS.c.event_id == event, RESERVATIONS.c.hold_id.in_(holds)
        )
        with self._database.reading() as connection:
            return set(connection.scalars(rows)) if holds else set()

    def _live(self, connection: Connection, event: str, buyer: str) -> Entry | None:
        columns = WAITLIST.c
        row = sa.select(WAITLIST).where(columns.event_id == event, columns.buyer == buyer, _STANDS)
        found = connection.execute(row).mappings().first()
        return None if found is None else _entry(found)

    def _change(self, entry: Entry, was: EntryState, **values: Any) -> bool:
        with self._database.writing() as connection:
            return _changed(connection, entry, was, **values)


def offer_message(event: str, number: int, hold: str) -> str:
    """Name the message that tells of an offer."""
    return message_id(Kind.WAITLIST_OFFER, event, str(number), hold)


def _changed(connection: Connection, entry: Entry, was: EntryState, **values: Any) -> bool:
    columns = WAITLIST.c
    change = sa.update(WAITLIST).where(
        columns.event_id == entry.event, columns.number == entry.number, columns.state == str(was)
    )
    return connection.execute(change.values(**values)).rowcount == 1


def _entry(row: RowMapping) -> Entry:
    return Entry(
        event=row["event_id"],
        number=row["number"],
        buyer=row["buyer"],
        wanted=row["wanted"],
        tier=row["tier"],
        state=EntryState(row["state"]),
        hold=row["hold_id"],
        offer_until_ms=row["offer_until_ms"],
        created_ms=row["created_ms"],
    )


@dataclass(frozen=True, slots=True)
class Flag:
    """Whether the hall keeps what comes back, and the mark by which a later join is noticed."""

    is_waiting: bool
    seen: str


class KeptStore:
    """The seats that are kept for those who wait."""

    def __init__(self, holds: HoldStore, scripts: Mapping[str, Script] | None = None) -> None:
        """Use the hall's store; `scripts` replaces single scripts (mutants in tests)."""
        self.holds = holds
        own = {"waitlist": load_script("waitlist"), "turn": load(LUA / "turn.lua")}
        self._scripts = own | dict(scripts or {})

    async def look(self, event: str) -> Flag | None:
        """Read the flag; None when there is no map."""
        answer = await self._waitlist(event, "look", "")
        return Flag(answer[1] == 1, answer[2].decode()) if answer[0] == "seen" else None

    async def join(self, event: str) -> bool:
        """Keep what comes back from now on; False when there is no map."""
        answer = await self._waitlist(event, "join", "")
        return bool(answer[0] == "open")

    async def close(self, event: str, seen: str) -> int | None:
        """Keep nothing any more and free what was kept; None when somebody has joined since."""
        freed: int = 0
        while True:
            match await self._waitlist(event, "close", seen):
                case ["freed", count, more, _]:
                    freed += count
                    if not more:
                        return freed
                case _:
                    return None

    async def free(self, event: str, seen: str, seats: Sequence[int]) -> int | None:
        """Free kept seats that nobody waits for; None when somebody has joined since."""
        answer = await self._waitlist(event, "free", seen, seats[:MARK_MOST])
        return int(answer[1]) if answer[0] == "freed" else None

    async def held_up(self, event: str) -> dict[int, int]:
        """Read since when entries have found too few seats."""
        with translated():
            rows = await self.holds.client.hgetall(self._key(event, "held_up"))
        return {int(number): int(at_ms) for number, at_ms in rows.items()}

    async def put_held_up(self, event: str, since_ms: Mapping[int, int]) -> None:
        """Keep it. Lost with the store, it begins anew."""
        key = self._key(event, "held_up")
        pipe = self.holds.client.pipeline(transaction=True)
        pipe.delete(key)
        if since_ms:
            pipe.hset(key, mapping={str(number): at_ms for number, at_ms in since_ms.items()})
        with translated():
            await pipe.execute()

    async def take_turn(self, event: str, who: str, lease_ms: int, now_ms: int | None = None) -> bool:
        """Take the right to work on an event's waitlist, unless somebody has it."""
        answer = await self._turn(event, ("take", who, lease_ms), now_ms)
        return bool(answer[0] == "mine")

    async def give_turn(self, event: str, who: str) -> None:
        """Give it back; whoever's lease ran out gives nothing."""
        await self._turn(event, ("give", who, 0), None)

    async def _turn(self, event: str, argv: Sequence[Scalar], now_ms: int | None) -> list[Any]:
        with translated():
            return await fast_call(
                self.holds.client, self._scripts["turn"], [self._key(event, "turn")], argv, now_ms
            )

    async def _waitlist(self, event: str, act: str, seen: str, seats: Iterable[int] = ()) -> list[Any]:
        argv: list[Scalar] = [act, seen, MARK_MOST, *seats]
        with translated():
            return await fast_call(
                self.holds.client, self._scripts["waitlist"], self.holds.keys(event).all, argv
            )

    @staticmethod
    def _key(event: str, name: str) -> str:
        return f"co:{{{event}}}:{name}"
