"""Counting: one network starves nobody, a store that is away stops nobody, and no address is kept."""

import asyncio
from ipaddress import ip_address

import pytest
from redis.asyncio import Redis

from botguard.velocity.counting import Velocity
from botguard.velocity.fair import DEPTH, HAND, SHARDS, Fair, hand
from botguard.velocity.store import SALT_KEPT_MS, VelocityStore
from botguard.velocity.subjects import DAY_MS, PLANS, Actor, Names, Subject, prefix
from botguard.velocity.windows import Count, Row
from kernel.clock import ManualClock
from kernel.errors import Unavailable
from tests.conftest import NOW_MS

SECRET = b"a secret of the bot guard"
FAN = Actor(ip_address("203.0.113.7"), "device-1", "identity-1")


class Stage:
    """Counting over a real store."""

    def __init__(self, store: object, clock: ManualClock, **more: object) -> None:
        self.missing: list[str] = []
        self.clock = clock
        self.velocity = Velocity(store, SECRET, clock, self.missing.append, store_ms=5_000, **more)  # type: ignore[arg-type]


class Store:
    """A store that answers when it may, or not at all; it remembers what it was asked."""

    def __init__(self) -> None:
        self.trips: list[list[Row]] = []
        self.is_away = False
        self.goes_on = asyncio.Event()
        self.goes_on.set()

    async def count(self, room: str, rows: list[Row]) -> list[Count]:
        """Count nothing."""
        del room
        await self.goes_on.wait()
        if self.is_away:
            raise Unavailable("store-away", "away")
        self.trips.append(list(rows))
        return [Count(1, 0)] * len(rows)

    async def salt(self, day: int, fresh: bytes) -> bytes:
        """Take the salt."""
        del day
        if self.is_away:
            raise Unavailable("store-away", "away")
        return fresh


async def test_acts_are_counted_for_network_browser_and_identity(store: Redis, clock: ManualClock) -> None:
    """Each by itself; who is not known has no count."""
    here = Stage(VelocityStore(store), clock)

    for _ in range(3):
        await here.velocity.act("main", FAN)
    told = await here.velocity.act("main", Actor(ip_address("203.0.113.200"), "device-2"))
    looked = await here.velocity.act("main", FAN, acts=False)

    assert {subject: count.acts for subject, count in (told or {}).items()} == {
        Subject.PREFIX: 4,
        Subject.DEVICE: 1,
    }
    assert {subject: count.acts for subject, count in (looked or {}).items()} == {
        Subject.PREFIX: 4, Subject.DEVICE: 3, Subject.IDENTITY: 3,
    }  # fmt: skip
    assert await here.velocity.act("other", FAN, acts=False) == {
        subject: Count(0, 0) for subject in (Subject.PREFIX, Subject.DEVICE, Subject.IDENTITY)
    }
    assert await here.velocity.act("main", Actor()) == {}


async def test_a_browser_that_takes_place_after_place_passes_its_limit_exactly(
    store: Redis, clock: ManualClock
) -> None:
    """The 20 that the burst allows, and not one more; two workers count together."""
    workers = [Stage(VelocityStore(store), clock), Stage(VelocityStore(store), clock)]
    told = [await workers[turn % 2].velocity.act("main", Actor(device="d")) for turn in range(25)]

    waits = [(counts or {})[Subject.DEVICE].wait_ms > 0 for counts in told]

    assert waits == [False] * PLANS[Subject.DEVICE].rate.burst + [True] * 5


async def test_acts_that_come_together_share_a_trip(clock: ManualClock) -> None:
    """One call of the store, not one for each."""
    fake = Store()
    here = Stage(fake, clock)
    await here.velocity.act("main", FAN)
    fake.goes_on.clear()

    waiting = [asyncio.ensure_future(here.velocity.act("main", FAN)) for _ in range(40)]
    await asyncio.sleep(0)
    fake.goes_on.set()
    await asyncio.gather(*waiting)

    assert [len(rows) for rows in fake.trips] == [3, 3, 39 * 3] or [len(rows) for rows in fake.trips] == [
        3,
        40 * 3,
    ]


async def test_the_store_away_stops_nobody_and_is_counted(clock: ManualClock) -> None:
    """Not known is an answer; when it is back, it counts again."""
    fake = Store()
    here = Stage(fake, clock)
    fake.is_away = True
    assert await here.velocity.act("main", FAN) is None
    fake.is_away = False
    assert await here.velocity.act("main", FAN) is not None
    fake.is_away = True
    assert await here.velocity.act("main", FAN) is None

    assert here.missing == ["store", "store"]


