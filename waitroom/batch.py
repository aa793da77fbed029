"""Batch: joins that arrive together share one call of the store.

While one call is under way the next joins gather; when it returns they go out together. So an idle room
answers at once, and a busy one makes a call per batch, not per fan (measured in ``bench/``: one INCR per
request reaches about a third of this). Within a worker, numbers follow the order of `submit`; across
workers whoever had an answer before another asked is ahead, because the store gives numbers in order.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

LARGEST = 512


@dataclass(slots=True)
class Pending:
    """One join on its way. `once` is the visitor's idempotency key or ''."""

    leaf: bytes
    once: str
    answer: "asyncio.Future[int]"


class Batches:
    """Gathers joins of one line (a room, a run and a lane) and sends them in order."""

    def __init__(self, send: Callable[[list[Pending]], Awaitable[None]]) -> None:
        """`send` makes the call for a batch and sets every answer in it. To be made while the loop runs."""
        self._send = send
        self._loop = asyncio.get_running_loop()
        self._waiting: deque[Pending] = deque()
        self._sender: asyncio.Task[None] | None = None

    def submit(self, leaf: bytes, once: str) -> "asyncio.Future[int]":
        """Queue a join; the future becomes its number, or the reason why there is none."""
        answer: asyncio.Future[int] = self._loop.create_future()
        self._waiting.append(Pending(leaf, once, answer))
        if self._sender is None:
            self._sender = self._loop.create_task(self._run())
        return answer

    async def _run(self) -> None:
        try:
            while self._waiting:
                size = min(len(self._waiting), LARGEST)
                batch = [self._waiting.popleft() for _ in range(size)]
                try:
                    await self._send(batch)
                except Exception as reason:  # noqa: BLE001 - every visitor of the batch is told
                    for pending in batch:
                        if not pending.answer.done():
                            pending.answer.set_exception(reason)
        finally:
            self._sender = None
