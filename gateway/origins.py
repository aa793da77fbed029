"""Origins: how the sites behind the gate answer, as one gate process sees it, written where the console reads it.

Every five seconds a process writes one field for each room whose origin it asked meanwhile: how many requests, how many
of them failed, the time to the first byte that 95 of 100 kept. The console's one look at a room reads the hash along
(ADR 0042). Not the metrics' files: those are on the gate's machine, which need not be the console's, and reading them
all costs more than the whole look.

In the same trip it adds up what the line counted of a room: how many joins were refused, and how many shed, and what
came of the places that the bot guard judged. A process that dies takes along what it had not written, five seconds'
worth at most, and so does a write that the store did not take; nothing is added twice. The counts of a room in which
nothing was counted for ``COUNTS_KEPT_MS`` are forgotten.

A failure is an answer of 500 and above, or none; a visitor who stops sending is no failure of the origin.
"""

import asyncio
import logging
import secrets
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from math import ceil, log

from redis.asyncio import Redis

from kernel.clock import Clock
from kernel.errors import Unavailable
from kernel.store import translated
from kernel.tasks import is_ending

EVERY_S = 5.0
FRESH_MS = 15_000
KEPT_MS = 60_000
COUNTS_KEPT_MS = 30 * 86_400_000
TURNED = ("refused", "shed")
SETTLED = ("kept", "slowed", "asked", "passed")
LANES = ("verified", "standard")
"""Places are judged in these; in the lane suspect nobody is put back any more."""

COUNTED = (*TURNED, *SETTLED, *(f"{outcome}_{lane}" for lane in LANES for outcome in SETTLED))
_STEP = 1.25
"""Times are counted in steps of a quarter: a figure for people need not be more exact."""

Counts = Mapping[str, Mapping[str, int]]

logger = logging.getLogger(__name__)


def origin_key(room: str) -> str:
    """Name the hash of a room: process by what it saw."""
    return f"wr:{{{room}}}:origin"


def counts_key(room: str) -> str:
    """Name the hash of a room with what was counted of it since it was made."""
    return f"wr:{{{room}}}:tallied"


@dataclass(slots=True)
class Seen:
    """What one process saw of one origin."""

    requests: int = 0
    failures: int = 0
    steps: Counter[int] = field(default_factory=Counter)

    def p95_ms(self) -> int:
        """Return the time that 95 of 100 answers kept; 0 where there was no answer."""
        left = ceil(sum(self.steps.values()) * 0.95)
        for step in sorted(self.steps):
            left -= self.steps[step]
            if left <= 0:
                return ceil(_STEP**step)
        return 0


class Origins:
    """Counts answers, and writes what was counted."""

    def __init__(self, client: Redis, clock: Clock, counts: Callable[[], Counts] = dict) -> None:
        """Write to the store of `client`, under a name of this process's own.

        `counts` returns by room what was counted, by the names of ``COUNTED``, since it was asked last.
        """
        self._counts = counts
        self._client = client
        self._clock = clock
        self._me = secrets.token_hex(4)
        self._since_ms = clock.now_ms()
        self._seen: dict[str, Seen] = {}
        self._writing: asyncio.Task[None] | None = None

    def answered(self, room: str, status: int, took_ms: float) -> None:
        """Count an answer by its status and the time to its first byte."""
        seen = self._seen.setdefault(room, Seen())
        seen.requests += 1
        seen.failures += status >= 500
        seen.steps[ceil(log(max(1.0, took_ms), _STEP))] += 1

    def failed(self, room: str) -> None:
        """Count a request that got no usable answer."""
        seen = self._seen.setdefault(room, Seen())
        seen.requests += 1
        seen.failures += 1

    async def write(self) -> None:
        """Write what was seen since the last time, in one trip. Raises ``Unavailable``; what it held is then lost."""
        now_ms = self._clock.now_ms()
        seen, self._seen = self._seen, {}
        counts = self._counts()
        span_ms, self._since_ms = max(1, now_ms - self._since_ms), now_ms
        if not seen and not counts:
            return
        with translated():
            pipe = self._client.pipeline(transaction=False)
            for room, one in seen.items():
                text = f"{now_ms} {span_ms} {one.requests} {one.failures} {one.p95_ms()}"
                pipe.hset(origin_key(room), self._me, text)
                pipe.pexpire(origin_key(room), KEPT_MS)
            for room, counted in counts.items():
                for name in counted.keys() & set(COUNTED):
                    pipe.hincrby(counts_key(room), name, counted[name])
                pipe.pexpire(counts_key(room), COUNTS_KEPT_MS)
            await pipe.execute()

    def start(self) -> None:
        """Write from now on."""
        self._writing = asyncio.create_task(self._keep_writing(), name="origins")

    async def stop(self) -> None:
        """Write no more."""
        if self._writing is not None:
            self._writing.cancel()
            with suppress(asyncio.CancelledError):
                await self._writing

    async def _keep_writing(self) -> None:
        while not is_ending():
            await asyncio.sleep(EVERY_S)
            try:
                await self.write()
            except Unavailable:
                logger.debug("what the origins did could not be written")


def health_of(kept: Mapping[bytes, bytes], now_ms: int) -> dict[str, object]:
    """Add up what the gate's processes wrote of late; all None where none of them asked the origin."""
    per_minute, requests, failures, p95_ms = 0.0, 0, 0, 0
    for text in kept.values():
        try:
            at_ms, span_ms, asked, failed, slow_ms = map(int, text.split())
        except ValueError:
            continue
        if now_ms - at_ms > FRESH_MS or span_ms <= 0:
            continue
        per_minute += asked * 60_000 / span_ms
        requests, failures, p95_ms = requests + asked, failures + failed, max(p95_ms, slow_ms)
    return {
        "origin_per_minute": round(per_minute) if requests else None,
        "origin_failure_ratio": failures / requests if requests else None,
        "origin_p95_ms": p95_ms or None,
    }


def counts_of(kept: Sequence[bytes | None]) -> dict[str, object]:
    """Return what was counted since the room was made, of the fields that ``COUNTED`` names."""
    found = {name: int(count or 0) for name, count in zip(COUNTED, kept, strict=True)}
    return {name if name in TURNED else f"settled_{name}": count for name, count in found.items()}
