"""Programme's faults: the sentences in which the API tells what is wrong with a form, as keys of the words. Pure.

The API tells each fault in English, with its place in front (``title: it must be …``, ``line 7: x is empty``). On a
page people read it in their own language, beside the field that it is about. A sentence that is not known here is shown
as it is. Not here: what is wrong (``catalogue.event``, ``organiser.papers``, ``halls.plans``).
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

_PLACE = re.compile(
    r"(?:line (?P<line>\d{1,9})|tier (?P<tier>\d{1,2})|(?P<field>[a-z_]+(?:\[\d+\])?)): (?P<rest>.*)",
    re.DOTALL,
)
_KNOWN = (
    ("text", r"it must be a text of (?P<least>\d+) to (?P<most>\d+) characters(?: that can be read)?"),
    ("text-most", r"(?:code must be|it must be) a text of at most (?P<most>\d+) characters"),
    ("whole", r"it must be a whole number from (?P<least>\d+) to (?P<most>\d+)"),
    ("slug", r"(?:its id must be|it must be) lower-case letters, digits and hyphens, at most 63"),
    ("country", r"it must be a country's code of two letters \(ISO 3166\)"),
    ("zone", r"it must be a name such as Europe/Stockholm"),
    ("order", r"the sale must end after it begins"),
    ("room", r"it must be the name of a room, or empty"),
    ("unknown", r"there is no \w+ '(?P<what>[^']*)'"),
    ("moment-ahead", r"it must be a moment to come, within (?P<days>\d+) days"),
    ("currency", r"currency '(?P<what>[^']*)': there is no such currency in use"),
    ("price-missing", r"a price in (?P<currency>[A-Z]+) is missing"),
    ("price-range", r"the price in (?P<currency>[A-Z]+) must be whole minor units from 0 to \d+"),
    ("section-tier", r"a section without a tier would have tier 0, which there is not"),
    ("section-wrong", r"section (?P<what>\S+) must be a section's index, its tier one of the tiers"),
    ("tier-name", r"name must be a text of 1 to 120 characters"),
    ("column-missing", r"column (?P<what>\w+) is missing"),
    ("column-unknown", r"column '(?P<what>[^']*)' is unknown"),
    ("column-twice", r"column (?P<what>\w+) is there more than once"),
    ("cells", r"it has (?P<cells>\d+) cells, the header has (?P<columns>\d+)"),
    ("cell-empty", r"(?P<what>\w+) is empty"),
    ("cell-whole", r"(?P<column>\w+) '(?P<what>[^']*)' is no whole number from 0 to (?P<most>\d+)"),
    ("cell-flag", r"(?P<column>\w+) must be yes or no, not '(?P<what>[^']*)'"),
    ("seat-twice", r"seat (?P<what>.*) is there already, in line (?P<other>\d+)"),
    ("place-twice", r"at (?P<what>\d+,\d+) there is a seat already, in line (?P<other>\d+)"),
    ("row-left", r"row (?P<what>.*) began in line (?P<other>\d+) and was left; keep its lines together"),
    ("tier-many", r"tier '(?P<what>.*)' is one more than (?P<most>\d+), or its name is too long"),
    ("utf8", r"octet 0x[0-9a-f]{2} is not UTF-8; save the file as UTF-8"),
    ("file-empty", r"the file is empty|the file has no seat"),
    ("more", r"and (?P<n>\d+) more"),
)
_PATTERNS = tuple((key, re.compile(pattern)) for key, pattern in _KNOWN)
KEYS = tuple(key for key, _ in _KNOWN)
"""Keys of the words, as ``fault.{key}``."""


@dataclass(frozen=True, slots=True)
class Fault:
    """A fault. ``key``: how it is said, '' for a sentence that is shown as it is (``text``)."""

    field: str
    line: int
    tier: int | None
    key: str
    values: Mapping[str, str]
    text: str


def read_fault(text: str) -> Fault:
    """Read a fault of the API."""
    place = _PLACE.fullmatch(text)
    # "currency 'XTS': there is …" has its place in words of its own.
    if place is None or place["rest"] == "":
        field, line, tier, rest = "", 0, None, text
    else:
        field = re.sub(r"\[\d+\]$", "", place["field"] or "")
        line, rest = int(place["line"] or 0), place["rest"]
        tier = int(place["tier"]) if place["tier"] else None
    for key, pattern in _PATTERNS:
        found = pattern.fullmatch(rest)
        if found is not None:
            return Fault(field, line, tier, key, found.groupdict(), rest)
    return Fault(field, line, tier, "", {}, rest)
