"""Prioritising: the use case of a priority code: a place shows one, and is in the lane verified.

A wrong code is counted against its network, as where codes give places (``identifying``); a right one is always taken.
Nobody wastes a code: a place that is in the lane already uses none up. What got lost on the way is mended by
showing the code again. In a room that asks for a code before the line, codes are identities, and none is a priority.

Not here: HTTP (``priority_web``), making codes (``gateway.priority_codes``).
"""

import asyncio
from collections.abc import Mapping
from dataclasses import replace

from kernel.addresses import network_of, parsed
from kernel.errors import Refused
from waitroom import codes
from waitroom import ticket as tickets
from waitroom.challenging import Lifted
from waitroom.codes import Batch
from waitroom.identifying import BATCHES_MS, WRONG_BURST, WRONG_PER_MINUTE
from waitroom.identity_book import IdentityBook
from waitroom.lanes import Lane
from waitroom.ports import AddressBucket
from waitroom.priority import WHY, Spent, name_of
from waitroom.priority_store import PriorityStore
from waitroom.room_fields import IdentityWay
from waitroom.service import Waitroom


class Prioritising:
    """Priority codes of this worker's rooms."""

    def __init__(
        self,
        waitroom: Waitroom,
        store: PriorityStore,
        book: IdentityBook,
        buckets: AddressBucket,
        *,
        secret: bytes,
    ) -> None:
        """`secret` is what the keys of all batches follow from."""
        self.waitroom = waitroom
        self._store = store
        self._book = book
        self._buckets = buckets
        self._secret = secret
        self._kept: dict[str, tuple[int, Mapping[int, Batch]]] = {}

    def offered(self, room: str) -> None:
        """Raise Refused (room-unknown, priority-none) where no code gives priority."""
        if self.waitroom.reading(room).room.identity is IdentityWay.CODE:
            raise Refused("priority-none", "In this room a code is shown before joining.", status=404)

    async def enter(self, room: str, text: str, typed: str, address: str, now_ms: int) -> Lifted:
        """Bring a ticket's place into the lane verified; return its ticket.

        Raises Refused as ``Waitroom.place_of`` does, ``priority-none``, ``identity-code-wrong``, ``too-many-codes``,
        ``code-used``, ``run-over``; and Unavailable.
        """
        self.offered(room)
        _, held, _ = await self.waitroom.place_of(room, text, now_ms)
        code = codes.read(typed)
        batch = (await self._known(room, now_ms)).get(code.batch) if code else None
        good = batch is not None and batch.lane is Lane.VERIFIED
        if (
            code is None
            or batch is None
            or not good
            or not codes.is_good(code, batch, self._secret, room, now_ms)
        ):
            raise self._wrong(room, address, now_ms)
        if held.lane is Lane.VERIFIED:
            return Lifted(held)
        name = name_of(code)
        match await self._store.spend(room, held.run, held.number, name):
            case Spent.TAKEN:
                raise Refused(
                    "code-used",
                    "This code has been used for another place: each is good for one.",
                    status=409,
                )
            case Spent.STALE:
                raise _over()
        answer = await self.waitroom.store.climb(
            room, held.run, held.number, held.lane, Lane.VERIFIED, f"{WHY}{name}"
        )
        if answer[0] != "climbed":
            raise _over()
        better = replace(held, lane=Lane(answer[1].decode()), lane_since_ms=int(answer[2]))
        return Lifted(better, tickets.write(self.waitroom.signer, better))

    def _wrong(self, room: str, address: str, now_ms: int) -> Refused:
        found = parsed(address)
        network = network_of(found) if found is not None else address
        wait_ms = self._buckets.take(f"{room}/codes", network, WRONG_PER_MINUTE, WRONG_BURST, now_ms)
        if wait_ms:
            return Refused(
                "too-many-codes",
                "Many wrong codes come from your network. Please try again in a moment.",
                status=429,
                retry_after_s=max(1, -(-wait_ms // 1000)),
            )
        return Refused(
            "identity-code-wrong", "This code is not valid here. Please look at it again.", status=403
        )

    async def _known(self, room: str, now_ms: int) -> Mapping[int, Batch]:
        kept = self._kept.get(room)
        if kept is None or not kept[0] <= now_ms < kept[0] + BATCHES_MS:
            found = await asyncio.to_thread(self._book.batches, room)
            kept = self._kept[room] = now_ms, {batch.batch: batch for batch in found}
        return kept[1]


def _over() -> Refused:
    return Refused("run-over", "The line you stood in is over. You can join the new one.", status=410)
