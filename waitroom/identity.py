r"""Identity: who somebody is to a room that asks: a tag, and nothing else.

    tag = first 16 bytes of HMAC-SHA256(room key, kind "\0" canonical identity)

The room key is made for one run and destroyed after it (``identity_book``): with it a tag is somebody's, without it
nobody can tell whose it was, not even by trying all addresses there are. The kind keeps apart what reads alike. The id
of the ticket follows from key and tag as well, so that a ticket can be written again without anything being kept of it.

Pure. Not here: how somebody shows who they are (``codes``, ``mailed``), what the line does with a tag (``enlist``).
"""

import hmac
from typing import NamedTuple

from waitroom.lanes import Lane

TAG_BYTES = 16
KEY_BYTES = 32


class Shown(NamedTuple):
    """An identity that was shown: its tag (base64url), and the lane that it brings, None for the room's own."""

    tag: str
    lane: Lane | None = None


def room_key(secret: bytes, half: bytes, room: str, run: str) -> bytes:
    """Give the key of a run. `secret` is the key ring's half, `half` the journal's: neither is enough."""
    return hmac.digest(
        secret, b"\0".join((b"waitroom-room-key-v1", half, room.encode(), run.encode())), "sha256"
    )


def tag(key: bytes, kind: str, identity: str) -> bytes:
    """Return the tag of a canonical identity of a kind (``code``, ``mail``, ``oidc``)."""
    return hmac.digest(key, f"{kind}\0{identity}".encode(), "sha256")[:TAG_BYTES]


def ticket_id(key: bytes, tag_bytes: bytes) -> bytes:
    """Return the 16 bytes of the ticket's id; the tag has another label than any kind, so neither tells the other."""
    return hmac.digest(key, b"\0ticket-id\0" + tag_bytes, "sha256")[:TAG_BYTES]


def mailbox(username: str, domain: str) -> str:
    """Return the canonical form of a mail address: the mailbox that it leads to.

    Case and what follows a plus sign make no other mailbox; at Google dots make none either.

    >>> mailbox("Ada.L+tickets", "gmail.com"), mailbox("Ada.L", "fans.example")
    ('adal@gmail.com', 'ada.l@fans.example')
    """
    name, host = (username.partition("+")[0] or username).casefold(), domain.casefold()
    if host in {"gmail.com", "googlemail.com"}:
        name, host = name.replace(".", ""), "gmail.com"
    return f"{name}@{host}"
