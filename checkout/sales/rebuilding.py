"""Rebuilding: put an event's map into the store, at its first opening, after a loss, after the store was set back.

What is put back, in the order of its weight:

1. **SQL's seats**: sold, blocked, free, each in its tier.
2. **Reservations** that stand, as pinned holds, until their own end.
3. **Holds** of the journal that live: those that SQL has heard of, at most a quarter of a second old. Where two claim
   a seat the newer one has it (a store that was set back may have given it twice), and nobody gets above the limit.
   One that was pinned and has become no reservation is held again, until its own end; whoever is at "pay" pins it anew.
4. **The waitlist**: what is free of a tier that somebody waits for is kept for them.

What is not put back is over: its buyer hears 410 with ``hold-over``. A map has an epoch, and SQL knows the newest:
from the moment on in which it is taken, nothing that was held in an older map can be reserved.

One worker does it for all (a lease; and nothing breaks if two do: the second finds the newer epoch), and within a
worker all who ask wait for the same. Whether the sale's time has come is the asker's to know: the hall is open unless
the event is a draft or is cancelled. Not here: how SQL is read (``sales.hall_rows``), when it is needed
(``sales.reconciling``, ``holds.service``, ``sales.service``).
"""

import asyncio
import logging
import secrets
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from checkout.catalogue.event import Event
from checkout.catalogue.reading import CatalogueReader
from checkout.catalogue.selling import State
from checkout.halls.seats import TIERS, Status, byte, hold_id_text
from checkout.holds.answers import UNKNOWN_TEXT, HoldRecord, HoldState, Loaded, Newer
from checkout.holds.hall_state import HallState
from checkout.holds.journal import HoldJournal
from checkout.holds.leases import Leases
from checkout.holds.places import Place, Places
from checkout.metrics import Metrics
from checkout.sales.hall_rows import HallRows, Told
from kernel.errors import Refused, Unavailable

log = logging.getLogger(__name__)

WORK = "rebuilding"
LEASE_MS = 10_000
"""A worker that died in the middle is replaced after this time."""

PATIENCE_S = 3.0
"""So long it is waited for another worker that is at it."""

_LOOK_S = 0.05


@dataclass(frozen=True, slots=True)
class Rebuilt:
    """The store's map is of this epoch. ``is_new``: it was put back just now, with so many holds, without so many."""

    epoch: int
    is_new: bool = False
    reservations: int = 0
    holds: int = 0
    lost: int = 0


@dataclass(frozen=True, slots=True)
class PutBack:
    """What goes into the store; ``lost`` are the holds that do not."""

    map: bytes
    records: Mapping[bytes, HoldRecord]
    bought: Mapping[str, int]
    is_waiting: bool
    lost: tuple[bytes, ...]


def put_back(told: Told, epoch: int, grace_ms: int, most: int, now_ms: int) -> PutBack:
    """Make a map of what SQL tells: pure, and the only place that decides what comes back."""
    # A seat that is reserved for nobody would be a fault of SQL's; nobody else may have it either.
    seats = bytearray(told.map.translate(_changed(Status.RESERVED, Status.BLOCKED)))
    has = Counter(told.bought)
    records: dict[bytes, HoldRecord] = {}
    for one in told.standing:
        records[one.hold] = HoldRecord(
            state=HoldState.PINNED,
            fence=one.fence,
            epoch=epoch,
            until_ms=one.until_ms,
            end_ms=one.created_ms,
            extended=True,
            back=Status.BLOCKED if one.is_allocated else Status.FREE,
            price_version=one.price_version,
            currency=one.currency,
            buyer=one.buyer,
            body=UNKNOWN_TEXT,
            seats=one.places,
        )
        has[one.buyer] += len(one.places)
        _give(seats, records[one.hold], Status.RESERVED)
    lost: list[bytes] = []
    newest_first = sorted(told.holds.items(), key=lambda item: item[1].fence, reverse=True)
    for id_, told_of in newest_first:
        if id_ in records:
            continue
        record = _held(told_of, grace_ms)
        has_room = has[record.buyer] + len(record.seats) <= most
        if record.until_ms <= now_ms or not has_room or not _is_to_be_had(seats, record):
            lost.append(id_)
            continue
        records[id_] = record
        has[record.buyer] += len(record.seats)
        _give(seats, record, Status.HELD)
    waited_for = range(TIERS) if None in told.waited_for else told.waited_for
    kept = bytes(seats).translate(_changed(Status.FREE, Status.KEPT, waited_for))
    return PutBack(kept, records, told.bought, bool(told.waited_for), tuple(lost))


def _changed(old: Status, new: Status, tiers: Iterable[int | None] = range(TIERS)) -> bytes:
    """Make the table that gives seats of some tiers another status."""
    table = bytearray(range(256))
    for value in tiers:
        if value is not None:
            table[byte(old, value)] = byte(new, value)
    return bytes(table)


def _held(record: HoldRecord, grace_ms: int) -> HoldRecord:
    if record.state is HoldState.HELD:
        return record
    return replace(record, state=HoldState.HELD, until_ms=record.until_ms - grace_ms)


def _is_to_be_had(seats: bytearray, record: HoldRecord) -> bool:
    was = Status.BLOCKED if record.back is Status.BLOCKED else Status.FREE
    return all(seat < len(seats) and seats[seat] & 0x0F == was for seat, _ in record.seats)


