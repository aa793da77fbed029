"""The figure expiry-15k: 13,000 to 15,000 holds of a full hall end in the same millisecond; when are all seats free.

The value is the time from that end until the store counts no held seat. The sweeper of the worker does it, as it ships.
That the store did not stall meanwhile is read from the store's own slow log (a command of more than ten milliseconds),
and from a client that pings it all the time; the reference is the same client's worst ping before.
"""

import asyncio
import time
from collections.abc import Iterator

import redis

from bench.figure import Figure, say
from bench.harness import Bench
from bench.shop import GROUP, Shop, on_load_core, our_shop
from checkout.halls.seats import Status
from kernel.clock import SystemClock
from kernel.store import connect

MOST_S = 2.0
STALL_MS = 10.0
AHEAD_MS = 20_000
PATIENCE_S = 30.0
PING_S = 0.001


def measure(bench: Bench) -> Iterator[Figure]:
    """Fill a hall with holds that end together, and watch them go."""
    with our_shop(bench) as shop, redis.Redis.from_url(shop.store_url) as client:
        event = shop.events[0]
        until_ms = SystemClock().now_ms() + AHEAD_MS
        seats = shop.hold_directly(event, 1.0, until_ms=until_ms)
        left_ms = until_ms - SystemClock().now_ms()
        if left_ms < 2000:
            raise RuntimeError(f"filling the hall took too long: only {left_ms} ms are left")
        say(f"{seats // GROUP:,} holds end in {left_ms / 1000:.1f} s")
        client.config_set("slowlog-log-slower-than", int(STALL_MS * 1000))
        client.slowlog_reset()
        with on_load_core(bench):
            before_ms, after_ms, seconds = asyncio.run(_watch(shop, event, until_ms))
        stalls = client.slowlog_get(128)
    longest_ms = max((entry["duration"] / 1000 for entry in stalls), default=0.0)
    error = None if seconds is not None else f"not all seats were free within {PATIENCE_S:.0f} s"
    value = PATIENCE_S if seconds is None else seconds
    yield Figure(
        "expiry-15k",
        value,
        "s",
        "the worst ping before",
        ratio=after_ms / before_ms if before_ms else None,
        beside={"store_stall_ms": longest_ms},
        target=f"<= {MOST_S:.0f} s, no command of the store above {STALL_MS:.0f} ms",
        met=error is None and value <= MOST_S and longest_ms <= STALL_MS,
        conditions=bench.conditions(
            rounds=1, load=f"a client that pings the store every {PING_S * 1000:.0f} ms"
        ),
        details={
            "holds": seats // GROUP,
            "seats": seats,
            "commands_above_10_ms": len(stalls),
            "worst_ping_ms": round(after_ms, 2),
            "worst_ping_before_ms": round(before_ms, 2),
        },
        error=error,
    )


async def _watch(shop: Shop, event: str, until_ms: int) -> tuple[float, float, float | None]:
    """Return the worst ping before the end and after it, and how long the seats took to be free."""
    client = connect(shop.store_url)
    clock, before_ms, after_ms, seconds = SystemClock(), 0.0, 0.0, None
    try:
        while (now_ms := clock.now_ms()) < until_ms + PATIENCE_S * 1000:
            began = time.perf_counter()
            held = await client.hget(f"co:{{{event}}}:head", f"count:{int(Status.HELD)}")
            took_ms = (time.perf_counter() - began) * 1000
            if now_ms < until_ms:
                before_ms = max(before_ms, took_ms)
            else:
                after_ms = max(after_ms, took_ms)
                if held == b"0":
                    seconds = (clock.now_ms() - until_ms) / 1000
                    break
            await asyncio.sleep(PING_S)
    finally:
        await client.aclose()
    return before_ms, after_ms, seconds
