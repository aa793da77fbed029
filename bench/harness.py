"""The harness: one room, one worker, one store on one core, and rounds that alternate with a reference.

``Bench`` holds what every figure needs: a folder of its own, the cores, how long and how often. Lengths come from
``BENCH_SECONDS`` (5) and ``BENCH_ROUNDS`` (5); whatever is asked, a run ends by itself. The process pins
itself to the server's core, so that every child it starts is there too; only the load is put elsewhere.
"""

import json
import os
import statistics
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import redis

from bench.figure import say
from bench.load import Load
from bench.machine import Cores, Foreign, choose_cores, conditions, cpu_s, tree
from bench.servers import ServerFailed, free_port, running
from kernel.embedded import EmbeddedStore

OPERATOR_TOKEN = "bench-operator-token-that-is-long-enough"
MOST_SECONDS = 60
MOST_ROUNDS = 20
UNLIMITED = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Bench:
    """Where, how long and how often a figure is measured."""

    folder: Path
    cores: Cores
    seconds: int
    rounds: int
    foreign: Foreign

    def conditions(self, **more: object) -> dict[str, object]:
        """Return the conditions of a figure, to be read by who wants to repeat it."""
        busy = self.foreign.busy_cores()
        return {
            **conditions(self.cores),
            "workers": 1,
            "load": "wrk -t1 -c64",
            "seconds_per_round": self.seconds,
            "rounds": self.rounds,
            "busy_cores_in_all": busy,
            **more,
        }


@dataclass(frozen=True, slots=True)
class Ours:
    """Our server under test: its two ports, and the store that it works on."""

    url: str
    operator_url: str
    store_url: str
    pid: int
    store_pid: int

    def pids(self) -> list[int]:
        """Return the processes whose work is counted: supervisor, workers, and the store."""
        return [*tree(self.pid), self.store_pid]

    def line(self, room: str) -> dict[str, str]:
        """Read a room's line as it stands in the store."""
        with redis.Redis.from_url(self.store_url, decode_responses=True) as client:
            fields: dict[str, str] = client.hgetall(f"wr:{{{room}}}:line")
        return fields

    def issued(self, room: str) -> int:
        """Return how many numbers a room has given."""
        return int(self.line(room).get("issued", "0"))

    def operator(self, path: str) -> bytes:
        """Read from the operator's port."""
        ask = urllib.request.Request(
            self.operator_url + path, headers={"Authorization": f"Bearer {OPERATOR_TOKEN}"}
        )
        with urllib.request.urlopen(ask, timeout=10) as answer:
            return bytes(answer.read())


def wait_for(what: str, true: Callable[[], bool], within_s: float) -> None:
    """Wait until something is so. Raises ServerFailed when it is not in time."""
    until = time.monotonic() + within_s
    while not true():
        if time.monotonic() > until:
            raise ServerFailed(f"not within {within_s:.0f} s: {what}")
        time.sleep(0.1)


def prepare(folder: Path) -> Bench:
    """Pin this process to the server's core and read how long and how often to measure."""
    seconds, rounds = seconds_and_rounds(os.environ)
    cores = choose_cores()
    if cores.server is not None:
        os.sched_setaffinity(0, {cores.server})
    foreign = Foreign()
    foreign.start()
    return Bench(folder, cores, seconds, rounds, foreign)


def seconds_and_rounds(environ: Mapping[str, str]) -> tuple[int, int]:
    """Read how long a round is and how many there are. Raises ValueError."""
    return (
        _between(environ.get("BENCH_SECONDS", "5"), "BENCH_SECONDS", MOST_SECONDS),
        _between(environ.get("BENCH_ROUNDS", "5"), "BENCH_ROUNDS", MOST_ROUNDS),
    )


def _between(text: str, name: str, most: int) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= most:
        raise ValueError(f"{name} must be a whole number from 1 to {most}, not {text!r}")
    return int(text)


@dataclass(frozen=True, slots=True)
class Side:
    """One side of a comparison: a load of so many seconds, and the processes that answer it."""

    run: Callable[[int], Load]
    pids: Callable[[], list[int]]

    def measure(self, seconds: int) -> Load:
        """Run the load and note what the processes used meanwhile."""
        before = cpu_s(pids := self.pids())
        seen = self.run(seconds)
        return replace(seen, cpu_s=cpu_s(pids) - before)


