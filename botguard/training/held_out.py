"""Held out: recorded people as a model sees them that was trained without their device.

For ``botguard.fairness``: what the bot guard does to people must not be told by a model that knows them by heart. The
way of training is the shipped model's own, and so is the line that makes its sums odds. Nobody has recorded mouse keys
of an operating system; they are made here, as the systems describe them: one of eight directions at a time, at a steady
rate, from one pixel up to eight.
"""

import json
import random

import numpy as np

from botguard.features import vector
from botguard.model import DEFAULT_SHA256, MOST_LOGIT, Model
from botguard.rhythm.summary import Rhythm
from botguard.training.fitting import fit
from botguard.training.folds import CANDIDATES
from botguard.training.rows import Rows

KINDS = {
    "mouse": ("pc1", "pc2"),
    "touch": ("tel",),
    "touchpad": ("pad",),
    "remote desktop": ("vm",),
    "fast mouse": ("fast",),
}
"""Which of the recorded devices are which kind."""

MADE = 60
_WAYS = ((1, 0), (-1, 0), (0, 1), (0, -1), (1, 1), (-1, 1), (1, -1), (-1, -1))


def held_out(rows: Rows, model: Model, seed: int) -> dict[str, list[float]]:
    """Return the log-odds of all recorded people by kind of device, sorted."""
    candidate = next(one for one in CANDIDATES if one.name == model.card["made"])
    found: dict[str, list[float]] = {}
    for kind, devices in KINDS.items():
        scores: list[float] = []
        for device in devices:
            fitted = fit(rows, candidate, {device}, seed)
            raw = fitted.raw(rows.values[rows.recorded(device)])
            scores += np.clip(model.slope * raw + model.shift, -MOST_LOGIT, MOST_LOGIT).tolist()
        found[kind] = sorted(round(score, 3) for score in scores)
    made = [model.score(vector(mouse_keys(seed + number))) for number in range(MADE)]
    found["mouse keys"] = sorted(round(score, 3) for score in made if score is not None)
    return found


def mouse_keys(seed: int) -> dict[str, float]:
    """Make the summary of somebody who moves the pointer by the keys of the system."""
    dice = random.Random(seed)  # noqa: S311 (a seeded hand, no cryptography)
    rhythm, t, x, y = Rhythm(), 0.0, 400.0, 300.0
    for _ in range(dice.randint(4, 14)):
        dx, dy = dice.choice(_WAYS)
        for step in range(dice.randint(10, 70)):
            t += 1_000 / 60 + dice.uniform(-0.6, 0.6)
            pace = min(1 + step // 4, 8)
            x, y = x + pace * dx, y + pace * dy
            rhythm.move(t, x, y)
        t += dice.uniform(250, 900)
    return rhythm.summary()


def written(scores: dict[str, list[float]], data_sha256: str, seed: int) -> bytes:
    """Return the file of ``botguard.fairness.rhythms``."""
    told = {
        "what": "log-odds that a script moved the pointer, of recorded people, by models that were trained without "
        "their device; the mouse keys are made",
        "data": {"DELBOT circles (MIT)": data_sha256},
        "model": DEFAULT_SHA256,
        "seed": seed,
        "scores": scores,
    }
    return (json.dumps(told, separators=(",", ":")) + "\n").encode()
