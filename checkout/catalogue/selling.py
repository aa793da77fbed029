"""Selling: whether an event is on sale at a moment, and if not, since when or until when.

The sale lasts from ``sale_from_ms`` until just before ``sale_until_ms`` (half-open, milliseconds since 1970).
A cancelled event or a draft is never on sale, whatever the time. Not here: whether anything is left.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import assert_never


class State(StrEnum):
    """What the organiser says of an event; stored."""

    DRAFT = "draft"
    PUBLISHED = "published"
    CANCELLED = "cancelled"


class Standing(StrEnum):
    """What follows at a moment."""

    ON_SALE = "on-sale"
    NOT_YET = "not-yet"
    OVER = "over"
    CANCELLED = "cancelled"
    DRAFT = "draft"


@dataclass(frozen=True, slots=True)
class Window:
    """When an event is sold."""

    state: State
    from_ms: int
    until_ms: int


@dataclass(frozen=True, slots=True)
class Sale:
    """How the sale stands; ``at_ms`` is when it opens (not yet) or closed (over), else None."""

    standing: Standing
    at_ms: int | None = None


def sale(window: Window, now_ms: int) -> Sale:
    """Tell how the sale stands."""
    match window.state:
        case State.DRAFT:
            return Sale(Standing.DRAFT)
        case State.CANCELLED:
            return Sale(Standing.CANCELLED)
        case State.PUBLISHED:
            if now_ms < window.from_ms:
                return Sale(Standing.NOT_YET, window.from_ms)
            if now_ms >= window.until_ms:
                return Sale(Standing.OVER, window.until_ms)
            return Sale(Standing.ON_SALE)
        case _:
            assert_never(window.state)


def next_change_ms(window: Window, now_ms: int) -> int | None:
    """Tell when the standing changes by time alone; None if it does not."""
    if window.state is not State.PUBLISHED or now_ms >= window.until_ms:
        return None
    return window.from_ms if now_ms < window.from_ms else window.until_ms
