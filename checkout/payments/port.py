"""Payment port: what the shop asks of a provider, and what a provider says, in words that no provider owns.

A **payment** is one try to take one amount for one order: it is created (no money moves), its reference is committed,
and only then is it confirmed with a *method*, a token that the provider's own fields or page have made of a card. With
``Capability.MANUAL_CAPTURE`` that reserves the money (``AUTHORISED``) and ``capture`` takes it; without, confirming
takes it at once (``CAPTURED``), and what must not stay is refunded instead of voided.

Every call that changes something carries a **key**: asked again under the same key a provider does it once. A provider
that forgets keys (Stripe after 24 hours) is asked by ``fetch`` before anything is sent again (``KEY_KEPT_MS``).

A provider may take a wish on and tell only later, by a notice, whether it was done (Adyen does so with captures,
cancellations and refunds). Until then the payment is ``PROCESSING`` and the refund ``ASKED``; nothing counts as done
that is not told as done. What such a provider tells is kept by its adapter (``take_in``), as it cannot be asked for.

What may come back instead of an answer, and what it means for who asked:

* ``Unclear``: nobody knows whether it was done. Ask again under the same key, or ``fetch``.
* ``NotNow``: it was not done; come back later (too many calls, the same key is being worked on, breaker open).
* ``Refusal``: it was not done and will not be, as asked. ``fetch`` tells how things stand.

A buyer's bank that says no is none of these: it is an answer, ``DECLINED`` with a reason (``Decline``).

Amounts are whole minor units as the shop counts them; an adapter translates where its provider counts otherwise. Pure.
Not here: adapters (``payments.stripe``, ``payments.adyen``), how often is asked (``payments.patient``), what follows
(``orders``).
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

from checkout.money import Money

KEY_KEPT_MS = 23 * 3_600_000
"""After so long a key is not relied on any more; Stripe may forget it after 24 hours."""


class Capability(StrEnum):
    """What not every provider can do."""

    MANUAL_CAPTURE = "manual-capture"
    """Confirming reserves the money, and it is taken or let go later."""
    PARTIAL_REFUND = "partial-refund"


class PaymentState(StrEnum):
    """Where a payment stands at its provider."""

    OPEN = "open"
    """Created; no money has been asked for."""
    ACTION = "action"
    """The buyer has to do something on a page of the bank (3-D Secure)."""
    PROCESSING = "processing"
    """The provider does not know yet: what the bank says, or whether what it has taken on (to take the money, to let
    go of it) is done."""
    AUTHORISED = "authorised"
    CAPTURED = "captured"
    DECLINED = "declined"
    """The bank said no; nothing is reserved."""
    VOIDED = "voided"


class Decline(StrEnum):
    """Why a bank said no, as far as the buyer may be told something of use."""

    GENERIC = "declined"
    FUNDS = "insufficient-funds"
    EXPIRED = "card-expired"
    SECURITY_CODE = "wrong-security-code"
    NUMBER = "wrong-number"
    LOST = "card-blocked"
    """Lost, stolen, or blocked by the bank; the buyer hears only that this card cannot be used."""
    LIMIT = "limit-exceeded"
    AUTHENTICATION = "authentication-failed"
    CURRENCY = "currency-not-supported"
    PROCESSING = "processing-error"
    FRAUD = "suspected-fraud"
    """Told to the buyer as ``GENERIC``."""
    CARD_FULL = "card-full"
    """The bank agreed; the shop sells no more seats of the event to this card."""


@dataclass(frozen=True, slots=True)
class Charge:
    """What is to be paid. ``order``, ``attempt`` and ``event`` come back with every payment of it."""

    event: str
    order: str
    attempt: int
    amount: Money
    key: str
    description: str = ""
    """What the buyer's bank may show, without personal data."""


@dataclass(frozen=True, slots=True)
class Card:
    """What may be known of a card: nothing to pay with."""

    fingerprint: str
    """The same for the same number; '' where the provider tells none."""
    brand: str
    last4: str
    country: str


class DisputeState(StrEnum):
    """How a dispute stands."""

    OPEN = "open"
    WON = "won"
    """The money is, or stays, with us."""
    LOST = "lost"


@dataclass(frozen=True, slots=True)
class Dispute:
    """A buyer's bank that wants money of a payment back. ``evidence_ms``: until when evidence is taken, 0: not told."""

    ref: str
    state: DisputeState
    amount: Money
    opened_ms: int
    reason: str = ""
    evidence_ms: int = 0