def _give(seats: bytearray, record: HoldRecord, to: Status) -> None:
    for seat, _ in record.seats:
        seats[seat] = seats[seat] & 0xF0 | to


class Rebuilder:
    """Puts maps back, for one worker."""

    def __init__(self, catalogue: CatalogueReader, places: Places, metrics: Metrics, who: str = "") -> None:
        """`who` names this worker for its leases; a name is made up if there is none."""
        self._catalogue = catalogue
        self._places = places
        self._metrics = metrics
        self._who = who or secrets.token_hex(8)
        self._running: dict[str, asyncio.Task[Rebuilt]] = {}

    async def rebuild(self, event: str, older_than: int | None = None) -> Rebuilt:
        """Make sure that the store has the event's newest map, whole.

        With `older_than` a map that looks right is replaced too, if its epoch is below: for who knows that it is
        wrong. Raises ``Refused("event-unknown")``; ``Unavailable("map-rebuilding")`` while another worker is at it.
        """
        running = self._running.get(event)
        if running is None:
            running = asyncio.create_task(self.rebuild_at(self._places.of(event), event, older_than))
            self._running[event] = running
            running.add_done_callback(lambda done: self._forget(event, done))
        # Whoever goes away must not take the map from the others.
        return await asyncio.shield(running)

    def _forget(self, event: str, done: asyncio.Task[Rebuilt]) -> None:
        del self._running[event]
        if not done.cancelled():
            # Looked at here, because all who asked may have gone away.
            done.exception()

    async def rebuild_at(self, place: Place, event: str, older_than: int | None = None) -> Rebuilt:
        """Do the same at a given place: for an event on its way to another shard."""
        known = await self._catalogue.known(event, drafts=True)
        leases = Leases(place.holds, self._who)
        for _ in range(int(PATIENCE_S / _LOOK_S)):
            if await leases.take(event, WORK, LEASE_MS):
                try:
                    return await self._rebuild(place, known.event, older_than)
                finally:
                    await leases.give(event, WORK)
            await asyncio.sleep(_LOOK_S)
            if (epoch := await self._right_epoch(place, event, older_than)) is not None:
                return Rebuilt(epoch)
        raise _under_way()

    async def _rebuild(self, place: Place, event: Event, older_than: int | None) -> Rebuilt:
        if (epoch := await self._right_epoch(place, event.id, older_than)) is not None:
            return Rebuilt(epoch)
        head = await HallState(place.holds).head(event.id)
        if head is not None:
            # Of a map that is wrong and not gone even the last quarter of a second is known.
            await HoldJournal(self._metrics).drain(place, event.id)
        in_store = 0 if head is None else head.epoch
        # The store's time is the one by which holds end.
        now_ms, _, _ = await place.holds.mine(event.id, "")
        prepared = await asyncio.to_thread(_prepare, HallRows(place.database), event, in_store, now_ms)
        if prepared is None:
            self._metrics.rebuilds.count("elsewhere")
            raise _under_way()
        epoch, back = prepared
        outcome = await place.holds.load(
            event.id,
            epoch,
            back.map,
            back.records,
            back.bought,
            is_open=event.state is State.PUBLISHED,
            waiting=back.is_waiting,
        )
        match outcome:
            case Newer(newer):
                self._metrics.rebuilds.count("newer")
                return Rebuilt(newer)
            case Loaded():
                self._metrics.rebuilds.count("rebuilt")
        reserved = sum(record.state is HoldState.PINNED for record in back.records.values())
        rebuilt = Rebuilt(epoch, True, reserved, len(back.records) - reserved, len(back.lost))  # noqa: FBT003
        # The first map of an event is no loss, and nothing that anybody must act upon.
        log.log(
            logging.INFO if epoch == 1 else logging.WARNING,
            "the map of an event was put back",
            extra={
                "event": event.id,
                "epoch": epoch,
                "reservations": rebuilt.reservations,
                "holds": rebuilt.holds,
                "lost": rebuilt.lost,
            },
        )
        return rebuilt

    async def _right_epoch(self, place: Place, event: str, older_than: int | None) -> int | None:
        """Return the epoch of the store's map if it is whole and the newest, and none that is known to be wrong."""
        head = await HallState(place.holds).head(event)
        if head is None or not head.is_whole or (older_than is not None and head.epoch < older_than):
            return None
        newest = await asyncio.to_thread(HallRows(place.database).epoch, event)
        return head.epoch if head.epoch == newest else None


def _prepare(rows: HallRows, event: Event, in_store: int, now_ms: int) -> tuple[int, PutBack] | None:
    """Begin a new epoch and make its map; None when somebody else has begun one."""
    seen = rows.epoch(event.id)
    epoch = max(seen, in_store) + 1
    if not rows.advance(event.id, seen, epoch, now_ms):
        return None
    told = rows.read(event.id, epoch, now_ms)
    if not told.map:
        raise Refused("event-unknown", "There is no such event.", status=404)
    back = put_back(told, epoch, event.grace_s * 1000, event.max_per_buyer, now_ms)
    if back.lost:
        rows.drop(event.id, [hold_id_text(id_) for id_ in back.lost])
    return epoch, back


def _under_way() -> Unavailable:
    return Unavailable(
        "map-rebuilding", "The seats of this event are being put back. Please try again in a moment.", 1
    )
