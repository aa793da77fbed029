"""Verdict: what one check found.

Red is proof: checks leave out in the room's favour what they cannot know. Green says that nothing was seen, and a
check without the facts it needs is neither.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

EXAMPLES = 5


class State(StrEnum):
    """The colours of a check."""

    GREEN = "green"
    RED = "red"
    NOT_JUDGED = "not judged"


@dataclass(frozen=True, slots=True)
class Verdict:
    """One check; ``promise`` is a sentence that is true when it is green."""

    name: str
    promise: str
    state: State
    detail: str
    examples: tuple[str, ...] = ()


def verdict(name: str, promise: str, found: Iterable[str], detail: str, *, seen: int) -> Verdict:
    """Red with examples when anything was found, green when there was something to look at."""
    found = list(found)
    if found:
        tail = f"; {detail}" if detail else ""
        return Verdict(name, promise, State.RED, f"{len(found):,} found{tail}", tuple(found[:EXAMPLES]))
    return Verdict(name, promise, State.GREEN if seen else State.NOT_JUDGED, detail)
