"""Rhythms: what each fan's page tells of its pointer, made before the first fan comes.

**People** tell movements of people (DELBOT circles, MIT), each turned, mirrored and stretched in a way of its own, so
that one recording serves many; about one copy of eighty is taken for another's all the same, for circles look alike
(docs/bots-crowd.md). Fingers move on telephones, and on four of ten nothing moves; at desks nothing moves for one of
twenty. **Bots** tell what their kind does: a movement that was made (straight, along Bézier curves, with least jerk),
or that of one person again, word for word or trembling by one or two pixels, in another corner. What is told are the
sums and words of the page's script (``botguard.rhythm``).

The same seed, the same tellings. Movements come with the package (``traces/pointers.json.gz``, made by
``python -m bench.pointers``). Not here: when a page tells (``settling``), what it is worth (``botguard``).
"""

import gzip
import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from functools import cache, lru_cache
from importlib.resources import files
from math import cos, pi, sin, sqrt
from random import Random
from types import MappingProxyType

import orjson

from botguard.rhythm.summary import VERSION, Rhythm
from gateway.crowd.bots.guise import Guise
from gateway.crowd.bots.kinds import Kind
from gateway.crowd.observed import FanFile

Moves = list[tuple[float, float, float]]
"""Time in ms, place in CSS pixels."""

FILE = "traces/pointers.json.gz"
DESKS: Mapping[str, float] = MappingProxyType(
    {"pc1": 0.40, "pc2": 0.40, "pad": 0.17, "vm": 0.025, "fast": 0.005}
)
"""With what people at desks move a pointer; an assumption."""
PHONE = "tel"
STILL_PHONE_RATIO, STILL_DESK_RATIO = 0.4, 0.05
"""Of whom nothing moves while they wait; an assumption."""
FAMILIES = ("straight", "bezier", "least-jerk")
TREMBLES_PX = (0.0, 1.0, 2.0)
KEPT = "kept"
STILL = ""
_TURN = pi * (3 - sqrt(5))
"""The golden angle: however many copies there are, no two lie near each other."""
_STRETCH = 0.754878
_CORNER_PX = 140
_REMEMBERED = 1 << 14


@cache
def movements() -> Mapping[str, Sequence[Moves]]:
    """Read all movements by the device, the family, or ``kept`` for those that bots have recorded."""
    told = json.loads(gzip.decompress(files("gateway.crowd.bots").joinpath(FILE).read_bytes()))
    return {
        name: [_unpacked(flat) for flat in own]
        for name, own in [*told["people"].items(), *told["made"].items(), (KEPT, told["kept"])]
    }


def _unpacked(flat: Sequence[int]) -> Moves:
    t, x, y, found = 0, 0, 0, []
    for at in range(0, len(flat), 3):
        t, x, y = t + flat[at], x + flat[at + 1], y + flat[at + 2]
        found.append((float(t), float(x), float(y)))
    return found


def turned(moves: Moves, copy: int) -> Moves:
    """Return another person's copy of a movement: turned, mirrored and stretched; copy 0 is as recorded."""
    if not copy:
        return moves
    across = -1 if copy % 2 else 1
    c, s, stretch = cos(copy * _TURN), sin(copy * _TURN), 0.75 + 0.6 * (copy * _STRETCH % 1)
    return [
        (round(t * stretch, 1), float(round(c * x * across - s * y)), float(round(s * x * across + c * y)))
        for t, x, y in moves
    ]


def again(moves: Moves, px: float, dice: Random) -> Moves:
    """Return a replay: later, in another corner, trembling by up to `px` pixels; 0 is word for word."""
    if not px:
        return moves
    across, down = dice.randint(-_CORNER_PX, _CORNER_PX), dice.randint(-_CORNER_PX, _CORNER_PX)
    found = [
        (
            t + dice.uniform(0, 2),
            float(round(x + across + dice.uniform(-px, px))),
            float(round(y + down + dice.uniform(-px, px))),
        )
        for t, x, y in moves
    ]
    return sorted(found)


def telling(moves: Iterable[tuple[float, float, float]], pointer: str = "mouse") -> bytes:
    """Write what a page tells of these moves, as it is sent."""
    rhythm = Rhythm()
    for t, x, y in moves:
        rhythm.move(t, x, y, kind=pointer)
    return orjson.dumps({"version": VERSION, "sums": rhythm.summary(), "words": rhythm.words})


@lru_cache(maxsize=_REMEMBERED)
def copied(name: str, which: int, copy: int) -> bytes:
    """Return what is told of a copy of a movement; crowds of one process share them."""
    moves: Moves = movements()[name][which] if name else []
    return telling(turned(moves, copy), "touch" if name == PHONE else "mouse")


def rhythms(fans: Sequence[FanFile], guises: Sequence[Guise], seed: int) -> list[bytes]:
    """Give each fan what its page tells; b"" for a page that tells nothing."""
    used: Counter[str] = Counter()
    return [
        _of(fan, guise, used, Random(f"{seed}/rhythm/{fan.index}"))
        for fan, guise in zip(fans, guises, strict=True)
    ]


def _of(fan: FanFile, guise: Guise, used: Counter[str], dice: Random) -> bytes:
    match fan.kind:
        case None:
            return _next(_moved_with(guise, dice), used) if guise.has_scripts else b""
        case Kind.MOVER | Kind.SOLVER | Kind.FARM:
            return _next(FAMILIES[fan.nth % len(FAMILIES)], used)
        case Kind.ECHO:
            return telling(again(movements()[KEPT][0], TREMBLES_PX[fan.nth % len(TREMBLES_PX)], dice))
        case Kind.REPLAY:
            return copied(KEPT, 1, 0)
        case Kind.LIBRARY | Kind.MANY_JOIN | Kind.MIMIC | Kind.MIMIC_ONE_NETWORK:
            return b""


def _moved_with(guise: Guise, dice: Random) -> str:
    """Draw what a person moves a pointer with, '' where nothing moves."""
    if guise.is_phone:
        return STILL if dice.random() < STILL_PHONE_RATIO else PHONE
    return STILL if dice.random() < STILL_DESK_RATIO else dice.choices([*DESKS], [*DESKS.values()])[0]


def _next(name: str, used: Counter[str]) -> bytes:
    """Give the next movement of a name, or where all were told a copy of one."""
    if not name:
        return copied(STILL, 0, 0)
    many, at = len(movements()[name]), used[name]
    used[name] += 1
    return copied(name, at % many, at // many)
