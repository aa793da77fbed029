"""Entry: one thing that happened to one sale, chained to what happened to it before; and the block that seals many.

A *stream* is everything of one sale, from its reservation to the last refund, and has the reservation's id. Its entries
are numbered from 1 without a gap, and each names the hash of the one before (``prev``, '' for the first). So nobody
waits for anybody else's sale, and within one nothing can be changed, left out or put in between. That a whole stream
is missing shows in the *blocks*: each has the hashes of its entries, in the order of their ids, and the hash of the
block before.

A hash is SHA-256 over parts, each as UTF-8 after its length in four octets, big-endian, so that no two lists of parts
look alike. The first part names the form::

    entry   "wr-log-1"  event stream seq at_ms kind body prev
    block   "wr-block-1"  number at_ms prev, then the hash of each entry

``body`` is JSON in one form only: sorted keys, no spaces, UTF-8. Pure. Not here: which kinds there are and what they
mean (``eventlog.projecting``), the rows (``eventlog.store``). Why so: ADR-0017.
"""

import hashlib
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import orjson

_ENTRY, _BLOCK = b"wr-log-1", b"wr-block-1"
_CANONICAL = orjson.OPT_SORT_KEYS
_SHORT = 256
_LENGTHS = tuple(number.to_bytes(4, "big") for number in range(_SHORT))

Body = Mapping[str, Any]


class Head(NamedTuple):
    """The end of a stream, as far as somebody knows it."""

    seq: int
    hash: str
    at_ms: int = 0


NEW = Head(0, "")
"""The end of a stream that nothing has happened to yet."""


class Draft(NamedTuple):
    """Something that has just happened, not chained yet."""

    event: str
    stream: str
    kind: str
    body: Body
    at_ms: int


class Entry(NamedTuple):
    """A row of ``event_log``."""

    id: int
    event: str
    stream: str
    seq: int
    at_ms: int
    kind: str
    body: str
    prev: str
    hash: str

    def read(self) -> Body:
        """Read the body. Raises ``ValueError`` when it is no object in JSON."""
        body = orjson.loads(self.body)
        if not isinstance(body, dict):
            raise ValueError("the body is no object")  # noqa: TRY004 (it is what JSON says, not what a caller did)
        return body

    def right_hash(self) -> str:
        """Make the hash that it ought to have."""
        return entry_hash(self.event, self.stream, self.seq, self.at_ms, self.kind, self.body, self.prev)


class Block(NamedTuple):
    """A row of ``log_blocks``."""

    number: int
    at_ms: int
    entries: int
    prev: str
    hash: str


NO_BLOCK = Block(0, 0, 0, "", "")
"""What stands before the first block."""


def canonical(body: Body) -> str:
    """Write a body in its one form."""
    return orjson.dumps(body, option=_CANONICAL).decode()


def entry_hash(event: str, stream: str, seq: int, at_ms: int, kind: str, body: str, prev: str) -> str:
    """Chain an entry."""
    return _hash((_ENTRY, event.encode(), stream.encode(), b"%d" % seq, b"%d" % at_ms, kind.encode(),
                  body.encode(), prev.encode()))  # fmt: skip


def block_hash(number: int, at_ms: int, prev: str, hashes: Iterable[str]) -> str:
    """Seal entries by their hashes, which come in the order of their ids."""
    members = [one.encode() for one in hashes]
    return _hash((_BLOCK, b"%d" % number, b"%d" % at_ms, prev.encode(), *members))


def _hash(parts: Iterable[bytes]) -> str:
    lengths = _LENGTHS
    octets = [
        lengths[len(part)] + part if len(part) < _SHORT else len(part).to_bytes(4, "big") + part
        for part in parts
    ]
    return hashlib.sha256(b"".join(octets)).hexdigest()
