"""Remaining: what people outside are told of what is left, so that nobody waits for nothing or leaves too early.

What is *left* may still become somebody's: free seats, and those that others hold while they decide. Whoever is told
"sold out" goes home, so that word is said late and taken back readily, but not for a single seat that comes and goes:

    selling ── left ≤ 10 % ──► last ── left = 0 ──► soldout
            ◄── left ≥ 15 % ──      ◄── ≥ 0.1 % left, or anything at all for ``RETURN_MS``

The number is rounded down to two digits: it is told to everybody, and a number that changes with every seat says no
more. Pure. Not here: who counts and who is told (``stock.watch``), what a line does with it.
"""

from dataclasses import dataclass
from enum import StrEnum

from checkout.halls.seats import Status

LAST_PERCENT = 10
SELLING_PERCENT = 15
RETURN_PER_MILLE = 1
RETURN_MS = 15_000
_DIGITS = 100


class StockState(StrEnum):
    """The word that is said of what is left."""

    SELLING = "selling"
    LAST = "last"
    SOLD_OUT = "soldout"


@dataclass(frozen=True, slots=True)
class Stock:
    """What is told; `back_ms` is since when there has been something again while the word is "sold out", else None."""

    state: StockState
    left: int
    back_ms: int | None = None


def left_of(counts: tuple[int, ...]) -> int:
    """Count what may still become somebody's, from the counts of an event's seats in the order of ``Status``."""
    return counts[Status.FREE] + counts[Status.HELD]


def rounded(left: int) -> int:
    """Round down to two digits: 58,431 is 58,000, and 94 is 94."""
    step = 1
    while left // step >= _DIGITS:
        step *= 10
    return left // step * step


def stock(before: Stock | None, left: int, capacity: int, now_ms: int) -> Stock:
    """Say what is told now, after what was told before; `capacity` is all there is to sell, and 0 is nothing at all."""
    state = StockState.SELLING if before is None else before.state
    shown = rounded(left)
    if left <= 0:
        return Stock(StockState.SOLD_OUT, 0)
    if before is not None and state is StockState.SOLD_OUT:
        back_ms = now_ms if before.back_ms is None else before.back_ms
        if left * 1000 < capacity * RETURN_PER_MILLE and now_ms - back_ms < RETURN_MS:
            return Stock(StockState.SOLD_OUT, 0, back_ms)
        state = StockState.LAST
    if left * 100 <= capacity * LAST_PERCENT:
        return Stock(StockState.LAST, shown)
    if state is StockState.LAST and left * 100 < capacity * SELLING_PERCENT:
        return Stock(StockState.LAST, shown)
    return Stock(StockState.SELLING, shown)
