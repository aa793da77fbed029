"""The crowd: send every fan at its moment, harm the room where a drill says so, call the roll, judge.

``run_crowd`` is what the command, the tests and the benchmarks call. It is an open loop: the arrival times are
fixed before the first fan sets off. The crowd ends when every fan's script is through, or at ``plan.ends_s``, when
who still waits is sent home; then the roll is called: every ticket that is unused must still be good.
Not here: what a fan does (``scripts``), what the checks say (``checks``), how it looks (``report``).
"""

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from random import Random
from urllib.parse import urlsplit

from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey

from gateway.crowd.bots.guise import Guise, dress
from gateway.crowd.bots.kinds import Kind
from gateway.crowd.bots.plays import CLEARS
from gateway.crowd.bots.proving import prove
from gateway.crowd.bots.rhythms import rhythms
from gateway.crowd.bots.settling import near
from gateway.crowd.browser import Asker, Venue, members
from gateway.crowd.checks import judge
from gateway.crowd.clock import WallClock
from gateway.crowd.fan import Fan
from gateway.crowd.law import read_keys
from gateway.crowd.observed import Bundle, Counted, FanFile, Observed, Outage, Outcome, Route
from gateway.crowd.plan import Drill, Limits, Plan, Script, errands, faults, kinds, manners, scripts
from gateway.crowd.scripts import play
from gateway.crowd.seats.booked import Booked
from gateway.crowd.seats.checks_paid import is_settled
from gateway.crowd.sockets import check_sockets
from gateway.crowd.traces import arrivals
from gateway.crowd.verdict import State, Verdict
from gateway.crowd.watch import TIMEOUT_S, Watch
from gateway.crowd.wire import NoAnswer, Wire
from kernel.tasks import is_ending

PULSE_S = 1.0
LAG_EVERY_S = 0.05
LEAVES_PER_BLOCK = 1024
ROLL_AT_ONCE = 64
ROLL_TRIES = 8
ROLL_PAUSE_S = 1.0
SETTLE_EVERY_S = 2.0


class Unreachable(Exception):
    """There is no waiting room at the plan's address; the text says what was found instead."""


@dataclass(frozen=True, slots=True)
class Pulse:
    """How the crowd is doing right now."""

    at_s: float
    arrived: int
    in_line: int
    admitted: int
    ended: int
    requests: int
    sockets: int = 0


@dataclass(frozen=True, slots=True)
class Hooks:
    """What a caller may hang into a crowd; the defaults are a plain crowd over TCP in real time."""

    drills: Sequence[Drill] = ()
    journal: Callable[[float], Awaitable[list[Counted]]] | None = (
        None  # admissions since a moment, read at the end
    )
    books: Callable[[Observed], Awaitable[Booked]] | None = None  # the shop's and its provider's, at the end
    pulse: Callable[[Pulse], None] | None = None
    asker: Callable[[Callable[[], float]], Asker] | None = None  # made with the crowd's clock
    seconds: Callable[[], float] = time.perf_counter
    wall_ms: Callable[[], float] = lambda: time.time() * 1000
    closing: Callable[[Callable[[], None]], None] | None = None  # gets a function that sends everybody home


@dataclass(frozen=True, slots=True)
class Result:
    """What came out of a crowd."""

    plan: Plan
    observed: Observed
    verdicts: tuple[Verdict, ...]

    @property
    def is_green(self) -> bool:
        """True when no check is red."""
        return all(verdict.state is not State.RED for verdict in self.verdicts)

    @property
    def matched(self) -> int:
        """Fans whose day went as their script says; 0 when any check is red."""
        return sum(file.matched for file in self.observed.fans) if self.is_green else 0

    @property
    def places_lost(self) -> int:
        """Fans whose genuine ticket was refused, or who got no answer when the roll was called."""
        observed = self.observed
        return len({turn.fan for turn in observed.turned}) + observed.roll_called - observed.roll_answered

    def verdict(self, name: str) -> Verdict:
        """Find a check's verdict by its name. Raises KeyError."""
        return {verdict.name: verdict for verdict in self.verdicts}[name]


