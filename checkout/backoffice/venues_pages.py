"""Venues' pages: houses, who puts on events, and the seating plans of a house, which come as files.

A plan is taken whole or not at all. Of one that is refused every fault is told with its line and what stands in it, and
a small file stays on the page, where it can be mended and sent again. Not here: reading it (``halls.plans``).
"""

from collections.abc import Mapping, Sequence
from typing import Any

from starlette.responses import Response

from checkout.backoffice.asking import NotDone
from checkout.backoffice.new_event_form import show_new_event
from checkout.backoffice.programme_files import FILE_NAME, read_file_form
from checkout.backoffice.programme_forms import lines_named
from checkout.backoffice.programme_plan import lines_of
from checkout.backoffice.programme_prices import FieldFault
from checkout.backoffice.programme_telling import beside, unread
from checkout.backoffice.visit import Page, Visit
from checkout.catalogue.event import SLUG

VENUES = ("GET", "/venues")
ORGANISERS = ("GET", "/organisers")
PUT_VENUE = ("PUT", "/venues/{venue}")
PUT_ORGANISER = ("PUT", "/organisers/{organiser}")
LAYOUTS = ("GET", "/venues/{venue}/layouts")
IMPORT = ("POST", "/venues/{venue}/layouts")
FIELDS = ("name", "city", "country", "time_zone")
SHOWN_MOST_BYTES = 200_000
"""A refused file as large as this is shown, to be mended on the page."""


async def venues(visit: Visit) -> Response:
    """GET /venues: houses and organisers."""
    shown = {"venues": (await visit.ask(*VENUES)).plain["venues"], "beside": beside(visit)}
    shown["organisers"] = (await visit.ask(*ORGANISERS)).plain["organisers"]
    return await visit.show("venues.html", here="venues", **shown)


async def add_venue(visit: Visit) -> Response:
    """POST /venues: a new house; one of this id that is there is not overwritten."""
    name = _slug(visit, "venue")
    if any(one["id"] == name for one in (await visit.ask(*VENUES)).plain["venues"]):
        raise unread([FieldFault("venue", "taken")])
    await visit.ask(*PUT_VENUE, names={"venue": name}, plain=_house(visit))
    return visit.to(f"/venues/{name}", said="venue-kept")


async def put_organiser(visit: Visit) -> Response:
    """POST /organisers: a new organiser, or another name of one."""
    name = _slug(visit, "organiser")
    await visit.ask(
        *PUT_ORGANISER,
        names={"organiser": name},
        plain={"name": visit.field("organiser-name")},
        code=visit.field("code"),
    )
    return visit.to("/venues", said="organiser-kept")


async def venue(visit: Visit) -> Response:
    """GET /venues/{venue}: a house, its seating plans, and the form for a new one."""
    found = await _venue(visit)
    layouts = (await visit.ask(*LAYOUTS)).plain["layouts"]
    lines: Sequence[tuple[int, str]] = ()
    text = ""
    if visit.fault is not None and "plan" in visit.form:
        octets = _plan(visit.form)
        lines = lines_of(octets.decode("utf-8", "replace"), lines_named(visit.fault.more.get("faults", [])))
        text = octets.decode("utf-8", "replace") if len(octets) <= SHOWN_MOST_BYTES else ""
    shown = {"venue": found, "layouts": layouts, "bad_lines": lines, "text": text, "beside": beside(visit)}
    return await visit.show("venue.html", here="venues", **shown)


async def change_venue(visit: Visit) -> Response:
    """POST /venues/{venue}: what is new of a house."""
    await _venue(visit)
    await visit.ask(*PUT_VENUE, plain=_house(visit))
    return visit.to(f"/venues/{visit.name('venue')}", said="venue-kept")


async def add_layout(visit: Visit) -> Response:
    """POST /venues/{venue}/layouts: a file, or its text; what it becomes is shown with the form of a new event."""
    octets = _plan(visit.form)
    if not octets.strip():
        raise unread([FieldFault("plan", "file")])
    name = visit.form.get("layout-name", [""])[0].strip()
    query = {"name": name} if name else {}
    told = await visit.ask(*IMPORT, query=query, octets=octets, kind=_kind(visit.form, octets))
    return await show_new_event(visit, imported=told.plain, venue=await _venue(visit))


async def _venue(visit: Visit) -> Mapping[str, Any]:
    found: list[Mapping[str, Any]] = (await visit.ask(*VENUES)).plain["venues"]
    own = next((one for one in found if one["id"] == visit.name("venue")), None)
    if own is None:
        raise NotDone(404, "venue-unknown", "There is no such venue.")
    return own


def _house(visit: Visit) -> dict[str, str]:
    made = {name: visit.field(name) for name in FIELDS}
    return made | {"country": made["country"].upper()}


def _plan(form: Mapping[str, Sequence[str]]) -> bytes:
    """Give the file's octets; else those of the text that was mended on the page."""
    file = form.get("plan", [""])[0].encode("latin-1", "replace")
    return file or form.get("text", [""])[0].encode()


def _kind(form: Mapping[str, Sequence[str]], octets: bytes) -> str:
    """Tell what kind of file it is: by its name, else by how it begins."""
    name = form.get(f"plan{FILE_NAME}", [""])[0].lower()
    is_json = name.endswith(".json") or (not name.endswith(".csv") and octets.lstrip()[:1] == b"{")
    return "application/json" if is_json else "text/csv"


def _slug(visit: Visit, field: str) -> str:
    name = visit.field(field)
    if not SLUG.fullmatch(name):
        raise unread([FieldFault(field, "slug")])
    return name


PAGES: Sequence[Page] = (
    Page("GET", "/venues", venues, (VENUES, ORGANISERS)),
    Page("POST", "/venues", add_venue, (ORGANISERS, PUT_VENUE), again=venues),
    Page("POST", "/organisers", put_organiser, (ORGANISERS, PUT_ORGANISER), again=venues),
    Page("GET", "/venues/{venue}", venue, (LAYOUTS,)),
    Page("POST", "/venues/{venue}", change_venue, (LAYOUTS, PUT_VENUE), again=venue),
    Page(
        "POST", "/venues/{venue}/layouts", add_layout, (LAYOUTS, IMPORT), again=venue, reader=read_file_form
    ),
)
