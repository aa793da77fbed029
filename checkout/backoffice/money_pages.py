"""Money pages: what an event has come to, what waits for somebody, how far a cancellation is; and all events together.

    GET  /events/{event}/money       takings, disputes, refunds on their way, the end of a cancelled event
    GET  /events/{event}/waiting     orders that somebody has to look at: reviews, refunds that failed, open disputes
    GET  /money                      takings of every event

Every sum is the API's (``organiser.orders_web``, ``takings``). Not here: acting on an order (``order_pages``).
"""

from collections.abc import Mapping, Sequence
from typing import Any

from starlette.responses import Response

from checkout.backoffice.visit import Page, Visit

EVENT = "/events/{event}"
MONEY, CANCELLATION = ("GET", f"{EVENT}/money"), ("GET", f"{EVENT}/cancellation")
REFUNDS, REVIEWS, DISPUTES = (
    ("GET", f"{EVENT}/refunds"),
    ("GET", f"{EVENT}/reviews"),
    ("GET", f"{EVENT}/disputes"),
)
ALL = ("GET", "/money")
SHOWN = "200"


async def money(visit: Visit) -> Response:
    """GET /events/{event}/money."""
    event = await visit.choose_event()
    shown: dict[str, Any] = {"takings": (await visit.ask(*MONEY)).plain["money"], "progress": None}
    if event["state"] == "cancelled":
        shown["progress"] = (await visit.ask(*CANCELLATION)).plain
    shown["wanted"] = await _listed(visit, REFUNDS, "wanted")
    shown["sums"] = (await visit.ask(*DISPUTES)).plain["sums"]
    return await visit.show("money.html", here="money", **shown)


async def waiting(visit: Visit) -> Response:
    """GET /events/{event}/waiting."""
    await visit.choose_event()
    reviews = (await visit.ask(*REVIEWS, query={"limit": SHOWN})).plain["reviews"]
    disputes = (await visit.ask(*DISPUTES, query={"state": "open", "limit": SHOWN})).plain["disputes"]
    failed = await _listed(visit, REFUNDS, "failed")
    return await visit.show("waiting.html", here="waiting", reviews=reviews, disputes=disputes, failed=failed)


async def all_money(visit: Visit) -> Response:
    """GET /money."""
    takings = (await visit.ask(*ALL)).plain["money"]
    titles = {one["id"]: one["title"] for one in (await visit.ask("GET", "/events")).plain["events"]}
    return await visit.show("all_money.html", here="money-all", takings=takings, titles=titles)


async def _listed(visit: Visit, need: tuple[str, str], state: str) -> Sequence[Mapping[str, Any]]:
    found: Sequence[Mapping[str, Any]] = (
        await visit.ask(*need, query={"state": state, "limit": SHOWN})
    ).plain["refunds"]
    return found


PAGES: Sequence[Page] = (
    Page("GET", f"{EVENT}/money", money, (MONEY, CANCELLATION, REFUNDS, DISPUTES)),
    Page("GET", f"{EVENT}/waiting", waiting, (REVIEWS, REFUNDS, DISPUTES)),
    Page("GET", "/money", all_money, (ALL, ("GET", "/events"))),
)
