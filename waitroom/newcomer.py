"""Newcomer: what was found of somebody who joins, in the line's own words.

Pure. Not here: who finds it (``ports.Newcomers``), and how a lane is left again (``line.climb``).
"""

import re
from typing import NamedTuple

from kernel.errors import Refused
from waitroom.lanes import Lane, is_better
from waitroom.room_fields import Bind
from waitroom.rooms import Room

THUMBPRINT = re.compile(r"[A-Za-z0-9_-]{42}[AEIMQUYcgkosw048]")
"""The SHA-256 of a public key (RFC 7638) as base64url; the last letter holds four bits and no more."""


class Newcomer(NamedTuple):
    """The lane in which somebody begins, why it is not a better one, and headers that their answer carries.

    `holder_key` is the thumbprint of the key that their browser keeps for the place, '' for none.
    """

    lane: Lane = Lane.STANDARD
    reasons: tuple[str, ...] = ()
    headers: tuple[tuple[bytes, bytes], ...] = ()
    holder_key: str = ""

    def begins(self, first: Lane) -> Lane:
        """Return the lane to begin in, where the room has all others begin in `first`: never a better one."""
        return first if self.lane is first or is_better(self.lane, first) else self.lane


ANYBODY = Newcomer()
"""Nothing was found."""


def bound(found: Newcomer, room: Room, shown: bytes) -> Newcomer:
    """Let a place begin with the key whose thumbprint the browser has shown, where the room binds places.

    Raises Refused (``key-malformed``).
    """
    key = shown_key(room, shown)
    return found._replace(holder_key=key) if key else found


def shown_key(room: Room, shown: bytes) -> str:
    """Read a thumbprint that a browser shows; '' where none is shown or the room binds nothing."""
    if room.bind is Bind.NONE or not shown:
        return ""
    key = shown.decode("latin-1")
    if THUMBPRINT.fullmatch(key) is None:
        raise Refused("key-malformed", "The name of this browser's key cannot be read.")
    return key
