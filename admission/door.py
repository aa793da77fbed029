"""Door: what the store knows of those who were admitted, and of those who wait right at the door.

Its size follows the admitted and the called, never the waiting: one bit for each number claimed, a
place for each session, an entry for each called fan who is still over the budget. Whether a fan is called
is not stored at all: it follows from a rank and the line's threshold.

``now_ms`` never goes back here: every rule uses ``max(now_ms, door.last_ms)``. All times are
half-open, alive while ``now_ms < until_ms``. Not here: the transitions (``claim``, ``sessions``).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

LEAF_BYTES = 16
EMPTY_LEAF = bytes(LEAF_BYTES)
SLOWED_LANE = "suspect"


@dataclass(frozen=True, slots=True)
class Place:
    """A ticket's place as the line reads it, with the keys of the line that a claim looks at.

    ``called_ms`` is when the rank was called (None: not known); ``recall`` says that the claim window has
    passed since. ``void`` says that the number lies in a void range: only then may an empty slot be filled.
    ``key`` is the thumbprint of the key whose proof an act needs, '' where it needs none.
    ``checks`` says that the room still asks for checks before a turn.
    ``seed`` is the seed under which the rank was computed ('' without a draw); the script refuses a rank from another.
    """

    room: str
    run: str
    epoch: int
    number: int
    rank: int
    lane: str
    leaf: bytes
    ticket_id: str
    called_ms: int | None
    recall: bool
    line_key: str
    leaves_key: str
    leaf_offset: int
    journal_key: str
    slowed_key: str
    void: bool = False
    seed: str = ""
    key: str = ""
    checks: bool = False


@dataclass(frozen=True, slots=True)
class LineNow:
    """What a claim reads of the line, in the store, at the moment of the claim.

    `slowed` are numbers that wait in the lane suspect, whatever their ticket says: it may be older.
    `asked` are numbers that were asked for a check and have not passed it, with its way.
    """

    run: str
    epoch: int
    phase: str
    serving: Mapping[str, int]
    seed: str = ""
    issued: int = 1 << 40
    slowed: frozenset[int] = frozenset()
    asked: Mapping[int, str] = field(default_factory=dict)

    def lane_of(self, place: Place) -> str:
        """Return the lane in which a place waits."""
        return SLOWED_LANE if place.number in self.slowed else place.lane


@dataclass(frozen=True, slots=True)
class Entry:
    """A called fan over the budget. ``recall``: the first attempt came after the claim window."""

    number: int
    rank: int
    lane: str
    recall: bool
    seen_ms: int


@dataclass(frozen=True, slots=True)
class Stay:
    """What an admission is made of, apart from its end."""

    since_ms: int
    run: str
    lane: str


@dataclass(frozen=True, slots=True)
class Door:
    """State of one room's door. Sids are keys; `sessions` and `ended` hold times in milliseconds.

    `paused_ms` is when the door was last seen paused: time at the door does not run meanwhile.
    `recall_due` counts, in thousandths, how much of the next grant belongs to those who come late.
    `evicted` are numbers kept from their turn, with the session that this ended and until when it would have held.
    `came` counts first attempts by the time slot of their call (for ``pace``).
    """

    tat_us: int = 0
    last_ms: int = 0
    paused_ms: int = 0
    recall_due: int = 0
    admitted: int = 0
    left: int = 0
    ended_version: int = 0
    claimed: frozenset[int] = frozenset()
    sessions: Mapping[str, int] = field(default_factory=dict)
    stays: Mapping[str, Stay] = field(default_factory=dict)
    ended: Mapping[str, int] = field(default_factory=dict)
    next: Mapping[str, Entry] = field(default_factory=dict)
    came: Mapping[int, int] = field(default_factory=dict)
    leaves: Mapping[int, bytes] = field(default_factory=dict)
    evicted: Mapping[int, tuple[str, int] | None] = field(default_factory=dict)

    def live(self, now_ms: int) -> int:
        """Count the places that are taken."""
        return sum(until_ms > now_ms for until_ms in self.sessions.values())

    def lives(self, sid: str, now_ms: int) -> bool:
        """Tell whether this session holds a place."""
        return self.sessions.get(sid, 0) > now_ms

    def has_ended(self, sid: str, now_ms: int) -> bool:
        """Tell whether this session was ended while its token may still be valid."""
        return self.ended.get(sid, 0) > now_ms

    def waiting(self, *, recall: bool) -> list[str]:
        """List the sids of one class of those at the door, lowest rank first."""
        order = sorted((e.rank, sid) for sid, e in self.next.items() if e.recall is recall)
        return [sid for _, sid in order]

    def for_good(self, sid: str) -> "Door":
        """Let a session that an eviction has ended not come back with its place; the same door where none has."""
        if not any(kept and kept[0] == sid for kept in self.evicted.values()):
            return self
        evicted = {number: None if kept and kept[0] == sid else kept for number, kept in self.evicted.items()}
        return replace(self, evicted=evicted)

    def without_entry(self, sid: str) -> "Door":
        """Take a sid away from the door."""
        return replace(self, next={other: entry for other, entry in self.next.items() if other != sid})


def settled_leaf(door: Door, line: LineNow, place: Place) -> Door | None:
    """Return the door if the ticket owns its number, with an empty void slot filled; else None.

    A slot is empty when the store lost it. Then only a ticket of an earlier epoch whose number lies in
    a void range fills it, once: the second ticket of the same number does not match any more.
    """
    stored = door.leaves.get(place.number, EMPTY_LEAF)
    if stored == place.leaf:
        return door
    if stored == EMPTY_LEAF and place.void and place.epoch < line.epoch:
        return replace(door, leaves={**door.leaves, place.number: place.leaf})
    return None
