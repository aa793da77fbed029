"""Bots: the recorded people and bots that the bot guard's figures are measured on.

Not here: what a figure makes of them (``figures/bots_*``), the protocol (docs/bots.md).
"""

import statistics
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from bench.figure import Figure, say
from bench.harness import Bench
from botguard.rhythm.summary import Rhythm
from botguard.training import making
from botguard.training.traces import DEVICES, Move, Trace, read_delbot

DATA = Path(__file__).resolve().parents[1] / "tests" / "data"
DELBOT = DATA / "delbot" / "delbot_circles.tgz"
PEOPLE = DATA / "chromium_people" / "people.jsonl.gz"
CHROMIUM = DATA / "chromium_bots" / "bots.jsonl.gz"
REST_MS = 700


def judgement(bench: Bench) -> making.Judgement:
    """Run the protocol on devices and families unseen."""
    return making.evaluate(DELBOT, PEOPLE, CHROMIUM, bench.folder, making.SEED, say)


def timed(
    bench: Bench, name: str, most_us: float, calls: Iterable[Callable[[], object]], **details: object
) -> Figure:
    """Measure calls one after the other: the median in µs against `most_us`, with its p99."""
    took_us = []
    for call in calls:
        began = time.perf_counter()
        call()
        took_us.append((time.perf_counter() - began) * 1e6)
    took_us.sort()
    middle = statistics.median(took_us)
    return Figure(
        name,
        middle,
        "µs",
        beside={"p99": took_us[int(len(took_us) * 0.99)]},
        target=f"<= {most_us:.0f} µs",
        met=middle <= most_us,
        conditions=bench.conditions(load="one call after the other"),
        details={"calls": len(took_us), **details},
    )


def people() -> list[Trace]:
    """Return the recorded people."""
    return [one for one in read_delbot(DELBOT) if not one.is_bot]


def waits(each: int = 4) -> list[list[Move]]:
    """Return what people do while they wait: recorded sessions of one device one after the other."""
    every, found = people(), []
    for device in DEVICES:
        own = [one.moves for one in every if one.group == device]
        found += [_joined(own[at : at + each]) for at in range(0, len(own) - each + 1, each)]
    return found


def _joined(sessions: Sequence[Sequence[Move]]) -> list[Move]:
    made: list[Move] = []
    end = 0.0
    for moves in sessions:
        made += [(t - moves[0][0] + end, x, y) for t, x, y in moves]
        end = made[-1][0] + REST_MS
    return made


def rhythm_of(moves: Sequence[Move]) -> Rhythm:
    """Return the rhythm of moves."""
    rhythm = Rhythm()
    for t, x, y in moves:
        rhythm.move(t, x, y)
    return rhythm
