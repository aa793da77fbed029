"""The draw: a fair order for everyone who gathered before the start.

A keyed permutation of ``[0, n)``: arrival number in, rank out. Nothing is stored but the seed, so a draw
over a million people is one write, and anyone can recompute it (docs/draw.md has the bytes;
``tests/vectors/draw.json``, made by a second implementation, pins them).

The permutation is the swap-or-not shuffle of Ethereum's consensus specification
(``compute_shuffled_index``; Hoang, Morris and Rogaway, CRYPTO 2012), because independent implementations
exist in many languages: a fan need not trust ours. 90 rounds as there; above 2**22 entries four rounds
for each bit, as its authors advise.

Not here: when a draw may happen and over whom (``line``), the tree over the leaves (``merkle``), where the
secret comes from (``service``).
"""

from array import array
from collections.abc import Iterable
from hashlib import sha256
from itertools import compress
from typing import Any

LEAF_BYTES = 16
SECRET_BYTES = 32
SEED_BYTES = 32
ROUNDS = 90
NO_SECRET = bytes(SECRET_BYTES)

_U16_MAX = 0xFFFF
_BLOCK = 256
_BITS = [bytes((value >> bit) & 1 for bit in range(8)) for value in range(256)]
_Round = tuple[int, Any]
"""The pivot, and the hash object that was fed the seed and the round."""


def draw_id(room: str, run: str) -> bytes:
    """Name one draw: this opening of this room and no other."""
    return f"{room}:{run}".encode()


def field(value: bytes) -> bytes:
    """Put the length in front (2 bytes, big endian), so that no two lists of fields give the same bytes.

    Raises ValueError for more than 65,535 bytes.
    """
    if len(value) > _U16_MAX:
        message = f"a field of {len(value)} bytes is too long"
        raise ValueError(message)
    return len(value).to_bytes(2, "big") + value


def leaf(draw: bytes, ticket_id: bytes, identity_tag: bytes = b"", holder_key: bytes = b"") -> bytes:
    """Commit to one ticket in 16 bytes: who holds it and to whom it is bound, without telling either."""
    return sha256(
        b"\x00" + field(draw) + field(ticket_id) + field(identity_tag) + field(holder_key)
    ).digest()[:LEAF_BYTES]


def commitment(draw: bytes, secret: bytes) -> bytes:
    """Bind the operator to a secret before the room opens. Raises ValueError unless it has 32 bytes."""
    return sha256(b"waitroom-commit-v1" + field(draw) + _exactly(SECRET_BYTES, secret)).digest()


def seed(
    draw: bytes,
    n: int,
    root: bytes,
    *,
    chain_hash: bytes = b"",
    beacon_round: int = 0,
    randomness: bytes = b"",
    secret: bytes = NO_SECRET,
) -> bytes:
    """Derive the seed from what was published before (draw, n, root) and what was not known then.

    A draw by a committed secret alone (level B) leaves the three beacon fields empty.
    """
    return sha256(
        b"waitroom-draw-v1"
        + field(draw)
        + n.to_bytes(8, "big")
        + field(_exactly(32, root))
        + field(chain_hash)
        + beacon_round.to_bytes(8, "big")
        + field(randomness)
        + field(_exactly(SECRET_BYTES, secret))
    ).digest()


def rounds_for(n: int) -> int:
    """Return how many rounds a draw over n entries takes."""
    return max(ROUNDS, 4 * (n - 1).bit_length()) if n > 0 else ROUNDS


class Shuffle:
    """The permutation of one draw. Making one costs 2 * rounds hashes; keep it as long as the seed."""

    __slots__ = ("_rounds", "n", "seed")

    def __init__(self, seed: bytes, n: int, rounds: int | None = None) -> None:
        """Cache the pivot and the half-fed hash of every round."""
        if n < 1:
            message = "a draw needs at least one entry"
            raise ValueError(message)
        self.seed = _exactly(SEED_BYTES, seed)
        self.n = n
        self._rounds: list[_Round] = []
        for index in range(rounds_for(n) if rounds is None else rounds):
            start = sha256(self.seed + bytes((index,)))
            self._rounds.append((int.from_bytes(start.digest()[:8], "little") % n, start))

    @property
    def rounds(self) -> int:
        """How many rounds the permutation has."""
        return len(self._rounds)

    def rank(self, number: int) -> int:
        """Return the rank drawn for an arrival number. Raises ValueError outside [0, n)."""
        return self._walk(number, self._rounds)

    def number(self, rank: int) -> int:
        """Return who drew a rank: the inverse. Each round is its own inverse, so walk them backwards."""
        return self._walk(rank, reversed(self._rounds))

    def ranks(self) -> "array[int]":
        """Return the rank of every number, in the order of the numbers. 8 bytes an entry."""
        return self._list(reversed(self._rounds))

    def numbers(self) -> "array[int]":
        """Return everyone's number, in the order of the ranks: the list that people are called by."""
        return self._list(self._rounds)

    def _walk(self, index: int, rounds: Iterable[_Round]) -> int:
        n = self.n
        if not 0 <= index < n:
            message = f"{index} is not in a draw over {n}"
            raise ValueError(message)
        for pivot, start in rounds:
            flip = (pivot - index) % n
            position = index if index > flip else flip  # noqa: FURB136 - max() here costs a tenth of the walk
            source = start.copy()
            source.update((position >> 8).to_bytes(4, "little"))
            if source.digest()[(position & 255) >> 3] >> (position & 7) & 1:
                index = flip
        return index

    def _list(self, rounds: Iterable[_Round]) -> "array[int]":
        """Swap the whole list round by round; both parts of a round are mirrors, so each pair meets once."""
        n = self.n
        entries = list(range(n))
        for pivot, start in rounds:
            bits = self._bits(start)
            # [0, pivot] mirrors around its middle; so does what lies above, around its own.
            for low, high in ((0, pivot), (pivot + 1, n - 1)):
                half = (high - low + 1) // 2
                above = high - half + 1
                for right in compress(range(above, high + 1), bits[above : high + 1]):
                    left = low + high - right
                    entries[left], entries[right] = entries[right], entries[left]
        return array("q", entries)

    def _bits(self, start: Any) -> bytes:
        """Return one byte (0 or 1) for each position of a round."""
        sources = []
        for block in range((self.n + _BLOCK - 1) // _BLOCK):
            source = start.copy()
            source.update(block.to_bytes(4, "little"))
            sources.append(source.digest())
        return b"".join([_BITS[byte] for byte in b"".join(sources)])


def _exactly(size: int, value: bytes) -> bytes:
    if len(value) != size:
        message = f"{size} bytes are needed, not {len(value)}"
        raise ValueError(message)
    return value