@dataclass(frozen=True, slots=True)
class Payment:
    """A payment as its provider tells it.

    ``event``, ``order``, ``attempt`` are '' and 0 for one that no shop of ours has made. ``action_url``: where the
    buyer has to go (``ACTION``). ``disputed_minor``: what the buyer's bank has taken back, or wants to.
    """

    ref: str
    state: PaymentState
    amount: Money
    created_ms: int
    captured_minor: int = 0
    refunded_minor: int = 0
    disputed_minor: int = 0
    event: str = ""
    order: str = ""
    attempt: int = 0
    decline: Decline | None = None
    action_url: str = ""
    card: Card | None = None
    disputes: tuple[Dispute, ...] = ()
    """Each that was ever opened, where the provider tells them one by one."""


class RefundState(StrEnum):
    """How a refund stands."""

    DONE = "done"
    PENDING = "pending"
    """Promised: its money counts as gone."""
    ASKED = "asked"
    """Taken on, and no more: a notice tells what comes of it. Who asks again under the same key hears how it stands."""
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Refund:
    """Money that goes back."""

    ref: str
    payment: str
    amount: Money
    state: RefundState


class Topic(StrEnum):
    """What a notice is about."""

    PAYMENT = "payment"
    REFUND = "refund"
    DISPUTE = "dispute"
    OTHER = "other"
    """Something that the shop does not follow; acknowledged and forgotten."""


@dataclass(frozen=True, slots=True)
class Notice:
    """One notice of a webhook, as it was signed. It says where to look; what counts is what ``fetch`` then says.

    ``id``: the same for every delivery of the same notice. ``amount``: of the payment, where it is told. ``implies``: a
    state that the payment has reached by then; None where only a look can tell what is new. ``told``: what its own
    adapter has to keep of it (``Provider.take_in``); nobody else reads it.
    """

    id: str
    topic: Topic
    ref: str
    at_ms: int
    event: str = ""
    order: str = ""
    attempt: int = 0
    amount: Money | None = None
    implies: PaymentState | None = None
    is_live: bool = False
    """True when real money is meant."""
    told: Mapping[str, object] = field(default_factory=dict, repr=False, compare=False)


class Forged(Exception):
    """A webhook that the provider has not signed, or so long ago that it may be somebody else's copy."""


class Unclear(Exception):
    """Nobody knows whether it was done."""


class NotNow(Exception):
    """It was not done, but may be later; ``retry_s`` says when to ask again at the earliest, if known."""

    def __init__(self, message: str, retry_s: float = 0.0) -> None:
        """Say when."""
        super().__init__(message)
        self.retry_s = retry_s


class Refusal(Exception):
    """It was not done and will not be, as asked. ``code`` is the provider's own word, for the log."""

    def __init__(self, code: str, message: str = "") -> None:
        """Say why."""
        super().__init__(message or code)
        self.code = code


class Provider(Protocol):
    """Whoever moves the money. Every call may raise ``Unclear``, ``NotNow`` or ``Refusal``."""

    @property
    def name(self) -> str:
        """Name it, as the database does."""

    @property
    def capabilities(self) -> frozenset[Capability]:
        """Say what it can do."""

    async def create(self, charge: Charge) -> Payment:
        """Make a payment; no money moves. A repeat under the charge's key gives the same payment."""

    async def confirm(self, ref: str, method: str, return_url: str, key: str) -> Payment:
        """Ask the bank. A decline is an answer. `return_url`: where the bank's page sends the buyer back to."""

    async def fetch(self, ref: str) -> Payment:
        """Tell how a payment stands. ``Refusal("unknown")`` when there is none."""

    async def capture(self, ref: str, amount: Money, key: str) -> Payment:
        """Take what was authorised."""

    async def void(self, ref: str, key: str) -> Payment:
        """Let go of a payment that has taken nothing yet."""

    async def refund(self, ref: str, amount: Money, key: str) -> Refund:
        """Give back so much of what was captured; never more than that in all."""

    def parse_webhook(self, body: bytes, headers: Mapping[str, str], now_ms: int) -> list[Notice]:
        """Read what a webhook brings; header names in lower case. Raises ``Forged``; ``ValueError`` if unreadable."""

    async def take_in(self, notices: Sequence[Notice]) -> None:
        """Keep what notices tell that nobody could ask for later; before anything is fetched for them.

        A provider that can always be asked keeps nothing. Taking in the same notice twice is taking it in once.
        """

    async def returned(self, query: Mapping[str, str]) -> str | None:
        """Take in what a buyer's browser brings back from the bank's page, and tell where it is to go on to.

        None for what is not known here, and for a provider whose buyers come straight back to the shop's own page.
        """

    def acknowledgement(self) -> tuple[int, bytes, str]:
        """Give what the provider wants to hear when its notices are safe: status, body, content type."""

    def list_since(self, since_ms: int) -> AsyncIterator[Payment]:
        """Tell all payments that were created since then, the oldest last."""
