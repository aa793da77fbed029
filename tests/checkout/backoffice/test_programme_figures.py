"""Prices as a table, what a change of them will mean, and how an evening's doors stand."""

from typing import Any

import pytest

from checkout.backoffice.programme_doors import MOST_BARS, bars_of, doors_view
from checkout.backoffice.programme_plan import Counts
from checkout.backoffice.programme_prices import preview, read_typed, rows_of
from tests.checkout.catalogues import NOW_MS

EVENT: dict[str, Any] = {
    "id": "summer",
    "currencies": ["EUR", "JPY"],
    "tiers": [
        {"tier": 0, "name": "Front", "prices": {"EUR": 4200, "JPY": 7000}},
        {"tier": 1, "name": "Back", "prices": {"EUR": 2500, "JPY": 4000}},
    ],
}
COUNTS = {0: Counts(sold=3, held=2, free=10, blocked=4, kept=1)}


def test_prices_are_a_table() -> None:
    """With the seats of each tier, as they are typed."""
    front, back = rows_of(EVENT, COUNTS, ["CHF"])

    assert [(cell.field, cell.text) for cell in front.cells] == [
        ("p-0-EUR", "42.00"),
        ("p-0-JPY", "7000"),
        ("p-0-CHF", ""),
    ]
    assert (front.counts.sold, back.counts.all) == (3, 0)


def test_only_what_was_changed_is_sent() -> None:
    """As the API takes it."""
    typed = {"p-0-EUR": "42.00", "p-0-JPY": "7000", "p-1-EUR": "27,50", "p-1-JPY": "4000", "p-9-EUR": "1"}

    read = read_typed(EVENT, typed)

    assert read.faults == ()
    assert read.document() == {"prices": [{"tier": 1, "prices": {"EUR": 2750}}]}
    assert read_typed(EVENT, {"p-0-EUR": "42"}).changes == {}


@pytest.mark.parametrize(
    ("typed", "more", "faults"),
    [
        ({"p-0-EUR": ""}, (), [("p-0-EUR", "amount")]),
        ({"p-0-EUR": "-1"}, (), [("p-0-EUR", "amount")]),
        ({"p-0-EUR": "1.234"}, (), [("p-0-EUR", "amount-decimals")]),
        ({"p-0-JPY": "1.5"}, (), [("p-0-JPY", "amount-decimals")]),
        ({"p-0-EUR": "x", "p-1-EUR": "y"}, (), [("p-0-EUR", "amount"), ("p-1-EUR", "amount")]),
        ({"p-0-XTS": "1", "p-1-XTS": "1"}, ("XTS",), [("currency", "currency")]),
    ],
)
def test_bad_inputs_of_prices(
    typed: dict[str, str], more: tuple[str, ...], faults: list[tuple[str, str]]
) -> None:
    """Each is a fault of its field, and nothing is rounded."""
    assert [(one.field, one.why) for one in read_typed(EVENT, typed, more).faults] == faults


def test_a_change_is_shown_before_it_is_made() -> None:
    """Old and new price, how many seats are sold at the new one, how many keep theirs, and what it comes to."""
    changes = read_typed(EVENT, {"p-0-EUR": "45", "p-1-EUR": "0", "p-0-CHF": "40"}, ["CHF"]).changes

    chf, front, back = preview(EVENT, COUNTS, changes)

    assert (front.old_minor, front.new_minor, front.seats, front.kept, front.percent) == (
        4200,
        4500,
        15,
        5,
        7,
    )
    assert front.if_all_sell_minor == 300 * 15
    assert (chf.old_minor, chf.percent) == (None, None)
    assert (back.new_minor, back.seats, back.percent) == (0, 0, -100)


# ------------------------------------------------------------------------------------------ doors


def entry(**changes: Any) -> dict[str, Any]:
    """Give what the API tells."""
    return {
        "now_ms": NOW_MS + 125_000,
        "sold": 200,
        "entered": 30,
        "gates": [
            {"scanner": "aa", "gate": "North", "entered": 20},
            {"scanner": "bb", "gate": "South", "entered": 10},
        ],
        "refused": {"used": 1, "forged": 4},
        "minutes": [
            {"minute_ms": NOW_MS - NOW_MS % 60_000, "entered": 10},
            {"minute_ms": NOW_MS - NOW_MS % 60_000 + 60_000, "entered": 20},
        ],
        **changes,
    }


def test_doors_are_shown_by_gate_and_minute() -> None:
    """What came in, where, how fast; the commonest refusal first; whether a gate works, for who may know."""
    scanners = [{"scanner": "aa", "works": True, "until_ms": NOW_MS + 1, "seen_ms": None}]

    seen = doors_view(entry(), scanners)

    assert (seen.percent, seen.now_per_min, seen.step_min) == (15, 20, 1)
    assert [(one.name, one.share, one.works) for one in seen.gates] == [
        ("North", 1.0, True),
        ("South", 0.5, None),
    ]
    assert seen.refused == (("forged", 4), ("used", 1))
    assert [(bar.count, bar.share) for bar in seen.bars] == [(10, 0.5), (20, 1.0)]


def test_before_the_doors_open_there_is_nothing() -> None:
    """No picture, no share of nothing."""
    seen = doors_view(entry(sold=0, entered=0, gates=[], refused={}, minutes=[]))

    assert (seen.percent, seen.bars, seen.gates, seen.now_per_min) == (0, (), (), 0)


@pytest.mark.parametrize(("last", "step"), [(89, 1), (90, 2), (200, 5), (24 * 60, 30), (400 * 24 * 60, 1440)])
def test_a_long_evening_is_drawn_in_steps(last: int, step: int) -> None:
    """Never more bars than fit, and the last one is always among them."""
    bars, found = bars_of([(0, 1), (last * 60_000, 2)])

    assert found == step
    assert len(bars) <= MOST_BARS
    assert bars[-1].count == 2


def test_minutes_in_which_nobody_came_are_gaps() -> None:
    """They are there, as noughts."""
    assert [bar.count for bar in bars_of([(0, 3), (180_000, 1)])[0]] == [3, 0, 0, 1]
