"""Ports: what the line needs from others, in the line's own words. ``gateway.wiring`` joins them."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from kernel.asgi import Scope
from kernel.oidc import Begun, Person
from kernel.sending import Result
from waitroom.check_page import Check
from waitroom.newcomer import Newcomer
from waitroom.rooms import Room
from waitroom.ticket import Ticket


class AddressBucket(Protocol):
    """Rate limit on joins for each address."""

    def take(self, room: str, address: str, rate_per_minute: int, burst: int, now_ms: int) -> int:
        """Take one join; return 0, or the milliseconds to wait."""


@dataclass(frozen=True, slots=True)
class Asker:
    """A place that is asked for a check. `wanted` is the room's way, `wait_min` how long the line is."""

    room: str
    run: str
    number: int
    ticket_id: str
    wanted: str
    wait_min: float


class Challenges(Protocol):
    """Checks: what is issued, and what an answer is worth. Words are those of docs/challenges.md."""

    def check(self, wanted: str, now_ms: int) -> Check:
        """Say what a page needs for the way that a room wants, or for the one that stands in."""

    async def issue(self, asker: Asker, way: str, given: object, now_ms: int) -> Mapping[str, object] | str:
        """Give a challenge, or the word why not; `given` is one that a slow device takes back. Raises Unavailable."""

    async def verify(self, asker: Asker, way: str, answer: str, now_ms: int) -> str:
        """Return ``passed``, or the word why an answer does not count. Raises Unavailable."""


class Newcomers(Protocol):
    """Knows something of whoever joins."""

    async def judge(
        self, scope: Scope, room: Room, cookies: Mapping[str, str], now_ms: int, identity: str = ""
    ) -> Newcomer:
        """Say in which lane somebody begins; `identity` is their tag. Raises Refused for whoever may not join."""


class NumberMails(Protocol):
    """Sends numbers to mail addresses."""

    def read(self, given: object) -> tuple[str, str]:
        """Return the address to write to, and the mailbox that it leads to. Raises Refused."""

    async def send(self, to: str, name: str, number: str, language: str, room: str) -> bool:
        """Write a mail and try to send it once; `name` is the mail's. Tell whether it was taken."""

    async def close(self) -> None:
        """Let go of connections."""


class Logins(Protocol):
    """A provider at which somebody logs in (``kernel.oidc``)."""

    async def login_address(self, begun: Begun, language: str) -> str:
        """Give the address at which somebody logs in. Raises ``NotBelieved`` and Unavailable."""

    async def person(self, code: str, begun: Begun) -> Person:
        """Tell whom a code stands for. Raises ``NotBelieved`` and Unavailable."""

    async def close(self) -> None:
        """Let go of connections."""


class Proofs(Protocol):
    """Judges whether a browser holds the key of a place."""

    async def may_carry(self, held: Ticket, key: str, shown: str, now_ms: int) -> None:
        """Return when `shown` proves the key of this thumbprint. Raises Refused (``proof-*``) and Unavailable."""


class Found(NamedTuple):
    """What was found of a place whose turn comes near: whether it shall wait in the lane suspect, and why.

    `asks` names the check that is asked for where it shall not: ``prove``, ``step-up``, or '' for none.
    """

    slow: bool = False
    reasons: tuple[str, ...] = ()
    asks: str = ""


class Settler(Protocol):
    """Judges a place, once."""

    async def settle(
        self,
        scope: Scope,
        room: Room,
        cookies: Mapping[str, str],
        place: Ticket,
        given: Mapping[str, object],
        now_ms: int,
    ) -> Found | None:
        """Judge by what a page tells; None for a place that was judged before.

        Raises Refused for what cannot be a rhythm, before anything is noted; and Unavailable.
        """


class DocumentSigner(Protocol):
    """Signs public documents with ES256; deterministic, so that every worker serves the same bytes."""

    def sign(self, message: bytes) -> tuple[str, bytes]:
        """Return (key id, 64 bytes r and s)."""

    def verify(self, kid: str, message: bytes, signature: bytes) -> bool:
        """Tell whether one of our keys made this signature."""

    @property
    def kid(self) -> str:
        """The id of the key that signs now."""


class ReceiptSigner(Protocol):
    """Signs receipts as JWT (``typ`` waitroom-receipt+jwt)."""

    def receipt(self, claims: dict[str, object]) -> str:
        """Return the compact JWT."""


class Revealed(Protocol):
    """A seed and everything that anyone needs to compute it again."""

    @property
    def seed(self) -> bytes:
        """32 bytes."""

    @property
    def proof(self) -> dict[str, object]:
        """Inputs of the seed, as JSON values."""


class SeedSource(Protocol):
    """Where the randomness of a draw comes from: a committed secret today, a public beacon later."""

    @property
    def level(self) -> str:
        """Assurance shown to fans: A (beacon), B (committed secret)."""

    def commitment(self, draw: bytes) -> bytes:
        """Return what is published before anybody joins."""

    def reveal(self, draw: bytes, count: int, root: bytes) -> Revealed | None:
        """Return the seed and its proof, or None while the randomness does not exist yet."""


class Door(Protocol):
    """What the door forgets when a line begins anew, and what it gets back after a loss."""

    def stale_keys(self, room: str, issued: int) -> list[str]:
        """Name the door's keys that die with a run of `issued` numbers."""

    async def restore(
        self,
        room: str,
        run: str,
        used: Collection[int],
        sessions: Mapping[str, int],
        ended: Mapping[str, int],
        evicted: Mapping[int, str],
    ) -> None:
        """Put used numbers, live sessions (sid to ms), ended and evicted ones back, before the line returns."""


class Message(Protocol):
    """What a fan is told: ready words in the fan's language."""

    @property
    def name(self) -> str:
        """What the same message has again when it is sent again."""

    @property
    def topic(self) -> str:
        """What both messages of a place share: the second may stand in the place of the first."""

    @property
    def language(self) -> str:
        """The language of the words."""

    @property
    def subject(self) -> str:
        """One line."""

    @property
    def short(self) -> str:
        """A sentence or two."""

    @property
    def text(self) -> str:
        """All of it, as plain text."""

    @property
    def html(self) -> str:
        """The same as HTML."""

    @property
    def page(self) -> str:
        """The address of the room's page, without any place in it."""

    @property
    def stop(self) -> str:
        """The address that stops all messages."""

    @property
    def useful_s(self) -> int:
        """So long it helps."""


class Way(Protocol):
    """One way to reach a fan: mail, push."""

    def read(self, given: object) -> tuple[str, str]:
        """Return the address to keep, and what it is known by. Raises Refused."""

    async def send(self, to: str, message: Message) -> Result:
        """Try once."""

    async def close(self) -> None:
        """Let go of connections."""


class Claimed(Protocol):
    """What the door knows of a place that was called."""

    async def has_claimed(self, room: str, number: int) -> bool:
        """Tell whether a place was let in, or given back."""
