"""What was observed: the file of every fan and every fact that a check or a figure needs.

Times are seconds of the crowd's clock, zero at its start; ``wall_ms`` ties them to the room's clock. Facts are
kept as they were told, none is corrected here; what they mean is decided by ``checks``, which therefore can be
tested with a handful of records. Polls are only counted (a crowd makes millions), places and claims are kept.
"""

from array import array
from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import Any, NamedTuple

from gateway.crowd.bots.kinds import Kind
from gateway.crowd.law import Document
from gateway.crowd.paying import Manner
from gateway.crowd.plan import Errand, Limits, Script
from gateway.crowd.seats.noted import Ending, Shop


class Outcome(StrEnum):
    """How a fan's day ended."""

    FINISHED = "finished"  # was in the shop and ended the session
    STAYED = "stayed"  # was in the shop and let the session end by itself
    LEFT = "left"  # gave the place up, and it stayed given up
    GONE = "gone"  # went away without a word
    REFUSED = "refused"  # every forged paper was refused
    WAITING = "waiting"  # sent home at the end of the crowd, still in line
    OUTSIDE = "outside"  # sent home without ever getting a place (room full or not open)
    OVER = "over"  # the sale ended before the turn came
    FAILED = "failed"  # anything else: something was not as promised


EXPECTED: Mapping[Script, frozenset[Outcome]] = MappingProxyType(
    {
        Script.STEADY: frozenset({Outcome.FINISHED, Outcome.STAYED}),
        Script.LEAVER: frozenset({Outcome.LEFT}),
        Script.GHOST: frozenset({Outcome.GONE}),
        Script.LATE: frozenset({Outcome.FINISHED, Outcome.STAYED}),
        Script.DOUBLE_CLICK: frozenset({Outcome.FINISHED, Outcome.STAYED}),
        Script.TWO_TABS: frozenset({Outcome.FINISHED, Outcome.STAYED}),
        Script.RETRY: frozenset({Outcome.FINISHED, Outcome.STAYED}),
        Script.EAGER: frozenset({Outcome.FINISHED, Outcome.STAYED}),
        Script.BAD: frozenset({Outcome.REFUSED}),
    }
)
BOTS_END = EXPECTED[Script.STEADY] | {Outcome.REFUSED}
"""A bot gets in or is turned away; either way the room kept its promises."""
UNDECIDED = frozenset({Outcome.WAITING, Outcome.OUTSIDE, Outcome.OVER})
"""The crowd ended before the script did: neither as expected nor against it."""


class Route(StrEnum):
    """The kinds of requests, for counts and latencies."""

    PAGE = "page"
    JOIN = "join"
    STATUS = "status"
    TICKET = "ticket"
    CLAIM = "claim"
    LEAVE = "leave"
    CHECK = (
        "check"  # by which a place leaves the lane suspect, or goes in where one is asked for before the turn
    )
    RHYTHM = "rhythm"  # what the page tells of its pointer
    DRAW = "draw"
    RECEIPT = "receipt"
    SHOP = "shop"
    GIVE_BACK = "give-back"
    EVENTS = "events"
    LAYOUT = "layout"
    MAP = "map"
    DELTAS = "deltas"
    HOLD = "hold"
    HOLDS = "holds"
    EXTEND = "extend"
    RELEASE = "release"
    RESERVE = "reserve"
    CANCEL = "cancel"
    WAITLIST = "waitlist"
    ORDER = "order"
    PAY = "pay"
    PAID = "paid"  # how does the order stand
    GIVE_UP = "give-up"
    BANK = "bank"


LATER = frozenset({202, 429, 503})
"""Answers that put a fan off; each has to say until when (Retry-After)."""


@dataclass(slots=True)
class FanFile:
    """One fan: what it meant to do and what became of it."""

    index: int
    script: Script
    arrives_s: float
    run: str = ""
    number: int | None = None
    rank: int | None = None
    lane: str = ""
    joined_s: float | None = None
    called_s: float | None = None
    admitted_s: float | None = None
    ended_s: float | None = None
    outcome: Outcome | None = None
    errand: Errand | None = None
    manner: Manner | None = None  # how it pays, where it comes to that
    ending: Ending | None = None  # of the errand; None where the fan did not come to it
    kind: Kind | None = None  # of bot; None is a person
    nth: int = 0  # among those of its kind
    was_suspect: bool = False  # began in the lane suspect
    put_off: int = 0  # how often a join or a check of it was one too many from its network or browser
    settled: str = ""  # what the room said to its rhythm: noted, slowed, asked, or the code of a refusal
    asks: str = ""  # the check that comes before its turn; '' where none does, and after it
    faults: list[str] = field(default_factory=list)

    @property
    def matched(self) -> bool:
        """True when the fan's day went as its script says, without a fault on the way."""
        expected = EXPECTED[self.script] if self.kind is None else BOTS_END
        return self.outcome in expected and not self.faults

    @property
    def undecided(self) -> bool:
        """True when the crowd ended first."""
        return self.outcome in UNDECIDED and not self.faults


class Joined(NamedTuple):
    """A number was given."""

    fan: int
    run: str
    number: int
    asked_s: float
    answered_s: float


