"""Open sockets: 20,000 people, each with a connection of their own, wait for one moment, the start of the sale.

They join while the room gathers and look at it as told; a tenth press for their turn all the while. The sale starts
as soon as all sockets are open, counted on both sides. Nobody may be admitted before it (by the journal's
milliseconds), every ticket must be good at the end, and every number given once. Most are still in line when the crowd
goes home.

One process may open only so many files (``ulimit -Hn``), so the crowd comes in several processes, and the workers share
what they accept. Where the limit is too low for that, the drill says which.
"""

import asyncio
import math
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from multiprocessing import get_context
from pathlib import Path

from bench.demo import ROOM, demo, plan_for
from bench.drills import results
from bench.figure import Figure, say
from bench.figures.crowd import reds
from bench.harness import Bench
from gateway.crowd.books import admissions_of
from gateway.crowd.crowd import Hooks, Pulse, run_crowd
from gateway.crowd.plan import Plan, Script
from gateway.crowd.sockets import TooFewSockets
from gateway.files import SPARE, most_connections

CROWDS = 2
SHARE_MOST = 0.7
"""Of the sockets, in one worker: who accepts is chance, so two do not get a half each."""
HELD_RATIO = 0.99
"""So many of the sockets must be open at the start: a few fans are between two connections."""

TOLD_S = 3.0
"""So long before the start it is told."""

LINGER_S = 240.0
"""The crowd goes home when enough were admitted, or after this."""

MIX = {Script.STEADY: 0.85, Script.EAGER: 0.10, Script.RETRY: 0.05}


@dataclass(frozen=True, slots=True)
class Size:
    """How much of it; the crowd goes home when so many of it were ``admitted``."""

    sockets: int
    arrive_s: float
    admitted: int
    per_minute: int


FULL = Size(sockets=20_000, arrive_s=40, admitted=1500, per_minute=3000)
SHORT = Size(sockets=1_000, arrive_s=8, admitted=100, per_minute=1200)


@dataclass(frozen=True, slots=True)
class Seen:
    """What one of the crowds brings home."""

    green: bool
    red: str
    numbers: tuple[int, ...]
    places_lost: int
    admitted_ms: tuple[int, ...]


def play(bench: Bench, name: str, *, short: bool) -> Iterator[Figure]:
    """Let the sockets wait for the start."""
    size = SHORT if short else FULL
    crowds = crowds_for(size.sockets, most_connections())
    env = {"WAITROOM_MAX_CONNECTIONS": str(most_connections()), "WAITROOM_KEEP_ALIVE_S": "120"}
    room = {"queueing_method": "reject", **(results.SHORT_ROOM if short else {})}
    with demo(bench, per_minute=size.per_minute, workers=results.WORKERS, room=room, env=env) as installation:
        installation.put_sale(draw=False)
        plan = replace(
            plan_for(
                installation, size.sockets // crowds, size.arrive_s, shape="constant", linger_s=LINGER_S, patient=short,
            ),
            own_sockets=True, browse=False, view_ratio=0.001, mix=MIX, manners={}, places=size.admitted // crowds,
        )  # fmt: skip
        before, counts = installation.sockets(), [0, 0]
        files = [bench.folder / f"sockets-{seed}" for seed in range(1, crowds + 1)]
        with ProcessPoolExecutor(crowds, mp_context=get_context("spawn")) as pool:
            away = [
                pool.submit(send, replace(plan, seed=seed), installation.journal_url, file)
                for seed, file in enumerate(files, 1)
            ]

            def are_open() -> bool:
                counts[:] = sum(map(_told, files)), installation.sockets() - before
                return min(counts) >= HELD_RATIO * size.sockets or any(crowd.done() for crowd in away)

            starts_s = installation.start_when(are_open, TOLD_S)
            seen = [crowd.result() for crowd in away]
    yield from _results(bench, name, size, seen, counts, starts_s)


def _told(file: Path) -> int:
    """Read how many sockets a crowd has told that it holds."""
    return int(file.read_text() or 0) if file.exists() else 0


def crowds_for(sockets: int, most: int) -> int:
    """Return how many processes the crowd needs. Raises TooFewSockets when the system allows too few files."""
    if sockets * SHARE_MOST > most:
        needed = math.ceil(sockets * SHARE_MOST) + SPARE
        raise TooFewSockets(
            f"{sockets:,} sockets on {results.WORKERS} workers need {needed:,} open files for each process, and "
            f"{most + SPARE:,} are allowed: raise the hard limit (ulimit -Hn {needed}), or use --short."
        )
    return CROWDS


def send(plan: Plan, journal_url: str, file: Path) -> Seen:
    """Be one of the crowds, in a process of its own, and tell each second how many sockets it holds."""

    def keep(pulse: Pulse) -> None:
        file.write_text(str(pulse.sockets))
        if int(pulse.at_s) % 10 == 0:
            say(
                f"crowd {plan.seed}: {pulse.sockets:,} sockets, {pulse.in_line:,} in line, {pulse.admitted:,} in"
            )

    hooks = Hooks(journal=admissions_of(journal_url, ROOM), pulse=keep)
    result = asyncio.run(run_crowd(plan, hooks))
    numbers = tuple(file.number for file in result.observed.fans if file.number is not None)
    return Seen(
        result.is_green,
        reds(result),
        numbers,
        result.places_lost,
        tuple(entry.at_ms for entry in result.observed.journal or ()),
    )


def _results(
    bench: Bench, name: str, size: Size, seen: Sequence[Seen], counts: Sequence[int], starts_s: float
) -> Iterator[Figure]:
    conditions = results.conditions(bench, size.sockets)
    held, accepted = counts
    yield Figure(
        f"{name}-held",
        held,
        "sockets",
        f"{size.sockets:,} fans in {len(seen)} processes",
        ratio=held / size.sockets,
        target=f">= {HELD_RATIO} of them at the start, on both sides",
        met=min(held, accepted) >= HELD_RATIO * size.sockets,
        conditions=conditions,
        details={"held_by_the_workers": accepted},
    )
    admitted_ms = seen[0].admitted_ms
    early = sum(at_ms < starts_s * 1000 for at_ms in admitted_ms)
    yield Figure(
        f"{name}-early",
        early,
        "admissions",
        f"{len(admitted_ms):,} admissions in the journal",
        target="= 0, and some after the start",
        met=early == 0 and bool(admitted_ms),
        conditions=conditions,
        details={"first_after_start_s": round(min(admitted_ms, default=0) / 1000 - starts_s, 3)},
    )
    numbers = [number for one in seen for number in one.numbers]
    yield Figure(
        f"{name}-numbers",
        len(set(numbers)),
        "numbers",
        target=f"= {size.sockets}, each once",
        met=len(set(numbers)) == len(numbers) == size.sockets,
        conditions=conditions,
    )
    yield results.places(bench, name, sum(one.places_lost for one in seen), size.sockets)
    yield Figure(
        f"{name}-crowds-green",
        sum(one.green for one in seen),
        "crowds",
        target=f"= {len(seen)}",
        met=all(one.green for one in seen),
        conditions=conditions,
        error="; ".join(one.red for one in seen if not one.green) or None,
    )
