"""The figure map-crowded: what a hold costs while twice as many look at the map as a worker can serve.

Holds are made at a calm pace, open loop. First as many viewers have a stream as one worker is measured to serve
(``delta``), then twice as many. Then the worker must tell sections instead of seats, and a hold must not be slower for
it. The value is the p99 of a hold under the crowd, the reference the same under half of it.
"""

import asyncio
from collections.abc import Iterator

from bench.figure import Figure, say
from bench.figures.delta import FANS, VIEWERS, watch
from bench.harness import Bench
from bench.shop import GROUP, on_load_core, our_shop
from gateway.files import most_connections

HOLDS_PER_S = 100
SECONDS = 15
MOST_RATIO = 1.2


def measure(bench: Bench) -> Iterator[Figure]:
    """Look with as many as a worker serves, then with twice as many."""
    most_connections()
    with our_shop(bench, events=2) as shop:
        fans = shop.admissions(FANS)
        shop.welcome(fans)
        with on_load_core(bench):
            say(f"{VIEWERS:,} viewers")
            half = asyncio.run(watch(shop, shop.events[0], fans, VIEWERS, SECONDS, per_s=HOLDS_PER_S))
            say(f"{2 * VIEWERS:,} viewers")
            crowd = asyncio.run(watch(shop, shop.events[1], fans, 2 * VIEWERS, SECONDS, per_s=HOLDS_PER_S))
    ratio = crowd.hold_p99_ms / half.hold_p99_ms if half.hold_p99_ms else None
    errors = [
        f"{half.refused + crowd.refused} holds were refused" if half.refused + crowd.refused else "",
        "the crowd was told every seat" if not crowd.board.sections else "",
        f"{half.lost + crowd.lost} streams ended" if half.lost + crowd.lost else "",
    ]
    error = ", ".join(text for text in errors if text) or None
    yield Figure(
        "map-crowded",
        crowd.hold_p99_ms,
        "ms",
        f"{VIEWERS:,} viewers",
        ratio=ratio,
        target=f"<= {MOST_RATIO} of the reference, sections instead of seats",
        met=error is None and ratio is not None and ratio <= MOST_RATIO,
        conditions=bench.conditions(
            rounds=1,
            load=f"{2 * VIEWERS:,} streams and {HOLDS_PER_S} holds/s, open loop, for {SECONDS} s",
            seats_each=GROUP,
        ),
        details={
            "reference_p99_ms": round(half.hold_p99_ms, 1),
            "sections_told": crowd.board.sections,
            "sections_told_reference": half.board.sections,
            "seat_messages": len(crowd.board.arrivals),
        },
        error=error,
    )
