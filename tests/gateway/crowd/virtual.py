"""Virtual time: an event loop whose clock jumps to the next timer instead of waiting for it.

A crowd of minutes runs in a second, and always in the same way: no test here sleeps. Nothing may wait for the
outside (sockets, threads), for virtual time would run away from it.
"""

import asyncio
import selectors
from collections.abc import Coroutine
from typing import Any, TypeVar


class _Jumping(selectors.SelectSelector):
    """Instead of waiting, moves its loop's clock on."""

    loop: "VirtualLoop"

    def select(self, timeout: float | None = None) -> list[Any]:
        ready = super().select(0)
        if not ready and timeout is None:
            raise RuntimeError("everything waits for something that never comes")
        if not ready and timeout:
            self.loop.now_s += timeout
        return ready


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop that owns its time."""

    def __init__(self) -> None:
        self.now_s = 1000.0
        selector = _Jumping()
        selector.loop = self
        super().__init__(selector)

    def time(self) -> float:
        """Give the virtual seconds; a callback takes a microsecond, so that no two moments are the same."""
        self.now_s += 1e-6
        return self.now_s


T = TypeVar("T")


def run_virtually(coroutine: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine in virtual time."""
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(coroutine)
