"""Shop's signals: what buyers do with seats reaches the fraud checks, and no hold waits for that.

A pick or a drop is laid into a bounded queue and taken from there a few at a time. Under overload, or while the store
is slow, signals are lost and counted (``fraud_lost_signals``); a hold is never late or refused because of one. A hold
that lapses is heard of in the background, where nobody knows the browser: this worker remembers that of the last
``REMEMBERED`` picks; for others only the account counts. A repeat is the same signal, for it has the hold's name.

Not here: what is counted, and what follows (``checkout.fraud``).
"""

import asyncio
import contextlib
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from checkout.fraud.service import Fraud
from checkout.fraud.signals import Attempt
from checkout.fraud.windows import Act
from checkout.metrics import Metrics
from checkout.orders.ports import Seen
from kernel.asgi import Scope
from kernel.tasks import is_ending

QUEUED = 2_000
REMEMBERED = 10_000
WORKERS = 4


@dataclass(frozen=True, slots=True)
class Signal:
    """One thing that a buyer did with a hold."""

    act: Act
    scope: Scope | None
    event: str
    buyer: str
    hold: str
    seats: int = 0


class Signals:
    """``checkout.holds.watching.Watch``, for one worker."""

    def __init__(
        self, fraud: Fraud, seen_of: Callable[[Scope], Seen], metrics: Metrics, queued: int = QUEUED
    ) -> None:
        """`seen_of` tells what is known of the client of a request."""
        self._fraud = fraud
        self._seen_of = seen_of
        self._metrics = metrics
        self._queue: asyncio.Queue[Signal] = asyncio.Queue(queued)
        self._seen: OrderedDict[str, Seen] = OrderedDict()

    def picked(self, scope: Scope, event: str, buyer: str, hold: str, seats: int) -> None:
        """Hear of seats that were put aside."""
        self._put(Signal(Act.PICK, scope, event, buyer, hold, seats))

    def dropped(self, scope: Scope | None, event: str, buyer: str, hold: str) -> None:
        """Hear of a hold that was given back, or has lapsed."""
        self._put(Signal(Act.DROP, scope, event, buyer, hold))

    async def run(self) -> None:
        """Hand signals on, for ever."""
        works = [asyncio.create_task(self._work()) for _ in range(WORKERS)]
        try:
            await asyncio.gather(*works)
        finally:
            for work in works:
                work.cancel()
            await asyncio.wait(works)

    async def drain(self) -> None:
        """Hand on what is queued now."""
        with contextlib.suppress(asyncio.QueueEmpty):
            while True:
                await self._hand_on(self._queue.get_nowait())

    async def _work(self) -> None:
        while not is_ending():
            await self._hand_on(await self._queue.get())

    def _put(self, signal: Signal) -> None:
        try:
            self._queue.put_nowait(signal)
        except asyncio.QueueFull:
            self._metrics.fraud_lost_signals.count(signal.act.value)

    async def _hand_on(self, signal: Signal) -> None:
        seen = self._seen_for(signal)
        attempt = Attempt(
            id=signal.hold,
            event=signal.event,
            account=signal.buyer,
            address=seen.address,
            device=seen.device,
            seats=signal.seats,
        )
        if signal.act is Act.PICK:
            await self._fraud.held(attempt)
        else:
            await self._fraud.dropped(attempt)

    def _seen_for(self, signal: Signal) -> Seen:
        if signal.scope is None:
            return self._seen.pop(signal.hold, Seen())
        seen = self._seen_of(signal.scope)
        if signal.act is Act.PICK:
            self._seen[signal.hold] = seen
            if len(self._seen) > REMEMBERED:
                self._seen.popitem(last=False)
        else:
            self._seen.pop(signal.hold, None)
        return seen
