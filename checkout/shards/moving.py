"""Moving: an event goes from one shard to another while nothing is sold of it, and is never in two places or in none.

The event belongs to whichever shard its override names (or its name, without one). The steps:

1. **Look**: the sale is closed for a while to come, no seat is held, no reservation is open. If it is not so, nothing
   has happened, and the answer says how much is in the way.
2. **Mark**: ``a>b@7`` in the override. From then on no worker finds the event (503), and 7 is the epoch of this
   attempt: whatever it writes anywhere names it, and an attempt with a later one makes it too late (``inventory``).
3. **Wait** until every worker, also one that cannot reach the main database, must have heard of it or given up.
4. **Fence**: the hall is closed, its journal is in SQL, and nothing that was held before can be reserved any more.
5. **Clear** the target of what an earlier attempt has left, **copy** the rows by the batch, **compare**: the number
   of rows and the sum of their hashes, table by table, read afresh on both sides. The log of its sales goes along
   entry by entry, chained as it is, and is sealed at the target at once.
6. **Load** the map into the target's store, in a new epoch, so that viewers read it anew.
7. **Switch**: the override says `b`. This one row is the commit: before it the event is at `a`, after it at `b`.
8. **Drop** the rows and the keys that are left elsewhere. The log stays there: it is only ever added to.

A crash anywhere leaves a mark and at most rows that belong to nobody; the same move again goes on (from step 2, with
a new epoch), a move to where the event is gives up. Nothing here hurries: an event is moved hours before its sale.

Why so: ADR-0015. Not here: which rows (``inventory``), what is put into the store (``sales.rebuilding``), the command
(``gateway``).
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from checkout.catalogue.event import Event
from checkout.catalogue.selling import Standing, State, sale
from checkout.catalogue.store import CatalogueStore
from checkout.eventlog.copying import Forked
from checkout.eventlog.sealing import Sealer
from checkout.halls.seats import Status
from checkout.holds.answers import Missing
from checkout.holds.inventory import TABLES, Inventory, Summary, TooLate, are_apart
from checkout.holds.journal import HoldJournal
from checkout.holds.places import Place
from checkout.sales.rebuilding import Rebuilder
from checkout.shards.hashing import Override
from checkout.shards.shards import VIEW_MS, Shards
from kernel.clock import Clock
from kernel.errors import Refused, Unavailable

log = logging.getLogger(__name__)

SETTLE_MS = VIEW_MS + 15_000
"""Longer than a worker relies on what it has read, and a request after that takes."""

CLEAR_MS = 600_000
"""A sale that opens sooner is not moved any more."""

_REST_MS = 5_000


class Step(StrEnum):
    """What a move is about to do."""

    LOOK = "look"
    MARK = "mark"
    WAIT = "wait"
    FENCE = "fence"
    CLEAR = "clear"
    COPY = "copy"
    COMPARE = "compare"
    LOAD = "load"
    SWITCH = "switch"
    DROP = "drop"
    DONE = "done"


@dataclass(frozen=True, slots=True)
class Progress:
    """Before each step and during long ones: `done` of `all` (rows, or milliseconds of waiting)."""

    step: Step
    done: int = 0
    all: int = 0


@dataclass(frozen=True, slots=True)
class Moved:
    """Where the event is now, and what came along; no rows if it was there already."""

    event: str
    shard: str
    rows: Mapping[str, Summary]


@dataclass(frozen=True, slots=True)
class _Move:
    event: str
    source: Place
    target: Place
    mark: Override


class Mover:
    """Moves events, one at a time."""

    def __init__(
        self,
        shards: Shards,
        catalogue: CatalogueStore,
        rebuilder: Rebuilder,
        journal: HoldJournal,
        clock: Clock,
        tell: Callable[[Progress], None],
        rest: Callable[[float], Awaitable[object]] = asyncio.sleep,
    ) -> None:
        """`tell` hears of each step before it is taken; `rest` waits for seconds."""
        self._shards = shards
        self._catalogue = catalogue
        self._rebuilder = rebuilder
        self._journal = journal
        self._clock = clock
        self._tell = tell
        self._rest = rest

    async def move(self, event: str, to: str) -> Moved:
        """Move an event.

        Raises ``Refused``: ``event-unknown``, ``shard-unknown``, ``shards-alike``, ``sale-open``, ``event-busy``,
        ``move-overtaken``, ``event-elsewhere``.
        """
        self._tell(Progress(Step.LOOK))
        facts = await asyncio.to_thread(self._facts, event)
        target = self._shards.named(to)
        databases = [place.database for place in self._shards.all()]
        if not await asyncio.to_thread(are_apart, databases):
            raise Refused("shards-alike", "Two of the shards are one and the same database.", 409)
        was = (await asyncio.to_thread(self._shards.overrides.read)).get(event)
        source = self._shards.named(self._shards.home(event) if was is None else was.shard)
        is_resumed = was is not None and was.is_moving
        if source is target and not is_resumed:
            await self._drop_elsewhere(event, target, await self._newest(event))
            return Moved(event, to, {})
        if not is_resumed:
            await self._look(facts, source)
        move = await self._mark(event, was, source, target)
        try:
            rows = await self._carried_out(move, facts)
        except TooLate as error:
            raise _overtaken() from error
        log.warning("an event was moved", extra={"event": event, "from": source.name, "to": to})
        self._tell(Progress(Step.DONE))
        return Moved(event, to, rows)

    # ------------------------------------------------------------------------------ before

    def _facts(self, event: str) -> Event:
        known = self._catalogue.event(event)
        if known is None:
            raise Refused("event-unknown", "There is no such event.", 404)
        return known.event

    async def _look(self, event: Event, source: Place) -> None:
        now_ms = self._clock.now_ms()
        standing = sale(event.window, now_ms)
        if standing.standing is Standing.ON_SALE:
            raise Refused(
                "sale-open", "The event is on sale. Close its sale first.", 409, until_ms=event.sale_until_ms
            )
        if standing.at_ms is not None and now_ms < standing.at_ms < now_ms + CLEAR_MS:
            raise Refused(
                "sale-open",
                "The sale begins too soon to move the event before.",
                409,
                opens_ms=standing.at_ms,
            )
        await self._rebuilder.rebuild_at(source, event.id)
        if busy := await self._in_the_way(event.id, source):
            raise busy

    async def _in_the_way(self, event: str, place: Place) -> Refused | None:
        """Say what is still going on in a hall."""
        while (await place.holds.expire(event)).more:
            pass
        counts = await place.holds.counts(event)
        seats = 0 if counts is None else counts[Status.HELD] + counts[Status.RESERVED]
        active = await asyncio.to_thread(Inventory(place.database).active, event)
        return _busy(seats, active) if seats or active else None

    async def _newest(self, event: str) -> int:
        return max(
            [await asyncio.to_thread(Inventory(place.database).epoch, event) for place in self._shards.all()]
        )

    async def _mark(self, event: str, was: Override | None, source: Place, target: Place) -> _Move:
        self._tell(Progress(Step.MARK))
        before = 0 if was is None else was.epoch
        epoch = max(before, await self._newest(event)) + 1
        # A move that is given up is one to nowhere else: what it had reached is cleared like what is left elsewhere.
        mark = Override(source.name, target.name, epoch)
        if not await asyncio.to_thread(self._shards.change, event, was, mark):
            raise _overtaken()
        return _Move(event, source, target, mark)

    # ----------------------------------------------------------------------------- carried out

    async def _carried_out(self, move: _Move, facts: Event) -> Mapping[str, Summary]:
        await self._wait()
        self._tell(Progress(Step.FENCE))
        await self._fence(move, facts)
        rows: Mapping[str, Summary] = {}
        if move.source is not move.target:
            rows = await self._copied(move)
        self._tell(Progress(Step.LOAD))
        await self._rebuilder.rebuild_at(move.target, move.event)
        if isinstance(await move.target.holds.look(move.event), Missing):
            raise Unavailable(
                "store-away", "The map did not stay in the store of the shard. Please try again."
            )
        self._tell(Progress(Step.SWITCH))
        now = Override(move.target.name)
        if not await asyncio.to_thread(self._shards.change, move.event, move.mark, now):
            raise _overtaken()
        await self._drop_elsewhere(move.event, move.target, move.mark.epoch)
        return rows

    async def _wait(self) -> None:
        waited = 0
        while waited < SETTLE_MS:
            self._tell(Progress(Step.WAIT, waited, SETTLE_MS))
            await self._rest(_REST_MS / 1000)
            waited += _REST_MS

    async def _fence(self, move: _Move, facts: Event) -> None:
        """Close the source for good; if somebody was faster, take the mark back."""
        holds = move.source.holds
        await holds.sale(move.event, is_open=False)
        busy = await self._in_the_way(move.event, move.source)
        if busy is None:
            if left := await self._journal.drain(move.source, move.event):
                raise Unavailable(
                    "journal-behind", f"{left} notes of holds are not in SQL yet. Please try again."
                )
            active = await asyncio.to_thread(
                Inventory(move.source.database).fence, move.event, move.mark.epoch
            )
            busy = _busy(0, active) if active else None
        if busy is not None:
            await holds.sale(move.event, is_open=facts.state is State.PUBLISHED)
            if not await asyncio.to_thread(
                self._shards.change, move.event, move.mark, Override(move.source.name)
            ):
                raise _overtaken()
            raise busy

    async def _copied(self, move: _Move) -> Mapping[str, Summary]:
        source, target = Inventory(move.source.database), Inventory(move.target.database)
        event, epoch = move.event, move.mark.epoch
        self._tell(Progress(Step.CLEAR))
        await asyncio.to_thread(target.clear, event, epoch)
        every = await asyncio.to_thread(source.count, event) + await asyncio.to_thread(
            source.log_count, event
        )
        done = 0
        for table in TABLES:
            batches = source.batches(event, table)
            while rows := await asyncio.to_thread(next, batches, None):
                self._tell(Progress(Step.COPY, done, every))
                await asyncio.to_thread(target.put, event, epoch, table, rows)
                done += len(rows)
        try:
            entries = source.log_batches(event)
            while batch := await asyncio.to_thread(next, entries, None):
                self._tell(Progress(Step.COPY, done, every))
                await asyncio.to_thread(target.put_log, event, epoch, batch)
                done += len(batch)
        except Forked as error:
            raise _differs() from error
        self._tell(Progress(Step.COMPARE, done, every))
        there = await asyncio.to_thread(target.summary, event)
        if await asyncio.to_thread(source.summary, event) != there:
            raise _differs()
        if await asyncio.to_thread(source.log_summary, event) != await asyncio.to_thread(
            target.log_summary, event
        ):
            raise _differs()
        await asyncio.to_thread(Sealer(move.target.database).seal, self._clock.now_ms())
        return there

    # ------------------------------------------------------------------------------- after

    async def _drop_elsewhere(self, event: str, owner: Place, epoch: int) -> None:
        """Take away what is left of an event in places that it does not belong to."""
        if not await asyncio.to_thread(Inventory(owner.database).count, event):
            # Never the last copy, whatever an override says.
            raise Refused("event-elsewhere", f"The shard {owner.name} has no seats of this event.", 409)
        for place in self._shards.all():
            if place is owner:
                continue
            self._tell(Progress(Step.DROP))
            await asyncio.to_thread(Inventory(place.database).clear, event, epoch)
            await place.holds.drop(event)


def _busy(seats: int, reservations: int) -> Refused:
    return Refused(
        "event-busy",
        f"{seats} seats are held and {reservations} reservations are open. Wait for their end, then move.",
        409,
        seats=seats,
        reservations=reservations,
    )


def _differs() -> Unavailable:
    return Unavailable("move-differs", "The copy differs from the original; the event stays where it was.")


def _overtaken() -> Refused:
    return Refused("move-overtaken", "Somebody else is moving this event, or has just moved it.", 409)
