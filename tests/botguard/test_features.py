"""Features: in one order, missing where nothing was seen, and blind to scale, place and moment."""

from math import isnan

import pytest

from botguard.features import NAMES, SETS, vector
from botguard.rhythm.summary import Rhythm

CIRCLE = [(16.0 * at, 400 + at * 3.0 + (at * 7 % 5), 300 + (at * at % 41)) for at in range(120)]


def of(moves: list[tuple[float, float, float]]) -> dict[str, float]:
    """Return the features of moves, by name."""
    rhythm = Rhythm()
    for t, x, y in moves:
        rhythm.move(t, x, y)
    return dict(zip(NAMES, vector(rhythm.summary()), strict=True))


def test_a_feature_belongs_to_one_set_and_has_one_place() -> None:
    """The sets make up the vector, in its order, and no name is there twice."""
    assert [name for members in SETS.values() for name in members] == list(NAMES)
    assert len(set(NAMES)) == len(NAMES)


def test_who_moves_no_pointer_has_no_evidence_against_them() -> None:
    """Keys, switches and screen readers: every feature is missing, none is nought."""
    rhythm = Rhythm()
    for at in range(50):
        rhythm.key(at * 130.0)
    rhythm.scroll()

    assert all(isnan(value) for value in vector(rhythm.summary()))


def test_a_larger_screen_and_another_place_change_nothing() -> None:
    """Twice the size, shifted, an hour later: the same features."""
    other = [(t + 3_600_000, 2 * x + 64, 2 * y - 32) for t, x, y in CIRCLE]

    assert of(other) == pytest.approx(of(CIRCLE), nan_ok=True)


def test_the_two_grids_see_a_steady_line_as_steady() -> None:
    """A straight line at even speed: no change, no turn, no jerk."""
    found = of([(10.0 * at, 4.0 * at, 3.0 * at) for at in range(200)])

    assert found["g20_change"] == pytest.approx(0, abs=1e-9)
    assert found["g100_jerk"] == pytest.approx(0, abs=1e-9)
    assert found["turn_0"] == found["ratio_0"] == found["gap_0"] == 1
    assert found["straight"] == pytest.approx(1)
