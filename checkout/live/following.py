"""Following: one worker's copy of a hall, and what its viewers have been told of it.

Pure: no store, no sockets, no time. The worker reads the hall's deltas (``take``) and now and then makes one *telling*
of all that came in between (``tell``): one message of the stream, coalesced, encoded once, the same bytes for every
viewer. A telling goes from one version to another and names every seat that any delta in between has named, so it is
right for whoever stands anywhere in between, not only at its beginning; that is why a viewer may bring a version from
any worker.

A viewer is a *bookmark* in the row of tellings and nothing more: there is no queue for each. Who falls behind gets all
that was missed in one message, joined anew (``pull``); whom the row no longer reaches, and everybody when the copy was
replaced, is told ``reset`` and takes a snapshot. Resets are paid out (``resets_left``), so that a thousand viewers do
not ask for the map in the same instant. A viewer that is ahead of this copy, because another worker was faster,
hears nothing until the copy has passed it.

While the hall is told by sections only (``counts``) the row stands still; afterwards everybody is told ``reset``.

The wire is that of server-sent events (HTML standard, 9.2.6): ``id`` is the version after the message. Not here:
reading the store, timing, waking viewers (``live.service``); how a copy judges a delta (``deltas``).
"""

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import orjson

from checkout.halls import deltas
from checkout.halls.deltas import Copy, Step, Version
from checkout.halls.seats import Status, counts, statuses
from checkout.holds.answers import Seen

TELLINGS_KEPT = 256
"""Tellings that a viewer may be behind: most of a minute at five a second."""

TEXT_KEPT_BYTES = 64_000
"""The same in bytes of their texts: more would cost a viewer more than the map does."""

MESSAGE_MOST_BYTES = 32_000
"""A message above this is not sent: the packed map of 60,000 seats is half as long, so ``reset`` is cheaper."""

PENDING_MOST = 1_000
"""So many deltas wait one by one for a telling; while nobody is told, more are joined."""

KEEP_ALIVE = b":\n\n"

Entry = tuple[str, str]
"""A delta as the store has it: its id there, and its text."""

Stretch = tuple[int, int]
"""The seats of a section: the first, and how many."""


def message(version: Version, text: str) -> bytes:
    """Write a delta for the stream."""
    return f"id: {version}\ndata: {text}\n\n".encode()


def check(version: Version, mark: str) -> bytes:
    """Write the mark of a version."""
    return f"event: check\nid: {version}\ndata: {mark}\n\n".encode()


def reset(version: Version) -> bytes:
    """Write that the map must be fetched anew."""
    return f"event: reset\nid: {version}\ndata: {deltas.RESET}\n\n".encode()


def free_by_section(octets: bytes | bytearray, sections: Iterable[Stretch]) -> list[Stretch]:
    """Count the free seats, and all seats, of each section."""
    plain = statuses(bytes(octets))
    return [(plain.count(Status.FREE, first, first + count), count) for first, count in sections]


class Telling(NamedTuple):
    """What all viewers are sent at one moment. ``text`` is empty where it says nothing new."""

    number: int
    before: Version
    version: Version
    text: str
    octets: bytes


@dataclass(slots=True)
class Bookmark:
    """Where one viewer is. ``run`` names the row that ``at`` counts in; -1 is none."""

    run: int = -1
    at: int = 0
    ahead: Version | None = None
    """The viewer has this version, which had not been told here when it came."""
    counted: int = 0
    """The number of the counts that the viewer has."""