async def test_the_first_acts_of_a_day_ask_for_the_salt_once(clock: ManualClock) -> None:
    """However many come together."""
    fake, asked = Store(), []

    async def salt(day: int, fresh: bytes) -> bytes:
        asked.append(day)
        await asyncio.sleep(0)
        return fresh

    fake.salt = salt  # type: ignore[method-assign]
    here = Stage(fake, clock)
    told = await asyncio.gather(*[here.velocity.act("main", FAN) for _ in range(50)])
    clock.advance(DAY_MS)
    await here.velocity.act("main", FAN)

    assert None not in told
    assert asked == [NOW_MS // DAY_MS, NOW_MS // DAY_MS + 1]


async def test_a_slow_store_holds_nobody_up(clock: ManualClock) -> None:
    """After a moment it goes on without."""
    fake = Store()
    here = Stage(fake, clock)
    await here.velocity.act("main", FAN)
    fake.goes_on.clear()
    here.velocity._store_s = 0.01

    assert await here.velocity.act("main", FAN) is None
    assert here.missing == ["slow"]
    await here.velocity.close()


def address(network: int) -> Actor:
    """Give somebody of the n-th network."""
    return Actor(ip_address((10 << 24) + (network << 8) + 1))


async def flooded(here: Stage, fake: Store, others: int) -> int:
    """Have one network send ten times what there is room for, then others one act each; return who was counted."""
    await here.velocity.act("main", address(0))
    fake.goes_on.clear()
    await here.velocity.submit("main", address(0))
    await asyncio.sleep(0)
    for _ in range(SHARDS * DEPTH * 10):
        await here.velocity.submit("main", address(0))
    answers = [await here.velocity.submit("main", address(network)) for network in range(1, others + 1)]
    fake.goes_on.set()
    await here.velocity.drained()
    return sum(answer is not None and answer.result() is not None for answer in answers)


async def test_one_network_that_floods_starves_no_other(clock: ManualClock) -> None:
    """It fills its own two queues; who shares one of them has another. One in 120 shares both."""
    fake = Store()
    here = Stage(fake, clock)

    assert await flooded(here, fake, 200) >= 200 * 0.97
    assert set(here.missing) == {"full"}


async def test_one_queue_for_all_would_be_noticed(clock: ManualClock) -> None:
    """The mutant: without shards the flood keeps out everybody."""
    fake = Store()
    here = Stage(fake, clock, fair=Fair(shards=1, size=1, depth=DEPTH))

    assert await flooded(here, fake, 200) == 0


def test_hands_are_dealt_evenly_and_without_a_card_twice() -> None:
    """All 240 of them, by a hash's first bytes."""
    hands = [hand((number * 0x9E3779B97F4A7C15 % 2**64).to_bytes(8)) for number in range(24_000)]

    assert all(len(set(one)) == HAND for one in hands)
    assert {place for one in hands for place in one} == set(range(SHARDS))
    often = [hands.count(one) for one in sorted(set(hands))]
    assert (len(often), min(often) > 60, max(often) < 140) == (SHARDS * (SHARDS - 1), True, True)


def test_a_trip_takes_from_all_queues_in_turn() -> None:
    """However long one of them is."""
    fair: Fair[str] = Fair(shards=3, size=1, depth=10)
    names = {
        place: next(bytes([0] * 7 + [n]) for n in range(99) if hand(bytes([0] * 7 + [n]), 3, 1) == (place,))
        for place in range(3)
    }
    for _ in range(9):
        assert fair.put(names[0], "flood")
    assert fair.put(names[1], "one")
    assert fair.put(names[2], "two")

    assert sorted(fair.take(3)) == ["flood", "one", "two"]
    assert (len(fair), len(fair.take(100)), len(fair)) == (8, 8, 0)


async def test_nothing_that_names_anybody_is_kept(store: Redis, clock: ManualClock) -> None:
    """No address, no device, no identity in any key or value; every record has an end."""
    here = Stage(VelocityStore(store), clock)
    await here.velocity.act("main", FAN)

    kept = sorted(await store.keys("*"))
    texts = [
        *kept,
        *[
            text
            for name in kept
            if b"salt" not in name
            for pair in (await store.hgetall(name)).items()
            for text in pair
        ],
    ]

    assert len(kept) == 4
    for secret in (b"203.0", b"cb0071", b"device-1", b"identity-1"):
        assert not [text for text in texts if secret in text]
    assert [name for name in kept if not 0 < await store.pttl(name) <= SALT_KEPT_MS] == []


async def test_tomorrow_nobody_is_known_by_todays_name(store: Redis, clock: ManualClock) -> None:
    """The salt is another; all workers share it within the day."""
    first, second = Stage(VelocityStore(store), clock), Stage(VelocityStore(store), clock)
    await first.velocity.act("main", FAN)
    today = await second.velocity.act("main", FAN)
    clock.advance(DAY_MS)
    tomorrow = await second.velocity.act("main", FAN)

    assert today is not None
    assert tomorrow is not None
    assert (today[Subject.DEVICE].acts, tomorrow[Subject.DEVICE].acts) == (2, 1)


def test_names_without_the_days_salt_would_be_noticed() -> None:
    """The mutant: the same salt for ever makes a name that is the same for ever."""
    day = NOW_MS // DAY_MS
    names = [Names(SECRET, salt, day).of(Subject.DEVICE, "d") for salt in (b"one", b"two", b"one")]

    assert names[0] != names[1]
    assert names[0] == names[2]
    assert Names(SECRET, b"one", day).of(Subject.PREFIX, "d") != names[0]


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("203.0.113.1", "203.0.113.254", True),
        ("203.0.113.1", "203.0.112.1", False),
        ("2001:db8:1:1::1", "2001:db8:1:ffff::1", True),
        ("2001:db8:1::", "2001:db8:2::", False),
        ("0.0.0.1", "::1", False),
    ],
)
def test_a_network_is_a_24_or_a_48(one: str, other: str, same: bool) -> None:
    """What an internet provider gives out at once."""
    assert (prefix(ip_address(one)) == prefix(ip_address(other))) is same
