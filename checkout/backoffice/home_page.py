"""Home page: the events, of which one is chosen, and the way from one event to another. Decides nothing."""

from collections.abc import Sequence

from starlette.responses import Response

from checkout.backoffice.asking import NotDone
from checkout.backoffice.navigation import OFFICE, lines
from checkout.backoffice.page import Writing
from checkout.backoffice.visit import Page, Visit


async def home(visit: Visit) -> Response:
    """GET /staff/office: all events, those that are still to come first."""
    events = (await visit.ask("GET", "/events")).plain["events"]
    order = sorted(
        events, key=lambda one: (one["starts_ms"] < visit.now_ms, abs(one["starts_ms"] - visit.now_ms))
    )
    zones = {venue["id"]: venue["time_zone"] for venue in (await visit.ask("GET", "/venues")).plain["venues"]}
    times = {
        one["id"]: Writing(visit.tag, zones.get(one["venue_id"], "UTC")).moment(one["starts_ms"])
        for one in order
    }
    first = next((path for _, path in lines(visit.session.role, "{event}")), "")
    return await visit.show("home.html", here="home", events=order, first=first, times=times)


async def go(visit: Visit) -> Response:
    """GET /staff/office/go: the same page of another event, the first one where there is none."""
    asked = visit.request.query_params
    event, wanted = asked.get("event", ""), asked.get("to", "")
    known = [one["id"] for one in (await visit.ask("GET", "/events")).plain["events"]]
    paths = dict(lines(visit.session.role, event))
    if event not in known or not paths:
        raise NotDone(404, "event-unknown", "There is no such event.")
    return visit.to(paths.get(wanted, next(iter(paths.values()))).removeprefix(OFFICE))


_EVENTS = (("GET", "/events"),)
PAGES: Sequence[Page] = (
    Page("GET", "", home, (*_EVENTS, ("GET", "/venues"))),
    Page("GET", "/go", go, _EVENTS),
)
