"""Stock watch: counts what is left of all events behind a room, and tells the room when that has changed.

Every worker of the shop watches, and one of them does each second's work: a turn in the store, never held longer than
that second. What was told last stands in the store, too, so that the next worker goes on where the last one stopped. A
room is told at most once a second, and only what it does not know. If a count is missing (the store is away, a map is
being put back), nothing is said of that room: what nobody knows is not "sold out".

What counts: published events of the room whose sale is not over. Not here: what is said when (``stock.remaining``), how
it gets to the line (a ``RoomStock``, handed in).
"""

import asyncio
import logging
from collections import defaultdict

from checkout.catalogue.reading import CatalogueReader
from checkout.catalogue.selling import Standing, sale
from checkout.holds.places import Places
from checkout.metrics import Metrics
from checkout.stock.ports import RoomStock
from checkout.stock.remaining import left_of, stock
from checkout.stock.store import StockStore
from kernel.clock import Clock
from kernel.errors import Refused, Unavailable
from kernel.tasks import is_ending

log = logging.getLogger(__name__)

LOOK_S = 0.25
TURN_MS = 1_000


class StockWatch:
    """Tells rooms what is left, for one worker."""

    def __init__(
        self,
        catalogue: CatalogueReader,
        places: Places,
        store: StockStore,
        rooms: RoomStock,
        clock: Clock,
        metrics: Metrics,
        who: str,
    ) -> None:
        """`who` names this worker for its turns."""
        self._catalogue = catalogue
        self._places = places
        self._store = store
        self._rooms = rooms
        self._clock = clock
        self._metrics = metrics
        self._who = who
        self._silent: set[str] = set()

    async def run(self, every_s: float = LOOK_S) -> None:
        """Look for ever."""
        while not is_ending():
            try:
                await self.step()
            except Unavailable as error:
                log.warning("what is left cannot be counted", extra={"code": error.code})
            except Exception:
                self._metrics.background_failures.count("stock")
                log.exception("a round of the stock watch failed; the next one follows")
            await asyncio.sleep(every_s)

    async def step(self) -> bool:
        """Count and tell, unless this second's work is another worker's; returns whether it was ours."""
        if not await self._store.take_turn(self._who, TURN_MS):
            return False
        now_ms = self._clock.now_ms()
        behind: dict[str, list[str]] = defaultdict(list)
        for known in await self._catalogue.all():
            event = known.event
            if event.room and sale(event.window, now_ms).standing in {Standing.ON_SALE, Standing.NOT_YET}:
                behind[event.room].append(event.id)
        for room, events in behind.items():
            try:
                await self._look(room, events, now_ms)
            except Unavailable as error:
                # An event on its way to another shard, or a shard that is away, holds up no other room.
                log.warning("what is left cannot be counted", extra={"room": room, "code": error.code})
        return True

    async def _look(self, room: str, events: list[str], now_ms: int) -> None:
        left = capacity = 0
        for event in events:
            try:
                counts = await self._places.of(event).holds.counts(event)
            except Unavailable as error:
                # Its shard is away, or it is being moved: other rooms hear what is left of theirs.
                log.info("an event cannot be counted", extra={"event": event, "code": error.code})
                return
            if counts is None:
                return
            left += left_of(counts)
            capacity += sum(counts)
        before = await self._store.told(room)
        now = stock(before, left, capacity, now_ms)
        if before is not None and (now.state, now.left) == (before.state, before.left):
            if now != before:
                await self._store.put(room, now)
            return
        try:
            await self._rooms.tell(room, now.state, now.left)
        except (Refused, Unavailable) as error:
            self._metrics.stock_told.count("failed")
            if room not in self._silent:
                log.warning("a room could not be told what is left", extra={"room": room, "code": error.code})
            self._silent.add(room)
            return
        self._metrics.stock_told.count("told")
        self._silent.discard(room)
        await self._store.put(room, now)
