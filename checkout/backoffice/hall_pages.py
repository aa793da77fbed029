"""Hall's pages: a picture of an event's hall, and what is blocked in it: for an allocation, or for nobody.

Seats are named in words or chosen from what is blocked already. Before anything is done it is shown which seats it is
about and which are in the way; what is done then is about exactly those, all or none. What was blocked a moment ago
can be put on sale again by one button. Not here: drawing (``programme_plan``), reading words (``programme_seats``).
"""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

from starlette.responses import Response

from checkout.backoffice.asking import NotDone
from checkout.backoffice.page import texts
from checkout.backoffice.programme_files import read_large_form
from checkout.backoffice.programme_hall import Choice, Hall, choice_of, groups_of, hall_of, words_of
from checkout.backoffice.programme_plan import by_tier, plan_of
from checkout.backoffice.programme_prices import FieldFault
from checkout.backoffice.programme_seats import LineFault, Picked, pick, read_runs
from checkout.backoffice.programme_telling import beside, unread
from checkout.backoffice.visit import Page, Visit
from checkout.catalogue.event import SLUG
from checkout.halls.seats import Status

HALL = ("GET", "/events/{event}/hall")
BLOCK = ("POST", "/events/{event}/block")
UNBLOCK = ("POST", "/events/{event}/unblock")
ALLOCATION = ("PUT", "/events/{event}/allocations/{name}")
BLOCKS = "/events/{event}/blocks"
UNDO_MOST = 1_500
"""A choice as long as this goes into an address, to be undone; a longer one is undone from the list."""

ACTS: Mapping[str, Status] = {"block": Status.FREE, "unblock": Status.BLOCKED}
"""How a seat must stand for what is done with it."""


async def read_hall(visit: Visit) -> Hall:
    """Ask for the hall and read it, beside the event loop: it may have 100,000 seats. Raises ``NotDone``."""
    plain = (await visit.ask(*HALL)).plain
    return await asyncio.to_thread(hall_of, plain)


async def hall(visit: Visit) -> Response:
    """GET /events/{event}/hall: the picture, and the same numbers as tables."""
    found = await read_hall(visit)
    plan = await asyncio.to_thread(plan_of, found.layout, found.octets)
    tiers = by_tier(found.octets)
    return await visit.show("hall.html", here="hall", plan=plan, tiers=tiers, is_live=found.is_live)


async def blocks(visit: Visit) -> Response:
    """GET /events/{event}/blocks: what is blocked, by allocation, and the forms."""
    found = await read_hall(visit)
    shown: dict[str, Any] = {"groups": await asyncio.to_thread(groups_of, found), "hall": found}
    undo = read_runs(visit.request.query_params.get("undo", ""))
    shown["undo"] = visit.request.query_params.get("undo", "") if undo else ""
    busy = [] if visit.fault is None else visit.fault.more.get("seats", [])
    inside = [seat for seat in busy if isinstance(seat, int) and 0 <= seat < found.layout.seats]
    shown["busy"] = words_of(found.layout, inside) if inside else None
    shown["line_faults"] = [] if visit.fault is None else visit.fault.more.get("lines", [])
    shown["beside"] = beside(visit)
    return await visit.show("blocks.html", here="blocks", **shown)


async def look(visit: Visit) -> Response:
    """POST /events/{event}/blocks/look: what a choice is made of, before anything is done."""
    act = visit.field("act")
    if act not in ACTS:
        raise unread([FieldFault("act", "act")])
    found = await read_hall(visit)
    choice = await chosen(visit, found, ACTS[act])
    event = await visit.choose_event()
    tiers = {one["tier"]: one["name"] for one in event["tiers"]}
    shown: dict[str, Any] = {
        "choice": choice,
        "act": act,
        "allocation": visit.field("allocation"),
        "tiers": tiers,
    }
    return await visit.show("blocks_look.html", here="blocks", **shown)


async def block(visit: Visit) -> Response:
    """POST /events/{event}/blocks/block: take the seats that were shown out of the sale."""
    plain: dict[str, Any] = {"seats": _runs(visit)}
    if allocation := visit.field("allocation"):
        plain["allocation"] = allocation
    told = await visit.ask(*BLOCK, plain=plain)
    return _done(visit, told.status, "blocked", undo=visit.field("seats"))


async def unblock(visit: Visit) -> Response:
    """POST /events/{event}/blocks/unblock: put the seats that were shown on sale again."""
    told = await visit.ask(*UNBLOCK, plain={"seats": _runs(visit)})
    return _done(visit, told.status, "unblocked")


async def allocate(visit: Visit) -> Response:
    """POST /events/{event}/blocks/allocation: a new allocation, or another channel and code of one."""
    name = visit.field("name")
    if not SLUG.fullmatch(name):
        raise unread([FieldFault("name", "slug")])
    plain = {"channel": visit.field("channel"), "code": visit.field("allocation-code")}
    await visit.ask(*ALLOCATION, names={"name": name}, plain=plain)
    return visit.to(_home(visit), said="allocation-kept")


async def chosen(visit: Visit, found: Hall, *wanted: Status) -> Choice:
    """Read the seats that a form names in words. Raises ``NotDone`` with the lines that name none."""

    def takes(seat: int) -> bool:
        return not wanted or found.status(seat) in wanted

    picked = await asyncio.to_thread(pick, found.layout, visit.field("seats"), takes)
    if picked.faults:
        raise lines_wrong(visit, picked)
    return await asyncio.to_thread(choice_of, found, picked.seats, *wanted)


def lines_wrong(visit: Visit, picked: Picked) -> NotDone:
    """Refuse a text of which lines name no seat."""
    words = texts()[visit.tag]

    def said(one: LineFault) -> str:
        return (
            words.text("fault.line", line=str(one.line))
            + " "
            + words.text(f"seats.wrong.{one.why}", what=one.what)
        )

    fault = unread([FieldFault("seats", "seats")])
    fault.more = {**fault.more, "lines": [said(one) for one in picked.faults]}
    return fault


def _runs(visit: Visit) -> list[int | list[int]]:
    runs = read_runs(visit.field("seats"))
    if runs is None:
        raise unread([FieldFault("seats", "seats")])
    return runs


def _done(visit: Visit, status: int, word: str, undo: str = "") -> Response:
    more = {"undo": undo} if undo and len(undo) <= UNDO_MOST else {}
    return visit.to(_home(visit), said=f"seats-{word}{'-later' if status == 202 else ''}", **more)


def _home(visit: Visit) -> str:
    return f"/events/{visit.name('event')}/blocks"


PAGES: Sequence[Page] = (
    Page("GET", "/events/{event}/hall", hall, (HALL,)),
    Page("GET", BLOCKS, blocks, (HALL,)),
    Page("POST", f"{BLOCKS}/look", look, (HALL, BLOCK), again=blocks, is_once=False, reader=read_large_form),
    Page("POST", f"{BLOCKS}/block", block, (HALL, BLOCK), again=blocks, reader=read_large_form),
    Page("POST", f"{BLOCKS}/unblock", unblock, (HALL, UNBLOCK), again=blocks, reader=read_large_form),
    Page("POST", f"{BLOCKS}/allocation", allocate, (HALL, ALLOCATION), again=blocks),
)
