"""Reminder round: what a worker does a few times a second for those who asked to be told.

Each round asks the store for what is due: who is called, and who is near, that is whose wait may be as short as the
room's `reminder_minutes` (the lower end of the estimate that the page shows, so nobody is told too late as long as such
estimates hold). Workers take messages under a lease and send them beside the round, a few at once: so the gate keeps
its time, and a mail server that is away or slow is noticed by nobody else. What was not taken is tried again until it
is of no use: the turn is over, the place was claimed, the line has ended.

When a line has ended its key is destroyed and its book deleted, whatever is still in it. No address and no number is
logged. Not here: the rules (``reminder``), the words (``reminder_letters``).
"""

import asyncio
import logging
import math
import secrets
from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import replace
from random import random
from urllib.parse import quote

from kernel.errors import Unavailable
from kernel.sending import Outcome, Result
from kernel.tasks import is_ending
from waitroom import reminder as rules
from waitroom.lanes import Lane, Serving
from waitroom.line import covered
from waitroom.ports import Claimed
from waitroom.reading import Reading
from waitroom.reminder import Came, Due, Job, Stale
from waitroom.reminder_letters import Letter, letter
from waitroom.reminding import Reminding
from waitroom.schedule import Phase
from waitroom.shells import Pages
from waitroom.standing import CALLING, Place, Standing

log = logging.getLogger(__name__)

ROUND_S = 0.25
AT_ONCE = 16
"""Messages under way in one worker: some sixty a second, a fifth of a core."""

RANKS_AT_ONCE = 200
PATIENCE_S = 3.0
WIPE_AGAIN_MS = 10_000
EVERY_EPOCH = 1 << 52
_MINUTE_S = 60


