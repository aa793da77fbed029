"""The figure bots-replay: replays of people's movements that the sketches know again, in percent.

Each replay comes later, in another corner of the screen, word for word or trembling by up to two pixels. Who among
the people is taken for another is counted beside. People of too few words have no sketch; they are told too.
"""

import asyncio
import random
from collections.abc import Iterator, Sequence

from bench import bots
from bench.figure import Figure, say
from bench.harness import Bench
from botguard.sketch import FEWEST_WORDS, SketchesHere
from botguard.training.traces import Move

LEAST = 99.0
JITTERS_PX = (0.0, 1.0, 2.0)


def measure(bench: Bench) -> Iterator[Figure]:
    """Let all people come, then their replays."""
    every = bots.waits()
    sketched = [
        (moves, words) for moves in every if len(words := bots.rhythm_of(moves).words) >= FEWEST_WORDS
    ]
    caught, confused = {}, 0
    for jitter_px in JITTERS_PX:
        right, confused = asyncio.run(_caught(sketched, jitter_px))
        caught[jitter_px] = 100 * right / len(sketched)
        say(f"jitter of {jitter_px} px: {caught[jitter_px]:.1f} %")
    worst = min(caught.values())
    yield Figure(
        "bots-replay",
        worst,
        "%",
        beside={f"jitter_{jitter:.0f}_px": value for jitter, value in caught.items()},
        target=f">= {LEAST:.0f} %, nobody taken for another",
        met=worst >= LEAST and confused == 0,
        conditions=bench.conditions(load="none"),
        details={
            "people": len(sketched),
            "taken_for_another": confused,
            "without_sketch": len(every) - len(sketched),
        },
    )


async def _caught(sketched: Sequence[tuple[list[Move], list[str]]], jitter_px: float) -> tuple[int, int]:
    store, dice, right, confused = SketchesHere(86_400_000), random.Random(1), 0, 0
    for number, (_, words) in enumerate(sketched):
        confused += await store.alike(f"person {number}", words, 0) is not None
    for number, (moves, _) in enumerate(sketched):
        replay = [
            (
                t + 5e6 + dice.uniform(0, 2),
                float(round(x + 37 + dice.uniform(-jitter_px, jitter_px))),
                float(round(y - 55 + dice.uniform(-jitter_px, jitter_px))),
            )
            for t, x, y in moves
        ]
        found = await store.alike(f"replay {number}", bots.rhythm_of(sorted(replay)).words, 1)
        right += found == f"person {number}"
    return right, confused
