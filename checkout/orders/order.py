"""Order: what a buyer pays for, and the attempts to pay it. Values only.

An order has the seats of one reservation, and its id; a repeat names the same. It is paid by **attempts**: each is one
payment at one provider, with one method. An attempt has a *goal*: ``PAY`` until it has done so or cannot any more,
then ``UNDO``, until no money of it is left with us. What is to be done next follows from goal and state
(``orders.rule``), so whoever finds an attempt that stands still can go on with it.

Amounts are whole minor units of the order's currency. Not here: what follows from what (``orders.rule``), rows
(``orders.store``).
"""

from dataclasses import dataclass, replace
from enum import StrEnum

from checkout.halls.seats import hold_id_of
from checkout.money import Money
from checkout.payments.port import Decline, Dispute


class OrderState(StrEnum):
    """Where an order stands."""

    OPEN = "open"
    """Its seats are reserved; it may be paid."""
    REVIEW = "review"
    """Its seats are sold and the money is authorised; a person looks at it before it is taken."""
    CONFIRMED = "confirmed"
    """Its seats are sold and the money is authorised, and being taken."""
    PAID = "paid"
    LAPSED = "lapsed"
    """Not paid in time; the seats are free."""
    CANCELLED = "cancelled"
    """Given up by the buyer, or its event is cancelled, before it was paid."""
    REFUSED = "refused"
    """Not let through by a person; the seats are free."""
    FAILED = "failed"
    """Its seats were sold, but the authorised money could not be taken; the seats are free."""
    REFUNDED = "refunded"
    """All of its money went back; the seats are free."""


OVER = frozenset(
    {OrderState.LAPSED, OrderState.CANCELLED, OrderState.REFUSED, OrderState.FAILED, OrderState.REFUNDED}
)
"""States from which an order does not come back."""

SOLD = frozenset({OrderState.REVIEW, OrderState.CONFIRMED, OrderState.PAID})
"""States in which the seats are the buyer's for good."""


class Goal(StrEnum):
    """What is wanted of an attempt."""

    PAY = "pay"
    UNDO = "undo"


class AttemptState(StrEnum):
    """Where an attempt stands, as far as we know."""

    NEW = "new"
    """Written down; the provider may or may not have heard of it."""
    OPEN = "open"
    """The provider has it, and we know its name there."""
    ASKED = "asked"
    """The bank may have been asked; we do not know its answer."""
    ACTION = "action"
    PROCESSING = "processing"
    AUTHORISED = "authorised"
    CAPTURED = "captured"
    DECLINED = "declined"
    VOIDED = "voided"
    UNMADE = "unmade"
    """The provider never had it, or would not have it."""


ATTEMPTS_MOST = 12
"""Tries that one order has."""

NEVER_MS = 2**62
"""When to look at an attempt that nothing is left to be done with."""

DONE = frozenset({AttemptState.VOIDED, AttemptState.UNMADE})
"""States of an attempt that has no money and never will."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """One try to pay.

    ``due_ms``: when to look at it again if nobody has heard of it by then. ``tries``: how often that was so. ``asked``:
    how often the bank was asked, each time under a key of its own. ``method``: the provider's token; forgotten when it
    is no longer needed.
    """

    order: str
    number: int
    event: str
    provider: str
    amount: Money
    created_ms: int
    due_ms: int
    goal: Goal = Goal.PAY
    state: AttemptState = AttemptState.NEW
    review: bool = False
    """A person is to look before its money is taken: said before the bank was asked, whoever goes on with it."""
    method: str = ""
    ref: str = ""
    decline: Decline | None = None
    action_url: str = ""
    captured_minor: int = 0
    refunded_minor: int = 0
    disputed_minor: int = 0
    fingerprint: str = ""
    card: str = ""
    """For people: brand and last four digits."""
    asked: int = 0
    tries: int = 0
    version: int = 1
    trace: str = ""
    """In which trace its order is worked on (``kernel.tracing``); '' for none."""
    disputes: tuple[Dispute, ...] = ()
    """As the provider has just told of them; they are read elsewhere (``dispute_rows``)."""

    def key(self, step: str) -> str:
        """Name a step for the provider: the same whenever and by whomever it is asked for."""
        return f"{self.order}:{self.number}:{step}"

    @property
    def reservation(self) -> str:
        """Name the reservation of its order."""
        return f"R{self.order.removeprefix('O')}"

    @property
    def has_money(self) -> bool:
        """Tell whether money of it is with us."""
        return self.captured_minor > self.refunded_minor

    @property
    def is_settled(self) -> bool:
        """Tell whether nothing is left to be done, whatever its order wants."""
        return self.state in DONE or (self.state is AttemptState.CAPTURED and not self.has_money)


@dataclass(frozen=True, slots=True)
class Order:
    """An order. ``attempt``: the number of the last try, 0 for none; ``paid_by``: the one that it was sold to."""

    id: str
    event: str
    buyer: str
    reservation: str
    state: OrderState
    amount: Money
    created_ms: int
    until_ms: int
    attempt: int = 0
    paid_by: int = 0
    is_disputed: bool = False
    version: int = 1

    def changed(self, **fields: object) -> "Order":
        """Return it as it is after a change."""
        return replace(self, version=self.version + 1, **fields)  # type: ignore[arg-type]


def is_order_id(text: str) -> bool:
    """Tell whether this can be an order's id at all."""
    return text.startswith("O") and hold_id_of(text.removeprefix("O")) is not None


def order_id(reservation: str) -> str:
    """Name the order that comes of a reservation; a repeat names the same."""
    return f"O{reservation.removeprefix('R')}"
