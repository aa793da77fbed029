"""The figure seats-memory: what an event of 60,000 places with a fifth of them held costs the store.

All keys of the event are counted by the store itself (MEMORY USAGE, every element), after the journal has gone to SQL
and trimmed its stream. The reference is what comes to mind first: one hash with a field for each seat.
"""

from collections.abc import Iterator

import redis

from bench import harness
from bench.figure import Figure
from bench.harness import Bench
from bench.servers import ServerFailed
from bench.shop import our_shop
from checkout.halls.seats import Status

HELD_RATIO = 0.2
MOST_BYTES = 2_000_000
JOURNAL_S = 30.0


def measure(bench: Bench) -> Iterator[Figure]:
    """Hold a fifth of the hall and ask the store."""
    with our_shop(bench) as shop, redis.Redis.from_url(shop.store_url) as client:
        event = shop.events[0]
        held = shop.hold_directly(event, HELD_RATIO)
        harness.wait_for(
            "the journal is in SQL", lambda: client.xlen(f"co:{{{event}}}:journal") == 0, JOURNAL_S
        )
        sizes = {
            key.decode(): int(client.memory_usage(key, samples=0) or 0)
            for key in client.scan_iter(f"co:{{{event}}}:*", count=1000)
        }
        counted = shop.counts(event)[Status.HELD]
        pipe = client.pipeline(transaction=False)
        for seat in range(len(shop.plan.tiers)):
            pipe.hset("naive", str(seat), "held:fan0000000000000001" if seat < held else "free")
        pipe.execute()
        naive = int(client.memory_usage("naive", samples=0) or 0)
    total = sum(sizes.values())
    if counted != held:
        raise ServerFailed(f"{held} seats were held, but the store counts {counted}")
    yield Figure(
        "seats-memory",
        total,
        "bytes",
        "a hash with a field for each seat",
        ratio=total / naive,
        target=f"<= {MOST_BYTES}",
        met=total <= MOST_BYTES,
        conditions=bench.conditions(rounds=1, seats=len(shop.plan.tiers), held_ratio=HELD_RATIO),
        details={"reference_bytes": naive, "held": held, **sizes},
    )
