"""Target round: tells every target what it has not heard yet: at least once, in order, each for itself.

A cursor in SQL says how far a target has heard. It moves **after** the target has taken an event, so who dies in
between tells it again, under the same name; nothing is ever passed over. The other way round a death would lose it.

What a target does not take is tried again later and longer (``kernel.backoff``), and everything behind it waits: order
is kept for each target. After ``tries`` it is dead: shown, not tried any more, until an owner resumes it; the cursor
stays, so nothing is lost then either. Targets are told side by side, so one that is slow holds up no other.

A failure is logged by what it is and where it came from, never in its own words: these may quote a target's address,
and whoever knows that of a chat may write there.

Not here: what is told and how (``target_ways``), the lease (``target_store``).
"""

import asyncio
import logging
import secrets
from collections.abc import Callable
from dataclasses import replace

from kernel.backoff import TRIES, again_ms, is_last
from kernel.clock import Clock
from kernel.errors import Unavailable
from kernel.log import described
from kernel.sending import Outcome, Result
from kernel.tasks import is_ending
from waitroom.events import STEERING
from waitroom.journal import Kind, kind_of
from waitroom.journal_reader import JournalReader, Portion, Sought
from waitroom.metrics import EventMetrics
from waitroom.target_store import TargetStore, waits_until
from waitroom.target_ways import BURST_MS, MOST, TargetWays
from waitroom.targets import Delivery, State, Target, Way

log = logging.getLogger(__name__)

LOOK_S = 1.0
LEASE_MS = 60_000
TRY_S = 45
"""Shorter than the lease: a mail server may take its patience at every step, and a lease ends only with its holder."""

TURN_MOST = 200
"""Portions that one turn tells a target; then others may have the lease."""

PASSED_MOST = 10_000
"""Entries that do not concern a target, after which its cursor is moved all the same."""

TAKEN = frozenset({Outcome.SENT, Outcome.SKIPPED})


