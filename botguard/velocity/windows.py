"""Window: how often somebody acts, as exact counts that take the same room however often it is.

Each subject has one record: acts by slot of time, and the TAT of a rate (``kernel.gcra``). The window is the newest
`slots` slots, the one that is running among them; so it is between `slots - 1` and `slots` slots long, and **what it
holds is counted exactly**. A record has at most so many numbers, and goes by itself when nobody acted for so long.

Every act is counted in the window, also one that the rate refuses; the rate is only used up by those that it allows, so
whoever goes on knocking is let in as early as whoever waits. One function here, one script of the same name in the
store (``lua/count.lua``); a state machine holds them against each other and against a list of all acts.

Pure. Not here: who is a subject (``subjects``), what a count means (``botguard.verdict``).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from kernel.clock import SET_BACK_MS
from kernel.gcra import Rate, clamped, next_us, spent

_US_PER_MS = 1_000


@dataclass(frozen=True, slots=True)
class Plan:
    """What is counted of one kind of subject."""

    rate: Rate
    slot_ms: int
    slots: int

    @property
    def kept_ms(self) -> int:
        """How long a record is of use after the last act."""
        full_ms = -(-self.rate.interval_us * self.rate.burst // _US_PER_MS)
        return max(self.slots * self.slot_ms, full_ms) + SET_BACK_MS


class Row(NamedTuple):
    """One subject of an act. ``acts``: False only looks."""

    subject: str
    plan: Plan
    acts: bool = True


class Count(NamedTuple):
    """Acts in the window, this one among them, and how long until the rate allows one (0: it allowed this one)."""

    acts: int
    wait_ms: int


@dataclass(frozen=True, slots=True)
class Record:
    """What is kept of a subject: acts by number of the slot."""

    slots: Mapping[int, int] = field(default_factory=dict)
    tat_us: int = 0


def count(record: Record, plan: Plan, now_ms: int, *, acts: bool) -> tuple[Record, Count]:
    """Count an act, or only look. Slots that a clock which was set back left in the future go."""
    running = now_ms // plan.slot_ms
    last = (now_ms + SET_BACK_MS) // plan.slot_ms
    alive = {slot: held for slot, held in record.slots.items() if running - plan.slots < slot <= last}
    now_us = now_ms * _US_PER_MS
    at_us = next_us(record.tat_us, plan.rate, now_us)
    wait_ms = -(-(at_us - now_us) // _US_PER_MS)
    if not acts:
        return record, Count(sum(alive.values()), wait_ms)
    alive[running] = alive.get(running, 0) + 1
    tat_us = clamped(record.tat_us, plan.rate, now_us) if wait_ms else spent(record.tat_us, plan.rate, now_us)
    return Record(alive, tat_us), Count(sum(alive.values()), wait_ms)
