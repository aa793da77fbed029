"""Measures: figures of which the answer is known beforehand."""

import numpy as np
import pytest

from botguard.features import NAMES
from botguard.model import MOST_LOGIT, chance
from botguard.training.folds import CANDIDATES, inner_pairs, shuffle
from botguard.training.judging import replayed, said, waits
from botguard.training.measures import auc, calibration, ece, mean_auc, psi, recall_at
from botguard.training.report import plot
from botguard.training.rows import RECORDED, Rows
from botguard.training.traces import DEVICES, FAMILIES, Trace


def test_the_area_under_the_curve_is_the_share_of_pairs_in_order() -> None:
    """Two of four pairs in order, one a tie."""
    assert auc(np.array([1.0, 2.0]), np.array([2.0, 0.0])) == pytest.approx((1 + 0.5) / 4)


def test_the_interval_of_chance_holds_a_half() -> None:
    """Scores that say nothing: the interval of the mean AUC lies around 0.5."""
    dice = np.random.default_rng(2)
    people = {name: dice.normal(size=60) for name in DEVICES}
    bots = {name: dice.normal(size=60) for name in FAMILIES}
    folds = {(one, other): (people[one], bots[other]) for one in DEVICES for other in FAMILIES}

    _, low, high = mean_auc(folds, 1)
    _, lower, higher = mean_auc(folds, 1, groups=True)

    assert low < 0.5 < high
    assert higher - lower > high - low
    assert replayed(folds) == pytest.approx(0.5, abs=0.1)


def test_the_recall_is_of_bots_above_nearly_all_people() -> None:
    """At 1 % of 200 people two may lie above the threshold."""
    people = np.arange(200.0)

    assert recall_at(people, np.array([196.5, 197.5, 198.0]), 0.01) == pytest.approx(2 / 3)


def test_honest_odds_have_no_error_and_boasts_have() -> None:
    """Said 0.5 where half are bots: 0; said 0.9: 0.4."""
    is_bot = np.tile([0.0, 1.0], 50)

    assert ece(calibration(np.full(100, 0.5), is_bot, np.ones(100))) == pytest.approx(0)
    assert ece(calibration(np.full(100, 0.9), is_bot, np.ones(100))) == pytest.approx(0.4)


def test_drift_is_nought_for_the_same_and_large_for_another_world() -> None:
    """The population stability index of a feature."""
    seen = np.random.default_rng(1).normal(size=500)

    assert psi(seen, seen) == pytest.approx(0)
    assert psi(seen, seen + 3) > 1


def test_an_inner_fold_never_judges_what_the_outer_one_judges() -> None:
    """What is chosen is chosen on other devices and other families."""
    for device in DEVICES:
        for family in FAMILIES:
            pairs = inner_pairs((device, family))
            assert len(set(pairs)) == len(pairs) == 3
            assert all(one != device and other != family for one, other in pairs)


def test_a_plot_is_svg_with_its_lines_named() -> None:
    """Names are escaped, every line is there."""
    drawn = plot({"a<b": [(0.0, 0.0), (1.0, 1.0)], "c": [(0.0, 1.0)]}, "x", "y")

    assert drawn.count("<polyline") == 2
    assert "a&lt;b" in drawn


def test_what_is_said_is_as_bounded_as_the_models_word() -> None:
    """A sum of fifty is told as the largest odds that the model ever gives."""
    assert said(np.array([-50.0, 0.0, 50.0])) == pytest.approx([chance(-MOST_LOGIT), 0.5, chance(MOST_LOGIT)])


def test_a_wait_is_four_sessions_of_one_device() -> None:
    """Nine sessions of a device make two waits, with a rest between their sessions; other devices are not mixed in."""
    moves = [(5.0, 1.0, 1.0), (15.0, 2.0, 2.0)]
    people = [Trace(f"{at}", "pc1" if at < 9 else "tel", is_bot=False, moves=moves) for at in range(12)]

    found = waits(people)

    assert [one.group for one in found] == ["pc1", "pc1"]
    assert [move[0] for move in found[0].moves] == [0, 10, 710, 720, 1420, 1430, 2130, 2140]


def test_one_shuffle_says_little_where_groups_are_few() -> None:
    """Groups that lie apart: single shuffles stray from a half, their mean does not.

    This is why the control of the first round was 0.563, and why there are many shuffles now.
    """
    dice = np.random.default_rng(3)
    groups = np.repeat([*DEVICES, *FAMILIES], 60)
    centres = {name: dice.normal(0, 1, len(NAMES)) for name in (*DEVICES, *FAMILIES)}
    values = np.array([centres[one] + dice.normal(0, 0.3, len(NAMES)) for one in groups])
    is_bot = np.isin(groups, FAMILIES)
    rows = Rows(values, groups, is_bot, np.full(len(groups), RECORDED), "0" * 64)
    chosen = {("pc1", "gan"): CANDIDATES[0].name, ("vm", "pyhm"): CANDIDATES[0].name}

    each = [shuffle(rows, chosen, seed) for seed in range(12)]

    assert max(abs(one - 0.5) for one in each) > 0.05
    assert abs(np.mean(each) - 0.5) < 3 * np.std(each, ddof=1) / len(each) ** 0.5
