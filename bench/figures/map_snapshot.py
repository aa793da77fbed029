"""The figure map-snapshot: the map of 60,000 places, fetched again and again, compared with ready bytes of that size.

A third of the hall is held in groups of four that lie scattered, which is about as badly as a map compresses. Nobody
says "I have it already" here (that answer would be a 304 without a body); ``bytes`` is the whole answer on the wire.
"""

import statistics
from collections.abc import Iterator

from bench import harness, load
from bench.figure import Figure, failed, median_ratio
from bench.harness import Bench, Side
from bench.servers import reference
from bench.shop import our_shop
from checkout.halls.seats import Status

LEAST_PER_S = 500
MOST_BYTES = 15_000
HELD_RATIO = 0.36


def measure(bench: Bench) -> Iterator[Figure]:
    """Measure snapshots against raw ASGI that sends as many bytes."""
    with our_shop(bench) as shop:
        event = shop.events[0]
        held = shop.hold_directly(event, HELD_RATIO)
        (fan,) = shop.admissions(1)
        headers = {"Authorization": f"Bearer {fan}", "Accept-Encoding": "gzip"}
        path = f"/api/events/{event}/map"

        def snapshots(seconds: int) -> load.Load:
            return load.get(shop.url, path, seconds=seconds, cores=bench.cores, headers=headers)

        one = snapshots(1)
        size = round(one.bytes / max(1, one.requests))
        env = {"BENCH_BODY_BYTES": str(size)}
        with reference("raw_hello", bench.folder, bench.cores, env) as raw:
            seen = harness.alternate(
                bench,
                ours=Side(snapshots, shop.pids),
                raw=Side(lambda s: load.get(raw.url, seconds=s, cores=bench.cores), raw.pids),
            )
        counted = shop.counts(event)[Status.HELD]
    per_s = statistics.median(one.per_s for one in seen["ours"])
    figure = Figure(
        "map-snapshot",
        per_s,
        "snapshots/s",
        "raw ASGI, as many bytes",
        ratio=median_ratio([one.per_s for one in seen["ours"]], [one.per_s for one in seen["raw"]]),
        beside={"bytes": size},
        target=f">= {LEAST_PER_S}/s, <= {MOST_BYTES} bytes",
        met=per_s >= LEAST_PER_S and 0 < size <= MOST_BYTES,
        conditions=bench.conditions(seats=len(shop.plan.tiers), held_ratio=HELD_RATIO),
        details=harness.compared(seen["ours"], seen["raw"]),
    )
    error = harness.unclean(seen["ours"])
    if error is None and counted != held:
        error = f"{held} seats were held, but the store counts {counted}"
    yield figure if error is None else failed(figure, error)
