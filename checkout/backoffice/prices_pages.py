"""Prices' pages: tiers with seats and prices, a change that is shown before it is made, seats into another tier.

A change is made of what is so now: whoever confirms one that somebody else has overtaken sees it anew. Not here: what
a change comes to (``programme_prices``).
"""

from collections.abc import Mapping, Sequence
from typing import Any

from starlette.responses import Response

from checkout.backoffice.asking import NotDone
from checkout.backoffice.hall_pages import HALL, chosen, read_hall
from checkout.backoffice.programme_fields import NotRead, read_whole
from checkout.backoffice.programme_files import read_large_form
from checkout.backoffice.programme_hall import Hall, choice_of
from checkout.backoffice.programme_plan import Counts, by_tier
from checkout.backoffice.programme_prices import FieldFault, preview, read_typed, rows_of
from checkout.backoffice.programme_seats import read_runs
from checkout.backoffice.programme_telling import beside, unread
from checkout.backoffice.visit import Page, Visit
from checkout.money import currencies

EVENT = ("GET", "/events/{event}")
PRICES = ("POST", "/events/{event}/prices")
TIERS = ("POST", "/events/{event}/tiers")
HOME = "/events/{event}/prices"


async def prices(visit: Visit) -> Response:
    """GET /events/{event}/prices: the table, and the forms; ?currency= is one more column."""
    event = await visit.choose_event()
    found = await read_hall(visit)
    asked = _wanted(visit, visit.request.query_params.get("currency", ""))
    shown: dict[str, Any] = {
        "rows": rows_of(event, by_tier(found.octets), asked),
        "hall": found,
        "new": asked,
    }
    shown["sections"] = list(enumerate(found.layout.sections))
    shown["picked"] = visit.form.get("sections", []) if visit.fault is not None else []
    shown["line_faults"] = [] if visit.fault is None else visit.fault.more.get("lines", [])
    shown["beside"] = beside(visit)
    return await visit.show("prices.html", here="prices", **shown)


async def look(visit: Visit) -> Response:
    """POST /events/{event}/prices/look: what a change will mean."""
    event = await visit.choose_event()
    read = read_typed(event, _typed(visit), _wanted(visit))
    if read.faults:
        raise unread(read.faults)
    if not read.changes:
        return visit.to(_home(visit), said="prices-same")
    counts = by_tier((await read_hall(visit)).octets)
    return await _shown(visit, event, counts)


async def change(visit: Visit) -> Response:
    """POST /events/{event}/prices: make a change that was shown."""
    event = await visit.choose_event()
    read = read_typed(event, _typed(visit), _wanted(visit))
    if read.faults:
        raise unread(read.faults)
    if is_overtaken(visit, event):
        raise NotDone(412, "event-changed", "Somebody else has changed the prices; look at them again.")
    if not read.changes:
        return visit.to(_home(visit), said="prices-same")
    await visit.ask(*PRICES, plain=read.document(), code=visit.field("code"))
    return visit.to(_home(visit), said="prices-set")


def is_overtaken(visit: Visit, event: Mapping[str, Any]) -> bool:
    """Tell whether somebody else has changed prices since the change was shown."""
    return visit.field("version") != str(event["price_version"])


async def again(visit: Visit) -> Response:
    """Show a change once more that was refused: what it means now, or the table where it cannot be read."""
    event = await visit.choose_event()
    fault = visit.fault
    if fault is not None and "fields" in fault.more:
        return await prices(visit)
    counts = by_tier((await read_hall(visit)).octets)
    return await _shown(visit, event, counts)


async def _shown(visit: Visit, event: Mapping[str, Any], counts: Mapping[int, Counts]) -> Response:
    read = read_typed(event, _typed(visit), _wanted(visit))
    shown: dict[str, Any] = {
        "changes": preview(event, counts, read.changes),
        "fields": _typed(visit),
        "new": _wanted(visit),
    }
    return await visit.show("prices_look.html", here="prices", beside=beside(visit), **shown)


