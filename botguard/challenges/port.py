"""Port: the words of every challenge: who is asked, by which way, and what came of an answer.

A way is issued and verified; more it need not know. What it is issued for is a ``Subject``: one place of one run, so
that what somebody else has solved is worth nothing here. Pure.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from hashlib import sha256
from typing import Protocol

from kernel.signing import b64url

ACTION = "waitroom"
"""What a provider's widget is told that the check is for; its reply must say the same."""

_TAG_BYTES = 16


class Way(StrEnum):
    """By what somebody is checked."""

    WORK = "work"
    HCAPTCHA = "hcaptcha"
    TURNSTILE = "turnstile"
    RECAPTCHA = "recaptcha"


URLS: Mapping[Way, str] = {
    Way.HCAPTCHA: "https://api.hcaptcha.com/siteverify",
    Way.TURNSTILE: "https://challenges.cloudflare.com/turnstile/v0/siteverify",
    Way.RECAPTCHA: "https://www.google.com/recaptcha/api/siteverify",
}
"""Where the providers judge answers."""


class Outcome(StrEnum):
    """What came of an answer. Only ``PASSED`` is worth anything."""

    PASSED = "passed"
    MALFORMED = "malformed"
    FORGED = "forged"
    EXPIRED = "expired"
    FOREIGN = "foreign"
    """Made for another place."""
    SPENT = "spent"
    """Used before."""
    WRONG = "wrong"
    ELSEWHERE = "elsewhere"
    """Solved on another site, or for another purpose."""
    DOUBTED = "doubted"
    """The provider's score is too low."""
    AWAY = "away"
    """The provider gave no answer that could be used: somebody else's check is never taken as passed."""


@dataclass(frozen=True, slots=True)
class Subject:
    """The place that is asked: `number` in `run` of `room`, with its ticket's id."""

    room: str
    run: str
    number: int
    ticket_id: str

    @property
    def tag(self) -> str:
        """Name the place in 22 characters, from which it cannot be read."""
        text = f"waitroom-challenge-v1|{self.room}|{self.run}|{self.number}|{self.ticket_id}"
        return b64url(sha256(text.encode()).digest()[:_TAG_BYTES])


@dataclass(frozen=True, slots=True)
class Weight:
    """What makes a check dearer: two plain numbers, from whoever knows them.

    `wait_min`: minutes until the last of the line would be called. `score`: 0 for a person, 1 for a bot, None where
    nobody has judged.
    """

    wait_min: float = 0.0
    score: float | None = None


@dataclass(frozen=True, slots=True)
class Widget:
    """What a page needs for a way: the provider's script and key, and the sources that its policy must allow."""

    way: Way
    sitekey: str = ""
    script: str = ""
    sources: tuple[str, ...] = ()


class Away(Exception):
    """A provider gave no answer that could be used."""


class Spent(Protocol):
    """Remembers what was used."""

    async def spend(self, name: str, keep_ms: int) -> bool:
        """Use something up; False when it had been used before. Raises Unavailable."""


class Asking(Protocol):
    """Asks a provider about a token."""

    async def __call__(self, token: str) -> Mapping[str, object]:
        """Return the provider's reply. Raises Away."""
