"""Two windows of the 1998 World Cup site, scaled, through the whole flow (`flash`, `match`).

The real shape of a crowd: the flash is calm for two hours and then rises 48-fold within five minutes; the match day
has two waves. The room is dimensioned for a fifth of the largest minute, so that there is a line to speak of, and
everybody gets in before the end.
"""

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass, replace

from bench.demo import ROOM, demo, plan_for
from bench.drills import results
from bench.figure import Figure
from bench.figures.crowd import tell
from bench.harness import Bench
from gateway.crowd.books import admissions_of
from gateway.crowd.crowd import Hooks, run_crowd


@dataclass(frozen=True, slots=True)
class Size:
    """How much of it."""

    fans: int
    arrive_s: float
    per_minute: int
    claim_window_s: int
    away_s: float


FULL = Size(fans=6000, arrive_s=120, per_minute=3000, claim_window_s=20, away_s=6)
SHORT = Size(fans=200, arrive_s=10, per_minute=1200, claim_window_s=4, away_s=2)


def play(bench: Bench, name: str, *, short: bool) -> Iterator[Figure]:
    """Send the window's crowd and tell what it saw."""
    size = SHORT if short else FULL
    room = {"claim_window_s": size.claim_window_s, **(results.SHORT_ROOM if short else {})}
    with demo(bench, per_minute=size.per_minute, workers=results.WORKERS, room=room) as installation:
        plan = plan_for(installation, size.fans, size.arrive_s, shape=name, patient=short)
        plan = replace(plan, away_s=size.away_s)
        hooks = Hooks(journal=admissions_of(installation.journal_url, ROOM), pulse=tell)
        result = asyncio.run(run_crowd(plan, hooks))
    yield results.crowd(bench, name, result)
    yield results.places(bench, name, result.places_lost, size.fans)
