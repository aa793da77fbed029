"""The figure gate-proxy: what going through the gate costs a fan who is inside, compared with the origin alone.

The origin is a raw-ASGI answer of 1 kB on the same core as the gate, so the ratio counts the work of both
against the work of one. Added latency is measured with one connection, where nobody queues: under 64 a closed
loop only measures its own queue. A claim first gives the fan a real admission.
"""

import statistics
import urllib.error
import urllib.request
from collections.abc import Iterator

from bench import harness, load
from bench.fans import claim, tickets
from bench.figure import Figure, failed, median_ratio
from bench.harness import Bench, Side
from bench.servers import reference

BODY_BYTES = 1024


def measure(bench: Bench) -> Iterator[Figure]:
    """Measure an admitted fan's requests through the gate and direct."""
    with (
        reference("raw_hello", bench.folder, bench.cores, {"BENCH_BODY_BYTES": str(BODY_BYTES)}) as origin,
        harness.our_server(
            bench, harness.room_toml(origin=origin.url, new_users_per_minute=60_000, session_duration=60)
        ) as ours,
    ):
        (ticket,) = tickets(ours.url, "bench", 1)
        harness.wait_for(
            "the fan is called", lambda: int(ours.line("bench").get("serving:standard", 0)) >= 1, 15
        )
        inside = {"Cookie": f"waitroom-admission-bench={claim(ours.url, 'bench', ticket)['admission']}"}
        error = _not_the_origin(ours.url, inside)

        def through(seconds: int, connections: int = load.CONNECTIONS) -> load.Load:
            return load.get(
                ours.url, "/shop", seconds=seconds, cores=bench.cores, headers=inside, connections=connections
            )

        def direct(seconds: int, connections: int = load.CONNECTIONS) -> load.Load:
            return load.get(origin.url, "/shop", seconds=seconds, cores=bench.cores, connections=connections)

        both = [*ours.pids(), *origin.pids()]
        busy = harness.alternate(bench, ours=Side(through, lambda: both), origin=Side(direct, origin.pids))
        calm = harness.alternate(
            bench,
            ours=Side(lambda s: through(s, 1), lambda: both),
            origin=Side(lambda s: direct(s, 1), origin.pids),
        )
    mine, theirs = ([one.per_s for one in busy[name]] for name in ("ours", "origin"))
    added = {
        name: statistics.median(
            getattr(one, name) - getattr(other, name)
            for one, other in zip(calm["ours"], calm["origin"], strict=True)
        )
        for name in ("p50_ms", "p99_ms")
    }
    figure = Figure(
        "gate-proxy",
        statistics.median(mine),
        "requests/s",
        f"the origin direct: raw ASGI, {BODY_BYTES} bytes",
        ratio=median_ratio(mine, theirs),
        conditions=bench.conditions(origin="same core as the gate"),
        details={
            **harness.compared(busy["ours"], busy["origin"]),
            "added_p50_ms_one_connection": round(added["p50_ms"], 3),
            "added_p99_ms_one_connection": round(added["p99_ms"], 3),
        },
    )
    error = error or harness.unclean(busy["ours"]) or harness.unclean(calm["ours"])
    yield figure if error is None else failed(figure, error)


def _not_the_origin(url: str, headers: dict[str, str]) -> str | None:
    """Return what is wrong when an admitted request does not get the origin's answer."""
    with urllib.request.urlopen(urllib.request.Request(f"{url}/shop", headers=headers), timeout=10) as answer:
        body = answer.read()
    return None if body == b"x" * BODY_BYTES else f"the gate answered {len(body)} other bytes"
