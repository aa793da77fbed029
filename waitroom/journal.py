"""Journal: the append-only record of what must survive the store, as one hash chain.

Each entry names the hash of the one before, so whoever changes, drops, adds or reorders an old entry has to
change every later hash as well, and a head that was signed or kept elsewhere no longer fits. One chain for
all rooms and all writers of an installation (ADR-0006); ``seq`` counts from 1 without holes.

Hash of an entry: SHA-256 over nine fields, each preceded by its length in bytes as 4 bytes big-endian::

    "waitroom-journal-v1"  prev (32 raw bytes)  seq  at_ms  room  run  kind  body  source

Numbers are ASCII decimals, texts UTF-8; ``body`` is one JSON object of text values: keys sorted by code point,
no blanks, everything outside ASCII escaped. ``prev`` of entry 1 is ``GENESIS``, the SHA-256 of the domain's
19 bytes. ``source`` is '' or the name of the act that the entry records; a name is written once, so a
repeated delivery is no second entry.

Leaves of joined visitors stand beside the chain, in blocks; an entry of kind ``leaves`` binds them to it by
``start``, ``count`` and ``sha256``. Nothing secret may enter: no ticket, token, cookie or address.
Not here: where it is stored (``journal_store``), how it gets there (``drain``), what follows from it
(``recovery``).
"""

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

import orjson

DOMAIN = b"waitroom-journal-v1"
HEAD_DOMAIN = b"waitroom-journal-head-v1"
GENESIS = hashlib.sha256(DOMAIN).digest()

LEAF_BYTES = 16
BLOCK_LEAVES = 1024
"""Leaves in one stored row at most; rows never cross a multiple of it, as published blocks do not."""


class Kind(StrEnum):
    """What an entry records. The body's fields are those of the transition that wrote it."""

    CONFIGURED = "configured"
    REMOVED = "removed"
    OPENED = "opened"
    PHASE = "phase"
    CALLED = "called"
    CLIMBED = "climbed"
    SLOWED = "slowed"
    ASKED = "asked"
    PASSED = "passed"
    ENLISTED = "enlisted"
    FROZEN = "frozen"
    DRAWN = "drawn"
    ADMITTED = "admitted"
    RENEWED = "renewed"
    ENDED = "ended"
    LEFT = "left"
    BYPASSED = "bypassed"
    EVICTED = "evicted"
    REINSTATED = "reinstated"
    RESTORED = "restored"
    LEAVES = "leaves"
    VOIDED = "voided"
    OPERATOR = "operator"
    ACCESS = "access"
    TARGET = "target"
    OTHER = "other"
    """A word that this version does not know (a newer worker wrote it); kept in the body as ``kind``."""


_KINDS = {kind.value: kind for kind in Kind}


def kind_of(word: str) -> Kind:
    """Return the kind for a word; ``OTHER`` for one that is not known here."""
    return _KINDS.get(word, Kind.OTHER)


@dataclass(frozen=True, slots=True)
class NewEntry:
    """What is to be recorded; its place in the chain is not known yet."""

    at_ms: int
    room: str
    run: str
    kind: Kind
    body: Mapping[str, str]
    source: str = ""


@dataclass(frozen=True, slots=True)
class Entry:
    """A recorded fact in its place."""

    seq: int
    at_ms: int
    room: str
    run: str
    kind: Kind
    body: Mapping[str, str]
    source: str
    prev: bytes
    hash: bytes


@dataclass(frozen=True, slots=True)
class Leaves:
    """Leaves of the numbers from `start` on, 16 bytes each; a void slot is zero bytes."""

    room: str
    run: str
    start: int
    octets: bytes
    at_ms: int

    @property
    def count(self) -> int:
        """How many numbers."""
        return len(self.octets) // LEAF_BYTES

    @property
    def stop(self) -> int:
        """The first number after them."""
        return self.start + self.count


@dataclass(frozen=True, slots=True)
class Head:
    """The chain's end at some moment, signed: proof, wherever it is kept, that the chain reached so far."""

    seq: int
    at_ms: int
    hash: bytes
    signature: str


@dataclass(frozen=True, slots=True)
class Fault:
    """Where the journal is broken first, and how."""

    seq: int
    why: str


def body_text(body: Mapping[str, str]) -> str:
    """Write a body in its one canonical form.

    Raises TypeError for a value that is not text, UnicodeEncodeError for one that is no valid Unicode.
    """
    if not all(isinstance(value, str) for value in body.values()):
        raise TypeError("a journal entry's body holds texts only")
    text = "".join((*body, *body.values()))
    if text.isascii() and text.isprintable():
        # The same text in a tenth of the time; thousands of admissions a second come this way.
        return orjson.dumps(dict(body), option=orjson.OPT_SORT_KEYS).decode()
    text.encode()
    return json.dumps(dict(body), sort_keys=True, separators=(",", ":"), ensure_ascii=True)