async def run_crowd(plan: Plan, hooks: Hooks | None = None) -> Result:
    """Send a crowd and judge what it saw.

    Raises ValueError for a plan with faults (TooFewSockets where the system allows fewer) and Unreachable when
    nobody answers at its address.
    """
    hooks = hooks or Hooks()
    if found := faults(plan):
        raise ValueError(" ".join(found))
    if plan.own_sockets and not hooks.asker:
        check_sockets(plan.fans)
    random = Random(plan.seed)
    times = arrivals(plan.shape, plan.fans, plan.duration_s, random)
    told = scripts(plan.mix, plan.fans, random)
    # Of their own chance, so that a seed brings the same fans at the same moments whatever is sold.
    wanted = errands(plan.errands, plan.fans, Random(f"{plan.seed}/errands"))
    ways = manners(plan.manners, plan.fans, Random(f"{plan.seed}/manners"))
    bots = kinds(plan.bots, plan.kinds, plan.fans, Random(f"{plan.seed}/bots"))
    files = [
        FanFile(index, script, at_s, errand=errand, manner=way, kind=kind)
        for index, (script, at_s, errand, way, kind) in enumerate(
            zip(told, times, wanted, ways, bots, strict=True)
        )
    ]
    _count_off(files)
    worn = _dressed(plan, files)
    zero = hooks.seconds()

    def seconds() -> float:
        return hooks.seconds() - zero

    wire = Wire(*_address(plan.url), connections=plan.connections, timeout_s=plan.timeout_s, clock=seconds)
    wall = WallClock(seconds, hooks.wall_ms)
    venue = Venue(plan, hooks.asker(seconds) if hooks.asker else wire, seconds, wall)
    venue.observed.fans = files
    venue.observed.alone = plan.alone
    watch = Watch(_operator_wire(plan), plan, venue)
    try:
        venue.archive.keys = await _knock(venue)
        venue.observed.limits = _limits(plan.limits, await watch.limits())
        venue.observed.policy = watch.policy
        zero, cpu_s = hooks.seconds(), time.process_time()
        venue.observed.wall_ms = hooks.wall_ms()
        if hooks.closing is not None:
            hooks.closing(venue.close)
        fans = await _Field(venue, watch, hooks, worn).play(files)
        await _call_roll(fans)
        await _last_look(venue)
        await _read_draw(venue)
        venue.observed.limits = _limits(plan.limits, _looser(venue.observed.limits, await watch.limits()))
    finally:
        await watch.close()
        await wire.close()
    venue.observed.documents = venue.archive.seen
    venue.observed.ended_s = venue.seconds()
    venue.observed.shop.clock_jump_ms = venue.wall.jump_ms
    venue.observed.cpu_s = time.process_time() - cpu_s
    if hooks.books is not None and venue.observed.shop.takes_money:
        await _settle(venue, hooks.books)
    if hooks.journal is not None:
        venue.observed.journal = await hooks.journal(venue.observed.wall_ms)
    return Result(plan, venue.observed, tuple(judge(venue.observed)))