# ------------------------------------------------------------------------------------------ tiers


async def look_tiers(visit: Visit) -> Response:
    """POST /events/{event}/tiers/look: which seats would go into which tier."""
    event = await visit.choose_event()
    tier = _tier(visit, event)
    found = await read_hall(visit)
    sections = _sections(visit, found)
    if not sections and not visit.field("seats"):
        raise unread([FieldFault("seats", "seats-none")])
    seats: set[int] = set()
    for index in sections:
        own = found.layout.sections[index]
        seats.update(range(own.first, own.first + own.count))
    if visit.field("seats"):
        picked = await chosen(visit, found)
        for part in read_runs(picked.runs) or []:
            seats.update(range(part[0], part[0] + part[1]) if isinstance(part, list) else [part])
    choice = choice_of(found, sorted(seats))
    names = {one["tier"]: one for one in event["tiers"]}
    shown: dict[str, Any] = {"choice": choice, "tier": names[tier], "tiers": names, "picked": sections}
    shown["named"] = _beside_sections(found, seats, sections)
    return await visit.show("tiers_look.html", here="prices", **shown)


async def put_tiers(visit: Visit) -> Response:
    """POST /events/{event}/tiers: put the seats that were shown into a tier."""
    event = await visit.choose_event()
    plain: dict[str, Any] = {
        "tier": _tier(visit, event),
        "sections": _sections(visit, await read_hall(visit)),
    }
    if text := visit.field("seats"):
        plain["seats"] = read_runs(text)
        if plain["seats"] is None:
            raise unread([FieldFault("seats", "seats")])
    told = await visit.ask(*TIERS, plain=plain)
    return visit.to(_home(visit), said="tiers-later" if told.status == 202 else "tiers-set")


# ----------------------------------------------------------------------------------- small parts


def _typed(visit: Visit) -> dict[str, str]:
    return {name: texts[0] for name, texts in visit.form.items() if name.startswith("p-")}


def _wanted(visit: Visit, asked: str = "") -> list[str]:
    """Name the currency that is to come, if one is."""
    code = (visit.field("currency") or asked).strip().upper()
    return [code] if code in currencies() else []


def _tier(visit: Visit, event: Mapping[str, Any]) -> int:
    try:
        tier = read_whole(visit.field("tier"))
    except NotRead:
        tier = -1
    if tier not in {one["tier"] for one in event["tiers"]}:
        raise unread([FieldFault("tier", "tier")])
    return tier


def _sections(visit: Visit, found: Hall) -> list[int]:
    made = []
    for text in visit.form.get("sections", []):
        try:
            index = read_whole(text)
        except NotRead:
            index = len(found.layout.sections)
        if index >= len(found.layout.sections):
            raise unread([FieldFault("sections", "sections")])
        made.append(index)
    return made


def _beside_sections(found: Hall, seats: set[int], sections: Sequence[int]) -> str:
    """Write those seats for a hidden field that are of none of the sections which go as a whole."""
    left = set(seats)
    for index in sections:
        own = found.layout.sections[index]
        left.difference_update(range(own.first, own.first + own.count))
    return choice_of(found, sorted(left)).runs if left else ""


def _home(visit: Visit) -> str:
    return f"/events/{visit.name('event')}/prices"


PAGES: Sequence[Page] = (
    Page("GET", HOME, prices, (HALL, EVENT)),
    Page("POST", f"{HOME}/look", look, (HALL, PRICES), again=prices, is_once=False, reader=read_large_form),
    Page("POST", HOME, change, (HALL, PRICES), again=again, reader=read_large_form),
    Page(
        "POST", "/events/{event}/tiers/look", look_tiers, (HALL, TIERS), again=prices, is_once=False,
        reader=read_large_form,
    ),
    Page("POST", "/events/{event}/tiers", put_tiers, (HALL, TIERS), again=prices, reader=read_large_form),
)  # fmt: skip
