"""Organiser's papers: what an organiser hands in, read with all its faults, and what is told in return. Pure.

Seats are named as they are numbered in the hall, one by one or as ``[first, count]``, also mixed: ``[4, [10, 25]]``.
The tiers of a whole hall are ``[first, count, tier]``, one after the other without a gap; an import tells them, and
making an event of that hall takes them. An entity tag of an event is its ``changed_ms``, because every change of
anything that is told of it gives it a new one. Not here: events and prices (``catalogue``), HTTP (``organiser.web``).
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from itertools import groupby
from typing import Any
from zoneinfo import available_timezones

from babel.core import Locale

from checkout.catalogue.event import MOST_TIERS, SLUG, Amounts, Known, Organiser, Venue, read_prices
from checkout.faults import Faults
from checkout.halls.layout import MOST_SEATS, Layout
from checkout.halls.plans import Plan
from kernel.errors import Refused

MOST_NAME = 200
MOST_CODE = 64

_ETAG = re.compile(r'"([0-9]{1,18})"')
_VENUE_TEXTS = ("name", "city")


# ------------------------------------------------------------------------------------- handed in


def read_organiser(organiser_id: str, plain: Mapping[str, Any]) -> Organiser:
    """Read who puts on events: {"name"}. Raises ``Refused("organiser-invalid")``."""
    faults = Faults("organiser-invalid", "The organiser has faults; nothing was kept.")
    _id(organiser_id, faults)
    _members(plain, {"name"}, faults)
    _text(plain, "name", faults)
    faults.refuse()
    return Organiser(organiser_id, plain["name"])


def read_venue(venue_id: str, plain: Mapping[str, Any]) -> Venue:
    """Read a house: {"name", "city", "country": "SE", "time_zone": "Europe/Stockholm"}. Raises ``Refused``."""
    faults = Faults("venue-invalid", "The venue has faults; nothing was kept.")
    _id(venue_id, faults)
    _members(plain, {*_VENUE_TEXTS, "country", "time_zone"}, faults)
    for name in _VENUE_TEXTS:
        _text(plain, name, faults)
    if "country" in plain and not _is_one_of(plain["country"], _countries()):
        faults.add("country: it must be a country's code of two letters (ISO 3166)")
    if "time_zone" in plain and not _is_one_of(plain["time_zone"], _time_zones()):
        faults.add("time_zone: it must be a name such as Europe/Stockholm")
    faults.refuse()
    return Venue(venue_id, *(plain[name] for name in ("name", "city", "country", "time_zone")))


def read_allocation(name: str, plain: Mapping[str, Any]) -> tuple[str, str]:
    """Read an allocation's channel and code: {"channel", "code"}. Raises ``Refused("allocation-invalid")``."""
    faults = Faults("allocation-invalid", "The allocation has faults; nothing was kept.")
    _id(name, faults)
    _members(plain, {"channel", "code"}, faults, needed={"channel"})
    channel, code = plain.get("channel"), plain.get("code", "")
    if "channel" in plain and not _is_slug(channel):
        faults.add("channel: it must be lower-case letters, digits and hyphens, at most 63")
    if not isinstance(code, str) or len(code) > MOST_CODE or not code.isprintable():
        faults.add(f"code: it must be a text of at most {MOST_CODE} characters")
    faults.refuse()
    return str(channel), str(code)


def read_price_changes(plain: Mapping[str, Any]) -> Amounts:
    """Read {"prices": [{"tier": 0, "prices": {"EUR": 4200}}]}. Raises ``Refused("prices-invalid")``."""
    faults = Faults("prices-invalid", "The prices have faults; nothing was changed.")
    _members(plain, {"prices"}, faults)
    faults.refuse()
    return read_prices(plain["prices"])


def read_seats(plain: Mapping[str, Any], also: Iterable[str] = ()) -> list[int]:
    """Read the member ``seats``; `also` names the other members that there may be. Raises ``Refused``."""
    faults = Faults("seats-invalid", "The seats have faults; nothing was changed.")
    _members(plain, {"seats", *also}, faults, needed={"seats"} - set(also))
    seats = _seats(plain.get("seats", []), faults)
    faults.refuse()
    return seats