class _Field:
    """The crowd while it is there."""

    def __init__(self, venue: Venue, watch: Watch, hooks: Hooks, worn: Sequence[tuple[Guise, bytes]]) -> None:
        self._worn = worn
        self._venue = venue
        self._watch = watch
        self._hooks = hooks
        self._running: set[asyncio.Task[None]] = set()
        self._kept: list[Fan] = []
        self._errors: list[BaseException] = []
        self._ended = 0

    async def play(self, files: Sequence[FanFile]) -> list[Fan]:
        """Let everybody live their day; give those fans back who hold an unused ticket."""
        aside = [
            asyncio.create_task(self._watch.keep_looking()),
            asyncio.create_task(self._feel_the_pulse()),
            asyncio.create_task(self._keep_time()),
        ]
        closing = asyncio.get_running_loop().call_later(
            max(0.0, self._venue.plan.ends_s - self._venue.seconds()), self._venue.close
        )
        drills = [asyncio.create_task(self._drill(drill)) for drill in self._hooks.drills]
        try:
            await self._let_in(files)
            while self._running:
                await asyncio.wait(self._running)
            await asyncio.gather(*drills)
        finally:
            closing.cancel()
            for task in [*aside, *drills, *self._running]:
                task.cancel()
            await asyncio.gather(*aside, *drills, *self._running, return_exceptions=True)
        if self._errors:
            raise self._errors[0]
        return self._kept

    async def _let_in(self, files: Sequence[FanFile]) -> None:
        """Start each fan at its moment, whatever the others are doing."""
        for file in files:
            wait_s = file.arrives_s - self._venue.seconds()
            if wait_s > 0:
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._venue.closing.wait(), wait_s)
            if self._venue.closing.is_set():
                file.outcome = Outcome.OUTSIDE
                continue
            fan = self._fan(file)
            task = asyncio.create_task(play(fan))
            self._running.add(task)
            task.add_done_callback(lambda task, fan=fan: self._gone(task, fan))  # type: ignore[misc]

    def _fan(self, file: FanFile) -> Fan:
        """Make a fan; among bots everybody wears something, and most tell a rhythm."""
        fan = Fan(self._venue, file, Random(f"{self._venue.plan.seed}/{file.index}"))
        if file.kind is None:
            fan.prove = prove
        fan.clears = CLEARS.get(file.kind)
        if self._worn:
            fan.guise, fan.rhythm = self._worn[file.index]
            fan.nears = near if fan.rhythm else None
        return fan

    def _gone(self, task: "asyncio.Task[None]", fan: Fan) -> None:
        self._running.discard(task)
        self._ended += 1
        if not task.cancelled() and (error := task.exception()) is not None:
            self._errors.append(error)
            self._venue.close()
        if fan.file.outcome in {Outcome.WAITING, Outcome.GONE} and fan.file.number is not None:
            self._kept.append(fan)

    async def _drill(self, drill: Drill) -> None:
        """Harm the room at the drill's moment and note from when to when that may be felt."""
        outages = self._venue.observed.outages
        await asyncio.sleep(max(0.0, drill.at_s - self._venue.seconds()))
        if drill.ready is not None:
            await drill.ready()
        since_s, place = self._venue.seconds(), len(outages)
        outages.append(Outage(drill.name, since_s, float("inf"), drill.loses_store, drill.harms_origin))
        await drill.act()
        until_s = self._venue.seconds() + drill.grace_s
        outages[place] = Outage(drill.name, since_s, until_s, drill.loses_store, drill.harms_origin)

    async def _keep_time(self) -> None:
        """Measure how late this process wakes up: its own share in what looks like the room's slowness."""
        while not is_ending():
            due_s = self._venue.seconds() + LAG_EVERY_S
            await asyncio.sleep(LAG_EVERY_S)
            self._venue.observed.lags_ms.append(max(0.0, self._venue.seconds() - due_s) * 1000)

    async def _feel_the_pulse(self) -> None:
        if self._hooks.pulse is None:
            return
        while not is_ending():
            await asyncio.sleep(PULSE_S)
            self._hooks.pulse(self._now())

    def _now(self) -> Pulse:
        files, observed = self._venue.observed.fans, self._venue.observed
        now_s = self._venue.seconds()
        return Pulse(
            at_s=now_s,
            arrived=sum(file.arrives_s <= now_s for file in files),
            in_line=sum(
                file.number is not None and file.admitted_s is None and not file.outcome for file in files
            ),
            admitted=sum(file.admitted_s is not None for file in files),
            ended=self._ended,
            requests=sum(counts.total() for counts in observed.requests.values()),
            sockets=self._venue.wire.sockets if isinstance(self._venue.wire, Wire) else 0,
        )


def _count_off(files: Sequence[FanFile]) -> None:
    """Number everybody among those of their kind, who came first first."""
    seen: Counter[Kind | None] = Counter()
    for file in files:
        file.nth = seen[file.kind]
        if file.kind is not None:
            file.script, file.errand, file.manner = Script.STEADY, None, None
        seen[file.kind] += 1


def _dressed(plan: Plan, files: Sequence[FanFile]) -> list[tuple[Guise, bytes]]:
    """Give everybody among bots what they wear, and what their pages tell; nothing in a crowd without bots."""
    if not plan.bots:
        return []
    origin = plan.url.rstrip("/")
    worn = [
        dress(file.kind, file.nth, file.index, origin, Random(f"{plan.seed}/guise/{file.index}"))
        for file in files
    ]
    return [*zip(worn, rhythms(files, worn, plan.seed), strict=True)]


