"""Money: whole minor units of one currency (4200 EUR is 42 euros, 4200 JPY are 4,200 yen).

No fraction and no float is anywhere: amounts are added and multiplied as whole numbers, and only amounts of the
same currency meet. Which currencies there are (those that are legal tender somewhere today) and how many decimals
each has is ISO 4217 as the Unicode CLDR tells it, through Babel. For a dozen currencies CLDR says 0 where ISO still
lists a coin that nobody has seen for years (RSD, IQD); we follow CLDR, and whoever pays such a currency to a
provider must compare. Not here: prices (``catalogue``), exchange rates (nothing is ever converted).
"""

import functools
from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal

from babel.core import Locale, UnknownLocaleError, get_global
from babel.numbers import format_currency, get_currency_precision

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


@functools.cache
def currencies() -> frozenset[str]:
    """Give the codes of all currencies that are legal tender somewhere today."""
    eras = (era for territory in get_global("territory_currencies").values() for era in territory)
    return frozenset(code for code, _since, until, tender in eras if until is None and tender)


@functools.cache
def _exponents() -> dict[str, int]:
    return {code: get_currency_precision(code) for code in currencies()}


def exponent(currency: str) -> int:
    """Tell how many decimals a currency has. Raises ``NoSuchCurrency``."""
    try:
        return _exponents()[currency]
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


def shown(amount: Money, language: str) -> str:
    """Write an amount as people of a language (``de``, ``pt-BR``) do; of an unknown language, as in English."""
    return format_currency(major(amount), amount.currency, locale=_locale(language))


@functools.lru_cache(maxsize=64)
def _locale(language: str) -> Locale:
    try:
        return Locale.parse(language.replace("_", "-"), sep="-")
    except (ValueError, UnknownLocaleError):
        return Locale.parse(FALLBACK)
