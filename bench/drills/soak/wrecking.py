"""Wrecking: what happens to the shop of a soak, and when, drawn from the seed before anything begins.

A misfortune is a moment, a kind and a length. Killed processes come back by the shop's own supervisor; stopped ones go
on after their time, some of them longer than buyers have to pay. The provider loses questions and answers, fails,
repeats and reorders for a while. ``plan`` is pure, so the same seed makes the same day; how it goes depends on
when processes run. Not here: what is hurt by which means (``stage``).
"""

import asyncio
import random
import signal
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import httpx
import redis
from sqlalchemy.exc import SQLAlchemyError

from bench.drills.soak.stage import EVENT, Stage, hurt
from bench.figure import say
from checkout.audit.records import Loss, Record
from checkout.holds.store import Keys

FAULTS = (
    "drop-request", "drop-answer", "delay", "delay-answer", "error-before", "error-after", "too-many",
    "webhook-first", "webhook-twice", "webhook-late", "webhook-lost",
)  # fmt: skip
REBUILT_S = 60.0
THERE_S = 60.0
"""So long it is waited for a process that is to be hurt: what was killed before may be starting again."""

LOOK_S = 0.1
POINTS = {
    "create.before": 30, "create.after": 30, "confirm.before": 30, "confirm.after": 30, "sell.before": 25,
    "sell.after": 25, "capture.before": 25, "capture.after": 25, "settle.after": 25, "void.before": 6, "void.after": 6,
    "notice.written": 6,
}  # fmt: skip
"""Points of a payment (``kernel.crashing``), and about how often a worker passes one before it dies there."""


class Kind(StrEnum):
    """What can happen."""

    KILL_WORKER = "kill a worker"
    KILL_WORKERS = "kill all workers"
    STOP_WORKER = "stop a worker"
    KILL_STORE = "kill the store"
    STOP_STORE = "stop the store"
    WIPE_STORE = "wipe the store"
    KILL_SANDBOX = "kill the sandbox"
    STOP_SANDBOX = "stop the sandbox"
    FAULTY = "the provider has faults"
    KILL_BACKEND = "kill a process of the database"
    RESTART_DATABASE = "restart the database"


_WEIGHTS = {
    Kind.KILL_WORKER: 6, Kind.KILL_WORKERS: 2, Kind.STOP_WORKER: 4, Kind.KILL_STORE: 2, Kind.STOP_STORE: 2,
    Kind.WIPE_STORE: 1, Kind.KILL_SANDBOX: 3, Kind.STOP_SANDBOX: 2, Kind.FAULTY: 6, Kind.KILL_BACKEND: 3,
    Kind.RESTART_DATABASE: 1,
}  # fmt: skip
_OF_POSTGRES = frozenset({Kind.KILL_BACKEND, Kind.RESTART_DATABASE})


@dataclass(frozen=True, slots=True)
class Misfortune:
    """Something that happens. ``lasts_s``: so long it is stopped, or faulty; ``which`` chooses among several."""

    at_s: float
    kind: Kind
    lasts_s: float
    which: int
    fault: str = ""


def plan(
    seed: int, seconds: float, reserved_s: int, *, is_postgres: bool, every_s: float
) -> list[Misfortune]:
    """Draw the day: about one misfortune each ``every_s``, the last one before the end."""
    dice = random.Random(f"wreck-{seed}")
    kinds = [kind for kind in _WEIGHTS if is_postgres or kind not in _OF_POSTGRES]
    weights = [_WEIGHTS[kind] for kind in kinds]
    found, at_s = [], 2.0
    while (at_s := at_s + dice.uniform(0.4, 1.6) * every_s) < seconds - 2:
        kind = dice.choices(kinds, weights)[0]
        # Now and then a worker sleeps longer than its buyers have to pay.
        most_s = 1.3 * reserved_s if kind is Kind.STOP_WORKER and dice.random() < 0.3 else 6.0
        lasts_s = dice.uniform(0.5, most_s)
        if kind is Kind.FAULTY:
            lasts_s = dice.uniform(3.0, 12.0)
        lasts_s = min(lasts_s, seconds - at_s)
        found.append(Misfortune(at_s, kind, lasts_s, dice.randrange(1 << 30), dice.choice(FAULTS)))
    return found


def crash_at(seed: int) -> str:
    """Draw at which point of a payment, and at which pass, every worker dies."""
    dice = random.Random(f"crash-{seed}")
    point = dice.choice(sorted(POINTS))
    return f"{point}:{dice.randint(POINTS[point] // 2, 2 * POINTS[point])}"


