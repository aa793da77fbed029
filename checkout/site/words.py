"""Words: every text that a visitor of the shop reads, in each language, with its numbers, money and moments.

The files are as ``kernel.languages`` reads them, and there are the languages of the waiting room's page. The browser
gets the same texts (``Catalogue.browser``). A language may name a flavour of itself whose numbers and dates are written
(``language.locale``: English as in Europe).

Where a language runs from right to left, what is put into a sentence is isolated (U+2068 … U+2069, as ``<bdi>`` does),
so that a price or the name of a seat keeps its own order. A moment is told in the venue's time zone and with its name,
because that is the clock on the hall's wall.

Not here: where a text stands (``render``), amounts (``money``), the waiting room's own words (it is another site).
"""

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from functools import cache
from importlib.resources import files
from zoneinfo import ZoneInfo

from babel.dates import format_date, format_skeleton, format_time
from babel.numbers import get_currency_name, get_currency_symbol

from checkout.money import Money, exponent, least_decimals, shown
from kernel import languages as kernel_languages
from kernel.languages import SOURCE, Text, Texts, faults, read_languages

__all__ = ["SERVER_ONLY", "SOURCE", "Catalogue", "faults", "isolated", "languages", "negotiate"]

SERVER_ONLY = (
    "account.", "contact.", "currency.", "decline.", "event.", "fields.", "finish.", "form.", "language.locale",
    "language.name", "mail.", "missing.", "order.", "page.", "plain.", "programme.", "push.", "reserved.", "scan.",
    "seats.", "ticket.", "trouble.", "waitlist.plain-", "way.",
)  # fmt: skip
"""Keys that only pages made by the server need; the browser does not get them."""

RTL = "rtl"
_ISOLATE, _END = "\u2068", "\u2069"
_LATIN = re.compile("[A-Za-z]")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Catalogue(Texts):
    """All texts in one language."""

    __slots__ = ("browser",)

    def __init__(self, tag: str, raw: Mapping[str, Text]) -> None:
        """Take texts that have no `faults`."""
        super().__init__(tag, raw, str(raw["language.locale"]))
        self.browser = {key: text for key, text in raw.items() if not key.startswith(SERVER_ONLY)}

    @property
    def locale(self) -> str:
        """Return the flavour of the language whose numbers, money and dates are written: `en-150`."""
        return self.text("language.locale")

    def text(self, key: str, **values: str | float) -> str:
        """Return a text with its parameters filled in, isolated where the language runs from right to left."""
        if self.raw["language.direction"] == RTL:
            values = {
                name: isolated(value) if isinstance(value, str) else value for name, value in values.items()
            }
        return super().text(key, **values)

    def money(self, minor: int, currency: str) -> str:
        """Write an amount of whole minor units.

        Beside text that runs from right to left a sign such as JP¥ would fall apart; it is kept together.
        """
        written, sign = (
            shown(Money(minor, currency), self._locale),
            get_currency_symbol(currency, self._locale),
        )
        if self.raw["language.direction"] == RTL and _LATIN.search(sign):
            written = written.replace(sign, isolated(sign))
        return written

    def due(self, minor: int, currency: str) -> str:
        """Write an amount that is charged: with the currency's code, where its sign alone stands beside it."""
        written = self.money(minor, currency)
        return written if currency in written else f"{written} ({currency})"

    def currency(self, code: str) -> str:
        """Name a currency: Swiss Franc (CHF)."""
        return self.text("currency.name", name=get_currency_name(code, locale=self._locale), code=code)

    def money_form(self, currency: str) -> dict[str, str | int]:
        """Tell the browser how an amount stands beside its sign, `{n} €`, its decimals, and how few are written."""
        zero = self.money(0, currency)
        form = re.sub(r"0(?:\D0+)?", "{n}", zero, count=1)
        return {"form": form, "digits": exponent(currency), "least": least_decimals(currency)}

    def day(self, ms: int, zone: str) -> str:
        """Say the day and the time of an evening at the venue: Saturday, 5 December, 20:00."""
        at = _local(ms, zone)
        weekday = format_date(at, "EEEE", locale=self._locale)
        return self._joined(
            "form.day", weekday=weekday, date=self._date(at, "MMMMd"), time=self.clock(ms, zone)
        )

    def short_day(self, ms: int, zone: str) -> str:
        """Say the same in little room: Sat, 5 Dec, 20:00."""
        at = _local(ms, zone)
        return self._joined("form.short-day", date=self._date(at, "MMMEd"), time=self.clock(ms, zone))

    def clock(self, ms: int, zone: str) -> str:
        """Say the time of day, on twenty-four hours as halls print it."""
        return format_time(_local(ms, zone), "HH:mm", locale=self._locale)

    def date(self, ms: int, zone: str) -> str:
        """Say the date with its weekday and the year: Saturday, 5 December 2026."""
        return self._date(_local(ms, zone), "yMMMMEEEEd")

    def hour(self, ms: int, zone: str) -> str:
        """Say the time of day with the name of the zone: 20:00 CET."""
        return f"{self.clock(ms, zone)} {_local(ms, zone).tzname() or ''}".strip()

    def moment(self, ms: int, zone: str) -> str:
        """Say date and time exactly, with the year and the name of the zone."""
        at = _local(ms, zone)
        date, time = self._date(at, "yMMMEd"), self.clock(ms, zone)
        return self._joined("form.moment", date=date, time=time, zone=at.tzname() or "")

    def _joined(self, key: str, **parts: str) -> str:
        """Put parts together that are all in this language: none of them needs to be isolated."""
        return self.form(key, None).format_map(parts)

    def _date(self, at: datetime, skeleton: str) -> str:
        return format_skeleton(skeleton, at, locale=self._locale)


def _local(ms: int, zone: str) -> datetime:
    return (_EPOCH + timedelta(milliseconds=ms)).astimezone(ZoneInfo(zone))


@cache
def languages() -> Mapping[str, Catalogue]:
    """Return the catalogues by language tag. Raises Misconfigured with every fault of every file."""
    found = read_languages(files("checkout.site").joinpath("languages"))
    return {tag: Catalogue(tag, raw) for tag, raw in found.items()}


def negotiate(accept_language: str, wanted: str = "") -> str:
    """Return the tag of the language to speak: what was asked for by name, what the browser likes, English."""
    return kernel_languages.negotiate(languages(), accept_language, wanted)


def isolated(text: str) -> str:
    """Keep a text's own order of reading, whatever stands around it (Unicode UAX 9, 2.4)."""
    return f"{_ISOLATE}{text}{_END}"
