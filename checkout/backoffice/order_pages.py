"""Order pages: an event's orders, one of them with all that belongs to it, and what people do about one.

    GET   /events/{event}/orders                       ?state=&buyer=&card=&from=&until=&after=
    GET   /events/{event}/orders/{order}               lines, payments, tickets, refunds, mails, the story from the log
    POST  …/refunds, …/refunds/retry                   money goes back: part of it, or all that is left
    POST  …/letters/resend                             the tickets by mail once more
    POST  …/tickets/reissue, …/tickets/withdraw        a ticket in place of another; one that counts no more
    POST  …/release, …/refuse                          decide a review

An amount is typed in the currency's own unit and is asked for in whole minor units; how much may go back the API
says. Not here: what is allowed, what is done (``organiser.orders_web``, ``tickets_web``, ``letters_web``).
"""

from collections.abc import Mapping, Sequence
from typing import Any

from starlette.responses import Response

from checkout.backoffice.asking import NotDone
from checkout.backoffice.programme_fields import NotRead, read_amount
from checkout.backoffice.visit import Page, Visit
from checkout.money import NoSuchCurrency
from checkout.orders.order import OrderState

EVENT = "/events/{event}"
ORDERS, ORDER = f"{EVENT}/orders", f"{EVENT}/orders/{{order}}"
REFUNDS, RETRY = f"{ORDER}/refunds", f"{ORDER}/refunds/{{refund:path}}/retry"
RESEND = f"{ORDER}/letters/resend"
REISSUE, WITHDRAW = f"{EVENT}/tickets/{{ticket}}/reissue", f"{EVENT}/tickets/{{ticket}}/withdraw"
RELEASE, REFUSE = f"{ORDER}/release", f"{ORDER}/refuse"

SAID_ALREADY = frozenset({"second-factor-wrong", "second-factor-missing", "second-factor-locked"})
"""Refusals of a second press: the code of the first one is worn."""


async def orders(visit: Visit) -> Response:
    """GET /events/{event}/orders: the newest first, a page at a time."""
    await visit.choose_event()
    given = dict(visit.request.query_params)
    asked = {name: given[name].strip() for name in ("state", "buyer", "card", "after") if given.get(name)}
    for name in ("from", "until"):
        if given.get(name):
            # What is no time is handed on as it is, and refused with the rest.
            ms = visit.writing.read_field(given[name])
            asked[f"{name}_ms"] = given[name] if ms is None else str(ms)
    told: Mapping[str, Any] = {"orders": [], "next": None}
    try:
        told = (await visit.ask("GET", ORDERS, query=asked)).plain
    except NotDone as fault:
        if fault.code != "query-invalid":
            raise
        visit.fault = fault
    kept = [(name, given[name]) for name in ("state", "buyer", "card", "from", "until") if given.get(name)]
    return await visit.show(
        "orders.html",
        here="orders",
        told=told,
        kept=kept,
        given=given,
        states=[one.value for one in OrderState],
    )


async def order(visit: Visit) -> Response:
    """GET /events/{event}/orders/{order}."""
    await visit.choose_event()
    case = (await visit.ask("GET", ORDER)).plain
    find = {"find": case["order"]}
    found = (await visit.ask("GET", f"{EVENT}/support", query=find)).plain["orders"]
    told = (await visit.ask("GET", f"{ORDER}/timeline")).plain
    return await visit.show(
        "order.html", here="orders", case=case, told=told, lines_of=found[0]["seats"] if found else [],
        waits=found[0]["waits"] if found else [], tickets=await _some(visit, f"{EVENT}/tickets", "tickets"),
        letters=await _some(visit, f"{ORDER}/letters", "letters"),
    )  # fmt: skip


async def _some(visit: Visit, path: str, what: str) -> list[Mapping[str, Any]]:
    """Ask for what not every shop has: a shop without tickets has no such address."""
    query = {"order": visit.name("order")} if what == "tickets" else {}
    try:
        found: list[Mapping[str, Any]] = (await visit.ask("GET", path, query=query)).plain[what]
    except NotDone as fault:
        if fault.code == "not-found":
            return []
        raise
    return found


