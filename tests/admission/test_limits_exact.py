"""The promise of the door, on a real server, under many workers at once.

In any window of W no more than rate times W plus burst are admitted, and never are more than ``total_active_users``
inside. The workers' clocks differ and stall; some fans leave, some sessions are finished early. What is checked is
what the journal says, by a count of its own. The mutants below break one guard each, and the check fails.
"""

import asyncio
import random
from collections.abc import Callable
from dataclasses import replace

import pytest
from redis.asyncio import Redis

from admission.claim import Admitted, Again, Used
from admission.limits import Limits
from admission.sessions import FREE_MS, Why
from admission.store import _LUA, AdmissionStore
from kernel import gcra
from kernel.lua import Script, load
from kernel.store import connect
from tests.admission.doors import (
    KEYS,
    LIMITS,
    LINE,
    NOW_MS,
    ROOM,
    a_line,
    journal,
    leaf,
    place,
    sid,
)

WORKERS = 5
FANS = 240
SPAN_MS = 20_000


def breaches(acts: list[dict[str, str]], limits: Limits) -> list[str]:
    """Tell where the journal breaks a promise. Counts anew, from the times alone."""
    rate = gcra.per_minute(limits.new_users_per_minute)
    admitted = [act for act in acts if act["kind"] == "admitted"]
    times = sorted(int(act["at_ms"]) for act in admitted)
    found = [
        f"{last - first + 1} within {times[last] - times[first]} ms"
        for first in range(len(times))
        for last in range(first, len(times))
        if last - first + 1 > (times[last] - times[first]) * 1_000 // rate.interval_us + rate.burst
    ]
    ends = {act["sid"]: int(act["until_ms"]) for act in admitted}
    for act in acts:
        if act["kind"] in {"ended", "left"} and act["sid"] in ends:
            ends[act["sid"]] = min(ends[act["sid"]], int(act["at_ms"]) + FREE_MS)
    changes = sorted([(at_ms, 1) for at_ms in times] + [(until_ms, -1) for until_ms in ends.values()])
    inside = 0
    for at_ms, change in changes:
        inside += change
        if inside > limits.total_active_users:
            found.append(f"{inside} inside at {at_ms}")
    numbers = [act["number"] for act in admitted]
    found += [f"number {number} twice" for number in set(numbers) if numbers.count(number) > 1]
    return found


async def rush(
    store: Redis,
    url: str,
    limits: Limits,
    *,
    scripts: dict[str, Script] | None = None,
    seed: int = 1,
    clock: Callable[[], int | None] | None = None,
) -> list[dict[str, str]]:
    """Let a called crowd in through several workers for a while; return what was recorded."""
    chance = random.Random(seed)
    await a_line(store, LINE, tuple(range(FANS)))
    at = {"ms": NOW_MS}
    clients = [connect(url) for _ in range(WORKERS)]
    workers = [AdmissionStore(client, scripts) for client in clients]

    def now_ms() -> int | None:
        """Tell a worker's time: the true one, or up to three seconds behind."""
        return clock() if clock else at["ms"] - chance.choice([0, 0, 0, 5, 300, 3_000])

    async def fan(number: int) -> None:
        worker = workers[number % WORKERS]
        own = place(number, recall=number % 7 == 0, rank=number, leaf=leaf(number))
        while at["ms"] < NOW_MS + SPAN_MS:
            outcome = await worker.claim(own, sid(number), limits, at["ms"], now_ms())
            at["ms"] += chance.choice([0, 0, 1, 7, 20])
            match outcome:
                case Admitted() | Again() if number % 5 == 0:
                    await worker.end(ROOM, KEYS, sid(number), Why.FINISHED, limits, now_ms())
                    return
                case Admitted() | Again() if number % 11 == 0:
                    await worker.leave(own, sid(number), now_ms())
                    return
                case Admitted() | Used():
                    return
            if chance.random() < 0.02:
                await worker.settle(ROOM, KEYS, FANS, limits, now_ms())

    try:
        await asyncio.gather(*(fan(number) for number in range(FANS)))
    finally:
        for client in clients:
            await client.aclose()
    return await journal(store)


BUSY = replace(
    LIMITS, new_users_per_minute=900, total_active_users=100_000, session_ms=5_000, leeway_ms=1_000
)
FULL = replace(BUSY, new_users_per_minute=60_000, total_active_users=7)


@pytest.mark.parametrize("seed", [1, 2])
async def test_no_window_admits_more_than_its_rate(store: Redis, store_url: str, seed: int) -> None:
    """Fifteen a second; the crowd asks a hundred times as often."""
    acts = await rush(store, store_url, BUSY, seed=seed)

    assert breaches(acts, BUSY) == []
    assert sum(act["kind"] == "admitted" for act in acts) >= 0.9 * min(FANS, 15 * SPAN_MS / 1_000)


@pytest.mark.parametrize("seed", [1, 2])
async def test_never_are_more_inside_than_there_are_places(store: Redis, store_url: str, seed: int) -> None:
    """Seven places and no other limit; fans leave, finish, or stay to the end."""
    acts = await rush(store, store_url, FULL, seed=seed)

    assert breaches(acts, FULL) == []
    assert sum(act["kind"] == "admitted" for act in acts) >= 15


async def test_both_limits_hold_on_the_stores_own_clock(store: Redis, store_url: str) -> None:
    """As in production: no time is passed in, the script asks the store."""
    limits = replace(BUSY, new_users_per_minute=3_000, total_active_users=30)

    acts = await rush(store, store_url, limits, clock=lambda: None)

    assert breaches(acts, limits) == []
    assert sum(act["kind"] == "admitted" for act in acts) >= 30


@pytest.mark.parametrize(
    ("name", "old", "new", "limits"),
    [
        ("claim", "interval_us * (burst - 1) <= now_us", "interval_us * burst <= now_us", BUSY),
        ("claim", "math.max(now_us, tat_us) + interval_us", "now_us + interval_us", BUSY),
        ("claim", "'+inf') < total_active_users", "'+inf') <= total_active_users", FULL),
        ("claim", "'+inf') < total_active_users", "'+inf') < 1e9", FULL),
        ("settle", "live < total_active_users", "live <= total_active_users", FULL),
        ("settle", "interval_us * (burst - 1) > now_us", "interval_us * burst > now_us", BUSY),
        ("end", "math.min(until_ms, now + free_ms)", "now", FULL),
    ],
)
async def test_the_check_fails_without_the_guard(
    store: Redis, store_url: str, name: str, old: str, new: str, limits: Limits
) -> None:
    """One guard less, and the journal shows it."""
    mutant = load(_LUA / f"{name}.lua").mutated(old, new)

    acts = await rush(store, store_url, limits, scripts={name: mutant})

    assert breaches(acts, limits)
