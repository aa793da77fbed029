"""What a buyer is told of seats that are put aside."""

import pytest

from checkout.catalogue.event import Prices
from checkout.halls.seats import hold_id_of
from checkout.holds.answers import HoldState
from checkout.holds.papers import hold_paper, lines, total_minor
from tests.checkout.catalogues import NOW_MS, small_layout

LAYOUT = small_layout()
OLD = Prices(1, {0: {"EUR": 4200, "JPY": 7000}, 1: {"EUR": 2500, "JPY": 4000}})
NEW = Prices(2, {0: {"EUR": 9900, "JPY": 9000}, 1: {"EUR": 2500, "JPY": 4000}})
ID = bytes(range(8))


def a_paper(state: HoldState = HoldState.HELD, *, extended: bool = False) -> dict[str, object]:
    """Write a paper for two seats."""
    told = lines(LAYOUT, ((11, 0), (25, 1)), OLD, "EUR")
    paper = hold_paper(
        ID, "summer", told, "EUR", until_ms=NOW_MS + 5, extended=extended, fence=7, state=state, now_ms=NOW_MS
    )
    return dict(paper)


def test_a_line_says_where_the_seat_is_and_what_it_costs() -> None:
    """By the names that stand in the hall; a place to stand has neither row nor number."""
    told = lines(LAYOUT, ((11, 0), (25, 1)), OLD, "EUR")

    assert told == [
        {"seat": 11, "section": "Stalls", "row": "B", "number": "2", "tier": 0, "price_minor": 4200},
        {"seat": 25, "section": "Floor", "row": "", "number": "", "tier": 1, "price_minor": 2500},
    ]
    assert total_minor(told) == 6700


def test_the_tier_of_the_hold_counts_and_the_version_of_the_prices() -> None:
    """A seat keeps the tier and the price that it was held at, whatever the map and the organiser say since."""
    by_version = [total_minor(lines(LAYOUT, ((11, 0),), prices, "EUR")) for prices in (OLD, NEW)]

    assert by_version == [4200, 9900]
    assert total_minor(lines(LAYOUT, ((11, 1),), OLD, "JPY")) == 4000


@pytest.mark.parametrize(
    ("places", "currency", "error"),
    [(((11, 5),), "EUR", KeyError), (((11, 0),), "CHF", KeyError), (((45, 0),), "EUR", IndexError)],
)
def test_there_is_no_line_without_a_seat_and_a_price(
    places: tuple[tuple[int, int], ...], currency: str, error: type[Exception]
) -> None:
    """A wrong price would be worse than none."""
    with pytest.raises(error):
        lines(LAYOUT, places, OLD, currency)


def test_a_hold_is_told_as_the_wire_has_it() -> None:
    """Every member that pages and crowd read."""
    paper = a_paper()

    seats = paper.pop("seats")
    assert isinstance(seats, list)
    assert [seat["seat"] for seat in seats] == [11, 25]
    assert hold_id_of(str(paper.pop("hold"))) == ID
    assert paper == {
        "event": "summer",
        "currency": "EUR",
        "total_minor": 6700,
        "until_ms": NOW_MS + 5,
        "extendable": True,
        "fence": 7,
        "state": "held",
        "now_ms": NOW_MS,
    }


@pytest.mark.parametrize("state", [state for state in HoldState if state is not HoldState.HELD])
def test_only_a_hold_that_is_held_and_was_not_extended_is_extendable(state: HoldState) -> None:
    """What is being paid for, or over, is not."""
    assert a_paper(state)["extendable"] is False
    assert a_paper(extended=True)["extendable"] is False
