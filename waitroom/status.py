r"""Status document: what everybody may know of a room, in one signed broadcast.

The body is a pure function of the stored snapshot, the signature is deterministic (RFC 6979), so every
worker serves the same bytes and any cache may keep them for a second. A document is newer when its
(epoch, version) is higher. It also is the crowd's backup of the serving state: a document that a visitor
kept can be given back after a loss (design.md, section 8).

Text: one JSON object whose last member is ``signature``. Signed bytes: ``waitroom-status-v1\n`` and the
text with that member cut out. Below 1,500 bytes. Not here: personal figures (``standing``).
"""

import base64
import binascii
import json
from collections.abc import Sequence

import orjson

from waitroom.canned import CHARS, free_text, situation_of
from waitroom.census import Census
from waitroom.estimate import Learned, speed_per_minute
from waitroom.lanes import Moved
from waitroom.line import Line, asked_of
from waitroom.ports import DocumentSigner
from waitroom.rooms import Room
from waitroom.schedule import Phase, Wanted
from waitroom.wait import MEASURED, poll_cap_s

DOMAIN = b"waitroom-status-v1\n"
MAX_BYTES = 1500
_CUT = b',"signature":"'
_SIGNATURE_CHARS = 86
_VOID_SHOWN = 12


def body(
    room: Room,
    wanted: Wanted,
    line: Line | None,
    calls: Sequence[Moved],
    learned: Learned | None,
    counts: Sequence[Census],
    level: str,
    rounds: int,
) -> dict[str, object]:
    """Compose the document's members from one snapshot, in their fixed order.

    `learned` is what ``estimate`` makes of `calls` and `counts`; the caller keeps it between snapshots.
    """
    shown = line or Line(run="", epoch=0, version=0, phase=Phase.IDLE, opening=wanted.opening)
    speed = speed_per_minute(calls, shown.shown_ms)
    return {
        "room": room.name,
        "name": room.description or room.name,
        "run": shown.run,
        "epoch": shown.epoch,
        "version": shown.version + room.version,
        "at_ms": shown.shown_ms,
        "phase": str(shown.phase),
        "method": str(room.queueing_method),
        "opens_ms": wanted.opens_ms,
        "starts_ms": wanted.starts_ms,
        "ends_ms": wanted.ends_ms,
        "issued": shown.shown_issued,
        "void": [list(pair) for pair in shown.void[-_VOID_SHOWN:]],
        "serving": shown.serving._asdict(),
        "speed_per_minute": speed._asdict(),
        "plan_per_minute": shown.plan_per_minute,
        "wait": _wait(learned),
        # Where a sale has moved nobody is told a wait, and the document has an address more to carry.
        "census": None if room.moved_to else _census(line, counts),
        "poll_cap_s": round(poll_cap_s(shown.shown_waiting)),
        "claim_window_s": room.claim_window_s,
        "paused": room.calls_nobody,
        "bypass": room.bypass,
        "full": room.max_waiting is not None and shown.shown_waiting >= room.max_waiting,
        "message": free_text(room.message)[:CHARS],
        # The text is the page's, in its language. A page from before this version shows nothing instead.
        **({"canned": situation} if (situation := situation_of(room.message)) else {}),
        "stock": {"left": room.stock_left, "state": room.stock_state},
        "stops": "moved" if room.moved_to else "",
        "moved_to": room.moved_to,
        "draw": {
            "level": level if shown.commitment else "C",
            "commitment": shown.commitment,
            "rounds": rounds,
            "frozen": shown.frozen,
            "root": shown.root,
            "seed": shown.seed,
        },
    }


def _wait(learned: Learned | None) -> dict[str, float | None]:
    """Tell the factors of the wait; `held` of `of` is null where they are the fixed ones and nobody has counted."""
    if learned is None:
        return {"low": MEASURED[0], "high": MEASURED[1], "held": None, "of": 0}
    return learned._asdict()


def _census(line: Line | None, counts: Sequence[Census]) -> dict[str, object] | None:
    """Tell which round is on, one in how many is asked, and what the last count found."""
    asked = asked_of(line)
    if asked is None:
        return None
    told: dict[str, object] = {"round": asked.round, "one_in": asked.one_in}
    if counts:
        last = counts[-1]
        told |= {"since": last.since, "width": last.width, "leaving": last.leaving, "live": last.live}
    return told


def sign(members: dict[str, object], signer: DocumentSigner) -> bytes:
    """Write and sign a document."""
    text = orjson.dumps(members | {"kid": signer.kid})
    _, signature = signer.sign(DOMAIN + text)
    encoded = base64.urlsafe_b64encode(signature).rstrip(b"=")
    return text[:-1] + _CUT + encoded + b'"}'


def check(text: bytes, signer: DocumentSigner) -> dict[str, object] | None:
    """Return the members of a document that one of our keys signed, or None.

    Used when a visitor gives a document back; the text is a stranger's until the signature holds.
    """
    head, cut, tail = text.rpartition(_CUT)
    if not cut or len(text) > 2 * MAX_BYTES or len(tail) != _SIGNATURE_CHARS + 2 or not tail.endswith(b'"}'):
        return None
    signed = head + b"}"
    try:
        members = json.loads(signed)
        signature = base64.urlsafe_b64decode(tail[:_SIGNATURE_CHARS] + b"==")
    except (ValueError, binascii.Error, RecursionError):
        return None
    if not isinstance(members, dict) or not isinstance(kid := members.get("kid"), str):
        return None
    return members if signer.verify(kid, DOMAIN + signed, signature) else None
