"""Watching: who hears what buyers do with seats, and keeps nobody waiting for it.

The fraud checks want to know who picks seats and who drops them. Whoever answers a buyer tells it in passing: it is
never awaited, never fails, and may be forgotten. Not here: what is made of it (``checkout.fraud``).
"""

from typing import Protocol

from kernel.asgi import Scope


class Watch(Protocol):
    """Hears of holds. Returns at once and never raises."""

    def picked(self, scope: Scope, event: str, buyer: str, hold: str, seats: int) -> None:
        """Hear of seats that were put aside for a request."""

    def dropped(self, scope: Scope | None, event: str, buyer: str, hold: str) -> None:
        """Hear of a hold that was given back; without a request: of one that has lapsed."""


class Unwatched:
    """Hears nothing."""

    def picked(self, scope: Scope, event: str, buyer: str, hold: str, seats: int) -> None:
        """Forget it."""

    def dropped(self, scope: Scope | None, event: str, buyer: str, hold: str) -> None:
        """Forget it."""


UNWATCHED = Unwatched()
