"""Limits: what an operator lets through a room's door, and in which manner.

One value for each room, already merged from the room and its present sale; a change is a new value.
``new_users_per_minute`` and ``total_active_users`` are hard: no claim passes them.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from kernel.cookies import SameSite

LANES = ("verified", "standard", "suspect")
"""Highest threshold first."""

LEEWAY_MS = 30_000
"""Clocks of backends may differ by this much; a place is held so much longer than its token says."""

LANE_SHARES: Mapping[str, float] = MappingProxyType({"verified": 0.6, "standard": 0.35, "suspect": 0.05})


@dataclass(frozen=True, slots=True)
class CookieAttributes:
    """How the room's cookies are set; `secure` also means the ``__Host-`` prefix.

    `suffix` ends the name of the ticket's cookie, which the waiting room sets.
    """

    secure: bool = False
    same_site: SameSite = "lax"
    partitioned: bool = False
    suffix: str = ""


@dataclass(frozen=True, slots=True)
class Limits:
    """The law of one door. `audience` is the origin, `issuer` this installation."""

    new_users_per_minute: int
    total_active_users: int
    audience: str
    issuer: str
    session_ms: int = 300_000
    max_session_ms: int = 86_400_000
    renewal: bool = True
    claim_window_ms: int = 600_000
    recall_share: float = 0.2
    lane_shares: Mapping[str, float] = field(default_factory=lambda: LANE_SHARES)
    paused: bool = False
    leeway_ms: int = LEEWAY_MS
    target_hosts: frozenset[str] = frozenset()
    cookie: CookieAttributes = field(default_factory=CookieAttributes)

    @property
    def hold_ms(self) -> int:
        """How long an admission holds a place, unless it is renewed."""
        return self.session_ms + self.leeway_ms

    @property
    def recall_permille(self) -> int:
        """The share of grants for those who come late, in thousandths."""
        return round(min(1.0, max(0.0, self.recall_share)) * 1000)