class TargetRound:
    """Tells the targets, for one process."""

    def __init__(
        self,
        store: TargetStore,
        reader: JournalReader,
        ways: TargetWays,
        clock: Clock,
        metrics: EventMetrics,
        chance: Callable[[], float] = lambda: secrets.randbelow(1000) / 1000,
        tries: int = TRIES,
    ) -> None:
        """Join the parts; nothing is told yet."""
        self._store = store
        self._reader = reader
        self._ways = ways
        self._clock = clock
        self._metrics = metrics
        self._chance = chance
        self._tries = tries
        self._me = secrets.token_hex(8)
        self._telling: dict[str, asyncio.Task[None]] = {}
        self._passed: dict[str, tuple[tuple[bytes, str, int], int]] = {}
        self._loop: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin."""
        self._loop = asyncio.create_task(self._run(), name="targets")

    async def stop(self) -> None:
        """End; what was being told is told again later."""
        tasks = [task for task in (self._loop, *self._telling.values()) if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._telling.clear()

    async def _run(self) -> None:
        while not is_ending():
            try:
                await self.look()
            except Unavailable:
                log.warning("targets cannot be told: the journal is away")
            except Exception as error:  # noqa: BLE001 - told without its words
                _log_fault("targets could not be looked at", error)
            await asyncio.sleep(LOOK_S)

    async def look(self) -> None:
        """Begin to tell every target that is due and not being told; show how far each is behind."""
        targets = await asyncio.to_thread(self._store.all)
        head = await asyncio.to_thread(self._reader.head)
        names = {target.name for target in targets}
        self._telling = {name: task for name, task in self._telling.items() if not task.done()}
        self._passed = {name: passed for name, passed in self._passed.items() if name in names}
        for target in targets:
            if target.name not in self._telling and await asyncio.to_thread(self._is_due, target, head):
                self._telling[target.name] = asyncio.create_task(
                    self._tell(target.name), name=f"target {target.name}"
                )
        self._metrics.show([
            (target.name, head - self._at(target), target.tries, target.state.value) for target in targets
        ])  # fmt: skip

    def _at(self, target: Target) -> int:
        """Say how far a target needs no telling, its cursor not yet moved included."""
        known, at = self._passed.get(target.name, ((b"", "", -1), 0))
        return at if known == (target.salt, target.tag, target.cursor) else target.cursor

    def _is_due(self, target: Target, head: int) -> bool:
        """Tell whether there is something to tell a target now; what does not concern it is passed over in mind.

        A sale writes all the time: a cursor that moved with every entry would write as often as the sale.
        """
        now_ms, at = self._clock.now_ms(), self._at(target)
        if target.state is not State.ACTIVE or waits_until(target.next_ms, now_ms) or at >= head:
            return False
        portion = self._reader.after(at, sought_by(target), MOST[target.way])
        if portion.told:
            return not _waits(target, portion, now_ms)
        self._passed[target.name] = ((target.salt, target.tag, target.cursor), portion.at)
        return portion.at - target.cursor > PASSED_MOST

    async def told(self) -> None:
        """Wait until nothing is being told (for tests)."""
        await asyncio.gather(*self._telling.values())

    async def _tell(self, name: str) -> None:
        try:
            await self.tell(name)
        except Unavailable:
            log.warning("a target waits for the journal", extra={"target": name})
        except Exception as error:  # noqa: BLE001 - the same
            _log_fault("a target could not be told", error, target=name)

    async def tell(self, name: str) -> None:
        """Tell one target what it has not heard, as far as it takes it."""
        now_ms = self._clock.now_ms()
        target = await asyncio.to_thread(self._store.lease, name, self._me, now_ms + LEASE_MS, now_ms)
        if target is None:
            return
        try:
            for _ in range(TURN_MOST):
                going_on = await self._step(target)
                if going_on is None or is_ending():
                    return
                target = going_on
        finally:
            await asyncio.shield(asyncio.to_thread(self._store.release, name, self._me))

    async def _step(self, target: Target) -> Target | None:
        """Tell one portion; return the target as it then is, None where it has to wait."""
        portion = await asyncio.to_thread(
            self._reader.after, target.cursor, sought_by(target), MOST[target.way]
        )
        began_ms = self._clock.now_ms()
        told = portion.told
        if not told:
            if portion.at > target.cursor:
                moved = replace(target, cursor=portion.at)
                return moved if await self._move(moved, None) and portion.more else None
            return None
        if _waits(target, portion, began_ms):
            return None
        try:
            async with asyncio.timeout(TRY_S):
                result = await self._ways.tell(target, told)
        except Exception as error:  # noqa: BLE001 - the same
            # A fault of ours with one event is told as any other failure: it must not spin, nor end the round.
            _log_fault("a target could not be told", error, target=target.name)
            result = Result(Outcome.LATER, type(error).__name__)
        now_ms = self._clock.now_ms()
        delivery = Delivery(
            now_ms, told[0].entry.seq, told[-1].entry.seq, result.outcome.value, result.why, now_ms - began_ms
        )
        moved = self._after(target, result, portion.at, now_ms)
        if result.outcome is not Outcome.SKIPPED:
            self._metrics.sent.labels(target.way.value, _word(moved, result)).inc()
        kept = await self._move(moved, None if result.outcome is Outcome.SKIPPED else delivery)
        return moved if kept and result.outcome in TAKEN else None

    def _after(self, target: Target, result: Result, at: int, now_ms: int) -> Target:
        """Return a target as it is after a try."""
        if result.outcome in TAKEN:
            told_ms = now_ms if result.outcome is Outcome.SENT else target.told_ms
            return replace(target, cursor=at, tries=0, next_ms=0, why="", told_ms=told_ms)
        tries = target.tries + 1
        if result.outcome is Outcome.NEVER or is_last(tries, self._tries):
            log.error("a target is dead", extra={"target": target.name, "why": result.why})
            return replace(target, tries=tries, state=State.DEAD, why=result.why)
        later = max(again_ms(tries, self._chance(), now_ms), now_ms + result.later_s * 1000)
        return replace(target, tries=tries, next_ms=later, why=result.why)

    async def _move(self, target: Target, delivery: Delivery | None) -> bool:
        until_ms = self._clock.now_ms() + LEASE_MS
        return await asyncio.to_thread(self._store.move, target, self._me, until_ms, delivery)


def _log_fault(message: str, error: Exception, **fields: str) -> None:
    log.error(message, extra={**fields, "fault": described(error)})


def sought_by(target: Target) -> Sought:
    """Say what a target wants to hear of; who names no kinds hears nothing of single fans and of who may come in."""
    kinds: frozenset[Kind] = frozenset(map(kind_of, target.kinds)) or STEERING - {Kind.ACCESS}
    return Sought(target.rooms or None, kinds)


def _waits(target: Target, portion: Portion, now_ms: int) -> bool:
    """Tell whether a mail waits for what may come in the same minute; a clock that was set back delays none."""
    is_full = portion.more or len(portion.told) >= MOST[Way.MAIL]
    return target.way is Way.MAIL and not is_full and 0 <= now_ms - portion.told[0].entry.at_ms < BURST_MS


def _word(target: Target, result: Result) -> str:
    if result.outcome is Outcome.SENT:
        return "sent"
    return "dead" if target.state is State.DEAD else "failed"
