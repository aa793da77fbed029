"""The naive shop's hall: what it remembers, and which of its promises it can break."""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from checkout.halls.sections import Counted, Even, Kind, Layout, Row, Section, Stage

EVENT = "night"
PRICES = {0: 5000, 1: 3000, 2: 2000}
MOST = 6
GRACE_S = 60


class ShopFault(StrEnum):
    """Which promise the shop breaks."""

    NO_LOCK = "a seat is given to whoever asks"
    FORGETS_PAID = "a reserved seat is given again"
    PARTIAL = "what is free of a wish is held, the rest is left out"
    LEAVES_BEHIND = "a refused wish holds what was free of it"
    FORGETS_HOLD = "the own holds are not listed"
    NO_LIMIT = "one may have as many as one likes"
    MEAN = "who has nothing yet is refused for the limit"
    FORGETS_KEY = "a repeated request makes a second hold"
    ANY_BODY = "a key may come with another wish"
    SILENT = "a refusal names no seat"
    NAMES_OTHERS = "a refusal names seats that nobody asked for"
    NAMES_ONE = "a refusal names only the first of the taken seats"
    GHOST = "free seats are refused as taken"
    NEVER_ENDS = "a hold that is over can still be paid for"
    ENDS_EARLY = "a hold is over at half of its time"
    SHORT = "a hold is told to last less than the event says"
    EXTENDS_AGAIN = "each extension is longer"
    KEEPS_LISTING = "a hold that is over is still listed"
    LOSES_CHANGE = "some changes are not told"
    WRONG_CHANGE = "some changes are told of another seat"
    TWO_MAPS = "two maps of one version differ"
    DEAR = "a seat costs more than the programme says"
    WRONG_SUM = "the total is not the sum"
    DEARER_LATER = "a reservation costs more than its hold"
    WRONG_NAME = "a seat is called by its neighbour's number"
    UNGUARDED = "holds are made for whoever asks"


@dataclass(slots=True)
class Held:
    """One hold; ``reservation`` is '' until it is one."""

    id: str
    buyer: str
    seats: list[int]
    until_ms: int
    state: str = "held"
    extended: int = 0
    reservation: str = ""


@dataclass(slots=True)
class Books:
    """What a real shop has in its store."""

    map: bytearray
    holds: dict[str, Held] = field(default_factory=dict)
    by_key: dict[tuple[str, str], tuple[str, bytes]] = field(default_factory=dict)
    told: list[str] = field(default_factory=list)
    waiting: dict[str, dict[str, Any]] = field(default_factory=dict)


def hall(rows: int = 10, seats: int = 14, standing: int = 20) -> Layout:
    """Make a small hall: rows of seats with names, and a floor to stand on."""
    made = [
        Row(chr(65 + row), row * seats, seats, Counted(1, 1), Even(100, 500 + 120 * row, 100, 0))
        for row in range(rows)
    ]
    corners = ((0, 400), (2000, 400), (2000, 2000), (0, 2000))
    sections = (
        Section("Stalls", Kind.SEATS, 0, rows * seats, corners, tuple(made)),
        Section("Floor", Kind.STANDING, rows * seats, standing, corners),
    )
    return Layout(
        "Hall", 2000, 2000, Stage(0, 0, 2000, 300, "Stage"), sections, accessible=(0,), companions=((0, 1),)
    )
