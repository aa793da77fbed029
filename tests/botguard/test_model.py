"""Model: the plain numbers score as scikit-learn does, and only a file that is known is read."""

import json
from hashlib import sha256
from math import nan

import numpy as np
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from botguard.features import NAMES
from botguard.model import DEFAULT_SHA256, MOST_LOGIT, Model, chance, default, pinned, signed
from botguard.training.fitting import Candidate, Fitted, fit, written
from botguard.training.rows import MADE, RECORDED, Rows
from kernel.errors import Misconfigured

SMALL = Candidate("small", ("grid", "step"))


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
    """One byte more, another key, another signature: refused; the signed one is read."""
    raw = written(fitted, 1.0, 0.0, {})
    key, other = Ed25519PrivateKey.generate(), Ed25519PrivateKey.generate()
    public = key.public_key().public_bytes_raw()

    assert signed(raw, key.sign(raw), public).raw([nan] * len(NAMES)) == read(raw).raw([nan] * len(NAMES))
    for bad, signature in ((raw + b" ", key.sign(raw)), (raw, other.sign(raw)), (raw, b"short")):
        with pytest.raises(Misconfigured):
            signed(bad, signature, public)
    with pytest.raises(Misconfigured):
        pinned(raw + b" ", sha256(raw).hexdigest())


def test_a_model_of_other_features_is_not_read(fitted: Fitted) -> None:
    """A model of another version would look at the wrong numbers."""
    told = json.loads(written(fitted, 1.0, 0.0, {}))
    told["names"] = told["names"][::-1]

    with pytest.raises(Misconfigured):
        read(json.dumps(told).encode())


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


def test_the_same_seed_makes_the_same_model(rows: Rows, fitted: Fitted) -> None:
    """A model follows from its data and its seed."""
    assert written(fit(rows, SMALL, set(), 1, forests=2), 1.0, 0.0, {}) == written(fitted, 1.0, 0.0, {})
