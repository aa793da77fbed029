"""Pointers: the movements that a crowd's people and bots tell of, from the recorded people and our own families.

What ``waitroom crowd --bots`` brings along must come with the package and needs no numpy: whole pixels and
milliseconds of some hundred waits, no more. A wait is a few sessions of one device, one after the other. Generated
ones go where a recorded person went (``botguard.training.families``), and two waits of people are kept apart, for bots
that record somebody.

Run: ``python -m bench.pointers gateway/crowd/bots/traces/pointers.json.gz`` (a few seconds; needs numpy). The same data
and seed give the same bytes.
"""

import argparse
import gzip
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from bench.bots import REST_MS, people, rhythm_of
from bench.figure import say
from botguard.training.families import imitate
from botguard.training.traces import DEVICES, Move, Trace

SEED = 7
MOST = {"pc1": 46, "pc2": 90, "pad": 15, "vm": 10, "fast": 2, "tel": 49}
"""Waits of each device, at most."""
EACH = {"tel": 2}
"""Sessions of a wait; four where nothing else is said."""
MOST_MOVES = 220
"""Of a wait that people and generated movements are made of; a recorded one is whole."""
FAMILIES = ("straight", "bezier", "least-jerk")
MADE = 20
KEPT, KEPT_WORDS = 2, 12


def waits(everybody: Sequence[Trace], device: str) -> list[list[Move]]:
    """Return all waits of a device."""
    own = [one.moves for one in everybody if one.group == device]
    each = EACH.get(device, 4)
    return [_one_after_another(own[at : at + each]) for at in range(0, len(own) - each + 1, each)]


def _one_after_another(sessions: Sequence[Sequence[Move]]) -> list[Move]:
    made: list[Move] = []
    end = 0.0
    for moves in sessions:
        made += [(t - moves[0][0] + end, x, y) for t, x, y in moves]
        end = made[-1][0] + REST_MS
    return made


def packed(moves: Sequence[Move]) -> list[int]:
    """Return time, x and y of the first move, then what each next one adds; ms and pixels, whole."""
    whole = [(round(t), round(x), round(y)) for t, x, y in moves]
    before, flat = (0, 0, 0), []
    for now in whole:
        flat += [now[0] - before[0], now[1] - before[1], now[2] - before[2]]
        before = now
    return flat


def written(seed: int = SEED) -> bytes:
    """Return the file."""
    everybody = people()
    found = {device: waits(everybody, device) for device in DEVICES}
    recorded = [moves for moves in found["pc2"] if len(rhythm_of(moves).words) >= KEPT_WORDS][:KEPT]
    found["pc2"] = [moves for moves in found["pc2"] if moves not in recorded]
    found = {device: [moves[:MOST_MOVES] for moves in own][: MOST[device]] for device, own in found.items()}
    dice = np.random.default_rng(seed)
    told = {
        "people": {device: [packed(moves) for moves in own] for device, own in found.items()},
        "kept": [packed(moves) for moves in recorded],
        "made": {
            family: [packed(imitate(moves, family, dice)) for moves in found["pc1"][:MADE]]
            for family in FAMILIES
        },
    }
    return gzip.compress(json.dumps(told, separators=(",", ":")).encode(), mtime=0)


def main() -> None:
    """Write the file that is named."""
    parser = argparse.ArgumentParser(description="Write the movements of a crowd's people and bots.")
    parser.add_argument("path", type=Path)
    path = parser.parse_args().path
    raw = written()
    path.write_bytes(raw)
    say(f"{path}: {len(raw):,} octets")


if __name__ == "__main__":
    main()
