"""Programme: what the demo sells: four evenings in two houses, made in an empty database and left alone afterwards.

Texts and dates are those of ``events``; the theatre has 2,000 seats, the arena 60,000 places. One evening has prices in
three currencies. Filling twice changes nothing: what is there already stays as it is, also if an organiser has
changed it. Not here: the halls (``halls``).
"""

from collections.abc import Mapping
from typing import Any

from checkout.catalogue.evenings import EVENTS, Event, evening
from checkout.catalogue.event import Organiser, Venue
from checkout.catalogue.selling import State
from checkout.catalogue.service import Catalogue
from checkout.halls.houses import arena_60000, theatre_2000
from checkout.halls.plans import Plan
from kernel.errors import Refused

ORGANISER = Organiser("long-night", "Long Night Concerts")
THEATRE = Venue("harbour-theatre", "Harbour Theatre", "Göteborg", "SE", "Europe/Stockholm")
ARENA = Venue("northfield-arena", "Northfield Arena", "Manchester", "GB", "Europe/London")
IN_THE_ARENA = "small-hours"
IN_THREE_CURRENCIES = "northern-lights"

TRIES = 20
"""So often an event is published anew while others put the same house."""

_PERCENT = {THEATRE.id: (150, 100, 80, 60), ARENA.id: (200, 120, 150, 100, 70)}
"""Price of each tier, of the price that the evening has."""

_PER_EURO = {"EUR": (100, 100), "GBP": (86, 50), "JPY": (170, 100)}
"""Minor units for a euro, and to what a price is rounded; a price list, not a rate of exchange."""


async def fill(catalogue: Catalogue, now_ms: int, room: str = "") -> list[str]:
    """Put the programme into the catalogue; return the ids of the events that were not there yet."""
    there = {known.event.id for known in await catalogue.all()}
    wanted = [event for event in EVENTS if event.slug not in there]
    if not wanted:
        return []
    await catalogue.put_organiser(ORGANISER)
    plans = {}
    for venue, plan in ((THEATRE, theatre_2000()), (ARENA, arena_60000())):
        await catalogue.put_venue(venue)
        plans[venue.id] = (plan, await catalogue.add_layout(venue.id, plan.layout))
    made = []
    for event in wanted:
        venue = ARENA if event.slug == IN_THE_ARENA else THEATRE
        plan, layout = plans[venue.id]
        if await _create(catalogue, _plain(event, venue, plan, layout, now_ms, room), plan.tiers):
            made.append(event.slug)
    return made


async def _create(catalogue: Catalogue, plain: Mapping[str, Any], tiers: bytes) -> bool:
    """Make an event; False if another process that fills the same database was faster."""
    try:
        await catalogue.create_event(plain, tiers)
    except Refused as error:
        if error.code == "event-exists":
            return False
        if error.code != "event-changed":
            raise
        # The other one has put the same house while this one was about to publish: a draft stands there.
        await _publish(catalogue, plain["id"])
    return True


async def _publish(catalogue: Catalogue, event: str) -> None:
    for left in reversed(range(TRIES)):
        try:
            await catalogue.update_event(event, {"state": State.PUBLISHED.value})
        except Refused as error:
            if error.code != "event-changed" or not left:
                raise
        else:
            return


def _plain(event: Event, venue: Venue, plan: Plan, layout: str, now_ms: int, room: str) -> Mapping[str, Any]:
    starts_ms = int(evening(event, now_ms).timestamp()) * 1000
    codes = tuple(_PER_EURO) if event.slug == IN_THREE_CURRENCIES else ("EUR",)
    return {
        "id": event.slug,
        "organiser_id": ORGANISER.id,
        "venue_id": venue.id,
        "layout_id": layout,
        "title": event.title,
        "subtitle": event.line,
        "about": event.about,
        "motif": event.motif,
        "starts_ms": starts_ms,
        "sale_from_ms": now_ms,
        "sale_until_ms": starts_ms,
        "state": State.PUBLISHED.value,
        "currency": "EUR",
        "max_per_buyer": 6,
        "hold_s": 240,
        "grace_s": 300,
        "room": room,
        "tiers": [
            {
                "tier": tier,
                "name": name,
                "prices": {code: _price(event.price_eur, _PERCENT[venue.id][tier], code) for code in codes},
            }
            for tier, name in enumerate(plan.tier_names)
        ],
    }


def _price(euros: int, percent: int, code: str) -> int:
    per_euro, step = _PER_EURO[code]
    amount = euros * per_euro * percent // 100
    return (amount + step // 2) // step * step
