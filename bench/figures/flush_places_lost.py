"""The figure flush-places-lost: the store is wiped and killed in the middle of a sale, and the workers too.

A third of the crowd is in when FLUSHALL and ``kill -9`` of store and workers leave nothing but the journal and what
the fans hold in their hands. At the end the roll is called: a place is lost when a genuine ticket is refused or nobody
answers for it. The value is that count; a red check other than that is told as an error beside it.
"""

import asyncio
from collections.abc import Iterator

from bench.demo import ROOM, demo, plan_for
from bench.figure import Figure
from bench.figures.crowd import fans_wanted, reds, tell, told
from bench.harness import Bench
from gateway.crowd.books import admissions_of
from gateway.crowd.crowd import Hooks, run_crowd
from gateway.crowd.plan import Drill

FANS = 3_000
ARRIVE_S = 60.0
DRILL_AT_S = 30.0
GRACE_S = 20.0
PER_MINUTE = 900


def measure(bench: Bench) -> Iterator[Figure]:
    """Send a crowd, lose everything in the middle, and count lost places."""
    fans = fans_wanted(FANS)
    with demo(bench, per_minute=PER_MINUTE) as installation:
        drill = Drill(
            at_s=DRILL_AT_S,
            name="store wiped, store and workers killed",
            act=installation.lose_everything,
            loses_store=True,
            grace_s=GRACE_S,
        )
        journal = admissions_of(installation.journal_url, ROOM)
        hooks = Hooks(drills=[drill], journal=journal, pulse=tell)
        result = asyncio.run(run_crowd(plan_for(installation, fans, ARRIVE_S), hooks))
        epoch = installation.epoch()
    error = None if result.is_green else reds(result)
    if epoch < 2:
        error = f"nothing was lost and put back: the line is still in epoch {epoch}"
    yield Figure(
        "flush-places-lost",
        result.places_lost,
        "places",
        target="= 0",
        met=result.places_lost == 0 and error is None,
        conditions=bench.conditions(workers=2, load=f"open-loop crowd of {fans:,} real HTTP fans", rounds=1),
        details={**told(result), "epoch": epoch},
        error=error,
    )
