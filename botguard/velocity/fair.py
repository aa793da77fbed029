"""Fair queue: acts wait to be counted where one network cannot keep out all others.

Shuffle sharding: there are ``SHARDS`` short queues, and every network is dealt ``HAND`` of them by its name; an act
waits in the shorter one. Whoever floods fills their own queues and nobody else's: another network shares both of them
once in 120 times, and one that is free is enough. A trip to the store takes from all queues in turn. What finds its
queues full is not counted and does not wait; that is told, so that it can be counted as lost. Pure.
Not here: the trips (``counting``).
"""

from collections import deque
from typing import Generic, TypeVar

SHARDS = 16
HAND = 2
DEPTH = 64

Item = TypeVar("Item")


def hand(name: bytes, shards: int = SHARDS, size: int = HAND) -> tuple[int, ...]:
    """Deal `size` different shards to a name, all hands alike likely. ``name`` is a hash, 8 bytes or more."""
    rest = int.from_bytes(name[:8])
    deck = list(range(shards))
    dealt = []
    for left in range(shards, shards - size, -1):
        rest, place = divmod(rest, left)
        dealt.append(deck.pop(place))
    return tuple(dealt)


class Fair(Generic[Item]):
    """The queues of one worker."""

    def __init__(self, shards: int = SHARDS, size: int = HAND, depth: int = DEPTH) -> None:
        """Have nothing waiting."""
        self._queues: list[deque[Item]] = [deque() for _ in range(shards)]
        self._size = size
        self._depth = depth
        self._next = 0

    def __len__(self) -> int:
        """Count what waits."""
        return sum(map(len, self._queues))

    def put(self, name: bytes, item: Item) -> bool:
        """Let an item wait; False when its queues are full."""
        dealt = [self._queues[place] for place in hand(name, len(self._queues), self._size)]
        shortest = min(dealt, key=len)
        if len(shortest) >= self._depth:
            return False
        shortest.append(item)
        return True

    def take(self, most: int) -> list[Item]:
        """Take up to `most` items, one from each queue in turn; the next time the turn goes on."""
        taken: list[Item] = []
        idle = 0
        while len(taken) < most and idle < len(self._queues):
            queue = self._queues[self._next]
            self._next = (self._next + 1) % len(self._queues)
            if queue:
                taken.append(queue.popleft())
                idle = 0
            else:
                idle += 1
        return taken
