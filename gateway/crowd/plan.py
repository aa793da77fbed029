"""The plan: what the crowd will do, fixed and seeded before the first fan comes.

The same plan and seed give the same fans at the same moments with the same intentions; what happens to them is
the room's doing. The crowd loads a system with forged papers and thousands of requests a second, so it speaks to
this machine only: ``faults`` refuses every address that is not loopback.
"""

import ipaddress
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from random import Random
from types import MappingProxyType
from typing import TypeVar
from urllib.parse import urlsplit

from gateway.crowd.bots.kinds import DEFAULT_KINDS, Kind
from gateway.crowd.paying import Manner

ROOM_LETTERS = frozenset("abcdefghijklmnopqrstuvwxyz0123456789-")


class Script(StrEnum):
    """What a fan means to do."""

    STEADY = "steady"  # joins, polls as told, claims, uses the shop
    LEAVER = "leaver"  # joins, gives the place up
    GHOST = "ghost"  # joins, is never seen again
    LATE = "late"  # is called while away, comes back within the claim window or after it
    DOUBLE_CLICK = "double_click"  # joins twice at once under one idempotency key
    TWO_TABS = "two_tabs"  # two pages, one ticket, two claims
    RETRY = "retry"  # loses the answer to its claim and claims again
    EAGER = "eager"  # presses for its turn before it is called
    BAD = "bad"  # comes with forged papers


DEFAULT_MIX: Mapping[Script, float] = MappingProxyType(
    {
        Script.STEADY: 0.59,
        Script.LEAVER: 0.06,
        Script.GHOST: 0.08,
        Script.LATE: 0.06,
        Script.DOUBLE_CLICK: 0.05,
        Script.TWO_TABS: 0.05,
        Script.RETRY: 0.05,
        Script.EAGER: 0.03,
        Script.BAD: 0.03,
    }
)


class Errand(StrEnum):
    """What a fan means to do in a shop that sells seats, once admitted."""

    RESERVE = "reserve"  # holds seats and goes on to pay, as far as there is
    GIVE_BACK = "give_back"  # holds seats and lets them go
    WALK_AWAY = "walk_away"  # holds seats and forgets them: the hold must end by itself
    EXTEND = "extend"  # asks for more time, and once more
    CANCEL = "cancel"  # reserves, then thinks better of it
    DOUBLE_CLICK = "double_click"  # holds twice at once under one key
    RETRY = "retry"  # loses the answer to its hold and asks again
    TWO_TABS = "two_tabs"  # holds in two pages at once, together more than one may have
    RIVAL = "rival"  # asks for a seat that somebody has
    LATE = "late"  # wants to pay for a hold that is over
    WATCH = "watch"  # follows what changes in the hall, and compares


DEFAULT_ERRANDS: Mapping[Errand, float] = MappingProxyType(
    {
        Errand.RESERVE: 0.30,
        Errand.GIVE_BACK: 0.12,
        Errand.WALK_AWAY: 0.10,
        Errand.EXTEND: 0.09,
        Errand.CANCEL: 0.07,
        Errand.DOUBLE_CLICK: 0.07,
        Errand.RETRY: 0.05,
        Errand.TWO_TABS: 0.06,
        Errand.RIVAL: 0.05,
        Errand.LATE: 0.05,
        Errand.WATCH: 0.04,
    }
)
DEFAULT_MANNERS: Mapping[Manner, float] = MappingProxyType(
    {
        Manner.OK: 0.80,
        Manner.OTHER_CARD: 0.06,
        Manner.DECLINED: 0.04,
        Manner.SECURE: 0.04,
        Manner.SECURE_LEFT: 0.02,
        Manner.PRESSES_TWICE: 0.01,
        Manner.TWO_TABS: 0.01,
        Manner.CHANGES_MIND: 0.01,
        Manner.VANISHES: 0.01,
    }
)
NO_ERRANDS = "none"
"""Instead of shares: fans only look at the origin's pages, whatever it sells; or pay for nothing."""

EVENT_LETTERS = ROOM_LETTERS
Chosen = TypeVar("Chosen", Script, Errand, Manner, Kind)


@dataclass(frozen=True, slots=True)
class Limits:
    """What the room promised its origin; None: not known, so not judged."""

    admissions_per_minute: float | None = None
    active_users: int | None = None


@dataclass(frozen=True, slots=True)
class Drill:
    """Something that is done to the room in the middle of the crowd.

    From its start until ``grace_s`` after its end the room may answer 503 with Retry-After and connections may
    break: that is counted apart. ``loses_store`` says that the store's state is gone afterwards, so that one more
    burst may be admitted; ``harms_origin`` that the gate may answer 502 for a site that went in the middle of it.
    """

    at_s: float
    name: str
    act: Callable[[], Awaitable[None]]
    loses_store: bool = False
    harms_origin: bool = False
    grace_s: float = 10.0
    ready: Callable[[], Awaitable[None]] | None = None
    """Waited for from ``at_s`` on, before it starts: what the store had until then is not lost."""


