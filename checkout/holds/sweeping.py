"""Sweeping: the background of holds: what is over is freed, and SQL hears of every hold.

Each worker runs it. A lease for each place lets one of them work and the others look on; when that one dies, another
goes on within ``LEASE_MS``. Nothing depends on being alone: both works may be done twice.

* **Sweep**, every ``SWEEP_S``: one trip tells which events have a hold that is due; each is swept, ``EXPIRE_MOST``
  holds a call, until nothing is due. Between two calls the store serves others. A sweeper that is late or dead keeps
  nobody from a seat: whoever wants one whose hold is over gets it (lazy expiry). It is there for those who look.
* **Drain**, every ``DRAIN_S``: notes of holds go to SQL (``holds.journal``), so SQL is a quarter of a second behind at
  most.

If a store or a database does not answer, that place is left alone for ``AGAIN_S``; other places are not concerned.
Which events: those that are no drafts and have been on sale in the last day, and now and then all. Not here:
reservations whose time is over (``sales.service``), the waitlist (``waitlist.service``).
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence

from checkout.catalogue.reading import CatalogueReader
from checkout.catalogue.selling import State
from checkout.holds.answers import HoldState
from checkout.holds.journal import HoldJournal, JournalRows, Read, row_of
from checkout.holds.leases import Leases
from checkout.holds.places import Place, Places
from checkout.holds.watching import UNWATCHED, Watch
from checkout.metrics import Metrics
from kernel.clock import Clock
from kernel.errors import Refused, Unavailable
from kernel.tasks import is_ending

log = logging.getLogger(__name__)

SWEEP_S = 0.25
DRAIN_S = 0.1
AGAIN_S = 1.0
LEASE_MS = 1_000
WARM_MS = 86_400_000
ALL_EVERY_MS = 600_000
FORGET_EVERY_MS = 3_600_000

Rest = Callable[[float], Awaitable[object]]


class Sweeping:
    """The background of holds, for one worker."""

    def __init__(
        self,
        catalogue: CatalogueReader,
        places: Places,
        clock: Clock,
        metrics: Metrics,
        who: str,
        rest: Rest = asyncio.sleep,
        watch: Watch = UNWATCHED,
    ) -> None:
        """`who` names this worker for its leases; `rest` waits for seconds; `watch` hears of holds that lapsed."""
        self._watch = watch
        self._catalogue = catalogue
        self._places = places
        self._clock = clock
        self._metrics = metrics
        self._who = who
        self._rest = rest
        self._journal = HoldJournal(metrics)
        self._known: dict[str, list[str]] = {}
        self._next_ms: dict[tuple[str, str], int] = {}

    async def run(self) -> None:
        """Work for ever, at all places side by side; told to end, it ends when all of it has ended."""
        # Not a TaskGroup: it hands a cancellation on once, and a step that waits for a socket may lose it.
        works = [
            asyncio.create_task(self._forever(work, act, place, every_s))
            for place in self._places.all()
            for work, act, every_s in (("sweep", self.sweep, SWEEP_S), ("drain", self.drain, DRAIN_S))
        ]
        try:
            await asyncio.gather(*works)
        finally:
            # ``gather`` is over with the first that ends; what still works would find store and database closed.
            for work in works:
                if not work.cancelling():
                    work.cancel()
            await asyncio.wait(works)

    async def sweep(self, place: Place) -> int:
        """Free what is over at a place; returns how many holds that were."""
        if not await self._has_turn(place, "sweep"):
            return 0
        freed = 0
        for event in await place.holds.due(await self._events(place, "sweep")):
            more = True
            while more:
                done = await place.holds.expire(event)
                more = done.more
                freed += done.holds
                self._metrics.expired_holds.inc(done.holds)
                self._metrics.expired_seats.inc(done.seats)
        return freed

    async def drain(self, place: Place) -> int:
        """Bring the notes of a place to SQL; returns how many that were."""
        if not await self._has_turn(place, "drain"):
            return 0
        events = await self._events(place, "drain")
        brought, more = 0, True
        while more:
            read = await self._journal.step(place, events)
            more = not read.is_all
            brought += sum(map(len, read.notes.values()))
            self._tell(read)
        if self._is_time("forget", place, FORGET_EVERY_MS):
            await asyncio.to_thread(JournalRows(place.database).forget, self._clock.now_ms())
        return brought

    def _tell(self, read: Read) -> None:
        """Tell of holds that have lapsed; a note that comes once more tells the same."""
        for note in (note for notes in read.notes.values() for note in notes):
            row = row_of(note)
            if row["state"] == HoldState.EXPIRED.value:
                self._watch.dropped(None, note.event, row["buyer"], row["hold_id"])

    async def _forever(
        self, work: str, act: Callable[[Place], Awaitable[int]], place: Place, every_s: float
    ) -> None:
        is_failing = False
        while not is_ending():
            try:
                await act(place)
                is_failing = False
            except (Unavailable, Refused) as error:
                self._metrics.background_failures.count(work)
                if not is_failing:
                    log.warning(
                        "holds: the background cannot work",
                        extra={"work": work, "place": place.name, "code": error.code},
                    )
                is_failing = True
            except Exception:
                self._metrics.background_failures.count(work)
                log.exception("holds: the background failed", extra={"work": work, "place": place.name})
                is_failing = True
            await self._rest(AGAIN_S if is_failing else every_s)
        raise asyncio.CancelledError

    async def _has_turn(self, place: Place, work: str) -> bool:
        # No event has such an id, so the lease is nobody's but the place's.
        return await Leases(place.holds, self._who).take(f"place:{place.name}", work, LEASE_MS)

    async def _events(self, place: Place, work: str) -> Sequence[str]:
        """Name the events of a place that may have holds."""
        now_ms = self._clock.now_ms()
        everything = self._is_time(work, place, ALL_EVERY_MS)
        try:
            known = await self._catalogue.all()
        except Unavailable:
            # Holds end also while the catalogue is away.
            return self._known.get(place.name, [])
        events = [
            one.event
            for one in known
            if one.event.state is not State.DRAFT
            and (everything or now_ms < one.event.sale_until_ms + WARM_MS)
        ]
        self._known[place.name] = [event.id for event in events if self._is_at(event.id, place)]
        return self._known[place.name]

    def _is_at(self, event: str, place: Place) -> bool:
        try:
            return self._places.of(event) == place
        except Unavailable:
            # An event on its way to another shard is nobody's, and holds up no other.
            return False

    def _is_time(self, work: str, place: Place, every_ms: int) -> bool:
        now_ms = self._clock.now_ms()
        if now_ms < self._next_ms.get((work, place.name), 0):
            return False
        self._next_ms[work, place.name] = now_ms + every_ms
        return True
