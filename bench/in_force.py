"""In force: when each worker serves a status document that shows a change of settings.

A worker is reached by a connection of its own: a kept connection stays with the worker that accepted it, and which one
that is stands in ``/proc`` (the server's end of the connection is a socket that one process has open). So "every
worker" is known and not hoped for.
"""

import http.client
import json
import random
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from bench.harness import OPERATOR_TOKEN, Ours
from bench.machine import tree
from bench.servers import ServerFailed

CONNECTIONS_MOST = 400
WITHIN_S = 20.0
LOOK_EVERY_S = 0.002
Document = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Change:
    """A change by the API, and how it shows in a status document."""

    patch: dict[str, object]
    shows: Callable[[Document], bool]


SLOW, FAST = 1, 100_000
CHANGES = (
    Change({"new_users_per_minute": FAST}, lambda told: told["plan_per_minute"] >= 10_000),
    Change({"paused": True}, lambda told: told["paused"] is True),
    Change({"new_users_per_minute": SLOW, "paused": False}, lambda told: told["paused"] is False),
    Change({"paused": True}, lambda told: told["paused"] is True),
    Change({"paused": False}, lambda told: told["paused"] is False),
)
"""A rate and a stop. The rates lie so far apart that no-shows, by which the plan is larger, cannot be taken for one."""


class Worker:
    """One connection, to one worker."""

    def __init__(self, url: str) -> None:
        """Connect and ask once, so that some worker has accepted."""
        where = urlsplit(url)
        self._connection = http.client.HTTPConnection(where.hostname or "", where.port, timeout=WITHIN_S)
        self.document()
        self.port: int = self._connection.sock.getsockname()[1]

    def document(self) -> Document:
        """Return the status document that this worker serves now."""
        self._connection.request("GET", "/.waitroom/r/bench/status")
        answer = self._connection.getresponse()
        text = answer.read()
        if answer.status != 200:
            raise ServerFailed(f"a status document was answered by {answer.status}")
        told: Document = json.loads(text)
        return told

    def close(self) -> None:
        """Hang up."""
        self._connection.close()


@contextmanager
def every_worker(server: Ours, workers: int) -> Iterator[list[Worker]]:
    """Hold a connection to each of the workers. Raises ServerFailed when not all of them could be reached."""
    opened: list[Worker] = []
    found: dict[int, Worker] = {}
    try:
        while len(found) < workers and len(opened) < CONNECTIONS_MOST:
            one = Worker(server.url)
            opened.append(one)
            owner = _owner(server, one.port)
            if owner is not None:
                found.setdefault(owner, one)
        if len(found) < workers:
            raise ServerFailed(f"{len(found)} of {workers} workers answered on {len(opened)} connections")
        yield list(found.values())
    finally:
        for one in opened:
            one.close()


def seconds_until_all(server: Ours, workers: list[Worker], change: Change) -> float:
    """Make a change by the API; return the seconds from asking for it until the last worker shows it.

    Raises ServerFailed when it is refused, or not shown in time.
    """
    left = list(workers)
    begin = time.perf_counter()
    patch(server, change.patch)
    while left:
        for worker in tuple(left):
            if change.shows(worker.document()):
                left.remove(worker)
        if time.perf_counter() - begin > WITHIN_S:
            raise ServerFailed(
                f"{change.patch} is not in force in {len(left)} workers after {WITHIN_S:.0f} s"
            )
        if left:
            time.sleep(LOOK_EVERY_S)
    return time.perf_counter() - begin


def samples(server: Ours, workers: list[Worker], goes_on: Callable[[], bool]) -> list[float]:
    """Make changes one after the other, at moments that no beat knows, while `goes_on`."""
    seen: list[float] = []
    while goes_on():
        change = CHANGES[len(seen) % len(CHANGES)]
        seen.append(seconds_until_all(server, workers, change))
        time.sleep(random.random() * 0.25)
    return seen


def patch(server: Ours, settings: dict[str, object]) -> None:
    """Change settings of the room by the API."""
    ask = urllib.request.Request(
        f"{server.operator_url}/api/rooms/bench",
        json.dumps(settings).encode(),
        {"Authorization": f"Bearer {OPERATOR_TOKEN}", "Content-Type": "application/json", "If-Match": "*"},
        method="PATCH",
    )
    with urllib.request.urlopen(ask, timeout=WITHIN_S) as answer:
        answer.read()


def _owner(server: Ours, client_port: int) -> int | None:
    """Return the process that holds the server's end of a connection."""
    port = urlsplit(server.url).port or 0
    inode = _inode(port, client_port)
    for pid in tree(server.pid) if inode else ():
        with suppress(OSError):
            for file in Path(f"/proc/{pid}/fd").iterdir():
                with suppress(OSError):
                    if str(file.readlink()) == f"socket:[{inode}]":
                        return pid
    return None


def _inode(port: int, client_port: int) -> str | None:
    """Return the inode of the server's end, from the kernel's table of IPv4 connections."""
    for row in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        _, local, remote, *rest = row.split()
        if (int(local.rpartition(":")[2], 16), int(remote.rpartition(":")[2], 16)) == (port, client_port):
            return rest[6]
    return None
