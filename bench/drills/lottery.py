"""The lottery: a dated sale with a prequeue and a draw by a committed secret (level B), from joining to the shop.

Most of the crowd come while the room gathers, the rest after the freeze, who stand behind all who were drawn. The
freeze comes when so many have joined, however long a machine takes for them.
Some press for their turn all the while. Beside the crowd's checks (``draw-kept``: commitment, root, seed and every
rank shown are computed anew from what was published; ``nobody-early``; ``called-in-order``) two results say in figures
that the draw made the order: who was admitted when follows the drawn rank, and has nothing to do with who came when.
"""

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from bench.demo import ROOM, Demo, demo, plan_for
from bench.drills import results
from bench.figure import Figure
from bench.figures.crowd import tell
from bench.harness import Bench
from gateway.crowd.books import admissions_of
from gateway.crowd.crowd import Hooks, Result, run_crowd
from gateway.crowd.plan import Plan, Script
from gateway.crowd.uniform import arrival_p
from gateway.crowd.verdict import State
from waitroom.draw import Shuffle

TOLD_S = 1.5
"""So long before the freeze it is told; a change is in force after a second."""
LIKELY_LEAST = 1e-6
"""One honest draw in a million is less likely; at 0.01 every hundredth drill would fail for nothing."""


@dataclass(frozen=True, slots=True)
class Size:
    """How much of it."""

    fans: int
    arrive_s: float
    drawn_ratio: float
    """So many of the fans have joined when the room freezes; the draw has some more."""
    freeze_s: int
    per_minute: int
    claim_window_s: int
    away_s: float
    order_least: float
    """Fans ask every two seconds, so neighbours come in any order: 0.94 was seen with 15 called a second. A draw that
    made no order has 0, give or take 0.1."""


FULL = Size(
    fans=4000,
    arrive_s=72,
    drawn_ratio=0.8,
    freeze_s=10,
    per_minute=2400,
    claim_window_s=20,
    away_s=6,
    order_least=0.8,
)
SHORT = Size(
    fans=200,
    arrive_s=7,
    drawn_ratio=0.45,
    freeze_s=2,
    per_minute=1200,
    claim_window_s=4,
    away_s=2,
    order_least=0.5,
)


def play(bench: Bench, name: str, *, short: bool) -> Iterator[Figure]:
    """Let a crowd gather, be drawn and get in."""
    size = SHORT if short else FULL
    room = {
        "draw_lead_s": size.freeze_s, "claim_window_s": size.claim_window_s, "queueing_method": "reject",
        **(results.SHORT_ROOM if short else {}),
    }  # fmt: skip
    with demo(bench, per_minute=size.per_minute, workers=results.WORKERS, room=room) as installation:
        installation.put_sale(draw=True)
        plan = plan_for(installation, size.fans, size.arrive_s, shape="constant", patient=short)
        result = asyncio.run(_played(installation, replace(plan, away_s=size.away_s), size))
    yield results.crowd(bench, name, result)
    yield results.places(bench, name, result.places_lost, size.fans)
    yield from drawn(bench, name, result, size.order_least)


async def _played(installation: Demo, plan: Plan, size: Size) -> Result:
    """Send the crowd, and have the room freeze as soon as so many have joined."""
    hooks = Hooks(journal=admissions_of(installation.journal_url, ROOM), pulse=tell)
    crowd = asyncio.create_task(run_crowd(plan, hooks))

    def is_time() -> bool:
        return crowd.done() or installation.issued() >= size.drawn_ratio * size.fans

    await asyncio.to_thread(installation.start_when, is_time, TOLD_S + size.freeze_s)
    return await crowd


def drawn(bench: Bench, name: str, result: Result, order_least: float) -> Iterator[Figure]:
    """Tell what the draw was and whether people got in by it."""
    conditions = results.conditions(bench, len(result.observed.fans))
    bundle = result.observed.draw
    if bundle is None or not bundle.said.get("seed"):
        yield Figure(f"{name}-drawn", 0, "fans", met=False, conditions=conditions, error="there was no draw")
        return
    said = bundle.said
    ranks = list(Shuffle(bytes.fromhex(said["seed"]), int(said["frozen"])).ranks())
    verdict = result.verdict("draw-kept")
    late = sum(file.number is not None and file.number >= len(ranks) for file in result.observed.fans)
    yield Figure(
        f"{name}-drawn",
        len(ranks),
        "fans",
        target="draw-kept is green, with a late arrival behind them",
        met=verdict.state is State.GREEN and len(ranks) > 0 and late > 0,
        conditions=conditions,
        details={"late": late, "proven": verdict.detail, "first_in": result.verdict("nobody-early").detail},
        error=None if verdict.state is State.GREEN else f"{verdict.detail} {verdict.examples[:1]}",
    )
    likely = arrival_p(ranks)
    yield Figure(
        f"{name}-arrival-p",
        1.0 if likely is None else likely,
        "p",
        "Kolmogorov-Smirnov, rank against arrival",
        target=f">= {LIKELY_LEAST:g}",
        met=likely is None or likely >= LIKELY_LEAST,
        conditions=conditions,
    )
    by_rank, by_arrival, count = _orders(result, ranks)
    yield Figure(
        f"{name}-order",
        by_rank,
        "rank correlation",
        f"order of {count:,} admissions against the drawn ranks",
        target=f">= {order_least}",
        met=by_rank >= order_least,
        conditions=conditions,
        details={"against_arrival": round(by_arrival, 3), "admissions": count},
    )


def _orders(result: Result, ranks: Sequence[int]) -> tuple[float, float, int]:
    """How the order of admissions goes with the drawn ranks, and with the arrivals, of who claimed when called."""
    at_ms = {entry.sid: entry.at_ms for entry in result.observed.journal or ()}
    first: dict[int, int] = {}
    for admission in result.observed.admissions:
        moment_ms = at_ms.get(admission.sid, admission.at_ms)
        first[admission.fan] = min(moment_ms, first.get(admission.fan, moment_ms))
    prompt = [
        (first[file.index], file.number)
        for file in result.observed.fans
        if file.index in first
        and file.number is not None
        and file.number < len(ranks)
        and file.script is not Script.LATE
    ]
    moments = [float(moment_ms) for moment_ms, _ in prompt]
    return (
        correlation(moments, [float(ranks[number]) for _, number in prompt]),
        correlation(moments, [float(number) for _, number in prompt]),
        len(prompt),
    )


def correlation(one: Sequence[float], other: Sequence[float]) -> float:
    """Return Spearman's rank correlation (ties by position); 0 for fewer than two."""
    n = len(one)
    if n < 2:
        return 0.0
    gap = sum((left - right) ** 2 for left, right in zip(_placed(one), _placed(other), strict=True))
    return 1 - 6 * gap / (n * (n * n - 1))


def _placed(values: Sequence[float]) -> list[int]:
    placed = [0] * len(values)
    for place, index in enumerate(sorted(range(len(values)), key=lambda index: values[index])):
        placed[index] = place
    return placed
