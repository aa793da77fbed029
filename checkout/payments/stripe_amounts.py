"""Stripe's amounts: the same money in the minor units that Stripe counts in.

Most currencies are hundredths there, some whole, five thousandths. What differs from the shop (ISO 4217):

* ISK and UGX have no decimals, but are sent in hundredths, with 00 (5 ISK are 500).
* BHD, JOD, KWD, OMR and TND are thousandths, but the last digit must be 0: card networks know only two decimals.
* HUF and TWD are charged in hundredths like others; only Stripe's payouts of them are whole, which is not the shop's
  business.
* MGA has hundredths in ISO 4217, but is sent whole; what is no whole number cannot be paid.

Nothing is ever rounded: what has no exact counterpart is refused before anything is sent. Pure.
Source: Stripe's documentation, "Supported currencies". Not here: which currencies an account may charge; Stripe says.
"""

from checkout.money import Money, exponent

ZERO_DECIMAL = frozenset(
    {
        *("BIF", "CLP", "DJF", "GNF", "JPY", "KMF", "KRW", "MGA"),
        *("PYG", "RWF", "VND", "VUV", "XAF", "XOF", "XPF"),
    }
)
THREE_DECIMAL = frozenset({"BHD", "JOD", "KWD", "OMR", "TND"})
WHOLE_IN_HUNDREDTHS = frozenset({"ISK", "UGX"})

_TENS = (1, 10, 100, 1_000, 10_000)


def sent(amount: Money) -> int:
    """Give an amount as Stripe wants it. Raises ``ValueError`` for one that it cannot take."""
    units = _rescaled(amount.amount_minor, exponent(amount.currency), _decimals(amount.currency))
    if units is None or units % _step(amount.currency):
        raise ValueError(f"{amount.amount_minor} minor units of {amount.currency} are no amount for Stripe")
    return units


def received(units: int, currency: str) -> Money:
    """Give the money that Stripe tells of; `currency` is a code in any case.

    Raises ``ValueError`` for what is no whole number of the shop's units, or of no currency in use.
    """
    code = currency.upper()
    minor = _rescaled(units, _decimals(code), exponent(code))
    if minor is None:
        raise ValueError(f"{units} of {code} are no whole number of minor units")
    return Money(minor, code)


def _decimals(currency: str) -> int:
    if currency in ZERO_DECIMAL:
        return 0
    return 3 if currency in THREE_DECIMAL else 2


def _step(currency: str) -> int:
    """Give what an amount must be a multiple of."""
    if currency in WHOLE_IN_HUNDREDTHS:
        return 100
    return 10 if currency in THREE_DECIMAL else 1


def _rescaled(units: int, decimals: int, wanted: int) -> int | None:
    if wanted >= decimals:
        return units * _TENS[wanted - decimals]
    whole, rest = divmod(units, _TENS[decimals - wanted])
    return None if rest else whole
