"""Once: what many ask for at the same moment is made once, and kept for a while.

Whoever comes while it is being made waits for the same. Its age counts from the moment when the making began, so what
is given is never older than ``keep_ms`` and the time that it took. A failure is told to all who waited, and kept by
nobody. Who goes away takes nothing from the others. Bounded: what was asked for least lately goes first.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

from kernel.clock import Clock

Key = TypeVar("Key")
Value = TypeVar("Value")


class Once(Generic[Key, Value]):
    """Things of one kind, for one worker."""

    def __init__(
        self,
        make: Callable[[Key], Awaitable[Value]],
        clock: Clock,
        *,
        keep_ms: int | None = None,
        most: int,
    ) -> None:
        """`keep_ms`: so old a thing may be that is given; None for what never changes."""
        self._make = make
        self._clock = clock
        self._keep_ms = keep_ms
        self._most = most
        self._kept: OrderedDict[Key, tuple[int, Value]] = OrderedDict()
        self._making: dict[Key, asyncio.Task[Value]] = {}

    async def get(self, key: Key, within_ms: int | None = None) -> Value:
        """Give the thing; `within_ms`: one that is no older than this, 0 for one that is being made at this moment."""
        found = self._kept.get(key)
        keep_ms = self._keep_ms if within_ms is None else within_ms
        if found is not None:
            age_ms = self._clock.now_ms() - found[0]
            if keep_ms is None or 0 <= age_ms < keep_ms:
                self._kept.move_to_end(key)
                return found[1]
        making = self._making.get(key)
        if making is None:
            making = self._making[key] = asyncio.create_task(self._made(key, self._clock.now_ms()))
            making.add_done_callback(_heard)
        return await asyncio.shield(making)

    def forget(self, key: Key) -> None:
        """Make it anew the next time."""
        self._kept.pop(key, None)

    async def _made(self, key: Key, began_ms: int) -> Value:
        try:
            value = await self._make(key)
        finally:
            del self._making[key]
        self._kept[key] = (began_ms, value)
        self._kept.move_to_end(key)
        while len(self._kept) > self._most:
            self._kept.popitem(last=False)
        return value


def _heard(making: "asyncio.Task[Value]") -> None:
    # If everybody who waited has gone, nobody else would look at the failure.
    if not making.cancelled():
        making.exception()
