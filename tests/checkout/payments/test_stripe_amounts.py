"""Stripe's amounts: exact both ways, and refused where they cannot be."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from checkout.money import Money, currencies, exponent
from checkout.payments.stripe_amounts import THREE_DECIMAL, WHOLE_IN_HUNDREDTHS, ZERO_DECIMAL, received, sent


@pytest.mark.parametrize(
    ("currency", "minor", "units"),
    [
        ("EUR", 4_200, 4_200),
        ("USD", 1, 1),
        ("JPY", 4_200, 4_200),
        ("KRW", 50_000, 50_000),
        ("CLP", 9_990, 9_990),
        ("KWD", 12_340, 12_340),
        ("BHD", 10, 10),
        ("ISK", 5, 500),
        ("ISK", 4_990, 499_000),
        ("UGX", 5, 500),
        ("UGX", 120_000, 12_000_000),
    ],
)
def test_amounts_are_translated_exactly_both_ways(currency: str, minor: int, units: int) -> None:
    """As Stripe's documentation counts them."""
    assert sent(Money(minor, currency)) == units
    assert received(units, currency.lower()) == Money(minor, currency)


@pytest.mark.parametrize("currency", ["HUF", "TWD", "RSD", "ALL", "COP", "IDR", "LBP"])
def test_what_people_write_without_decimals_is_still_counted_in_hundredths(currency: str) -> None:
    """Stripe charges hundredths of these, as ISO 4217 counts; CLDR writes most of them without any."""
    assert sent(Money(300_050, currency)) == 300_050
    assert received(300_050, currency) == Money(300_050, currency)


def test_an_ariary_is_whole_at_stripe_and_hundredths_here() -> None:
    """A price in whole ariary is exact both ways; a part of one cannot be paid."""
    assert sent(Money(120_000, "MGA")) == 1_200
    assert received(1_200, "MGA") == Money(120_000, "MGA")
    with pytest.raises(ValueError, match="no amount for Stripe"):
        sent(Money(120_001, "MGA"))


@pytest.mark.parametrize(("currency", "minor"), [("KWD", 12_345), ("BHD", 1), ("OMR", 999), ("TND", 5)])
def test_thousandths_that_do_not_end_in_nought_cannot_be_paid(currency: str, minor: int) -> None:
    """Card networks know two decimals."""
    with pytest.raises(ValueError, match="no amount for Stripe"):
        sent(Money(minor, currency))


@pytest.mark.parametrize(("currency", "units"), [("ISK", 550), ("UGX", 1)])
def test_fractions_that_a_currency_does_not_have_are_not_read(currency: str, units: int) -> None:
    """Nothing is rounded."""
    with pytest.raises(ValueError, match="no whole number"):
        received(units, currency)


@pytest.mark.parametrize("currency", ["XXQ", "", "eu"])
def test_a_currency_that_is_none_is_not_read(currency: str) -> None:
    """Some other shop's payment."""
    with pytest.raises(ValueError, match="no currency"):
        received(100, currency)


@given(currency=st.sampled_from(sorted(currencies())), minor=st.integers(0, 10**11))
def test_every_amount_of_every_currency_comes_back_or_is_refused(currency: str, minor: int) -> None:
    """No amount ever becomes another one."""
    amount = Money(minor, currency)
    try:
        units = sent(amount)
    except ValueError:
        # Only a digit that Stripe does not take is a reason.
        step = 10 if currency in THREE_DECIMAL or exponent(currency) > 2 else 10 ** exponent(currency)
        assert minor % step
        assert step > 1
        return
    assert received(units, currency) == amount


def test_the_lists_do_not_contradict_each_other() -> None:
    """A currency has one number of decimals."""
    assert not ZERO_DECIMAL & THREE_DECIMAL
    assert not WHOLE_IN_HUNDREDTHS & (ZERO_DECIMAL | THREE_DECIMAL)
    assert currencies() >= ZERO_DECIMAL | THREE_DECIMAL | WHOLE_IN_HUNDREDTHS
