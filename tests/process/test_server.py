"""A server process: readiness, an orderly end, a shared socket, and no orphan."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import httpx
import pytest

pytestmark = pytest.mark.process

READY_S = 20.0


class Worker:
    """One plain worker on a listening socket."""

    def __init__(self, listener: socket.socket, **settings: str) -> None:
        reading, writing = os.pipe()
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.process.plain_worker", str(listener.fileno()), str(writing)],
            pass_fds=[listener.fileno(), writing],
            env=os.environ | {f"WAITROOM_{name.upper()}": text for name, text in settings.items()},
            stderr=subprocess.PIPE,
            text=True,
        )
        os.close(writing)
        with os.fdopen(reading, "rb") as pipe:
            self.told = pipe.readline()

    def end(self) -> str:
        """Wait for its end and give what it said."""
        _, said = self.process.communicate(timeout=READY_S)
        return said


@contextmanager
def worker(**settings: str) -> Iterator[tuple[Worker, str]]:
    """Start a worker; give it and its address."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        started = Worker(listener, **settings)
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        listener.close()
        try:
            yield started, url
        finally:
            started.process.kill()
            started.end()


def test_readiness_is_told_on_the_pipe_and_by_the_health_check() -> None:
    """The supervisor reads a line; a load balancer asks."""
    with worker() as (started, url):
        assert started.told == b"ready\n"
        ready = httpx.get(f"{url}/.waitroom/health/ready")
        assert (ready.status_code, ready.json()) == (200, {"status": "ready", "shedding": [], "warnings": []})
        assert httpx.get(f"{url}/.waitroom/health/live").text == "ok\n"
        answer = httpx.get(url)

    assert answer.text == "end"
    assert "server" not in answer.headers


def test_sigterm_turns_readiness_off_at_once_and_lets_requests_finish() -> None:
    """503 while it drains, the request in flight is answered whole, new ones too until the port closes; status 0."""
    with worker(drain_s="1.0") as (started, url):
        with httpx.Client() as client, client.stream("GET", f"{url}/slow", timeout=10) as slow:
            parts = slow.iter_raw()
            first = next(parts)
            started.process.send_signal(signal.SIGTERM)
            deadline = time.monotonic() + 5
            while (answer := httpx.get(f"{url}/.waitroom/health/ready")).status_code != 503:
                assert time.monotonic() < deadline
            why = answer.json()
            live = httpx.get(f"{url}/.waitroom/health/live").status_code
            welcome = httpx.get(url).text
            rest = b"".join(parts)
        said = started.end()
        with pytest.raises(httpx.ConnectError):
            httpx.get(url)

    assert (first + rest, live, welcome) == (b"begin end", 200, "end")
    assert why == {"status": "not-ready", "faults": ["draining"]}
    assert started.process.returncode == 0
    assert "stopped in order" in said
    assert "Traceback" not in said


def test_a_second_signal_ends_at_once() -> None:
    """Whoever presses Ctrl-C twice does not want to wait for the drain."""
    with worker(drain_s="60") as (started, _):
        began = time.monotonic()
        started.process.send_signal(signal.SIGINT)
        time.sleep(0.3)
        started.process.send_signal(signal.SIGINT)
        started.end()

    assert started.process.returncode == 0
    assert time.monotonic() - began < 10


PARENT = """
import os, socket, subprocess, sys, time
listener = socket.create_server(("127.0.0.1", 0))
reading, writing = os.pipe()
words = [sys.executable, "-m", "tests.process.plain_worker", str(listener.fileno()), str(writing)]
parent = [str(os.getpid())] if sys.argv[1] == "guarded" else []
child = subprocess.Popen([*words, *parent], pass_fds=[listener.fileno(), writing])
os.close(writing)
os.read(reading, 16)
print(child.pid, flush=True)
time.sleep(60)
"""


def orphan_of(kind: str) -> int:
    """Start a parent with a worker, kill the parent as ``kill -9`` does, and give the worker's process id."""
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT, kind],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env=os.environ | {"WAITROOM_DRAIN_S": "0"},
    )
    assert parent.stdout is not None
    pid = int(parent.stdout.readline())
    parent.kill()
    parent.wait()
    parent.stdout.close()
    return pid


def runs(pid: int) -> bool:
    """Tell whether a process still runs; one that waits to be reaped does not."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes() != b""
    except FileNotFoundError:
        return False


def test_a_worker_ends_when_its_parent_is_killed() -> None:
    """``kill -9`` of the supervisor leaves no process behind; the mutant that does not ask the kernel stays."""
    guarded, mutant = orphan_of("guarded"), orphan_of("mutant")
    try:
        deadline = time.monotonic() + 10
        while runs(guarded) and time.monotonic() < deadline:
            time.sleep(0.05)

        assert not runs(guarded)
        assert runs(mutant)
    finally:
        for pid in (guarded, mutant):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


def test_two_workers_share_an_inherited_socket_and_one_may_die() -> None:
    """No connection is refused while a worker is left: the queue of connections is the socket's, not the worker's."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        first, second = Worker(listener), Worker(listener)
        try:
            first.process.kill()
            first.end()
            answers = [httpx.get(url).text for _ in range(20)]
        finally:
            second.process.kill()
            second.end()

    assert answers == ["end"] * 20
