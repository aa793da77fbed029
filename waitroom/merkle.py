"""Merkle: one hash that fixes every leaf of the draw and its place, before the seed exists.

The tree of RFC 6962 section 2.1 (Certificate Transparency), so a list of any length has exactly one
shape. What stands below is ``SHA-256(0x00 ‖ number ‖ leaf)`` with the number as 8 bytes, big endian: a
leaf is bound to its arrival number, and the first byte keeps leaves and inner nodes apart. The root of no
leaves is ``SHA-256("")``. A slot that nobody holds counts with 16 zero bytes.

Leaves come as they are stored: 16 bytes each, one after the other, in blocks of any size. Not here: what
a leaf commits to (``draw``).
"""

from collections.abc import Iterable, Sequence
from hashlib import sha256

from waitroom.draw import LEAF_BYTES

_EMPTY = sha256(b"").digest()


def leaf_hash(number: int, leaf: bytes) -> bytes:
    """Hash one leaf together with its arrival number."""
    return sha256(b"\x00" + number.to_bytes(8, "big") + leaf).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Hash two subtrees into one."""
    return sha256(b"\x01" + left + right).digest()


class Tree:
    """The root in the making, for leaves that arrive block by block from somewhere slow.

    Keeps one hash for each bit of the count: a million leaves need a kilobyte.
    """

    __slots__ = ("_peaks", "_start", "count")

    def __init__(self, first: int = 0) -> None:
        """Begin with the leaf of number `first`; other than 0 for a subtree."""
        self.count = 0
        self._start = first
        self._peaks: list[tuple[int, bytes]] = []

    def add(self, block: bytes) -> None:
        """Append a block of leaves. Raises ValueError when it does not hold whole leaves."""
        if len(block) % LEAF_BYTES:
            message = f"a block of {len(block)} bytes does not hold whole leaves"
            raise ValueError(message)
        peaks, number = self._peaks, self._start + self.count
        for at in range(0, len(block), LEAF_BYTES):
            size, top = 1, leaf_hash(number, block[at : at + LEAF_BYTES])
            number += 1
            while peaks and peaks[-1][0] == size:
                top = node_hash(peaks.pop()[1], top)
                size *= 2
            peaks.append((size, top))
        self.count = number - self._start

    def root(self) -> bytes:
        """Return the root over everything added so far."""
        if not self._peaks:
            return _EMPTY
        *rest, (_, top) = self._peaks
        for _, peak in reversed(rest):
            top = node_hash(peak, top)
        return top


def root(blocks: Iterable[bytes], first: int = 0) -> bytes:
    """Return the root over blocks of leaves; `first` is the number of the first leaf."""
    tree = Tree(first)
    for block in blocks:
        tree.add(block)
    return tree.root()


def proof(leaves: bytes, number: int) -> list[bytes]:
    """Return the hashes that lead from one leaf up to the root, lowest first.

    `leaves` are all of them, in one piece. Raises ValueError for a number that is not among them.
    """
    count = len(leaves) // LEAF_BYTES
    if len(leaves) % LEAF_BYTES or not 0 <= number < count:
        message = f"no leaf {number} in {len(leaves)} bytes of leaves"
        raise ValueError(message)
    path: list[bytes] = []
    low, high = 0, count
    while high - low > 1:
        middle = low + _left_size(high - low)
        if number < middle:
            path.append(root([leaves[middle * LEAF_BYTES : high * LEAF_BYTES]], middle))
            high = middle
        else:
            path.append(root([leaves[low * LEAF_BYTES : middle * LEAF_BYTES]], low))
            low = middle
    return path[::-1]


def verify(expected: bytes, count: int, number: int, leaf: bytes, path: Sequence[bytes]) -> bool:
    """Tell whether `leaf` stands at `number` among the `count` leaves under the root `expected`."""
    if not 0 <= number < count or len(leaf) != LEAF_BYTES:
        return False
    index, last = number, count - 1
    top = leaf_hash(number, leaf)
    for sibling in path:
        if last == 0:
            return False
        if index % 2 or index == last:
            top = node_hash(sibling, top)
            while index % 2 == 0 and index > 0:
                index //= 2
                last //= 2
        else:
            top = node_hash(top, sibling)
        index //= 2
        last //= 2
    return last == 0 and top == expected


def _left_size(count: int) -> int:
    """Return the largest power of two below `count`: the size of the left subtree (RFC 6962)."""
    return 1 << ((count - 1).bit_length() - 1)
