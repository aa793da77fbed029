"""Words: what the sandbox's pages say (the bank's, and the card fields), in the languages of the shop's pages.

A bank speaks what its visitor's browser asks for, as nobody tells it what was chosen at a shop; the card fields speak
what the page around them asks for, as Stripe's do. The files are as ``kernel.languages`` reads them.

Not here: errors of the API, which are for programs and in English.
"""

from collections.abc import Mapping
from decimal import Decimal
from functools import cache
from importlib.resources import files

from checkout.money import Money, exponent
from checkout.money import shown as written
from kernel.languages import Texts, negotiate, read_languages

ZERO_DECIMAL = frozenset(
    ["bif", "clp", "djf", "gnf", "jpy", "kmf", "krw", "mga", "pyg", "rwf", "vnd", "vuv", "xaf", "xof", "xpf"]
)
THREE_DECIMAL = frozenset(["bhd", "jod", "kwd", "omr", "tnd"])


@cache
def languages() -> Mapping[str, Texts]:
    """Return the texts by language tag. Raises Misconfigured with every fault of every file."""
    found = read_languages(files("checkout.sandbox").joinpath("languages"))
    return {tag: Texts(tag, raw, str(raw["language.locale"])) for tag, raw in found.items()}


def spoken(accept_language: bytes | None, wanted: str = "") -> Texts:
    """Give the texts that a browser likes, or those that were asked for by name."""
    known = languages()
    return known[negotiate(known, (accept_language or b"").decode("latin-1"), wanted)]


def amount(units: int, currency: str, words: Texts) -> str:
    """Write an amount of Stripe's minor units for people, with the currency's code."""
    code, decimals = (
        currency.upper(),
        0 if currency in ZERO_DECIMAL else 3 if currency in THREE_DECIMAL else 2,
    )
    minor = Decimal(units).scaleb(exponent(code) - decimals)
    if minor != int(minor):
        # Parts that the currency does not have: as they were sent.
        return f"{Decimal(units).scaleb(-decimals)} {code}"
    text = written(Money(int(minor), code), words.text("language.locale"))
    return text if code in text else f"{text} ({code})"
