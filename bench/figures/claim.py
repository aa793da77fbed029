"""The figure claim: called fans who take their turn, each once, compared with a server that only says hello.

A claim checks a ticket and its leaf, passes the bucket and the cap in one script, marks the number, opens the session,
writes it to the journal's stream and signs a JWT with ES256. Rate and cap are set so high that nobody is held
back; that all were admitted is checked by the door's own counter.
"""

import itertools
import statistics
from collections.abc import Iterator
from pathlib import Path

import redis

from bench import harness, load
from bench.fans import tickets
from bench.figure import Figure, failed, median_ratio, say
from bench.harness import Bench, Ours, Side
from bench.servers import reference

TARGET = 0.15
PER_MINUTE = 3_000_000
WARM_UP = 20_000
SPARE_RATIO = 1.5


def measure(bench: Bench) -> Iterator[Figure]:
    """Measure claims against a bare Starlette hello."""
    room = harness.room_toml(new_users_per_minute=PER_MINUTE, claim_window_s=3600, session_duration=60)
    with (
        harness.our_server(bench, room) as ours,
        reference("starlette_hello", bench.folder, bench.cores) as hello,
    ):
        first = _claims(bench, ours, _called(bench, ours, WARM_UP, "0"), 1)
        each = int(first.per_s * bench.seconds * SPARE_RATIO)
        files = [_called(bench, ours, each, str(number + 1)) for number in range(bench.rounds + 1)]
        admitted_before, answered = _admitted(ours), 0
        numbers = itertools.count()

        def claims(seconds: int) -> load.Load:
            nonlocal answered
            seen = _claims(bench, ours, files[next(numbers)], seconds)
            answered += seen.requests
            return seen

        seen = harness.alternate(
            bench,
            ours=Side(claims, ours.pids),
            hello=Side(lambda s: load.get(hello.url, seconds=s, cores=bench.cores), hello.pids),
        )
        admitted = _admitted(ours) - admitted_before
    mine, theirs = ([one.per_s for one in seen[name]] for name in ("ours", "hello"))
    ratio = median_ratio(mine, theirs)
    figure = Figure(
        "claim",
        statistics.median(mine),
        "claims/s",
        "starlette-hello",
        ratio=ratio,
        target=f">= {TARGET:.2f}",
        met=ratio >= TARGET,
        conditions=bench.conditions(),
        details={**harness.compared(seen["ours"], seen["hello"]), "admitted": admitted},
    )
    error = harness.unclean(seen["ours"])
    most = answered + load.CONNECTIONS * (bench.rounds + 1)
    if error is None and not answered <= admitted <= most:
        error = f"{answered} claims were answered, but {admitted} fans were admitted"
    yield figure if error is None else failed(figure, error)


def _called(bench: Bench, ours: Ours, count: int, name: str) -> Path:
    """Join fans, wait until all of them are called, and write their tickets to a file."""
    say(f"joining {count:,} fans and calling them")
    kept = bench.folder / f"tickets-{name}"
    kept.write_text("\n".join(tickets(ours.url, "bench", count)) + "\n")
    issued = ours.issued("bench")
    harness.wait_for(
        "all are called", lambda: int(ours.line("bench").get("serving:standard", 0)) >= issued, 60
    )
    return kept


def _claims(bench: Bench, ours: Ours, kept: Path, seconds: int) -> load.Load:
    args = ["/.waitroom/r/bench/claim", ours.url, "waitroom-ticket-bench", str(kept)]
    return load.run(ours.url, "claim", args, seconds=seconds, cores=bench.cores)


def _admitted(ours: Ours) -> int:
    with redis.Redis.from_url(ours.store_url, decode_responses=True) as client:
        return int(client.hget("wr:{bench}:door", "admitted") or 0)
