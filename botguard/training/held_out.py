"""Held out: recorded people as a model sees them that was trained without their device.

For ``botguard.fairness``: what the bot guard does to people must not be told by a model that knows them by heart. The
way of training is the shipped model's own, and so is the line that makes its sums odds. Nobody has recorded mouse keys
of an operating system; they are made here, as the systems describe them: one of eight directions at a time, at a steady
rate, from one pixel up to eight. They are weighed with the rules for plain bots and the sketches as well; of recorded
people none breaks a rule, and none was taken for another (docs/bots.md).
"""

import asyncio
import json
import random
from collections.abc import Sequence

import numpy as np

from botguard.behaviour import Behaviours
from botguard.model import DEFAULT_SHA256, MOST_LOGIT, Model
from botguard.rhythm.summary import Rhythm
from botguard.sketch import SketchesHere
from botguard.telling import Told
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

MADE = 240
DAY_MS = 86_400_000
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
    made = asyncio.run(_weighed([mouse_keys(seed + number) for number in range(MADE)], model))
    found["mouse keys"] = sorted(round(odds, 3) for odds in made)
    return found


async def _weighed(people: Sequence[Told], model: Model) -> list[float]:
    """Weigh people as the room does: the model, the rules for plain bots, and whether one moved as another did."""
    behaviours = Behaviours(lambda: model, SketchesHere(DAY_MS), lambda _missing: None)
    found = [await behaviours.weigh(str(at), told, at) for at, told in enumerate(people)]
    return [one.odds for one in found if one.odds is not None]


def mouse_keys(seed: int) -> Told:
    """Make what a page tells of somebody who moves the pointer by the keys of the system."""
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
    return Told(rhythm.summary(), tuple(rhythm.words))


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
