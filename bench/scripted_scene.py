"""Scene: what a scripted room is like right now, and what was asked of it.

Set from outside, by a test or for a picture, also while pages look at it. Not here: how it answers (``scripted_room``).
"""

import time
from dataclasses import dataclass, field
from typing import Any

PREFIX = "/.waitroom/"
NAME = "Northern Lights Festival"
TICKET = "waitroom-ticket-main"
ADMISSION = "waitroom-admission-main"
LANES = ("verified", "standard", "suspect")


def now_ms() -> int:
    """Return the server's time."""
    return time.time_ns() // 1_000_000


@dataclass
class Scene:
    """What the room is like right now, and what was asked of it."""

    phase: str = "serving"
    run: str = "0123456789abcdef"
    epoch: int = 1
    version: int = 1
    issued: int = 0
    serving: int = 0
    speed: int = 0
    plan: int = 0
    opens_in_s: float | None = None
    starts_in_s: float | None = None
    frozen: int | None = None
    seed: str = ""
    commitment: str = ""
    root: str = ""
    rounds: int = 90
    void: list[list[int]] = field(default_factory=list)
    paused: bool = False
    bypass: bool = False
    message: str = ""
    wait: dict[str, float | None] | None = None
    census: dict[str, Any] | None = None
    stock: dict[str, Any] | None = None
    moved_to: str | None = None
    claim_window_s: int = 300
    called_ms: int | None = None
    extensions: int = 0
    extensions_most: int = 10
    next_number: int | None = None
    away: bool = False
    cookies: bool = True
    forged: bool = False
    claims: list[tuple[int, dict[str, Any]]] = field(default_factory=list)
    join_problem: tuple[int, dict[str, Any]] | None = None
    seen: dict[str, int] = field(default_factory=dict)
    given_back: list[str] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    claim_headers: list[dict[str, str]] = field(default_factory=list)
    rhythms: list[dict[str, Any]] = field(default_factory=list)
    slows: bool = False
    used: set[str] = field(default_factory=set)
    codes: dict[str, tuple[str, str]] = field(default_factory=dict)
    custom_page_html: str | None = None
    frame_ancestors: tuple[str, ...] = ()

    def count(self, what: str) -> None:
        """Note that something was asked."""
        self.seen[what] = self.seen.get(what, 0) + 1

    def change(self, **values: Any) -> None:
        """Change the room as its public would notice."""
        for name, value in values.items():
            setattr(self, name, value)
        self.version += 1