def entry_hash(entry: NewEntry | Entry, seq: int, prev: bytes) -> bytes:
    """Hash an entry in its place."""
    fields = (
        DOMAIN,
        prev,
        str(seq).encode(),
        str(entry.at_ms).encode(),
        entry.room.encode(),
        entry.run.encode(),
        entry.kind.value.encode(),
        body_text(entry.body).encode(),
        entry.source.encode(),
    )
    return hashlib.sha256(b"".join(len(field).to_bytes(4, "big") + field for field in fields)).digest()


def chain(entries: Iterable[NewEntry], seq: int, prev: bytes) -> list[Entry]:
    """Put entries after the head (`seq`, `prev`); an empty chain's head is (0, ``GENESIS``)."""
    placed: list[Entry] = []
    for entry in entries:
        seq += 1
        digest = entry_hash(entry, seq, prev)
        placed.append(
            Entry(
                seq=seq,
                at_ms=entry.at_ms,
                room=entry.room,
                run=entry.run,
                kind=entry.kind,
                body=entry.body,
                source=entry.source,
                prev=prev,
                hash=digest,
            )
        )
        prev = digest
    return placed


def first_fault(entries: Iterable[Entry], heads: Iterable[Head] = ()) -> Fault | None:
    """Return the first place at which the whole chain is broken, or None.

    `entries` is the chain from 1 on, in order. `heads` are heads kept from earlier: one beyond the last entry
    tells that the end was cut off (the fault is then at the first missing `seq`). A head is compared, its
    signature is checked by whoever holds the public key.
    """
    kept: dict[int, set[bytes]] = {}
    for head in heads:
        kept.setdefault(head.seq, set()).add(head.hash)
    seq, prev = 0, GENESIS
    for entry in entries:
        seq += 1
        if entry.seq != seq:
            return Fault(seq, f"the entry is missing; the next one is {entry.seq}")
        if entry.prev != prev:
            return Fault(seq, "the entry does not follow the one before")
        if entry.hash != entry_hash(entry, seq, prev):
            return Fault(seq, "the entry is not what its hash says")
        if kept.pop(seq, {entry.hash}) != {entry.hash}:
            return Fault(seq, "the entry is not the one that a head was kept of")
        prev = entry.hash
    return Fault(seq + 1, f"the end is missing: a head was kept of {max(kept)}") if kept else None


def verify(entries: Iterable[Entry], heads: Iterable[Head] = ()) -> int | None:
    """Return the first `seq` at which the whole chain is broken, or None; see ``first_fault``."""
    fault = first_fault(entries, heads)
    return fault.seq if fault is not None else None


def head_message(seq: int, at_ms: int, digest: bytes) -> bytes:
    """Return the bytes that are signed for a head: domain, seq, time and hash (hex), one line each."""
    return b"%s\n%d\n%d\n%s\n" % (HEAD_DOMAIN, seq, at_ms, digest.hex().encode())


def leaves_entry(leaves: Leaves) -> NewEntry:
    """Bind a piece of leaves to the chain."""
    return NewEntry(
        at_ms=leaves.at_ms,
        room=leaves.room,
        run=leaves.run,
        kind=Kind.LEAVES,
        body={
            "start": str(leaves.start),
            "count": str(leaves.count),
            "sha256": hashlib.sha256(leaves.octets).hexdigest(),
        },
        source=f"{leaves.room}:{leaves.run}:leaves:{leaves.start}",
    )


def blocks(leaves: Leaves) -> Iterator[tuple[int, bytes]]:
    """Cut leaves into rows (start, octets) that never cross a multiple of ``BLOCK_LEAVES``."""
    start = leaves.start
    while start < leaves.stop:
        stop = min(leaves.stop, (start // BLOCK_LEAVES + 1) * BLOCK_LEAVES)
        yield start, leaves.octets[(start - leaves.start) * LEAF_BYTES : (stop - leaves.start) * LEAF_BYTES]
        start = stop


def source_of(room: str, run: str, stream_id: str, fields: Sequence[bytes]) -> str:
    """Name an entry of a room's stream: by its id, and by what it says.

    The id alone would not do: a store that was wiped while its clock went back can give the same id to another
    act, which then would be taken for a repeat and lost.
    """
    digest = hashlib.sha256(b"".join(len(field).to_bytes(4, "big") + field for field in fields))
    return f"{room}:{run}:{stream_id}:{digest.hexdigest()[:16]}"
