"""Words: every text that a fan reads, in ten languages, with its numbers, spans and moments.

One flat file for each language, ``languages/{tag}.json``: key to text, or to one text for each plural
category that CLDR has for the language, chosen by the parameter ``n``. Parameters stand as ``{name}``; a
text holds no markup. Adding a language is adding a file: it must have the keys, the parameters and the
plural kinds of English (``faults``), or the process does not start. The browser gets the same texts
(``Catalogue.browser``) and chooses among them by ``Intl``; ``tests/vectors/words.json`` holds both sides
to the same waits and numbers.

Sentences never bend a text that is put into them: a wait comes in the one form that its file gives, so a
language whose grammar would bend it says "Estimated wait: {wait}" and not "in {wait}".

Digits are Western (0 to 9) in every language, Arabic too: what stands on the page is read aloud to a
helpdesk, compared with a receipt and typed elsewhere, most Arabic ticket sites write so, and Babel's
default says the same; the browser asks for it with ``-u-nu-latn``. Thousands are always grouped
(``useGrouping: "always"``), also where a language leaves 1234 alone, so that a falling number does not jump.

Sources: CLDR through Babel; RFC 9110, 12.5.4 and RFC 4647, 3.4 (lookup). Not here: how long a wait is
(``wait``), where a text stands (``view``).
"""

import json
import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta, tzinfo
from functools import cache
from importlib.resources import files
from math import ceil
from string import Formatter
from typing import Any

from babel import Locale
from babel.dates import format_date, format_time
from babel.numbers import format_decimal, format_percent

from kernel.errors import Misconfigured
from waitroom.wait import Interval

SOURCE = "en"
"""The language whose file says which keys, parameters and plurals there are."""

SERVER_ONLY = ("how.", "notice.", "plain.", "preview.")
"""Keys that only pages made by the server need; the browser does not get them."""

WRITTEN = frozenset(
    (
        "action.awake", "action.carry", "action.continue", "action.how", "action.leave", "action.look",
        "action.notify", "action.receipt", "action.stay", "action.stop-looking", "back.text", "carry.app",
        "leave.text", "leave.title", "leave.yes", "message.label", "proof.all", "proof.commitment", "proof.number",
        "proof.rank", "proof.root", "proof.seed", "proof.text", "proof.text-beacon", "proof.title", "track.label",
    )
)  # fmt: skip
"""Keys that stand on the page already when it comes; no module asks for them."""

Text = str | Mapping[str, str]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_ACCEPT_MOST_CHARS = 1000
_RANGE = re.compile(
    r"\s*(\*|[A-Za-z]{1,8}(?:[-_][A-Za-z0-9]{1,8})*)\s*"
    r"(?:;\s*[qQ]=(0(?:\.\d{0,3})?|1(?:\.0{0,3})?)\s*)?"
)
_FINE_MIN = 20
_COARSE_MIN = 90
_HALVES_MIN = 12 * 60
_DAY_MIN = 24 * 60
_MINUTE_S = 60
_HOUR_S = 60 * _MINUTE_S
_DAY_S = 24 * _HOUR_S


