"""Lane change: a place comes into a better lane, or into the lane suspect, or is asked for a check where it is.

Its number and its rank stay.

Transitions of the line, as those of ``line`` are: the file of the same name in ``lua/`` does the same in the store.
They are each other's inverse but for the order: **once up, nobody is thrown back**, so a place never goes up and
down, and who was called keeps the right to come in. Who is asked keeps the lane, too; only the claim waits for the
check. Not here: who climbs or passes (``challenging``), who is slowed or asked (``settling``).
"""

from dataclasses import dataclass, replace
from enum import StrEnum

from waitroom.lanes import Lane, is_better
from waitroom.line import Line, Stale


@dataclass(frozen=True, slots=True)
class Climbed:
    """The place is in this lane now, and its ticket says since when; number and rank are as they were."""

    lane: Lane
    since_ms: int


@dataclass(frozen=True, slots=True)
class Slowed:
    """The place is in the lane suspect since then; `reasons` are codes with commas, as its ticket tells them.

    With a `way` it is in its own lane, and was asked for a check: ``prove`` or ``step-up``.
    """

    since_ms: int
    reasons: str
    way: str = ""


@dataclass(frozen=True, slots=True)
class Again:
    """It was slowed or asked before, and nothing changes."""

    slowed: Slowed


@dataclass(frozen=True, slots=True)
class Passed:
    """The check that was asked for is passed since then."""

    since_ms: int


@dataclass(frozen=True, slots=True)
class Free:
    """Nothing was asked of it, and nothing changes."""


class Kept(StrEnum):
    """Why a place keeps its lane."""

    CALLED = "called"
    LIFTED = "lifted"


def climb(
    line: Line,
    reached: Lane | None,
    run: str,
    number: int,
    before: Lane,
    after: Lane,
    now_ms: int,
    *,
    slowed: Slowed | None = None,
) -> tuple[Line, Lane | None, Climbed | Stale]:
    """Bring a place into a better lane; its number stays, and so nobody's rank changes.

    `reached` is the best lane that this number has climbed to in this run, None for one that never did: whoever shows
    an older ticket again gets the same lane again, and is not counted twice. Whoever was `slowed` leaves the lane
    suspect, whatever their ticket says, and is slow no more; whoever was asked is asked no more. Raises
    ValueError where `after` is no better than `before`.
    """
    if not is_better(after, before):
        message = f"nobody climbs from {before} to {after}"
        raise ValueError(message)
    if line.run != run or not 0 <= number < line.issued:
        return line, reached, Stale()
    since_ms = max(now_ms, line.last_ms)
    if reached is not None and not is_better(after, reached):
        return line, reached, Climbed(reached, since_ms)
    left = Lane.SUSPECT if slowed and not slowed.way else reached or before
    line = replace(
        line,
        joined_verified=line.joined_verified + (after is Lane.VERIFIED),
        joined_suspect=max(0, line.joined_suspect - (left is Lane.SUSPECT)),
        last_ms=since_ms,
    )
    return line, after, Climbed(after, since_ms)


def slow(
    line: Line,
    reached: Lane | None,
    slowed: Slowed | None,
    run: str,
    seed: str,
    number: int,
    rank: int,
    before: Lane,
    reasons: str,
    now_ms: int,
    *,
    way: str = "",
) -> tuple[Line, Slowed | None, Slowed | Again | Kept | Stale]:
    """Put a waiting place into the lane suspect: the inverse of `climb`; its number and its rank stay.

    With a `way` it is asked for a check, and stays where it is. Once only: who was called keeps the right to come in,
    who has climbed (`reached`) is not thrown back, and who was `slowed` before gets the same answer again. `seed` is
    that under which the worker computed `rank`. Raises ValueError for a place that waits in the lane suspect by its
    ticket.
    """
    if before is Lane.SUSPECT:
        message = f"nobody is slowed from {before}"
        raise ValueError(message)
    if line.run != run or line.seed != seed or not 0 <= number < line.issued:
        return line, slowed, Stale()
    if reached is not None:
        return line, slowed, Kept.LIFTED
    if slowed is not None:
        return line, slowed, Again(slowed)
    if rank < line.serving.of(before):
        return line, None, Kept.CALLED
    since_ms = max(now_ms, line.last_ms)
    done = Slowed(since_ms, reasons, way)
    if way:
        return replace(line, last_ms=since_ms), done, done
    line = replace(
        line,
        joined_verified=max(0, line.joined_verified - (before is Lane.VERIFIED)),
        joined_suspect=min(line.issued, line.joined_suspect + 1),
        last_ms=since_ms,
    )
    return line, done, done


def passes(
    line: Line, reached: Lane | None, asked: Slowed | None, run: str, number: int, now_ms: int
) -> tuple[Line, Lane | None, Slowed | None, Passed | Free | Stale]:
    """Let a place that was asked go in again when it is called; it is neither asked nor slowed any more.

    It counts as one that has climbed to the lane standard (`reached`); a place in a better one stays in that.
    """
    if line.run != run or not 0 <= number < line.issued:
        return line, reached, asked, Stale()
    if asked is None or not asked.way:
        return line, reached, asked, Free()
    since_ms = max(now_ms, line.last_ms)
    return replace(line, last_ms=since_ms), Lane.STANDARD, None, Passed(since_ms)
