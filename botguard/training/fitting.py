"""Fitting: from rows to a model as plain numbers."""

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from botguard.features import NAMES, SETS, VERSION
from botguard.model import FORMAT
from botguard.training.rows import ALTERED, MADE, Rows, shares

if TYPE_CHECKING:
    from sklearn.ensemble import HistGradientBoostingClassifier


@dataclass(frozen=True, slots=True)
class Candidate:
    """One way to make a model: which features, what is added to the sessions as recorded."""

    name: str
    sets: tuple[str, ...]
    altered: bool = True
    own_ratio: float = 0.5
    only: str = ""
    alike: bool = False
    drawn: int = 4000
    trees: int = 50
    pace: float = 0.12
    leaves: int = 10
    monotone: tuple[tuple[str, int], ...] = ()
    """Features that may only speak for a script (1), or against one (-1), the more there is of them (ADR-0032)."""

    @property
    def columns(self) -> list[int]:
        """Return where its features are."""
        wanted = {feature for one in self.sets for feature in SETS[one]}
        return [at for at, feature in enumerate(NAMES) if feature in wanted and feature.startswith(self.only)]

    @property
    def ways(self) -> list[int] | None:
        """Return for each column which way it may speak, 0 for both; None where all may."""
        bound = dict(self.monotone)
        return [bound.get(NAMES[at], 0) for at in self.columns] if bound else None


@dataclass(frozen=True, slots=True)
class Fitted:
    """Boosted trees of scikit-learn, and the features they look at."""

    forests: "list[HistGradientBoostingClassifier]"
    columns: list[int]

    def raw(self, values: np.ndarray) -> np.ndarray:
        """Return the mean log-odds of its forests."""
        seen = values[:, self.columns]
        found: np.ndarray = np.mean([one.decision_function(seen) for one in self.forests], axis=0)
        return found


def usable(rows: Rows, candidate: Candidate, left_out: set[str]) -> np.ndarray:
    """Return the rows to train on: nothing of the groups left out, nor of bots that imitate their people."""
    keep = ~np.isin(rows.groups, list(left_out))
    if not candidate.altered:
        keep &= rows.kinds != ALTERED
    if not candidate.own_ratio:
        keep &= rows.kinds != MADE
    found: np.ndarray = np.flatnonzero(keep)
    return found


def fit(
    rows: Rows,
    candidate: Candidate,
    left_out: set[str],
    seed: int,
    *,
    shuffled: bool = False,
    forests: int = 1,
) -> Fitted:
    """Train on rows drawn by their share; ``shuffled`` labels are the control that must learn nothing."""
    # Seconds to load, for who only measures or counts.
    from sklearn.ensemble import HistGradientBoostingClassifier  # noqa: PLC0415

    places = usable(rows, candidate, left_out)
    share = shares(rows, places, candidate.own_ratio, alike=candidate.alike)
    made = []
    for number in range(forests):
        dice = np.random.default_rng([seed, number])
        drawn = dice.choice(places, candidate.drawn, p=share)
        labels = rows.is_bot[drawn]
        if shuffled:
            labels = dice.permutation(labels)
        forest = HistGradientBoostingClassifier(
            max_iter=candidate.trees,
            learning_rate=candidate.pace,
            max_leaf_nodes=candidate.leaves,
            min_samples_leaf=30,
            l2_regularization=1.0,
            max_features=0.3,
            max_bins=63,
            early_stopping=False,
            monotonic_cst=candidate.ways,
            random_state=seed + number,
        )
        made.append(forest.fit(rows.values[drawn][:, candidate.columns], labels))
    return Fitted(made, candidate.columns)


def drawn_to(raw: np.ndarray, is_bot: np.ndarray, weights: np.ndarray) -> tuple[float, float]:
    """Return slope and shift that make sums of unseen sessions honest odds (Platt)."""
    from sklearn.linear_model import LogisticRegression  # noqa: PLC0415 - as above

    line = LogisticRegression(C=1e3).fit(raw[:, None], is_bot, sample_weight=weights)
    return float(line.coef_[0, 0]), float(line.intercept_[0])


def written(fitted: Fitted, slope: float, shift: float, card: dict[str, Any]) -> bytes:
    """Return the model's file."""
    many = len(fitted.forests)
    trees = [
        _nodes(predictor.nodes, fitted.columns, many)
        for forest in fitted.forests
        for (predictor,) in forest._predictors  # noqa: SLF001 (scikit-learn has no public way to its trees)
    ]
    begin = sum(float(forest._baseline_prediction.item()) for forest in fitted.forests) / many  # noqa: SLF001
    told = {
        "format": FORMAT,
        "features": VERSION,
        "names": list(NAMES),
        "begin": begin,
        "slope": slope,
        "shift": shift,
        "card": card,
        "trees": trees,
    }
    return (json.dumps(told, separators=(",", ":")) + "\n").encode()


def _nodes(nodes: np.ndarray, columns: list[int], many: int) -> list[list[float]]:
    return [
        [float(node["value"]) / many]
        if node["is_leaf"]
        else [
            columns[int(node["feature_idx"])],
            float(node["num_threshold"]),
            int(node["left"]),
            int(node["right"]),
            int(node["missing_go_to_left"]),
        ]
        for node in nodes
    ]
