"""Hall state: what the store has of a hall, only looked at: whether the map is whole, and who has which seat.

A read of everything is one transaction, so that map and owners are of one moment. Not here: what changes a hall
(``holds.store``), what is wrong with one (``sales.reconciling``).
"""

from collections.abc import Iterable
from dataclasses import dataclass

from checkout.halls.seats import HOLD_ID_BYTES
from checkout.holds.answers import HoldRecord
from checkout.holds.store import HoldStore
from kernel.store import translated


@dataclass(frozen=True, slots=True)
class Head:
    """The numbers of a map. ``is_whole``: the map and its owners are as long as they should be."""

    epoch: int
    fence: int
    is_whole: bool


@dataclass(frozen=True, slots=True)
class View:
    """A map with its owners, at one moment."""

    head: Head
    map: bytes
    owner: bytes

    def owner_of(self, seat: int) -> bytes:
        """Return the id of the hold that has a seat; zeros for nobody."""
        return self.owner[seat * HOLD_ID_BYTES : (seat + 1) * HOLD_ID_BYTES]


class HallState:
    """Looks at halls in one store."""

    def __init__(self, holds: HoldStore) -> None:
        """Use the store of the halls."""
        self._holds = holds

    async def head(self, event: str) -> Head | None:
        """Read the numbers of a map; None when there is none."""
        keys = self._holds.keys(event)
        pipe = self._holds.client.pipeline(transaction=True)
        pipe.hmget(keys.head, ["epoch", "fence", "seats"])
        pipe.strlen(keys.map)
        pipe.strlen(keys.owner)
        with translated():
            numbers, seats, owners = await pipe.execute()
        return _head(numbers, seats, owners)

    async def view(self, event: str) -> View | None:
        """Read a map and its owners; None when there is none."""
        keys = self._holds.keys(event)
        pipe = self._holds.client.pipeline(transaction=True)
        pipe.hmget(keys.head, ["epoch", "fence", "seats"])
        pipe.get(keys.map)
        pipe.get(keys.owner)
        with translated():
            numbers, hall, owner = await pipe.execute()
        head = _head(numbers, len(hall or b""), len(owner or b""))
        return None if head is None else View(head, hall or b"", owner or b"")

    async def records(self, event: str, holds: Iterable[bytes]) -> dict[bytes, HoldRecord]:
        """Read what the store keeps of some holds."""
        ids = sorted(holds)
        if not ids:
            return {}
        with translated():
            texts = await self._holds.client.hmget(self._holds.keys(event).holds, ids)
        return {id_: HoldRecord.of(text) for id_, text in zip(ids, texts, strict=True) if text is not None}


def _head(numbers: list[bytes | None], seats: int, owners: int) -> Head | None:
    epoch, fence, capacity = (None if number is None else int(number) for number in numbers)
    if epoch is None:
        return None
    is_whole = capacity == seats and owners == seats * HOLD_ID_BYTES and seats > 0
    return Head(epoch, fence or 0, is_whole)
