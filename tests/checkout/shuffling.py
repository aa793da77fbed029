"""Shuffling: every order in which messages can be delivered several times each, without walking each of them.

What comes next depends on nothing but the state that there is, so orders that have led to the same state, with the same
messages left, go on as one. States are compared whole. Three messages thrice are 1,680 orders and some 150 deliveries.
"""

import random
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from itertools import chain, repeat
from typing import Any


@dataclass(frozen=True, slots=True)
class Walked:
    """How many orders there are, how many deliveries that took, and every state in which they end."""

    orders: int
    deliveries: int
    ends: frozenset[str]


@dataclass(slots=True)
class _Node:
    saved: Any
    orders: int


async def every_order(
    names: Sequence[str],
    times: int,
    deliver: Callable[[str], Awaitable[None]],
    save: Callable[[], tuple[str, Any]],
    load: Callable[[Any], None],
    end: Callable[[], str],
) -> Walked:
    """Deliver each name so many times, in every order.

    `save` gives a state: what tells it from others, and what `load` puts it back from; `end` what must be equal.
    """
    key, saved = save()
    level = {(tuple(0 for _ in names), key): _Node(saved, 1)}
    deliveries, ends = 0, set()
    for _ in range(times * len(names)):
        following: dict[tuple[tuple[int, ...], str], _Node] = {}
        for (counts, _), node in level.items():
            for at, name in enumerate(names):
                if counts[at] == times:
                    continue
                load(node.saved)
                await deliver(name)
                deliveries += 1
                key, saved = save()
                after = tuple(count + (at == number) for number, count in enumerate(counts))
                known = following.setdefault((after, key), _Node(saved, 0))
                known.orders += node.orders
        level = following
    for node in level.values():
        load(node.saved)
        ends.add(end())
    return Walked(sum(node.orders for node in level.values()), deliveries, frozenset(ends))


def some_orders(names: Sequence[str], times: int, count: int, seed: int = 77) -> list[tuple[str, ...]]:
    """Draw orders by a seed."""
    chance, found = random.Random(seed), []
    for _ in range(count):
        order = list(chain.from_iterable(repeat(name, times) for name in names))
        chance.shuffle(order)
        found.append(tuple(order))
    return found