class Catalogue:
    """All texts in one language."""

    __slots__ = ("_locale", "browser", "raw", "tag")

    def __init__(self, tag: str, raw: Mapping[str, Text]) -> None:
        """Take texts that have no `faults`."""
        self.tag = tag
        self.raw = raw
        self.browser = {
            key: text for key, text in raw.items() if not key.startswith(SERVER_ONLY) and key not in WRITTEN
        }
        self._locale = Locale.parse(tag)

    @property
    def name(self) -> str:
        """What the language calls itself."""
        return self.text("language.name")

    @property
    def direction(self) -> str:
        """Return `ltr` or `rtl`, as for the attribute `dir`."""
        return self.text("language.direction")

    def text(self, key: str, **values: str | float) -> str:
        """Return a text with its parameters filled in; numbers are written as the language does.

        Raises KeyError for a key that no language has, or a parameter that was not given.
        """
        shown = {
            name: value if isinstance(value, str) else self.number(value) for name, value in values.items()
        }
        return self._form(key, values.get("n")).format_map(shown)

    def refused(self, code: str) -> tuple[str, str]:
        """Return headline and sentence for the code of a refusal; a code without own words gets those of `other`."""
        known = code if f"notice.{code}" in self.raw else "other"
        return self.text(f"notice.{known}"), self.text(f"refused.{known}")

    def number(self, n: float) -> str:
        """Write a number with the language's separators and Western digits."""
        return format_decimal(n, locale=self._locale)

    def percent(self, ratio: float) -> str:
        """Write a ratio as whole per cent."""
        return format_percent(ratio, locale=self._locale)

    def span(self, seconds: float) -> str:
        """Say a length of time in its largest fitting unit, rounded to it: seconds, minutes, hours, days."""
        if round(seconds) < _MINUTE_S:
            return self.text("span.seconds", n=round(seconds))
        if seconds <= _COARSE_MIN * _MINUTE_S:
            return self.text("span.minutes", n=_nearest(seconds / _MINUTE_S))
        if seconds < 2 * _DAY_S:
            return self.text("span.hours", n=_nearest(seconds / _HOUR_S))
        return self.text("span.days", n=_nearest(seconds / _DAY_S))

    def wait(self, wait: Interval) -> str:
        """Say an interval in words that promise no more than it does."""
        low_min, high_min = wait.low_s / 60, wait.high_s / 60
        if high_min > _DAY_MIN:
            return self.text("wait.more-than-a-day" if low_min >= _DAY_MIN else "wait.many-hours")
        step = _step(ceil(high_min))
        low, high = int(low_min // step) * step, ceil(high_min / step) * step
        hours = high > _COARSE_MIN
        if low == 0:
            if high <= 1:
                return self.text("wait.minute")
            return self._measured("wait.less-than-hours" if hours else "wait.less-than", high)
        if low == high:
            return self._measured("wait.about-hours" if hours else "wait.about-minutes", high)
        if low <= _COARSE_MIN < high:
            return self._measured("wait.between-both", high, low)
        return self._measured("wait.between-hours" if hours else "wait.between-minutes", high, low)

    def moment(self, ms: int, tz: tzinfo = UTC) -> str:
        """Say date and time with the name of the zone: the server does not know where its reader is."""
        at = (_EPOCH + timedelta(milliseconds=ms)).astimezone(tz)
        day = format_date(at, format="full", locale=self._locale)
        clock = format_time(at, format="short", tzinfo=tz, locale=self._locale)
        glue: str = self._locale.datetime_formats["long"]
        return glue.replace("'", "").format(f"{clock} {at.tzname()}", day)

    def _form(self, key: str, n: str | float | None) -> str:
        text = self.raw[key]
        if isinstance(text, str):
            return text
        if not isinstance(n, int | float):
            raise KeyError("n")
        return text[self._locale.plural_form(n)]

    def _measured(self, key: str, high: int, low: int = 0) -> str:
        """Fill in minutes; whole and half hours from 90 minutes on. The plural follows the longer end."""
        form = self._form(key, high / 60 if high > _COARSE_MIN else high)
        return form.format_map({"n": self._figure(high), "low": self._figure(low)})

    def _figure(self, minutes: int) -> str:
        if minutes <= _COARSE_MIN:
            return self.number(minutes)
        hours = self.number(minutes // 60)
        return self.text("wait.half", hours=hours) if minutes % 60 else hours


@cache
def languages() -> Mapping[str, Catalogue]:
    """Return the catalogues by language tag. Raises Misconfigured with every fault of every file."""
    found: dict[str, dict[str, Text]] = {}
    for file in sorted(files("waitroom").joinpath("languages").iterdir(), key=lambda file: file.name):
        if file.name.endswith(".json"):
            found[file.name.removesuffix(".json")] = json.loads(file.read_text("utf-8"))
    wrong = [fault for tag, raw in found.items() for fault in faults(tag, raw, found[SOURCE])]
    if wrong:
        raise Misconfigured(wrong)
    return {tag: Catalogue(tag, raw) for tag, raw in found.items()}


def negotiate(accept_language: str, wanted: str = "", default: str = SOURCE) -> str:
    """Return the tag of the language to speak: what was asked for by name, what the browser likes, the default.

    `de-AT` is answered with `de`; `*` means the default. Nothing in a header is an error: what cannot be
    read is skipped, and of a very long header only the beginning counts.
    """
    known = languages()
    named = _lookup(wanted, known)
    if named:
        return named
    fallback = _lookup(default, known) or SOURCE
    ranges = list(_ranges(accept_language))
    never = {tag.lower() for tag, quality in ranges if quality == 0}
    for tag, quality in sorted(ranges, key=lambda item: -item[1]):
        found = fallback if tag == "*" else _lookup(tag, known)
        if quality > 0 and found and found not in never:
            return found
    return fallback


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
            found.append(
                f"{tag}: {key} is {'one text' if isinstance(text, str) else 'plural'}, other than {SOURCE}"
            )
            continue
        forms = {"": text} if isinstance(text, str) else text
        if isinstance(text, Mapping) and text.keys() != categories:
            found.append(f"{tag}: {key} has the plurals {_list(text)}, not {_list(categories)}")
        wants = _parameters(like if isinstance(like, str) else like["other"])
        for category, form in forms.items():
            # "One person": a form that is met by a single number may leave that number out.
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


def _nearest(value: float) -> int:
    """Round to the nearest whole number, halves upward, as JavaScript's Math.round does."""
    return int(value + 0.5)


def _step(scale_min: int) -> int:
    """Return the minutes to round to, by the longer end of an interval."""
    if scale_min <= _FINE_MIN:
        return 1
    if scale_min <= _COARSE_MIN:
        return 5
    return 30 if scale_min <= _HALVES_MIN else 60


def _ranges(accept_language: str) -> Iterable[tuple[str, float]]:
    """Yield language ranges and their quality as far as they can be read."""
    head = accept_language[:_ACCEPT_MOST_CHARS]
    if len(accept_language) > _ACCEPT_MOST_CHARS:
        head = head.rpartition(",")[0]
    for item in head.split(","):
        match = _RANGE.fullmatch(item)
        if match:
            yield match[1], float(match[2] or 1)


def _lookup(tag: str, known: Mapping[str, Catalogue]) -> str:
    """Return the known language of a tag, cutting subtags from its end (RFC 4647, lookup); empty for none."""
    parts = tag[:100].lower().replace("_", "-").split("-")
    while parts:
        if "-".join(parts) in known:
            return "-".join(parts)
        parts.pop()
    return ""
