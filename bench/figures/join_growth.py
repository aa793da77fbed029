"""The figure join-growth: the rate of joins when a million wait already, against ten thousand.

Same server, same route, rooms side by side: a million in one, and for each round a fresh one with ten thousand, since a
round itself adds tens of thousands. Rounds alternate, so that the machine's moods hit both.
"""

import statistics
from collections.abc import Iterator
from functools import partial

from bench import harness, load
from bench.crowded import join_many
from bench.figure import Figure, failed, median_ratio
from bench.harness import Bench, Ours, Side

MANY, FEW = 1_000_000, 10_000
TARGET = 0.90


def measure(bench: Bench) -> Iterator[Figure]:
    """Measure joins to the long line and to short ones in turn."""
    short = [f"short-{number}" for number in range(bench.rounds + 1)]
    rooms = "".join(harness.room_toml(name, path=f"/{name}") for name in ("bench", *short))
    sent = 0
    with harness.our_server(bench, rooms) as ours:
        for name in short:
            harness.wait_for(f"{name} is open", partial(_is_open, ours, name), 15)
            join_many(ours, name, FEW)
        join_many(ours, "bench", MANY)
        rooms_left = iter(short)

        def long(seconds: int) -> load.Load:
            nonlocal sent
            seen = load.joins(ours.url, "bench", seconds=seconds, cores=bench.cores)
            sent += seen.requests
            return seen

        seen = harness.alternate(
            bench,
            long=Side(long, ours.pids),
            short=Side(
                lambda s: load.joins(ours.url, next(rooms_left), seconds=s, cores=bench.cores), ours.pids
            ),
        )
        issued = ours.issued("bench")
    many, few = ([one.per_s for one in seen[name]] for name in ("long", "short"))
    ratio = median_ratio(many, few)
    figure = Figure(
        "join-growth",
        ratio,
        "ratio",
        f"the same with {FEW:,} waiting",
        ratio=ratio,
        target=f">= {TARGET:.2f}",
        met=ratio >= TARGET,
        conditions=bench.conditions(),
        details={
            **harness.compared(seen["long"], seen["short"]),
            "per_s_at_1000000": round(statistics.median(many)),
            "per_s_at_10000": round(statistics.median(few)),
            "issued": issued,
        },
    )
    error = harness.unclean(seen["long"]) or harness.unclean(seen["short"])
    if error is None and issued < MANY + sent:
        error = f"{sent} joins were answered, but the line gave {issued - MANY} numbers"
    yield figure if error is None else failed(figure, error)


def _is_open(ours: Ours, room: str) -> bool:
    return ours.line(room).get("phase") == "serving"
