"""Enlist: one identity is one place; whoever comes again with it gets the place that they have.

The transition of a join in a room that asks who comes. The store keeps, for the length of a run, which place each tag
has: its number, and what else its ticket was written from, so that the very same ticket can be written again on any
device. A tag seen before is answered in every phase; a new one joins as anybody does (``line.join``).

The file of the same name in ``lua/`` does the same in the store; ``tests/waitroom/test_enlist_agrees.py`` holds both
together. Pure. Not here: what a tag is made of (``identity``), who may have one (``identifying``).
"""

from dataclasses import dataclass, replace

from waitroom.lanes import Lane, is_better
from waitroom.line import Closed, Joined, Line, Stale, join


@dataclass(frozen=True, slots=True)
class Enlisted:
    """The place of an identity: all that its ticket is written from, besides the tag."""

    number: int
    epoch: int
    lane: Lane
    since_ms: int

    def text(self) -> str:
        """Write it as the store keeps it."""
        return f"{self.number} {self.epoch} {self.lane} {self.since_ms}"


@dataclass(frozen=True, slots=True)
class Full:
    """As many wait as the room takes."""


def read(text: str) -> Enlisted:
    """Read a place as the store keeps it. Raises ValueError."""
    number, epoch, lane, since_ms = text.split(" ")
    return Enlisted(int(number), int(epoch), Lane(lane), int(since_ms))


def enlist(
    line: Line,
    known: Enlisted | None,
    reached: Lane | None,
    run: str,
    lane: Lane,
    max_waiting: int | None,
    now_ms: int,
) -> tuple[Line, Enlisted | Full | Closed | Stale]:
    """Give an identity its place: the one that is `known`, or the next number.

    `reached` is the best lane that the known place has climbed to, None for one that never did.
    """
    if line.run != run:
        return line, Stale()
    if known is not None:
        climbed = reached is not None and is_better(reached, known.lane)
        return line, replace(known, lane=reached) if climbed and reached is not None else known
    line, answer = join(line, run, 1, lane, max_waiting, now_ms)
    match answer:
        case Joined((number,)):
            return line, Enlisted(number, line.epoch, lane, line.last_ms)
        case Joined():
            return line, Full()
        case _:
            return line, answer
