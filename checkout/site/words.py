"""Words: every text that a visitor of the shop reads, in each language, with its numbers, money and moments.

One flat file for each language, ``languages/{tag}.json``: key to text, or to one text for each plural category
that CLDR has for the language, chosen by the parameter ``n``. Parameters stand as ``{name}``; a text holds no
markup. Adding a language is adding a file: it must have the keys, the parameters and the plural kinds of English
(``faults``), or the process does not start. The browser gets the same texts (``Catalogue.browser``).

Money is whole minor units and an ISO 4217 code; how many minor units make one is CLDR's, through Babel. A moment is
told in the venue's time zone and with its name, because that is the clock on the hall's wall.

Not here: where a text stands (``render``), the waiting room's own words (it is another site).
"""

import json
import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import cache
from importlib.resources import files
from string import Formatter
from typing import Any
from zoneinfo import ZoneInfo

from babel import Locale
from babel.dates import format_date, format_skeleton, format_time
from babel.numbers import format_currency, format_decimal, get_currency_precision

from kernel.errors import Misconfigured

SOURCE = "en"
"""The language whose file says which keys, parameters and plurals there are."""

SERVER_ONLY = (
    "decline.", "event.", "finish.", "language.", "missing.", "order.", "page.", "plain.", "programme.", "reserved.",
    "seats.", "trouble.", "waitlist.plain-", "way.",
)  # fmt: skip
"""Keys that only pages made by the server need; the browser does not get them."""

Text = str | Mapping[str, str]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_ACCEPT_MOST_CHARS = 1000
_RANGE = re.compile(
    r"\s*(\*|[A-Za-z]{1,8}(?:-[A-Za-z0-9]{1,8})*)\s*(?:;\s*[qQ]=(0(?:\.\d{0,3})?|1(?:\.0{0,3})?)\s*)?"
)


class Catalogue:
    """All texts in one language."""

    __slots__ = ("_locale", "browser", "raw", "tag")

    def __init__(self, tag: str, raw: Mapping[str, Text]) -> None:
        """Take texts that have no `faults`."""
        self.tag = tag
        self.raw = raw
        self.browser = {key: text for key, text in raw.items() if not key.startswith(SERVER_ONLY)}
        self._locale = Locale.parse(str(raw["language.locale"]), sep="-")

    @property
    def locale(self) -> str:
        """Return the flavour of the language whose numbers, money and dates are written: `en-150`."""
        return self.text("language.locale")

    def text(self, key: str, **values: str | float) -> str:
        """Return a text with its parameters filled in; numbers are written as the language does.

        Raises KeyError for a key that no language has, or a parameter that was not given.
        """
        found = self.raw[key]
        if not isinstance(found, str):
            found = found[self._locale.plural_form(float(values["n"]))]
        shown = {
            name: value if isinstance(value, str) else self.number(value) for name, value in values.items()
        }
        return found.format_map(shown)

    def number(self, n: float) -> str:
        """Write a number with the language's separators."""
        return format_decimal(n, locale=self._locale)

    def money(self, minor: int, currency: str) -> str:
        """Write an amount of whole minor units."""
        amount = Decimal(minor).scaleb(-get_currency_precision(currency))
        return format_currency(amount, currency, locale=self._locale)

    def money_form(self, currency: str) -> tuple[str, int]:
        """Return how an amount stands beside its sign, `{n} €`, and its digits after the point, for the browser."""
        digits: int = get_currency_precision(currency)
        zero = self.money(0, currency)
        return re.sub(r"0(?:\D0+)?", "{n}", zero, count=1), digits

    def day(self, ms: int, zone: str) -> str:
        """Say the day and the time of an evening at the venue: Saturday 5 December, 20:00."""
        at = _local(ms, zone)
        return f"{format_date(at, 'EEEE', locale=self._locale)}, {self._date(at, 'MMMMd')}, {self.clock(ms, zone)}"

    def short_day(self, ms: int, zone: str) -> str:
        """Say the same in little room: Sat 5 Dec, 20:00."""
        at = _local(ms, zone)
        return f"{self._date(at, 'MMMEd')}, {self.clock(ms, zone)}"

    def clock(self, ms: int, zone: str) -> str:
        """Say the time of day, on twenty-four hours as halls print it."""
        return format_time(_local(ms, zone), "HH:mm", locale=self._locale)

    def moment(self, ms: int, zone: str) -> str:
        """Say date and time exactly, with the year and the name of the zone."""
        at = _local(ms, zone)
        return f"{self._date(at, 'yMMMEd')}, {self.clock(ms, zone)} {at.tzname()}"

    def _date(self, at: datetime, skeleton: str) -> str:
        return format_skeleton(skeleton, at, locale=self._locale)


