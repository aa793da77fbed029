"""Keeper: the heartbeat of a worker.

Four times a second each worker reads the rooms, mends what the store has lost, does what the schedule asks,
lets the pace call the next, and (beside it, because a commit waits for a disk) carries what happened into
the journal. No worker leads: every step is a transition that happens once, whoever is first. Whoever finds the journal
at rest with an end that is not signed signs it: else the last entries before a pause could be changed unseen.

When the store is away the beat goes on: readings grow old, are served with their age, and the first
beat after its return mends what is missing. Not here: what each step means (``waitroom``, ``admission``).
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable

from kernel.clock import Clock
from kernel.errors import Unavailable
from kernel.tasks import is_ending
from waitroom.drain import Drain
from waitroom.restoring import Restorer
from waitroom.rooms import Room
from waitroom.service import Waitroom

log = logging.getLogger(__name__)

BEAT_S = 0.25
DRAIN_S = 0.5
PATIENCE_S = 5.0
REST_MS = 10_000
"""A journal that gets no entry for so long is at rest. While entries come, appending signs them each minute."""


class Keeper:
    """Keeps the rooms of one worker going."""

    def __init__(
        self,
        waitroom: Waitroom,
        restorer: Restorer,
        drain: Drain,
        pace: Callable[[str], Awaitable[None]],
        remembered: Callable[[], dict[str, Room]],
        seal: Callable[[int, int], object],
        clock: Clock,
        tell_age: Callable[[float], object] = float,
    ) -> None:
        """`pace` ticks a room's door; `remembered` reads the journal's last settings.

        `seal` signs the journal's end, if no entry came within so many milliseconds.
        `tell_age` hears at each beat how many seconds ago all was in the journal.
        """
        self._tell_age = tell_age
        self._waitroom = waitroom
        self._restorer = restorer
        self._drain = drain
        self._pace = pace
        self._remembered = remembered
        self._seal = seal
        self._clock = clock
        self._tasks: list[asyncio.Task[None]] = []
        self._away = False
        self._behind: set[str] = set()
        self._drained_ms = self._rested_ms = clock.now_ms()
        self.ready = False

    @property
    def is_away(self) -> bool:
        """True while the store or the journal cannot be reached."""
        return self._away

    @property
    def journal_age_ms(self) -> int:
        """Time since all that had happened was in the journal."""
        return self._clock.now_ms() - self._drained_ms

    async def restore(self) -> None:
        """Bring back the settings that the store lost while nobody looked."""
        rooms = await asyncio.to_thread(self._remembered)
        await self._restorer.settings(rooms)

    async def start(self) -> None:
        """Begin to beat."""
        await self.beat()
        self._tasks = [
            asyncio.create_task(self._loop(self.beat, BEAT_S), name="beat"),
            asyncio.create_task(self._loop(self.carry, DRAIN_S), name="drain"),
        ]

    async def stop(self) -> None:
        """Stop beating, then hand the journal what is left."""
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            # Not gather: a step that waits for a store which is gone may be slow to notice its cancellation.
            await asyncio.wait(self._tasks, timeout=PATIENCE_S)
        try:
            async with asyncio.timeout(PATIENCE_S):
                await self.drain(lease=False)
                await asyncio.to_thread(self._seal, self._clock.now_ms(), 0)
        except (Unavailable, TimeoutError):
            log.warning("the journal misses the last moments; the store still has them")

    async def beat(self) -> None:
        """Do one round over all rooms, then raise what kept one of them from its turn (Unavailable).

        A room may need what is away (the journal, when it is seen for the first time) while others do not: who
        failed last time comes last, and the first of them that fails again ends the round, because each try may
        wait long.
        """
        try:
            await self._waitroom.refresh()
        except Unavailable:
            # The age of what we know is what tells that the store is away.
            self._observe()
            raise
        away: Unavailable | None = None
        for room in sorted(self._waitroom.readings, key=self._behind.__contains__):
            try:
                if await self._restorer.mend(room):
                    await self._waitroom.keep(room)
                    await self._pace(room)
                self._behind.discard(room)
            except Unavailable as reason:
                away = away or reason
                if room in self._behind:
                    break
                self._behind.add(room)
        self._observe()
        if away is not None:
            raise away
        self.ready = True

    def _observe(self) -> None:
        self._waitroom.observe()
        self._tell_age(self.journal_age_ms / 1000)

    async def carry(self) -> None:
        """Drain, and now and then sign the end of a journal that is at rest."""
        await self.drain()
        now_ms = self._clock.now_ms()
        if not self._rested_ms <= now_ms < self._rested_ms + REST_MS:
            self._rested_ms = now_ms
            await asyncio.to_thread(self._seal, now_ms, REST_MS)

    async def drain(self, *, lease: bool = True) -> None:
        """Carry every room's acts and leaves into the journal."""
        for room in list(self._waitroom.readings):
            await self.drain_room(room, lease=lease)
        self._drained_ms = self._clock.now_ms()

    async def drain_room(self, room: str, *, lease: bool = True) -> None:
        """Carry one room's acts and leaves into the journal, all of them."""
        reading = self._waitroom.readings.get(room)
        while reading is not None and not reading.fallen:
            run = reading.line.run if reading.line else ""
            drained = await self._drain.drain(room, run, lease=lease)
            if drained.fell_back:
                log.warning("the journal knows more than the store", extra={"room": room})
                self._restorer.doubt(room)
            if not drained.more:
                return

    async def _loop(self, step: Callable[[], Awaitable[None]], every_s: float) -> None:
        """Repeat `step` at the full multiples of `every_s`; a failure costs one round, never the loop."""
        while not is_ending():
            await asyncio.sleep(every_s - self._clock.now_ms() / 1000 % every_s)
            try:
                await step()
            except Unavailable as reason:
                if not self._away:
                    log.error("the store or the journal is away", extra={"error": str(reason)})  # noqa: TRY400
                self._away = True
            except Exception:
                log.exception("a round failed; the next one follows")
            else:
                if self._away:
                    log.warning("the store and the journal are back")
                self._away = False
