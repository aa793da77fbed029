"""Ports: what the operator's side needs from outside, filled by ``gateway.wiring``.

``Figures`` gives a room's present numbers by the names below; what is missing or None is shown as unknown, further
names are passed on to readers of the API.

======================== =====================================================================
phase, opening, run      of the line, as it is (the schedule says what it should be)
opened_ms, epoch         when this run began; how often the room's line began or was put back
waiting                  people not yet called
called                   people called who have not claimed yet
active_sessions          places of ``total_active_users`` that are taken
issued                   numbers given in this run
admitted_per_minute      admissions in the last minute
plan_per_minute          what the pace aims at
max_estimated_time_minutes  wait of whoever joins now, at most
wait_low_s, wait_high_s  the wait that whoever joins now is told
wait_held, wait_held_of  share of the waits told before that held, of so many that were judged (ADR 0012)
called_in_all, admitted  since the run began, and since the room was made
show_ratio               part of the called who come, as observed
lane_verified, lane_standard, lane_suspect  numbers of this run in each lane
slowed                   places that were slowed, or asked for a check, and have not got out of it
origin_per_minute, origin_failure_ratio, origin_p95_ms  how the origin answers, of late (ADR 0042)
refused, shed            joins that got no number since the room was made: for what they are, or because we were busy
settled_kept, settled_slowed, settled_asked, settled_passed  what came of the places that the bot guard judged near
                         their turn, so far: free, put back, asked for a check, checks passed; the same with
                         _verified and _standard behind: by the lane in which they waited then
store_ms                 when these figures were read, by the store's clock
store_age_ms             age of these figures, where the store is away
======================== =====================================================================

``Looks`` is the same for the console: settings and numbers of a room together, in one trip to the store.
"""

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from starlette.routing import BaseRoute

from admission.bypassing import Token
from admission.guests import By
from admission.steering import Guest
from dashboards.access_books import AccessBooks
from dashboards.wait_book import Attempts, api_attempts
from kernel import oidc
from kernel.asgi import Network
from kernel.clock import Clock
from kernel.errors import Misconfigured, Refused, Unavailable
from kernel.oidc import Begun
from kernel.signing import PaperSigner
from waitroom.configure import Configurations
from waitroom.history_book import HistoryBook
from waitroom.journal_reader import JournalReader
from waitroom.journal_watch import JournalWatch
from waitroom.rooms import Room
from waitroom.target_desk import TargetDesk

TOKEN_MIN_CHARS = 16


@dataclass(frozen=True, slots=True)
class Outgoing:
    """What the journal gives to others: a feed, targets, and how far its chain was checked.

    ``is_over`` tells when this process goes: streams then end.
    """

    reader: JournalReader
    targets: TargetDesk
    watch: JournalWatch
    is_over: Callable[[], bool] = lambda: False


class Figures(Protocol):
    """Who counts people."""

    async def figures(self, room: str) -> Mapping[str, object]:
        """Return the present numbers of a room; empty where there are none yet. May raise ``Unavailable``."""
        ...


@dataclass(frozen=True, slots=True)
class Look:
    """A room as it is set up, and its present numbers; None where they cannot be had."""

    room: Room
    figures: Mapping[str, object] | None


class Looks(Protocol):
    """Who looks at rooms for the console."""

    async def names(self) -> Collection[str]:
        """Name the rooms that may be there. May raise ``Unavailable``."""
        ...

    async def look(self, name: str) -> Look | None:
        """Look at a room, in one trip to the store; None where there is none. May raise ``Unavailable``."""
        ...


class ConfiguredLooks:
    """``Looks`` of two who know nothing of each other: settings from the one, figures from the other."""

    def __init__(self, configurations: Configurations, figures: Figures) -> None:
        """Ask both."""
        self._configurations = configurations
        self._figures = figures

    async def names(self) -> Collection[str]:
        """Name the rooms."""
        return [room.name for room in await self._configurations.list()]

    async def look(self, name: str) -> Look | None:
        """Look at a room."""
        try:
            room = await self._configurations.get(name)
        except Refused:
            return None
        try:
            return Look(room, await self._figures.figures(name))
        except Unavailable:
            return Look(room, None)


class Identity(Protocol):
    """The provider that says who somebody is."""

    @property
    def issuer(self) -> str:
        """Name it."""
        ...

    async def login_address(self, begun: Begun, language: str) -> str:
        """Give the address at which somebody signs in. Raises ``NotBelieved``, ``Unavailable``."""
        ...

    async def person(self, code: str, begun: Begun) -> oidc.Person:
        """Tell whom a code stands for. Raises ``NotBelieved``, ``Unavailable``."""
        ...


class OneTimeLink(Protocol):
    """A link that signs in once, for whoever has started a demo on this machine."""

    def holds(self, code: str) -> bool:
        """Tell whether its code counts now."""
        ...

    def take(self, code: str) -> bool:
        """Use the code up; tell whether it counted."""
        ...