# ------------------------------------------------------------------------------------------------- money


async def refund(visit: Visit) -> Response:
    """POST …/refunds: ``amount`` (all that is left, if there is none), ``reason``, ``code``."""
    case = (await visit.ask("GET", ORDER)).plain
    plain: dict[str, object] = {"reason": visit.field("reason")}
    if visit.field("amount"):
        plain["amount_minor"] = typed_amount(visit.field("amount"), case["currency"])
    try:
        told = await visit.ask("POST", REFUNDS, plain=plain, key=visit.key, code=visit.field("code"))
    except NotDone as fault:
        if fault.code in SAID_ALREADY and any(one["refund"] == visit.key for one in case["refunds"]):
            return _back(visit, "refund-there")
        raise
    return _back(visit, f"refund-{told.plain['state']}")


async def retry(visit: Visit) -> Response:
    """POST …/refunds/retry: ``refund``, ``code``."""
    names = {"refund": visit.field("refund")}
    told = await visit.ask("POST", RETRY, names=names, plain={}, code=visit.field("code"))
    return _back(visit, f"refund-{told.plain['state']}")


def typed_amount(text: str, currency: str) -> int:
    """Read an amount as it was typed, in whole minor units. Raises ``NotDone("amount-unreadable")``."""
    try:
        return read_amount(text, currency)
    except (NotRead, NoSuchCurrency):
        raise NotDone(422, "amount-unreadable", "This is no amount.") from None


# --------------------------------------------------------------------------------------- tickets and mail


async def resend(visit: Visit) -> Response:
    """POST …/letters/resend."""
    await visit.ask("POST", RESEND, plain={})
    return _back(visit, "resent")


async def reissue(visit: Visit) -> Response:
    """POST …/tickets/reissue: ``ticket``."""
    await visit.ask("POST", REISSUE, names={"ticket": visit.field("ticket")}, plain={})
    return _back(visit, "reissued")


async def withdraw(visit: Visit) -> Response:
    """POST …/tickets/withdraw: ``ticket``."""
    await visit.ask("POST", WITHDRAW, names={"ticket": visit.field("ticket")}, plain={})
    return _back(visit, "withdrawn")


# ------------------------------------------------------------------------------------------------ reviews


async def release(visit: Visit) -> Response:
    """POST …/release: ``note``."""
    await visit.ask("POST", RELEASE, plain=_note(visit))
    return _back(visit, "released")


async def refuse(visit: Visit) -> Response:
    """POST …/refuse: ``note``."""
    await visit.ask("POST", REFUSE, plain=_note(visit))
    return _back(visit, "order-refused")


def _note(visit: Visit) -> dict[str, str]:
    return {"note": visit.field("note")} if visit.field("note") else {}


def _back(visit: Visit, said: str) -> Response:
    return visit.to(f"/events/{visit.name('event')}/orders/{visit.name('order')}", said)


_SEES = (("GET", ORDER), ("GET", f"{EVENT}/support"), ("GET", f"{ORDER}/timeline"))


PAGES: Sequence[Page] = (
    Page("GET", ORDERS, orders, (("GET", ORDERS),)),
    Page("GET", ORDER, order, _SEES),
    Page("POST", REFUNDS, refund, (*_SEES, ("POST", REFUNDS)), order),
    Page("POST", f"{REFUNDS}/retry", retry, (*_SEES, ("POST", RETRY)), order),
    Page("POST", RESEND, resend, (*_SEES, ("POST", RESEND)), order),
    Page("POST", f"{ORDER}/tickets/reissue", reissue, (*_SEES, ("POST", REISSUE)), order),
    Page("POST", f"{ORDER}/tickets/withdraw", withdraw, (*_SEES, ("POST", WITHDRAW)), order),
    Page("POST", RELEASE, release, (*_SEES, ("POST", RELEASE)), order),
    Page("POST", REFUSE, refuse, (*_SEES, ("POST", REFUSE)), order),
)
