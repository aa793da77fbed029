"""Adyen's amounts: the same money in the minor units that Adyen counts in.

Adyen follows ISO 4217, as the shop does, but for four currencies: CLP and ISK are hundredths there, CVE and IDR whole.
Nothing is ever rounded: what has no exact counterpart is refused before anything is sent. Pure.

Source: Adyen's documentation, "Currency codes and minor units". Not here: which currencies an account may charge.
"""

from checkout.money import Money, exponent

NO_STANDARD = {"CLP": 2, "CVE": 0, "IDR": 0, "ISK": 2}
"""Decimals at Adyen, where they differ from ISO 4217."""

_TENS = (1, 10, 100, 1_000, 10_000)


def sent(amount: Money) -> int:
    """Give an amount as Adyen wants it. Raises ``ValueError`` for one that has no whole number there."""
    units = _rescaled(amount.amount_minor, exponent(amount.currency), _decimals(amount.currency))
    if units is None:
        raise ValueError(f"{amount.amount_minor} minor units of {amount.currency} are no amount for Adyen")
    return units


def received(units: int, currency: str) -> Money:
    """Give the money that Adyen tells of. Raises ``ValueError`` for no whole number of units, or no currency in use."""
    minor = _rescaled(units, _decimals(currency), exponent(currency))
    if minor is None:
        raise ValueError(f"{units} of {currency} are no whole number of minor units")
    return Money(minor, currency)


def _decimals(currency: str) -> int:
    return NO_STANDARD.get(currency, exponent(currency))


def _rescaled(units: int, decimals: int, wanted: int) -> int | None:
    if wanted >= decimals:
        return units * _TENS[wanted - decimals]
    whole, rest = divmod(units, _TENS[decimals - wanted])
    return None if rest else whole
