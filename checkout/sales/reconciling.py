"""Reconciling: the store's view of a hall and SQL's are held against each other; SQL has the last word.

A *difference* is a seat of which the two say what cannot both be true: a seat that SQL has reserved must be reserved in
the store, for the same hold; one that SQL has free may be held there; and so on (``differences``). Work in flight
makes differences that pass by themselves, so one look proves nothing. *Drift* is a difference that was there
``APART_MS`` before, with the seat's version in SQL, its octet and its owner in the store unchanged. A reservation
whose time is over is no drift: the reaper is about to end it. The gauge ``inventory_drift`` counts drift; it is 0 when
all is drained.

What drift is and what is done:

* pinned, and the reservation of it is over: the seats go **back** (a worker died between SQL and the store);
* pinned, and no reservation came of it for ``ABANDONED_MS``: it is **held** again until its old end (a worker died
  between the store and SQL). Who pinned it first can write it no more: after ``LATE_MS`` a worker refuses to, once it
  has the seats' locks, and those are taken here before it is looked at for the last time. Who pinned it again since
  then asks the store once more (``sales.service``);
* blocked, on sale or in another tier in SQL only: the store is told;
* reserved or sold in SQL and not in the store, or the other way round: the store was set back (a stale replica, an old
  dump), and the whole map is **put back** under a new epoch. An older epoch, or fences below those that SQL has
  heard of, say so at the first look.

Every worker runs it, one works (a lease). Not here: what is put back (``sales.rebuilding``).
"""

import asyncio
import logging
import secrets
import time
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from checkout.catalogue.reading import CatalogueReader
from checkout.catalogue.selling import State
from checkout.halls.seats import Status, hold_id_text, status, tier
from checkout.holds.hall_state import HallState, View
from checkout.holds.leases import Leases
from checkout.holds.places import Place, Places
from checkout.holds.store import Act
from checkout.metrics import Metrics
from checkout.sales.hall_rows import Compared, HallRows
from checkout.sales.rebuilding import Rebuilder
from checkout.sales.reservation import LATE_MS, SaleState
from checkout.sales.store import SalesStore
from kernel.clock import Clock
from kernel.errors import Refused, Unavailable
from kernel.tasks import is_ending

log = logging.getLogger(__name__)

WORK = "reconciling"
LEASE_MS = 20_000
APART_MS = 2_000
ABANDONED_MS = 3 * LATE_MS
REST = 50
"""So many times as long as a look took is rested after it. A look at 60,000 seats takes some 50 ms, and many such halls
would take all of a worker: so each is looked at every five seconds while that is a fiftieth of the time at most."""

LONGEST_REST_S = 10.0
BLOCK = 256

AFTER_SALE_MS = 86_400_000
"""So long after the end of a sale its hall is still looked at."""

_AS_FREE = bytes(value & 0xF0 if value & 15 in {Status.HELD, Status.KEPT} else value for value in range(256))


class Difference(NamedTuple):
    """A seat of which store and SQL do not say the same."""

    ours: int
    """Its octet in the store."""
    theirs: int
    """Its octet in SQL."""
    owner: bytes
    """The hold that has it in the store."""
    version: int
    """Its version in SQL."""


@dataclass(frozen=True, slots=True)
class Looked:
    """What one look at an event found and did."""

    drift: int = 0
    repaired: int = 0
    is_rebuilt: bool = False


def differences(view: View, told: Compared) -> dict[int, Difference]:
    """Find the seats of which both cannot be true; versions are still 0. Maps of unlike length have none in common."""
    shown, known = view.map.translate(_AS_FREE), told.map
    # Nearly all blocks are alike, and comparing one costs hardly more than comparing a seat.
    unlike = [
        seat
        for begin in range(0, min(len(shown), len(known)), BLOCK)
        if shown[begin : begin + BLOCK] != known[begin : begin + BLOCK]
        for seat in range(begin, min(begin + BLOCK, len(shown), len(known)))
        if shown[seat] != known[seat]
    ]
    found = {
        seat: Difference(view.map[seat], known[seat], view.owner_of(seat), 0)
        for seat in unlike
        # What was held for an allocation is blocked in SQL, and its tier may be another than now.
        if not (
            status(view.map[seat]) is Status.HELD
            and status(known[seat]) is Status.BLOCKED
            and tier(view.map[seat]) == tier(known[seat])
        )
    }
    for seat, hold in told.holds.items():
        owner = view.owner_of(seat)
        if seat < len(shown) and owner != hold:
            found[seat] = Difference(view.map[seat], known[seat], owner, 0)
    return found


