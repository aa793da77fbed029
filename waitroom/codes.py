"""Code: an invitation that somebody types, which is good for one place; none of them is kept anywhere.

Sixteen signs in Crockford's base 32 (no I, L, O, U; case, blanks and hyphens do not count), 80 bits::

    batch (16)  number (20)  mac (44)

Batch and number lie under a veil that follows from the mac, so that no code looks like its neighbour.

The mac is the beginning of an HMAC-SHA256 of the number under the batch's key, which follows from the key ring and the
batch's salt. So whoever reads our databases has no code, and whoever guesses one of a known batch and number is right
once in 2^44 tries: a thousand tries a second find one in five hundred years.

Pure. Not here: which batches there are (``identity_book``), how often somebody may be wrong (``identifying``).
"""

import hmac
from hashlib import sha256
from typing import NamedTuple

from waitroom.lanes import Lane

SIGNS = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
CHARS = 16
BATCH_MOST, NUMBER_MOST = 1 << 16, 1 << 20
SALT_BYTES = 16
TYPED_MOST = 64
_MAC_BITS = 44
_LIKE = str.maketrans({"I": "1", "L": "1", "O": "0"})


class Code(NamedTuple):
    """What stands in a code."""

    batch: int
    number: int
    mac: int


class Batch(NamedTuple):
    """Codes that were made together. `lane` None is the room's own; `revoked` are single codes, or the whole batch."""

    batch: int
    room: str
    lane: Lane | None
    label: str
    size: int
    salt: bytes
    made_ms: int
    until_ms: int | None = None
    revoked_ms: int | None = None
    revoked: frozenset[int] = frozenset()


def batch_key(secret: bytes, batch: Batch) -> bytes:
    """Give the key of a batch: a batch that somebody moves to another room or lane has another one."""
    named = f"waitroom-codes-v1\0{batch.batch}\0{batch.room}\0{batch.lane or ''}\0".encode()
    return hmac.digest(secret, named + batch.salt, "sha256")


def mac_of(key: bytes, number: int) -> int:
    """Return what only we can put behind a number."""
    return int.from_bytes(hmac.digest(key, number.to_bytes(4, "big"), "sha256")[:8], "big") >> (
        64 - _MAC_BITS
    )


def write(key: bytes, batch: int, number: int) -> str:
    """Write a code as people get it: four groups of four."""
    mac = mac_of(key, number)
    whole = ((batch << 20 | number) ^ _veil(mac)) << _MAC_BITS | mac
    signs = "".join(SIGNS[whole >> (5 * (CHARS - 1 - at)) & 31] for at in range(CHARS))
    return "-".join(signs[at : at + 4] for at in range(0, CHARS, 4))


def read(typed: str) -> Code | None:
    """Read what somebody typed; None for what is no code of any batch."""
    if len(typed) > TYPED_MOST:
        return None
    signs = "".join(sign for sign in typed if sign.isalnum()).upper().translate(_LIKE)
    if len(signs) != CHARS or not set(signs) <= set(SIGNS):
        return None
    whole = 0
    for sign in signs:
        whole = whole << 5 | SIGNS.index(sign)
    mac = whole & (1 << _MAC_BITS) - 1
    head = whole >> _MAC_BITS ^ _veil(mac)
    return Code(head >> 20, head & NUMBER_MOST - 1, mac)


def _veil(mac: int) -> int:
    """Return 36 bits that look like nothing; no secret, whoever reads this opens it."""
    return int.from_bytes(sha256(b"waitroom-code-veil" + mac.to_bytes(6, "big")).digest()[:8], "big") >> 28


def is_good(code: Code, batch: Batch, secret: bytes, room: str, now_ms: int) -> bool:
    """Tell whether a code of this batch gives a place in a room now."""
    ours = hmac.compare_digest(
        code.mac.to_bytes(8, "big"), mac_of(batch_key(secret, batch), code.number).to_bytes(8, "big")
    )
    return (
        ours
        and batch.room == room
        and code.number < batch.size
        and code.number not in batch.revoked
        and batch.revoked_ms is None
        and (batch.until_ms is None or now_ms < batch.until_ms)
    )
