"""The embedded store and its parent's death: no orphan may go on writing into the data folder."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import redis

from kernel.embedded import EmbeddedStore
from kernel.errors import Misconfigured

pytestmark = pytest.mark.process

PARENT = """
import sys, time
import redis
from pathlib import Path
from kernel import embedded
if sys.argv[2] == "mutant":
    embedded.LAUNCHER = embedded.LAUNCHER.replace("prctl(1, 15, ", "prctl(1, 0, ")
store = embedded.EmbeddedStore(Path(sys.argv[1]))
with redis.Redis.from_url(store.start()) as client:
    for _ in range(500):
        told = client.incr("told")
print(store.pid, told, flush=True)
time.sleep(60)
"""


def runs(pid: int) -> bool:
    """Tell whether the process still runs; one that waits to be reaped does not."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes() != b""
    except FileNotFoundError:
        return False


def killed_parent(folder: Path, kind: str) -> int:
    """Start a parent with a store, kill it as `kill -9` does, and return the store's process id."""
    with subprocess.Popen(
        [sys.executable, "-c", PARENT, str(folder), kind],
        stdout=subprocess.PIPE,
        cwd=Path(__file__).parents[2],
    ) as parent:
        assert parent.stdout is not None
        pid, told = map(int, parent.stdout.readline().split())
        assert told == 500
        assert runs(pid)
        parent.send_signal(signal.SIGKILL)
    return pid


def test_a_store_does_not_outlive_its_parent(tmp_path: Path) -> None:
    """After `kill -9` of the parent it ends in good order: nothing is lost, a new start needs no cleaning up."""
    pid = killed_parent(tmp_path, "original")
    deadline = time.monotonic() + 3
    while runs(pid) and time.monotonic() < deadline:
        time.sleep(0.01)

    assert not runs(pid)
    store = EmbeddedStore(tmp_path)
    with redis.Redis.from_url(store.start()) as client:
        assert client.get("told") == b"500"
    store.stop()


def test_an_orphan_is_found_and_told_and_once_it_is_gone_the_start_works(tmp_path: Path) -> None:
    """The mutant does not ask for the signal, so it survives: the next start names it and touches nothing."""
    pid = killed_parent(tmp_path, "mutant")
    try:
        assert runs(pid)
        store = EmbeddedStore(tmp_path, leftover_timeout_s=0.2)
        with pytest.raises(Misconfigured, match=f"kill {pid}"):
            store.start()
        assert runs(pid)
    finally:
        os.kill(pid, signal.SIGTERM)

    waited = EmbeddedStore(tmp_path, leftover_timeout_s=10)
    waited.start()
    waited.stop()
