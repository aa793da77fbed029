"""Programme's fields: what people type on the programme's pages, as the API takes it, and back. Pure.

A moment is typed in the venue's own time (``2026-12-05T20:00``, as a browser's field writes it), an amount in the
currency's own unit (``42``, ``42.50`` or ``42,50``). What is shown again is what was typed. Nothing is rounded and
nothing is guessed: an hour that the clocks leave out, or a third decimal of a euro, is a fault; of an hour that
comes twice the first is meant.

Not here: which values an event may have (``catalogue.event``), languages.
"""

import re
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from checkout.money import Money, exponent, major

MOMENT = "%Y-%m-%dT%H:%M"
_MOMENT = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}(?::00)?")
_AMOUNT = re.compile(r"([0-9]{1,12})(?:[.,]([0-9]{1,4}))?")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class NotRead(ValueError):
    """What was typed cannot be read; ``why`` is a key of the words."""

    def __init__(self, why: str) -> None:
        self.why = why
        super().__init__(why)


def read_moment(text: str, zone: str) -> int:
    """Read a moment in a venue's time, in milliseconds since 1970. Raises ``NotRead``."""
    if _MOMENT.fullmatch(text) is None:
        raise NotRead("moment")
    try:
        typed = datetime.strptime(text[:16], MOMENT).replace(tzinfo=ZoneInfo(zone))
        there = typed.astimezone(UTC).astimezone(ZoneInfo(zone))
    except (ValueError, OverflowError):
        raise NotRead("moment") from None
    if there.replace(tzinfo=None) != typed.replace(tzinfo=None):
        raise NotRead("moment-left-out")
    return (typed.astimezone(UTC) - _EPOCH) // timedelta(milliseconds=1)


def moment_text(ms: int, zone: str) -> str:
    """Write a moment as a browser's field takes it, whole minutes; '' for one that no calendar here has."""
    try:
        return (_EPOCH + timedelta(milliseconds=ms)).astimezone(ZoneInfo(zone)).strftime(MOMENT)
    except OverflowError:
        return ""


def read_amount(text: str, currency: str) -> int:
    """Read an amount, in whole minor units. Raises ``NotRead``, ``NoSuchCurrency``."""
    digits = exponent(currency)
    found = _AMOUNT.fullmatch(text.strip())
    if found is None:
        raise NotRead("amount")
    decimals = found[2] or ""
    if len(decimals) > digits:
        raise NotRead("amount-decimals")
    return int(found[1] + decimals.ljust(digits, "0"))


def amount_text(minor: int, currency: str) -> str:
    """Write an amount as it is typed, with all decimals of the currency: ``42.00``."""
    return str(major(Money(minor, currency)))


def read_whole(text: str, most_digits: int = 9) -> int:
    """Read a whole number from nought on. Raises ``NotRead``."""
    if not (text.isascii() and text.isdigit() and len(text) <= most_digits):
        raise NotRead("whole")
    return int(text)
