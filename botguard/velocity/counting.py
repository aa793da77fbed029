"""Counting: what is known of how often somebody acts, without anybody having to wait for it for long.

Acts that come in while a trip to the store is under way share the next one. Whoever needs the answer waits for
``STORE_MS`` at most. **A guard that is away stops nobody**: the store away, slow or refusing, or the queue full, and
the answer is None, "not known", which weighs nothing; it is counted by what was missing, and the log says once when it
begins and once when it is over. Not here: what a count means (``botguard.verdict``).
"""

import asyncio
import logging
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import chain
from typing import Protocol

from botguard.velocity.fair import Fair
from botguard.velocity.subjects import DAY_MS, Actor, Names, Subject
from botguard.velocity.windows import Count, Row
from kernel.clock import Clock
from kernel.errors import Unavailable
from kernel.signing import from_b64url

log = logging.getLogger(__name__)

STORE_MS = 100
PARTS = 10
MOST_AT_ONCE = 128
SALT_BYTES = 16

Counts = Mapping[Subject, Count]
"""Who is not in it is not known."""


class Counters(Protocol):
    """The store."""

    async def count(self, room: str, rows: list[Row]) -> list[Count]:
        """Count acts at once. Raises ``Unavailable``."""

    async def salt(self, day: int, fresh: bytes) -> bytes:
        """Return the day's salt. Raises ``Unavailable``."""


@dataclass(slots=True)
class _Act:
    room: str
    rows: dict[Subject, Row]
    answer: "asyncio.Future[Counts | None]"


class Velocity:
    """Counts acts, for one worker."""

    def __init__(
        self,
        store: Counters,
        secret: bytes,
        clock: Clock,
        without: Callable[[str], None],
        *,
        store_ms: int = STORE_MS,
        fair: Fair[_Act] | None = None,
    ) -> None:
        """`without` hears what was missing when an act could not be counted."""
        self._store = store
        self._secret = secret
        self._clock = clock
        self._without = without
        self._store_s = store_ms / 1_000
        self._fair: Fair[_Act] = Fair() if fair is None else fair
        self._names: Names | None = None
        self._trip: asyncio.Task[None] | None = None
        self._greeting: asyncio.Task[Names | None] | None = None
        self._is_away = False

    async def act(self, room: str, actor: Actor, *, acts: bool = True) -> Counts | None:
        """Count an act and wait for the counts, though not for long; `acts` False only looks. None: not known."""
        answer = await self.submit(room, actor, acts=acts)
        if answer is None:
            return None
        # In parts: time in which this process itself stood still is one of them, and does not make the store slow.
        for _ in range(PARTS):
            await asyncio.wait((answer,), timeout=self._store_s / PARTS)
            if answer.done():
                return answer.result()
        self._without("slow")
        return None

    async def submit(
        self, room: str, actor: Actor, *, acts: bool = True
    ) -> "asyncio.Future[Counts | None] | None":
        """Have an act counted; the future is its counts. None: it cannot be counted now."""
        names = self._names
        if names is None or names.day != self._clock.now_ms() // DAY_MS:
            # The first acts of a day come together: one of them asks.
            if self._greeting is None or self._greeting.done():
                self._greeting = asyncio.get_running_loop().create_task(self._of_today())
            names = await asyncio.shield(self._greeting)
        if names is None:
            self._without("store")
            return None
        rows = names.rows(actor, acts=acts)
        answer: asyncio.Future[Counts | None] = asyncio.get_running_loop().create_future()
        if not rows:
            answer.set_result({})
            return answer
        first = next(iter(rows.values())).subject.rpartition(":")[2]
        if not self._fair.put(from_b64url(first), _Act(room, rows, answer)):
            self._without("full")
            return None
        if self._trip is None or self._trip.done():
            self._trip = asyncio.get_running_loop().create_task(self._travel())
        return answer

    async def drained(self) -> None:
        """Wait until nothing waits to be counted."""
        while self._trip is not None and not self._trip.done():
            await asyncio.wait((self._trip,))

    async def close(self) -> None:
        """Leave what is under way."""
        for task in (self._trip, self._greeting):
            if task is not None:
                task.cancel()
                await asyncio.wait((task,))

    async def _of_today(self) -> Names | None:
        """Ask the store for the day's salt."""
        day = self._clock.now_ms() // DAY_MS
        try:
            async with asyncio.timeout(self._store_s):
                salt = await self._store.salt(day, secrets.token_bytes(SALT_BYTES))
        except (Unavailable, TimeoutError) as error:
            self._warn(str(error))
            return None
        self._names = Names(self._secret, salt, day)
        return self._names

    async def _travel(self) -> None:
        while aboard := self._fair.take(MOST_AT_ONCE):
            rooms: dict[str, list[_Act]] = {}
            for one in aboard:
                rooms.setdefault(one.room, []).append(one)
            for room, group in rooms.items():
                await self._count(room, group)

    async def _count(self, room: str, group: list[_Act]) -> None:
        rows = list(chain.from_iterable(one.rows.values() for one in group))
        try:
            found = iter(await self._store.count(room, rows))
        except Unavailable as error:
            self._warn(str(error))
            for one in group:
                self._without("store")
                _answer(one, None)
            return
        if self._is_away:
            log.warning("the bot guard counts again")
        self._is_away = False
        for one in group:
            _answer(one, {subject: next(found) for subject in one.rows})

    def _warn(self, error: str) -> None:
        if not self._is_away:
            log.warning("the bot guard goes on without the store", extra={"error": error})
        self._is_away = True


def _answer(one: _Act, counts: Counts | None) -> None:
    if not one.answer.done():
        one.answer.set_result(counts)
