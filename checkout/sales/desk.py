"""Desk: where a worker's holds become reservations of one place; its clock, and its commits in groups.

**Clock.** A reservation ends when its pinned hold does, and that is told by the store's time. So the store is asked how
much its time and ours differ, and every decision here is made by the store's: a worker whose clock is wrong ends
nobody's reservation early.

**Groups.** On SQLite a commit waits for the disk and only one writes at a time; those that come meanwhile share the
next commit. PostgreSQL does so by itself, for any number of connections.

Not here: the statements (``sales.store``), what is told to whom (``sales.service``).
"""

import asyncio

from checkout.holds.places import Place
from checkout.sales.reservation import ReserveOutcome, Sale
from checkout.sales.store import SalesStore
from kernel.clock import Clock

GROUP_MOST = 64
"""Holds that one commit reserves at most."""

_NO_EVENT = "-"
"""A name that no event can have: only the time is asked for."""


class StoreClock:
    """The time of a place's store, as far as its answers have shown how it differs from ours."""

    def __init__(self, clock: Clock) -> None:
        """Nothing is known yet: until then ours counts."""
        self._clock = clock
        self._ahead_ms: int | None = None

    @property
    def is_set(self) -> bool:
        """True when the store has told its time."""
        return self._ahead_ms is not None

    def now_ms(self) -> int:
        """Return milliseconds since 1970 (UTC)."""
        return self._clock.now_ms() + (self._ahead_ms or 0)

    def set(self, now_ms: int) -> None:
        """Say what time it is there now."""
        self._ahead_ms = now_ms - self._clock.now_ms()


class Desk:
    """One worker's way to the reservations of one place."""

    def __init__(self, place: Place, clock: Clock) -> None:
        """Write nothing yet."""
        self.place = place
        self.clock = StoreClock(clock)
        self.sales = SalesStore(place.database, self.clock)
        self._is_grouped = place.database.dialect == "sqlite"
        self._waiting: list[tuple[Sale, asyncio.Future[ReserveOutcome]]] = []
        self._writer: asyncio.Task[None] | None = None

    async def tune(self) -> None:
        """Ask the store for its time."""
        now_ms, _, _ = await self.place.holds.mine(_NO_EVENT, "")
        self.clock.set(now_ms)

    async def reserve(self, one: Sale) -> ReserveOutcome:
        """Reserve; raises ``Unavailable`` as ``SalesStore.reserve`` does."""
        if not self._is_grouped:
            return await asyncio.to_thread(self.sales.reserve, one)
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[ReserveOutcome] = loop.create_future()
        self._waiting.append((one, answer))
        if self._writer is None or self._writer.done():
            self._writer = loop.create_task(self._write())
        return await answer

    async def _write(self) -> None:
        while self._waiting:
            group, self._waiting = self._waiting[:GROUP_MOST], self._waiting[GROUP_MOST:]
            outcomes: list[ReserveOutcome | Exception]
            try:
                outcomes = [*await asyncio.to_thread(self.sales.reserve_all, [one for one, _ in group])]
            except Exception as error:  # noqa: BLE001 (each who waits gets it)
                outcomes = [error] * len(group)
            for (_, answer), outcome in zip(group, outcomes, strict=True):
                if answer.done():
                    continue
                if isinstance(outcome, Exception):
                    answer.set_exception(outcome)
                else:
                    answer.set_result(outcome)
