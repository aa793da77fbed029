"""Drain: carries what the store has recorded into the journal, about once a second.

Scripts write each act into the room's stream in the same step as the act itself, so neither the store nor the
journal alone can lose it. A drain reads the stream and the leaves that joined since, commits both to the
journal in one transaction, and only then takes the entries out of the stream. A crash in between leaves
them there; the next drain hands them in again and the journal knows them by name (``journal.source_of``).

Several workers may drain one room at once. The lease only spares them the work; nothing rests on it.
Entries are taken out one by one, by id, and not by "everything up to here": after a wipe the store may
give smaller ids than before, to acts that nobody has read yet.

Not here: how often (the worker's loop), what the journal means (``recovery``).
"""

import asyncio
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

from redis.asyncio import Redis

from kernel.clock import Clock
from kernel.store import translated
from waitroom.journal import LEAF_BYTES, Kind, Leaves, NewEntry, kind_of, source_of
from waitroom.journal_store import JournalStore
from waitroom.line import CHUNK
from waitroom.store import Keys

ENTRIES_AT_ONCE = 1000
LEAVES_AT_ONCE = 65_536
"""One megabyte: bounds what one call reads and one transaction writes."""

LEASE_MS = 2000


@dataclass(frozen=True, slots=True)
class Drained:
    """What a call added to the journal.

    `lag_ms` is the age of the oldest entry it found. `more` asks for another call at once: the call's bounds
    left something behind. `held` says that another worker has the lease. `fell_back` says that the store's
    counter is behind the journal's leaves: it was rolled back, and the line must be restored.
    """

    entries: int = 0
    leaves: int = 0
    lag_ms: int = 0
    more: bool = False
    held: bool = False
    fell_back: bool = False


class Drain:
    """Drains rooms, for one worker."""

    def __init__(self, client: Redis, journal: JournalStore, clock: Clock) -> None:
        """Join the parts; nothing is read yet."""
        self._client = client
        self._journal = journal
        self._clock = clock
        self._me = secrets.token_hex(8)
        self._extents: dict[tuple[str, str], int] = {}

    async def drain(self, room: str, run: str, *, lease: bool = True) -> Drained:
        """Carry over one portion of a room. Raises ``Unavailable``; then nothing was taken out.

        `run` is the one whose leaves are read, '' for a room without a line. With ``lease=False`` the caller
        does not mind the others: before a freeze is published, say, when everything must be in the journal.
        """
        if not lease:
            return await self._drain(room, run)
        name = f"wr:{{{room}}}:drain"
        with translated():
            if not await self._client.set(name, self._me, nx=True, px=LEASE_MS):
                return Drained(held=True)
        try:
            return await self._drain(room, run)
        finally:
            with translated():
                if await self._client.get(name) == self._me.encode():
                    await self._client.delete(name)

    async def _drain(self, room: str, run: str) -> Drained:
        keys = Keys(room)
        now_ms = self._clock.now_ms()
        with translated():
            found = await self._client.xrange(keys.journal, count=ENTRIES_AT_ONCE)
        acts = cast("list[tuple[bytes, dict[bytes, bytes]]]", found)
        leaves, left, fell_back = await self._read_leaves(keys, room, run, now_ms) if run else ([], 0, False)
        if not acts and not leaves:
            return Drained(fell_back=fell_back)
        entries = [_entry(room, stream_id.decode(), fields) for stream_id, fields in acts]
        try:
            appended = await asyncio.to_thread(self._journal.append, entries, leaves)
        except ValueError:
            # The journal has fewer leaves than we remember: it was put back from a copy. Look again.
            self._forget(room)
            raise
        if leaves:
            self._extents[room, run] = max(self._extents.get((room, run), 0), leaves[-1].stop)
        if acts:
            with translated():
                await self._client.xdel(keys.journal, *(stream_id for stream_id, _ in acts))
        return Drained(
            entries=sum(entry.kind is not Kind.LEAVES for entry in appended.entries),
            leaves=appended.leaves,
            lag_ms=max([0, *(now_ms - entry.at_ms for entry in entries)]),
            more=left > 0 or len(acts) == ENTRIES_AT_ONCE,
            fell_back=fell_back,
        )

    async def _read_leaves(
        self, keys: Keys, room: str, run: str, now_ms: int
    ) -> tuple[list[Leaves], int, bool]:
        """Read leaves that the journal does not have; return them, how many stay behind, and whether we fell back.

        Counter and leaves are written by one script, so below a counter that was read every leaf is there.
        Run and epoch are read again together with the leaves: a room that was opened anew or restored in
        between would hand us leaves of another line.
        """
        # First what the journal has, then the line: the other way round, a line that another worker drains
        # meanwhile would look as if it had fallen back.
        known = self._extents.get((room, run))
        if known is None:
            self._forget(room)
            known = self._extents[room, run] = await asyncio.to_thread(self._journal.leaf_extent, room, run)
        with translated():
            line = await self._client.hmget(keys.line, ["run", "epoch", "issued"])
        if line[0] != run.encode():
            return [], 0, False
        issued = int(line[2] or 0)
        if issued <= known:
            return [], 0, issued < known
        stop = min(issued, known + LEAVES_AT_ONCE)
        with translated():
            pipe = self._client.pipeline(transaction=True)
            pipe.hmget(keys.line, ["run", "epoch"])
            spans = _spans(known, stop)
            for start, end in spans:
                since = start % CHUNK * LEAF_BYTES
                pipe.getrange(keys.chunk(start), since, since + (end - start) * LEAF_BYTES - 1)
            again, *parts = await pipe.execute()
        if again != line[:2]:
            return [], issued - known, False
        # Slots that nobody wrote are void; where a whole chunk of them is missing they are zero bytes as well.
        octets = b"".join(
            bytes(part).ljust((end - start) * LEAF_BYTES, b"\0")
            for (start, end), part in zip(spans, parts, strict=True)
        )
        return [Leaves(room, run, known, octets, now_ms)], issued - stop, False

    def _forget(self, room: str) -> None:
        """Drop what is remembered of earlier runs of a room."""
        for where in [where for where in self._extents if where[0] == room]:
            del self._extents[where]


def _spans(start: int, stop: int) -> list[tuple[int, int]]:
    """Cut [start, stop) at the borders of the chunks."""
    spans = []
    while start < stop:
        end = min(stop, (start // CHUNK + 1) * CHUNK)
        spans.append((start, end))
        start = end
    return spans


def _entry(room: str, stream_id: str, fields: dict[bytes, bytes]) -> NewEntry:
    """Turn an act from the stream into an entry; what cannot be understood is kept as it is.

    Everything comes from the act itself, so two drainers always make the same entry of it.
    """
    body = {_text(name): _text(value) for name, value in fields.items()}
    word = body.pop("kind", "")
    kind = kind_of(word)
    if kind is Kind.OTHER:
        body["kind"] = word
    run = body.pop("run", "")
    at_ms = body.pop("at_ms", "")
    flat: Sequence[bytes] = [part for pair in fields.items() for part in pair]
    return NewEntry(
        at_ms=int(at_ms) if at_ms.isdecimal() else int(stream_id.partition("-")[0]),
        room=room,
        run=run,
        kind=kind,
        body=body,
        source=source_of(room, run, stream_id, flat),
    )


def _text(octets: bytes) -> str:
    return octets.decode(errors="backslashreplace")