def read_retier(plain: Mapping[str, Any]) -> tuple[int, list[int], list[int]]:
    """Read {"tier": 1, "seats": […], "sections": […]}: the tier, seats, and whole sections. Raises ``Refused``."""
    faults = Faults("seats-invalid", "The seats have faults; nothing was changed.")
    _members(plain, {"tier", "seats", "sections"}, faults, needed={"tier"})
    tier, sections = plain.get("tier", 0), plain.get("sections", [])
    if not _is_whole(tier, MOST_TIERS - 1):
        faults.add(f"tier: it must be a whole number from 0 to {MOST_TIERS - 1}")
    if not isinstance(sections, list) or not all(_is_whole(one, MOST_SEATS) for one in sections):
        faults.add("sections: it must be a list of sections' indexes")
    seats = _seats(plain.get("seats", []), faults)
    faults.refuse()
    return tier, seats, sections


def read_block(plain: Mapping[str, Any]) -> tuple[list[int], str | None]:
    """Read {"seats": […], "allocation": "fans"}; without an allocation they are for nobody. Raises ``Refused``."""
    faults = Faults("seats-invalid", "The seats have faults; nothing was changed.")
    _members(plain, {"seats", "allocation"}, faults, needed={"seats"})
    allocation = plain.get("allocation")
    if allocation is not None and not _is_slug(allocation):
        faults.add("allocation: it must be the name of an allocation")
    seats = _seats(plain.get("seats", []), faults)
    faults.refuse()
    return seats, allocation


def read_seat_tiers(plain: object) -> bytes:
    """Read the tiers of a whole hall: one octet a seat. Raises ``Refused("event-invalid")``."""
    faults = Faults("event-invalid", "The event has faults; nothing was kept.")
    made = bytearray()
    for index, row in enumerate(plain if isinstance(plain, list) else [None]):
        match row:
            case [first, count, tier] if (
                _is_whole(first, MOST_SEATS)
                and first == len(made)
                and _is_whole(count, MOST_SEATS - len(made))
                and count > 0
                and _is_whole(tier, MOST_TIERS - 1)
            ):
                made += bytes([tier]) * count
            case _:
                faults.add(
                    f"seat_tiers[{index}]: it must be [first, count, tier], where first is {len(made)}, the next seat"
                )
                break
    faults.refuse()
    return bytes(made)


def read_confirmation(event: str, plain: Mapping[str, Any]) -> None:
    """Read {"confirm": "<the event's id>"}: money goes back because of it. Raises ``Refused``."""
    faults = Faults("confirmation-missing", "Nothing was cancelled.")
    _members(plain, {"confirm"}, faults)
    faults.refuse()
    if plain["confirm"] != event:
        raise unconfirmed(event)


def unconfirmed(event: str) -> Refused:
    """Say how a sale is cancelled."""
    public = f'Everything paid goes back. Who means it sends {{"confirm": "{event}"}} to …/cancel.'
    return Refused("confirmation-missing", public, 422)


def read_version(given: str | None, *, needed: bool) -> int | None:
    """Read If-Match; None stands for whatever is current. Raises ``Refused``."""
    if given is None:
        if needed:
            raise Refused(
                "if-match-missing", "Name the version that you change in If-Match, as GET told it.", 428
            )
        return None
    if given.strip() == "*":
        return None
    found = _ETAG.fullmatch(given.strip())
    if found is None:
        raise Refused("if-match-invalid", "If-Match must be an entity tag that GET told, or *.")
    return int(found[1])


# ------------------------------------------------------------------------------------------ told


def etag(known: Known) -> str:
    """Write an event's version."""
    return f'"{known.event.changed_ms}"'


