"""Families: bots of our own, made of a person's starts, ends and moments, so that only the way between can tell.

Each takes where somebody went from stop to stop and when the pointer was reported, and goes there in its own way:
straight, eased, along Bézier curves, with minimum jerk, by wind and gravity (WindMouse), by impulses and friction,
with a person's own speeds shuffled, along splines, or as the person did with a tremor of its own. They serve training;
in each fold they are made of training people only. None imitates a bot of the recorded data.

Written from: minimum jerk, Flash and Hogan, J. Neurosci. 5 (1985) 1688; a first impulse that is corrected, Meyer et
al., Psychol. Rev. 95 (1988) 340; WindMouse, B. J. Land, ben.land, "WindMouse, an algorithm for generating human-like
mouse motion"; splines, Catmull and Rom (1974). Why here and not in ``bench``: ADR-0030.
"""

from collections.abc import Callable, Sequence
from math import comb

import numpy as np

from botguard.training.traces import Move

Way = Callable[[np.ndarray, np.ndarray, np.ndarray, np.random.Generator], np.ndarray]
"""From the places of a leg and its moments in [0, 1] to the places of the bot at these moments."""


def imitate(moves: Sequence[Move], family: str, dice: np.random.Generator) -> list[Move]:
    """Return a bot of this family that goes where a person went."""
    table = np.asarray(moves, dtype=float)
    if len(table) > 220:
        first = int(dice.integers(0, len(table) - 220))
        table = table[first : first + 220]
    times, places = table[:, 0] - table[0, 0], table[:, 1:]
    way, noise = FAMILIES[family], float(dice.choice((0.0, 0.5, 1.0, 2.0)))
    made = np.empty_like(places)
    first = 0
    while first < len(places) - 1:
        last = min(len(places) - 1, first + int(dice.integers(8, 60)))
        leg = places[first : last + 1]
        gaps = times[first : last + 1] - times[first]
        share = gaps / gaps[-1] if gaps[-1] > 0 else np.linspace(0, 1, len(gaps))
        made[first : last + 1] = way(leg, share, gaps, dice)
        first = last
    if family != "tremor":
        made = made + dice.normal(0, 1, made.shape) * noise
    if dice.random() < 0.5:
        times = _clock(len(times), dice)
    if dice.random() < 0.85:
        made = np.round(made)
    return list(zip(times.tolist(), made[:, 0].tolist(), made[:, 1].tolist(), strict=True))


def _clock(many: int, dice: np.random.Generator) -> np.ndarray:
    """Return moments of a script: even ones, even ones that tremble, gaps drawn by chance, or frames slept over."""
    kind = dice.integers(0, 4)
    if kind == 0:
        gaps = np.full(many, dice.choice((8.0, 10.0, 15.0, 16.667, 20.0)))
    elif kind == 1:
        gaps = np.abs(dice.normal(dice.uniform(8, 25), dice.uniform(0.3, 4), many)) + 1
    elif kind == 2:
        gaps = 16.667 * dice.choice((1, 1, 2, 3, 5, 10), many) + dice.normal(0, 0.4, many)
    else:
        gaps = dice.uniform(dice.uniform(2, 8), dice.uniform(15, 40), many)
    return np.asarray(np.cumsum(gaps) - gaps[0])


def _eased(share: np.ndarray, dice: np.random.Generator) -> np.ndarray:
    kind = dice.integers(0, 5)
    if kind == 0:
        return share
    if kind == 1:
        return np.asarray(share * share * (3 - 2 * share))
    if kind == 2:
        return 1 - (1 - share) ** dice.uniform(1.5, 4)
    if kind == 3:
        return np.sin(share * np.pi / 2)
    return np.asarray(10 * share**3 - 15 * share**4 + 6 * share**5)


def _straight(
    leg: np.ndarray, share: np.ndarray, _gaps: np.ndarray, _dice: np.random.Generator
) -> np.ndarray:
    return np.asarray(leg[0] + share[:, None] * (leg[-1] - leg[0]))


def _easing(leg: np.ndarray, share: np.ndarray, _gaps: np.ndarray, dice: np.random.Generator) -> np.ndarray:
    return np.asarray(leg[0] + _eased(share, dice)[:, None] * (leg[-1] - leg[0]))


def _bezier(leg: np.ndarray, share: np.ndarray, _gaps: np.ndarray, dice: np.random.Generator) -> np.ndarray:
    degree = int(dice.integers(2, 6))
    reach = np.hypot(*(leg[-1] - leg[0])) * dice.uniform(0.05, 0.5) + 2
    knots = leg[0] + np.linspace(0, 1, degree + 1)[:, None] * (leg[-1] - leg[0])
    knots[1:-1] += dice.normal(0, 1, (degree - 1, 2)) * reach
    at = _eased(share, dice)
    weights = np.array([comb(degree, k) * at**k * (1 - at) ** (degree - k) for k in range(degree + 1)])
    made: np.ndarray = weights.T @ knots
    return made


