"""Catalogue: what an organiser says of an event (where, when, how much, how many each), and whether that can be.

An event sells the seats of one layout. Each seat is in a tier (0 to 15), each tier has a price in whole minor units
for every currency of the event; prices come in versions, and a version is whole. An allocation is a set of seats that
only those with its code may take (a fan club, a partner's box office). ``read_event`` tells all faults at once.

Not here: when it is on sale (``selling``), the hall (``layout``), where it is kept (``catalogue.store``).
"""

import hashlib
import hmac
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from checkout.catalogue.selling import State, Window
from checkout.faults import Faults
from checkout.money import NoSuchCurrency, exponent

SLUG = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")
MOST_TIERS = 16
MOST_AMOUNT_MINOR = 10**12
MOST_MS = 253_402_300_799_999
"""The end of the year 9999."""

HOLD_S = (120, 300)
GRACE_S = (30, 3600)
PER_BUYER = (1, 100)
_TEXTS = {"title": (1, 200), "subtitle": (0, 200), "about": (0, 5000), "motif": (0, 63)}
_NUMBERS = {
    "starts_ms": (0, MOST_MS),
    "sale_from_ms": (0, MOST_MS),
    "sale_until_ms": (0, MOST_MS),
    "max_per_buyer": PER_BUYER,
    "hold_s": HOLD_S,
    "grace_s": GRACE_S,
}
_SLUGS = ("id", "organiser_id", "venue_id")
_DEFAULTS: Mapping[str, Any] = {
    "subtitle": "",
    "about": "",
    "motif": "",
    "state": State.DRAFT.value,
    "max_per_buyer": 6,
    "hold_s": 240,
    "grace_s": 300,
    "room": "",
}

_LISTS = ("tiers", "section_tiers", "allocations")

Amounts = Mapping[int, Mapping[str, int]]
"""Tier -> currency -> whole minor units."""


@dataclass(frozen=True, slots=True)
class Organiser:
    """Who puts on events."""

    id: str
    name: str


@dataclass(frozen=True, slots=True)
class Venue:
    """A house in a town."""

    id: str
    name: str
    city: str
    country: str
    time_zone: str


@dataclass(frozen=True, slots=True)
class Event:
    """What people come for."""

    id: str
    organiser_id: str
    venue_id: str
    layout_id: str
    title: str
    subtitle: str
    about: str
    motif: str
    starts_ms: int
    sale_from_ms: int
    sale_until_ms: int
    state: State
    currency: str
    max_per_buyer: int
    hold_s: int
    grace_s: int
    room: str
    changed_ms: int = 0

    @property
    def window(self) -> Window:
        """When it is sold."""
        return Window(self.state, self.sale_from_ms, self.sale_until_ms)


@dataclass(frozen=True, slots=True)
class Allocation:
    """Seats put aside for those who have a code (or for a channel of its own, if ``code_hash`` is '')."""

    name: str
    channel: str
    code_hash: str


@dataclass(frozen=True, slots=True)
class Prices:
    """One whole version of an event's prices."""

    version: int
    amounts: Amounts

    def amount_minor(self, tier: int, currency: str) -> int:
        """Give the price of a seat. Raises ``KeyError`` where there is none."""
        return self.amounts[tier][currency]

    @property
    def currencies(self) -> tuple[str, ...]:
        """Name all currencies, in order."""
        return tuple(sorted({code for amounts in self.amounts.values() for code in amounts}))


@dataclass(frozen=True, slots=True)
class Known:
    """Everything of one event but its seats."""

    event: Event
    organiser: Organiser
    venue: Venue
    tiers: Mapping[int, str]
    prices: Prices
    section_tiers: Mapping[int, int]
    allocations: tuple[Allocation, ...] = ()


@dataclass(frozen=True, slots=True)
class NewEvent:
    """An event as an organiser hands it in."""

    event: Event
    tiers: Mapping[int, str]
    amounts: Amounts
    section_tiers: Mapping[int, int] = field(default_factory=dict)
    allocations: tuple[Allocation, ...] = ()


def read_event(plain: object) -> NewEvent:
    """Read an event. Raises ``Refused("event-invalid")`` with all faults.

    {"id", "organiser_id", "venue_id", "layout_id", "title", "subtitle", "about", "motif", "starts_ms", "sale_from_ms",
    "sale_until_ms", "state", "currency", "max_per_buyer", "hold_s", "grace_s", "room", "tiers": [{"tier", "name",
    "prices": {"EUR": 4200}}], "section_tiers": {"0": 1}, "allocations": [{"name", "channel", "code"}]}
    """
    faults = Faults("event-invalid", "The event has faults; nothing was kept.")
    if not isinstance(plain, dict):
        faults.add("the event must be an object")
        raise faults.refusal()
    parts = {**_DEFAULTS, **plain}
    tiers, amounts = _tiers(parts.pop("tiers", None), faults)
    sections = _section_tiers(parts.pop("section_tiers", {}), tiers, faults)
    allocations = _allocations(parts.pop("allocations", []), str(parts.get("id")), faults)
    event = _event(parts, faults)
    faults.add_all(price_faults(amounts, set(tiers), str(parts.get("currency"))))
    faults.refuse()
    assert event is not None  # noqa: S101 (no fault, so there is one)
    return NewEvent(event, tiers, amounts, sections, allocations)