class Wrecker:
    """Lets the day happen."""

    def __init__(self, stage: Stage, records: list[Record]) -> None:
        self._stage = stage
        self._records = records
        self._stopped: list[int] = []
        self.done: Counter[str] = Counter()
        self.faults: Counter[str] = Counter()

    async def run(self, day: Sequence[Misfortune]) -> None:
        """Let everything happen in its time."""
        began_s = time.monotonic()
        going: list[asyncio.Task[None]] = []
        for one in day:
            await asyncio.sleep(max(0.0, began_s + one.at_s - time.monotonic()))
            going.append(asyncio.create_task(self._happen(one)))
        await asyncio.gather(*going)

    async def heal(self) -> None:
        """Let all that is stopped go on, and end all faults of the provider."""
        hurt(self._stopped, signal.SIGCONT)
        await self._sandbox("DELETE", "/_sandbox/faults", tries=30)

    async def _happen(self, one: Misfortune) -> None:
        stage = self._stage
        match one.kind:
            case Kind.KILL_WORKER:
                done = hurt(_one(await self._there(self._workers), one), signal.SIGKILL)
            case Kind.KILL_WORKERS:
                done = hurt(await self._there(self._workers), signal.SIGKILL)
            case Kind.STOP_WORKER:
                done = await self._stop(_one(await self._there(self._workers), one), one.lasts_s)
            case Kind.KILL_STORE:
                done = hurt(await self._there(stage.store_pids), signal.SIGKILL)
            case Kind.STOP_STORE:
                done = await self._stop(await self._there(stage.store_pids), one.lasts_s)
            case Kind.WIPE_STORE:
                done = await self._wipe()
            case Kind.KILL_SANDBOX:
                done = hurt(await self._there(self._sandboxes), signal.SIGKILL)
            case Kind.STOP_SANDBOX:
                done = await self._stop(await self._there(self._sandboxes), one.lasts_s)
            case Kind.FAULTY:
                done = await self._fault(one)
            case _:
                done = await self._database(one)
        if done:
            self.done[one.kind.value] += 1

    def _workers(self) -> list[int]:
        return self._stage.processes("shop")

    def _sandboxes(self) -> list[int]:
        return self._stage.processes("sandbox")

    @staticmethod
    async def _there(found: Callable[[], list[int]]) -> list[int]:
        """Wait until there is a process to hurt: they may all have been killed just now. None when none comes."""

        def there() -> list[int]:
            until_s = time.monotonic() + THERE_S
            while not (pids := found()) and time.monotonic() < until_s:
                time.sleep(LOOK_S)
            return pids

        return await asyncio.to_thread(there)

    async def _stop(self, pids: list[int], lasts_s: float) -> int:
        self._stopped += pids
        done = hurt(pids, signal.SIGSTOP)
        try:
            await asyncio.sleep(lasts_s)
        finally:
            hurt(pids, signal.SIGCONT)
        return done

    async def _wipe(self) -> int:
        """Lose all of the store, and say so: what SQL did not know may be gone, until the map is there again."""
        from_us = time.time_ns() // 1000
        until_s = time.monotonic() + REBUILT_S
        client = redis.Redis.from_url(self._stage.store_url, socket_timeout=5)
        try:
            await asyncio.to_thread(client.flushall)
            while time.monotonic() < until_s:
                try:
                    if await asyncio.to_thread(client.exists, Keys(EVENT).map):
                        break
                except redis.RedisError:
                    pass
                await asyncio.sleep(0.05)
        except redis.RedisError:
            # It may have heard it all the same.
            pass
        finally:
            client.close()
        self._records.append(Loss(from_us, time.time_ns() // 1000))
        return 1

    async def _fault(self, one: Misfortune) -> int:
        rule = {
            "fault": one.fault, "where": "*" if one.fault.startswith("webhook-") else "POST /v1/*",
            "count": 1_000, "probability": 0.4, "delay_ms": 1_500, "seed": one.which,
        }  # fmt: skip
        if one.fault == "webhook-first":
            rule["where"] = "POST /v1/*"
        if not await self._sandbox("POST", "/_sandbox/faults", json=rule):
            return 0
        await asyncio.sleep(one.lasts_s)
        told = await self._sandbox("GET", "/_sandbox/faults")
        for fault in (told or {}).get("faults", ()):
            self.faults[fault["fault"]] += fault["struck"]
        await self._sandbox("DELETE", "/_sandbox/faults")
        return 1

    async def _database(self, one: Misfortune) -> int:
        postgres = self._stage.postgres
        if postgres is None:
            return 0
        if one.kind is Kind.RESTART_DATABASE:
            await postgres.restart()
            return 1

        def backends() -> list[int]:
            try:
                return postgres.backends()
            except SQLAlchemyError as error:
                # The server may still be at its log.
                say(f"the database does not say who works for it: {error}")
                return []

        return hurt(_one(await self._there(backends), one), signal.SIGKILL)

    async def _sandbox(self, method: str, path: str, *, tries: int = 1, **more: Any) -> dict[str, Any] | None:
        for left in range(tries, 0, -1):
            try:
                told: dict[str, Any] = await asyncio.to_thread(self._stage.ask_sandbox, method, path, **more)
            except httpx.HTTPError as error:
                if left == 1 and tries > 1:
                    say(f"the sandbox does not answer: {error}")
                await asyncio.sleep(1 if tries > 1 else 0)
            else:
                return told
        return None


def _one(pids: list[int], one: Misfortune) -> list[int]:
    return [sorted(pids)[one.which % len(pids)]] if pids else []
