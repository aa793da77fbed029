"""Importing: a file with somebody's seating plan becomes a layout of ours, whole or not at all.

What kind of file it is follows from its media type (or its name, at the command line): CSV or pretix's JSON. Reading
60,000 lines takes a second or two of one processor and runs beside the event loop, one file at a time; whoever sells at
the same time better gives organisers a process of their own (``roles``). Not here: the formats (``plans``,
``halls.pretix``), the event that is made of the hall (``catalogue.service``).
"""

import asyncio
from dataclasses import dataclass
from enum import StrEnum

from checkout.catalogue.service import Catalogue
from checkout.halls.layout import MOST_NAME
from checkout.halls.plans import MOST_OCTETS, Plan, read_csv
from checkout.halls.pretix import read_pretix
from kernel.errors import Refused

__all__ = ["MOST_OCTETS", "Imported", "Importing", "Kind", "kind_of_file", "kind_of_media"]


class Kind(StrEnum):
    """How a plan is written down."""

    CSV = "csv"
    PRETIX = "pretix"


@dataclass(frozen=True, slots=True)
class Imported:
    """The layout that a plan has become."""

    layout: str
    plan: Plan


_MEDIA = {"text/csv": Kind.CSV, "application/json": Kind.PRETIX}
_ENDS = {".csv": Kind.CSV, ".json": Kind.PRETIX}


def kind_of_media(content_type: str) -> Kind:
    """Tell the kind by its media type. Raises ``Refused("content-type-unknown")``."""
    kind = _MEDIA.get(content_type.partition(";")[0].strip().lower())
    if kind is None:
        raise Refused(
            "content-type-unknown", "Send the plan as text/csv, or pretix's as application/json.", status=415
        )
    return kind


def kind_of_file(name: str) -> Kind | None:
    """Tell the kind by how a file is called; None if it does not show."""
    return next((kind for end, kind in _ENDS.items() if name.lower().endswith(end)), None)


class Importing:
    """Brings plans into the catalogue, for one process."""

    def __init__(self, catalogue: Catalogue) -> None:
        self._catalogue = catalogue
        self._turn = asyncio.Semaphore(1)

    @property
    def turn(self) -> asyncio.Semaphore:
        """Whose turn it is: a file is taken in and read by one at a time, so that memory has a bound."""
        return self._turn

    async def add(self, venue: str, octets: bytes, kind: Kind, name: str = "") -> Imported:
        """Keep a plan as a layout of a venue; without a `name` it has its own, or the venue's.

        Raises ``Refused``: ``venue-unknown``; ``name-invalid``; ``plan-invalid`` with the faults, each with its line.
        """
        if len(name) > MOST_NAME or not name.isprintable():
            raise Refused("name-invalid", f"The layout's name must have at most {MOST_NAME} characters.", 422)
        house = await self._catalogue.venue(venue)
        plan = await asyncio.to_thread(_read, octets, kind, name, house.name[:MOST_NAME])
        return Imported(await self._catalogue.add_layout(venue, plan.layout), plan)


def _read(octets: bytes, kind: Kind, name: str, otherwise: str) -> Plan:
    match kind:
        case Kind.CSV:
            return read_csv(octets, name or otherwise)
        case Kind.PRETIX:
            return read_pretix(octets, name or None)
