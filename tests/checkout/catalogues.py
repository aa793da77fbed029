"""A small catalogue that tests of the shop begin with: a hall of 45 places, a house, an event in two tiers.

Not here: the demo's programme (``checkout.catalogue.programme``).
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Engine

from checkout.catalogue.event import Organiser, Venue
from checkout.catalogue.service import Catalogue
from checkout.catalogue.store import CatalogueStore
from checkout.database import ShopDatabase
from checkout.halls.layout import Layout
from checkout.halls.plans import read_csv
from checkout.halls.seat_rows import SeatRows
from kernel.clock import Clock

NOW_MS = 1_800_000_000_000
DAY_MS = 86_400_000
ORGANISER = Organiser("ida", "Ida & Friends")
VENUE = Venue("old-mill", "Alte Mühle", "Zürich", "CH", "Europe/Zurich")


def small_layout(name: str = "Mill") -> Layout:
    """Make a hall: 20 seats in two rows, 5 seats at the side, 20 places to stand."""
    lines = ["section,row,number,x,y,tier,kind,count"]
    lines += [
        f"Stalls,{row},{seat},{seat * 100},{line},A,,"
        for line, row in ((0, "A"), (120, "B"))
        for seat in range(1, 11)
    ]
    lines += [f"Side,A,{seat},{2000 + seat * 100},0,B,," for seat in range(1, 6)]
    lines += ["Floor,,,3000,3000,B,standing,20"]
    return read_csv("\n".join(lines).encode(), name).layout


def event_fields(layout: str, **changes: Any) -> dict[str, Any]:
    """Give an event as an organiser hands it in."""
    return {
        "id": "summer",
        "organiser_id": ORGANISER.id,
        "venue_id": VENUE.id,
        "layout_id": layout,
        "title": "Summer Night",
        "subtitle": "Ida Sund",
        "about": "Songs about the sea.",
        "motif": "moon",
        "starts_ms": NOW_MS + 30 * DAY_MS,
        "sale_from_ms": NOW_MS - DAY_MS,
        "sale_until_ms": NOW_MS + 29 * DAY_MS,
        "state": "published",
        "currency": "EUR",
        "max_per_buyer": 4,
        "hold_s": 180,
        "grace_s": 300,
        "room": "",
        "tiers": [
            {"tier": 0, "name": "Front", "prices": {"EUR": 4200, "JPY": 7000}},
            {"tier": 1, "name": "Back", "prices": {"EUR": 2500, "JPY": 4000}},
        ],
        "section_tiers": {"0": 0, "1": 1, "2": 1},
        "allocations": [{"name": "fans", "channel": "fan-club", "code": "MIDNIGHT"}],
        **changes,
    }


def catalogue_of(database: ShopDatabase, clock: Clock) -> Catalogue:
    """Give a worker's catalogue whose seats lie in the same database."""
    return Catalogue(CatalogueStore(database), lambda _event: SeatRows(database), clock)


async def with_event(catalogue: Catalogue, **changes: Any) -> str:
    """Put a house, a hall and an event in; return the layout's id."""
    await catalogue.put_organiser(ORGANISER)
    await catalogue.put_venue(VENUE)
    layout = await catalogue.add_layout(VENUE.id, small_layout())
    await catalogue.create_event(event_fields(layout, **changes))
    return layout


@contextmanager
def statements(*engines: Engine) -> Iterator[list[str]]:
    """Count the statements that engines execute."""
    seen: list[str] = []

    def note(*arguments: Any) -> None:
        # SQLite's beginning of a transaction is one too; PostgreSQL's driver does not show it.
        if arguments[2] != "BEGIN":
            seen.append(arguments[2])

    for engine in engines:
        sa.event.listen(engine, "before_cursor_execute", note)
    yield seen
    for engine in engines:
        sa.event.remove(engine, "before_cursor_execute", note)