def event_paper(known: Known) -> dict[str, object]:
    """Tell all of an event that its organiser may change; of a code only whether there is one."""
    event = known.event
    return {
        **{name: getattr(event, name) for name in type(event).__slots__},
        "state": event.state.value,
        "currencies": known.prices.currencies,
        "price_version": known.prices.version,
        "tiers": [
            {"tier": tier, "name": name, "prices": dict(known.prices.amounts[tier])}
            for tier, name in sorted(known.tiers.items())
        ],
        "section_tiers": {str(section): tier for section, tier in sorted(known.section_tiers.items())},
        "allocations": [
            {"name": one.name, "channel": one.channel, "has_code": bool(one.code_hash)}
            for one in known.allocations
        ],
    }


def layout_paper(layout_id: str, layout: Layout) -> dict[str, Any]:
    """Tell a layout's sections."""
    return {
        "layout": layout_id,
        "name": layout.name,
        "seats": layout.seats,
        "sections": [
            {
                "section": index,
                "name": one.name,
                "kind": one.kind.value,
                "first": one.first,
                "count": one.count,
            }
            for index, one in enumerate(layout.sections)
        ],
    }


def imported_paper(layout_id: str, plan: Plan) -> dict[str, object]:
    """Tell what became of a plan: its layout, and the tiers to make an event with."""
    return layout_paper(layout_id, plan.layout) | {
        "tiers": [{"tier": tier, "name": name} for tier, name in enumerate(plan.tier_names)],
        "seat_tiers": tier_runs(plan.tiers),
    }


def tier_runs(tiers: bytes) -> list[tuple[int, int, int]]:
    """Write the tiers of a hall as ``(first, count, tier)``."""
    made, first = [], 0
    for tier, run in groupby(tiers):
        count = sum(1 for _ in run)
        made.append((first, count, tier))
        first += count
    return made


# ----------------------------------------------------------------------------------- small parts


def _seats(plain: object, faults: Faults) -> list[int]:
    if not isinstance(plain, list):
        faults.add("seats: it must be a list of seats, each a number or [first, count]")
        return []
    made: list[int] = []
    for index, item in enumerate(plain):
        match item:
            case [first, count] if (
                _is_whole(first, MOST_SEATS - 1) and _is_whole(count, MOST_SEATS) and count
            ):
                made += range(first, first + count)
            case int() if _is_whole(item, MOST_SEATS - 1):
                made.append(item)
            case _:
                faults.add(f"seats[{index}]: it must be a seat's number, or [first, count]")
        if len(made) > MOST_SEATS:
            faults.add(f"seats: there are more than {MOST_SEATS}")
            return []
    return made


def _members(
    plain: Mapping[str, Any], known: set[str], faults: Faults, needed: Iterable[str] | None = None
) -> None:
    faults.add_all(
        f"{name}: it is missing" for name in sorted(set(known if needed is None else needed) - plain.keys())
    )
    faults.add_all(f"{name[:63]}: it is unknown" for name in sorted(plain.keys() - known))


def _id(text: str, faults: Faults) -> None:
    if not _is_slug(text):
        faults.add("its id must be lower-case letters, digits and hyphens, at most 63")


def _text(plain: Mapping[str, Any], name: str, faults: Faults) -> None:
    text = plain.get(name, "-")
    if not isinstance(text, str) or not 0 < len(text.strip()) <= MOST_NAME or not text.isprintable():
        faults.add(f"{name}: it must be a text of 1 to {MOST_NAME} characters")


def _is_one_of(plain: object, known: frozenset[str]) -> bool:
    return isinstance(plain, str) and plain in known


def _is_slug(plain: object) -> bool:
    return isinstance(plain, str) and SLUG.fullmatch(plain) is not None


def _is_whole(plain: object, most: int) -> bool:
    # True and False are whole numbers to Python.
    return type(plain) is int and 0 <= plain <= most


@cache
def _countries() -> frozenset[str]:
    names: Sequence[str] = list(Locale("en").territories)
    return frozenset(
        code for code in names if len(code) == 2 and code.isalpha() and code not in {"ZZ", "XA", "XB"}
    )


@cache
def _time_zones() -> frozenset[str]:
    return frozenset(available_timezones())
