"""Currencies: the codes that the shop counts money in, and how many decimals each has.

Written down and not asked of a library: an amount in a database is whole minor units, so what a minor unit is must not
change under it. CLDR (and Babel with it) tells how amounts are commonly *written*, and changes that: the forint went
from two decimals to none. ISO 4217 tells what a minor unit *is*.

Source: ISO 4217, list one, published 2026-01-01, column "minor unit"; of it, all that CLDR calls legal tender somewhere
today, without funds codes, metals and units of account. ``tests/checkout/test_money.py`` says where Babel differs.
Not here: amounts (``money``), the units that a provider counts in (``payments.stripe_amounts``).
"""

from collections.abc import Mapping

_BY_DIGITS = {
    0: ("BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX VND VUV XAF XOF XPF "),
    2: (
        "AED AFN ALL AMD AOA ARS AUD AWG AZN BAM BBD BDT BMD BND BOB BRL BSD BTN BWP BYN BZD CAD CDF CHF CNY "
        "COP CRC CUP CVE CZK DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GTQ GYD HKD HNL HTG HUF "
        "IDR ILS INR IRR JMD KES KGS KHR KPW KYD KZT LAK LBP LKR LRD LSL MAD MDL MGA MKD MMK MNT MOP MRU MUR "
        "MVR MWK MXN MYR MZN NAD NGN NIO NOK NPR NZD PAB PEN PGK PHP PKR PLN QAR RON RSD RUB SAR SBD SCR SDG "
        "SEK SGD SHP SLE SOS SRD SSP STN SYP SZL THB TJS TMT TOP TRY TTD TWD TZS UAH USD UYU UZS VES WST XCD "
        "XCG YER ZAR ZMW ZWG "
    ),
    3: ("BHD IQD JOD KWD LYD OMR TND "),
}

DIGITS: Mapping[str, int] = {code: digits for digits, codes in _BY_DIGITS.items() for code in codes.split()}
"""Code of a currency to the decimals of its minor unit."""
