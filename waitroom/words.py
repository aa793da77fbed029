"""Words: every text that a fan reads, in ten languages, with its numbers, spans and moments.

One flat file for each language, ``languages/{tag}.json``, as ``kernel.languages`` reads them: adding a language is
adding a file. The browser gets the same texts (``Catalogue.browser``) and chooses among them by ``Intl``;
``tests/vectors/words.json`` holds both sides to the same waits and numbers.

Sentences never bend a text that is put into them: a wait comes in the one form that its file gives, so a
language whose grammar would bend it says "Estimated wait: {wait}" and not "in {wait}".

Digits are Western (0 to 9) in every language, Arabic too: what stands on the page is read aloud to a
helpdesk, compared with a receipt and typed elsewhere, most Arabic ticket sites write so, and Babel's
default says the same; the browser asks for it with ``-u-nu-latn``. Thousands are always grouped
(``useGrouping: "always"``), also where a language leaves 1234 alone, so that a falling number does not jump.

Source: CLDR through Babel. Not here: which language a visitor likes (``kernel.languages``), how long a wait is
(``wait``), where a text stands (``view``).
"""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta, tzinfo
from functools import cache
from importlib.resources import files
from math import ceil

from babel.dates import format_date, format_time
from babel.numbers import format_percent

from kernel import languages as kernel_languages
from kernel.languages import SOURCE, Text, Texts, faults, read_languages
from waitroom.wait import Interval

__all__ = ["SERVER_ONLY", "SOURCE", "WRITTEN", "Catalogue", "faults", "languages", "negotiate"]

SERVER_ONLY = (
    "bound.", "bypass.", "canned.", "challenge.", "code.", "how.", "identity.", "mail.", "notice.", "plain.",
    "preview.", "refused.bypass-invalid", "refused.code-used", "refused.identity-", "refused.login-away",
    "refused.mail-away", "refused.place-evicted", "refused.reminder-", "refused.too-many-codes",
    "refused.too-many-numbers", "refused.too-many-reminders", "remind.",
)  # fmt: skip
"""Keys that only pages made by the server need, or rooms that bind places; other browsers do not get them."""

EVICTED = "refused.place-evicted"
"""Read by very few: it comes with the texts that are loaded when they are needed."""

WRITTEN = frozenset(
    (
        "action.awake", "action.carry", "action.continue", "action.how", "action.leave", "action.look",
        "action.notify", "action.prove", "action.receipt", "action.remind", "action.stay",
        "action.stop-looking", "back.text", "carry.app", "leave.text", "leave.title", "leave.yes",
        "message.label", "proof.all", "proof.commitment", "proof.number", "proof.rank", "proof.root",
        "proof.seed", "proof.text", "proof.text-beacon", "proof.title", "track.label",
    )
)  # fmt: skip
"""Keys that stand on the page already when it comes; no module asks for them."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_FINE_MIN = 20
_COARSE_MIN = 90
_HALVES_MIN = 12 * 60
_DAY_MIN = 24 * 60
_MINUTE_S = 60
_HOUR_S = 60 * _MINUTE_S
_DAY_S = 24 * _HOUR_S


class Catalogue(Texts):
    """All texts in one language."""

    __slots__ = ("browser", "canned")

    def __init__(self, tag: str, raw: Mapping[str, Text]) -> None:
        """Take texts that have no `faults`."""
        super().__init__(tag, raw)
        self.browser = {
            key: text for key, text in raw.items() if not key.startswith(SERVER_ONLY) and key not in WRITTEN
        }
        self.canned = {key: text for key, text in raw.items() if key.startswith("canned.") or key == EVICTED}

    def refused(self, code: str) -> tuple[str, str]:
        """Return headline and sentence for the code of a refusal; a code without own words gets those of `other`.

        A line that drains is told in the words that its page has for that.
        """
        if code == "room-draining":
            return self.text("state.closing.headline"), self.text("state.closing.detail")
        known = code if f"notice.{code}" in self.raw else "other"
        return self.text(f"notice.{known}"), self.text(f"refused.{known}")

    def of_bound(self, binds: bool) -> dict[str, Text]:
        """Return the texts that a browser needs in a room that binds places; none in others."""
        if not binds:
            return {}
        own = {key: text for key, text in self.raw.items() if key.startswith("bound.")}
        return {"state.refused.headline": own.pop("bound.headline"), **own}

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

    def _measured(self, key: str, high: int, low: int = 0) -> str:
        """Fill in minutes; whole and half hours from 90 minutes on. The plural follows the longer end."""
        form = self.form(key, high / 60 if high > _COARSE_MIN else high)
        return form.format_map({"n": self._figure(high), "low": self._figure(low)})

    def _figure(self, minutes: int) -> str:
        if minutes <= _COARSE_MIN:
            return self.number(minutes)
        hours = self.number(minutes // 60)
        return self.text("wait.half", hours=hours) if minutes % 60 else hours


@cache
def languages() -> Mapping[str, Catalogue]:
    """Return the catalogues by language tag. Raises Misconfigured with every fault of every file."""
    found = read_languages(files("waitroom").joinpath("languages"))
    return {tag: Catalogue(tag, raw) for tag, raw in found.items()}


def negotiate(accept_language: str, wanted: str = "", default: str = SOURCE) -> str:
    """Return the tag of the language to speak: what was asked for by name, what the browser likes, the default."""
    return kernel_languages.negotiate(languages(), accept_language, wanted, default)


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
