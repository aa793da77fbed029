"""Message: what people are told, through which channels, and how far that has come. Values only.

A message's name follows from what it tells of (``order-paid.O123``), so the same thing told twice is one message. What
is kept of it are facts and no person: whom to tell, and in which language, is asked when it is sent (``ports``).
"""

import re
from dataclasses import dataclass, field
from enum import StrEnum
from hashlib import sha256
from typing import Any

from kernel.sending import Outcome, Result

__all__ = [
    "MAIL",
    "PUSH",
    "WEBHOOK",
    "Kind",
    "Message",
    "Outcome",
    "Result",
    "Send",
    "SendState",
    "message_id",
]

MAIL, PUSH, WEBHOOK = "mail", "push", "webhook"
"""Channels. A webhook is named as well: ``webhook.sms``."""

_PLAIN = re.compile(r"[A-Za-z0-9_-]{1,64}")


class Kind(StrEnum):
    """What there is to tell."""

    ORDER_PAID = "order-paid"
    ORDER_REFUNDED = "order-refunded"
    PAYMENT_FAILED = "payment-failed"
    """The money was there and could not be taken: the seats are free again."""
    ORDER_REVIEW = "order-review"
    """A person looks at the payment before it is taken."""
    ORDER_REFUSED = "order-refused"
    EVENT_CANCELLED = "event-cancelled"
    WAITLIST_OFFER = "waitlist-offer"


class SendState(StrEnum):
    """How far a message has come in one channel; only the first one changes by itself."""

    WAITING = "waiting"
    SENT = "sent"
    DEAD = "dead"
    """Nobody tries any more, until an organiser says so."""
    SKIPPED = "skipped"
    """There is nobody to be told, or they do not want to be."""


@dataclass(frozen=True, slots=True)
class Message:
    """One message. `subject` is what it is about within its event: an order, or ``waitlist:<number>``."""

    id: str
    event: str
    kind: Kind
    subject: str
    created_ms: int
    facts: dict[str, Any] = field(default_factory=dict)
    trace: str = ""
    """In which trace its order is worked on (``kernel.tracing``), '' for none; it is read, never put."""


@dataclass(frozen=True, slots=True)
class Send:
    """A message on its way through one channel; `tries` are those before. `claim_ms` marks who has it.

    `asked`: how often it had been asked for once more when it was taken.
    """

    message: Message
    channel: str
    tries: int
    claim_ms: int
    asked: int = 0


def message_id(kind: Kind, *of: str) -> str:
    """Name a message by what it tells of; what cannot stand in a mail's name as it is stands there as its hash."""
    return ".".join([kind.value, *(part if _PLAIN.fullmatch(part) else _short(part) for part in of)])


def _short(text: str) -> str:
    return sha256(text.encode()).hexdigest()[:24]
