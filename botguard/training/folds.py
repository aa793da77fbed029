"""Folds: the protocol of docs/bots.md: device and family unseen, and choices made where nothing is judged."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from botguard.training.fitting import Candidate, Fitted, fit
from botguard.training.measures import auc
from botguard.training.rows import Rows
from botguard.training.traces import DEVICES, FAMILIES

_SMALL = Candidate("even times and steps", ("grid", "step"), own_ratio=0.75)
_LARGE = replace(_SMALL, name="the same, more trees", drawn=8000, trees=80, pace=0.08, leaves=16)
CANDIDATES = (
    _SMALL,
    _LARGE,
    replace(
        _LARGE,
        name="the same, more trees, strokes, devices alike",
        sets=("grid", "step", "stroke"),
        alike=True,
    ),
)
PLAIN = Candidate("plain", ("grid", "step", "stroke"), altered=False, own_ratio=0.0)
DEVICE_ONLY = Candidate("device only", ("step",), only="gap_")
"""It knows how often a device reports, and nothing of how it moves."""
INNER_FOLDS = 3
SHUFFLES = 20
"""One shuffle says little: groups are so few that any model, learnt from nothing, tells them apart somehow."""

Key = tuple[str, str]
Scores = tuple[np.ndarray, np.ndarray]


@dataclass(slots=True)
class Judged:
    """What the outer folds say: the sums of people and bots, which candidate was chosen, the models themselves."""

    scores: dict[Key, Scores] = field(default_factory=dict)
    plain: dict[Key, Scores] = field(default_factory=dict)
    chosen: dict[Key, str] = field(default_factory=dict)
    inner: dict[Key, dict[str, float]] = field(default_factory=dict)
    models: dict[Key, Fitted] = field(default_factory=dict)
    shuffled: list[float] = field(default_factory=list)
    """The mean AUC of the folds, for each shuffle of the labels."""
    device_only: dict[Key, Scores] = field(default_factory=dict)


def scored(rows: Rows, model: Fitted, key: Key) -> Scores:
    """Return the sums of a device's people and a family's bots, as recorded."""
    people, bots = rows.recorded(key[0]), rows.recorded(key[1])
    return model.raw(rows.values[people]), model.raw(rows.values[bots])


def inner_pairs(key: Key) -> list[Key]:
    """Return which further device and family are left out, each fold another pair."""
    devices = [one for one in DEVICES if one != key[0]]
    families = [one for one in FAMILIES if one != key[1]]
    turn = DEVICES.index(key[0]) + FAMILIES.index(key[1])
    return [
        (devices[(turn + 2 * at) % len(devices)], families[at % len(families)]) for at in range(INNER_FOLDS)
    ]


def choose(rows: Rows, key: Key, seed: int) -> tuple[Candidate, dict[str, float]]:
    """Return the candidate that is best on the inner folds of an outer one."""
    found = {}
    for candidate in CANDIDATES:
        each = []
        for inner in inner_pairs(key):
            model = fit(rows, candidate, {*key, *inner}, seed)
            each.append(auc(*scored(rows, model, inner)))
        found[candidate.name] = float(np.mean(each))
    best = max(CANDIDATES, key=lambda one: found[one.name])
    return best, found


def judge(rows: Rows, seed: int, tell: Callable[[str], None]) -> Judged:
    """Run all outer folds."""
    seen = Judged()
    for number, key in enumerate((device, family) for device in DEVICES for family in FAMILIES):
        best, seen.inner[key] = choose(rows, key, seed)
        seen.chosen[key] = best.name
        seen.models[key] = fit(rows, best, set(key), seed)
        seen.scores[key] = scored(rows, seen.models[key], key)
        seen.plain[key] = scored(rows, fit(rows, PLAIN, set(key), seed), key)
        seen.device_only[key] = scored(rows, fit(rows, DEVICE_ONLY, set(key), seed), key)
        tell(f"fold {number + 1} of 24: {key[0]}, {key[1]}: {best.name}, AUC {auc(*seen.scores[key]):.3f}")
    for number in range(SHUFFLES):
        seen.shuffled.append(shuffle(rows, seen.chosen, seed + 1 + number))
        tell(f"shuffle {number + 1} of {SHUFFLES}: AUC {seen.shuffled[-1]:.3f}")
    return seen


def shuffle(rows: Rows, chosen: Mapping[Key, str], seed: int) -> float:
    """Return the mean AUC of all folds, trained on shuffled labels."""
    each = []
    for number, (key, name) in enumerate(chosen.items()):
        candidate = next(one for one in CANDIDATES if one.name == name)
        model = fit(rows, candidate, set(key), seed * len(chosen) + number, shuffled=True)
        each.append(auc(*scored(rows, model, key)))
    return float(np.mean(each))
