"""The figure memory-per-fan: what a million waiting cost the store.

The joins go through the service's own store method and script, in batches as the service makes them, while
`waitroom serve` runs on the same store and drains its journal. They carry no idempotency keys: such a key is
kept for a quarter of an hour by design (some 130 bytes each), a batch's answer for a minute, so the store is read after
that minute. Where it stands is
``used_memory``, so fragmentation and copies for persistence are not in it. Identity tags are not in use here.
"""

import time
from collections.abc import Iterator

import redis

from bench import harness
from bench.crowded import join_many
from bench.figure import Figure, failed
from bench.harness import Bench

FANS = 1_000_000
MOST_BYTES = 24
SHORT_LIVED_S = 60


def measure(bench: Bench) -> Iterator[Figure]:
    """Join a million, let what is short-lived go, and read the store's memory."""
    with (
        harness.our_server(bench, harness.room_toml()) as ours,
        redis.Redis.from_url(ours.store_url, decode_responses=True) as client,
    ):
        before = _settled(client)
        took_s = join_many(ours, "bench", FANS)
        harness.wait_for("short-lived keys are gone", lambda: _short_lived(client) == 0, SHORT_LIVED_S + 60)
        after = _settled(client)
        joined = ours.issued("bench")
        keys = sorted(str(key) for key in client.scan_iter(count=1000) if "leaves" not in str(key))
    each = (after - before) / FANS
    figure = Figure(
        "memory-per-fan",
        each,
        "bytes",
        target=f"<= {MOST_BYTES}",
        met=each <= MOST_BYTES,
        conditions=bench.conditions(rounds=1, load="store method in batches of 512"),
        details={
            "fans": FANS,
            "used_memory_before": before,
            "used_memory_after": after,
            "join_s": round(took_s, 1),
            "other_keys": keys[:40],
        },
    )
    yield figure if joined == FANS else failed(figure, f"{FANS} joined, but the line gave {joined} numbers")


def _short_lived(client: "redis.Redis") -> int:
    return sum(1 for kind in ("once", "batch") for _ in client.scan_iter(f"wr:*:{kind}:*", count=1000))


def _settled(client: "redis.Redis") -> int:
    """Return used_memory, read often enough to be below passing buffers."""
    seen = []
    for _ in range(10):
        seen.append(int(client.info("memory")["used_memory"]))
        time.sleep(0.2)
    return min(seen)
