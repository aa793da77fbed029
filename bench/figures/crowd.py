"""The figure crowd: 20,000 fans through the whole flow, over HTTP, and what became of them.

The value counts the fans whose day went as their script allows; it is 0 if any check of the crowd is red
(somebody overtaken, a limit passed, a place lost, an admission twice, an unexpected 5xx). BENCH_FANS makes the
crowd smaller for a quick look.
"""

import asyncio
import os
from collections.abc import Iterator

from bench.demo import ROOM, demo, plan_for
from bench.figure import Figure, failed, say
from bench.harness import Bench
from gateway.crowd.books import admissions_of
from gateway.crowd.crowd import Hooks, Pulse, Result, run_crowd

FANS = 20_000
ARRIVE_S = 120.0
PER_MINUTE = 4000


def measure(bench: Bench) -> Iterator[Figure]:
    """Send the crowd and tell what it saw."""
    fans = fans_wanted(FANS)
    with demo(bench, per_minute=PER_MINUTE) as installation:
        plan = plan_for(installation, fans, ARRIVE_S * fans / FANS)
        result = asyncio.run(
            run_crowd(plan, Hooks(journal=admissions_of(installation.journal_url, ROOM), pulse=tell))
        )
    figure = Figure(
        "crowd",
        result.matched,
        "fans",
        f"{fans:,} fans sent",
        ratio=result.matched / fans,
        target=f"= {fans}",
        met=result.matched == fans,
        conditions=bench.conditions(workers=2, load="open-loop crowd of real HTTP fans", rounds=1),
        details=told(result),
    )
    yield figure if result.is_green else failed(figure, reds(result))


def fans_wanted(usual: int) -> int:
    """Return how many fans to send: BENCH_FANS, or the figure's own number. Raises ValueError."""
    text = os.environ.get("BENCH_FANS", str(usual))
    if not text.isdecimal() or not 10 <= int(text) <= 100_000:
        raise ValueError(f"BENCH_FANS must be a whole number from 10 to 100000, not {text!r}")
    return int(text)


def tell(pulse: Pulse) -> None:
    """Tell every ten seconds how the crowd is doing."""
    if int(pulse.at_s) % 10 == 0:
        say(
            f"{pulse.at_s:4.0f} s: {pulse.arrived:,} came, {pulse.in_line:,} in line, "
            f"{pulse.admitted:,} admitted, {pulse.ended:,} done, {pulse.requests:,} requests"
        )


def told(result: Result) -> dict[str, object]:
    """Return what the crowd saw, short enough for one line."""
    outcomes: dict[str, int] = {}
    for file in result.observed.fans:
        name = str(file.outcome)
        outcomes[name] = outcomes.get(name, 0) + 1
    return {
        "outcomes": dict(sorted(outcomes.items())),
        "checks": {verdict.name: str(verdict.state) for verdict in result.verdicts},
        "places_lost": result.places_lost,
        "took_s": round(result.observed.ended_s),
        "requests": sum(counts.total() for counts in result.observed.requests.values()),
    }


def reds(result: Result) -> str:
    """Return which checks are red, each with its first example."""
    found = [verdict for verdict in result.verdicts if verdict.state == "red"]
    return "; ".join(f"{verdict.name}: {verdict.detail} {verdict.examples[:1]}" for verdict in found)
