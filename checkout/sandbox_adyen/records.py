"""Records: what this sandbox keeps of a payment. Pure.

Amounts are in Adyen's minor units. Nothing is added up that could be counted: what was taken and what went back follows
from the modifications.
"""

from dataclasses import dataclass, field
from enum import StrEnum


class Status(StrEnum):
    """Where a payment stands."""

    WAITING = "waiting"
    """The bank's page was shown to the buyer, who may answer; so may nobody."""
    ANSWERED = "answered"
    """The buyer has answered, and the shop has not handed that on yet."""
    PENDING = "pending"
    AUTHORISED = "authorised"
    REFUSED = "refused"
    CANCELLED = "cancelled"
    CAPTURE_FAILED = "capture-failed"
    """It seemed to be taken, and was not; nothing is reserved any more."""


@dataclass(slots=True)
class Modification:
    """Something that was asked of a payment, and was done (``is_done``) or not."""

    psp: str
    kind: str
    value: int
    is_done: bool
    due_ms: int = 0
    """When something that seemed to be done fails; 0: it does not."""


@dataclass(slots=True)
class Dispute:
    """Money that a buyer's bank wants back."""

    psp: str
    value: int
    is_kept: bool = True


@dataclass(slots=True)
class Payment:
    """One payment. ``challenge``: what the form of the bank's page brings; ``result``: what the buyer brings back."""

    psp: str
    reference: str
    value: int
    currency: str
    method: str
    created_ms: int
    status: Status
    is_manual: bool
    return_url: str = ""
    challenge: str = ""
    result: str = ""
    is_approved: bool = False
    due_ms: int = 0
    was_authorised: bool = False
    modifications: list[Modification] = field(default_factory=list)
    disputes: list[Dispute] = field(default_factory=list)

    def done(self, kind: str) -> int:
        """Count what was done of a kind of modification."""
        return sum(one.value for one in self.modifications if one.kind == kind and one.is_done)

    @property
    def captured(self) -> int:
        """Count what was taken."""
        if not self.is_manual:
            return self.value if self.was_authorised else 0
        return self.done("captures")

    @property
    def disputed(self) -> int:
        """Count what the buyer's bank has, or wants."""
        return sum(one.value for one in self.disputes if one.is_kept)

    @property
    def held(self) -> int:
        """Count what is reserved at the bank and was not taken."""
        is_held = self.status is Status.AUTHORISED and self.is_manual and not self.captured
        return self.value if is_held else 0

    @property
    def whose(self) -> tuple[str, str, str]:
        """Read event, order and attempt of the reference; '' where it has another form."""
        event, _, rest = self.reference.partition("/")
        order, _, attempt = rest.partition("/")
        return event, order, attempt
