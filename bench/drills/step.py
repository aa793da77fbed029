"""The step: ten times as many as the site can take, from one second to the next, held for a minute.

Before it as many come as are admitted. The room holds half of what comes during the step (``max_waiting``), so people
are put off at every place where that can happen: the gate (429, the room's own code), the join (429, full), the claim
(202, not yet). The crowd goes home at the end; the roll is called over everybody who still waits.

**Memory.** One who waits costs the store 16 bytes for the leaf and, for a minute, some 200 for the idempotency key. A
worker keeps nothing of who waits; what it keeps is bounded by number: a bucket for each address that joined (200,000),
admissions it has verified (20,000), the history of calls (4,096). So neither may grow by more than a few megabytes
(`STORE_MOST`, `WORKER_MOST`), however many come. The first sixth of the step is left out, in which
connections are opened and code is run for the first time.
"""

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from bench.demo import ROOM, Demo, demo, plan_for
from bench.drills import results
from bench.figure import Figure
from bench.figures.crowd import tell
from bench.harness import Bench
from gateway.crowd.books import admissions_of
from gateway.crowd.crowd import Hooks, Pulse, Result, run_crowd
from gateway.crowd.observed import LATER
from gateway.crowd.traces import STEP_HELD, STEP_TIMES, Shape
from gateway.crowd.verdict import State

MB = 1_000_000
STORE_MOST = 8 * MB
WORKER_MOST = 12 * MB
WARM_PARTS = 6
QUEUEING_CODE = 429


@dataclass(frozen=True, slots=True)
class Size:
    """How much of it: `per_minute` is what the room admits, and what comes before the step."""

    per_minute: int
    held_s: float
    rate_least: float
    """So much of `per_minute` must be admitted; how much it is depends on the machine, so the full form alone asks."""

    @property
    def calm_s(self) -> float:
        """How long before the step."""
        return self.held_s / STEP_HELD

    @property
    def fans(self) -> int:
        """Everybody who comes."""
        return round(self.per_minute / 60 * (self.calm_s + STEP_TIMES * self.held_s))


FULL = Size(per_minute=1200, held_s=60, rate_least=0.95)
SHORT = Size(per_minute=360, held_s=12, rate_least=0)


def play(bench: Bench, name: str, *, short: bool) -> Iterator[Figure]:
    """Send the step and tell how the room took it."""
    size = SHORT if short else FULL
    room = {"max_waiting": size.fans // 2, "queueing_status_code": QUEUEING_CODE}
    room |= results.SHORT_ROOM if short else {}
    memory: list[tuple[float, dict[str, int]]] = []
    with demo(bench, per_minute=size.per_minute, workers=results.WORKERS, room=room) as installation:
        plan = plan_for(
            installation, size.fans, size.calm_s + size.held_s, shape=Shape.STEP, linger_s=1.0, patient=short
        )
        hooks = Hooks(
            journal=admissions_of(installation.journal_url, ROOM),
            pulse=lambda pulse: _look(installation, pulse, memory),
        )
        result = asyncio.run(run_crowd(plan, hooks))
    yield results.crowd(bench, name, result, all_through=False)
    yield results.places(bench, name, result.places_lost, size.fans)
    yield _rate(bench, name, result, size)
    yield from memory_lines(bench, name, memory, size)
    yield _refusals(bench, name, result)


def _look(installation: Demo, pulse: Pulse, memory: list[tuple[float, dict[str, int]]]) -> None:
    memory.append((pulse.at_s, installation.memory_bytes()))
    tell(pulse)


def _rate(bench: Bench, name: str, result: Result, size: Size) -> Figure:
    """Admissions a minute while the step is held, its first sixth left out (those called then are on the way)."""
    since_s, until_s = size.calm_s + size.held_s / WARM_PARTS, size.calm_s + size.held_s
    wall_ms = result.observed.wall_ms
    admitted = sum(
        since_s <= (entry.at_ms - wall_ms) / 1000 < until_s for entry in result.observed.journal or ()
    )
    per_minute = admitted / (until_s - since_s) * 60
    exact = result.verdict("rate-exact")
    return Figure(
        f"{name}-admissions",
        per_minute,
        "a minute",
        "new_users_per_minute",
        ratio=per_minute / size.per_minute,
        target=f">= {size.rate_least} of {size.per_minute} and not 0, and rate-exact is green",
        met=admitted > 0 and per_minute >= size.rate_least * size.per_minute and exact.state is State.GREEN,
        conditions=results.conditions(bench, size.fans),
        details={"rate_exact": exact.detail},
    )


def memory_lines(
    bench: Bench, name: str, memory: Sequence[tuple[float, dict[str, int]]], size: Size
) -> Iterator[Figure]:
    """How much each process has grown while the step was held: the last fifth of the looks against the first.

    Without those of the first sixth. On a slow machine there are fewer looks than seconds.
    """
    held = [used for at_s, used in memory if size.held_s / WARM_PARTS <= at_s - size.calm_s < size.held_s]
    part = max(1, len(held) // (WARM_PARTS - 1))
    first, last = held[:part], held[-part:]
    if len(held) < 2:
        yield Figure(f"{name}-growth", 0, "MB", met=False, error="nobody looked at the memory")
        return
    for process in sorted(first[0].keys() & last[0].keys()):
        before, after = (max(used[process] for used in part) for part in (first, last))
        most = STORE_MOST if process == "store" else WORKER_MOST
        yield Figure(
            f"{name}-growth-{process}",
            (after - before) / MB,
            "MB",
            "resident memory at the beginning of the step",
            ratio=after / before,
            target=f"<= {most / MB:g} MB",
            met=after - before <= most,
            conditions=results.conditions(bench, size.fans),
            details={"before_mb": round(before / MB, 1), "after_mb": round(after / MB, 1)},
        )


def _refusals(bench: Bench, name: str, result: Result) -> Figure:
    """Answers that put somebody off: all of 202, 429 and 503, all with Retry-After, and no other failure."""
    observed = result.observed
    others = sum(count for (_, status), count in observed.refusals.items() if status not in LATER)
    unanswered = sum(not failure.kind.isdigit() for failure in observed.failures)
    wrong = len(observed.hasty) + others + unanswered
    rows = {f"{route} {status}": count for (route, status), count in sorted(observed.refusals.items())}
    full = any(status == QUEUEING_CODE for _, status in observed.refusals)
    return Figure(
        f"{name}-refusals-wrong",
        wrong,
        "answers",
        f"{observed.refusals.total():,} refusals",
        target="= 0, and there are refusals",
        met=wrong == 0 and full,
        conditions=results.conditions(bench, len(observed.fans)),
        details={
            "refusals": rows,
            "without_retry_after": len(observed.hasty),
            "other_5xx": others,
            "unanswered": unanswered,
        },
    )
