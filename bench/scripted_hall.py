"""Scripted hall: what the scripted shop remembers, and what others do in it.

Seats, holds, reservations and changes, in memory and without rules beyond what a page must meet: a key makes one hold,
a taken seat is refused, the limit holds. Not here: how it is told to a browser (``scripted_shop``).
"""

import random
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any
from zlib import crc32

from checkout.halls import layout
from checkout.halls.deltas import write
from checkout.halls.houses import arena_60000, theatre_2000
from checkout.halls.plans import Plan
from checkout.halls.seats import Status
from checkout.halls.sections import Row, Section
from checkout.site.render import Event

HALLS: dict[str, Callable[[], Plan]] = {"theatre": theatre_2000, "arena": arena_60000}
PRICES = {"theatre": (8900, 6400, 4200, 2600), "arena": (11900, 7900, 9800, 7400, 4900)}
ZONE = "Europe/Berlin"


def now_ms() -> int:
    """Tell the time."""
    return time.time_ns() // 1_000_000


@dataclass
class Scene:
    """What the shop is like; every field may be set while pages look."""

    hall: str = "theatre"
    title: str = "Northern Lights"
    taken_ratio: float = 0.35
    hold_s: float = 180
    grace_s: float = 600
    max_per_buyer: int = 6
    opens_in_s: float | None = None
    over: bool = False
    cancelled: bool = False
    currencies: tuple[str, ...] = ("EUR",)
    """The first is the one that is charged."""
    offer: str = ""
    unmet: str = ""
    """The currency that was chosen, and is not among them."""
    slow_s: float = 0
    sections_only: bool = False
    away: bool = False
    """All of the API answers 503."""
    lose_answers: int = 0
    """So many holds are made without the answer arriving."""
    cut: bool = False
    """Streams end, and on a new one nothing comes."""
    is_over: bool = False
    refusals: list[tuple[int, dict[str, Any]]] = field(default_factory=list)
    """What the next holds are answered instead."""
    seen: Counter[str] = field(default_factory=Counter)
    keys: list[str] = field(default_factory=list)


