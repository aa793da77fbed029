"""Telling: what the catalogue says of events, as the members of its JSON and the pages show it.

Nothing here depends on the time but ``sale.standing``, so that ready bytes may be kept until that changes. Not
here: HTTP, and what is free (the seat map says so).
"""

from collections.abc import Sequence
from typing import Any

from checkout.catalogue.event import Known
from checkout.catalogue.searching import Page
from checkout.catalogue.selling import next_change_ms, sale
from checkout.halls.layout import Layout


def summary(known: Known, now_ms: int) -> dict[str, Any]:
    """Tell of an event what a list shows."""
    event = known.event
    return {
        "id": event.id,
        "url": f"/events/{event.id}",
        "title": event.title,
        "subtitle": event.subtitle,
        "motif": event.motif,
        "starts_ms": event.starts_ms,
        "state": event.state.value,
        "sale": {
            "standing": sale(event.window, now_ms).standing.value,
            "from_ms": event.sale_from_ms,
            "until_ms": event.sale_until_ms,
        },
        "venue": {
            "id": known.venue.id,
            "name": known.venue.name,
            "city": known.venue.city,
            "country": known.venue.country,
            "time_zone": known.venue.time_zone,
        },
        "organiser": {"id": known.organiser.id, "name": known.organiser.name},
        "currency": event.currency,
        "from_price_minor": min(own[event.currency] for own in known.prices.amounts.values()),
        "room": event.room,
    }


def listing(page: Page, now_ms: int) -> dict[str, Any]:
    """Tell a page of events; ``next`` is null on the last."""
    return {"events": [summary(known, now_ms) for known in page.events], "next": page.next or None}


def detail(known: Known, layout: Layout, now_ms: int) -> dict[str, Any]:
    """Tell all facts of an event."""
    event = known.event
    return {
        **summary(known, now_ms),
        "about": event.about,
        "layout": {"id": event.layout_id, "url": f"/layouts/{event.layout_id}.json", "seats": layout.seats},
        "sections": [
            {
                "section": index,
                "name": section.name,
                "kind": section.kind.value,
                "first": section.first,
                "count": section.count,
                "tier": known.section_tiers.get(index, 0),
            }
            for index, section in enumerate(layout.sections)
        ],
        "tiers": [
            {"tier": tier, "name": name, "prices": dict(sorted(known.prices.amounts[tier].items()))}
            for tier, name in sorted(known.tiers.items())
        ],
        "currencies": known.prices.currencies,
        "price_version": known.prices.version,
        "limits": {
            "max_per_buyer": event.max_per_buyer,
            "hold_s": event.hold_s,
            "grace_s": event.grace_s,
        },
        "channels": sorted({allocation.channel for allocation in known.allocations}),
    }


def true_until_ms(events: Sequence[Known], now_ms: int, longest_ms: int) -> int:
    """Tell until when what was told of events stays true by time alone, at most ``longest_ms`` from now."""
    changes = [next_change_ms(known.event.window, now_ms) for known in events]
    return min([now_ms + longest_ms, *(change for change in changes if change is not None)])