class Guests(Protocol):
    """Acts on single guests of a room, by their number from 0. All raise Refused and Unavailable."""

    async def find(self, room: str, number: int) -> Guest:
        """Tell how a number stands."""
        ...

    async def revoke(self, room: str, number: int, by: By) -> Guest:
        """End the session of a number."""
        ...

    async def revoke_all(self, room: str, by: By) -> int:
        """End every session of a room; return how many."""
        ...

    async def evict(self, room: str, number: int, by: By) -> Guest:
        """Keep a number from its turn."""
        ...

    async def reinstate(self, room: str, number: int, by: By) -> Guest:
        """Give an evicted number its place back."""
        ...

    async def evicted(self, room: str) -> list[int]:
        """List the numbers that are evicted."""
        ...


class Passes(Protocol):
    """The bypass tokens of rooms. All raise Refused and Unavailable."""

    async def make(self, room: str, name: str, hours: int, by: By) -> tuple[Token, str]:
        """Make a token, and tell its text."""
        ...

    async def revoke(self, room: str, token: str, by: By) -> Token:
        """Let a token count no more."""
        ...

    async def tokens(self, room: str) -> list[Token]:
        """List a room's tokens."""
        ...


@dataclass(frozen=True, slots=True)
class Codes:
    """A batch of priority codes, as others may see it. `until_ms` and `revoked_ms` are 0 for none."""

    batch: int
    label: str
    size: int
    used: int
    made_ms: int
    until_ms: int
    revoked_ms: int
    counts: bool


class PriorityCodes(Protocol):
    """The priority codes of rooms. All raise Refused and Unavailable."""

    async def make(
        self, room: str, label: str, count: int, hours: int, by: By
    ) -> tuple[Codes, Sequence[str]]:
        """Make a batch, and tell its codes."""
        ...

    async def batches(self, room: str) -> list[Codes]:
        """List a room's batches."""
        ...

    async def revoke(self, room: str, batch: int, by: By) -> Codes:
        """Let a batch count no more."""
        ...


LetGo = Callable[[str, int, str, str], Awaitable[str]]
"""Lets go of the key of a place, by room and number, and records who and why; returns the run.

Raises Refused and Unavailable.
"""


async def always_ready() -> Sequence[str]:
    """Know of nothing that is wrong."""
    return ()


def no_metrics() -> tuple[str, bytes]:
    """Know no metrics."""
    return "text/plain; charset=utf-8", b""


@dataclass(frozen=True, slots=True)
class Deps:
    """Everything that the operator's application is joined with.

    ``extra_routes`` (sessions, for backends) come first and guard themselves. ``ready`` returns what is wrong, one
    sentence each. ``waiting_page`` is the public address before a room's name, for a link; '' shows none.
    ``let_go`` releases a place from its key; None: there is no such address. ``outgoing`` is the journal for readers;
    None: neither feed nor page of it.
    ``guests`` acts on single guests, ``bypassing`` on bypass tokens, ``codes`` on priority
    codes; None: there is no such address.
    ``backend_token`` lets a shop say what is left, and nothing else; None: only the operator's token does.
    ``access`` keeps accounts, sessions and tokens; None: there is the operator token, and nobody else.
    ``identity`` is the provider at which people may sign in. ``token_login`` lets the operator token sign in at the
    page although there are accounts. ``own_page`` is the address of these pages, for links that are handed on;
    '' takes it from whoever asks.
    ``link`` signs in once where the operator token does, for browsers on this machine; None: there is none.
    ``attempts`` counts wrong tokens, for all that takes one.
    ``history`` has the minutes of months; None: nobody keeps them, and there are no such pages.
    """

    configurations: Configurations
    figures: Figures
    operator_token: str = field(repr=False)
    signer: PaperSigner = field(repr=False)
    clock: Clock
    secure: bool = False
    ready: Callable[[], Awaitable[Sequence[str]]] = always_ready
    metrics: Callable[[], tuple[str, bytes]] = no_metrics
    extra_routes: Sequence[BaseRoute] = ()
    trusted_proxies: Sequence[Network] = ()
    waiting_page: str = ""
    let_go: LetGo | None = None
    outgoing: Outgoing | None = None
    guests: Guests | None = None
    bypassing: Passes | None = None
    codes: PriorityCodes | None = None
    backend_token: str | None = field(default=None, repr=False)
    access: AccessBooks | None = None
    identity: Identity | None = None
    token_login: bool = False
    own_page: str = ""
    link: OneTimeLink | None = None
    attempts: Attempts = field(default_factory=api_attempts)
    history: HistoryBook | None = None

    def __post_init__(self) -> None:
        """Refuse a token that could be guessed. Raises ``Misconfigured``."""
        if len(self.operator_token) < TOKEN_MIN_CHARS or not self.operator_token.isascii():
            raise Misconfigured(
                [f"The operator token must have at least {TOKEN_MIN_CHARS} characters, all of them ASCII."]
            )
