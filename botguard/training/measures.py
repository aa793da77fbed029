"""Measures: what a score is worth, with how sure one may be of it."""

from collections.abc import Mapping

import numpy as np

DRAWS = 2000
BINS = 10


def wins(people: np.ndarray, bots: np.ndarray) -> np.ndarray:
    """Return for each person and bot whether the bot scored higher; half for a tie."""
    found: np.ndarray = (bots[None, :] > people[:, None]) + 0.5 * (bots[None, :] == people[:, None])
    return found.astype(np.float32)


def auc(people: np.ndarray, bots: np.ndarray) -> float:
    """Return the area under the curve: the chance that a bot scores higher than a person."""
    return float(wins(people, bots).mean())


def mean_auc(
    folds: Mapping[tuple[str, str], tuple[np.ndarray, np.ndarray]], seed: int, *, groups: bool = False
) -> tuple[float, float, float]:
    """Return the mean AUC of the folds and its 95 % interval; a session drawn is drawn in all its folds.

    With ``groups`` devices and families are drawn too.
    """
    dice = np.random.default_rng(seed)
    devices, families = sorted({key[0] for key in folds}), sorted({key[1] for key in folds})
    people = {
        name: _drawn(len(next(v[0] for k, v in folds.items() if k[0] == name)), dice) for name in devices
    }
    bots = {
        name: _drawn(len(next(v[1] for k, v in folds.items() if k[1] == name)), dice) for name in families
    }
    each = {
        key: ((people[key[0]] @ wins(*scores)) * bots[key[1]]).sum(axis=1) for key, scores in folds.items()
    }
    weight: dict[tuple[str, str], np.ndarray] = {key: np.ones(DRAWS) for key in folds}
    if groups:
        of_devices = dice.multinomial(len(devices), [1 / len(devices)] * len(devices), DRAWS)
        of_families = dice.multinomial(len(families), [1 / len(families)] * len(families), DRAWS)
        weight = {
            key: of_devices[:, devices.index(key[0])] * of_families[:, families.index(key[1])]
            for key in folds
        }
    total = sum(weight.values())
    means = sum(each[key] * weight[key] for key in folds) / total
    low, high = np.quantile(means, [0.025, 0.975])
    return float(np.mean([auc(*scores) for scores in folds.values()])), float(low), float(high)


def _drawn(many: int, dice: np.random.Generator) -> np.ndarray:
    counts: np.ndarray = dice.multinomial(many, np.full(many, 1 / many), DRAWS) / many
    return counts.astype(np.float32)


def recall_at(people: np.ndarray, bots: np.ndarray, false_ratio: float) -> float:
    """Return the share of bots above a threshold that at most this share of people lies above."""
    ordered = np.sort(people)[::-1]
    threshold = ordered[min(len(ordered) - 1, int(false_ratio * len(ordered)))]
    return float((bots > threshold).mean())


def recall_interval(
    people: np.ndarray, bots: np.ndarray, false_ratio: float, seed: int
) -> tuple[float, float]:
    """Return the 95 % bootstrap interval of the recall."""
    dice = np.random.default_rng(seed)
    seen = [
        recall_at(dice.choice(people, len(people)), dice.choice(bots, len(bots)), false_ratio)
        for _ in range(DRAWS // 4)
    ]
    low, high = np.quantile(seen, [0.025, 0.975])
    return float(low), float(high)


def brier(chances: np.ndarray, is_bot: np.ndarray, weights: np.ndarray) -> float:
    """Return the mean squared error of probabilities."""
    return float(np.average((chances - is_bot) ** 2, weights=weights))


def calibration(
    chances: np.ndarray, is_bot: np.ndarray, weights: np.ndarray
) -> list[tuple[float, float, float]]:
    """Return for ten bins of the same weight what was said, what was true, and the weight."""
    order = np.argsort(chances, kind="stable")
    total = np.cumsum(weights[order]) / weights.sum()
    bins = np.minimum((total * BINS - 1e-9).astype(int), BINS - 1)
    return [
        (
            float(np.average(chances[order][here], weights=weights[order][here])),
            float(np.average(is_bot[order][here], weights=weights[order][here])),
            float(weights[order][here].sum() / weights.sum()),
        )
        for one in range(BINS)
        if (here := bins == one).any()
    ]


def ece(bins: list[tuple[float, float, float]]) -> float:
    """Return the expected calibration error: how far said and true lie apart, on average."""
    return sum(share * abs(said - true) for said, true, share in bins)


def psi(before: np.ndarray, after: np.ndarray) -> float:
    """Return the population stability index of a feature: 0 is the same, above 0.25 is another world."""
    before, after = before[~np.isnan(before)], after[~np.isnan(after)]
    if len(before) < BINS or len(after) < BINS:
        return float("nan")
    edges = np.unique(np.quantile(before, np.linspace(0, 1, BINS + 1)[1:-1]))
    one, other = (np.bincount(np.searchsorted(edges, x), minlength=len(edges) + 1) for x in (before, after))
    p, q = (one + 0.5) / (one + 0.5).sum(), (other + 0.5) / (other + 0.5).sum()
    return float(((p - q) * np.log(p / q)).sum())
