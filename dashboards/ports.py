"""Ports: what the operator's side needs from outside, filled by ``gateway.wiring``.

``Figures`` gives a room's present numbers by the names below; what is missing or None is shown as unknown, further
names are passed on to readers of the API.

======================== =====================================================================
phase, opening, run      of the line, as it is (the schedule says what it should be)
waiting                  people not yet called
called                   people called who have not claimed yet
active_sessions          places of ``total_active_users`` that are taken
issued                   numbers given in this run
admitted_per_minute      admissions in the last minute
plan_per_minute          what the pace aims at
max_estimated_time_minutes  wait of whoever joins now, at most
store_age_ms             age of these figures, where the store is away
======================== =====================================================================
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from starlette.routing import BaseRoute

from dashboards.access_books import AccessBooks
from kernel import oidc
from kernel.asgi import Network
from kernel.clock import Clock
from kernel.errors import Misconfigured
from kernel.oidc import Begun
from kernel.signing import PaperSigner
from waitroom.configure import Configurations

TOKEN_MIN_CHARS = 16


class Figures(Protocol):
    """Who counts people."""

    async def figures(self, room: str) -> Mapping[str, object]:
        """Return the present numbers of a room; empty where there are none yet. May raise ``Unavailable``."""
        ...


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


LetGo = Callable[[str, int], Awaitable[str]]
"""Lets go of the key of a place, by room and number; returns the run. Raises Refused and Unavailable."""


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
    ``let_go`` releases a place from its key; None: there is no such address.
    ``backend_token`` lets a shop say what is left, and nothing else; None: only the operator's token does.
    ``access`` keeps accounts, sessions and tokens; None: there is the operator token, and nobody else.
    ``identity`` is the provider at which people may sign in. ``token_login`` lets the operator token sign in at the
    page although there are accounts. ``own_page`` is the address of these pages, for links that are handed on;
    '' takes it from whoever asks.
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
    backend_token: str | None = field(default=None, repr=False)
    access: AccessBooks | None = None
    identity: Identity | None = None
    token_login: bool = False
    own_page: str = ""

    def __post_init__(self) -> None:
        """Refuse a token that could be guessed. Raises ``Misconfigured``."""
        if len(self.operator_token) < TOKEN_MIN_CHARS or not self.operator_token.isascii():
            raise Misconfigured(
                [f"The operator token must have at least {TOKEN_MIN_CHARS} characters, all of them ASCII."]
            )
