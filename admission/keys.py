"""Keys: the names of what the store keeps of one room's door, and the shapes in which it is read.

Not here: who reads and changes it (``store``).
"""

from collections.abc import Mapping
from dataclasses import dataclass

from admission.claim import Settled
from admission.pace import PaceState

CHUNK = 65_536
"""Numbers in one bitmap of claimed numbers."""


class Keys:
    """Names of one room's keys at the door."""

    __slots__ = (
        "came", "claimed", "door", "ended", "evicted", "next", "next_seen", "next_who", "pace", "recall", "sessions",
        "stays", "withheld",
    )  # fmt: skip

    def __init__(self, room: str) -> None:
        """Name the keys of `room`."""
        stem = f"wr:{{{room}}}:"
        self.door = stem + "door"
        self.claimed = stem + "claimed"
        self.sessions = stem + "sessions"
        self.stays = stem + "stays"
        self.ended = stem + "ended"
        self.evicted = stem + "evicted"
        self.withheld = stem + "withheld"
        self.next = stem + "next"
        self.recall = stem + "recall"
        self.next_seen = stem + "next_seen"
        self.next_who = stem + "next_who"
        self.came = stem + "came"
        self.pace = stem + "pace"

    def chunk(self, number: int) -> str:
        """Name the bitmap that holds a number's claimed bit."""
        return f"{self.claimed}:{number // CHUNK}"

    def chunks(self, issued: int) -> list[str]:
        """Name all bitmaps of numbers below `issued`; at least the first."""
        return [f"{self.claimed}:{index}" for index in range(max(1, -(-issued // CHUNK)))]


@dataclass(frozen=True, slots=True)
class SettledAt:
    """What a settling did, when by the store's time, all admissions so far, and the rate's debt."""

    settled: Settled
    now_ms: int
    admitted: int
    tat_us: int


@dataclass(frozen=True, slots=True)
class Glance:
    """What a tick reads: sessions ended early, the pace's last state, first attempts by cohort."""

    ended_version: int
    ended: frozenset[str] | None
    pace: PaceState | None
    came: Mapping[int, int]


@dataclass(frozen=True, slots=True)
class Headcount:
    """Live sessions, entries at the door by class, all admissions so far, and the part of the called who come.

    ``show_ratio`` is None where nobody was called yet: what the pace assumes then is no observation.
    """

    live: int
    next: int
    recall: int
    admitted: int
    show_ratio: float | None = None