def alternate(bench: Bench, **sides: Side) -> dict[str, list[Load]]:
    """Warm every side up, then measure them in turn, round after round.

    The order turns round with each round, so that a trend of the
    machine favours nobody.
    """
    for name, side in sides.items():
        say(f"warming up {name}")
        side.measure(1)
    seen: dict[str, list[Load]] = {name: [] for name in sides}
    for number in range(bench.rounds):
        order = list(sides) if number % 2 == 0 else list(reversed(sides))
        for name in order:
            load = sides[name].measure(bench.seconds)
            seen[name].append(load)
            say(
                f"round {number + 1} of {bench.rounds}: {name} {load.per_s:,.0f}/s, p99 {load.p99_ms:.1f} ms, "
                f"{load.cpu_us:.0f} us of processor each"
            )
    return seen


def compared(ours: list[Load], theirs: list[Load]) -> dict[str, object]:
    """Return what every comparison tells beside its ratio."""
    mine, other = (statistics.median(one.cpu_us for one in loads) for loads in (ours, theirs))
    return {
        "reference_per_s": round(statistics.median(one.per_s for one in theirs)),
        "p99_ms": round(statistics.median(one.p99_ms for one in ours), 1),
        "reference_p99_ms": round(statistics.median(one.p99_ms for one in theirs), 1),
        "cpu_us_each": round(mine, 1),
        "reference_cpu_us_each": round(other, 1),
        "ratio_by_cpu": round(other / mine, 3) if mine else 0.0,
    }


def unclean(loads: list[Load]) -> str | None:
    """Return what went wrong with requests, or None."""
    refused, broken = sum(load.refused for load in loads), sum(load.broken for load in loads)
    if refused or broken or not all(load.requests for load in loads):
        return f"{refused} answers of 400 and above, {broken} broken connections or timeouts"
    return None


@contextmanager
def store(folder: Path) -> Iterator[EmbeddedStore]:
    """Run a Valkey as the demo does, on this process's core."""
    folder.mkdir(parents=True, exist_ok=True)
    embedded = EmbeddedStore(folder)
    try:
        embedded.start()
        yield embedded
    finally:
        embedded.stop()


@contextmanager
def our_server(
    bench: Bench,
    rooms_toml: str,
    *,
    name: str = "ours",
    ready_room: str = "bench",
    workers: int = 1,
    more: Mapping[str, str] | None = None,
) -> Iterator[Ours]:
    """Run what ships, `waitroom serve`, with one worker or more on the server's core; wait until the room is open.

    `more` are further settings.
    """
    folder = bench.folder / name
    with store(folder / "store") as valkey:
        rooms = folder / "rooms.toml"
        rooms.write_text(rooms_toml)
        port, operator_port = free_port(), free_port()
        url, operator_url = f"http://127.0.0.1:{port}", f"http://127.0.0.1:{operator_port}"
        command = [*bench.cores.on_server(), str(Path(sys.executable).parent / "waitroom"), "serve"]
        ready = f"{url}/.waitroom/health/ready"
        env = {
            "WAITROOM_ROOMS": str(rooms),
            "WAITROOM_DATA": str(folder / "data"),
            "WAITROOM_PORT": str(port),
            "WAITROOM_OPERATOR_PORT": str(operator_port),
            "WAITROOM_WORKERS": str(workers),
            "WAITROOM_STORE_URL": valkey.url,
            "WAITROOM_OPERATOR_TOKEN": OPERATOR_TOKEN,
            "WAITROOM_LOG_LEVEL": "warning",
            "WAITROOM_DRAIN_S": "0",
            **(more or {}),
        }
        with running(command, ready=ready, log=folder / "server.log", env=env) as child:
            ours = Ours(url, operator_url, valkey.url, child.pid, valkey.pid)
            wait_for("the room is open", lambda: ours.line(ready_room).get("phase") == "serving", 15)
            yield ours


def room_toml(name: str = "bench", origin: str = "http://127.0.0.1:9", **fields: object) -> str:
    """Write a room that refuses nobody for coming too often: the bucket is asked, and always has one left."""
    values: dict[str, object] = {
        "origin": origin,
        "join_rate_per_minute": UNLIMITED,
        "join_burst": UNLIMITED,
        "total_active_users": 1_000_000,
        "new_users_per_minute": 1,
    } | fields
    rows = [f"{key} = {json.dumps(value)}" for key, value in values.items()]
    return f"[rooms.{name}]\n" + "\n".join(rows) + "\n\n"
