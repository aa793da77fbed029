"""Priority codes: what operators do with batches of codes that bring a waiting place into the lane verified.

A batch is made in the book beside the journal (``waitroom.identity_book``), where codes of the command line are, too;
its codes follow from the key ring and are told once. Making and revoking are recorded in the transaction that does
them. How many were used is a count of the journal's climbs. Not here: what a code does (``waitroom.prioritising``).
"""

import asyncio
from collections.abc import Sequence
from dataclasses import asdict

from admission.guests import By
from dashboards.ports import Codes
from kernel.clock import Clock
from kernel.errors import Refused
from waitroom import codes
from waitroom.codes import Batch
from waitroom.identity_book import IdentityBook
from waitroom.journal import Kind
from waitroom.journal_store import JournalStore
from waitroom.lanes import Lane
from waitroom.priority import named

HOUR_MS = 3_600_000


class PriorityCodes:
    """``dashboards.ports.PriorityCodes``: the batches of this installation's rooms."""

    def __init__(self, book: IdentityBook, journal: JournalStore, secret: bytes, clock: Clock) -> None:
        """`secret` is what the keys of all batches follow from."""
        self._book = book
        self._journal = journal
        self._secret = secret
        self._clock = clock

    async def make(
        self, room: str, label: str, count: int, hours: int, by: By
    ) -> tuple[Codes, Sequence[str]]:
        """Make a batch; its codes are told this once. Raises Refused (codes-full) and Unavailable."""
        return await asyncio.to_thread(self._make, room, label, count, hours, by)

    async def batches(self, room: str) -> list[Codes]:
        """List the batches of a room that give priority, the newest first."""
        return await asyncio.to_thread(self._batches, room)

    async def revoke(self, room: str, batch: int, by: By) -> Codes:
        """Let a batch count no more; places that used one keep the lane. Raises Refused (batch-unknown)."""
        return await asyncio.to_thread(self._revoke, room, batch, by)

    def _make(self, room: str, label: str, count: int, hours: int, by: By) -> tuple[Codes, list[str]]:
        now_ms = self._clock.now_ms()
        until_ms = now_ms + hours * HOUR_MS
        made = self._book.make(room, Lane.VERIFIED, label, count, until_ms, asdict(by), now_ms)
        key = codes.batch_key(self._secret, made)
        return _shown(made, 0, now_ms), [codes.write(key, made.batch, number) for number in range(count)]

    def _batches(self, room: str) -> list[Codes]:
        used, seq = dict[int, set[str]](), 0
        while page := self._journal.entries(room, seq, [Kind.CLIMBED]):
            seq = page[-1].seq
            for entry in page:
                if code := named(entry.body.get("why", "")):
                    used.setdefault(code[0], set()).add(code[1])
        now_ms = self._clock.now_ms()
        return [_shown(batch, len(used.get(batch.batch, ())), now_ms) for batch in self._own(room)[::-1]]

    def _revoke(self, room: str, batch: int, by: By) -> Codes:
        found = next((one for one in self._own(room) if one.batch == batch), None)
        if found is None:
            raise Refused("batch-unknown", "There is no such batch of codes in this room.", status=404)
        self._book.revoke(found, None, asdict(by), self._clock.now_ms())
        return next(one for one in self._batches(room) if one.batch == batch)

    def _own(self, room: str) -> list[Batch]:
        return [batch for batch in self._book.batches(room) if batch.lane is Lane.VERIFIED]


def _shown(batch: Batch, used: int, now_ms: int) -> Codes:
    over = batch.revoked_ms is not None or (batch.until_ms is not None and now_ms >= batch.until_ms)
    return Codes(
        batch.batch,
        batch.label,
        batch.size,
        used,
        batch.made_ms,
        batch.until_ms or 0,
        batch.revoked_ms or 0,
        not over,
    )
