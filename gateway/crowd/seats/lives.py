"""Life of a hold: the time in which its buyer surely had its seats, whatever order things happened in.

It begins when the buyer had the answer. It lasts until the latest end that was told, and no longer than until its buyer
asked for anything that may have ended it, or until the store was lost. Half-open, in microseconds.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from checkout.audit.records import US_PER_MS, Act, Answer, Loss, Operation

ENDING = frozenset({Act.RELEASE, Act.CANCEL})


class Life(NamedTuple):
    """One hold; from ``reserving_us`` on its seats may be reserved."""

    hold: str
    buyer: str
    seats: tuple[int, ...]
    from_us: int
    until_us: int
    reserving_us: int | None


def lives(operations: Iterable[Operation], losses: Sequence[Loss]) -> list[Life]:
    """Give the life of every hold that was granted."""
    own: dict[str, list[Operation]] = defaultdict(list)
    for operation in operations:
        own[operation.hold].append(operation)
    found = []
    for hold, about in own.items():
        granted = [one for one in about if one.act is Act.HOLD and one.answer is Answer.DONE]
        if not granted:
            continue
        first = min(granted, key=lambda one: one.returned_us or 0)
        from_us = first.returned_us or 0
        # What was reserved lasts as long as the reservation, which may be shorter than the hold was.
        told = _told(about, reserved=True) or _told(about, reserved=False)
        ends = [max(told) * US_PER_MS]
        ends += [one.called_us for one in about if _may_end(one)]
        ends += [loss.from_us for loss in losses if loss.until_us >= first.called_us]
        reserving = min((one.called_us for one in about if one.act is Act.RESERVE), default=None)
        found.append(Life(hold, first.buyer, first.seats, from_us, min(ends), reserving))
    return found


def _told(about: Iterable[Operation], *, reserved: bool) -> list[int]:
    return [
        one.until_ms
        for one in about
        if one.answer is Answer.DONE and one.until_ms is not None and (one.act is Act.RESERVE) == reserved
    ]


def _may_end(one: Operation) -> bool:
    return (
        one.act in ENDING
        or one.answer is Answer.GONE
        or (one.act is Act.RESERVE and one.answer is not Answer.DONE)
    )
