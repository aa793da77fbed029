"""Money: whole minor units, one currency at a time, written as people do."""

import ast
from decimal import Decimal
from pathlib import Path

import pytest
from babel.core import get_global
from babel.numbers import get_currency_precision
from hypothesis import given
from hypothesis import strategies as st

from checkout import money
from checkout.currencies import DIGITS
from checkout.money import (
    MOST,
    Money,
    NoSuchCurrency,
    decimals_shown,
    exponent,
    major,
    shown,
    times,
    total,
)

AMOUNTS = st.integers(-(10**15), 10**15)
CODES = st.sampled_from(sorted(money.currencies()))


@pytest.mark.parametrize(
    ("code", "decimals"),
    [("EUR", 2), ("USD", 2), ("GBP", 2), ("CHF", 2), ("JPY", 0), ("KRW", 0), ("KWD", 3), ("BHD", 3)],
)
def test_a_currency_has_its_decimals(code: str, decimals: int) -> None:
    """The yen has none, the euro two, the dinar three."""
    assert exponent(code) == decimals


@pytest.mark.parametrize("code", ["", "EU", "eur", "EURO", "DEM", "XTS", "BTC", "€", None, 978])
def test_an_unknown_currency_is_refused(code: str) -> None:
    """Codes that do not exist, that are over, or that are not written in capitals."""
    with pytest.raises(NoSuchCurrency):
        Money(1, code)


@pytest.mark.parametrize("amount", [1.0, "1", True, None, Decimal(1), MOST + 1, -MOST - 1])
def test_an_amount_is_a_whole_number_that_a_database_holds(amount: int) -> None:
    """No fraction, no text, no yes or no, nothing above 64 bits."""
    with pytest.raises(ValueError, match="no amount"):
        Money(amount, "EUR")


@pytest.mark.parametrize(
    ("amount", "currency", "language", "text"),
    [
        (4200, "EUR", "en", "€42.00"),
        (4200, "EUR", "de", "42,00\xa0€"),
        (4205, "EUR", "pt-BR", "€\xa042,05"),
        (4200, "JPY", "en", "¥4,200"),
        (4200, "JPY", "ja", "￥4,200"),
        (4200, "KWD", "de", "4,200\xa0KWD"),
        (123_456_789, "GBP", "en", "£1,234,567.89"),
        (-100, "EUR", "en", "-€1.00"),
        (0, "EUR", "en", "€0.00"),
        (4200, "EUR", "xx-nowhere", "€42.00"),
        (4200, "EUR", "../../etc", "€42.00"),
    ],
)
def test_money_is_written_as_people_of_a_language_do(
    amount: int, currency: str, language: str, text: str
) -> None:
    """Sign, separators and decimals are those of the language and the currency."""
    assert shown(Money(amount, currency), language) == text


@given(AMOUNTS, CODES)
def test_what_is_shown_is_what_is_owed(amount: int, code: str) -> None:
    """The digits on the page are the digits of the amount: nothing is rounded on the way."""
    owed = Money(amount, code)
    text = shown(owed, "en")

    digits = int("".join(filter(str.isdigit, text)))
    assert digits * 10 ** (exponent(code) - decimals_shown(owed)) == abs(amount)


@pytest.mark.parametrize(
    ("amount", "text"), [(840_000, "8.400\xa0HUF"), (840_050, "8.400,50\xa0HUF"), (1, "0,01\xa0HUF")]
)
def test_decimals_that_people_do_not_write_are_left_out_only_while_they_are_noughts(
    amount: int, text: str
) -> None:
    """CLDR writes forints without decimals; half a forint would vanish."""
    assert shown(Money(amount, "HUF"), "de") == text


def test_babel_writes_some_currencies_with_fewer_decimals_than_they_have() -> None:
    """Where CLDR differs from ISO 4217 today. Fails when an update of Babel changes it: amounts stay what they are."""
    differ = {code: get_currency_precision(code) for code in money.currencies()}

    assert {code: shown for code, shown in differ.items() if shown != exponent(code)} == dict.fromkeys(
        [
            "AFN",
            "ALL",
            "COP",
            "HUF",
            "IDR",
            "IQD",
            "IRR",
            "KPW",
            "LAK",
            "LBP",
            "MGA",
            "MMK",
            "SOS",
            "SYP",
            "YER",
        ],
        0,
    )


def test_the_currencies_are_those_that_are_tender_somewhere() -> None:
    """Fails when an update of Babel knows one that is new, or knows that one is over."""
    eras = [era for territory in get_global("territory_currencies").values() for era in territory]

    assert money.currencies() == {code for code, _since, until, tender in eras if until is None and tender}
    assert set(DIGITS.values()) == {0, 2, 3}


def test_an_update_of_babel_changes_no_amount(monkeypatch: pytest.MonkeyPatch) -> None:
    """The mutant that asks Babel for the decimals makes a hundred times as much of the same number."""
    amount = Money(840_000, "HUF")

    assert major(amount) == 8_400
    monkeypatch.setattr(money, "exponent", get_currency_precision)
    assert major(amount) == 840_000


@given(AMOUNTS, CODES)
def test_the_own_unit_is_exact(amount: int, code: str) -> None:
    """Shifted back, the decimal is the amount."""
    assert major(Money(amount, code)).scaleb(exponent(code)) == amount


@given(st.lists(AMOUNTS, max_size=20), CODES)
def test_a_total_is_the_sum_of_its_amounts(amounts: list[int], code: str) -> None:
    """Whatever the order and however many."""
    assert total([Money(amount, code) for amount in amounts], code) == Money(sum(amounts), code)


@given(AMOUNTS, st.integers(0, 50), CODES)
def test_several_times_an_amount_is_its_sum(amount: int, count: int, code: str) -> None:
    """Multiplying is adding."""
    one = Money(amount, code)

    assert times(one, count) == total([one] * count, code)


def test_currencies_do_not_mix() -> None:
    """Euros and yen have no sum."""
    with pytest.raises(ValueError, match="JPY cannot be added to EUR"):
        total([Money(1, "EUR"), Money(1, "JPY")], "EUR")


@pytest.mark.parametrize("count", [-1, 1.5, True, "2"])
def test_a_count_is_a_whole_number_from_nought_on(count: int) -> None:
    """One and a half tickets cost nothing because they do not exist."""
    with pytest.raises(ValueError, match="no count"):
        times(Money(1, "EUR"), count)


def test_a_product_that_no_column_holds_is_refused() -> None:
    """Too much money is a fault, not a wrap-around."""
    with pytest.raises(ValueError, match="no amount"):
        times(Money(MOST, "EUR"), 2)


def test_there_is_no_float_in_the_module() -> None:
    """Neither a literal with a point nor a true division nor a call of ``float`` or ``round``."""
    tree = ast.parse(Path(money.__file__).read_text(encoding="utf-8"))
    nodes = list(ast.walk(tree))

    assert not [node for node in nodes if isinstance(node, ast.Constant) and isinstance(node.value, float)]
    assert not [node for node in nodes if isinstance(node, ast.Div)]
    assert not [node for node in nodes if isinstance(node, ast.Name) and node.id in {"float", "round"}]
