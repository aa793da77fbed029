"""Wish: what a buyer asks to have put aside, as the body of ``POST …/holds`` says it, and what can come of it.

One of three, and what goes with it::

    {"seats": [120, 121]}                                       these, chosen on the map
    {"best": {"count": 4, "tier": 1, "section": null}}          the best that stand side by side (``holds.best``)
    {"standing": {"section": 3, "count": 2}}                    places to stand
    … "currency": "EUR"                                         else the event's own
    … "code": "MIDNIGHT"                                        seats of the allocation that this code opens

All faults are told at once. What comes of it is a value: the hold, or the reason why there is none. Pure. Not here:
which it is (``holds.service``), how each is told (``holds.web``).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from checkout.catalogue.selling import Sale
from checkout.faults import Faults
from checkout.halls.seats import TIERS
from checkout.halls.sections import MOST_SEATS
from checkout.holds.answers import Closed, Differs, Few, Gone, Limit, NotYours, Taken
from checkout.holds.best import MOST, Together
from checkout.holds.papers import HoldPaper

CODE_MOST = 64


@dataclass(frozen=True, slots=True)
class Named:
    """These very seats."""

    seats: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Stand:
    """So many places of a section to stand in."""

    section: int
    count: int


@dataclass(frozen=True, slots=True)
class Wish:
    """What is asked for. ``currency`` '': the event's own; ``code`` '': what is free for all."""

    what: Named | Together | Stand
    currency: str = ""
    code: str = ""


@dataclass(frozen=True, slots=True)
class Told:
    """The hold, as it stands now. ``is_new``: this request made it, or extended it."""

    paper: HoldPaper
    is_new: bool


@dataclass(frozen=True, slots=True)
class Mine:
    """A buyer's holds that have their seats."""

    papers: list[HoldPaper]
    now_ms: int


@dataclass(frozen=True, slots=True)
class InFlight:
    """The same request is being answered at this moment."""


@dataclass(frozen=True, slots=True)
class NoBlock:
    """Nowhere are so many together as was wished."""


@dataclass(frozen=True, slots=True)
class NoSeats:
    """The hall, or the code's allocation, has no such seats; empty for a section in which nobody stands."""

    seats: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class NoAllocation:
    """The code opens nothing."""


@dataclass(frozen=True, slots=True)
class NoCurrency:
    """The event is not sold in this currency, but in these."""

    currencies: tuple[str, ...]


Refusal = (
    Sale | Taken | Limit | Few | Closed | Differs | InFlight | NoBlock | NoSeats | NoAllocation | NoCurrency
)
"""Why there is no hold; ``Sale`` stands for an event that is not on sale."""

HoldOutcome = Told | Refusal
Ended = Gone | NotYours
"""Why nothing can be done with a hold."""


def read_wish(plain: Mapping[str, Any]) -> Wish:
    """Read a body. Raises ``Refused("hold-malformed")`` with all faults."""
    faults = Faults("hold-malformed", "This is no wish for seats.", status=400)
    faults.add_all(f"{name[:40]}: it is unknown" for name in plain if name not in _MEMBERS)
    told = [_READERS[name](plain[name], faults) for name in _READERS if name in plain]
    if len(told) != 1:
        faults.add(f"there must be one of {', '.join(_READERS)}")
    currency = _text(plain.get("currency"), 3, "currency: it must be a code of three letters", faults)
    code = _text(
        plain.get("code"), CODE_MOST, f"code: it must be a text of at most {CODE_MOST} characters", faults
    )
    faults.refuse()
    return Wish(told[0], currency, code)


def _seats(plain: object, faults: Faults) -> Named:
    if not isinstance(plain, list) or not 1 <= len(plain) <= MOST:
        faults.add(f"seats: it must be a list of 1 to {MOST} seats")
        return Named(())
    before = len(faults)
    seats = [_whole(seat, f"seats[{at}]", 0, MOST_SEATS - 1, faults) for at, seat in enumerate(plain)]
    if len(faults) == before and len(set(seats)) < len(seats):
        faults.add("seats: a seat is there twice")
    return Named(tuple(seats))


def _best(plain: object, faults: Faults) -> Together:
    parts = _object(plain, "best", {"count", "tier", "section"}, faults)
    count = _whole(parts.get("count"), "best.count", 1, MOST, faults)
    tier, section = parts.get("tier"), parts.get("section")
    return Together(
        count,
        None if tier is None else _whole(tier, "best.tier", 0, TIERS - 1, faults),
        None if section is None else _whole(section, "best.section", 0, MOST_SEATS - 1, faults),
    )


def _standing(plain: object, faults: Faults) -> Stand:
    parts = _object(plain, "standing", {"section", "count"}, faults)
    section = _whole(parts.get("section"), "standing.section", 0, MOST_SEATS - 1, faults)
    return Stand(section, _whole(parts.get("count"), "standing.count", 1, MOST, faults))


_READERS: Mapping[str, Callable[[object, Faults], Named | Together | Stand]] = {
    "seats": _seats,
    "best": _best,
    "standing": _standing,
}
_MEMBERS = {*_READERS, "currency", "code"}


def _object(plain: object, place: str, members: set[str], faults: Faults) -> Mapping[str, object]:
    if not isinstance(plain, dict):
        faults.add(f"{place}: it must be an object")
        return {}
    faults.add_all(f"{place}.{name[:40]}: it is unknown" for name in plain if name not in members)
    return plain


def _text(plain: object, most: int, fault: str, faults: Faults) -> str:
    if plain is None:
        return ""
    if not isinstance(plain, str) or len(plain) > most:
        faults.add(fault)
        return ""
    return plain


def _whole(value: object, place: str, least: int, most: int, faults: Faults) -> int:
    # True and False are whole numbers to Python.
    if type(value) is int and least <= value <= most:
        return value
    faults.add(f"{place}: it must be a whole number from {least} to {most}")
    return least
