"""Refund: money that somebody wants to go back to a buyer, and how far it has come. Values only.

A refund is wanted under a key of its own; a repeat (a second click, a second admin with the same form) is the same
refund. It is written down before the provider is asked, and all that are wanted or done are never more than what was
captured (``orders.store``). Not here: letting go of an attempt that was not wanted (``orders.rule``).
"""

from dataclasses import dataclass
from enum import StrEnum

from checkout.money import Money


class RefundState(StrEnum):
    """How far a refund has come."""

    WANTED = "wanted"
    DONE = "done"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Refund:
    """One refund. ``by``: who wanted it; ``reason``: why, for people; ``ref``: its name at the provider."""

    order: str
    key: str
    attempt: int
    event: str
    amount: Money
    created_ms: int
    due_ms: int
    state: RefundState = RefundState.WANTED
    ref: str = ""
    reason: str = ""
    by: str = ""
    tries: int = 0
    version: int = 1

    @property
    def reservation(self) -> str:
        """Name the reservation of its order."""
        return f"R{self.order.removeprefix('O')}"

    @property
    def provider_key(self) -> str:
        """Name it for the provider."""
        return f"{self.order}:{self.attempt}:refund:{self.key}"
