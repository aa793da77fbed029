"""Sampling: the one pair of eyes of all consoles.

Once a second the operator's process looks at each room, in one trip to the store, however many pages are open; all of
them are shown what it saw. It keeps the last half hour of each room (``track``) and tells whoever wants to keep more
(``on_sample``). Rooms come and go: their names are read again every few rounds.

While the store is away the last look stands, and says how old it is. Where nobody started the sampler (a test, an
application of its own) a page looks by itself, and the loop runs as long as somebody follows.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

from dashboards.ports import Look, Looks
from dashboards.track import Track
from kernel.clock import Clock
from kernel.errors import Unavailable
from kernel.tasks import is_ending
from waitroom.configure import Configurations
from waitroom.rooms import Room, merged
from waitroom.schedule import wanted

log = logging.getLogger(__name__)

EVERY_S = 1.0
OLD_S = 2.5
"""What a running loop saw may be so old before a page looks by itself."""

BEAT_S = 15.0
"""A round that takes longer is waited for no longer in silence: whoever follows is woken to say so."""

NAMES_EVERY = 5
CHANGES_SHOWN = 8

Changes = Sequence[Mapping[str, object]]
Listener = Callable[[str, int, Mapping[str, object]], Awaitable[None] | None]
"""Hears of each sample: room, time in ms, and the numbers by the names of ``ports``, with ``rate`` and ``cap``."""


@dataclass(slots=True)
class Sample:
    """What is known of a room, and since when."""

    seen: Look
    at_ms: int
    track: Track = field(default_factory=Track)
    changes: Changes = ()
    changes_of: int = -1
    """The version whose changes are kept."""

    @property
    def room(self) -> Room:
        """The room as it is set up."""
        return self.seen.room

    def figures(self, now_ms: int) -> Mapping[str, object] | None:
        """Return the numbers, and how old they are."""
        found = self.seen.figures
        if found is None:
            return None
        age_ms = found.get("store_age_ms")
        since_ms = max(0, now_ms - self.at_ms) + (age_ms if isinstance(age_ms, int) else 0)
        return {**found, "store_age_ms": since_ms}


class Sampler:
    """Looks at all rooms once a second."""

    def __init__(
        self,
        looks: Looks,
        configurations: Configurations,
        clock: Clock,
        *,
        every_s: float = EVERY_S,
        beat_s: float = BEAT_S,
    ) -> None:
        """Look with `looks` each `every_s`; the last changes of a room come from `configurations`."""
        self._looks = looks
        self._configurations = configurations
        self._clock = clock
        self._every_s = every_s
        self._beat_s = beat_s
        self._listeners: list[Listener] = []
        self._rooms: dict[str, Sample] = {}
        self._lock = asyncio.Lock()
        self._bells: dict[int, asyncio.Event] = {}
        """By the round for which somebody waits: only those whose turn it is are woken."""

        self._loop: asyncio.Task[None] | None = None
        self._beat: asyncio.Task[None] | None = None
        self._looked_s = -1e9
        self._followers = 0
        self._kept_up = False
        self.number = 0
        """Rounds so far: whoever has seen this one has seen all there is."""
        self.reached = False
        """Whether the store answered in the last round."""
        self.ending = False

    # ------------------------------------------------------------------------------ reading

    def rooms(self) -> Mapping[str, Sample]:
        """Return what is known of each room, by name."""
        return self._rooms

    def on_sample(self, listener: Listener) -> None:
        """Tell `listener` of each sample from now on; what it raises is logged and harms nobody."""
        self._listeners.append(listener)

    async def fresh(self) -> None:
        """See to it that what is known is of now. Raises ``Unavailable`` where nothing is known at all."""
        loop = asyncio.get_running_loop()
        runs = self._loop is not None and not self._loop.done()
        if not (runs and self._rooms and loop.time() - self._looked_s < OLD_S):
            await self.look()

    async def changes(self, name: str) -> Changes:
        """Return the last changes of a room; the store is asked once for each version. May raise ``Unavailable``."""
        sample = self._rooms[name]
        version = sample.room.version
        if sample.changes_of != version:
            sample.changes = await self._configurations.changes(name, CHANGES_SHOWN)
            sample.changes_of = version
        return sample.changes

    # ------------------------------------------------------------------------------ looking

    async def look(self) -> None:
        """Look at all rooms now. Raises ``Unavailable`` where the store is away and nothing is known."""
        before = self.number
        async with self._lock:
            if self.number > before + 1:
                return  # somebody else began and ended a round meanwhile
            await self._round()

    async def look_at(self, name: str) -> None:
        """Look at one room now: something was changed in it. A store that is away is left to the next round."""
        async with self._lock:
            with suppress(Unavailable):
                await self._look_at(name)
            self._ring()

    async def _round(self) -> None:
        self._looked_s = asyncio.get_running_loop().time()
        runs = self._loop is not None and not self._loop.done()
        try:
            asked = set(self._rooms)
            if not runs or not asked or self.number % NAMES_EVERY == 0:
                asked = set(await self._looks.names())
                for name in self._rooms.keys() - asked:
                    del self._rooms[name]
            found = await asyncio.gather(
                *(self._look_at(name) for name in sorted(asked)), return_exceptions=True
            )
        except Unavailable as error:
            found = [error]
        faults = [one for one in found if isinstance(one, BaseException)]
        self.reached = not faults
        self._ring()
        for fault in faults:
            if not isinstance(fault, Unavailable):
                raise fault
        if faults and not self._rooms:
            raise faults[0]

    async def _look_at(self, name: str) -> None:
        seen = await self._looks.look(name)
        if seen is None:
            self._rooms.pop(name, None)
            return
        at_ms = self._clock.now_ms()
        sample = self._rooms.get(name)
        if sample is None:
            sample = self._rooms[name] = Sample(seen, at_ms)
        sample.seen, sample.at_ms = seen, at_ms
        limits = merged(seen.room, wanted(seen.room, at_ms).sale)
        numbers = {
            **(seen.figures or {}),
            "rate": limits.new_users_per_minute,
            "cap": limits.total_active_users,
        }
        sample.track.add(at_ms, numbers)
        for listener in self._listeners:
            try:
                told = listener(name, at_ms, numbers)
                if told is not None:
                    await told
            except Exception:
                log.exception("a sample could not be handed on", extra={"room": name})

    def _ring(self) -> None:
        self.number += 1
        self._wake(self.number)

    def _wake(self, upto: int | None = None) -> None:
        """Wake whoever waits for a round up to `upto`; everybody without."""
        for number in [each for each in self._bells if upto is None or each <= upto]:
            self._bells.pop(number).set()

    # ----------------------------------------------------------------------------- following

    async def next(self, number: int, rounds: int = 1) -> bool:
        """Wait for so many rounds after round `number`, or an end; False where a beat passed without either."""
        last = number + rounds
        if not self._is_over(last):
            await self._bells.setdefault(last, asyncio.Event()).wait()
        return self._is_over(last)

    def _is_over(self, number: int) -> bool:
        return self.number >= number or self.ending

    @contextmanager
    def followed(self) -> Iterator[None]:
        """Run at least as long as this lasts."""
        self._followers += 1
        self._run()
        try:
            yield
        finally:
            self._followers -= 1

    def start(self) -> None:
        """Look once a second until ``stop``."""
        self._kept_up = True
        self._run()

    def end(self) -> None:
        """Let whoever follows go: nothing more comes."""
        self.ending = True
        self._ring()
        self._wake()

    async def stop(self) -> None:
        """Look no more."""
        self.end()
        for task in (self._loop, self._beat):
            if task is not None:
                task.cancel()
                with suppress(asyncio.CancelledError):
                    await task

    def _run(self) -> None:
        if self._loop is None or self._loop.done():
            self._loop = asyncio.create_task(self._keep_looking(), name="sampler")
        if self._beat is None or self._beat.done():
            self._beat = asyncio.create_task(self._keep_beating(), name="sampler's beat")

    async def _keep_beating(self) -> None:
        """Wake whoever follows while a round hangs: one clock for all of them, and none for each."""
        while not self.ending and (self._kept_up or self._followers):
            number = self.number
            await asyncio.sleep(self._beat_s)
            if number == self.number:
                self._wake()

    async def _keep_looking(self) -> None:
        while not is_ending() and (self._kept_up or self._followers):
            rest_s = self._looked_s + self._every_s - asyncio.get_running_loop().time()
            await asyncio.sleep(max(0.0, rest_s))
            try:
                async with self._lock:
                    await self._round()
            except Unavailable:
                log.debug("the rooms could not be looked at")
            except Exception:
                log.exception("the rooms could not be looked at")