async def _call_roll(fans: Sequence[Fan]) -> None:
    """Ask for every unused ticket once more: it must still be good, under the same number."""
    waiting = list(reversed(fans))

    async def ask_on() -> None:
        while waiting:
            fan = waiting.pop()
            for _ in range(ROLL_TRIES):
                answer = await fan.ask(Route.TICKET, fan.venue.room_path + b"/ticket")
                if answer is not None and answer.status != 429 and answer.status < 500:
                    fan.notes.roll_answered += 1
                    fan.note_view(answer)
                    break
                await asyncio.sleep((answer.retry_after_s if answer else None) or ROLL_PAUSE_S)

    if fans:
        fans[0].notes.roll_called = len(fans)
        await asyncio.gather(*[ask_on() for _ in range(min(ROLL_AT_ONCE, len(fans)))])


async def _settle(venue: Venue, books: Callable[[Observed], Awaitable[Booked]]) -> None:
    """Read the books; as long as they are not right, let the shop settle what was left behind, up to a limit."""
    until_s = venue.seconds() + venue.plan.settle_s
    while True:
        booked = venue.observed.shop.booked = await books(venue.observed)
        left_s = until_s - venue.seconds()
        waits_s = (booked.waits_until_ms - venue.now_ms) / 1000
        is_worth_it = not is_settled(venue.observed, booked) or 0 < waits_s <= left_s
        if left_s <= 0 or not is_worth_it:
            return
        await asyncio.sleep(min(left_s, SETTLE_EVERY_S))


async def _knock(venue: Venue) -> dict[str, EllipticCurvePublicKey]:
    """Find the room and its published keys before anybody sets off."""
    url, room = venue.plan.url, venue.plan.room
    try:
        status = await venue.wire.ask(b"GET", venue.room_path + b"/status")
        keys = await venue.wire.ask(b"GET", f"{venue.plan.prefix}/jwks.json".encode())
        found = read_keys(keys.body) if keys.status == 200 else {}
    except ValueError as error:
        raise Unreachable(f"{url} is no waiting room: {error}.") from error
    except NoAnswer as error:
        raise Unreachable(f"Nobody answers at {url} ({error.kind}). Is the waiting room running?") from error
    if status.status == 404:
        raise Unreachable(f"There is no room {room!r} at {url}.")
    if status.status != 200 or keys.status != 200:
        raise Unreachable(f"{url} is no waiting room that is ready: {status.status} for the room's status.")
    return found


async def _last_look(venue: Venue) -> None:
    """Read the final document, so that the records have the line's last state."""
    try:
        answer = await venue.wire.ask(b"GET", venue.room_path + b"/status")
        if answer.status == 200:
            venue.archive.document(answer.body, venue.seconds())
    except (NoAnswer, ValueError) as error:
        venue.observed.garbled.append(f"no last document: {error}")


async def _read_draw(venue: Venue) -> None:
    """Read the published draw of a line that has one, with all its leaves."""
    if not any(document.draw.commitment for _, document in venue.archive.seen):
        return
    try:
        said = members(await venue.wire.ask(b"GET", venue.room_path + b"/draw"))
        leaves = b""
        for block in range(-(-int(said.get("frozen") or 0) // LEAVES_PER_BLOCK)):
            answer = await venue.wire.ask(b"GET", venue.room_path + b"/leaves/%d" % block)
            leaves += answer.body if answer.status == 200 else b""
    except NoAnswer as error:
        venue.observed.garbled.append(f"the published draw could not be read: {error}")
        return
    venue.observed.draw = Bundle(said, leaves)


def _limits(told: Limits, found: Limits) -> Limits:
    """What the caller says counts, what the operator's port says fills the gaps."""
    rate, cap = told.admissions_per_minute, told.active_users
    return Limits(
        found.admissions_per_minute if rate is None else rate,
        found.active_users if cap is None else cap,
    )


def _looser(before: Limits, after: Limits) -> Limits:
    """An operator may change limits meanwhile: the looser of both is what surely held all the time."""
    rates = [
        limits.admissions_per_minute for limits in (before, after) if limits.admissions_per_minute is not None
    ]
    caps = [limits.active_users for limits in (before, after) if limits.active_users is not None]
    return replace(
        before, admissions_per_minute=max(rates, default=None), active_users=max(caps, default=None)
    )


def _operator_wire(plan: Plan) -> Wire | None:
    if plan.operator_url is None:
        return None
    return Wire(*_address(plan.operator_url), connections=2, timeout_s=TIMEOUT_S)


def _address(url: str) -> tuple[str, int]:
    parts = urlsplit(url)
    host = parts.hostname or ""
    return "127.0.0.1" if host == "localhost" else host, parts.port or 80
