"""Journal watch: checks the chain in the background, a portion at a time, and says how far it holds.

A page that shows whether the journal is whole must not make a request wait for a million hashes. So a task goes along
the chain, then waits for what is new, and once an hour begins again: what was changed behind it shows then. It
compares each entry with its hash, with the entry before and with the signed heads. Leaves and signatures are checked by
``waitroom check journal`` (``journal_store.check``), which takes as long as it takes.
"""

import asyncio
import logging
from dataclasses import dataclass

from kernel.clock import Clock
from kernel.errors import Unavailable
from kernel.tasks import is_ending
from waitroom.journal import GENESIS, Entry, Fault, entry_hash
from waitroom.journal_store import JournalStore

log = logging.getLogger(__name__)

PORTION = 1000
REST_S = 0.05
LOOK_S = 5.0
AGAIN_MS = 3_600_000


@dataclass(frozen=True, slots=True)
class Verified:
    """The chain holds up to `seq`, as of `at_ms`; `fault` is where it is broken first. `at_ms` 0: not looked yet."""

    seq: int = 0
    at_ms: int = 0
    fault: Fault | None = None


class JournalWatch:
    """Watches one installation's journal, for one process."""

    def __init__(self, journal: JournalStore, clock: Clock) -> None:
        """Nothing is read yet."""
        self._journal = journal
        self._clock = clock
        self._task: asyncio.Task[None] | None = None
        self._seq, self._prev, self._began_ms = 0, GENESIS, 0
        self._heads: dict[int, bytes] = {}
        self.known = Verified()

    def start(self) -> None:
        """Begin."""
        self._task = asyncio.create_task(self._run(), name="journal watch")

    async def stop(self) -> None:
        """End."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _run(self) -> None:
        while not is_ending():
            more = False
            try:
                more = await asyncio.to_thread(self.step)
            except Unavailable:
                log.warning("the journal cannot be read, so it is not checked")
            await asyncio.sleep(REST_S if more else LOOK_S)

    def step(self) -> bool:
        """Check one portion; tell whether there is more to check now."""
        now_ms = self._clock.now_ms()
        if self._seq == 0 or now_ms - self._began_ms >= AGAIN_MS:
            self._seq, self._prev, self._began_ms = 0, GENESIS, now_ms
        if self._seq == 0:
            self._heads = {head.seq: head.hash for head in self._journal.heads()}
        entries = self._journal.entries(after_seq=self._seq, limit=PORTION)
        for entry in entries:
            why = self._why_not(entry)
            if why:
                fault = Fault(self._seq + 1, why)
                if self.known.fault != fault:
                    log.error("the journal's chain is broken", extra={"seq": fault.seq, "why": why})
                self.known = Verified(self._seq, now_ms, fault)
                self._seq = 0
                return False
            self._seq, self._prev = entry.seq, entry.hash
        if len(entries) == PORTION:
            if self.known.fault is None and self._seq > self.known.seq:
                self.known = Verified(self._seq, now_ms)
            return True
        lost = max(self._heads, default=0)
        cut = (
            Fault(self._seq + 1, f"the end is missing: a head was kept of {lost}")
            if lost > self._seq
            else None
        )
        self.known = Verified(self._seq, now_ms, cut)
        return False

    def _why_not(self, entry: Entry) -> str:
        """Say what is wrong with the next entry; '' for nothing."""
        if entry.seq != self._seq + 1:
            return f"the entry is missing; the next one is {entry.seq}"
        if entry.prev != self._prev:
            return "the entry does not follow the one before"
        if entry.hash != entry_hash(entry, entry.seq, entry.prev):
            return "the entry is not what its hash says"
        if self._heads.get(entry.seq, entry.hash) != entry.hash:
            return "the entry is not the one that a head was kept of"
        return ""
