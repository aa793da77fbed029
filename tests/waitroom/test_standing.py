"""Standing and speed: what a rank is worth now, and how fast the thresholds move."""

import pytest

from waitroom.estimate import speed_per_minute
from waitroom.lanes import Lane, Moved, Serving, highest, ordered
from waitroom.line import Line
from waitroom.schedule import Phase
from waitroom.standing import Standing, called_at_ms, stand

NOW_MS = 1_800_000_000_000
WINDOW_MS = 60_000


def moved(seconds: float, standard: int) -> Moved:
    """Record a threshold at so many seconds from now."""
    return Moved(NOW_MS + round(seconds * 1000), Serving(standard, standard, 0))


CALLS = [moved(-120, 10), moved(-60, 20), moved(-30, 35), moved(0, 50)]


@pytest.mark.parametrize(
    ("rank", "at_s"),
    [(0, -120), (9, -120), (10, -60), (19, -60), (20, -30), (34, -30), (35, 0), (49, 0), (50, None)],
)
def test_a_rank_was_called_by_the_first_threshold_above_it(rank: int, at_s: int | None) -> None:
    """Rank r is called when serving first exceeds r."""
    expected = None if at_s is None else NOW_MS + at_s * 1000

    assert called_at_ms(CALLS, Lane.STANDARD, rank) == expected


@pytest.mark.parametrize(
    ("rank", "after_ms", "standing", "ahead"),
    [
        (50, 0, Standing.WAITING, 0),
        (57, 0, Standing.WAITING, 7),
        (49, 0, Standing.CALLED, 0),
        (49, WINDOW_MS - 1, Standing.CALLED, 0),
        (49, WINDOW_MS, Standing.RECALL, 0),
        (5, 0, Standing.RECALL, 0),
    ],
)
def test_standing_follows_from_rank_threshold_and_window(
    rank: int, after_ms: int, standing: Standing, ahead: int
) -> None:
    """Half-open: called while less than the window has passed since the call."""
    line = Line(run="aa", issued=100, serving=Serving(50, 50, 0))
    place = stand(line, CALLS, rank, Lane.STANDARD, WINDOW_MS, NOW_MS + after_ms)

    assert (place.standing, place.ahead) == (standing, ahead)


def test_void_ranks_are_nobody_ahead() -> None:
    """Twenty empty numbers between the threshold and me do not count."""
    line = Line(run="aa", issued=100, serving=Serving(50, 50, 0), void=((60, 80),))

    assert stand(line, [], 90, Lane.STANDARD, WINDOW_MS, NOW_MS).ahead == 20


def test_before_a_draw_nobody_has_a_rank() -> None:
    """Gathering: no rank, nobody ahead to speak of."""
    line = Line(run="aa", phase=Phase.GATHERING, issued=100, commitment="cc")
    place = stand(line, [], None, Lane.STANDARD, WINDOW_MS, NOW_MS)

    assert (place.rank, place.standing, place.ahead) == (None, Standing.GATHERING, None)


@pytest.mark.parametrize(
    ("calls", "speed"),
    [
        ([], 0),
        ([moved(0, 7)], 0),
        ([moved(-30, 10), moved(0, 20)], 20),
        (CALLS, 30),
        ([moved(-600, 5)], 0),
        ([moved(-600, 5), moved(0, 11)], 6),
    ],
)
def test_speed_is_what_moved_in_the_last_minute(calls: list[Moved], speed: int) -> None:
    """The last threshold against the one a minute ago; zero where nothing can be compared."""
    assert speed_per_minute(calls, NOW_MS).standard == speed


def test_lanes_keep_their_order_and_thresholds_only_rise() -> None:
    """Verified >= standard >= suspect, whatever is put together."""
    assert ordered(Serving(1, 5, 3)) == Serving(5, 5, 3)
    assert highest(Serving(9, 2, 1), Serving(3, 4, 4)) == Serving(9, 4, 4)
