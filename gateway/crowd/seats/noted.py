"""What was noted of the shop: every wish and its answer, every paper, every map that somebody compared.

Facts are kept as they were told; what they mean is decided by the checks. Moments are microseconds since 1970 by the
shop's clock as far as the crowd knows it (``clock``); the moments of the shop itself are milliseconds.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import NamedTuple

from checkout.audit.records import Act, Delta, Snapshot
from gateway.crowd.paying import Purchase
from gateway.crowd.plan import Errand
from gateway.crowd.seats.booked import Booked
from gateway.crowd.seats.hall import Hall, Wish


class Ending(StrEnum):
    """How an errand ended."""

    RESERVED = "reserved"  # the seats are the fan's, as far as there is: the shop takes no money
    PAID = "paid"
    REVIEWED = "reviewed"  # the seats are the fan's, the money is authorised, and a person looks at it
    NOT_PAID = "not-paid"  # the bank said no, or the fan thought better of it: told that nothing is charged
    LEFT_UNPAID = "left-unpaid"  # went away before it was decided
    GAVE_BACK = "gave-back"
    CANCELLED = "cancelled"  # the reservation was given back
    ENDED = "ended"  # the hold's time ran out first; whether it was due is for the checks to say
    LEFT_HELD = "left-held"  # walked away; the hold outlives the fan's patience
    REFUSED = "refused"  # was told clearly why not
    FOLLOWED = "followed"  # the copy of the map was compared
    WAITED = "waited"  # stood on the waitlist until the patience was over
    NOTHING = "nothing"  # nothing was to be had, and no waitlist either
    NOT_ON_SALE = "not-on-sale"
    LOST = "lost"  # the store lost the hold, in an announced drill
    CUT = "cut"  # the session or the crowd ended first
    FAILED = "failed"  # something was not as promised


ANY = frozenset({Ending.ENDED, Ending.WAITED, Ending.NOTHING, Ending.NOT_ON_SALE, Ending.LOST, Ending.CUT})
"""Endings that may come to every errand."""

BOUGHT = frozenset({Ending.RESERVED, Ending.PAID, Ending.REVIEWED, Ending.NOT_PAID, Ending.LEFT_UNPAID})
"""How it ends to go on to pay; which of these, the way to pay says (``cashier.ENDS``)."""

ENDINGS: Mapping[Errand, frozenset[Ending]] = MappingProxyType(
    {
        Errand.RESERVE: ANY | BOUGHT,
        Errand.GIVE_BACK: ANY | {Ending.GAVE_BACK},
        Errand.WALK_AWAY: ANY | {Ending.LEFT_HELD},
        Errand.EXTEND: ANY | BOUGHT | {Ending.GAVE_BACK},
        Errand.CANCEL: ANY | {Ending.CANCELLED},
        Errand.DOUBLE_CLICK: ANY | BOUGHT | {Ending.GAVE_BACK},
        Errand.RETRY: ANY | BOUGHT | {Ending.GAVE_BACK},
        Errand.TWO_TABS: ANY | {Ending.GAVE_BACK, Ending.REFUSED},
        Errand.RIVAL: ANY | {Ending.REFUSED, Ending.GAVE_BACK},
        Errand.LATE: ANY | {Ending.GAVE_BACK},
        Errand.WATCH: ANY | {Ending.FOLLOWED},
    }
)


class Line(NamedTuple):
    """A seat on a paper; section and row as the shop names them."""

    seat: int
    section: str | int
    row: str | int
    number: str
    tier: int
    price_minor: int


class Paper(NamedTuple):
    """What a buyer was told of a hold or of a reservation (``id``)."""

    id: str
    lines: tuple[Line, ...]
    currency: str
    total_minor: int
    until_ms: int
    state: str
    now_ms: int
    extendable: bool = False

    @property
    def seats(self) -> tuple[int, ...]:
        """The seats' indexes."""
        return tuple(line.seat for line in self.lines)


class Tried(NamedTuple):
    """One request for a hold, or (``key`` is '') an offer of the waitlist that the buyer found."""

    fan: int
    buyer: str
    event: str
    key: str
    wish: Wish
    asked_us: int
    answered_us: int | None  # None: no answer came
    status: int = 0
    code: str = ""
    paper: Paper | None = None
    taken: tuple[tuple[int, int], ...] = ()  # (seat, status) as a refusal listed them
    has: int | None = None
    most: int | None = None
    copy: bool = False  # sent beside another under the same key

    @property
    def is_lost(self) -> bool:
        """True when it may or may not have been done."""
        return self.answered_us is None or self.status >= 500


class Acted(NamedTuple):
    """One request about a hold that the buyer had; ``hold`` is the hold's id, also for a reservation."""

    fan: int
    buyer: str
    event: str
    act: Act
    hold: str
    asked_us: int
    answered_us: int | None
    status: int = 0
    code: str = ""
    state: str = ""  # of a hold that is over
    paper: Paper | None = None

    @property
    def is_lost(self) -> bool:
        """True when it may or may not have been done."""
        return self.answered_us is None or self.status >= 500

    @property
    def is_done(self) -> bool:
        """True when the shop said so."""
        return not self.is_lost and self.status < 300


class Mine(NamedTuple):
    """The holds that the shop says a buyer has."""

    fan: int
    buyer: str
    event: str
    asked_us: int
    answered_us: int
    papers: tuple[Paper, ...]


class Won(NamedTuple):
    """A fan got seats: how long that took since the first wish, and how many wishes were refused on the way."""

    fan: int
    at_s: float
    took_s: float
    refused: int


class Compared(NamedTuple):
    """A viewer's copy of the map was held against a fresh one; ``fault`` is '' where they were the same."""

    fan: int
    event: str
    version: str
    fault: str


@dataclass(slots=True)
class Shop:
    """Everything that the crowd saw of the shop; without halls there was none."""

    halls: dict[str, Hall] = field(default_factory=dict)
    why_not: str = ""  # an event that was asked for cannot be had, or a shop that cannot be understood
    tried: list[Tried] = field(default_factory=list)
    acted: list[Acted] = field(default_factory=list)
    mines: list[Mine] = field(default_factory=list)
    takes_money: bool | None = None  # None: nobody has tried to pay
    purchases: list[Purchase] = field(default_factory=list)
    booked: Booked | None = None  # the books at the end, where they could be read
    won: list[Won] = field(default_factory=list)
    held: dict[str, tuple[str, Paper]] = field(
        default_factory=dict
    )  # event and paper of holds nobody ended yet
    queued: set[str] = field(
        default_factory=set
    )  # buyers who stood on a waitlist: what was offered may be unknown
    looks: dict[str, list[Snapshot | Delta]] = field(default_factory=dict)  # by event
    compared: list[Compared] = field(default_factory=list)
    watched_in_vain: int = 0  # viewers who could not compare: every map was older than their copy
    unlike: list[str] = field(default_factory=list)  # maps that cannot be right
    outside: int = 0  # holds that were asked for without an admission
    slipped: list[str] = field(default_factory=list)  # and were given
    clock_jump_ms: float = 0.0

    def look(self, event: str, record: Snapshot | Delta) -> None:
        """Keep a snapshot or a change that somebody compares."""
        self.looks.setdefault(event, []).append(record)
