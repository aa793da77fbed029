"""People's pages: what is kept of somebody, by their address; told to them, and erased as far as it may be.

The address goes in a form and stands in no address of a page. Whoever looks has made sure whom they help. Not here:
what is kept, and what may not be erased (``people.personal``).
"""

from collections.abc import Mapping, Sequence
from typing import Any

import orjson
from starlette.responses import Response

from checkout.backoffice.asking import NotDone
from checkout.backoffice.programme_telling import beside
from checkout.backoffice.visit import Page, Visit

FIND = ("POST", "/people/find")
TELL = ("GET", "/events/{event}/orders/{order}/personal")
ERASE = ("DELETE", "/events/{event}/orders/{order}/personal")
FORGET = ("DELETE", "/events/{event}/waitlist/{number}/contact")
HOME = "/people"
PERSONAL = "/events/{event}/orders/{order}/personal"


async def people(visit: Visit) -> Response:
    """GET /people: whose."""
    return await visit.show("people.html", here="people", found=None, titles={}, beside=beside(visit))


async def find(visit: Visit) -> Response:
    """POST /people/find: orders and places on waitlists of an address."""
    found = (await visit.ask(*FIND, plain={"email": visit.field("email")})).plain
    events = (await visit.ask("GET", "/events")).plain["events"]
    titles = {one["id"]: one["title"] for one in events}
    return await visit.show("people.html", here="people", found=found, titles=titles, beside={})


async def personal(visit: Visit) -> Response:
    """GET /events/{event}/orders/{order}/personal: all of it."""
    plain = (await visit.ask(*TELL)).plain
    parts = [(name, part) for name, part in plain.items() if name != "not_erased_on_demand"]
    shown = {"parts": [(name, tabled(part)) for name, part in parts], "kept": plain["not_erased_on_demand"]}
    return await visit.show(
        "personal.html", here="people", order=visit.name("order"), beside=beside(visit), **shown
    )


async def erase(visit: Visit) -> Response:
    """POST /events/{event}/orders/{order}/erase: what may be."""
    _sure(visit)
    await visit.ask(*ERASE)
    return visit.to(
        f"/events/{visit.name('event')}/orders/{visit.name('order')}/personal", said="personal-erased"
    )


async def forget(visit: Visit) -> Response:
    """POST /events/{event}/waitlist/{number}/forget: where somebody who waits is written to."""
    _sure(visit)
    await visit.ask(*FORGET)
    return visit.to("/people", said="contact-erased")


def tabled(part: Any) -> tuple[list[str], list[list[str]]]:
    """Write what is kept as columns and rows: an object is a row, a list is one each, anything else is a text."""
    rows = part if isinstance(part, list) else [part]
    if not all(isinstance(row, Mapping) for row in rows):
        return [], [[_text(row)] for row in rows if row is not None]
    columns = list(dict.fromkeys(name for row in rows for name in row))
    return columns, [[_text(row.get(name)) for name in columns] for row in rows]


def _text(value: Any) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else orjson.dumps(value).decode()


def _sure(visit: Visit) -> None:
    if visit.field("sure") != "yes":
        raise NotDone(422, "not-sure", "Nothing was done.")


PAGES: Sequence[Page] = (
    Page("GET", HOME, people, (FIND,)),
    Page("POST", "/people/find", find, (FIND,), again=people, is_once=False),
    Page("GET", PERSONAL, personal, (TELL,)),
    Page("POST", "/events/{event}/orders/{order}/erase", erase, (TELL, ERASE), again=personal),
    Page("POST", "/events/{event}/waitlist/{number}/forget", forget, (FIND, FORGET), again=people),
)
