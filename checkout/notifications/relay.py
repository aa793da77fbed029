"""Relay: takes messages from the outboxes and gives them to the channels, each channel by itself, in the background.

Any number of processes relay side by side: what one has leased the others pass by. A message is marked only after its
channel has taken it (a moment later, together with others), so a death between the two sends it again, under the same
name (``message.message_id``), by which whoever receives it knows it. What is not taken is tried again (``backoff``);
what is refused for good, or was tried too often, becomes a dead letter with its reason, which an organiser sees and can
send again.

Where a channel cannot be reached at all, one failure is enough: what was leased with it is given back without counting
as a try, and the next look comes a moment later. Nobody begins to send under a lease that could end meanwhile.

What is old and done is forgotten after a while. Not here: SQL (``store``), channels (``mail``, ``webhooks``).
"""

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Protocol

from sqlalchemy import Connection

from checkout.grouping import Grouping
from checkout.metrics import Metrics
from checkout.notifications.message import Outcome, Result, Send, SendState
from checkout.notifications.ports import Channel
from checkout.notifications.store import mark, mark_sent, purge, spread, take, waiting
from kernel.backoff import TRIES, again_ms, is_last
from kernel.clock import Clock
from kernel.crashing import crashpoint
from kernel.errors import Unavailable
from kernel.tasks import is_ending
from kernel.tracing import CONSUMER, continuing

log = logging.getLogger(__name__)

LEASE_MS = 180_000
LEAST_MS = 60_000
"""With less than this left of a lease nothing is begun: longer than any channel's patience."""

MOST = 256
PURGE_MOST = 500
KEEP_MS = 30 * 86_400_000
TIDY_EVERY_S = 10.0


@dataclass(frozen=True, slots=True)
class Home:
    """One database with an outbox."""

    name: str
    group: Grouping


class Homes(Protocol):
    """Knows the outboxes, and where events are."""

    def all(self) -> Sequence[Home]:
        """Return every outbox."""

    def is_here(self, home: Home, event: str) -> bool:
        """Tell whether an event's messages are to be sent from here: not while it is being moved."""