@dataclass(frozen=True, slots=True)
class Plan:
    """A whole crowd; every duration in seconds of the crowd's clock."""

    url: str = "http://127.0.0.1:8080"
    room: str = "main"
    fans: int = 2000
    duration_s: float = 60.0
    linger_s: float = 900.0  # after the last arrival: who still waits then is sent home, the place kept
    shape: str = "onsale"
    mix: Mapping[Script, float] = field(default_factory=lambda: dict(DEFAULT_MIX))
    seed: int = 1
    connections: int = 256
    own_sockets: bool = False  # each fan keeps a connection of its own; `connections` does not count
    timeout_s: float = 15.0
    target: str = "/"
    prefix: str = "/.waitroom"
    finish_path: str = "/finish"  # where the origin's page has no link with "finish" in it
    origin_mark: str = ""  # a text that only the origin's pages have; '' tells them by the room's address
    finish_ratio: float = 0.85  # the rest lets the session end by itself
    think_s: float = 0.8  # between two requests to the shop, on average
    patience_s: float = 8.0  # a leaver gives up after about this long
    away_s: float = 6.0  # a late fan stays away about this long
    late_most_s: float = 60.0  # and goes beyond the claim window only where that window is at most this long
    view_ratio: float = 0.03  # share of polls that also read the personal ticket view
    browse: bool = True  # come by the origin's address first, as a person does
    forwarded: bool = True  # each fan has an address of its own in X-Forwarded-For
    errands: Mapping[Errand, float] = field(
        default_factory=lambda: dict(DEFAULT_ERRANDS)
    )  # where seats are sold
    manners: Mapping[Manner, float] = field(
        default_factory=lambda: dict(DEFAULT_MANNERS)
    )  # where money is taken
    settle_s: float = 60.0  # at the end the shop has so long to settle what its buyers have left behind
    event: str = ""  # the one that all fans want; '' lets each choose among those on sale
    follow_s: float = 10.0  # who watches the hall does so for about this long
    ends_wait_s: float = 150.0  # a fan waits for the end of its hold only where holds last at most this long
    alone: bool = False  # nobody but the crowd buys, so a refusal that no fan explains is wrong
    bots: float = 0.0  # so much of the crowd are bots; with any, people wear their browsers' headers
    kinds: Mapping[Kind, float] = field(default_factory=lambda: dict(DEFAULT_KINDS))
    places: int | None = None  # the sale is over when so many were admitted
    passes: str = ""  # how a token begins that the room's stand-in for a provider takes; '' knows of none
    limits: Limits = Limits()
    operator_url: str | None = None
    operator_token: str | None = field(default=None, repr=False)

    @property
    def ends_s(self) -> float:
        """When the crowd is sent home at the latest."""
        return self.duration_s + self.linger_s


def faults(plan: Plan) -> list[str]:
    """Say everything that is wrong with a plan, each in one sentence; empty means it can be run."""
    found = [
        f"The address {address!r} is not loopback; the crowd loads this machine only (127.0.0.0/8, ::1, localhost)."
        for address in (plan.url, plan.operator_url)
        if address is not None and not is_loopback(address)
    ]
    if not 1 <= len(plan.room) <= 63 or not set(plan.room) <= ROOM_LETTERS or plan.room.startswith("-"):
        found.append(f"The room {plan.room!r} is not a room's name.")
    if not 1 <= plan.fans <= 1_000_000:
        found.append("A crowd has between 1 and 1,000,000 fans.")
    if not 0.1 <= plan.duration_s <= 86_400:
        found.append("The duration is between 0.1 s and a day.")
    if not 0 <= plan.linger_s <= 86_400:
        found.append("The crowd lingers between 0 s and a day.")
    if not 1 <= plan.connections <= 20_000:
        found.append("There are between 1 and 20,000 connections.")
    if not plan.mix or any(share < 0 for share in plan.mix.values()) or sum(plan.mix.values()) <= 0:
        found.append("The mix needs at least one script with a share above zero, and none below it.")
    if any(share < 0 for share in plan.errands.values()):
        found.append("No errand has a share below zero.")
    if any(share < 0 for share in plan.manners.values()):
        found.append("No way to pay has a share below zero.")
    if plan.event and not (len(plan.event) <= 63 and set(plan.event) <= EVENT_LETTERS):
        found.append(f"The event {plan.event!r} is not an event's id.")
    if not all(0 <= lasts_s <= 3600 for lasts_s in (plan.follow_s, plan.ends_wait_s, plan.settle_s)):
        found.append("Watching the hall, waiting for a hold's end and settling last between 0 s and an hour.")
    found += _faults_of_bots(plan)
    paths = (plan.target, plan.prefix, plan.finish_path)
    found += [f"The path {path!r} is not a path on the origin." for path in paths if not _is_path(path)]
    return found


