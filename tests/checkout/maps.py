"""Maps to test: a small hall in a real store, the live map of one worker, and a clock that stands still.

The store can be cut off (``away``), and says how often it was read. A viewer here is both ends at once: the worker's,
and a copy as a page has it.
"""

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

from prometheus_client import CollectorRegistry
from redis.asyncio import Redis

from checkout.halls import deltas
from checkout.halls.layout import Kind, Layout, Section, Stage
from checkout.holds.answers import Held, Missing, Seen
from checkout.holds.places import OnePlace, Place
from checkout.holds.store import HoldStore
from checkout.live.crowding import ENTER_MS, STAY_MS, Bounds
from checkout.live.feeds import TICK_MS
from checkout.live.service import LiveMap, Viewer
from checkout.metrics import Metrics
from kernel.clock import ManualClock
from kernel.errors import Refused, Unavailable
from tests.checkout.holding import EMPTY, EVENT, NOW_MS, ask
from tests.checkout.viewing import Watch

SECTIONS = ((0, 8), (8, 4))
LIVE = "another-night"
"""An event that the catalogue knows and the store does not."""


class Halls:
    """Knows two events in one hall; the section sizes are those of `SECTIONS`."""

    async def known(self, event_id: str) -> Any:
        """Return an event."""
        if event_id not in {EVENT, LIVE}:
            raise Refused("event-unknown", "There is no such event.", status=404)
        return SimpleNamespace(event=SimpleNamespace(id=event_id, layout_id="hall"))

    async def layout(self, layout: str) -> Layout:
        """Return the hall."""
        assert layout == "hall"
        parts = tuple(
            Section(str(first), Kind.SEATS, first, count, ((0, 0), (1, 0), (1, 1)))
            for first, count in SECTIONS
        )
        return Layout("Hall", 10, 10, Stage(0, 0, 1, 1, ""), parts)


class Store(HoldStore):
    """A real store that can be cut off."""

    def __init__(self, client: Redis) -> None:
        super().__init__(client)
        self.read: Counter[str] = Counter()
        self.away = False

    async def look(self, event: str) -> Seen | Missing:
        """Look, if it can be reached."""
        self._reach("look")
        return await super().look(event)

    async def deltas(self, event: str, after: str, most: int) -> list[tuple[str, str]] | None:
        """Read on, if it can be reached."""
        self._reach("deltas")
        return await super().deltas(event, after, most)

    def _reach(self, what: str) -> None:
        self.read[what] += 1
        if self.away:
            raise Unavailable("store-away", "The store is away.")


@dataclass(slots=True)
class Eye:
    """Both ends of a stream."""

    viewer: Viewer
    watch: Watch = field(default_factory=Watch)

    async def hear(self) -> list[deltas.Step]:
        """Take all that is there now; the last wait is left again."""
        steps = []
        while octets := await self._next():
            steps += self.watch.hear(octets)
        return steps

    async def _next(self) -> bytes:
        waiting = asyncio.ensure_future(self.viewer.next())
        await asyncio.sleep(0)
        if waiting.done():
            return waiting.result()
        waiting.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await waiting
        return b""


@dataclass(slots=True)
class House:
    """A worker, its store, and the knobs of a test."""

    store: Store
    clock: ManualClock
    metrics: Metrics
    live_map: LiveMap
    lag_ms: list[float]
    rebuilt: list[str] = field(default_factory=list)
    rebuilds: bool = True
    number: int = 0

    async def rebuild(self, event: str) -> None:
        """Put the empty hall back, in a newer epoch."""
        self.rebuilt.append(event)
        if not self.rebuilds:
            raise Unavailable("map-rebuilding", "Another worker is at it.")
        await self.store.load(event, len(self.rebuilt) + 1, EMPTY)

    def worker(self, **changes: Any) -> LiveMap:
        """Make one more worker."""
        made: dict[str, Any] = {
            "catalogue": Halls(), "places": OnePlace(Place("main", None, self.store)), "rebuild": self.rebuild,  # type: ignore[arg-type]
            "clock": self.clock, "metrics": self.metrics, "load": lambda: self.lag_ms[-1],
        }  # fmt: skip
        return LiveMap(**(made | changes))

    async def hold(self, *seats: int) -> bytes:
        """Have somebody hold seats; give the hold's id."""
        self.number += 1
        wish = ask(self.number % 250, seats, buyer=f"fan{self.number}", id=self.number.to_bytes(8, "big"))
        assert isinstance(await self.store.hold(EVENT, wish), Held)
        return wish.id

    async def release(self, hold_id: bytes) -> None:
        """Have them give the seats back."""
        await self.store.release(EVENT, hold_id, f"fan{int.from_bytes(hold_id, 'big')}")

    async def tick(self, ms: int = TICK_MS, live_map: LiveMap | None = None) -> None:
        """Let time pass, and step."""
        self.clock.advance(ms)
        await (live_map or self.live_map).step()

    async def crowd(self, lag_ms: float = 1_000) -> None:
        """Let it be too much until sections are told, or easy until seats are."""
        self.lag_ms.append(lag_ms)
        for _ in range(2):
            await self.tick(ENTER_MS if lag_ms else STAY_MS)
        assert self.live_map.is_crowded is (lag_ms > 0)

    async def eye(self, after: str | None = None, live_map: LiveMap | None = None) -> Eye:
        """Look as a page does: a snapshot, unless it has a version to go on after, and a stream."""
        own = live_map or self.live_map
        watch = Watch()
        if after is None and not own.is_crowded:
            body, _ = await own.snapshot(EVENT)
            watch.fetched(body.octets, deltas.version(body.version))
            after = body.version
        at = deltas.version(after) if after else None
        return Eye(await own.open(EVENT, at), watch)

    async def truth(self) -> Seen:
        """Look at the store itself."""
        seen = await HoldStore.look(self.store, EVENT)
        assert isinstance(seen, Seen)
        return seen


@asynccontextmanager
async def house(client: Redis, *, loaded: bool = True, bounds: Bounds | None = None) -> AsyncIterator[House]:
    """Open a hall, and a worker that shows it."""
    await client.flushall()
    lag_ms = [0.0]
    made = House(Store(client), ManualClock(NOW_MS), Metrics(CollectorRegistry()), None, lag_ms)  # type: ignore[arg-type]
    made.live_map = made.worker(bounds=bounds)
    if loaded:
        await made.store.load(EVENT, 1, EMPTY)
    yield made
    await made.live_map.stop()


async def sees_the_hall(eye: Eye, made: House) -> None:
    """Assert that a page has what the store has."""
    seen = await made.truth()
    assert eye.watch.copy is not None
    assert not eye.watch.is_lost
    assert (bytes(eye.watch.copy.octets), str(eye.watch.copy.version)) == (seen.map, seen.version)
