"""Rhythms: what the model says of recorded people on devices that it has not seen, as log-odds of a script.

The shipped model has learnt from these same people, so its own word on them would be too kind. So each device's people
are judged by a model that was trained without the device (``training.held_out``), and the file keeps nothing but those
numbers. It names the model that it was made beside; another model asks for another file
(``waitroom bots rhythms``). Data: DELBOT circles (MIT); the mouse keys are made.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files

FILE = "models/rhythms-of-people.json"


@dataclass(frozen=True, slots=True)
class Rhythms:
    """Log-odds by the kind of device, sorted, and the hash of the model that they belong to."""

    model_sha256: str
    scores: Mapping[str, Sequence[float]]

    def spread(self, kind: str, many: int) -> list[float | None]:
        """Return `many` scores of a kind, evenly over all there are, so that two groups of one kind are alike."""
        if not kind:
            return [None] * many
        scores = self.scores[kind]
        return [scores[(2 * at + 1) * len(scores) // (2 * many)] for at in range(many)]


def shipped() -> Rhythms:
    """Read the file that comes with the package."""
    told = json.loads(files("botguard").joinpath(FILE).read_bytes())
    return Rhythms(told["model"], told["scores"])
