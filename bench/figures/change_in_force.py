"""The figure change-in-force: seconds from an operator's change until every worker tells it to fans.

Three workers under as many joins and polls as they can bear; a rate or a stop is changed by the API, and each worker is
asked for its status document until the last one shows it. Compared with one worker that has nothing else to do.
"""

import math
import statistics
import threading
from collections.abc import Callable, Iterator

from bench import harness, load
from bench.figure import Figure, failed, say
from bench.harness import Bench
from bench.in_force import every_worker, samples
from bench.load import Load, LoadFailed

WORKERS = 3
TARGET_S = 2.0
CONNECTIONS = 32
LEAST = 10
PATH = "/.waitroom/r/bench/status"


def measure(bench: Bench) -> Iterator[Figure]:
    """Measure three busy workers, then an idle one."""
    busy, loads, fault = _busy(bench)
    idle = _idle(bench)
    p99_s, reference_s = _at(busy, 0.99), _at(idle, 0.99)
    figure = Figure(
        "change-in-force",
        p99_s,
        "s",
        "one worker without load",
        ratio=p99_s / reference_s,
        target=f"<= {TARGET_S:g}",
        met=p99_s <= TARGET_S,
        beside={"p50": statistics.median(busy), "max": max(busy)},
        conditions=bench.conditions(
            workers=WORKERS, load=f"wrk -t1 -c{CONNECTIONS} of polls, wrk -t1 -c{load.CONNECTIONS} of joins"
        ),
        details={
            "value_is": "p99",
            "changes": len(busy),
            "reference_changes": len(idle),
            "reference_p50_s": round(statistics.median(idle), 4),
            "reference_p99_s": round(reference_s, 4),
            "requests_per_s": round(sum(one.per_s for one in loads)),
        },
    )
    error = fault or harness.unclean(loads)
    if error is None and len(busy) < LEAST:
        error = f"only {len(busy)} changes were made"
    yield figure if error is None else failed(figure, error)


def _busy(bench: Bench) -> tuple[list[float], list[Load], str | None]:
    seconds = min(harness.MOST_SECONDS, bench.seconds * bench.rounds)
    loads: list[Load] = []
    faults: list[str] = []

    def run(one: Callable[[], Load]) -> None:
        try:
            loads.append(one())
        except LoadFailed as error:
            faults.append(str(error))

    with (
        harness.our_server(bench, harness.room_toml(), name="busy", workers=WORKERS) as ours,
        every_worker(ours, WORKERS) as workers,
    ):
        sides = (
            lambda: load.joins(ours.url, "bench", seconds=seconds, cores=bench.cores),
            lambda: load.get(ours.url, PATH, seconds=seconds, cores=bench.cores, connections=CONNECTIONS),
        )
        threads = [threading.Thread(target=run, args=(side,)) for side in sides]
        for thread in threads:
            thread.start()
        say(f"changes for {seconds} s under load")
        seen = samples(ours, workers, lambda: all(thread.is_alive() for thread in threads))
        for thread in threads:
            thread.join()
    return seen, loads, faults[0] if faults else None


def _idle(bench: Bench) -> list[float]:
    say("changes without load")
    with (
        harness.our_server(bench, harness.room_toml(), name="idle") as ours,
        every_worker(ours, 1) as workers,
    ):
        left = iter(range(5 * max(2, bench.rounds)))
        return samples(ours, workers, lambda: next(left, None) is not None)


def _at(values: list[float], share: float) -> float:
    """Return the smallest value that so large a share does not exceed."""
    return sorted(values)[max(0, math.ceil(share * len(values)) - 1)]
