"""Child: one process that the supervisor keeps running.

A child inherits its listening socket and the writing end of a pipe, on which it says that it serves;
a pipe that closes without a word is a child that failed to start, and its own message stands on stderr.
It has a session of its own, so that the terminal's Ctrl-C reaches only the supervisor, which then
stops its children in order. A child that dies later is started again, after a pause that doubles up
to half a minute and is forgotten when the child has lived for a minute.
"""

import asyncio
import logging
import os
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress

log = logging.getLogger(__name__)

FIRST_PAUSE_S = 0.5
LONGEST_PAUSE_S = 30.0
SETTLED_S = 60.0


def pause_s(failures: int) -> float:
    """Give the pause before the next start: 0.5 s after the first failure, then doubling."""
    return min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 2.0 ** max(0, failures - 1))


class Child:
    """A process by name, which is started from the same program with other words."""

    def __init__(
        self,
        name: str,
        words: Sequence[str],
        environ: Mapping[str, str],
        *,
        listener: int | None = None,
        on_end: Callable[[int], None] = lambda _pid: None,
    ) -> None:
        self.name = name
        self._words = list(words)
        self._environ = dict(environ)
        self._listener = listener
        self._on_end = on_end
        self._process: asyncio.subprocess.Process | None = None
        self._spawning = asyncio.Lock()
        self._stopping = False

    @property
    def pid(self) -> int:
        """The process id; 0 while there is none."""
        return self._process.pid if self._process is not None and self._process.returncode is None else 0

    @property
    def status(self) -> int:
        """The exit status; 0 while it runs, and for one that a signal ended."""
        return max(0, self._process.returncode or 0) if self._process is not None else 0

    async def start(self) -> bool:
        """Start it and wait until it serves; False when it ended instead."""
        reading, writing = os.pipe()
        words = [*self._words]
        inherited = [writing]
        if self._listener is not None:
            words += ["--fd", str(self._listener), "--ready", str(writing)]
            inherited.append(self._listener)
        try:
            await self._spawn(words, inherited)
        finally:
            os.close(writing)
        if self._listener is None:
            os.close(reading)
            return True
        return await _first_byte(reading)

    async def _spawn(self, words: list[str], inherited: list[int]) -> None:
        # The lock: a stop that comes meanwhile must find the process, not miss it.
        async with self._spawning:
            if self._stopping:
                return
            self._process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "gateway",
                "--parent",
                str(os.getpid()),
                *words,
                env=self._environ,
                pass_fds=inherited,
                stdin=asyncio.subprocess.DEVNULL,
                start_new_session=True,
            )

    async def wait(self) -> int:
        """Wait for its end and give the exit status; 0 when it was never started."""
        return await self._process.wait() if self._process is not None else 0

    async def keep(self) -> None:
        """Start it again whenever it ends, until it is stopped."""
        loop = asyncio.get_running_loop()
        failures = 0
        began = loop.time()
        while True:
            status = await self.wait()
            if self._process is not None:
                self._on_end(self._process.pid)
            if self._stopping:
                return
            failures = 1 if loop.time() - began >= SETTLED_S else failures + 1
            pause = pause_s(failures)
            log.error(
                "a process ended and is started again",
                extra={"child": self.name, "status": status, "pause_s": pause},
            )
            await asyncio.sleep(pause)
            began = loop.time()
            if not self._stopping:
                await self.start()

    async def stop(self, patience_s: float) -> None:
        """Ask it to end; after the patience, end it."""
        self._stopping = True
        async with self._spawning:
            self._signal(signal.SIGTERM)
        try:
            async with asyncio.timeout(patience_s):
                await self.wait()
        except TimeoutError:
            log.warning("a process did not end in time", extra={"child": self.name})
            self._signal(signal.SIGKILL)
            await self.wait()

    def kill(self) -> None:
        """End it at once."""
        self._stopping = True
        self._signal(signal.SIGKILL)

    def _signal(self, number: signal.Signals) -> None:
        if self._process is not None and self._process.returncode is None:
            # Not Popen's own method: that reaps a child which has just died behind asyncio's back.
            with suppress(ProcessLookupError):
                os.kill(self._process.pid, number)


async def _first_byte(descriptor: int) -> bool:
    """Wait for the first byte on a pipe; False when it closes without one."""
    loop = asyncio.get_running_loop()
    told: asyncio.Future[bool] = loop.create_future()

    def read() -> None:
        if not told.done():
            told.set_result(bool(os.read(descriptor, 16)))

    loop.add_reader(descriptor, read)
    try:
        return await told
    finally:
        loop.remove_reader(descriptor)
        os.close(descriptor)