class Placed(NamedTuple):
    """A fan was shown, or worked out, its place, as of the (epoch, version) ``order``."""

    fan: int
    run: str
    number: int
    rank: int | None
    order: tuple[int, int]
    by: str


class Told(NamedTuple):
    """The room said whether a rank is called; ``order`` is the (epoch, version) it said so by, if known."""

    fan: int
    run: str
    lane: str
    rank: int
    called: bool
    order: tuple[int, int] | None
    asked_s: float
    answered_s: float


class Admitted(NamedTuple):
    """An admission was handed out.

    ``at_ms`` is the moment of admission by the room's clock, rounded down to a whole ``unit_ms`` (a second: ``iat``,
    which stays the same when a claim is repeated or a session renewed).
    """

    fan: int
    run: str
    number: int
    sid: str
    at_ms: int
    unit_ms: int
    asked_s: float
    answered_s: float


@dataclass(slots=True)
class Stay:
    """A session that was surely alive from ``since_s`` to ``until_s`` (crowd's clock)."""

    sid: str
    since_s: float
    until_s: float


class Turned(NamedTuple):
    """A genuine ticket was refused."""

    fan: int
    route: Route
    status: int
    code: str
    at_s: float


class Checked(NamedTuple):
    """What came of one answer to a check, or of asking for one; `outcome` is the room's word."""

    fan: int
    way: str
    outcome: str
    cpu_s: float
    usd: float


class Failed(NamedTuple):
    """A request was put off or ended in a 5xx, or without an answer."""

    fan: int
    route: Route
    kind: str  # the status code, or a word of wire.Broken
    retry_told: bool
    since_s: float
    until_s: float


class Outage(NamedTuple):
    """A time in which the room was harmed on purpose."""

    name: str
    since_s: float
    until_s: float
    loses_store: bool
    harms_origin: bool = False


class Sample(NamedTuple):
    """What the operator's port said of the sessions."""

    at_s: float
    active: int


class Counted(NamedTuple):
    """An admission as the journal has it."""

    at_ms: int
    run: str
    sid: str


class Receipt(NamedTuple):
    """What the room says in writing that it holds of a ticket."""

    fan: int
    number: int
    leaf: str


@dataclass(frozen=True, slots=True)
class Bundle:
    """The published draw: what the room said of it at the end, and all leaves, 16 bytes each."""

    said: Mapping[str, Any]
    leaves: bytes


@dataclass(slots=True)
class Observed:
    """Everything the crowd saw."""

    wall_ms: float = 0.0  # the room's clock at the crowd's zero
    fans: list[FanFile] = field(default_factory=list)
    joins: list[Joined] = field(default_factory=list)
    places: list[Placed] = field(default_factory=list)
    told: list[Told] = field(default_factory=list)
    admissions: list[Admitted] = field(default_factory=list)
    stays: dict[str, Stay] = field(default_factory=dict)
    turned: list[Turned] = field(default_factory=list)
    failures: list[Failed] = field(default_factory=list)
    checks: list[Checked] = field(default_factory=list)
    policy: str = ""  # what the room does with bots, as its operator's port says
    hasty: list[Failed] = field(default_factory=list)  # 202, 429 or 503 that did not say when to come back
    refusals: Counter[tuple[Route, int]] = field(
        default_factory=Counter
    )  # how often which answer put somebody off or failed
    receipts: list[Receipt] = field(default_factory=list)
    draw: Bundle | None = None
    slipped: list[tuple[int, str]] = field(default_factory=list)  # reached the origin without an admission
    forged: list[tuple[int, str]] = field(default_factory=list)  # a forged paper that was not refused
    documents: list[tuple[float, Document]] = field(default_factory=list)  # distinct ones, when first seen
    shop: Shop = field(default_factory=Shop)  # what was asked, told and seen where seats are sold
    garbled: list[str] = field(default_factory=list)  # documents that could not be read
    outages: list[Outage] = field(default_factory=list)
    samples: list[Sample] = field(default_factory=list)
    journal: list[Counted] | None = None
    roll_called: int = 0  # fans with an unused ticket who were asked for it at the end
    roll_answered: int = 0
    limits: Limits = field(default_factory=Limits)
    alone: bool = False  # nobody but the crowd bought
    ended_s: float = 0.0
    requests: dict[Route, Counter[int]] = field(default_factory=lambda: defaultdict(Counter))
    latencies_ms: dict[Route, "array[float]"] = field(default_factory=lambda: defaultdict(lambda: array("f")))
    queues_ms: "array[float]" = field(default_factory=lambda: array("f"))  # waits for a free connection
    lags_ms: "array[float]" = field(default_factory=lambda: array("f"))  # of the crowd's own event loop
    cpu_s: float = 0.0  # of the crowd's process

    def in_outage(self, since_s: float, until_s: float, *, of_origin: bool = False) -> bool:
        """True when the time touches one in which the room (its origin) was harmed on purpose or getting up from it."""
        return any(
            outage.since_s <= until_s and since_s < outage.until_s
            for outage in self.outages
            if outage.harms_origin or not of_origin
        )
