"""Recording: what the sampler sees, kept a row a minute for months.

``hear`` takes each sample and folds it into the row of its minute; once a minute the rows that are over are written in
one transaction for all rooms, in a thread. While the database is away they wait here, a bounded number of them. A
process that ends writes what it has, also of the minute that goes on; whoever follows completes that row.

Nothing is made up: a minute without a look has no row. Two processes may do this side by side: a row is the same
whoever writes it, and the later look counts (``waitroom.minutes.merged``). Old rows are forgotten in small steps.

**The clock is the store's**, which comes with each look: a process whose own clock is wrong writes the right minutes.
Nothing is forgotten while the two are apart, nor by a clock that has not been believed for long: a wrong one would let
the past go (ADR 0036). That it is put off is said by ``is_put_off``.
"""

import asyncio
import logging
from collections.abc import Callable, Mapping
from contextlib import suppress

from kernel.clock import Clock
from kernel.errors import Unavailable
from kernel.tasks import is_ending
from waitroom.history_book import HistoryBook
from waitroom.minutes import MINUTE_MS, Minute, and_then, seen
from waitroom.rooms import Room
from waitroom.schedule import wanted

log = logging.getLogger(__name__)

LATE_MS = 1_500
"""So long after a minute is over its row is written: a look that began in it may end a little later."""

PENDING_MOST = 20_000
APART_MS = 60_000
"""The store's clock and ours are then so far apart that nobody knows which of them is right."""

DAY_MINUTES = 24 * 60


class Recorder:
    """Keeps the history of all rooms."""

    def __init__(
        self, book: HistoryBook, room: Callable[[str], Room | None], clock: Clock, *, kept_days: int = 90
    ) -> None:
        """Write to `book`; `room` returns a room as it is set up, None for one that is gone."""
        self._book = book
        self._room = room
        self._clock = clock
        self._kept_days = kept_days
        self._rows: dict[tuple[str, int], Minute] = {}
        self._lock = asyncio.Lock()
        self._loop: asyncio.Task[None] | None = None
        self._ahead_ms = 0
        self._heard = -1
        self.is_put_off = False
        """Whether there are old rows, and a clock that is not believed."""

    @property
    def apart_ms(self) -> int:
        """How far the store's clock and ours are apart."""
        return abs(self._ahead_ms)

    @property
    def pending(self) -> int:
        """Rows that are not written yet."""
        return len(self._rows)

    def hear(self, name: str, at_ms: int, figures: Mapping[str, object]) -> None:
        """Take a sample; what says nothing of this minute is passed over."""
        own_ms, store_ms = at_ms, figures.get("store_ms")
        if isinstance(store_ms, int):
            at_ms = store_ms
        room = self._room(name)
        sale = wanted(room, at_ms).sale if room is not None else None
        look = seen(
            name,
            at_ms,
            figures,
            version=None if room is None else room.version,
            sale=None if room is None else (sale.name if sale is not None else ""),
            stock_left=None if room is None else room.stock_left,
        )
        if look is None:
            return
        self._ahead_ms, self._heard = at_ms - own_ms, look.minute
        key = name, look.minute
        before = self._rows.get(key)
        self._rows[key] = look if before is None else and_then(before, look)
        while len(self._rows) > PENDING_MOST:
            del self._rows[next(iter(self._rows))]

    async def write(self, *, all_of_them: bool = False) -> None:
        """Write the rows of minutes that are over, or all. May raise ``Unavailable``: then they are kept here."""
        async with self._lock:
            now = (self._clock.now_ms() + self._ahead_ms) // MINUTE_MS
            due = {key: row for key, row in self._rows.items() if all_of_them or key[1] < now}
            if due:
                await asyncio.to_thread(self._book.write, list(due.values()))
            for key, row in due.items():
                if self._rows.get(key) is row:
                    del self._rows[key]
            if self._heard >= 0:
                self.is_put_off = await asyncio.to_thread(
                    self._book.forget,
                    self._heard,
                    self._kept_days * DAY_MINUTES,
                    is_certain=self.apart_ms <= APART_MS,
                )

    def start(self) -> None:
        """Write once a minute until ``stop``."""
        self._loop = asyncio.create_task(self._keep_writing(), name="history")

    async def stop(self) -> None:
        """Write what is left, and no more."""
        if self._loop is not None:
            self._loop.cancel()
            with suppress(asyncio.CancelledError):
                await self._loop
        await self._try(all_of_them=True)

    async def _keep_writing(self) -> None:
        while not is_ending():
            now_ms = self._clock.now_ms() + self._ahead_ms
            await asyncio.sleep((MINUTE_MS - now_ms % MINUTE_MS + LATE_MS) / 1000)
            await self._try()

    async def _try(self, *, all_of_them: bool = False) -> None:
        try:
            await self.write(all_of_them=all_of_them)
        except Unavailable:
            log.warning("the history waits for its database", extra={"rows": self.pending})
        except Exception:
            log.exception("the history could not be written", extra={"rows": self.pending})
