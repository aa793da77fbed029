"""Searching: the list of events that people may buy for, found by words, town and date, page by page.

Words are compared without case and accents ("zurich" finds Zürich), the same on every database, because it is
done here: all that is listed of a few thousand events fits in memory. Cursors name the last event seen, so that a
page neither repeats nor misses one when others come or go. Not here: where the events come from
(``catalogue.service``).
"""

import base64
import unicodedata
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from checkout.catalogue.event import Known
from checkout.catalogue.selling import State
from kernel.errors import Refused

MOST_PAGE = 100
_PAGE = 20
MOST_WORDS = 8
_SHOWN_AFTER_START_MS = 6 * 3_600_000
"""An event stays in the list while it is going on."""

_LETTERS = str.maketrans({"ø": "o", "æ": "ae", "œ": "oe", "ł": "l", "đ": "d", "ð": "d", "þ": "th", "ı": "i"})


@dataclass(frozen=True, slots=True)
class Query:
    """What somebody looks for; '' and None look for anything."""

    q: str = ""
    city: str = ""
    from_ms: int | None = None
    until_ms: int | None = None
    after: str = ""
    limit: int = _PAGE


@dataclass(frozen=True, slots=True)
class Page:
    """A page of events, and the cursor of the next ('' : it is the last)."""

    events: tuple[Known, ...]
    next: str


@dataclass(frozen=True, slots=True)
class Programme:
    """All events that are listed, in order of their start."""

    keys: tuple[tuple[int, str], ...]
    events: tuple[Known, ...]
    texts: tuple[str, ...]
    cities: tuple[str, ...]


def read_query(plain: Mapping[str, str]) -> Query:
    """Read a query from the parameters of an address. Raises ``Refused("query-invalid")``."""
    if unknown := sorted(plain.keys() - set(Query.__slots__)):
        raise Refused("query-invalid", f"There is no parameter {unknown[0][:40]}.")
    numbers: dict[str, int | None] = {}
    for name in ("from_ms", "until_ms", "limit"):
        text = plain.get(name, "")
        if text and not (text.isascii() and text.isdigit() and len(text) <= 15):
            raise Refused("query-invalid", f"{name} must be a whole number.")
        numbers[name] = int(text) if text else None
    limit = numbers["limit"] if numbers["limit"] is not None else _PAGE
    if not 1 <= limit <= MOST_PAGE:
        raise Refused("query-invalid", f"limit must be from 1 to {MOST_PAGE}.")
    q, city, after = plain.get("q", ""), plain.get("city", ""), plain.get("after", "")
    if len(q) > 200 or len(city) > 200 or len(after) > 200:
        raise Refused("query-invalid", "q, city and after are at most 200 characters long.")
    if after:
        _key_of(after)
    return Query(q, city, numbers["from_ms"], numbers["until_ms"], after, limit)


def programme(events: Iterable[Known]) -> Programme:
    """Put together what is listed: everything but drafts."""
    listed = sorted(
        (known for known in events if known.event.state is not State.DRAFT),
        key=lambda known: (known.event.starts_ms, known.event.id),
    )
    return Programme(
        tuple((known.event.starts_ms, known.event.id) for known in listed),
        tuple(listed),
        tuple(_text(known) for known in listed),
        tuple(folded(known.venue.city) for known in listed),
    )


def page(listed: Programme, query: Query, now_ms: int) -> Page:
    """Find a page of events; without ``from_ms`` those that are not over."""
    from_ms = query.from_ms if query.from_ms is not None else now_ms - _SHOWN_AFTER_START_MS
    begin = bisect_left(listed.keys, (from_ms, ""))
    if query.after:
        begin = max(begin, bisect_right(listed.keys, _key_of(query.after)))
    words, city = folded(query.q).split()[:MOST_WORDS], folded(query.city)
    found: list[int] = []
    for index in range(begin, len(listed.keys)):
        if query.until_ms is not None and listed.keys[index][0] >= query.until_ms:
            break
        if (not city or listed.cities[index] == city) and all(word in listed.texts[index] for word in words):
            found.append(index)
            if len(found) > query.limit:
                break
    more = len(found) > query.limit
    shown = found[: query.limit]
    return Page(
        tuple(listed.events[index] for index in shown), _cursor(listed.keys[shown[-1]]) if more else ""
    )


def folded(text: str) -> str:
    """Write a text without case, accents and superfluous spaces."""
    plain = unicodedata.normalize("NFKD", text.casefold().translate(_LETTERS))
    bare = "".join(letter for letter in plain if not unicodedata.combining(letter))
    return " ".join(bare.casefold().split())


def _text(known: Known) -> str:
    event = known.event
    parts = (
        event.title,
        event.subtitle,
        event.about,
        known.venue.name,
        known.venue.city,
        known.organiser.name,
    )
    return "\n".join(map(folded, parts))


def _cursor(key: tuple[int, str]) -> str:
    return base64.urlsafe_b64encode(f"{key[0]}.{key[1]}".encode()).rstrip(b"=").decode()


def _key_of(cursor: str) -> tuple[int, str]:
    try:
        text = base64.urlsafe_b64decode(cursor.encode() + b"=" * (-len(cursor) % 4)).decode()
        starts, _, event_id = text.partition(".")
        key = (int(starts), event_id)
    except ValueError as error:
        raise Refused("query-invalid", "after is no cursor of ours.") from error
    if _cursor(key) != cursor:
        raise Refused("query-invalid", "after is no cursor of ours.")
    return key
