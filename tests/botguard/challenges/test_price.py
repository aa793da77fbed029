"""Price: dearer with the length of the line and with doubt, bounded, and cheaper for who is slow."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from botguard.challenges.port import Weight
from botguard.challenges.price import FIRST_TRIES, LEVEL_MOST, easier, level_of, tries_most

WAITS = st.floats(min_value=0, max_value=1e9)
SCORES = st.none() | st.floats(min_value=0, max_value=1)


@pytest.mark.parametrize(
    ("wait_min", "score", "level"),
    [
        (0, None, 0), (1.99, None, 0), (2, None, 1), (14.9, None, 1), (15, None, 2), (1e9, None, 2),
        (0, 0.49, 0), (0, 0.5, 1), (0, 0.9, 2), (0, 1.0, 2), (15, 0.9, 4), (1e9, 1.0, LEVEL_MOST),
    ],
)  # fmt: skip
def test_the_level_follows_line_and_score(wait_min: float, score: float | None, level: int) -> None:
    """Each step at its very edge; nobody's judgement costs nothing."""
    assert level_of(Weight(wait_min, score)) == level


@given(wait=WAITS, more=WAITS, score=SCORES, instead=st.booleans())
def test_no_price_is_out_of_bounds_and_none_falls_with_the_line(
    wait: float, more: float, score: float | None, instead: bool
) -> None:
    """Between 16,384 and 262,144 hashes, and never cheaper in a longer line."""
    low = level_of(Weight(wait, score), instead=instead)
    high = level_of(Weight(wait + more, score), instead=instead)

    assert 0 <= low <= high <= LEVEL_MOST
    assert FIRST_TRIES <= tries_most(low) <= 262_144
    assert low >= level_of(Weight(wait, score))


def test_a_slow_device_comes_down_to_the_lowest_level_and_stays_there() -> None:
    """Nobody is locked out: two steps from the top are enough."""
    assert [easier(level) for level in range(LEVEL_MOST + 1)] == [0, 0, 0, 1, 2]
    assert easier(easier(LEVEL_MOST)) == 0
    assert (easier(-5), easier(99)) == (0, LEVEL_MOST - 2)
    assert (tries_most(-1), tries_most(99)) == (FIRST_TRIES, FIRST_TRIES << LEVEL_MOST)