def changed(event: Event, plain: object) -> Event:
    """Change some of what is said of an event. Raises ``Refused("event-invalid")`` with all faults.

    What it sells (id, layout) and its prices stay: seats may be sold already, and prices have versions.
    """
    faults = Faults("event-invalid", "The event has faults; nothing was kept.")
    if not isinstance(plain, dict):
        faults.add("the change must be an object")
        plain = {}
    for name in ("id", "layout_id", "changed_ms", *_LISTS):
        if name in plain:
            faults.add(f"{name}: it cannot be changed here")
    now = {name: getattr(event, name) for name in Event.__slots__ if name != "changed_ms"}
    made = _event(now | {"state": event.state.value} | {k: v for k, v in plain.items() if k in now}, faults)
    faults.add_all(
        f"{name}: it is unknown" for name in sorted(plain.keys() - now.keys() - {"changed_ms", *_LISTS})
    )
    faults.refuse()
    assert made is not None  # noqa: S101 (no fault, so there is one)
    return replace(made, changed_ms=event.changed_ms)


def read_prices(plain: object) -> Amounts:
    """Read changed prices: [{"tier": 0, "prices": {"EUR": 4200}}]. Raises ``Refused("prices-invalid")``."""
    faults = Faults("prices-invalid", "The prices have faults; nothing was changed.")
    made: dict[int, dict[str, int]] = {}
    rows = plain if isinstance(plain, list) and plain else [None]
    for index, row in enumerate(rows):
        if (
            not isinstance(row, dict)
            or row.keys() != {"tier", "prices"}
            or not _is_number(row["tier"], 0, MOST_TIERS - 1)
            or not isinstance(row["prices"], dict)
            or row["tier"] in made
        ):
            faults.add(f"prices[{index}]: it must be an object with a tier, there once, and its prices")
        else:
            made[row["tier"]] = dict(row["prices"])
    faults.refuse()
    return made


def price_faults(amounts: Amounts, tiers: set[int], currency: str) -> list[str]:
    """Tell what is wrong with a whole version of prices: each tier has each currency, the event's own among them."""
    faults = [f"tier {tier}: there is no such tier" for tier in sorted(amounts.keys() - tiers)]
    codes = {code for own in amounts.values() for code in own} | {currency}
    for code in sorted(codes):
        try:
            exponent(code)
        except NoSuchCurrency:
            faults.append(f"currency {code[:20]!r}: there is no such currency in use")
            continue
        faults += [
            f"tier {tier}: a price in {code} is missing"
            for tier in sorted(tiers)
            if code not in amounts.get(tier, {})
        ]
    for tier, own in sorted(amounts.items()):
        faults += [
            f"tier {tier}: the price in {code} must be whole minor units from 0 to {MOST_AMOUNT_MINOR}"
            for code, amount in sorted(own.items())
            if not _is_number(amount, 0, MOST_AMOUNT_MINOR)
        ]
    return faults


def merged(amounts: Amounts, changes: Amounts) -> dict[int, dict[str, int]]:
    """Put changed prices into a copy of all prices."""
    made = {tier: dict(own) for tier, own in amounts.items()}
    for tier, own in changes.items():
        made.setdefault(tier, {}).update(own)
    return made


def code_hash(event_id: str, code: str) -> str:
    """Give what is kept of an allocation's code; bound to the event, so that equal codes do not show."""
    return (
        hashlib.sha256(b"allocation\0" + event_id.encode() + b"\0" + code.encode()).hexdigest()
        if code
        else ""
    )


def allocation_for(known: Known, code: str) -> Allocation | None:
    """Find the allocation that a code opens."""
    given = code_hash(known.event.id, code)
    found = None
    for allocation in known.allocations:
        if given and hmac.compare_digest(given, allocation.code_hash):
            found = allocation
    return found


def seat_tiers(sections: Sequence[tuple[int, int]], section_tiers: Mapping[int, int]) -> bytes:
    """Give each seat the tier of its section; ``sections`` are (first, count), a section without a tier has 0."""
    return b"".join(bytes([section_tiers.get(index, 0)]) * count for index, (_, count) in enumerate(sections))


def section_tiers_of(sections: Sequence[tuple[int, int]], tiers: bytes) -> dict[int, int]:
    """Name for each section the tier that most of its seats have (the lowest, if two have as many)."""
    made = {}
    for index, (first, count) in enumerate(sections):
        own = tiers[first : first + count]
        made[index] = max(range(MOST_TIERS), key=lambda tier, own=own: (own.count(tier), -tier))  # type: ignore[misc]
    return made


