"""Telling: what a page says of its rhythm, believed only where it can be true.

A browser's word is anybody's word. What is read must have each sum once, finite and within what the sums before it
allow: a mean of ratios lies below one, squares below their values, parts below their whole. So nobody can feed a model
numbers that no page could have counted. One fault refuses all of it, and nothing follows from it: **no rhythm is no
evidence, a broken one neither**. Pure.

Not here: how sums come about (``rhythm.summary``), what they are worth (``behaviour``).
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from typing import Any

from botguard.rhythm.sketching import MOST_WORDS
from botguard.rhythm.summary import (
    FEWEST_STEPS,
    GAP_RATIOS,
    GRIDS_MS,
    NAMES,
    REST_MS,
    RESTS_MS,
    SPEED_RATIOS,
    TURN_COSINES,
    VERSION,
)
from botguard.sketch import readable
from kernel.errors import Refused

MOST = 100_000_000
"""More than any hand does while it waits, whatever it is that is counted."""

MOST_OF_A_STROKE = 100.0
SLACK = 1e-6

Sums = Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Told:
    """A rhythm that a page could have had: sums by name (``rhythm.summary.NAMES``), and the words of its sketch."""

    sums: Sums
    words: tuple[str, ...]


_PARTS = (
    ("turn", len(TURN_COSINES), "steps"),
    ("ratio", len(SPEED_RATIOS), "steps"),
    ("gap", len(GAP_RATIOS), "steps"),
    ("rest", len(RESTS_MS), "moves"),
)
_WITHIN = (
    ("steps", "moves"), ("still", "steps"), ("same", "steps"), ("level", "steps"), ("whole", "moves"),
    ("single", "moves"), ("untrusted", "moves"), ("key_pairs", "keys"),
)  # fmt: skip
_LEVEL_WITHIN = (
    ("change", "pairs"), ("change2", "change"), ("gain2", "pairs"), ("gains", "pairs"), ("gain_turns", "gains"),
    ("triples", "pairs"), ("jerk", "triples"), ("jerk2", "jerk"), ("turns", "pairs"), ("sine_pairs", "turns"),
    ("sine_turns", "sine_pairs"),
)  # fmt: skip
_SIGNED = {
    "gain": "pairs",
    "gain_echo": "gains",
    "cosine": "turns",
    "sine": "turns",
    "sine_echo": "sine_pairs",
}
_SQUARES = (
    ("change", "change2", "pairs"), ("gain", "gain2", "pairs"), ("jerk", "jerk2", "triples"),
    ("cosine", "cosine2", "turns"), ("sine", "sine2", "turns"),
)  # fmt: skip
_STROKE_PARTS = ("straight", "bow", "peak_at", "flat", "begin", "end", "late")
_STROKE_SQUARES = ("straight", "bow", "peak_at", "flat", "late")
_LEVEL_WHOLE = ("pairs", "gain_turns", "gains", "triples", "turns", "sine_turns", "sine_pairs")

_NAMES = frozenset(NAMES)
_WHOLE = frozenset(
    {
        *(name for name in NAMES[: NAMES.index("g20_pairs")]),
        *(f"g{grid}_{name}" for grid in GRIDS_MS for name in _LEVEL_WHOLE),
        "strokes",
    }
)
_MAY_BE_BELOW_ZERO = frozenset(f"g{grid}_{name}" for grid in GRIDS_MS for name in _SIGNED)


def read(given: Mapping[str, object]) -> Told:
    """Read what a page tells: ``{"version", "sums": {name: number}, "words": [text]}``.

    Raises Refused (``rhythm-malformed``) with the first fault in words.
    """
    if set(given) != {"version", "sums", "words"}:
        raise _refused("it must have version, sums and words, and nothing else")
    if given["version"] is True or given["version"] != VERSION:
        raise _refused(f"its version must be {VERSION}")
    sums = _sums(given["sums"])
    words = given["words"]
    known = readable(words, MOST_WORDS) if isinstance(words, list) else None
    if known is None:
        raise _refused(f"its words must be at most {MOST_WORDS} texts of sixteen digits 0-9 a-f")
    for fault in _impossible(sums, known):
        raise _refused(fault)
    return Told(sums, tuple(known))


def _refused(fault: str) -> Refused:
    return Refused("rhythm-malformed", f"This rhythm cannot be read: {fault}.")


def _sums(given: object) -> Sums:
    """Read the sums: each of the names once, with a number that it may have."""
    if not isinstance(given, dict) or given.keys() != _NAMES:
        raise _refused("its sums must have each name once, and no other")
    for fault in _strange(given):
        raise _refused(fault)
    return {name: float(given[name]) for name in NAMES}


def _strange(sums: Mapping[str, Any]) -> Iterator[str]:
    for name, value in sums.items():
        if not _is_number(value):
            yield f"{name} is no number"
        elif abs(value) > MOST:
            yield f"{name} is too large"
        elif value < 0 and name not in _MAY_BE_BELOW_ZERO:
            yield f"{name} is below zero"
        elif name in _WHOLE and value % 1:
            yield f"{name} is not whole"


def _is_number(value: object) -> bool:
    return (isinstance(value, int) and not isinstance(value, bool)) or (
        isinstance(value, float) and isfinite(value)
    )


def _impossible(sums: Sums, words: Sequence[str]) -> Iterator[str]:
    if sums["mouse"] + sums["touch"] + sums["pen"] != sums["moves"]:
        yield "mouse, touch and pen are not the moves"
    for name, whole in _WITHIN:
        if sums[name] > sums[whole]:
            yield f"{name} is more than {whole}"
    for name, edges, whole in _PARTS:
        if sum(sums[f"{name}_{at}"] for at in range(edges + 1)) > sums[whole]:
            yield f"{name} is more than {whole}"
    for grid in GRIDS_MS:
        yield from _impossible_level(sums, f"g{grid}_", (REST_MS // grid + 1) * sums["steps"])
    yield from _impossible_strokes(sums)
    # A word takes four looks of a tenth of a second, and a step at most two and a half of them.
    if 4 * len(words) > 3 * sums["steps"]:
        yield "words are more than the steps allow"


def _impossible_strokes(sums: Sums) -> Iterator[str]:
    strokes = sums["strokes"]
    if strokes * FEWEST_STEPS > sums["steps"]:
        yield "strokes are more than the steps allow"
    for name in _STROKE_PARTS:
        if sums[name] > MOST_OF_A_STROKE * strokes:
            yield f"{name} is more than strokes allow"
    for name in _STROKE_SQUARES:
        if not _holds(sums[name], sums[f"{name}2"], strokes):
            yield f"{name}2 is less than {name} allows"


def _impossible_level(sums: Sums, prefix: str, most: float) -> Iterator[str]:
    if sums[f"{prefix}pairs"] > most:
        yield f"{prefix}pairs is more than the steps allow"
    for name, whole in (*_LEVEL_WITHIN, *_SIGNED.items()):
        if abs(sums[prefix + name]) > sums[prefix + whole] * (1 + SLACK) + SLACK:
            yield f"{prefix}{name} is more than {whole}"
    for name, squares, many in _SQUARES:
        if not _holds(sums[prefix + name], sums[prefix + squares], sums[prefix + many]):
            yield f"{prefix}{squares} is less than {name} allows"
    turns = sums[f"{prefix}turns"]
    if abs(sums[f"{prefix}cosine2"] + sums[f"{prefix}sine2"] - turns) > turns * SLACK + SLACK:
        yield f"{prefix}cosine2 and sine2 are not the turns"


def _holds(total: float, squares: float, many: float) -> bool:
    """Tell whether squares are as large as their sum demands (Cauchy and Schwarz)."""
    return total * total <= squares * many * (1 + SLACK) + SLACK * max(1.0, many)
