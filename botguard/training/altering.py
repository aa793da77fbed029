"""Altering: the same movement as another mouse, screen and hand would have told it.

People and bots are altered alike, so that a rate, a scale or a rounding says nothing of who it was.
"""

from collections.abc import Sequence

import numpy as np

from botguard.training.traces import FEWEST_MOVES, Move

THINNING_MS = (0.0, 0.0, 0.0, 8.0, 16.0, 33.0, 50.0, 66.0)


def alter(moves: Sequence[Move], dice: np.random.Generator) -> list[Move]:
    """Return an altered copy: turned, scaled, stretched, thinned, rounded, or a part of it."""
    table = np.asarray(moves, dtype=float)
    if dice.random() < 0.5 and len(table) > 40:
        many = int(dice.integers(30, min(len(table), 160)))
        first = int(dice.integers(0, len(table) - many))
        table = table[first : first + many]
    times = (table[:, 0] - table[0, 0]) * np.exp(dice.uniform(-0.3, 0.3))
    places = (table[:, 1:] - table[0, 1:]) * np.exp(dice.uniform(-0.5, 0.6))
    angle = dice.uniform(0, 2 * np.pi)
    if dice.random() < 0.5:
        places = places @ np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    kept = thinned(times, float(dice.choice(THINNING_MS)))
    if len(kept) >= FEWEST_MOVES:
        times, places = times[kept], places[kept]
    if dice.random() < 0.2:
        times = np.ceil(times / 16.667) * 16.667
    if dice.random() < 0.85:
        places = np.round(places)
    return list(zip(times.tolist(), places[:, 0].tolist(), places[:, 1].tolist(), strict=True))


def thinned(times: np.ndarray, least_ms: float) -> list[int]:
    """Return which moves a device tells that reports no oftener than this."""
    kept = [0]
    for at in range(1, len(times)):
        if times[at] - times[kept[-1]] >= least_ms:
            kept.append(at)
    return kept
