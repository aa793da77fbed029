"""The figure one-seat: 2,000 fans on 2,000 sockets ask for the same seat at the same moment; how many win.

Every socket is open before the first request leaves. All must be answered: one with 201, the others with 409 and the
seat's state. The reference is what a hall without a transition would do: nothing, so there is none; the number is a
count and the right one is 1.
"""

import asyncio
import json
from collections.abc import Iterator

from bench.figure import Figure
from bench.harness import Bench
from bench.paced import paced
from bench.shop import on_load_core, our_shop
from checkout.halls.seats import Status
from gateway.files import most_connections

FANS = 2000
SEAT = 0


def measure(bench: Bench) -> Iterator[Figure]:
    """Send all at once and count who won."""
    most_connections()
    with our_shop(bench) as shop:
        event = shop.events[0]
        fans = shop.admissions(FANS)
        shop.welcome(fans)
        asked = [shop.hold(event, one, f"one-{number}", {"seats": [SEAT]}) for number, one in enumerate(fans)]
        with on_load_core(bench):
            seen = asyncio.run(paced(shop.url, asked, 0, connections=FANS, keep_bodies=True))
        held = shop.counts(event)[Status.HELD]
    winners, losers = seen.statuses[201], seen.statuses[409]
    told = sum(
        json.loads(body).get("taken") == [{"seat": SEAT, "status": int(Status.HELD)}] for body in seen.bodies
    )
    error = None
    if winners + losers != FANS or seen.unanswered:
        error = f"{seen.unanswered} went unanswered, the others {dict(seen.statuses)}"
    elif told != losers or held != winners:
        error = f"{told} of {losers} were told the seat's state; {held} seats are held"
    yield Figure(
        "one-seat",
        winners,
        "winners",
        target="= 1, all answered",
        met=winners == 1 and error is None,
        conditions=bench.conditions(rounds=1, load=f"{FANS:,} sockets, one request each, all at once"),
        details={
            "answered": winners + losers,
            "seconds": round(seen.seconds, 2),
            "p99_ms": round(seen.percentile_ms(0.99)),
        },
        error=error,
    )
