"""The figures: waits, rates and counts of a crowd, as they are shown and kept.

Pure arithmetic over the records. Rates are of whole seconds of the crowd's clock; a wait reaches from the answer to
the join to the answer that admits.
"""

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass

from gateway.crowd.law import Document
from gateway.crowd.observed import Observed, Outcome, Route
from gateway.crowd.plan import Script


@dataclass(frozen=True, slots=True)
class Spread:
    """A distribution in five numbers; all zero when there was nothing."""

    count: int
    p50: float
    p90: float
    p99: float
    most: float


@dataclass(frozen=True, slots=True)
class Pace:
    """Requests of one kind."""

    total: int
    per_s: float  # over the seconds in which there were any
    peak_per_s: int
    latency_ms: Spread


@dataclass(frozen=True, slots=True)
class Figures:
    """What is shown of a crowd."""

    fans: int
    ended_s: float
    waits_s: Spread
    waits_by_script: dict[Script, Spread]
    paces: dict[Route, Pace]
    requests: int
    requests_per_s: float
    outcomes: dict[Script, dict[Outcome, int]]
    matched: dict[Script, int]
    queue_ms: Spread
    lag_ms: Spread
    cpu_s: float
    arrivals_per_s: list[int]
    admissions_per_s: list[int]
    polls_per_s: list[int]
    waiting: list[tuple[float, int]]
    places: list[tuple[int, float, Script]]  # number, wait in seconds


def spread(values: Iterable[float]) -> Spread:
    """Nearest-rank percentiles."""
    ranked = sorted(values)
    if not ranked:
        return Spread(0, 0.0, 0.0, 0.0, 0.0)

    def at(share: float) -> float:
        return ranked[max(0, math.ceil(share * len(ranked) - 1e-9) - 1)]

    return Spread(len(ranked), at(0.5), at(0.9), at(0.99), ranked[-1])


def rounded(spread: Spread) -> dict[str, float]:
    """Write a distribution as plain values for JSON."""
    return {name: round(value, 3) for name, value in asdict(spread).items()}


def figures(observed: Observed) -> Figures:
    """Work out everything that the reports show."""
    waits = [
        (file.script, file.number, file.admitted_s - file.joined_s)
        for file in observed.fans
        if file.kind is None and file.admitted_s is not None and file.joined_s is not None
    ]
    requests = sum(counts.total() for counts in observed.requests.values())
    seconds = int(observed.ended_s) + 1
    outcomes: dict[Script, Counter[Outcome]] = {script: Counter() for script in Script}
    matched: Counter[Script] = Counter()
    for file in observed.fans:
        if file.kind is not None:
            continue  # what became of bots is told by ``bots.shares``
        outcomes[file.script][file.outcome or Outcome.FAILED] += 1
        matched[file.script] += file.matched
    return Figures(
        fans=len(observed.fans),
        ended_s=observed.ended_s,
        waits_s=spread(wait for _, _, wait in waits),
        waits_by_script={
            script: spread(wait for kind, _, wait in waits if kind is script) for script in Script
        },
        paces={
            route: _pace(counts, observed.latencies_ms.get(route, ()))
            for route, counts in observed.requests.items()
        },
        requests=requests,
        requests_per_s=requests / max(observed.ended_s, 1e-9),
        outcomes={script: dict(counts) for script, counts in outcomes.items() if counts},
        matched={script: matched[script] for script in Script},
        queue_ms=spread(observed.queues_ms),
        lag_ms=spread(observed.lags_ms),
        cpu_s=observed.cpu_s,
        arrivals_per_s=per_second((file.arrives_s for file in observed.fans), seconds),
        admissions_per_s=per_second(_admission_seconds(observed), seconds),
        polls_per_s=[observed.requests[Route.STATUS][second] for second in range(seconds)],
        waiting=_waiting(observed.documents),
        places=[(number, wait, script) for script, number, wait in waits if number is not None],
    )


def _pace(counts: Counter[int], latencies_ms: Iterable[float]) -> Pace:
    busy = [count for count in counts.values() if count]
    total = sum(busy)
    return Pace(total, total / max(1, len(busy)), max(busy, default=0), spread(latencies_ms))


def _admission_seconds(observed: Observed) -> list[float]:
    """When each session was admitted, in the crowd's seconds."""
    if observed.journal is not None:
        return [(entry.at_ms - observed.wall_ms) / 1000 for entry in observed.journal]
    firsts: dict[str, int] = {}
    for admission in observed.admissions:
        firsts[admission.sid] = min(admission.at_ms, firsts.get(admission.sid, admission.at_ms))
    # iat is a whole second of the room's clock: the crowd's second that holds its middle.
    return [(at_ms + 500 - observed.wall_ms) / 1000 for at_ms in firsts.values()]


def per_second(moments: Iterable[float], seconds: int) -> list[int]:
    """Count moments by the second in which they lie."""
    counts = [0] * seconds
    for moment in moments:
        if 0 <= moment < seconds:
            counts[int(moment)] += 1
    return counts


def _waiting(documents: Sequence[tuple[float, Document]]) -> list[tuple[float, int]]:
    """How many were in line by each document, newest version first seen last."""
    newest = (-1, -1)
    points: list[tuple[float, int]] = []
    for seen_s, document in documents:
        if document.order > newest:
            newest = document.order
            called = document.serving.get("standard", 0)
            void = sum(max(0, high - max(low, called)) for low, high in document.void)
            points.append((seen_s, max(0, document.issued - called - void)))
    return points
