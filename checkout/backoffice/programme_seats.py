"""Programme's seats: the seats that somebody names in words, line by line, and a list of seats in words. Pure.

    Stalls / A / 1-10, 14      seats of a row, as they are numbered in the hall
    Stalls / A                 a whole row
    Stalls                     a whole section
    Floor / 20                 so many places of a standing section: the last ones that can be taken
    # 120-140, 7               by the numbers that the API counts with

Names are read in capitals or not. A line that names nothing is a fault with its number, and then no seat is taken.
From a seat to another one is as they stand in the row. Not here: what is done with them (``organiser.service``).
"""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

from checkout.halls.layout import Kind, Layout, Row, Section, section_of
from checkout.halls.seats import ranges

MOST_LINES = 400
MOST_FAULTS = 20
_Part = TypeVar("_Part", Section, Row)
_NUMBER = re.compile(r"[0-9]{1,6}")
_RANGE = re.compile(r"([0-9]{1,6})\s*[-\u2013]\s*([0-9]{1,6})")


@dataclass(frozen=True, slots=True)
class LineFault:
    """What is wrong with a line: its number from 1 on, a key of the words, and the text that is meant."""

    line: int
    why: str
    what: str = ""


@dataclass(frozen=True, slots=True)
class Picked:
    """The seats of a text, in order, each once; or what is wrong with it, and then no seats."""

    seats: tuple[int, ...] = ()
    faults: tuple[LineFault, ...] = ()


class _Wrong(Exception):
    def __init__(self, why: str, what: str = "") -> None:
        self.why, self.what = why, what[:60]
        super().__init__(why)


def pick(layout: Layout, text: str, takes: Callable[[int], bool]) -> Picked:
    """Read a text; `takes` tells which places of a standing section can be had."""
    seats: set[int] = set()
    faults: list[LineFault] = []
    lines = [(number, line.strip()) for number, line in enumerate(text.splitlines(), 1) if line.strip()]
    if not lines:
        return Picked(faults=(LineFault(1, "nothing"),))
    if len(lines) > MOST_LINES:
        return Picked(faults=(LineFault(lines[MOST_LINES][0], "lines"),))

    def is_left(seat: int) -> bool:
        return seat not in seats and takes(seat)

    for number, line in lines:
        try:
            seats.update(_line(layout, line, is_left))
        except _Wrong as wrong:
            faults.append(LineFault(number, wrong.why, wrong.what))
            if len(faults) == MOST_FAULTS:
                break
    return Picked(faults=tuple(faults)) if faults else Picked(tuple(sorted(seats)))


def in_words(layout: Layout, seats: Iterable[int]) -> list[str]:
    """Write seats in words that ``pick`` reads: a line for each run in a row, or for a whole row or section."""
    made: list[str] = []
    wanted = sorted(set(seats))
    for section, own in _by_section(layout, wanted):
        if len(own) == section.count:
            made.append(section.name)
        elif section.kind is Kind.STANDING:
            made.append(f"{section.name} / {len(own)}")
        else:
            made += _rows_in_words(section, own)
    return made


def runs_text(seats: Iterable[int]) -> str:
    """Write seats for a hidden field: ``4,10-34``."""
    return ",".join(
        str(first) if count == 1 else f"{first}-{first + count - 1}" for first, count in ranges(seats)
    )


def read_runs(text: str) -> list[int | list[int]] | None:
    """Read a hidden field as the API takes seats: ``[4, [10, 25]]``; None for what is none of ours."""
    made: list[int | list[int]] = []
    for part in text.split(","):
        span = _RANGE.fullmatch(part)
        if span is not None and int(span[1]) < int(span[2]):
            made.append([int(span[1]), int(span[2]) - int(span[1]) + 1])
        elif _NUMBER.fullmatch(part):
            made.append(int(part))
        else:
            return None
    return made


# ----------------------------------------------------------------------------------- small parts


def _line(layout: Layout, line: str, takes: Callable[[int], bool]) -> Sequence[int]:
    if line.startswith("#"):
        return _counted(layout, line[1:])
    section, rest = _named(layout.sections, line, lambda one: one.name, "section")
    own = range(section.first, section.first + section.count)
    if not rest:
        return own
    if section.kind is Kind.STANDING:
        return _places(section, rest, takes)
    row, rest = _named(section.rows, rest, lambda one: one.name, "row")
    return _of_row(row, rest) if rest else range(row.first, row.first + row.count)


def _named(
    parts: Sequence[_Part], text: str, name_of: Callable[[_Part], str], what: str
) -> tuple[_Part, str]:
    """Find the part that a text begins with, and what stands behind it; a name may have a stroke in it."""
    folded = text.casefold()
    best: tuple[_Part, int] | None = None
    for part in parts:
        name = name_of(part).casefold()
        behind = folded[len(name) :].lstrip()
        if folded.startswith(name) and behind[:1] in {"", "/"} and (best is None or len(name) > best[1]):
            best = (part, len(name))
    if best is None:
        raise _Wrong(what, text.split("/", 1)[0].strip())
    return best[0], text[best[1] :].lstrip().removeprefix("/").strip()


def _places(section: Section, text: str, takes: Callable[[int], bool]) -> Sequence[int]:
    if _NUMBER.fullmatch(text) is None or not 0 < int(text) <= section.count:
        raise _Wrong("places", text)
    own = reversed(range(section.first, section.first + section.count))
    free = [seat for seat, _ in zip(filter(takes, own), range(int(text)), strict=False)]
    if len(free) < int(text):
        raise _Wrong("places-few", str(len(free)))
    return free


def _of_row(row: Row, text: str) -> Sequence[int]:
    known: dict[str, int] = {}
    for seat in range(row.first, row.first + row.count):
        known.setdefault(row.number(seat).casefold(), seat)
    made: list[int] = []
    for part in text.split(","):
        wanted = part.strip().casefold()
        if wanted in known:
            made.append(known[wanted])
            continue
        first, dash, last = wanted.replace("\u2013", "-").partition("-")
        ends = [known.get(first.strip()), known.get(last.strip())]
        if not dash or ends[0] is None or ends[1] is None:
            raise _Wrong("seat", part.strip())
        made += range(min(ends[0], ends[1]), max(ends[0], ends[1]) + 1)
    return made


def _counted(layout: Layout, text: str) -> Sequence[int]:
    made: list[int] = []
    for part in text.split(","):
        wanted = part.strip()
        span = _RANGE.fullmatch(wanted)
        first, last = (span[1], span[2]) if span else (wanted, wanted)
        if _NUMBER.fullmatch(first) is None or int(first) > int(last) or int(last) >= layout.seats:
            raise _Wrong("number", wanted)
        made += range(int(first), int(last) + 1)
    return made


def _by_section(layout: Layout, ordered: Sequence[int]) -> Iterator[tuple[Section, list[int]]]:
    own: list[int] = []
    at = -1
    for seat in ordered:
        index = section_of(layout, seat)
        if own and index != at:
            yield layout.sections[at], own
            own = []
        at = index
        own.append(seat)
    if own:
        yield layout.sections[at], own


def _rows_in_words(section: Section, ordered: Sequence[int]) -> Iterator[str]:
    wanted = set(ordered)
    for row in section.rows:
        own = [seat for seat in range(row.first, row.first + row.count) if seat in wanted]
        if not own:
            continue
        if len(own) == row.count:
            yield f"{section.name} / {row.name}"
            continue
        parts = [
            row.number(first) if count == 1 else f"{row.number(first)}-{row.number(first + count - 1)}"
            for first, count in ranges(own)
        ]
        yield f"{section.name} / {row.name} / {', '.join(parts)}"