class Hall:
    """The state of one scene."""

    def __init__(self, scene: Scene) -> None:
        self.scene = scene
        self.plan = HALLS[scene.hall]()
        self.document = layout.document(self.plan.layout)
        self.began_ms = now_ms()
        dice = random.Random(7)
        self.octets = bytearray(
            tier << 4 | (int(Status.SOLD) if dice.random() < self._taken(seat, dice) else 0)
            for seat, tier in enumerate(self.plan.tiers)
        )
        self.where = {
            seat: (section.name, row.name if row else "", number)
            for section in self.plan.layout.sections
            for seat, row, number in _places(section)
        }
        self.holds: dict[str, dict[str, Any]] = {}
        self.by_key: dict[str, str] = {}
        self.reservations: dict[str, dict[str, Any]] = {}
        self.waitlist: dict[str, Any] | None = None
        self.deltas: list[tuple[str, str, str]] = []
        self.sequence = 0

    # ---------------------------------------------------------------------------------- what others do
    def others_take(self, seats: Iterable[int]) -> None:
        """Have other buyers hold seats."""
        self.put(seats, Status.HELD)

    def others_return(self, seats: Iterable[int]) -> None:
        """Have seats come back."""
        self.put(seats, Status.FREE)

    def sell_out(self) -> None:
        """Sell whatever is free."""
        self.put([seat for seat, byte in enumerate(self.octets) if not byte & 15], Status.SOLD)

    def expire(self) -> None:
        """End all holds."""
        for hold in self.holds.values():
            if hold["state"] == "held":
                hold["state"] = "expired"
                self.put([seat["seat"] for seat in hold["seats"]], Status.FREE)

    def reset(self) -> None:
        """Tell all pages to fetch the map again."""
        self._tell("reset", "reset")

    def check(self) -> None:
        """Tell pages the mark of the map."""
        self._tell("check", f"{crc32(self.octets):08x}")

    def free(self, count: int = 1, near: int = 0) -> list[int]:
        """Give the first free chosen seats from a seat on, side by side by number."""
        run: list[int] = []
        for seat in range(near, len(self.octets)):
            row = self.where[seat][:2]
            if self.octets[seat] & 15 or not row[1]:
                run = []
                continue
            run = [*run, seat] if run and self.where[run[-1]][:2] == row else [seat]
            if len(run) == count:
                return run
        return []

    # ------------------------------------------------------------------------------------------- event
    def event(self) -> Event:
        """Give the event as pages want it."""
        scene = self.scene
        opens_ms = 0 if scene.opens_in_s is None else self.began_ms + round(scene.opens_in_s * 1000)
        closes_ms = self.began_ms - 3_600_000 if scene.over else self.began_ms + 14 * 86_400_000
        prices = PRICES[scene.hall]
        return {
            "id": "northern-lights",
            "title": scene.title,
            "subtitle": "Ida Sund & the Long Night",
            "about": "Nine musicians, two drum kits, one piano with the lid off. Songs about the months in which the "
            "sun does not bother to get up, played so warmly that nobody minds.",
            "motif": "aurora",
            "venue": "Aurora Hall" if scene.hall == "theatre" else "Aurora Arena",
            "city": "Hamburg",
            "zone": ZONE,
            "starts_ms": self.began_ms + 21 * 86_400_000,
            "sale_from_ms": opens_ms or self.began_ms - 86_400_000,
            "sale_until_ms": closes_ms,
            "state": "cancelled" if scene.cancelled else "published",
            "currency": scene.currencies[0],
            "own_currency": scene.currencies[0],
            "currencies": scene.currencies,
            "unmet_currency": scene.unmet,
            "max_per_buyer": scene.max_per_buyer,
            "tiers": [
                {"tier": tier, "name": name, "price_minor": prices[tier]}
                for tier, name in enumerate(self.plan.tier_names)
            ],
            "seats": len(self.octets),
            "free": sum(1 for byte in self.octets if not byte & 15),
            "layout_url": f"/layouts/{layout.layout_id(self.document)}.json",
        }

    @property
    def version(self) -> str:
        """Give the version of the map."""
        return f"1:{self.began_ms}-{self.sequence}"

    # ------------------------------------------------------------------------------------------- holds
    def hold_seats(self, key: str, wish: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        """Answer a wish to hold: status and members; the same key gives the same hold."""
        if key in self.by_key:
            return 201, self.holds[self.by_key[key]] | {"now_ms": now_ms()}
        event = self.event()
        if now_ms() < event["sale_from_ms"]:
            return 403, {"code": "sale-not-open", "opens_ms": event["sale_from_ms"]}
        seats = self._wanted(wish)
        if not seats:
            return 409, {"code": "no-such-block"}
        taken = [{"seat": seat, "status": self.octets[seat] & 15} for seat in seats if self.octets[seat] & 15]
        if taken:
            return 409, {"code": "seats-taken", "taken": taken}
        has = sum(len(hold["seats"]) for hold in self.held())
        if has + len(seats) > self.scene.max_per_buyer:
            return 409, {"code": "limit-reached", "has": has, "max": self.scene.max_per_buyer}
        hold_id = f"hold{len(self.holds):07d}"
        hold = self.paper(seats) | {
            "hold": hold_id,
            "until_ms": now_ms() + round(self.scene.hold_s * 1000),
            "extendable": True,
            "fence": len(self.holds) + 1,
            "state": "held",
        }
        self.holds[hold_id] = hold
        self.by_key[key] = hold_id
        self.put(seats, Status.HELD)
        return 201, hold | {"now_ms": now_ms()}

    def _wanted(self, wish: dict[str, Any]) -> list[int]:
        if "seats" in wish:
            return list(wish["seats"])
        if "standing" in wish:
            section = self.plan.layout.sections[wish["standing"]["section"]]
            places = range(section.first, section.first + section.count)
            free = [seat for seat in places if not self.octets[seat] & 15]
            return free[: wish["standing"]["count"]]
        best = wish["best"]
        tier, within = best.get("tier"), best.get("section")
        seat = 0
        while found := self.free(best["count"], seat):
            if tier is None or self.octets[found[0]] >> 4 == tier:
                names = [section.name for section in self.plan.layout.sections]
                if within is None or self.where[found[0]][0] == names[within]:
                    return found
            seat = found[0] + 1
        return []

    def paper(self, seats: list[int]) -> dict[str, Any]:
        """Write down what is held, as an answer to a hold tells it."""
        prices = PRICES[self.scene.hall]
        lines = [
            {
                "seat": seat,
                "section": self.where[seat][0],
                "row": self.where[seat][1],
                "number": self.where[seat][2],
                "tier": self.octets[seat] >> 4,
                "price_minor": prices[self.octets[seat] >> 4],
            }
            for seat in seats
        ]
        total = sum(prices[self.octets[seat] >> 4] for seat in seats)
        return {
            "event": "northern-lights",
            "seats": lines,
            "currency": self.scene.currencies[0],
            "total_minor": total,
        }

    def held(self) -> list[dict[str, Any]]:
        """Give the holds that go on."""
        return [
            hold for hold in self.holds.values() if hold["state"] == "held" and now_ms() < hold["until_ms"]
        ]

    def give_back(self, hold_id: str) -> None:
        """End a hold and free its seats."""
        hold = self.holds[hold_id]
        if hold["state"] == "held":
            hold["state"] = "released"
            self.put([seat["seat"] for seat in hold["seats"]], Status.FREE)

    def reserve_hold(self, hold_id: str) -> tuple[int, dict[str, Any]]:
        """Answer a wish to reserve; a repeat gives the same reservation."""
        hold = self.holds.get(hold_id)
        if hold is None or hold["state"] not in {"held", "pinned"}:
            return 410, {"code": "hold-over", "state": "expired"}
        name = f"R{hold_id.removeprefix('hold')}"
        if name not in self.reservations:
            hold["state"] = "pinned"
            seats = [seat["seat"] for seat in hold["seats"]]
            self.put(seats, Status.RESERVED)
            until_ms = now_ms() + round(self.scene.grace_s * 1000)
            self.reservations[name] = self.paper(seats) | {
                "reservation": name,
                "state": "active",
                "until_ms": until_ms,
            }
        return 201, self.reservations[name] | {"now_ms": now_ms()}

    # ------------------------------------------------------------------------------------------- seats
    def _taken(self, seat: int, dice: random.Random) -> float:
        """Give the chance that a seat is taken: good ones go first, and friends sit together."""
        tier = self.plan.tiers[seat]
        clump = 1.4 if (seat // dice.choice((3, 4, 5))) % 2 else 0.6
        return min(1.0, self.scene.taken_ratio * clump * (1.25 - 0.12 * tier))

    def section_counts(self) -> list[list[int]]:
        """Count free seats and all seats of each section."""
        return [
            [
                sum(1 for byte in self.octets[one.first : one.first + one.count] if not byte & 15),
                one.count,
            ]
            for one in self.plan.layout.sections
        ]

    def put(self, seats: Iterable[int], status: Status) -> None:
        """Give seats a status, and tell."""
        changes = {seat: self.octets[seat] & 0xF0 | status for seat in seats}
        if not changes:
            return
        for seat, byte in changes.items():
            self.octets[seat] = byte
        self._tell("message", write(changes))

    def _tell(self, kind: str, text: str) -> None:
        id_ = f"1:{self.began_ms}-{self.sequence + 1}"
        self.deltas.append((kind, id_, text))
        self.sequence += 1


def programme(first: Event) -> list[Event]:
    """Make a programme around one event: one of each season."""
    others: list[dict[str, Any]] = [
        {"id": "paper-lanterns", "title": "Paper Lanterns", "subtitle": "Chamber music by candlelight"}
        | {"motif": "lanterns", "city": "Bremen", "free": 31, "seats": 240},
        {"id": "late-trains", "title": "Late Trains", "subtitle": "Marlow Reed, solo"}
        | {"motif": "trains", "free": 0, "seats": 500},
        {"id": "small-hours", "title": "Small Hours", "subtitle": "The midnight choir"}
        | {"motif": "moon", "free": None, "seats": 1200, "tiers": first["tiers"][-1:]},
    ]
    found = [first]
    for at, other in enumerate(others, 1):
        found.append({**first, **other, "starts_ms": first["starts_ms"] + at * 7 * 86_400_000})  # type: ignore[typeddict-item]
    return found


def _places(section: Section) -> Iterator[tuple[int, Row | None, str]]:
    if not section.rows:
        for seat in range(section.first, section.first + section.count):
            yield seat, None, ""
    for row in section.rows:
        for seat in range(row.first, row.first + row.count):
            yield seat, row, row.number(seat)
