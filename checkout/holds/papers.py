"""Paper: what a buyer is told of seats that are put aside: which, what each costs, until when.

The same lines stand on a hold, on a reservation and on the pages. Prices are those of the version that the hold has
pinned, in its currency, so a change of prices changes no paper. Pure. Not here: how it is sent (``holds.web``,
``sales.web``), a reservation's own members (``sales.service``).
"""

from typing import TypedDict

from checkout.catalogue.event import Prices
from checkout.halls.seats import hold_id_text
from checkout.halls.sections import Layout, names
from checkout.holds.answers import HoldState, Places


class Line(TypedDict):
    """One seat. ``row`` and ``number`` are '' where people stand."""

    seat: int
    section: str
    row: str
    number: str
    tier: int
    price_minor: int


class HoldPaper(TypedDict):
    """A hold as its buyer sees it."""

    hold: str
    event: str
    seats: list[Line]
    currency: str
    total_minor: int
    until_ms: int
    extendable: bool
    fence: int
    state: str
    now_ms: int


def lines(layout: Layout, places: Places, prices: Prices, currency: str) -> list[Line]:
    """Write a line for each seat, in the order of seats.

    Raises ``KeyError`` for a tier or a currency without a price, ``IndexError`` for a seat that is not in the hall.
    """
    told: list[Line] = []
    for seat, tier in places:
        section, row, number = names(layout, seat)
        told.append(
            {
                "seat": seat,
                "section": section,
                "row": row,
                "number": number,
                "tier": tier,
                "price_minor": prices.amount_minor(tier, currency),
            }
        )
    return told


def total_minor(told: list[Line]) -> int:
    """Add up."""
    return sum(line["price_minor"] for line in told)


def hold_paper(
    hold_id: bytes,
    event: str,
    told: list[Line],
    currency: str,
    *,
    until_ms: int,
    extended: bool,
    fence: int,
    state: HoldState,
    now_ms: int,
) -> HoldPaper:
    """Write a hold's paper; ``now_ms`` is there for the buyer's clock, which may be wrong."""
    return {
        "hold": hold_id_text(hold_id),
        "event": event,
        "seats": told,
        "currency": currency,
        "total_minor": total_minor(told),
        "until_ms": until_ms,
        "extendable": state is HoldState.HELD and not extended,
        "fence": fence,
        "state": state.value,
        "now_ms": now_ms,
    }
