"""Restoring: puts a room back that the store has lost, before anybody is told that it is gone.

Order matters (docs/recovery.md): the restoration is written to the journal first; what a rolled-back store
still has of an earlier opening is taken away; then settings, leaves and the door's state go to the store, and the
line itself comes last: without a line nobody joins and nobody claims, so nothing half-restored is ever used.
Several workers may do this at once; the transition ``restore`` lets one of them win, and the others then tell
the line what they remember (``service``).
"""

import asyncio
import logging

from kernel.clock import Clock
from waitroom.configure import Configurations
from waitroom.enlist import Enlisted
from waitroom.journal import Entry, Kind
from waitroom.journal_store import JournalStore
from waitroom.lanes import Lane
from waitroom.line import LEAF_BYTES, Line
from waitroom.ports import Door
from waitroom.priority import named
from waitroom.priority_store import PriorityStore
from waitroom.reading import Reading
from waitroom.recovery import Memory, Restoration, announcement, fell_back, plan
from waitroom.rooms import Room
from waitroom.service import Waitroom

log = logging.getLogger(__name__)

LEAVES_AT_ONCE = 65_536
TAGS_AT_ONCE = 2_000


class Restorer:
    """Looks after the rooms of one worker."""

    def __init__(
        self,
        waitroom: Waitroom,
        journal: JournalStore,
        configurations: Configurations,
        door: Door,
        clock: Clock,
        priority: PriorityStore | None = None,
    ) -> None:
        """Join the parts; `priority` is where used codes go back to."""
        self._priority = priority
        self._waitroom = waitroom
        self._journal = journal
        self._configurations = configurations
        self._door = door
        self._clock = clock
        self._fresh: set[str] = set()
        self._compared: set[str] = set()

    async def settings(self, rooms: dict[str, Room]) -> None:
        """Put settings back that the store has lost; `rooms` are those that the journal or we remember."""
        for room in rooms.values():
            await self._configurations.restore(room)

    def doubt(self, room: str) -> None:
        """Compare a room with the journal once more: somebody saw that the store knows less."""
        self._compared.discard(room)

    async def mend(self, room: str) -> bool:
        """Restore a room if the store has lost it; return whether the room may be kept now.

        A room without a line is one that was never opened, unless the journal says otherwise: then opening
        it anew would take everybody's place. A worker that has just started remembers nothing, so it compares
        the store's line with the journal once.
        """
        reading = self._waitroom.reading(room)
        if reading.line is not None and not reading.fallen:
            if room in self._compared:
                return True
            state = await asyncio.to_thread(self._journal.state, room)
            await self._waitroom.refresh_room(room)
            self._compared.add(room)
            if not fell_back(reading.line, state, []):
                return True
            reading.fallen = True
        if reading.line is None and room in self._fresh:
            return True
        state = await asyncio.to_thread(self._journal.state, room)
        memory = reading.memory
        memories = [Memory(memory, round(reading.joins_per_s), reading.proof)] if memory else []
        restoration = plan(state, memories, self._clock.now_ms())
        if restoration is None:
            self._fresh.add(room)
            return True
        await self._restore(room, reading, restoration)
        return False

    async def _restore(self, room: str, reading: Reading, restoration: Restoration) -> None:
        why = (
            "the store knew less than we"
            if reading.fallen
            else "the store knew nothing of a room in the journal"
        )
        log.warning("restoring a room", extra={"room": room, "why": why, "epoch": restoration.line.epoch})
        note = announcement(room, restoration, why, self._clock.now_ms())
        appended = await asyncio.to_thread(self._journal.append, [note])
        if not appended.entries:
            # Another worker is at it; if it dies on the way, the next try is an epoch higher.
            await self._waitroom.refresh_room(room)
            return
        line = restoration.line
        await self._configurations.restore(reading.base)
        await self._clear(room, line)
        for start in range(0, restoration.extent, LEAVES_AT_ONCE):
            count = min(LEAVES_AT_ONCE, restoration.extent - start)
            octets = await asyncio.to_thread(self._journal.leaves, room, line.run, start, count)
            await self._waitroom.store.put_leaves(room, start, octets[: count * LEAF_BYTES])
        await self._put_tags(room, line.run)
        await self._put_spent(room, line.run)
        sessions = {sid: session.until_ms for sid, session in restoration.sessions.items()}
        await self._door.restore(
            room, line.run, restoration.claimed, sessions, restoration.ended, restoration.evicted
        )
        seen = await self._waitroom.store.snapshot(room, whole_history=False)
        epoch = seen.line.epoch if seen.line else 0
        answer = await self._waitroom.store.restore(room, epoch, line, why, proof=restoration.proof)
        log.warning(
            "a room is back" if answer[0] == "done" else "somebody else put the room back",
            extra={"room": room, "epoch": line.epoch, "issued": line.issued, "gap": restoration.gap},
        )
        await self._waitroom.refresh_room(room)

    async def _put_tags(self, room: str, run: str) -> None:
        """Give every identity its place back, as far as the journal knows of it."""
        seq = 0
        while found := await asyncio.to_thread(
            self._journal.entries, room, seq, [Kind.ENLISTED], TAGS_AT_ONCE
        ):
            seq = found[-1].seq
            own = [(entry.body.get("tag", ""), place_of(entry)) for entry in found if entry.run == run]
            places = {tag: place for tag, place in own if tag and place is not None}
            await self._waitroom.store.put_tags(room, places)

    async def _put_spent(self, room: str, run: str) -> None:
        """Use every code up again by which a place of the run climbed."""
        if self._priority is None:
            return
        seq = 0
        while found := await asyncio.to_thread(
            self._journal.entries, room, seq, [Kind.CLIMBED], TAGS_AT_ONCE
        ):
            seq = found[-1].seq
            own = [
                (named(entry.body.get("why", "")), entry.body.get("number", ""))
                for entry in found
                if entry.run == run
            ]
            spent = {code[1]: int(number) for code, number in own if code and number.isdecimal()}
            await self._priority.put(room, spent)

    async def _clear(self, room: str, line: Line) -> None:
        """Take away what a rolled-back store still has of an earlier opening."""
        found = (await self._waitroom.store.snapshot(room, whole_history=False)).line
        if found is not None and found.run != line.run:
            store = self._waitroom.store
            stale = [*store.keys(room).of_run(found.issued), *self._door.stale_keys(room, found.issued)]
            await store.clear(room, line.run, line.epoch, stale)


def place_of(entry: Entry) -> Enlisted | None:
    """Read the place of an identity from its entry; None for one that cannot be read."""
    body = entry.body
    try:
        return Enlisted(int(body["number"]), int(body["epoch"]), Lane(body["lane"]), entry.at_ms)
    except (KeyError, ValueError):
        return None