def _faults_of_bots(plan: Plan) -> list[str]:
    found = []
    if not 0 <= plan.bots <= 1:
        found.append("Bots are between none and all of the crowd.")
    if any(share < 0 for share in plan.kinds.values()) or (plan.bots and not sum(plan.kinds.values()) > 0):
        found.append("The kinds of bots need at least one with a share above zero, and none below it.")
    if plan.places is not None and plan.places < 1:
        found.append("A sale has at least one place.")
    return found


def _is_path(text: str) -> bool:
    return text[:1] == "/" and text[:2] != "//" and text.isascii() and text.isprintable() and " " not in text


def is_loopback(url: str) -> bool:
    """True for an http address of this very machine."""
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
        _ = parts.port
    except ValueError:
        return False
    if parts.scheme != "http":
        return False
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def read_mix(text: str) -> dict[Script, float]:
    """Read ``steady=80,ghost=20``; scripts that are not named are not in the crowd. Raises ValueError."""
    return _shares(text, Script, "mix")


def read_errands(text: str) -> dict[Errand, float]:
    """Read ``reserve=60,walk_away=10``, or ``none``; what is not named is not done. Raises ValueError."""
    return {} if text.strip() == NO_ERRANDS else _shares(text, Errand, "errands")


def read_manners(text: str) -> dict[Manner, float]:
    """Read ``ok=80,declined=20``, or ``none``: fans reserve and do not pay. Raises ValueError."""
    return {} if text.strip() == NO_ERRANDS else _shares(text, Manner, "ways to pay")


def read_kinds(text: str) -> dict[Kind, float]:
    """Read ``mimic=60,solver=40`` or ``mimic,solver``; kinds that are not named do not come. Raises ValueError."""
    named = ",".join(part if "=" in part else f"{part}=1" for part in text.split(","))
    return _shares(named, Kind, "kinds of bots")


def _shares(text: str, kind: type[Chosen], what: str) -> dict[Chosen, float]:
    shares: dict[Chosen, float] = {}
    for part in text.split(","):
        name, _, share = part.strip().partition("=")
        try:
            shares[kind(name.replace("-", "_"))] = float(share)
        except ValueError as error:
            known = ", ".join(kind)
            verb = "has" if what == "mix" else "have"
            raise ValueError(
                f"The {what} {verb} {part!r}; it needs NAME=SHARE with a name of {known}."
            ) from error
    return shares


def scripts(mix: Mapping[Script, float], fans: int, random: Random) -> list[Script]:
    """Give each fan a script: exact shares (largest remainder), in a random order."""
    return _dealt(mix, list(Script), fans, random)


def errands(shares: Mapping[Errand, float], fans: int, random: Random) -> list[Errand | None]:
    """Give each fan an errand in the same way; None for all where there are no shares."""
    if not any(share > 0 for share in shares.values()):
        return [None] * fans
    return [*_dealt(shares, list(Errand), fans, random)]


def manners(shares: Mapping[Manner, float], fans: int, random: Random) -> list[Manner | None]:
    """Give each fan a way to pay in the same way, whether or not it comes to that."""
    if not any(share > 0 for share in shares.values()):
        return [None] * fans
    return [*_dealt(shares, list(Manner), fans, random)]


def kinds(bots: float, shares: Mapping[Kind, float], fans: int, random: Random) -> list[Kind | None]:
    """Say who is a bot, and of which kind; None is a person."""
    many = round(fans * bots)
    dealt: list[Kind | None] = [*_dealt(shares, list(Kind), many, random)] if many else []
    dealt += [None] * (fans - many)
    random.shuffle(dealt)
    return dealt


def _dealt(shares: Mapping[Chosen, float], kinds: list[Chosen], fans: int, random: Random) -> list[Chosen]:
    named = [kind for kind in kinds if shares.get(kind, 0) > 0]
    total = sum(shares[kind] for kind in named)
    exact = {kind: fans * shares[kind] / total for kind in named}
    counts = {kind: int(exact[kind]) for kind in named}
    by_rest = sorted(named, key=lambda kind: exact[kind] - counts[kind], reverse=True)
    for kind in by_rest[: fans - sum(counts.values())]:
        counts[kind] += 1
    dealt = [kind for kind in named for _ in range(counts[kind])]
    random.shuffle(dealt)
    return dealt