def _least_jerk(
    leg: np.ndarray, share: np.ndarray, _gaps: np.ndarray, dice: np.random.Generator
) -> np.ndarray:
    at = 10 * share**3 - 15 * share**4 + 6 * share**5
    across = np.array([-(leg[-1] - leg[0])[1], (leg[-1] - leg[0])[0]]) * dice.normal(0, 0.12)
    return np.asarray(leg[0] + at[:, None] * (leg[-1] - leg[0]) + np.sin(np.pi * at)[:, None] * across)


def _wind(leg: np.ndarray, share: np.ndarray, _gaps: np.ndarray, dice: np.random.Generator) -> np.ndarray:
    place, goal = leg[0].copy(), leg[-1]
    pull, gust, most = dice.uniform(4, 12), dice.uniform(1, 6), dice.uniform(6, 25)
    speed, wind, path = np.zeros(2), np.zeros(2), [leg[0].copy()]
    for _ in range(400):
        away = float(np.hypot(*(goal - place)))
        if away < 1:
            break
        if away >= 12:
            wind = wind / 3**0.5 + dice.uniform(-1, 1, 2) * min(gust, away) / 5**0.5
        else:
            wind = wind / 3**0.5
            most = dice.uniform(3, 6) if most < 3 else most / 5**0.5
        speed = speed + wind + pull * (goal - place) / away
        pace = float(np.hypot(*speed))
        if pace > most:
            speed = speed / pace * (most / 2 + dice.random() * most / 2)
        place = place + speed
        path.append(place.copy())
    path.append(goal)
    steps = np.array(path)
    at = np.linspace(0, 1, len(steps))
    return np.column_stack([np.interp(share, at, steps[:, axis]) for axis in (0, 1)])


def _ballistic(
    leg: np.ndarray, share: np.ndarray, _gaps: np.ndarray, dice: np.random.Generator
) -> np.ndarray:
    first = dice.uniform(0.8, 1.1)
    middle = leg[0] + (leg[-1] - leg[0]) * first + dice.normal(0, 0.05, 2) * np.hypot(*(leg[-1] - leg[0]))
    turn = dice.uniform(0.5, 0.8)
    decay = dice.uniform(2, 6)
    out = (1 - np.exp(-decay * np.minimum(share / turn, 1))) / (1 - np.exp(-decay))
    back = np.clip((share - turn) / (1 - turn), 0, 1)
    back = (1 - np.exp(-decay * back)) / (1 - np.exp(-decay))
    return np.asarray(leg[0] + out[:, None] * (middle - leg[0]) + back[:, None] * (leg[-1] - middle))


def _shuffled(
    leg: np.ndarray, _share: np.ndarray, _gaps: np.ndarray, dice: np.random.Generator
) -> np.ndarray:
    steps = np.diff(leg, axis=0)
    if dice.random() < 0.5:
        dice.shuffle(steps)
        return np.asarray(leg[0] + np.vstack([np.zeros(2), np.cumsum(steps, axis=0)]))
    lengths = np.hypot(steps[:, 0], steps[:, 1])
    dice.shuffle(lengths)
    total = lengths.sum() or 1.0
    at = np.concatenate([[0], np.cumsum(lengths)]) / total
    return np.asarray(leg[0] + at[:, None] * (leg[-1] - leg[0]))


def _spline(leg: np.ndarray, share: np.ndarray, _gaps: np.ndarray, dice: np.random.Generator) -> np.ndarray:
    knots = leg[np.unique(np.linspace(0, len(leg) - 1, int(dice.integers(3, 7))).astype(int))]
    ends = np.vstack([2 * knots[0] - knots[1], knots, 2 * knots[-1] - knots[-2]])
    at = np.clip(_eased(share, dice), 0, 1) * (len(knots) - 1)
    piece = np.minimum(at.astype(int), len(knots) - 2)
    u = (at - piece)[:, None]
    a, b, c, d = (ends[piece + shift] for shift in range(4))
    made: np.ndarray = 0.5 * (
        2 * b + (c - a) * u + (2 * a - 5 * b + 4 * c - d) * u * u + (3 * b - a - 3 * c + d) * u**3
    )
    return made


def _wobble(leg: np.ndarray, share: np.ndarray, _gaps: np.ndarray, dice: np.random.Generator) -> np.ndarray:
    way = leg[-1] - leg[0]
    across = np.array([-way[1], way[0]]) * dice.uniform(0.01, 0.15)
    at = _eased(share, dice)
    wave = np.sin(np.pi * dice.integers(1, 7) * at) * np.sin(np.pi * at)
    return np.asarray(leg[0] + at[:, None] * way + wave[:, None] * across)


def _tremor(leg: np.ndarray, _share: np.ndarray, _gaps: np.ndarray, dice: np.random.Generator) -> np.ndarray:
    steps = np.hypot(*np.diff(leg, axis=0).T)
    size = max(1.5, float(np.median(steps)) * dice.uniform(0.2, 0.7))
    return leg + dice.normal(0, 1, leg.shape) * size


FAMILIES: dict[str, Way] = {
    "straight": _straight, "easing": _easing, "bezier": _bezier, "least-jerk": _least_jerk, "wind": _wind,
    "ballistic": _ballistic, "shuffled": _shuffled, "spline": _spline, "wobble": _wobble, "tremor": _tremor,
}  # fmt: skip
