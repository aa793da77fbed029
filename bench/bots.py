"""Bots: the recorded people and bots that the bot guard's figures are measured on.

Not here: what a figure makes of them (``figures/bots_*``), the protocol (docs/bots.md).
"""

from collections.abc import Sequence
from pathlib import Path

from bench.figure import say
from bench.harness import Bench
from botguard.rhythm.summary import Rhythm
from botguard.training import making
from botguard.training.traces import DEVICES, Move, Trace, read_delbot

DATA = Path(__file__).resolve().parents[1] / "tests" / "data"
DELBOT = DATA / "delbot" / "delbot_circles.tgz"
CHROMIUM = DATA / "chromium_bots" / "bots.jsonl.gz"
REST_MS = 700


def judgement(bench: Bench) -> making.Judgement:
    """Run the protocol on devices and families unseen."""
    return making.evaluate(DELBOT, CHROMIUM, bench.folder, making.SEED, say)


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
