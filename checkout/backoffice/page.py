"""Page: the office's templates, words and files, and how times and money are written there. Pure of HTTP and store.

Words stand in a folder for each half of the office (``languages/{half}/{tag}.json``), so that two people may write at
once; together they are one language. Files stand at ``/staff/office/static/{version}/{name}``, those that the staff
room has among them; the version is a hash of all of them. Not here: who sees what (``office``).
"""

from collections.abc import Mapping
from datetime import datetime
from functools import cache
from hashlib import sha256
from importlib.resources import files
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from babel.dates import format_datetime
from babel.numbers import format_percent
from jinja2 import Environment, PackageLoader, StrictUndefined

from checkout.money import Money, NoSuchCurrency, shown
from checkout.organiser.pages import is_number
from checkout.organiser.spans import LATEST_MS
from checkout.staffroom import page as staff_page
from kernel.languages import Text, Texts, read_languages

PACKAGE = "checkout.backoffice"
BASE = "/staff/office/static/"
TYPES = staff_page.TYPES
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
BORROWED = ("keys.js", "staff.css")
"""Files of the staff room that the office has as well."""


@cache
def texts() -> Mapping[str, Texts]:
    """Return the words in each language. Raises ``Misconfigured``; ``ValueError`` for a key in two halves."""
    made: dict[str, dict[str, Text]] = {}
    halves = [one for one in files(PACKAGE).joinpath("languages").iterdir() if one.is_dir()]
    for half in sorted(halves, key=lambda one: one.name):
        for tag, raw in read_languages(half).items():
            own = made.setdefault(tag, {})
            if twice := own.keys() & raw.keys():
                raise ValueError(f"{tag}: {', '.join(sorted(twice))} is there twice")
            own |= raw
    return {tag: Texts(tag, raw) for tag, raw in made.items()}


@cache
def assets() -> Mapping[str, str]:
    """Return the pages' files by name."""
    own = {
        one.name: one.read_text("utf-8")
        for one in files(PACKAGE).joinpath("static").iterdir()
        if one.name.endswith(tuple(TYPES))
    }
    return dict(sorted((own | {name: staff_page.assets()[name] for name in BORROWED}).items()))


@cache
def version() -> str:
    """Return the hash of all files, as it stands in their addresses."""
    every = sha256()
    for name, text in assets().items():
        every.update(name.encode() + b"\0" + text.encode() + b"\0")
    return every.hexdigest()[:12]


def address(name: str) -> str:
    """Return where a file is. Raises ``KeyError`` for one that is none."""
    if name not in assets():
        raise KeyError(name)
    return f"{BASE}{version()}/{name}"


@cache
def environment() -> Environment:
    """Return the templates."""
    made = Environment(
        loader=PackageLoader(PACKAGE, "pages"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.globals |= {"asset": address}
    return made


class Writing:
    """Writes times and money in one language, times as the clock at the hall shows them."""

    def __init__(self, tag: str, zone: str = "UTC") -> None:
        """`zone`: the hall's time zone; one that nobody knows is UTC."""
        self.tag = tag
        try:
            self.zone = ZoneInfo(zone)
        except (ZoneInfoNotFoundError, ValueError):
            self.zone = ZoneInfo("UTC")

    @property
    def zone_name(self) -> str:
        """Name the time zone."""
        return self.zone.key

    def money(self, minor: int | None, currency: str) -> str:
        """Write an amount in whole minor units; of a currency that is none, the bare number."""
        try:
            return shown(Money(minor or 0, currency), self.tag)
        except (NoSuchCurrency, ValueError):
            return f"{minor} {currency}"

    def moment(self, ms: int | None, how: str = "d MMM y, HH:mm") -> str:
        """Write a time to the minute, '' for none; `how` is a pattern of CLDR."""
        if not ms:
            return ""
        return str(format_datetime(datetime.fromtimestamp(ms / 1000, self.zone), how, locale=self.tag))

    def exact(self, ms: int | None) -> str:
        """Write a time to the second."""
        return self.moment(ms, "d MMM y, HH:mm:ss")

    def field(self, ms: int | str) -> str:
        """Write a time as a field ``datetime-local`` has it; what is no time is written as it is."""
        if isinstance(ms, str):
            if not is_number(ms):
                return ms
            ms = int(ms)
        if ms >= LATEST_MS:
            return ""
        return datetime.fromtimestamp(ms / 1000, self.zone).isoformat(timespec="minutes")[:16]

    def read_field(self, text: str) -> int | None:
        """Read such a field, milliseconds; None for what is none."""
        try:
            at = datetime.fromisoformat(text)
            return int(at.replace(tzinfo=at.tzinfo or self.zone).timestamp() * 1000)
        except (ValueError, OverflowError, OSError):
            return None

    def share(self, ratio: float | None) -> str:
        """Write a share in percent, a dash where there is none."""
        if ratio is None:
            return "–"
        return str(format_percent(ratio, locale=self.tag, decimal_quantization=False))
