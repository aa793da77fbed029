"""Watched file: an operator's file that is read again when it has changed, without a restart.

Changed means another modification time, size or inode, looked at every few seconds: one ``stat``. The new file is read
and checked in full before it takes the place of the old one, in a thread, so nobody waits for it. **A file that cannot
be used changes nothing**: what was read last stays in use, the metric and one line in the log say so, and the file is
tried again when it changes again. A file that has gone is such a file. At start there is nothing to fall back to, so
there a bad file is ``Misconfigured``.

Put a new file in place by renaming it (``mv``). One that is written in place may be seen half written; a file that
changes while it is read is left for the next look. Not here: what is in the files.
"""

import asyncio
import logging
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, Protocol, TypeVar

from kernel.errors import Misconfigured

log = logging.getLogger(__name__)

Value = TypeVar("Value")
Mark = tuple[int, int, int]


class Counts(Protocol):
    """A counter of words of a small set."""

    def count(self, word: str, by: int = 1) -> None:
        """Count a word."""


class Level(Protocol):
    """A gauge."""

    def set(self, value: float) -> None:
        """Show a value."""


class Levels(Protocol):
    """A gauge for each file."""

    def labels(self, *names: str) -> Level:
        """Give a file's gauge."""


@dataclass(frozen=True, slots=True)
class FileCounts:
    """What is told of watched files: changes by what came of them, and 1 while the newest state is not in use."""

    reloads: Counts
    stale: Levels


class Watched(Generic[Value]):
    """One file and what was read from it, for one worker."""

    def __init__(
        self,
        name: str,
        path: Path,
        read: Callable[[bytes], Value],
        counts: FileCounts,
        *,
        most_bytes: int,
    ) -> None:
        """Read it; `name` is its name in metrics and logs. Raises ``Misconfigured`` with all faults of the file."""
        self.name = name
        self._path = path
        self._read = read
        self._counts = counts
        self._most_bytes = most_bytes
        self._seen, octets = self._octets()
        self.value = self._understood(octets)
        counts.stale.labels(name).set(0)

    async def refresh(self) -> bool:
        """Take over a changed file; True when there is something new."""
        try:
            found = await asyncio.to_thread(self._changed)
        except Misconfigured as error:
            self._counts.reloads.count("kept")
            self._counts.stale.labels(self.name).set(1)
            log.error(  # noqa: TRY400 (the faults say all there is to know)
                "a file cannot be used; what was read before stays in use",
                extra={"file": self.name, "faults": error.faults},
            )
            return False
        if found is None:
            return False
        self.value = found[0]
        self._counts.reloads.count("taken")
        self._counts.stale.labels(self.name).set(0)
        log.info("a file was read again", extra={"file": self.name})
        return True

    def _changed(self) -> tuple[Value] | None:
        """Read the file if it is another one than before; each state of it once."""
        try:
            mark: Mark | None = _mark(self._path.stat())
        except OSError:
            mark = None
        if mark == self._seen:
            return None
        self._seen = mark
        try:
            self._seen, octets = self._octets()
        except _Unsteady:
            # Not read at all, so not seen.
            self._seen = (0, 0, 0)
            return None
        return (self._understood(octets),)

    def _octets(self) -> tuple[Mark | None, bytes]:
        try:
            with self._path.open("rb") as file:
                before = _mark(os.fstat(file.fileno()))
                octets = file.read(self._most_bytes + 1)
                after = _mark(os.fstat(file.fileno()))
        except OSError as error:
            raise Misconfigured(f"{self._path}: the file cannot be read: {error.strerror}.") from error
        if before != after:
            raise _Unsteady(f"{self._path}: the file is being written.")
        if len(octets) > self._most_bytes:
            raise Misconfigured(f"{self._path}: the file has more than {self._most_bytes} bytes.")
        return before, octets

    def _understood(self, octets: bytes) -> Value:
        try:
            return self._read(octets)
        except Misconfigured as error:
            raise Misconfigured([f"{self._path}: {fault}" for fault in error.faults]) from error


class _Unsteady(Misconfigured):
    """The file has changed while it was read."""


def _mark(found: os.stat_result) -> Mark:
    return found.st_mtime_ns, found.st_ino, found.st_size
