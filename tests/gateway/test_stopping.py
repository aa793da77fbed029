"""Stopping comes to an end, whatever has gone away meanwhile: store, journal, supervisor."""

import asyncio
import subprocess
import sys
import time
from typing import Any

import pytest

from gateway import keeper as keeping
from gateway.keeper import Keeper
from kernel.clock import SystemClock
from kernel.errors import Unavailable

STUCK = """
import asyncio, socket, sys, time
from gateway import server
from gateway.condition import Condition
from gateway.settings import Settings

class Stuck:
    broadcast, ready, condition = None, True, Condition()
    async def app(self, scope, receive, send): ...
    async def start(self): ...
    def drain(self): ...
    async def stop(self):
        time.sleep(60)  # nothing that waits for a loop: what hangs, hangs

server.LAST_S = 0.3
if sys.argv[1] == "mutant":
    server._end_at_once = lambda: None
server.main("gate", Settings(drain_s=0.0, stop_s=0.2), lambda *_: Stuck(),
            descriptor=socket.create_server(("127.0.0.1", 0)).detach(), ready=1)
"""


class Gone:
    """Rooms, drain and restorer of a worker whose store answers no more."""

    def __init__(self, *, deaf: bool) -> None:
        """Say so, or (`deaf`) say nothing at all and do not hear that one should stop either."""
        self.readings = {"main": object()}
        self._deaf = deaf

    async def refresh(self) -> None:
        """Wait for an answer that never comes."""
        while True:
            try:
                await asyncio.sleep(60)
            except asyncio.CancelledError:
                if not self._deaf:
                    raise


@pytest.mark.parametrize("deaf", [False, True])
async def test_a_worker_whose_store_is_gone_stops_in_bounded_time(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, *, deaf: bool
) -> None:
    """A step that hears of no cancellation, a journal that is away: both are given up, and said."""
    monkeypatch.setattr(keeping, "PATIENCE_S", 0.1)
    gone: Any = Gone(deaf=deaf)
    worker = Keeper(gone, gone, gone, gone.refresh, dict, lambda *_: None, SystemClock())

    async def away(*, lease: bool) -> None:
        assert not lease
        raise Unavailable("journal-away", "The journal cannot be reached.")

    monkeypatch.setattr(worker, "drain", away)
    beating = asyncio.create_task(worker.beat())
    worker._tasks = [beating]
    await asyncio.sleep(0)
    began = time.monotonic()
    await worker.stop()

    assert time.monotonic() - began < 5
    assert "the journal misses the last moments" in caplog.text
    assert beating.done() is not deaf
    gone._deaf = False
    beating.cancel()
    await asyncio.wait([beating])


@pytest.mark.process
@pytest.mark.parametrize("kind", ["guarded", "mutant"])
def test_a_process_that_hangs_while_it_stops_is_ended(kind: str) -> None:
    """An orphan has nobody who would kill it; the mutant without the timer goes on hanging."""
    hanging = subprocess.Popen(
        [sys.executable, "-c", STUCK, kind], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert hanging.stdout is not None
    try:
        assert hanging.stdout.readline() == "ready\n"
        hanging.terminate()
        if kind == "guarded":
            assert hanging.wait(20) == 1
            assert hanging.stderr is not None
            assert "did not stop in time; ended" in hanging.stderr.read()
        else:
            with pytest.raises(subprocess.TimeoutExpired):
                hanging.wait(2)
    finally:
        hanging.kill()
        hanging.communicate()
