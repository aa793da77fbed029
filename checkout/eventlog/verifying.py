"""Verifying: whether the log is as it was written, and exactly what is not.

Looked at in one transaction, in order, without keeping more than one entry and one block:

* each **stream**: entries are numbered from 1 without a gap, each names the hash of the one before, each has the hash
  that its parts make, all are of one event, and no time goes back;
* the **blocks**: numbered from 1 without a gap, each names the hash of the one before, has as many entries as it says,
  all of them there, and the hash that theirs make;
* what is in **no block** although it is older than ``patience_ms``.

Who may change every row and drop the triggers may also write a whole log anew, or cut its end off together with the
newest blocks. Against that stands what was noted elsewhere: ``Anchor``, the number and the hash of a block, which must
still be there.

A fault says where it is; after one the rest is read as it stands, so one change makes one or two faults and not a
thousand. Not here: whether tables are what the log comes to (``eventlog.rebuilding``).
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from checkout.eventlog.entries import NEW, NO_BLOCK, Block, Entry, Head, block_hash
from checkout.eventlog.store import AT_ONCE, read
from checkout.tables import EVENT_LOG, LOG_BLOCKS, LOG_MEMBERS

PATIENCE_MS = 120_000
"""Twice as long as it may take until all entries are looked at (``sealing.ALL_EVERY_MS``)."""

TOLD = 100
"""Faults that are told; there may be more."""

_LOG, _BLOCKS, _MEMBERS = EVENT_LOG.c, LOG_BLOCKS.c, LOG_MEMBERS.c
_OPTIONS = {"yield_per": AT_ONCE}


class Fault(NamedTuple):
    """Something that is not as it was written. ``where``: ``stream R… entry 3``, ``block 7``."""

    where: str
    what: str


class Anchor(NamedTuple):
    """A block that was noted elsewhere."""

    number: int
    hash: str


class TooMany(Exception):
    """More faults than are told."""


@dataclass(slots=True)
class Checked:
    """What was looked at, and what is wrong with it; ``last``: the newest block."""

    entries: int = 0
    streams: int = 0
    blocks: int = 0
    last: Block = NO_BLOCK
    faults: list[Fault] = field(default_factory=list)

    @property
    def is_right(self) -> bool:
        """True when nothing was found."""
        return not self.faults

    def lines(self) -> Iterable[str]:
        """Tell it to people."""
        yield f"{self.entries:,} entries in {self.streams:,} streams, {self.blocks:,} blocks"
        if self.last.number:
            yield f"newest block {self.last.number}:{self.last.hash}"
        yield from (f"{where}: {what}" for where, what in self.faults)
        if len(self.faults) >= TOLD:
            yield "and perhaps more: the first faults are told"
        yield "the log is as it was written" if self.is_right else f"{len(self.faults)} faults"

    def add(self, where: str, what: str) -> None:
        """Take a fault down. Raises ``TooMany``."""
        self.faults.append(Fault(where, what))
        if len(self.faults) >= TOLD:
            raise TooMany


def verify(
    connection: Connection,
    now_ms: int,
    *,
    patience_ms: int = PATIENCE_MS,
    anchor: Anchor | None = None,
) -> Checked:
    """Look at the whole log of a database; the connection sees one moment (``store.at_one_moment``)."""
    checked = Checked()
    try:
        for _ in chained(read(connection), checked):
            pass
        verify_blocks(connection, checked, now_ms, patience_ms=patience_ms, anchor=anchor)
    except TooMany:
        pass
    return checked


def verify_event(connection: Connection, event: str) -> Checked:
    """Look at the streams of one event; blocks are of the whole database."""
    checked = Checked()
    try:
        for _ in chained(read(connection, event), checked):
            pass
    except TooMany:
        pass
    return checked


# ------------------------------------------------------------------------------- streams


def chained(entries: Iterable[Entry], checked: Checked) -> Iterator[Entry]:
    """Hand entries on that come stream by stream, and take down what is wrong with them. Raises ``TooMany``."""
    stream, event, head = None, "", NEW
    for entry in entries:
        if entry.stream != stream:
            stream, event, head = entry.stream, entry.event, NEW
            checked.streams += 1
        checked.entries += 1
        for what in _wrong(entry, head, event):
            checked.add(f"stream {entry.stream} entry {entry.seq}", what)
        head = Head(entry.seq, entry.hash, entry.at_ms)
        yield entry


def _wrong(entry: Entry, head: Head, event: str) -> Iterator[str]:
    """Say what is wrong with an entry, by itself or after the one before it."""
    if entry.seq != head.seq + 1:
        yield f"it comes after entry {head.seq}" if head.seq else "it is the first that is there"
    elif entry.prev != head.hash:
        yield "it names another hash than that of the entry before"
    if entry.hash != entry.right_hash():
        yield "its hash is not that of what it says"
    if entry.event != event:
        yield f"it is of event {entry.event}, its stream of event {event}"
    if entry.at_ms < head.at_ms:
        yield f"its time is {head.at_ms - entry.at_ms} ms before that of the entry before"


# -------------------------------------------------------------------------------- blocks


class _Member(NamedTuple):
    block: int
    entry: int
    hash: str | None


class _Members:
    """The members of all blocks in order, to be taken block by block."""

    def __init__(self, rows: Iterator[_Member]) -> None:
        self._rows = rows
        self._next = next(rows, None)

    def before(self, number: int) -> Iterator[_Member]:
        """Take those of blocks below a number."""
        while self._next is not None and self._next.block < number:
            taken, self._next = self._next, next(self._rows, None)
            yield taken

    def rest(self) -> Iterator[_Member]:
        """Take what is left."""
        while self._next is not None:
            taken, self._next = self._next, next(self._rows, None)
            yield taken


def verify_blocks(
    connection: Connection,
    checked: Checked,
    now_ms: int,
    *,
    patience_ms: int = PATIENCE_MS,
    anchor: Anchor | None = None,
) -> None:
    """Look at all blocks, and for what is in none. Raises ``TooMany``."""
    _blocks(connection, checked, anchor)
    _sealed_in_time(connection, checked, now_ms - patience_ms)


def _blocks(connection: Connection, checked: Checked, anchor: Anchor | None) -> None:
    rows = (
        sa.select(_MEMBERS.block, _MEMBERS.entry, _LOG.hash)
        .join_from(LOG_MEMBERS, EVENT_LOG, _LOG.id == _MEMBERS.entry, isouter=True)
        .order_by(_MEMBERS.block, _MEMBERS.entry)
    )
    every = sa.select(LOG_BLOCKS).order_by(_BLOCKS.number)
    is_anchored = anchor is None
    with (
        connection.execute(rows, execution_options=_OPTIONS) as found,
        connection.execute(every, execution_options=_OPTIONS) as blocks,
    ):
        members = _Members(map(_Member._make, found))
        for block in map(Block._make, blocks):
            _strangers(members.before(block.number), checked)
            for what in _wrong_block(block, checked.last, list(members.before(block.number + 1))):
                checked.add(f"block {block.number}", what)
            is_anchored = is_anchored or Anchor(block.number, block.hash) == anchor
            checked.blocks += 1
            checked.last = block
        _strangers(members.rest(), checked)
    if anchor is not None and not is_anchored:
        checked.add(f"block {anchor.number}", f"it is not there with the hash that was noted, {anchor.hash}")


def _strangers(members: Iterable[_Member], checked: Checked) -> None:
    for member in members:
        checked.add(f"entry with id {member.entry}", f"it is in block {member.block}, which is not there")


def _wrong_block(block: Block, before: Block, members: list[_Member]) -> Iterator[str]:
    """Say what is wrong with a block, by itself or after the one before it."""
    if block.number != before.number + 1:
        yield f"it comes after block {before.number}" if before.number else "it is the first that is there"
    elif block.prev != before.hash:
        yield "it names another hash than that of the block before"
    if block.at_ms < before.at_ms:
        yield f"its time is {before.at_ms - block.at_ms} ms before that of the block before"
    gone = [member.entry for member in members if member.hash is None]
    if gone:
        told = ", ".join(map(str, gone[:10])) + (", …" if len(gone) > 10 else "")
        yield f"{len(gone)} of its entries are gone: id {told}"
    if len(members) != block.entries:
        yield f"it has {len(members)} entries and says {block.entries}"
    hashes = [member.hash for member in members if member.hash is not None]
    if not gone and block.hash != block_hash(block.number, block.at_ms, block.prev, hashes):
        yield "its hash is not that of what it says and of its entries"


def _sealed_in_time(connection: Connection, checked: Checked, before_ms: int) -> None:
    """Find what is older and in no block."""
    late = (
        sa.select(_LOG.stream, _LOG.seq, _LOG.at_ms)
        .join_from(EVENT_LOG, LOG_MEMBERS, _MEMBERS.entry == _LOG.id, isouter=True)
        .where(_MEMBERS.entry.is_(None), _LOG.at_ms < before_ms)
        .order_by(_LOG.id)
        .limit(TOLD)
    )
    for stream, seq, at_ms in connection.execute(late):
        told = f"it is in no block, {(before_ms - at_ms) // 1000:,} s longer than it may be; is a sealer running?"
        checked.add(f"stream {stream} entry {seq}", told)
