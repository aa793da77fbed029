"""Orders' ports: what orders need of others: somebody who judges a buyer, and the hall that shows what is sold."""

from collections.abc import Awaitable
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from checkout.orders.order import Attempt, Order
from checkout.sales.reservation import Ended


class Judgement(StrEnum):
    """What is to be done with somebody who wants to pay."""

    ALLOW = "allow"
    REVIEW = "review"
    """The seats are sold; the money is authorised, and taken when a person agrees."""
    BLOCK = "block"


@dataclass(frozen=True, slots=True)
class Seen:
    """What is known of who pays, beside the order: the client's address, and the device (the shop's own cookie)."""

    address: str = ""
    device: str = ""
    country: str = ""
    traits: str = ""
    """A hash of what the browser says of itself: a second signal for people, which decides nothing."""


class Judge(Protocol):
    """Judges attempts to pay. Never raises, and never takes long: a sale does not wait for it."""

    def before(self, order: Order, number: int, seen: Seen) -> Awaitable[Judgement]:
        """Judge before the provider is asked; ``REVIEW`` counts once the money is authorised."""

    def after(self, order: Order, attempt: Attempt) -> Awaitable[Judgement]:
        """Judge when the money is authorised, and the card is known."""

    def declined(self, order: Order, attempt: Attempt) -> Awaitable[None]:
        """Hear that the bank has said no."""


class Hall(Protocol):
    """The map that everybody sees. SQL has decided before it hears; if it cannot, it hears later (``reconciling``)."""

    def sold(self, order: Order) -> Awaitable[None]:
        """Show an order's seats as sold."""

    def freed(self, order: Order, ended: Ended, *, was_sold: bool) -> Awaitable[None]:
        """Show seats as free again."""


class Trusting:
    """Judges nobody."""

    async def before(self, order: Order, number: int, seen: Seen) -> Judgement:
        """Let pass."""
        del order, number, seen
        return Judgement.ALLOW

    async def after(self, order: Order, attempt: Attempt) -> Judgement:
        """Let pass."""
        del order, attempt
        return Judgement.ALLOW

    async def declined(self, order: Order, attempt: Attempt) -> None:
        """Forget it."""
        del order, attempt
