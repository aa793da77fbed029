"""Traces: recorded sessions in one unit, and people replayed in the Chromium of the scripts."""

import pytest

from bench.replaying import EACH, HIGH, MOST_MS, chosen, placed
from botguard.training.traces import DEVICES, FEWEST_MOVES, in_pixels, read_chromium, read_delbot
from tests.house.tree import ROOT

DATA = ROOT / "tests" / "data"


def test_shares_of_a_screen_become_its_pixels() -> None:
    """A quarter of 1,536 is 384; what is in pixels stays, even where a pointer begins in the corner."""
    shares = [(0.0, 0.25, 0.5), (16.0, 1.0, 0.0)]
    pixels = [(0.0, 0.0, 1.0), (16.0, 3.0, 1.0)]

    assert in_pixels(shares, 1536, 864) == [(0, 384, 432), (16, 1536, 0)]
    assert in_pixels(pixels, 1536, 864) == pixels


@pytest.fixture(scope="module")
def groups() -> dict[str, list[list[tuple[float, float, float]]]]:
    """Return the moves of all sessions by group."""
    found: dict[str, list[list[tuple[float, float, float]]]] = {}
    for one in read_delbot(DATA / "delbot" / "delbot_circles.tgz"):
        found.setdefault(one.group, []).append(list(one.moves))
    return found


def test_no_session_is_read_as_a_pointer_that_stands_still(
    groups: dict[str, list[list[tuple[float, float, float]]]],
) -> None:
    """Each session of `fast` moves over many pixels, all of them whole: shares were whole pixels once."""
    assert len(groups["fast"]) == 9
    for moves in groups["fast"]:
        assert max(x for _, x, _ in moves) - min(x for _, x, _ in moves) > 50
        assert all(x % 1 == 0 and y % 1 == 0 for _, x, y in moves)


def test_people_replayed_in_chromium_are_of_every_device() -> None:
    """Thirty sessions of each device, all nine of the smallest; none is longer than it was cut to."""
    people = read_chromium(DATA / "chromium_people" / "people.jsonl.gz", is_bot=False)
    many = {device: sum(one.group == device for one in people) for device in DEVICES}

    assert many.pop("fast") == 9
    assert all(EACH - 3 <= one <= EACH for one in many.values())
    for one in people:
        assert not one.is_bot
        assert len(one.moves) >= FEWEST_MOVES
        assert one.moves[-1][0] - one.moves[0][0] <= MOST_MS + 1000


def test_a_replayed_session_lies_within_the_page() -> None:
    """Places beyond an edge are shifted as a whole; what comes too late is not replayed."""
    moves = [(100.0, -20.0, 500.0), (116.0, 30.0, 1200.0), (100 + MOST_MS + 1, 0.0, 0.0)]

    found = placed(moves)

    assert found == [(0, 0, 379), (16, 50, 1079)]
    assert found[1][2] < HIGH


def test_as_many_sessions_of_each_device_are_chosen_by_a_seed() -> None:
    """The same seed chooses the same ones."""
    people = [one for one in read_delbot(DATA / "delbot" / "delbot_circles.tgz") if not one.is_bot]

    found = chosen(people, 2, 7)

    assert [one.group for one in found] == [device for device in DEVICES for _ in range(2)]
    assert [one.name for one in found] == [one.name for one in chosen(people, 2, 7)]
