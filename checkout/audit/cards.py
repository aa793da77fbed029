"""Cards: finds what looks like a card number in any octets, so that we can say that there is none.

A number is 13 to 19 digits, in one piece or in the groups that are printed on cards (4-4-4-4, 4-4-4-4-3, 4-6-5, 4-6-4,
with a space or a dash between them), that begins as an issuer's numbers do, has a length that this issuer uses, and
whose last digit is right (Luhn). Times in milliseconds to nanoseconds begin with 1 until 2033 and are nobody's. Where
it stands rules out more: a digit on either side makes it another number, digits and a point before it a fraction, and
24 or more hexadecimal digits around it are a hash. Other letters beside it do not clear it: fields lie side by side in
a database's file.

A finding never repeats the number: it tells the first six and the last four digits, which PCI DSS allows to be shown.

Source: ISO/IEC 7812-1 (issuers' numbers, the last digit); the issuers' published ranges. Pure. Not here: where is
looked (``audit.scanning``).
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

_ISSUERS: tuple[tuple[str, re.Pattern[str], frozenset[int]], ...] = tuple(
    (name, re.compile(begin), frozenset(lengths))
    for name, begin, lengths in (
        ("visa", r"4", (13, 16, 19)),
        ("mastercard", r"5[1-5]|222[1-9]|22[3-9]|2[3-6]|27[01]|2720", (16,)),
        ("amex", r"3[47]", (15,)),
        ("diners", r"30[0-5]|3095|36|3[89]", (14, 16)),
        ("discover", r"6011|64[4-9]|65", (16, 19)),
        ("jcb", r"35(?:2[89]|[3-8])", (16, 19)),
        ("unionpay", r"62|81", (16, 17, 18, 19)),
        ("maestro", r"50|5[6-9]|6", (13, 14, 15, 16, 17, 18, 19)),
    )
)

_GROUPED = rb"|".join(
    rb"\d{%d}" % sizes[0] + b"".join(b"%s\\d{%d}" % (mark, size) for size in sizes[1:])
    for mark in (b"-", b" ")
    for sizes in ((4, 4, 4, 4, 3), (4, 4, 4, 4), (4, 6, 5), (4, 6, 4))
)
_NUMBER = re.compile(
    rb"(?<!\d)(?<!\d\.)(?:\d{13,19}(?!\d)|(?<!\d[ -])(?:" + _GROUPED + rb")(?!\d)(?![ -]\d))"
)

HASH_LEAST = 24
_HEX = frozenset(b"0123456789abcdef")
_AROUND = 200


@dataclass(frozen=True, slots=True)
class CardNumber:
    """Something that looks like a card's number; `shown` has its first six and last four digits."""

    issuer: str
    shown: str
    at: int
    """Octets before it."""


def card_numbers(octets: bytes) -> Iterator[CardNumber]:
    """Find what looks like a card number."""
    for found in _NUMBER.finditer(octets):
        digits = found[0].decode().replace(" ", "").replace("-", "")
        issuer = issuer_of(digits)
        if issuer is not None and has_luhn(digits) and not _is_in_a_word(octets, *found.span()):
            yield CardNumber(issuer, f"{digits[:6]}…{digits[-4:]}", found.start())


def issuer_of(digits: str) -> str | None:
    """Name whose number this may be; None for nobody's."""
    if len(set(digits)) == 1:
        return None
    for name, begin, lengths in _ISSUERS:
        if len(digits) in lengths and begin.match(digits):
            return name
    return None


def has_luhn(digits: str) -> bool:
    """Tell whether the last digit is right."""
    total = 0
    for place, digit in enumerate(reversed(digits)):
        value = int(digit) << (place & 1)
        total += value - 9 if value > 9 else value
    return total % 10 == 0


def _is_in_a_word(octets: bytes, start: int, end: int) -> bool:
    """Tell whether the digits are part of a hash, which happens to have many of them in a row."""
    low, high = start, end
    while low > max(0, start - _AROUND) and octets[low - 1] in _HEX:
        low -= 1
    while high < min(len(octets), end + _AROUND) and octets[high] in _HEX:
        high += 1
    return high - low >= HASH_LEAST and high - low > end - start
