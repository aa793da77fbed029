"""The figure holds: four seats held by one request, compared with a server that only says hello.

A hold passes the guard (an admission of its own for each fan, known to the worker as after any page), the idempotency
key, sale window, limits and prices, one script on the store that moves the seats and tells the viewers, and the
journal. Groups of four go over several halls of 60,000 places, so that nobody is refused. Then the p99 of an open-loop
load at 70 % of the rate that was found.
"""

import asyncio
import itertools
import json
import statistics
from collections.abc import Iterator, Sequence
from pathlib import Path

from bench import harness, load
from bench.figure import Figure, failed, median_ratio, say
from bench.harness import Bench, Side
from bench.paced import paced
from bench.servers import reference
from bench.shop import GROUP, Shop, groups, on_load_core, our_shop
from checkout.halls.seats import Status

TARGET = 0.13
LEAST_PER_S = 2000
MOST_P99_MS = 50.0
MOST_PER_S = 6000
"""Faster than this no worker is; it decides how many halls are made."""

CALM_SHARE = 0.7
CALM_S = 5
FANS = 5000


def measure(bench: Bench) -> Iterator[Figure]:
    """Measure holds against a bare Starlette hello, then their latency at 70 % of the rate."""
    halls_each = 1 + MOST_PER_S * bench.seconds // 13_000
    events = halls_each * (bench.rounds + 1) + 1
    with (
        our_shop(bench, events=events) as shop,
        reference("starlette_hello", bench.folder, bench.cores) as hello,
    ):
        admissions = shop.admissions(FANS)
        fans = _file(bench.folder / "fans", admissions)
        seats = _file(
            bench.folder / "groups",
            [json.dumps(one, separators=(",", ":")) for one in groups(shop.plan.layout)],
        )
        numbers = itertools.count()
        answered = 0

        def holds(seconds: int) -> load.Load:
            nonlocal answered
            at = next(numbers)
            own = shop.events[at * halls_each : (at + 1) * halls_each]
            args = [shop.url, str(fans), str(seats), f"round{at}", *own]
            seen = load.run(shop.url, "hold", args, seconds=seconds, cores=bench.cores)
            answered += seen.requests
            return seen

        shop.welcome(admissions)
        seen = harness.alternate(
            bench,
            ours=Side(holds, shop.pids),
            hello=Side(lambda s: load.get(hello.url, seconds=s, cores=bench.cores), hello.pids),
        )
        rate = statistics.median(one.per_s for one in seen["ours"])
        say(f"open loop at {CALM_SHARE:.0%} of {rate:,.0f} holds/s for {CALM_S} s")
        calm_asked = _calm(shop, shop.events[-1], admissions, int(rate * CALM_SHARE * CALM_S))
        with on_load_core(bench):
            calm = asyncio.run(paced(shop.url, calm_asked, rate * CALM_SHARE))
        held = sum(shop.counts(event)[Status.HELD] for event in shop.events) // GROUP
    ratio = median_ratio([one.per_s for one in seen["ours"]], [one.per_s for one in seen["hello"]])
    p99_ms = calm.percentile_ms(0.99)
    figure = Figure(
        "holds",
        rate,
        "holds/s",
        "starlette-hello",
        ratio=ratio,
        beside={"p99_ms": p99_ms},
        target=f">= {TARGET:.2f}, >= {LEAST_PER_S} holds/s, p99 <= {MOST_P99_MS:.0f} ms at {CALM_SHARE:.0%}",
        met=ratio >= TARGET and rate >= LEAST_PER_S and p99_ms <= MOST_P99_MS,
        conditions=bench.conditions(seats_each=GROUP, halls=events, calm_load="open loop, 64 connections"),
        details={
            **harness.compared(seen["ours"], seen["hello"]),
            "held": held,
            "calm_per_s": round(rate * CALM_SHARE),
            "calm_p50_ms": round(calm.percentile_ms(0.5), 1),
        },
    )
    error = harness.unclean(seen["ours"])
    if error is None and (calm.unanswered or set(calm.statuses) != {201}):
        error = f"at the calm pace {calm.unanswered} went unanswered, the others {dict(calm.statuses)}"
    answered += calm.statuses[201]
    most = answered + load.CONNECTIONS * (bench.rounds + 1)
    if error is None and not answered <= held <= most:
        error = f"{answered} holds were answered, but {held} stand in the store"
    yield figure if error is None else failed(figure, error)


def _file(path: Path, rows: list[str]) -> Path:
    path.write_text("\n".join(rows) + "\n")
    return path


def _calm(shop: Shop, event: str, fans: Sequence[str], count: int) -> list[bytes]:
    """Write holds of groups of an event, each for the next fan."""
    seats = groups(shop.plan.layout)[:count]
    return [
        shop.hold(event, fans[number % len(fans)], f"calm-{number}", {"seats": wanted})
        for number, wanted in enumerate(seats)
    ]
