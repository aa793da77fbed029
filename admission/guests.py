"""Guests: what an operator does to a single place: keep it from its turn, and give it back.

Evicting takes nothing away for good: the number keeps its rank, and nobody else's place changes. A claim is refused
while it lasts, who stands at the door is passed over, and a session that lives is ended as any other. Giving back
makes the place what it was; of a session that was ended here, and by nobody else since, what is left of its time comes
back. It may then be one more than ``total_active_users`` until the next one ends: the operator wanted that fan inside.

Each is one transition; the file of the same name in ``lua/`` does the same. Not here: finding the session of a number
(``journal``), who may do so.
"""

from dataclasses import dataclass, replace

from admission.door import Door, LineNow
from admission.sessions import FREE_MS


@dataclass(frozen=True, slots=True)
class By:
    """Who does so, and why; both stand in the journal."""

    who: str
    why: str


@dataclass(frozen=True, slots=True)
class NoPlace:
    """There is no such number in this run."""


@dataclass(frozen=True, slots=True)
class Out:
    """The place is kept from its turn; a session was ended that would have held until `until_ms` (0: none was)."""

    until_ms: int
    again: bool


@dataclass(frozen=True, slots=True)
class Back:
    """The place is what it was; its session holds until `until_ms` (0: none came back)."""

    until_ms: int


@dataclass(frozen=True, slots=True)
class NotOut:
    """The place is not evicted."""


def evict(
    door: Door, line: LineNow | None, run: str, number: int, sid: str, now_ms: int
) -> tuple[Door, Out | NoPlace]:
    """Keep a number from its turn, and end its session `sid` ('' for none that is known)."""
    now_ms = max(now_ms, door.last_ms)
    if line is None or line.run != run or number >= line.issued:
        return door, NoPlace()
    before, until_ms = number in door.evicted, 0
    sessions, ended, version = dict(door.sessions), dict(door.ended), door.ended_version
    if sid and door.lives(sid, now_ms) and not door.has_ended(sid, now_ms):
        until_ms = sessions[sid]
        sessions[sid], ended[sid] = min(until_ms, now_ms + FREE_MS), until_ms
        version += 1
    if before and not until_ms:
        return door, Out(0, again=True)
    return replace(
        door,
        sessions=sessions,
        ended=ended,
        ended_version=version,
        evicted={**door.evicted, number: (sid, until_ms) if until_ms else None},
        last_ms=now_ms,
    ), Out(until_ms, again=before)


def reinstate(
    door: Door, line: LineNow | None, run: str, number: int, now_ms: int
) -> tuple[Door, Back | NotOut | NoPlace]:
    """Give an evicted number its place back."""
    now_ms = max(now_ms, door.last_ms)
    if line is None or line.run != run or number >= line.issued:
        return door, NoPlace()
    if number not in door.evicted:
        return door, NotOut()
    kept = door.evicted[number]
    evicted = {other: was for other, was in door.evicted.items() if other != number}
    door = replace(door, evicted=evicted, last_ms=now_ms)
    if kept is None or kept[1] <= now_ms:
        return door, Back(0)
    sid, until_ms = kept
    return replace(
        door,
        sessions={**door.sessions, sid: until_ms},
        ended={other: at for other, at in door.ended.items() if other != sid},
        ended_version=door.ended_version + 1,
    ), Back(until_ms)
