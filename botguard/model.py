"""Model: boosted trees as plain numbers, scored without any library.

A model is a JSON file: no code is in it, so reading one runs nothing. The package's own is held by its hash
(``DEFAULT_SHA256``), an operator's own by their signature (``signed_model``). What it says is the logarithm of the
odds that a script moved the pointer, drawn to what held on devices and bots it had not seen. It is one piece of
evidence: behaviour alone blocks nobody.

``score`` gives ``None`` where there was too little to see. Not here: how a model is made (``training``), whose word a
file needs besides (``signed_model``).
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from hmac import compare_digest
from importlib.resources import files
from math import exp, inf, nan, nextafter
from operator import eq
from typing import Any

from botguard.features import NAMES, SETS, VERSION
from kernel.errors import Misconfigured

FORMAT = 1
FEWEST_SEEN = 10
"""A vector with fewer features than this is no evidence."""
MOST_LOGIT = 3.0
"""No rhythm says more than twenty to one: on devices that it had not seen the model erred too often for that."""
MOST_PART = 1e6
"""No part of a sum is larger than this in a sound model."""
DEFAULT_SHA256 = "c77275c0c178fbde1a0ab897c9daa43d595ded35c5c63a28800ebeb585c28923"

Node = tuple[int, float, Any, Any]
"""Where in the doubled row, threshold, where to go at or below it, where else; or -1, the leaf's value, twice nothing.

A row is doubled: its values, then the same with their sign turned. What is missing is at or below nothing, so it goes
"else"; where it is to go with the small values, the question is turned round: is ``-value`` below ``-threshold``? One
comparison answers each node, and none asks for missing values.
"""


@dataclass(frozen=True, slots=True)
class Model:
    """A model as it is scored; ``slope`` and ``shift`` draw its sum to honest odds."""

    roots: tuple[Node, ...]
    begin: float
    slope: float
    shift: float
    card: dict[str, Any]

    def raw(self, row: Sequence[float]) -> float:
        """Return the sum over all trees."""
        doubled = [*row, *[-value for value in row]]
        total = self.begin
        for feature, threshold, low, other in self.roots:
            while feature >= 0:
                feature, threshold, low, other = low if doubled[feature] <= threshold else other  # noqa: PLW2901 (one walks down a tree)
            total += threshold
        return total

    def score(self, row: Sequence[float]) -> float | None:
        """Return the log-odds that it was a script, or None: too little was seen."""
        if sum(map(eq, row, row)) < FEWEST_SEEN:  # nan alone differs from itself
            return None
        return max(-MOST_LOGIT, min(MOST_LOGIT, self.slope * self.raw(row) + self.shift))

    def reasons(self, row: Sequence[float]) -> list[str]:
        """Return which sets of features speak for a script, the strongest first."""
        full, found = self.raw(row), []
        for name, members in SETS.items():
            without = [
                nan if feature in members else value for feature, value in zip(NAMES, row, strict=True)
            ]
            if (share := full - self.raw(without)) > 0:
                found.append((share, f"rhythm-{name}"))
        return [name for _, name in sorted(found, reverse=True)]


def chance(logit: float) -> float:
    """Return log-odds as a probability."""
    return 1 / (1 + exp(-logit))


def pinned(raw: bytes, digest: str) -> Model:
    """Read a model that is known by its hash. Raises Misconfigured."""
    if not compare_digest(sha256(raw).hexdigest(), digest):
        raise Misconfigured(["The model of the bot guard is not the one that its hash names."])
    return read(raw)


@cache
def default() -> Model:
    """Return the model that comes with the package."""
    return pinned(files("botguard").joinpath("models/rhythm.json").read_bytes(), DEFAULT_SHA256)


def read(raw: bytes) -> Model:
    """Read a model that somebody vouches for: ``pinned`` and ``signed_model`` see to that. Raises Misconfigured."""
    try:
        told = json.loads(raw)
        is_ours = (told["format"], told["features"], told["names"]) == (FORMAT, VERSION, list(NAMES))
        made = f"format {told['format']}, features {told['features']}"
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise Misconfigured(["This is no model of the bot guard."]) from error
    if not is_ours:
        wanted = f"wanted: format {FORMAT}, features {VERSION}, the same names"
        raise Misconfigured(
            [f"The model of the bot guard looks at other features than these ({made}; {wanted})."]
        )
    try:
        begin, slope, shift = (_number(told[name]) for name in ("begin", "slope", "shift"))
        roots = tuple(_tree(_sound(tree), 0) for tree in told["trees"])
        card = told["card"]
        if not isinstance(card, dict):
            raise TypeError("no card")  # noqa: TRY301 (told below, with the rest)
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise Misconfigured(
            ["The model of the bot guard has trees or numbers that cannot be scored."]
        ) from error
    return Model(roots, begin, slope, shift, card)


def _number(value: object, most: float = MOST_PART) -> float:
    """Return a number whose size is at most this. Raises ValueError or TypeError."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not -most <= value <= most:
        raise ValueError("no number, or a senseless one")
    return value


def _sound(nodes: list[list[float]]) -> list[list[float]]:
    """Return a tree's nodes: each but the first stands below exactly one before it. Raises ValueError or TypeError.

    Anything else would be walked for ever, or grow beyond all bounds while it is read.
    """
    if not nodes:
        raise ValueError("no tree")
    below: list[float] = []
    for at, node in enumerate(nodes):
        if len(node) == 1:
            _number(node[0])
            continue
        feature, threshold, left, right, missing_left = node
        _number(threshold, inf)  # where all that is not missing goes one way
        if feature not in range(len(NAMES)) or missing_left not in {0, 1} or min(left, right) <= at:
            raise ValueError("no such feature, or a way back")
        below += (left, right)
    if sorted(below) != list(range(1, len(nodes))):
        raise ValueError("no tree")
    return nodes


def _tree(nodes: list[list[float]], at: int) -> Node:
    """Return a tree as nested tuples; in the file a node is feature, threshold, below, above, missing below."""
    node = nodes[at]
    if len(node) == 1:
        return (-1, node[0], None, None)
    feature, threshold, left, right, missing_left = node
    below, above = _tree(nodes, int(left)), _tree(nodes, int(right))
    if missing_left:
        return (int(feature) + len(NAMES), nextafter(-threshold, -inf), above, below)
    return (int(feature), threshold, below, above)
