"""Session: an admitted visitor's stay. It takes one place of ``total_active_users`` until its end.

The end of a place is the token's ``exp`` plus the leeway of backends' clocks, so nobody is let in while a
token for that place is still accepted somewhere. Ended early (finished by the shop, revoked, left), the
sid is told to the gates; the place is free after ``FREE_MS``, the time in which they all have learnt it.

Renewing extends the place first and signs later. A session that the store lost comes back with its valid
token. Not here: how a stay begins (``claim``), the token (``tokens``).
"""

from dataclasses import dataclass, replace
from enum import StrEnum

from admission.door import Door, Stay
from admission.limits import Limits

FREE_MS = 2_000


class Why(StrEnum):
    """Why a session ended before its time."""

    FINISHED = "finished"
    REVOKED = "revoked"
    LEFT = "left"


@dataclass(frozen=True, slots=True)
class Ended:
    """The session is over; gates refuse its token until `until_ms`, when it is worthless anyway."""

    until_ms: int


@dataclass(frozen=True, slots=True)
class Already:
    """It had ended before."""

    until_ms: int


@dataclass(frozen=True, slots=True)
class Renewed:
    """The place is now held until `until_ms`."""

    until_ms: int
    stay: Stay


@dataclass(frozen=True, slots=True)
class Kept:
    """No more time is given (renewal is off, or the longest stay is reached); the old end stands."""

    until_ms: int
    stay: Stay


@dataclass(frozen=True, slots=True)
class Over:
    """The session was ended; it does not come back."""


@dataclass(frozen=True, slots=True)
class Unknown:
    """No such session, and no token that could bring it back."""


@dataclass(frozen=True, slots=True)
class EarlierRun:
    """The session belongs to an earlier run of the room; it lasts to its end and no longer."""


def end(door: Door, sid: str, limits: Limits, now_ms: int) -> tuple[Door, Ended | Already]:
    """End a session, also one that the store does not know: its token may still be about.

    Of one that an eviction has ended nothing comes back with the place any more.
    """
    now_ms = max(now_ms, door.last_ms)
    if door.has_ended(sid, now_ms):
        final = door.for_good(sid)
        if final is door:
            return door, Already(door.ended[sid])
        return replace(final, last_ms=now_ms), Ended(door.ended[sid])
    door = door.without_entry(sid)
    sessions, until_ms = dict(door.sessions), now_ms + limits.hold_ms
    if door.lives(sid, now_ms):
        until_ms = sessions[sid]
        sessions[sid] = min(until_ms, now_ms + FREE_MS)
    return replace(
        door,
        sessions=sessions,
        ended={**door.ended, sid: until_ms},
        ended_version=door.ended_version + 1,
        last_ms=now_ms,
    ), Ended(until_ms)


def renew(
    door: Door, line_run: str | None, sid: str, token: tuple[Stay, int] | None, limits: Limits, now_ms: int
) -> tuple[Door, Renewed | Kept | Over | Unknown | EarlierRun]:
    """Give a live session its full time again.

    `token` is what a verified token says: its stay, and until when its place was held. `line_run` is None
    when the store has lost the line: then the token is believed.
    """
    now_ms = max(now_ms, door.last_ms)
    if door.has_ended(sid, now_ms):
        return door, Over()
    stay, until_ms = door.stays.get(sid), door.sessions.get(sid, 0)
    came_back = False
    if until_ms <= now_ms or stay is None:
        if token is None or token[1] <= now_ms:
            return door, Unknown()
        stay, until_ms, came_back = token[0], max(token[1], until_ms), True
    if line_run is not None and stay.run != line_run:
        return door, EarlierRun()
    longest_ms = stay.since_ms + limits.max_session_ms + limits.leeway_ms
    extended_ms = min(now_ms + limits.hold_ms, longest_ms) if limits.renewal else until_ms
    is_longer = extended_ms > until_ms
    if is_longer or came_back:
        door = replace(
            door.without_entry(sid),  # who comes back with a token need not wait for a turn
            sessions={**door.sessions, sid: max(until_ms, extended_ms)},
            stays={**door.stays, sid: stay},
            last_ms=now_ms,
        )
    return door, Renewed(extended_ms, stay) if is_longer else Kept(until_ms, stay)
