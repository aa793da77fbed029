"""Simulating: people of each group join through the real guard, and their turn comes near.

Everything is the code that runs in production, but for the store: acts are counted by the Python of the same rule
(``velocity.windows``; tests hold it against the store's script). No network, no clock: the same seed gives the same
people. Others who act from a group's addresses have acted before. Not here: what is fair (``measure``).
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from ipaddress import ip_address

from prometheus_client import CollectorRegistry

from botguard.behaviour import Behaviour
from botguard.fairness.groups import Group, Place
from botguard.fairness.rhythms import Rhythms
from botguard.metrics import Metrics
from botguard.request.crawlers import Crawlers
from botguard.request.facts import Asking, Reader
from botguard.request.networks import FOLDER, shipped
from botguard.request.own_list import read_own_list
from botguard.request.search_bots import SearchBots
from botguard.service import Guard, Mode
from botguard.velocity.counting import Velocity
from botguard.velocity.subjects import Actor
from botguard.velocity.windows import Count, Record, Row, count
from botguard.verdict import Judged, Thresholds, Verdict, by_likelihood
from kernel.clock import ManualClock
from kernel.errors import Refused

MANY = 240
SEED = 7
NOW_MS = 1_800_000_000_000
TOR = "192.0.2.0/24"
CROWD_AT_ONCE = 100
CLOUD_ADDRESSES = 3
RELAY_ADDRESSES = 20
_DEFAULT = Thresholds()
PATH = "/.waitroom/r/main/join"


class MemoryCounters:
    """``velocity.counting.Counters`` without a store."""

    def __init__(self, clock: ManualClock) -> None:
        """Know nobody."""
        self._clock = clock
        self._records: dict[tuple[str, str], Record] = {}

    async def count(self, room: str, rows: list[Row]) -> list[Count]:
        """Count acts."""
        found = []
        for row in rows:
            key = room, row.subject
            record, told = count(
                self._records.get(key, Record()), row.plan, self._clock.now_ms(), acts=row.acts
            )
            self._records[key] = record
            found.append(told)
        return found

    async def salt(self, day: int, fresh: bytes) -> bytes:
        """Take the salt."""
        del day
        return fresh


class _NoNames:
    """``request.ports.Resolver``: nobody is asked."""

    async def name_of(self, address: str) -> str:
        """Know no name."""
        del address
        return ""

    async def addresses_of(self, name: str) -> frozenset[str]:
        """Know no address."""
        del name
        return frozenset()


@dataclass(frozen=True, slots=True)
class Seen:
    """What befell somebody: at the join (None: let in as everybody), and when the turn came near."""

    join: Verdict | None
    settled: Judged

    def outcome(self, thresholds: Thresholds) -> Verdict:
        """Return what followed in the end, under these thresholds."""
        if self.join is not None:
            return self.join
        likelihood = self.settled.likelihood
        return self.settled.verdict if likelihood is None else by_likelihood(likelihood, thresholds)


@dataclass(slots=True)
class House:
    """A guard with everything that it needs, in memory."""

    clock: ManualClock = field(default_factory=lambda: ManualClock(NOW_MS))

    def __post_init__(self) -> None:
        """Put it together as ``gateway.bot_guard`` does."""
        metrics = Metrics(CollectorRegistry())
        own = read_own_list(f"tor {TOR}".encode())
        reader = Reader(
            Crawlers(),
            shipped(),
            own_list=lambda: own,
            keys=dict,
            search_bots=SearchBots(_NoNames(), metrics.confirmations.count),
        )
        self.velocity = Velocity(
            MemoryCounters(self.clock), b"fairness", self.clock, metrics.without.count, store_ms=5_000
        )
        self.guard = Guard(reader, self.velocity, metrics)

    velocity: Velocity = field(init=False)
    guard: Guard = field(init=False)


async def simulate(
    groups: Sequence[Group], rhythms: Rhythms, *, many: int = MANY, seed: int = SEED
) -> dict[str, list[Seen]]:
    """Have `many` people of each group join and settle; return what befell them, by the group's name."""
    house = House()
    try:
        return {group.name: await _group(house, group, rhythms, many, seed) for group in groups}
    finally:
        await house.guard.close()


async def _group(house: House, group: Group, rhythms: Rhythms, many: int, seed: int) -> list[Seen]:
    dice = random.Random(f"{seed} {group.name}")  # noqa: S311 (a seeded crowd, no cryptography)
    told = rhythms.spread(group.rhythm, many)
    dice.shuffle(told)
    where = addresses(group.place)
    await crowd(house, group.name, where, group.others)
    return [
        await _person(house, group, number, where[number % len(where)], told[number])
        for number in range(many)
    ]


async def _person(house: House, group: Group, number: int, address: str, behaviour: float | None) -> Seen:
    headers = group.requests[number % len(group.requests)]
    asking = Asking(address, "POST", PATH, is_tls=True)
    device = f"{group.name} {number}" if group.has_cookies else ""
    join: Verdict | None = None
    # With the first join nobody has a cookie of ours yet; then the page is opened once more.
    for known in ("", device):
        try:
            judged = await house.guard.join(
                group.name,
                headers,
                asking,
                house.clock.now_ms(),
                mode=Mode.ON,
                thresholds=_DEFAULT,
                device=known,
            )
        except Refused:
            join = Verdict.DENY
            break
        if judged.verdict is not Verdict.ALLOW:
            join = judged.verdict
    settled = await house.guard.settle(
        group.name,
        headers,
        asking,
        house.clock.now_ms(),
        mode=Mode.ON,
        thresholds=_DEFAULT,
        device=device,
        behaviour=Behaviour(behaviour),
    )
    return Seen(join, settled)


async def crowd(house: House, room: str, where: Sequence[str], many: int) -> None:
    """Have others act from these addresses."""
    for begin in range(0, many, CROWD_AT_ONCE):
        for at in range(begin, min(many, begin + CROWD_AT_ONCE)):
            await house.velocity.submit(room, Actor(ip_address(where[at % len(where)])))
        await house.velocity.drained()


def addresses(place: Place) -> list[str]:
    """Return where people of a place come from."""
    match place:
        case Place.HOUSEHOLDS:
            return [f"10.{number >> 8}.{number & 255}.7" for number in range(4_096)]
        case Place.CARRIER:
            return ["100.64.7.9"]
        case Place.TOR:
            return ["192.0.2.7", "192.0.2.8", "192.0.2.9"]
        case Place.OFFICE:
            return ["198.51.100.20"]
        case Place.RELAY:
            return _first("apple-proxy", RELAY_ADDRESSES)
        case Place.CLOUD:
            return _first("amazon", CLOUD_ADDRESSES)


def _first(name: str, many: int) -> list[str]:
    """Return the first addresses of the first ranges of a list."""
    text = (FOLDER / "ipranges" / f"{name}.txt").read_text("ascii")
    return [line.partition("/")[0] for line in text.split() if ":" not in line][:many]
