"""Finding: what one look came to, in words for people; and all of them together, with an exit status.

A finding says what was looked at, what was seen, and, where something is to be done, what. It names no secret and no
person. Statuses: 0 all is well, or only worth knowing; 1 something is wrong; 2 nothing can be said (the settings are).
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

WELL_STATUS, WRONG_STATUS = 0, 1


class Mark(StrEnum):
    """How bad it is."""

    OK = "ok"
    NOTE = "note"
    """Worth knowing; nothing is wrong."""
    WARN = "warn"
    """It works, and may not tomorrow."""
    FAIL = "fail"
    SKIP = "skip"
    """It could not be looked at, for a reason that stands beside it."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One look. `what`: a name from a closed set, as ``store.policy``; `do`: what helps, '' for nothing."""

    what: str
    mark: Mark
    seen: str
    do: str = ""


def ok(what: str, seen: str) -> Finding:
    """All is well."""
    return Finding(what, Mark.OK, seen)


def note(what: str, seen: str, do: str = "") -> Finding:
    """Say something that is worth knowing."""
    return Finding(what, Mark.NOTE, seen, do)


def warn(what: str, seen: str, do: str) -> Finding:
    """It works, and may not tomorrow."""
    return Finding(what, Mark.WARN, seen, do)


def fail(what: str, seen: str, do: str) -> Finding:
    """Something is wrong."""
    return Finding(what, Mark.FAIL, seen, do)


def skip(what: str, why: str) -> Finding:
    """It could not be looked at."""
    return Finding(what, Mark.SKIP, why)


def counted(number: int, one: str, many: str = "") -> str:
    """Count things as people say it.

    >>> counted(1, "room"), counted(2, "room"), counted(1000, "entry", "entries")
    ('1 room', '2 rooms', '1,000 entries')
    """
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def status_of(findings: Iterable[Finding]) -> int:
    """Give the exit status."""
    return WRONG_STATUS if any(one.mark is Mark.FAIL for one in findings) else WELL_STATUS


def as_text(findings: Sequence[Finding]) -> str:
    """Write findings for people, what to do below each."""
    width = max((len(one.what) for one in findings), default=0)
    lines = []
    for one in findings:
        lines.append(f"{one.mark.value:<4}  {one.what.ljust(width)}  {one.seen}")
        if one.do:
            lines.append(f"{'':<4}  {'':<{width}}  -> {one.do}")
    counted = {mark: sum(one.mark is mark for one in findings) for mark in Mark}
    wrong, doubtful = counted[Mark.FAIL], counted[Mark.WARN]
    lines.append(f"\n{wrong} wrong, {doubtful} doubtful, {counted[Mark.OK]} well.")
    return "\n".join(lines)


def as_json(findings: Sequence[Finding]) -> str:
    """Write findings for programs: one object with ``status`` and ``findings``."""
    rows = [{"what": one.what, "mark": one.mark.value, "seen": one.seen, "do": one.do} for one in findings]
    return json.dumps({"status": status_of(findings), "findings": rows}, indent=1, ensure_ascii=False)