class Follower:
    """One worker's copy of one hall."""

    def __init__(self) -> None:
        self.copy: Copy | None = None
        self.told = Version(0, 0, 0)
        """Up to here viewers have been told."""
        self.run = 0
        self.number = 0
        """Of the last telling; never goes back."""
        self.resets_left = 0
        self.since_check = 0
        """Deltas told since viewers could compare the mark."""
        self.counts = b""
        """Where only sections are told: the last message that did; else nothing."""
        self._counts_number = 0
        self._pending: list[str] = []
        self._floor = self.told
        """The oldest version from which the row goes on without a hole."""
        self._row: deque[Telling] = deque()
        self._row_bytes = 0
        self._joined: dict[int, bytes] = {}
        self._seen: Seen | None = None

    # ------------------------------------------------------------------------------ the copy

    def begin(self, seen: Seen) -> None:
        """Replace the copy; viewers have to do the same."""
        at = deltas.version(seen.version)
        self.copy = Copy(bytearray(seen.map), at)
        self._seen = seen
        self._new_run(at)

    def lose(self) -> None:
        """Forget a copy that is of a hall which is no more; viewers hear nothing until there is another."""
        self.copy = None
        self._seen = None
        self._new_run(self.told)

    def take(self, entries: Iterable[Entry]) -> bool:
        """Apply the next deltas of the store; False when the copy must be replaced."""
        copy = self.copy
        if copy is None:
            return False
        for id_, text in entries:
            match copy.take(deltas.version(f"{copy.version.epoch}:{id_}"), text):
                case Step.NEXT:
                    if not self.counts:
                        self._pending.append(text)
                case Step.LOST:
                    return False
                case Step.KNOWN:
                    pass
        if len(self._pending) > PENDING_MOST:
            self._pending = [deltas.coalesce(self._pending, len(copy.octets))]
        return True

    @property
    def has_news(self) -> bool:
        """True when something came that viewers have not been told."""
        return bool(self._pending)

    @property
    def seen(self) -> Seen:
        """The whole hall as it is here. Only while there is a copy."""
        copy = self._own()
        if self._seen is None or self._seen.version != str(copy.version):
            octets = bytes(copy.octets)
            self._seen = Seen(copy.version.epoch, copy.version.delta, octets, counts(octets))
        return self._seen

    # ---------------------------------------------------------------------------- the tellings

    def tell(self, *, check_after: int | None = None) -> Telling | None:
        """Put all that came since the last telling into one; None when there is nothing to say.

        `check_after`: add the mark if viewers were told more than so many deltas since the last mark, this telling
        included; None: not now.
        """
        copy = self._own()
        came, self._pending = self._pending, []
        text = deltas.coalesce(came, len(copy.octets)) if came else ""
        if len(text) > MESSAGE_MOST_BYTES:
            self._new_run(copy.version)
            return None
        self.since_check += len(came)
        octets = message(copy.version, text) if text else b""
        if check_after is not None and self.since_check > check_after:
            octets += check(copy.version, deltas.mark(copy.octets))
            self.since_check = 0
        return self._add(text, octets) if octets else None

    def keep_alive(self) -> Telling:
        """Say nothing, so that nobody on the way takes the stream for dead."""
        return self._add("", KEEP_ALIVE)

    def count(self, sections: Sequence[Stretch]) -> None:
        """Tell sections from now on, or anew."""
        if not self.counts:
            self._new_run(self._own().version)
        data = orjson.dumps({"sections": sections})
        # No id: whoever comes back asks for what came after the last message about seats.
        self.counts = b"event: counts\ndata: %b\n\n" % data
        self._counts_number += 1

    def tell_seats(self) -> None:
        """Tell seats again, from here on."""
        if self.counts:
            self.counts = b""
            self._new_run(self._own().version)

    # ------------------------------------------------------------------------------ one viewer

    def place(self, bookmark: Bookmark, at: Version | None) -> bool:
        """Put a viewer that has this version (None: that wants what comes from now on) where it goes on.

        False when the row does not reach back so far.
        """
        copy = self.copy
        if self.counts or copy is None:
            return True
        if at is not None and at.epoch != copy.version.epoch:
            return False
        bookmark.ahead = None
        if at is None or at >= self.told:
            bookmark.at = self.number
            bookmark.ahead = at if at is not None and at > self.told else None
        elif at >= self._floor:
            bookmark.at = next(one.number for one in self._row if one.version > at) - 1
        else:
            return False
        bookmark.run = self.run
        return True

    def is_lost(self, bookmark: Bookmark) -> bool:
        """Tell whether a viewer waits for its ``reset``."""
        return bookmark.run != self.run and self.copy is not None and not self.counts

    def pull(self, bookmark: Bookmark) -> bytes:
        """Give a viewer what it has not been told yet, and turn the page; nothing when it has to wait."""
        if self.copy is None:
            return b""
        if self.counts:
            if bookmark.counted == self._counts_number:
                return b""
            bookmark.counted = self._counts_number
            bookmark.run = -1
            return self.counts
        if bookmark.run == self.run:
            behind = self.number - bookmark.at
            if behind <= len(self._row):
                return self._next(bookmark, behind) if behind else b""
            bookmark.run = -1
        if not self.resets_left:
            return b""
        self.resets_left -= 1
        bookmark.run, bookmark.at, bookmark.ahead = self.run, self.number, None
        return reset(self.told)

    def _next(self, bookmark: Bookmark, behind: int) -> bytes:
        last = self._row[-1]
        octets = last.octets
        if behind > 1:
            # All who are as far behind get the same bytes.
            octets = self._joined.get(behind) or self._joined.setdefault(behind, self._join(behind))
        bookmark.at = self.number
        if bookmark.ahead is not None:
            if last.version <= bookmark.ahead:
                return b""
            bookmark.ahead = None
        return octets

    def _join(self, behind: int) -> bytes:
        texts = [one.text for one in list(self._row)[-behind:] if one.text]
        if not texts:
            return self._row[-1].octets
        return message(self.told, deltas.coalesce(texts, len(self._own().octets)))

    # ---------------------------------------------------------------------------------- the row

    def _add(self, text: str, octets: bytes) -> Telling:
        self.number += 1
        version = self._own().version if text else self.told
        told = Telling(self.number, self.told, version, text, octets)
        self.told = told.version
        self._row.append(told)
        self._row_bytes += len(text)
        while len(self._row) > TELLINGS_KEPT or self._row_bytes > TEXT_KEPT_BYTES:
            old = self._row.popleft()
            self._row_bytes -= len(old.text)
            self._floor = old.version
        self._joined.clear()
        return told

    def _new_run(self, at: Version) -> None:
        self.run += 1
        self.told = self._floor = at
        self.since_check = 0
        self._pending = []
        self._row.clear()
        self._row_bytes = 0
        self._joined.clear()

    def _own(self) -> Copy:
        if self.copy is None:
            raise RuntimeError("there is no copy of the hall")
        return self.copy
