"""Events' pages: what is said of an event, its publishing and its end, and tables to save.

Whoever changes an event sees what somebody else has changed meanwhile before it is overwritten, and what they had
typed stays on the page. An event is cancelled by whoever types its id, after they have seen what it will mean. Not
here: a new one (``new_event_pages``), prices, seats.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from starlette.responses import Response

from checkout.backoffice.asking import NotDone
from checkout.backoffice.programme_files import read_large_form
from checkout.backoffice.programme_forms import FIELDS, fields_of, plain_text, read_change
from checkout.backoffice.programme_telling import beside, unread
from checkout.backoffice.visit import Page, Visit

EVENT = ("GET", "/events/{event}")
CHANGE = ("PATCH", "/events/{event}")
PUBLISH = ("POST", "/events/{event}/publish")
CANCEL = ("POST", "/events/{event}/cancel")
PROGRESS = ("GET", "/events/{event}/cancellation")
REPORT = ("GET", "/events/{event}/report")
MONEY = ("GET", "/events/{event}/money")
HOME = "/events/{event}/about"
TABLES = ("seats", "orders", "refunds")


async def about(visit: Visit) -> Response:
    """GET /events/{event}/about: what is said of it, and the form that changes it."""
    event = await visit.choose_event()
    zone = visit.writing.zone_name
    now = fields_of(event, zone)
    is_stale = visit.fault is not None and visit.fault.code == "event-changed"
    typed = {name: visit.form[name][0] for name in FIELDS if name in visit.form}
    yours = {
        name: text for name, text in typed.items() if plain_text(name, text) != plain_text(name, now[name])
    }
    values = {**now, **(typed if visit.fault is not None and not is_stale else {})}
    shown: dict[str, Any] = {"values": values, "yours": yours if is_stale else {}, "zone": zone}
    shown |= {"organisers": [], "venues": (await visit.ask("GET", "/venues")).plain["venues"]}
    if visit.may("GET", "/organisers"):
        shown["organisers"] = (await visit.ask("GET", "/organisers")).plain["organisers"]
    shown["beside"] = beside(visit)
    return await visit.show("about.html", here="about", **shown)


async def change(visit: Visit) -> Response:
    """POST /events/{event}/about: change what was changed, if nobody else has meanwhile."""
    event = await visit.choose_event()
    typed = {name: texts[0] for name, texts in visit.form.items()}
    read = read_change(event, typed, visit.writing.zone_name)
    if read.faults:
        raise unread(read.faults)
    if not read.document:
        return visit.to(_home(visit), said="event-same")
    told = await visit.ask(*CHANGE, plain=dict(read.document), version=version_of(visit.field("version")))
    return visit.to(_home(visit), said="event-later" if told.status == 202 else "event-changed")


async def publish(visit: Visit) -> Response:
    """POST /events/{event}/publish."""
    told = await visit.ask(*PUBLISH, plain={}, version=version_of(visit.field("version")))
    return visit.to(_home(visit), said="event-later" if told.status == 202 else "event-published")


async def ending(visit: Visit) -> Response:
    """GET /events/{event}/cancel: what an end will mean; or how far it has come."""
    event = await visit.choose_event()
    shown: dict[str, Any] = {"report": (await visit.ask(*REPORT)).plain}
    shown["progress"] = await maybe(visit, *PROGRESS)
    money = await maybe(visit, *MONEY)
    shown["money"] = [one for one in (money or {"money": []})["money"] if one["event"] == event["id"]]
    shown["beside"] = beside(visit)
    return await visit.show("cancel.html", here="about", **shown)


async def cancel(visit: Visit) -> Response:
    """POST /events/{event}/cancel: for good."""
    event = await visit.choose_event()
    if visit.field("confirm") != event["id"]:
        raise NotDone(422, "confirmation-missing", "Nothing was cancelled.")
    await visit.ask(*CANCEL, plain={"confirm": event["id"]}, code=visit.field("code"))
    return visit.to(f"/events/{event['id']}/cancel", said="event-cancelled")


async def exports(visit: Visit) -> Response:
    """GET /events/{event}/exports: tables to save, those that the role may have."""
    tables = [name for name in TABLES if visit.may("GET", f"/events/{{event}}/{name}.csv")]
    return await visit.show("exports.html", here="exports", tables=tables)


async def maybe(visit: Visit, method: str, path: str) -> Mapping[str, Any] | None:
    """Ask what not every shop has, or not every role may; None where there is nothing."""
    if not visit.may(method, path):
        return None
    try:
        plain: Mapping[str, Any] = (await visit.ask(method, path)).plain
    except NotDone as fault:
        # A shop that takes no money has no such address.
        if fault.status in {404, 405}:
            return None
        raise
    return plain


def version_of(text: str) -> str:
    """Write the version that a form was made of as the API takes it; any where the form had none."""
    return f'"{text}"' if text.isascii() and text.isdigit() and len(text) < 19 else "*"


def _home(visit: Visit) -> str:
    return f"/events/{visit.name('event')}/about"


PAGES: Sequence[Page] = (
    Page("GET", HOME, about, (EVENT,)),
    Page("POST", HOME, change, (EVENT, CHANGE), again=about, reader=read_large_form),
    Page("POST", "/events/{event}/publish", publish, (EVENT, PUBLISH), again=about),
    Page("GET", "/events/{event}/cancel", ending, (REPORT, CANCEL)),
    Page("POST", "/events/{event}/cancel", cancel, (REPORT, CANCEL), again=ending),
    Page("GET", "/events/{event}/exports", exports, (("GET", "/events/{event}/seats.csv"),)),
)
