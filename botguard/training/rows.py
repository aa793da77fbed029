"""Rows: what a model is made of: features of sessions as recorded, altered copies, and our own bots beside people.

Everything follows from the data and a seed: each session has its own dice. Rows are made once and kept, since
they take minutes; a file of rows belongs to one data file, one version of the features and one seed.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from botguard.features import VERSION
from botguard.training.altering import alter
from botguard.training.families import FAMILIES as OWN
from botguard.training.families import imitate
from botguard.training.traces import DEVICES, FAMILIES, Trace, digest, features, read_delbot

READING = 2
"""Counted up when sessions are read otherwise: rows that were kept are of one way to read."""
RECORDED, ALTERED, MADE = 0, 1, 2
COPIES = {"fast": 16, "gan": 1, "pyhm": 5}
COPIES_ELSE = 3
BOTS_EACH = {"fast": 24}
BOTS_EACH_ELSE = 4


@dataclass(frozen=True, slots=True)
class Rows:
    """Features and what they are of; ``groups`` of a made-up bot is the device of the person it imitates."""

    values: np.ndarray
    groups: np.ndarray
    is_bot: np.ndarray
    kinds: np.ndarray
    data_sha256: str

    def recorded(self, group: str) -> np.ndarray:
        """Return where the sessions of this device or family are, as they were recorded."""
        found: np.ndarray = np.flatnonzero((self.groups == group) & (self.kinds == RECORDED))
        return found


def read_rows(data: Path, seed: int, keep: Path | None, tell: Callable[[str], None]) -> Rows:
    """Return the rows of a data file: those kept in a folder, or made and kept there."""
    sha256 = digest(data)
    path = None if keep is None else keep / f"rows-{sha256[:12]}-{VERSION}-{READING}-{seed}.npz"
    if path is not None and path.is_file():
        with np.load(path) as kept:
            return Rows(kept["values"], kept["groups"], kept["is_bot"], kept["kinds"], sha256)
    made = make_rows(read_delbot(data), seed, sha256, tell)
    if path is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
        np.savez(path, values=made.values, groups=made.groups, is_bot=made.is_bot, kinds=made.kinds)
    return made


def make_rows(traces: Sequence[Trace], seed: int, sha256: str, tell: Callable[[str], None]) -> Rows:
    """Make the rows of sessions."""
    values, groups, is_bot, kinds = [], [], [], []
    own = tuple(OWN)

    def add(row: list[float], group: str, kind: int, *, bot: bool) -> None:
        values.append(row)
        groups.append(group)
        is_bot.append(bot)
        kinds.append(kind)

    for number, trace in enumerate(traces):
        dice = np.random.default_rng([seed, number])
        add(features(trace.moves), trace.group, RECORDED, bot=trace.is_bot)
        for _ in range(COPIES.get(trace.group, COPIES_ELSE)):
            add(features(alter(trace.moves, dice)), trace.group, ALTERED, bot=trace.is_bot)
        if not trace.is_bot:
            for at in range(BOTS_EACH.get(trace.group, BOTS_EACH_ELSE)):
                moves = imitate(trace.moves, own[int(dice.integers(len(own)))], dice)
                add(features(alter(moves, dice) if at % 2 else moves), trace.group, MADE, bot=True)
        if number % 500 == 499:
            tell(f"{number + 1:,} of {len(traces):,} sessions read")
    return Rows(np.array(values), np.array(groups), np.array(is_bot), np.array(kinds), sha256)


def shares(rows: Rows, places: np.ndarray, own_ratio: float, *, alike: bool = False) -> np.ndarray:
    """Return how often each row is to be drawn.

    People and bots by halves; devices by the root of their number, or ``alike``; recorded families alike, own bots
    together.
    """
    share = np.zeros(len(places))
    groups, is_bot, made = rows.groups[places], rows.is_bot[places], rows.kinds[places] == MADE
    for device in DEVICES:
        here = (groups == device) & ~is_bot
        share[here] = here.sum() ** (-1.0 if alike else -0.5) if here.any() else 0
    share[~is_bot] *= 0.5 / share[~is_bot].sum()
    for family in FAMILIES:
        here = (groups == family) & is_bot
        share[here] = 1 / here.sum() if here.any() else 0
    recorded = is_bot & ~made
    share[recorded] *= 0.5 * (1 - own_ratio if made.any() else 1) / share[recorded].sum()
    if made.any():
        share[made] = 0.5 * own_ratio / made.sum()
    drawn: np.ndarray = share / share.sum()
    return drawn