def _local(ms: int, zone: str) -> datetime:
    return (_EPOCH + timedelta(milliseconds=ms)).astimezone(ZoneInfo(zone))


@cache
def languages() -> Mapping[str, Catalogue]:
    """Return the catalogues by language tag. Raises Misconfigured with every fault of every file."""
    found: dict[str, dict[str, Text]] = {}
    for file in sorted(files("checkout.site").joinpath("languages").iterdir(), key=lambda file: file.name):
        if file.name.endswith(".json"):
            found[file.name.removesuffix(".json")] = json.loads(file.read_text("utf-8"))
    wrong = [fault for tag, raw in found.items() for fault in faults(tag, raw, found[SOURCE])]
    if wrong:
        raise Misconfigured(wrong)
    return {tag: Catalogue(tag, raw) for tag, raw in found.items()}


def negotiate(accept_language: str, wanted: str = "") -> str:
    """Return the tag of the language to speak: what was asked for by name, what the browser likes, English.

    `de-AT` is answered with `de`. Nothing in a header is an error: what cannot be read is skipped.
    """
    known = languages()
    if named := _lookup(wanted, known):
        return named
    matches = (_RANGE.fullmatch(item) for item in accept_language[:_ACCEPT_MOST_CHARS].split(","))
    ranges = [(match[1], float(match[2] or 1)) for match in matches if match]
    for tag, quality in sorted(ranges, key=lambda item: -item[1]):
        found = SOURCE if tag == "*" else _lookup(tag, known)
        if quality > 0 and found:
            return found
    return SOURCE


def faults(tag: str, raw: Mapping[str, Any], source: Mapping[str, Any]) -> list[str]:
    """Name everything that keeps a language's file from saying what `source` says; empty is a good file."""
    plural = Locale.parse(tag).plural_form
    categories = plural.tags | {"other"}
    met = [plural(n) for n in range(200)]
    single = {category for category in categories if met.count(category) == 1}
    found = [f"{tag}: {key} is missing" for key in source if key not in raw]
    for key, text in raw.items():
        if key not in source:
            found.append(f"{tag}: {key} is unknown")
            continue
        like = source[key]
        if isinstance(text, str) != isinstance(like, str):
            kind = "one text" if isinstance(text, str) else "plural"
            found.append(f"{tag}: {key} is {kind}, other than {SOURCE}")
            continue
        forms = {"": text} if isinstance(text, str) else text
        if isinstance(text, Mapping) and text.keys() != categories:
            found.append(f"{tag}: {key} has the plurals {_list(text)}, not {_list(categories)}")
        wants = _parameters(like if isinstance(like, str) else like["other"])
        for category, form in forms.items():
            # "One seat": a form that is met by a single number may leave that number out.
            has = _parameters(form) | ({"n"} & wants if category in single else set())
            if has != wants:
                found.append(f"{tag}: {key} has the parameters {_list(has)}, not {_list(wants)}")
            if not form.strip():
                found.append(f"{tag}: {key} is empty")
    return found


def _parameters(text: str) -> set[str]:
    return {name for _, name, _, _ in Formatter().parse(text) if name is not None}


def _list(words: Iterable[str]) -> str:
    return ", ".join(sorted(words)) or "none"


def _lookup(tag: str, known: Mapping[str, Catalogue]) -> str:
    """Return the known language of a tag, cutting subtags from its end (RFC 4647, lookup); empty for none."""
    parts = tag[:100].lower().replace("_", "-").split("-")
    while parts:
        if "-".join(parts) in known:
            return "-".join(parts)
        parts.pop()
    return ""
