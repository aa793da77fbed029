"""Stock: how many tickets of each event are left, in this process's memory only.

A demo: a restart fills the hall again. Holding seats and selling them without ever selling one twice
is another matter, and not this file's.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from checkout.events import Event


@dataclass(frozen=True, slots=True)
class Taken:
    """A ticket was taken; ``number`` counts from 1 within the event."""

    event: Event
    number: int


@dataclass(frozen=True, slots=True)
class SoldOut:
    """There is none left."""

    event: Event


@dataclass(frozen=True, slots=True)
class NotOnSale:
    """There is no such event."""


class Stock:
    """The tickets that are left."""

    def __init__(self, events: Iterable[Event]) -> None:
        self._events = {event.slug: event for event in events}
        self.left = {slug: event.seats for slug, event in self._events.items()}

    def take(self, slug: str) -> Taken | SoldOut | NotOnSale:
        """Take one ticket of an event."""
        event = self._events.get(slug)
        if event is None:
            return NotOnSale()
        if self.left[slug] == 0:
            return SoldOut(event)
        self.left[slug] -= 1
        return Taken(event, event.seats - self.left[slug])
