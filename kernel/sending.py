"""Sending: what came of a try to send something to somebody, by whatever way. Values only."""

from dataclasses import dataclass
from enum import StrEnum


class Outcome(StrEnum):
    """What came of one try to send."""

    SENT = "sent"
    SKIPPED = "skipped"
    LATER = "later"
    """Not taken now; it may be another time."""
    AWAY = "away"
    """Whoever would take it cannot be reached, so this says nothing about the message, and others would fare alike."""
    NEVER = "never"
    """Refused for good."""


@dataclass(frozen=True, slots=True)
class Result:
    """What came of a try, and why, in a word or a sentence without any address.

    `later_s`: whoever did not take it now wants not to be asked before.
    """

    outcome: Outcome
    why: str = ""
    later_s: int = 0
