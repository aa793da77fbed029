"""Bounds: so many streams at a time, and so long for looking up who asks.

A stream takes its place before its first octet, so that many who come at once are not let in together, and gives it
back when its answer is over, however it ends.

A database may hang instead of failing. Look-ups have threads of their own, few of them, so that those that hang keep
nobody else from a thread; whoever asked is told after ``LOOK_UP_S`` that the database is away, and the next ones, while
that one still hangs, after ``AGAIN_S``. Not here: what is done then (``entrance``).
"""

import asyncio
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, TypeVar

from kernel.errors import Unavailable

LOOK_UP_S = 5.0
AGAIN_S = 0.5
THREADS = 4

Result = TypeVar("Result")


class Streams:
    """Counts answers that go on."""

    def __init__(self, most: int, full: Callable[[], Exception]) -> None:
        """Let there be `most`; `full` makes what the next one is told."""
        self._most = most
        self._full = full
        self.count = 0

    @contextmanager
    def one(self) -> Iterator[None]:
        """Be one of them. Raises what `full` makes where there are as many as can be."""
        if self.count >= self._most:
            raise self._full()
        self.count += 1
        try:
            yield
        finally:
            self.count -= 1


class LookUps:
    """Asks a database who somebody is."""

    def __init__(self) -> None:
        """Nothing hangs yet; threads are made as they are needed."""
        self._threads = ThreadPoolExecutor(THREADS, "look-up")
        self._overdue: set[Future[Any]] = set()

    async def ask(self, work: Callable[..., Result], *given: Any) -> Result:
        """Do `work` in a thread. Raises ``Unavailable``, also where there is no answer in time."""
        self._overdue = {one for one in self._overdue if not one.done()}
        asked = self._threads.submit(work, *given)
        try:
            async with asyncio.timeout(AGAIN_S if self._overdue else LOOK_UP_S):
                # One that no thread has begun is taken back when its time is over.
                return await asyncio.wrap_future(asked)
        except TimeoutError:
            if not asked.done():
                self._overdue.add(asked)
            raise Unavailable("journal-away", "The journal's database does not answer.") from None
