"""The servers under load: ours by the command that ships, the references by uvicorn, all on one core.

Every child has a session of its own and is ended by its own process group; nothing else is ever signalled.
"""

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.machine import Cores, tree

START_S = 120.0


class ServerFailed(Exception):
    """A server under test did not start, or died."""


def free_port() -> int:
    """Return a port that nobody listens on right now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def running(
    command: Sequence[str],
    *,
    ready: str,
    log: Path,
    env: Mapping[str, str] | None = None,
    pass_fds: Sequence[int] = (),
) -> Iterator[subprocess.Popen[bytes]]:
    """Run a server until the block ends; it is ready when the address ``ready`` answers below 500.

    `pass_fds` are open sockets that it inherits.
    """
    log.write_bytes(b"")
    # To be appended to, so that what somebody else writes there is not written over.
    with log.open("ab") as out:
        child = subprocess.Popen(
            list(command),
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            env={**os.environ, **(env or {})},
            pass_fds=pass_fds,
        )
    try:
        _wait_until_ready(child, ready, log)
        yield child
    finally:
        stop(child)


def stop(child: subprocess.Popen[bytes]) -> None:
    """End a child and what it started: asked first, killed after ten seconds."""
    for kind, patience_s in ((signal.SIGTERM, 10), (signal.SIGKILL, 10)):
        try:
            os.killpg(child.pid, kind)
        except ProcessLookupError:
            break
        try:
            child.wait(patience_s)
        except subprocess.TimeoutExpired:
            continue
        break
    child.wait(1)


def _wait_until_ready(child: subprocess.Popen[bytes], url: str, log: Path) -> None:
    until = time.monotonic() + START_S
    while time.monotonic() < until:
        if child.poll() is not None:
            raise ServerFailed(f"a server ended at its start with code {child.returncode}: {_last(log)}")
        try:
            with urllib.request.urlopen(url, timeout=2) as answer:
                answer.read()
                return
        except urllib.error.HTTPError as error:
            if error.code < 500:
                return
        except OSError:
            pass
        time.sleep(0.05)
    raise ServerFailed(f"a server was not ready within {START_S:.0f} s: {_last(log)}")


def _last(log: Path) -> str:
    rows = log.read_text(errors="replace").strip().splitlines()
    return " / ".join(rows[-5:]) or "it wrote nothing"


@dataclass(frozen=True, slots=True)
class Reference:
    """A reference that runs: its address and its processes."""

    url: str
    pid: int

    def pids(self) -> list[int]:
        """Return the processes whose work is counted."""
        return tree(self.pid)


@contextmanager
def reference(
    name: str, folder: Path, cores: Cores, env: Mapping[str, str] | None = None
) -> Iterator[Reference]:
    """Run one of ``bench.references`` under the settings that our server uses."""
    port = free_port()
    command = [
        *cores.on_server(), sys.executable, "-m", "uvicorn", f"bench.references:{name}",
        "--host", "127.0.0.1", "--port", str(port), "--loop", "uvloop", "--http", "httptools",
        "--no-access-log", "--log-level", "warning", "--no-server-header",
    ]  # fmt: skip
    ready = f"http://127.0.0.1:{port}/"
    with running(command, ready=ready, log=folder / f"{name}.log", env=env) as child:
        yield Reference(f"http://127.0.0.1:{port}", child.pid)