class Relay:
    """One worker's sending."""

    def __init__(
        self,
        homes: Homes,
        channels: Sequence[Channel],
        clock: Clock,
        metrics: Metrics,
        chance: Callable[[], float] = random.random,
        *,
        tries: int = TRIES,
        keep_ms: int = KEEP_MS,
    ) -> None:
        """`chance` spreads what is tried again; after `tries` a message is given up; `keep_ms`: what was sent."""
        self._homes = homes
        self._channels = channels
        self._names = [channel.name for channel in channels]
        self._clock = clock
        self._metrics = metrics
        self._chance = chance
        self._tries = tries
        self._keep_ms = keep_ms

    async def run(self, every_s: float = 0.5) -> None:
        """Send, for ever, each channel at its own pace."""
        async with asyncio.TaskGroup() as group:
            for channel in self._channels:
                group.create_task(self._run(every_s, partial(self.pass_by, channel=channel)))
            group.create_task(self._run(TIDY_EVERY_S, self.tidy))

    async def close(self) -> None:
        """Let go of the channels' connections."""
        for channel in self._channels:
            await channel.close()

    async def pass_by(self, home: Home, channel: Channel) -> int:
        """Send all that is due in a channel; returns how many messages were looked at."""
        await self._spread(home)
        done, without = 0, frozenset[str]()
        while True:
            now_ms = self._clock.now_ms()
            taking = partial(
                take,
                channel=channel.name,
                now_ms=now_ms,
                until_ms=now_ms + LEASE_MS,
                most=MOST,
                is_here=partial(self._homes.is_here, home),
                without=without,
            )
            taken = await home.group.write(taking)
            crashpoint("outbox.taken")
            is_away = await self._send_all(home, channel, taken.sends)
            done += len(taken.sends)
            without |= taken.elsewhere
            if is_away or not (taken.sends or taken.elsewhere):
                return done

    async def tidy(self, home: Home) -> int:
        """Count what waits, and forget what is old; returns how many messages were forgotten."""
        now_ms = self._clock.now_ms()
        if not self._channels:
            await self._spread(home)
        found = {channel: (count, oldest) for channel, count, oldest in await home.group.read(waiting)}
        for name in {*self._names, *found}:
            count, oldest_ms = found.get(name, (0, now_ms))
            label = name or "new"
            self._metrics.outbox_waiting.labels(home.name, label).set(count)
            self._metrics.outbox_oldest.labels(home.name, label).set(max(0, now_ms - oldest_ms) / 1000)
        before_ms = now_ms - self._keep_ms
        return await home.group.write(partial(purge, before_ms=before_ms, most=PURGE_MOST))

    # --------------------------------------------------------------------------------- the parts

    async def _run(self, every_s: float, look: Callable[[Home], Awaitable[int]]) -> None:
        while not is_ending():
            for home in self._homes.all():
                try:
                    await look(home)
                except Unavailable as error:
                    self._metrics.background_failures.count("outbox")
                    log.warning("an outbox could not be worked on", extra={"code": error.code})
            await asyncio.sleep(every_s)

    async def _spread(self, home: Home) -> None:
        without = frozenset[str]()
        while True:
            now_ms = self._clock.now_ms()
            is_here = partial(self._homes.is_here, home)
            spreading = partial(
                spread, channels=self._names, now_ms=now_ms, most=MOST, is_here=is_here, without=without
            )
            found, elsewhere = await home.group.write(spreading)
            without |= elsewhere
            if not found and not elsewhere:
                return

    async def _send_all(self, home: Home, channel: Channel, sends: Sequence[Send]) -> bool:
        """Send in order, so many at once; tells whether the channel turned out to be away."""
        left, away, marks = iter(sends), list[Result](), _Marks(home, channel, self._clock, self._metrics)

        async def some() -> None:
            for send in left:
                if marks.have_failed:
                    return
                if away:
                    await self._give_back(home, send, away[0])
                elif send.claim_ms - self._clock.now_ms() >= LEAST_MS:
                    result = await self._send(channel, send)
                    crashpoint("outbox.sent")
                    if result.outcome is Outcome.SENT:
                        marks.add(send)
                        continue
                    if result.outcome is Outcome.AWAY:
                        away.append(result)
                    await self._write(home, channel, send, result)

        try:
            await asyncio.gather(*(some() for _ in range(min(channel.at_once, len(sends)))))
        finally:
            await marks.done()
        return bool(away)

    async def _send(self, channel: Channel, send: Send) -> Result:
        told = {
            "messaging.system": "waitroom",
            "messaging.operation.type": "process",
            "waitroom.channel": channel.label,
        }
        with continuing(send.message.trace, f"process {send.message.kind.value}", CONSUMER, told) as step:
            try:
                result = await channel.send(send)
            except Exception as error:
                # One message that cannot be written must not keep the others: it ends as a dead letter of its own.
                log.exception("a message could not be written", extra={"letter": send.message.id})
                result = Result(Outcome.LATER, f"fault: {type(error).__name__}")
            if step is not None:
                step.set("waitroom.outcome", result.outcome.value)
            return result

    async def _write(self, home: Home, channel: Channel, send: Send, result: Result) -> None:
        now_ms, tries = self._clock.now_ms(), send.tries + 1
        work: Callable[[Connection], bool]
        word = result.outcome.value
        match result.outcome:
            case Outcome.SKIPPED:
                work = _marking(send, SendState.SKIPPED, tries, now_ms, result.why)
            case Outcome.NEVER:
                work = _marking(send, SendState.DEAD, tries, now_ms, result.why)
                word = SendState.DEAD.value
            case _:
                if is_last(tries, self._tries):
                    work, word = _marking(send, SendState.DEAD, tries, now_ms, result.why), "dead"
                else:
                    due_ms = max(again_ms(tries, self._chance(), now_ms), now_ms + result.later_s * 1000)
                    work = _marking(send, SendState.WAITING, tries, due_ms, result.why)
        if await home.group.write(work):
            self._metrics.outbox_sends.labels(channel.label, word).inc()
            if word == SendState.DEAD.value:
                told = {"letter": send.message.id, "channel": send.channel, "why": result.why}
                log.error("a message is given up", extra=told)

    async def _give_back(self, home: Home, send: Send, away: Result) -> None:
        due_ms = again_ms(1, self._chance(), self._clock.now_ms())
        await home.group.write(_marking(send, SendState.WAITING, send.tries, due_ms, away.why))


class _Marks:
    """Writes down what was sent, while the next is being sent: what has come meanwhile shares a statement."""

    def __init__(self, home: Home, channel: Channel, clock: Clock, metrics: Metrics) -> None:
        self._home = home
        self._clock = clock
        self._sent = metrics.outbox_sends.labels(channel.label, Outcome.SENT.value)
        self._waiting: list[Send] = []
        self._writer: asyncio.Task[None] | None = None
        self.have_failed = False

    def add(self, send: Send) -> None:
        """Have it written down that a message was sent."""
        self._waiting.append(send)
        if self._writer is None or self._writer.done():
            self._writer = asyncio.create_task(self._write())

    async def done(self) -> None:
        """Wait until all of it is written. Raises ``Unavailable``."""
        if self._writer is not None:
            await self._writer

    async def _write(self) -> None:
        while self._waiting:
            sends, self._waiting = self._waiting, []
            try:
                now_ms = self._clock.now_ms()
                known = await self._home.group.write(partial(mark_sent, sends=sends, at_ms=now_ms))
            except Unavailable:
                # Nobody sends on what cannot be written down: it would all be sent again.
                self.have_failed = True
                self._waiting.clear()
                raise
            self._sent.inc(known)


def _marking(send: Send, state: SendState, tries: int, due_ms: int, why: str) -> Callable[[Connection], bool]:
    return partial(mark, send=send, state=state, tries=tries, due_ms=due_ms, why=why)
