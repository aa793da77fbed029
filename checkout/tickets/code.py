"""Code: what stands in a ticket's QR code, so that a scanner without a network can tell that we made it.

97 octets, written in Base45 behind ``WT1:`` (150 characters, a QR code of version 6)::

    1   form, 1
    4   id of the key
    8   event:  first octets of SHA-256("waitroom-event" 0x00 event)
    16  the ticket's id
    4   seat, big-endian
    64  Ed25519 signature (RFC 8032) of  "waitroom-ticket-v1" 0x00  and the 33 octets before it

There is no person and no price in it. Signatures of Ed25519 are the same each time, so a code can be made anew
from its ticket and is not kept. Whether a ticket was revoked or has been used is not in it: that is what a scanner
knows beside it (``tickets.scanning``). Pure. Not here: the keys (``tickets.keys``), how it is drawn (``tickets.qr``).
"""

import hashlib
from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import NamedTuple

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from checkout.tickets import base45

HEAD = "WT1:"
DOMAIN = b"waitroom-ticket-v1\0"
_FORM = 1
_SIGNED_BYTES, _SIGNATURE_BYTES = 33, 64
LENGTH = len(HEAD) + (_SIGNED_BYTES + _SIGNATURE_BYTES) // 2 * 3 + 2
"""Characters of every code."""

Sign = Callable[[bytes], bytes]


class Facts(NamedTuple):
    """What a code says: `key` and `event_tag` in hex, `ticket` as the ticket's id."""

    key: str
    event_tag: str
    ticket: str
    seat: int


class Fault(StrEnum):
    """Why a code is none."""

    UNREADABLE = "unreadable"
    """Not a code of ours at all."""
    UNKNOWN_KEY = "unknown-key"
    FORGED = "forged"
    OTHER_EVENT = "other-event"


def event_tag(event: str) -> bytes:
    """Name an event in eight octets."""
    return hashlib.sha256(b"waitroom-event\0" + event.encode()).digest()[:8]


def key_id(public: bytes) -> bytes:
    """Name a key by its public half."""
    return hashlib.sha256(b"waitroom-ticket-key\0" + public).digest()[:4]


def write(key: bytes, event: str, ticket: str, seat: int, sign: Sign) -> str:
    """Write the code of a ticket, signed by the key that `key` names."""
    said = bytes([_FORM]) + key + event_tag(event) + bytes.fromhex(ticket) + seat.to_bytes(4, "big")
    return HEAD + base45.encode(said + sign(DOMAIN + said))


def read(text: str) -> tuple[Facts, bytes, bytes] | Fault:
    """Take a code apart: its facts, what is signed, and the signature. Nothing is verified yet."""
    if not text.startswith(HEAD) or len(text) != LENGTH:
        return Fault.UNREADABLE
    try:
        raw = base45.decode(text[len(HEAD) :])
    except ValueError:
        return Fault.UNREADABLE
    said, signature = raw[:_SIGNED_BYTES], raw[_SIGNED_BYTES:]
    if said[0] != _FORM:
        return Fault.UNREADABLE
    facts = Facts(said[1:5].hex(), said[5:13].hex(), said[13:29].hex(), int.from_bytes(said[29:], "big"))
    return facts, said, signature


def verify(text: str, event: str, keys: Mapping[str, Ed25519PublicKey]) -> Facts | Fault:
    """Tell what a code says, if a key that is trusted has signed it for this event."""
    found = read(text)
    if isinstance(found, Fault):
        return found
    facts, said, signature = found
    key = keys.get(facts.key)
    if key is None:
        return Fault.UNKNOWN_KEY
    try:
        key.verify(signature, DOMAIN + said)
    except InvalidSignature:
        return Fault.FORGED
    return facts if facts.event_tag == event_tag(event).hex() else Fault.OTHER_EVENT
