"""Ports: what the door needs from the line and from the rooms. ``gateway.wiring`` joins them.

The door knows no ticket and no configuration. It asks for the *place* of a ticket, for the *limits* of a room, and for
the line's *facts*; the names of the line's keys come along, because a claim reads the line in the store itself.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from admission.door import Place
from admission.limits import CookieAttributes, Limits
from admission.pace import LineFacts

__all__ = [
    "BypassRecord",
    "CookieAttributes",
    "Limits",
    "Line",
    "LineFacts",
    "LineKeys",
    "Place",
    "Places",
    "Rooms",
    "Turn",
    "Turns",
]


@dataclass(frozen=True, slots=True)
class LineKeys:
    """The line's keys that the door touches without a ticket at hand."""

    line: str
    journal: str


class Places(Protocol):
    """Reads tickets."""

    async def place_of(self, room: str, ticket_text: str, now_ms: int) -> Place:
        """Return the place of a genuine ticket of this room.

        Raises ``Refused``: ticket-missing 401, ticket-invalid 403, ticket-foreign-room 403, room-unknown 404. A
        ticket of an earlier run is no failure: the script answers ``run-over``.
        """
        ...


@dataclass(frozen=True, slots=True)
class Turn:
    """An admission that was recorded of a number."""

    sid: str
    admitted_ms: int
    lane: str


class Turns(Protocol):
    """The record of who was let in, and of what operators did to them."""

    async def turn_of(self, room: str, run: str, number: int) -> Turn | None:
        """Return the last admission of a number, those of this moment included. Raises ``Unavailable``."""
        ...

    async def note(self, room: str, run: str, act: Mapping[str, str], now_ms: int) -> None:
        """Record an operator's act. Raises ``Unavailable``; then nothing may be done."""
        ...


class BypassRecord(Protocol):
    """The record of bypass tokens: made, revoked, used."""

    async def bypasses(self, room: str) -> Sequence[tuple[int, str, Mapping[str, str]]]:
        """Return (at_ms, run, act) of a room in order; one without ``act`` is a visit. Raises Unavailable."""
        ...

    async def note(self, room: str, run: str, act: Mapping[str, str], now_ms: int) -> None:
        """Record an operator's act. Raises ``Unavailable``; then nothing may be done."""
        ...


class Rooms(Protocol):
    """Knows what each room lets through. From memory."""

    def limits(self, room: str) -> Limits:
        """Return the limits in force. Raises ``Refused`` (room-unknown, 404)."""
        ...

    def names(self) -> Sequence[str]:
        """List the rooms."""
        ...


class Line(Protocol):
    """The line of a room, as the pace moves it."""

    def keys(self, room: str) -> LineKeys:
        """Name the line's keys. From memory."""
        ...

    async def facts(self, room: str) -> LineFacts | None:
        """Read the line as it is now; None while the room has none."""
        ...

    async def call(
        self, room: str, facts: LineFacts, slot: int, serving: Mapping[str, int], plan_per_minute: int
    ) -> bool:
        """Commit the thresholds for one slot of time, unless somebody did or the run changed; tell which."""
        ...
