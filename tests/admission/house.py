"""A door with everything around it: places by a ticket's text, limits, a line, a ring of keys."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from prometheus_client import CollectorRegistry
from redis.asyncio import Redis

from admission.door import Place
from admission.keyring import KeyRing
from admission.limits import Limits
from admission.metrics import Metrics
from admission.pace import LineFacts
from admission.ports import LineKeys
from admission.service import Admission
from admission.store import AdmissionStore
from kernel.clock import Clock, ManualClock
from kernel.errors import Refused
from tests.admission.doors import KEYS, LIMITS, LINE, NOW_MS, ROOM, place, write_line


@dataclass
class TestPlaces:
    """Reads tickets whose text is their number."""

    __test__ = False

    changes: dict[str, Any] = field(default_factory=dict)

    async def place_of(self, room: str, ticket_text: str, now_ms: int) -> Place:
        """Return the place of a number; the call was just now."""
        assert room
        if not ticket_text:
            raise Refused("ticket-missing", "You have no place in this line yet.", status=401)
        if not ticket_text.isdigit():
            raise Refused("ticket-invalid", "This place cannot be read.", status=403)
        return place(int(ticket_text), called_ms=now_ms, **self.changes)


@dataclass
class TestRooms:
    """One room, whose limits a test may change."""

    __test__ = False

    now: Limits = LIMITS

    def limits(self, room: str) -> Limits:
        """Return the limits of the one room."""
        if room != ROOM:
            raise Refused("room-unknown", "There is no waiting room at this address.", status=404)
        return self.now

    def names(self) -> Sequence[str]:
        """List the one room."""
        return [ROOM]


@dataclass
class TestLine:
    """A line whose thresholds are in the store, as the waiting room keeps them."""

    __test__ = False

    store: Redis
    issued: int = 1_000
    phase: str = "serving"
    calls: list[tuple[int, Mapping[str, int], int]] = field(default_factory=list)
    serving: Mapping[str, int] = field(default_factory=lambda: LINE.serving)
    is_lost: bool = False

    def keys(self, room: str) -> LineKeys:
        """Name the keys."""
        assert room == ROOM
        return KEYS

    async def facts(self, room: str) -> LineFacts | None:
        """Tell the line."""
        assert room == ROOM
        if self.is_lost:
            return None
        return LineFacts(LINE.run, LINE.epoch, 1, self.phase, self.issued, self.serving)

    async def call(
        self, room: str, facts: LineFacts, slot: int, serving: Mapping[str, int], plan_per_minute: int
    ) -> bool:
        """Commit thresholds once for each slot."""
        assert (room, facts.run) == (ROOM, LINE.run)
        if self.calls and slot <= self.calls[-1][0]:
            return False
        self.calls.append((slot, serving, plan_per_minute))
        self.serving = serving
        await write_line(self.store, replace(LINE, serving=serving))
        return True


@dataclass
class House:
    """All parts by name."""

    admission: Admission
    store: AdmissionStore
    places: TestPlaces
    rooms: TestRooms
    line: TestLine
    ring: KeyRing
    clock: Clock
    registry: CollectorRegistry


def house(store: Redis, clock: Clock | None = None, limits: Limits = LIMITS) -> House:
    """Build a door on a store."""
    clock = clock or ManualClock(NOW_MS)
    own, places, rooms, line = AdmissionStore(store), TestPlaces(), TestRooms(limits), TestLine(store)
    ring, registry = KeyRing.fresh(NOW_MS), CollectorRegistry()
    admission = Admission(own, places, rooms, line, ring, clock, Metrics(registry))
    return House(admission, own, places, rooms, line, ring, clock, registry)
