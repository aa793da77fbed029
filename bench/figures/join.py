"""The figure join: new fans a second on the shipped route, compared with a server that only says hello.

Every request is what the waiting page sends: a JSON body, ``Origin``, an idempotency key of its own, no cookie. Each
gets a number, a leaf, a signed ticket and two cookies, after the bucket of its address was asked. That every
answer was a place is checked by the line's counter, not only by the answers' codes.
"""

import statistics
from collections.abc import Iterator

from bench import harness, load
from bench.figure import Figure, failed, median_ratio
from bench.harness import Bench, Side
from bench.servers import reference

TARGET = 0.60
CONNECTIONS = load.CONNECTIONS


def measure(bench: Bench) -> Iterator[Figure]:
    """Measure joins against a bare Starlette hello, and against one INCR for each request."""
    with (
        harness.our_server(bench, harness.room_toml()) as ours,
        reference("starlette_hello", bench.folder, bench.cores) as hello,
        harness.store(bench.folder / "naive") as valkey,
        reference("naive_join", bench.folder, bench.cores, {"BENCH_STORE_URL": valkey.url}) as naive,
    ):
        sent = 0

        def joins(seconds: int) -> load.Load:
            nonlocal sent
            seen = load.joins(ours.url, "bench", seconds=seconds, cores=bench.cores)
            sent += seen.requests
            return seen

        seen = harness.alternate(
            bench,
            ours=Side(joins, ours.pids),
            hello=Side(lambda s: load.get(hello.url, seconds=s, cores=bench.cores), hello.pids),
            naive=Side(
                lambda s: load.joins(naive.url, "bench", seconds=s, cores=bench.cores),
                lambda: [*naive.pids(), valkey.pid],
            ),
        )
        issued = ours.issued("bench")
    rates = {name: [one.per_s for one in loads] for name, loads in seen.items()}
    error = harness.unclean(seen["ours"])
    most = sent + CONNECTIONS * (bench.rounds + 1)
    if error is None and not sent <= issued <= most:
        error = f"{sent} joins were answered, but the line gave {issued} numbers"
    for ref, against, target in (
        ("starlette-hello", "hello", TARGET),
        ("starlette, one INCR for each request", "naive", None),
    ):
        ratio = median_ratio(rates["ours"], rates[against])
        figure = Figure(
            "join",
            statistics.median(rates["ours"]),
            "joins/s",
            ref,
            ratio=ratio,
            target=None if target is None else f">= {target:.2f}",
            met=None if target is None else ratio >= target,
            conditions=bench.conditions(),
            details={
                **harness.compared(seen["ours"], seen[against]),
                "rounds_per_s": [round(rate) for rate in rates["ours"]],
                "issued": issued,
            },
        )
        yield figure if error is None else failed(figure, error)
