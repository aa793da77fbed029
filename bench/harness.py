"""The harness: one room, one worker, one store on one core, and rounds that alternate with a reference.

``Bench`` holds what every figure needs: a folder of its own, the cores, how long and how often. Lengths come from
``BENCH_SECONDS`` (5) and ``BENCH_ROUNDS`` (5); whatever is asked, a run ends by itself. The process pins
itself to the server's core, so that every child it starts is there too; only the load is put elsewhere.
"""

import json
import os
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import redis

from bench.figure import say
from bench.load import Load
from bench.machine import Cores, Foreign, choose_cores, conditions
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

    def line(self, room: str) -> dict[str, str]:
        """Read a room's line as it stands in the store."""
        with redis.Redis.from_url(self.store_url, decode_responses=True) as client:
            fields: dict[str, str] = client.hgetall(f"wr:{{{room}}}:line")
        return fields

    def issued(self, room: str) -> int:
        """Return how many numbers a room has given."""
        return int(self.line(room).get("issued", "0"))

    def wait_for(self, what: str, true: Callable[[], bool], within_s: float) -> None:
        """Wait until something is so. Raises ServerFailed when it is not in time."""
        until = time.monotonic() + within_s
        while not true():
            if time.monotonic() > until:
                raise ServerFailed(f"not within {within_s:.0f} s: {what}")
            time.sleep(0.1)

    def operator(self, path: str) -> bytes:
        """Read from the operator's port."""
        ask = urllib.request.Request(
            self.operator_url + path, headers={"Authorization": f"Bearer {OPERATOR_TOKEN}"}
        )
        with urllib.request.urlopen(ask, timeout=10) as answer:
            return bytes(answer.read())


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


def alternate(bench: Bench, **sides: Callable[[int], Load]) -> dict[str, list[Load]]:
    """Warm every side up, then measure them in turn, round after round.

    Each side is called with the seconds to run. The order turns round with each round, so that a trend of the
    machine favours nobody.
    """
    for name, side in sides.items():
        say(f"warming up {name}")
        side(1)
    seen: dict[str, list[Load]] = {name: [] for name in sides}
    for number in range(bench.rounds):
        order = list(sides) if number % 2 == 0 else list(reversed(sides))
        for name in order:
            load = sides[name](bench.seconds)
            seen[name].append(load)
            say(f"round {number + 1} of {bench.rounds}: {name} {load.per_s:,.0f}/s, p99 {load.p99_ms:.1f} ms")
    return seen


def unclean(loads: list[Load]) -> str | None:
    """Return what went wrong with requests, or None."""
    refused, broken = sum(load.refused for load in loads), sum(load.broken for load in loads)
    if refused or broken or not all(load.requests for load in loads):
        return f"{refused} answers of 400 and above, {broken} broken connections or timeouts"
    return None


@contextmanager
def store(folder: Path) -> Iterator[str]:
    """Run a Valkey as the demo does, on this process's core, and give its address."""
    folder.mkdir(parents=True, exist_ok=True)
    embedded = EmbeddedStore(folder)
    try:
        yield embedded.start()
    finally:
        embedded.stop()


@contextmanager
def our_server(
    bench: Bench, rooms_toml: str, *, name: str = "ours", ready_room: str = "bench"
) -> Iterator[Ours]:
    """Run what ships, `waitroom serve` with one worker, on the server's core; wait until the room is open."""
    folder = bench.folder / name
    with store(folder / "store") as store_url:
        rooms = folder / "rooms.toml"
        rooms.write_text(rooms_toml)
        port, operator_port = free_port(), free_port()
        ours = Ours(f"http://127.0.0.1:{port}", f"http://127.0.0.1:{operator_port}", store_url)
        command = [*bench.cores.on_server(), str(Path(sys.executable).parent / "waitroom"), "serve"]
        ready = f"{ours.url}/.waitroom/health/ready"
        env = {
            "WAITROOM_ROOMS": str(rooms),
            "WAITROOM_DATA": str(folder / "data"),
            "WAITROOM_PORT": str(port),
            "WAITROOM_OPERATOR_PORT": str(operator_port),
            "WAITROOM_WORKERS": "1",
            "WAITROOM_STORE_URL": store_url,
            "WAITROOM_OPERATOR_TOKEN": OPERATOR_TOKEN,
            "WAITROOM_LOG_LEVEL": "warning",
            "WAITROOM_DRAIN_S": "0",
        }
        with running(command, ready=ready, log=folder / "server.log", env=env):
            ours.wait_for("the room is open", lambda: ours.line(ready_room).get("phase") == "serving", 15)
            yield ours


def room_toml(name: str = "bench", origin: str = "http://127.0.0.1:9", **fields: object) -> str:
    """Write a room that refuses nobody for coming too often: the bucket is asked, and always has one left."""
    values: dict[str, object] = {
        "origin": origin,
        "join_rate_per_minute": UNLIMITED,
        "join_burst": UNLIMITED,
        "total_active_users": 1_000_000,
        "new_users_per_minute": 1,
        "queue_all": True,
    } | fields
    rows = [f"{key} = {json.dumps(value)}" for key, value in values.items()]
    return f"[rooms.{name}]\n" + "\n".join(rows) + "\n\n"
