"""Ports: what the gate needs to know from the waiting room and from admission.

The gate is the asker, so it defines them; ``gateway.adapters`` answers. Only renewing and revoking may
wait for the store.
"""

from collections.abc import Container, Mapping, Sequence
from typing import Protocol

from gateway.decision import RoomRoute, Session
from gateway.headers import Header


class Rooms(Protocol):
    """Which room covers an address."""

    def route(self, host: str, path: str) -> RoomRoute | None:
        """Find the room of a host and a normal path; the longest path wins. From memory."""
        ...


class Admissions(Protocol):
    """Sessions, as far as the gate deals with them."""

    def verify(self, room: str, token: str) -> Session | str:
        """Check signature, type and audience offline; give the session or the word why not."""
        ...

    def ended(self, room: str) -> Container[str]:
        """Give the ``sid`` of all sessions that ended before their time. From memory."""
        ...

    async def renew(self, session: Session) -> str | None:
        """Extend the place, then sign a fresh token; None when the session may not go on."""
        ...

    async def revoke(self, session: Session) -> None:
        """End the session."""
        ...

    def cookie(self, room: str, token: str | None) -> bytes:
        """Give the Set-Cookie value that carries the token; None: the one that deletes it."""
        ...


class Pages(Protocol):
    """What a waiting client gets to see. From memory."""

    def shell(
        self, room: str, target: str, accept_language: bytes, accept_encoding: bytes
    ) -> tuple[int, Sequence[Header], bytes]:
        """Give the room's page, for a fan who wants to get to the target, as their browser likes it."""
        ...

    def waiting_json(self, room: str) -> Mapping[str, object]:
        """Give the members that a waiting JSON client is told besides the addresses."""
        ...
