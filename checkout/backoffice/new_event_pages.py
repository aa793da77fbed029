"""New event's pages: a house and a seating plan are chosen, then what is said of the event, its tiers and prices.

It is a draft until it is published, so whoever makes one looks at it first. Not here: the form (``new_event_form``).
"""

from collections.abc import Mapping, Sequence
from typing import Any

from starlette.responses import Response

from checkout.backoffice.asking import NotDone
from checkout.backoffice.new_event_form import show_new_event
from checkout.backoffice.programme_files import read_large_form
from checkout.backoffice.programme_forms import read_new
from checkout.backoffice.programme_telling import unread
from checkout.backoffice.visit import Page, Visit

CREATE = ("POST", "/events")
LAYOUT = ("GET", "/layouts/{layout}")
NEEDS = (CREATE, LAYOUT, ("GET", "/venues/{venue}/layouts"), ("GET", "/organisers"))


async def new_event(visit: Visit) -> Response:
    """GET /new-event: choose a plan; ?venue=&layout=: the form."""
    houses = (await visit.ask("GET", "/venues")).plain["venues"]
    asked = visit.request.query_params
    wanted = visit.form.get("venue_id", [asked.get("venue", "")])[0]
    layout = visit.form.get("layout_id", [asked.get("layout", "")])[0]
    house = next((one for one in houses if one["id"] == wanted), None)
    if house is not None and layout:
        return await show_new_event(visit, venue=house, layout=layout)
    if layout:
        raise NotDone(404, "venue-unknown", "There is no such venue.")
    plans = [(one, await _layouts(visit, one)) for one in houses]
    return await visit.show("choose_plan.html", here="home", plans=plans)


async def make(visit: Visit) -> Response:
    """POST /new-event: a draft."""
    typed = {name: texts[0] for name, texts in visit.form.items()}
    houses = (await visit.ask("GET", "/venues")).plain["venues"]
    house = next((one for one in houses if one["id"] == typed.get("venue_id")), None)
    if house is None:
        raise NotDone(404, "venue-unknown", "There is no such venue.")
    plan = (await visit.ask(*LAYOUT, names={"layout": typed.get("layout_id", "")})).plain
    read = read_new(typed, house["time_zone"], len(plan["sections"]))
    if read.faults:
        raise unread(read.faults)
    told = await visit.ask(*CREATE, plain=dict(read.document))
    return visit.to(f"/events/{told.plain['id']}/about", said="event-made")


async def _layouts(visit: Visit, house: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    told = await visit.ask("GET", "/venues/{venue}/layouts", names={"venue": house["id"]})
    found: list[Mapping[str, Any]] = told.plain["layouts"]
    return found


PAGES: Sequence[Page] = (
    Page("GET", "/new-event", new_event, NEEDS),
    Page("POST", "/new-event", make, NEEDS, again=new_event, reader=read_large_form),
)
