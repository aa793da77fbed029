"""One minute of a room: what a look says, and how two rows of the same minute become one."""

from dataclasses import replace
from typing import Any

import pytest

from waitroom.minutes import COLUMNS, OLD_MS, Minute, and_then, merged, seen

AT_MS = 1_800_000_030_000
MINUTE = AT_MS // 60_000
FIGURES: dict[str, object] = {
    "waiting": 12,
    "called": 3,
    "phase": "serving",
    "run": "r",
    "admitted": 40,
    "cap": 9,
}


def row(seen_ms: int, **more: Any) -> Minute:
    """Make a row of the same room and minute."""
    return Minute("main", MINUTE, seen_ms, **more)


def test_a_look_is_read_and_what_it_does_not_say_is_unknown() -> None:
    """None, never 0."""
    found = seen(
        "main", AT_MS, FIGURES | {"show_ratio": 0.5, "wait_low_s": None}, version=7, sale="", stock_left=4
    )

    assert found == Minute(
        "main", MINUTE, AT_MS, 1, 7, "serving", None, "r", "", waiting=12, waiting_most=12, called=3, admitted=40,
        cap=9, stock_left=4, show_ratio=0.5,
    )  # fmt: skip


@pytest.mark.parametrize(
    "figures",
    [
        {},
        {"rate": 200, "cap": 500},
        {"waiting": None},
        {"waiting": "many"},
        {"waiting": True},
        {"waiting": 5, "store_age_ms": OLD_MS + 1},
    ],
)
def test_figures_that_say_nothing_of_this_minute_are_no_look(figures: dict[str, object]) -> None:
    """Limits alone, no numbers, and a picture that stood while the store was away."""
    assert seen("main", AT_MS, figures) is None


def test_figures_that_are_just_not_too_old_count() -> None:
    """The edge."""
    assert seen("main", AT_MS, {"waiting": 5, "store_age_ms": OLD_MS}) is not None


def test_the_later_look_counts_and_the_earlier_fills_what_it_left_open() -> None:
    """In either order, and again and again."""
    early = row(AT_MS, looks=20, waiting=90, waiting_most=95, admitted=10, called=4)
    late = row(AT_MS + 20_000, looks=10, waiting=70, waiting_most=90, admitted=15, slowed=2)
    wanted = row(AT_MS + 20_000, looks=20, waiting=70, waiting_most=95, admitted=15, called=4, slowed=2)

    assert merged(early, late) == merged(late, early) == wanted
    assert merged(wanted, early) == merged(early, wanted) == merged(wanted, wanted) == wanted


def test_looks_of_one_process_add_up_and_of_two_do_not() -> None:
    """Sixty looks of each are sixty looks."""
    one = row(AT_MS, waiting=5, waiting_most=5)

    assert and_then(one, replace(one, seen_ms=AT_MS + 1000, waiting=4, waiting_most=4)) == row(
        AT_MS + 1000, looks=2, waiting=4, waiting_most=5
    )
    assert merged(replace(one, looks=60), replace(one, looks=60)).looks == 60


def test_a_row_has_a_column_for_each_field() -> None:
    """And the key comes first."""
    assert COLUMNS[:4] == ("room", "minute", "seen_ms", "looks")
    assert len(set(COLUMNS)) == len(COLUMNS)
