"""Doors' pages: who came in, by gate and minute, who should not have; and the keys with which gates scan.

A scanner's link is told once, on the page that answers the form, and never again. Not here: figures
(``organiser.doors_web``), what of them is drawn (``programme_doors``).
"""

from collections.abc import Sequence
from typing import Any

from starlette.responses import Response

from checkout.backoffice.asking import NotDone
from checkout.backoffice.events_pages import maybe
from checkout.backoffice.programme_doors import doors_view
from checkout.backoffice.programme_fields import NotRead, moment_text, read_moment
from checkout.backoffice.programme_prices import FieldFault
from checkout.backoffice.programme_telling import beside, unread
from checkout.backoffice.visit import Page, Visit
from checkout.staffroom.page import qr

ENTRY = ("GET", "/events/{event}/entry")
CONFLICTS = ("GET", "/events/{event}/entry/conflicts")
SCANNERS = ("GET", "/events/{event}/scanners")
MAKE = ("POST", "/events/{event}/scanners")
REVOKE = ("POST", "/events/{event}/scanners/{scanner}/revoke")
HOME = "/events/{event}/doors"
AFTER_MS = 6 * 3_600_000
"""So long after the beginning of an event a scanner works, if nobody says otherwise."""


async def doors(visit: Visit) -> Response:
    """GET /events/{event}/doors: how they stand now; ?after= is where the list of conflicts goes on."""
    event = await visit.choose_event()
    entry = (await visit.ask(*ENTRY)).plain
    scanners = ((await maybe(visit, *SCANNERS)) or {"scanners": []})["scanners"]
    after = visit.request.query_params.get("after", "")
    conflicts = (await visit.ask(*CONFLICTS, query={"after": after} if after else {})).plain
    until = moment_text(max(event["starts_ms"], visit.now_ms) + AFTER_MS, visit.writing.zone_name)
    shown: dict[str, Any] = {"doors": doors_view(entry, scanners), "scanners": scanners, "until": until}
    shown |= {"conflicts": conflicts["conflicts"], "next": conflicts["next"] or "", "at_ms": entry["now_ms"]}
    return await visit.show("doors.html", here="doors", beside=beside(visit), **shown)


async def make(visit: Visit) -> Response:
    """POST /events/{event}/scanners: a new key for a gate, shown this once."""
    await visit.choose_event()
    try:
        until_ms = read_moment(visit.field("until"), visit.writing.zone_name)
    except NotRead as wrong:
        raise unread([FieldFault("until", wrong.why)]) from None
    made = (await visit.ask(*MAKE, plain={"name": visit.field("name"), "until_ms": until_ms})).plain
    # The browser's own word of where it is; a page of ours has sent this form.
    origin = visit.request.headers.get("origin", "")
    link = origin + made["link"] if origin.startswith(("http://", "https://")) else ""
    shown = {"made": made, "link": link, "qr": qr(link) if link else ""}
    return await visit.show("scanner_made.html", here="doors", status=201, **shown)


async def revoke(visit: Visit) -> Response:
    """POST /events/{event}/scanners/{scanner}/revoke: it scans no more."""
    if visit.field("sure") != "yes":
        raise NotDone(422, "not-sure", "Nothing was done.")
    await visit.ask(*REVOKE, plain={})
    return visit.to(f"/events/{visit.name('event')}/doors", said="scanner-revoked")


PAGES: Sequence[Page] = (
    Page("GET", HOME, doors, (ENTRY,)),
    Page("POST", "/events/{event}/scanners", make, (ENTRY, MAKE), again=doors),
    Page("POST", "/events/{event}/scanners/{scanner}/revoke", revoke, (ENTRY, REVOKE), again=doors),
)
