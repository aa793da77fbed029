"""Model: the plain numbers score as scikit-learn does, and only a file that is known is read."""

import json
from dataclasses import replace
from hashlib import sha256
from math import inf, nan

import numpy as np
import pytest

from botguard import model
from botguard.features import NAMES
from botguard.model import DEFAULT_SHA256, MOST_LOGIT, Model, chance, default, pinned
from botguard.training.fitting import Candidate, Fitted, fit, written
from botguard.training.folds import CANDIDATES
from botguard.training.rows import MADE, RECORDED, Rows
from kernel.errors import Misconfigured

SMALL = Candidate("small", ("grid", "step"))
AGAINST = "same"
"""A feature: steps that repeat."""
SOUND = {
    "format": 1, "features": 1, "names": list(NAMES), "begin": 0.0, "slope": 1.0, "shift": 0.0, "card": {},
    "trees": [[[0, inf, 1, 2, 1], [0.5], [-0.5]]],
}  # fmt: skip
"""The smallest model; where a threshold is infinite, only what is missing goes another way."""


@pytest.fixture(scope="module")
def rows() -> Rows:
    """Return made-up people and bots that differ in some features, with gaps in the rest."""
    dice = np.random.default_rng(4)
    values = dice.normal(0, 1, (1200, len(NAMES)))
    is_bot = np.arange(1200) % 2 == 1
    values[is_bot, 3:9] += 0.8
    values[dice.random(values.shape) < 0.1] = np.nan
    groups = np.where(is_bot, "gan", "pc1")
    kinds = np.where(np.arange(1200) % 10 == 1, MADE, RECORDED)
    return Rows(values, groups, is_bot, kinds, "0" * 64)


@pytest.fixture(scope="module")
def fitted(rows: Rows) -> Fitted:
    """Return scikit-learn's model of them."""
    return fit(rows, SMALL, set(), 1, forests=2)


def read(raw: bytes) -> Model:
    """Read a model by its own hash."""
    return pinned(raw, sha256(raw).hexdigest())


def far(model: Model, fitted: Fitted, rows: Rows) -> float:
    """Return how far a model's chances lie from those of scikit-learn, at most."""
    seen = rows.values[:, fitted.columns]
    theirs = fitted.forests[0].predict_proba(seen)[:, 1]
    if len(fitted.forests) > 1:
        theirs = 1 / (1 + np.exp(-fitted.raw(rows.values)))
    return float(np.abs(np.array([chance(model.raw(row)) for row in rows.values.tolist()]) - theirs).max())


def test_plain_numbers_score_as_predict_proba_does(rows: Rows, fitted: Fitted) -> None:
    """One forest against predict_proba, two against the mean of their log-odds; missing values included."""
    one = Fitted(fitted.forests[:1], fitted.columns)

    assert far(read(written(one, 1.0, 0.0, {})), one, rows) < 1e-12
    assert far(read(written(fitted, 1.0, 0.0, {})), fitted, rows) < 1e-12


def test_missing_values_on_the_wrong_side_are_found(rows: Rows, fitted: Fitted) -> None:
    """The mutant: what is missing goes the other way, and the scores differ."""
    told = json.loads(written(fitted, 1.0, 0.0, {}))
    for tree in told["trees"]:
        for node in tree:
            if len(node) == 5:
                node[4] = 1 - node[4]

    assert far(read(json.dumps(told).encode()), fitted, rows) > 0.01


def test_a_model_that_nobody_vouches_for_is_not_read(fitted: Fitted) -> None:
    """One byte more, and it is not the one that the hash names."""
    raw = written(fitted, 1.0, 0.0, {})

    with pytest.raises(Misconfigured, match="its hash names"):
        pinned(raw + b" ", sha256(raw).hexdigest())


def test_the_packages_own_model_is_held_by_its_hash(monkeypatch: pytest.MonkeyPatch) -> None:
    """Another hash in the code, and nothing is scored: an installation that is half another release does not start."""
    monkeypatch.setattr(model, "DEFAULT_SHA256", "0" * 64)

    with pytest.raises(Misconfigured, match="its hash names"):
        default.__wrapped__()


SENSELESS: dict[str, object] = {
    "a tree without a node": [[]],
    "a tree that goes round": [[[0, 0.5, 0, 1, 0], [0.5]]],
    "a tree that grows together again": [[[0, 0.5, 1, 1, 0], [0.5]]],
    "a node that nobody comes to": [[[0.5], [0.5]]],
    "a way out of the tree": [[[0, 0.5, 1, 9, 0], [0.5], [0.5]]],
    "a node between two": [[[0, 0.5, 1.5, 2, 0], [0.5], [0.5]]],
    "a feature that there is not": [[[len(NAMES), 0.5, 1, 2, 0], [0.5], [0.5]]],
    "a node of three": [[[0, 0.5, 1]]],
    "a leaf of text": [[["0.5"]]],
    "a leaf that is no number": [[[nan]]],
    "a leaf beyond all bounds": [[[inf]]],
    "a threshold that is no number": [[[0, nan, 1, 2, 0], [0.5], [0.5]]],
    "trees that are none": 7,
    "a tree that is a text": ["tree"],
    "a tree deeper than any": [
        [node for at in range(20_000) for node in ([0, 0.5, 2 * at + 1, 2 * at + 2, 0], [0.5])] + [[0.5]]
    ],
}


