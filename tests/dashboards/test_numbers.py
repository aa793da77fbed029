"""Numbers: what is known, what is not, and what is alarming."""

from dataclasses import replace
from typing import Any

import pytest

from dashboards import numbers
from waitroom.room_fields import StockState
from waitroom.rooms import Room

ROOM = Room("main", "https://shop.example.com", new_users_per_minute=200, total_active_users=500)

JUDGED = {"settled_kept": 1000, "settled_slowed": 7, "settled_asked": 2, "settled_passed": 1}


def by_key(known: dict[str, Any], room: Room = ROOM) -> dict[str, numbers.Figure]:
    """Return all figures by their keys."""
    return {figure.key: figure for figure in (*numbers.first(known, room), *numbers.more(known, room))}


def test_nobody_knows_is_a_dash_everywhere_and_each_number_is_explained() -> None:
    """Without figures not one zero is shown; keys are unique, and every figure has words of its own."""
    figures = by_key({})

    assert {figure.value for figure in figures.values()} == {"–"}
    assert len({figure.why for figure in figures.values()}) == len(figures) == 17
    assert all(figure.tone == "" and figure.share is None for figure in figures.values())


def test_zero_is_zero() -> None:
    """What is known to be nothing is no dash."""
    known = dict.fromkeys(
        (
            "waiting",
            "called",
            "active_sessions",
            "admitted_per_minute",
            "admitted",
            "called_in_all",
            "slowed",
        ),
        0,
    )
    figures = by_key(known | {"origin_failure_ratio": 0.0, "origin_per_minute": 12})

    for key in ("waiting", "called", "inside", "let-in", "admitted", "called-in-all", "slowed"):
        assert figures[key].value == "0", key
    assert (figures["fails"].value, figures["fails"].note) == ("0 %", "of 12 requests a minute")
    assert (figures["inside"].share, figures["let-in"].share) == (0, 0)


@pytest.mark.parametrize(
    ("known", "key", "value", "note"),
    [
        ({}, "judged", "–", "before their turn"),
        (JUDGED, "judged", "1,009", "7 slowed, 2 asked, 1 passed"),
        (dict.fromkeys(JUDGED, 0), "judged", "0", "before their turn"),
        ({"show_ratio": 0.72}, "no-shows", "28 %", "of the last called"),
        ({"show_ratio": 1.0}, "no-shows", "0 %", "of the last called"),
        ({}, "no-shows", "–", "nobody called yet"),
        ({"wait_held": 0.93, "wait_held_of": 240}, "held", "93 %", "of 240 judged"),
        ({"wait_held": 0.93}, "held", "93 %", "not judged yet"),
        ({"origin_p95_ms": 180}, "answers", "180 ms", "95 of 100 within"),
        ({"origin_p95_ms": 2345}, "answers", "2.3 s", "95 of 100 within"),
        ({"origin_failure_ratio": 0.0021}, "fails", "0.2 %", "no requests of late"),
        ({"lane_suspect": 25, "issued": 100}, "lane-suspect", "25", "25 % of this run"),
        ({"lane_suspect": 0, "issued": 0}, "lane-suspect", "0", "of this run"),
        ({"wait_low_s": 10, "wait_high_s": 59.0}, "wait", "under 1 min", "to whoever joins now"),
        ({"wait_low_s": 200, "wait_high_s": 400}, "wait", "3–7 min", "to whoever joins now"),
        ({"wait_low_s": 60, "wait_high_s": 60}, "wait", "1 min", "to whoever joins now"),
        ({"wait_low_s": 7200, "wait_high_s": 9000}, "wait", "2 h – 2 h 30 min", "to whoever joins now"),
        ({"wait_low_s": 7200}, "wait", "–", "to whoever joins now"),
    ],
)
def test_each_number_is_said_with_what_it_is_measured_against(
    known: dict[str, Any], key: str, value: str, note: str
) -> None:
    """In few words."""
    figure = by_key(known)[key]

    assert (figure.value, figure.note) == (value, note)


@pytest.mark.parametrize(
    ("state", "left", "value", "note"),
    [
        (None, None, "–", "nobody has said"),
        (StockState.SELLING, 900, "900", "selling"),
        (StockState.LAST, 3, "3", "the last"),
        (StockState.SOLD_OUT, None, "0", "sold out"),
    ],
)
def test_stock_is_what_somebody_said(
    state: StockState | None, left: int | None, value: str, note: str
) -> None:
    """Nothing said is unknown."""
    figure = by_key({}, replace(ROOM, stock_state=state, stock_left=left))["stock"]

    assert (figure.value, figure.note) == (value, note)


@pytest.mark.parametrize(
    ("known", "alarms"),
    [
        (None, [("alarm", "No figures")]),
        ({}, []),
        ({"store_age_ms": 5000}, []),
        ({"store_age_ms": 5001}, [("alarm", "Store away")]),
        ({"origin_failure_ratio": 0.049}, []),
        ({"origin_failure_ratio": 0.05}, [("halt", "Site fails 5.0 %")]),
        ({"origin_failure_ratio": 0.5}, [("alarm", "Site fails 50 %")]),
        ({"wait_held": 0.8}, []),
        ({"wait_held": 0.79}, [("halt", "Waits held 79 %")]),
        (
            {"wait_held": 0.5, "origin_failure_ratio": 0.9},
            [("alarm", "Site fails 90 %"), ("halt", "Waits held 50 %")],
        ),
    ],
)
def test_what_alarms_is_said_and_the_worst_first(
    known: dict[str, Any] | None, alarms: list[tuple[str, str]]
) -> None:
    """At the edges of each bar."""
    assert list(numbers.alarms(known, ROOM)) == alarms


def test_a_sold_out_room_is_halted() -> None:
    """It calls nobody."""
    assert numbers.alarms({}, replace(ROOM, stock_state=StockState.SOLD_OUT)) == (("halt", "Sold out"),)


@pytest.mark.parametrize(
    ("value", "limit", "share"),
    [(None, 5, None), (1, 0, None), (0, 5, 0), (5, 5, 100), (9, 5, 100), (1, 3, 33)],
)
def test_a_bar_is_full_at_the_limit(value: int | None, limit: int, share: int | None) -> None:
    """Nobody's share is no share."""
    assert numbers.share(value, limit) == share


def test_verdicts_have_a_column_for_each_lane_in_which_places_are_judged() -> None:
    """Passed checks are of those that were asked before; what nobody knows is a dash."""
    known = {
        f"settled_{name}_standard": count
        for name, count in zip(numbers.OUTCOMES, (1000, 7, 2, 1), strict=True)
    }

    assert numbers.verdicts(known) == (
        ("Judged", "–", "1,009"), ("Kept", "–", "1,000"), ("Slowed", "–", "7"), ("Asked", "–", "2"),
        ("Passed", "–", "1"),
    )  # fmt: skip