class ReminderRound:
    """Sends the reminders of this worker's rooms."""

    def __init__(
        self,
        reminding: Reminding,
        pages: Pages,
        claimed: Claimed,
        base: str,
        *,
        at_once: int = AT_ONCE,
        chance: Callable[[], float] = random,
    ) -> None:
        """`base` is the address below which rooms stand: ``https://tickets.example/.waitroom``."""
        self._reminding = reminding
        self._waitroom = reminding.waitroom
        self._pages = pages
        self._claimed = claimed
        self._base = base
        self._at_once = at_once
        self._chance = chance
        self._sending: set[asyncio.Task[None]] = set()
        self._task: asyncio.Task[None] | None = None
        self._kept: dict[str, int] = {}
        self._wiped: dict[str, tuple[int, int]] = {}
        self._away = False

    def start(self) -> None:
        """Begin."""
        self._task = asyncio.create_task(self._loop(), name="reminders")

    async def stop(self) -> None:
        """End; what was on its way gets a moment, and the rest is another worker's when its lease is over."""
        tasks = [*self._sending, *([self._task] if self._task else [])]
        if self._task is not None:
            self._task.cancel()
        if tasks:
            _, slow = await asyncio.wait(tasks, timeout=PATIENCE_S)
            for task in slow:
                task.cancel()
            if slow:
                await asyncio.wait(slow, timeout=PATIENCE_S)
        for way in self._reminding.ways.values():
            await way.close()

    async def settled(self) -> None:
        """Wait until nothing is on its way."""
        while self._sending:
            await asyncio.wait(self._sending)

    async def beat(self) -> None:
        """Do one round over all rooms. Raises Unavailable."""
        for room in self._wiped.keys() - self._waitroom.readings.keys():
            # It was removed, with everything that fans left in it.
            if (await self._reminding.store.wipe(room, EVERY_EPOCH))[0] == "wiped":
                del self._wiped[room]
        for room, reading in list(self._waitroom.readings.items()):
            if reading.line is not None and not reading.fallen:
                await self._room(room, reading)

    async def _room(self, room: str, reading: Reading) -> None:
        line = reading.line
        if line is None:
            return
        ended = line.phase is Phase.ENDED or not self._reminding.offered(reading)
        await self._clear(room, line.epoch + 1 if ended else line.epoch)
        most = self._at_once - len(self._sending)
        if ended or most <= 0:
            return
        serving = line.serving if line.phase in CALLING else Serving()
        near = self._near(reading) if self._kept.get(room) else serving
        lease = secrets.token_hex(8)
        taken = await self._reminding.store.due(room, line.epoch, serving, near, most, lease)
        if isinstance(taken, Stale):
            self._kept[room] = 0
            self._waitroom.metrics.reminders.labels(room).set(0)
            return
        self._kept[room] = taken.kept
        self._waitroom.metrics.reminders.labels(room).set(taken.kept)
        for one in taken.due:
            task = asyncio.create_task(self._send(room, reading, one, lease), name="reminder")
            self._sending.add(task)
            task.add_done_callback(self._done)
        if taken.unranked:
            await self._rank(room, reading, line.epoch)

    async def _clear(self, room: str, below: int) -> None:
        """Delete what is of an older line, or of one that is over; now and then again, for who asked too late."""
        now_ms = self._waitroom.clock.now_ms()
        known, at_ms = self._wiped.get(room, (-1, 0))
        if known == below and now_ms < at_ms + WIPE_AGAIN_MS:
            return
        self._reminding.lose_key(room)
        if (await self._reminding.store.wipe(room, below))[0] == "wiped":
            self._wiped[room] = below, now_ms

    def _near(self, reading: Reading) -> Serving:
        """Give the rank of each lane below which a wait may be as short as the room's lead."""
        line, minutes = reading.line, reading.room.reminder_minutes
        if line is None or minutes is None or line.phase not in {Phase.GATHERING, Phase.SERVING}:
            return line.serving if line else Serving()
        if line.commitment and not line.seed:
            return line.serving
        lead_s, delay_s = minutes * _MINUTE_S, self._delay_s(reading)
        return Serving(*(_first_beyond(reading, lane, lead_s, delay_s) for lane in Lane))

    def _delay_s(self, reading: Reading) -> float:
        line, starts_ms = reading.line, reading.wanted.starts_ms
        if line is None or line.phase is not Phase.GATHERING or starts_ms is None:
            return 0.0
        return max(0.0, (starts_ms - self._waitroom.clock.now_ms()) / 1000)

    async def _rank(self, room: str, reading: Reading, epoch: int) -> None:
        """Give ranks to those who asked before the draw."""
        if (line := reading.line) is None or (line.commitment and not line.seed):
            return
        numbers = await self._reminding.store.unranked(room, RANKS_AT_ONCE)
        ranks = await asyncio.to_thread(_ranks, reading, numbers)
        if ranks:
            await self._reminding.store.rank(room, epoch, ranks)

    async def _send(self, room: str, reading: Reading, one: Due, lease: str) -> None:
        """Try to deliver one message, and write down what came of it."""
        now_ms = self._waitroom.clock.now_ms()
        channel, outcome = "", "unreadable"
        came = Came.OVER
        contact = await self._reminding.opened(reading, one.number, one.sealed)
        way = self._reminding.ways.get(contact.way) if contact else None
        if contact is not None:
            channel, outcome = contact.way, "no-way"
        if contact is not None and way is not None:
            # A place that was slowed since waits in another lane; its page asks anew for that one.
            slowed = await self._waitroom.store.slowed(
                room, reading.line.run if reading.line else "", one.number
            )
            one = replace(one, lane=Lane.SUSPECT if slowed else one.lane)
            place = reading.place(one.number, one.lane, now_ms)
            early = slowed is not None and one.job is Job.TURN and place.standing is Standing.WAITING
            if early or not rules.is_useful(one.job, place, reading.claim_window_ms, now_ms):
                outcome = "lapsed"
            elif await self._claimed.has_claimed(room, one.number):
                outcome = "claimed"
            else:
                result = await way.send(contact.to, self._letter(room, reading, place, one, contact.language))
                came, outcome = _came(result), result.outcome.value
                if came is not Came.TOLD:
                    log.info(
                        "a reminder was not taken",
                        extra={"room": room, "channel": channel, "outcome": outcome, "why": result.why},
                    )
        pause_ms = rules.pause_ms(one.tries, self._chance())
        await self._reminding.store.told(room, one.number, lease, came, pause_ms)
        self._waitroom.metrics.reminder_sends.labels(channel, str(one.job), outcome).inc()

    def _letter(self, room: str, reading: Reading, place: Place, one: Due, language: str) -> Letter:
        now_ms = self._waitroom.clock.now_ms()
        stop = quote(self._reminding.paper(room, reading.line.epoch if reading.line else 0, one.tag), safe="")
        left_s = (place.until_ms - now_ms) / 1000 if place.until_ms is not None else None
        minutes = reading.room.reminder_minutes or 1
        useful_ms = reading.claim_window_ms * rules.WINDOWS_USEFUL
        return letter(
            self._pages.look(reading, language),
            one.job,
            one.sealed,
            page=f"{self._base}/r/{room}?lang={language}",
            stop=f"{self._base}/r/{room}/remind/stop?lang={language}&paper={stop}",
            wait=reading.wait(place, one.lane, self._delay_s(reading)) if one.job is Job.NEAR else None,
            left_s=left_s,
            useful_s=minutes * _MINUTE_S if one.job is Job.NEAR else useful_ms // 1000,
        )

    def _done(self, task: asyncio.Task[None]) -> None:
        self._sending.discard(task)
        if task.cancelled() or (fault := task.exception()) is None:
            return
        # Its lease ends, and somebody tries again.
        if not isinstance(fault, Unavailable):
            log.error("a reminder failed", exc_info=fault)

    async def _loop(self) -> None:
        while not is_ending():
            await asyncio.sleep(ROUND_S)
            try:
                await self.beat()
            except Unavailable as reason:
                if not self._away:
                    log.warning("reminders wait for the store", extra={"error": str(reason)})
                self._away = True
            except Exception:
                log.exception("a round of reminders failed; the next one follows")
            else:
                self._away = False


def _first_beyond(reading: Reading, lane: Lane, lead_s: float, delay_s: float) -> int:
    """Return the first rank of a lane whose wait is longer than `lead_s` for certain; waits only grow with ranks."""
    line = reading.line
    if line is None:
        return 0

    def low_s(rank: int) -> float:
        wait = reading.wait(_waiting(reading, rank, lane), lane, delay_s)
        return wait.low_s if wait else math.inf

    return bisect_right(range(line.issued), lead_s, lo=min(line.serving.of(lane), line.issued), key=low_s)


def _waiting(reading: Reading, rank: int, lane: Lane) -> Place:
    line = reading.line
    if line is None:
        return Place(None, Standing.GATHERING, None, None)
    serving = line.serving.of(lane)
    ahead = max(0, rank - serving - covered(line.axis_void, serving, rank))
    return Place(rank, Standing.WAITING, ahead, None)


def _ranks(reading: Reading, numbers: Sequence[int]) -> dict[int, int]:
    found = {number: reading.rank(number) for number in numbers}
    return {number: given for number, given in found.items() if given is not None}


def _came(result: Result) -> Came:
    match result.outcome:
        case Outcome.SENT:
            return Came.TOLD
        case Outcome.LATER | Outcome.AWAY:
            return Came.LATER
        case Outcome.NEVER | Outcome.SKIPPED:
            return Came.OVER