def test_a_sound_model_is_read() -> None:
    """What the tables below spoil can be scored as it stands."""
    assert [read(json.dumps(SOUND).encode()).raw([value] * len(NAMES)) for value in (0.0, nan)] == [0.5, 0.5]


@pytest.mark.parametrize("case", SENSELESS)
def test_trees_that_cannot_be_walked_are_not_read(case: str) -> None:
    """Somebody may have signed them: a sentence, and no endless walk or failure while fans are judged."""
    with pytest.raises(Misconfigured, match="cannot be scored"):
        read(json.dumps({**SOUND, "trees": SENSELESS[case]}).encode())


@pytest.mark.parametrize(
    ("member", "value"),
    [("begin", None), ("slope", nan), ("slope", True), ("shift", 1e9), ("card", []), ("trees", None)],
)
def test_numbers_and_a_card_that_cannot_be_used_are_not_read(member: str, value: object) -> None:
    """None of them would be noticed before somebody is judged."""
    with pytest.raises(Misconfigured, match="cannot be scored"):
        read(json.dumps({**SOUND, member: value}).encode())


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"features": 2}, "features 2; wanted: format 1, features 1"),
        ({"format": 2}, "format 2, features 1;"),
        ({"names": list(NAMES[::-1])}, "the same names"),
        ({"names": None}, "the same names"),
    ],
)
def test_a_model_of_other_features_is_not_read(change: dict[str, object], says: str) -> None:
    """A model of another version would look at the wrong numbers."""
    with pytest.raises(Misconfigured, match=says):
        read(json.dumps({**SOUND, **change}).encode())


@pytest.mark.parametrize("raw", [b"", b"{}", b"[]", b"7", b"\xff", b"[" * 100_000, b'{"format":1'])
def test_what_is_no_model_is_told(raw: bytes) -> None:
    """Nothing but a sentence comes of it."""
    with pytest.raises(Misconfigured, match="no model"):
        read(raw)


def test_who_moves_no_pointer_gets_no_score() -> None:
    """Nothing seen: no score, neither good nor bad."""
    assert default().score([nan] * len(NAMES)) is None


def test_the_models_word_is_bounded_and_gives_reasons(rows: Rows) -> None:
    """Log-odds stay within the bound; reasons are sets of features."""
    model = default()
    for row in rows.values[:100].tolist():
        score = model.score(row)
        assert score is not None
        assert abs(score) <= MOST_LOGIT
        assert set(model.reasons(row)) <= {"rhythm-grid", "rhythm-step", "rhythm-stroke"}


def test_the_shipped_model_tells_what_it_is_worth() -> None:
    """The card names data, protocol, results with intervals, known failures, and wrong suspicions by device."""
    card = default().card

    assert len(DEFAULT_SHA256) == 64
    assert {"data", "protocol", "results", "failures", "seed", "features"} <= set(card)
    assert card["results"]["auc"]["low"] < card["results"]["auc"]["value"] < card["results"]["auc"]["high"]
    assert set(card["results"]["false_positives_at_half"]) == {"fast", "pad", "pc1", "pc2", "tel", "vm"}


def falls(candidate: Candidate, rows: Rows) -> float:
    """Return by how much a model's word falls at most, while one feature of a session grows."""
    at = NAMES.index(AGAINST)
    fitted, lowest = fit(rows, candidate, set(), 1), 0.0
    for row in rows.values[:20]:
        grown = np.repeat(row[None], 41, axis=0)
        grown[:, at] = np.linspace(-3, 3, 41)
        lowest = min(lowest, float(np.diff(fitted.raw(grown)).min()))
    return -lowest


def test_a_feature_that_is_bound_speaks_one_way_only(rows: Rows) -> None:
    """Where people have more of it in the data: free it speaks for them (the mutant), bound it does not (ADR-0032)."""
    values = rows.values.copy()
    values[~rows.is_bot, NAMES.index(AGAINST)] += 1.5
    told = replace(rows, values=values)

    assert falls(SMALL, told) > 0.1
    assert falls(replace(SMALL, monotone=((AGAINST, 1),)), told) == 0
    assert SMALL.ways is None
    assert all(one.ways is None for one in CANDIDATES)


def test_the_same_seed_makes_the_same_model(rows: Rows, fitted: Fitted) -> None:
    """A model follows from its data and its seed."""
    assert written(fit(rows, SMALL, set(), 1, forests=2), 1.0, 0.0, {}) == written(fitted, 1.0, 0.0, {})
