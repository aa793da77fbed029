"""Place: the database and the store in which one event's seats live.

The catalogue lives in the main database; an event's inventory lives in one *place*, all of it together, so that no
statement and no script ever needs two. Use cases ask for the place of an event anew each time, because an event can
move while its sale is closed. Not here: which place that is (``shards``), how one moves (``shards.moving``).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from checkout.database import ShopDatabase
from checkout.holds.store import HoldStore


@dataclass(frozen=True, slots=True)
class Place:
    """A shard: one database and one store."""

    name: str
    database: ShopDatabase
    holds: HoldStore


class Places(Protocol):
    """Where events are."""

    def of(self, event: str) -> Place:
        """Return the place of an event."""

    def all(self) -> Sequence[Place]:
        """Return every place."""


@dataclass(frozen=True, slots=True)
class OnePlace:
    """A shop with one database and one store: where it begins."""

    own: Place

    def of(self, event: str) -> Place:
        """Return the one."""
        del event
        return self.own

    def all(self) -> Sequence[Place]:
        """Return the one."""
        return (self.own,)
