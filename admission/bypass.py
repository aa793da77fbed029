"""Bypass: a paper with which staff, press or a monitor come in beside the line, counted and shown to everybody.

An operator makes it with a name, a reason and an end; it is signed, good for one room, and for one visit at a time: its
session's id follows from its own, so it may be shown again and again and is still one place. It takes that place of
``total_active_users``, so the site behind bears no more for it, but it waits for none and spends nothing of the rate.
It is no number of the line: draw, ranks and the counts of fans do not know it.

``bypass`` is one transition; the file of the same name in ``lua/`` does the same. Not here: which papers were made and
revoked (``bypassing``, from the journal).
"""

import json
from dataclasses import dataclass, replace

from admission.door import Door, Stay
from admission.limits import Limits
from admission.sessions import Over
from kernel.signing import BadSignature, PaperSigner

LANE = "bypass"
NO_RUN = "0"
PAPER_MOST_CHARS = 400


@dataclass(frozen=True, slots=True)
class Entered:
    """The holder is in until `until_ms`; `again` says that the visit had begun before."""

    since_ms: int
    until_ms: int
    run: str
    again: bool


@dataclass(frozen=True, slots=True)
class Paper:
    """What a bypass token says."""

    room: str
    token: str
    until_ms: int


def bypass(
    door: Door, line_run: str | None, sid: str, limits: Limits, now_ms: int
) -> tuple[Door, Entered | Over]:
    """Let the holder of a token in, beside the line."""
    now_ms = max(now_ms, door.last_ms)
    if door.has_ended(sid, now_ms):
        return door, Over()
    run = line_run or NO_RUN
    if door.lives(sid, now_ms):
        until_ms = door.sessions[sid]
        stay = door.stays.get(sid, Stay(until_ms - limits.hold_ms, run, LANE))
        return door, Entered(stay.since_ms, until_ms, stay.run, again=True)
    until_ms = now_ms + limits.hold_ms
    return replace(
        door,
        sessions={**door.sessions, sid: until_ms},
        stays={**door.stays, sid: Stay(now_ms, run, LANE)},
        last_ms=now_ms,
    ), Entered(now_ms, until_ms, run, again=False)


def write(signer: PaperSigner, paper: Paper) -> str:
    """Sign a paper."""
    fields = [paper.room, paper.token, paper.until_ms]
    return signer.sign(json.dumps(fields, separators=(",", ":")).encode())


def read(signer: PaperSigner, text: str) -> Paper | None:
    """Return what a paper says; None for one that we did not sign."""
    try:
        room, token, until_ms = json.loads(signer.open(text, PAPER_MOST_CHARS))
        return Paper(str(room), str(token), int(until_ms))
    except (BadSignature, ValueError, TypeError, OverflowError):
        return None
