"""What a fake place brings and costs: arithmetic that can be followed by hand, and the page that shows it."""

from dataclasses import replace
from pathlib import Path

import pytest

from botguard.cost import Market, Prices, chance, fakes, faults, margin, table, told, worth
from gateway.bots_command import COST
from gateway.cli import main

DOCS = Path(__file__).parents[2] / "docs" / "bots-cost.md"
PLAIN = Market(face=10, resale=20, fee=0.25, per_order=2, tickets=100, places=400, share=0.2)


def test_a_place_brings_its_chance_times_what_an_order_leaves() -> None:
    """20.00 less a quarter less 10.00 is 5.00; two of them, for one place in eight: 1.25."""
    assert margin(PLAIN) == pytest.approx(5)
    assert chance(PLAIN) == pytest.approx(1 / 8)
    assert worth(PLAIN) == pytest.approx(1.25)


def test_where_there_are_more_tickets_than_asked_for_everybody_gets_through() -> None:
    """A chance is never more than one."""
    assert chance(replace(PLAIN, tickets=100_000)) == 1


def test_what_sells_below_its_price_is_not_resold() -> None:
    """Nobody makes a loss of it: the place is worth nothing, and no setting makes it a business."""
    market = replace(PLAIN, resale=10)

    assert worth(market) == 0
    assert not any(row.pays for row in table(market, Prices()))


def test_a_share_of_the_tickets_takes_its_share_of_the_places() -> None:
    """A fifth of all places, the fakes counted, is a quarter of the honest ones."""
    assert fakes(PLAIN) == pytest.approx(100)
    assert fakes(PLAIN) / (fakes(PLAIN) + PLAIN.places) == pytest.approx(PLAIN.share)


def test_the_rows_are_in_order_and_balance_at_their_bound() -> None:
    """Each setting costs more than the one before; at the bound a place brings exactly what it costs."""
    rows = table(PLAIN, Prices())

    assert [row.place for row in rows] == sorted(row.place for row in rows)
    for row in rows:
        at_bound = replace(PLAIN, places=max(1, round(row.places_most)))
        assert worth(at_bound) == pytest.approx(row.place, rel=0.01)


def test_what_costs_nothing_brings_everything() -> None:
    """No division by nothing."""
    free = Prices(0, 0, 0, 0, 0, 0, 0)

    assert all(row.factor == float("inf") and row.pays for row in table(PLAIN, free))
    assert told(PLAIN, free)


@pytest.mark.parametrize(
    ("flag", "value"),
    [
        ("--face", "-1"), ("--resale", "nan"), ("--fee", "1.1"), ("--share", "0"), ("--share", "1"),
        ("--per-order", "0"), ("--tickets", "0"), ("--places", "-5"), ("--phone", "-0.1"), ("--mail", "nan"),
    ],
)  # fmt: skip
def test_inputs_that_make_no_sense_are_told(
    flag: str, value: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """In a sentence that names the flag."""
    assert main(["bots", "cost", f"{flag}={value}"]) == 2
    assert flag in capsys.readouterr().err


def test_a_negative_price_is_a_fault_of_its_own() -> None:
    """Every input is looked at."""
    assert len(faults(replace(PLAIN, face=-1), replace(Prices(), mail=-1, phone=-1))) == 3


def test_the_flags_are_the_inputs() -> None:
    """With the same defaults."""
    market, prices = Market(), Prices()
    own = {**{name: getattr(market, name) for name in Market.__dataclass_fields__},
           **{name: getattr(prices, name) for name in Prices.__dataclass_fields__}}  # fmt: skip

    assert {name: default for name, (default, _) in COST.items()} == own


def test_the_page_shows_what_the_command_prints(capsys: pytest.CaptureFixture[str]) -> None:
    """The table in docs/bots-cost.md is that of the defaults, and every default is named with its source."""
    assert main(["bots", "cost"]) == 0
    printed = capsys.readouterr().out.strip()
    page = DOCS.read_text("utf-8")

    assert printed in page
    for name in COST:
        assert f"`--{name.replace('_', '-')}`" in page
