"""Traces: recorded moves of people and bots, as training and judgement read them."""

import gzip
import json
import tarfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from botguard.features import vector
from botguard.rhythm.summary import Rhythm

Move = tuple[float, float, float]
"""Time in ms, place in pixels."""

DEVICES = ("fast", "pad", "pc1", "pc2", "tel", "vm")
FAMILIES = ("gan", "naturalmousemotion", "pyhm", "pynput")
FEWEST_MOVES = 12


@dataclass(frozen=True, slots=True)
class Trace:
    """One session's moves; ``group`` is the device of a person or the family of a bot."""

    name: str
    group: str
    is_bot: bool
    moves: Sequence[Move]


def read_delbot(path: Path) -> list[Trace]:
    """Read the DELBOT circles, in the order of their names."""
    found = []
    with tarfile.open(path) as packed:
        for member in packed:  # in the order of the file: to go back in a packed file is to begin anew
            folder, _, name = member.name.rpartition("/")
            kind = folder.rpartition("/")[2].split("_")
            if not member.isfile() or kind[0] != "circles":
                continue
            text = packed.extractfile(member)
            assert text is not None  # noqa: S101 (a plain file has a content)
            first, *rows = text.read().decode().splitlines()
            moves = [
                (float(t), float(x), float(y))
                for t, state, x, y in (row.split(",") for row in rows if row)
                if state.startswith("Move")
            ]
            wide, high = (float(part) for part in first.removeprefix("resolution:").split(","))
            moves = in_pixels(moves, wide, high)
            if len(moves) >= FEWEST_MOVES:
                found.append(Trace(f"{kind[1]}/{kind[-1]}/{name}", kind[-1], kind[1] == "bot", moves))
    return sorted(found, key=lambda one: one.name)


def in_pixels(moves: list[Move], wide: float, high: float) -> list[Move]:
    """Return moves in pixels of a screen of this width and height; some sessions were recorded as its shares.

    218 of the 3,551 sessions are: all nine of ``fast``, 43 of ``pc2``, 166 of ``naturalmousemotion``. Unless they are
    told in pixels, a circle is an ellipse, and rounding to whole pixels leaves a pointer that stands still.
    """
    if any(not 0 <= part <= 1 for _, x, y in moves for part in (x, y)):
        return moves
    return [(t, round(x * wide, 3), round(y * high, 3)) for t, x, y in moves]


def read_chromium(path: Path, *, is_bot: bool = True) -> list[Trace]:
    """Read sessions that a real Chromium told: of scripts, each with its family, or people's replayed, with device."""
    with gzip.open(path, "rt") as lines:
        rows = [json.loads(line) for line in lines]
    return [
        Trace(
            f"chromium/{row['k']}/{number}",
            row["k"],
            is_bot=is_bot,
            moves=[(event[1], event[2], event[3]) for event in row["e"] if event[0] == 0],
        )
        for number, row in enumerate(rows)
    ]


def digest(path: Path) -> str:
    """Return the SHA-256 of a file of data, for the card of a model."""
    return sha256(path.read_bytes()).hexdigest()


def summary(moves: Iterable[Move]) -> dict[str, float]:
    """Return the summary of a session's moves."""
    rhythm = Rhythm()
    for t, x, y in moves:
        rhythm.move(t, x, y)
    return rhythm.summary()


def features(moves: Iterable[Move]) -> list[float]:
    """Return the features of a session's moves."""
    return vector(summary(moves))