def _event(parts: Mapping[str, Any], faults: Faults) -> Event | None:
    before = len(faults)
    names = set(Event.__slots__) - {"changed_ms"}
    faults.add_all(f"{name}: it is missing" for name in sorted(names - parts.keys()))
    faults.add_all(f"{name}: it is unknown" for name in sorted(parts.keys() - names))
    faults.add_all(_field_faults(parts))
    if len(faults) == before and parts["sale_from_ms"] >= parts["sale_until_ms"]:
        faults.add("sale_until_ms: the sale must end after it begins")
    if len(faults) > before:
        return None
    return Event(**{name: parts[name] for name in names if name != "state"}, state=State(parts["state"]))


def _field_faults(parts: Mapping[str, Any]) -> Iterator[str]:
    for name in _SLUGS:
        if not _is_slug(parts.get(name)):
            yield f"{name}: it must be lower-case letters, digits and hyphens, at most 63"
    if not isinstance(parts.get("layout_id"), str):
        yield "layout_id: it must be a text"
    if parts.get("room") != "" and not _is_slug(parts.get("room")):
        yield "room: it must be the name of a room, or empty"
    for name, (least, most) in _TEXTS.items():
        text = parts.get(name)
        if not isinstance(text, str) or not least <= len(text) <= most:
            yield f"{name}: it must be a text of {least} to {most} characters"
    for name, (least, most) in _NUMBERS.items():
        if not _is_number(parts.get(name), least, most):
            yield f"{name}: it must be a whole number from {least} to {most}"
    if parts.get("state") not in tuple(State):
        yield f"state: it must be one of {', '.join(State)}"
    if not isinstance(parts.get("currency"), str):
        yield "currency: it must be a code of three letters"


def _tiers(plain: object, faults: Faults) -> tuple[dict[int, str], dict[int, dict[str, int]]]:
    tiers: dict[int, str] = {}
    amounts: dict[int, dict[str, int]] = {}
    if not isinstance(plain, list) or not 1 <= len(plain) <= MOST_TIERS:
        faults.add(f"tiers: it must be a list of 1 to {MOST_TIERS} tiers")
        return tiers, amounts
    for index, row in enumerate(plain):
        place = f"tiers[{index}]"
        if not isinstance(row, dict) or row.keys() != {"tier", "name", "prices"}:
            faults.add(f"{place}: it must be an object with tier, name and prices")
            continue
        tier, name, prices = row["tier"], row["name"], row["prices"]
        if not _is_number(tier, 0, MOST_TIERS - 1) or tier in tiers:
            faults.add(f"{place}: tier must be a whole number from 0 to {MOST_TIERS - 1} that is there once")
        elif not isinstance(name, str) or not 1 <= len(name) <= 120:
            faults.add(f"{place}: name must be a text of 1 to 120 characters")
        elif not isinstance(prices, dict):
            faults.add(f"{place}: prices must be an object like {{'EUR': 4200}}")
        else:
            tiers[tier], amounts[tier] = name, dict(prices)
    return tiers, amounts


def _section_tiers(plain: object, tiers: Mapping[int, str], faults: Faults) -> dict[int, int]:
    if not isinstance(plain, dict):
        faults.add("section_tiers: it must be an object from section to tier")
        return {}
    made = {}
    for section, tier in plain.items():
        text = str(section)
        if (
            not (text.isascii() and text.isdigit() and len(text) < 6)
            or not _is_number(tier, 0, MOST_TIERS - 1)
            or tier not in tiers
        ):
            faults.add(
                f"section_tiers: section {text[:20]} must be a section's index, its tier one of the tiers"
            )
        else:
            made[int(text)] = tier
    return made


def _allocations(plain: object, event_id: str, faults: Faults) -> tuple[Allocation, ...]:
    if not isinstance(plain, list):
        faults.add("allocations: it must be a list")
        return ()
    made: dict[str, Allocation] = {}
    for index, row in enumerate(plain):
        place = f"allocations[{index}]"
        if not isinstance(row, dict) or not {"name", "channel"} <= row.keys() <= {"name", "channel", "code"}:
            faults.add(f"{place}: it must be an object with name, channel and perhaps code")
        elif not _is_slug(row["name"]) or not _is_slug(row["channel"]) or row["name"] in made:
            faults.add(f"{place}: name and channel must be slugs, each name once")
        elif not isinstance(row.get("code", ""), str) or not 0 <= len(row.get("code", "")) <= 64:
            faults.add(f"{place}: code must be a text of at most 64 characters")
        else:
            hashed = code_hash(event_id, row.get("code", ""))
            made[row["name"]] = Allocation(row["name"], row["channel"], hashed)
    return tuple(made.values())


def _is_slug(plain: object) -> bool:
    return isinstance(plain, str) and SLUG.fullmatch(plain) is not None


def _is_number(plain: object, least: int, most: int) -> bool:
    return isinstance(plain, int) and not isinstance(plain, bool) and least <= plain <= most