_MARKS: Mapping[tuple[Status, Status], Act | Status] = {
    (Status.BLOCKED, Status.FREE): "unblock",
    (Status.FREE, Status.BLOCKED): "block",
    (Status.SOLD, Status.FREE): Status.FREE,
    (Status.SOLD, Status.BLOCKED): Status.BLOCKED,
}
"""Store's and SQL's status to what mends it; a status: what was sold comes back as this."""


class Reconciler:
    """Compares and repairs, for one worker."""

    def __init__(
        self,
        catalogue: CatalogueReader,
        places: Places,
        rebuilder: Rebuilder,
        clock: Clock,
        metrics: Metrics,
        who: str = "",
    ) -> None:
        """`who` names this worker for its leases; a name is made up if there is none."""
        self._catalogue = catalogue
        self._places = places
        self._rebuilder = rebuilder
        self._clock = clock
        self._metrics = metrics
        self._who = who or secrets.token_hex(8)
        self._since: dict[str, dict[int, tuple[Difference, int]]] = {}
        self._drift: dict[str, tuple[str, int]] = {}

    async def run(self, every_s: float = 5.0) -> None:
        """Look at every hall, for ever; the first look is what a start after a crash needs."""
        while not is_ending():
            try:
                await self.pass_by(REST)
            except Unavailable as error:
                self._failed(error)
            await asyncio.sleep(every_s)

    async def pass_by(self, rest: float = 0) -> None:
        """Look at every hall whose sale has begun or is over since not long; rest so many times as long after each."""
        now_ms = self._clock.now_ms()
        for known in await self._catalogue.all():
            event = known.event
            if event.state is not State.DRAFT and now_ms < event.sale_until_ms + AFTER_SALE_MS:
                began_s = time.monotonic()
                try:
                    await self.look(event.id)
                except (Unavailable, Refused) as error:
                    # One shard that is away, or an event on its way, holds up no other.
                    self._failed(error)
                if rest:
                    await asyncio.sleep(min(LONGEST_REST_S, rest * (time.monotonic() - began_s)))

    async def look(self, event: str) -> Looked | None:
        """Compare an event's hall, and repair what has not mended itself; None while another worker does so."""
        place = self._places.of(event)
        if not await Leases(place.holds, self._who).take(event, WORK, LEASE_MS):
            self._since.pop(event, None)
            self._tell(place, event, 0)
            return None
        rows, state = HallRows(place.database), HallState(place.holds)
        # SQL first: what the store says then is newer, so its fence cannot be below by chance.
        told = await asyncio.to_thread(rows.compare, event)
        view = await state.view(event)
        if view is None and not told.epoch:
            return Looked()
        if view is None or not _is_of_now(view, told):
            self._since.pop(event, None)
            # A map that looks whole and newest is of that epoch, and yet was set back.
            epoch = told.epoch if view is None else view.head.epoch
            rebuilt = await self._rebuilder.rebuild(event, epoch + 1 if view is not None else None)
            return Looked(is_rebuilt=rebuilt.is_new)
        found = await self._unexplained(rows, place, event, differences(view, told))
        now_ms = self._clock.now_ms()
        before = self._since.get(event, {})
        since = {
            seat: (one, before[seat][1] if seat in before and before[seat][0] == one else now_ms)
            for seat, one in found.items()
        }
        self._since[event] = since
        drift = {seat: one for seat, (one, from_ms) in since.items() if now_ms - from_ms >= APART_MS}
        self._tell(place, event, len(drift))
        if not drift:
            return Looked()
        log.warning("the store and SQL do not agree", extra={"event": event, "seats": len(drift)})
        old = {seat for seat in drift if now_ms - since[seat][1] >= ABANDONED_MS}
        return await self._repair(place, event, view, drift, old)

    async def _unexplained(
        self, rows: HallRows, place: Place, event: str, found: Mapping[int, Difference]
    ) -> dict[int, Difference]:
        """Leave out seats whose reservation is about to be ended, and note the versions of the others."""
        if not found:
            return {}
        now_ms, _, _ = await place.holds.mine(event, "")
        seats = await asyncio.to_thread(rows.look, event, sorted(found), now_ms)
        return {
            seat: one._replace(version=seats[seat].version)
            for seat, one in found.items()
            if seat in seats and not seats[seat].is_due
        }

    async def _repair(
        self, place: Place, event: str, view: View, drift: Mapping[int, Difference], old: set[int]
    ) -> Looked:
        """Make the store say what SQL says, with the smallest change that does."""
        marks: dict[Act | Status, list[int]] = defaultdict(list)
        tiers: dict[int, list[int]] = defaultdict(list)
        pins: dict[bytes, list[int]] = defaultdict(list)
        for seat, one in drift.items():
            match (status(one.ours), status(one.theirs)):
                case (Status.RESERVED, Status.FREE | Status.BLOCKED | Status.SOLD):
                    pins[one.owner].append(seat)
                case pair if pair in _MARKS:
                    marks[_MARKS[pair]].append(seat)
                case (ours, theirs) if _is_same(ours, theirs) and tier(one.ours) != tier(one.theirs):
                    tiers[tier(one.theirs)].append(seat)
                case _:
                    return await self._put_back(event, view, len(drift))
        came_back = [seat for act, seats in marks.items() if isinstance(act, Status) for seat in seats]
        buyers = await asyncio.to_thread(HallRows(place.database).returned, event, came_back)
        if None in buyers.values():
            # Sold by the store alone, of whom nobody knows for whom.
            return await self._put_back(event, view, len(drift))
        done = 0
        sales = SalesStore(place.database, self._clock)
        for hold, seats in pins.items():
            done += await self._settle(place, sales, event, hold, seats, is_old=old.issuperset(seats))
        for act, seats in marks.items():
            if isinstance(act, Status):
                for buyer in sorted({buyers[seat] or "" for seat in seats}):
                    own = [seat for seat in seats if buyers[seat] == buyer]
                    await place.holds.reclaim(event, buyer, act, own)
            else:
                await place.holds.mark(event, act, seats)
        for value, seats in tiers.items():
            await place.holds.retier(event, value, seats)
        done += sum(map(len, marks.values())) + sum(map(len, tiers.values()))
        return Looked(len(drift), done)

    async def _settle(
        self, place: Place, sales: SalesStore, event: str, hold: bytes, seats: list[int], *, is_old: bool
    ) -> int:
        """Do with a pinned hold what SQL says of it; returns how many seats that were."""
        text = hold_id_text(hold)
        found = await asyncio.to_thread(sales.of_hold, event, text)
        if found is None:
            if not is_old or not await asyncio.to_thread(sales.is_abandoned, event, text, seats):
                return 0
            await place.holds.settle(event, hold, "held")
            return len(seats)
        match found.state:
            case SaleState.RELEASED | SaleState.LAPSED | SaleState.RETURNED:
                await place.holds.settle(event, hold, "back")
            case SaleState.SOLD:
                await place.holds.settle(event, hold, "sold")
            case SaleState.ACTIVE:
                # The reservation stands and its seats do not say so: SQL contradicts itself, and no map mends that.
                log.error(
                    "a reservation and its seats differ", extra={"event": event, "reservation": found.id}
                )
                return 0
        return len(seats)

    async def _put_back(self, event: str, view: View, drift: int) -> Looked:
        rebuilt = await self._rebuilder.rebuild(event, view.head.epoch + 1)
        self._since.pop(event, None)
        return Looked(drift, drift, is_rebuilt=rebuilt.is_new)

    def _tell(self, place: Place, event: str, drift: int) -> None:
        self._drift[event] = (place.name, drift)
        own = (count for name, count in self._drift.values() if name == place.name)
        self._metrics.drift.labels(place.name).set(sum(own))

    def _failed(self, error: Unavailable | Refused) -> None:
        self._metrics.background_failures.count("reconcile")
        log.warning("a hall could not be compared", extra={"code": error.code})


def _is_of_now(view: View, told: Compared) -> bool:
    head = view.head
    return (
        head.is_whole
        and head.epoch == told.epoch
        and head.fence >= told.fence
        and len(view.map) == len(told.map)
    )


def _is_same(ours: Status, theirs: Status) -> bool:
    as_free = Status.FREE if ours in {Status.HELD, Status.KEPT} else ours
    return as_free is theirs or (ours is Status.HELD and theirs is Status.BLOCKED)
