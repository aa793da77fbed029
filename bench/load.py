"""The load: wrk on a core of its own, for a bounded time, and what it measured.

wrk is closed-loop (64 connections, each waits for its answer), which is right for "how much can it do" and wrong
for "how long did people wait"; the latter is the crowd's job. Source of the reply fields: wrk's ``done`` hook.
"""

import json
import random
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from bench.machine import Cores

SCRIPTS = Path(__file__).parent / "wrk"
CONNECTIONS = 64


class LoadFailed(Exception):
    """The load could not be made, or its report could not be read."""


@dataclass(frozen=True, slots=True)
class Load:
    """What one run of wrk saw. ``refused`` are answers of 400 and above, ``broken`` are connections and timeouts.

    ``cpu_s`` is what the server's processes used meanwhile, the store's included; 0 where it was not looked at.
    """

    requests: int
    seconds: float
    refused: int
    broken: int
    p50_ms: float
    p99_ms: float
    bytes: int
    cpu_s: float = 0.0

    @property
    def per_s(self) -> float:
        """Answers for each second."""
        return self.requests / self.seconds if self.seconds > 0 else 0.0

    @property
    def cpu_us(self) -> float:
        """Processor time for each answer, in microseconds: steadier than a rate on a machine with other work."""
        return self.cpu_s * 1e6 / self.requests if self.requests else 0.0

    @property
    def clean(self) -> bool:
        """True when every request was answered, and below 400."""
        return self.requests > 0 and self.refused == 0 and self.broken == 0


def wrk_path() -> str:
    """Return where wrk is.

    Raises LoadFailed with the command that installs it.
    """
    found = shutil.which("wrk")
    if found is None:
        raise LoadFailed("wrk is not installed; `make setup` or: sudo apt-get install wrk")
    return found


def parse(output: str) -> Load:
    """Read wrk's output, as ``wrk/report.lua`` ends it."""
    for row in output.splitlines():
        if row.startswith("BENCH "):
            told = json.loads(row.removeprefix("BENCH "))
            return Load(
                requests=told["requests"],
                seconds=told["duration_us"] / 1e6,
                refused=told["status"],
                broken=told["connect"] + told["read"] + told["write"] + told["timeout"],
                p50_ms=told["p50_us"] / 1000,
                p99_ms=told["p99_us"] / 1000,
                bytes=told["bytes"],
            )
    raise LoadFailed(f"wrk gave no report: {output.strip()[-300:]!r}")


def run(
    url: str, script: str, args: list[str], *, seconds: int, cores: Cores, connections: int = CONNECTIONS
) -> Load:
    """Put the load of one script on a server for some seconds."""
    text = (SCRIPTS / f"{script}.lua").read_text() + "\n" + (SCRIPTS / "report.lua").read_text()
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as whole:
        whole.write(text)
        whole.flush()
        command = [
            wrk_path(),
            "-t1",
            f"-c{connections}",
            f"-d{seconds}s",
            "--timeout",
            "5s",
            "-s",
            whole.name,
        ]
        try:
            done = subprocess.run(
                [*cores.on_load(), *command, url, "--", *args],
                capture_output=True,
                text=True,
                timeout=seconds + 30,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            raise LoadFailed(f"wrk did not end within {seconds + 30} s") from error
    if done.returncode != 0:
        raise LoadFailed(f"wrk failed: {(done.stderr or done.stdout).strip()[-300:]}")
    return parse(done.stdout)


def get(
    url: str,
    path: str = "/",
    *,
    seconds: int,
    cores: Cores,
    headers: dict[str, str] | None = None,
    connections: int = CONNECTIONS,
) -> Load:
    """Ask the same address again and again."""
    pairs = [part for pair in (headers or {}).items() for part in pair]
    return run(url, "get", [path, *pairs], seconds=seconds, cores=cores, connections=connections)


def joins(url: str, room: str, *, seconds: int, cores: Cores) -> Load:
    """Send new fans to a room, each with an idempotency key of its own."""
    seed = str(random.randrange(1, 2**30))
    return run(url, "join", [f"/.waitroom/r/{room}/join", url, seed], seconds=seconds, cores=cores)
