"""Pages: a list that is told a piece at a time. What may be asked of one, and where the next piece begins.

A cursor is where the last piece ended, written so that nobody has a reason to read it; what is no cursor of that list
is refused. A page has ``MOST_PAGE`` rows at most, whatever is asked. Pure. Not here: the rows
(``finding``, ``queues``).
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import orjson

from checkout.faults import Faults
from kernel.errors import Refused
from kernel.signing import b64url, from_b64url

PAGE = 50
MOST_PAGE = 200
MOST_TEXT = 200

Row = TypeVar("Row")
Key = tuple[int | str, ...]


@dataclass(frozen=True, slots=True)
class Wish:
    """What is asked of a list: words by parameter, where to begin ((): at the beginning), how many rows."""

    words: Mapping[str, str]
    after: Key = ()
    limit: int = PAGE

    def number(self, name: str) -> int | None:
        """Give a parameter that is a whole number; None where it is not asked for."""
        return int(self.words[name]) if name in self.words else None


@dataclass(frozen=True, slots=True)
class Page(Generic[Row]):
    """A piece of a list; ``next`` is the cursor of the one behind it, '' at the end."""

    rows: Sequence[Row]
    next: str = ""


def read_wish(
    given: Sequence[tuple[str, str]], known: Mapping[str, Callable[[str], bool]], kinds: Sequence[type]
) -> Wish:
    """Read the parameters of a list; `known` tells of each what it may be, `kinds` what a cursor is made of.

    Raises ``Refused("query-invalid")`` with all faults.
    """
    faults = Faults("query-invalid", "The list's parameters have faults.")
    words: dict[str, str] = {}
    for name, text in given:
        if name in words:
            faults.add(f"{name[:63]}: it is there twice")
        elif name not in {*known, "after", "limit"}:
            faults.add(f"{name[:63]}: it is unknown")
        elif name in known and not (len(text) <= MOST_TEXT and known[name](text)):
            faults.add(f"{name}: it cannot be this")
        words[name] = text
    limit, after = words.pop("limit", str(PAGE)), words.pop("after", "")
    if not (is_number(limit) and 1 <= int(limit) <= MOST_PAGE):
        faults.add(f"limit: it must be a whole number from 1 to {MOST_PAGE}")
    key = _read_key(after, kinds) if after else ()
    if key is None:
        faults.add("after: it is no cursor of this list")
    faults.refuse()
    return Wish(words, key or (), int(limit))


def cut(rows: Sequence[Row], limit: int, key: Callable[[Row], Key]) -> Page[Row]:
    """Make a page of rows, of which one more was read than is told."""
    shown = rows[:limit]
    return Page(shown, _write_key(key(shown[-1])) if len(rows) > limit else "")


def merged(
    parts: Iterable[Sequence[Row]], limit: int, key: Callable[[Row], Key], *, newest_first: bool = True
) -> Page[Row]:
    """Make one page of the pieces of several places, each of which has one row more than is told."""
    rows = sorted((row for part in parts for row in part), key=key, reverse=newest_first)
    return cut(rows, limit, key)


def is_name(text: str) -> bool:
    """Tell whether somebody, or something, may be called so: PostgreSQL keeps no NUL, and nobody types one."""
    return text != "" and text.isprintable()


def is_number(text: str) -> bool:
    """Tell whether it is a whole number that every database can compare."""
    return text.isascii() and text.isdigit() and len(text) <= 15


def is_word_of(words: Iterable[str]) -> Callable[[str], bool]:
    """Make the check that a parameter is one of these words."""
    return frozenset(words).__contains__


def refuse_any(given: Sequence[tuple[str, str]]) -> None:
    """Refuse parameters where there are none. Raises ``Refused``."""
    if given:
        raise Refused("query-invalid", "There are no parameters here.", 422)


def _write_key(key: Key) -> str:
    return b64url(orjson.dumps(key))


def _read_key(text: str, kinds: Sequence[type]) -> Key | None:
    try:
        plain: Any = orjson.loads(from_b64url(text))
    except ValueError:
        return None
    is_ours = isinstance(plain, list) and [type(part) for part in plain] == list(kinds)
    if not is_ours or any(isinstance(part, int) and abs(part) >= 2**62 for part in plain):
        return None
    return tuple(plain)
