"""Money: whole minor units of one currency (4200 EUR is 42 euros, 4200 JPY are 4,200 yen).

No fraction and no float is anywhere: amounts are added and multiplied as whole numbers, and only amounts of the
same currency meet. Which currencies there are and how many decimals each has is written down (``currencies``). Babel
only writes amounts, and never rounds one: where CLDR writes fewer decimals than there are (8,400 Ft), they are left out
only while they are noughts. Not here: prices (``catalogue``), exchange rates (nothing is ever converted).
"""

import functools
from collections.abc import Iterable
from copy import copy
from dataclasses import dataclass
from decimal import Decimal

from babel.core import Locale, UnknownLocaleError
from babel.numbers import NumberPattern, get_currency_precision

from checkout.currencies import DIGITS

MOST = 2**63 - 1
"""What a column of 64 bits holds."""

FALLBACK = "en"


class NoSuchCurrency(ValueError):
    """The code is not that of a currency in use."""


@dataclass(frozen=True, slots=True)
class Money:
    """An amount. Raises ``NoSuchCurrency``; ``ValueError`` for what is no whole number of at most 64 bits."""

    amount_minor: int
    currency: str

    def __post_init__(self) -> None:
        # bool is an int in Python, but True is no amount.
        if type(self.amount_minor) is not int or not -MOST <= self.amount_minor <= MOST:
            raise ValueError(f"{self.amount_minor!r} is no amount in whole minor units")
        exponent(self.currency)


def currencies() -> frozenset[str]:
    """Give the codes of all currencies that are legal tender somewhere today."""
    return frozenset(DIGITS)


def exponent(currency: str) -> int:
    """Tell how many decimals a currency has. Raises ``NoSuchCurrency``."""
    try:
        return DIGITS[currency]
    except (KeyError, TypeError):
        raise NoSuchCurrency(f"{currency!r} is no currency in use") from None


def total(amounts: Iterable[Money], currency: str) -> Money:
    """Add amounts up; none at all are nothing. Raises ``ValueError`` if one is of another currency."""
    made = 0
    for amount in amounts:
        if amount.currency != currency:
            raise ValueError(f"{amount.currency} cannot be added to {currency}")
        made += amount.amount_minor
    return Money(made, currency)


def times(amount: Money, count: int) -> Money:
    """Take an amount ``count`` times. Raises ``ValueError`` for a count that is no whole number from 0 on."""
    if type(count) is not int or count < 0:
        raise ValueError(f"{count!r} is no count")
    return Money(amount.amount_minor * count, amount.currency)


def major(amount: Money) -> Decimal:
    """Give the amount in the currency's own unit, exactly."""
    digits = tuple(int(digit) for digit in str(abs(amount.amount_minor)))
    return Decimal((int(amount.amount_minor < 0), digits, -exponent(amount.currency)))


def least_decimals(currency: str) -> int:
    """Tell how many decimals people write of an amount that has noughts behind them; never more than there are."""
    return min(exponent(currency), get_currency_precision(currency))


def decimals_shown(amount: Money) -> int:
    """Tell how many decimals an amount is written with: as few as people write, unless that would hide some of it."""
    least = least_decimals(amount.currency)
    hidden = 10 ** (exponent(amount.currency) - least)
    return exponent(amount.currency) if amount.amount_minor % hidden else least


def shown(amount: Money, language: str | Locale) -> str:
    """Write an amount as people of a language (``de``, ``pt-BR``) do; of an unknown language, as in English."""
    locale = language if isinstance(language, Locale) else _locale(language)
    pattern = _pattern(str(locale), decimals_shown(amount))
    written: str = pattern.apply(major(amount), locale, currency=amount.currency, currency_digits=False)
    return written


@functools.lru_cache(maxsize=256)
def _pattern(locale: str, decimals: int) -> NumberPattern:
    """Give a locale's form of amounts, with the decimals that are told and not those that CLDR has for a currency."""
    pattern: NumberPattern = copy(Locale.parse(locale).currency_formats["standard"])
    pattern.frac_prec = (decimals, decimals)
    return pattern


@functools.lru_cache(maxsize=64)
def _locale(language: str) -> Locale:
    try:
        return Locale.parse(language.replace("_", "-"), sep="-")
    except (ValueError, UnknownLocaleError):
        return Locale.parse(FALLBACK)
